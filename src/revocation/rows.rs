//! Tables of revocations that store more than a fingerprint: an expiry, and often a value.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::filter::BloomFilter;
use super::fingerprint::Fingerprint;
use super::fingerprinted::{FingerprintedRevocation, NEVER, RevocationKind, SubjectBlock};
use super::table::{self, CacheLine, Table};

/// A table of rows.
///
/// Places are never reused, so a reader that has found a row can read its columns. The writer
/// changes limit and value in place, each with one atomic store.
#[derive(Default)]
pub(super) struct Rows {
    lines: Box<[CacheLine]>,
    filter: BloomFilter,
    /// The `until` of the row and, in the lower bits, its kind.
    limits: Box<[AtomicU64]>,
    /// Empty for tokens and sessions.
    values: Box<[AtomicU64]>,
}

/// A row, by its place in the table.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    rows: &'a Rows,
    place: usize,
}

impl Row<'_> {
    fn limit(self) -> u64 {
        // Every place has a limit.
        let limit = self.rows.limits.get(self.place);
        limit.map_or(u64::MAX, |limit| limit.load(Ordering::Acquire))
    }

    fn kind(self) -> Option<RowKind> {
        RowKind::of_limit(self.limit())
    }

    /// The latest `exp` of the revoked tokens, in seconds since the epoch, rounded up.
    pub(super) fn until(self) -> u64 {
        self.limit() >> RowKind::BITS
    }

    pub(super) fn value(self) -> u64 {
        let value = self.rows.values.get(self.place);
        value.map_or(0, |value| value.load(Ordering::Acquire))
    }

    /// Keeps the later expiry, and the higher value. Of two blocks the cutoff is the later one.
    pub(super) fn merge(self, new: &FingerprintedRevocation) {
        let value = match new.kind {
            RevocationKind::Block(block) => block
                .with_later_cutoff(SubjectBlock::from_word(self.value()))
                .to_word(),
            kind => kind.value().max(self.value()),
        };
        self.store(new.kind.row_kind(), new.until.max(self.until()), value);
    }

    /// Overwrites the row.
    pub(super) fn set(self, kind: RevocationKind, until: u64) {
        self.store(kind.row_kind(), until, kind.value());
    }

    /// Only one thread at a time may call this.
    fn store(self, kind: RowKind, until: u64, value: u64) {
        // Readers read the limit first. A reader that sees the new limit also sees the new value,
        // so an expired value never applies again.
        if let Some(place) = self.rows.values.get(self.place) {
            place.store(value, Ordering::Release);
        }
        if let Some(place) = self.rows.limits.get(self.place) {
            place.store(kind.limit(until), Ordering::Release);
        }
    }
}

impl Rows {
    #[inline]
    fn table(&self) -> Table<'_> {
        Table::new(&self.lines)
    }

    /// The greatest number of rows.
    pub(super) fn capacity(&self) -> usize {
        self.table().capacity()
    }

    #[inline]
    pub(super) fn find(&self, fingerprint: Fingerprint, kind: RowKind) -> Option<Row<'_>> {
        let mut found = None;
        self.table().find(fingerprint, |place| {
            let row = Row { rows: self, place };
            let matches = row.kind() == Some(kind);
            if matches {
                found = Some(row);
            }
            matches
        });
        found
    }

    /// All rows of a subject. `None` if it has none.
    #[inline]
    pub(super) fn subject(&self, fingerprint: Fingerprint) -> Option<SubjectRows<'_>> {
        let mut found = SubjectRows::default();
        let mut is_any = false;
        self.table().find(fingerprint, |place| {
            let row = Row { rows: self, place };
            match row.kind() {
                Some(RowKind::Generation) => found.generation = Some(row),
                Some(RowKind::Cutoff) => found.cutoff = Some(row),
                Some(RowKind::Block) => found.block = Some(row),
                _ => {}
            }
            is_any = true;
            false
        });
        is_any.then_some(found)
    }

    /// Adds a row. The caller checks that the table does not contain it and is not full.
    pub(super) fn insert(&self, new: &FingerprintedRevocation) {
        self.table().insert(new.fingerprint, |place| {
            Row { rows: self, place }.set(new.kind, new.until);
            self.filter.insert(new.fingerprint);
        });
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = FingerprintedRevocation> {
        self.table().entries().filter_map(|(place, fingerprint)| {
            let row = Row { rows: self, place };
            Some(FingerprintedRevocation {
                fingerprint,
                kind: row.kind()?.with_value(row.value()),
                until: row.until(),
            })
        })
    }

    /// An empty table with capacity for this many rows.
    pub(super) fn with_capacity(rows: usize, with_values: bool) -> Self {
        let lines: Box<[CacheLine]> = table::empty_lines(rows);
        let column = |places| (0..places).map(|_| AtomicU64::default()).collect();
        let places = Table::new(&lines).places();
        Self {
            filter: BloomFilter::for_places(places),
            limits: column(places),
            values: column(if with_values { places } else { 0 }),
            lines,
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        [
            size_of_val::<[CacheLine]>(&self.lines),
            self.filter.heap_bytes(),
            size_of_val::<[AtomicU64]>(&self.limits),
            size_of_val::<[AtomicU64]>(&self.values),
        ]
        .iter()
        .sum()
    }
}

/// The rows of a subject.
#[derive(Clone, Copy, Default)]
pub(super) struct SubjectRows<'a> {
    pub(super) generation: Option<Row<'a>>,
    pub(super) cutoff: Option<Row<'a>>,
    pub(super) block: Option<Row<'a>>,
}

/// Rows in shards by the lower bits of their fingerprints. The writer rebuilds one shard at a time.
pub(super) type Shards = Arc<[Shard]>;

pub(super) const SHARDS: usize = 16;

/// A part of the rows. Its filter is reached without going through the table.
#[derive(Clone, Default)]
pub(super) struct Shard {
    pub(super) filter: BloomFilter,
    pub(super) rows: Arc<Rows>,
}

impl From<Rows> for Shard {
    fn from(rows: Rows) -> Self {
        Self {
            filter: rows.filter.clone(),
            rows: Arc::new(rows),
        }
    }
}

pub(super) fn empty_shards() -> Shards {
    let empty = Shard::default();
    (0..SHARDS).map(|_| empty.clone()).collect()
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "uses the lower bits only")]
pub(super) fn shard_of(fingerprint: Fingerprint) -> usize {
    fingerprint.bits() as usize % SHARDS
}

/// The two tables of rows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RowTable {
    Sessions,
    Subjects,
}

impl RowTable {
    pub(super) fn of(kind: RowKind) -> Self {
        match kind {
            RowKind::Token | RowKind::Session => Self::Sessions,
            RowKind::Generation | RowKind::Cutoff | RowKind::Block => Self::Subjects,
        }
    }
}

/// The kind of a row. All rows of a subject have the same fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowKind {
    /// A token that expires too late for the buckets.
    Token,
    Session,
    /// The value is the generation.
    Generation,
    /// The value is the cutoff, in seconds since the epoch.
    Cutoff,
    /// The value is a [`SubjectBlock`].
    Block,
}

impl RowKind {
    const ALL: [Self; 5] = [
        Self::Token,
        Self::Session,
        Self::Generation,
        Self::Cutoff,
        Self::Block,
    ];

    const BITS: u32 = 3;

    fn of_limit(limit: u64) -> Option<Self> {
        let tag = limit & ((1 << Self::BITS) - 1);
        Self::ALL.into_iter().find(|kind| *kind as u64 == tag)
    }

    fn limit(self, until: u64) -> u64 {
        until.min(NEVER) << Self::BITS | self as u64
    }

    fn with_value(self, value: u64) -> RevocationKind {
        match self {
            Self::Token => RevocationKind::Token,
            Self::Session => RevocationKind::Session,
            Self::Generation => RevocationKind::Generation(value),
            Self::Cutoff => RevocationKind::Cutoff(value),
            Self::Block => RevocationKind::Block(SubjectBlock::from_word(value)),
        }
    }
}

impl RevocationKind {
    pub(super) fn row_kind(self) -> RowKind {
        match self {
            Self::Token => RowKind::Token,
            Self::Session => RowKind::Session,
            Self::Generation(_) => RowKind::Generation,
            Self::Cutoff(_) => RowKind::Cutoff,
            Self::Block(_) => RowKind::Block,
        }
    }

    fn value(self) -> u64 {
        match self {
            Self::Token | Self::Session => 0,
            Self::Generation(value) | Self::Cutoff(value) => value,
            Self::Block(block) => block.to_word(),
        }
    }
}
