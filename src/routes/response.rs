//! The responses of the session handlers.

use std::sync::Arc;

use axum_core::body::Body;
use axum_core::response::{AppendHeaders, IntoResponse, Response};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, PRAGMA, SET_COOKIE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

use crate::cookie::CookieError;
use crate::middleware::{
    AuthError, DPOP_NONCE, Respond, Responder, reject_with_or_without_layer, set_dpop_nonce,
};
use crate::session::{SessionError, TokenPair};

/// The response to a refresh.
pub(super) fn token_response(
    body: &impl Serialize,
    tokens: &TokenPair,
    cookies: Vec<HeaderValue>,
) -> Result<Response, AuthError> {
    let json = serde_json::to_string(body);
    let json = json.map_err(|error| AuthError::misconfigured(Arc::new(error)))?;
    let mut response = response(StatusCode::OK, Some(json), cookies);
    if let Some(nonce) = &tokens.dpop_nonce {
        set_dpop_nonce(response.headers_mut(), nonce);
    }
    Ok(response)
}

/// A response that no cache stores.
pub(super) fn response(
    status: StatusCode,
    json: Option<String>,
    cookies: Vec<HeaderValue>,
) -> Response {
    let has_body = json.is_some();
    let mut response = Response::new(json.map_or_else(Body::empty, Body::from));
    *response.status_mut() = status;
    if has_body {
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
    }
    set_cookies(&mut response, cookies);
    response
}

/// Sets cookies, and keeps the response out of caches.
fn set_cookies(response: &mut Response, cookies: Vec<HeaderValue>) {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for cookie in cookies {
        headers.append(SET_COOKIE, cookie);
    }
}

/// `Set-Cookie` headers, `Cache-Control: no-store`, and perhaps `DPoP-Nonce`. Return it as a
/// response, or as a part of one.
pub type SetCookies = AppendHeaders<Vec<(HeaderName, HeaderValue)>>;

pub(super) fn set_cookie_headers(cookies: Vec<HeaderValue>, nonce: Option<&str>) -> SetCookies {
    let nonce = nonce.and_then(|nonce| HeaderValue::from_str(nonce).ok());
    let nonce = nonce.map(|nonce| (DPOP_NONCE, nonce));
    let no_store = (CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let cookies = cookies.into_iter().map(|cookie| (SET_COOKIE, cookie));
    AppendHeaders(cookies.chain([no_store]).chain(nonce).collect())
}

/// The response to `error`, as the responder makes it.
pub(super) fn error_response<R: Respond<Body>>(
    responder: &Responder<R>,
    error: &AuthError,
    cookies: Vec<HeaderValue>,
) -> Response {
    let mut response = responder.reject(error);
    if error.status() == StatusCode::METHOD_NOT_ALLOWED {
        let headers = response.headers_mut();
        headers
            .entry(ALLOW)
            .or_insert(HeaderValue::from_static("POST"));
    }
    set_cookies(&mut response, cookies);
    response
}

/// The response to a form. As RFC 6749 §5.2 has it, the status is 400 for every fault of the
/// client.
pub(super) fn form_error_response<R: Respond<Body>>(
    responder: &Responder<R>,
    error: &AuthError,
) -> Response {
    match error.form_code() {
        Some(code) => {
            let respond = |error: &AuthError| oauth_error(code, error.description());
            for_oauth(responder.with_respond(respond).reject(error))
        }
        None => error_response(responder, error, Vec::new()),
    }
}

/// Neither needs escaping.
fn oauth_error(code: &str, description: &str) -> Response {
    let json = format!(r#"{{"error":"{code}","error_description":"{description}"}}"#);
    response(StatusCode::BAD_REQUEST, Some(json), Vec::new())
}

/// RFC 6749 §5.1 asks for this header too. It is for caches of HTTP/1.0.
pub(super) fn for_oauth(mut response: Response) -> Response {
    let no_cache = HeaderValue::from_static("no-cache");
    response.headers_mut().insert(PRAGMA, no_cache);
    response
}

/// Lets your own handlers return this error, for example at login.
///
/// The response is 400, 401, 403, 409, 429, 500 or 503, as from the handlers of
/// [`routes`](crate::routes) with their default responder. A
/// [`JwtAuthLayer`](crate::JwtAuthLayer) or [`CsrfLayer`](crate::csrf::CsrfLayer) around the
/// handler replaces it with that of its [`Respond`]. The client does not learn the reason. For your
/// own code, an [`AuthError`] in the response's extensions has it.
impl IntoResponse for SessionError {
    fn into_response(self) -> Response {
        reject_with_or_without_layer(self.into())
    }
}

/// Lets your own handlers return this error, for example at login. The response is 500, made as
/// that of a [`SessionError`].
impl IntoResponse for CookieError {
    fn into_response(self) -> Response {
        reject_with_or_without_layer(self.into())
    }
}
