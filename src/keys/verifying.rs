//! The key that verifies signatures.

use std::fmt;
use std::sync::Arc;

use jsonwebtoken::DecodingKey;

use super::algorithm::{Algorithm, Family};
use super::backend::{self, VerifySignature};
use super::encoding::{self, EncodedVerifyingKey, PublicKeyComponents};
use super::error::KeyError;
use super::jwk::{self, Defaults, Jwk};
use super::key_type;
use super::pem::Pem;
use super::secret;
use crate::token::{JwkThumbprint, Thumbprints};

/// The place of the tenant in the name of an issuer, as Microsoft Entra ID writes it.
pub(crate) const TENANT_SLOT: &str = "{tenantid}";

/// A key that verifies tokens of one [`Algorithm`]. Parsed and checked when it is created; cheap to
/// clone.
///
/// ```
/// use tower_jwt_auth::keys::{Algorithm, VerifyingKey};
///
/// let key = VerifyingKey::hs256("at least thirty-two random bytes")?;
/// assert_eq!(key.algorithm(), Algorithm::HS256);
///
/// // A public key must not be used as a secret.
/// assert!(VerifyingKey::hs256("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA").is_err());
/// # Ok::<_, tower_jwt_auth::keys::KeyError>(())
/// ```
#[derive(Clone)]
pub struct VerifyingKey {
    algorithm: Algorithm,
    key_id: Option<Arc<str>>,
    issuer: Option<Arc<str>>,
    verify: Arc<dyn VerifySignature>,
    public: Option<Arc<PublicKeyComponents>>,
    /// Of its certificate, if a JWK names one.
    thumbprints: Option<Arc<Thumbprints>>,
    has_both_ed25519_names: bool,
}

impl VerifyingKey {
    /// A secret for HS256, of at least 32 bytes.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the secret is empty, all zero, too short, or an encoded key.
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
    /// As [`VerifyingKey::hs256`]; [`KeyError::WrongKeyType`] if the algorithm does not use a
    /// secret.
    pub fn from_secret(algorithm: Algorithm, secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::from_encoded(
            algorithm,
            None,
            &EncodedVerifyingKey::Secret(secret.as_ref()),
        )
    }

    /// A public key in PEM: `PUBLIC KEY`, `RSA PUBLIC KEY` or `CERTIFICATE`.
    ///
    /// Only the key of a certificate is used: neither its validity nor its issuer is checked. If a
    /// certificate and its issuer have keys of different types, parsing fails. Then extract the key
    /// with `openssl x509 -pubkey -noout`.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the text does not contain exactly one public key, or the key does not match
    /// the algorithm.
    pub fn from_pem(algorithm: Algorithm, pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let pem = Pem::read(pem.as_ref()).map_err(|error| match error {
            KeyError::Encrypted => KeyError::UnexpectedPrivateKey,
            other => other,
        })?;
        if pem.is_private() {
            return Err(KeyError::UnexpectedPrivateKey);
        }
        if !pem.is_public() {
            return Err(KeyError::Unreadable);
        }
        Self::from_der(algorithm, pem.der)
    }

    /// A public key in DER: SubjectPublicKeyInfo (RFC 5280), PKCS#1 for RSA, or a certificate as in
    /// [`from_pem`](VerifyingKey::from_pem).
    ///
    /// # Errors
    ///
    /// [`KeyError`] if this is not a public key, or does not match the algorithm.
    pub fn from_der(algorithm: Algorithm, der: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let der = encoding::whole(der.as_ref())?;
        key_type::check_public(algorithm, der)?;
        match encoding::public_from_der(algorithm, der) {
            Ok(key) => Self::from_decoding_key(algorithm, &key),
            Err(KeyError::Unreadable) if algorithm.family() == Family::Rsa => {
                Self::from_encoded(algorithm, None, &EncodedVerifyingKey::RsaDer(der))
            }
            Err(error) => Err(error),
        }
    }

    /// A public JWK or a secret (`kty: oct`), as JSON.
    ///
    /// The algorithm is `alg` if present, otherwise that of `crv`, and RS256 for RSA. The key ID is
    /// the `kid`. With a member [`issuer`](VerifyingKey::issuer), the key verifies only tokens of
    /// that issuer.
    ///
    /// A token without `kid` may name the key by the thumbprint of its certificate: see
    /// [`KeySet`](super::KeySet). If `x5c` is readable, the thumbprints are computed from its first
    /// certificate. The members `x5t` and `x5t#S256` are then ignored, because some issuers write
    /// them in hexadecimal. Otherwise these members are the thumbprints. The certificate itself is
    /// not checked.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if this is not a JWK, is private, is not for signatures, or is too weak.
    pub fn from_jwk(json: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::from_one_jwk(None, json.as_ref())
    }

    /// As [`VerifyingKey::from_jwk`], for `algorithm`.
    ///
    /// # Errors
    ///
    /// Also [`KeyError::AlgorithmMismatch`] if the JWK's `alg`, `kty` or `crv` contradicts
    /// `algorithm`.
    pub fn from_jwk_for(algorithm: Algorithm, json: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::from_one_jwk(Some(algorithm), json.as_ref())
    }

    fn from_one_jwk(named: Option<Algorithm>, json: &[u8]) -> Result<Self, KeyError> {
        let jwk = Jwk::from_json(json)?;
        if jwk.is_private() {
            return Err(KeyError::UnexpectedPrivateKey);
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
        let key = jwk.with_public(algorithm, |encoded| {
            Self::from_encoded(algorithm, key_id, encoded)
        })?;
        Ok(Self {
            issuer: jwk.issuer.as_deref().map(Arc::from),
            thumbprints: jwk.thumbprints.clone().map(Arc::new),
            ..key
        })
    }

    /// A key parsed by `jsonwebtoken`.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if it does not match the algorithm or is too weak. `jsonwebtoken` checks
    /// neither.
    pub fn from_decoding_key(algorithm: Algorithm, key: &DecodingKey) -> Result<Self, KeyError> {
        Self::from_encoded(
            algorithm,
            None,
            &EncodedVerifyingKey::from_decoding_key(algorithm, key)?,
        )
    }

    fn from_encoded(
        algorithm: Algorithm,
        key_id: Option<Arc<str>>,
        encoded: &EncodedVerifyingKey<'_>,
    ) -> Result<Self, KeyError> {
        if let EncodedVerifyingKey::Secret(bytes) = encoded {
            if algorithm.family() != Family::Hmac {
                return Err(encoded.is_not_for(algorithm));
            }
            secret::check(algorithm, bytes)?;
        }
        let verify = backend::verifier(algorithm, encoded)?;
        let public = encoded.components().map(Arc::new);
        Ok(Self::new(algorithm, key_id, verify, public))
    }

    pub(crate) fn new(
        algorithm: Algorithm,
        key_id: Option<Arc<str>>,
        verify: Arc<dyn VerifySignature>,
        public: Option<Arc<PublicKeyComponents>>,
    ) -> Self {
        Self {
            algorithm,
            key_id,
            issuer: None,
            verify,
            public,
            thumbprints: None,
            has_both_ed25519_names: false,
        }
    }

    /// Sets the key ID. A [`KeySet`](super::KeySet) finds the key by the `kid` of a token (RFC 7515
    /// §4.1.4).
    #[must_use]
    pub fn with_key_id(mut self, key_id: impl Into<String>) -> Self {
        self.key_id = Some(Arc::from(key_id.into()));
        self
    }

    /// Verifies tokens with `alg: EdDSA` (RFC 8037) and with `alg: Ed25519` (RFC 9864): two names
    /// of the same signatures.
    ///
    /// Use it while an issuer changes from one name to the other. Off by default, because a key has
    /// one algorithm (RFC 8725 §3.1).
    ///
    /// ```
    /// use tower_jwt_auth::keys::{Algorithm, SigningKey};
    ///
    /// let key = SigningKey::generate(Algorithm::Ed25519)?;
    /// let verifying = key.verifying_key().with_both_ed25519_names();
    /// # Ok::<_, tower_jwt_auth::keys::KeyError>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If this is not an Ed25519 key.
    #[must_use]
    #[track_caller]
    pub fn with_both_ed25519_names(mut self) -> Self {
        assert_eq!(
            self.algorithm.family(),
            Family::Ed,
            "the key is not an Ed25519 key"
        );
        self.has_both_ed25519_names = true;
        self
    }

    /// The algorithms of the tokens it verifies.
    pub(crate) fn algorithms(&self) -> impl Iterator<Item = Algorithm> + use<> {
        let other = match self.algorithm {
            Algorithm::EdDSA => Algorithm::Ed25519,
            _ => Algorithm::EdDSA,
        };
        let other = self.has_both_ed25519_names.then_some(other);
        std::iter::once(self.algorithm).chain(other)
    }

    /// The algorithm of the key.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key ID: the `kid` in the header of tokens.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The member `issuer` of the key's JWK. The key verifies only tokens whose `iss` equals it.
    ///
    /// Microsoft Entra ID publishes it. `{tenantid}` in it stands for the `tid` of the token.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// [`issuer`](Self::issuer), to share.
    pub(crate) fn shared_issuer(&self) -> Option<Arc<str>> {
        self.issuer.clone()
    }

    pub(super) fn thumbprints(&self) -> Option<&Thumbprints> {
        self.thumbprints.as_deref()
    }

    /// The public key as a JWK (RFC 7517) with `alg`, `use: sig` and `kid`, to publish it.
    ///
    /// `None` for a secret, and for a key created from a compressed EC point.
    ///
    /// ```
    /// use tower_jwt_auth::keys::{Algorithm, SigningKey, VerifyingKey};
    ///
    /// let key = SigningKey::generate(Algorithm::ES256)?.with_key_id("2026");
    /// let jwk = key.verifying_key().to_jwk().expect("a public key");
    /// assert_eq!(VerifyingKey::from_jwk(jwk)?.key_id(), Some("2026"));
    /// # Ok::<_, tower_jwt_auth::keys::KeyError>(())
    /// ```
    #[must_use]
    pub fn to_jwk(&self) -> Option<String> {
        let public = self.public.as_deref()?;
        jwk::public_json(self.algorithm, self.key_id(), self.issuer(), public)
    }

    /// The SHA-256 thumbprint of the public key (RFC 7638), in base64url. A token that is bound to
    /// the key has it as `jkt` in `cnf` (RFC 9449 §6.1).
    ///
    /// `None` for a secret, and for a key created from a compressed EC point.
    ///
    /// ```
    /// use tower_jwt_auth::keys::VerifyingKey;
    ///
    /// // The example of RFC 8037, appendix A.3.
    /// let key = VerifyingKey::from_jwk(
    ///     r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
    /// )?;
    /// let thumbprint = key.jwk_thumbprint().expect("a public key");
    /// assert_eq!(thumbprint, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    /// # Ok::<_, tower_jwt_auth::keys::KeyError>(())
    /// ```
    #[must_use]
    pub fn jwk_thumbprint(&self) -> Option<String> {
        self.thumbprint().map(JwkThumbprint::to_text)
    }

    /// As [`jwk_thumbprint`](Self::jwk_thumbprint), to compare.
    pub(crate) fn thumbprint(&self) -> Option<JwkThumbprint> {
        jwk::thumbprint(self.algorithm, self.public.as_deref()?)
    }

    /// Whether it is the same public key with the same key ID, issuer, thumbprints and names.
    /// Always false if the public components are unknown, as for a secret.
    #[cfg(feature = "jwks")]
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm
            && self.key_id == other.key_id
            && self.issuer == other.issuer
            && self.thumbprints == other.thumbprints
            && self.has_both_ed25519_names == other.has_both_ed25519_names
            && self.public.is_some()
            && self.public == other.public
    }

    /// Equal for keys that verify the same signatures of tokens with `algorithm`, with any key ID.
    pub(super) fn identity_for(&self, algorithm: Algorithm) -> Identity {
        // A token always contains a dot, so this message is never one.
        const MESSAGE: &[u8] = b"which key is this?";
        let key = match &self.public {
            Some(public) => ComparableKey::Public(Arc::clone(public)),
            None => match self.verify.mac(MESSAGE) {
                Some(mac) => ComparableKey::Secret(mac),
                None => ComparableKey::Unknown(address(&self.verify)),
            },
        };
        Identity(algorithm, self.issuer.clone(), key)
    }

    /// Whether `signature` is this key's signature of `message`.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.verify.verify(message, signature)
    }
}

/// An algorithm of tokens, an issuer and a key, comparable. Never expose it: for a secret it
/// contains a MAC.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Identity(Algorithm, Option<Arc<str>>, ComparableKey);

#[derive(Clone, PartialEq, Eq, Hash)]
enum ComparableKey {
    Public(Arc<PublicKeyComponents>),
    /// The MAC of a fixed message. Equal secrets have equal MACs.
    Secret(Vec<u8>),
    /// The address of the verifier: keys from compressed EC points equal only their clones.
    Unknown(usize),
}

fn address(verify: &Arc<dyn VerifySignature>) -> usize {
    Arc::as_ptr(verify).cast::<()>().addr()
}

/// Shows the algorithm and the key ID, not the key.
impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("algorithm", &self.algorithm)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}
