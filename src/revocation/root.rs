//! What readers of the set read.

use std::sync::Arc;
use std::time::Duration;

use super::buckets::Buckets;
use super::fingerprint::Fingerprint;
use super::rows::{self, Rows, Shard, Shards};

/// Most writes add to the tables in it; what takes more makes a new root and swaps it in. So a reader sees a state
/// that holds together, without a lock.
#[derive(Clone)]
pub(super) struct Root {
    /// A token whose `exp` is no later may have been forgotten.
    horizon: Option<Duration>,
    pub(super) flags: Flags,
    pub(super) tokens: Buckets,
    /// Sessions, and tokens that expire too late for a bucket.
    pub(super) sessions: Shards,
    pub(super) subjects: Shards,
}

/// Which kinds of rows there are, and need to be looked for.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) far_tokens: bool,
    pub(super) sessions: bool,
    pub(super) subjects: bool,
}

/// One of the two tables of rows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TableOf {
    Sessions,
    Subjects,
}

impl TableOf {
    pub(super) fn kind(kind: rows::Kind) -> Self {
        match kind {
            rows::Kind::Token | rows::Kind::Session => Self::Sessions,
            rows::Kind::Generation | rows::Kind::Cutoff | rows::Kind::Block => Self::Subjects,
        }
    }

    /// The two by turns.
    pub(super) fn number(number: usize) -> Self {
        if number.is_multiple_of(2) {
            Self::Sessions
        } else {
            Self::Subjects
        }
    }
}

impl Root {
    pub(super) fn new() -> Self {
        Self {
            horizon: None,
            flags: Flags::default(),
            tokens: Buckets::new(),
            sessions: rows::no_rows(),
            subjects: rows::no_rows(),
        }
    }

    pub(super) fn horizon(&self) -> Option<Duration> {
        self.horizon
    }

    #[inline]
    pub(super) fn is_forgotten(&self, expires_at: Duration) -> bool {
        self.horizon.is_some_and(|horizon| expires_at <= horizon)
    }

    /// Notes that tokens with this `exp` or an earlier one may have been forgotten.
    pub(super) fn forget(&mut self, expires_at: Duration) {
        self.horizon = self.horizon.max(Some(expires_at));
    }

    #[inline]
    fn shards(&self, table: TableOf) -> &[Shard] {
        match table {
            TableOf::Sessions => &self.sessions,
            TableOf::Subjects => &self.subjects,
        }
    }

    #[inline]
    pub(super) fn shard(&self, table: TableOf, shard: usize) -> Option<&Rows> {
        self.shards(table).get(shard).map(|shard| &*shard.rows)
    }

    /// The rows among which that fingerprint may be.
    #[inline]
    pub(super) fn may_hold(&self, table: TableOf, fingerprint: Fingerprint) -> Option<&Rows> {
        let shard = self.shards(table).get(rows::shard_of(fingerprint))?;
        shard.filter.may_hold(fingerprint).then_some(&*shard.rows)
    }

    pub(super) fn set_shard(&mut self, table: TableOf, shard: usize, rows: Rows) {
        let shards = match table {
            TableOf::Sessions => &mut self.sessions,
            TableOf::Subjects => &mut self.subjects,
        };
        if let Some(shard) = Arc::make_mut(shards).get_mut(shard) {
            *shard = rows.into();
        }
    }

    pub(super) fn set_flags(&mut self, flags: Flags) {
        self.flags = flags;
    }

    /// All rows: fingerprint, kind, until, value.
    #[cfg(feature = "redis")]
    pub(super) fn rows(&self) -> impl Iterator<Item = (Fingerprint, rows::Kind, u64, u64)> {
        let shards = self.sessions.iter().chain(self.subjects.iter());
        shards.flat_map(|shard| shard.rows.entries())
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let tables = [&self.sessions, &self.subjects];
        let shards = tables.iter().flat_map(|shards| shards.iter());
        shards
            .map(|shard| size_of::<Rows>().saturating_add(shard.rows.heap_bytes()))
            .fold(size_of::<Self>(), usize::saturating_add)
            .saturating_add(self.tokens.heap_bytes())
    }
}
