//! The metadata of a protected resource.

use std::future::{Ready, ready};
use std::time::Duration;

use axum_core::body::Body;
use axum_core::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW,
};
use http::{HeaderValue, Method, StatusCode};

use super::public_document::PublicDocument;
use crate::middleware::ProtectedResource;

/// 10 minutes: clients notice within that time that the authorization server has moved.
const MAX_AGE: Duration = Duration::from_secs(600);

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

const ANY: HeaderValue = HeaderValue::from_static("*");

impl ProtectedResource {
    /// The handler for the metadata, at [`metadata_path`](ProtectedResource::metadata_path).
    ///
    /// Give it to axum's `any`, outside of the layer: clients have no token yet. Pages of every
    /// origin may read the document, because clients in browsers need it and it is the same for
    /// everybody. So the handler also answers preflights. Caches may keep it for 10 minutes.
    pub fn metadata(
        &self,
    ) -> impl Fn(Method) -> Ready<Response> + Clone + Send + Sync + 'static + use<> {
        let document = self.metadata_document();
        let document = PublicDocument::new(document, "application/json", MAX_AGE);
        move |method| {
            let mut response = match method {
                Method::GET | Method::HEAD => document.response(),
                Method::OPTIONS => preflight(),
                _ => not_allowed(),
            };
            let headers = response.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
            ready(response)
        }
    }
}

/// MCP clients ask with a header of their own, so browsers ask first.
fn preflight() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, ANY);
    response
}

fn not_allowed() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response.headers_mut().insert(ALLOW, METHODS);
    response
}
