//! A client with a DPoP key and a token that is bound to it.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use tower_jwt_auth::keys::VerifyingKey;

pub(crate) struct Client {
    key: EcdsaKeyPair,
    /// Of proofs, encoded.
    header: String,
    pub(crate) token: String,
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes.as_ref())
}

impl Client {
    /// `bind` makes a token with this `cnf`.
    pub(crate) fn new(bind: impl FnOnce(Value) -> String) -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let (x, y) = key.public_key().as_ref()[1..].split_at(32);
        let (x, y) = (base64url(x), base64url(y));
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y });
        let public = VerifyingKey::from_jwk(jwk.to_string()).unwrap();
        let cnf = json!({ "jkt": public.jwk_thumbprint().unwrap() });
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk });
        Self {
            key,
            header: base64url(header.to_string()),
            token: bind(cnf),
        }
    }

    /// A proof for `GET https://api.example.com/`.
    pub(crate) fn proof(&self, jti: &str, issued_at: u64) -> String {
        let hash = base64url(digest(&SHA256, self.token.as_bytes()));
        let claims = json!({
            "jti": jti,
            "htm": "GET",
            "htu": "https://api.example.com/",
            "iat": issued_at,
            "ath": hash,
        });
        let input = format!("{}.{}", self.header, base64url(claims.to_string()));
        let signature = self.key.sign(&SystemRandom::new(), input.as_bytes());
        format!("{input}.{}", base64url(signature.unwrap()))
    }
}
