//! Tokens written by hand: any header, any payload, a valid signature.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, crypto};

pub const SECRET: &[u8] = b"a secret of 32 bytes, for tests.";
/// For HS384.
pub const LONG_SECRET: &[u8] = b"another secret, of the 48 bytes that HS384 needs";

const EC_PRIVATE: &str = include_str!("../seeds/jwks/ec_private_pem");
pub const EC_PUBLIC: &str = include_str!("../seeds/jwks/ec_public_pem");
const ED_PRIVATE: &str = include_str!("../seeds/jwks/ed25519_private_pem");
pub const ED_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAyeW0T88oRjGvs1n1kEnp2d6smdS6eQoBtxgyuyHyrq0=
-----END PUBLIC KEY-----
";

/// The key that signs the tokens of one algorithm, and verifies them by `jsonwebtoken`.
pub struct Key {
    pub algorithm: Algorithm,
    signing: EncodingKey,
    pub verifying: DecodingKey,
}

static KEYS: LazyLock<[Key; 4]> = LazyLock::new(|| {
    let secret = |algorithm, secret| Key {
        algorithm,
        signing: EncodingKey::from_secret(secret),
        verifying: DecodingKey::from_secret(secret),
    };
    [
        secret(Algorithm::HS256, SECRET),
        secret(Algorithm::HS384, LONG_SECRET),
        Key {
            algorithm: Algorithm::ES256,
            signing: EncodingKey::from_ec_pem(EC_PRIVATE.as_bytes()).unwrap(),
            verifying: DecodingKey::from_ec_pem(EC_PUBLIC.as_bytes()).unwrap(),
        },
        Key {
            algorithm: Algorithm::EdDSA,
            signing: EncodingKey::from_ed_pem(ED_PRIVATE.as_bytes()).unwrap(),
            verifying: DecodingKey::from_ed_pem(ED_PUBLIC.as_bytes()).unwrap(),
        },
    ]
});

/// The key for tokens that say `alg`; that of HS256 where there is none.
pub fn key(alg: &str) -> &'static Key {
    let index = match alg {
        "HS384" => 1,
        "ES256" => 2,
        "EdDSA" | "Ed25519" => 3,
        _ => 0,
    };
    &KEYS[index]
}

pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Strict: no padding, no stray bits.
pub fn decode(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Signs what is encoded already.
pub fn signed(key: &Key, header: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut token = [header, b".", payload].concat();
    let signature = crypto::sign(&token, &key.signing, key.algorithm).unwrap();
    token.push(b'.');
    token.extend_from_slice(signature.as_bytes());
    token
}

pub fn hs256(header: &[u8], payload: &[u8]) -> Vec<u8> {
    signed(
        key("HS256"),
        base64url(header).as_bytes(),
        base64url(payload).as_bytes(),
    )
}
