//! Several keys, found by `kid` and `alg`.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use super::algorithm::Algorithm;
use super::verifying::VerifyingKey;
use crate::token::Thumbprints;

/// The keys of one issuer. Cheap to clone.
///
/// A key is found by the `kid` and `alg` of the token. Keys are never tried in turn. A token
/// without `kid` is verified only if exactly one key matches its `alg`, whatever its key IDs. A key
/// without key ID verifies only tokens without `kid`.
///
/// A token without `kid` may name the key's certificate instead: by `x5t#S256` or `x5t` (RFC 7515
/// §4.1.7, §4.1.8), as AD FS does. If keys of the set have thumbprints, such a token needs a key
/// with its thumbprint. Otherwise it is a token without `kid`. A thumbprint only chooses among the
/// keys that match its `alg`; no certificate is trusted for it.
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

struct Inner {
    keys: Vec<VerifyingKey>,
    by_id: HashMap<Arc<str>, KeysByAlgorithm>,
    /// Every key, whatever its key ID.
    all: KeysByAlgorithm,
    has_thumbprints: bool,
    ignores_key_id: bool,
}

/// The indexes of keys. Keys that differ only in their key IDs are listed once.
#[derive(Default)]
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

/// Why a set does not have a key for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyLookupError {
    NotFound,
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
    ///   ID, or neither has one. A token could not tell them apart.
    pub fn new(keys: impl IntoIterator<Item = VerifyingKey>) -> Result<Self, KeySetError> {
        let keys: Vec<_> = keys.into_iter().collect();
        if keys.is_empty() {
            return Err(KeySetError::Empty);
        }
        let mut seen = HashMap::new();
        let mut distinct = Vec::with_capacity(keys.len());
        for key in &keys {
            let name = (key.key_id(), key.algorithm());
            let identity = key.identity();
            match seen.entry(name) {
                Entry::Vacant(entry) => {
                    entry.insert((identity, HashSet::from([key.thumbprints()])));
                    distinct.push(key.clone());
                }
                Entry::Occupied(mut entry) if entry.get().0 == identity => {
                    // A key keeps its name when its certificate is renewed.
                    if entry.get_mut().1.insert(key.thumbprints()) {
                        distinct.push(key.clone());
                    }
                }
                Entry::Occupied(_) => return Err(KeySetError::Duplicate),
            }
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
        let mut all = KeysByAlgorithm::default();
        let (mut seen, mut seen_by_id) = (HashSet::new(), HashSet::new());
        for (index, key) in keys.iter().enumerate() {
            let (algorithm, identity) = (key.algorithm(), key.identity());
            if let Some(key_id) = key.key_id()
                && seen_by_id.insert((key_id, identity.clone()))
            {
                let named = by_id.entry(Arc::from(key_id)).or_default();
                named.add(algorithm, index);
            }
            if seen.insert(identity) {
                all.add(algorithm, index);
            }
        }
        Self(Arc::new(Inner {
            by_id,
            all,
            has_thumbprints: keys.iter().any(|key| key.thumbprints().is_some()),
            ignores_key_id,
            keys,
        }))
    }

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

    pub(crate) fn key(&self, index: usize) -> Option<&VerifyingKey> {
        self.0.keys.get(index)
    }

    /// Whether a token's thumbprint can choose a key of the set.
    pub(crate) fn has_thumbprints(&self) -> bool {
        self.0.has_thumbprints && !self.0.ignores_key_id
    }

    /// The index of the key for a token with this header.
    ///
    /// A thumbprint chooses only if there is no `kid`.
    pub(crate) fn find(
        &self,
        algorithm: Algorithm,
        key_id: Option<&str>,
        thumbprints: Option<&Thumbprints>,
    ) -> Result<usize, KeyLookupError> {
        match (key_id.filter(|_| !self.0.ignores_key_id), thumbprints) {
            (Some(key_id), _) => {
                let named = self.0.by_id.get(key_id);
                only(named.map(|keys| keys.of(algorithm)).unwrap_or_default())
            }
            (None, Some(thumbprints)) if self.has_thumbprints() => {
                self.find_by_thumbprint(algorithm, thumbprints)
            }
            (None, _) => only(self.0.all.of(algorithm)),
        }
    }

    /// One certificate may be listed more than once, but it has one key.
    fn find_by_thumbprint(
        &self,
        algorithm: Algorithm,
        wanted: &Thumbprints,
    ) -> Result<usize, KeyLookupError> {
        let mut matching = self.0.keys.iter().enumerate().filter(|(_, key)| {
            key.algorithm() == algorithm
                && key
                    .thumbprints()
                    .is_some_and(|thumbprints| thumbprints.match_those_of(wanted))
        });
        let (index, key) = matching.next().ok_or(KeyLookupError::NotFound)?;
        let identity = key.identity();
        if matching.all(|(_, other)| other.identity() == identity) {
            Ok(index)
        } else {
            Err(KeyLookupError::Ambiguous)
        }
    }
}

fn only(indexes: &[usize]) -> Result<usize, KeyLookupError> {
    match indexes {
        [] => Err(KeyLookupError::NotFound),
        [index] => Ok(*index),
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
    /// Two different keys have the same `kid` and `alg`.
    Duplicate,
    /// A key does not have a key ID, and there are several keys.
    MissingKeyId,
}

impl fmt::Display for KeySetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the key set is empty: pass at least one key",
            Self::Duplicate => "two different keys have the same kid and alg",
            Self::MissingKeyId => {
                "one of several keys does not have a kid: set it with with_key_id"
            }
        })
    }
}

impl std::error::Error for KeySetError {}
