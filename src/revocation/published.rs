//! The state that look-ups read.

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "redis")]
use super::buckets;
use super::buckets::Buckets;
use super::fingerprint::Fingerprint;
#[cfg(feature = "redis")]
use super::fingerprinted::{FingerprintedRevocation, RevocationKind};
use super::rows::{self, RowTable, Rows, Shard, Shards};

/// What the set contains. Look-ups load it with one atomic read, without a lock.
///
/// The writer adds most entries to the tables in place. For every other change it publishes a
/// changed copy, so that a look-up sees a consistent state.
#[derive(Clone)]
pub(crate) struct Published {
    /// The latest `exp` whose tokens the set may have dropped.
    horizon: Option<Duration>,
    pub(super) present: PresentRows,
    pub(super) tokens: Buckets,
    /// Sessions, and tokens that expire too late for a bucket.
    sessions: Shards,
    subjects: Shards,
}

/// Which kinds of rows exist. A look-up skips the others.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct PresentRows {
    /// Tokens that expire too late for a bucket.
    pub(super) tokens: bool,
    pub(super) sessions: bool,
    pub(super) subjects: bool,
}

impl Published {
    pub(super) fn new() -> Self {
        Self {
            horizon: None,
            present: PresentRows::default(),
            tokens: Buckets::new(),
            sessions: rows::empty_shards(),
            subjects: rows::empty_shards(),
        }
    }

    pub(super) fn horizon(&self) -> Option<Duration> {
        self.horizon
    }

    /// Whether the set may have dropped a token with this `exp`.
    #[inline]
    pub(super) fn is_behind_horizon(&self, expires_at: Duration) -> bool {
        self.horizon.is_some_and(|horizon| expires_at <= horizon)
    }

    pub(super) fn raise_horizon(&mut self, expires_at: Duration) {
        self.horizon = self.horizon.max(Some(expires_at));
    }

    #[inline]
    fn shards(&self, table: RowTable) -> &[Shard] {
        match table {
            RowTable::Sessions => &self.sessions,
            RowTable::Subjects => &self.subjects,
        }
    }

    #[inline]
    pub(super) fn shard(&self, table: RowTable, shard: usize) -> Option<&Rows> {
        self.shards(table).get(shard).map(|shard| &*shard.rows)
    }

    /// The shard of this fingerprint. `None` if its filter excludes the fingerprint.
    #[inline]
    pub(super) fn shard_if_maybe_in(
        &self,
        table: RowTable,
        fingerprint: Fingerprint,
    ) -> Option<&Rows> {
        let shard = self.shards(table).get(rows::shard_of(fingerprint))?;
        shard
            .filter
            .may_contain(fingerprint)
            .then_some(&*shard.rows)
    }

    pub(super) fn set_shard(&mut self, table: RowTable, shard: usize, rows: Rows) {
        let shards = match table {
            RowTable::Sessions => &mut self.sessions,
            RowTable::Subjects => &mut self.subjects,
        };
        if let Some(shard) = Arc::make_mut(shards).get_mut(shard) {
            *shard = rows.into();
        }
    }

    /// Tokens, sessions and cutoffs. Generations and blocks are left out.
    #[cfg(feature = "redis")]
    pub(crate) fn tokens_sessions_and_cutoffs(
        &self,
    ) -> impl Iterator<Item = FingerprintedRevocation> + Send {
        let shards = self.sessions.iter().chain(self.subjects.iter());
        let rows = shards.flat_map(|shard| shard.rows.entries());
        let tokens = self
            .tokens
            .entries()
            .map(|(bucket, fingerprint)| FingerprintedRevocation {
                fingerprint,
                kind: RevocationKind::Token,
                until: buckets::last_second_of(bucket),
            });
        tokens.chain(rows.filter(|revocation| match revocation.kind {
            RevocationKind::Token | RevocationKind::Session | RevocationKind::Cutoff(_) => true,
            RevocationKind::Generation(_) | RevocationKind::Block(_) => false,
        }))
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
