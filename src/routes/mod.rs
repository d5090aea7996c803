//! Ready-made handlers for axum: renewal and logout, the [keys](JwksRoute) of a service, and the [logouts](BackChannelLogout) of an OpenID
//! provider.
//!
//! ```no_run
//! use axum::{Router, http::{StatusCode, header::{CACHE_CONTROL, SET_COOKIE}}, routing::{get, post}};
//! use axum::response::{AppendHeaders, IntoResponse};
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
//!         // Before the password is checked: a block in between wins.
//!         let subject = routes.sessions().subject_named(&name);
//!         let pending = routes.sessions().begin(&subject).await.map_err(IntoResponse::into_response)?;
//!         if !check_password(&name).await { return Err(StatusCode::FORBIDDEN.into_response()) }
//!         let tokens = routes.sessions().complete(pending).await.map_err(IntoResponse::into_response)?;
//!         let cookies = routes.cookies().set(&tokens);
//!         let cookies = cookies.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())?;
//!         let cookies = AppendHeaders(cookies.map(|cookie| (SET_COOKIE, cookie)));
//!         Ok(([(CACHE_CONTROL, "no-store")], cookies))
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
//! | `POST /logout` from this site or a trusted one | 204, and both cookies are deleted |
//! | `POST /logout` from elsewhere, with an access token in `Authorization` | 204; the cookies are left alone |
//! | `POST /refresh` with a cookie, or `POST /logout` with or without, from elsewhere | 403 ([`csrf`](crate::csrf)) |
//! | malformed JSON or `Authorization`; a refresh token in any other body; more than 4,096 bytes | 400 |
//! | the store, or the function that supplies claims, fails | 503 with `Retry-After: 1`; no cookie is deleted |
//!
//! After a 503 the refresh token may have been used. A client should retry with it within the
//! [grace](crate::session::Sessions::grace), 10 seconds by default. Later the retry may count as
//! reuse, and the session ends.
//!
//! A JSON body decides if it has a `refresh_token`; cookies are not read then. Other members are
//! ignored. A body without one, such as `{}` or `null`, means the cookies. So does every other
//! body, a form for example.
//!
//! Logout from this site ends every session that a token of the request names: in `Authorization`,
//! in the access cookie, and in the refresh cookie. Access tokens may have expired. A token that
//! cannot be read, of a retired key for example, names none. If the store fails, the answer is 503
//! and the cookies stay.
//!
//! Every answer has `Cache-Control: no-store`.

mod answer;
mod back_channel_logout;
mod cookies;
mod handlers;
mod jwks;

pub use back_channel_logout::BackChannelLogout;
pub use cookies::SessionCookies;
pub use handlers::SessionRoutes;
pub use jwks::JwksRoute;

use http::HeaderValue;

/// Whether a `Content-Type` is that media type, with or without parameters.
fn is_of_type(value: &HeaderValue, media_type: &str) -> bool {
    let essence = value.as_bytes().split(|byte| *byte == b';').next();
    let essence = essence.unwrap_or_default().trim_ascii();
    essence.eq_ignore_ascii_case(media_type.as_bytes())
}
