//! Authentication by JSON Web Tokens for axum, tower and hyper: a layer on the router, `Claims<T>`
//! in a handler.
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
//! With an issuer, an audience, cookies and revocation:
//!
//! ```
//! # use tower_jwt_auth::{JwtAuthLayer, TokenSource};
//! # let keys = tower_jwt_auth::keys::VerifyingKey::hs256([7; 32]).unwrap();
//! # let store = tower_jwt_auth::store::MemoryStore::new();
//! // A key, a KeySet, remote keys, or TrustedIssuers.
//! let layer = JwtAuthLayer::new(keys)
//!     // Leave this out for TrustedIssuers and discovered keys: they name their issuer.
//!     .issuer("https://id.example.com")
//!     .audience("api")
//!     .sources([TokenSource::bearer(), TokenSource::cookie("__Host-access")])
//!     .revocation(store); // any RevocationStore
//! ```
//!
//! # Where to look
//!
#![cfg_attr(
    all(
        feature = "axum",
        feature = "embedded",
        feature = "introspection",
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
//! | keys of an OpenID provider, discovered and refreshed | `keys::remote` (feature `jwks`) |
//! | opaque tokens, by introspection | the module `introspection` (feature `introspection`) |
//! | what is checked of a token, and in which order | [`verify`] |
//! | tokens that are bound to a key of the client (DPoP) | [`dpop`] |
//! | tokens that are bound to the client's certificate (mutual TLS) | [`mtls`] |
//! | the cache of verified tokens | [`Verifier::cache`] |
//! | responses, CORS, your own response bodies | [`middleware`] |
//! | an MCP server, or another API that clients discover | [`ProtectedResource`] |
//! | protection against cross-site request forgery | [`csrf`] |
//! | revoking tokens before they expire | [`revocation`], and [`store`] for the stores |
//! | scopes, roles, and other conditions | [`guard`] |
//! | login, refresh tokens, logout | [`session`]; the handlers are in the module `routes` (feature `axum`) |
//! | login at an OpenID provider, and logout there | [`openid`] |
//! | signing tokens | [`SigningKey`](keys::SigningKey), [`RegisteredClaims`](claims::RegisteredClaims) |
//! | replacing the signing key | [`SigningKeySet`](keys::SigningKeySet) |
//! | setting the cookie | [`TokenCookie`](cookie::TokenCookie) |
//! | verifying without HTTP | [`Verifier`] |
//! | time in tests | [`ManualClock`](clock::ManualClock); with feature `testing`, a whole kit |
//!
//! # What a token does not hide
//!
//! A signed token is not encrypted. Every holder can read its claims: the user, a proxy that logs
//! headers, the reader of a support ticket. The signature only prevents changes. Put identifiers
//! into a token. Do not put secrets into it, or personal data that a holder must not see.
//!
//! # Why is my token rejected?
//!
//! Most rejections are logged at level `DEBUG`, and some at [higher levels](#events). Set
//! `RUST_LOG=tower_jwt_auth=debug` to see them all. Without `tracing-subscriber` or another
//! subscriber nothing is logged.
//!
//! The response to a bad token says "invalid" or "expired", and nothing more. [`AuthError::kind`]
//! says which check failed. The `AuthError` is in the response's extensions. With feature `tracing`
//! there is also an [event](#events). Its field `reason` shows the configured value, or names the
//! claim that failed. In the table below, "the reason" is this field. The values of a token's
//! claims never appear.
//!
//! The program `gate` shows each check for any token and key:
//!
//! ```text
//! cargo install tower-jwt-auth --features gate
//! gate --discover https://id.example.com --audience api < token
//! ```
//!
//! | kind | check |
//! | --- | --- |
//! | `inactive` | the issuer does not know the opaque token, or the token has expired or was revoked; some issuers also answer this if your client is not allowed to introspect the token |
//! | `no_fitting_key` | if the reason lists `alg` or `kid` of the keys, compare them with those of the token. A key has one algorithm; in a set the `kid` must match. If the reason is about `x5t#S256` or `x5t`, compare the thumbprints of certificates. Thumbprints count only if a key of the set has one. Then a token with a thumbprint, but without `kid`, needs a key with the same thumbprint. A token with both is rejected if the key with its `kid` has another thumbprint |
//! | `several_fitting_keys` | the token has no `kid`: have the issuer add it. Or keys share a `kid`: see [`try_keys_with_same_id`](keys::KeySet::try_keys_with_same_id) |
//! | `bad_signature` | the secret: does it equal the issuer's byte for byte, or must you decode it from base64 first? |
//! | `unexpected_audience` | the token has an `aud`: name yours with [`audience`](JwtAuthLayer::audience) |
//! | `missing_audience` | the token has no `aud`. These need it: [`audience`](JwtAuthLayer::audience), [`rfc9068`](JwtAuthLayer::rfc9068), fetched keys, opaque tokens, a resolver of issuers. For the last three see [`any_audience`](JwtAuthLayer::any_audience) |
//! | `missing_issuer` | the token has no `iss`. These require it: [`TrustedIssuer`], [`issuer`](JwtAuthLayer::issuer), [`rfc9068`](JwtAuthLayer::rfc9068), discovered keys, a key whose JWK has `issuer`, a resolver of issuers |
//! | `wrong_issuer`, `wrong_audience` | a trailing slash, the scheme, upper case: they are compared byte for byte |
//! | `unknown_issuer` | none of the trusted issuers has this name; names are compared byte for byte |
//! | `wrong_tenant`, `wrong_key_issuer` | `tid`, `iss` and the `issuer` of the key must agree: see [`TrustedIssuer::tenants`] |
//! | `missing_expiry` | a token without `exp` would never expire: have the issuer add it, or [allow it](Verifier::allow_missing_expiry) |
//! | `missing_claim` | a setting requires the claim that the reason names: [`rfc9068`](JwtAuthLayer::rfc9068) requires several, and [`allow_missing_expiry`](Verifier::allow_missing_expiry) requires `iat` |
//! | `malformed_claims` | `exp` in milliseconds or as a string, a duplicate claim; `null` or a number in `sub` [may be allowed](verify#what-may-be-relaxed) |
//! | `issued_in_future`, `not_yet_valid`, `expired` | the issuer's clock and yours; the default [`leeway`](JwtAuthLayer::leeway) is 30 seconds |
//! | `wrong_type` | `typ`, or `token_type` in the answer about an opaque token: ID tokens, refresh tokens and logout tokens are not access tokens. The layer of `SessionRoutes` requires `at+jwt`: for another issuer see [`TrustedIssuer::typ`] and [`typ_optional`](TrustedIssuer::typ_optional) |
//! | `claims_mismatch` | the handler's claims type: the reason names the type, and the claim that is missing or has another JSON type |
//! | `missing_token` | the scheme (`Bearer`), the cookie's name, a proxy that removes `Authorization` |
//! | `sender_constrained` | the token has `cnf`: it needs a proof under `DPoP`, see [`dpop`], or a certificate, see [`mtls`] |
//! | `missing_certificate` | the client's TLS settings; whether your server or proxy asks for a certificate, and passes it on: see [`mtls`] |
//! | `wrong_certificate` | the token was issued for another certificate, perhaps before the client renewed it |
//! | `malformed_certificate` | the header `Client-Cert` as your proxy writes it: RFC 9440, neither PEM nor percent-encoded |
//! | `untrusted_proxy` | the trusted proxies of [`Mtls::behind_proxies`](mtls::Mtls::behind_proxies): the reason lists them; or somebody forges `Client-Cert` |
//! | `dpop_wrong_url` | the base URL of [`Dpop::new`](dpop::Dpop::new): it must be the URL that clients use for the path that the layer sees as `/` |
//! | `dpop_missing_nonce` | normal for the first request of a client: the client repeats it with the nonce of the response |
//! | `dpop_expired`, `dpop_issued_in_future` | the client's clock and yours |
//! | other kinds with `dpop_` | see [`DpopErrorKind`](dpop::DpopErrorKind) |
//! | `missing_token_id` | with a revocation store a token needs a `jti`: see [`token_id_optional`](JwtAuthLayer::token_id_optional) |
//! | `revoked` | the store: the token, its session or its subject was revoked |
//! | `insufficient_scope` | `scope`, `scp` or the claims that your [guard](guard) reads; the reason names the scopes |
//! | `insufficient_user_authentication` | `acr` and `auth_time`, which your [guard](guard) requires: does the issuer add them? |
//! | `unavailable` | the revocation store, the replay store of DPoP, the session store, the [claims function](session::Sessions::claims), a guard's condition, the issuer of the keys or of an opaque token, or your `IssuerResolver`; the error's source says why |
//! | `misconfigured` | your service, not the token: the error's source names the fault |
//! | `cross_site` | `Origin` or `Sec-Fetch-Site` of a request with a cookie: see [`csrf`] |
//!
//! # Events
//!
//! The feature `tracing`, on by default, emits these events. The target is the path of a module, so
//! it begins with `tower_jwt_auth`. To see every rejection, set `RUST_LOG=tower_jwt_auth=debug`.
//!
//! | level | events |
//! | --- | --- |
//! | `DEBUG` | a rejected request; a bad token that the layer treats as no token; a login, a logout or another change of a session; a logout token of a provider; fetched keys |
//! | `INFO` | a skipped key of an issuer |
//! | `WARN` | an outage of a store, or of an issuer that publishes keys or is asked about tokens; an error of a guard's condition, of your `IssuerResolver`, or of the [claims function](session::Sessions::claims) |
//! | `WARN` | reuse of a refresh token; writes that the session store has lost |
//! | `WARN` | claims that do not decode as the handler's type |
//! | `WARN` | a risky setting: a layer without a revocation store accepts a session's token, cookies are not `Secure`, or Redis may evict keys |
//! | `ERROR` | a handler or a guard without a layer around it; a `Permission` that is built wrongly; a cookie that cannot be built; a peer without an address for [`Mtls::behind_proxies`](mtls::Mtls::behind_proxies) |
//! | `ERROR` | a session request that fails because of a fault in the service, such as claims with a reserved name; logout tokens whose sessions could not be ended |
//!
//! # Features
//!
//! | feature | effect | default |
//! | --- | --- | --- |
//! | `axum` | extractors, and `AuthError` as a rejection, through `axum-core` | yes |
//! | `aws_lc_rs` | signatures by `aws-lc-rs` | yes |
//! | `rust_crypto` | signatures by RustCrypto, in pure Rust; ignored if `aws_lc_rs` is on | no |
//! | `tracing` | [events](#events) for rejected requests, outages and sessions, without secrets | yes |
//! | `embedded` | [`store`]: sessions and revocations in one file, by `redb` | no |
//! | `redis` | [`store`]: sessions and revocations shared by many nodes, in Redis or Valkey, by `redis` | no |
//! | `jwks` | `keys::remote`: keys that issuers publish, by `reqwest` and `rustls` | no |
//! | `introspection` | the module `introspection`: opaque tokens, by asking their issuer (RFC 7662); enables `jwks` | no |
//! | `testing` | the module `testing`: tokens, time and failures for your tests | no |
//! | `gate` | the program `gate`, and its dependencies: for `cargo install` only | no |
//!
//! Features are additive. The exception is `aws_lc_rs`: it replaces `rust_crypto` as the [crypto
//! back-end](#which-crypto-back-end).
//!
//! # Which crypto back-end
//!
//! Enable at least one: without a back-end, making a key fails with
//! [`KeyError::NoBackend`](keys::KeyError::NoBackend). With both, `aws_lc_rs` is used. So a
//! dependency that enables `aws_lc_rs` makes it your back-end. A dependency that enables
//! `rust_crypto` changes nothing if you have enabled a back-end. Both support every
//! [`Algorithm`](keys::Algorithm), and reject the same weak keys. The process-wide provider of
//! `jsonwebtoken` is not used.
//!
//! Prefer `aws_lc_rs`, above all to sign with RSA. The private operations of the crate `rsa` are
//! not constant-time ([RUSTSEC-2023-0071](https://rustsec.org/advisories/RUSTSEC-2023-0071.html)).
//! An attacker who measures them may learn the key. Verification is not affected. Use
//! `rust_crypto` for targets that `aws-lc-rs`, which contains C, does not support. Features `redis`
//! and `jwks` need `aws-lc-rs` with either back-end, because `rustls` uses it for TLS.
//!
//! ```toml
//! [dependencies.tower-jwt-auth]
//! version = "0.1"
//! default-features = false
//! features = ["axum", "rust_crypto", "tracing"]
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
// Tests may be long: they list cases.
#![cfg_attr(not(test), warn(clippy::too_many_lines))]
#![cfg_attr(
    test,
    expect(clippy::arithmetic_side_effects, reason = "a test that panics fails")
)]

mod cache;
pub mod claims;
pub mod clock;
pub mod cookie;
pub mod dpop;
#[cfg(feature = "axum")]
mod extract;
pub mod guard;
// Documentation only. Its links and examples need these features.
#[cfg(all(
    any(doc, doctest),
    feature = "axum",
    feature = "embedded",
    feature = "introspection",
    feature = "jwks",
    feature = "redis",
    feature = "testing"
))]
#[cfg_attr(docsrs, doc(auto_cfg = false))]
pub mod guides;
#[cfg(feature = "introspection")]
#[cfg_attr(docsrs, doc(cfg(feature = "introspection")))]
pub mod introspection;
mod json;
pub mod keys;
pub mod middleware;
pub mod mtls;
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
pub use middleware::{
    AuthError, AuthErrorKind, JwtAuthLayer, ProtectedResource, TokenSource, csrf,
};
pub use verify::{TrustedIssuer, VerifiedToken, Verifier, VerifyError, VerifyErrorKind};

#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../README.md")]
struct Readme;
