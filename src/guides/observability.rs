//! Metrics on rejected requests, and the user's ID in spans.
//!
//! | you want to know | look at |
//! | --- | --- |
//! | why requests are refused, `POST /refresh` and `POST /logout` included | [`AuthError`](crate::AuthError) in the extensions of the response |
//! | who made a request | [`VerifiedToken`](crate::VerifiedToken) in the extensions of the request |
//! | why a refresh, logout or page renewal failed, by a hook | [`SessionRoutes::on_rejection`] |
//! | logins, refreshes, logouts, reuse of refresh tokens | [`Sessions::on_event`](crate::session::Sessions::on_event) |
//! | whether a node follows Redis | [`RedisStore::state`](crate::store::RedisStore::state) |
//! | whether the keys of an issuer are fresh | [`RemoteKeys::state`](crate::keys::remote::RemoteKeys::state) |
//! | how full the revocation list is | [`MemoryStore::revocations`](crate::store::MemoryStore::revocations) |
//!
//! [`SessionRoutes::on_rejection`]: crate::routes::SessionRoutes::on_rejection
//!
//! No `tracing` event, error or `Debug` output of this crate holds a token or a claim. But
//! `#[tracing::instrument]` on a handler with `Claims(user): Claims<User>` records `user` by its
//! own `Debug`: add `skip_all`.
//!
//! A [`SessionEvent`](crate::session::SessionEvent), which your own hook gets, has the subject and
//! the `sid`. What you record of them is your decision: an ID is fine in most logs, an e-mail
//! address is not.
//!
//! # One service with all of it
//!
//! ```
//! use std::collections::HashMap;
//! use std::sync::{Arc, Mutex};
//! use axum::extract::{Request, State};
//! use axum::middleware::{Next, from_fn, from_fn_with_state};
//! use axum::response::Response;
//! use axum::{Router, routing::get};
//! use tower_http::trace::TraceLayer;
//! use tower_jwt_auth::{AuthError, JwtAuthLayer, VerifiedToken};
//! use tracing::field::Empty;
//!
//! /// Stands for a counter of your metrics library, with the label `kind`.
//! #[derive(Clone, Default)]
//! struct Refusals(Arc<Mutex<HashMap<&'static str, u64>>>);
//!
//! /// Outside the layer: the refusal is in the extensions of the response.
//! async fn count_refusals(
//!     State(refusals): State<Refusals>,
//!     request: Request,
//!     next: Next,
//! ) -> Response {
//!     let response = next.run(request).await;
//!     if let Some(error) = response.extensions().get::<AuthError>() {
//!         // A fixed set of names, so a good label. Do not use the path or the user as one.
//!         let kind = error.kind().name();
//!         *refusals.0.lock().unwrap().entry(kind).or_default() += 1;
//!     }
//!     response
//! }
//!
//! /// Inside the layer: the token is in the extensions of the request.
//! async fn record_user(token: Option<VerifiedToken>, request: Request, next: Next) -> Response {
//!     let token = token.as_ref();
//!     if let Some(user) = token.and_then(VerifiedToken::subject) {
//!         tracing::Span::current().record("user", user);
//!     }
//!     // The session connects the requests of one login, without naming the user.
//!     if let Some(session) = token.and_then(VerifiedToken::session_id) {
//!         tracing::Span::current().record("session", session);
//!     }
//!     next.run(request).await
//! }
//!
//! fn app(auth: JwtAuthLayer, refusals: Refusals) -> Router {
//!     let trace = TraceLayer::new_for_http().make_span_with(|request: &Request| {
//!         let (method, path) = (request.method(), request.uri().path());
//!         // A field must be declared when the span begins. `record` ignores others.
//!         tracing::info_span!("request", %method, path, user = Empty, session = Empty)
//!     });
//!     Router::new()
//!         .route("/me", get(async || "hello"))
//!         // Innermost first.
//!         .layer(from_fn(record_user))
//!         .layer(auth)
//!         .layer(from_fn_with_state(refusals, count_refusals))
//!         .layer(trace)
//! }
//! # use axum::body::Body;
//! # use tower::ServiceExt;
//! # use tower_jwt_auth::testing::TestIssuer;
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! # let (issuer, refusals) = (TestIssuer::new(), Refusals::default());
//! # let app = app(issuer.layer(), refusals.clone());
//! # let request = Request::get("/me").header("Authorization", issuer.token("alice").bearer());
//! # let request = request.body(Body::empty()).unwrap();
//! # assert_eq!(app.clone().oneshot(request).await.unwrap().status(), 200);
//! # let request = Request::get("/me").body(Body::empty()).unwrap();
//! # assert_eq!(app.oneshot(request).await.unwrap().status(), 401);
//! # assert_eq!(refusals.0.lock().unwrap()["missing_token"], 1);
//! # }
//! ```
//!
//! # What to alert on
//!
//! | `kind` | meaning of a sudden rise |
//! | --- | --- |
//! | `unavailable` | a store, the claims function, a condition, an issuer or an `IssuerResolver` fails or does not answer |
//! | `bad_signature`, `no_fitting_key` | a key was changed on one side only, or somebody tries forged tokens |
//! | `reuse_detected` | refresh tokens were stolen, or clients retry too late |
//! | `several_refresh_tokens` | you changed the cookies: see [`TokenCookie::domain`](crate::cookie::TokenCookie::domain) |
//! | `expired` | clients do not renew, or a clock is wrong. Refreshes of expired sessions count too |
//! | `cross_site` | a new page is not a trusted origin, or somebody attacks your users |
//! | `claims_mismatch`, `missing_layer`, `misconfigured` | a mistake in your service: alert on a single one |
//! | `missing_token` | usually crawlers: do not alert |
//!
//! # Sessions
//!
//! [`Sessions::on_event`](crate::session::Sessions::on_event) sets a hook. It runs inside the call
//! that caused the event. Keep it short: count, or send to a channel.
//!
//! ```
//! use tower_jwt_auth::session::{SessionEventKind, SessionStore, Sessions};
//!
//! fn observed<S: SessionStore>(sessions: Sessions<S>) -> Sessions<S> {
//!     sessions.on_event(|event| {
//!         // `Debug` of a session ID hides it.
//!         let sid = event.sid.map(tracing::field::display);
//!         match event.kind {
//!             // Two clients may have the same refresh token, or one retried too late. Tell the
//!             // user.
//!             SessionEventKind::ReuseDetected => tracing::warn!(sid, "refresh token reuse"),
//!             // The store has lost writes.
//!             SessionEventKind::LostWrites => tracing::error!(sid, "writes lost"),
//!             kind => tracing::info!(kind = kind.name(), "session"),
//!         }
//!     })
//! }
//! ```
//!
//! For an audit log of impersonations, keep `subject` and `actor` of the events: see
//! [`Sessions::impersonate`](crate::session::Sessions::impersonate).
//!
//! # Events of this crate
//!
//! The crate also writes events by `tracing`. [Their levels and targets](crate#events) are in the
//! crate's documentation. Your hook can record more, such as the session ID.
