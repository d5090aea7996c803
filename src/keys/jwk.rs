//! One JSON Web Key (RFC 7517, RFC 7518 §6, RFC 8037).
//!
//! `jsonwebtoken`'s own type knows neither secp256k1 nor `ES512`, `ES256K` and `Ed25519`, and reading a key from it
//! looks at neither `crv` nor `use` nor `key_ops`.

use serde::{Deserialize, Serialize};

use super::algorithm::Family;
use super::material::{PrivateMaterial, PublicMaterial, PublicParts, RsaPrivateComponents};
use super::{Algorithm, KeyError};
use crate::json::is_shallow;
use crate::token::base64url;

#[derive(Deserialize)]
pub(crate) struct Jwk {
    kty: String,
    crv: Option<String>,
    alg: Option<String>,
    pub(crate) kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
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
}

/// The algorithms for keys that do not say theirs.
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
        // An array of the members would be read as well.
        if json.trim_ascii_start().first() != Some(&b'{') {
            return Err(KeyError::Unreadable);
        }
        if !is_shallow(json) {
            return Err(KeyError::Unreadable);
        }
        // The reader's error may quote the key.
        serde_json::from_slice(json).map_err(|_| KeyError::Unreadable)
    }

    pub(crate) fn is_symmetric(&self) -> bool {
        self.kty == "oct"
    }

    /// Whether it holds any part of a private key, or a secret where none belongs.
    pub(crate) fn is_private(&self) -> bool {
        let parts = [&self.d, &self.p, &self.q, &self.dp, &self.dq, &self.qi];
        parts.iter().any(|part| part.is_some()) || (self.k.is_some() && !self.is_symmetric())
    }

    /// The one algorithm of the key. The key's own word counts; `named` may only agree.
    pub(crate) fn algorithm(
        &self,
        named: Option<Algorithm>,
        defaults: Defaults,
    ) -> Result<Algorithm, KeyError> {
        let own = match &self.alg {
            Some(name) => Some(Algorithm::named(name).ok_or(KeyError::Unknown)?),
            None => None,
        };
        let algorithm = match (own, named) {
            (Some(own), Some(named)) if own != named => return Err(KeyError::Disagreement),
            (Some(algorithm), _) | (None, Some(algorithm)) => algorithm,
            (None, None) => self.default_algorithm(defaults)?,
        };
        let family = match self.kty.as_str() {
            "oct" => Family::Hmac,
            "RSA" => Family::Rsa,
            "EC" => Family::Ec,
            "OKP" => Family::Ed,
            _ => return Err(KeyError::Unknown),
        };
        if family != algorithm.family() {
            return Err(KeyError::Disagreement);
        }
        if let Some((curve, _)) = algorithm.curve() {
            let crv = self.crv.as_deref().ok_or(KeyError::Member("crv"))?;
            if crv != curve {
                return Err(KeyError::Disagreement);
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
            ("EC" | "OKP", None) => return Err(KeyError::Member("crv")),
            ("oct", _) => return Err(KeyError::NoAlgorithm),
            _ => return Err(KeyError::Unknown),
        })
    }

    /// Hands the public half, or the secret, to `make`.
    pub(crate) fn with_public<T>(
        &self,
        algorithm: Algorithm,
        make: impl FnOnce(&PublicMaterial<'_>) -> Result<T, KeyError>,
    ) -> Result<T, KeyError> {
        self.check_use("verify")?;
        match algorithm.family() {
            Family::Hmac => make(&PublicMaterial::Secret(&decode("k", &self.k)?)),
            Family::Rsa => make(&PublicMaterial::RsaComponents {
                n: &decode("n", &self.n)?,
                e: &decode("e", &self.e)?,
            }),
            Family::Ec => make(&PublicMaterial::EcPoint(&self.point(algorithm)?)),
            Family::Ed => make(&PublicMaterial::Ed25519(
                &self.coordinate(algorithm, "x", &self.x)?,
            )),
        }
    }

    /// Hands the private half, or the secret, to `make`.
    pub(crate) fn with_private<T>(
        &self,
        algorithm: Algorithm,
        make: impl FnOnce(&PrivateMaterial<'_>) -> Result<T, KeyError>,
    ) -> Result<T, KeyError> {
        self.check_use("sign")?;
        match algorithm.family() {
            Family::Hmac => make(&PrivateMaterial::Secret(&decode("k", &self.k)?)),
            Family::Rsa => make(&PrivateMaterial::RsaComponents(Box::new(
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
            Family::Ec => make(&PrivateMaterial::EcScalar {
                scalar: &self.coordinate(algorithm, "d", &self.d)?,
                point: &self.point(algorithm)?,
            }),
            Family::Ed => make(&PrivateMaterial::Ed25519Seed {
                seed: &self.coordinate(algorithm, "d", &self.d)?,
                public: &self.coordinate(algorithm, "x", &self.x)?,
            }),
        }
    }

    /// RFC 7517 §4.2 and §4.3.
    fn check_use(&self, operation: &str) -> Result<(), KeyError> {
        let usage = self.usage.as_deref().is_none_or(|usage| usage == "sig");
        let operations = self
            .key_ops
            .as_ref()
            .is_none_or(|operations| operations.iter().any(|allowed| allowed == operation));
        if usage && operations {
            Ok(())
        } else {
            Err(KeyError::Use)
        }
    }

    fn point(&self, algorithm: Algorithm) -> Result<Vec<u8>, KeyError> {
        const UNCOMPRESSED: u8 = 4;
        let mut point = vec![UNCOMPRESSED];
        point.append(&mut self.coordinate(algorithm, "x", &self.x)?);
        point.append(&mut self.coordinate(algorithm, "y", &self.y)?);
        Ok(point)
    }

    /// A coordinate, seed or scalar of the full length of the curve (RFC 7518 §6.2.1.2).
    fn coordinate(
        &self,
        algorithm: Algorithm,
        name: &'static str,
        member: &Option<String>,
    ) -> Result<Vec<u8>, KeyError> {
        let bytes = decode(name, member)?;
        match algorithm.curve() {
            Some((_, length)) if bytes.len() == length => Ok(bytes),
            _ => Err(KeyError::Member(name)),
        }
    }
}

/// A public key as a JWK.
pub(crate) fn public_json(
    algorithm: Algorithm,
    key_id: Option<&str>,
    public: &PublicParts,
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
        ..PublicJwk::default()
    };
    let text = |bytes: &[u8]| Some(base64url::encode(bytes));
    match public {
        PublicParts::Rsa { n, e } => {
            jwk.kty = "RSA";
            (jwk.n, jwk.e) = (text(n), text(e));
        }
        PublicParts::Ec { x, y } => {
            jwk.kty = "EC";
            (jwk.x, jwk.y) = (text(x), text(y));
        }
        PublicParts::Ed25519(x) => {
            jwk.kty = "OKP";
            jwk.x = text(x);
        }
    }
    // Strings alone always serialise.
    serde_json::to_string(&jwk).ok()
}

fn decode(name: &'static str, member: &Option<String>) -> Result<Vec<u8>, KeyError> {
    let text = member.as_deref().ok_or(KeyError::Member(name))?;
    base64url::decode(text.as_bytes()).map_err(|_| KeyError::Member(name))
}
