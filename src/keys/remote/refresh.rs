//! Fetches an issuer's keys in the background and keeps them fresh.
//!
//! One task fetches, so there is never more than one fetch at a time. It has only a weak reference
//! to the keys and ends with them. Requests read the keys without a lock. A request that needs
//! other keys requests a fetch under a mutex, wakes the task and waits for the next outcome. If no
//! runtime drives the task, a waiting request replaces it by a task in its own runtime.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use super::endpoint::{FetchedDocument, KeyEndpoint};
use super::error::{FetchError, FetchErrorKind};
use super::events::{FetchEvent, report};
use super::fetch::FETCH_DEADLINE;
use super::fetched::{FetchedKeys, KeyLifetimes, Timestamp, refresh_after};
use crate::clock::ClockSource;
use crate::keys::SkippedKey;

/// The keys that a request needs before its token can be verified.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RequiredKeys {
    /// Keys that may be used now.
    Usable,
    /// Keys newer than the fetch of this number, which did not contain the token's key.
    NewerThan(u64),
}

/// Why a request does not get keys.
#[derive(Clone, Debug)]
pub(crate) enum KeyRequestError {
    /// The issuer does not publish the key, as of the last fetch.
    UnknownKey,
    /// The issuer is unavailable, or its response is unusable.
    Outage {
        retry_after: Duration,
        error: FetchError,
    },
}

/// The keys of an issuer, and the state of their refresh.
pub(super) struct Refresh {
    pub(super) endpoint: Arc<KeyEndpoint>,
    pub(super) lifetimes: KeyLifetimes,
    pub(super) clock: ClockSource,
    pub(super) current: ArcSwapOption<FetchedKeys>,
    /// The number of the keys in `current`. It is stored after them, so a reader of the number sees
    /// those keys.
    pub(super) newest: AtomicU64,
    /// When a request last claimed the check for renewal, in milliseconds since the epoch.
    renewal_claimed_at: AtomicU64,
    control: Mutex<RefreshControl>,
    /// Notified whenever a fetch has ended.
    pub(super) outcomes: watch::Sender<()>,
    /// The number of requests that wait for keys.
    pub(super) waiting: AtomicUsize,
    pub(super) fetches: AtomicU64,
}

/// Foreign code (client, clock, subscribers of events) never runs under this lock.
#[derive(Default)]
pub(super) struct RefreshControl {
    refresher: Option<CurrentRefresher>,
    /// The number of refreshers so far.
    refreshers: u64,
    /// The start of the requested or running fetch. If it is set, a refresher exists.
    pub(super) fetching_since: Option<Instant>,
    /// The time of the last request for an unknown `kid`.
    pub(super) last_key_request: Option<Timestamp>,
    pub(super) failure: Option<Failure>,
    pub(super) skipped: Vec<SkippedKey>,
    /// The address of the last document, without its query.
    pub(super) url: Option<String>,
}

/// The only task that may fetch.
struct CurrentRefresher {
    number: u64,
    wake: Arc<Notify>,
    is_polling: Arc<AtomicBool>,
    /// `None` until it is spawned.
    task: Option<AbortHandle>,
}

/// The fetches that failed since the last success.
#[derive(Clone)]
pub(super) struct Failure {
    pub(super) error: FetchError,
    count: u32,
    at: Timestamp,
    pause: Duration,
}

impl RefreshControl {
    pub(super) fn may_fetch(&self, now: Duration) -> bool {
        self.failure
            .as_ref()
            .is_none_or(|failure| failure.may_retry(now))
    }

    /// Stores the unusable keys of a document. Returns them unless they are those of the last one.
    fn note_skipped(&mut self, skipped: Vec<SkippedKey>) -> Vec<SkippedKey> {
        if self.skipped == skipped {
            return Vec::new();
        }
        self.skipped.clone_from(&skipped);
        skipped
    }

    fn is_refreshed_by(&self, number: u64) -> bool {
        let refresher = self.refresher.as_ref();
        refresher.is_some_and(|refresher| refresher.number == number)
    }
}

impl Failure {
    pub(super) fn may_retry(&self, now: Duration) -> bool {
        self.at.age(now) >= self.pause
    }

    pub(super) fn outage(&self, now: Duration) -> KeyRequestError {
        let left = self.pause.saturating_sub(self.at.age(now));
        KeyRequestError::Outage {
            retry_after: left.max(Duration::from_secs(1)),
            error: self.error.clone(),
        }
    }
}

impl Refresh {
    /// A fetch of this age hangs: its own deadline has passed, and some time for a busy runtime.
    const OVERDUE: Duration = FETCH_DEADLINE.saturating_add(Duration::from_millis(500));

    pub(super) fn new(
        endpoint: KeyEndpoint,
        lifetimes: KeyLifetimes,
        clock: ClockSource,
    ) -> Arc<Self> {
        Arc::new(Self {
            endpoint: Arc::new(endpoint),
            lifetimes,
            clock,
            current: ArcSwapOption::empty(),
            newest: AtomicU64::new(0),
            renewal_claimed_at: AtomicU64::new(0),
            control: Mutex::default(),
            outcomes: watch::Sender::new(()),
            waiting: AtomicUsize::new(0),
            fetches: AtomicU64::new(0),
        })
    }

    pub(super) fn control(&self) -> MutexGuard<'_, RefreshControl> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the current keys may be those that a request requires.
    pub(super) fn satisfies(&self, required: RequiredKeys, now: Duration) -> bool {
        match (required, &*self.current.load()) {
            (_, None) => false,
            (RequiredKeys::Usable, Some(keys)) => keys.is_usable(now),
            // Other keys have come since, and the required key may be among them.
            (RequiredKeys::NewerThan(number), Some(keys)) => keys.number() != number,
        }
    }

    /// Lets one request a second check whether a renewal is due: the others need not lock for it.
    pub(super) fn claim_renewal(&self, now: Duration) -> bool {
        let now = now
            .as_secs()
            .saturating_mul(1000)
            .saturating_add(u64::from(now.subsec_millis()));
        let before = self.renewal_claimed_at.load(Ordering::Relaxed);
        // A clock may be set back.
        now.abs_diff(before) >= 1000
            && self
                .renewal_claimed_at
                .compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Requests a fetch, and spawns a refresher if there is none that can make it.
    pub(super) fn request_fetch(
        self: &Arc<Self>,
        mut control: MutexGuard<'_, RefreshControl>,
    ) -> Result<(), FetchError> {
        let now = Instant::now();
        if let Some(refresher) = &control.refresher {
            let wake = Arc::clone(&refresher.wake);
            let is_stuck = refresher.is_polling.load(Ordering::Relaxed);
            let Some(since) = control.fetching_since else {
                control.fetching_since = Some(now);
                wake.notify_one();
                return Ok(());
            };
            if now.saturating_duration_since(since) < Self::OVERDUE {
                return Ok(());
            }
            // An overdue fetch is a failure.
            if let Some(keys) = &*self.current.load() {
                keys.note_failed_renewal();
            }
            // A refresher that hangs in its client is not replaced: each one would block a thread.
            if is_stuck {
                return Err(FetchErrorKind::Timeout.into());
            }
        }
        self.spawn_refresher(control, now)
    }

    fn spawn_refresher(
        self: &Arc<Self>,
        mut control: MutexGuard<'_, RefreshControl>,
        now: Instant,
    ) -> Result<(), FetchError> {
        let runtime = Handle::try_current().map_err(|_| FetchErrorKind::NoRuntime)?;
        let replaced = control.refresher.take();
        control.refreshers = control.refreshers.wrapping_add(1);
        let number = control.refreshers;
        let refresher = Refresher {
            number,
            refresh: Arc::downgrade(self),
            endpoint: Arc::clone(&self.endpoint),
            wake: Arc::default(),
            is_polling: Arc::default(),
        };
        control.refresher = Some(CurrentRefresher {
            number,
            wake: Arc::clone(&refresher.wake),
            is_polling: Arc::clone(&refresher.is_polling),
            task: None,
        });
        control.fetching_since = Some(now);
        // A runtime that shuts down drops the task at once, and that takes the lock.
        drop(control);
        if let Some(task) = replaced.and_then(|refresher| refresher.task) {
            task.abort();
        }
        let task = runtime.spawn(refresher.run()).abort_handle();
        let mut control = self.control();
        if let Some(refresher) = &mut control.refresher
            && refresher.number == number
        {
            refresher.task = Some(task);
        }
        Ok(())
    }

    /// Stores the outcome of a fetch. Returns in how long the next one is due, or `None` if another
    /// refresher has taken over.
    fn finish_fetch(
        &self,
        refresher: u64,
        began: Timestamp,
        outcome: Result<FetchedDocument, FetchError>,
    ) -> Option<Duration> {
        let now = self.clock.since_epoch();
        let mut control = self.control();
        if !control.is_refreshed_by(refresher) {
            return None;
        }
        control.fetching_since = None;
        let (pause, event) = match outcome {
            Ok(document) => self.store(&mut control, began, document),
            Err(error) => self.note_failure(&mut control, now, error),
        };
        drop(control);
        self.outcomes.send_replace(());
        report(&self.endpoint, event);
        Some(pause)
    }

    fn store(
        &self,
        control: &mut RefreshControl,
        began: Timestamp,
        document: FetchedDocument,
    ) -> (Duration, FetchEvent) {
        let FetchedDocument { url, jwks, max_age } = document;
        let lifetime = self.lifetimes.lifetime(max_age);
        let number = self.newest.load(Ordering::Relaxed).wrapping_add(1);
        let newly_skipped = control.note_skipped(jwks.skipped);
        control.url = Some(url.clone());
        let event = FetchEvent::Fetched(url, jwks.keys.len(), newly_skipped);
        control.failure = None;
        let version = match &*self.current.load() {
            Some(before) => before.version_of(&jwks.keys),
            None => 0,
        };
        let max_stale = self.lifetimes.max_stale;
        let keys = FetchedKeys::new(jwks.keys, number, version, began, lifetime, max_stale);
        self.current.store(Some(Arc::new(keys)));
        self.newest.store(number, Ordering::Release);
        let pause = refresh_after(lifetime).saturating_sub(began.elapsed());
        (pause.max(Duration::from_secs(1)), event)
    }

    fn note_failure(
        &self,
        control: &mut RefreshControl,
        now: Duration,
        error: FetchError,
    ) -> (Duration, FetchEvent) {
        let count = match &control.failure {
            Some(failure) => failure.count.saturating_add(1),
            None => 1,
        };
        let pause = self.lifetimes.pause(count);
        let current = self.current.load();
        if let Some(keys) = &*current {
            keys.note_failed_renewal();
        }
        let newly_skipped = match error.skipped() {
            [] => Vec::new(),
            skipped => control.note_skipped(skipped.to_vec()),
        };
        let event = FetchEvent::Failed(error.clone(), current.is_some(), newly_skipped);
        control.failure = Some(Failure {
            error,
            count,
            at: Timestamp::at(now),
            pause,
        });
        (pause, event)
    }
}

impl Drop for Refresh {
    fn drop(&mut self) {
        let control = self
            .control
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let refresher = control.refresher.take();
        if let Some(task) = refresher.and_then(|refresher| refresher.task) {
            task.abort();
        }
    }
}

/// The task that fetches.
struct Refresher {
    number: u64,
    refresh: Weak<Refresh>,
    endpoint: Arc<KeyEndpoint>,
    wake: Arc<Notify>,
    /// Whether its client's code is running now.
    is_polling: Arc<AtomicBool>,
}

impl Refresher {
    async fn run(self) {
        while let Some(began) = self.begin_fetch() {
            // It does not keep the keys alive while it waits.
            let outcome = self.fetch().await;
            let Some(refresh) = self.refresh.upgrade() else {
                return;
            };
            let Some(pause) = refresh.finish_fetch(self.number, began, outcome) else {
                return;
            };
            drop(refresh);
            // Woken or not, the next fetch is due.
            let _ = timeout(pause, self.fetch_requested()).await;
        }
    }

    /// When the fetch begins. `None` if another refresher has taken over.
    fn begin_fetch(&self) -> Option<Timestamp> {
        let refresh = self.refresh.upgrade()?;
        let now = refresh.clock.since_epoch();
        let mut control = refresh.control();
        if !control.is_refreshed_by(self.number) {
            return None;
        }
        control.fetching_since = Some(Instant::now());
        refresh.fetches.fetch_add(1, Ordering::Relaxed);
        Some(Timestamp::at(now))
    }

    /// A panic of the client is a failed fetch.
    async fn fetch(&self) -> Result<FetchedDocument, FetchError> {
        let mut fetch = Box::pin(self.endpoint.fetch_keys());
        std::future::poll_fn(|cx| {
            self.is_polling.store(true, Ordering::Relaxed);
            let polled = catch_unwind(AssertUnwindSafe(|| fetch.as_mut().poll(cx)));
            self.is_polling.store(false, Ordering::Relaxed);
            polled.unwrap_or_else(|_| Poll::Ready(Err(FetchErrorKind::Panic.into())))
        })
        .await
    }

    /// Waits for a request. A wake-up may be for the fetch that has just ended.
    async fn fetch_requested(&self) {
        loop {
            self.wake.notified().await;
            let is_requested = self
                .refresh
                .upgrade()
                .is_none_or(|refresh| refresh.control().fetching_since.is_some());
            if is_requested {
                return;
            }
        }
    }
}

/// A runtime that shuts down drops the task. The next request spawns one in its own runtime.
impl Drop for Refresher {
    fn drop(&mut self) {
        let Some(refresh) = self.refresh.upgrade() else {
            return;
        };
        let mut control = refresh.control();
        if !control.is_refreshed_by(self.number) {
            return;
        }
        control.refresher = None;
        if control.fetching_since.take().is_some() {
            // The fetch did not show whether the key exists.
            control.last_key_request = None;
        }
        drop(control);
        refresh.outcomes.send_replace(());
    }
}
