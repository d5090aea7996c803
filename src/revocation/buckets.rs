//! Revoked tokens in buckets by expiry. The set drops a bucket as a whole.

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "redis")]
use super::fingerprint::Fingerprint;
use super::table::{CacheLine, Table};

/// How many seconds of `exp` share a bucket.
///
/// A day has 1,350 buckets with an overhead of 88 bytes each, which is little. Of tokens that live
/// 5 minutes, a tenth has expired and waits for the end of its bucket.
pub(super) const WIDTH: u64 = 64;

const SLOTS_PER_GROUP: usize = 64;
const GROUPS: usize = 64;

/// The greatest number of buckets: 72 hours and 49 minutes.
///
/// Few tokens live longer. The set stores those as rows with their `exp`, so a late `exp` costs one
/// row.
pub(super) const BUCKETS: usize = SLOTS_PER_GROUP * GROUPS;

/// The number of the bucket of an `exp`, counted from the epoch.
#[inline]
pub(super) fn bucket_of(expires_at: Duration) -> u64 {
    expires_at.as_secs() / WIDTH
}

/// The end of a bucket, which is the start of the next one.
pub(super) fn end_of(bucket: u64) -> Duration {
    Duration::from_secs(bucket.saturating_add(1).saturating_mul(WIDTH))
}

/// The last second of a bucket.
pub(super) fn last_second_of(bucket: u64) -> u64 {
    end_of(bucket).as_secs().saturating_sub(1)
}

#[derive(Clone, Default)]
struct Slot {
    bucket: u64,
    fingerprints: Option<Arc<[CacheLine]>>,
}

#[derive(Clone)]
struct Group([Slot; SLOTS_PER_GROUP]);

/// A ring of buckets. A clone shares them.
#[derive(Clone)]
pub(super) struct Buckets([Arc<Group>; GROUPS]);

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "uses the lower bits only")]
fn position(bucket: u64) -> (usize, usize) {
    let slot = bucket as usize % BUCKETS;
    (slot / SLOTS_PER_GROUP, slot % SLOTS_PER_GROUP)
}

impl Buckets {
    pub(super) fn new() -> Self {
        let empty = Arc::new(Group(std::array::from_fn(|_| Slot::default())));
        Self(std::array::from_fn(|_| Arc::clone(&empty)))
    }

    /// The table in a bucket's slot of the ring, and the bucket it belongs to.
    #[inline]
    fn slot(&self, bucket: u64) -> Option<(u64, Table<'_>)> {
        let (group, slot) = position(bucket);
        let slot = self.0.get(group)?.0.get(slot)?;
        Some((slot.bucket, Table::new(slot.fingerprints.as_deref()?)))
    }

    #[inline]
    pub(super) fn get(&self, bucket: u64) -> Option<Table<'_>> {
        let (found, table) = self.slot(bucket)?;
        (found == bucket).then_some(table)
    }

    /// Which bucket occupies the slot of this one.
    pub(super) fn occupant_of(&self, bucket: u64) -> Option<u64> {
        self.slot(bucket).map(|(found, _)| found)
    }

    /// Sets a bucket, or removes it.
    pub(super) fn set(&mut self, bucket: u64, fingerprints: Option<Arc<[CacheLine]>>) {
        let (group, slot) = position(bucket);
        if let Some(group) = self.0.get_mut(group)
            && let Some(slot) = Arc::make_mut(group).0.get_mut(slot)
        {
            *slot = Slot {
                bucket,
                fingerprints,
            };
        }
    }

    /// The numbers of the buckets before `end`. The ring has no bucket before `first`.
    pub(super) fn numbers_between(&self, first: u64, end: u64) -> impl Iterator<Item = u64> {
        // One round of the ring visits every bucket.
        let first = first.max(end.saturating_sub(BUCKETS as u64));
        (first..end)
            .filter_map(|bucket| self.occupant_of(bucket))
            .filter(move |bucket| *bucket < end)
    }

    #[cfg(feature = "redis")]
    pub(super) fn entries(&self) -> impl Iterator<Item = (u64, Fingerprint)> {
        let slots = self.0.iter().flat_map(|group| &group.0);
        slots.flat_map(|slot| {
            let table = slot.fingerprints.as_deref().map(Table::new);
            let entries = table.unwrap_or_default().entries();
            entries.map(|(_, fingerprint)| (slot.bucket, fingerprint))
        })
    }

    pub(super) fn heap_bytes(&self) -> usize {
        // Empty groups share one allocation.
        let mut bytes = size_of::<Group>();
        for group in &self.0 {
            let mut used = false;
            for fingerprints in group.0.iter().filter_map(|slot| slot.fingerprints.as_ref()) {
                used = true;
                // The counters of the `Arc` take a cache line.
                bytes = bytes
                    .saturating_add(size_of_val::<[CacheLine]>(fingerprints))
                    .saturating_add(size_of::<CacheLine>());
            }
            if used {
                bytes = bytes.saturating_add(size_of::<Group>());
            }
        }
        bytes
    }
}

/// How many entries each bucket has. Only the writer uses this.
pub(super) struct Lengths(Box<[u32]>);

impl Lengths {
    pub(super) fn new() -> Self {
        Self(vec![0; BUCKETS].into())
    }

    pub(super) fn get_mut(&mut self, bucket: u64) -> Option<&mut u32> {
        let (group, slot) = position(bucket);
        self.0
            .get_mut(group.saturating_mul(SLOTS_PER_GROUP).saturating_add(slot))
    }
}
