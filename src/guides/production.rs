//! A checklist before your service meets its users.
//!
//! # Tokens
//!
//! - [ ] The layer names an issuer and an audience. Two services with one key then do not accept
//!   each other's tokens.
//! - [ ] Access tokens live a few minutes. 5 minutes is the default of
//!   [`Sessions`](crate::session::Sessions).
//! - [ ] Claims hold identifiers, no secrets: everyone who has a token can read it.
//! - [ ] If the issuer sets `typ` to `at+jwt`, the layer requires this value with
//!   [`typ`](crate::JwtAuthLayer::typ).
//!
//! # Keys
//!
//! - [ ] Secrets come from the configuration, never from the source code. Use
//!   [`SigningKey::generate`](crate::keys::SigningKey::generate) only with one node, and only if
//!   tokens may become invalid at a restart.
//! - [ ] `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` made the signing key, for
//!   ES256. `openssl rand -hex 32` made each secret.
//! - [ ] The signing key, [`RefreshKeys`](crate::session::RefreshKeys) and the secret of
//!   [`RedisStoreOptions`](crate::store::RedisStoreOptions) are three different secrets. All nodes
//!   have the same three.
//! - [ ] Prefer ES256 or EdDSA if another service verifies your tokens: it needs only the public
//!   key.
//! - [ ] Keys have a `kid`, and you have rotated one on a test system. Order: publish the new key,
//!   wait for [`JwksRoute::DEFAULT_MAX_AGE`](crate::routes::JwksRoute::DEFAULT_MAX_AGE), sign with
//!   it, keep the old one until its last token has expired. See
//!   [`SigningKeySet`](crate::keys::SigningKeySet).
//! - [ ] You can remove a leaked signing key from every verifier without delay. Access tokens
//!   signed with it are then rejected; the sessions continue.
//!
//! # Revocation
//!
//! - [ ] Every layer has the store: a layer without one accepts logged-out tokens until they
//!   expire. A layer [for another issuer alone](super::several_issuers#only-the-other-issuer) needs
//!   it only if you revoke tokens of that issuer.
//! - [ ] You chose what happens while the store is down
//!   ([`FailurePolicy`](crate::revocation::FailurePolicy)). The default answers 503.
//! - [ ] Admins can call [`block`](crate::session::Sessions::block) and
//!   [`logout_everywhere`](crate::session::Sessions::logout_everywhere), and know how.
//! - [ ] The store fits the deployment: see [choosing a store](super::choosing_a_store). With
//!   Redis: `appendonly yes`, `maxmemory-policy noeviction`, an ACL, TLS, and a start that waits
//!   for [`ready`](crate::store::RedisStore::ready).
//!
//! # Browsers
//!
//! - [ ] Everything is served over HTTPS, with `Strict-Transport-Security`.
//! - [ ] Cookies have the prefix `__Host-`, the default.
//! - [ ] The login has a [`CsrfLayer`](crate::csrf::CsrfLayer), and `GET` changes nothing.
//! - [ ] Trusted origins and CORS list the same few origins, as constants: never the `Origin` of
//!   the request.
//! - [ ] Pages have a `Content-Security-Policy`. A script of an attacker cannot read the cookie,
//!   but can use it.
//!
//! # Network
//!
//! - [ ] The proxy passes `Host`, `Origin`, `Sec-Fetch-Site` and `Authorization` unchanged.
//! - [ ] The proxy does not log `Authorization`, `Cookie` and `Set-Cookie`.
//! - [ ] If nginx caches, `proxy_no_cache` and `proxy_cache_bypass` are set
//!   ([why](crate::middleware#shared-caches)).
//! - [ ] Clocks are synchronized. The leeway is 30 seconds.
//! - [ ] The login and `/refresh` have a rate limit: by address and by account. This crate has
//!   none.
//! - [ ] The login, `/refresh` and `/logout` have a timeout, below the grace: a store may hang. See
//!   [deadlines](crate::routes#deadlines).
//!
//! # Operations
//!
//! - [ ] You count refusals by kind, and alert on `unavailable`, `misconfigured`, `missing_layer`
//!   and on reuse of refresh tokens: see [observability](super::observability).
//! - [ ] A test requests every protected route without a token and expects 401, see below.
//! - [ ] You have restarted the store under load on a test system.
//! - [ ] At shutdown, you call [`EmbeddedStore::close`](crate::store::EmbeddedStore::close) after
//!   `axum::serve(…).with_graceful_shutdown(…)` has returned. `close` completes the earlier
//!   calls to the store, then closes the file. Even without it, no acknowledged call is lost.
//!
//! # Deleting an account
//!
//! 1. Delete the user in your database. From now on the password check must fail, and the
//!    [claims function](crate::session::Sessions::claims) must return `Ok(None)`. That rejects
//!    logins, and ends a session at its next refresh.
//! 2. Call [`logout_everywhere`](crate::session::Sessions::logout_everywhere), and repeat it until
//!    it succeeds. All sessions and tokens of the user end, and a login that began before is
//!    rejected.
//!
//! Keep this order. In reverse order, a login between the two steps would last until its next
//! refresh. You do not need [`block`](crate::session::Sessions::block): it is for an account that
//! stays. A block lasts until [`unblock`](crate::session::Sessions::unblock), also for a later
//! account with the same name. Without a block, a later account with that name can log in, and the
//! old tokens stay invalid.
//!
//! To reject the old tokens, the store keeps a few counters for each subject, under its name. Redis
//! keeps an encrypted fingerprint instead of the name. No call removes the counters or the name. So
//! name subjects by an ID that means nothing elsewhere, not by a mail address.
//!
//! # Settings in one place
//!
//! This service does not start with a missing or weak secret. Its test requests every protected
//! route without a token.
//!
//! ```
//! use std::{error::Error, time::Duration};
//! use axum::{Router, routing::{get, post}};
//! use tower_jwt_auth::keys::{Algorithm, SigningKey, SigningKeySet, VerifyingKey};
//! use tower_jwt_auth::routes::{JwksRoute, SessionRoutes};
//! use tower_jwt_auth::session::{RefreshKeys, SessionStore, Sessions};
//!
//! const OPEN: [&str; 3] = ["/.well-known/jwks.json", "/refresh", "/logout"];
//! const PROTECTED: [&str; 2] = ["/notes", "/users"];
//!
//! struct Secrets {
//!     signing_key_pem: String,
//!     /// The public key of the previous signing key, until its tokens have expired.
//!     previous_key_pem: Option<String>,
//!     refresh_secret: String,
//!     previous_refresh_secret: Option<String>,
//! }
//!
//! fn app<S: SessionStore>(store: S, secrets: &Secrets) -> Result<Router, Box<dyn Error>> {
//!     let current = SigningKey::from_pem(Algorithm::ES256, &secrets.signing_key_pem)?;
//!     let previous = match &secrets.previous_key_pem {
//!         Some(pem) => vec![VerifyingKey::from_pem(Algorithm::ES256, pem)?.with_key_id("2025")],
//!         None => Vec::new(),
//!     };
//!     let keys = SigningKeySet::new(current.with_key_id("2026"), previous)?;
//!     let mut refresh_keys = RefreshKeys::new(&secrets.refresh_secret)?;
//!     if let Some(previous) = &secrets.previous_refresh_secret {
//!         refresh_keys = refresh_keys.previous(previous)?;
//!     }
//!     let jwks = JwksRoute::new(keys.verifying_keys());
//!     let sessions = Sessions::new(store, keys, refresh_keys)
//!         .issuer("https://api.example.com")
//!         .audience("https://api.example.com")
//!         .idle_lifetime(Duration::from_secs(7 * 24 * 60 * 60));
//!     let routes = SessionRoutes::new(sessions)?.trusted_origin("https://app.example.com");
//!     Ok(Router::new()
//!         .route("/notes", get(async || "notes"))
//!         .route("/users", get(async || "users"))
//!         .layer(routes.layer())
//!         .route("/.well-known/jwks.json", get(jwks.handler()))
//!         .route("/refresh", post(routes.refresh()))
//!         .route("/logout", post(routes.logout())))
//! }
//! # use axum::{body::Body, http::Request};
//! # use tower::ServiceExt;
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! # let pem = rcgen::KeyPair::generate().unwrap().serialize_pem();
//! # let secrets = Secrets { signing_key_pem: pem, previous_key_pem: None,
//! #     refresh_secret: "x".repeat(32), previous_refresh_secret: Some("y".repeat(32)) };
//! # let app = app(tower_jwt_auth::store::MemoryStore::new(), &secrets).unwrap();
//! // In a test:
//! for path in PROTECTED {
//!     let request = Request::get(path).body(Body::empty()).unwrap();
//!     let response = app.clone().oneshot(request).await.unwrap();
//!     assert_eq!(response.status(), 401, "{path}");
//! }
//! # let request = Request::get(OPEN[0]).body(Body::empty()).unwrap();
//! # assert_eq!(app.oneshot(request).await.unwrap().status(), 200);
//! # }
//! ```
