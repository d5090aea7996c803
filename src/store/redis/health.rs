//! For how long a node has heard nothing.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

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

/// When a node's own sign of life was last written that it has read since: at that moment it knew all that Redis did.
pub(super) struct Health {
    began: Moment,
    /// In nanoseconds since it began, by either clock; 0: never.
    by_machine: AtomicU64,
    by_wall: AtomicU64,
    max_staleness: Duration,
    /// How often something was revoked for which there was no room, and of how many of these it is known that there was later.
    overflows: AtomicU64,
    made_good: AtomicU64,
    pub(super) other_secret: AtomicBool,
}

impl Health {
    pub(super) fn new(max_staleness: Duration) -> Self {
        Self {
            began: Moment::now(),
            by_machine: AtomicU64::new(0),
            by_wall: AtomicU64::new(0),
            max_staleness,
            overflows: AtomicU64::new(0),
            made_good: AtomicU64::new(0),
            other_secret: AtomicBool::new(false),
        }
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

    #[inline]
    pub(super) fn is_fresh(&self) -> bool {
        self.staleness()
            .is_some_and(|staleness| staleness < self.max_staleness)
            && !self.is_incomplete()
            && !self.other_secret.load(Ordering::Acquire)
    }

    /// Whether something was revoked that this node has no room for.
    #[inline]
    pub(super) fn is_incomplete(&self) -> bool {
        self.overflows() != self.made_good.load(Ordering::Acquire)
    }

    pub(super) fn overflows(&self) -> u64 {
        self.overflows.load(Ordering::Acquire)
    }

    pub(super) fn overflow(&self) {
        self.overflows.fetch_add(1, Ordering::AcqRel);
    }

    /// There was room for all that the server knew after so many overflows.
    pub(super) fn make_good(&self, overflows: u64) {
        self.made_good.store(overflows, Ordering::Release);
    }
}
