//! A response that is read to its end.

use axum::Router;
use axum::body::{Body, to_bytes};
use http::header::SET_COOKIE;
use http::{HeaderMap, Request, StatusCode};
use tower::ServiceExt;
use tower_jwt_auth::AuthError;

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    /// What the layer left in the extensions.
    pub(crate) error: Option<AuthError>,
}

impl Answer {
    /// The values of `Set-Cookie`.
    pub(crate) fn cookies(&self) -> Vec<&str> {
        let cookies = self.headers.get_all(SET_COOKIE).iter();
        cookies.map(|cookie| cookie.to_str().unwrap()).collect()
    }
}

pub(crate) async fn send(app: &Router, request: Request<Body>) -> Answer {
    let (parts, body) = app.clone().oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    Answer {
        status: parts.status,
        error: parts.extensions.get().cloned(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}
