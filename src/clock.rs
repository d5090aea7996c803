//! The source of time: the system clock, or a clock that a test moves.
//!
//! Every type that checks dates takes a clock. Deadlines do not: they use the runtime's timer. Give
//! the layer, [`Sessions`](crate::session::Sessions), the store, and guards with
//! [`max_age`](crate::Require::max_age) the same clock. A guard takes it from
//! [`Require::clock`](crate::Require::clock) alone.
//!
//! ```
//! use std::time::Duration;
//! use tower_jwt_auth::Verifier;
//! use tower_jwt_auth::clock::ManualClock;
//! use tower_jwt_auth::keys::SigningKey;
//!
//! let key = SigningKey::hs256([7; 32])?;
//! let token = key.sign(&serde_json::json!({ "sub": "alice", "exp": 1_700_000_300 }))?;
//!
//! let clock = ManualClock::at(1_700_000_000);
//! let verifier = Verifier::new(key.verifying_key()).clock(clock.clone());
//! assert!(verifier.verify(&token).is_ok());
//! clock.advance(Duration::from_secs(600));
//! assert!(verifier.verify(&token).is_err());
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// A source of the current time.
///
/// [`SystemClock`] is the default everywhere. Use [`ManualClock`] in tests.
pub trait Clock: Send + Sync + 'static {
    /// The current time.
    fn now(&self) -> SystemTime;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> SystemTime {
        (**self).now()
    }
}

/// A configured clock, or the system clock.
///
/// Two system clocks show the same time, so one reading serves both.
#[derive(Clone, Default)]
pub(crate) enum ClockSource {
    #[default]
    System,
    Custom(Arc<dyn Clock>),
}

impl ClockSource {
    pub(crate) fn custom(clock: impl Clock) -> Self {
        Self::Custom(Arc::new(clock))
    }

    #[inline]
    pub(crate) fn since_epoch(&self) -> Duration {
        match self {
            Self::System => since_epoch(&SystemClock),
            Self::Custom(clock) => since_epoch(&**clock),
        }
    }

    #[cfg(feature = "jwks")]
    #[inline]
    pub(crate) fn is_system(&self) -> bool {
        matches!(self, Self::System)
    }
}

impl Clock for ClockSource {
    fn now(&self) -> SystemTime {
        match self {
            Self::System => SystemClock.now(),
            Self::Custom(clock) => clock.now(),
        }
    }
}

/// The largest leeway of a verifier. Revocations stay known for this long after `exp`.
pub(crate) const MAX_LEEWAY: Duration = Duration::from_secs(5 * 60);

/// Time since the epoch of RFC 7519 `NumericDate`s, 1970-01-01T00:00:00Z.
///
/// A clock before the epoch is broken. It counts as the end of time: every token has expired, so
/// the fault lets nothing in.
#[inline]
pub(crate) fn since_epoch(clock: &dyn Clock) -> Duration {
    clock
        .now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::MAX)
}

/// The system clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "all other code reads a `Clock`")]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// A clock that moves only when told to. Clones share one time.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_jwt_auth::clock::ManualClock;
///
/// let clock = ManualClock::at(1_700_000_000);
/// let shared = clock.clone();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(
///     shared.now(),
///     SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_060)
/// );
/// ```
#[derive(Clone, Default)]
pub struct ManualClock {
    /// Nanoseconds since the epoch: enough until the year 2554.
    nanoseconds: Arc<AtomicU64>,
}

impl ManualClock {
    /// A clock at `seconds` since the epoch. A time after the year 2554 is capped.
    #[must_use]
    pub fn at(seconds: u64) -> Self {
        let clock = Self::default();
        clock.set(seconds);
        clock
    }

    /// The current time of this clock.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        let since_epoch = Duration::from_nanos(self.nanoseconds.load(Ordering::SeqCst));
        // `SystemTime` reaches far beyond 2^64 nanoseconds on every platform.
        SystemTime::UNIX_EPOCH
            .checked_add(since_epoch)
            .unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Moves the clock to `seconds` since the epoch, forwards or backwards. A time after the year
    /// 2554 is capped.
    pub fn set(&self, seconds: u64) {
        self.nanoseconds
            .store(seconds.saturating_mul(1_000_000_000), Ordering::SeqCst);
    }

    /// Moves the clock forwards.
    pub fn advance(&self, by: Duration) {
        let by = nanoseconds(by);
        self.update(|now| now.saturating_add(by));
    }

    /// Moves the clock backwards, as a corrected system clock may.
    pub fn step_back(&self, by: Duration) {
        let by = nanoseconds(by);
        self.update(|now| now.saturating_sub(by));
    }

    fn update(&self, change: impl Fn(u64) -> u64) {
        // The closure always answers `Some`, so this cannot fail.
        let _ = self
            .nanoseconds
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| Some(change(now)));
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        Self::now(self)
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ManualClock").field(&self.now()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken;

    impl Clock for Broken {
        fn now(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH - Duration::from_secs(1)
        }
    }

    #[test]
    fn a_clock_before_the_epoch_counts_as_the_end_of_time() {
        assert_eq!(since_epoch(&Broken), Duration::MAX);
    }

    #[test]
    fn moving_saturates() {
        let clock = ManualClock::at(10);
        clock.step_back(Duration::from_secs(60));
        assert_eq!(since_epoch(&clock), Duration::ZERO);
        clock.advance(Duration::MAX);
        clock.advance(Duration::MAX);
        assert_eq!(since_epoch(&clock), Duration::from_nanos(u64::MAX));
    }
}
