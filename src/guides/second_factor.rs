//! A second factor, or a recent login, for what is sensitive: step-up authentication (RFC 9470).
//!
//! Some routes need a stronger or a more recent login. A guard on the route rejects requests whose
//! login was weaker or older, with 401 `insufficient_user_authentication`. The page then asks the
//! user for a one-time password and sends it to a route of yours. That route calls
//! [`Sessions::elevate`] and sets the new cookies.
//!
//! ```
//! use std::time::Duration;
//! use axum::extract::State;
//! use axum::http::StatusCode;
//! use axum::response::{self, IntoResponse};
//! use axum::{Router, routing::post};
//! use tower_jwt_auth::{Require, VerifiedToken};
//! use tower_jwt_auth::routes::SessionRoutes;
//! use tower_jwt_auth::store::MemoryStore;
//!
//! type Routes = SessionRoutes<MemoryStore>;
//!
//! async fn step_up(
//!     State(routes): State<Routes>,
//!     token: VerifiedToken,
//!     password: String,
//! ) -> response::Result<impl IntoResponse> {
//!     let sessions = routes.sessions();
//!     let (sid, user) = (sessions.session_of(&token)?, sessions.subject_of(&token)?);
//!     if !is_one_time_password(user.name(), &password) {
//!         return Err(StatusCode::FORBIDDEN.into());
//!     }
//!     let tokens = sessions.elevate(sid, "mfa").await?;
//!     Ok((StatusCode::NO_CONTENT, routes.logged_in(&tokens)?))
//! }
//!
//! // Use a library for time-based passwords (RFC 6238), and limit the attempts.
//! fn is_one_time_password(user: &str, password: &str) -> bool {
//!     user == "alice" && password == "123456"
//! }
//!
//! fn app(routes: Routes) -> Router {
//!     let recently = Require::acr(["mfa"])
//!         .max_age(Duration::from_secs(300))
//!         // A guard has its own clock. Without this line, a test that moves the time gets 401.
//!         .clock(routes.sessions().current_clock());
//!     Router::new()
//!         .route("/payments", post(async || "paid").layer(recently))
//!         .route("/step-up", post(step_up))
//!         .layer(routes.layer())
//!         .route("/refresh", post(routes.refresh()))
//!         .with_state(routes)
//! }
//! # use axum::{body::Body, http::Request};
//! # use tower::ServiceExt;
//! # use tower_jwt_auth::{keys::{Algorithm, SigningKey}, session::{RefreshKeys, Sessions}};
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! # let clock = tower_jwt_auth::clock::ManualClock::at(4_000_000_000);
//! # let store = MemoryStore::with_clock(clock.clone());
//! # let key = SigningKey::generate(Algorithm::ES256).unwrap();
//! # let sessions = Sessions::new(store, key, RefreshKeys::generate().unwrap());
//! # let sessions = sessions.issuer("https://example.com").clock(clock);
//! # let tokens = sessions.login(&sessions.subject_named("alice")).await.unwrap();
//! # let app = app(SessionRoutes::new(sessions).unwrap());
//! # let mut cookie = format!("__Host-access={}", tokens.access_token);
//! # for (path, status) in [("/payments", 401), ("/step-up", 204), ("/payments", 200)] {
//! #     let request = Request::post(path).header("Sec-Fetch-Site", "same-origin")
//! #         .header("Cookie", &cookie).body(Body::from("123456")).unwrap();
//! #     let answer = app.clone().oneshot(request).await.unwrap();
//! #     assert_eq!(answer.status(), status);
//! #     if let Some(set) = answer.headers().get("set-cookie") {
//! #         cookie = set.to_str().unwrap().split(';').next().unwrap().to_owned();
//! #     }
//! # }
//! # }
//! ```
//!
//! - The session keeps `acr` until it ends. To let a step-up expire, set `max_age`: it limits the
//!   time since the last login or step-up.
//! - The refresh token from before the step-up never gets the new level. During the
//!   [grace](crate::session::Sessions::grace), 10 seconds by default, it gets 401. If it is used
//!   after the grace, the session ends. So the page should not refresh while `/step-up` runs.
//! - The access token from before the step-up is not revoked. It works until it expires, without
//!   the new level.
//! - A login that already includes the second factor passes its level to
//!   [`PendingLogin::acr`](crate::session::PendingLogin::acr).
//!
//! [`Sessions::elevate`]: crate::session::Sessions::elevate
