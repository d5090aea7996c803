//! The keys of one issuer, from one source or several.

use std::fmt;

use super::error::{VerifyError, VerifyErrorKind};
#[cfg(feature = "jwks")]
use super::remote::RemoteKeySelector;
use super::selector::KeySelector;
#[cfg(feature = "jwks")]
use crate::keys::remote::RemoteKeys;
use crate::keys::{Algorithm, KeySet, VerifyingKey};
use crate::token::JoseHeader;

/// The keys of one issuer: a key, a [`KeySet`], or keys that the issuer publishes.
///
/// A single [`VerifyingKey`] verifies every token with its algorithm, whatever the token's `kid`.
/// In a set, a token with `kid` needs a key with that `kid`.
#[derive(Clone)]
pub struct Keys {
    first: KeySource,
    /// No two sources have an algorithm in common.
    others: Vec<KeySource>,
}

#[derive(Clone)]
pub(super) enum KeySource {
    Fixed(KeySelector),
    #[cfg(feature = "jwks")]
    Remote(RemoteKeySelector),
}

impl Keys {
    fn of(source: KeySource) -> Self {
        Self {
            first: source,
            others: Vec::new(),
        }
    }

    /// The source for the `alg` in a header, and its position.
    #[inline]
    pub(super) fn source_for(&self, header: &[u8]) -> Result<(usize, &KeySource), VerifyError> {
        if self.others.is_empty() {
            return Ok((0, &self.first));
        }
        self.choose(header)
    }

    fn choose(&self, header: &[u8]) -> Result<(usize, &KeySource), VerifyError> {
        let mut sources = self.all().enumerate();
        // Comparing a header is far cheaper than parsing it.
        if let Some(found) = sources.find(|(_, source)| source.remembers(header)) {
            return Ok(found);
        }
        let algorithm = Algorithm::named(&JoseHeader::decode(header)?.algorithm);
        let serves = |source: &KeySource| algorithm.is_some_and(|name| source.serves(name));
        let found = self.all().enumerate().find(|(_, source)| serves(source));
        found.ok_or_else(|| self.no_source())
    }

    #[cold]
    fn no_source(&self) -> VerifyError {
        let served = |name: &Algorithm| self.all().any(|source| source.serves(*name));
        let names = Algorithm::ALL.into_iter().filter(served);
        let names = names.map(|name| name.name().into()).collect();
        VerifyError::expected(VerifyErrorKind::NoFittingKey, "alg", names)
    }

    /// The source at this position.
    #[inline]
    pub(super) fn source_at(&self, position: usize) -> Option<&KeySource> {
        match position.checked_sub(1) {
            None => Some(&self.first),
            Some(other) => self.others.get(other),
        }
    }

    fn all(&self) -> impl Iterator<Item = &KeySource> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// Whether some are fetched from the issuer.
    pub(super) fn are_remote(&self) -> bool {
        self.all()
            .any(|source| !matches!(source, KeySource::Fixed(_)))
    }

    /// Whether none was discovered by the name of another issuer.
    #[cfg(feature = "jwks")]
    pub(super) fn are_of(&self, name: &str) -> bool {
        self.all().all(|source| match source {
            KeySource::Fixed(_) => true,
            KeySource::Remote(remote) => remote.issuer().is_none_or(|issuer| issuer == name),
        })
    }

    pub(super) fn clear_headers(&mut self) {
        for source in std::iter::once(&mut self.first).chain(&mut self.others) {
            match source {
                KeySource::Fixed(selector) => selector.clear_headers(),
                #[cfg(feature = "jwks")]
                KeySource::Remote(selector) => selector.clear_headers(),
            }
        }
    }

    /// Both these keys and `more`.
    ///
    /// # Panics
    ///
    /// If both may have keys for the same algorithm.
    #[track_caller]
    pub(super) fn and(mut self, more: Self) -> Self {
        self.others.push(more.first);
        self.others.extend(more.others);
        for algorithm in Algorithm::ALL {
            let serving = self.all().filter(|source| source.serves(algorithm));
            assert!(
                serving.count() <= 1,
                "two sources of one issuer may have keys for {}: put fixed keys into one \
                 `KeySet`, and name the algorithms of fetched keys by `JwksOptions::algorithms`",
                algorithm.name()
            );
        }
        self
    }
}

impl KeySource {
    /// Whether tokens with this `alg` are verified by this source, and no other.
    fn serves(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::Fixed(selector) => selector.keys().has_algorithm(algorithm),
            #[cfg(feature = "jwks")]
            Self::Remote(remote) => remote.serves(algorithm),
        }
    }

    /// Whether it has verified a token with this header.
    fn remembers(&self, header: &[u8]) -> bool {
        match self {
            Self::Fixed(selector) => selector.remembers(header),
            #[cfg(feature = "jwks")]
            Self::Remote(remote) => remote.remembers(header),
        }
    }
}

impl From<VerifyingKey> for Keys {
    fn from(key: VerifyingKey) -> Self {
        KeySet::ignoring_key_id(key).into()
    }
}

impl From<KeySet> for Keys {
    fn from(keys: KeySet) -> Self {
        Self::of(KeySource::Fixed(KeySelector::new(keys)))
    }
}

#[cfg(feature = "jwks")]
#[cfg_attr(docsrs, doc(cfg(feature = "jwks")))]
impl From<RemoteKeys> for Keys {
    fn from(keys: RemoteKeys) -> Self {
        Self::of(KeySource::Remote(RemoteKeySelector::new(keys)))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.others.is_empty() {
            self.first.fmt(f)
        } else {
            f.debug_list().entries(self.all()).finish()
        }
    }
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(selector) => selector.fmt(f),
            #[cfg(feature = "jwks")]
            Self::Remote(selector) => selector.fmt(f),
        }
    }
}
