//! What only the writer reads.

use std::sync::Arc;

use crate::revocation::buckets::{BUCKETS, Lengths};
use crate::revocation::fingerprinted::NEVER;
use crate::revocation::published::{PresentRows, Published};
use crate::revocation::rows::{RowKind, RowTable, SHARDS};
use crate::revocation::state::RevocationSetState;

/// The writer's part of a set, behind its lock.
pub(in crate::revocation) struct WriterState {
    pub(super) lengths: Lengths,
    pub(super) counts: Counts,
    /// No bucket before this one is left.
    pub(super) first_bucket: u64,
    sessions: [ShardState; SHARDS],
    subjects: [ShardState; SHARDS],
    /// Counts the shards that pruning has checked, to take them in turn.
    pub(super) checked_shards: usize,
    /// How many rows pruning may still check.
    pub(super) row_budget: usize,
    /// Replaced states that a look-up was still reading.
    ///
    /// The writer drops them, not the look-up: freeing a big table takes time.
    pub(super) retired: Vec<Arc<Published>>,
}

#[derive(Clone, Copy)]
pub(super) struct ShardState {
    pub(super) rows: usize,
    /// No row expires earlier.
    pub(super) earliest: u64,
}

impl ShardState {
    pub(super) const EMPTY: Self = Self {
        rows: 0,
        earliest: NEVER,
    };
}

#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    /// Tokens in buckets.
    pub(super) tokens: usize,
    /// Tokens that expire too late for a bucket.
    token_rows: usize,
    sessions: usize,
    generations: usize,
    cutoffs: usize,
    blocks: usize,
}

impl Counts {
    pub(super) fn all(&self) -> usize {
        self.state().entries()
    }

    fn state(&self) -> RevocationSetState {
        RevocationSetState {
            tokens: self.tokens.saturating_add(self.token_rows),
            sessions: self.sessions,
            generations: self.generations,
            cutoffs: self.cutoffs,
            blocks: self.blocks,
            ..RevocationSetState::default()
        }
    }

    pub(super) fn present_rows(&self) -> PresentRows {
        PresentRows {
            tokens: self.token_rows > 0,
            sessions: self.sessions > 0,
            subjects: [self.generations, self.cutoffs, self.blocks] != [0; 3],
        }
    }

    pub(super) fn rows_of(&mut self, kind: RowKind) -> &mut usize {
        match kind {
            RowKind::Token => &mut self.token_rows,
            RowKind::Session => &mut self.sessions,
            RowKind::Generation => &mut self.generations,
            RowKind::Cutoff => &mut self.cutoffs,
            RowKind::Block => &mut self.blocks,
        }
    }
}

impl WriterState {
    pub(in crate::revocation) fn new() -> Self {
        Self {
            lengths: Lengths::new(),
            counts: Counts::default(),
            first_bucket: u64::MAX,
            sessions: [ShardState::EMPTY; SHARDS],
            subjects: [ShardState::EMPTY; SHARDS],
            checked_shards: 0,
            row_budget: 0,
            retired: Vec::new(),
        }
    }

    /// The number of entries of each kind, and the writer's own bytes on the heap.
    pub(super) fn figures(&self) -> RevocationSetState {
        RevocationSetState {
            heap_bytes: BUCKETS.saturating_mul(size_of::<u32>()),
            ..self.counts.state()
        }
    }

    pub(super) fn shard(&self, table: RowTable, shard: usize) -> ShardState {
        let shards = match table {
            RowTable::Sessions => &self.sessions,
            RowTable::Subjects => &self.subjects,
        };
        shards.get(shard).copied().unwrap_or(ShardState::EMPTY)
    }

    pub(super) fn set_shard(&mut self, table: RowTable, shard: usize, state: ShardState) {
        let shards = match table {
            RowTable::Sessions => &mut self.sessions,
            RowTable::Subjects => &mut self.subjects,
        };
        if let Some(shard) = shards.get_mut(shard) {
            *shard = state;
        }
    }

    /// Notes a row that expires at `until`: a new one, or one whose expiry may have become earlier.
    pub(super) fn note_row(&mut self, table: RowTable, shard: usize, until: u64, new_rows: usize) {
        let mut state = self.shard(table, shard);
        state.rows = state.rows.saturating_add(new_rows);
        state.earliest = state.earliest.min(until);
        self.set_shard(table, shard, state);
    }
}
