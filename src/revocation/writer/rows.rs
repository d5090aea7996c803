//! Adds rows: sessions, subjects, and tokens that expire too late for a bucket.

use std::time::Duration;

use super::publish::Writer;
use crate::revocation::fingerprinted::{FingerprintedRevocation, RevocationKind};
use crate::revocation::rows::{self, RowTable};
use crate::revocation::state::RevocationSetFull;

impl Writer<'_> {
    /// Adds a row, or merges it into the existing one.
    pub(super) fn add_row(
        &mut self,
        new: &FingerprintedRevocation,
    ) -> Result<(), RevocationSetFull> {
        if new.kind == RevocationKind::Generation(0) {
            // No token has a lower generation, and a row would exempt tokens from the cutoff of a
            // lifted block.
            return Ok(());
        }
        let kind = new.kind.row_kind();
        let table = RowTable::of(kind);
        let shard = rows::shard_of(new.fingerprint);
        let published = &self.shared.published;
        if let Some(rows) = published.load().shard(table, shard)
            && let Some(row) = rows.find(new.fingerprint, kind)
        {
            row.merge(new);
            return Ok(());
        }
        if self.shared.has_expired(new.until, self.shared.now()) {
            self.raise_horizon(Duration::from_secs(new.until));
            return Ok(());
        }
        self.make_room()?;
        let used = self.state.shard(table, shard).rows;
        let is_full = published
            .load()
            .shard(table, shard)
            .is_none_or(|rows| used >= rows.capacity());
        if is_full {
            self.rebuild(table, shard, 1);
        }
        if let Some(rows) = published.load().shard(table, shard) {
            rows.insert(new);
        }
        self.state.note_row(table, shard, new.until, 1);
        let count = self.state.counts.rows_of(kind);
        *count = count.saturating_add(1);
        self.update_present_rows();
        Ok(())
    }
}
