//! Whether a node may say that a token is not revoked.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::error::RedisStoreError;
use super::timestamp::{Elapsed, Timestamp};

/// Stands for "no second" in [`Freshness::confirmed_second`].
const NEVER: u64 = u64::MAX;

/// When this node last knew all that Redis knew, and what else keeps it from being fresh.
///
/// It knew all when it sent the last of its heartbeats that it has read back.
pub(super) struct Freshness {
    started: Timestamp,
    /// When the heartbeat was sent, in nanoseconds after the start. 0: no heartbeat yet.
    heartbeat_monotonic: AtomicU64,
    heartbeat_wall: AtomicU64,
    max_staleness: Duration,
    /// A second since the epoch that ends before the node becomes stale.
    confirmed_second: AtomicU64,
    /// How many revocations did not fit into the set.
    overflows: AtomicU64,
    /// The number of overflows before the last load that fitted, once the node has read the changes
    /// that were made during that load.
    resolved_overflows: AtomicU64,
    /// Why the keys belong to other nodes.
    foreign_keys: Mutex<Option<RedisStoreError>>,
    /// The last failure of a task since the node was fresh.
    last_error: Mutex<Option<Arc<RedisStoreError>>>,
    /// The server's eviction policy, if it may evict keys and that is not allowed.
    eviction_policy: Mutex<Option<Arc<str>>>,
    /// Whether there was ever an overflow, another secret or format, or an eviction policy.
    ///
    /// Until then a request need not check them.
    had_fault: AtomicBool,
}

impl Freshness {
    pub(super) fn new(max_staleness: Duration) -> Self {
        Self {
            started: Timestamp::now(),
            heartbeat_monotonic: AtomicU64::new(0),
            heartbeat_wall: AtomicU64::new(0),
            max_staleness,
            confirmed_second: AtomicU64::new(NEVER),
            overflows: AtomicU64::new(0),
            resolved_overflows: AtomicU64::new(0),
            foreign_keys: Mutex::default(),
            last_error: Mutex::default(),
            eviction_policy: Mutex::default(),
            had_fault: AtomicBool::new(false),
        }
    }

    /// Whether the node is fresh, and nothing else is wrong. Called for every request.
    ///
    /// The wall clock is enough for most calls, because it runs while the process or the machine is
    /// suspended. In a second that is not confirmed yet, this checks both clocks.
    #[inline]
    pub(super) fn is_fresh(&self) -> bool {
        let second = Timestamp::wall_second();
        (second == self.confirmed_second.load(Ordering::Acquire) || self.is_fresh_in(second))
            && (!self.had_fault.load(Ordering::Acquire) || self.has_no_fault())
    }

    #[cold]
    fn is_fresh_in(&self, second: u64) -> bool {
        let Some(staleness) = self.staleness() else {
            return false;
        };
        // A wall clock at the epoch, or before it, is broken: it confirms nothing. The last
        // confirmed second is over, and the clock may be set back to it: forget it.
        let is_confirmed =
            second > 0 && staleness.saturating_add(Duration::from_secs(1)) < self.max_staleness;
        let confirmed = if is_confirmed { second } else { NEVER };
        self.confirmed_second.store(confirmed, Ordering::Release);
        staleness < self.max_staleness
    }

    #[cold]
    fn has_no_fault(&self) -> bool {
        !self.is_over_capacity()
            && self.foreign_keys().is_none()
            && self.eviction_policy().is_none()
    }

    /// The time since the last heartbeat that was read back. `None` before the first.
    pub(super) fn staleness(&self) -> Option<Duration> {
        let heartbeat_monotonic = self.heartbeat_monotonic.load(Ordering::Acquire);
        let heartbeat_wall = self.heartbeat_wall.load(Ordering::Acquire);
        if heartbeat_monotonic == 0 {
            return None;
        }
        let Elapsed { monotonic, wall } = Timestamp::now().elapsed_since(self.started);
        let age = monotonic
            .saturating_sub(heartbeat_monotonic)
            .max(wall.saturating_sub(heartbeat_wall));
        Some(Duration::from_nanos(age))
    }

    /// Notes that a heartbeat of this node was read back. `sent`: before the server got it.
    pub(super) fn record_heartbeat(&self, sent: Timestamp) {
        let Elapsed { monotonic, wall } = sent.elapsed_since(self.started);
        self.heartbeat_wall.store(wall, Ordering::Release);
        self.heartbeat_monotonic
            .store(monotonic.max(1), Ordering::Release);
        *self.lock_last_error() = None;
    }

    pub(super) fn last_error(&self) -> Option<Arc<RedisStoreError>> {
        self.lock_last_error().clone()
    }

    pub(super) fn record_error(&self, error: RedisStoreError) {
        *self.lock_last_error() = Some(Arc::new(error));
    }

    /// The server's eviction policy, if it may evict keys and that is not allowed.
    pub(super) fn eviction_policy(&self) -> Option<Arc<str>> {
        self.lock_eviction_policy().clone()
    }

    pub(super) fn set_eviction_policy(&self, policy: Option<Arc<str>>) {
        self.had_fault.fetch_or(policy.is_some(), Ordering::AcqRel);
        *self.lock_eviction_policy() = policy;
    }

    /// Why the keys belong to other nodes: another secret, or another format.
    pub(super) fn foreign_keys(&self) -> Option<RedisStoreError> {
        self.lock_foreign_keys().clone()
    }

    pub(super) fn set_foreign_keys(&self, error: Option<RedisStoreError>) {
        self.had_fault.fetch_or(error.is_some(), Ordering::AcqRel);
        *self.lock_foreign_keys() = error;
    }

    /// Whether the node lacks a revocation because its set was full.
    pub(super) fn is_over_capacity(&self) -> bool {
        self.overflows() != self.resolved_overflows.load(Ordering::Acquire)
    }

    pub(super) fn overflows(&self) -> u64 {
        self.overflows.load(Ordering::Acquire)
    }

    pub(super) fn record_overflow(&self) {
        self.had_fault.store(true, Ordering::Release);
        self.overflows.fetch_add(1, Ordering::AcqRel);
    }

    /// Notes that a load fitted into the set, and that the node has read what was changed during
    /// the load. `overflows`: their number before it.
    pub(super) fn resolve_overflows(&self, overflows: u64) {
        self.resolved_overflows.store(overflows, Ordering::Release);
    }

    fn lock_last_error(&self) -> MutexGuard<'_, Option<Arc<RedisStoreError>>> {
        self.last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_foreign_keys(&self) -> MutexGuard<'_, Option<RedisStoreError>> {
        self.foreign_keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_eviction_policy(&self) -> MutexGuard<'_, Option<Arc<str>>> {
        self.eviction_policy
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ago(millis: u64) -> Timestamp {
        let Timestamp { monotonic, wall } = Timestamp::now();
        let by = Duration::from_millis(millis);
        Timestamp {
            monotonic: monotonic - by,
            wall: wall - by,
        }
    }

    /// The freshness of a node that started a minute ago.
    fn freshness() -> Freshness {
        Freshness {
            started: ago(60_000),
            ..Freshness::new(Duration::from_secs(5))
        }
    }

    #[test]
    fn a_node_is_stale_if_either_clock_says_so() {
        for (monotonic, wall, is_fresh) in [
            (2000, 2000, true),
            (6000, 6000, false),
            // The machine slept.
            (2000, 6000, false),
            // The wall clock was set back.
            (6000, 2000, false),
        ] {
            let freshness = freshness();
            freshness.record_heartbeat(Timestamp {
                monotonic: ago(monotonic).monotonic,
                wall: ago(wall).wall,
            });
            assert_eq!(freshness.is_fresh(), is_fresh, "{monotonic} {wall}");
            assert_eq!(freshness.is_fresh(), is_fresh, "{monotonic} {wall}");
        }
    }

    #[test]
    fn a_second_is_confirmed_if_it_ends_before_the_node_is_stale() {
        let freshness = freshness();
        let is_confirmed = || {
            assert!(freshness.is_fresh());
            freshness.confirmed_second.load(Ordering::Acquire) != NEVER
        };
        freshness.record_heartbeat(ago(4500));
        assert!(!is_confirmed());
        freshness.record_heartbeat(ago(3500));
        assert!(is_confirmed());
        // It is over.
        freshness
            .confirmed_second
            .store(Timestamp::wall_second() - 1, Ordering::Release);
        freshness.record_heartbeat(ago(5500));
        assert!(!freshness.is_fresh());
        // It stays invalid if the clock is set back to it.
        assert_eq!(freshness.confirmed_second.load(Ordering::Acquire), NEVER);
    }

    #[test]
    fn a_clock_at_the_epoch_confirms_nothing() {
        let freshness = freshness();
        freshness.record_heartbeat(ago(1000));
        assert!(freshness.is_fresh_in(0));
        assert_eq!(freshness.confirmed_second.load(Ordering::Acquire), NEVER);
    }

    #[test]
    fn a_fault_applies_in_a_confirmed_second_too() {
        let freshness = freshness();
        freshness.record_heartbeat(ago(1000));
        assert!(freshness.is_fresh());
        freshness.record_overflow();
        assert!(!freshness.is_fresh());
        freshness.resolve_overflows(1);
        assert!(freshness.is_fresh());
        freshness.set_foreign_keys(Some(RedisStoreError::OtherSecret));
        assert!(!freshness.is_fresh());
        freshness.set_foreign_keys(None);
        assert!(freshness.is_fresh());
        freshness.set_eviction_policy(Some("allkeys-lru".into()));
        assert!(!freshness.is_fresh());
        freshness.set_eviction_policy(None);
        assert!(freshness.is_fresh());
    }
}
