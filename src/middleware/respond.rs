//! What a service can choose of the response to a rejected request: [`Respond`].

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};

use super::error::AuthError;

/// Makes the response to a rejected request, with the body type of your service.
///
/// The layer adds missing headers: `Cache-Control: no-store` and, if your response keeps the status
/// [`AuthError::status`], also `WWW-Authenticate` and `Retry-After`.
///
/// ```
/// use axum::{Json, response::{IntoResponse, Response}};
/// use tower_jwt_auth::{AuthError, JwtAuthLayer};
/// # let key = tower_jwt_auth::keys::VerifyingKey::hs256([7; 32]).unwrap();
///
/// fn error_response(error: &AuthError) -> Response {
///     let body = serde_json::json!({ "message": error.description(), "code": error.code() });
///     (error.status(), Json(body)).into_response()
/// }
///
/// let layer = JwtAuthLayer::new(key).respond(error_response);
/// # let _: axum::Router = axum::Router::new().layer(layer);
/// ```
///
/// A closure must name the type of its argument: `|error: &AuthError| …`. A function that returns
/// such a layer returns `JwtAuthLayer<impl Respond<Body>>`. Do not send [`AuthError::kind`] to
/// clients.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot answer with a body of type `{B}`",
    note = "`ProblemJson` needs a body that is `From<Bytes>`, `EmptyBody` one that is `Default`; a closure `Fn(&AuthError) -> Response<B>` serves any other",
    note = "a layer between this one and the routes may have changed the body: in axum call `.layer` for each, rather than once with a `ServiceBuilder`, or put that layer outside"
)]
pub trait Respond<B> {
    /// The response to a request that was rejected for `error`.
    fn respond(&self, error: &AuthError) -> Response<B>;
}

/// Responds with `application/problem+json` (RFC 9457), with [`AuthError::code`] as the member
/// `code`. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProblemJson;

impl<B: From<Bytes>> Respond<B> for ProblemJson {
    fn respond(&self, error: &AuthError) -> Response<B> {
        let status = error.status();
        // None of these needs escaping.
        let problem = format!(
            r#"{{"type":"about:blank","title":"{}","status":{},"detail":"{}","code":"{}"}}"#,
            status.canonical_reason().unwrap_or_default(),
            status.as_u16(),
            error.description(),
            error.code(),
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

/// Responds with the status and an empty body.
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
