//! The responses of the session handlers.

use axum_core::body::Body;
use axum_core::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE};
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
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::CrossSite => StatusCode::FORBIDDEN,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Response => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Session(error) => match error.kind() {
                SessionErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
                SessionErrorKind::Foreign => StatusCode::FORBIDDEN,
                SessionErrorKind::InvalidClaims
                | SessionErrorKind::TokenTooLong
                | SessionErrorKind::InvalidData
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
    if let RouteError::Session(error) = error {
        response.extensions_mut().insert(error.clone());
    }
    response
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
