//! An API whose tokens are bound to certificates: mutual TLS (RFC 8705).
//!
//! Your clients are services with certificates, as in open banking or in a service mesh. The
//! authorization server writes the digest of the client's certificate into the token:
//! `"cnf": { "x5t#S256": "…" }`. A thief of the token then needs the private key too. The client
//! must present the same certificate in the TLS handshake of each connection.
//!
//! You need an authorization server that binds tokens, such as Keycloak, Curity or
//! `oidc-provider`. For clients without certificates, [`dpop`](super::dpop) does the same by
//! a header.
//!
//! # Your service ends TLS
//!
//! [`Mtls::direct`](crate::mtls::Mtls::direct) reads a
//! [`ClientCertificate`](crate::mtls::ClientCertificate) from the extensions of a request. Make the
//! `ClientCertificate` once for each connection, after the handshake. This server uses hyper and
//! rustls:
//!
//! ```no_run
//! use std::sync::Arc;
//! use axum::{Extension, Router, routing::get};
//! use hyper_util::rt::TokioIo;
//! use hyper_util::service::TowerToHyperService;
//! use tokio::net::TcpListener;
//! use tokio_rustls::TlsAcceptor;
//! use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
//! use tokio_rustls::rustls::server::WebPkiClientVerifier;
//! use tokio_rustls::rustls::{RootCertStore, ServerConfig};
//! use tower::{Layer, util::option_layer};
//! use tower_jwt_auth::keys::remote::RemoteKeys;
//! use tower_jwt_auth::mtls::{ClientCertificate, Mtls};
//! use tower_jwt_auth::{JwtAuthLayer, VerifiedToken};
//!
//! async fn me(token: VerifiedToken) -> String {
//!     token.subject().unwrap_or_default().to_owned()
//! }
//!
//! fn tls() -> Result<TlsAcceptor, Box<dyn std::error::Error>> {
//!     // The CA that issues the certificates of your clients.
//!     let mut roots = RootCertStore::empty();
//!     roots.add(CertificateDer::from_pem_file("clients.pem")?)?;
//!     // Without `allow_unauthenticated`, a client without a certificate gets no response at all.
//!     let clients = WebPkiClientVerifier::builder(Arc::new(roots));
//!     let clients = clients.allow_unauthenticated().build()?;
//!     let chain = CertificateDer::pem_file_iter("api.pem")?.collect::<Result<_, _>>()?;
//!     let config = ServerConfig::builder()
//!         .with_client_cert_verifier(clients)
//!         .with_single_cert(chain, PrivateKeyDer::from_pem_file("api.key")?)?;
//!     Ok(TlsAcceptor::from(Arc::new(config)))
//! }
//!
//! async fn serve(listener: TcpListener, tls: TlsAcceptor, app: Router) -> std::io::Result<()> {
//!     loop {
//!         let (stream, _) = listener.accept().await?;
//!         let (tls, app) = (tls.clone(), app.clone());
//!         tokio::spawn(async move {
//!             let stream = tls.accept(stream).await?;
//!             let chain = stream.get_ref().1.peer_certificates();
//!             // The first one is that of the client.
//!             let certificate = chain.and_then(|chain| chain.first());
//!             let certificate = certificate.map(ClientCertificate::from_der).map(Extension);
//!             let service = TowerToHyperService::new(option_layer(certificate).layer(app));
//!             let http = hyper::server::conn::http1::Builder::new();
//!             let served = http.serve_connection(TokioIo::new(stream), service).await;
//!             served.map_err(std::io::Error::other)
//!         });
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let keys = RemoteKeys::discover("https://id.example.com").build()?;
//!     let auth = JwtAuthLayer::new(keys)
//!         .audience("https://api.example.com")
//!         .mtls(Mtls::direct());
//!     let app = Router::new().route("/me", get(me)).layer(auth);
//!     serve(TcpListener::bind("0.0.0.0:3000").await?, tls()?, app).await?;
//!     Ok(())
//! }
//! ```
//!
//! A resumed TLS session keeps the certificate of its first handshake, so clients may resume
//! sessions.
//!
//! # A proxy ends TLS
//!
//! The proxy writes the certificate into the header `Client-Cert` (RFC 9440). With haproxy:
//!
//! ```text
//! defaults
//!     mode http
//!     timeout connect 5s
//!     timeout client 30s
//!     timeout server 30s
//!
//! frontend api
//!     bind :443 ssl crt /etc/haproxy/api.pem ca-file /etc/haproxy/clients.pem verify optional
//!     http-request del-header Client-Cert
//!     http-request del-header Client-Cert-Chain
//!     http-request set-header Client-Cert :%[ssl_c_der,base64]: if { ssl_c_used }
//!     default_backend service
//!
//! backend service
//!     server node 10.0.0.7:3000
//! ```
//!
//! - `del-header` comes first: it removes what clients send.
//! - The colons are part of the value: they make it a byte sequence (RFC 8941 §3.3.5).
//! - `verify optional` lets clients without a certificate reach the service. Their bound tokens get
//!   401, and the [event](crate#events) says `missing_certificate`. With `verify required` the
//!   handshake fails.
//!
//! The service trusts the header only if the peer is one of your proxies:
//!
//! ```no_run
//! use std::net::SocketAddr;
//! use axum::extract::ConnectInfo;
//! use axum::{Router, routing::get};
//! use tower_jwt_auth::keys::remote::RemoteKeys;
//! use tower_jwt_auth::mtls::Mtls;
//! use tower_jwt_auth::{JwtAuthLayer, VerifiedToken};
//!
//! async fn me(token: VerifiedToken) -> String {
//!     token.subject().unwrap_or_default().to_owned()
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // The addresses from which the proxies connect.
//!     let mtls = Mtls::behind_proxies(["10.0.0.5", "10.0.0.6"], |extensions| {
//!         let ConnectInfo(peer): &ConnectInfo<SocketAddr> = extensions.get()?;
//!         Some(peer.ip())
//!     })?;
//!     let keys = RemoteKeys::discover("https://id.example.com").build()?;
//!     let auth = JwtAuthLayer::new(keys).audience("https://api.example.com").mtls(mtls);
//!     let app = Router::new().route("/me", get(me)).layer(auth);
//!     let listener = tokio::net::TcpListener::bind("10.0.0.7:3000").await?;
//!     axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
//!     Ok(())
//! }
//! ```
//!
//! Name the addresses of your proxies, or a network that holds nothing else. Any machine in that
//! network can write any certificate. If a second proxy stands between the first and your service,
//! your peer is the second. It must keep `Client-Cert` in requests from the first proxy, and remove
//! it from all other requests.
//!
//! Other proxies write other formats, such as the percent-encoded PEM of nginx
//! (`$ssl_client_escaped_cert`). Write a middleware that first checks the peer, then decodes the
//! proxy's header. Have it insert a [`ClientCertificate`](crate::mtls::ClientCertificate), and use
//! [`Mtls::direct`](crate::mtls::Mtls::direct).
//!
//! # Tokens that are not bound
//!
//! The layer still accepts tokens that are not bound. If an operation needs a bound token, require
//! the claim `cnf` with a guard. The layer has checked every member of `cnf` before the guard reads
//! it:
//!
//! ```
//! use serde::Deserialize;
//! use tower_jwt_auth::Require;
//!
//! #[derive(Deserialize)]
//! struct Bound {
//!     cnf: Option<Confirmation>,
//! }
//!
//! #[derive(Deserialize)]
//! struct Confirmation {
//!     #[serde(rename = "x5t#S256")]
//!     certificate: Option<String>,
//! }
//!
//! let bound_only = Require::claims(|claims: &Bound| {
//!     claims.cnf.as_ref().is_some_and(|cnf| cnf.certificate.is_some())
//! });
//! ```
//!
//! Metadata of RFC 9728 can say that tokens may be bound: see
//! [`certificate_bound_tokens`](crate::ProtectedResource::certificate_bound_tokens).
//!
//! # What remains
//!
//! - A client that renews its certificate needs a new token: the old token has the digest of the
//!   old certificate.
//! - The layer compares digests. Your TLS library or proxy checks dates, issuer and revocation of
//!   certificates. It must verify that the client has the private key, which every handshake does.
//! - Between proxy and service nothing is signed. Keep that network closed, or use TLS there too.
