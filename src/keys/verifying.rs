//! The key that verifies.

use std::fmt;
use std::sync::Arc;

use jsonwebtoken::DecodingKey;

use super::algorithm::Family;
use super::backend::{self, VerifySignature};
use super::jwk::{self, Defaults, Jwk};
use super::material::{self, PublicMaterial, PublicParts};
use super::{Algorithm, KeyError, secret};

/// A key that verifies tokens of one [`Algorithm`]. Parsed and checked when it is made; cheap to clone.
///
/// ```
/// use tower_jwt_auth::keys::{Algorithm, VerifyingKey};
///
/// let key = VerifyingKey::hs256("at least thirty-two random bytes")?;
/// assert_eq!(key.algorithm(), Algorithm::HS256);
///
/// // The text of a public key is no secret, whatever reads it as one.
/// assert!(VerifyingKey::hs256("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA").is_err());
/// # Ok::<_, tower_jwt_auth::keys::KeyError>(())
/// ```
#[derive(Clone)]
pub struct VerifyingKey {
    algorithm: Algorithm,
    key_id: Option<Arc<str>>,
    verify: Arc<dyn VerifySignature>,
    public: Option<Arc<PublicParts>>,
}

impl VerifyingKey {
    /// A secret for HS256, of at least 32 bytes.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the secret is empty, all zero or short, or is the text or encoding of a key.
    pub fn hs256(secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::from_secret(Algorithm::HS256, secret)
    }

    /// A secret for HS384, of at least 48 bytes.
    ///
    /// # Errors
    ///
    /// As [`VerifyingKey::hs256`].
    pub fn hs384(secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::from_secret(Algorithm::HS384, secret)
    }

    /// A secret for HS512, of at least 64 bytes.
    ///
    /// # Errors
    ///
    /// As [`VerifyingKey::hs256`].
    pub fn hs512(secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::from_secret(Algorithm::HS512, secret)
    }

    /// A secret for an HMAC algorithm.
    ///
    /// # Errors
    ///
    /// As [`VerifyingKey::hs256`]; [`KeyError::WrongKind`] if the algorithm takes no secret.
    pub fn from_secret(algorithm: Algorithm, secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::from_material(algorithm, None, &PublicMaterial::Secret(secret.as_ref()))
    }

    /// A public key in PEM: `PUBLIC KEY`, `RSA PUBLIC KEY` or `CERTIFICATE`. Of a certificate the key alone counts,
    /// neither its validity nor its issuer. One whose issuer signs with another kind of key than it holds cannot be read: take the key
    /// out of it with `openssl x509 -pubkey -noout`.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the text holds no key or several, a private one, or one that does not fit the algorithm.
    pub fn from_pem(algorithm: Algorithm, pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::from_decoding_key(
            algorithm,
            &material::public_from_pem(algorithm, pem.as_ref())?,
        )
    }

    /// A public key in DER: SubjectPublicKeyInfo (RFC 5280), a certificate as with [`from_pem`](VerifyingKey::from_pem), or PKCS#1
    /// for RSA.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if this is no key, or one that does not fit the algorithm.
    pub fn from_der(algorithm: Algorithm, der: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let der = material::whole(der.as_ref())?;
        match material::public_from_spki(algorithm, der) {
            Ok(key) => Self::from_decoding_key(algorithm, &key),
            Err(KeyError::Unreadable) if algorithm.family() == Family::Rsa => {
                Self::from_material(algorithm, None, &PublicMaterial::RsaDer(der))
            }
            Err(error) => Err(error),
        }
    }

    /// A public JWK, or a secret one (`kty: oct`), as JSON. Its `alg` decides; where it has none, `crv` does, and RSA is
    /// RS256. Its `kid` becomes the key's.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if this is no JWK, a private one, not for signatures, or too weak.
    pub fn from_jwk(json: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::from_one_jwk(None, json.as_ref())
    }

    /// As [`VerifyingKey::from_jwk`], for `algorithm`.
    ///
    /// # Errors
    ///
    /// Also if the JWK says by `alg`, `kty` or `crv` that it is for another.
    pub fn from_jwk_for(algorithm: Algorithm, json: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::from_one_jwk(Some(algorithm), json.as_ref())
    }

    fn from_one_jwk(named: Option<Algorithm>, json: &[u8]) -> Result<Self, KeyError> {
        let jwk = Jwk::from_json(json)?;
        if jwk.is_private() {
            return Err(KeyError::Private);
        }
        Self::from_parsed_jwk(&jwk, named, Defaults::default())
    }

    pub(crate) fn from_parsed_jwk(
        jwk: &Jwk,
        named: Option<Algorithm>,
        defaults: Defaults,
    ) -> Result<Self, KeyError> {
        let algorithm = jwk.algorithm(named, defaults)?;
        let key_id = jwk.kid.as_deref().map(Arc::from);
        jwk.with_public(algorithm, |material| {
            Self::from_material(algorithm, key_id, material)
        })
    }

    /// A key that `jsonwebtoken` holds.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if it does not fit the algorithm or is too weak: that crate checks neither.
    pub fn from_decoding_key(algorithm: Algorithm, key: &DecodingKey) -> Result<Self, KeyError> {
        Self::from_material(
            algorithm,
            None,
            &PublicMaterial::from_decoding_key(algorithm, key)?,
        )
    }

    fn from_material(
        algorithm: Algorithm,
        key_id: Option<Arc<str>>,
        material: &PublicMaterial<'_>,
    ) -> Result<Self, KeyError> {
        if let PublicMaterial::Secret(bytes) = material {
            if algorithm.family() != Family::Hmac {
                return Err(KeyError::WrongKind(algorithm));
            }
            secret::check(algorithm, bytes)?;
        }
        let verify = backend::verifier(algorithm, material)?;
        let public = material.parts().map(Arc::new);
        Ok(Self::new(algorithm, key_id, verify, public))
    }

    pub(crate) fn new(
        algorithm: Algorithm,
        key_id: Option<Arc<str>>,
        verify: Arc<dyn VerifySignature>,
        public: Option<Arc<PublicParts>>,
    ) -> Self {
        Self {
            algorithm,
            key_id,
            verify,
            public,
        }
    }

    /// Names the key, so that a [`KeySet`](super::KeySet) finds it by the `kid` of a token (RFC 7515 §4.1.4).
    #[must_use]
    pub fn with_key_id(mut self, key_id: impl Into<String>) -> Self {
        self.key_id = Some(Arc::from(key_id.into()));
        self
    }

    /// The one algorithm of the key.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The name of the key, as `kid` in a token's header.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The public key as a JWK (RFC 7517), with `alg`, `use: sig` and its name, for others to verify with. `None` of a
    /// secret, which is nobody else's business, and of a curve point that was written down by one coordinate.
    ///
    /// ```
    /// use tower_jwt_auth::keys::{Algorithm, SigningKey, VerifyingKey};
    ///
    /// let key = SigningKey::generate(Algorithm::ES256)?.with_key_id("2026");
    /// let jwk = key.verifying_key().to_jwk().expect("no secret");
    /// assert_eq!(VerifyingKey::from_jwk(jwk)?.key_id(), Some("2026"));
    /// # Ok::<_, tower_jwt_auth::keys::KeyError>(())
    /// ```
    #[must_use]
    pub fn to_jwk(&self) -> Option<String> {
        let public = self.public.as_deref()?;
        jwk::public_json(self.algorithm, self.key_id(), public)
    }

    /// Whether it is the same public key under the same name. Of a key whose public half is not at hand, as a secret's, nobody knows.
    #[cfg(feature = "jwks")]
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm
            && self.key_id == other.key_id
            && self.public.is_some()
            && self.public == other.public
    }

    /// What it shares with keys that verify the same signatures, whatever their names.
    pub(super) fn identity(&self) -> Identity {
        // No token is signed like this: it has no dot.
        const QUESTION: &[u8] = b"which key is this?";
        let material = match &self.public {
            Some(public) => Material::Public(Arc::clone(public)),
            None => self
                .verify
                .mac(QUESTION)
                .map_or_else(|| Material::Shared(address(&self.verify)), Material::Secret),
        };
        Identity(self.algorithm, material)
    }

    /// Whether `signature` is this key's over `message`.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.verify.verify(message, signature)
    }
}

/// An algorithm and a key, to be compared. Not to be shown: a secret's is what it signs.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Identity(Algorithm, Material);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Material {
    Public(Arc<PublicParts>),
    /// What the secret makes of a message: equal secrets make the same of it.
    Secret(Vec<u8>),
    /// Of a point that was written down by one coordinate only clones are known.
    Shared(usize),
}

fn address(verify: &Arc<dyn VerifySignature>) -> usize {
    Arc::as_ptr(verify).cast::<()>().addr()
}

/// Shows the algorithm and the name of the key, not the key.
impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("algorithm", &self.algorithm)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}
