//! What is accepted as an HMAC secret.

use super::{Algorithm, KeyError};

/// Checks `secret`: long enough, and no key's text. A public key taken for a secret would let anyone sign.
pub(crate) fn check(algorithm: Algorithm, secret: &[u8]) -> Result<(), KeyError> {
    if secret
        .iter()
        .all(|byte| byte.is_ascii_whitespace() || *byte == 0)
    {
        return Err(KeyError::EmptySecret);
    }
    if is_key(secret) {
        return Err(KeyError::SecretIsKey);
    }
    let needed = algorithm.secret_length();
    if secret.len() < needed {
        return Err(KeyError::ShortSecret { algorithm, needed });
    }
    Ok(())
}

fn is_key(secret: &[u8]) -> bool {
    is_der(secret) || std::str::from_utf8(secret).is_ok_and(is_key_text)
}

fn is_key_text(text: &str) -> bool {
    const OPENSSH: [&str; 4] = ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"];
    let text = text.trim_start_matches('\u{feff}').trim();
    text.contains("-----BEGIN")
        || OPENSSH.iter().any(|prefix| text.starts_with(prefix))
        || is_jwk(text)
        || is_der_in_base64(text)
}

fn is_jwk(text: &str) -> bool {
    text.starts_with('{')
        && serde_json::from_str::<serde_json::Value>(text)
            .is_ok_and(|json| json.get("kty").is_some() || json.get("keys").is_some())
}

/// The middle of a PEM block, as some consoles show a public key.
fn is_der_in_base64(text: &str) -> bool {
    let joined: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=')
        .collect();
    [base64_simd::STANDARD_NO_PAD, base64_simd::URL_SAFE_NO_PAD]
        .iter()
        .any(|alphabet| {
            alphabet
                .decode_to_vec(&joined)
                .is_ok_and(|der| is_der(&der))
        })
}

/// Whether the bytes are one DER SEQUENCE whose elements fill it exactly. Every encoding of a key is;
/// random bytes are it about once in ten million.
fn is_der(bytes: &[u8]) -> bool {
    const SEQUENCE: u8 = 0x30;
    let Some((SEQUENCE, mut content, [])) = element(bytes) else {
        return false;
    };
    let mut elements = 0usize;
    while !content.is_empty() {
        let Some((_, _, rest)) = element(content) else {
            return false;
        };
        elements = elements.saturating_add(1);
        content = rest;
    }
    elements >= 2
}

/// Splits off the first DER element: its tag, its content, and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x0f))?;
            let length = length
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_as_long_as_its_hash() {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let needed = algorithm.secret_length();
            let secret = vec![b'x'; needed];
            assert_eq!(check(algorithm, &secret), Ok(()));
            assert_eq!(
                check(algorithm, &secret[1..]),
                Err(KeyError::ShortSecret { algorithm, needed })
            );
        }
    }

    #[test]
    fn white_space_is_no_secret() {
        for secret in [&b""[..], &[b' '; 40], &[b'\n'; 40], &[0; 40]] {
            assert_eq!(check(Algorithm::HS256, secret), Err(KeyError::EmptySecret));
        }
    }

    #[test]
    fn text_that_merely_resembles_a_key_is_a_secret() {
        for secret in [
            "{\"not\": \"a key, only JSON with enough characters\"}",
            "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A",
            "0123456789abcdef0123456789abcdef",
        ] {
            assert_eq!(
                check(Algorithm::HS256, secret.as_bytes()),
                Ok(()),
                "{secret}"
            );
        }
    }
}
