//! Why a key is rejected.

use std::fmt;

use super::algorithm::Algorithm;
use super::key_name::needed;

/// Why a key is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// The secret is empty or only white space.
    EmptySecret,
    /// Every byte of the secret is zero, as in an uninitialised buffer.
    ZeroSecret,
    /// The secret is shorter than the hash of its algorithm (RFC 7518 §3.2).
    ShortSecret {
        /// The algorithm of the secret.
        algorithm: Algorithm,
        /// The minimum length in bytes.
        needed: usize,
    },
    /// The secret is an encoded key: PEM, DER, JWK, XML, an OpenSSH line or an uncompressed EC
    /// point. Hexadecimal and base64 forms of these are detected too.
    ///
    /// A bare RSA modulus, a compressed EC point and an Ed25519 public key look like random bytes.
    /// They are not detected.
    SecretIsKey,
    /// The algorithm needs another type of key.
    WrongKeyType {
        /// The algorithm.
        algorithm: Algorithm,
        /// The type of the key: `an RSA key`, `an EC key on P-384`.
        found: &'static str,
    },
    /// The key cannot be parsed in this format, or is invalid for the curve of its algorithm.
    ///
    /// For a JWK: it is not a JSON object, lacks `kty`, or has a duplicate member or one of the
    /// wrong type.
    Unreadable,
    /// The PEM text contains more than one key.
    MultipleKeys,
    /// The PEM text contains `\n` as two characters instead of line breaks. Environment variables
    /// often do.
    LiteralLineBreaks,
    /// The private key is encrypted.
    Encrypted,
    /// The `EC PRIVATE KEY` (SEC1) cannot be parsed. It may have the parameters of its curve
    /// instead of the curve's name.
    UnreadableSec1,
    /// The key is public where a private key is required.
    UnexpectedPublicKey,
    /// A certificate where a private key is required. It contains only the public key.
    UnexpectedCertificate,
    /// The key is private where a public key is required. Use `SigningKey::verifying_key` to get
    /// the public key.
    UnexpectedPrivateKey,
    /// The RSA modulus has fewer than 2048 bits (RFC 7518 §3.3).
    WeakRsa,
    /// The RSA modulus has more than 8192 bits. Verification would be too slow.
    LargeRsa,
    /// The RSA exponent is 1, even, or longer than 33 bits.
    InvalidRsaExponent,
    /// The Ed25519 key is a point of low order: anybody could forge signatures for it.
    LowOrder,
    /// This crate does not support the JWK's `kty`, `crv` or `alg`.
    Unsupported,
    /// The JWK's `alg` contradicts its `kty` or `crv`, or the algorithm you passed.
    AlgorithmMismatch,
    /// The JWK has neither `alg` nor `crv`, and you did not pass an algorithm.
    MissingAlgorithm,
    /// A required member of the JWK is missing, is not base64url, or has the wrong length.
    InvalidMember(&'static str),
    /// The JWK is for encryption: its `use` is `enc`.
    ForEncryption,
    /// The JWK's `use` or `key_ops` does not allow signatures.
    NotForSignatures,
    /// No crypto back-end is enabled: the features `aws_lc_rs` and `rust_crypto` are off.
    NoBackend,
    /// The crypto back-end could not generate a random key.
    GenerationFailed,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptySecret => f.write_str("the secret is empty or only white space"),
            Self::ZeroSecret => f.write_str("every byte of the secret is zero: use random bytes"),
            Self::ShortSecret { algorithm, needed } => {
                write!(f, "a secret for {algorithm} needs at least {needed} bytes")
            }
            Self::SecretIsKey => f.write_str(
                "the secret is an encoded key (PEM, DER, JWK, XML, OpenSSH, EC point): use random bytes",
            ),
            Self::WrongKeyType { algorithm, found } => {
                write!(f, "{algorithm} needs {}, and this is {found}", needed(*algorithm))
            }
            Self::Unreadable => f.write_str(
                "the key cannot be parsed in this format, or is invalid for the curve of its algorithm",
            ),
            Self::MultipleKeys => f.write_str("the PEM text contains more than one key: pass only one"),
            Self::LiteralLineBreaks => f.write_str(
                r#"the PEM text contains \n as two characters: call replace("\\n", "\n") on it first"#,
            ),
            Self::Encrypted => f.write_str(
                "the private key is encrypted: decrypt it with `openssl pkcs8 -topk8 -nocrypt`",
            ),
            Self::UnreadableSec1 => f.write_str(
                "the EC PRIVATE KEY cannot be parsed: convert it with `openssl pkcs8 -topk8 -nocrypt`",
            ),
            Self::UnexpectedPublicKey => f.write_str("the key is public: pass the private key"),
            Self::UnexpectedCertificate => {
                f.write_str("this is a certificate: pass the private key that belongs to it")
            }
            Self::UnexpectedPrivateKey => {
                f.write_str("the key is private: pass the public key, see `openssl pkey -pubout`")
            }
            Self::WeakRsa => f.write_str("the RSA key has fewer than 2048 bits: use a longer one"),
            Self::LargeRsa => f.write_str("the RSA key has more than 8192 bits: use a shorter one"),
            Self::InvalidRsaExponent => {
                f.write_str("the RSA exponent is 1, even, or longer than 33 bits")
            }
            Self::LowOrder => f.write_str("the Ed25519 key is a point of low order"),
            Self::Unsupported => f.write_str("the JWK's kty, crv or alg is not supported"),
            Self::AlgorithmMismatch => {
                f.write_str("the JWK's alg contradicts its kty or crv, or the algorithm you passed")
            }
            Self::MissingAlgorithm => f.write_str("the JWK has neither alg nor crv: pass the algorithm"),
            Self::InvalidMember(name) => {
                write!(f, "the JWK's member {name} is missing or invalid")
            }
            Self::ForEncryption => f.write_str("the JWK is for encryption: its use is enc"),
            Self::NotForSignatures => f.write_str("the JWK's use or key_ops does not allow signatures"),
            Self::NoBackend => {
                f.write_str("no crypto back-end is enabled: enable feature aws_lc_rs or rust_crypto")
            }
            Self::GenerationFailed => {
                f.write_str("the crypto back-end could not generate a random key")
            }
        }
    }
}

impl std::error::Error for KeyError {}
