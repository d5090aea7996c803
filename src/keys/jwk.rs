//! One JSON Web Key (RFC 7517, RFC 7518 §6, RFC 8037).
//!
//! `jsonwebtoken` has a JWK type too, but it does not support secp256k1, `ES512`, `ES256K` or
//! `Ed25519`. It also ignores `crv`, `use` and `key_ops` when it creates a key.

use serde::{Deserialize, Serialize};

use super::algorithm::{Algorithm, Family};
use super::backend::sha256;
use super::certificate;
use super::encoding::{
    EncodedSigningKey, EncodedVerifyingKey, PublicKeyComponents, RsaPrivateComponents,
};
use super::error::KeyError;
use crate::json::is_shallow;
use crate::token::{JwkThumbprint, Thumbprints, base64url};

#[derive(Deserialize)]
pub(crate) struct Jwk {
    kty: String,
    crv: Option<String>,
    alg: Option<String>,
    pub(crate) kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    /// The one issuer whose tokens the key may sign. Microsoft Entra ID publishes this member.
    pub(super) issuer: Option<String>,
    k: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<String>,
    p: Option<String>,
    q: Option<String>,
    dp: Option<String>,
    dq: Option<String>,
    qi: Option<String>,
    #[serde(skip)]
    pub(crate) thumbprints: Option<Thumbprints>,
}

/// The algorithms of keys without `alg`.
#[derive(Clone, Copy)]
pub(crate) struct Defaults {
    pub(crate) rsa: Algorithm,
    pub(crate) ed25519: Algorithm,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            rsa: Algorithm::RS256,
            ed25519: Algorithm::EdDSA,
        }
    }
}

impl Jwk {
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, KeyError> {
        // serde would also accept an array of the members.
        if json.trim_ascii_start().first() != Some(&b'{') {
            return Err(KeyError::Unreadable);
        }
        if !is_shallow(json) {
            return Err(KeyError::Unreadable);
        }
        // The parser's error may quote the key.
        let jwk: Self = serde_json::from_slice(json).map_err(|_| KeyError::Unreadable)?;
        Ok(Self {
            thumbprints: certificate::thumbprints(json),
            ..jwk
        })
    }

    pub(crate) fn is_symmetric(&self) -> bool {
        self.kty == "oct"
    }

    /// Whether it has `alg`.
    pub(crate) fn names_algorithm(&self) -> bool {
        self.alg.is_some()
    }

    /// Whether it contains any private member, or a secret in a key that is not symmetric.
    pub(crate) fn is_private(&self) -> bool {
        let parts = [&self.d, &self.p, &self.q, &self.dp, &self.dq, &self.qi];
        parts.iter().any(|part| part.is_some()) || (self.k.is_some() && !self.is_symmetric())
    }

    /// The algorithm of the key: its `alg` if present. `named` must not contradict it.
    pub(crate) fn algorithm(
        &self,
        named: Option<Algorithm>,
        defaults: Defaults,
    ) -> Result<Algorithm, KeyError> {
        // An encryption key often has an `alg` that this crate does not know.
        if self.usage.as_deref() == Some("enc") {
            return Err(KeyError::ForEncryption);
        }
        let own = match &self.alg {
            Some(name) => Some(Algorithm::named(name).ok_or(KeyError::Unsupported)?),
            None => None,
        };
        let algorithm = match (own, named) {
            (Some(own), Some(named)) if own != named => return Err(KeyError::AlgorithmMismatch),
            (Some(algorithm), _) | (None, Some(algorithm)) => algorithm,
            (None, None) => self.default_algorithm(defaults)?,
        };
        let family = match self.kty.as_str() {
            "oct" => Family::Hmac,
            "RSA" => Family::Rsa,
            "EC" => Family::Ec,
            "OKP" => Family::Ed,
            _ => return Err(KeyError::Unsupported),
        };
        if family != algorithm.family() {
            return Err(KeyError::AlgorithmMismatch);
        }
        if let Some((curve, _)) = algorithm.curve() {
            let crv = self.crv.as_deref().ok_or(KeyError::InvalidMember("crv"))?;
            if crv != curve {
                return Err(KeyError::AlgorithmMismatch);
            }
        }
        Ok(algorithm)
    }

    fn default_algorithm(&self, defaults: Defaults) -> Result<Algorithm, KeyError> {
        Ok(match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => defaults.rsa,
            ("EC", Some("P-256")) => Algorithm::ES256,
            ("EC", Some("P-384")) => Algorithm::ES384,
            ("EC", Some("P-521")) => Algorithm::ES512,
            ("EC", Some("secp256k1")) => Algorithm::ES256K,
            ("OKP", Some("Ed25519")) => defaults.ed25519,
            ("EC" | "OKP", None) => return Err(KeyError::InvalidMember("crv")),
            ("oct", _) => return Err(KeyError::MissingAlgorithm),
            _ => return Err(KeyError::Unsupported),
        })
    }

    /// Calls `make` with the public key or the secret.
    pub(crate) fn with_public<T>(
        &self,
        algorithm: Algorithm,
        make: impl FnOnce(&EncodedVerifyingKey<'_>) -> Result<T, KeyError>,
    ) -> Result<T, KeyError> {
        self.check_use("verify")?;
        match algorithm.family() {
            Family::Hmac => make(&EncodedVerifyingKey::Secret(&decode("k", &self.k)?)),
            Family::Rsa => make(&EncodedVerifyingKey::RsaComponents {
                n: &decode("n", &self.n)?,
                e: &decode("e", &self.e)?,
            }),
            Family::Ec => make(&EncodedVerifyingKey::EcPoint(&self.point(algorithm)?)),
            Family::Ed => make(&EncodedVerifyingKey::Ed25519(
                &self.coordinate(algorithm, "x", &self.x)?,
            )),
        }
    }

    /// Calls `make` with the private key or the secret.
    pub(crate) fn with_private<T>(
        &self,
        algorithm: Algorithm,
        make: impl FnOnce(&EncodedSigningKey<'_>) -> Result<T, KeyError>,
    ) -> Result<T, KeyError> {
        self.check_use("sign")?;
        match algorithm.family() {
            Family::Hmac => make(&EncodedSigningKey::Secret(&decode("k", &self.k)?)),
            Family::Rsa => make(&EncodedSigningKey::RsaComponents(Box::new(
                RsaPrivateComponents {
                    n: decode("n", &self.n)?,
                    e: decode("e", &self.e)?,
                    d: decode("d", &self.d)?,
                    p: decode("p", &self.p)?,
                    q: decode("q", &self.q)?,
                    dp: decode("dp", &self.dp)?,
                    dq: decode("dq", &self.dq)?,
                    qi: decode("qi", &self.qi)?,
                },
            ))),
            Family::Ec => make(&EncodedSigningKey::EcScalar {
                scalar: &self.coordinate(algorithm, "d", &self.d)?,
                point: &self.point(algorithm)?,
            }),
            Family::Ed => make(&EncodedSigningKey::Ed25519Seed {
                seed: &self.coordinate(algorithm, "d", &self.d)?,
                public: &self.coordinate(algorithm, "x", &self.x)?,
            }),
        }
    }

    /// Checks `use` and `key_ops` (RFC 7517 §4.2, §4.3).
    fn check_use(&self, operation: &str) -> Result<(), KeyError> {
        let usage = self.usage.as_deref().is_none_or(|usage| usage == "sig");
        let operations = self
            .key_ops
            .as_ref()
            .is_none_or(|operations| operations.iter().any(|allowed| allowed == operation));
        if usage && operations {
            Ok(())
        } else {
            Err(KeyError::NotForSignatures)
        }
    }

    fn point(&self, algorithm: Algorithm) -> Result<Vec<u8>, KeyError> {
        const UNCOMPRESSED: u8 = 4;
        let mut point = vec![UNCOMPRESSED];
        point.append(&mut self.coordinate(algorithm, "x", &self.x)?);
        point.append(&mut self.coordinate(algorithm, "y", &self.y)?);
        Ok(point)
    }

    /// Decodes a coordinate, seed or scalar. It must have the full length of the curve (RFC 7518
    /// §6.2.1.2).
    fn coordinate(
        &self,
        algorithm: Algorithm,
        name: &'static str,
        member: &Option<String>,
    ) -> Result<Vec<u8>, KeyError> {
        let bytes = decode(name, member)?;
        match algorithm.curve() {
            Some((_, length)) if bytes.len() == length => Ok(bytes),
            _ => Err(KeyError::InvalidMember(name)),
        }
    }
}

/// Serialises a public key as a JWK.
pub(crate) fn public_json(
    algorithm: Algorithm,
    key_id: Option<&str>,
    issuer: Option<&str>,
    public: &PublicKeyComponents,
) -> Option<String> {
    #[derive(Default, Serialize)]
    struct PublicJwk<'a> {
        kty: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        crv: Option<&'static str>,
        alg: &'static str,
        r#use: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        kid: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        issuer: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        n: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        e: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        x: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        y: Option<String>,
    }

    let mut jwk = PublicJwk {
        crv: algorithm.curve().map(|(name, _)| name),
        alg: algorithm.name(),
        r#use: "sig",
        kid: key_id,
        issuer,
        ..PublicJwk::default()
    };
    let text = |bytes: &[u8]| Some(base64url::encode(bytes));
    match public {
        PublicKeyComponents::Rsa { n, e } => {
            jwk.kty = "RSA";
            (jwk.n, jwk.e) = (text(n), text(e));
        }
        PublicKeyComponents::Ec { x, y } => {
            jwk.kty = "EC";
            (jwk.x, jwk.y) = (text(x), text(y));
        }
        PublicKeyComponents::Ed25519(x) => {
            jwk.kty = "OKP";
            jwk.x = text(x);
        }
    }
    // Serialising strings cannot fail.
    serde_json::to_string(&jwk).ok()
}

/// The thumbprint of a public key: the digest of its required members, in order (RFC 7638 §3).
pub(crate) fn thumbprint(
    algorithm: Algorithm,
    public: &PublicKeyComponents,
) -> Option<JwkThumbprint> {
    let crv = algorithm.curve().map(|(name, _)| name);
    let text = |bytes: &[u8]| base64url::encode(bytes);
    let members = match public {
        PublicKeyComponents::Rsa { n, e } => {
            format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, text(e), text(n))
        }
        PublicKeyComponents::Ec { x, y } => format!(
            r#"{{"crv":"{}","kty":"EC","x":"{}","y":"{}"}}"#,
            crv?,
            text(x),
            text(y)
        ),
        PublicKeyComponents::Ed25519(x) => {
            format!(r#"{{"crv":"{}","kty":"OKP","x":"{}"}}"#, crv?, text(x))
        }
    };
    JwkThumbprint::of_digest(&sha256(members.as_bytes())?)
}

fn decode(name: &'static str, member: &Option<String>) -> Result<Vec<u8>, KeyError> {
    let text = member.as_deref().ok_or(KeyError::InvalidMember(name))?;
    base64url::decode(text.as_bytes()).map_err(|_| KeyError::InvalidMember(name))
}
