//! Several keys, found by `kid` and `alg`.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use super::algorithm::Algorithm;
use super::verifying::VerifyingKey;
use crate::token::Thumbprints;

/// The keys of one issuer. Cheap to clone.
///
/// A key is found by the `kid` and `alg` of the token. Keys are not tried in turn, unless you
/// [enable that](KeySet::try_keys_with_same_id) for keys with the same `kid` and `alg`. A token
/// without `kid` is verified only if exactly one key matches its `alg`, whatever that key's ID is.
/// A key without key ID verifies only tokens without `kid`.
///
/// A token without `kid` may name the key's certificate instead: by `x5t#S256` or `x5t` (RFC 7515
/// §4.1.7, §4.1.8), as AD FS does. If any key in the set has a thumbprint, the token's thumbprint
/// must match a key. If no key has one, the token's thumbprint is ignored. A thumbprint only
/// chooses among keys that match the token's `alg`. It makes no certificate trusted.
///
/// A token with `kid` and a thumbprint is rejected if the key of that `kid` has another thumbprint.
///
/// ```
/// use tower_jwt_auth::keys::{Algorithm, KeySet, SigningKey};
///
/// let retired = SigningKey::generate(Algorithm::ES256)?.with_key_id("2025");
/// let current = SigningKey::generate(Algorithm::ES256)?.with_key_id("2026");
/// let keys = KeySet::new([retired.verifying_key(), current.verifying_key()])?;
/// assert_eq!(keys.len(), 2);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct KeySet(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    keys: Vec<VerifyingKey>,
    by_id: HashMap<Arc<str>, KeysByAlgorithm>,
    /// The keys without key ID.
    unnamed: KeysByAlgorithm,
    /// Every key, whatever its key ID.
    all: KeysByAlgorithm,
    has_thumbprints: bool,
    ignores_key_id: bool,
    tries_keys_with_same_id: bool,
}

/// The indexes of keys. Keys that differ only in their key IDs are listed once.
#[derive(Clone, Default)]
struct KeysByAlgorithm(Vec<(Algorithm, Vec<usize>)>);

impl KeysByAlgorithm {
    fn add(&mut self, algorithm: Algorithm, index: usize) {
        match self.0.iter_mut().find(|(name, _)| *name == algorithm) {
            Some((_, indexes)) => indexes.push(index),
            None => self.0.push((algorithm, vec![index])),
        }
    }

    fn of(&self, algorithm: Algorithm) -> &[usize] {
        let found = self.0.iter().find(|(name, _)| *name == algorithm);
        found
            .map(|(_, indexes)| indexes.as_slice())
            .unwrap_or_default()
    }
}

/// The keys for a token, by index. There are several only with the same key ID and algorithm.
pub(crate) struct FoundKeys {
    pub(crate) first: usize,
    pub(crate) others: Vec<usize>,
}

/// Why a set does not have a key for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyLookupError {
    NotFound,
    /// Keys match, but not their certificates.
    OtherCertificate,
    /// Several keys match.
    Ambiguous,
}

impl KeySet {
    /// A set of `keys`. Duplicates of the same key are merged.
    ///
    /// # Errors
    ///
    /// - [`KeySetError::Empty`] if `keys` is empty.
    /// - [`KeySetError::Duplicate`] if two different keys have the same algorithm and the same key
    ///   ID: a token could not choose between them.
    /// - [`KeySetError::Duplicate`] also if two different keys of one algorithm have no key ID,
    ///   unless both have a thumbprint.
    pub fn new(keys: impl IntoIterator<Item = VerifyingKey>) -> Result<Self, KeySetError> {
        let set = Self::of_document(keys)?;
        if set.iter().any(|key| set.is_ambiguous(key)) {
            return Err(KeySetError::Duplicate);
        }
        Ok(set)
    }

    /// As [`KeySet::new`], but different keys may have the same name. A token that names them has
    /// no key, unless they are tried.
    pub(super) fn of_document(
        keys: impl IntoIterator<Item = VerifyingKey>,
    ) -> Result<Self, KeySetError> {
        let mut distinct = Vec::new();
        let mut seen = HashSet::new();
        for key in keys {
            let name = key.key_id().map(str::to_owned);
            let mut is_new = false;
            for algorithm in key.algorithms() {
                let identity = key.identity_for(algorithm);
                // A key keeps its name when its certificate is renewed.
                is_new |= seen.insert((name.clone(), identity, key.thumbprints().cloned()));
            }
            if is_new {
                distinct.push(key);
            }
        }
        if distinct.is_empty() {
            return Err(KeySetError::Empty);
        }
        Ok(Self::of_distinct(distinct))
    }

    pub(super) fn of_one(key: VerifyingKey) -> Self {
        Self::of_distinct(vec![key])
    }

    /// A set of one key that verifies every token of its algorithm, whatever the `kid`.
    pub(crate) fn ignoring_key_id(key: VerifyingKey) -> Self {
        Self::with_key_id_rule(vec![key], true)
    }

    fn of_distinct(keys: Vec<VerifyingKey>) -> Self {
        Self::with_key_id_rule(keys, false)
    }

    fn with_key_id_rule(keys: Vec<VerifyingKey>, ignores_key_id: bool) -> Self {
        let mut by_id: HashMap<Arc<str>, KeysByAlgorithm> = HashMap::new();
        let (mut unnamed, mut all) = (KeysByAlgorithm::default(), KeysByAlgorithm::default());
        let (mut seen, mut seen_by_name) = (HashSet::new(), HashSet::new());
        let entries = keys.iter().enumerate().flat_map(|(index, key)| {
            let algorithms = key.algorithms();
            algorithms.map(move |algorithm| (index, key, algorithm))
        });
        for (index, key, algorithm) in entries {
            let identity = key.identity_for(algorithm);
            if seen_by_name.insert((key.key_id(), identity.clone())) {
                let named = match key.key_id() {
                    Some(key_id) => by_id.entry(Arc::from(key_id)).or_default(),
                    None => &mut unnamed,
                };
                named.add(algorithm, index);
            }
            if seen.insert(identity) {
                all.add(algorithm, index);
            }
        }
        Self(Arc::new(Inner {
            by_id,
            unnamed,
            all,
            has_thumbprints: keys.iter().any(|key| key.thumbprints().is_some()),
            ignores_key_id,
            tries_keys_with_same_id: false,
            keys,
        }))
    }

    /// Tries each of the keys with the token's `kid` and `alg`, if there are at most four. All must
    /// have the same [`issuer`](VerifyingKey::issuer), or none.
    ///
    /// Use this for an issuer that reuses the `kid` of the old key during a rotation.
    /// [`KeySet::from_jwks`] keeps such keys.
    ///
    /// Off by default: RFC 7515 §4.1.4 lets `kid` choose one key. Each token with such a `kid`,
    /// even a forged one, costs up to four signature checks and one header parse. Tokens with
    /// another `kid` cost the same as without this option.
    ///
    /// Without this option, or if the keys do not meet these conditions, the token is rejected with
    /// [`SeveralFittingKeys`](crate::VerifyErrorKind::SeveralFittingKeys).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use tower_jwt_auth::keys::{Algorithm, KeySet, SigningKey};
    /// # let key = SigningKey::generate(Algorithm::ES256)?.with_key_id("2026");
    /// # let json = KeySet::new([key.verifying_key()])?.to_jwks();
    /// let keys = KeySet::from_jwks(json)?.keys.try_keys_with_same_id();
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn try_keys_with_same_id(mut self) -> Self {
        Arc::make_mut(&mut self.0).tries_keys_with_same_id = true;
        self
    }

    /// The maximum number of keys that are tried for one token.
    const MAX_TRIED: usize = 4;

    /// The number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.keys.len()
    }

    /// Always `false`: a set has at least one key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.keys.is_empty()
    }

    /// The keys in the order you passed them.
    pub fn iter(&self) -> impl Iterator<Item = &VerifyingKey> {
        self.0.keys.iter()
    }

    /// Whether it contains the same keys with the same key IDs in the same order. Sets with secrets
    /// are never the same.
    #[cfg(feature = "jwks")]
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        let pairs = || self.iter().zip(other.iter());
        self.len() == other.len() && pairs().all(|(one, other)| one.is_same_as(other))
    }

    /// Whether it has keys for this algorithm.
    pub(crate) fn has_algorithm(&self, algorithm: Algorithm) -> bool {
        !self.0.all.of(algorithm).is_empty()
    }

    /// Whether it is one key that verifies tokens with any `kid`.
    pub(crate) fn ignores_key_id(&self) -> bool {
        self.0.ignores_key_id
    }

    pub(crate) fn key(&self, index: usize) -> Option<&VerifyingKey> {
        self.0.keys.get(index)
    }

    /// Whether a token's thumbprint can choose a key of the set.
    pub(crate) fn has_thumbprints(&self) -> bool {
        self.0.has_thumbprints && !self.0.ignores_key_id
    }

    /// The keys for a token with this header.
    ///
    /// A thumbprint chooses only if there is no `kid`. Beside a `kid` it must not contradict.
    pub(crate) fn find(
        &self,
        algorithm: Algorithm,
        key_id: Option<&str>,
        thumbprints: Option<&Thumbprints>,
    ) -> Result<FoundKeys, KeyLookupError> {
        let key_id = key_id.filter(|_| !self.0.ignores_key_id);
        match (key_id, thumbprints.filter(|_| self.has_thumbprints())) {
            (Some(key_id), None) => self.find_by_id(algorithm, key_id),
            (Some(key_id), Some(thumbprints)) => {
                let found = self.find_by_id(algorithm, key_id)?;
                self.without_other_certificates(found, algorithm, thumbprints)
            }
            (None, Some(thumbprints)) => self.find_by_thumbprint(algorithm, thumbprints),
            (None, None) => only(self.0.all.of(algorithm)),
        }
    }

    fn find_by_id(&self, algorithm: Algorithm, key_id: &str) -> Result<FoundKeys, KeyLookupError> {
        match self.named(key_id, algorithm) {
            [first, others @ ..] if self.may_try(*first, others) => Ok(FoundKeys {
                first: *first,
                others: others.to_vec(),
            }),
            named => only(named),
        }
    }

    /// The found keys whose thumbprints do not contradict those of the token.
    #[cold]
    fn without_other_certificates(
        &self,
        found: FoundKeys,
        algorithm: Algorithm,
        wanted: &Thumbprints,
    ) -> Result<FoundKeys, KeyLookupError> {
        // The set may list a key once more, with a renewed certificate.
        let may_be_named = |index: &usize| {
            let Some(key) = self.key(*index) else {
                return false;
            };
            let identity = key.identity_for(algorithm);
            self.iter().any(|other| {
                other.key_id() == key.key_id()
                    && other.identity_for(algorithm) == identity
                    && !other
                        .thumbprints()
                        .is_some_and(|own| own.contradict(wanted))
            })
        };
        let all = std::iter::once(found.first).chain(found.others);
        let mut named = all.filter(may_be_named);
        let first = named.next().ok_or(KeyLookupError::OtherCertificate)?;
        let others = named.collect();
        Ok(FoundKeys { first, others })
    }

    fn named(&self, key_id: &str, algorithm: Algorithm) -> &[usize] {
        let named = self.0.by_id.get(key_id);
        named.map(|keys| keys.of(algorithm)).unwrap_or_default()
    }

    /// Whether keys may be tried after another one with their name. All belong to one issuer, so
    /// that a token's issuer does not depend on which key verifies it.
    fn may_try(&self, first: usize, others: &[usize]) -> bool {
        let issuer = |index: usize| self.key(index).and_then(VerifyingKey::issuer);
        self.0.tries_keys_with_same_id
            && others.len() < Self::MAX_TRIED
            && others.iter().all(|other| issuer(*other) == issuer(first))
    }

    /// Whether tokens that name the key are rejected, because other keys have its name.
    pub(super) fn is_ambiguous(&self, key: &VerifyingKey) -> bool {
        key.algorithms().any(|algorithm| match key.key_id() {
            Some(key_id) => match self.named(key_id, algorithm) {
                [] | [_] => false,
                [first, others @ ..] => !self.may_try(*first, others),
            },
            // A token may still name the certificate.
            None => key.thumbprints().is_none() && self.0.unnamed.of(algorithm).len() > 1,
        })
    }

    /// One certificate may be listed more than once, but it has one key.
    fn find_by_thumbprint(
        &self,
        algorithm: Algorithm,
        wanted: &Thumbprints,
    ) -> Result<FoundKeys, KeyLookupError> {
        let mut matching = self.0.keys.iter().enumerate().filter(|(_, key)| {
            key.algorithms().any(|name| name == algorithm)
                && key
                    .thumbprints()
                    .is_some_and(|thumbprints| thumbprints.match_those_of(wanted))
        });
        let found = matching.next().ok_or(KeyLookupError::OtherCertificate);
        let (index, key) = found?;
        let identity = key.identity_for(algorithm);
        if matching.all(|(_, other)| other.identity_for(algorithm) == identity) {
            Ok(FoundKeys::one(index))
        } else {
            Err(KeyLookupError::Ambiguous)
        }
    }
}

impl FoundKeys {
    fn one(index: usize) -> Self {
        Self {
            first: index,
            others: Vec::new(),
        }
    }
}

fn only(indexes: &[usize]) -> Result<FoundKeys, KeyLookupError> {
    match indexes {
        [] => Err(KeyLookupError::NotFound),
        [index] => Ok(FoundKeys::one(*index)),
        _ => Err(KeyLookupError::Ambiguous),
    }
}

/// Shows the algorithms and key IDs.
impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Why keys cannot form a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeySetError {
    /// There are no keys.
    Empty,
    /// Two different keys have the same `alg`, and the same `kid` or none.
    Duplicate,
    /// One of several keys of a [`SigningKeySet`](super::SigningKeySet) has no key ID.
    MissingKeyId,
}

impl fmt::Display for KeySetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the key set is empty: pass at least one key",
            Self::Duplicate => "two different keys have the same alg, and the same kid or none",
            Self::MissingKeyId => {
                "one of several keys does not have a kid: set it with with_key_id"
            }
        })
    }
}

impl std::error::Error for KeySetError {}
