//! Several keys, found by `kid` and `alg`.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use super::algorithm::Algorithm;
use super::verifying::VerifyingKey;

/// The keys of one issuer. Cheap to clone.
///
/// A key is found by the `kid` and `alg` of the token. Keys are never tried in turn. A token
/// without `kid` is verified only if exactly one key matches its `alg`, whatever that key's ID is.
/// A key without key ID verifies only tokens without `kid`.
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
    by_id: HashMap<Arc<str>, Vec<usize>>,
    /// The keys without those that differ only in their key IDs.
    distinct: Vec<usize>,
    ignores_key_id: bool,
}

/// Why a set does not have a key for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyLookupError {
    NotFound,
    /// The token does not have a `kid`, and several keys match.
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
            match seen.entry(name) {
                Entry::Vacant(entry) => {
                    entry.insert(key.identity());
                    distinct.push(key.clone());
                }
                Entry::Occupied(entry) if *entry.get() == key.identity() => (),
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
        let mut by_id: HashMap<Arc<str>, Vec<usize>> = HashMap::new();
        for (index, key) in keys.iter().enumerate() {
            if let Some(key_id) = key.key_id() {
                by_id.entry(Arc::from(key_id)).or_default().push(index);
            }
        }
        let mut seen = HashSet::new();
        let distinct = (0..)
            .zip(&keys)
            .filter(|(_, key)| seen.insert(key.identity()))
            .map(|(index, _)| index)
            .collect();
        Self(Arc::new(Inner {
            keys,
            by_id,
            distinct,
            ignores_key_id,
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

    /// Whether both have keys for one algorithm.
    pub(crate) fn shares_algorithm_with(&self, other: &Self) -> bool {
        let has = |key: &VerifyingKey| {
            let mut others = other.iter();
            others.any(|other| other.algorithm() == key.algorithm())
        };
        self.iter().any(has)
    }

    /// Whether it is one public key that verifies tokens with any `kid`.
    #[cfg(feature = "jwks")]
    pub(crate) fn is_public_ignoring_key_id(&self) -> bool {
        self.0.ignores_key_id && self.iter().any(|key| key.algorithm().is_asymmetric())
    }

    pub(crate) fn key(&self, index: usize) -> Option<&VerifyingKey> {
        self.0.keys.get(index)
    }

    /// The index of the key for a token with this header.
    pub(crate) fn find(
        &self,
        algorithm: Algorithm,
        key_id: Option<&str>,
    ) -> Result<usize, KeyLookupError> {
        let has_algorithm = |index: &usize| {
            self.key(*index)
                .is_some_and(|key| key.algorithm() == algorithm)
        };
        match key_id.filter(|_| !self.0.ignores_key_id) {
            Some(key_id) => {
                let named = self
                    .0
                    .by_id
                    .get(key_id)
                    .map(Vec::as_slice)
                    .unwrap_or_default();
                named
                    .iter()
                    .copied()
                    .find(has_algorithm)
                    .ok_or(KeyLookupError::NotFound)
            }
            None => {
                let mut matching = self.0.distinct.iter().copied().filter(has_algorithm);
                match (matching.next(), matching.next()) {
                    (None, _) => Err(KeyLookupError::NotFound),
                    (Some(index), None) => Ok(index),
                    (Some(_), Some(_)) => Err(KeyLookupError::Ambiguous),
                }
            }
        }
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
