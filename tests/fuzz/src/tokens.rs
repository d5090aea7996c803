//! Tokens written by hand: any header, any payload, a right signature.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};

pub const SECRET: &[u8] = b"a secret of 32 bytes, for tests.";

pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

static KEY: LazyLock<EncodingKey> = LazyLock::new(|| EncodingKey::from_secret(SECRET));

/// Strict: no padding, no stray bits.
pub fn decode(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Signs what is encoded already, with HS256 and [`SECRET`].
pub fn signed(header: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut token = [header, b".", payload].concat();
    let signature = crypto::sign(&token, &KEY, Algorithm::HS256).unwrap();
    token.push(b'.');
    token.extend_from_slice(signature.as_bytes());
    token
}

pub fn hs256(header: &[u8], payload: &[u8]) -> Vec<u8> {
    signed(base64url(header).as_bytes(), base64url(payload).as_bytes())
}
