//! A client that makes DPoP proofs (RFC 9449 §4).

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use tower_jwt_auth::keys::VerifyingKey;

/// Has a key of P-256.
pub(crate) struct Client(EcdsaKeyPair);

impl Client {
    pub(crate) fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    fn jwk(&self) -> Value {
        let point = self.0.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        json!({ "kty": "EC", "crv": "P-256", "x": base64url(x), "y": base64url(y) })
    }

    pub(crate) fn thumbprint(&self) -> String {
        let key = VerifyingKey::from_jwk(self.jwk().to_string()).unwrap();
        key.jwk_thumbprint().unwrap()
    }

    /// A proof for `POST url`, made at `now`, with `more` laid over its claims. `null` removes one.
    pub(crate) fn proof(&self, url: &str, now: u64, more: &Value) -> String {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut claims = json!({
            "jti": format!("proof-{number}"),
            "htm": "POST",
            "htu": url,
            "iat": now,
        });
        let members = claims.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        members.retain(|_, value| !value.is_null());
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk() });
        let input = format!(
            "{}.{}",
            base64url(header.to_string()),
            base64url(claims.to_string())
        );
        let signature = self.0.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        format!("{input}.{}", base64url(signature))
    }
}

/// `ath` of a proof.
pub(crate) fn token_hash(token: &str) -> String {
    base64url(digest(&SHA256, token.as_bytes()))
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes.as_ref())
}
