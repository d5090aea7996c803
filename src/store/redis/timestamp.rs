//! Points in time by the monotonic clock and the wall clock.

use std::time::{Duration, Instant, SystemTime};

/// A point in time by two clocks.
///
/// The monotonic clock stops while the machine sleeps. The wall clock may be set back.
#[derive(Clone, Copy)]
pub(super) struct Timestamp {
    pub(super) monotonic: Instant,
    pub(super) wall: SystemTime,
}

/// The time between two timestamps, in nanoseconds by each clock.
pub(super) struct Elapsed {
    pub(super) monotonic: u64,
    pub(super) wall: u64,
}

impl Timestamp {
    #[expect(
        clippy::disallowed_methods,
        reason = "the age of a node's state does not follow the clock of a test"
    )]
    pub(super) fn now() -> Self {
        Self {
            monotonic: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// The second since the epoch by the wall clock.
    #[inline]
    #[expect(
        clippy::disallowed_methods,
        reason = "the age of a node's state does not follow the clock of a test"
    )]
    pub(super) fn wall_second() -> u64 {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since_epoch.unwrap_or_default().as_secs()
    }

    /// Whether it is before the other by the monotonic clock.
    pub(super) fn is_before(self, other: Self) -> bool {
        self.monotonic < other.monotonic
    }

    /// The time since the other by the monotonic clock alone: the shortest that is possible.
    pub(super) fn minimum_since(self, earlier: Self) -> Duration {
        self.monotonic.saturating_duration_since(earlier.monotonic)
    }

    /// The age by the monotonic clock alone: the shortest that is possible.
    pub(super) fn minimum_age(self) -> Duration {
        Self::now().minimum_since(self)
    }

    /// The age by the clock that shows more.
    pub(super) fn age(self) -> Duration {
        let now = Self::now();
        let monotonic = now.monotonic.saturating_duration_since(self.monotonic);
        monotonic.max(now.wall.duration_since(self.wall).unwrap_or_default())
    }

    pub(super) fn elapsed_since(self, earlier: Self) -> Elapsed {
        let nanoseconds =
            |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let monotonic = self.monotonic.saturating_duration_since(earlier.monotonic);
        let wall = self.wall.duration_since(earlier.wall).unwrap_or_default();
        Elapsed {
            monotonic: nanoseconds(monotonic),
            wall: nanoseconds(wall),
        }
    }
}
