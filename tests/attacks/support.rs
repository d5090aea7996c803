//! A service behind the layer, and the means to forge tokens for it.
#![expect(
    unreachable_pub,
    clippy::needless_pass_by_value,
    reason = "tests read better so: no crate depends on them, and `json!` is passed by value"
)]

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::routing::get;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::keys::{Algorithm, VerifyingKey};
use tower_jwt_auth::{
    AuthError, AuthErrorKind, Claims, JwtAuthLayer, TokenSource, VerifyErrorKind,
};

/// The time of every test, in seconds since the epoch.
pub const NOW: u64 = 1_800_000_000;

/// The secret of the layer that most tests use.
pub const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

pub fn clock() -> ManualClock {
    ManualClock::at(NOW)
}

pub fn hs256() -> VerifyingKey {
    VerifyingKey::hs256(SECRET).unwrap()
}

/// A layer that trusts [`SECRET`], and no more.
pub fn layer() -> JwtAuthLayer {
    JwtAuthLayer::new(hs256()).clock(clock())
}

/// `GET` and `POST /claims` behind `layer` answer the claims.
pub fn app(layer: JwtAuthLayer) -> Router {
    async fn claims(Claims(claims): Claims<Value>) -> String {
        claims.to_string()
    }
    Router::new()
        .route("/claims", get(claims).post(claims))
        .layer(layer)
}

pub struct Answer {
    /// The request, for the messages of tests that fail.
    pub asked: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
    pub error: Option<AuthError>,
}

impl Answer {
    pub fn challenge(&self) -> Option<&str> {
        self.headers
            .get(WWW_AUTHENTICATE)
            .map(|value| value.to_str().unwrap())
    }

    pub fn kind(&self) -> Option<AuthErrorKind> {
        self.error.as_ref().map(AuthError::kind)
    }

    /// The claims reached the handler.
    #[track_caller]
    pub fn accepted(&self) -> Value {
        assert_eq!(
            self.status,
            StatusCode::OK,
            "{:?} for {}",
            self.error,
            self.asked
        );
        serde_json::from_str(&self.body).unwrap()
    }

    /// 401 `invalid_token`, for this reason.
    #[track_caller]
    pub fn refused(&self, kind: VerifyErrorKind) {
        assert_eq!(
            self.kind(),
            Some(AuthErrorKind::InvalidToken(kind)),
            "{} for {}",
            self.body,
            self.asked
        );
        assert_eq!(self.status, StatusCode::UNAUTHORIZED);
        let challenge = self.challenge().expect("a challenge");
        assert!(
            challenge.contains(r#"error="invalid_token""#),
            "{challenge}"
        );
    }

    /// 400 `invalid_request`.
    #[track_caller]
    pub fn malformed(&self) {
        assert_eq!(self.status, StatusCode::BAD_REQUEST, "{:?}", self.error);
        let challenge = self.challenge().expect("a challenge");
        assert!(
            challenge.contains(r#"error="invalid_request""#),
            "{challenge}"
        );
    }
}

pub async fn send(app: &Router, request: Request<Body>) -> Answer {
    let asked = format!(
        "{:?} {:?}",
        request.headers(),
        request.extensions().get::<Carried>()
    );
    let response = app.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    Answer {
        asked,
        status: parts.status,
        error: parts.extensions.get().cloned(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

/// `GET /claims`.
pub fn request() -> http::request::Builder {
    Request::get("/claims")
}

/// `GET /claims` with `Authorization: Bearer {token}`.
pub async fn bearer(app: &Router, token: &str) -> Answer {
    let request = request().header(AUTHORIZATION, format!("Bearer {token}"));
    send(app, request.body(Body::empty()).unwrap()).await
}

/// A token that travels beside the request, since no header can hold some of its bytes.
#[derive(Clone, Debug)]
struct Carried(Arc<str>);

/// Where [`carried`] puts a token.
pub fn carrier() -> TokenSource {
    TokenSource::custom(|parts| {
        let carried: Option<&Carried> = parts.extensions.get();
        carried.map(|token| Cow::Borrowed(&*token.0))
    })
}

/// `GET /claims` with `token` in [`carrier`].
pub async fn carried(app: &Router, token: impl Into<Arc<str>>) -> Answer {
    let request = request().extension(Carried(token.into()));
    send(app, request.body(Body::empty()).unwrap()).await
}

pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes.as_ref())
}

/// Claims that any layer here accepts, with `more` laid over them.
pub fn claims(more: Value) -> String {
    let mut claims = json!({ "sub": "alice", "iat": NOW, "exp": NOW + 300 });
    let more = more.as_object().unwrap().clone();
    claims.as_object_mut().unwrap().extend(more);
    claims.to_string()
}

/// A token of any header and payload, signed by `signer` whatever they say.
pub fn forge(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>, signer: &Signer) -> String {
    forge_segments(&base64url(header), &base64url(payload), signer)
}

/// Two segments as they are, under a good signature over just these bytes.
pub fn forge_segments(header: &str, payload: &str, signer: &Signer) -> String {
    let input = format!("{header}.{payload}");
    let signature = signer.sign(input.as_bytes());
    format!("{input}.{}", base64url(signature))
}

/// A token that [`layer`] accepts.
pub fn good() -> String {
    hs256_token(claims(json!({})))
}

/// `payload` under [`SECRET`] and a proper header.
pub fn hs256_token(payload: impl AsRef<[u8]>) -> String {
    forge(
        r#"{"alg":"HS256","typ":"JWT"}"#,
        payload,
        &Signer::hmac(SECRET),
    )
}

/// Signs bytes; says nothing about what the header claims.
#[expect(clippy::large_enum_variant, reason = "there are few, and short-lived")]
pub enum Signer {
    Hmac(hmac::Key),
    Rsa(&'static RsaKeyPair, &'static dyn RsaEncoding),
    Ec(&'static EcdsaKeyPair),
    Ed25519(&'static Ed25519KeyPair),
}

pub static RSA: LazyLock<RsaKeyPair> =
    LazyLock::new(|| RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap());
pub static P256: LazyLock<EcdsaKeyPair> =
    LazyLock::new(|| EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());
pub static P384: LazyLock<EcdsaKeyPair> =
    LazyLock::new(|| EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap());
pub static K256: LazyLock<EcdsaKeyPair> = LazyLock::new(|| {
    EcdsaKeyPair::generate(&signature::ECDSA_P256K1_SHA256_FIXED_SIGNING).unwrap()
});
pub static ED25519: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::generate().unwrap());

impl Signer {
    /// HMAC with SHA-256.
    pub fn hmac(secret: &[u8]) -> Self {
        Self::hmac_with(hmac::HMAC_SHA256, secret)
    }

    pub fn hmac_with(hash: hmac::Algorithm, secret: &[u8]) -> Self {
        Self::Hmac(hmac::Key::new(hash, secret))
    }

    /// With [`RSA`] by any padding and hash.
    pub fn rsa(encoding: &'static dyn RsaEncoding) -> Self {
        Self::Rsa(&RSA, encoding)
    }

    pub fn rs256() -> Self {
        Self::Rsa(&RSA, &signature::RSA_PKCS1_SHA256)
    }

    pub fn ps256() -> Self {
        Self::Rsa(&RSA, &signature::RSA_PSS_SHA256)
    }

    pub fn es256() -> Self {
        Self::Ec(&P256)
    }

    pub fn es384() -> Self {
        Self::Ec(&P384)
    }

    pub fn es256k() -> Self {
        Self::Ec(&K256)
    }

    pub fn ed25519() -> Self {
        Self::Ed25519(&ED25519)
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Hmac(key) => hmac::sign(key, message).as_ref().to_vec(),
            Self::Rsa(key, encoding) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(*encoding, &random, message, &mut signature)
                    .unwrap();
                signature
            }
            Self::Ec(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }
}

/// The public key of [`RSA`], for RS256 or another algorithm.
pub fn rsa_key(algorithm: Algorithm) -> VerifyingKey {
    VerifyingKey::from_der(algorithm, RSA.public_key().as_ref()).unwrap()
}

/// The public JWK of [`RSA`], with `more` laid over it.
pub fn rsa_jwk(more: Value) -> String {
    let n = RSA.public_key().modulus();
    let e = RSA.public_key().exponent();
    let mut jwk = json!({
        "kty": "RSA",
        "n": base64url(n.big_endian_without_leading_zero()),
        "e": base64url(e.big_endian_without_leading_zero()),
    });
    jwk.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    jwk.to_string()
}

/// The public JWK of a curve's key, with `more` laid over it.
pub fn ec_jwk(key: &EcdsaKeyPair, curve: &str, more: Value) -> String {
    let point = key.public_key().as_ref();
    let (x, y) = point[1..].split_at(point.len() / 2);
    let mut jwk = json!({ "kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y) });
    jwk.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    jwk.to_string()
}

pub fn p256_key() -> VerifyingKey {
    VerifyingKey::from_jwk(ec_jwk(&P256, "P-256", json!({}))).unwrap()
}

pub fn p384_key() -> VerifyingKey {
    VerifyingKey::from_jwk(ec_jwk(&P384, "P-384", json!({}))).unwrap()
}

pub fn k256_key() -> VerifyingKey {
    VerifyingKey::from_jwk(ec_jwk(&K256, "secp256k1", json!({}))).unwrap()
}

/// The public key of [`ED25519`], for `EdDSA` or `Ed25519`.
pub fn ed25519_key(algorithm: Algorithm) -> VerifyingKey {
    let x = base64url(ED25519.public_key().as_ref());
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x }).to_string();
    VerifyingKey::from_jwk_for(algorithm, &jwk).unwrap()
}

/// One element of DER.
pub fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap();
    let [high, low] = length.to_be_bytes();
    let length = match length {
        0..=0x7f => vec![low],
        0x80..=0xff => vec![0x81, low],
        _ => vec![0x82, high, low],
    };
    [&[tag], &*length, content].concat()
}

/// A certificate of `key` (SubjectPublicKeyInfo), signed by `signer`: RSA or P-256 with SHA-256.
pub fn certificate(key: &[u8], signer: &Signer) -> Vec<u8> {
    const SEQUENCE: u8 = 0x30;
    const SHA256_WITH_RSA: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00";
    const ECDSA_WITH_SHA256: &[u8] = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
    const COMMON_NAME: &[u8] = b"\x06\x03\x55\x04\x03";

    let algorithm = match signer {
        Signer::Rsa(..) => SHA256_WITH_RSA,
        _ => ECDSA_WITH_SHA256,
    };
    let text = der(0x0c, b"attack");
    let attribute = der(SEQUENCE, &[COMMON_NAME, &text].concat());
    let name = der(SEQUENCE, &der(0x31, &attribute));
    let [from, until] = [b"200101000000Z", b"400101000000Z"].map(|time| der(0x17, time));
    let validity = der(SEQUENCE, &[from, until].concat());
    let serial = der(0x02, &[1]);
    let version = der(0xa0, &der(0x02, &[2]));
    let parts = [&version, &serial, algorithm, &name, &validity, &name, key];
    let signed = der(SEQUENCE, &parts.concat());
    let mut signature = signer.sign(&signed);
    if let Signer::Ec(_) = signer {
        let (r, s) = signature.split_at(signature.len() / 2);
        let [r, s] = [r, s].map(|number| der(0x02, &[&[0], number].concat()));
        signature = der(SEQUENCE, &[r, s].concat());
    }
    let signature = der(0x03, &[&[0], &*signature].concat());
    der(SEQUENCE, &[&signed, algorithm, &signature].concat())
}

/// PEM with lines of 64 characters and a line feed at its end (RFC 7468 §2).
pub fn pem(label: &str, der: &[u8]) -> String {
    let body = base64_simd::STANDARD.encode_to_string(der);
    let lines: Vec<_> = body
        .as_bytes()
        .chunks(64)
        .map(|line| str::from_utf8(line).unwrap())
        .collect();
    let lines = lines.join("\n");
    format!("-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n")
}

/// Whether `run` panics, as literal misuse of a builder does.
pub fn panics<T>(run: impl FnOnce() -> T) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err()
}

/// `{method} /claims` with these headers, which may hold what is no ASCII.
pub fn with_headers(method: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    *request.method_mut() = method.parse().unwrap();
    *request.uri_mut() = "/claims".parse().unwrap();
    for (name, value) in headers {
        let name: HeaderName = name.parse().unwrap();
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        request.headers_mut().append(name, value);
    }
    request
}
