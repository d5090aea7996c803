//! The thumbprints of a JWK's certificate.

use serde::Deserialize;

use super::backend::{sha1, sha256};
use super::der::is_one_sequence;
use crate::token::{Thumbprints, base64url};

/// The thumbprints of the first certificate in `x5c`, otherwise the members `x5t` and `x5t#S256`
/// (RFC 7517 §4.7 to §4.9).
///
/// The members are ignored beside a readable certificate. If they contradict it, they are often the
/// digest in hexadecimal digits, so the key must stay usable by its `kid`. Members that cannot be
/// read are ignored too: a thumbprint only chooses a key, and the signature decides.
pub(super) fn thumbprints(jwk: &[u8]) -> Option<Thumbprints> {
    let published = Thumbprints::read(jwk);
    let Some(certificate) = first_certificate(jwk) else {
        return published;
    };
    let published = published.unwrap_or_default();
    Some(Thumbprints {
        sha1: text(sha1(&certificate)).or(published.sha1),
        sha256: text(sha256(&certificate)).or(published.sha256),
    })
}

fn text(digest: Option<Vec<u8>>) -> Option<Box<str>> {
    digest.map(|digest| base64url::encode(&digest).into())
}

/// The first certificate in DER. It is recognised, not parsed.
fn first_certificate(jwk: &[u8]) -> Option<Vec<u8>> {
    #[derive(Deserialize)]
    struct Chain {
        x5c: Vec<String>,
    }

    let chain: Chain = serde_json::from_slice(jwk).ok()?;
    let first = chain.x5c.first()?;
    let certificate = base64_simd::STANDARD.decode_to_vec(first).ok()?;
    is_one_sequence(&certificate).then_some(certificate)
}
