//! Why a request is rejected, and with which status.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use super::error_kind::AuthErrorKind;
use super::scheme::Scheme;
#[cfg(feature = "axum")]
use super::source::{SearchedSources, TokenSource};
use crate::cookie::CookieError;
use crate::dpop::{DpopErrorKind, NotRemembered, ProofRejection};
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
    /// How the client sent its token.
    scheme: Scheme,
}

/// What the client must have or send, to be accepted.
#[derive(Debug, Default)]
struct Required {
    /// Scopes, separated by spaces.
    scope: Option<String>,
    /// Levels of authentication, separated by spaces.
    acr_values: Option<String>,
    /// The longest time since the login.
    max_age: Option<Duration>,
    /// For the next DPoP proof.
    dpop_nonce: Option<Box<str>>,
}

#[derive(Clone, Debug)]
enum Source {
    Token(VerifyError),
    Other(Arc<dyn Error + Send + Sync>),
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
            AuthErrorKind::InvalidProof(DpopErrorKind::TooMany) => StatusCode::TOO_MANY_REQUESTS,
            AuthErrorKind::InvalidProof(_) => StatusCode::UNAUTHORIZED,
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
            AuthErrorKind::InvalidProof(DpopErrorKind::WrongKey | DpopErrorKind::UnboundToken) => {
                "The access token is invalid."
            }
            AuthErrorKind::InvalidProof(kind) => proof_description(kind),
            AuthErrorKind::InsufficientScope => "The access token does not allow this.",
            AuthErrorKind::InsufficientUserAuthentication => {
                "The user must log in again, or at another level."
            }
            AuthErrorKind::Unavailable => "The access token cannot be checked now.",
            AuthErrorKind::CrossSite => {
                "The request seems to come from another site: it needs a trusted Origin, or \
                 Sec-Fetch-Site: same-origin or none."
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
            AuthErrorKind::Session(SessionErrorKind::InvalidProof(kind))
                if self.status() != StatusCode::UNAUTHORIZED =>
            {
                proof_description(kind)
            }
            AuthErrorKind::Session(_) => match self.status() {
                StatusCode::UNAUTHORIZED => "The token is invalid, or its session has ended.",
                StatusCode::SERVICE_UNAVAILABLE => "Sessions are not available now.",
                StatusCode::CONFLICT => "The user has too many sessions: end one first.",
                StatusCode::FORBIDDEN => "The session of this token does not allow this.",
                _ => "The tokens could not be issued.",
            },
        }
    }

    /// All scopes that a [guard](crate::guard) names, separated by spaces. One may be enough. A
    /// value that a guard reads [at another path](crate::Require::at), such as a role, is not
    /// included.
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

    /// The nonce for the client's next DPoP proof: the header `DPoP-Nonce` (RFC 9449 §8). It is not
    /// secret.
    #[must_use]
    pub fn dpop_nonce(&self) -> Option<&str> {
        self.required.as_ref()?.dpop_nonce.as_deref()
    }

    /// How the client sent its token.
    pub(super) fn scheme(&self) -> Scheme {
        self.scheme
    }

    pub(super) fn under(self, scheme: Scheme) -> Self {
        Self { scheme, ..self }
    }

    /// The client should use this nonce next.
    fn with_dpop_nonce(self, nonce: Option<String>) -> Self {
        let required = nonce.map(|nonce| Required {
            dpop_nonce: Some(nonce.into()),
            ..Required::default()
        });
        Self {
            required: required.map(Arc::new),
            ..self
        }
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

    /// `scope` is for the client, `expected` for the operator.
    pub(crate) fn insufficient_scope(
        scope: Option<String>,
        expected: Option<String>,
        reason: Option<VerifyError>,
    ) -> Self {
        let expected = || Some(Source::Other(Arc::new(RequiredScope(expected?))));
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

fn proof_description(kind: DpopErrorKind) -> &'static str {
    match kind {
        DpopErrorKind::MissingNonce | DpopErrorKind::StaleNonce => {
            "The DPoP proof needs the nonce of this response."
        }
        DpopErrorKind::TooMany => "The client sends too many DPoP proofs.",
        _ => "The DPoP proof is invalid.",
    }
}

fn session_status(kind: SessionErrorKind) -> StatusCode {
    match kind {
        SessionErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        SessionErrorKind::Foreign | SessionErrorKind::Impersonated => StatusCode::FORBIDDEN,
        SessionErrorKind::TooManySessions => StatusCode::CONFLICT,
        SessionErrorKind::InvalidProof(DpopErrorKind::TooMany) => StatusCode::TOO_MANY_REQUESTS,
        // The client has to log in again.
        SessionErrorKind::InvalidProof(DpopErrorKind::WrongKey | DpopErrorKind::UnboundToken) => {
            StatusCode::UNAUTHORIZED
        }
        // RFC 9449 §5 and §8, with the status of RFC 6749 §5.2.
        SessionErrorKind::InvalidProof(_) => StatusCode::BAD_REQUEST,
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
            scheme: Scheme::default(),
        }
    }
}

/// The kind and the source are those of the session's error.
impl From<SessionError> for AuthError {
    fn from(error: SessionError) -> Self {
        let kind = AuthErrorKind::Session(error.kind());
        let nonce = error.dpop_nonce().map(str::to_owned);
        Self {
            source: error.into_source().map(Source::Other),
            ..Self::from(kind)
        }
        .with_dpop_nonce(nonce)
    }
}

/// The proof of an access token is missing or wrong.
impl From<ProofRejection> for AuthError {
    fn from(rejection: ProofRejection) -> Self {
        let source = rejection.expected.map(|urls| Source::Other(Arc::new(urls)));
        Self {
            source,
            ..Self::from(AuthErrorKind::InvalidProof(rejection.kind))
        }
        .with_dpop_nonce(rejection.nonce)
    }
}

impl From<NotRemembered> for AuthError {
    fn from(failure: NotRemembered) -> Self {
        match failure {
            NotRemembered::Rejected(kind) => AuthErrorKind::InvalidProof(kind).into(),
            NotRemembered::Failed(failure) => Self::unavailable(failure),
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
        let kind = match error.kind() {
            kind if kind.is_outage() => AuthErrorKind::Unavailable,
            kind => AuthErrorKind::InvalidToken(kind),
        };
        Self {
            source: Some(Source::Token(error)),
            ..Self::from(kind)
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
            AuthErrorKind::InvalidProof(kind) => return kind.fmt(f),
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
