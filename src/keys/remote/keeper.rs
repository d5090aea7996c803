//! Who keeps the keys fresh.
//!
//! One task fetches, so there is never more than one fetch at a time. It holds the keys only weakly, and ends with them. Requests
//! read the keys without a lock; one that needs others says so under a mutex, wakes the task, and waits for its next
//! outcome.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use arc_swap::{ArcSwapOption, Guard};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::attempt::{Harvest, Origin, Place};
use super::error::{FetchError, FetchErrorKind};
use crate::clock::{Clock, since_epoch};
use crate::keys::{KeySet, SkippedKey};

/// Keys of an issuer, fetched from it. Cheap to clone; clones share the keys.
///
/// See the [module docs](super) for when they are fetched.
#[derive(Clone)]
pub struct RemoteKeys(Arc<Shared>);

/// How long is what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) life: Duration,
    pub(super) cooldown: Duration,
    pub(super) max_stale: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            life: Duration::from_secs(10 * 60),
            cooldown: Duration::from_secs(30),
            max_stale: Duration::from_secs(60 * 60),
        }
    }
}

impl Times {
    /// A provider that says less than a minute would be asked too often; one that says more than an hour would not be
    /// believed when it withdraws a key.
    fn life(self, max_age: Option<Duration>) -> Duration {
        let bounds = (Duration::from_secs(60), Duration::from_secs(60 * 60));
        max_age.map_or(self.life, |age| age.clamp(bounds.0, bounds.1))
    }

    /// After how many failures in a row it is tried again when.
    fn pause(self, failures: u32) -> Duration {
        let doubled = 1_u64.checked_shl(failures.saturating_sub(1));
        Duration::from_secs(doubled.unwrap_or(u64::MAX)).min(self.cooldown)
    }
}

/// Keys as they were fetched at one time. All times are since the epoch.
pub(crate) struct Snapshot {
    pub(crate) keys: KeySet,
    /// Counts the snapshots.
    pub(crate) number: u64,
    /// Counts the times that the keys were others than before.
    pub(crate) epoch: u64,
    fetched_at: Duration,
    refresh_at: Duration,
    expires_at: Duration,
    unusable_at: Duration,
}

impl Snapshot {
    /// Whether nothing has to be done yet.
    #[inline]
    pub(crate) fn is_fresh(&self, now: Duration) -> bool {
        now < self.refresh_at
    }
}

/// What a request lacks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Need {
    /// Keys that are good now.
    Keys,
    /// A key that is not in the snapshot of this number.
    KeyMissingIn(u64),
}

/// Why it does not get it.
#[derive(Clone, Debug)]
pub(crate) enum Unobtainable {
    /// The issuer has no such key, as far as may be known now.
    NoSuchKey,
    /// The issuer does not answer, or not well.
    Down {
        retry_after: Duration,
        error: FetchError,
    },
}

/// What may be done with the keys at hand.
pub(crate) enum Standing {
    Good,
    /// They must be waited for.
    Lacking,
}

struct Shared {
    origin: Arc<Origin>,
    times: Times,
    clock: Arc<dyn Clock>,
    current: ArcSwapOption<Snapshot>,
    control: Mutex<Control>,
    wake: Arc<Notify>,
    /// Counts the attempts that are over.
    outcomes: watch::Sender<u64>,
    waiting: AtomicUsize,
    fetches: AtomicU64,
}

#[derive(Default)]
struct Control {
    keeper: Option<AbortHandle>,
    /// Whether an attempt is under way, or wanted.
    flying: bool,
    /// When the last attempt for an unknown `kid` was.
    asked_for_key_at: Option<Duration>,
    failure: Option<Failure>,
    skipped: Vec<SkippedKey>,
}

/// The attempts that have failed since the last success.
#[derive(Clone)]
struct Failure {
    error: FetchError,
    times: u32,
    again_at: Duration,
}

impl RemoteKeys {
    /// How many requests may wait at once. Each holds its request and no more; beyond that they are turned away.
    const MOST_WAITING: usize = 4096;

    pub(super) fn start(origin: Origin, times: Times, clock: Arc<dyn Clock>) -> Self {
        let keys = Self(Arc::new(Shared {
            origin: Arc::new(origin),
            times,
            clock,
            current: ArcSwapOption::empty(),
            control: Mutex::default(),
            wake: Arc::default(),
            outcomes: watch::Sender::new(0),
            waiting: AtomicUsize::new(0),
            fetches: AtomicU64::new(0),
        }));
        // Outside a runtime the first request will do.
        let _ = keys.0.want(&mut keys.0.control());
        keys
    }

    /// The issuer, where its name is what they were found by.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        match &self.0.origin.place {
            Place::Issuer { name, .. } => Some(name),
            Place::Jwks(_) => None,
        }
    }

    /// How they fare.
    #[must_use]
    pub fn state(&self) -> RemoteKeysState {
        let control = self.0.control();
        let snapshot = self.0.current.load_full();
        let now = since_epoch(&*self.0.clock);
        RemoteKeysState {
            age: snapshot
                .as_ref()
                .map(|snapshot| now.saturating_sub(snapshot.fetched_at)),
            keys: snapshot.map(|snapshot| snapshot.keys.clone()),
            skipped: control.skipped.clone(),
            last_error: control
                .failure
                .as_ref()
                .map(|failure| failure.error.clone()),
            fetches: self.0.fetches.load(Ordering::Relaxed),
        }
    }

    /// The keys at hand.
    #[inline]
    pub(crate) fn current(&self) -> Guard<Option<Arc<Snapshot>>> {
        self.0.current.load()
    }

    /// Whether the keys at hand may be used now, though they are not fresh. Sees to it that they are renewed.
    #[cold]
    pub(crate) fn standing(&self, snapshot: &Snapshot, now: Duration) -> Standing {
        let mut control = self.0.control();
        if control.may_try(now) {
            // Without a runtime it cannot be helped.
            let _ = self.0.want(&mut control);
        }
        let is_good =
            now < snapshot.expires_at || control.failure.is_some() && now < snapshot.unusable_at;
        if is_good {
            Standing::Good
        } else {
            Standing::Lacking
        }
    }

    /// Waits until there is what a request lacks, or may be: it looks again after that.
    pub(crate) async fn wait_for(&self, need: Need) -> Result<(), Unobtainable> {
        let mut outcomes = self.0.outcomes.subscribe();
        let now = since_epoch(&*self.0.clock);
        let is_there = match (need, &*self.current()) {
            (_, None) => false,
            (Need::Keys, Some(snapshot)) => now < snapshot.expires_at,
            // Others came meanwhile, and it may be among them.
            (Need::KeyMissingIn(number), Some(snapshot)) => snapshot.number != number,
        };
        if is_there {
            return Ok(());
        }
        self.begin(need, now)?;
        let _waiting = Waiting::begin(&self.0)?;
        // The sender lives as long as `self`.
        let _ = outcomes.changed().await;
        let now = since_epoch(&*self.0.clock);
        let can_be_served = |snapshot: &Arc<Snapshot>| now < snapshot.unusable_at;
        match (&self.0.control().failure, need) {
            (None, _) => Ok(()),
            (Some(_), Need::Keys) if self.current().as_ref().is_some_and(can_be_served) => Ok(()),
            (Some(failure), _) => Err(failure.unobtainable(now)),
        }
    }

    /// Sees to an attempt for this need, if one is allowed.
    fn begin(&self, need: Need, now: Duration) -> Result<(), Unobtainable> {
        let shared = &self.0;
        let mut control = shared.control();
        if control.flying && control.keeper.is_some() {
            return Ok(());
        }
        if let Need::KeyMissingIn(_) = need {
            let cools = control
                .asked_for_key_at
                // A clock that has stepped back says nothing.
                .is_some_and(|at| at <= now && now < at.saturating_add(shared.times.cooldown));
            if cools {
                return Err(match &control.failure {
                    Some(failure) => failure.unobtainable(now),
                    None => Unobtainable::NoSuchKey,
                });
            }
            control.asked_for_key_at = Some(now);
        } else if !control.may_try(now)
            && let Some(failure) = &control.failure
        {
            return Err(failure.unobtainable(now));
        }
        shared
            .want(&mut control)
            .map_err(|error| Unobtainable::Down {
                retry_after: Duration::from_secs(1),
                error,
            })
    }
}

impl Control {
    fn may_try(&self, now: Duration) -> bool {
        let pauses = self
            .failure
            .as_ref()
            .is_some_and(|failure| now < failure.again_at);
        !pauses
    }
}

impl Failure {
    fn unobtainable(&self, now: Duration) -> Unobtainable {
        let left = self.again_at.saturating_sub(now);
        Unobtainable::Down {
            retry_after: left.max(Duration::from_secs(1)),
            error: self.error.clone(),
        }
    }
}

/// One of those who wait.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(shared: &'a Shared) -> Result<Self, Unobtainable> {
        let waiting = Self(&shared.waiting);
        if shared.waiting.fetch_add(1, Ordering::Relaxed) < RemoteKeys::MOST_WAITING {
            Ok(waiting)
        } else {
            Err(Unobtainable::Down {
                retry_after: Duration::from_secs(1),
                error: FetchErrorKind::Timeout.into(),
            })
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shared {
    fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wants an attempt, and a keeper to make it.
    fn want(self: &Arc<Self>, control: &mut Control) -> Result<(), FetchError> {
        if control.keeper.is_none() {
            let runtime = Handle::try_current().map_err(|_| FetchErrorKind::Runtime)?;
            let keeper = Keeper {
                shared: Arc::downgrade(self),
                origin: Arc::clone(&self.origin),
                wake: Arc::clone(&self.wake),
            };
            control.keeper = Some(runtime.spawn(keeper.run()).abort_handle());
        }
        control.flying = true;
        self.wake.notify_one();
        Ok(())
    }

    /// Takes in what an attempt that began at `began` has brought. In how long the next one is due.
    fn take(&self, began: Duration, outcome: Result<Harvest, FetchError>) -> Duration {
        let now = since_epoch(&*self.clock);
        let mut control = self.control();
        control.flying = false;
        let pause = match outcome {
            Ok(Harvest { jwks, max_age }) => {
                let life = self.times.life(max_age);
                let expires_at = began.saturating_add(life);
                let last_fifth = life.checked_div(5).unwrap_or_default();
                let refresh_at = expires_at.saturating_sub(last_fifth);
                let number = self.fetches.load(Ordering::Relaxed);
                report_success(&jwks.keys, &jwks.skipped);
                control.failure = None;
                control.skipped = jwks.skipped;
                let epoch = self.current.load().as_ref().map_or(0, |before| {
                    let same = before.keys.is_same_as(&jwks.keys);
                    before.epoch.saturating_add(u64::from(!same))
                });
                self.current.store(Some(Arc::new(Snapshot {
                    keys: jwks.keys,
                    number,
                    epoch,
                    fetched_at: began,
                    refresh_at,
                    expires_at,
                    unusable_at: expires_at.saturating_add(self.times.max_stale),
                })));
                refresh_at.saturating_sub(now)
            }
            Err(error) => {
                let times = control
                    .failure
                    .as_ref()
                    .map_or(1, |failure| failure.times.saturating_add(1));
                let pause = self.times.pause(times);
                report_failure(&error, self.current.load().is_some());
                control.failure = Some(Failure {
                    error,
                    times,
                    again_at: now.saturating_add(pause),
                });
                pause
            }
        };
        drop(control);
        self.outcomes
            .send_modify(|count| *count = count.wrapping_add(1));
        pause
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(keeper) = self.control().keeper.take() {
            keeper.abort();
        }
    }
}

/// The task that fetches.
struct Keeper {
    shared: Weak<Shared>,
    origin: Arc<Origin>,
    wake: Arc<Notify>,
}

impl Keeper {
    async fn run(self) {
        loop {
            let Some(shared) = self.shared.upgrade() else {
                return;
            };
            let began = since_epoch(&*shared.clock);
            shared.control().flying = true;
            shared.fetches.fetch_add(1, Ordering::Relaxed);
            // Nothing of the keys is held while it waits: they may go.
            drop(shared);
            let outcome = self.origin.attempt().await;
            let Some(shared) = self.shared.upgrade() else {
                return;
            };
            let pause = shared.take(began, outcome);
            drop(shared);
            // Whether woken or not, the next attempt is due.
            let _ = timeout(pause, self.woken()).await;
        }
    }

    /// Until an attempt is wanted. What woke it may have been about the last one.
    async fn woken(&self) {
        loop {
            self.wake.notified().await;
            let is_wanted = self
                .shared
                .upgrade()
                .is_none_or(|shared| shared.control().flying);
            if is_wanted {
                return;
            }
        }
    }
}

/// A runtime that is shut down drops the task. Then another request, in another runtime, begins a new one.
impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            let mut control = shared.control();
            control.keeper = None;
            control.flying = false;
            drop(control);
            shared
                .outcomes
                .send_modify(|count| *count = count.wrapping_add(1));
        }
    }
}

/// How [`RemoteKeys`] fare.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RemoteKeysState {
    /// The keys at hand, whatever their age.
    pub keys: Option<KeySet>,
    /// How long ago they were fetched.
    pub age: Option<Duration>,
    /// What of the last document that was read could not be used.
    pub skipped: Vec<SkippedKey>,
    /// Why the last attempt failed, if it did.
    pub last_error: Option<FetchError>,
    /// How many attempts there were.
    pub fetches: u64,
}

/// Shows no keys.
impl fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteKeys")
            .field("issuer", &self.issuer())
            .field("times", &self.0.times)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "tracing")]
fn report_success(keys: &KeySet, skipped: &[SkippedKey]) {
    tracing::debug!(
        keys = keys.len(),
        skipped = skipped.len(),
        "an issuer's keys were fetched"
    );
}

#[cfg(feature = "tracing")]
fn report_failure(error: &FetchError, has_keys: bool) {
    let reason = tracing::field::display(error);
    tracing::warn!(reason, has_keys, "an issuer's keys could not be fetched");
}

#[cfg(not(feature = "tracing"))]
fn report_success(_: &KeySet, _: &[SkippedKey]) {}

#[cfg(not(feature = "tracing"))]
fn report_failure(_: &FetchError, _: bool) {}
