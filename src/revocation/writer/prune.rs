//! Drops what has expired.

use std::time::Duration;

use super::publish::Writer;
use super::state::ShardState;
use crate::revocation::buckets;
use crate::revocation::published::Published;
use crate::revocation::rows::{RowTable, Rows, SHARDS};
use crate::revocation::state::RevocationSetFull;

/// How many rows each write checks for expiry, on average.
const ROWS_PER_WRITE: usize = 8;

/// How many buckets each write drops at most.
const BUCKETS_PER_WRITE: usize = 2;

impl Writer<'_> {
    /// Drops some of what has expired, so that many writes drop all of it.
    pub(in crate::revocation) fn prune_a_little(&mut self) {
        self.drop_retired();
        self.prune_tokens(BUCKETS_PER_WRITE);
        let now = self.shared.now();
        self.state.row_budget = self.state.row_budget.saturating_add(ROWS_PER_WRITE);
        loop {
            let checked = self.state.checked_shards;
            let table = if checked.is_multiple_of(2) {
                RowTable::Sessions
            } else {
                RowTable::Subjects
            };
            let shard = checked / 2 % SHARDS;
            let state = self.state.shard(table, shard);
            let is_due = self.shared.has_expired(state.earliest, now);
            let cost = if is_due { state.rows.max(1) } else { 1 };
            let Some(rest) = self.state.row_budget.checked_sub(cost) else {
                break;
            };
            self.state.row_budget = rest;
            self.state.checked_shards = checked.wrapping_add(1);
            if is_due {
                self.rebuild(table, shard, 0);
            }
        }
    }

    pub(in crate::revocation) fn prune_all_tokens(&mut self) {
        self.prune_tokens(usize::MAX);
    }

    /// Prunes a shard of the sessions and of the subjects.
    pub(in crate::revocation) fn prune_rows(&mut self, shard: usize) {
        let now = self.shared.now();
        for table in [RowTable::Sessions, RowTable::Subjects] {
            let earliest = self.state.shard(table, shard).earliest;
            if self.shared.has_expired(earliest, now) {
                self.rebuild(table, shard, 0);
            }
        }
    }

    /// Makes room for one more entry. A full set drops everything that has expired first.
    pub(super) fn make_room(&mut self) -> Result<(), RevocationSetFull> {
        if self.state.counts.all() < self.shared.capacity {
            return Ok(());
        }
        self.prune_all_tokens();
        for shard in 0..SHARDS {
            self.prune_rows(shard);
        }
        if self.state.counts.all() < self.shared.capacity {
            return Ok(());
        }
        Err(RevocationSetFull)
    }

    fn prune_tokens(&mut self, most_buckets: usize) {
        // The buckets before this one have ended, leeway included.
        let first_live = self
            .shared
            .now()
            .checked_sub(self.shared.leeway)
            .map_or(0, buckets::bucket_of);
        if first_live <= self.state.first_bucket {
            return;
        }
        let current = self.shared.published.load_full();
        let mut expired: Vec<u64> = current
            .tokens
            .numbers_between(self.state.first_bucket, first_live)
            .collect();
        expired.sort_unstable();
        self.state.first_bucket = expired.get(most_buckets).copied().unwrap_or(first_live);
        expired.truncate(most_buckets);
        let Some(last) = expired.last() else {
            return;
        };
        let mut next = Published::clone(&current);
        next.raise_horizon(buckets::end_of(*last));
        let state = &mut *self.state;
        for bucket in expired {
            next.tokens.set(bucket, None);
            if let Some(length) = state.lengths.get_mut(bucket) {
                state.counts.tokens = state.counts.tokens.saturating_sub(*length as usize);
                *length = 0;
            }
        }
        drop(current);
        self.publish(next);
    }

    /// Replaces a shard by one without expired rows, with capacity for this many new ones.
    pub(super) fn rebuild(&mut self, table: RowTable, shard: usize, new_rows: usize) {
        let current = self.shared.published.load_full();
        let Some(old) = current.shard(table, shard) else {
            return;
        };
        let now = self.shared.now();
        let mut next = Published::clone(&current);
        let mut live = ShardState::EMPTY;
        for row in old.entries() {
            if self.shared.has_expired(row.until, now) {
                next.raise_horizon(Duration::from_secs(row.until));
                let count = self.state.counts.rows_of(row.kind.row_kind());
                *count = count.saturating_sub(1);
            } else {
                live.rows = live.rows.saturating_add(1);
                live.earliest = live.earliest.min(row.until);
            }
        }
        let has_dropped = live.rows < self.state.shard(table, shard).rows;
        self.state.set_shard(table, shard, live);
        if new_rows == 0 && !has_dropped {
            return;
        }
        let capacity = live.rows.saturating_add(new_rows);
        let rebuilt = Rows::with_capacity(capacity, table == RowTable::Subjects);
        for row in old.entries() {
            if !self.shared.has_expired(row.until, now) {
                rebuilt.insert(&row);
            }
        }
        next.set_shard(table, shard, rebuilt);
        next.present = self.state.counts.present_rows();
        drop(current);
        self.publish(next);
    }
}
