//! Answering refusals in a format of your own.
//!
//! | what refuses | where you set the answer |
//! | --- | --- |
//! | the layer, guards, extractors | [`JwtAuthLayer::respond`](crate::JwtAuthLayer::respond) |
//! | refresh, logout and [`csrf_layer`](crate::routes::SessionRoutes::csrf_layer), if you use sessions | [`SessionRoutes::respond`](crate::routes::SessionRoutes::respond); [`SessionRoutes::layer`](crate::routes::SessionRoutes::layer) uses it too |
//! | your handler, with a [`SessionError`](crate::session::SessionError) | as above; return the error by `?` from a handler with `axum::response::Result` |
//! | your handler, for reasons of its own | `IntoResponse` of your error type |
//! | an extractor of axum: `Json`, `Form`, `Path`, `Query`, `Extension`, `Bytes`, `WebSocketUpgrade` (a plain `GET` to its route) and others | a wrapper by `axum::extract::WithRejection` of `axum-extra`, or your own |
//! | the router: 404 and 405 | `Router::fallback`, `Router::method_not_allowed_fallback` |
//! | refresh or logout, if the refresh token is in a form or the form itself is rejected | 400 and 401 become 400 in the format of RFC 6749 §5.2, for OAuth clients. No setting changes that. For other statuses, such as 503: [`SessionRoutes::respond`](crate::routes::SessionRoutes::respond) |
//! | [`BackChannelLogout`](crate::routes::BackChannelLogout), the metadata of a [`ProtectedResource`](crate::ProtectedResource) | A fixed format, for providers and OAuth clients |
//! | your handler without a layer around it, such as a login of apps | A fixed format. For yours, call your function yourself: `error_response(&AuthError::from(error))` |
//! | a timeout layer, or another middleware | Its own format. For yours, call `tokio::time::timeout` in your own middleware |
//! | a guard or an extractor without a layer around it | A fixed format: add the layer |
//!
//! No setting makes refresh and logout refuse forms. If every error must have your format, put your
//! own middleware around refresh and logout. Let it answer 415 to
//! `Content-Type: application/x-www-form-urlencoded`.
//!
//! Except in the last five rows, one function makes the response to every refusal by the crate.
//! [`code`](crate::AuthError::code) is stable.
//! [`description`](crate::AuthError::description) is the same for every invalid access token,
//! except if it has expired.
//!
//! ```
//! use axum::http::StatusCode;
//! use axum::response::{self, IntoResponse, Response};
//! use axum::routing::{get, post};
//! use axum::{Json, Router};
//! use serde_json::json;
//! use tower_jwt_auth::routes::SessionRoutes;
//! use tower_jwt_auth::store::MemoryStore;
//! use tower_jwt_auth::{AuthError, Require, VerifiedToken};
//!
//! type Routes = SessionRoutes<MemoryStore, fn(&AuthError) -> Response>;
//!
//! fn answer(status: StatusCode, code: &str, message: &str) -> Response {
//!     let error = json!({ "code": code, "message": message });
//!     (status, Json(json!({ "error": error }))).into_response()
//! }
//!
//! fn refusal(error: &AuthError) -> Response {
//!     answer(error.status(), error.code(), error.description())
//! }
//!
//! /// An error of your own.
//! struct NoSuchNote;
//!
//! impl IntoResponse for NoSuchNote {
//!     fn into_response(self) -> Response {
//!         answer(StatusCode::NOT_FOUND, "no_such_note", "There is no such note.")
//!     }
//! }
//!
//! async fn note(_: VerifiedToken) -> response::Result<String> {
//!     Err(NoSuchNote.into())
//! }
//!
//! fn app(routes: SessionRoutes<MemoryStore>) -> Router {
//!     let routes: Routes = routes.respond(refusal);
//!     Router::new()
//!         .route("/note", get(note).layer(Require::scope("notes:read")))
//!         .layer(routes.layer())
//!         .route("/refresh", post(routes.refresh()))
//!         .route("/logout", post(routes.logout()))
//!         .fallback(async || answer(StatusCode::NOT_FOUND, "not_found", "There is no such page."))
//! }
//! # use axum::body::Body;
//! # use axum::http::Request;
//! # use tower::ServiceExt;
//! # use tower_jwt_auth::keys::{Algorithm, SigningKey};
//! # use tower_jwt_auth::session::{RefreshKeys, Sessions};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let key = SigningKey::generate(Algorithm::HS256)?;
//! # let sessions = Sessions::new(MemoryStore::new(), key, RefreshKeys::generate()?).issuer("a");
//! # let app = app(SessionRoutes::new(sessions)?);
//! # for (request, code) in [
//! #     (Request::get("/note"), "missing_token"),
//! #     (Request::post("/refresh"), "missing_refresh_token"),
//! #     (Request::post("/logout").header("Origin", "https://b.example"), "cross_site"),
//! #     (Request::get("/else"), "not_found"),
//! # ] {
//! #     let response = app.clone().oneshot(request.body(Body::empty())?).await?;
//! #     let body = axum::body::to_bytes(response.into_body(), 1000).await?;
//! #     let body: serde_json::Value = serde_json::from_slice(&body)?;
//! #     assert_eq!(body["error"]["code"], code);
//! # }
//! # Ok(())
//! # }
//! ```
//!
//! The layer adds `WWW-Authenticate` and `Cache-Control` to your response. Metrics need no
//! responder: the [`AuthError`](crate::AuthError) is in the response's extensions, see
//! [`observability`](crate::guides::observability).
