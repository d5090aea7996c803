//! Asks the [`Respond`] for the response to a rejected request, and adds missing headers.

use std::fmt;
use std::sync::Arc;

#[cfg(feature = "axum")]
use bytes::Bytes;
use http::header::{CACHE_CONTROL, HeaderMap, HeaderName, RETRY_AFTER, VARY, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};

use super::caching::keep_private;
use super::challenge::Challenge;
use super::error::AuthError;
use super::error_kind::AuthErrorKind;
use super::respond::{EmptyBody, ProblemJson, Respond};
use super::scheme::Scheme;
#[cfg(feature = "tracing")]
use crate::session::SessionErrorKind;
#[cfg(feature = "tracing")]
use crate::verify::VerifyErrorKind;

/// One second: a failover of the store takes about as long. Clients add jitter.
const RETRY_AFTER_SECONDS: &str = "1";

/// An extractor, a guard or a handler rejected the request. The layer around it replaces the
/// response.
#[derive(Clone)]
pub(super) struct Rejected {
    error: AuthError,
    /// Whether the error was reported and the response has the headers of the protocol, because
    /// there may be no layer.
    is_complete: bool,
}

impl Rejected {
    /// The same, for a client that sent its token in this way.
    pub(super) fn under(self, scheme: Scheme) -> Self {
        Self {
            error: self.error.under(scheme),
            ..self
        }
    }

    /// Takes the mark of a response. A handler that chose another status, such as 404, keeps its
    /// response.
    pub(super) fn take<B>(response: &mut Response<B>) -> Option<Self> {
        let rejected: Self = response.extensions_mut().remove()?;
        (response.status() == rejected.error.status()).then_some(rejected)
    }
}

/// A response for the layer around to replace. Without a layer it is the status alone.
pub(crate) fn reject_without_layer<B: Default>(error: AuthError) -> Response<B> {
    leave_to_layer(EmptyBody.respond(&error), error)
}

/// Marks a response for the layer around to replace.
pub(crate) fn leave_to_layer<B>(response: Response<B>, error: AuthError) -> Response<B> {
    let is_complete = error.kind() == AuthErrorKind::MissingLayer;
    if is_complete {
        // There is no layer to report it.
        report(&error);
    }
    marked(response, error, is_complete)
}

/// A response with problem details, which the layer around replaces, if there is one.
#[cfg(feature = "axum")]
pub(crate) fn reject_with_or_without_layer<B: From<Bytes>>(error: AuthError) -> Response<B> {
    marked(Responder::default().reject(&error), error, true)
}

fn marked<B>(mut response: Response<B>, error: AuthError, is_complete: bool) -> Response<B> {
    let extensions = response.extensions_mut();
    extensions.insert(error.clone());
    extensions.insert(Rejected { error, is_complete });
    response
}

/// Responds with the configured [`Respond`], and adds the headers of the protocol.
pub(crate) struct Responder<R> {
    challenge: Challenge,
    respond: Arc<R>,
}

/// Responds with problems, and with challenges of the default realm.
impl Default for Responder<ProblemJson> {
    fn default() -> Self {
        Self {
            challenge: Challenge::default(),
            respond: Arc::new(ProblemJson),
        }
    }
}

impl<R> Responder<R> {
    /// # Panics
    ///
    /// If `realm` cannot be quoted.
    #[cfg(feature = "axum")]
    #[track_caller]
    pub(crate) fn set_realm(&mut self, realm: String) {
        self.challenge.set_realm(realm);
    }

    pub(super) fn challenge(&mut self) -> &mut Challenge {
        &mut self.challenge
    }

    pub(crate) fn with_respond<R2>(&self, respond: R2) -> Responder<R2> {
        Responder {
            challenge: self.challenge.clone(),
            respond: Arc::new(respond),
        }
    }

    /// Logs the error and makes its response.
    pub(crate) fn reject<B>(&self, error: &AuthError) -> Response<B>
    where
        R: Respond<B>,
    {
        report(error);
        self.respond_to(error)
    }

    /// Makes the response to a request that was rejected inside of this layer.
    pub(super) fn replace<B>(&self, mut old: Response<B>, rejected: &Rejected) -> Response<B>
    where
        R: Respond<B>,
    {
        if rejected.is_complete {
            old.headers_mut().remove(WWW_AUTHENTICATE);
            old.headers_mut().remove(RETRY_AFTER);
        } else {
            report(&rejected.error);
        }
        replace(old, self.respond_to(&rejected.error))
    }

    fn respond_to<B>(&self, error: &AuthError) -> Response<B>
    where
        R: Respond<B>,
    {
        let mut response = self.respond.respond(error);
        let is_standard_status = response.status() == error.status();
        let headers = response.headers_mut();
        if is_standard_status && !headers.contains_key(WWW_AUTHENTICATE) {
            for challenge in self.challenge.headers(error) {
                headers.append(WWW_AUTHENTICATE, challenge);
            }
        }
        if let Some(nonce) = error.dpop_nonce() {
            set_dpop_nonce(headers, nonce);
        }
        let is_temporary = matches!(
            error.status(),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
        );
        if is_standard_status && is_temporary {
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
        // `respond` may have used the error's own response. An outer layer must not replace it.
        response.extensions_mut().remove::<Rejected>();
        response.extensions_mut().insert(error.clone());
        response
    }
}

pub(crate) const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// Tells the client which nonce its next DPoP proof must have (RFC 9449 §8.2).
pub(crate) fn set_dpop_nonce(headers: &mut HeaderMap, nonce: &str) {
    if let Ok(nonce) = HeaderValue::from_str(nonce) {
        headers.insert(DPOP_NONCE, nonce);
    }
}

impl<R> Clone for Responder<R> {
    fn clone(&self) -> Self {
        Self {
            challenge: self.challenge.clone(),
            respond: Arc::clone(&self.respond),
        }
    }
}

impl<R> fmt::Debug for Responder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder")
            .field("challenge", &self.challenge)
            .finish_non_exhaustive()
    }
}

/// Whether a header describes the body of its response: content, location, or lifetime in caches.
/// The last line of each arm is for products and drafts.
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

/// Replaces a response, and keeps headers and extensions that layers in between added.
///
/// No list can name all headers to keep, such as request IDs. Headers that describe a body can be
/// listed, because most of them are registered with IANA.
fn replace<B>(old: Response<B>, mut new: Response<B>) -> Response<B> {
    let (parts, _) = old.into_parts();
    let mut kept = HeaderMap::new();
    for (name, value) in &parts.headers {
        // The new response depends on what either depends on.
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
    let reason = error.reason().map(tracing::field::display);
    match error.kind() {
        AuthErrorKind::MissingLayer => tracing::error!(kind, "{error}"),
        AuthErrorKind::Misconfigured => tracing::error!(kind, reason, "{error}"),
        AuthErrorKind::Unavailable => tracing::warn!(kind, "{error}"),
        AuthErrorKind::Session(SessionErrorKind::Unavailable) => {
            tracing::warn!(kind, reason, "{error}");
        }
        AuthErrorKind::Session(_) if error.status().is_server_error() => {
            tracing::error!(kind, reason, "{error}");
        }
        // A trusted issuer and this service disagree about the claims.
        AuthErrorKind::InvalidToken(VerifyErrorKind::ClaimsMismatch) => {
            tracing::warn!(kind, reason, "{error}");
        }
        _ => tracing::debug!(kind, reason, "{error}"),
    }
}

#[cfg(not(feature = "tracing"))]
fn report(_: &AuthError) {}
