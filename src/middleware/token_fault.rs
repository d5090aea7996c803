//! Faults with which a token counts as missing.

use super::error::AuthError;
use super::error_kind::AuthErrorKind;
use crate::verify::VerifyErrorKind;

/// A fault with which [`JwtAuthLayer::anonymous_if`](super::JwtAuthLayer::anonymous_if) treats a
/// token as missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenFault {
    /// The token has expired: [`VerifyErrorKind::Expired`].
    Expired,
    /// The token was revoked: [`AuthErrorKind::Revoked`].
    Revoked,
    /// The key does not verify the signature: [`VerifyErrorKind::BadSignature`]. For example, a
    /// service restarted with another key that has no `kid`, as
    /// [`SigningKey::generate`](crate::keys::SigningKey::generate) makes it.
    BadSignature,
    /// The issuer says that an opaque token is not active: [`VerifyErrorKind::Inactive`].
    Inactive,
    /// No key fits: [`VerifyErrorKind::NoFittingKey`]. An example is a key that was removed.
    NoFittingKey,
}

impl TokenFault {
    fn bit(self) -> u8 {
        match self {
            Self::Expired => 1,
            Self::Revoked => 2,
            Self::BadSignature => 4,
            Self::NoFittingKey => 8,
            Self::Inactive => 16,
        }
    }
}

/// A set of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TokenFaults(u8);

impl TokenFaults {
    pub(super) const NONE: Self = Self(0);

    #[inline]
    pub(super) fn is_empty(self) -> bool {
        self == Self::NONE
    }

    /// Whether the error is one of these faults.
    pub(super) fn include(self, error: &AuthError) -> bool {
        let fault = match error.kind() {
            AuthErrorKind::InvalidToken(VerifyErrorKind::Expired) => TokenFault::Expired,
            AuthErrorKind::InvalidToken(VerifyErrorKind::BadSignature) => TokenFault::BadSignature,
            AuthErrorKind::InvalidToken(VerifyErrorKind::NoFittingKey) => TokenFault::NoFittingKey,
            AuthErrorKind::InvalidToken(VerifyErrorKind::Inactive) => TokenFault::Inactive,
            AuthErrorKind::Revoked => TokenFault::Revoked,
            _ => return false,
        };
        self.0 & fault.bit() != 0
    }
}

impl FromIterator<TokenFault> for TokenFaults {
    fn from_iter<I: IntoIterator<Item = TokenFault>>(faults: I) -> Self {
        let bits = faults.into_iter().map(TokenFault::bit);
        Self(bits.fold(0, |all, bit| all | bit))
    }
}
