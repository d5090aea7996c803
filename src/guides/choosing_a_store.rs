//! Where sessions and revocations live: in memory, in a file, or in Redis.
//!
//! A store keeps two things. Sessions let a refresh token renew access tokens. Revocations make
//! the layer reject an access token before it expires. All stores of this crate do both, so you
//! choose one and pass it to [`Sessions`](crate::session::Sessions) and
//! [`JwtAuthLayer`](crate::JwtAuthLayer).
//!
//! | your service | store | feature |
//! | --- | --- | --- |
//! | runs in tests, or may lose all sessions at a restart | [`MemoryStore`](crate::store::MemoryStore) | |
//! | is one process on one machine | [`EmbeddedStore`](crate::store::EmbeddedStore) | `embedded` |
//! | is several processes or machines | [`RedisStore`](crate::store::RedisStore) | `redis` |
//! | has a database that must hold the revocations | your own [`RevocationStore`](crate::revocation::RevocationStore) | |
//!
//! You can start with one and change later. If your code calls no method of the store itself, only
//! the line that opens the store changes. Contents are not copied from one store to another: all
//! users log in again, and no block or revocation is in force any more. So use a new signing key,
//! and repeat the blocks.
//!
//! # In memory
//!
#![doc = include_str!("../../docs/pictures/store_memory.svg")]
//!
//! Nothing to install or to configure. A restart ends all sessions and forgets all revocations and
//! blocks: blocked users can log in again. If the signing key is the same after the restart, a
//! revoked access token is valid again until it expires. To prevent this, use a new key from
//! [`SigningKey::generate`](crate::keys::SigningKey::generate) at each start.
//!
//! # In a file
//!
#![doc = include_str!("../../docs/pictures/store_file.svg")]
//!
//! The store acknowledges a change once it is on disk. The file is locked: a second process gets
//! [`InUse`](crate::store::EmbeddedStoreError::InUse). During a deployment the new process must
//! wait until the old one has closed the file. Look-ups read memory, so a slow disk delays logins,
//! renewals and logouts, but no other request.
//!
//! # In Redis
//!
#![doc = include_str!("../../docs/pictures/store_redis.svg")]
//!
//! Each node holds all revocations in memory and follows a stream. A logout on one node is
//! effective on the others within milliseconds. No check of an access token waits for Redis, unless
//! the nodes [share DPoP proofs](crate::store::redis#dpop-proofs). A node that lags behind Redis by
//! more than 5 seconds ([`max_staleness`](crate::store::RedisStoreOptions::max_staleness)) answers
//! 503 by default, because it may have missed revocations.
//!
//! # What survives
//!
//! | event | memory | file | Redis |
//! | --- | --- | --- | --- |
//! | your process restarts | nothing | everything | everything |
//! | the machine loses power | nothing | everything | everything, unless Redis ran on that machine |
//! | Redis restarts | | | what its settings keep; running nodes also keep the revocations |
//! | Redis is down | | | access tokens work for up to 5 seconds, then get 503 by default; logins, renewals, logouts and shared DPoP proofs get 503 |
//! | the disk fails | | look-ups go on, changes get 503 | see the settings of Redis |
//!
//! # A lost second of Redis
//!
//! With `appendfsync everysec`, a crash of the machine that runs Redis can lose the last second or
//! two of writes. The promotion of a replica can lose them too. The table shows the effect for each
//! kind of write:
//!
//! | lost write | effect |
//! | --- | --- |
//! | a login | The session does not exist. The access token works until it expires; then the user logs in again. |
//! | a renewal | The client's refresh token is newer than the store's record. The token is accepted. You get the event [`LostWrites`](crate::session::SessionEventKind::LostWrites). |
//! | a logout, a revocation, a block | Running nodes that made or read the revocation write it back. It is lost only if all of them stopped too. |
//!
//! After a lost logout, Redis has the session again. In a rare case its refresh token [is accepted
//! later](crate::store::redis#what-redis-may-lose), although a node wrote the revocation back.
//! With `appendfsync always` nothing is lost as long as the disk survives. For replicas and
//! Sentinel, see [what Redis may lose](crate::store::redis#what-redis-may-lose).
//!
//! # A service for any store
//!
//! Make the store a type parameter, and choose it where the service starts. Or use one type for all
//! stores: [`BoxSessionStore`](crate::session::BoxSessionStore).
//!
//! Each store has a method `revoke` for single tokens. It is not part of
//! [`SessionStore`](crate::session::SessionStore), so a service that calls it must name the
//! concrete type of its store. [`SessionStore::block`](crate::session::SessionStore::block) works
//! with every store, for users of any issuer.
//!
//! ```no_run
//! use std::{env, error::Error, time::Duration};
//! use axum::{Router, routing::{get, post}};
//! use tower_jwt_auth::VerifiedToken;
//! use tower_jwt_auth::keys::{Algorithm, SigningKey};
//! use tower_jwt_auth::routes::SessionRoutes;
//! use tower_jwt_auth::session::{RefreshKeys, SessionStore, Sessions};
//! use tower_jwt_auth::store::redis::client::Client;
//! use tower_jwt_auth::store::{EmbeddedStore, MemoryStore, RedisStoreOptions};
//!
//! async fn me(token: VerifiedToken) -> String {
//!     token.subject().unwrap_or_default().to_owned()
//! }
//!
//! /// Login is in the other guides.
//! fn app<S: SessionStore>(store: S) -> Result<Router, Box<dyn Error>> {
//!     // All nodes and all restarts need the same secrets. They need 32 bytes or more.
//!     let signing_key = SigningKey::from_secret(Algorithm::HS256, env::var("SIGNING_SECRET")?)?;
//!     let refresh_keys = RefreshKeys::new(env::var("REFRESH_SECRET")?)?;
//!     let sessions = Sessions::new(store, signing_key, refresh_keys).issuer("https://a.example");
//!     let routes = SessionRoutes::new(sessions)?;
//!     Ok(Router::new()
//!         .route("/me", get(me))
//!         .layer(routes.layer())
//!         .route("/refresh", post(routes.refresh()))
//!         .route("/logout", post(routes.logout())))
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn Error>> {
//!     let app = match env::var("STORE")?.as_str() {
//!         "memory" => app(MemoryStore::new())?,
//!         "file" => app(EmbeddedStore::open("/var/lib/service/sessions").await?)?,
//!         _ => {
//!             let redis = Client::open(env::var("REDIS_URL")?)?;
//!             let options = RedisStoreOptions::new(env::var("STORE_SECRET")?)?;
//!             let store = options.connect(redis).await?;
//!             // Wait until this node has read all revocations, or fail to start.
//!             store.ready(Duration::from_secs(10)).await?;
//!             app(store)?
//!         }
//!     };
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//!     axum::serve(listener, app).await?;
//!     Ok(())
//! }
//! ```
//!
//! Two nodes that run at the same time: `cargo run --example many_nodes --features redis`.
