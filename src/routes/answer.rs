//! What the handlers answer.

use axum_core::body::Body;
use axum_core::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

use crate::session::{SessionError, SessionErrorKind};

/// Why a handler did not do it.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// There is no token.
    NoToken,
    /// The body, or the cookies, are no request that makes sense.
    Malformed,
    /// It comes from another site.
    CrossSite,
    /// Not by POST.
    Method,
    Session(SessionError),
    /// A cookie could not be written.
    Cookie,
}

impl Fault {
    fn status(&self) -> StatusCode {
        match self {
            Self::NoToken => StatusCode::UNAUTHORIZED,
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::CrossSite => StatusCode::FORBIDDEN,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Cookie => StatusCode::INTERNAL_SERVER_ERROR,
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

    /// What a client may be told: nothing of why a token is refused.
    fn detail(&self) -> &'static str {
        match self {
            Self::NoToken => "The request has no token.",
            Self::Malformed => "The request is malformed.",
            Self::CrossSite => "The request seems to come from another site.",
            Self::Method => "Only POST is allowed here.",
            _ => match self.status() {
                StatusCode::UNAUTHORIZED => "The token is invalid, or its session has ended.",
                StatusCode::SERVICE_UNAVAILABLE => "Sessions are not available now.",
                StatusCode::FORBIDDEN => "The token is not one of this service's sessions.",
                _ => "The session could not be renewed.",
            },
        }
    }

    /// Whether the cookies are worth nothing any more.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::Session(error) if error.kind().is_final())
    }
}

impl From<SessionError> for Fault {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

/// A response that no cache keeps.
pub(super) fn respond(
    status: StatusCode,
    json: Option<String>,
    cookies: Vec<HeaderValue>,
) -> Response {
    let has_body = json.is_some();
    let mut response = Response::new(json.map_or_else(Body::empty, Body::from));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if has_body {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    for cookie in cookies {
        headers.append(SET_COOKIE, cookie);
    }
    response
}

pub(super) fn refuse(fault: &Fault, cookies: Vec<HeaderValue>) -> Response {
    report(fault);
    let status = fault.status();
    let problem = format!(
        r#"{{"type":"about:blank","title":"{}","status":{},"detail":"{}"}}"#,
        status.canonical_reason().unwrap_or_default(),
        status.as_u16(),
        fault.detail(),
    );
    let mut response = respond(status, Some(problem), cookies);
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
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
    if let Fault::Session(error) = fault {
        response.extensions_mut().insert(error.clone());
    }
    response
}

/// As the handlers of this module answer it: for a login, and other handlers of yours. 401,
/// 403, 503 or 500, with nothing of why in it; the error itself is in the response's extensions.
impl IntoResponse for SessionError {
    fn into_response(self) -> Response {
        refuse(&Fault::Session(self), Vec::new())
    }
}

#[cfg(feature = "tracing")]
fn report(fault: &Fault) {
    match fault {
        Fault::Session(error) => {
            let kind = error.kind().name();
            let reason = std::error::Error::source(error).map(tracing::field::display);
            match fault.status() {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    tracing::debug!(kind, "{error}");
                }
                StatusCode::SERVICE_UNAVAILABLE => tracing::warn!(kind, reason, "{error}"),
                _ => tracing::error!(kind, "{error}"),
            }
        }
        fault => tracing::debug!("a session request is refused: {}", fault.detail()),
    }
}

#[cfg(not(feature = "tracing"))]
fn report(_: &Fault) {}
