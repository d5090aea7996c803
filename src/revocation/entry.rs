//! What to revoke.

use std::fmt;

use super::token_identity::TokenIdentity;
use crate::claims::NumericDate;

/// What to revoke: a token, a session, or the tokens of a subject.
///
/// An id identifies a token, session or subject only together with its issuer. `issuer: None` means
/// tokens without `iss`, not all issuers.
///
/// Every revocation except a block expires at the time that you pass, plus leeway. If you pass a
/// time before the `exp` of a revoked token, that token may become valid again.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Revocation<'a> {
    /// One token.
    Token {
        /// `iss`.
        issuer: Option<&'a str>,
        /// `jti`.
        jti: &'a str,
        /// The exact `exp` of the token, because look-ups search by it.
        expires_at: NumericDate,
    },
    /// All tokens of a session.
    Session {
        /// `iss`.
        issuer: Option<&'a str>,
        /// `sid`.
        sid: &'a str,
        /// The latest `exp` of an access token of the session.
        until: NumericDate,
    },
    /// All tokens of a subject that have a lower `generation` claim than this one. A token without
    /// the claim has generation 0.
    ///
    /// If you revoke twice, the higher generation applies.
    Generation {
        /// `iss`.
        issuer: Option<&'a str>,
        /// `sub`.
        subject: &'a str,
        /// The lowest generation that is still valid.
        generation: u64,
        /// The latest `exp` of a token with a lower generation.
        until: NumericDate,
    },
    /// All tokens of a subject that were issued at `issued_at` or earlier. For issuers whose tokens
    /// have no generation.
    ///
    /// Tokens without `iat` are revoked too. If you set two cutoffs, the later one applies.
    ///
    /// A cutoff also applies to tokens with a generation, whatever the subject's
    /// [generation](Revocation::Generation) is. So a login in the same second gets a revoked token.
    ///
    /// To log out one of your own users everywhere, use
    /// [`Sessions::logout_everywhere`](crate::session::Sessions::logout_everywhere). The subject
    /// can then log in again at once.
    Cutoff {
        /// `iss`.
        issuer: Option<&'a str>,
        /// `sub`.
        subject: &'a str,
        /// The last second whose tokens are revoked. The fraction is ignored, here and in `iat`.
        issued_at: NumericDate,
        /// The latest `exp` of a token issued at `issued_at` or earlier.
        until: NumericDate,
    },
    /// All tokens of a subject, until the block is
    /// [lifted](super::RevocationSet::lift_block).
    ///
    /// To block a subject and raise its generation, block first. Otherwise a token issued between
    /// the two calls has the new generation. It would be valid again after the block is [lifted by
    /// generation](super::RevocationSet::lift_block_by_generation).
    Block {
        /// `iss`.
        issuer: Option<&'a str>,
        /// `sub`.
        subject: &'a str,
    },
}

impl<'a> Revocation<'a> {
    /// A revocation of this token. `None` if it has no `jti`.
    ///
    /// ```
    /// use tower_jwt_auth::claims::NumericDate;
    /// use tower_jwt_auth::revocation::{Revocation, TokenIdentity};
    ///
    /// let expires_at = NumericDate::from_seconds(1_700_000_300).unwrap();
    /// let token = TokenIdentity::new(expires_at).jti("6b1d5a9e");
    /// assert!(Revocation::of_token(&token).is_some());
    /// assert!(Revocation::of_session(&token, expires_at).is_none());
    /// ```
    #[must_use]
    pub fn of_token(token: &TokenIdentity<'a>) -> Option<Self> {
        Some(Self::Token {
            issuer: token.issuer,
            jti: token.jti?,
            expires_at: token.expires_at,
        })
    }

    /// A revocation of the session of this token. `None` if it has no `sid`.
    ///
    /// `until`: the latest `exp` of an access token of the session.
    #[must_use]
    pub fn of_session(token: &TokenIdentity<'a>, until: NumericDate) -> Option<Self> {
        Some(Self::Session {
            issuer: token.issuer,
            sid: token.sid?,
            until: until.max(token.expires_at),
        })
    }

    /// A block of the subject of this token. `None` if it has no `sub`.
    #[must_use]
    pub fn of_subject(token: &TokenIdentity<'a>) -> Option<Self> {
        Some(Self::Block {
            issuer: token.issuer,
            subject: token.subject?,
        })
    }
}

/// Shows the kind, and no values.
impl fmt::Debug for Revocation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token { .. } => "Token",
            Self::Session { .. } => "Session",
            Self::Generation { .. } => "Generation",
            Self::Cutoff { .. } => "Cutoff",
            Self::Block { .. } => "Block",
        })?;
        f.write_str(" { .. }")
    }
}
