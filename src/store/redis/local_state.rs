//! The revocations that this node knows.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::redis::Value;

use super::error::RedisStoreError;
use super::fingerprint_cipher::{EncryptedFingerprint, FingerprintCipher};
use super::freshness::Freshness;
use super::reply::bytes;
use super::subject_record::{RecordOrder, SubjectRecord};
use crate::claims::NumericDate;
use crate::clock::{Clock, MAX_LEEWAY, since_epoch};
use crate::revocation::{
    Fingerprint, FingerprintedRevocation, Revocation, RevocationKind, RevocationSet, SubjectBlock,
};
use crate::session::Subject;

/// The revocations and subjects that this node knows, and whether it is fresh.
///
/// The set answers requests. The records of the subjects are kept to be written back.
pub(super) struct LocalState {
    pub(super) set: RevocationSet,
    pub(super) cipher: FingerprintCipher,
    pub(super) freshness: Freshness,
    clock: Arc<dyn Clock>,
    longest_lifetime: Duration,
    /// By the fingerprint of the subject.
    subjects: Mutex<HashMap<u64, SubjectRecord>>,
    /// When subjects were last dropped, in seconds.
    pruned_at: AtomicU64,
}

impl LocalState {
    /// The largest leeway of any verifier. `scripts/prelude.lua` repeats it as `leeway`.
    pub(super) const LEEWAY_SECONDS: u64 = MAX_LEEWAY.as_secs();

    pub(super) fn new(
        set: RevocationSet,
        cipher: FingerprintCipher,
        clock: Arc<dyn Clock>,
        longest_lifetime: Duration,
        max_staleness: Duration,
    ) -> Self {
        Self {
            set,
            cipher,
            freshness: Freshness::new(max_staleness),
            clock,
            longest_lifetime,
            subjects: Mutex::default(),
            pruned_at: AtomicU64::new(0),
        }
    }

    pub(super) fn longest_lifetime(&self) -> Duration {
        self.longest_lifetime
    }

    pub(super) fn now_in_seconds(&self) -> u64 {
        since_epoch(&*self.clock).as_secs()
    }

    pub(super) fn encrypt_subject(&self, subject: &Subject<'_>) -> EncryptedFingerprint {
        let set = &self.set;
        let fingerprint = set.subject_fingerprint(subject.issuer, subject.name);
        self.cipher.encrypt_subject(fingerprint.bits())
    }

    /// The name of a proof with this ID by this key. Its fingerprint is made like that of a
    /// subject. The encrypted block holds the kind, so the two never collide.
    pub(super) fn encrypt_proof(&self, key: &str, jti: &str) -> EncryptedFingerprint {
        let fingerprint = self.set.subject_fingerprint(Some(key), jti);
        self.cipher.encrypt_proof(fingerprint.bits())
    }

    pub(super) fn encrypt_session(
        &self,
        issuer: Option<&str>,
        sid: &str,
        until: NumericDate,
    ) -> Result<EncryptedFingerprint, RedisStoreError> {
        let revocation = Revocation::Session { issuer, sid, until };
        let member = self
            .cipher
            .encrypt_revocation(&self.set.fingerprinted(&revocation));
        member.ok_or(RedisStoreError::Reply)
    }

    /// Adds a member of the sorted set to the revocations. `until`: in seconds.
    pub(super) fn apply_revocation(
        &self,
        member: &[u8],
        until: u64,
    ) -> Result<(), RedisStoreError> {
        let revocation = self.cipher.decrypt_revocation(member, until);
        self.merge(&[revocation.ok_or(RedisStoreError::Reply)?])
    }

    /// Applies the record of a subject that a script has answered.
    pub(super) fn apply_subject_record(
        &self,
        field: &[u8],
        record: &Value,
    ) -> Result<SubjectRecord, RedisStoreError> {
        let record = bytes(record).and_then(SubjectRecord::parse);
        let record = record.ok_or(RedisStoreError::Reply)?;
        let fingerprint = self.cipher.decrypt_subject(field);
        let fingerprint = fingerprint.ok_or(RedisStoreError::Reply)?;
        self.apply_subject(fingerprint, record.clone())?;
        Ok(record)
    }

    /// Applies the server's record of a subject, unless a newer one is known.
    ///
    /// If the records diverged, what either rejects is rejected. The known record is kept, to be
    /// written back.
    pub(super) fn apply_subject(
        &self,
        fingerprint: u64,
        record: SubjectRecord,
    ) -> Result<RecordOrder, RedisStoreError> {
        let mut subjects = self.lock_subjects();
        let known = subjects.get(&fingerprint);
        let order = known.map_or(RecordOrder::Newer, |known| record.compare(known));
        match (order, known) {
            (RecordOrder::Older, _) => {}
            (RecordOrder::Diverged, Some(known)) => {
                self.merge_subject(fingerprint, &known.strictest(&record))?;
            }
            _ => {
                self.merge_subject(fingerprint, &record)?;
                if record.is_in_force(self.now_in_seconds(), Self::LEEWAY_SECONDS) {
                    subjects.insert(fingerprint, record);
                } else {
                    subjects.remove(&fingerprint);
                }
            }
        }
        Ok(order)
    }

    fn merge_subject(
        &self,
        fingerprint: u64,
        record: &SubjectRecord,
    ) -> Result<(), RedisStoreError> {
        let merge = |kind, until| {
            self.merge(&[FingerprintedRevocation {
                fingerprint: Fingerprint::new(fingerprint),
                kind,
                until,
            }])
        };
        // First, because lifting a block relies on it. Also if it has expired: the set then
        // remembers the horizon, in case the clock steps back.
        merge(
            RevocationKind::Generation(record.access_epoch),
            record.until,
        )?;
        if record.blocked || record.cutoff > 0 {
            let block = SubjectBlock {
                in_force: record.blocked,
                by_generation: true,
                cutoff: record.cutoff,
            };
            merge(RevocationKind::Block(block), u64::MAX)?;
        }
        Ok(())
    }

    /// Adds revocations in one turn.
    pub(super) fn merge(
        &self,
        revocations: &[FingerprintedRevocation],
    ) -> Result<(), RedisStoreError> {
        let merged = self.set.write(|writer| {
            let mut revocations = revocations.iter();
            revocations.try_for_each(|revocation| writer.merge(revocation))
        });
        merged.map_err(|_| {
            // Redis has it and this node lacks it: from now on the node may not say that a token is
            // not revoked.
            self.freshness.record_overflow();
            RedisStoreError::SetFull
        })
    }

    /// Whether this node knows nothing that a server may have lost.
    pub(super) fn is_empty(&self) -> bool {
        self.set.state().entries() == 0 && self.subject_count() == 0
    }

    pub(super) fn subject_count(&self) -> usize {
        self.lock_subjects().len()
    }

    pub(super) fn subject(&self, fingerprint: u64) -> Option<SubjectRecord> {
        self.lock_subjects().get(&fingerprint).cloned()
    }

    /// The fingerprints of the subjects whose record is in force. Drops the others.
    pub(super) fn live_subjects(&self) -> Vec<u64> {
        self.drop_expired_subjects();
        self.lock_subjects().keys().copied().collect()
    }

    /// Drops the subjects whose record is no longer in force, once a minute.
    pub(super) fn prune_subjects(&self) {
        let now = self.now_in_seconds();
        // The clock may have been set back.
        if now.abs_diff(self.pruned_at.load(Ordering::Acquire)) >= 60 {
            self.pruned_at.store(now, Ordering::Release);
            self.drop_expired_subjects();
        }
    }

    fn drop_expired_subjects(&self) {
        let now = self.now_in_seconds();
        self.lock_subjects()
            .retain(|_, record| record.is_in_force(now, Self::LEEWAY_SECONDS));
    }

    fn lock_subjects(&self) -> MutexGuard<'_, HashMap<u64, SubjectRecord>> {
        self.subjects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
