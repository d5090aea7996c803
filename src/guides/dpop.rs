//! An API whose tokens are useless to a thief: DPoP (RFC 9449).
//!
//! A bearer token works for anyone who holds it: a proxy that logs headers, a browser extension, a
//! leaked file. A token that is bound to a key works only with the private key, which never leaves
//! the client. Each request carries a proof: a short JWT about this request, signed with the key.
//!
//! If you log users in yourself, see [bound sessions](super::bound_sessions). Otherwise you need an
//! authorization server that binds tokens, such as Keycloak, Okta or `oidc-provider`. The client
//! sends this server a proof with the token request. The access token then has the thumbprint of
//! the key: `"cnf": { "jkt": "…" }`.
//!
//! # The service
//!
//! ```no_run
//! use axum::http::{HeaderName, HeaderValue, Method, header};
//! use axum::{Router, routing::get};
//! use tower_http::cors::CorsLayer;
//! use tower_jwt_auth::dpop::Dpop;
//! use tower_jwt_auth::keys::remote::RemoteKeys;
//! use tower_jwt_auth::{JwtAuthLayer, TokenSource, VerifiedToken};
//!
//! async fn me(token: VerifiedToken) -> String {
//!     token.subject().unwrap_or_default().to_owned()
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let keys = RemoteKeys::discover("https://id.example.com").build()?;
//!     // The URL by which clients reach the path `/` of this router, before any proxy changes it.
//!     let dpop = Dpop::new("https://api.example.com")?;
//!     let auth = JwtAuthLayer::new(keys)
//!         .audience("https://api.example.com")
//!         .sources([TokenSource::dpop(dpop)]);
//!     // Pages of another origin send proofs, and read challenges and nonces.
//!     let dpop = HeaderName::from_static("dpop");
//!     let nonce = HeaderName::from_static("dpop-nonce");
//!     let cors = CorsLayer::new()
//!         .allow_origin(HeaderValue::from_static("https://app.example.com"))
//!         .allow_methods([Method::GET, Method::POST])
//!         .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, dpop])
//!         .expose_headers([header::WWW_AUTHENTICATE, nonce]);
//!     let app = Router::new().route("/me", get(me)).layer(auth).layer(cors);
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//!     axum::serve(listener, app).await?;
//!     Ok(())
//! }
//! ```
//!
//! # A move from bearer tokens
//!
//! 1. Add the source, and keep the others: `.source(TokenSource::dpop(dpop))`. Old clients go on
//!    with unbound tokens under `Bearer`. A bound token already needs its proof.
//! 2. Have the clients ask for bound tokens.
//! 3. Replace the sources: `.sources([TokenSource::dpop(dpop)])`.
//!
//! # Which options you need
//!
//! | if | then |
//! | --- | --- |
//! | a proxy or `nest` removes a prefix | add it to the [base URL](crate::dpop#the-url-of-the-request) |
//! | a thief with temporary access to a device could make proofs in advance | [`Dpop::nonces`](crate::dpop::Dpop::nonces), with one secret for all nodes |
//! | a replay within 90 seconds, on another node or after a restart, does harm | [`Dpop::replay_store`](crate::dpop::Dpop::replay_store), shared by all nodes, such as `RedisStore` (feature `redis`) |
//! | one client sends more than about 500 requests a second to a node | [`ReplayMemory::capacity`](crate::dpop::ReplayMemory::capacity) |
//! | your profile of OAuth limits algorithms | [`Dpop::algorithms`](crate::dpop::Dpop::algorithms) |
//!
//! Keep the clocks of clients within 30 seconds: a proof is rejected if its `iat` is further in the
//! future, or more than [60 seconds](crate::dpop::Dpop::lifetime) old.
//!
//! # What remains
//!
//! - A script that is injected into the page can use the key while the page is open, even if
//!   the key cannot be copied.
//! - The proof covers method and URL, but neither query nor body. Use TLS everywhere.
