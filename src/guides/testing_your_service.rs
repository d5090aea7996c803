//! Testing a service: tokens, time and failing stores, with feature `testing` and without.
//!
//! | you test | with feature `testing` | without |
//! | --- | --- | --- |
//! | a request of a user | [`TestIssuer::token`](crate::testing::TestIssuer::token) | [`SigningKey::sign`](crate::keys::SigningKey::sign) |
//! | an expired token | [`TestIssuer::expire`](crate::testing::TestIssuer::expire) | [`ManualClock`](crate::clock::ManualClock) |
//! | a store that fails or hangs | [`FailingStore`](crate::testing::FailingStore) | [`store_fn`](crate::revocation::store_fn) |
//! | your own store of sessions | [`session_store_contract`](crate::testing::session_store_contract) | |
//!
//! In both cases the service takes its layer as an argument. The tests pass one that trusts a test
//! key, and `main` passes the real one.
//!
//! # With the feature
//!
//! ```toml
//! [dev-dependencies]
//! tower-jwt-auth = { version = "0.1", features = ["testing"] }
//! tower = { version = "0.5", features = ["util"] }
//! tokio = { version = "1", features = ["macros", "rt", "test-util"] }
//! ```
//!
//! ```
//! use axum::body::Body;
//! use axum::http::{Request, StatusCode};
//! use axum::{Router, routing::get};
//! use tower::ServiceExt;
//! use tower_jwt_auth::middleware::ProblemJson;
//! use tower_jwt_auth::revocation::{Revocation, RevocationStore, TokenIdentity};
//! use tower_jwt_auth::store::MemoryStore;
//! use tower_jwt_auth::testing::{FailingStore, TestIssuer, TestToken};
//! use tower_jwt_auth::{JwtAuthLayer, Require};
//!
//! /// The service. `V` lets a test choose the revocation store.
//! fn app<V: RevocationStore>(auth: JwtAuthLayer<ProblemJson, V>) -> Router {
//!     let read = get(async || "notes").layer(Require::scope("notes:read"));
//!     Router::new().route("/notes", read).layer(auth)
//! }
//!
//! async fn status(app: &Router, token: TestToken) -> StatusCode {
//!     let request = Request::get("/notes").header("Authorization", token.bearer());
//!     let request = request.body(Body::empty()).unwrap();
//!     app.clone().oneshot(request).await.unwrap().status()
//! }
//!
//! // #[tokio::test]
//! async fn scopes_are_checked() {
//!     let issuer = TestIssuer::new();
//!     let app = app(issuer.layer());
//!     let alice = issuer.token("alice").claim("scope", "notes:read");
//!     assert_eq!(status(&app, alice).await, StatusCode::OK);
//!     assert_eq!(status(&app, issuer.token("bob")).await, StatusCode::FORBIDDEN);
//! }
//!
//! // #[tokio::test]
//! async fn tokens_expire() {
//!     let issuer = TestIssuer::new();
//!     let app = app(issuer.layer());
//!     let alice = issuer.token("alice").claim("scope", "notes:read");
//!     issuer.expire(); // Moves the clock. Nothing sleeps.
//!     assert_eq!(status(&app, alice).await, StatusCode::UNAUTHORIZED);
//! }
//!
//! // #[tokio::test(start_paused = true)]
//! async fn an_outage_is_not_a_logout() {
//!     let issuer = TestIssuer::new();
//!     // The store needs the issuer's clock too.
//!     let store = FailingStore::new(MemoryStore::with_clock(issuer.clock().clone()));
//!     let app = app(issuer.layer().revocation(store.clone()));
//!     let alice = || issuer.token("alice").claim("scope", "notes:read");
//!
//!     store.fail();
//!     assert_eq!(status(&app, alice()).await, StatusCode::SERVICE_UNAVAILABLE);
//!     store.hang(); // Until the layer's deadline, which passes at once with the paused clock.
//!     assert_eq!(status(&app, alice()).await, StatusCode::SERVICE_UNAVAILABLE);
//!     store.recover();
//!
//!     let stolen = alice();
//!     let token = issuer.verify(&stolen.clone().sign());
//!     let revocation = Revocation::of_token(&TokenIdentity::from(&token)).unwrap();
//!     store.store().revoke(&revocation).unwrap();
//!     assert_eq!(status(&app, stolen).await, StatusCode::UNAUTHORIZED);
//!     assert_eq!(status(&app, alice()).await, StatusCode::OK);
//! }
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! #     scopes_are_checked().await;
//! #     tokens_expire().await;
//! #     an_outage_is_not_a_logout().await;
//! # }
//! ```
//!
//! # Without the feature
//!
//! The same with the crate's ordinary parts: a key, a clock that you move, and a store as a
//! closure.
//!
//! ```
//! use std::io;
//! use std::time::{Duration, SystemTime};
//! use axum::body::Body;
//! use axum::http::{Request, StatusCode};
//! use axum::{Router, routing::get};
//! use tower::ServiceExt;
//! use tower_jwt_auth::{JwtAuthLayer, Verifier};
//! use tower_jwt_auth::claims::RegisteredClaims;
//! use tower_jwt_auth::clock::{Clock, ManualClock};
//! use tower_jwt_auth::keys::{Algorithm, SigningKey};
//! use tower_jwt_auth::revocation::store_fn;
//!
//! const LIFETIME: Duration = Duration::from_secs(300);
//!
//! async fn status(app: &Router, token: &str) -> StatusCode {
//!     let request = Request::get("/me").header("Authorization", format!("Bearer {token}"));
//!     let request = request.body(Body::empty()).unwrap();
//!     app.clone().oneshot(request).await.unwrap().status()
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let key = SigningKey::generate(Algorithm::HS256)?;
//! let clock = ManualClock::at(2_000_000_000);
//! let auth = JwtAuthLayer::new(key.verifying_key()).clock(clock.clone());
//! let claims = RegisteredClaims::valid_for(LIFETIME, clock.now()).subject("alice").token_id("1");
//! let token = key.sign(&claims)?;
//!
//! let route = || Router::new().route("/me", get(async || "hello"));
//! let failing = store_fn(|_| async { Err(io::Error::other("down")) });
//! let app = route().layer(auth.clone().revocation(failing));
//! assert_eq!(status(&app, &token).await, StatusCode::SERVICE_UNAVAILABLE);
//!
//! let app = route().layer(auth);
//! assert_eq!(status(&app, &token).await, StatusCode::OK);
//! clock.advance(LIFETIME + Verifier::DEFAULT_LEEWAY);
//! assert_eq!(status(&app, &token).await, StatusCode::UNAUTHORIZED);
//! # Ok(())
//! # }
//! ```
//!
//! # A service with sessions
//!
//! Give one `ManualClock` to the store and to the sessions. The layer of
//! [`SessionRoutes`](crate::routes::SessionRoutes) takes it from there. A guard with `max_age` does
//! not: pass the clock to [`Require::clock`](crate::Require::clock) too. Otherwise every step-up
//! ends in 401 `insufficient_user_authentication`.
//!
//! ```
//! use std::time::Duration;
//! use axum::body::Body;
//! use axum::http::header::{COOKIE, SET_COOKIE};
//! use axum::http::{HeaderMap, Request, StatusCode};
//! use axum::{Router, routing::{get, post}};
//! use tower::ServiceExt;
//! use tower_jwt_auth::VerifiedToken;
//! use tower_jwt_auth::clock::ManualClock;
//! use tower_jwt_auth::keys::{Algorithm, SigningKey};
//! use tower_jwt_auth::routes::SessionRoutes;
//! use tower_jwt_auth::session::{RefreshKeys, Sessions, TokenPair};
//! use tower_jwt_auth::store::MemoryStore;
//!
//! fn app(routes: &SessionRoutes<MemoryStore>) -> Router {
//!     Router::new()
//!         .route("/me", get(async |_: VerifiedToken| "you").post(async |_: VerifiedToken| "ok"))
//!         .layer(routes.layer())
//!         .route("/refresh", post(routes.refresh()))
//! }
//!
//! /// What a browser sends with its cookies from a page of this service, or from another one.
//! async fn send(
//!     app: &Router,
//!     request: &str,
//!     cookies: &str,
//!     site: &str,
//! ) -> (StatusCode, HeaderMap) {
//!     let (method, path) = request.split_once(' ').unwrap();
//!     let request = Request::builder().method(method).uri(path).header(COOKIE, cookies);
//!     let request = request.header("sec-fetch-site", site).body(Body::empty()).unwrap();
//!     let response = app.clone().oneshot(request).await.unwrap();
//!     (response.status(), response.headers().clone())
//! }
//!
//! fn cookies(tokens: &TokenPair) -> String {
//!     format!("__Host-access={}; __Host-refresh={}", tokens.access_token, tokens.refresh_token)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let clock = ManualClock::at(2_000_000_000);
//! let store = MemoryStore::with_clock(clock.clone());
//! let key = SigningKey::generate(Algorithm::ES256)?;
//! let sessions = Sessions::new(store, key, RefreshKeys::new([7; 32])?)
//!     .issuer("https://app.example.com")
//!     .clock(clock.clone());
//! let app = app(&SessionRoutes::new(sessions.clone())?);
//! let tokens = sessions.login(&sessions.subject_named("alice")).await?;
//! let old = cookies(&tokens);
//!
//! let own = "same-origin";
//! assert_eq!(send(&app, "GET /me", &old, own).await.0, StatusCode::OK);
//! assert_eq!(send(&app, "POST /me", &old, "cross-site").await.0, StatusCode::FORBIDDEN);
//!
//! // The access token lives for 5 minutes, and the leeway is 30 seconds.
//! clock.advance(Duration::from_secs(331));
//! assert_eq!(send(&app, "GET /me", &old, own).await.0, StatusCode::UNAUTHORIZED);
//! let (status, headers) = send(&app, "POST /refresh", &old, own).await;
//! assert_eq!((status, headers.get_all(SET_COOKIE).iter().count()), (StatusCode::OK, 2));
//!
//! // After the grace of 10 seconds, the old refresh token counts as reuse: the session ends.
//! clock.advance(Duration::from_secs(11));
//! assert_eq!(send(&app, "POST /refresh", &old, own).await.0, StatusCode::UNAUTHORIZED);
//! assert!(sessions.list(&sessions.subject_named("alice")).await?.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! # Paused time
//!
//! `start_paused` is for tests with a [`MemoryStore`](crate::store::MemoryStore). While an
//! [`EmbeddedStore`](crate::store::EmbeddedStore) works in its own threads, or a Redis server
//! answers, tokio sees an idle runtime. It then jumps to the next deadline, for example the 5
//! seconds of `page_renewal`, and the answer is 503. With these stores do not pause the time: a
//! `ManualClock` still moves all dates.
//!
//! # A restart
//!
//! Close the store and open it again, with the same keys and clock:
//!
#![cfg_attr(feature = "embedded", doc = "```no_run")]
#![cfg_attr(not(feature = "embedded"), doc = "```text")]
//! # async fn restart(
//! #     store: tower_jwt_auth::store::EmbeddedStore,
//! #     clock: tower_jwt_auth::clock::ManualClock,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! use tower_jwt_auth::store::EmbeddedStoreOptions;
//!
//! store.close().await;
//! let store = EmbeddedStoreOptions::new().clock(clock).open("sessions").await?;
//! # drop(store);
//! # Ok(())
//! # }
//! ```
//!
//! # A second issuer
//!
//! A [`TestIssuer`](crate::testing::TestIssuer) can stand in for an OpenID provider. Make it with a
//! key pair: `TestIssuer::new` has a secret for HS256, which a JWK Set cannot publish. Its tokens
//! have `typ: JWT`. Sessions and stores need its clock too. So do guards with `max_age`.
//!
//! ```
//! use tower_jwt_auth::TrustedIssuer;
//! use tower_jwt_auth::keys::{Algorithm, KeySet, SigningKey};
//! use tower_jwt_auth::testing::TestIssuer;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let key = SigningKey::generate(Algorithm::ES256)?.with_key_id("1");
//! let provider = TestIssuer::with_key(key).audience("api");
//! // For a test that fetches keys: serve this document on a loopback address, and pass
//! // `RemoteKeys::jwks("http://127.0.0.1:…")` to `TrustedIssuer::new`. Give the builder of
//! // `RemoteKeys` the clock of `provider`. To test a new key, serve it, and advance the clock by
//! // the cooldown of 30 seconds.
//! let document = KeySet::new([provider.key()])?.to_jwks();
//! # let _: String = document;
//!
//! let trusted = TrustedIssuer::new("https://issuer.test", provider.key()).typ("JWT");
//! # let _ = trusted;
//! # Ok(())
//! # }
//! ```
//!
//! # A WebSocket
//!
//! The layer answers before the upgrade, so refusals can be tested with `oneshot`. The layer checks
//! the `Origin` of a `GET` with the header `Upgrade`. axum also needs `Connection`,
//! `Sec-WebSocket-Version` and `Sec-WebSocket-Key` to accept the handshake: send all four. To test
//! what follows a handshake, serve the app on `127.0.0.1:0`, and connect with a WebSocket client.
//!
//! # Cookies in tests
//!
//! A request with a cookie and a method such as `POST` needs `Sec-Fetch-Site: same-origin`, as a
//! browser sends it. So does every `POST` behind
//! [`csrf_layer`](crate::routes::SessionRoutes::csrf_layer), such as a login, even without a
//! cookie. Otherwise the answer is 403.
