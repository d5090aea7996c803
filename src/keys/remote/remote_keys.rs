//! The keys of an issuer, and how requests wait for them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::timeout;

use super::endpoint::{KeyEndpoint, KeyLocation};
use super::error::{FetchError, FetchErrorKind};
use super::fetch::FETCH_DEADLINE;
use super::fetched::{FetchedKeys, KeyLifetimes, Timestamp};
use super::refresh::{KeyRequestError, Refresh, RequiredKeys};
use crate::clock::ClockSource;
use crate::keys::{JwksOptions, KeySet, SkippedKey};

/// The keys of an issuer, fetched from it. Cheap to clone; clones share the keys.
///
/// See the [module docs](super) for when they are fetched.
#[derive(Clone)]
pub struct RemoteKeys(Arc<Refresh>);

/// What a request does next.
enum NextStep {
    Retry,
    Wait,
}

impl RemoteKeys {
    /// The maximum number of waiting requests, to bound the memory. Further requests are rejected.
    const MAX_WAITING: usize = 4096;

    /// The maximum time a request waits. A fetch that has not ended by then is overdue.
    const MAX_WAIT: Duration = FETCH_DEADLINE.saturating_add(Duration::from_secs(1));

    /// How often the refresher may end with its runtime during one wait.
    const MAX_INTERRUPTIONS: usize = 3;

    pub(super) fn start(
        endpoint: KeyEndpoint,
        lifetimes: KeyLifetimes,
        clock: ClockSource,
    ) -> Self {
        let keys = Self(Refresh::new(endpoint, lifetimes, clock));
        // Outside a runtime this fails. Then the first request starts the first fetch.
        let _ = keys.0.request_fetch(keys.0.control());
        keys
    }

    /// The issuer, if the keys were created with [`RemoteKeys::discover`].
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        match &self.0.endpoint.location {
            KeyLocation::Issuer(issuer) => Some(issuer.issuer()),
            KeyLocation::Jwks(_) => None,
        }
    }

    /// The state of the keys, for monitoring.
    #[must_use]
    pub fn state(&self) -> RemoteKeysState {
        let now = self.now();
        let control = self.0.control();
        let fetched = self.0.current.load_full();
        RemoteKeysState {
            age: fetched.as_ref().map(|fetched| fetched.age(now)),
            keys: fetched.map(|fetched| fetched.keys().clone()),
            issuer: self.issuer().map(str::to_owned),
            url: control.url.clone(),
            skipped: control.skipped.clone(),
            last_error: control
                .failure
                .as_ref()
                .map(|failure| failure.error.clone()),
            fetches: self.0.fetches.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn options(&self) -> JwksOptions {
        self.0.endpoint.options
    }

    pub(crate) fn now(&self) -> Duration {
        self.0.clock.since_epoch()
    }

    /// Whether keys age by the system clock. The caller may have read that clock already.
    #[inline]
    pub(crate) fn has_system_clock(&self) -> bool {
        self.0.clock.is_system()
    }

    /// The number of the current keys, 0 if there are none.
    #[inline]
    pub(crate) fn newest(&self) -> u64 {
        self.0.newest.load(Ordering::Acquire)
    }

    /// The current keys.
    pub(crate) fn current(&self) -> Option<Arc<FetchedKeys>> {
        self.0.current.load_full()
    }

    /// Whether keys that are not fresh may be used now. Requests their renewal.
    #[cold]
    pub(crate) fn may_serve(&self, fetched: &FetchedKeys, now: Duration) -> bool {
        if self.0.claim_renewal(now) {
            let control = self.0.control();
            if control.fetching_since.is_some() || control.may_fetch(now) {
                // Without a runtime there is no fetch.
                let _ = self.0.request_fetch(control);
            }
        }
        fetched.is_usable(now)
    }

    /// Waits for keys that may be the required ones. Afterwards the caller must check them.
    pub(crate) async fn wait_for(&self, required: RequiredKeys) -> Result<(), KeyRequestError> {
        // Without a runtime there is no timer, so the request might wait forever.
        if Handle::try_current().is_err() {
            return Err(outage(FetchErrorKind::NoRuntime));
        }
        for _ in 0..Self::MAX_INTERRUPTIONS {
            // Subscribe first, so that the outcome of the requested fetch is not missed.
            let mut outcomes = self.0.outcomes.subscribe();
            match self.begin(required)? {
                NextStep::Retry => return Ok(()),
                NextStep::Wait => (),
            }
            let waiting = WaitingRequest::begin(&self.0)?;
            // This does not fail because the channel was closed: `self` owns the sender.
            let is_over = timeout(Self::MAX_WAIT, outcomes.changed()).await.is_ok();
            drop(waiting);
            if !is_over {
                // No runtime drives the refresher. This replaces it for the next request.
                let _ = self.0.request_fetch(self.0.control());
                return Err(outage(FetchErrorKind::Timeout));
            }
            if let Some(outcome) = self.outcome(required) {
                return outcome;
            }
        }
        Err(outage(FetchErrorKind::NoRuntime))
    }

    /// Requests a fetch if it is still required and allowed.
    fn begin(&self, required: RequiredKeys) -> Result<NextStep, KeyRequestError> {
        let now = self.now();
        let shared = &self.0;
        let mut control = shared.control();
        // Checked under the lock, because a fetch stores its keys before it ends.
        if shared.satisfies(required, now) {
            return Ok(NextStep::Retry);
        }
        if control.fetching_since.is_none() {
            match required {
                RequiredKeys::NewerThan(_) => {
                    let is_cooling_down = control
                        .last_key_request
                        .is_some_and(|requested| requested.age(now) < shared.lifetimes.cooldown);
                    if is_cooling_down {
                        return Err(match &control.failure {
                            Some(failure) => failure.outage(now),
                            None => KeyRequestError::UnknownKey,
                        });
                    }
                    control.last_key_request = Some(Timestamp::at(now));
                }
                RequiredKeys::Usable => {
                    if let Some(failure) = &control.failure
                        && !failure.may_retry(now)
                    {
                        return Err(failure.outage(now));
                    }
                }
            }
        }
        match shared.request_fetch(control) {
            Ok(()) => Ok(NextStep::Wait),
            Err(error) => Err(outage(error)),
        }
    }

    /// The outcome of a fetch. `None` if it did not end.
    fn outcome(&self, required: RequiredKeys) -> Option<Result<(), KeyRequestError>> {
        let now = self.now();
        let control = self.0.control();
        let can_be_served = || {
            let current = self.0.current.load();
            current
                .as_ref()
                .is_some_and(|fetched| fetched.is_usable(now))
        };
        if self.0.satisfies(required, now)
            || matches!(required, RequiredKeys::Usable) && can_be_served()
        {
            return Some(Ok(()));
        }
        let failure = control.failure.as_ref()?;
        Some(Err(failure.outage(now)))
    }
}

fn outage(error: impl Into<FetchError>) -> KeyRequestError {
    KeyRequestError::Outage {
        retry_after: Duration::from_secs(1),
        error: error.into(),
    }
}

/// One waiting request, removed from the total when dropped.
struct WaitingRequest<'a>(&'a AtomicUsize);

impl<'a> WaitingRequest<'a> {
    fn begin(shared: &'a Refresh) -> Result<Self, KeyRequestError> {
        let waiting = Self(&shared.waiting);
        if shared.waiting.fetch_add(1, Ordering::Relaxed) < RemoteKeys::MAX_WAITING {
            Ok(waiting)
        } else {
            Err(outage(FetchErrorKind::TooManyWaiting))
        }
    }
}

impl Drop for WaitingRequest<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The state of [`RemoteKeys`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RemoteKeysState {
    /// The issuer, if the keys were created with [`RemoteKeys::discover`].
    pub issuer: Option<String>,
    /// The URL of the current keys, without its query. For a failed fetch, see [`FetchError::url`].
    pub url: Option<String>,
    /// The current keys, of any age.
    pub keys: Option<KeySet>,
    /// The time since they were fetched.
    pub age: Option<Duration>,
    /// The unusable keys of the last JWK Set document, with reasons. This includes a document
    /// without a usable key.
    pub skipped: Vec<SkippedKey>,
    /// The error of the last fetch, if it failed: its [kind](FetchError::kind), address and source.
    pub last_error: Option<FetchError>,
    /// The number of fetches so far.
    pub fetches: u64,
}

/// Shows the state, not the key material.
impl fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteKeys")
            .field("issuer", &self.issuer())
            .field("lifetimes", &self.0.lifetimes)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
