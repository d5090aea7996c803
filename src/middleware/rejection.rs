//! What a refused request is answered. The one place that knows status codes.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, RETRY_AFTER, VARY, WWW_AUTHENTICATE,
};
use http::{HeaderValue, Response, StatusCode};

use super::caching::keep_private;
use crate::verify::{VerifyError, VerifyErrorKind};

/// Soon: a store that fails over takes about as long, and clients add jitter of their own.
const RETRY_AFTER_SECONDS: &str = "1";

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
    fn retry_after(&self) -> Option<u64> {
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

/// Makes the response to a refused request, with a body of the service's own type.
///
/// The layer adds what the protocol wants and the response lacks: `WWW-Authenticate` where the status is
/// [`AuthError::status`], and `Cache-Control: no-store`.
///
/// ```
/// use axum::{Json, response::{IntoResponse, Response}};
/// use tower_jwt_auth::{AuthError, JwtAuthLayer};
/// # let key = tower_jwt_auth::keys::VerifyingKey::hs256([7; 32]).unwrap();
///
/// fn in_our_words(error: &AuthError) -> Response {
///     let body = serde_json::json!({ "message": error.description(), "code": error.code() });
///     (error.status(), Json(body)).into_response()
/// }
///
/// let layer = JwtAuthLayer::new(key).respond(in_our_words);
/// # let _: axum::Router = axum::Router::new().layer(layer);
/// ```
///
/// A closure names its argument's type: `|error: &AuthError| …`. A function that returns such a layer returns
/// `JwtAuthLayer<impl Respond<Body>>`. [`AuthError::kind`] says more than a client should learn.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot answer with a body of type `{B}`",
    note = "`ProblemJson` needs a body that is `From<Bytes>`, `EmptyBody` one that is `Default`; a closure `Fn(&AuthError) -> Response<B>` serves any other",
    note = "a layer between this one and the routes may have changed the body: in axum call `.layer` for each, rather than once with a `ServiceBuilder`, or put that layer outside"
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
    #[track_caller]
    pub(super) fn set_realm(&mut self, realm: String) {
        assert_quotable(&realm);
        self.realm = realm.into();
    }

    /// # Panics
    ///
    /// If `url` cannot stand between quotes.
    #[track_caller]
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
        if let Some(scope) = error.scope() {
            challenge.push_str(&format!(r#", scope="{scope}""#));
        }
        if let Some(url) = &self.resource_metadata {
            challenge.push_str(&format!(r#", resource_metadata="{url}""#));
        }
        HeaderValue::try_from(challenge).ok()
    }
}

/// RFC 6750 §3: %x20-21 / %x23-5B / %x5D-7E.
#[track_caller]
fn assert_quotable(text: &str) {
    assert!(
        text.bytes()
            .all(|byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)),
        "a challenge holds printable ASCII without quotes and backslashes"
    );
}

/// An extractor or a guard refused the request. The layer around it replaces the response by its own responder's.
#[derive(Clone)]
pub(super) struct Refused(pub(super) AuthError);

/// Leaves the answer to the layer around. Without one it is this: a status, and nothing else.
pub(crate) fn turn_away<B: Default>(error: AuthError) -> Response<B> {
    leave_to_layer(EmptyBody.respond(&error), error)
}

/// Marks a response for the layer around to replace.
pub(crate) fn leave_to_layer<B>(mut response: Response<B>, error: AuthError) -> Response<B> {
    if error.kind() == AuthErrorKind::MissingLayer {
        // Nobody else will.
        report(&error);
    }
    response.extensions_mut().insert(error.clone());
    response.extensions_mut().insert(Refused(error));
    response
}

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
        let as_meant = response.status() == error.status();
        let headers = response.headers_mut();
        if as_meant
            && !headers.contains_key(WWW_AUTHENTICATE)
            && let Some(challenge) = &self.challenge
            && let Some(challenge) = challenge.header(error)
        {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if as_meant && error.kind() == AuthErrorKind::Unavailable {
            headers
                .entry(RETRY_AFTER)
                .or_insert_with(|| match error.retry_after() {
                    Some(seconds) => HeaderValue::from(seconds),
                    None => HeaderValue::from_static(RETRY_AFTER_SECONDS),
                });
        }
        headers
            .entry(CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-store"));
        keep_private(headers);
        // The responder may have used the error's own response. An outer layer has no say in this one.
        response.extensions_mut().remove::<Refused>();
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

/// Whether a header says something of the body it came with: what it is, where it is, or how long
/// it may be kept. The last line of each is for a product or a draft.
fn is_of_the_body(name: &HeaderName) -> bool {
    match name.as_str() {
        "content-security-policy" | "content-security-policy-report-only" => false,
        "etag" | "last-modified" | "accept-ranges" | "delta-base" | "trailer"
        | "transfer-encoding" | "digest" | "repr-digest" | "unencoded-digest" | "signature"
        | "signature-input" | "use-as-dictionary" => true,
        "age" | "expires" | "pragma" | "warning" | "surrogate-control" | "edge-control" => true,
        "x-sendfile" | "x-lighttpd-send-file" => true,
        name => {
            name.starts_with("content-")
                || name.starts_with("x-accel-")
                || name.ends_with("cache-control")
        }
    }
}

/// Keeps the headers and extensions that something between the extractor and the layer added.
///
/// No list could name all those that are to stay, of request IDs and such. Those of a body are
/// registered.
pub(super) fn replace<B>(old: Response<B>, mut new: Response<B>) -> Response<B> {
    let (parts, _) = old.into_parts();
    let mut kept = HeaderMap::new();
    for (name, value) in &parts.headers {
        // What either answer depends on, this one may.
        let may_stay = name == VARY || !new.headers().contains_key(name);
        if may_stay && !is_of_the_body(name) {
            kept.append(name, value.clone());
        }
    }
    for (name, value) in &kept {
        new.headers_mut().append(name, value.clone());
    }
    let mut extensions = parts.extensions;
    extensions.extend(std::mem::take(new.extensions_mut()));
    *new.extensions_mut() = extensions;
    new
}

#[cfg(feature = "tracing")]
fn report(error: &AuthError) {
    let kind = error.kind().name();
    match error.kind() {
        AuthErrorKind::MissingLayer => tracing::error!(kind, "{error}"),
        AuthErrorKind::Misconfigured => {
            let reason = error.source().map(tracing::field::display);
            tracing::error!(kind, reason, "{error}");
        }
        AuthErrorKind::Unavailable => tracing::warn!(kind, "{error}"),
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
fn report(_: &AuthError) {}
