//! What can be revoked.

use std::fmt;

use super::TokenId;
use crate::claims::NumericDate;

/// What is revoked: a token, a session, or what a subject was issued.
///
/// An id means something only together with its issuer. `issuer: None` stands for the tokens without `iss`, not for
/// all issuers.
///
/// Each but a block is bounded by the life of the tokens it speaks of: it is held until those are dead, which
/// is the latest `exp` among them plus leeway. A bound that is too early revives tokens.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Revocation<'a> {
    /// One token.
    Token {
        /// `iss`.
        issuer: Option<&'a str>,
        /// `jti`.
        jti: &'a str,
        /// The token's own `exp`. Another will not do: it is where a look-up searches.
        expires_at: NumericDate,
    },
    /// All tokens of a session.
    Session {
        /// `iss`.
        issuer: Option<&'a str>,
        /// `sid`.
        sid: &'a str,
        /// The latest `exp` of an access token handed out for the session.
        until: NumericDate,
    },
    /// All tokens of a subject that were issued before its generation was raised: one whose claim `generation` is
    /// less is dead, and one without is of generation 0.
    ///
    /// Generations only rise: of two, the higher counts.
    Generation {
        /// `iss`.
        issuer: Option<&'a str>,
        /// `sub`.
        subject: &'a str,
        /// The generation that tokens must have at least.
        generation: u64,
        /// The latest `exp` of a token of an earlier generation.
        until: NumericDate,
    },
    /// All tokens of a subject that were issued in a second, or earlier: for issuers whose tokens know no generation.
    ///
    /// A token without `iat` is dead too. Of two cutoffs the later counts. A cutoff also counts for
    /// tokens that carry a generation, whatever [generation](Revocation::Generation) is held for
    /// the subject: a login in the same second gets a dead token. To end all sessions of a subject
    /// of your own, use
    /// [`Sessions::logout_everywhere`](crate::session::Sessions::logout_everywhere), where the next
    /// login works at once.
    Cutoff {
        /// `iss`.
        issuer: Option<&'a str>,
        /// `sub`.
        subject: &'a str,
        /// The last second whose tokens are dead. A fraction is dropped, here as in `iat`.
        issued_at: NumericDate,
        /// The latest `exp` of a token issued until then.
        until: NumericDate,
    },
    /// All tokens of a subject, whenever they were issued, until [lifted](super::RevocationSet::lift_block).
    ///
    /// To block a subject and raise its generation, block first. Then, once the block is lifted, tokens of
    /// the new generation need not wait for the next second.
    Block {
        /// `iss`.
        issuer: Option<&'a str>,
        /// `sub`.
        subject: &'a str,
    },
}

impl<'a> Revocation<'a> {
    /// Revokes this token. `None` if it has no `jti`.
    ///
    /// ```
    /// use tower_jwt_auth::claims::NumericDate;
    /// use tower_jwt_auth::revocation::{Revocation, TokenId};
    ///
    /// let expires_at = NumericDate::from_seconds(1_700_000_300).unwrap();
    /// let token = TokenId::new(expires_at).jti("6b1d5a9e");
    /// assert!(Revocation::of_token(&token).is_some());
    /// assert!(Revocation::of_session(&token, expires_at).is_none());
    /// ```
    #[must_use]
    pub fn of_token(token: &TokenId<'a>) -> Option<Self> {
        Some(Self::Token {
            issuer: token.issuer,
            jti: token.jti?,
            expires_at: token.expires_at,
        })
    }

    /// Revokes the session of this token, whose last access token expires at `until`. `None` if it has no `sid`.
    #[must_use]
    pub fn of_session(token: &TokenId<'a>, until: NumericDate) -> Option<Self> {
        Some(Self::Session {
            issuer: token.issuer,
            sid: token.sid?,
            until: until.max(token.expires_at),
        })
    }

    /// Blocks the subject of this token. `None` if it has no `sub`.
    #[must_use]
    pub fn of_subject(token: &TokenId<'a>) -> Option<Self> {
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
