//! Ready-made axum handlers: refresh, logout, the JWK Set of your service, the metadata of a
//! protected resource, and the logout tokens of an OpenID provider.
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
//! | [`ProtectedResource`](crate::ProtectedResource) | the metadata of your API, for clients that discover your authorization server |
//! | [`BackChannelLogout`] | the logout tokens of an OpenID provider |
//!
//! ```no_run
//! use axum::http::StatusCode;
//! use axum::{Router, response::ErrorResponse, routing::{get, post}};
//! use serde_json::Value;
//! use tower_jwt_auth::{Claims, keys::{Algorithm, SigningKey}};
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
//!         let pending = routes.sessions().begin(&subject).await?;
//!         if !check_password(&name).await { return Err(StatusCode::FORBIDDEN.into()) }
//!         // Rejects a blocked user. Without the password, nobody can find out who is blocked.
//!         let tokens = routes.sessions().complete(pending).await?;
//!         Ok::<_, ErrorResponse>((StatusCode::NO_CONTENT, routes.logged_in(&tokens)?))
//!     }
//! };
//!
//! async fn me(Claims(claims): Claims<Value>) -> String {
//!     claims["sub"].as_str().unwrap_or_default().to_owned()
//! }
//!
//! let app = Router::new()
//!     .route("/me", get(me))
//!     .layer(routes.layer())
//!     .route("/login", post(login).layer(routes.csrf_layer()))
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
//! | `POST /refresh` with a refresh token in JSON or in a form | 200 and the token pair as in RFC 6749 §5.1; no cookies |
//! | `POST /refresh` with an invalid or reused refresh token, or one of a session that has ended | 401; if the session has ended and the token came in a cookie, both cookies are deleted |
//! | `POST /refresh` with the refresh token from before an [elevation](crate::session::Sessions::elevate), within the grace | 401; no cookie is deleted |
//! | `POST /logout` with a forged refresh token in its body | 401; cookies are not changed |
//! | the requests of the three rows above, with the refresh token in a form | 400 `invalid_grant` (RFC 6749 §5.2) |
//! | `POST /logout` with an authentic refresh token in JSON or in a form, even an old one | 204; cookies are not changed |
//! | `POST /logout` from your own origin or a trusted one | 204; both cookies are deleted |
//! | `POST /logout` from any other origin, with an access token of these sessions in `Authorization` | 204; cookies are not changed |
//! | from any other origin: `POST /refresh` with a cookie; `POST /logout` with neither a refresh token in its body nor an access token of these sessions in `Authorization` | 403 ([`csrf`](crate::csrf)) |
//! | malformed JSON, or JSON that is neither an object nor `null`; malformed `Authorization` of a logout without a refresh token in its body; a form with a parameter twice; a refresh token in another kind of body; more than 4,096 bytes | 400 |
//! | a `grant_type` other than `refresh_token` | 400 |
//! | `POST /refresh` with several different refresh cookies | 400 |
//! | `POST /refresh` of a session that is [bound to a key](crate::session#bound-to-a-key-of-the-client), with a proof that is missing, wrong or used | 400 `invalid_dpop_proof`, or `use_dpop_nonce` with `DPoP-Nonce`; no cookie is deleted |
//! | the same with a proof of another key; a proof for a session without a key | 401 `invalid_grant`, 400 for a form; no cookie is deleted |
//! | the store or the claims function fails | 503 with `Retry-After: 1`; no cookie is deleted |
//!
//! Every answer has `Cache-Control: no-store`. The table of
//! [`SessionErrorKind`](crate::session::SessionErrorKind) has the status of each kind, and says
//! when cookies are deleted. The reason for a rejection is an [`AuthError`](crate::AuthError) in
//! the extensions of the response. [`on_rejection`](SessionRoutes::on_rejection) reports it too.
//! [`respond`](SessionRoutes::respond) changes the responses. It also answers errors that your
//! login returns behind [`csrf_layer`](SessionRoutes::csrf_layer).
//!
//! After a 503 the refresh token may have been used. A client should retry with the same token
//! within the [grace](crate::session::Sessions::grace), 10 seconds by default. A later retry may be
//! treated as reuse, and the session ends.
//!
//! # Deadlines
//!
//! Login, refresh and logout have no deadline of their own: they wait for the store and the claims
//! function. The Redis store has its `call_timeout`. A file on a disk that hangs, or your own
//! store, may never answer.
//!
//! Add `TimeoutLayer::with_status_code` of `tower-http` to these routes, with status 503. Choose a
//! time below the [grace](crate::session::Sessions::grace), such as 5 seconds, so that a retry is
//! still within it. The timeout drops the call. This is safe, but the call may still take effect:
//!
//! | dropped call | what to do |
//! | --- | --- |
//! | refresh | retry with the same token, as after a 503 |
//! | logout | retry: the session may not have ended |
//! | login | log in again. The list of sessions may show one whose tokens nobody has |
//! | [`elevate`](crate::session::Sessions::elevate) | repeat the step-up before the next refresh |
//!
//! # Bodies
//!
//! If JSON or a form (RFC 6749 §6) has a `refresh_token`, cookies are neither read nor set, and a
//! logout does not read `Authorization`. Other members are ignored, except `grant_type`. With a
//! body that has no refresh token, such as `{}`, `null` or an empty form, the handlers read the
//! cookies. The table above says which bodies get 400.
//!
//! For a form, each 400 or 401 becomes a 400 with the JSON of RFC 6749 §5.2. This applies to a form
//! that has a refresh token, is malformed, or has a `grant_type` other than `refresh_token`. All
//! other errors are problems (RFC 9457) with a [code](crate::AuthError::code).
//!
//! With [`SessionRoutes::without_cookies`] cookies are neither read nor set. A refresh without a
//! token in its body then gets 401. So does a logout without one in its body or in `Authorization`.
//!
//! # Bound sessions
//!
//! After [`SessionRoutes::dpop`], a login can [bind](crate::session#bound-to-a-key-of-the-client)
//! its session to a key of the client: `login.bind(&proof)?`, with the proof that
//! [`SessionRoutes::proof`] finds. `POST /refresh` then needs a proof. The refresh cookie stays
//! `HttpOnly`.
//!
//! | login | access token |
//! | --- | --- |
//! | [`bind_refresh_token`](crate::session::PendingLogin::bind_refresh_token) | in its cookie, not bound, for [`access_lifetime`](crate::session::Sessions::access_lifetime) |
//! | [`bind`](crate::session::PendingLogin::bind) | bound, in the body of login and refresh: `access_token`, `token_type` and `expires_in`. The access cookie is deleted. |
//!
//! [Page renewal](PageRenewalLayer) cannot refresh a bound session: a navigation has no proof. The
//! page's script calls `POST /refresh`.
//!
//! # Several refresh cookies
//!
//! Browsers keep a cookie with `Domain` and one without as two cookies, even with the same name.
//! After you set a `Domain`, they send the old cookie and the new one. The handlers do not guess:
//! refresh answers 400. A new login or a logout deletes the cookie without `Domain`. If you remove
//! a `Domain`, or change a `Path` or `Partitioned`, also change the name of the cookie.
//!
//! # Logout
//!
//! A logout with a refresh token in its body ends the session of that token alone. Any other logout
//! from your own origin or a trusted one ends the session of every token in the request. It reads
//! tokens from `Authorization`, the access cookie and the refresh cookie. Expired access tokens
//! count too. A token that is not authentic is ignored, for example one of a removed key. If the
//! store fails, the answer is 503, and the cookies are not changed.

mod back_channel_logout;
mod content_type;
mod jwks;
mod navigation;
mod page_renewal;
mod protected_resource;
mod public_document;
mod request;
mod response;
mod session_cookies;
mod session_handlers;
mod session_routes;
mod shared_refreshes;

pub use back_channel_logout::BackChannelLogout;
pub use jwks::JwksRoute;
pub use page_renewal::{PageRenewal, PageRenewalFuture, PageRenewalLayer};
pub use response::SetCookies;
pub use session_cookies::SessionCookies;
pub use session_routes::SessionRoutes;
