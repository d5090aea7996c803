//! The keys of one issuer, from one source or several.

use std::fmt;

#[cfg(feature = "jwks")]
use super::remote::RemoteKeySelector;
use super::selector::KeySelector;
#[cfg(feature = "jwks")]
use crate::keys::remote::RemoteKeys;
use crate::keys::{KeySet, VerifyingKey};

/// The keys of one issuer: a key, a [`KeySet`], or keys that the issuer publishes.
///
/// A single [`VerifyingKey`] verifies every token with its algorithm, whatever the token's `kid`.
/// In a set, a token with `kid` needs a key with that `kid`.
#[derive(Clone)]
pub struct Keys(KeySource);

#[derive(Clone)]
pub(super) enum KeySource {
    Fixed(KeySelector),
    #[cfg(feature = "jwks")]
    Remote(RemoteKeySelector),
    Several(Box<KeySources>),
}

/// Several sources, in the order in which they are asked. No two fixed ones share an algorithm.
/// Nothing secret is fetched, so an HMAC algorithm is in one source at most.
#[derive(Clone, Default)]
pub(super) struct KeySources {
    pub(super) fixed: Vec<KeySelector>,
    #[cfg(feature = "jwks")]
    pub(super) remote: Option<RemoteKeySelector>,
}

impl Keys {
    pub(super) fn source(&self) -> &KeySource {
        &self.0
    }

    /// Whether some are fetched from the issuer.
    pub(super) fn are_remote(&self) -> bool {
        match &self.0 {
            KeySource::Fixed(_) => false,
            #[cfg(feature = "jwks")]
            KeySource::Remote(_) => true,
            #[cfg(feature = "jwks")]
            KeySource::Several(sources) => sources.remote.is_some(),
            #[cfg(not(feature = "jwks"))]
            KeySource::Several(_) => false,
        }
    }

    /// The issuer by whose name they were discovered.
    #[cfg(feature = "jwks")]
    pub(super) fn discovered_issuer(&self) -> Option<&str> {
        match &self.0 {
            KeySource::Fixed(_) => None,
            KeySource::Remote(remote) => remote.issuer(),
            KeySource::Several(sources) => sources.remote.as_ref()?.issuer(),
        }
    }

    pub(super) fn clear_headers(&mut self) {
        match &mut self.0 {
            KeySource::Fixed(selector) => selector.clear_headers(),
            #[cfg(feature = "jwks")]
            KeySource::Remote(selector) => selector.clear_headers(),
            KeySource::Several(sources) => {
                sources
                    .fixed
                    .iter_mut()
                    .for_each(KeySelector::clear_headers);
                #[cfg(feature = "jwks")]
                if let Some(remote) = &mut sources.remote {
                    remote.clear_headers();
                }
            }
        }
    }

    /// Both these keys and `more`.
    ///
    /// # Panics
    ///
    /// If it is certain that both have keys for the same tokens, or both are fetched.
    #[track_caller]
    pub(super) fn and(self, more: Self) -> Self {
        let mut sources = KeySources::default();
        for keys in [self, more] {
            match keys.0 {
                KeySource::Fixed(selector) => sources.fixed.push(selector),
                #[cfg(feature = "jwks")]
                KeySource::Remote(selector) => sources.set_remote(selector),
                KeySource::Several(others) => {
                    let others = *others;
                    sources.fixed.extend(others.fixed);
                    #[cfg(feature = "jwks")]
                    if let Some(selector) = others.remote {
                        sources.set_remote(selector);
                    }
                }
            }
        }
        sources.check();
        Self(KeySource::Several(Box::new(sources)))
    }
}

impl KeySources {
    #[cfg(feature = "jwks")]
    #[track_caller]
    fn set_remote(&mut self, remote: RemoteKeySelector) {
        assert!(
            self.remote.replace(remote).is_none(),
            "an issuer has at most one source of fetched keys"
        );
    }

    /// Checks that no source hides another one.
    #[track_caller]
    fn check(&self) {
        for (index, selector) in self.fixed.iter().enumerate() {
            for other in self.fixed.iter().skip(index.saturating_add(1)) {
                assert!(
                    !selector.keys().shares_algorithm_with(other.keys()),
                    "two sources of one issuer have keys for the same algorithm: put those keys \
                     into one `KeySet`"
                );
            }
        }
        #[cfg(feature = "jwks")]
        assert!(
            self.remote.is_none()
                || !self
                    .fixed
                    .iter()
                    .any(|selector| selector.keys().is_public_ignoring_key_id()),
            "a lone public key would hide the fetched keys of its algorithm: put it into a \
             `KeySet`, with its key ID"
        );
    }
}

impl From<VerifyingKey> for Keys {
    fn from(key: VerifyingKey) -> Self {
        Self(KeySource::Fixed(KeySelector::new(KeySet::ignoring_key_id(
            key,
        ))))
    }
}

impl From<KeySet> for Keys {
    fn from(keys: KeySet) -> Self {
        Self(KeySource::Fixed(KeySelector::new(keys)))
    }
}

#[cfg(feature = "jwks")]
#[cfg_attr(docsrs, doc(cfg(feature = "jwks")))]
impl From<RemoteKeys> for Keys {
    fn from(keys: RemoteKeys) -> Self {
        Self(KeySource::Remote(RemoteKeySelector::new(keys)))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            KeySource::Fixed(selector) => selector.fmt(f),
            #[cfg(feature = "jwks")]
            KeySource::Remote(selector) => selector.fmt(f),
            KeySource::Several(sources) => {
                let mut list = f.debug_list();
                list.entries(&sources.fixed);
                #[cfg(feature = "jwks")]
                list.entries(&sources.remote);
                list.finish()
            }
        }
    }
}
