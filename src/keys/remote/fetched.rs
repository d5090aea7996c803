//! Keys of one fetch, and how they age.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::keys::KeySet;

/// How long keys are fresh, are served stale, and are not asked for again.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyLifetimes {
    pub(super) life: Duration,
    pub(super) cooldown: Duration,
    pub(super) max_stale: Duration,
}

impl Default for KeyLifetimes {
    fn default() -> Self {
        Self {
            life: Duration::from_secs(10 * 60),
            cooldown: Duration::from_secs(30),
            max_stale: Duration::from_secs(60 * 60),
        }
    }
}

impl KeyLifetimes {
    /// The longest pause between two attempts of which the first failed.
    const MAX_PAUSE: Duration = Duration::from_secs(30);

    /// A provider that says less than a minute would be asked too often; one that says more than an
    /// hour would not be believed when it withdraws a key.
    pub(super) fn life(self, max_age: Option<Duration>) -> Duration {
        let bounds = (Duration::from_secs(60), Duration::from_secs(60 * 60));
        max_age.map_or(self.life, |age| age.clamp(bounds.0, bounds.1))
    }

    /// After how many failures in a row it is tried again when.
    pub(super) fn pause(self, failures: u32) -> Duration {
        let doubled = 1_u64.checked_shl(failures.saturating_sub(1));
        Duration::from_secs(doubled.unwrap_or(u64::MAX))
            .min(self.cooldown)
            .min(Self::MAX_PAUSE)
    }
}

/// A moment by two clocks: the one that says what time it is, which may be set back, and the one
/// that only runs on, which stands still while the machine sleeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timestamp {
    /// Since the epoch.
    wall: Duration,
    monotonic: Instant,
}

impl Timestamp {
    pub(super) fn at(now: Duration) -> Self {
        Self {
            wall: now,
            monotonic: Instant::now(),
        }
    }

    /// How long ago it was, by the clock that says more.
    pub(super) fn age(self, now: Duration) -> Duration {
        now.saturating_sub(self.wall).max(self.elapsed())
    }

    /// How long ago it was, whatever time it is said to be.
    pub(super) fn elapsed(self) -> Duration {
        self.monotonic.elapsed()
    }
}

/// The keys of one fetch.
pub(crate) struct FetchedKeys {
    keys: KeySet,
    /// Counts the successful fetches, from 1.
    number: u64,
    /// Counts the changes of the keys.
    version: u64,
    /// When their fetch began: an issuer may have withdrawn a key since.
    fetched: Timestamp,
    life: Duration,
    max_stale: Duration,
    /// For how many seconds from that second on they are fresh. It lies one before their fetch: a
    /// request may have looked at the time before it, and at the keys after.
    fresh_from: u64,
    fresh_for: u64,
    /// The second for which the clock that only runs on was last asked too.
    checked_at: AtomicU64,
    /// A fetch to renew them has failed.
    renewal_failed: AtomicBool,
}

impl FetchedKeys {
    pub(super) fn new(
        keys: KeySet,
        number: u64,
        version: u64,
        fetched: Timestamp,
        life: Duration,
        max_stale: Duration,
    ) -> Self {
        Self {
            keys,
            number,
            version,
            fetched,
            life,
            max_stale,
            fresh_from: fetched.wall.as_secs().wrapping_sub(1),
            fresh_for: refresh_after(life).as_secs().saturating_add(1),
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

    /// The version of `keys` that come after these.
    pub(super) fn version_of(&self, keys: &KeySet) -> u64 {
        let are_others = !self.keys.is_same_as(keys);
        self.version.wrapping_add(u64::from(are_others))
    }

    /// Whether they may be used, and nothing has to be done yet. One clock is enough for that
    /// within a second: it is the refresher's task to renew them in time by the other. A refresher
    /// that is gone keeps no time, so that one is asked once for each second.
    #[inline]
    pub(crate) fn is_fresh(&self, now: Duration) -> bool {
        let second = now.as_secs();
        // A time before that wraps around to one that is far off.
        second.wrapping_sub(self.fresh_from) < self.fresh_for
            && !self.renewal_failed.load(Ordering::Relaxed)
            && (self.checked_at.load(Ordering::Relaxed) == second || self.check(second))
    }

    #[cold]
    fn check(&self, second: u64) -> bool {
        let is_young = self.fetched.elapsed().as_secs().saturating_add(1) < self.fresh_for;
        // Not in any second from now on: the clock may be set back to one that was checked. Before
        // the first they are never fresh.
        let checked = if is_young {
            second
        } else {
            self.fresh_from.wrapping_sub(1)
        };
        self.checked_at.store(checked, Ordering::Relaxed);
        is_young
    }

    /// Whether they may be used, for want of better ones if need be.
    pub(super) fn is_usable(&self, now: Duration) -> bool {
        let age = self.age(now);
        age < self.life
            || self.renewal_failed.load(Ordering::Relaxed)
                && age < self.life.saturating_add(self.max_stale)
    }

    pub(super) fn age(&self, now: Duration) -> Duration {
        self.fetched.age(now)
    }

    pub(super) fn note_failed_renewal(&self) {
        self.renewal_failed.store(true, Ordering::Relaxed);
    }
}

/// When keys are renewed: ahead, so that nobody waits for it.
pub(super) fn refresh_after(life: Duration) -> Duration {
    life.saturating_sub(life.checked_div(5).unwrap_or_default())
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
        // No refresher is there, and the clock of the wall hardly goes on: by the other one their
        // life is over.
        tokio::time::advance(hour).await;
        assert!(!fetched.is_fresh(at(101)));
        // Set back to the second that was checked an hour ago.
        assert!(!fetched.is_usable(at(100)));
        assert!(!fetched.is_fresh(at(100)));
    }
}
