//! The heartbeats that this node has sent and not read back yet.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::timestamp::Timestamp;

/// The most heartbeats to remember. The oldest is dropped first.
const MAX_PENDING: usize = 64;

/// Heartbeats in the order in which they were sent.
#[derive(Default)]
pub(super) struct PendingHeartbeats(Mutex<VecDeque<PendingHeartbeat>>);

struct PendingHeartbeat {
    nonce: String,
    sent: Timestamp,
}

impl PendingHeartbeats {
    /// Notes a heartbeat that is sent from now on. The time is taken under the lock: a heartbeat
    /// that `clear` does not remove was sent after it.
    pub(super) fn push(&self, nonce: String) {
        let mut heartbeats = self.heartbeats();
        let sent = Timestamp::now();
        heartbeats.push_back(PendingHeartbeat { nonce, sent });
        if heartbeats.len() > MAX_PENDING {
            heartbeats.pop_front();
        }
    }

    pub(super) fn remove(&self, nonce: &str) {
        self.heartbeats()
            .retain(|heartbeat| heartbeat.nonce != nonce);
    }

    pub(super) fn clear(&self) {
        self.heartbeats().clear();
    }

    /// Removes a heartbeat and all before it, and returns when it was sent.
    pub(super) fn take(&self, nonce: &[u8]) -> Option<Timestamp> {
        let mut heartbeats = self.heartbeats();
        let is_this = |heartbeat: &PendingHeartbeat| heartbeat.nonce.as_bytes() == nonce;
        let index = heartbeats.iter().position(is_this)?;
        let heartbeat = heartbeats.drain(..=index).next_back()?;
        Some(heartbeat.sent)
    }

    /// Whether the oldest heartbeat was sent longer ago than `limit`. If so, removes all.
    pub(super) fn take_overdue(&self, limit: Duration) -> bool {
        let mut heartbeats = self.heartbeats();
        let oldest = heartbeats.front();
        let is_overdue = oldest.is_some_and(|heartbeat| heartbeat.sent.age() > limit);
        if is_overdue {
            heartbeats.clear();
        }
        is_overdue
    }

    fn heartbeats(&self) -> MutexGuard<'_, VecDeque<PendingHeartbeat>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
