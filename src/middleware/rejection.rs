//! What a refused request is answered. The one place that knows status codes.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::header::{HeaderMap, TRANSFER_ENCODING, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};

use crate::verify::{VerifyError, VerifyErrorKind};

/// Why a request is refused. Holds nothing of the request.
///
/// It is left in the extensions of the response, for layers outside to look at, whatever the response itself says.
#[derive(Clone, Debug)]
pub struct AuthError {
    kind: AuthErrorKind,
    source: Option<VerifyError>,
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
    /// The request comes from another site (see [`csrf`](super::csrf)): 403.
    CrossSite,
    /// A handler asks for the token, and no [`JwtAuthLayer`](super::JwtAuthLayer) lies around it: 500.
    MissingLayer,
}

impl AuthErrorKind {
    /// The kind in snake case, for logs and metrics. For an invalid token, that of its [`VerifyErrorKind`].
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MissingToken => "missing_token",
            Self::MalformedCredentials => "malformed_credentials",
            Self::SeveralTokens => "several_tokens",
            Self::InvalidToken(kind) => kind.name(),
            Self::CrossSite => "cross_site",
            Self::MissingLayer => "missing_layer",
        }
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
            AuthErrorKind::MissingToken | AuthErrorKind::InvalidToken(_) => {
                StatusCode::UNAUTHORIZED
            }
            AuthErrorKind::MalformedCredentials | AuthErrorKind::SeveralTokens => {
                StatusCode::BAD_REQUEST
            }
            AuthErrorKind::CrossSite => StatusCode::FORBIDDEN,
            AuthErrorKind::MissingLayer => StatusCode::INTERNAL_SERVER_ERROR,
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
            AuthErrorKind::InvalidToken(_) => "The access token is invalid.",
            AuthErrorKind::CrossSite => {
                "The request seems to come from another site: it needs an Origin or Sec-Fetch-Site header of this one."
            }
            AuthErrorKind::MissingLayer => {
                "A handler asks for a token, and no JwtAuthLayer lies around it."
            }
        }
    }

    /// `error` of RFC 6750 §3.1. A request without a token gets none.
    fn code(&self) -> Option<&'static str> {
        match self.kind {
            AuthErrorKind::InvalidToken(_) => Some("invalid_token"),
            AuthErrorKind::MalformedCredentials | AuthErrorKind::SeveralTokens => {
                Some("invalid_request")
            }
            _ => None,
        }
    }
}

impl From<AuthErrorKind> for AuthError {
    fn from(kind: AuthErrorKind) -> Self {
        Self { kind, source: None }
    }
}

impl From<VerifyError> for AuthError {
    fn from(error: VerifyError) -> Self {
        Self {
            kind: AuthErrorKind::InvalidToken(error.kind()),
            source: Some(error),
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
            AuthErrorKind::CrossSite => "the request comes from another site",
            AuthErrorKind::MissingLayer => {
                "no JwtAuthLayer lies around the handler that asks for a token"
            }
        })
    }
}

impl Error for AuthError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|error| error as _)
    }
}

/// Makes the response to a refused request, with a body of the service's own type.
///
/// The layer adds what the protocol wants and the response lacks: `WWW-Authenticate` where the status is
/// [`AuthError::status`], and `Cache-Control: no-store`.
///
/// ```
/// use axum::body::Body;
/// use http::Response;
/// use tower_jwt_auth::{AuthError, JwtAuthLayer};
/// # let key = tower_jwt_auth::keys::VerifyingKey::hs256([7; 32]).unwrap();
///
/// let layer = JwtAuthLayer::new(key).respond(|error: &AuthError| {
///     let body = format!(r#"{{"message":"{}"}}"#, error.description());
///     let mut response = Response::new(Body::from(body));
///     *response.status_mut() = error.status();
///     response
/// });
/// # let _: axum::Router = axum::Router::new().layer(layer);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot answer with a body of type `{B}`",
    note = "`ProblemJson` needs a body that is `From<Bytes>`, `EmptyBody` one that is `Default`; a closure `Fn(&AuthError) -> Response<B>` serves any other"
)]
pub trait Respond<B> {
    /// The response to a request that was refused for `error`.
    fn respond(&self, error: &AuthError) -> Response<B>;
}

/// Answers with `application/problem+json` (RFC 9457). The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProblemJson;

impl<B: From<Bytes>> Respond<B> for ProblemJson {
    fn respond(&self, error: &AuthError) -> Response<B> {
        let status = error.status();
        let problem = format!(
            r#"{{"type":"about:blank","title":"{}","status":{},"detail":"{}"}}"#,
            status.canonical_reason().unwrap_or_default(),
            status.as_u16(),
            error.description(),
        );
        let mut response = Response::new(B::from(Bytes::from(problem)));
        *response.status_mut() = status;
        response.headers_mut().insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        response
    }
}

/// Answers with the status and an empty body.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmptyBody;

impl<B: Default> Respond<B> for EmptyBody {
    fn respond(&self, error: &AuthError) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = error.status();
        response
    }
}

impl<B, F> Respond<B> for F
where
    F: Fn(&AuthError) -> Response<B>,
{
    fn respond(&self, error: &AuthError) -> Response<B> {
        self(error)
    }
}

/// What `WWW-Authenticate` says besides the error (RFC 6750 §3, RFC 9728 §5.1).
#[derive(Clone, Debug)]
pub(super) struct Challenge {
    realm: Box<str>,
    resource_metadata: Option<Box<str>>,
}

impl Default for Challenge {
    fn default() -> Self {
        Self {
            realm: "api".into(),
            resource_metadata: None,
        }
    }
}

impl Challenge {
    /// # Panics
    ///
    /// If `realm` cannot stand between quotes.
    pub(super) fn set_realm(&mut self, realm: String) {
        assert_quotable(&realm);
        self.realm = realm.into();
    }

    /// # Panics
    ///
    /// If `url` cannot stand between quotes.
    pub(super) fn set_resource_metadata(&mut self, url: String) {
        assert_quotable(&url);
        self.resource_metadata = Some(url.into());
    }

    fn header(&self, error: &AuthError) -> Option<HeaderValue> {
        if error.kind() != AuthErrorKind::MissingToken && error.code().is_none() {
            return None;
        }
        let mut challenge = format!(r#"Bearer realm="{}""#, self.realm);
        if let Some(code) = error.code() {
            let description = error.description();
            challenge.push_str(&format!(
                r#", error="{code}", error_description="{description}""#
            ));
        }
        if let Some(url) = &self.resource_metadata {
            challenge.push_str(&format!(r#", resource_metadata="{url}""#));
        }
        HeaderValue::try_from(challenge).ok()
    }
}

/// RFC 6750 §3: %x20-21 / %x23-5B / %x5D-7E.
fn assert_quotable(text: &str) {
    assert!(
        text.bytes()
            .all(|byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)),
        "a challenge holds printable ASCII without quotes and backslashes"
    );
}

/// An extractor refused the request. The layer around it replaces the response by its own responder's.
#[derive(Clone)]
pub(crate) struct Refused(pub(crate) AuthError);

/// How a layer answers: by its responder, and with what the protocol wants besides.
pub(super) struct Answers<R> {
    challenge: Option<Challenge>,
    responder: Arc<R>,
}

impl Answers<ProblemJson> {
    pub(super) fn new(challenge: Option<Challenge>) -> Self {
        Self {
            challenge,
            responder: Arc::new(ProblemJson),
        }
    }
}

impl<R> Answers<R> {
    pub(super) fn challenge(&mut self) -> &mut Challenge {
        self.challenge.get_or_insert_default()
    }

    pub(super) fn with_responder<R2>(&self, responder: R2) -> Answers<R2> {
        Answers {
            challenge: self.challenge.clone(),
            responder: Arc::new(responder),
        }
    }

    /// Reports the error, and makes the response to it.
    pub(super) fn reject<B>(&self, error: &AuthError) -> Response<B>
    where
        R: Respond<B>,
    {
        report(error);
        let mut response = self.responder.respond(error);
        let challenged = response.status() == error.status();
        let headers = response.headers_mut();
        if challenged
            && !headers.contains_key(WWW_AUTHENTICATE)
            && let Some(challenge) = &self.challenge
            && let Some(challenge) = challenge.header(error)
        {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        headers
            .entry(CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-store"));
        response.extensions_mut().insert(error.clone());
        response
    }
}

impl<R> Clone for Answers<R> {
    fn clone(&self) -> Self {
        Self {
            challenge: self.challenge.clone(),
            responder: Arc::clone(&self.responder),
        }
    }
}

impl<R> fmt::Debug for Answers<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers")
            .field("challenge", &self.challenge)
            .finish_non_exhaustive()
    }
}

/// Keeps the headers and extensions that something between the extractor and the layer added.
pub(super) fn replace<B>(old: Response<B>, mut new: Response<B>) -> Response<B> {
    const OF_THE_BODY: [http::HeaderName; 4] = [
        CONTENT_TYPE,
        CONTENT_LENGTH,
        CONTENT_ENCODING,
        TRANSFER_ENCODING,
    ];

    let (parts, _) = old.into_parts();
    let mut kept = HeaderMap::new();
    for (name, value) in &parts.headers {
        if !OF_THE_BODY.contains(name) && !new.headers().contains_key(name) {
            kept.append(name, value.clone());
        }
    }
    new.headers_mut().extend(kept);
    let mut extensions = parts.extensions;
    extensions.extend(std::mem::take(new.extensions_mut()));
    *new.extensions_mut() = extensions;
    new
}

#[cfg(feature = "tracing")]
pub(crate) fn report(error: &AuthError) {
    let kind = error.kind().name();
    match error.kind() {
        AuthErrorKind::MissingLayer => tracing::error!(kind, "{error}"),
        // A token of a trusted issuer whose claims nobody here expected: a mistake of one of the two.
        AuthErrorKind::InvalidToken(VerifyErrorKind::ClaimsMismatch) => {
            let place = error
                .source()
                .and_then(Error::source)
                .map(tracing::field::display);
            tracing::warn!(kind, place, "{error}");
        }
        _ => tracing::debug!(kind, "{error}"),
    }
}

#[cfg(not(feature = "tracing"))]
pub(crate) fn report(_: &AuthError) {}
