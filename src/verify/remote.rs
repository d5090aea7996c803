//! Keys that may have to be fetched first.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwapOption, Guard};

use super::error::{VerifyError, VerifyErrorKind};
use super::keys_version::KeysVersion;
use super::selector::KeySelector;
use crate::clock::ClockSource;
use crate::keys::Algorithm;
use crate::keys::remote::{FetchedKeys, KeyRequestError, RemoteKeys, RequiredKeys};
use crate::token::{HeaderFault, JoseHeader};

/// Remote keys as one verifier uses them: the headers it caches hold for its own settings.
#[derive(Clone)]
pub(super) struct RemoteKeySelector {
    keys: RemoteKeys,
    current: Arc<ArcSwapOption<FetchedSelector>>,
}

/// The keys of one fetch.
struct FetchedSelector {
    fetched: Arc<FetchedKeys>,
    selector: KeySelector,
}

/// The keys that count while one token is verified.
pub(super) struct CurrentKeys(Guard<Option<Arc<FetchedSelector>>>);

/// A fetch that a token needs before it can be verified.
pub(crate) struct KeyFetch {
    keys: RemoteKeys,
    required: RequiredKeys,
    /// The error for a caller that does not wait, or if the issuer does not publish the key.
    refusal: VerifyError,
}

impl RemoteKeySelector {
    pub(super) fn new(keys: RemoteKeys) -> Self {
        Self {
            keys,
            current: Arc::default(),
        }
    }

    pub(super) fn issuer(&self) -> Option<&str> {
        self.keys.issuer()
    }

    /// Whether the issuer may publish keys for this algorithm. Secrets are never published.
    pub(super) fn serves(&self, algorithm: Algorithm) -> bool {
        algorithm.is_asymmetric() && self.keys.options().allow(algorithm)
    }

    /// Whether a fetch could help a token with this header.
    pub(super) fn serves_header(&self, segment: &[u8]) -> Result<bool, HeaderFault> {
        let header = JoseHeader::decode(segment)?;
        Ok(Algorithm::named(&header.algorithm).is_some_and(|algorithm| self.serves(algorithm)))
    }

    /// Whether the last keys have verified a token with this header.
    pub(super) fn remembers(&self, segment: &[u8]) -> bool {
        let current = self.current.load();
        current
            .as_ref()
            .is_some_and(|keys| keys.selector.remembers(segment))
    }

    pub(super) fn clear_headers(&mut self) {
        self.current = Arc::default();
    }

    /// The keys to verify with at `now`, a reading of `clock`.
    #[inline(always)]
    pub(super) fn current(
        &self,
        clock: &ClockSource,
        now: Duration,
    ) -> Result<CurrentKeys, KeyFetch> {
        let is_same_clock = clock.is_system() && self.keys.has_system_clock();
        let now = if is_same_clock { now } else { self.keys.now() };
        match self.fresh_at(now) {
            Some(keys) => Ok(keys),
            None => self.renewed_at(now),
        }
    }

    /// The keys of the last call, if they are the newest and fresh. They nearly always are.
    #[inline(always)]
    fn fresh_at(&self, now: Duration) -> Option<CurrentKeys> {
        let newest = self.keys.newest();
        let current = CurrentKeys(self.current.load());
        let fetched = &current.0.as_ref()?.fetched;
        (fetched.number() == newest && fetched.is_fresh(now)).then_some(current)
    }

    #[cold]
    fn renewed_at(&self, now: Duration) -> Result<CurrentKeys, KeyFetch> {
        let newest = self.keys.newest();
        let mut current = CurrentKeys(self.current.load());
        if current.number() != Some(newest) {
            current = self.renew();
        }
        match &*current.0 {
            Some(keys) if keys.fetched.is_fresh(now) || self.keys.may_serve(&keys.fetched, now) => {
                Ok(current)
            }
            _ => Err(self.request(
                RequiredKeys::Usable,
                VerifyErrorKind::KeysUnavailable.into(),
            )),
        }
    }

    /// If two threads do this at once, the older keys may stay. Then the next call renews again.
    fn renew(&self) -> CurrentKeys {
        let Some(fetched) = self.keys.current() else {
            return CurrentKeys(Guard::from_inner(None));
        };
        let selector = KeySelector::new(fetched.keys().clone());
        let keys = Some(Arc::new(FetchedSelector { fetched, selector }));
        self.current.store(keys.clone());
        CurrentKeys(Guard::from_inner(keys))
    }

    /// For a token whose key is not among `current`: it may be in the keys that come next.
    pub(super) fn request_after(&self, current: &CurrentKeys, refusal: VerifyError) -> KeyFetch {
        let required = match current.number() {
            Some(number) => RequiredKeys::NewerThan(number),
            None => RequiredKeys::Usable,
        };
        self.request(required, refusal)
    }

    fn request(&self, required: RequiredKeys, refusal: VerifyError) -> KeyFetch {
        KeyFetch {
            keys: self.keys.clone(),
            required,
            refusal,
        }
    }
}

impl CurrentKeys {
    fn number(&self) -> Option<u64> {
        Some(self.0.deref().as_ref()?.fetched.number())
    }

    /// The keys, and their version as the source at this position.
    pub(super) fn selector(&self, source: usize) -> Option<(&KeySelector, KeysVersion)> {
        let keys = self.0.deref().as_ref()?;
        let number = keys.fetched.version();
        let version = KeysVersion {
            source,
            number,
            ..KeysVersion::default()
        };
        Some((&keys.selector, version))
    }

    pub(super) fn version(&self, source: usize) -> Option<KeysVersion> {
        self.selector(source).map(|(_, version)| version)
    }
}

impl KeyFetch {
    /// The error for a caller that does not wait.
    pub(super) fn error(self) -> VerifyError {
        self.refusal
    }

    pub(super) async fn wait(self) -> Result<(), VerifyError> {
        let waited = self.keys.wait_for(self.required).await;
        waited.map_err(|why| match why {
            KeyRequestError::UnknownKey => self.refusal,
            KeyRequestError::Outage { retry_after, error } => {
                VerifyError::outage(retry_after, Arc::new(error))
            }
        })
    }
}

impl fmt::Debug for RemoteKeySelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.keys.fmt(f)
    }
}
