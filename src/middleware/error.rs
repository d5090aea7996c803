//! Why a request is rejected, and with which status.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

#[cfg(feature = "axum")]
use super::source::{SearchedSources, TokenSource};
use crate::cookie::CookieError;
use crate::session::{SessionError, SessionErrorKind};
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
    required: Option<Arc<Required>>,
}

/// What a guard requires, for the client.
#[derive(Debug, Default)]
struct Required {
    /// Scopes, separated by spaces.
    scope: Option<String>,
    /// Levels of authentication, separated by spaces.
    acr_values: Option<String>,
    /// The longest time since the login.
    max_age: Option<Duration>,
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
    /// The token has no `jti`, so it cannot be revoked individually: 401.
    MissingTokenId,
    /// The token was revoked: 401.
    Revoked,
    /// The request comes from another site (see [`csrf`](super::csrf)): 403.
    CrossSite,
    /// The token lacks what a [guard](crate::guard) requires: 403.
    InsufficientScope,
    /// A [guard](crate::guard) requires a newer login of the user, or one at another authentication
    /// level: 401 (RFC 9470).
    InsufficientUserAuthentication,
    /// The revocation store, a guard's condition or an issuer did not answer in time: 503. The
    /// error's source says why.
    Unavailable,
    /// A handler extracts the token without a [`JwtAuthLayer`](super::JwtAuthLayer) around it: 500.
    MissingLayer,
    /// A `Permission` is misconfigured, so no token can satisfy it, or a cookie cannot be built:
    /// 500. The error's source says why.
    Misconfigured,
    /// A request for a refresh has no refresh token: 401. The error's source says where it was
    /// looked for.
    MissingRefreshToken,
    /// A request for a refresh has different refresh tokens in cookies of one name: 400.
    ///
    /// The browser may still have a cookie from before you set a `Domain`, a `Path` or
    /// `Partitioned`. Or another host of the domain has set one. A new login deletes the cookie
    /// without `Domain`. In the other cases, change the name of the cookie.
    SeveralRefreshTokens,
    /// The body of a refresh or a logout is malformed: 400.
    MalformedBody,
    /// The body of a refresh or a logout has a `grant_type` other than `refresh_token`: 400.
    UnsupportedGrantType,
    /// The method of a refresh or a logout is not `POST`: 405.
    MethodNotAllowed,
    /// A login, a refresh or a logout failed: 401, 403, 409, 500 or 503.
    Session(SessionErrorKind),
}

impl AuthErrorKind {
    /// The kind in snake case, for logs and metrics. For an invalid token, the name of its
    /// [`VerifyErrorKind`]. For a session, that of its [`SessionErrorKind`].
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
            Self::InsufficientUserAuthentication => "insufficient_user_authentication",
            Self::Unavailable => "unavailable",
            Self::MissingLayer => "missing_layer",
            Self::Misconfigured => "misconfigured",
            Self::MissingRefreshToken => "missing_refresh_token",
            Self::SeveralRefreshTokens => "several_refresh_tokens",
            Self::MalformedBody => "malformed_body",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Session(kind) => kind.name(),
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
            | AuthErrorKind::Revoked
            | AuthErrorKind::InsufficientUserAuthentication
            | AuthErrorKind::MissingRefreshToken => StatusCode::UNAUTHORIZED,
            AuthErrorKind::MalformedCredentials
            | AuthErrorKind::SeveralTokens
            | AuthErrorKind::SeveralRefreshTokens
            | AuthErrorKind::MalformedBody
            | AuthErrorKind::UnsupportedGrantType => StatusCode::BAD_REQUEST,
            AuthErrorKind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            AuthErrorKind::Session(kind) => session_status(kind),
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
            AuthErrorKind::InsufficientUserAuthentication => {
                "The user must log in again, or at another level."
            }
            AuthErrorKind::Unavailable => "The access token cannot be checked now.",
            AuthErrorKind::CrossSite => {
                "The request seems to come from another site: it needs an Origin or Sec-Fetch-Site header of this one."
            }
            AuthErrorKind::MissingLayer => "A handler needs a token, but has no JwtAuthLayer.",
            AuthErrorKind::Misconfigured => "The service is not set up correctly.",
            AuthErrorKind::MissingRefreshToken => "The request has no refresh token.",
            AuthErrorKind::SeveralRefreshTokens => {
                "The request has more than one refresh token. Log in again."
            }
            AuthErrorKind::MalformedBody => "The body is malformed.",
            AuthErrorKind::UnsupportedGrantType => "The only grant_type here is refresh_token.",
            AuthErrorKind::MethodNotAllowed => "Only POST is allowed here.",
            AuthErrorKind::Session(_) => match self.status() {
                StatusCode::UNAUTHORIZED => "The token is invalid, or its session has ended.",
                StatusCode::SERVICE_UNAVAILABLE => "Sessions are not available now.",
                StatusCode::CONFLICT => "The user has too many sessions: end one first.",
                StatusCode::FORBIDDEN => "The session of this token does not allow this.",
                _ => "The tokens could not be issued.",
            },
        }
    }

    /// All scopes that a [guard](crate::guard) names, separated by spaces. One may be enough.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.required.as_ref()?.scope.as_deref()
    }

    /// The levels of authentication that a [guard](crate::guard) requires, separated by spaces:
    /// `acr_values` of RFC 9470 §3.
    #[must_use]
    pub fn acr_values(&self) -> Option<&str> {
        self.required.as_ref()?.acr_values.as_deref()
    }

    /// The longest time since the login that a guard accepts: `max_age` of RFC 9470 §3.
    #[must_use]
    pub fn max_age(&self) -> Option<Duration> {
        self.required.as_ref()?.max_age
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

    /// `searched` says where the token was looked for.
    #[cfg(feature = "axum")]
    pub(crate) fn missing_refresh_token(source: &TokenSource) -> Self {
        let searched = SearchedSources::new(std::slice::from_ref(source));
        Self {
            source: Some(Source::Other(Arc::new(searched))),
            ..Self::from(AuthErrorKind::MissingRefreshToken)
        }
    }

    pub(crate) fn misconfigured(reason: Arc<dyn Error + Send + Sync>) -> Self {
        Self {
            source: Some(Source::Other(reason)),
            ..Self::from(AuthErrorKind::Misconfigured)
        }
    }

    pub(crate) fn insufficient_scope(scope: Option<String>, reason: Option<VerifyError>) -> Self {
        let expected = || Some(Source::Other(Arc::new(RequiredScope(scope.clone()?))));
        let source = reason.map(Source::Token).or_else(expected);
        let required = scope.map(|scope| Required {
            scope: Some(scope),
            ..Required::default()
        });
        Self {
            source,
            required: required.map(Arc::new),
            ..Self::from(AuthErrorKind::InsufficientScope)
        }
    }

    pub(crate) fn insufficient_authentication(
        acr_values: Option<String>,
        max_age: Option<Duration>,
    ) -> Self {
        let required = Required {
            acr_values,
            max_age,
            ..Required::default()
        };
        Self {
            required: Some(Arc::new(required)),
            ..Self::from(AuthErrorKind::InsufficientUserAuthentication)
        }
    }
}

fn session_status(kind: SessionErrorKind) -> StatusCode {
    match kind {
        SessionErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        SessionErrorKind::Foreign | SessionErrorKind::Impersonated => StatusCode::FORBIDDEN,
        SessionErrorKind::TooManySessions => StatusCode::CONFLICT,
        SessionErrorKind::InvalidClaims
        | SessionErrorKind::TokenTooLong
        | SessionErrorKind::InvalidAcr
        | SessionErrorKind::InvalidLifetime
        | SessionErrorKind::InvalidData
        | SessionErrorKind::Backend => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::UNAUTHORIZED,
    }
}

/// The scopes that a guard names. It may need only one of them.
#[derive(Debug)]
struct RequiredScope(String);

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
            required: None,
        }
    }
}

/// The error of the session is the kind, and the source is that of the session's error.
impl From<SessionError> for AuthError {
    fn from(error: SessionError) -> Self {
        let kind = AuthErrorKind::Session(error.kind());
        Self {
            source: error.into_source().map(Source::Other),
            ..Self::from(kind)
        }
    }
}

/// The cookies are set up wrongly for the tokens.
impl From<CookieError> for AuthError {
    fn from(error: CookieError) -> Self {
        Self::misconfigured(Arc::new(error))
    }
}

impl From<VerifyError> for AuthError {
    fn from(error: VerifyError) -> Self {
        Self {
            kind: match error.kind() {
                kind if kind.is_outage() => AuthErrorKind::Unavailable,
                kind => AuthErrorKind::InvalidToken(kind),
            },
            source: Some(Source::Token(error)),
            required: None,
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
            AuthErrorKind::InsufficientUserAuthentication => {
                "the user must log in again, or at another level"
            }
            AuthErrorKind::Unavailable => "the token cannot be checked now",
            AuthErrorKind::MissingLayer => {
                "no JwtAuthLayer is around the handler that needs a token: add `.layer(JwtAuthLayer::new(key))`"
            }
            AuthErrorKind::Misconfigured => "the service is misconfigured",
            AuthErrorKind::MissingRefreshToken => "the request has no refresh token",
            AuthErrorKind::SeveralRefreshTokens => {
                "the request has different refresh tokens in cookies of one name; one may be left \
                 from before its Domain, Path or Partitioned changed: log in again, or change the \
                 name"
            }
            AuthErrorKind::MalformedBody => "the body is malformed",
            AuthErrorKind::UnsupportedGrantType => "the grant_type is not refresh_token",
            AuthErrorKind::MethodNotAllowed => "the method is not POST",
            AuthErrorKind::Session(kind) => return SessionError::from(kind).fmt(f),
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
