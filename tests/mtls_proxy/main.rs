//! Holds the guide `mtls` to its promise: real clients with certificates, and a real haproxy in
//! front of the service, with the lines of the guide. See `run.sh`.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that panics fails"
)]

#[path = "../support/mutual_tls.rs"]
mod mutual_tls;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use mutual_tls::{Ca, Client, HOST, Identity, Outcome, header, kind};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tower_jwt_auth::VerifiedToken;
use tower_jwt_auth::mtls::Mtls;
use tower_jwt_auth::testing::TestIssuer;

/// The address from which haproxy connects. Other clients connect from 127.0.0.1.
const PROXY: &str = "127.0.0.2";

/// A haproxy, and the directory that it keeps everything in.
struct Haproxy {
    process: Child,
    directory: PathBuf,
}

/// The lines of the guide, with these replacements.
fn configuration(replacements: &[(&str, &str)]) -> String {
    let guide = include_str!("../../src/guides/mtls.rs");
    let (_, lines) = guide.split_once("//! ```text\n//! defaults\n").unwrap();
    let (lines, _) = lines.split_once("//! ```").unwrap();
    let lines = lines.lines().map(|line| line.trim_start_matches("//!"));
    let mut text = lines.fold("defaults\n".to_owned(), |text, line| text + line + "\n");
    for (from, to) in replacements {
        assert_eq!(text.matches(from).count(), 1, "{from} in {text}");
        text = text.replace(from, to);
    }
    text
}

impl Haproxy {
    async fn before(port: u16, ca: &Ca, own: &Identity) -> Self {
        let name = format!("tower-jwt-auth-haproxy-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        let at = directory.display();
        fs::write(directory.join("api.pem"), &own.pem).unwrap();
        fs::write(directory.join("clients.pem"), ca.pem()).unwrap();
        let configuration = configuration(&[
            ("bind :443 ", &format!("bind unix@{at}/socket ")),
            ("/etc/haproxy/api.pem", &format!("{at}/api.pem")),
            ("/etc/haproxy/clients.pem", &format!("{at}/clients.pem")),
            ("10.0.0.7:3000", &format!("127.0.0.1:{port} source {PROXY}")),
        ]);
        println!("{configuration}");
        fs::write(directory.join("haproxy.cfg"), configuration).unwrap();
        let process = Command::new("haproxy")
            .arg("-db")
            .arg("-f")
            .arg(directory.join("haproxy.cfg"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let haproxy = Self { process, directory };
        for _ in 0..200 {
            if UnixStream::connect(haproxy.socket()).await.is_ok() {
                return haproxy;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("haproxy does not listen");
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("socket")
    }

    async fn ask(&self, client: &Client, token: &str, headers: &[(&str, &str)]) -> (Outcome, bool) {
        let stream = UnixStream::connect(self.socket()).await.unwrap();
        client.get(stream, token, headers).await.unwrap()
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        fs::remove_dir_all(&self.directory).unwrap();
    }
}

/// A service that trusts haproxy. Returns its port.
async fn serve(issuer: &TestIssuer) -> u16 {
    let mtls = Mtls::behind_proxies([PROXY], |extensions| {
        let ConnectInfo(peer): &ConnectInfo<SocketAddr> = extensions.get()?;
        Some(peer.ip())
    });
    let layer = issuer.layer().mtls(mtls.unwrap());
    let layer = layer.respond(kind);
    let me = async |token: VerifiedToken| token.subject().unwrap_or_default().to_owned();
    let app = Router::new().route("/me", get(me)).layer(layer);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    port
}

#[tokio::test]
async fn a_bound_token_needs_the_certificate_that_haproxy_has_seen() {
    let (ca, issuer) = (Ca::new(), TestIssuer::new());
    let port = serve(&issuer).await;
    let haproxy = Haproxy::before(port, &ca, &ca.issue(HOST)).await;
    let (own, other) = (ca.issue("client"), ca.issue("thief"));
    let token = own.token(&issuer);
    let unbound = issuer.token("alice").sign();

    let client = ca.client(Some(&own));
    let (outcome, is_resumed) = haproxy.ask(&client, &token, &[]).await;
    outcome.accepted();
    assert!(!is_resumed);
    // A resumed session has the certificate of the first handshake.
    let (outcome, is_resumed) = haproxy.ask(&client, &token, &[]).await;
    outcome.accepted();
    println!("good certificate: 200, and 200 after resumption ({is_resumed})");
    assert!(is_resumed);
    // The client's own header is replaced.
    let headers = [("client-cert", &*other.header())];
    haproxy.ask(&client, &token, &headers).await.0.accepted();

    let thief = ca.client(Some(&other));
    let anonymous = ca.client(None);
    let forged = own.header();
    for headers in [
        &[][..],
        &[("client-cert", &*forged)],
        &[("client-cert", &*forged), ("client-cert", &*forged)],
        &[("Client-Cert", &*forged), ("client-cert-chain", &*forged)],
        &[("client_cert", &*forged)],
        &[("client-cert", &*forged), ("connection", "client-cert")],
    ] {
        let (outcome, _) = haproxy.ask(&thief, &token, headers).await;
        outcome.refused("wrong_certificate");
        let (outcome, _) = haproxy.ask(&anonymous, &token, headers).await;
        outcome.refused("missing_certificate");
        haproxy
            .ask(&anonymous, &unbound, headers)
            .await
            .0
            .accepted();
    }
    println!("another certificate, none, and a forged header through haproxy: 401");

    // Past the proxy.
    for value in [&*forged, &header(&other.certificate), "::"] {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .unwrap();
        let headers = [("client-cert", value), ("x-forwarded-for", PROXY)];
        let outcome = mutual_tls::get(stream, &token, &headers).await.unwrap();
        outcome.refused("untrusted_proxy");
    }
    println!("a forged header directly to the service: 401");
}
