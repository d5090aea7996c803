//! For how long a node has heard nothing.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::error::RedisStoreError;

/// A moment by two clocks: that of the machine, which stands still while it sleeps, and that of the wall, which may be set back.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    machine: Instant,
    wall: SystemTime,
}

impl Moment {
    #[expect(
        clippy::disallowed_methods,
        reason = "the age of what is known, which no test's clock decides on"
    )]
    pub(super) fn now() -> Self {
        Self {
            machine: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    #[inline]
    #[expect(
        clippy::disallowed_methods,
        reason = "the age of what is known, which no test's clock decides on"
    )]
    fn wall_second() -> u64 {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since_epoch.unwrap_or_default().as_secs()
    }

    /// Before the other, by the clock of the machine.
    pub(super) fn is_before(self, other: Self) -> bool {
        self.machine < other.machine
    }

    /// How long ago at least: by the clock of the machine, which nobody sets.
    pub(super) fn least_age(self) -> Duration {
        Self::now().machine.saturating_duration_since(self.machine)
    }

    /// How long ago, by whichever clock says longer.
    pub(super) fn age(self) -> Duration {
        let now = Self::now();
        let by_machine = now.machine.saturating_duration_since(self.machine);
        by_machine.max(now.wall.duration_since(self.wall).unwrap_or_default())
    }
}

/// No second at all.
const NEVER: u64 = u64::MAX;

/// When a node's own sign of life was last written that it has read since: at that moment it knew all that Redis did.
pub(super) struct Health {
    began: Moment,
    /// In nanoseconds since it began, by either clock; 0: never.
    by_machine: AtomicU64,
    by_wall: AtomicU64,
    max_staleness: Duration,
    /// The second since the epoch that was found to be over before what is known is stale.
    assured: AtomicU64,
    /// How often something was revoked for which there was no room, and of how many of these it is known that there was later.
    overflows: AtomicU64,
    made_good: AtomicU64,
    other_secret: AtomicBool,
    /// What the tasks failed with last, since this node was fresh.
    last_error: Mutex<Option<Arc<RedisStoreError>>>,
    /// By which policy the server evicts keys, if it does, and that is not allowed.
    eviction: Mutex<Option<Arc<str>>>,
    /// Whether one of these was ever the case: all that is looked at while none was.
    doubted: AtomicBool,
}

impl Health {
    pub(super) fn new(max_staleness: Duration) -> Self {
        Self {
            began: Moment::now(),
            by_machine: AtomicU64::new(0),
            by_wall: AtomicU64::new(0),
            max_staleness,
            assured: AtomicU64::new(NEVER),
            overflows: AtomicU64::new(0),
            made_good: AtomicU64::new(0),
            other_secret: AtomicBool::new(false),
            last_error: Mutex::default(),
            eviction: Mutex::default(),
            doubted: AtomicBool::new(false),
        }
    }

    pub(super) fn fail(&self, error: RedisStoreError) {
        *self.error() = Some(Arc::new(error));
    }

    pub(super) fn last_error(&self) -> Option<Arc<RedisStoreError>> {
        self.error().clone()
    }

    fn error(&self) -> MutexGuard<'_, Option<Arc<RedisStoreError>>> {
        self.last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn since_it_began(&self, moment: Moment) -> (u64, u64) {
        let nanoseconds =
            |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let wall = moment.wall.duration_since(self.began.wall);
        (
            nanoseconds(moment.machine.saturating_duration_since(self.began.machine)),
            nanoseconds(wall.unwrap_or_default()),
        )
    }

    pub(super) fn hear(&self, written: Moment) {
        let (by_machine, by_wall) = self.since_it_began(written);
        self.by_wall.store(by_wall, Ordering::Release);
        self.by_machine.store(by_machine.max(1), Ordering::Release);
        *self.error() = None;
    }

    /// How old what is known is; `None` if nothing is.
    pub(super) fn staleness(&self) -> Option<Duration> {
        let by_machine = self.by_machine.load(Ordering::Acquire);
        let by_wall = self.by_wall.load(Ordering::Acquire);
        if by_machine == 0 {
            return None;
        }
        let (machine, wall) = self.since_it_began(Moment::now());
        let age = machine
            .saturating_sub(by_machine)
            .max(wall.saturating_sub(by_wall));
        Some(Duration::from_nanos(age))
    }

    /// Asked for every request. The clock of the wall is enough for most: it does not stand still while the process or the machine
    /// does. In another second than the last that was assured, both are asked.
    #[inline]
    pub(super) fn is_fresh(&self) -> bool {
        let second = Moment::wall_second();
        (second == self.assured.load(Ordering::Acquire) || self.is_fresh_in(second))
            && (!self.doubted.load(Ordering::Acquire) || self.is_complete())
    }

    #[cold]
    fn is_fresh_in(&self, second: u64) -> bool {
        let Some(staleness) = self.staleness() else {
            return false;
        };
        // A clock that stands at the epoch, or before, is broken. What was assured before is over: the clock may be set back to it.
        let is_assured =
            second > 0 && staleness.saturating_add(Duration::from_secs(1)) < self.max_staleness;
        let assured = if is_assured { second } else { NEVER };
        self.assured.store(assured, Ordering::Release);
        staleness < self.max_staleness
    }

    #[cold]
    fn is_complete(&self) -> bool {
        !self.is_incomplete() && !self.has_other_secret() && self.eviction().is_none()
    }

    /// By which policy the server evicts keys, if it does, and that is not allowed.
    pub(super) fn eviction(&self) -> Option<Arc<str>> {
        self.lock_eviction().clone()
    }

    pub(super) fn set_eviction(&self, policy: Option<Arc<str>>) {
        self.doubted.fetch_or(policy.is_some(), Ordering::AcqRel);
        *self.lock_eviction() = policy;
    }

    fn lock_eviction(&self) -> MutexGuard<'_, Option<Arc<str>>> {
        self.eviction.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the server's state was written with another secret.
    pub(super) fn has_other_secret(&self) -> bool {
        self.other_secret.load(Ordering::Acquire)
    }

    pub(super) fn set_other_secret(&self, is_other: bool) {
        self.doubted.fetch_or(is_other, Ordering::AcqRel);
        self.other_secret.store(is_other, Ordering::Release);
    }

    /// Whether something was revoked that this node has no room for.
    pub(super) fn is_incomplete(&self) -> bool {
        self.overflows() != self.made_good.load(Ordering::Acquire)
    }

    pub(super) fn overflows(&self) -> u64 {
        self.overflows.load(Ordering::Acquire)
    }

    pub(super) fn overflow(&self) {
        self.doubted.store(true, Ordering::Release);
        self.overflows.fetch_add(1, Ordering::AcqRel);
    }

    /// There was room for all that the server knew after so many overflows.
    pub(super) fn make_good(&self, overflows: u64) {
        self.made_good.store(overflows, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ago(millis: u64) -> Moment {
        let Moment { machine, wall } = Moment::now();
        let by = Duration::from_millis(millis);
        Moment {
            machine: machine - by,
            wall: wall - by,
        }
    }

    /// Of a node that began a while ago.
    fn health() -> Health {
        Health {
            began: ago(60_000),
            ..Health::new(Duration::from_secs(5))
        }
    }

    #[test]
    fn by_either_clock_what_is_too_old_is_stale() {
        for (machine, wall, is_fresh) in [
            (2000, 2000, true),
            (6000, 6000, false),
            // The machine slept.
            (2000, 6000, false),
            // The clock of the wall was set back.
            (6000, 2000, false),
        ] {
            let health = health();
            health.hear(Moment {
                machine: ago(machine).machine,
                wall: ago(wall).wall,
            });
            assert_eq!(health.is_fresh(), is_fresh, "{machine} {wall}");
            assert_eq!(health.is_fresh(), is_fresh, "{machine} {wall}");
        }
    }

    #[test]
    fn a_second_is_assured_if_it_ends_before_what_is_known_is_stale() {
        let health = health();
        let is_assured = || {
            assert!(health.is_fresh());
            health.assured.load(Ordering::Acquire) != NEVER
        };
        health.hear(ago(4500));
        assert!(!is_assured());
        health.hear(ago(3500));
        assert!(is_assured());
        // It is over.
        health
            .assured
            .store(Moment::wall_second() - 1, Ordering::Release);
        health.hear(ago(5500));
        assert!(!health.is_fresh());
        // Nor does it count again when the clock is set back to it.
        assert_eq!(health.assured.load(Ordering::Acquire), NEVER);
    }

    #[test]
    fn a_clock_that_says_nothing_assures_nothing() {
        let health = health();
        health.hear(ago(1000));
        assert!(health.is_fresh_in(0));
        assert_eq!(health.assured.load(Ordering::Acquire), NEVER);
    }

    #[test]
    fn what_is_amiss_counts_in_an_assured_second_too() {
        let health = health();
        health.hear(ago(1000));
        assert!(health.is_fresh());
        health.overflow();
        assert!(!health.is_fresh());
        health.make_good(1);
        assert!(health.is_fresh());
        health.set_other_secret(true);
        assert!(!health.is_fresh());
        health.set_other_secret(false);
        assert!(health.is_fresh());
        health.set_eviction(Some("allkeys-lru".into()));
        assert!(!health.is_fresh());
        health.set_eviction(None);
        assert!(health.is_fresh());
    }
}
