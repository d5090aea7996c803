//! Several issuers: a partner, an issuer that changes its keys, tenants, and issuers of your
//! customers.
//!
//! Each issuer has its own keys, and `iss` chooses them. A [`TrustedIssuer`](crate::TrustedIssuer)
//! is one issuer, or all tenants of a provider.
//!
//! # A partner next to your own issuer
//!
//! A role has a meaning only together with its issuer. Without `Require::issuer`, a partner that
//! writes `"roles": ["admin"]` into its tokens opens your admin page.
//!
#![cfg_attr(feature = "axum", doc = "```")]
#![cfg_attr(not(feature = "axum"), doc = "```text")]
//! use axum::{Router, routing::get};
//! use tower_jwt_auth::keys::VerifyingKey;
//! use tower_jwt_auth::{JwtAuthLayer, Require, TrustedIssuer};
//!
//! # fn app(ours: VerifyingKey, partner: VerifyingKey) -> Router {
//! let auth = JwtAuthLayer::new([
//!     TrustedIssuer::new("https://id.example.com", ours),
//!     TrustedIssuer::new("https://id.partner.example", partner),
//! ])
//! .audience("api");
//! let admin = Require::issuer("https://id.example.com")
//!     .and(Require::scope("admin").at(["roles"]));
//! Router::new()
//!     .route("/admin", get(|| async { "admin" }))
//!     .route_layer(admin)
//!     .layer(auth)
//! # }
//! ```
//!
//! This layer accepts tokens of both issuers from each of its sources. If only your own tokens
//! may come by cookie, give the partner's routes a separate layer without the cookie.
//!
//! # Claims that differ by issuer
//!
//! Make `iss` the tag of an enum. Then the issuer that was verified chooses the variant, and a
//! token whose claims do not decode as that variant gets 401.
//!
#![cfg_attr(feature = "axum", doc = "```")]
#![cfg_attr(not(feature = "axum"), doc = "```text")]
//! use serde::Deserialize;
//! use tower_jwt_auth::Claims;
//!
//! #[derive(Deserialize)]
//! #[serde(tag = "iss")]
//! enum Caller {
//!     #[serde(rename = "https://id.example.com")]
//!     Employee { sub: String, department: String },
//!     #[serde(rename = "https://id.partner.example")]
//!     Partner { sub: String, company: String },
//! }
//!
//! async fn report(Claims(caller): Claims<Caller>) -> String {
//!     match &*caller {
//!         Caller::Employee { department, .. } => department.clone(),
//!         Caller::Partner { company, .. } => company.clone(),
//!     }
//! }
//! # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(report));
//! ```
//!
//! - serde uses `iss` as the tag, so a variant cannot also have a field `iss`. Read the issuer from
//!   [`VerifiedToken::issuer`](crate::VerifiedToken::issuer).
//! - Do not use `#[serde(untagged)]`. With it, the first variant that decodes is chosen, so a
//!   partner with a claim `department` becomes your employee.
//! - The tag is safe only if `iss` chooses the keys, as with
//!   [`TrustedIssuer`](crate::TrustedIssuer). If you trust a key alone, its
//!   owner can write any `iss`.
//! - The name of a tenant's issuer is not known in advance. Take the
//!   [`VerifiedToken`](crate::VerifiedToken), look at its issuer, then call
//!   [`claims`](crate::VerifiedToken::claims) with the type for it. A handler returns the error by
//!   `.map_err(AuthError::from)?`.
//!
//! # Supabase: from a shared secret to published keys
//!
//! Old tokens are signed with the secret (HS256), new ones with keys that the project publishes
//! (ES256). Trust both until the last old token has expired, then drop the secret.
//!
#![cfg_attr(feature = "jwks", doc = "```no_run")]
#![cfg_attr(not(feature = "jwks"), doc = "```text")]
//! use tower_jwt_auth::keys::{VerifyingKey, remote::RemoteKeys};
//! use tower_jwt_auth::{JwtAuthLayer, TrustedIssuer};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let issuer = "https://project.supabase.co/auth/v1";
//! let secret = VerifyingKey::hs256(std::env::var("SUPABASE_JWT_SECRET")?)?;
//! let published = RemoteKeys::discover(issuer).build()?;
//! let auth = JwtAuthLayer::new(TrustedIssuer::new(issuer, secret).keys(published))
//!     .audience("authenticated");
//! # Ok(())
//! # }
//! ```
//!
//! While the published keys are unavailable, old tokens are still accepted.
//!
//! # Microsoft Entra ID: many tenants
//!
//! Each tenant is an issuer with its own name, and all tenants share the keys. List the tenants of
//! your customers.
//!
#![cfg_attr(feature = "jwks", doc = "```no_run")]
#![cfg_attr(not(feature = "jwks"), doc = "```text")]
//! use tower_jwt_auth::keys::remote::RemoteKeys;
//! use tower_jwt_auth::{JwtAuthLayer, TrustedIssuer};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pattern = "https://login.microsoftonline.com/{tenantid}/v2.0";
//! let keys = RemoteKeys::discover(pattern).build()?;
//! let entra = TrustedIssuer::tenants(pattern, keys)
//!     .tenant("72f988bf-86f1-41af-91ab-2d7cd011db47")
//!     .tenant("9188040d-6c67-4c5b-b112-36a304b66dad");
//! let auth = JwtAuthLayer::new(entra).audience("6731de76-14a6-49ae-97bc-6eba6914391e");
//! # Ok(())
//! # }
//! ```
//!
//! - A token is accepted if its `iss` is that of a listed tenant, and its `tid` is the same tenant.
//! - Microsoft's keys name their issuer too. Such a key verifies only tokens of that issuer.
//! - [`any_tenant`](crate::TrustedIssuer::any_tenant) accepts every tenant. Anybody can create a
//!   tenant, so your handlers must check the tenant of each token.
//! - `sub` is unique within its issuer only. Use it together with
//!   [`issuer`](crate::VerifiedToken::issuer).
//! - v1.0 tokens have `https://sts.windows.net/{tenantid}/` as issuer. For those, fetch the keys
//!   from `https://login.microsoftonline.com/common/discovery/keys` with
//!   [`RemoteKeys::jwks`](crate::keys::remote::RemoteKeys::jwks).
//!
//! # Customers with their own issuers
//!
//! Your database knows which issuers are trusted. An
//! [`IssuerResolver`](crate::verify::IssuerResolver) looks them up, and its answers are cached.
//!
#![cfg_attr(feature = "jwks", doc = "```")]
#![cfg_attr(not(feature = "jwks"), doc = "```text")]
//! use std::{collections::HashMap, io};
//! use tower_jwt_auth::keys::remote::RemoteKeys;
//! use tower_jwt_auth::verify::{IssuerResolution, IssuerResolver};
//! use tower_jwt_auth::{JwtAuthLayer, TrustedIssuer};
//!
//! /// Updated when a customer signs up or leaves.
//! struct Customers(HashMap<String, RemoteKeys>);
//!
//! impl IssuerResolver for Customers {
//!     type Error = io::Error;
//!
//!     async fn resolve(&self, issuer: &str) -> Result<Option<TrustedIssuer>, io::Error> {
//!         // `issuer` is not verified: look it up, and do not fetch it.
//!         let keys = self.0.get(issuer);
//!         Ok(keys.map(|keys| TrustedIssuer::new(issuer, keys.clone())))
//!     }
//! }
//!
//! # let customers = Customers(HashMap::new());
//! let auth = JwtAuthLayer::new(IssuerResolution::new(customers)).audience("api");
//! ```
//!
//! | if | then |
//! | --- | --- |
//! | a customer leaves | its tokens, also cached ones, are rejected within 10 minutes; within about 5 if it sends requests often |
//! | a customer signs up after its first token was rejected | its tokens are accepted within a minute |
//! | the resolver fails or hangs | known issuers work for 5 more minutes, new ones get 503 |
//! | an attacker sends a million names | the memory stays bounded, and known issuers are not affected |
//!
//! # Your own users by cookie, another issuer by `Authorization`
//!
//! One part of the service accepts the other issuer, and reads only `Authorization`:
//!
//! ```
//! use axum::{Router, routing::get};
//! use tower_jwt_auth::routes::SessionRoutes;
//! use tower_jwt_auth::session::SessionStore;
//! use tower_jwt_auth::{TokenSource, TrustedIssuer, VerifiedToken};
//!
//! fn app<S: SessionStore>(routes: &SessionRoutes<S>, partner: TrustedIssuer) -> Router {
//!     // Accepts this `typ` of the partner. Your own tokens have `at+jwt`.
//!     let both = routes.clone().trusted_issuer(partner.typ("JWT")).layer();
//!     let api = Router::new()
//!         .route("/reports", get(async |_: VerifiedToken| "reports"))
//!         .layer(both.sources([TokenSource::bearer()]));
//!     Router::new()
//!         .route("/account", get(async |_: VerifiedToken| "your account"))
//!         .layer(routes.layer())
//!         .nest("/api", api)
//! }
//! ```
//!
//! # Only the other issuer
//!
//! A route for the partner alone gets its own layer, beside the routes of your sessions. It reads
//! only `Authorization`:
//!
//! ```
//! use axum::{Router, routing::get};
//! use tower_jwt_auth::keys::VerifyingKey;
//! use tower_jwt_auth::routes::SessionRoutes;
//! use tower_jwt_auth::session::SessionStore;
//! use tower_jwt_auth::{JwtAuthLayer, VerifiedToken};
//!
//! fn app<S: SessionStore>(routes: &SessionRoutes<S>, partner: VerifyingKey) -> Router {
//!     let only_partner = JwtAuthLayer::new(partner)
//!         .issuer("https://id.partner.example")
//!         .audience("api")
//!         .revocation(routes.sessions().store().clone());
//!     let orders = Router::new()
//!         .route("/orders", get(async |_: VerifiedToken| "orders"))
//!         .layer(only_partner);
//!     Router::new()
//!         .route("/account", get(async |_: VerifiedToken| "your account"))
//!         .layer(routes.layer())
//!         .nest("/partner", orders)
//! }
//! ```
//!
//! - This layer shares only the store with the routes. Call
//!   [`respond`](crate::JwtAuthLayer::respond) and, in tests, [`clock`](crate::JwtAuthLayer::clock)
//!   on it too.
//! - The store keeps subjects, sessions and token IDs of issuers apart. A block of the partner's
//!   `u1` does not affect your `u1`.
//! - This layer needs the store only if you revoke the partner's tokens or block its subjects. With
//!   a store, tokens need a `jti`, unless you call
//!   [`token_id_optional`](crate::JwtAuthLayer::token_id_optional).
