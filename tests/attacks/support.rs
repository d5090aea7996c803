//! A service behind the layer, and the means to forge tokens for it.

use std::sync::LazyLock;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::routing::get;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair,
};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::keys::{Algorithm, VerifyingKey};
use tower_jwt_auth::{AuthError, AuthErrorKind, Claims, JwtAuthLayer, VerifyErrorKind};

/// The time at which every test stands, in seconds since the epoch.
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
    Router::new().route("/claims", get(claims).post(claims)).layer(layer)
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
    pub error: Option<AuthError>,
}

impl Answer {
    pub fn challenge(&self) -> Option<&str> {
        self.headers.get(WWW_AUTHENTICATE).map(|value| value.to_str().unwrap())
    }

    pub fn kind(&self) -> Option<AuthErrorKind> {
        self.error.as_ref().map(AuthError::kind)
    }

    /// The claims reached the handler.
    #[track_caller]
    pub fn accepted(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{:?}", self.error);
        serde_json::from_str(&self.body).unwrap()
    }

    /// 401 `invalid_token`, for this reason.
    #[track_caller]
    pub fn refused(&self, kind: VerifyErrorKind) {
        assert_eq!(self.kind(), Some(AuthErrorKind::InvalidToken(kind)), "{}", self.body);
        assert_eq!(self.status, StatusCode::UNAUTHORIZED);
        let challenge = self.challenge().expect("a challenge");
        assert!(challenge.contains(r#"error="invalid_token""#), "{challenge}");
    }

    /// 400 `invalid_request`.
    #[track_caller]
    pub fn malformed(&self) {
        assert_eq!(self.status, StatusCode::BAD_REQUEST, "{:?}", self.error);
        let challenge = self.challenge().expect("a challenge");
        assert!(challenge.contains(r#"error="invalid_request""#), "{challenge}");
    }
}

pub async fn send(app: &Router, request: Request<Body>) -> Answer {
    let response = app.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    Answer {
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
    let input = format!("{}.{}", base64url(header), base64url(payload));
    let signature = signer.sign(input.as_bytes());
    format!("{input}.{}", base64url(signature))
}

/// A token that [`layer`] accepts.
pub fn good() -> String {
    hs256_token(claims(json!({})))
}

/// `payload` under [`SECRET`] and a proper header.
pub fn hs256_token(payload: impl AsRef<[u8]>) -> String {
    forge(r#"{"alg":"HS256","typ":"JWT"}"#, payload, &Signer::hmac(SECRET))
}

/// Signs bytes; says nothing about what the header claims.
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

    pub fn ed25519() -> Self {
        Self::Ed25519(&ED25519)
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Hmac(key) => hmac::sign(key, message).as_ref().to_vec(),
            Self::Rsa(key, encoding) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(*encoding, &random, message, &mut signature).unwrap();
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

/// The public JWK of a curve's key, with `more` laid over it.
pub fn ec_jwk(key: &EcdsaKeyPair, curve: &str, more: Value) -> String {
    let point = key.public_key().as_ref();
    let (x, y) = point[1..].split_at(point.len() / 2);
    let mut jwk = json!({ "kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y) });
    jwk.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    jwk.to_string()
}

pub fn p256_key() -> VerifyingKey {
    VerifyingKey::from_jwk(&ec_jwk(&P256, "P-256", json!({}))).unwrap()
}

pub fn p384_key() -> VerifyingKey {
    VerifyingKey::from_jwk(&ec_jwk(&P384, "P-384", json!({}))).unwrap()
}

/// The public key of [`ED25519`], for `EdDSA` or `Ed25519`.
pub fn ed25519_key(algorithm: Algorithm) -> VerifyingKey {
    let x = base64url(ED25519.public_key().as_ref());
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x }).to_string();
    VerifyingKey::from_jwk_for(algorithm, &jwk).unwrap()
}
