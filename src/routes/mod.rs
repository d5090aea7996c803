//! Ready-made axum handlers: refresh, logout, the JWK Set of your service, and the logout tokens of
//! an OpenID provider.
//!
//! You need this module (feature `axum`) if browsers or apps hold the tokens of
//! [`session`](crate::session). Login stays a handler of your own, since only you can check
//! passwords.
//!
//! | type | endpoint |
//! | --- | --- |
//! | [`SessionRoutes`] | refresh and logout |
//! | [`PageRenewalLayer`] | no endpoint: refreshes when a page that the server renders is opened |
//! | [`JwksRoute`] | your public keys, for services that verify your tokens |
//! | [`BackChannelLogout`] | the logout tokens of an OpenID provider |
//!
//! ```no_run
//! use axum::http::{StatusCode, header::{CACHE_CONTROL, SET_COOKIE}};
//! use axum::{Router, routing::{get, post}};
//! use axum::response::{AppendHeaders, IntoResponse};
//! use serde_json::Value;
//! use tower_jwt_auth::{Claims, csrf::CsrfLayer, keys::{Algorithm, SigningKey}};
//! use tower_jwt_auth::routes::SessionRoutes;
//! use tower_jwt_auth::session::{RefreshKeys, Sessions};
//! # use tower_jwt_auth::session::SessionStore;
//! # async fn check_password(_: &str) -> bool { true }
//!
//! # fn app<S: SessionStore>(store: S) -> Result<Router, Box<dyn std::error::Error>> {
//! let signing_key = SigningKey::generate(Algorithm::ES256)?;
//! let sessions = Sessions::new(store, signing_key, RefreshKeys::generate()?)
//!     .issuer("https://example.com");
//! let routes = SessionRoutes::new(sessions)?;
//!
//! let login = {
//!     let routes = routes.clone();
//!     move |name: String| async move {
//!         // Before the password check, so that a concurrent block takes effect.
//!         let subject = routes.sessions().subject_named(&name);
//!         let pending = routes.sessions().begin(&subject).await;
//!         if !check_password(&name).await { return Err(StatusCode::FORBIDDEN.into_response()) }
//!         // Only now, so that nobody learns who is blocked without the password.
//!         let pending = pending.map_err(IntoResponse::into_response)?;
//!         let tokens = routes.sessions().complete(pending).await;
//!         let tokens = tokens.map_err(IntoResponse::into_response)?;
//!         let cookies = routes.cookies().set(&tokens);
//!         let cookies = cookies.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())?;
//!         let cookies = AppendHeaders(cookies.map(|cookie| (SET_COOKIE, cookie)));
//!         Ok(([(CACHE_CONTROL, "no-store")], cookies))
//!     }
//! };
//!
//! async fn me(Claims(claims): Claims<Value>) -> String {
//!     claims["sub"].as_str().unwrap_or_default().to_owned()
//! }
//!
//! let app = Router::new()
//!     .route("/me", get(me))
//!     .layer(routes.auth_layer())
//!     .route("/login", post(login).layer(CsrfLayer::new()))
//!     .route("/refresh", post(routes.refresh()))
//!     .route("/logout", post(routes.logout()));
//! # Ok(app)
//! # }
//! ```
//!
//! # Refresh and logout
//!
//! | request | answer |
//! | --- | --- |
//! | `POST /refresh` with the refresh cookie | 200, two new cookies, and `{"expires_in": …}` in seconds |
//! | `POST /refresh` with JSON `{"refresh_token": "…"}` | 200 and the token pair as in RFC 6749 §5.1; no cookies |
//! | an invalid or reused refresh token; a session that has ended | 401; the cookies of an ended session are deleted |
//! | `POST /logout` with JSON `{"refresh_token": "…"}` | 204; cookies are not changed |
//! | `POST /logout` from this site or a trusted origin | 204; both cookies are deleted |
//! | `POST /logout` from another site, with an access token in `Authorization` | 204; cookies are not changed |
//! | `POST /refresh` with a cookie, or any other `POST /logout`, from another site | 403 ([`csrf`](crate::csrf)) |
//! | malformed JSON or `Authorization`; another body that contains `refresh_token`; more than 4,096 bytes | 400 |
//! | the store or the claims function fails | 503 with `Retry-After: 1`; no cookie is deleted |
//!
//! Every answer has `Cache-Control: no-store`.
//!
//! After a 503 the refresh token may have been used. A client should retry with the same token
//! within the [grace](crate::session::Sessions::grace), 10 seconds by default. A later retry may be
//! treated as reuse, and the session ends.
//!
//! If a JSON body has a `refresh_token`, cookies are not read. Its other members are ignored. With
//! every other valid body, such as `{}`, `null` or a form, the handlers read the cookies.
//!
//! Logout from this site ends the session of every token in the request. It reads tokens from
//! `Authorization`, the access cookie and the refresh cookie. Expired access tokens count too. A
//! token that is not authentic is ignored, for example one of a removed key. If the store fails,
//! the answer is 503, and the cookies are not changed.

mod back_channel_logout;
mod content_type;
mod jwks;
mod page_renewal;
mod request;
mod response;
mod session_cookies;
mod session_routes;
mod shared_refreshes;

pub use back_channel_logout::BackChannelLogout;
pub use jwks::JwksRoute;
pub use page_renewal::{PageRenewal, PageRenewalFuture, PageRenewalLayer};
pub use session_cookies::SessionCookies;
pub use session_routes::SessionRoutes;
