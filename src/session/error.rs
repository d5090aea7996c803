//! Why there is no token.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Why a login or a renewal yields no token, or an ending could not be done. Holds nothing of any token.
#[derive(Clone, Debug)]
pub struct SessionError {
    kind: SessionErrorKind,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// The reason for a [`SessionError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionErrorKind {
    /// The text is no refresh token of this deployment: malformed, forged, or of a secret long gone.
    InvalidToken,
    /// There is no such session, or it was ended.
    Ended,
    /// The session has expired: by being idle, or by its age.
    Expired,
    /// The refresh token had been used before: the session has ended, since one of the two who used it stole it.
    Stolen,
    /// The subject is blocked.
    Blocked,
    /// The subject was logged out everywhere after the login began, or after the session did.
    LoggedOut,
    /// The function that supplies claims knows no such subject.
    UnknownSubject,
    /// The token, the subject or the login belongs to another issuer, or the token is not an access
    /// token of a session.
    Foreign,
    /// The claims cannot become a token that a layer accepts. They do not serialise to an object,
    /// or nest more than 127 levels deep. Or they hold a claim of the session (`iss`, `sub`, `aud`,
    /// `exp`, `nbf`, `iat`, `jti`, `sid`, `generation`) or one that makes it another kind of token
    /// (`events`, `cnf`).
    Claims,
    /// The access token, with these claims, is longer than
    /// [`max_token_length`](super::Sessions::max_token_length).
    TooLarge,
    /// The store, or the function that supplies claims, failed. Nothing was acknowledged, but the
    /// store may have done it: the refresh token may have been used. Retry within the
    /// [grace](super::Sessions::grace); after it, the retry is treated as reuse and the session
    /// ends.
    Unavailable,
    /// The crypto back-end failed.
    Backend,
}

impl SessionErrorKind {
    /// The kind in snake case, for logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidToken => "invalid_token",
            Self::Ended => "ended",
            Self::Expired => "expired",
            Self::Stolen => "stolen",
            Self::Blocked => "blocked",
            Self::LoggedOut => "logged_out",
            Self::UnknownSubject => "unknown_subject",
            Self::Foreign => "foreign",
            Self::Claims => "claims",
            Self::TooLarge => "too_large",
            Self::Unavailable => "unavailable",
            Self::Backend => "backend",
        }
    }

    /// Whether the session is dead for good, so that its cookies can go.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(
            self,
            Self::Ended
                | Self::Expired
                | Self::Stolen
                | Self::Blocked
                | Self::LoggedOut
                | Self::UnknownSubject
        )
    }
}

impl SessionError {
    /// Why.
    #[must_use]
    pub fn kind(&self) -> SessionErrorKind {
        self.kind
    }

    pub(crate) fn unavailable(source: impl Error + Send + Sync + 'static) -> Self {
        Self {
            kind: SessionErrorKind::Unavailable,
            source: Some(Arc::new(source)),
        }
    }

    pub(super) fn from_boxed(source: Box<dyn Error + Send + Sync>) -> Self {
        Self {
            kind: SessionErrorKind::Unavailable,
            source: Some(source.into()),
        }
    }
}

impl From<SessionErrorKind> for SessionError {
    fn from(kind: SessionErrorKind) -> Self {
        Self { kind, source: None }
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            SessionErrorKind::InvalidToken => "the refresh token is invalid",
            SessionErrorKind::Ended => "the session has ended",
            SessionErrorKind::Expired => "the session has expired",
            SessionErrorKind::Stolen => "the refresh token was used before",
            SessionErrorKind::Blocked => "the subject is blocked",
            SessionErrorKind::LoggedOut => "the subject was logged out everywhere",
            SessionErrorKind::UnknownSubject => "there is no such subject",
            SessionErrorKind::Foreign => "the token or the subject is not one of these sessions",
            SessionErrorKind::Claims => "the claims cannot be put into a token",
            SessionErrorKind::TooLarge => "the access token is too long",
            SessionErrorKind::Unavailable => "the sessions are not available",
            SessionErrorKind::Backend => "the crypto back-end failed",
        })
    }
}

impl Error for SessionError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}
