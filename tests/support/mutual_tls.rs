//! Certificates, and clients that show them in a TLS handshake.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::{self, CryptoProvider};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tower_jwt_auth::AuthError;
use tower_jwt_auth::testing::TestIssuer;

/// The name of every server.
pub(crate) const HOST: &str = "localhost";

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(crypto::aws_lc_rs::default_provider())
}

/// A CA of servers and clients.
pub(crate) struct Ca(CertifiedIssuer<'static, KeyPair>);

/// OpenSSL takes a certificate with the name of its issuer for a self-signed one.
fn params_of(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// A certificate with its key.
pub(crate) struct Identity {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: KeyPair,
    /// The certificate and the key.
    pub(crate) pem: String,
}

impl Ca {
    pub(crate) fn new() -> Self {
        let mut params = params_of("ca");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }

    pub(crate) fn issue(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = params_of(name);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity {
            pem: format!("{}{}", certificate.pem(), key.serialize_pem()),
            certificate: certificate.der().clone(),
            key,
        }
    }

    /// A client that trusts this CA, and shows this identity.
    pub(crate) fn client(&self, identity: Option<&Identity>) -> Client {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots());
        let config = match identity {
            None => config.with_no_client_auth(),
            Some(identity) => config
                .with_client_auth_cert(vec![identity.certificate.clone()], identity.private_key())
                .unwrap(),
        };
        Client(TlsConnector::from(Arc::new(config)))
    }
}

impl Identity {
    pub(crate) fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).unwrap()
    }

    /// A token that is bound to the certificate.
    pub(crate) fn token(&self, issuer: &TestIssuer) -> String {
        let digest = digest(&SHA256, &self.certificate);
        let thumbprint = base64_simd::URL_SAFE_NO_PAD.encode_to_string(digest);
        let cnf = json!({ "x5t#S256": thumbprint });
        issuer.token("alice").claim("cnf", cnf).sign()
    }

    /// `Client-Cert`, as a proxy writes it.
    pub(crate) fn header(&self) -> String {
        header(&self.certificate)
    }
}

pub(crate) fn header(der: &[u8]) -> String {
    format!(":{}:", base64_simd::STANDARD.encode_to_string(der))
}

pub(crate) struct Client(TlsConnector);

/// Responds with the kind of the error, which the tests read.
pub(crate) fn kind(error: &AuthError) -> Response<Body> {
    let mut response = Response::new(error.kind().name().into());
    *response.status_mut() = error.status();
    response
}

/// What a client gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) status: StatusCode,
    /// The kind of the rejection, or who the token is for.
    pub(crate) text: String,
}

impl Outcome {
    #[track_caller]
    pub(crate) fn accepted(&self) {
        let alice = (StatusCode::OK, "alice");
        assert_eq!((self.status, &*self.text), alice);
    }

    #[track_caller]
    pub(crate) fn refused(&self, kind: &str) {
        let refused = (StatusCode::UNAUTHORIZED, kind);
        assert_eq!((self.status, &*self.text), refused);
    }
}

impl Client {
    /// `GET /me` over TLS, on a connection of its own. Also whether the session was resumed.
    pub(crate) async fn get<S>(
        &self,
        stream: S,
        token: &str,
        headers: &[(&str, &str)],
    ) -> std::io::Result<(Outcome, bool)>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let host = ServerName::try_from(HOST).unwrap();
        let stream = self.0.connect(host, stream).await?;
        let is_resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
        let outcome = get(stream, token, headers).await?;
        Ok((outcome, is_resumed))
    }
}

/// `GET /me` over a connection.
pub(crate) async fn get<S>(
    stream: S,
    token: &str,
    headers: &[(&str, &str)],
) -> std::io::Result<Outcome>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut request = Request::get("/me")
        .header("host", HOST)
        .header("authorization", format!("Bearer {token}"));
    for header in headers {
        request = request.header(header.0, header.1);
    }
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(std::io::Error::other)?;
    tokio::spawn(connection);
    let response = sender.send_request(request).await;
    let response: Response<_> = response.map_err(std::io::Error::other)?;
    let status = response.status();
    let body = response.into_body().collect().await;
    let body = body.map_err(std::io::Error::other)?.to_bytes();
    let text = String::from_utf8(body.to_vec()).unwrap();
    Ok(Outcome { status, text })
}
