//! What the body of a response to a refused request is.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};

use super::error::AuthError;

/// Makes the response to a refused request, with a body of the service's own type.
///
/// The layer adds what the protocol wants and the response lacks: `WWW-Authenticate` where the status is
/// [`AuthError::status`], and `Cache-Control: no-store`.
///
/// ```
/// use axum::{Json, response::{IntoResponse, Response}};
/// use tower_jwt_auth::{AuthError, JwtAuthLayer};
/// # let key = tower_jwt_auth::keys::VerifyingKey::hs256([7; 32]).unwrap();
///
/// fn in_our_words(error: &AuthError) -> Response {
///     let body = serde_json::json!({ "message": error.description(), "code": error.code() });
///     (error.status(), Json(body)).into_response()
/// }
///
/// let layer = JwtAuthLayer::new(key).respond(in_our_words);
/// # let _: axum::Router = axum::Router::new().layer(layer);
/// ```
///
/// A closure names its argument's type: `|error: &AuthError| …`. A function that returns such a layer returns
/// `JwtAuthLayer<impl Respond<Body>>`. [`AuthError::kind`] says more than a client should learn.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot answer with a body of type `{B}`",
    note = "`ProblemJson` needs a body that is `From<Bytes>`, `EmptyBody` one that is `Default`; a closure `Fn(&AuthError) -> Response<B>` serves any other",
    note = "a layer between this one and the routes may have changed the body: in axum call `.layer` for each, rather than once with a `ServiceBuilder`, or put that layer outside"
)]
pub trait Respond<B> {
    /// The response to a request that was refused for `error`.
    fn respond(&self, error: &AuthError) -> Response<B>;
}

/// Answers with `application/problem+json` (RFC 9457). The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProblemJson;

impl<B: From<Bytes>> Respond<B> for ProblemJson {
    fn respond(&self, error: &AuthError) -> Response<B> {
        let status = error.status();
        let problem = format!(
            r#"{{"type":"about:blank","title":"{}","status":{},"detail":"{}"}}"#,
            status.canonical_reason().unwrap_or_default(),
            status.as_u16(),
            error.description(),
        );
        let mut response = Response::new(B::from(Bytes::from(problem)));
        *response.status_mut() = status;
        response.headers_mut().insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        response
    }
}

/// Answers with the status and an empty body.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmptyBody;

impl<B: Default> Respond<B> for EmptyBody {
    fn respond(&self, error: &AuthError) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = error.status();
        response
    }
}

impl<B, F> Respond<B> for F
where
    F: Fn(&AuthError) -> Response<B>,
{
    fn respond(&self, error: &AuthError) -> Response<B> {
        self(error)
    }
}
