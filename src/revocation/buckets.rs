//! Revoked tokens in buckets by when they expire.

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "redis")]
use super::fingerprint::Fingerprint;
use super::table::{Line, Table};

/// How many seconds of `exp` share a bucket.
///
/// Wide enough that the buckets of a day have little cost of their own (1,350 of them, 88 bytes each), narrow
/// enough that of tokens that live 5 minutes a tenth waits for its bucket's end.
pub(super) const WIDTH: u64 = 64;

const IN_GROUP: usize = 64;
const GROUPS: usize = 64;

/// How many buckets there may be at once: 72 hours and 49 minutes. Tokens that live longer are rare, and lie in rows that
/// hold their `exp`, so no `exp` costs more than a row.
pub(super) const BUCKETS: usize = IN_GROUP * GROUPS;

/// The bucket of an `exp`: its number since the epoch.
#[inline]
pub(super) fn bucket_of(expires_at: Duration) -> u64 {
    expires_at.as_secs() / WIDTH
}

/// The first moment that lies behind a bucket.
pub(super) fn end_of(bucket: u64) -> Duration {
    Duration::from_secs(bucket.saturating_add(1).saturating_mul(WIDTH))
}

#[derive(Clone, Default)]
struct Slot {
    bucket: u64,
    fingerprints: Option<Arc<[Line]>>,
}

#[derive(Clone)]
struct Group([Slot; IN_GROUP]);

/// The buckets, in a ring. A clone shares them.
#[derive(Clone)]
pub(super) struct Buckets([Arc<Group>; GROUPS]);

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the lower bits are meant")]
fn position(bucket: u64) -> (usize, usize) {
    let slot = bucket as usize % BUCKETS;
    (slot / IN_GROUP, slot % IN_GROUP)
}

impl Buckets {
    pub(super) fn new() -> Self {
        let empty = Arc::new(Group(std::array::from_fn(|_| Slot::default())));
        Self(std::array::from_fn(|_| Arc::clone(&empty)))
    }

    /// What lies in a bucket's place of the ring, and whose it is.
    #[inline]
    fn slot(&self, bucket: u64) -> Option<(u64, Table<'_>)> {
        let (group, slot) = position(bucket);
        let slot = self.0.get(group)?.0.get(slot)?;
        Some((slot.bucket, Table::of(slot.fingerprints.as_deref()?)))
    }

    /// The bucket, if there is one.
    #[inline]
    pub(super) fn get(&self, bucket: u64) -> Option<Table<'_>> {
        let (found, table) = self.slot(bucket)?;
        (found == bucket).then_some(table)
    }

    /// Which bucket lies in the place of this one.
    pub(super) fn in_place_of(&self, bucket: u64) -> Option<u64> {
        self.slot(bucket).map(|(found, _)| found)
    }

    /// Puts in a bucket, or takes it out.
    pub(super) fn set(&mut self, bucket: u64, fingerprints: Option<Arc<[Line]>>) {
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

    /// The numbers of the buckets from `first` up to `end`, of which there are none before `first`.
    pub(super) fn numbers_between(&self, first: u64, end: u64) -> impl Iterator<Item = u64> {
        // Once around the ring meets each, however far apart the two lie.
        let first = first.max(end.saturating_sub(BUCKETS as u64));
        (first..end)
            .filter_map(|bucket| self.in_place_of(bucket))
            .filter(move |bucket| *bucket < end)
    }

    /// All that lies in buckets, each with the bucket's number.
    #[cfg(feature = "redis")]
    pub(super) fn entries(&self) -> impl Iterator<Item = (u64, Fingerprint)> {
        let slots = self.0.iter().flat_map(|group| &group.0);
        slots.flat_map(|slot| {
            let table = slot.fingerprints.as_deref().map(Table::of);
            let entries = table.unwrap_or_default().entries();
            entries.map(|(_, id)| (slot.bucket, id))
        })
    }

    pub(super) fn heap_bytes(&self) -> usize {
        // Groups without buckets share one.
        let mut bytes = size_of::<Group>();
        for group in &self.0 {
            let mut used = false;
            for fingerprints in group.0.iter().filter_map(|slot| slot.fingerprints.as_ref()) {
                used = true;
                // The counters of the `Arc`, filled up to a line.
                bytes = bytes
                    .saturating_add(size_of_val::<[Line]>(fingerprints))
                    .saturating_add(size_of::<Line>());
            }
            if used {
                bytes = bytes.saturating_add(size_of::<Group>());
            }
        }
        bytes
    }
}

/// How many entries each bucket has. Only the writer's business.
pub(super) struct Lengths(Box<[u32]>);

impl Lengths {
    pub(super) fn new() -> Self {
        Self(vec![0; BUCKETS].into())
    }

    pub(super) fn get_mut(&mut self, bucket: u64) -> Option<&mut u32> {
        let (group, slot) = position(bucket);
        self.0
            .get_mut(group.saturating_mul(IN_GROUP).saturating_add(slot))
    }
}
