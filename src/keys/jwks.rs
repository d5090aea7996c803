//! A JWK Set document (RFC 7517 §5).

use std::fmt;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::algorithm::Algorithm;
use super::error::KeyError;
use super::jwk::{Defaults, Jwk};
use super::set::KeySet;
use super::verifying::VerifyingKey;
use crate::json::is_shallow_within;

/// The usable keys of a document, and the skipped ones.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Jwks {
    /// The usable keys, and those skipped as [`SkipReason::Duplicate`].
    pub keys: KeySet,
    /// The keys that are unusable, or used only with [`KeySet::try_keys_with_same_id`], in the
    /// order of the document.
    pub skipped: Vec<SkippedKey>,
}

/// A key of a document that is not used, or is used only with [`KeySet::try_keys_with_same_id`].
///
/// `Display` shows the position, the reason, and at most 64 escaped characters of the `kid`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkippedKey {
    /// The position in the document, from 0.
    pub index: usize,
    /// The `kid` in the document. It is untrusted text of any length.
    pub key_id: Option<String>,
    /// Why the key is skipped.
    pub reason: SkipReason,
}

/// Why a key of a document is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SkipReason {
    /// The key is invalid or not supported.
    Key(KeyError),
    /// The key is a secret (`kty: oct`) or a private key, in a document that should be public.
    Secret,
    /// It is for an algorithm that [`JwksOptions::algorithms`] does not name.
    OtherAlgorithm,
    /// A different key of the document has the same `kid` and `alg`. A token with this `kid` and
    /// `alg` is rejected, because the `kid` does not choose one key. Or this key has neither `kid`
    /// nor thumbprint, and a different key without `kid` has the same `alg`.
    ///
    /// The keys are in the set all the same. [`KeySet::try_keys_with_same_id`] can try those with
    /// the same `kid`, if there are at most four. Duplicates of the same key are merged.
    Duplicate,
}

impl fmt::Display for SkippedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MAX_CHARACTERS: usize = 64;

        write!(f, "key {} of the set", self.index)?;
        if let Some(key_id) = &self.key_id {
            let key_id: String = key_id.chars().take(MAX_CHARACTERS).collect();
            write!(f, " (kid {key_id:?})")?;
        }
        write!(f, " is skipped: {}", self.reason)
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(error) => error.fmt(f),
            Self::Secret => f.write_str("it is secret or private"),
            Self::OtherAlgorithm => {
                f.write_str("JwksOptions::algorithms does not name its algorithm")
            }
            Self::Duplicate => f.write_str(
                "a different one has the same alg, and the same kid or none: try_keys_with_same_id \
                 tries up to four with the same kid",
            ),
        }
    }
}

/// How to read a JWK Set document.
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
    has_both_ed25519_names: bool,
    secrets_allowed: bool,
    tries_keys_with_same_id: bool,
    max_keys: usize,
    /// A bit for each algorithm.
    algorithms: u16,
}

impl Default for JwksOptions {
    fn default() -> Self {
        let Defaults { rsa, ed25519 } = Defaults::default();
        Self {
            rsa,
            ed25519,
            has_both_ed25519_names: false,
            secrets_allowed: false,
            tries_keys_with_same_id: false,
            max_keys: usize::MAX,
            algorithms: u16::MAX,
        }
    }
}

impl JwksOptions {
    /// The default options.
    ///
    /// - RSA keys without `alg` are for RS256. Ed25519 keys without `alg` are for `EdDSA`.
    /// - Secrets are skipped, because a JWK Set is usually public.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the algorithm of RSA keys without `alg`.
    ///
    /// # Panics
    ///
    /// If `algorithm` does not use RSA keys.
    #[must_use]
    pub fn rsa_algorithm(mut self, algorithm: Algorithm) -> Self {
        assert_eq!(
            algorithm.family(),
            Defaults::default().rsa.family(),
            "the algorithm does not use RSA keys"
        );
        self.rsa = algorithm;
        self
    }

    /// Sets the algorithm of Ed25519 keys without `alg`: [`Algorithm::EdDSA`] or
    /// [`Algorithm::Ed25519`].
    ///
    /// # Panics
    ///
    /// If `algorithm` is another one.
    #[must_use]
    pub fn ed25519_algorithm(mut self, algorithm: Algorithm) -> Self {
        assert_eq!(
            algorithm.curve(),
            Algorithm::EdDSA.curve(),
            "the algorithm does not use Ed25519 keys"
        );
        self.ed25519 = algorithm;
        self
    }

    /// Lets Ed25519 keys without `alg` verify tokens with `alg: EdDSA` and with `alg: Ed25519`, as
    /// [`VerifyingKey::with_both_ed25519_names`].
    ///
    /// Use this if the issuer may change the name. A key with `alg` verifies only that `alg`.
    #[must_use]
    pub fn both_ed25519_names(mut self) -> Self {
        self.has_both_ed25519_names = true;
        self
    }

    /// Reads only keys of these algorithms. By default keys of all algorithms are read.
    ///
    /// You need it for [several sources of public keys](crate::TrustedIssuer::keys) of one issuer.
    ///
    /// # Panics
    ///
    /// If `algorithms` is empty.
    #[must_use]
    #[track_caller]
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        let bits = algorithms.into_iter().map(bit);
        self.algorithms = bits.fold(0, |all, one| all | one);
        assert!(self.algorithms != 0, "no algorithm");
        self
    }

    /// Whether keys of this algorithm are read.
    pub(crate) fn allow(self, algorithm: Algorithm) -> bool {
        self.algorithms & bit(algorithm) != 0
    }

    /// Reads `kty: oct` keys too, and the public half of private keys. Use this only for your own
    /// secret file.
    #[must_use]
    pub fn allow_secrets(mut self) -> Self {
        self.secrets_allowed = true;
        self
    }

    /// For a fetched document: always skips secrets, and limits the number of keys. Keys with the
    /// same ID may be tried.
    #[cfg(feature = "jwks")]
    pub(crate) fn untrusted(mut self, tries_keys_with_same_id: bool) -> Self {
        /// Large providers publish about ten. Parsing this many takes a few milliseconds.
        const MAX_KEYS: usize = 512;

        self.secrets_allowed = false;
        self.tries_keys_with_same_id = tries_keys_with_same_id;
        self.max_keys = MAX_KEYS;
        self
    }

    /// Reads a document. Unusable keys are skipped and reported.
    ///
    /// # Errors
    ///
    /// [`JwksError`] if this is not a JWK Set, or it has no usable key.
    pub fn read(self, json: impl AsRef<[u8]>) -> Result<Jwks, JwksError> {
        self.read_bytes(json.as_ref())
    }

    fn read_bytes(self, json: &[u8]) -> Result<Jwks, JwksError> {
        let document = split(json).ok_or(JwksError::NotJwks)?;
        if document.len() > self.max_keys {
            return Err(JwksError::TooManyKeys);
        }
        let mut skipped = Vec::new();
        let mut usable: Vec<(usize, VerifyingKey)> = Vec::new();
        for (index, jwk) in document.into_iter().enumerate() {
            match self.read_key(jwk) {
                Ok(key) => usable.push((index, key)),
                Err((key_id, reason)) => skipped.push(SkippedKey {
                    index,
                    key_id,
                    reason,
                }),
            }
        }

        let Ok(mut keys) = KeySet::of_document(usable.iter().map(|(_, key)| key.clone())) else {
            return Err(JwksError::NoUsableKey(skipped));
        };
        if self.tries_keys_with_same_id {
            keys = keys.try_keys_with_same_id();
        }
        let ambiguous = usable.iter().filter(|(_, key)| keys.is_ambiguous(key));
        skipped.extend(ambiguous.map(|(index, key)| SkippedKey {
            index: *index,
            key_id: key.key_id().map(str::to_owned),
            reason: SkipReason::Duplicate,
        }));
        skipped.sort_by_key(|key| key.index);
        Ok(Jwks { keys, skipped })
    }

    fn read_key(self, jwk: &[u8]) -> Result<VerifyingKey, (Option<String>, SkipReason)> {
        let jwk = Jwk::from_json(jwk).map_err(|error| (key_id(jwk), SkipReason::Key(error)))?;
        if !self.secrets_allowed && (jwk.is_symmetric() || jwk.is_private()) {
            return Err((jwk.kid, SkipReason::Secret));
        }
        let defaults = Defaults {
            rsa: self.rsa,
            ed25519: self.ed25519,
        };
        let has_both_names = self.has_both_ed25519_names && !jwk.names_algorithm();
        let key = match VerifyingKey::from_parsed_jwk(&jwk, None, defaults) {
            Ok(key) if has_both_names && key.algorithm().family() == self.ed25519.family() => {
                key.with_both_ed25519_names()
            }
            Ok(key) => key,
            Err(error) => return Err((jwk.kid, SkipReason::Key(error))),
        };
        if key.algorithms().all(|algorithm| self.allow(algorithm)) {
            Ok(key)
        } else {
            Err((jwk.kid, SkipReason::OtherAlgorithm))
        }
    }
}

fn bit(algorithm: Algorithm) -> u16 {
    1_u16.wrapping_shl(algorithm as u32)
}

/// The `kid` of a JWK that cannot be read otherwise.
fn key_id(jwk: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        kid: String,
    }

    let is_object = jwk.trim_ascii_start().first() == Some(&b'{');
    let named: Named = is_object.then(|| serde_json::from_slice(jwk).ok())??;
    Some(named.kid)
}

/// The raw elements of the array `keys`. An invalid key does not make the other keys unusable.
fn split(document: &[u8]) -> Option<Vec<&[u8]>> {
    let mut keys = None;
    let mut rest = after(document, b'{')?;
    if let Some(end) = after(rest, b'}') {
        rest = end;
    } else {
        loop {
            let (name, colon) = value::<String>(rest)?;
            rest = after(colon, b':')?;
            if name == "keys" {
                let (elements, end) = elements(after(rest, b'[')?)?;
                if keys.replace(elements).is_some() {
                    return None;
                }
                rest = end;
            } else {
                let before = rest;
                (_, rest) = value::<IgnoredAny>(rest)?;
                let member = before.get(..before.len().checked_sub(rest.len())?)?;
                if !is_shallow_within(member, 1) {
                    return None;
                }
            }
            match (after(rest, b','), after(rest, b'}')) {
                (Some(next), _) => rest = next,
                (None, end) => {
                    rest = end?;
                    break;
                }
            }
        }
    }
    skip_space(rest).is_empty().then_some(keys)?
}

/// The elements of an array, and the text after it.
fn elements(mut rest: &[u8]) -> Option<(Vec<&[u8]>, &[u8])> {
    let mut elements = Vec::new();
    if let Some(end) = after(rest, b']') {
        return Some((elements, end));
    }
    loop {
        rest = skip_space(rest);
        let (_, end) = value::<IgnoredAny>(rest)?;
        elements.push(rest.get(..rest.len().checked_sub(end.len())?)?);
        match (after(end, b','), after(end, b']')) {
            (Some(next), _) => rest = next,
            (None, end) => return Some((elements, end?)),
        }
    }
}

/// The text after `byte`, if `byte` comes next.
fn after(text: &[u8], byte: u8) -> Option<&[u8]> {
    skip_space(text).strip_prefix(&[byte])
}

/// Skips white space (RFC 8259 §2).
fn skip_space(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = text {
        text = rest;
    }
    text
}

/// The JSON value at the start of a text, and the text after it.
fn value<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Option<(T, &'a [u8])> {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter();
    let value = values.next()?.ok()?;
    Some((value, text.get(values.byte_offset()..)?))
}

impl KeySet {
    /// The public keys as a JWK Set document (RFC 7517 §5), to publish them. Secrets are omitted.
    ///
    /// ```
    /// use tower_jwt_auth::keys::{Algorithm, KeySet, SigningKey};
    ///
    /// let key = SigningKey::generate(Algorithm::EdDSA)?.with_key_id("2026");
    /// let document = KeySet::new([key.verifying_key()])?.to_jwks();
    /// assert_eq!(KeySet::from_jwks(document)?.keys.len(), 1);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn to_jwks(&self) -> String {
        let keys: Vec<_> = self.iter().filter_map(VerifyingKey::to_jwk).collect();
        format!(r#"{{"keys":[{}]}}"#, keys.join(","))
    }

    /// Reads a JWK Set document (RFC 7517 §5). Unusable keys are skipped and reported.
    ///
    /// [`JwksOptions`] changes what is usable.
    ///
    /// ```no_run
    /// use tower_jwt_auth::{JwtAuthLayer, keys::KeySet};
    ///
    /// let jwks = KeySet::from_jwks(std::fs::read("keys.json")?)?;
    /// for skipped in &jwks.skipped {
    ///     eprintln!("{skipped}");
    /// }
    /// let layer = JwtAuthLayer::new(jwks.keys).issuer("https://id.example.com").audience("api");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`JwksError`] if this is not a JWK Set, or it has no usable key.
    pub fn from_jwks(json: impl AsRef<[u8]>) -> Result<Jwks, JwksError> {
        JwksOptions::new().read(json)
    }
}

/// Why a document has no usable keys.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JwksError {
    /// Not a JSON object with an array `keys`. Or a member other than `keys` nests deeper than 127
    /// levels.
    NotJwks,
    /// The document has more keys than allowed for a fetched document.
    TooManyKeys,
    /// Every key was skipped, for these reasons.
    NoUsableKey(Vec<SkippedKey>),
}

impl fmt::Display for JwksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJwks => f.write_str("not a JWK Set: a JSON object with an array `keys`"),
            Self::TooManyKeys => f.write_str("the JWK Set has too many keys"),
            Self::NoUsableKey(skipped) => {
                f.write_str("the JWK Set has no usable key")?;
                skipped.iter().try_for_each(|key| write!(f, "; {key}"))
            }
        }
    }
}

impl std::error::Error for JwksError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_split_as_it_is_written() {
        let split = |document: &'static str| {
            let elements = split(document.as_bytes())?;
            let text = |element: &&[u8]| String::from_utf8(element.to_vec()).unwrap();
            Some(elements.iter().map(text).collect::<Vec<_>>())
        };
        let some = |elements: &[&str]| Some(elements.iter().map(|e| (*e).to_owned()).collect());
        assert_eq!(split(r#"{"keys":[]}"#), some(&[]));
        assert_eq!(
            split(
                " { \"a\" : [ 1 , {} ] , \"\\u006beys\" : [ {\"x\":1e999} ,\n\"\\ud800\" , 1 ] , \"b\":null } "
            ),
            some(&["{\"x\":1e999}", "\"\\ud800\"", "1"])
        );
        for document in [
            "",
            "[]",
            "{}",
            "[[{}]]",
            r#"{"keys":{}}"#,
            r#"{"keys":[}"#,
            r#"{"keys":[{}]"#,
            r#"{"keys":[{}]}x"#,
            r#"{"keys":[{},]}"#,
            r#"{"keys":[{}],}"#,
            r#"{"keys":[{}{}]}"#,
            r#"{"keys":[{}]"a":1}"#,
            r#"{"keys":[],"keys":[]}"#,
            r#"{"keys" []}"#,
            r#"{keys:[]}"#,
            "\u{c}{\"keys\":[]}",
        ] {
            assert_eq!(split(document), None, "{document}");
        }
    }
}
