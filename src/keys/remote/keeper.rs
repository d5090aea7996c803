//! Who keeps the keys fresh.
//!
//! One task fetches, so there is never more than one fetch at a time. It holds the keys only weakly, and ends with them. Requests
//! read the keys without a lock; one that needs others says so under a mutex, wakes the task, and waits for its next
//! outcome. A task that nobody drives is replaced, by one in the runtime of whoever waits.

use std::fmt;
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

use super::attempt::{Harvest, Origin, Place};
#[cfg(feature = "tracing")]
use super::error::on_one_line;
use super::error::{FetchError, FetchErrorKind};
use super::fetch::MOST_TIME;
use super::snapshot::{Moment, Snapshot, Times, refresh_after};
use crate::clock::{Clock, SystemClock, since_epoch};
use crate::keys::{KeySet, SkippedKey};

/// Keys of an issuer, fetched from it. Cheap to clone; clones share the keys.
///
/// See the [module docs](super) for when they are fetched.
#[derive(Clone)]
pub struct RemoteKeys(Arc<Shared>);

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

struct Shared {
    origin: Arc<Origin>,
    times: Times,
    clock: Box<dyn Clock>,
    has_system_clock: bool,
    current: ArcSwapOption<Snapshot>,
    /// The number of what is in `current`, stored after it: who sees the number sees those keys.
    newest: AtomicU64,
    /// When a request last asked for a refresh, in milliseconds since the epoch.
    asked_at: AtomicU64,
    control: Mutex<Control>,
    /// Told each time an attempt is over.
    outcomes: watch::Sender<()>,
    waiting: AtomicUsize,
    fetches: AtomicU64,
}

/// Nothing foreign runs under the lock: neither a client, nor a clock, nor who listens to events.
#[derive(Default)]
struct Control {
    seat: Option<Seat>,
    /// How many keepers there have been.
    seats: u64,
    /// Since when an attempt is wanted, or under way. There is a keeper then.
    flying: Option<Instant>,
    /// When the last attempt for an unknown `kid` was asked for.
    asked_for_key: Option<Moment>,
    failure: Option<Failure>,
    skipped: Vec<SkippedKey>,
}

/// What is known of the keeper that counts.
struct Seat {
    number: u64,
    wake: Arc<Notify>,
    polling: Arc<AtomicBool>,
    /// None for the moment until it is spawned.
    task: Option<AbortHandle>,
}

/// The attempts that have failed since the last success.
#[derive(Clone)]
struct Failure {
    error: FetchError,
    times: u32,
    at: Moment,
    pause: Duration,
}

/// What a request that lacks something does next.
enum Next {
    LookAgain,
    Wait,
}

impl RemoteKeys {
    /// How many requests may wait at once. Each holds its request and no more; beyond that they are turned away.
    const MOST_WAITING: usize = 4096;

    /// After how long an attempt that has not ended is one that nobody drives: its own end, and a runtime that is busy.
    const OVERDUE: Duration = MOST_TIME.saturating_add(Duration::from_millis(500));

    /// How long a request waits. By then its attempt is overdue, if it has not ended.
    const MOST_WAIT: Duration = MOST_TIME.saturating_add(Duration::from_secs(1));

    /// How often the task may go down with its runtime while a request waits.
    const MOST_INTERRUPTIONS: usize = 3;

    pub(super) fn start(origin: Origin, times: Times, clock: Option<Box<dyn Clock>>) -> Self {
        let keys = Self(Arc::new(Shared {
            origin: Arc::new(origin),
            times,
            has_system_clock: clock.is_none(),
            clock: clock.unwrap_or_else(|| Box::new(SystemClock)),
            current: ArcSwapOption::empty(),
            newest: AtomicU64::new(0),
            asked_at: AtomicU64::new(0),
            control: Mutex::default(),
            outcomes: watch::Sender::new(()),
            waiting: AtomicUsize::new(0),
            fetches: AtomicU64::new(0),
        }));
        // Outside a runtime the first request will do.
        let _ = keys.0.want(keys.0.control());
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
        let now = self.now();
        let control = self.0.control();
        let snapshot = self.0.current.load_full();
        RemoteKeysState {
            age: snapshot.as_ref().map(|snapshot| snapshot.age(now)),
            keys: snapshot.map(|snapshot| snapshot.keys.clone()),
            skipped: control.skipped.clone(),
            last_error: control
                .failure
                .as_ref()
                .map(|failure| failure.error.clone()),
            fetches: self.0.fetches.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn now(&self) -> Duration {
        since_epoch(&*self.0.clock)
    }

    /// Whether they age by the system's clock, which other parts may have read already.
    #[inline]
    pub(crate) fn has_system_clock(&self) -> bool {
        self.0.has_system_clock
    }

    /// The number of the keys at hand, 0 if there are none.
    #[inline]
    pub(crate) fn newest(&self) -> u64 {
        self.0.newest.load(Ordering::Acquire)
    }

    /// The keys at hand.
    pub(crate) fn current(&self) -> Option<Arc<Snapshot>> {
        self.0.current.load_full()
    }

    /// Whether the keys at hand may be used now, though they are not fresh. Sees to it that they are renewed.
    #[cold]
    pub(crate) fn may_serve(&self, snapshot: &Snapshot, now: Duration) -> bool {
        if self.0.claim_asking(now) {
            let control = self.0.control();
            if control.flying.is_some() || control.may_try(now) {
                // Without a runtime it cannot be helped.
                let _ = self.0.want(control);
            }
        }
        snapshot.is_usable(now)
    }

    /// Waits until there is what a request lacks, or may be: it looks again after that.
    pub(crate) async fn wait_for(&self, need: Need) -> Result<(), Unobtainable> {
        // Without a runtime there is no timer, and nothing here may wait for ever.
        if Handle::try_current().is_err() {
            return Err(down(FetchErrorKind::Runtime));
        }
        for _ in 0..Self::MOST_INTERRUPTIONS {
            // From now on no outcome is missed.
            let mut outcomes = self.0.outcomes.subscribe();
            match self.begin(need)? {
                Next::LookAgain => return Ok(()),
                Next::Wait => (),
            }
            let waiting = Waiting::begin(&self.0)?;
            // The sender lives as long as `self`.
            let is_over = timeout(Self::MOST_WAIT, outcomes.changed()).await.is_ok();
            drop(waiting);
            if !is_over {
                // Nobody drives the keeper. Whoever comes next finds another.
                let _ = self.0.want(self.0.control());
                return Err(down(FetchErrorKind::Timeout));
            }
            if let Some(outcome) = self.outcome(need) {
                return outcome;
            }
        }
        Err(down(FetchErrorKind::Runtime))
    }

    /// Sees to an attempt for this need, if there is one still, and one is allowed.
    fn begin(&self, need: Need) -> Result<Next, Unobtainable> {
        let now = self.now();
        let shared = &self.0;
        let mut control = shared.control();
        // Under the lock: what an attempt brings comes with its end.
        if shared.fulfils(need, now) {
            return Ok(Next::LookAgain);
        }
        if control.flying.is_none() {
            match need {
                Need::KeyMissingIn(_) => {
                    let cools = control
                        .asked_for_key
                        .is_some_and(|asked| asked.age(now) < shared.times.cooldown);
                    if cools {
                        return Err(match &control.failure {
                            Some(failure) => failure.unobtainable(now),
                            None => Unobtainable::NoSuchKey,
                        });
                    }
                    control.asked_for_key = Some(Moment::at(now));
                }
                Need::Keys => {
                    if let Some(failure) = &control.failure
                        && !failure.is_past(now)
                    {
                        return Err(failure.unobtainable(now));
                    }
                }
            }
        }
        match shared.want(control) {
            Ok(()) => Ok(Next::Wait),
            Err(error) => Err(down(error)),
        }
    }

    /// What has come of an attempt. None if it came to no end.
    fn outcome(&self, need: Need) -> Option<Result<(), Unobtainable>> {
        let now = self.now();
        let control = self.0.control();
        let can_be_served = || {
            let current = self.0.current.load();
            current
                .as_ref()
                .is_some_and(|snapshot| snapshot.is_usable(now))
        };
        if self.0.fulfils(need, now) || matches!(need, Need::Keys) && can_be_served() {
            return Some(Ok(()));
        }
        let failure = control.failure.as_ref()?;
        Some(Err(failure.unobtainable(now)))
    }
}

fn down(error: impl Into<FetchError>) -> Unobtainable {
    Unobtainable::Down {
        retry_after: Duration::from_secs(1),
        error: error.into(),
    }
}

impl Control {
    fn may_try(&self, now: Duration) -> bool {
        self.failure
            .as_ref()
            .is_none_or(|failure| failure.is_past(now))
    }

    /// The keeper of this number is the one that counts.
    fn is_kept_by(&self, number: u64) -> bool {
        self.seat.as_ref().is_some_and(|seat| seat.number == number)
    }
}

impl Failure {
    /// Whether it may be tried again.
    fn is_past(&self, now: Duration) -> bool {
        self.at.age(now) >= self.pause
    }

    fn unobtainable(&self, now: Duration) -> Unobtainable {
        let left = self.pause.saturating_sub(self.at.age(now));
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
            Err(down(FetchErrorKind::Crowded))
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

    /// Whether the keys at hand are what a request lacks, or may be.
    fn fulfils(&self, need: Need, now: Duration) -> bool {
        match (need, &*self.current.load()) {
            (_, None) => false,
            (Need::Keys, Some(snapshot)) => snapshot.is_usable(now),
            // Others came meanwhile, and it may be among them.
            (Need::KeyMissingIn(number), Some(snapshot)) => snapshot.number != number,
        }
    }

    /// Once a second one request is told to see whether there is something to do: the others need not lock for it.
    fn claim_asking(&self, now: Duration) -> bool {
        let now = now
            .as_secs()
            .saturating_mul(1000)
            .saturating_add(u64::from(now.subsec_millis()));
        let before = self.asked_at.load(Ordering::Relaxed);
        // A clock may be set back.
        now.abs_diff(before) >= 1000
            && self
                .asked_at
                .compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Wants an attempt, and a keeper to make it.
    fn want(self: &Arc<Self>, mut control: MutexGuard<'_, Control>) -> Result<(), FetchError> {
        let now = Instant::now();
        if let Some(seat) = &control.seat {
            let wake = Arc::clone(&seat.wake);
            let is_stuck = seat.polling.load(Ordering::Relaxed);
            let Some(since) = control.flying else {
                control.flying = Some(now);
                wake.notify_one();
                return Ok(());
            };
            if now.saturating_duration_since(since) < RemoteKeys::OVERDUE {
                return Ok(());
            }
            // It is overdue, and has as good as failed.
            if let Some(snapshot) = &*self.current.load() {
                snapshot.outlive();
            }
            // One that is stuck in its client would be followed by others, each with a thread of its own.
            if is_stuck {
                return Err(FetchErrorKind::Timeout.into());
            }
        }
        let runtime = Handle::try_current().map_err(|_| FetchErrorKind::Runtime)?;
        let replaced = control.seat.take().and_then(|seat| seat.task);
        control.seats = control.seats.wrapping_add(1);
        let number = control.seats;
        let keeper = Keeper {
            number,
            shared: Arc::downgrade(self),
            origin: Arc::clone(&self.origin),
            wake: Arc::default(),
            polling: Arc::default(),
        };
        control.seat = Some(Seat {
            number,
            wake: Arc::clone(&keeper.wake),
            polling: Arc::clone(&keeper.polling),
            task: None,
        });
        control.flying = Some(now);
        // A runtime that is shut down drops a task then and there, and that takes the lock.
        drop(control);
        if let Some(task) = replaced {
            task.abort();
        }
        let task = runtime.spawn(keeper.run()).abort_handle();
        let mut control = self.control();
        if let Some(seat) = &mut control.seat
            && seat.number == number
        {
            seat.task = Some(task);
        }
        Ok(())
    }

    /// Takes in what an attempt has brought. In how long the next one is due; none if another keeper has taken over.
    fn take(
        &self,
        keeper: u64,
        began: Moment,
        outcome: Result<Harvest, FetchError>,
    ) -> Option<Duration> {
        let now = since_epoch(&*self.clock);
        let mut control = self.control();
        if !control.is_kept_by(keeper) {
            return None;
        }
        control.flying = None;
        let (pause, event) = match outcome {
            Ok(Harvest { url, jwks, max_age }) => {
                let life = self.times.life(max_age);
                let number = self.newest.load(Ordering::Relaxed).wrapping_add(1);
                let is_new = control.skipped != jwks.skipped;
                let skipped = if is_new {
                    jwks.skipped.clone()
                } else {
                    Vec::new()
                };
                let event = Event::Fetched(url, jwks.keys.len(), skipped);
                control.failure = None;
                control.skipped = jwks.skipped;
                let before = self.current.load();
                let epoch = before
                    .as_ref()
                    .map_or(0, |before| before.epoch_of(&jwks.keys));
                self.current.store(Some(Arc::new(Snapshot::new(
                    jwks.keys,
                    number,
                    epoch,
                    began,
                    life,
                    self.times.max_stale,
                ))));
                self.newest.store(number, Ordering::Release);
                let pause = refresh_after(life).saturating_sub(began.elapsed());
                (pause.max(Duration::from_secs(1)), event)
            }
            Err(error) => {
                let times = control
                    .failure
                    .as_ref()
                    .map_or(1, |failure| failure.times.saturating_add(1));
                let pause = self.times.pause(times);
                let current = self.current.load();
                if let Some(snapshot) = &*current {
                    snapshot.outlive();
                }
                let event = Event::Failed(error.clone(), current.is_some());
                control.failure = Some(Failure {
                    error,
                    times,
                    at: Moment::at(now),
                    pause,
                });
                (pause, event)
            }
        };
        drop(control);
        self.outcomes.send_replace(());
        report(&self.origin, event);
        Some(pause)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let control = self
            .control
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = control.seat.take().and_then(|seat| seat.task) {
            task.abort();
        }
    }
}

/// The task that fetches.
struct Keeper {
    number: u64,
    shared: Weak<Shared>,
    origin: Arc<Origin>,
    wake: Arc<Notify>,
    /// Whether it is in the midst of its client's code.
    polling: Arc<AtomicBool>,
}

impl Keeper {
    async fn run(self) {
        while let Some(began) = self.begins() {
            // Nothing of the keys is held while it waits: they may go.
            let outcome = self.attempt().await;
            let Some(shared) = self.shared.upgrade() else {
                return;
            };
            let Some(pause) = shared.take(self.number, began, outcome) else {
                return;
            };
            drop(shared);
            // Whether woken or not, the next attempt is due.
            let _ = timeout(pause, self.woken()).await;
        }
    }

    /// When the attempt begins. None if it is not for this one to make it.
    fn begins(&self) -> Option<Moment> {
        let shared = self.shared.upgrade()?;
        let now = since_epoch(&*shared.clock);
        let mut control = shared.control();
        if !control.is_kept_by(self.number) {
            return None;
        }
        control.flying = Some(Instant::now());
        shared.fetches.fetch_add(1, Ordering::Relaxed);
        Some(Moment::at(now))
    }

    /// A client that panics has failed, like any other.
    async fn attempt(&self) -> Result<Harvest, FetchError> {
        let mut attempt = Box::pin(self.origin.attempt());
        std::future::poll_fn(|cx| {
            self.polling.store(true, Ordering::Relaxed);
            let polled = catch_unwind(AssertUnwindSafe(|| attempt.as_mut().poll(cx)));
            self.polling.store(false, Ordering::Relaxed);
            polled.unwrap_or_else(|_| Poll::Ready(Err(FetchErrorKind::Panic.into())))
        })
        .await
    }

    /// Until an attempt is wanted. What woke it may have been about the last one.
    async fn woken(&self) {
        loop {
            self.wake.notified().await;
            let is_wanted = self
                .shared
                .upgrade()
                .is_none_or(|shared| shared.control().flying.is_some());
            if is_wanted {
                return;
            }
        }
    }
}

/// A runtime that is shut down drops the task. Then another request, in another runtime, begins a new one.
impl Drop for Keeper {
    fn drop(&mut self) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        let mut control = shared.control();
        if !control.is_kept_by(self.number) {
            return;
        }
        control.seat = None;
        if control.flying.take().is_some() {
            // That attempt has told nobody that there is no such key.
            control.asked_for_key = None;
        }
        drop(control);
        shared.outcomes.send_replace(());
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

/// What listeners are told of an attempt.
#[cfg_attr(not(feature = "tracing"), expect(dead_code, reason = "nobody listens"))]
enum Event {
    /// From where it brought how many keys, and what was skipped, if that is new.
    Fetched(String, usize, Vec<SkippedKey>),
    /// Why it brought none, and whether there are others.
    Failed(FetchError, bool),
}

#[cfg(feature = "tracing")]
fn report(origin: &Origin, event: Event) {
    /// A document may have hundreds of keys that cannot be used.
    const MOST_SKIPPED: usize = 16;
    const MOST_CHARACTERS: usize = 64;

    let issuer = match &origin.place {
        Place::Issuer { name, .. } => Some(&**name),
        Place::Jwks(_) => None,
    };
    match event {
        Event::Failed(error, has_keys) => {
            let reason = error.chain();
            let url = error.url();
            tracing::warn!(
                issuer,
                url,
                reason,
                has_keys,
                "an issuer's keys could not be fetched"
            );
        }
        Event::Fetched(url, keys, skipped) => {
            tracing::debug!(issuer, url, keys, "an issuer's keys were fetched");
            for key in skipped.iter().take(MOST_SKIPPED) {
                let kid = key.key_id.as_deref();
                let kid = kid.map(|kid| on_one_line(kid, MOST_CHARACTERS));
                let (index, reason) = (key.index, tracing::field::display(key.reason));
                tracing::info!(
                    issuer,
                    url,
                    index,
                    kid,
                    reason,
                    "a key of an issuer is skipped"
                );
            }
            if let Some(more) = skipped
                .len()
                .checked_sub(MOST_SKIPPED)
                .filter(|more| *more > 0)
            {
                tracing::info!(issuer, more, "further keys of an issuer are skipped");
            }
        }
    }
}

#[cfg(not(feature = "tracing"))]
fn report(_: &Origin, _: Event) {}
