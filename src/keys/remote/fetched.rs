//! The keys of one fetch, and their age.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::keys::KeySet;

/// How long keys are fresh, how long they are served stale, and how often they are requested.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyLifetimes {
    pub(super) lifetime: Duration,
    pub(super) cooldown: Duration,
    pub(super) max_stale: Duration,
}

impl Default for KeyLifetimes {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(10 * 60),
            cooldown: Duration::from_secs(30),
            max_stale: Duration::from_secs(60 * 60),
        }
    }
}

impl KeyLifetimes {
    /// The longest pause between two attempts after a failure.
    const MAX_PAUSE: Duration = Duration::from_secs(30);

    /// `max_age` between 1 minute and 1 hour, or the configured lifetime.
    ///
    /// The minimum limits the number of fetches. The maximum limits how long a withdrawn key
    /// verifies.
    pub(super) fn lifetime(self, max_age: Option<Duration>) -> Duration {
        let bounds = (Duration::from_secs(60), Duration::from_secs(60 * 60));
        max_age.map_or(self.lifetime, |age| age.clamp(bounds.0, bounds.1))
    }

    /// The pause after this number of consecutive failures.
    pub(super) fn pause(self, failures: u32) -> Duration {
        let doubled = 1_u64.checked_shl(failures.saturating_sub(1));
        Duration::from_secs(doubled.unwrap_or(u64::MAX))
            .min(self.cooldown)
            .min(Self::MAX_PAUSE)
    }
}

/// A time by two clocks. The wall clock may be set back. The monotonic clock stops while the
/// machine sleeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timestamp {
    /// Since the epoch.
    wall: Duration,
    monotonic: Instant,
}

impl Timestamp {
    pub(crate) fn at(now: Duration) -> Self {
        Self {
            wall: now,
            monotonic: Instant::now(),
        }
    }

    /// The time since then, by the clock that shows more.
    pub(crate) fn age(self, now: Duration) -> Duration {
        now.saturating_sub(self.wall).max(self.elapsed())
    }

    /// The date this much later, by the wall clock.
    #[cfg(feature = "introspection")]
    pub(crate) fn later_by(self, by: Duration) -> Duration {
        self.wall.saturating_add(by)
    }

    /// The time from then to a date, by the wall clock. Zero if the date is earlier.
    #[cfg(feature = "introspection")]
    pub(crate) fn until(self, since_epoch: Duration) -> Duration {
        since_epoch.saturating_sub(self.wall)
    }

    /// The time since then, by the monotonic clock.
    pub(super) fn elapsed(self) -> Duration {
        self.monotonic.elapsed()
    }
}

/// The keys of one fetch.
pub(crate) struct FetchedKeys {
    keys: KeySet,
    /// The number of successful fetches up to this one.
    number: u64,
    /// Incremented when the keys change.
    version: u64,
    /// The start of the fetch. The issuer may have withdrawn a key after it.
    fetched: Timestamp,
    lifetime: Duration,
    max_stale: Duration,
    /// The keys are fresh for `fresh_for` seconds from this second.
    ///
    /// It is one second before the fetch: a request may read the clock before the fetch and the
    /// keys after it.
    fresh_from: u64,
    fresh_for: u64,
    /// The second for which the monotonic clock was last checked.
    checked_at: AtomicU64,
    /// Whether a fetch to renew the keys has failed.
    renewal_failed: AtomicBool,
}

impl FetchedKeys {
    pub(super) fn new(
        keys: KeySet,
        number: u64,
        version: u64,
        fetched: Timestamp,
        lifetime: Duration,
        max_stale: Duration,
    ) -> Self {
        Self {
            keys,
            number,
            version,
            fetched,
            lifetime,
            max_stale,
            fresh_from: fetched.wall.as_secs().wrapping_sub(1),
            fresh_for: refresh_after(lifetime).as_secs().saturating_add(1),
            checked_at: AtomicU64::new(fetched.wall.as_secs()),
            renewal_failed: AtomicBool::new(false),
        }
    }

    pub(crate) fn keys(&self) -> &KeySet {
        &self.keys
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// The version of the keys that replace these.
    pub(super) fn version_of(&self, keys: &KeySet) -> u64 {
        let are_others = !self.keys.is_same_as(keys);
        self.version.wrapping_add(u64::from(are_others))
    }

    /// Whether the keys may be used, and need not be renewed yet.
    ///
    /// Within one second the wall clock is enough, because the refresher renews keys by the
    /// monotonic clock. A refresher that has ended does not, so the monotonic clock is checked once
    /// per second too.
    #[inline]
    pub(crate) fn is_fresh(&self, now: Duration) -> bool {
        let second = now.as_secs();
        // An earlier time wraps around to a large number.
        second.wrapping_sub(self.fresh_from) < self.fresh_for
            && !self.renewal_failed.load(Ordering::Relaxed)
            && (self.checked_at.load(Ordering::Relaxed) == second || self.check(second))
    }

    #[cold]
    fn check(&self, second: u64) -> bool {
        let is_young = self.fetched.elapsed().as_secs().saturating_add(1) < self.fresh_for;
        // If the keys are old, every later second must be checked again, because the clock may be
        // set back. The second before `fresh_from` is never fresh.
        let checked = if is_young {
            second
        } else {
            self.fresh_from.wrapping_sub(1)
        };
        self.checked_at.store(checked, Ordering::Relaxed);
        is_young
    }

    /// Whether the keys may be used, including stale keys after a failed renewal.
    pub(super) fn is_usable(&self, now: Duration) -> bool {
        let age = self.age(now);
        age < self.lifetime
            || self.renewal_failed.load(Ordering::Relaxed)
                && age < self.lifetime.saturating_add(self.max_stale)
    }

    pub(super) fn age(&self, now: Duration) -> Duration {
        self.fetched.age(now)
    }

    pub(super) fn note_failed_renewal(&self) {
        self.renewal_failed.store(true, Ordering::Relaxed);
    }
}

/// When keys are renewed: before their lifetime ends, so that requests do not wait.
pub(super) fn refresh_after(lifetime: Duration) -> Duration {
    lifetime.saturating_sub(lifetime.checked_div(5).unwrap_or_default())
}

#[cfg(test)]
#[cfg(any(feature = "aws_lc_rs", feature = "rust_crypto"))]
mod tests {
    use super::*;
    use crate::keys::{Algorithm, SigningKey};

    #[tokio::test(start_paused = true)]
    async fn a_second_that_was_checked_does_not_count_again() {
        let hour = Duration::from_secs(3600);
        let at = |second: u64| Duration::from_secs(1_800_000_000 + second);
        let key = SigningKey::generate(Algorithm::ES256).unwrap();
        let keys = KeySet::new([key.with_key_id("a").verifying_key()]).unwrap();
        let fetched = FetchedKeys::new(keys, 1, 0, Timestamp::at(at(0)), hour, hour);
        tokio::time::advance(Duration::from_secs(100)).await;
        assert!(fetched.is_fresh(at(100)));
        // Without refresher, and with a wall clock that has almost stopped, the lifetime ends by
        // the monotonic clock.
        tokio::time::advance(hour).await;
        assert!(!fetched.is_fresh(at(101)));
        // The wall clock is set back to the second that was checked an hour ago.
        assert!(!fetched.is_usable(at(100)));
        assert!(!fetched.is_fresh(at(100)));
    }
}
