//! Mutual TLS (RFC 8705): tokens that are bound to the client's certificate.
//!
//! You need this module if your authorization server binds tokens to certificates. Such a token has
//! in `cnf` the member `x5t#S256`, the SHA-256 of the certificate. A thief cannot use such a token
//! without the private key of the certificate, which the client proves in the TLS handshake.
//!
//! | who terminates TLS | the certificate is in | setting |
//! | --- | --- | --- |
//! | your service | the extension [`ClientCertificate`], which your server inserts | [`Mtls::direct`] |
//! | a proxy | the header `Client-Cert` (RFC 9440) | [`Mtls::behind_proxies`] |
//!
//! ```
//! use axum::{Extension, Router, routing::get};
//! use tower_jwt_auth::JwtAuthLayer;
//! use tower_jwt_auth::mtls::{ClientCertificate, Mtls};
//! # let keys = tower_jwt_auth::keys::VerifyingKey::hs256([7; 32]).unwrap();
//!
//! let layer = JwtAuthLayer::new(keys)
//!     .issuer("https://id.example.com")
//!     .audience("https://api.example.com")
//!     .mtls(Mtls::direct());
//! let app: Router = Router::new().route("/me", get(async || "hello")).layer(layer);
//!
//! // For each connection, after the handshake:
//! let app_of = |der: &[u8]| app.clone().layer(Extension(ClientCertificate::from_der(der)));
//! # let _ = app_of(b"");
//! ```
//!
//! This accepts bound tokens from every source. Tokens that are not bound stay accepted. A token
//! that is also bound to a key by `jkt` needs its [DPoP proof](crate::dpop) too. A token with any
//! other member in `cnf` is rejected, unless you [allow that
//! member](crate::JwtAuthLayer::allow_confirmation).
//!
//! The authorization server authenticated the client when it issued the token, so the layer only
//! compares digests. It parses no certificate: your TLS library or the proxy decides which
//! certificates it accepts.
//!
//! # Responses
//!
//! A bound token is rejected with 401 and `invalid_token` (RFC 8705 §3):
//!
//! | request | [kind](crate::VerifyErrorKind) |
//! | --- | --- |
//! | without a certificate | `missing_certificate` |
//! | with another certificate | `wrong_certificate` |
//! | with the header from a peer that is not a trusted proxy | `untrusted_proxy` |
//! | with the header twice, longer than 16 KiB, or not a byte sequence as RFC 9440 §2.1 writes it | `malformed_certificate` |
//! | with a token whose `x5t#S256` is not a SHA-256 in base64url | `sender_constrained` |
//! | to a layer without [`Mtls`] | `sender_constrained` |
//!
//! With [`Mtls::direct`] the header is not read.
//!
//! With [`Mtls::behind_proxies`], a bound token gets 500 `misconfigured` if the address of the peer
//! is unknown: the service lacks a setting, and a new token would not help.
//!
//! # A header from elsewhere
//!
//! Anyone can send `Client-Cert` to your service. From a peer that is not a trusted proxy, the
//! header is never used. A bound token with such a header is rejected, with a kind of its own:
//! either somebody forges the header, or your list lacks a proxy. A token that is not bound is
//! accepted, because its check does not use the header. Do not read `Client-Cert` in your handlers.
//!
//! The proxy must remove the header of its clients before it writes its own. The layer cannot tell
//! a client's header from the proxy's. Two `Client-Cert` headers are rejected, and so are several
//! values in one.
//!
//! The guide `mtls` shows a server with hyper and rustls, and haproxy.

mod certificate;
mod header;
mod network;
mod settings;

pub use certificate::ClientCertificate;
pub use network::{ProxyAddressError, ProxyAddressErrorKind};
pub use settings::Mtls;

pub(crate) use settings::CertificateFault;
