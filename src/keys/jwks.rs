//! A JWK Set document (RFC 7517 §5).

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use super::jwk::{Defaults, Jwk, is_object};
use super::{Algorithm, KeyError, KeySet, VerifyingKey};

/// A key set read from a document, and what in it could not be used.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Jwks {
    /// The keys that can be used.
    pub keys: KeySet,
    /// The others, in the order of the document.
    pub skipped: Vec<SkippedKey>,
}

/// A key of a document that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkippedKey {
    /// Its place in the document, from 0.
    pub index: usize,
    /// Its `kid`, as the document has it: text from outside, of any length.
    pub key_id: Option<String>,
    /// Why it is skipped.
    pub reason: SkipReason,
}

/// Why a key of a document is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SkipReason {
    /// It is no key that could be used.
    Key(KeyError),
    /// It is secret (`kty: oct`, or a private key), in a document that is meant to be public.
    Secret,
    /// Another key of the document has the same `kid` and `alg`. Both are skipped: neither can be told from the other.
    Duplicate,
}

impl fmt::Display for SkippedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {} of the set is skipped: ", self.index)?;
        match self.reason {
            SkipReason::Key(error) => error.fmt(f),
            SkipReason::Secret => f.write_str("it is secret"),
            SkipReason::Duplicate => f.write_str("another has the same kid and alg"),
        }
    }
}

/// How to read a document.
///
/// ```
/// # let json = r#"{"keys":[{"kty":"oct","alg":"HS256","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}]}"#;
/// use tower_jwt_auth::keys::{Algorithm, JwksOptions};
///
/// let jwks = JwksOptions::new()
///     .rsa_algorithm(Algorithm::PS256) // for RSA keys without `alg`
///     .allow_secrets()
///     .read(json)?;
/// for skipped in &jwks.skipped {
///     eprintln!("{skipped}");
/// }
/// # Ok::<_, tower_jwt_auth::keys::JwksError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct JwksOptions {
    rsa: Algorithm,
    ed25519: Algorithm,
    secrets: bool,
}

impl Default for JwksOptions {
    fn default() -> Self {
        let Defaults { rsa, ed25519 } = Defaults::default();
        Self {
            rsa,
            ed25519,
            secrets: false,
        }
    }
}

impl JwksOptions {
    /// RSA keys without `alg` are RS256, Ed25519 keys without `alg` are `EdDSA`; secrets are skipped, since a
    /// document of keys is made to be handed out.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What RSA keys without `alg` are for.
    ///
    /// # Panics
    ///
    /// If `algorithm` is not for RSA keys.
    #[must_use]
    pub fn rsa_algorithm(mut self, algorithm: Algorithm) -> Self {
        assert_eq!(
            algorithm.family(),
            Defaults::default().rsa.family(),
            "not for RSA keys"
        );
        self.rsa = algorithm;
        self
    }

    /// What Ed25519 keys without `alg` are for: [`Algorithm::EdDSA`] or [`Algorithm::Ed25519`].
    ///
    /// # Panics
    ///
    /// If `algorithm` is neither.
    #[must_use]
    pub fn ed25519_algorithm(mut self, algorithm: Algorithm) -> Self {
        assert_eq!(
            algorithm.curve(),
            Algorithm::EdDSA.curve(),
            "not for Ed25519 keys"
        );
        self.ed25519 = algorithm;
        self
    }

    /// Reads `kty: oct` keys too, and the public half of private ones: for a file of one's own that is kept secret.
    #[must_use]
    pub fn allow_secrets(mut self) -> Self {
        self.secrets = true;
        self
    }

    /// Reads a document. A key that cannot be used is skipped and reported.
    ///
    /// # Errors
    ///
    /// [`JwksError`] if this is no JWK Set, or none of its keys can be used.
    pub fn read(self, json: &str) -> Result<Jwks, JwksError> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }

        if !is_object(json) {
            return Err(JwksError::NotJwks);
        }
        let document: Document = serde_json::from_str(json).map_err(|_| JwksError::NotJwks)?;
        let mut skipped = Vec::new();
        let mut usable: Vec<(usize, VerifyingKey)> = Vec::new();
        for (index, jwk) in document.keys.into_iter().enumerate() {
            match self.read_key(jwk) {
                Ok(key) => usable.push((index, key)),
                Err((key_id, reason)) => skipped.push(SkippedKey {
                    index,
                    key_id,
                    reason,
                }),
            }
        }

        let mut times: HashMap<(Option<String>, Algorithm), usize> = HashMap::new();
        let name = |key: &VerifyingKey| (key.key_id().map(str::to_owned), key.algorithm());
        for (_, key) in &usable {
            let times = times.entry(name(key)).or_default();
            *times = times.saturating_add(1);
        }
        let (single, double): (Vec<_>, Vec<_>) = usable
            .into_iter()
            .partition(|(_, key)| times.get(&name(key)) == Some(&1));
        skipped.extend(double.into_iter().map(|(index, key)| SkippedKey {
            index,
            key_id: key.key_id().map(str::to_owned),
            reason: SkipReason::Duplicate,
        }));
        skipped.sort_by_key(|key| key.index);

        match KeySet::new(single.into_iter().map(|(_, key)| key)) {
            Ok(keys) => Ok(Jwks { keys, skipped }),
            Err(_) => Err(JwksError::NoUsableKey(skipped)),
        }
    }

    fn read_key(self, jwk: Value) -> Result<VerifyingKey, (Option<String>, SkipReason)> {
        let jwk = Jwk::from_value(jwk).map_err(|error| (None, SkipReason::Key(error)))?;
        if !self.secrets && (jwk.is_symmetric() || jwk.is_private()) {
            return Err((jwk.kid, SkipReason::Secret));
        }
        let defaults = Defaults {
            rsa: self.rsa,
            ed25519: self.ed25519,
        };
        VerifyingKey::from_parsed_jwk(&jwk, None, defaults)
            .map_err(|error| (jwk.kid, SkipReason::Key(error)))
    }
}

impl KeySet {
    /// The keys of a JWK Set document (RFC 7517 §5), as an issuer publishes it. A key that cannot be used is skipped and reported.
    /// [`JwksOptions`] says more about what can be used.
    ///
    /// # Errors
    ///
    /// [`JwksError`] if this is no JWK Set, or none of its keys can be used.
    pub fn from_jwks(json: &str) -> Result<Jwks, JwksError> {
        JwksOptions::new().read(json)
    }
}

/// Why a document yields no keys.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JwksError {
    /// It is no JSON object with an array `keys`.
    NotJwks,
    /// None of its keys can be used, for these reasons.
    NoUsableKey(Vec<SkippedKey>),
}

impl fmt::Display for JwksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJwks => f.write_str("not a JWK Set"),
            Self::NoUsableKey(skipped) => {
                f.write_str("the JWK Set holds no key that can be used")?;
                skipped
                    .first()
                    .map_or(Ok(()), |first| write!(f, "; {first}"))
            }
        }
    }
}

impl std::error::Error for JwksError {}

#[cfg(all(test, feature = "aws_lc_rs"))]
mod tests {
    use super::*;

    /// RFC 8037 A.2, as an object and as the values of all the members that a key may have.
    const KEY: &str =
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    const VALUES: &str = r#"["OKP","Ed25519","EdDSA",null,null,null,null,null,null,"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",null,null,null,null,null,null,null]"#;

    #[test]
    fn an_array_of_values_is_no_key() {
        assert!(VerifyingKey::from_jwk(&format!("\n {KEY} ")).is_ok());
        for json in [VALUES.to_owned(), format!(" {VALUES}")] {
            assert_eq!(
                VerifyingKey::from_jwk(&json).err(),
                Some(KeyError::Unreadable)
            );
        }
        let jwks = KeySet::from_jwks(&format!(r#"{{"keys":[{VALUES},{KEY}]}}"#)).unwrap();
        assert_eq!(jwks.keys.len(), 1);
        assert_eq!(
            jwks.skipped.first().map(|key| key.reason),
            Some(SkipReason::Key(KeyError::Unreadable))
        );
    }

    #[test]
    fn an_array_is_no_key_set() {
        for json in [format!("[[{KEY}]]"), format!("\t[[{VALUES}]]")] {
            assert_eq!(
                KeySet::from_jwks(&json).err(),
                Some(JwksError::NotJwks),
                "{json}"
            );
        }
    }
}
