//! What look-ups and the writer share.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;

use super::fingerprint::Fingerprinter;
use super::fingerprinted::NEVER;
use super::published::Published;
use crate::clock::Clock;

/// The settings of a set, and the state that look-ups read.
pub(super) struct Shared {
    pub(super) published: ArcSwap<Published>,
    pub(super) fingerprinter: Fingerprinter,
    pub(super) capacity: usize,
    pub(super) leeway: Duration,
    pub(super) longest_lifetime: Duration,
    pub(super) clock: Arc<dyn Clock>,
}

impl Shared {
    /// Time since the epoch. A clock before the epoch is broken: read as the epoch, it expires
    /// nothing.
    pub(super) fn now(&self) -> Duration {
        self.clock
            .now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
    }

    /// Whether tokens that expire at `until` have expired, leeway included.
    pub(super) fn has_expired(&self, until: u64, now: Duration) -> bool {
        until != NEVER && Duration::from_secs(until).saturating_add(self.leeway) <= now
    }
}
