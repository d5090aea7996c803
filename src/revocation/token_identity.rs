//! The claims that identify a token.

use std::fmt;

use crate::claims::NumericDate;

/// The claims by which a token can be revoked.
///
/// The layer passes them to the store at every look-up. To revoke a
/// [`VerifiedToken`](crate::VerifiedToken), use `TokenIdentity::from(&token)`.
///
/// The token's bytes do not identify it: an ECDSA signature has a second valid form.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenIdentity<'a> {
    /// `iss`. The other claims identify a token only together with it.
    pub issuer: Option<&'a str>,
    /// `jti`.
    pub jti: Option<&'a str>,
    /// `sid`.
    pub sid: Option<&'a str>,
    /// `sub`.
    pub subject: Option<&'a str>,
    /// `iat`.
    pub issued_at: Option<NumericDate>,
    /// `exp`, without leeway.
    pub expires_at: NumericDate,
    /// `generation`: the [access epoch](crate::session::SubjectState::access_epoch) of the subject
    /// when the token was issued.
    pub generation: Option<u64>,
}

impl<'a> TokenIdentity<'a> {
    /// An identity with an `exp` and no other claim.
    #[must_use]
    pub fn new(expires_at: NumericDate) -> Self {
        Self {
            issuer: None,
            jti: None,
            sid: None,
            subject: None,
            issued_at: None,
            expires_at,
            generation: None,
        }
    }

    /// Sets `iss`.
    #[must_use]
    pub fn issuer(mut self, issuer: &'a str) -> Self {
        self.issuer = Some(issuer);
        self
    }

    /// Sets `jti`.
    #[must_use]
    pub fn jti(mut self, jti: &'a str) -> Self {
        self.jti = Some(jti);
        self
    }

    /// Sets `sid`.
    #[must_use]
    pub fn sid(mut self, sid: &'a str) -> Self {
        self.sid = Some(sid);
        self
    }

    /// Sets `sub`.
    #[must_use]
    pub fn subject(mut self, subject: &'a str) -> Self {
        self.subject = Some(subject);
        self
    }

    /// Sets `iat`.
    #[must_use]
    pub fn issued_at(mut self, issued_at: NumericDate) -> Self {
        self.issued_at = Some(issued_at);
        self
    }

    /// Sets `generation`.
    #[must_use]
    pub fn generation(mut self, generation: u64) -> Self {
        self.generation = Some(generation);
        self
    }
}

/// Shows no values.
impl fmt::Debug for TokenIdentity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenIdentity").finish_non_exhaustive()
    }
}
