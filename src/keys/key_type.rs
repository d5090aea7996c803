//! Recognises what an encoded key is, so that an error can say it.

use super::algorithm::{Algorithm, Family};
use super::der::element;
use super::error::KeyError;
use super::key_name::{ED25519, P256, P384, P521, RSA, SECP256K1, needed};

/// What a DER value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Private,
    Public,
    Certificate,
    Encrypted,
}

/// Fails if the DER value is known to be something else than a public key for `algorithm`, or a
/// certificate. What is not recognised is left to the back-end.
pub(super) fn check_public(algorithm: Algorithm, der: &[u8]) -> Result<(), KeyError> {
    match recognise(der) {
        Some((Content::Private | Content::Encrypted, _)) => Err(KeyError::UnexpectedPrivateKey),
        Some((Content::Public | Content::Certificate, found)) => check_type(algorithm, found),
        None => check_type(algorithm, None),
    }
}

/// Fails if the DER value is known to be something else than a private key for `algorithm`.
pub(super) fn check_private(algorithm: Algorithm, der: &[u8]) -> Result<(), KeyError> {
    match recognise(der) {
        Some((Content::Encrypted, _)) => Err(KeyError::Encrypted),
        Some((Content::Certificate, _)) => Err(KeyError::UnexpectedCertificate),
        Some((Content::Public, _)) => Err(KeyError::UnexpectedPublicKey),
        Some((Content::Private, found)) => check_type(algorithm, found),
        None => check_type(algorithm, None),
    }
}

fn check_type(algorithm: Algorithm, found: Option<&'static str>) -> Result<(), KeyError> {
    match found {
        Some(found) if found != needed(algorithm) => {
            Err(KeyError::WrongKeyType { algorithm, found })
        }
        None if algorithm.family() == Family::Hmac => Err(KeyError::WrongKeyType {
            algorithm,
            found: "an encoded key",
        }),
        _ => Ok(()),
    }
}

/// Recognises SubjectPublicKeyInfo (RFC 5280), PKCS#8 (RFC 5958), PKCS#1 (RFC 8017), SEC1 (RFC
/// 5915) and certificates by their first elements. The type is `None` if it is not known here.
fn recognise(der: &[u8]) -> Option<(Content, Option<&'static str>)> {
    const INTEGER: u8 = 0x02;
    const BIT_STRING: u8 = 0x03;
    const OCTET_STRING: u8 = 0x04;
    const SEQUENCE: u8 = 0x30;

    let (_, content, _) = element(der)?;
    let (first, identifier, rest) = element(content)?;
    let (second, second_content, rest) = element(rest)?;
    let third = element(rest).map(|(tag, _, _)| tag);
    Some(match (first, second, third) {
        (SEQUENCE, BIT_STRING, None) => (Content::Public, type_of(identifier)),
        (INTEGER, SEQUENCE, Some(OCTET_STRING)) => (Content::Private, type_of(second_content)),
        (INTEGER, INTEGER, None) => (Content::Public, Some(RSA)),
        (INTEGER, INTEGER, Some(INTEGER)) => (Content::Private, Some(RSA)),
        (INTEGER, OCTET_STRING, _) => (Content::Private, curve_of_sec1(rest)),
        (SEQUENCE, SEQUENCE, Some(BIT_STRING)) => (Content::Certificate, None),
        (SEQUENCE, OCTET_STRING, None) => (Content::Encrypted, None),
        _ => return None,
    })
}

/// The type of key in an AlgorithmIdentifier (RFC 5280 §4.1.1.2).
fn type_of(identifier: &[u8]) -> Option<&'static str> {
    const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    const ED25519_ID: &[u8] = &[0x2b, 0x65, 0x70];
    const ED448_ID: &[u8] = &[0x2b, 0x65, 0x71];
    const X25519_ID: &[u8] = &[0x2b, 0x65, 0x6e];

    let (_, id, parameters) = element(identifier)?;
    match id {
        RSA_ENCRYPTION => Some(RSA),
        EC_PUBLIC_KEY => curve(element(parameters)?.1),
        ED25519_ID => Some(ED25519),
        ED448_ID => Some("an Ed448 key"),
        X25519_ID => Some("an X25519 key"),
        _ => None,
    }
}

/// The curve in the optional parameters after the private key.
fn curve_of_sec1(rest: &[u8]) -> Option<&'static str> {
    const PARAMETERS: u8 = 0xa0;

    let (PARAMETERS, parameters, _) = element(rest)? else {
        return None;
    };
    curve(element(parameters)?.1)
}

/// The type of key on a curve, named by the content of its OBJECT IDENTIFIER.
fn curve(id: &[u8]) -> Option<&'static str> {
    match id {
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07] => Some(P256),
        [0x2b, 0x81, 0x04, 0x00, 0x22] => Some(P384),
        [0x2b, 0x81, 0x04, 0x00, 0x23] => Some(P521),
        [0x2b, 0x81, 0x04, 0x00, 0x0a] => Some(SECP256K1),
        _ => None,
    }
}
