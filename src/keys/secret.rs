//! Checks HMAC secrets.

use super::algorithm::Algorithm;
use super::backend;
use super::der::{element, is_one_sequence};
use super::encoding::EncodedVerifyingKey;
use super::error::KeyError;

/// Checks that `secret` is long enough and is not an encoded key.
///
/// If a public key were used as a secret, anybody could sign tokens.
pub(crate) fn check(algorithm: Algorithm, secret: &[u8]) -> Result<(), KeyError> {
    if !secret.is_empty() && secret.iter().all(|byte| *byte == 0) {
        return Err(KeyError::ZeroSecret);
    }
    if as_text(secret).trim().is_empty() {
        return Err(KeyError::EmptySecret);
    }
    if is_key(secret, MAX_LAYERS) {
        return Err(KeyError::SecretIsKey);
    }
    let needed = algorithm.secret_length();
    if secret.len() < needed {
        return Err(KeyError::ShortSecret { algorithm, needed });
    }
    Ok(())
}

/// How often a key may be encoded, as in: PEM, base64 in a variable, base64 in a manifest.
const MAX_LAYERS: usize = 3;

/// Whether the bytes are an encoded key.
///
/// Random bytes are not: each test has a false-positive rate below one in ten billion. A bare RSA
/// modulus, a compressed EC point and an Ed25519 public key are not detected.
fn is_key(bytes: &[u8], layers: usize) -> bool {
    if is_der(bytes) || is_point(bytes) {
        return true;
    }
    let text = as_text(bytes);
    let is_text_of_key = has_key_marker(&text) || is_jwk(&text);
    let decoded = || [decode_base64(&text), decode_hex(&text)];
    is_text_of_key
        || layers.checked_sub(1).is_some_and(|layers| {
            decoded()
                .iter()
                .flatten()
                .any(|bytes| is_key(bytes, layers))
        })
}

/// The bytes as text: as UTF-8, or as UTF-16 by dropping the zero bytes.
fn as_text(secret: &[u8]) -> String {
    let bytes: Vec<u8> = secret.iter().copied().filter(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).replace('\u{feff}', "")
}

/// Whether the text contains a marker that tools write into encoded keys. Random text does not
/// contain one.
fn has_key_marker(text: &str) -> bool {
    const MARKERS: [&str; 17] = [
        // OpenSSH key types, also part of the binary form. Then the starts of that form in base64.
        "ssh-rsa",
        "ssh-dss",
        "ssh-ed25519",
        "ecdsa-sha2-",
        "AAAAB3NzaC1",
        "AAAAE2VjZHNhLXNoYTIt",
        "AAAAC3NzaC1",
        "PuTTY-User-Key-File",
        // XML Signature 1.1 §4.5, as .NET writes it.
        "RSAKeyValue",
        "DSAKeyValue",
        "ECKeyValue",
        "<Modulus",
        "Modulus>",
        "X509Certificate",
        // Output of `openssl`.
        "Modulus=",
        "Public-Key:",
        "Private-Key:",
    ];
    const ARMOR: [&str; 3] = ["-----BEGIN", "-----END", "---- BEGIN"];
    let upper = text.to_ascii_uppercase();
    MARKERS.iter().any(|word| text.contains(word)) || ARMOR.iter().any(|word| upper.contains(word))
}

/// Whether the text is a JWK or a JWK Set (RFC 7517), in JSON or as another language prints it.
fn is_jwk(text: &str) -> bool {
    const QUOTES: [&str; 8] = ["'", "`", "&quot;", "&#34;", "&apos;", "&#39;", "%22", "%27"];
    const KEY_TYPES: [&str; 4] = ["RSA", "EC", "OKP", "oct"];

    let text = QUOTES.iter().fold(without_escapes(text), |text, quote| {
        text.replace(quote, "\"")
    });
    let text = text.replace("%3A", ":").replace("%3a", ":");
    let text = text.replace(char::is_whitespace, "");
    let has = |name: &str| {
        let name = format!("\"{name}\"");
        text.match_indices(&name).any(|(place, _)| {
            let after = place.checked_add(name.len());
            let after = after
                .and_then(|place| text.get(place..))
                .unwrap_or_default();
            after.starts_with([':', '='])
        })
    };
    // Names may be unquoted.
    let bare = text.replace('"', "");
    let has_key_type = || {
        let contains =
            |separator: &str, name: &str| bare.contains(&format!("kty{separator}{name}"));
        let separators = [":", "=", "=>"];
        separators
            .iter()
            .any(|separator| KEY_TYPES.iter().any(|name| contains(separator, name)))
    };
    text.contains("\"kty\"")
        || ["keys", "crv", "x5c"].into_iter().any(has)
        || has("n") && has("e")
        || has("x") && has("y")
        || has("k") && ["alg", "use", "key_ops", "kid"].into_iter().any(has)
        || has_key_type()
}

/// Decodes escapes such as `\u006b` and `\x6b`, and drops other backslashes.
fn without_escapes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        rest = after;
        let digits = match after.as_bytes() {
            [b'u', ..] => after.get(1..5),
            [b'x', ..] => after.get(1..3),
            _ => None,
        };
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        if let (Some(digits), Some(character)) = (digits, code.and_then(char::from_u32)) {
            plain.push(character);
            rest = after
                .get(digits.len().saturating_add(1)..)
                .unwrap_or_default();
        }
    }
    plain.push_str(rest);
    plain
}

/// Decodes base64, ignoring quotes and line breaks. Some consoles show only the body of a PEM
/// block.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let joined: Vec<u8> = text
        .replace("\\n", "")
        .bytes()
        .filter(|byte| byte.is_ascii_graphic() && !b"=\"',".contains(byte))
        .collect();
    let decode = |alphabet: base64_simd::Base64| alphabet.decode_to_vec(&joined).ok();
    decode(base64_simd::STANDARD_NO_PAD).or_else(|| decode(base64_simd::URL_SAFE_NO_PAD))
}

/// Decodes hexadecimal digits in the groupings of common tools: `30:82`, `0x30, 0x82`, `\x30\x82`.
fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let joined: Vec<u8> = text
        .replace("0x", "")
        .replace("\\x", "")
        .bytes()
        .filter(|byte| byte.is_ascii_graphic() && !b":,;\"'[]{}".contains(byte))
        .collect();
    let (pairs, []) = joined.as_chunks::<2>() else {
        return None;
    };
    let digits = |pair: &[u8; 2]| {
        let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
        u8::try_from(high?.checked_mul(16)?.checked_add(low?)?).ok()
    };
    pairs.iter().map(digits).collect()
}

/// Whether the bytes are one DER SEQUENCE whose elements occur in keys and certificates. White
/// space around it is ignored.
fn is_der(bytes: &[u8]) -> bool {
    const SEQUENCE: u8 = 0x30;
    /// INTEGER, BIT STRING, OCTET STRING, OBJECT IDENTIFIER, SEQUENCE and context-specific tags.
    const TAGS: [u8; 9] = [0x02, 0x03, 0x04, 0x06, SEQUENCE, 0xa0, 0xa1, 0xa2, 0xa3];

    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let bytes = bytes.trim_ascii_start();
    let Some((SEQUENCE, mut content, rest)) = element(bytes) else {
        return false;
    };
    // Trailing white space is not trimmed earlier: it may be the last byte of the key.
    let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
    let whole = bytes.get(..bytes.len().saturating_sub(rest.len()));
    if !rest.iter().all(is_space) || !whole.is_some_and(is_one_sequence) {
        return false;
    }
    let mut elements = 0usize;
    while let Some((tag, _, rest)) = element(content) {
        if !TAGS.contains(&tag) {
            return false;
        }
        elements = elements.saturating_add(1);
        content = rest;
    }
    elements >= 2
}

/// Whether the bytes are the coordinates of an EC point on its curve, with or without the prefix
/// byte (SEC 1 §2.3.3).
fn is_point(bytes: &[u8]) -> bool {
    const UNCOMPRESSED: u8 = 4;
    const HYBRID: [u8; 2] = [6, 7];

    let coordinates = match bytes.split_first() {
        Some((first, rest))
            if rest.len() % 2 == 0 && (*first == UNCOMPRESSED || HYBRID.contains(first)) =>
        {
            rest
        }
        _ => bytes,
    };
    let algorithms: &[Algorithm] = match coordinates.len() {
        64 => &[Algorithm::ES256, Algorithm::ES256K],
        96 => &[Algorithm::ES384],
        132 => &[Algorithm::ES512],
        _ => return false,
    };
    let point = [&[UNCOMPRESSED], coordinates].concat();
    let encoded = EncodedVerifyingKey::EcPoint(&point);
    algorithms
        .iter()
        .any(|algorithm| backend::verifier(*algorithm, &encoded).is_ok())
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
            &b" \0".repeat(20),
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
