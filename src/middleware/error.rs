//! Why a request is rejected, and with which status.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use http::StatusCode;

use crate::verify::{VerifyError, VerifyErrorKind};

/// Why a request is rejected. The error contains no data from the request.
///
/// The layer inserts it into the extensions of the response, where outer layers find it.
///
/// Its chain of [sources](Error::source) shows the configured value, or names the claim that
/// failed. It is for logs: do not send it to clients.
#[derive(Clone, Debug)]
pub struct AuthError {
    kind: AuthErrorKind,
    source: Option<Source>,
    /// The required scopes, separated by spaces.
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
    /// No source has a token: 401. The error's source says where the layer looked.
    MissingToken,
    /// `Authorization: Bearer` is not followed by a `b64token` (RFC 6750 §2.1): 400.
    MalformedCredentials,
    /// One source has more than one token: 400.
    SeveralTokens,
    /// The token is invalid: 401.
    InvalidToken(VerifyErrorKind),
    /// The token has no `jti`, so it cannot be revoked by itself: 401.
    MissingTokenId,
    /// The token was revoked: 401.
    Revoked,
    /// The request comes from another site (see [`csrf`](super::csrf)): 403.
    CrossSite,
    /// The token lacks what a [guard](crate::guard) requires: 403.
    InsufficientScope,
    /// The revocation store, a guard's condition or the issuer of the keys did not answer in time:
    /// 503. The error's source says why.
    Unavailable,
    /// A handler extracts the token without a [`JwtAuthLayer`](super::JwtAuthLayer) around it: 500.
    MissingLayer,
    /// A `Permission` is misconfigured, so no token can satisfy it: 500. The error's source says
    /// why.
    Misconfigured,
}

impl AuthErrorKind {
    /// The kind in snake case, for logs and metrics. For an invalid token, the name of its
    /// [`VerifyErrorKind`].
    ///
    /// Do not send it to clients: it would tell an attacker what to try next. Use
    /// [`AuthError::code`].
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
    /// The reason.
    #[must_use]
    pub fn kind(&self) -> AuthErrorKind {
        self.kind
    }

    /// The status code (RFC 6750 §3.1, RFC 9110 §15).
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

    /// A sentence for clients. It is the same for every invalid token, except an expired one.
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
                "A handler needs a token, and no JwtAuthLayer is around it."
            }
            AuthErrorKind::Misconfigured => "The service is not set up correctly.",
        }
    }

    /// The scopes that a [guard](crate::guard) requires and the token lacks, separated by spaces.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// After how many seconds a client should retry, if known.
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

    /// `searched` says where the token was looked for.
    pub(super) fn missing_token(searched: Arc<dyn Error + Send + Sync>) -> Self {
        Self {
            source: Some(Source::Other(searched)),
            ..Self::from(AuthErrorKind::MissingToken)
        }
    }

    /// What is configured where the request has something else, or which claim is at fault. For
    /// logs, not for clients.
    #[cfg(feature = "tracing")]
    pub(super) fn reason(&self) -> Option<&(dyn Error + 'static)> {
        match self.source.as_ref()? {
            Source::Token(error) => error.source(),
            Source::Other(error) => Some(&**error),
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
        let required = || Some(Source::Other(Arc::new(RequiredScope(scope.clone()?))));
        Self {
            source: reason.map(Source::Token).or_else(required),
            scope,
            ..Self::from(AuthErrorKind::InsufficientScope)
        }
    }

    /// The error code for clients: `error` of RFC 6750 §3.1. `None` for a request without a token,
    /// and for errors that the RFC has no code for.
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

/// The scopes that a guard names. It may need only one of them.
#[derive(Debug)]
struct RequiredScope(Arc<str>);

impl fmt::Display for RequiredScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected scope: {:?}", self.0)
    }
}

impl Error for RequiredScope {}

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
            AuthErrorKind::InvalidToken(_) => "the token is invalid",
            AuthErrorKind::MissingTokenId => "the token has no jti",
            AuthErrorKind::Revoked => "the token was revoked",
            AuthErrorKind::CrossSite => "the request comes from another site",
            AuthErrorKind::InsufficientScope => "the token does not allow this",
            AuthErrorKind::Unavailable => "the token cannot be checked now",
            AuthErrorKind::MissingLayer => {
                "no JwtAuthLayer is around the handler that needs a token: add `.layer(JwtAuthLayer::new(key))`"
            }
            AuthErrorKind::Misconfigured => "the permission of a handler is misconfigured",
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
