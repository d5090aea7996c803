//! Adds tokens.

use super::publish::Writer;
use crate::claims::NumericDate;
use crate::revocation::buckets::{self, BUCKETS};
use crate::revocation::fingerprint::Fingerprint;
use crate::revocation::fingerprinted::{FingerprintedRevocation, RevocationKind};
use crate::revocation::published::Published;
use crate::revocation::rows::{self, RowKind, RowTable};
use crate::revocation::state::RevocationSetFull;
use crate::revocation::table::Table;

impl Writer<'_> {
    pub(super) fn revoke_token(
        &mut self,
        fingerprint: Fingerprint,
        expires_at: NumericDate,
    ) -> Result<(), RevocationSetFull> {
        let now = self.shared.now();
        let expires_after_epoch = expires_at.since_epoch();
        let bucket = buckets::bucket_of(expires_after_epoch);
        let current = self.shared.published.load_full();
        if current.is_behind_horizon(expires_after_epoch) {
            return Ok(());
        }
        if expires_after_epoch.saturating_add(self.shared.leeway) <= now {
            self.raise_horizon(expires_after_epoch);
            return Ok(());
        }
        let table = current.tokens.get(bucket);
        if table.is_some_and(|table| table.contains(fingerprint)) {
            return Ok(());
        }
        let row = FingerprintedRevocation {
            fingerprint,
            kind: RevocationKind::Token,
            until: expires_at.seconds_up(),
        };
        let is_too_late = bucket.saturating_sub(buckets::bucket_of(now)) >= BUCKETS as u64;
        let is_occupied = current
            .tokens
            .occupant_of(bucket)
            .is_some_and(|occupant| occupant != bucket);
        if is_too_late || is_occupied {
            return self.add_row(&row);
        }
        drop(current);
        let has_room = self.make_room();
        if has_room.is_err() && self.has_token_row(&row) {
            return Ok(());
        }
        has_room?;
        self.insert_token(bucket, fingerprint);
        Ok(())
    }

    /// Whether a row already revokes this token. It was too late for a bucket when it was added.
    fn has_token_row(&self, token: &FingerprintedRevocation) -> bool {
        let current = self.shared.published.load();
        let rows = current.shard(RowTable::Sessions, rows::shard_of(token.fingerprint));
        rows.and_then(|rows| rows.find(token.fingerprint, RowKind::Token))
            .is_some_and(|row| row.until() >= token.until)
    }

    fn insert_token(&mut self, bucket: u64, fingerprint: Fingerprint) {
        let state = &mut *self.state;
        let Some(length) = state.lengths.get_mut(bucket) else {
            return;
        };
        let entries = *length as usize;
        *length = length.saturating_add(1);
        state.counts.tokens = state.counts.tokens.saturating_add(1);
        state.first_bucket = state.first_bucket.min(bucket);
        let current = self.shared.published.load_full();
        let table = current.tokens.get(bucket).unwrap_or_default();
        if entries < table.capacity() {
            table.insert(fingerprint, |_| ());
            return;
        }
        let grown = table.grown(entries);
        Table::new(&grown).insert(fingerprint, |_| ());
        let mut next = Published::clone(&current);
        next.tokens.set(bucket, Some(grown));
        drop(current);
        self.publish(next);
    }
}
