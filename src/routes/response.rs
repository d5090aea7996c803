//! The responses of the session handlers.

use axum_core::body::Body;
use axum_core::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, PRAGMA, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE,
};
use http::{HeaderValue, StatusCode};

use crate::middleware::problem;
use crate::session::{SessionError, SessionErrorKind};

/// Why a session handler failed.
#[derive(Clone, Debug)]
pub(super) enum RouteError {
    /// The request has no token.
    MissingToken,
    /// The body, the cookies or the `Authorization` header are malformed.
    Malformed,
    /// The request has several refresh tokens in cookies of one name.
    SeveralCookies,
    /// The body asks for another grant than that of RFC 6749 §6.
    UnsupportedGrantType,
    /// The request comes from another site.
    CrossSite,
    /// The method is not `POST`.
    MethodNotAllowed,
    /// The operation on the session failed.
    Session(SessionError),
    /// The response could not be built.
    Response,
}

impl RouteError {
    fn status(&self) -> StatusCode {
        match self {
            Self::MissingToken => StatusCode::UNAUTHORIZED,
            Self::Malformed | Self::SeveralCookies | Self::UnsupportedGrantType => {
                StatusCode::BAD_REQUEST
            }
            Self::CrossSite => StatusCode::FORBIDDEN,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Response => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Session(error) => match error.kind() {
                SessionErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
                SessionErrorKind::Foreign => StatusCode::FORBIDDEN,
                SessionErrorKind::InvalidClaims
                | SessionErrorKind::TokenTooLong
                | SessionErrorKind::Backend => StatusCode::INTERNAL_SERVER_ERROR,
                _ => StatusCode::UNAUTHORIZED,
            },
        }
    }

    /// The text for the client. It does not say why a token is rejected.
    fn detail(&self) -> &'static str {
        match self {
            Self::MissingToken => "The request has no token.",
            Self::Malformed => "The request is malformed.",
            Self::SeveralCookies => {
                "The request has several refresh tokens: a cookie of the same name is left from \
                 other settings, or another host set one. Log in again."
            }
            Self::UnsupportedGrantType => "The only grant_type here is refresh_token.",
            Self::CrossSite => "The request seems to come from another site.",
            Self::MethodNotAllowed => "Only POST is allowed here.",
            _ => match self.status() {
                StatusCode::UNAUTHORIZED => "The token is invalid, or its session has ended.",
                StatusCode::SERVICE_UNAVAILABLE => "Sessions are not available now.",
                StatusCode::FORBIDDEN => "The token does not belong to a session of this service.",
                _ => "The tokens could not be issued.",
            },
        }
    }

    /// The code of RFC 6749 §5.2. `None` for errors that the RFC has no code for.
    fn oauth_code(&self) -> Option<&'static str> {
        match self {
            Self::UnsupportedGrantType => Some("unsupported_grant_type"),
            _ => match self.status() {
                StatusCode::BAD_REQUEST => Some("invalid_request"),
                StatusCode::UNAUTHORIZED => Some("invalid_grant"),
                _ => None,
            },
        }
    }

    /// Whether the session can never be refreshed again, so its cookies should be deleted.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::Session(error) if error.kind().is_final())
    }
}

impl From<SessionError> for RouteError {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
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

/// The response to `error`, as an RFC 9457 problem.
pub(super) fn error_response(error: &RouteError, cookies: Vec<HeaderValue>) -> Response {
    log(error);
    let status = error.status();
    let mut response: Response = problem(status, error.detail());
    set_cookies(&mut response, cookies);
    let headers = response.headers_mut();
    match status {
        StatusCode::UNAUTHORIZED => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            headers.insert(http::header::ALLOW, HeaderValue::from_static("POST"));
        }
        _ => {}
    }
    keep_reason(&mut response, error);
    response
}

/// The response to a form, as RFC 6749 §5.2 has it: status 400 for every fault of the client.
pub(super) fn form_error_response(error: &RouteError) -> Response {
    let Some(code) = error.oauth_code() else {
        return error_response(error, Vec::new());
    };
    log(error);
    let detail = error.detail();
    // Neither needs escaping.
    let json = format!(r#"{{"error":"{code}","error_description":"{detail}"}}"#);
    let mut response = response(StatusCode::BAD_REQUEST, Some(json), Vec::new());
    keep_reason(&mut response, error);
    for_oauth(response)
}

/// RFC 6749 §5.1 asks for this header too. It is for caches of HTTP/1.0.
pub(super) fn for_oauth(mut response: Response) -> Response {
    let no_cache = HeaderValue::from_static("no-cache");
    response.headers_mut().insert(PRAGMA, no_cache);
    response
}

fn keep_reason(response: &mut Response, error: &RouteError) {
    if let RouteError::Session(error) = error {
        response.extensions_mut().insert(error.clone());
    }
}

/// Lets your own handlers return this error, for example at login.
///
/// The response is the same as from the handlers of [`routes`](crate::routes): 401, 403, 503 or
/// 500. It does not tell the client the reason. The error itself is in the response's extensions.
impl IntoResponse for SessionError {
    fn into_response(self) -> Response {
        error_response(&RouteError::Session(self), Vec::new())
    }
}

#[cfg(feature = "tracing")]
fn log(error: &RouteError) {
    let RouteError::Session(session_error) = error else {
        tracing::debug!("a session request is rejected: {}", error.detail());
        return;
    };
    let kind = session_error.kind().name();
    match error.status() {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            tracing::debug!(kind, "{session_error}");
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            let reason = std::error::Error::source(session_error).map(tracing::field::display);
            tracing::warn!(kind, reason, "{session_error}");
        }
        _ => tracing::error!(kind, "{session_error}"),
    }
}

#[cfg(not(feature = "tracing"))]
fn log(_: &RouteError) {}
