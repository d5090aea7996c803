//! How to accept opaque tokens: the layer asks their issuer about each one (RFC 7662).
//!
//! You need this guide if access tokens of your issuer are not JWTs. You also need it to reject a
//! token within seconds after the issuer revokes it. Otherwise verify JWTs: that needs no request.
//!
//! # Set up
//!
//! 1. Register your API as a client of the issuer. Allow it to introspect tokens.
//! 2. Enable feature `introspection`.
//! 3. Name the issuer, the client and the audience.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use serde::Deserialize;
//! use tower_jwt_auth::introspection::{ClientAuthentication, Introspection};
//! use tower_jwt_auth::{Claims, JwtAuthLayer, Require};
//!
//! #[derive(Deserialize)]
//! struct User { sub: String, username: Option<String> }
//!
//! async fn me(Claims(user): Claims<User>) -> String {
//!     user.username.clone().unwrap_or_else(|| user.sub.clone())
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let secret = std::fs::read_to_string("client-secret")?;
//! let client = ClientAuthentication::secret_basic("my-api", secret.trim());
//! let introspection = Introspection::discover("https://id.example.com", client).build()?;
//! let app: Router = Router::new()
//!     .route("/me", get(me))
//!     .route_layer(Require::scope("profile"))
//!     .layer(JwtAuthLayer::new(introspection).audience("https://api.example.com"));
//! # Ok(())
//! # }
//! ```
//!
//! The claims are the members of the answer. Handlers and guards do not change.
//!
//! # How your service authenticates
//!
//! | the issuer's name for the method | call |
//! | --- | --- |
//! | `client_secret_basic` | [`ClientAuthentication::secret_basic`] |
//! | `client_secret_post` | [`ClientAuthentication::secret_post`] |
//! | `private_key_jwt`, `client_secret_jwt` | [`ClientAuthentication::private_key_jwt`](crate::introspection::ClientAuthentication::private_key_jwt) |
//! | `tls_client_auth` | [`ClientAuthentication::tls`], and your own HTTP client |
//!
//! With a private key no secret leaves your service:
//!
//! ```no_run
//! use tower_jwt_auth::introspection::{ClientAuthentication, Introspection};
//! use tower_jwt_auth::keys::{Algorithm, SigningKey};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let key = SigningKey::from_pem(Algorithm::ES256, std::fs::read("client.pem")?)?;
//! let client = ClientAuthentication::private_key_jwt("my-api", key.with_key_id("2026"));
//! let introspection = Introspection::discover("https://id.example.com", client).build()?;
//! # Ok(())
//! # }
//! ```
//!
//! # Both kinds of token
//!
//! Many issuers have JWTs for some clients and opaque tokens for others. Then trust both. If a
//! token has the form of a JWT, the layer uses the keys to verify it. It asks the issuer about all
//! other tokens:
//!
//! ```no_run
//! use tower_jwt_auth::JwtAuthLayer;
//! use tower_jwt_auth::introspection::{ClientAuthentication, Introspection};
//! use tower_jwt_auth::keys::remote::RemoteKeys;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let client = ClientAuthentication::secret_basic("my-api", "secret");
//! let issuer = "https://id.example.com";
//! let layer = JwtAuthLayer::new(RemoteKeys::discover(issuer).build()?)
//!     .introspection(Introspection::discover(issuer, client).build()?)
//!     .audience("https://api.example.com");
//! # Ok(())
//! # }
//! ```
//!
//! # Choose the times
//!
//! | you want | set |
//! | --- | --- |
//! | fewer requests to the issuer | a longer [`lifetime`](crate::introspection::IntrospectionBuilder::lifetime): a revoked token passes for that long |
//! | a revocation that counts at once | a `lifetime` of zero: each request then waits for the issuer |
//! | shorter waits during an outage | a shorter [`deadline`](crate::introspection::IntrospectionBuilder::deadline) |
//!
//! A flood of random tokens causes at most 32 concurrent calls to the issuer. Requests with
//! remembered tokens do not wait for these calls.
//!
//! # What can go wrong
//!
//! | you see | reason |
//! | --- | --- |
//! | `inactive` for every token | the client may not introspect tokens of other clients: allow it at the issuer |
//! | `unavailable`, and the log says that the issuer answered 401 or 403 | the client's credentials, or its authentication method, are wrong |
//! | `missing_audience` | the answer has no `aud`: have the issuer add it. Or call [`any_audience`], and check another claim with a guard |
//! | `wrong_type` | `token_type` or `token_use` of the answer is not that of an access token: it may be a refresh token. Or the answer has neither, and the layer checks no audience |
//! | `wrong_issuer` | `iss` of the answer differs from the name that you gave |
//! | `missing_token_id` | a revocation store is set, and the answer has no `jti`: call [`token_id_optional`] |
//!
//! [`introspection`](crate::introspection) has all rules and limits.
//!
//! [`ClientAuthentication::secret_basic`]: crate::introspection::ClientAuthentication::secret_basic
//! [`ClientAuthentication::secret_post`]: crate::introspection::ClientAuthentication::secret_post
//! [`ClientAuthentication::tls`]: crate::introspection::ClientAuthentication::tls
//! [`any_audience`]: crate::JwtAuthLayer::any_audience
//! [`token_id_optional`]: crate::JwtAuthLayer::token_id_optional
