//! The key that signs, and the tokens it issues.

use std::fmt;
use std::sync::Arc;

use jsonwebtoken::EncodingKey;
use serde::Serialize;
use serde_json::{Map, Value};

use super::algorithm::{Algorithm, Family};
use super::backend::{self, Sign, Signer, VerifySignature};
use super::encoding::{self, EncodedSigningKey, PublicKeyComponents};
use super::error::KeyError;
use super::jwk::{Defaults, Jwk};
use super::key_type;
use super::pem::Pem;
use super::secret;
use super::verifying::VerifyingKey;
use crate::token::base64url;

/// A key that signs tokens with one [`Algorithm`]. Parsed and checked when it is created; cheap to
/// clone.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_jwt_auth::claims::RegisteredClaims;
/// use tower_jwt_auth::keys::SigningKey;
///
/// let key = SigningKey::hs256("at least thirty-two random bytes")?;
/// let claims = RegisteredClaims::valid_for(Duration::from_secs(300), SystemTime::now())
///     .subject("248289761001");
/// let token = key.sign(&claims)?;
///
/// let verifier = tower_jwt_auth::Verifier::new(key.verifying_key());
/// assert_eq!(verifier.verify(&token)?.subject(), Some("248289761001"));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SigningKey {
    algorithm: Algorithm,
    key_id: Option<Arc<str>>,
    sign: Arc<dyn Sign>,
    verify: Arc<dyn VerifySignature>,
    public: Option<Arc<PublicKeyComponents>>,
}

impl SigningKey {
    /// A secret for HS256, of at least 32 bytes.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the secret is empty, all zero, too short, or an encoded key.
    pub fn hs256(secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::from_secret(Algorithm::HS256, secret)
    }

    /// A secret for an HMAC algorithm, at least as long as its hash: 32, 48 or 64 bytes.
    ///
    /// # Errors
    ///
    /// As [`SigningKey::hs256`]; [`KeyError::WrongKeyType`] if the algorithm does not use a secret.
    pub fn from_secret(algorithm: Algorithm, secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::from_encoded(algorithm, &EncodedSigningKey::Secret(secret.as_ref()))
    }

    /// Generates a random key. RSA keys have 2048 bits.
    ///
    /// The key is lost when the process ends. Use it for tests, and for services whose tokens may
    /// become invalid at a restart.
    ///
    /// # Errors
    ///
    /// [`KeyError::GenerationFailed`] if the system has no randomness.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        Ok(Self::new(algorithm, backend::generate(algorithm)?))
    }

    /// A private key in PEM: `PRIVATE KEY` (PKCS#8), `RSA PRIVATE KEY` (PKCS#1) or `EC PRIVATE KEY`
    /// (SEC1). `EC PARAMETERS` before it are skipped.
    ///
    /// Decrypt an encrypted key with `openssl pkcs8 -topk8 -nocrypt` first.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the text does not contain exactly one private key, or the key does not match
    /// the algorithm.
    pub fn from_pem(algorithm: Algorithm, pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let pem = Pem::read(pem.as_ref())?;
        if !pem.is_private() && !pem.is_public() {
            return Err(KeyError::Unreadable);
        }
        match Self::from_der(algorithm, &pem.der) {
            Err(KeyError::Unreadable) if pem.is_sec1() => Err(KeyError::UnreadableSec1),
            read => read,
        }
    }

    /// A private key in DER: PKCS#8, PKCS#1 for RSA, SEC1 for EC.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if this is not a private key, or does not match the algorithm.
    pub fn from_der(algorithm: Algorithm, der: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let der = encoding::whole(der.as_ref())?;
        key_type::check_private(algorithm, der)?;
        Self::from_encoded(algorithm, &EncodedSigningKey::Der(der))
    }

    /// A private JWK or a secret (`kty: oct`), as JSON.
    ///
    /// The algorithm is `alg` if present, otherwise that of `crv`, and RS256 for RSA. The key ID is
    /// the `kid`.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if this is not a private JWK, is not for signatures, or is too weak.
    pub fn from_jwk(json: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::from_one_jwk(None, json.as_ref())
    }

    /// As [`SigningKey::from_jwk`], for `algorithm`.
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
        let algorithm = jwk.algorithm(named, Defaults::default())?;
        let key = jwk.with_private(algorithm, |encoded| Self::from_encoded(algorithm, encoded))?;
        Ok(Self {
            key_id: jwk.kid.as_deref().map(Arc::from),
            ..key
        })
    }

    /// A key parsed by `jsonwebtoken`.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if it does not match the algorithm or is too weak.
    pub fn from_encoding_key(algorithm: Algorithm, key: &EncodingKey) -> Result<Self, KeyError> {
        Self::from_encoded(
            algorithm,
            &EncodedSigningKey::from_encoding_key(algorithm, key)?,
        )
    }

    fn from_encoded(
        algorithm: Algorithm,
        encoded: &EncodedSigningKey<'_>,
    ) -> Result<Self, KeyError> {
        if let EncodedSigningKey::Secret(bytes) = encoded {
            if algorithm.family() != Family::Hmac {
                return Err(encoded.is_not_for(algorithm));
            }
            secret::check(algorithm, bytes)?;
        }
        Ok(Self::new(algorithm, backend::signer(algorithm, encoded)?))
    }

    fn new(algorithm: Algorithm, signer: Signer) -> Self {
        Self {
            algorithm,
            key_id: None,
            sign: signer.sign,
            verify: signer.verify,
            public: signer.public.map(Arc::new),
        }
    }

    /// Sets the key ID: the `kid` in the header of tokens, and that of the [`VerifyingKey`].
    #[must_use]
    pub fn with_key_id(mut self, key_id: impl Into<String>) -> Self {
        self.key_id = Some(Arc::from(key_id.into()));
        self
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

    /// The key that verifies the signatures: the public key, or the same secret.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::new(
            self.algorithm,
            self.key_id.clone(),
            Arc::clone(&self.verify),
            self.public.clone(),
        )
    }

    /// Issues a token with these claims, and `typ: JWT` in the header.
    ///
    /// # Errors
    ///
    /// [`SignError`] if the claims do not serialise to a JSON object, or the back-end fails.
    pub fn sign<T: Serialize + ?Sized>(&self, claims: &T) -> Result<String, SignError> {
        self.sign_with(&TokenHeader::new(), claims)
    }

    /// Issues a token with your header. `alg` and `kid` are always those of the key.
    ///
    /// # Errors
    ///
    /// As [`SigningKey::sign`]; [`SignError::Header`] if the header contains a reserved member.
    pub fn sign_with<T: Serialize + ?Sized>(
        &self,
        header: &TokenHeader,
        claims: &T,
    ) -> Result<String, SignError> {
        let header = header.to_json(self)?;
        // The serialiser's error may quote a claim.
        let claims = serde_json::to_vec(claims).map_err(|_| SignError::Claims)?;
        if claims.first() != Some(&b'{') {
            return Err(SignError::Claims);
        }
        let mut token = base64url::encode(&header);
        token.push('.');
        base64url::encode_append(&claims, &mut token);
        let signature = self
            .sign
            .sign(token.as_bytes())
            .map_err(|_| SignError::Backend)?;
        token.push('.');
        base64url::encode_append(&signature, &mut token);
        Ok(token)
    }
}

impl SigningKey {
    /// Signs bytes that are not a token. With a secret, this is a MAC.
    pub(crate) fn mac(&self, message: &[u8]) -> Option<Vec<u8>> {
        self.sign.sign(message).ok()
    }
}

/// Shows the algorithm and the key ID, not the key.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// The header of a token to issue. `alg` and `kid` come from the key.
///
/// ```
/// use tower_jwt_auth::keys::{Algorithm, SigningKey, TokenHeader};
///
/// let key = SigningKey::generate(Algorithm::ES256)?;
/// let header = TokenHeader::new().typ("at+jwt"); // RFC 9068 §2.1
/// let token = key.sign_with(&header, &serde_json::json!({ "sub": "me", "exp": 1_900_000_000 }))?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TokenHeader {
    typ: Option<String>,
    members: Map<String, Value>,
}

impl TokenHeader {
    /// Members that [`TokenHeader::member`] may not set.
    ///
    /// `alg` and `kid` come from the key, and `typ` has its own method. The others change the
    /// meaning of the token, and the verifier of this crate rejects them.
    const RESERVED: [&str; 7] = ["alg", "kid", "typ", "cty", "crit", "b64", "zip"];

    /// A header with `typ: JWT` (RFC 7519 §5.1).
    #[must_use]
    pub fn new() -> Self {
        Self {
            typ: Some("JWT".to_owned()),
            members: Map::new(),
        }
    }

    /// Sets `typ`: `at+jwt` for an access token (RFC 9068 §2.1).
    #[must_use]
    pub fn typ(mut self, typ: impl Into<String>) -> Self {
        self.typ = Some(typ.into());
        self
    }

    /// Omits `typ`.
    #[must_use]
    pub fn without_typ(mut self) -> Self {
        self.typ = None;
        self
    }

    /// Adds a member.
    ///
    /// Signing fails for the reserved members: `alg`, `kid`, `typ`, `cty`, `crit`, `b64` and `zip`.
    #[must_use]
    pub fn member(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.members.insert(name.into(), value.into());
        self
    }

    fn to_json(&self, key: &SigningKey) -> Result<Vec<u8>, SignError> {
        #[derive(Serialize)]
        struct Header<'a> {
            alg: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            typ: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            kid: Option<&'a str>,
            #[serde(flatten)]
            members: &'a Map<String, Value>,
        }

        if Self::RESERVED
            .iter()
            .any(|name| self.members.contains_key(*name))
        {
            return Err(SignError::Header);
        }
        serde_json::to_vec(&Header {
            alg: key.algorithm.name(),
            typ: self.typ.as_deref(),
            kid: key.key_id(),
            members: &self.members,
        })
        .map_err(|_| SignError::Header)
    }
}

/// Shows the names of the members, not their values.
impl fmt::Debug for TokenHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.members.keys().collect();
        f.debug_struct("TokenHeader")
            .field("typ", &self.typ)
            .field("members", &names)
            .finish()
    }
}

impl Default for TokenHeader {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a token cannot be issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignError {
    /// The claims do not serialise to a JSON object (RFC 7519 §7.1).
    Claims,
    /// The header contains a reserved member. See [`TokenHeader::member`].
    Header,
    /// The crypto back-end failed, for lack of randomness or memory.
    Backend,
}

impl fmt::Display for SignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Claims => "the claims do not serialise to a JSON object",
            Self::Header => "the header contains a reserved member",
            Self::Backend => "the crypto back-end could not sign",
        })
    }
}

impl std::error::Error for SignError {}
