//! Fetches keys over TLS, with a private CA and client certificates.

use std::net::TcpListener as StdListener;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, Uri};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use reqwest::{Certificate, Client, Identity, redirect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto::aws_lc_rs};
use tower_jwt_auth::keys::SigningKey;
use tower_jwt_auth::keys::remote::{Fetch, FetchErrorKind, RemoteKeys};

use crate::issuer::document;
use crate::{built, clock, key, status, token};

type Ca = CertifiedIssuer<'static, KeyPair>;

fn ca() -> Ca {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server on 127.0.0.1, with a certificate for `host` that ends in this year.
struct Server {
    name: String,
    requests: Arc<AtomicUsize>,
}

impl Server {
    async fn start(ca: &Ca, host: &str, last_year: i32, key: &SigningKey, mutual: bool) -> Self {
        let own = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.not_after = date_time_ymd(last_year, 1, 1);
        let certificate = params.signed_by(&own, ca).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = if mutual {
            let mut roots = RootCertStore::empty();
            roots.add(ca.der().clone()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            config.with_client_cert_verifier(verifier.unwrap())
        } else {
            config.with_no_client_auth()
        };
        let private = PrivateKeyDer::try_from(own.serialize_der()).unwrap();
        let config = config.with_single_cert(vec![certificate.der().clone()], private);
        let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            name: format!("https://{}", listener.local_addr().unwrap()),
            requests: Arc::default(),
        };
        let metadata = format!(r#"{{"issuer":"{0}","jwks_uri":"{0}/jwks"}}"#, server.name);
        let documents = Arc::new((metadata, document([key])));
        let requests = Arc::clone(&server.requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, documents) = (acceptor.clone(), Arc::clone(&documents));
                let requests = Arc::clone(&requests);
                tokio::spawn(async move {
                    let mut stream = acceptor.accept(stream).await?;
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(stream.read_u8().await?);
                    }
                    requests.fetch_add(1, Ordering::SeqCst);
                    let body = if head.starts_with(b"GET /jwks ") {
                        &documents.1
                    } else {
                        &documents.0
                    };
                    let length = body.len();
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
                    stream.write_all(head.as_bytes()).await?;
                    stream.write_all(body.as_bytes()).await?;
                    stream.shutdown().await
                });
            }
        });
        server
    }
}

/// As in the documentation of [`Fetch`].
struct PrivateCa(Client);

impl Fetch for PrivateCa {
    type Error = reqwest::Error;

    async fn fetch(&self, uri: &Uri) -> Result<Response<Bytes>, reqwest::Error> {
        let response = self.0.get(uri.to_string()).send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut answer = Response::new(response.bytes().await?);
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }
}

impl PrivateCa {
    fn new(ca: &Ca, identity: Option<Identity>) -> Self {
        let root = Certificate::from_der(ca.der()).unwrap();
        let mut client = Client::builder()
            .tls_certs_only([root])
            .redirect(redirect::Policy::none());
        if let Some(identity) = identity {
            client = client.identity(identity);
        }
        Self(client.build().unwrap())
    }
}

/// What a request is answered with, and why.
async fn outcome(
    server: &Server,
    key: &SigningKey,
    fetch: Option<PrivateCa>,
) -> (u16, Option<String>) {
    let mut remote = RemoteKeys::discover(&server.name);
    if let Some(fetch) = fetch {
        remote = remote.fetch(fetch);
    }
    let (keys, app) = built(remote, &clock());
    let status = status(&app, &token(key, &server.name)).await;
    let error = keys.state().last_error.map(|error| {
        assert_eq!(error.kind(), FetchErrorKind::Transport);
        format!("{error:?}")
    });
    (status, error)
}

#[tokio::test]
async fn a_certificate_of_a_private_ca_needs_a_client_that_knows_it() {
    let (key, ca) = (key("1"), ca());
    let server = Server::start(&ca, "127.0.0.1", 4000, &key, false).await;
    let (status, error) = outcome(&server, &key, None).await;
    assert_eq!(status, 503);
    assert!(error.unwrap().contains("UnknownIssuer"));
    assert_eq!(server.requests.load(Ordering::SeqCst), 0);

    // Another CA of that kind is none of this one.
    let other = self::ca();
    let (status, _) = outcome(&server, &key, Some(PrivateCa::new(&other, None))).await;
    assert_eq!(status, 503);
    assert_eq!(server.requests.load(Ordering::SeqCst), 0);

    let fetched = outcome(&server, &key, Some(PrivateCa::new(&ca, None))).await;
    assert_eq!(fetched, (200, None));
    assert_eq!(server.requests.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_certificate_for_another_host_or_of_yesterday_is_refused() {
    let (key, ca) = (key("1"), ca());
    for (host, year, expected) in [
        ("id.example.com", 4000, "NotValidForName"),
        ("127.0.0.2", 4000, "NotValidForName"),
        ("127.0.0.1", 2020, "Expired"),
    ] {
        let server = Server::start(&ca, host, year, &key, false).await;
        let (status, error) = outcome(&server, &key, Some(PrivateCa::new(&ca, None))).await;
        assert_eq!(status, 503);
        let error = error.unwrap();
        assert!(error.contains(expected), "{error}");
        assert_eq!(server.requests.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test]
async fn an_issuer_may_ask_for_a_client_certificate() {
    let (key, ca) = (key("1"), ca());
    let server = Server::start(&ca, "127.0.0.1", 4000, &key, true).await;
    let (status, _) = outcome(&server, &key, Some(PrivateCa::new(&ca, None))).await;
    assert_eq!(status, 503);
    assert_eq!(server.requests.load(Ordering::SeqCst), 0);

    let own = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["client".to_owned()]).unwrap();
    let certificate = params.signed_by(&own, &ca).unwrap();
    let pem = format!("{}{}", certificate.pem(), own.serialize_pem());
    let identity = Identity::from_pem(pem.as_bytes()).unwrap();
    let fetched = outcome(&server, &key, Some(PrivateCa::new(&ca, Some(identity)))).await;
    assert_eq!(fetched, (200, None));
}

/// A process has one proxy environment, so another process runs these tests again.
#[test]
fn addresses_of_this_machine_are_not_asked_for_at_a_proxy() {
    let proxy = StdListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let run = |test: &str| {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test])
            .env("HTTP_PROXY", &address)
            .env("HTTPS_PROXY", &address)
            .env("http_proxy", &address)
            .env("https_proxy", &address)
            .env_remove("NO_PROXY")
            .env_remove("no_proxy")
            .env_remove("REQUEST_METHOD")
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let said = run("keys_are_found_by_the_name_of_the_issuer");
    assert!(said.contains("1 passed"), "{said}");
    assert!(proxy.accept().is_err(), "somebody came");
    // A client that asks it for everything does come.
    let said = run("tls::a_certificate_for_another_host_or_of_yesterday_is_refused");
    assert!(said.contains("1 failed"), "{said}");
    assert!(proxy.accept().is_ok(), "nobody came");
}

/// The variable with the path of the root certificates. `rustls-native-certs` reads it too.
const ROOTS: &str = "SSL_CERT_FILE";

/// Set in a process that `run_without_roots` started.
const IS_WITHOUT_ROOTS: &str = "TEST_WITHOUT_ROOTS";

/// Root certificates are found by the environment: another process runs a test without any.
fn run_without_roots(test: &str) {
    let roots =
        std::env::temp_dir().join(format!("no-roots-{}-{}", std::process::id(), test.len()));
    std::fs::write(&roots, "").unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env(ROOTS, &roots)
        .env(IS_WITHOUT_ROOTS, "yes")
        .env_remove("SSL_CERT_DIR")
        .output()
        .unwrap();
    std::fs::remove_file(roots).unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("1 passed"), "{said}");
}

#[test]
fn an_issuer_by_http_needs_no_root_certificates() {
    run_without_roots("keys_are_found_by_the_name_of_the_issuer");
}

#[test]
fn https_without_root_certificates_is_an_outage() {
    run_without_roots("tls::roots_that_come_later_end_the_outage");
}

#[tokio::test]
async fn roots_that_come_later_end_the_outage() {
    // Another test runs this one in a process of its own.
    if std::env::var_os(IS_WITHOUT_ROOTS).is_none() {
        return;
    }
    let (key, ca, clock) = (key("1"), ca(), clock());
    let server = Server::start(&ca, "127.0.0.1", 4000, &key, false).await;
    let (keys, app) = built(RemoteKeys::discover(&server.name), &clock);
    assert_eq!(status(&app, &token(&key, &server.name)).await, 503);
    let error = keys.state().last_error.unwrap();
    assert_eq!(error.kind(), FetchErrorKind::TlsUnavailable);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("ca-certificates"), "{cause}");

    std::fs::write(std::env::var_os(ROOTS).unwrap(), ca.pem()).unwrap();
    clock.advance(Duration::from_secs(60));
    assert_eq!(status(&app, &token(&key, &server.name)).await, 200);
}
