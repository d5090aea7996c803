//! Lifts and replaces blocks of subjects.

use std::time::Duration;

use super::publish::Writer;
use crate::revocation::fingerprint::Fingerprint;
#[cfg(feature = "redis")]
use crate::revocation::fingerprinted::NEVER;
use crate::revocation::fingerprinted::{FingerprintedRevocation, RevocationKind, SubjectBlock};
use crate::revocation::rows::{self, RowKind, RowTable};
use crate::revocation::state::RevocationSetFull;

impl Writer<'_> {
    /// Returns whether the subject was blocked.
    pub(in crate::revocation) fn lift_block(
        &mut self,
        fingerprint: Fingerprint,
        by_generation: bool,
    ) -> bool {
        let Some(block) = self.block_of(fingerprint).filter(|block| block.in_force) else {
            return false;
        };
        let lifted = SubjectBlock {
            in_force: false,
            by_generation,
            cutoff: block.cutoff.max(self.shared.now().as_secs()),
        };
        let until = self.end_of_cutoff(lifted.cutoff);
        self.overwrite_block(&FingerprintedRevocation {
            fingerprint,
            kind: RevocationKind::Block(lifted),
            until,
        })
    }

    /// Returns whether the subject was blocked.
    pub(in crate::revocation) fn lift_block_by_generation(
        &mut self,
        fingerprint: Fingerprint,
        generation: u64,
    ) -> Result<bool, RevocationSetFull> {
        if generation == 0 {
            return Ok(self.lift_block(fingerprint, false));
        }
        let block = self.block_of(fingerprint);
        if !block.is_some_and(|block| block.in_force) {
            return Ok(false);
        }
        self.add_row(&FingerprintedRevocation {
            fingerprint,
            kind: RevocationKind::Generation(generation),
            until: self.end_of_cutoff(self.shared.now().as_secs()),
        })?;
        Ok(self.lift_block(fingerprint, true))
    }

    /// Sets the block of a subject, whatever it was before.
    #[cfg(feature = "redis")]
    pub(super) fn set_block(
        &mut self,
        fingerprint: Fingerprint,
        block: SubjectBlock,
    ) -> Result<(), RevocationSetFull> {
        let new = FingerprintedRevocation {
            fingerprint,
            kind: RevocationKind::Block(block),
            until: if block.in_force {
                NEVER
            } else {
                self.end_of_cutoff(block.cutoff)
            },
        };
        if self.overwrite_block(&new) {
            return Ok(());
        }
        self.add_row(&new)
    }

    fn block_of(&self, fingerprint: Fingerprint) -> Option<SubjectBlock> {
        let current = self.shared.published.load();
        let rows = current.shard(RowTable::Subjects, rows::shard_of(fingerprint))?;
        let row = rows.find(fingerprint, RowKind::Block)?;
        Some(SubjectBlock::from_word(row.value()))
    }

    /// Returns whether there was a row to overwrite.
    fn overwrite_block(&mut self, new: &FingerprintedRevocation) -> bool {
        let shard = rows::shard_of(new.fingerprint);
        let current = self.shared.published.load();
        let rows = current.shard(RowTable::Subjects, shard);
        let Some(row) = rows.and_then(|rows| rows.find(new.fingerprint, RowKind::Block)) else {
            return false;
        };
        row.set(new.kind, new.until);
        self.state.note_row(RowTable::Subjects, shard, new.until, 0);
        true
    }

    /// The latest `exp` of tokens issued in this second or before, in seconds.
    fn end_of_cutoff(&self, second: u64) -> u64 {
        // A fraction of the second may belong to it, so add one.
        Duration::from_secs(second)
            .saturating_add(self.shared.longest_lifetime)
            .as_secs()
            .saturating_add(1)
    }
}
