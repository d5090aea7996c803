//! Documents that everybody may read.

use std::time::Duration;

use axum_core::body::Body;
use axum_core::response::Response;
use bytes::Bytes;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

/// A document in memory, and the headers of its response.
#[derive(Clone)]
pub(super) struct PublicDocument {
    body: Bytes,
    content_type: &'static str,
    cache_control: Option<HeaderValue>,
}

impl PublicDocument {
    pub(super) fn new(
        body: impl Into<Bytes>,
        content_type: &'static str,
        max_age: Duration,
    ) -> Self {
        let cache_control = format!("public, max-age={}", max_age.as_secs());
        Self {
            body: body.into(),
            content_type,
            // Never fails: the text is ASCII.
            cache_control: HeaderValue::try_from(cache_control).ok(),
        }
    }

    pub(super) fn response(&self) -> Response {
        let mut response = Response::new(Body::from(self.body.clone()));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        let cache_control = self.cache_control.clone();
        headers.extend(cache_control.map(|value| (CACHE_CONTROL, value)));
        response
    }
}
