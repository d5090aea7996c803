//! Real clients with certificates, against a service with hyper and rustls (RFC 8705).
#![cfg(all(feature = "axum", feature = "testing"))]
#![expect(clippy::unwrap_used, reason = "a test that panics fails")]

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/mutual_tls.rs"]
mod mutual_tls;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::routing::get;
use axum::{Extension, Router};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use mutual_tls::{Ca, Client, HOST, Outcome, kind, provider};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tower::{Layer, util::option_layer};
use tower_jwt_auth::mtls::{ClientCertificate, Mtls};
use tower_jwt_auth::testing::TestIssuer;
use tower_jwt_auth::{JwtAuthLayer, VerifiedToken};

/// Serves `/me` over TLS. It asks clients for a certificate of `ca`, and needs none.
async fn serve(ca: &Ca, layer: JwtAuthLayer) -> SocketAddr {
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(ca.roots()), provider());
    let own = ca.issue(HOST);
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients.allow_unauthenticated().build().unwrap())
        .with_single_cert(vec![own.certificate.clone()], own.private_key())
        .unwrap();
    let tls = TlsAcceptor::from(Arc::new(config));
    let me = async |token: VerifiedToken| token.subject().unwrap_or_default().to_owned();
    let layer = layer.respond(kind);
    let app = Router::new().route("/me", get(me)).layer(layer);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, app) = (tls.clone(), app.clone());
            // As in the guide `mtls`.
            tokio::spawn(async move {
                let stream = tls.accept(stream).await?;
                let chain = stream.get_ref().1.peer_certificates();
                let certificate = chain.and_then(|chain| chain.first());
                let certificate = certificate.map(ClientCertificate::from_der).map(Extension);
                let service = TowerToHyperService::new(option_layer(certificate).layer(app));
                let http = hyper::server::conn::http1::Builder::new();
                let served = http.serve_connection(TokioIo::new(stream), service).await;
                served.map_err(std::io::Error::other)
            });
        }
    });
    address
}

async fn ask(
    address: SocketAddr,
    client: &Client,
    token: &str,
    headers: &[(&str, &str)],
) -> (Outcome, bool) {
    let stream = TcpStream::connect(address).await.unwrap();
    client.get(stream, token, headers).await.unwrap()
}

#[tokio::test]
async fn a_bound_token_needs_the_certificate_of_its_client() {
    let (ca, issuer) = (Ca::new(), TestIssuer::new());
    let address = serve(&ca, issuer.layer().mtls(Mtls::direct())).await;
    let (own, other) = (ca.issue("client"), ca.issue("thief"));
    let token = own.token(&issuer);
    let client = ca.client(Some(&own));
    let (outcome, is_resumed) = ask(address, &client, &token, &[]).await;
    outcome.accepted();
    assert!(!is_resumed);
    // A resumed session has the certificate of the first handshake.
    let (outcome, is_resumed) = ask(address, &client, &token, &[]).await;
    outcome.accepted();
    assert!(is_resumed);

    let thief = ca.client(Some(&other));
    let anonymous = ca.client(None);
    let forged = own.header();
    for headers in [&[][..], &[("client-cert", &*forged)]] {
        for _ in 0..2 {
            let (outcome, _) = ask(address, &thief, &token, headers).await;
            outcome.refused("wrong_certificate");
        }
        let (outcome, _) = ask(address, &anonymous, &token, headers).await;
        outcome.refused("missing_certificate");
    }
    // A token that is not bound needs no certificate.
    let unbound = issuer.token("alice").sign();
    for client in [&client, &thief, &anonymous] {
        ask(address, client, &unbound, &[]).await.0.accepted();
    }
}

#[tokio::test]
async fn a_certificate_of_another_ca_ends_the_handshake() {
    let (ca, issuer) = (Ca::new(), TestIssuer::new());
    let address = serve(&ca, issuer.layer().mtls(Mtls::direct())).await;
    let own = Ca::new().issue("client");
    let client = ca.client(Some(&own));
    let stream = TcpStream::connect(address).await.unwrap();
    let outcome = client.get(stream, &own.token(&issuer), &[]).await;
    assert!(outcome.is_err(), "{outcome:?}");
}
