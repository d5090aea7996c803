//! What a key that is refused says: what is wrong, and what helps.
#![cfg(any(feature = "aws_lc_rs", feature = "rust_crypto"))]
#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::json;
use tower_jwt_auth::keys::{Algorithm, KeyError, SigningKey, VerifyingKey};

// One key on P-256, as `openssl` writes it.
const PRIVATE: &str = include_str!("pem/private.pem");
const PUBLIC: &str = include_str!("pem/public.pem");
const CERTIFICATE: &str = include_str!("pem/certificate.pem");
const EC_PARAMETERS: &str = include_str!("pem/ec_parameters.pem");
const ENCRYPTED: &str = include_str!("pem/encrypted.pem");
const ENCRYPTED_SEC1: &str = include_str!("pem/encrypted_sec1.pem");

fn signing(algorithm: Algorithm, pem: &str) -> KeyError {
    SigningKey::from_pem(algorithm, pem).unwrap_err()
}

fn verifying(algorithm: Algorithm, pem: &str) -> KeyError {
    VerifyingKey::from_pem(algorithm, pem).unwrap_err()
}

fn der(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    base64_simd::STANDARD.decode_to_vec(body).unwrap()
}

#[test]
fn a_key_after_ec_parameters_is_the_same_key() {
    let jwk = |pem| {
        let key = SigningKey::from_pem(Algorithm::ES256, pem).unwrap();
        key.verifying_key().to_jwk().unwrap()
    };
    let (_, sec1) = EC_PARAMETERS
        .split_once("-----END EC PARAMETERS-----\n")
        .unwrap();
    assert!(sec1.starts_with("-----BEGIN EC PRIVATE KEY"));
    let expected = jwk(PRIVATE);
    let with_crlf = EC_PARAMETERS.replace('\n', "\r\n");
    for pem in [EC_PARAMETERS, sec1, &with_crlf] {
        assert_eq!(jwk(pem), expected);
    }
    let parameters = EC_PARAMETERS.strip_suffix(sec1).unwrap();
    assert_eq!(jwk(&format!("{parameters}{PRIVATE}")), expected);
    let public = format!("{parameters}{PUBLIC}");
    let public = VerifyingKey::from_pem(Algorithm::ES256, public).unwrap();
    assert_eq!(public.to_jwk().unwrap(), expected);
    // No key, and two keys.
    assert_eq!(signing(Algorithm::ES256, parameters), KeyError::Unreadable);
    let two = format!("{EC_PARAMETERS}{EC_PARAMETERS}");
    assert_eq!(signing(Algorithm::ES256, &two), KeyError::MultipleKeys);
}

#[test]
fn a_sec1_key_that_cannot_be_parsed_says_how_to_convert_it() {
    // No private key is zero.
    let bare = [&[0x30, 37, 2, 1, 1, 4, 32][..], &[0; 32]].concat();
    let body = base64_simd::STANDARD.encode_to_string(bare);
    let pem = format!("-----BEGIN EC PRIVATE KEY-----\n{body}\n-----END EC PRIVATE KEY-----\n");
    let error = signing(Algorithm::ES256, &pem);
    assert_eq!(error, KeyError::UnreadableSec1);
    assert!(error.to_string().contains("openssl pkcs8 -topk8 -nocrypt"));
}

#[test]
fn an_encrypted_key_says_how_to_decrypt_it() {
    for pem in [ENCRYPTED, ENCRYPTED_SEC1] {
        let error = signing(Algorithm::ES256, pem);
        assert_eq!(error, KeyError::Encrypted);
        assert!(error.to_string().contains("openssl pkcs8 -topk8 -nocrypt"));
        assert_eq!(
            verifying(Algorithm::ES256, pem),
            KeyError::UnexpectedPrivateKey
        );
    }
    let error = SigningKey::from_der(Algorithm::ES256, der(ENCRYPTED)).unwrap_err();
    assert_eq!(error, KeyError::Encrypted);
}

#[test]
fn line_breaks_as_two_characters_are_named() {
    for (pem, breaks) in [(PRIVATE, "\\n"), (PUBLIC, "\\n"), (CERTIFICATE, "\\r\\n")] {
        let flat = pem.replace('\n', breaks);
        for error in [
            signing(Algorithm::ES256, &flat),
            verifying(Algorithm::ES256, &flat),
        ] {
            assert_eq!(error, KeyError::LiteralLineBreaks);
            assert!(
                error.to_string().contains(r#"replace("\\n", "\n")"#),
                "{error}"
            );
        }
    }
    // What the message says helps.
    let flat = PRIVATE.replace('\n', "\\n");
    assert!(SigningKey::from_pem(Algorithm::ES256, flat.replace("\\n", "\n")).is_ok());
}

#[test]
fn the_wrong_half_of_a_key_is_named() {
    let (public, private) = (
        KeyError::UnexpectedPublicKey,
        KeyError::UnexpectedPrivateKey,
    );
    assert_eq!(signing(Algorithm::ES256, PUBLIC), public);
    assert_eq!(verifying(Algorithm::ES256, PRIVATE), private);
    assert_eq!(verifying(Algorithm::ES256, EC_PARAMETERS), private);
    let by_der = SigningKey::from_der(Algorithm::ES256, der(PUBLIC)).unwrap_err();
    assert_eq!(by_der, public);
    let by_der = VerifyingKey::from_der(Algorithm::ES256, der(PRIVATE)).unwrap_err();
    assert_eq!(by_der, private);
    // A label does not make a private key public.
    let relabelled = PRIVATE.replace("PRIVATE KEY", "PUBLIC KEY");
    assert_eq!(verifying(Algorithm::ES256, &relabelled), private);
    assert!(public.to_string().contains("pass the private key"));
    assert!(private.to_string().contains("pass the public key"));
}

#[test]
fn a_certificate_is_no_private_key() {
    let error = signing(Algorithm::ES256, CERTIFICATE);
    assert_eq!(error, KeyError::UnexpectedCertificate);
    assert!(error.to_string().contains("certificate"));
    let error = SigningKey::from_der(Algorithm::ES256, der(CERTIFICATE)).unwrap_err();
    assert_eq!(error, KeyError::UnexpectedCertificate);
    assert!(VerifyingKey::from_pem(Algorithm::ES256, CERTIFICATE).is_ok());
}

#[test]
fn the_wrong_type_of_key_is_named_beside_the_needed_one() {
    let found = "an EC key on P-256";
    for (algorithm, needed) in [
        (Algorithm::HS256, "a secret"),
        (Algorithm::RS256, "an RSA key"),
        (Algorithm::ES384, "an EC key on P-384"),
        (Algorithm::ES256K, "an EC key on secp256k1"),
        (Algorithm::EdDSA, "an Ed25519 key"),
    ] {
        let expected = KeyError::WrongKeyType { algorithm, found };
        let said = expected.to_string();
        let parts = [algorithm.name(), needed, found];
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
        for pem in [PRIVATE, EC_PARAMETERS] {
            assert_eq!(signing(algorithm, pem), expected);
        }
        assert_eq!(verifying(algorithm, PUBLIC), expected);
        let by_der = VerifyingKey::from_der(algorithm, der(PUBLIC)).unwrap_err();
        assert_eq!(by_der, expected);
    }
    let algorithm = Algorithm::ES256;
    let secret = VerifyingKey::from_secret(algorithm, [7; 32]).unwrap_err();
    assert_eq!(
        secret,
        KeyError::WrongKeyType {
            algorithm,
            found: "a secret"
        }
    );
}

#[test]
fn a_jwk_for_encryption_says_so() {
    let of = |members| VerifyingKey::from_jwk(serde_json::Value::to_string(&members)).unwrap_err();
    for alg in ["RSA-OAEP", "RS256", "ECDH-ES"] {
        let jwk = json!({ "kty": "RSA", "use": "enc", "alg": alg, "n": "AQAB", "e": "AQAB" });
        assert_eq!(of(jwk), KeyError::ForEncryption);
    }
    let unknown = json!({ "kty": "XX", "use": "enc" });
    assert_eq!(of(unknown), KeyError::ForEncryption);
    assert!(
        KeyError::ForEncryption
            .to_string()
            .contains("for encryption")
    );
    let other = json!({ "kty": "RSA", "use": "x", "n": "AQAB", "e": "AQAB" });
    assert_eq!(of(other), KeyError::NotForSignatures);
}

#[test]
fn hostile_text_is_refused() {
    for text in [
        "",
        "-----BEGIN ",
        "-----BEGIN PRIVATE KEY",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN EC PARAMETERS-----",
        "-----BEGIN -----\n-----END -----",
        "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nMAMCAQA=\n-----END PRIVATE KEY-----",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----",
    ] {
        for algorithm in [
            Algorithm::RS256,
            Algorithm::ES256,
            Algorithm::EdDSA,
            Algorithm::HS256,
        ] {
            assert!(SigningKey::from_pem(algorithm, text).is_err(), "{text}");
            assert!(VerifyingKey::from_pem(algorithm, text).is_err(), "{text}");
        }
    }
    // Each truncation of each element.
    for whole in [der(PRIVATE), der(PUBLIC), der(CERTIFICATE), der(ENCRYPTED)] {
        for length in 0..whole.len() {
            let cut = &whole[..length];
            assert!(SigningKey::from_der(Algorithm::ES256, cut).is_err());
            assert!(VerifyingKey::from_der(Algorithm::ES256, cut).is_err());
        }
    }
}
