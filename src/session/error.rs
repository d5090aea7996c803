//! Errors of session operations.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::dpop::{DpopErrorKind, NotRemembered, ProofRejection};

/// Why a login, a refresh or another operation on sessions failed. Holds no part of a token.
#[derive(Clone, Debug)]
pub struct SessionError {
    kind: SessionErrorKind,
    source: Option<Arc<dyn Error + Send + Sync>>,
    dpop_nonce: Option<Box<str>>,
}

/// The reason for a [`SessionError`].
///
/// As a response, from `routes` or from your own handler:
///
/// | kind | status | refresh and page renewal delete the cookies |
/// | --- | --- | --- |
/// | [`Ended`](Self::Ended), [`Expired`](Self::Expired), [`ReuseDetected`](Self::ReuseDetected), [`Blocked`](Self::Blocked), [`LoggedOut`](Self::LoggedOut), [`UnknownSubject`](Self::UnknownSubject) | 401 | yes: [`is_final`](Self::is_final) |
/// | [`InvalidToken`](Self::InvalidToken), [`Elevated`](Self::Elevated) | 401 | no |
/// | [`InvalidProof`](Self::InvalidProof) with [`WrongKey`](DpopErrorKind::WrongKey) or [`UnboundToken`](DpopErrorKind::UnboundToken) | 401 | no |
/// | [`InvalidProof`](Self::InvalidProof) with [`TooMany`](DpopErrorKind::TooMany) | 429 with `Retry-After` | no |
/// | [`InvalidProof`](Self::InvalidProof) with another kind | 400, with `DPoP-Nonce` if the proof needs one | no |
/// | [`Foreign`](Self::Foreign), [`Impersonated`](Self::Impersonated) | 403 | no |
/// | [`TooManySessions`](Self::TooManySessions) | 409 | no |
/// | [`Unavailable`](Self::Unavailable) | 503 with `Retry-After` | no |
/// | [`InvalidClaims`](Self::InvalidClaims), [`TokenTooLong`](Self::TokenTooLong), [`InvalidData`](Self::InvalidData), [`InvalidAcr`](Self::InvalidAcr), [`InvalidLifetime`](Self::InvalidLifetime), [`Backend`](Self::Backend) | 500 | no |
///
/// If a form sends the refresh token, it gets 400 instead of 401 (RFC 6749 §5.2). If your own
/// handler returns the error, no cookie is deleted: add the headers of `SessionRoutes::logged_out`
/// where the session has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionErrorKind {
    /// The refresh token is malformed, forged, or authenticated with a secret that
    /// [`RefreshKeys`](super::RefreshKeys) no longer has.
    InvalidToken,
    /// The session has ended or does not exist.
    Ended,
    /// The session was idle for too long, or has reached its maximum lifetime.
    Expired,
    /// The refresh token was used before. It may have been stolen, or the client retried too late.
    /// The session has ended.
    ReuseDetected,
    /// The refresh token is the previous one, and the session was
    /// [elevated](super::Sessions::elevate) since. The session continues: its client has a newer
    /// token.
    Elevated,
    /// The client has not proven that it holds the key of its session (RFC 9449). The session
    /// continues, and the refresh token stays valid. So a thief without the key cannot log the user
    /// out by a refresh.
    ///
    /// - [`MissingProof`](DpopErrorKind::MissingProof): the session is bound to a key.
    /// - [`WrongKey`](DpopErrorKind::WrongKey): the session is bound to another key.
    /// - [`UnboundToken`](DpopErrorKind::UnboundToken): a proof was sent, but the session has no
    ///   key. A session cannot be bound after its login.
    /// - Other kinds: the proof is wrong or was used. A better proof is accepted.
    InvalidProof(DpopErrorKind),
    /// The subject is blocked, or the actor of an impersonation is. A login gets the same 401
    /// `invalid_grant` as a refresh. To tell the user more, match this kind after the password
    /// check.
    Blocked,
    /// The session or the login began before a logout everywhere of its subject, or of the actor of
    /// an impersonation. A block that was lifted counts as such a logout, and so does
    /// [`logout_others`](super::Sessions::logout_others).
    ///
    /// Or an impersonation was begun with an access token that was invalidated, or whose session
    /// has ended. Or the provider has sent a logout token for the login.
    LoggedOut,
    /// The subject has as many sessions as [`max_sessions`](super::Sessions::max_sessions) allows,
    /// so the login is rejected. The subject can log in again as soon as one of them has ended.
    TooManySessions,
    /// The [claims function](super::Sessions::claims) does not know the subject.
    UnknownSubject,
    /// The token, the subject or the login belongs to another issuer. Or the token is not an access
    /// token of a session.
    Foreign,
    /// An impersonation can neither impersonate, nor have an `acr`, nor end the other sessions of
    /// its subject. And nobody can impersonate themselves. See
    /// [`Sessions::impersonate`](super::Sessions::impersonate).
    Impersonated,
    /// No token is issued, because a layer would reject these claims. They do not serialize to a
    /// JSON object, nest more than 127 levels deep, or contain a reserved claim:
    ///
    /// - reserved for the session: `iss`, `sub`, `aud`, `exp`, `nbf`, `iat`, `jti`, `sid`,
    ///   `generation`, `auth_time`, `cnf`;
    /// - reserved if the session has such a claim: `client_id`, `acr`, `act`;
    /// - reserved for another kind of token: `events`.
    InvalidClaims,
    /// The `acr` is not 1 to 256 characters of printable ASCII without spaces, quotes and
    /// backslashes. A guard cannot require any other value.
    InvalidAcr,
    /// The [lifetime of a login](super::PendingLogin::lifetime) is less than a second, or longer
    /// than allowed.
    InvalidLifetime,
    /// The access token, with its claims, is longer than
    /// [`max_token_length`](super::Sessions::max_token_length).
    TokenTooLong,
    /// The data of the session do not serialize to JSON of at most 4 KiB and 127 levels. Or they
    /// are not of the type that was asked for.
    InvalidData,
    /// The store, the [replay store](crate::dpop::Dpop::replay_store) or the
    /// [claims function](super::Sessions::claims) failed. Or the session or its subject changed at
    /// each attempt. The store may still have applied the operation, so the refresh token may have
    /// been used.
    ///
    /// Retry within the [grace](super::Sessions::grace). After it, the retry may be treated as
    /// reuse, and the session ends.
    Unavailable,
    /// The crypto back-end failed.
    Backend,
}

impl SessionErrorKind {
    /// The kind in snake case, for logs and metrics. For a proof, this is the name of its
    /// [`DpopErrorKind`].
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidToken => "invalid_token",
            Self::Ended => "ended",
            Self::Expired => "expired",
            Self::ReuseDetected => "reuse_detected",
            Self::Elevated => "elevated",
            Self::InvalidProof(kind) => kind.name(),
            Self::Blocked => "blocked",
            Self::LoggedOut => "logged_out",
            Self::TooManySessions => "too_many_sessions",
            Self::UnknownSubject => "unknown_subject",
            Self::Foreign => "foreign",
            Self::Impersonated => "impersonated",
            Self::InvalidClaims => "invalid_claims",
            Self::InvalidAcr => "invalid_acr",
            Self::InvalidLifetime => "invalid_lifetime",
            Self::TokenTooLong => "token_too_long",
            Self::InvalidData => "invalid_data",
            Self::Unavailable => "unavailable",
            Self::Backend => "backend",
        }
    }

    /// Whether the session can never be refreshed again, so its cookies should be deleted.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Ended
            | Self::Expired
            | Self::ReuseDetected
            | Self::Blocked
            | Self::LoggedOut
            | Self::UnknownSubject => true,
            Self::InvalidToken
            | Self::Elevated
            | Self::InvalidProof(_)
            | Self::TooManySessions
            | Self::Foreign
            | Self::Impersonated
            | Self::InvalidClaims
            | Self::InvalidAcr
            | Self::InvalidLifetime
            | Self::TokenTooLong
            | Self::InvalidData
            | Self::Unavailable
            | Self::Backend => false,
        }
    }
}

impl SessionError {
    /// The reason for this error.
    #[must_use]
    pub fn kind(&self) -> SessionErrorKind {
        self.kind
    }

    /// The nonce that the client's next DPoP proof must have: the header `DPoP-Nonce` (RFC 9449
    /// §8). It is not secret.
    #[must_use]
    pub fn dpop_nonce(&self) -> Option<&str> {
        self.dpop_nonce.as_deref()
    }

    pub(crate) fn unavailable(source: impl Error + Send + Sync + 'static) -> Self {
        Self::from_shared(Arc::new(source))
    }

    pub(crate) fn into_source(self) -> Option<Arc<dyn Error + Send + Sync>> {
        self.source
    }

    /// What was read before has changed, each time that it was tried.
    pub(super) fn outdated() -> Self {
        Self::from_boxed("the session or its subject changed at each attempt".into())
    }

    pub(super) fn from_boxed(source: Box<dyn Error + Send + Sync>) -> Self {
        Self::from_shared(source.into())
    }

    fn from_shared(source: Arc<dyn Error + Send + Sync>) -> Self {
        Self {
            source: Some(source),
            ..Self::from(SessionErrorKind::Unavailable)
        }
    }
}

impl From<SessionErrorKind> for SessionError {
    fn from(kind: SessionErrorKind) -> Self {
        Self {
            kind,
            source: None,
            dpop_nonce: None,
        }
    }
}

impl From<DpopErrorKind> for SessionError {
    fn from(kind: DpopErrorKind) -> Self {
        Self::from(SessionErrorKind::InvalidProof(kind))
    }
}

impl From<ProofRejection> for SessionError {
    fn from(rejection: ProofRejection) -> Self {
        Self {
            source: rejection.expected.map(|urls| Arc::new(urls) as _),
            dpop_nonce: rejection.nonce.map(Into::into),
            ..Self::from(rejection.kind)
        }
    }
}

impl From<NotRemembered> for SessionError {
    fn from(failure: NotRemembered) -> Self {
        match failure {
            NotRemembered::Rejected(kind) => kind.into(),
            NotRemembered::Failed(failure) => Self::from_shared(failure),
        }
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            SessionErrorKind::InvalidToken => {
                "the refresh token is malformed, or no refresh key authenticates it"
            }
            SessionErrorKind::Ended => "the session has ended or does not exist",
            SessionErrorKind::Expired => "the session has expired",
            SessionErrorKind::ReuseDetected => {
                "the refresh token was used before; the session has ended"
            }
            SessionErrorKind::Elevated => {
                "the refresh token is from before an elevation; use the one that came with it"
            }
            SessionErrorKind::InvalidProof(kind) => return kind.fmt(f),
            SessionErrorKind::Blocked => "the subject or the actor is blocked",
            SessionErrorKind::LoggedOut => "the subject, the actor or the login was logged out",
            SessionErrorKind::TooManySessions => "the subject has too many sessions; end one first",
            SessionErrorKind::UnknownSubject => "the claims function does not know the subject",
            SessionErrorKind::Foreign => {
                "the token, subject or login does not belong to these sessions"
            }
            SessionErrorKind::Impersonated => {
                "an impersonation cannot do this, and nobody can impersonate themselves"
            }
            SessionErrorKind::InvalidClaims => {
                "the claims are not an object, nest too deeply, or contain a reserved claim"
            }
            SessionErrorKind::InvalidAcr => {
                "the acr is not 1 to 256 characters of printable ASCII without spaces, quotes and \
                 backslashes"
            }
            SessionErrorKind::InvalidLifetime => {
                "the lifetime of the login is less than a second, or longer than allowed"
            }
            SessionErrorKind::TokenTooLong => {
                "the access token is longer than the configured maximum; supply fewer claims"
            }
            SessionErrorKind::InvalidData => {
                "the data of the session are over 4 KiB, not JSON, or of another type"
            }
            SessionErrorKind::Unavailable => {
                "the session store, replay store or claims function failed, or data kept changing"
            }
            SessionErrorKind::Backend => "the crypto back-end failed",
        })
    }
}

impl Error for SessionError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}
