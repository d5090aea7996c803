//! Reading the requests of the session handlers.

use std::collections::BTreeSet;

use axum_core::extract::{DefaultBodyLimit, FromRequest, Request};
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde::Deserialize;

use super::content_type::is_content_type;
use super::response::RouteError;
use crate::middleware::{RequestHead, cookies};

/// The maximum length of a body, in bytes: room for a refresh token and some other members.
const MAX_BODY_LENGTH: usize = 4096;

/// The maximum number of values read of one cookie. Each costs a signature verification.
const MAX_COOKIE_VALUES: usize = 16;

/// A request without its body.
pub(super) struct RequestParts {
    method: Method,
    uri: http::Uri,
    headers: HeaderMap,
    extensions: http::Extensions,
}

impl RequestParts {
    pub(super) fn of(request: &Request) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
            extensions: http::Extensions::new(),
        }
    }

    /// The different values of a cookie. Another host of the domain may have set a cookie of the
    /// same name.
    pub(super) fn cookie_values(&self, name: &str) -> Result<BTreeSet<&str>, RouteError> {
        let values = cookies(&self.headers, name.as_bytes());
        let values: BTreeSet<_> = values
            .filter_map(|value| str::from_utf8(value).ok())
            .collect();
        match values.len() {
            0..=MAX_COOKIE_VALUES => Ok(values),
            _ => Err(RouteError::Malformed),
        }
    }

    pub(super) fn head(&self) -> RequestHead<'_> {
        RequestHead {
            method: &self.method,
            uri: &self.uri,
            headers: &self.headers,
            extensions: &self.extensions,
        }
    }
}

/// The refresh token in the body of a `POST`. `None` if the request relies on cookies.
pub(super) async fn refresh_token_in_body(
    mut request: Request,
) -> Result<Option<String>, RouteError> {
    if request.method() != Method::POST {
        return Err(RouteError::MethodNotAllowed);
    }
    // A form cannot set this `Content-Type`. A script of another site needs a CORS preflight to.
    let is_json = is_content_type(request.headers(), "application/json");
    let is_json = is_json.map_err(|_| RouteError::Malformed)?;
    DefaultBodyLimit::max(MAX_BODY_LENGTH).apply(&mut request);
    let body = Bytes::from_request(request, &()).await;
    let body = body.map_err(|_| RouteError::Malformed)?;
    if is_json {
        return refresh_token_in_json(&body);
    }
    // The token is not read from other bodies. Without this error, the client would believe that
    // its session has ended.
    match memchr::memmem::find(&body, b"refresh_token") {
        Some(_) => Err(RouteError::Malformed),
        None => Ok(None),
    }
}

/// Clients that rely on cookies send nothing, an empty object, or `null`.
fn refresh_token_in_json(body: &[u8]) -> Result<Option<String>, RouteError> {
    #[derive(Deserialize)]
    struct Members {
        refresh_token: Option<String>,
    }

    match body.trim_ascii() {
        b"null" => Ok(None),
        _ if body.is_empty() => Ok(None),
        // `{` is required, since serde also reads the members from an array.
        [b'{', ..] => {
            let members: Members =
                serde_json::from_slice(body).map_err(|_| RouteError::Malformed)?;
            Ok(members.refresh_token)
        }
        _ => Err(RouteError::Malformed),
    }
}
