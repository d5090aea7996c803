//! The writer, and how its changes reach look-ups.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use super::state::WriterState;
use crate::claims::NumericDate;
use crate::revocation::published::Published;
use crate::revocation::shared::Shared;
use crate::revocation::state::RevocationSetState;

/// The one writer of a set. It holds the lock.
pub(crate) struct Writer<'a> {
    pub(super) shared: &'a Shared,
    pub(super) state: MutexGuard<'a, WriterState>,
}

impl<'a> Writer<'a> {
    pub(in crate::revocation) fn new(
        shared: &'a Shared,
        state: MutexGuard<'a, WriterState>,
    ) -> Self {
        Self { shared, state }
    }

    pub(in crate::revocation) fn is_empty(&self) -> bool {
        self.state.counts.all() == 0
    }

    pub(in crate::revocation) fn state(&self) -> RevocationSetState {
        let published = self.shared.published.load();
        let figures = self.state.figures();
        RevocationSetState {
            capacity: self.shared.capacity,
            heap_bytes: figures.heap_bytes.saturating_add(published.heap_bytes()),
            horizon: published
                .horizon()
                .and_then(|horizon| NumericDate::from_seconds(horizon.as_secs())),
            ..figures
        }
    }

    /// Replaces the state that look-ups read.
    pub(super) fn publish(&mut self, next: Published) {
        let replaced = self.shared.published.swap(Arc::new(next));
        self.state.retired.push(replaced);
        self.drop_retired();
    }

    /// Drops the replaced states that no look-up reads any more.
    pub(super) fn drop_retired(&mut self) {
        self.state
            .retired
            .retain(|retired| Arc::strong_count(retired) > 1);
    }

    /// Raises the horizon to the `exp` of expired tokens that the set does not store.
    pub(super) fn raise_horizon(&mut self, expires_at: Duration) {
        let current = self.shared.published.load_full();
        if !current.is_behind_horizon(expires_at) {
            let mut next = Published::clone(&current);
            next.raise_horizon(expires_at);
            drop(current);
            self.publish(next);
        }
    }

    /// Tells look-ups which kinds of rows exist.
    pub(super) fn update_present_rows(&mut self) {
        let current = self.shared.published.load_full();
        let present = self.state.counts.present_rows();
        if current.present != present {
            let mut next = Published::clone(&current);
            next.present = present;
            drop(current);
            self.publish(next);
        }
    }
}
