//! Encoded keys: parsed from a format such as PEM, ready for a back-end.
#![cfg_attr(
    not(any(feature = "aws_lc_rs", feature = "rust_crypto")),
    expect(dead_code, reason = "only a back-end looks inside")
)]

use jsonwebtoken::{AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey};

use super::algorithm::{Algorithm, Family};
use super::der::{element, is_one_sequence};
use super::error::KeyError;
use super::key_name;

/// A public key or secret in an encoding that every back-end can parse.
pub(crate) enum EncodedVerifyingKey<'a> {
    Secret(&'a [u8]),
    /// PKCS#1 `RSAPublicKey` (RFC 8017 appendix A.1.1).
    RsaDer(&'a [u8]),
    /// Modulus and exponent, big-endian.
    RsaComponents {
        n: &'a [u8],
        e: &'a [u8],
    },
    /// An uncompressed SEC1 point.
    EcPoint(&'a [u8]),
    /// The 32 bytes of RFC 8032 §5.1.5.
    Ed25519(&'a [u8]),
}

impl<'a> EncodedVerifyingKey<'a> {
    /// Fails unless the key has the type that the algorithm needs.
    pub(crate) fn from_decoding_key(
        algorithm: Algorithm,
        key: &'a DecodingKey,
    ) -> Result<Self, KeyError> {
        use DecodingKeyKind::{RsaModulusExponent, SecretOrDer};
        Ok(match (algorithm.family(), key.family(), key.kind()) {
            (Family::Hmac, AlgorithmFamily::Hmac, SecretOrDer(secret)) => Self::Secret(secret),
            (Family::Rsa, AlgorithmFamily::Rsa, SecretOrDer(der)) => Self::RsaDer(whole(der)?),
            (Family::Rsa, AlgorithmFamily::Rsa, RsaModulusExponent { n, e }) => {
                Self::RsaComponents { n, e }
            }
            (Family::Ec, AlgorithmFamily::Ec, SecretOrDer(point)) => {
                Self::EcPoint(point_of(point)?)
            }
            (Family::Ed, AlgorithmFamily::Ed, SecretOrDer(key)) => Self::Ed25519(ed25519_of(key)?),
            (_, found, _) => {
                let found = type_of(found);
                return Err(KeyError::WrongKeyType { algorithm, found });
            }
        })
    }

    /// The error for an algorithm that needs another type of key.
    pub(crate) fn is_not_for(&self, algorithm: Algorithm) -> KeyError {
        let found = match self {
            Self::Secret(_) => key_name::SECRET,
            Self::RsaDer(_) | Self::RsaComponents { .. } => key_name::RSA,
            Self::EcPoint(_) => key_name::EC,
            Self::Ed25519(_) => key_name::ED25519,
        };
        KeyError::WrongKeyType { algorithm, found }
    }
}

fn type_of(family: AlgorithmFamily) -> &'static str {
    match family {
        AlgorithmFamily::Hmac => key_name::SECRET,
        AlgorithmFamily::Rsa => key_name::RSA,
        AlgorithmFamily::Ec => key_name::EC,
        AlgorithmFamily::Ed => key_name::ED25519,
    }
}

/// The numbers of a public key, big-endian. They are public.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum PublicKeyComponents {
    Rsa { n: Box<[u8]>, e: Box<[u8]> },
    Ec { x: Box<[u8]>, y: Box<[u8]> },
    Ed25519(Box<[u8]>),
}

impl EncodedVerifyingKey<'_> {
    /// The components of a public key. `None` for a secret and for a compressed EC point.
    pub(crate) fn components(&self) -> Option<PublicKeyComponents> {
        const INTEGER: u8 = 0x02;
        const UNCOMPRESSED: u8 = 4;

        let number = |bytes: &[u8]| Box::from(without_leading_zeros(bytes));
        Some(match *self {
            Self::Secret(_) => return None,
            Self::RsaDer(der) => {
                let (_, content, _) = element(der)?;
                let (INTEGER, n, rest) = element(content)? else {
                    return None;
                };
                let (INTEGER, e, []) = element(rest)? else {
                    return None;
                };
                PublicKeyComponents::Rsa {
                    n: number(n),
                    e: number(e),
                }
            }
            Self::RsaComponents { n, e } => PublicKeyComponents::Rsa {
                n: number(n),
                e: number(e),
            },
            Self::EcPoint(point) => {
                let (&UNCOMPRESSED, coordinates) = bare_point(point)?.split_first()? else {
                    return None;
                };
                let (x, y) = coordinates.split_at_checked(coordinates.len() / 2)?;
                PublicKeyComponents::Ec {
                    x: x.into(),
                    y: y.into(),
                }
            }
            Self::Ed25519(key) => PublicKeyComponents::Ed25519(key.into()),
        })
    }
}

/// A big-endian number in its shortest form.
pub(crate) fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// The EC point, extracted from a SubjectPublicKeyInfo if necessary.
fn bare_point(key: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const BIT_STRING: u8 = 0x03;
    if key.first() != Some(&SEQUENCE) {
        return Some(key);
    }
    let (_, content, _) = element(key)?;
    let (_, _, rest) = element(content)?;
    let (BIT_STRING, bits, []) = element(rest)? else {
        return None;
    };
    bits.strip_prefix(&[0])
}

/// A private key or secret in an encoding that every back-end can parse.
pub(crate) enum EncodedSigningKey<'a> {
    Secret(&'a [u8]),
    /// PKCS#8, PKCS#1 or SEC1.
    Der(&'a [u8]),
    RsaComponents(Box<RsaPrivateComponents>),
    /// The private scalar and its public point. The back-end checks that they match.
    EcScalar {
        scalar: &'a [u8],
        point: &'a [u8],
    },
    /// The seed and its public key. The back-end checks that they match.
    Ed25519Seed {
        seed: &'a [u8],
        public: &'a [u8],
    },
}

/// The numbers of an RSA private key (RFC 8017 §3.2), big-endian.
pub(crate) struct RsaPrivateComponents {
    pub(crate) n: Vec<u8>,
    pub(crate) e: Vec<u8>,
    pub(crate) d: Vec<u8>,
    pub(crate) p: Vec<u8>,
    pub(crate) q: Vec<u8>,
    pub(crate) dp: Vec<u8>,
    pub(crate) dq: Vec<u8>,
    pub(crate) qi: Vec<u8>,
}

impl<'a> EncodedSigningKey<'a> {
    pub(crate) fn from_encoding_key(
        algorithm: Algorithm,
        key: &'a EncodingKey,
    ) -> Result<Self, KeyError> {
        Ok(match (algorithm.family(), key.family()) {
            (Family::Hmac, AlgorithmFamily::Hmac) => Self::Secret(key.as_bytes()),
            (Family::Rsa, AlgorithmFamily::Rsa)
            | (Family::Ec, AlgorithmFamily::Ec)
            | (Family::Ed, AlgorithmFamily::Ed) => Self::Der(whole(key.as_bytes())?),
            (_, found) => {
                let found = type_of(found);
                return Err(KeyError::WrongKeyType { algorithm, found });
            }
        })
    }

    /// The error for an algorithm that needs another type of key.
    pub(crate) fn is_not_for(&self, algorithm: Algorithm) -> KeyError {
        let found = match self {
            Self::Secret(_) => key_name::SECRET,
            Self::Der(_) => "an encoded key",
            Self::RsaComponents(_) => key_name::RSA,
            Self::EcScalar { .. } => key_name::EC,
            Self::Ed25519Seed { .. } => key_name::ED25519,
        };
        KeyError::WrongKeyType { algorithm, found }
    }
}

/// Fails unless the bytes are exactly one DER SEQUENCE.
pub(crate) fn whole(der: &[u8]) -> Result<&[u8], KeyError> {
    if is_one_sequence(der) {
        Ok(der)
    } else {
        Err(KeyError::Unreadable)
    }
}

/// A SEC1 point, or a SubjectPublicKeyInfo that contains one.
fn point_of(key: &[u8]) -> Result<&[u8], KeyError> {
    const SEQUENCE: u8 = 0x30;
    match key.first() {
        Some(&SEQUENCE) => whole(key),
        _ => Ok(key),
    }
}

/// The 32 bytes of a key that may be a SubjectPublicKeyInfo (RFC 8410 §4).
///
/// Other lengths are rejected here, because libraries treat them differently.
fn ed25519_of(key: &[u8]) -> Result<&[u8], KeyError> {
    const SPKI: [u8; 12] = [
        0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
    ];
    let bare = key.strip_prefix(&SPKI).unwrap_or(key);
    if bare.len() == 32 {
        Ok(bare)
    } else {
        Err(KeyError::Unreadable)
    }
}

/// Parses a SubjectPublicKeyInfo (RFC 5280 §4.1.2.7) or a certificate.
pub(crate) fn public_from_der(algorithm: Algorithm, der: &[u8]) -> Result<DecodingKey, KeyError> {
    let read = match algorithm.family() {
        Family::Hmac => return Err(KeyError::Unreadable),
        Family::Rsa => DecodingKey::from_rsa_pem,
        Family::Ec => DecodingKey::from_ec_pem,
        Family::Ed => DecodingKey::from_ed_pem,
    };
    // `jsonwebtoken` parses them only as PEM.
    let body = base64_simd::STANDARD.encode_to_string(der);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n");
    // The parser's error may quote the text.
    read(pem.as_bytes()).map_err(|_| KeyError::Unreadable)
}
