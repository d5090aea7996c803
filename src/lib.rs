//! Authentication by JSON Web Tokens for axum, tower and hyper: a layer on the router, `Claims<T>` in a handler.
//!
#![cfg_attr(feature = "axum", doc = "```")]
#![cfg_attr(not(feature = "axum"), doc = "```text")]
//! use axum::{Router, routing::get};
//! use serde::Deserialize;
//! use tower_jwt_auth::{Claims, JwtAuthLayer};
//! use tower_jwt_auth::keys::VerifyingKey;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let secret = [7; 32];
//!
//! #[derive(Deserialize)]
//! struct User { sub: String, name: String }
//!
//! async fn me(Claims(user): Claims<User>) -> String { format!("hello {}", user.name) }
//!
//! let key = VerifyingKey::hs256(secret)?;
//! let app = Router::new().route("/me", get(me)).layer(JwtAuthLayer::new(key));
//! # let _: Router = app;
//! # Ok(())
//! # }
//! ```
//!
//! With an issuer, an audience, cookies, and tokens that stop working before they expire:
//!
//! ```
//! # use tower_jwt_auth::{JwtAuthLayer, TokenSource};
//! # let keys = tower_jwt_auth::keys::VerifyingKey::hs256([7; 32]).unwrap();
//! # let store = tower_jwt_auth::store::MemoryStore::new();
//! let layer = JwtAuthLayer::new(keys)                       // impl Into<Trust>: a key, a KeySet, remote keys, [TrustedIssuer; N]
//!     .issuer("https://id.example.com").audience("api")     // set => required
//!     .sources([TokenSource::bearer(), TokenSource::cookie("__Host-access")])
//!     .revocation(store);                                   // any RevocationStore
//! ```
//!
//! # Where to look
//!
#![cfg_attr(
    all(
        feature = "axum",
        feature = "embedded",
        feature = "jwks",
        feature = "redis",
        feature = "testing"
    ),
    doc = "The [guides] show whole services: cookies, mobile apps, login with a provider, stores,\n\
           tests, production.\n"
)]
//!
//! | for | see |
//! | --- | --- |
//! | keys: secrets, PEM, DER, JWK, JWKS documents | [`keys`] |
//! | keys of an OpenID provider, found by its name and kept fresh | `keys::remote` (feature `jwks`) |
//! | what is checked of a token, and in which order | [`verify`] |
//! | tokens that come again, and what is kept of them | [`Verifier::cache`] |
//! | what is answered, CORS, one's own response bodies | [`middleware`] |
//! | protection of cookies against other sites | [`csrf`] |
//! | tokens that stop working before they expire | [`revocation`], and [`store`] for where that is kept |
//! | scopes, roles, and other conditions | [`guard`] |
//! | login, refresh tokens, logout | [`session`]; the handlers are in the module `routes` (feature `axum`) |
//! | keys that other issuers publish | the module `keys::remote` (feature `jwks`) |
//! | login at an OpenID provider, and logout there | [`openid`] |
//! | minting tokens | [`SigningKey`](keys::SigningKey), [`RegisteredClaims`](claims::RegisteredClaims) |
//! | changing the key that signs | [`SigningKeySet`](keys::SigningKeySet) |
//! | setting the cookie | [`TokenCookie`](cookie::TokenCookie) |
//! | verifying without HTTP | [`Verifier`] |
//! | moving the time in tests | [`ManualClock`](clock::ManualClock); with feature `testing`, a whole kit |
//!
//! # What a token does not hide
//!
//! A signed token is not encrypted. Whoever holds it reads its claims: the browser's owner, a proxy that logs headers, a
//! support ticket it is pasted into. The signature only keeps them from changing it. Put an identifier into a token, not a
//! secret, and no more about a person than every holder of it may know.
//!
//! # Why is my token refused
//!
//! The response tells a client no more than "invalid" or "expired". The reason is [`AuthError::kind`], in the extensions
//! of the response and, with feature `tracing`, in an event at `DEBUG` of target `tower_jwt_auth`. The example `gate` shows it
//! for any token and key:
//!
//! ```text
//! cargo run --example gate -- --jwks keys.json --issuer https://id.example.com --audience api --explain
//! ```
//!
//! | kind | look at |
//! | --- | --- |
//! | `no_fitting_key` | the token's `alg` and `kid`, and the key's. One key has one algorithm; in a set the `kid` must match |
//! | `several_fitting_keys` | a token without `kid`: name the keys, and have the issuer write `kid` |
//! | `bad_signature` | the secret: byte for byte the issuer's, or base64 that should have been decoded? |
//! | `unexpected_audience` | the token has an `aud`: name yours with [`audience`](JwtAuthLayer::audience) |
//! | `wrong_issuer`, `wrong_audience` | a slash at the end, the scheme, upper case: they are compared byte for byte |
//! | `missing_expiry` | a token without `exp` never dies, and is not accepted |
//! | `malformed_claims` | `exp` in milliseconds or as a string, a claim twice; the error's source says where |
//! | `issued_in_future`, `not_yet_valid`, `expired` | both clocks; [`leeway`](JwtAuthLayer::leeway) is 30 seconds |
//! | `wrong_type` | `typ`: an ID token, a refresh token or a logout token is no access token |
//! | `claims_mismatch` | the handler's own type: a field that the token lacks, or has as another type |
//! | `missing_token` | the scheme (`Bearer`), the cookie's name, a proxy that strips `Authorization` |
//! | `missing_token_id` | with a revocation store a token needs a `jti`: see [`token_id_optional`](JwtAuthLayer::token_id_optional) |
//! | `revoked` | the store: the token itself, its session, or its subject |
//! | `insufficient_scope` | `scope`, `scp` or your own claims; the [guard](guard) says which it looks at |
//! | `unavailable` | the store, the condition or the issuer of the keys that did not answer in time: the error's source says why |
//! | `cross_site` | `Origin` or `Sec-Fetch-Site` of a request with a cookie: see [`csrf`] |
//!
//! # Features
//!
//! | feature | effect | default |
//! | --- | --- | --- |
//! | `axum` | extractors, and `AuthError` as a rejection, through `axum-core` | yes |
//! | `aws_lc_rs` | signatures by `aws-lc-rs` | yes |
//! | `rust_crypto` | signatures by the crates of RustCrypto, in Rust alone, unless `aws_lc_rs` is on | no |
//! | `tracing` | one event for each refused request, without secrets | yes |
//! | `embedded` | [`store`]: sessions and revocations in one file, by `redb` | no |
//! | `redis` | [`store`]: sessions and revocations shared by many nodes, in Redis or Valkey, by `redis` | no |
//! | `jwks` | `keys::remote`: keys that other issuers publish, by `reqwest` and `rustls` | no |
//! | `testing` | the module `testing`: tokens, time and failures for the tests of a service | no |
//!
//! No feature changes what the others do.
//!
//! # Which crypto back-end
//!
//! Without one no key can be made: [`KeyError::NoBackend`](keys::KeyError::NoBackend). With both, `aws_lc_rs` is used, so a
//! dependency that enables the other changes nothing. Either has every [`Algorithm`](keys::Algorithm), accepts the other's
//! signatures, and refuses the same weak keys. The provider that `jsonwebtoken` holds for the whole process is neither set nor
//! asked.
//!
//! Prefer `aws_lc_rs`, most of all for signing with RSA: the private operations of the crate `rsa` do not take constant time
//! ([RUSTSEC-2023-0071](https://rustsec.org/advisories/RUSTSEC-2023-0071.html)), so who can measure them well may learn the
//! key. Verifying is not affected. `rust_crypto` is for targets that `aws-lc-rs`, with its C, does not reach:
//!
//! ```toml
//! tower-jwt-auth = { version = "0.1", default-features = false, features = ["axum", "rust_crypto", "tracing"] }
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    test,
    expect(clippy::arithmetic_side_effects, reason = "a test that panics fails")
)]

mod cache;
pub mod claims;
pub mod clock;
pub mod cookie;
#[cfg(feature = "axum")]
mod extract;
pub mod guard;
// Documentation alone, whose links and examples need these features.
#[cfg(all(
    any(doc, doctest),
    feature = "axum",
    feature = "embedded",
    feature = "jwks",
    feature = "redis",
    feature = "testing"
))]
#[cfg_attr(docsrs, doc(auto_cfg = false))]
pub mod guides;
mod json;
pub mod keys;
pub mod middleware;
pub mod openid;
mod per_thread;
pub mod revocation;
#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
pub mod routes;
pub mod session;
pub mod store;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;
mod token;
pub mod verify;

#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
pub use extract::{Allowed, Claims, Permission};
pub use guard::Require;
pub use middleware::{AuthError, AuthErrorKind, JwtAuthLayer, TokenSource, csrf};
pub use verify::{TrustedIssuer, VerifiedToken, Verifier, VerifyError, VerifyErrorKind};

#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../README.md")]
struct Readme;
