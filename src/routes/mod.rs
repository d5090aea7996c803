//! Ready-made handlers for axum: renewal and logout.
//!
//! ```no_run
//! use axum::{Json, Router, http::{StatusCode, header::SET_COOKIE}, response::{AppendHeaders, IntoResponse}, routing::{get, post}};
//! use tower_jwt_auth::{Claims, csrf::CsrfLayer, keys::{Algorithm, SigningKey}};
//! use tower_jwt_auth::routes::SessionRoutes;
//! use tower_jwt_auth::session::{RefreshKeys, Sessions};
//! # use tower_jwt_auth::session::SessionStore;
//! # async fn check_password(_: &str) -> bool { true }
//!
//! # fn app<S: SessionStore>(store: S) -> Result<Router, Box<dyn std::error::Error>> {
//! let sessions = Sessions::new(store, SigningKey::generate(Algorithm::ES256)?, RefreshKeys::generate()?)
//!     .issuer("https://example.com");
//! let routes = SessionRoutes::new(sessions)?;
//!
//! let login = {
//!     let routes = routes.clone();
//!     move |name: String| async move {
//!         let pending = routes.sessions().begin(&name).await.map_err(|_| StatusCode::FORBIDDEN)?;
//!         if !check_password(&name).await { return Err(StatusCode::FORBIDDEN) }
//!         let tokens = routes.sessions().complete(pending).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
//!         let cookies = routes.cookies().set(&tokens).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
//!         Ok(AppendHeaders(cookies.map(|cookie| (SET_COOKIE, cookie))))
//!     }
//! };
//!
//! let app = Router::new()
//!     .route("/me", get(async |Claims(claims): Claims<serde_json::Value>| claims["sub"].to_string()))
//!     .layer(routes.auth_layer())
//!     .route("/login", post(login).layer(CsrfLayer::new()))
//!     .route("/refresh", post(routes.refresh()))
//!     .route("/logout", post(routes.logout()));
//! # Ok(app)
//! # }
//! ```
//!
//! | request | answer |
//! | --- | --- |
//! | `POST /refresh` with the refresh cookie | 200, both cookies anew, and `{"expires_in": …}` in seconds |
//! | `POST /refresh` with JSON `{"refresh_token": "…"}` | 200, and the pair as RFC 6749 §5.1 has it; no cookie |
//! | a token that is none, or has been used before; a session that is dead | 401; the cookies of a dead session are deleted |
//! | `POST /logout` with JSON `{"refresh_token": "…"}` | 204; the cookies are left alone |
//! | `POST /logout` with an access token in `Authorization`, the refresh cookie, or the access cookie, the first that there is; an access token may have expired | 204, and the cookies are deleted |
//! | a cookie, from another site | 403 ([`csrf`](crate::csrf)) |
//! | the store, or the function that supplies claims, fails | 503 with `Retry-After`; no cookie is deleted, and no token used up |
//!
//! Every answer has `Cache-Control: no-store`.

mod answer;
mod cookies;
mod handlers;

pub use cookies::SessionCookies;
pub use handlers::SessionRoutes;
