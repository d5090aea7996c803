//! Several keys, found by `kid` and `alg`.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use super::{Algorithm, VerifyingKey};

/// The keys of one issuer. Cheap to clone.
///
/// A token finds its key by `kid` and `alg` together; keys are never tried out. A token without `kid` is verified
/// only if one single key of the set fits its `alg`, by however many names. A key without a name
/// serves only tokens without `kid`.
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
    /// Of keys that differ by their names alone, the first.
    different: Vec<usize>,
    ignores_key_id: bool,
}

/// Why no key of a set is the one for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoFit {
    None,
    /// The token names no key, and several would do.
    Several,
}

impl KeySet {
    /// A set of `keys`.
    ///
    /// # Errors
    ///
    /// [`KeySetError::Empty`] without any key. [`KeySetError::Duplicate`] if two different keys
    /// have the same name and algorithm, or both no name and the same algorithm: neither could be
    /// told from the other. The same key twice is one key.
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

    /// A set of one key, which serves every token of its algorithm, whatever its `kid`.
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
        let different = (0..)
            .zip(&keys)
            .filter(|(_, key)| seen.insert(key.identity()))
            .map(|(index, _)| index)
            .collect();
        Self(Arc::new(Inner {
            keys,
            by_id,
            different,
            ignores_key_id,
        }))
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.keys.len()
    }

    /// Never: a set has at least one key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.keys.is_empty()
    }

    /// The keys, in the order they were given.
    pub fn iter(&self) -> impl Iterator<Item = &VerifyingKey> {
        self.0.keys.iter()
    }

    /// Whether it holds the same keys under the same names, in the same order. Sets with secrets are never the same.
    #[cfg(feature = "jwks")]
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        let pairs = || self.iter().zip(other.iter());
        self.len() == other.len() && pairs().all(|(one, other)| one.is_same_as(other))
    }

    pub(crate) fn key(&self, index: usize) -> Option<&VerifyingKey> {
        self.0.keys.get(index)
    }

    /// The place of the one key for a token with this header.
    pub(crate) fn find(&self, algorithm: Algorithm, key_id: Option<&str>) -> Result<usize, NoFit> {
        let fits = |index: &usize| {
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
                named.iter().copied().find(fits).ok_or(NoFit::None)
            }
            None => {
                let mut fitting = self.0.different.iter().copied().filter(fits);
                match (fitting.next(), fitting.next()) {
                    (None, _) => Err(NoFit::None),
                    (Some(index), None) => Ok(index),
                    (Some(_), Some(_)) => Err(NoFit::Several),
                }
            }
        }
    }
}

/// Shows the algorithms and names of the keys.
impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Why keys are no set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeySetError {
    /// There is no key.
    Empty,
    /// Two different keys have the same `kid` and `alg`.
    Duplicate,
    /// A key has no `kid`, and there are others.
    Unnamed,
}

impl fmt::Display for KeySetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "a key set needs at least one key",
            Self::Duplicate => "two different keys have the same kid and alg",
            Self::Unnamed => "a key among several has no kid",
        })
    }
}

impl std::error::Error for KeySetError {}
