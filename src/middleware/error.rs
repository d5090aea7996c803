//! Why a request is refused, and with which status.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use http::StatusCode;

use crate::verify::{VerifyError, VerifyErrorKind};

/// Why a request is refused. Holds nothing of the request.
///
/// It is left in the extensions of the response, for layers outside to look at, whatever the response itself says.
#[derive(Clone, Debug)]
pub struct AuthError {
    kind: AuthErrorKind,
    source: Option<Source>,
    /// The scopes that would be needed, separated by spaces.
    scope: Option<Arc<str>>,
}

#[derive(Clone, Debug)]
enum Source {
    Token(VerifyError),
    Other(Arc<dyn Error + Send + Sync>),
}

/// The reason for an [`AuthError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthErrorKind {
    /// No source has a token: 401.
    MissingToken,
    /// `Authorization: Bearer` goes on in a way that is no credentials: 400.
    MalformedCredentials,
    /// One source has more than one token: 400.
    SeveralTokens,
    /// The token is refused: 401.
    InvalidToken(VerifyErrorKind),
    /// The token has no `jti`, and could not be revoked on its own: 401.
    MissingTokenId,
    /// The token was revoked: 401.
    Revoked,
    /// The request comes from another site (see [`csrf`](super::csrf)): 403.
    CrossSite,
    /// The token lacks what a [guard](crate::guard) requires: 403.
    InsufficientScope,
    /// Whether the token still counts, or may do this, could not be found out in time: 503. The error's source says why.
    Unavailable,
    /// A handler asks for the token, and no [`JwtAuthLayer`](super::JwtAuthLayer) lies around it: 500.
    MissingLayer,
    /// A `Permission` is built wrongly, so nobody can have it: 500. The error's source says what is
    /// wrong.
    Misconfigured,
}

impl AuthErrorKind {
    /// The kind in snake case, for logs and metrics. For an invalid token, that of its [`VerifyErrorKind`]. Not for
    /// clients, who would learn from it what to try next: they get [`AuthError::code`].
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MissingToken => "missing_token",
            Self::MalformedCredentials => "malformed_credentials",
            Self::SeveralTokens => "several_tokens",
            Self::InvalidToken(kind) => kind.name(),
            Self::MissingTokenId => "missing_token_id",
            Self::Revoked => "revoked",
            Self::CrossSite => "cross_site",
            Self::InsufficientScope => "insufficient_scope",
            Self::Unavailable => "unavailable",
            Self::MissingLayer => "missing_layer",
            Self::Misconfigured => "misconfigured",
        }
    }
}

impl fmt::Display for AuthErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl AuthError {
    /// Why the request is refused.
    #[must_use]
    pub fn kind(&self) -> AuthErrorKind {
        self.kind
    }

    /// The status that RFC 6750 §3.1 and RFC 9110 give to this.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self.kind {
            AuthErrorKind::MissingToken
            | AuthErrorKind::InvalidToken(_)
            | AuthErrorKind::MissingTokenId
            | AuthErrorKind::Revoked => StatusCode::UNAUTHORIZED,
            AuthErrorKind::MalformedCredentials | AuthErrorKind::SeveralTokens => {
                StatusCode::BAD_REQUEST
            }
            AuthErrorKind::CrossSite | AuthErrorKind::InsufficientScope => StatusCode::FORBIDDEN,
            AuthErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            AuthErrorKind::MissingLayer | AuthErrorKind::Misconfigured => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    /// What a client may be told: one text for every bad token but an expired one, whose signature was good.
    #[must_use]
    pub fn description(&self) -> &'static str {
        match self.kind {
            AuthErrorKind::MissingToken => "The request has no access token.",
            AuthErrorKind::MalformedCredentials => "The credentials are malformed.",
            AuthErrorKind::SeveralTokens => "The request has more than one access token.",
            AuthErrorKind::InvalidToken(VerifyErrorKind::Expired) => "The access token expired.",
            AuthErrorKind::InvalidToken(_)
            | AuthErrorKind::MissingTokenId
            | AuthErrorKind::Revoked => "The access token is invalid.",
            AuthErrorKind::InsufficientScope => "The access token does not allow this.",
            AuthErrorKind::Unavailable => "The access token cannot be checked now.",
            AuthErrorKind::CrossSite => {
                "The request seems to come from another site: it needs an Origin or Sec-Fetch-Site header of this one."
            }
            AuthErrorKind::MissingLayer => {
                "A handler asks for a token, and no JwtAuthLayer lies around it."
            }
            AuthErrorKind::Misconfigured => "The service is not set up correctly.",
        }
    }

    /// The scopes that the request would need, separated by spaces, where a guard that requires some refused it.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// In how many seconds it is worth trying again, where that is known.
    pub(super) fn retry_after(&self) -> Option<u64> {
        #[cfg(feature = "jwks")]
        if let Some(Source::Token(error)) = &self.source {
            let wait = error.retry_after()?;
            return Some(
                wait.as_secs()
                    .saturating_add(u64::from(wait.subsec_nanos() > 0)),
            );
        }
        None
    }

    pub(crate) fn unavailable(reason: Arc<dyn Error + Send + Sync>) -> Self {
        Self {
            source: Some(Source::Other(reason)),
            ..Self::from(AuthErrorKind::Unavailable)
        }
    }

    #[cfg(feature = "axum")]
    pub(crate) fn misconfigured(reason: Arc<dyn Error + Send + Sync>) -> Self {
        Self {
            source: Some(Source::Other(reason)),
            ..Self::from(AuthErrorKind::Misconfigured)
        }
    }

    pub(crate) fn insufficient_scope(scope: Option<Arc<str>>, reason: Option<VerifyError>) -> Self {
        Self {
            source: reason.map(Source::Token),
            scope,
            ..Self::from(AuthErrorKind::InsufficientScope)
        }
    }

    /// What a client may be told, as a word: `error` of RFC 6750 §3.1. None for a request without a token, and for what that
    /// document does not speak of.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        match self.kind {
            AuthErrorKind::InvalidToken(_)
            | AuthErrorKind::MissingTokenId
            | AuthErrorKind::Revoked => Some("invalid_token"),
            AuthErrorKind::InsufficientScope => Some("insufficient_scope"),
            AuthErrorKind::MalformedCredentials | AuthErrorKind::SeveralTokens => {
                Some("invalid_request")
            }
            _ => None,
        }
    }
}

impl From<AuthErrorKind> for AuthError {
    fn from(kind: AuthErrorKind) -> Self {
        Self {
            kind,
            source: None,
            scope: None,
        }
    }
}

impl From<VerifyError> for AuthError {
    fn from(error: VerifyError) -> Self {
        Self {
            kind: match error.kind() {
                VerifyErrorKind::KeysUnavailable => AuthErrorKind::Unavailable,
                kind => AuthErrorKind::InvalidToken(kind),
            },
            source: Some(Source::Token(error)),
            scope: None,
        }
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            AuthErrorKind::MissingToken => "the request has no token",
            AuthErrorKind::MalformedCredentials => "the credentials are malformed",
            AuthErrorKind::SeveralTokens => "the request has more than one token",
            AuthErrorKind::InvalidToken(_) => "the token is refused",
            AuthErrorKind::MissingTokenId => "the token has no jti",
            AuthErrorKind::Revoked => "the token was revoked",
            AuthErrorKind::CrossSite => "the request comes from another site",
            AuthErrorKind::InsufficientScope => "the token does not allow this",
            AuthErrorKind::Unavailable => "the token could not be checked in time",
            AuthErrorKind::MissingLayer => {
                "no JwtAuthLayer lies around the handler that asks for a token"
            }
            AuthErrorKind::Misconfigured => "the permission of a handler is built wrongly",
        })
    }
}

impl Error for AuthError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self.source.as_ref()? {
            Source::Token(error) => Some(error),
            Source::Other(error) => Some(&**error),
        }
    }
}
