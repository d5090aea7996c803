//! What a token is known by.

use std::fmt;

use crate::claims::NumericDate;

/// What a token is known by: the claims that a revocation can speak of.
///
/// Never the token's bytes. An ECDSA signature has a second valid form, so the same token can come in two.
///
/// The layer makes one for each look-up. `TokenId::from(&token)` makes one of a [`VerifiedToken`](crate::VerifiedToken),
/// to revoke it by.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenId<'a> {
    /// `iss`. Ids of different issuers have nothing to do with each other.
    pub issuer: Option<&'a str>,
    /// `jti`.
    pub jti: Option<&'a str>,
    /// `sid`.
    pub sid: Option<&'a str>,
    /// `sub`.
    pub subject: Option<&'a str>,
    /// `iat`.
    pub issued_at: Option<NumericDate>,
    /// `exp`. Leeway comes on top.
    pub expires_at: NumericDate,
    /// `generation`: how often the subject had been logged out everywhere when the token was issued.
    pub generation: Option<u64>,
}

impl<'a> TokenId<'a> {
    /// The id of a token of which nothing is known but when it expires.
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
impl fmt::Debug for TokenId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenId").finish_non_exhaustive()
    }
}
