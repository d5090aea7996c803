//! What is accepted as an HMAC secret.

use super::der::element;
use super::{Algorithm, KeyError};

/// Checks `secret`: long enough, and no key's text. A public key taken for a secret would let anyone sign.
pub(crate) fn check(algorithm: Algorithm, secret: &[u8]) -> Result<(), KeyError> {
    let text = as_text(secret);
    if text.trim().is_empty() {
        return Err(KeyError::EmptySecret);
    }
    if is_der(secret) || is_key_text(&text) {
        return Err(KeyError::SecretIsKey);
    }
    let needed = algorithm.secret_length();
    if secret.len() < needed {
        return Err(KeyError::ShortSecret { algorithm, needed });
    }
    Ok(())
}

/// The bytes as a person might have meant them: of UTF-8 or, without its zeros, of UTF-16.
fn as_text(secret: &[u8]) -> String {
    let bytes: Vec<u8> = secret.iter().copied().filter(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).replace('\u{feff}', "")
}

/// OpenSSH's names of key types, which stand in its binary form too.
const KEY_TYPES: [&str; 4] = ["ssh-rsa", "ssh-dss", "ssh-ed25519", "ecdsa-sha2-"];

/// Whether a key is written somewhere in the text. Random text does not hold these words.
fn is_key_text(text: &str) -> bool {
    const WORDS: [&str; 5] = ["-----BEGIN", "-----END", "---- BEGIN", "\"kty", "\"keys"];
    /// How OpenSSH's binary form begins in base64.
    const OPENSSH: [&str; 3] = ["AAAAB3NzaC1", "AAAAE2VjZHNhLXNoYTIt", "AAAAC3NzaC1"];
    let contains = |word: &&str| text.contains(*word);
    WORDS.iter().any(contains)
        || OPENSSH.iter().chain(&KEY_TYPES).any(contains)
        || is_encoded_key(text)
}

/// The middle of a PEM block, as some consoles show a public key; and other wrappings.
fn is_encoded_key(text: &str) -> bool {
    let joined: Vec<u8> = text
        .replace("\\n", "")
        .bytes()
        .filter(|byte| byte.is_ascii_graphic() && !b"=\"',".contains(byte))
        .collect();
    let holds_key = |bytes: &[u8]| {
        is_der(bytes)
            || ["-----BEGIN", "\"kty"]
                .iter()
                .chain(&KEY_TYPES)
                .any(|word| contains(bytes, word.as_bytes()))
    };
    let base64 = [base64_simd::STANDARD_NO_PAD, base64_simd::URL_SAFE_NO_PAD]
        .iter()
        .any(|alphabet| {
            alphabet
                .decode_to_vec(&joined)
                .is_ok_and(|bytes| holds_key(&bytes))
        });
    base64 || decode_hex(&joined).is_some_and(|bytes| holds_key(&bytes))
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    memchr::memmem::find(bytes, word).is_some()
}

fn decode_hex(text: &[u8]) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_chunks::<2>() else {
        return None;
    };
    let digits = |pair: &[u8; 2]| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    };
    pairs.iter().map(digits).collect()
}

/// Whether the bytes are, but for white space around it, one DER SEQUENCE whose elements fill it exactly. Every encoding of a key is;
/// random bytes are it about once in ten million.
fn is_der(bytes: &[u8]) -> bool {
    const SEQUENCE: u8 = 0x30;
    let Some((SEQUENCE, mut content, rest)) = element(bytes.trim_ascii_start()) else {
        return false;
    };
    // Not trimmed before: the last byte of a key may look like white space.
    if !rest.trim_ascii().is_empty() {
        return false;
    }
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
    fn a_key_whose_last_byte_looks_like_white_space_is_no_secret() {
        for last in [b' ', b'\t', b'\n', b'\r', 0x0c, 0xa5] {
            let mut der = vec![0x30, 80, 0x02, 1, 1, 0x02, 75];
            der.resize(81, 0xa5);
            der.push(last);
            for around in ["", "\n", " \r\n"] {
                let secret = [around.as_bytes(), &der, around.as_bytes()].concat();
                let verdict = check(Algorithm::HS256, &secret);
                assert_eq!(verdict, Err(KeyError::SecretIsKey), "{last} {around:?}");
            }
        }
    }

    #[test]
    fn white_space_is_no_secret() {
        let spaces = "\u{b}\u{a0}".repeat(40);
        for secret in [
            &b""[..],
            &[b' '; 40],
            &[b'\n'; 40],
            &[0; 40],
            spaces.as_bytes(),
        ] {
            assert_eq!(check(Algorithm::HS256, secret), Err(KeyError::EmptySecret));
        }
    }

    #[test]
    fn a_key_is_found_in_its_wrappings() {
        const SPKI: &str = "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
        const SSH: &str = "AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{SPKI}\n-----END PUBLIC KEY-----\n");
        let utf16 = pem.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let der = base64_simd::STANDARD.decode_to_vec(SPKI).unwrap();
        let jwk =
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let texts: Vec<Vec<u8>> = vec![
            pem.clone().into(),
            utf16,
            [&b"# Schl\xfcssel\n"[..], pem.as_bytes(), b"\xff"].concat(),
            pem.replace("-----BEGIN PUBLIC KEY-----", "").into(),
            pem.replace('\n', "\\n").into(),
            base64_simd::STANDARD.encode_to_string(&pem).into(),
            SPKI.into(),
            format!("\"{SPKI}\"\0").into(),
            [&b"\n"[..], &der, b"\n"].concat(),
            der.iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
                .into(),
            der,
            jwk.into(),
            format!(" \u{feff}[{jwk},]\0").into(),
            base64_simd::STANDARD.encode_to_string(jwk).into(),
            format!("ssh-ed25519 {SSH} me").into(),
            format!("no-pty ssh-ed25519 {SSH}").into(),
            SSH.into(),
            format!("---- BEGIN SSH2 PUBLIC KEY ----\n{SSH}").into(),
        ];
        for text in texts {
            let shown = String::from_utf8_lossy(&text);
            assert_eq!(
                check(Algorithm::HS256, &text),
                Err(KeyError::SecretIsKey),
                "{shown}"
            );
        }
    }

    #[test]
    fn text_that_merely_resembles_a_key_is_a_secret() {
        for secret in [
            "{\"not\": \"a key, only JSON with enough characters\"}",
            "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A",
            "0123456789abcdef0123456789abcdef",
            "3082010a0123456789abcdef0123456789abcdef0123456789abcdef",
        ] {
            assert_eq!(
                check(Algorithm::HS256, secret.as_bytes()),
                Ok(()),
                "{secret}"
            );
        }
    }
}
