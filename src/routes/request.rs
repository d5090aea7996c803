//! Reading the requests of the session handlers.

use std::collections::{BTreeSet, HashSet};

use axum_core::extract::{DefaultBodyLimit, FromRequest, Request};
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde::Deserialize;

use super::content_type::is_content_type;

use crate::middleware::{AuthErrorKind, RequestHead, cookies};

/// The maximum length of a body, in bytes: room for a refresh token and some other members.
const MAX_BODY_LENGTH: usize = 4096;

/// The maximum number of values read of one cookie. Each costs a signature verification.
const MAX_COOKIE_VALUES: usize = 16;

/// The one grant that is served here (RFC 6749 §6).
const GRANT_TYPE: &str = "refresh_token";

/// What a body is.
#[derive(Clone, Copy)]
enum MediaType {
    /// A form of HTML cannot have it. A script of another site needs a CORS preflight to set it.
    Json,
    Form,
    Other,
}

impl MediaType {
    fn of(headers: &HeaderMap) -> Result<Self, AuthErrorKind> {
        let is = |media_type| is_content_type(headers, media_type);
        let malformed = |_| AuthErrorKind::MalformedBody;
        if is("application/json").map_err(malformed)? {
            Ok(Self::Json)
        } else if is("application/x-www-form-urlencoded").map_err(malformed)? {
            Ok(Self::Form)
        } else {
            Ok(Self::Other)
        }
    }
}

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
    pub(super) fn cookie_values(&self, name: &str) -> Result<BTreeSet<&str>, AuthErrorKind> {
        let values = cookies(&self.headers, name.as_bytes());
        let values: BTreeSet<_> = values
            .filter_map(|value| str::from_utf8(value).ok())
            .collect();
        match values.len() {
            0..=MAX_COOKIE_VALUES => Ok(values),
            _ => Err(AuthErrorKind::SeveralTokens),
        }
    }

    /// Whether the body is a form, as RFC 6749 has it.
    pub(super) fn has_form(&self) -> bool {
        matches!(MediaType::of(&self.headers), Ok(MediaType::Form))
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
) -> Result<Option<String>, AuthErrorKind> {
    if request.method() != Method::POST {
        return Err(AuthErrorKind::MethodNotAllowed);
    }
    let media_type = MediaType::of(request.headers())?;
    DefaultBodyLimit::max(MAX_BODY_LENGTH).apply(&mut request);
    let body = Bytes::from_request(request, &()).await;
    let body = body.map_err(|_| AuthErrorKind::MalformedBody)?;
    match media_type {
        MediaType::Json => refresh_token_in_json(&body),
        MediaType::Form => refresh_token_in_form(&body),
        // The token is not read from other bodies. Without this error, the client would believe
        // that its session has ended.
        MediaType::Other => match memchr::memmem::find(&body, b"refresh_token") {
            Some(_) => Err(AuthErrorKind::MalformedBody),
            None => Ok(None),
        },
    }
}

/// Clients that rely on cookies send nothing, an empty object, or `null`.
fn refresh_token_in_json(body: &[u8]) -> Result<Option<String>, AuthErrorKind> {
    #[derive(Deserialize)]
    struct Members {
        refresh_token: Option<String>,
        grant_type: Option<String>,
    }

    match body.trim_ascii() {
        b"null" => Ok(None),
        _ if body.is_empty() => Ok(None),
        // `{` is required, since serde also reads the members from an array.
        [b'{', ..] => {
            let members: Members =
                serde_json::from_slice(body).map_err(|_| AuthErrorKind::MalformedBody)?;
            check_grant_type(members.grant_type.as_deref())?;
            Ok(members.refresh_token)
        }
        _ => Err(AuthErrorKind::MalformedBody),
    }
}

/// A parameter without a value is as good as none, and no parameter may be there twice (RFC 6749
/// §3.2).
fn refresh_token_in_form(body: &[u8]) -> Result<Option<String>, AuthErrorKind> {
    let mut names = HashSet::new();
    let (mut refresh_token, mut grant_type) = (None, None);
    for (name, value) in form_urlencoded::parse(body) {
        match &*name {
            "refresh_token" if !value.is_empty() => refresh_token = Some(value.into_owned()),
            "grant_type" if !value.is_empty() => grant_type = Some(value.into_owned()),
            // JSON that `curl -d` sends as a form. The token in it would not be read.
            name if name.trim_start().starts_with(['{', '[', '"']) => {
                return Err(AuthErrorKind::MalformedBody);
            }
            _ => {}
        }
        if !names.insert(name) {
            return Err(AuthErrorKind::MalformedBody);
        }
    }
    check_grant_type(grant_type.as_deref())?;
    Ok(refresh_token)
}

fn check_grant_type(grant_type: Option<&str>) -> Result<(), AuthErrorKind> {
    match grant_type {
        None | Some(GRANT_TYPE) => Ok(()),
        Some(_) => Err(AuthErrorKind::UnsupportedGrantType),
    }
}
