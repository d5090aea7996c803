//! Entries that hold more than a fingerprint: until when they count, and a value.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::filter::Filter;
use super::fingerprint::Fingerprint;
use super::table::{self, Line, Table};

/// What a row speaks of. Rows of one subject share a fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A token whose `exp` is too far away for the buckets.
    Token,
    /// A session.
    Session,
    /// The value is the generation.
    Generation,
    /// The value is the cutoff, in seconds.
    Cutoff,
    /// The value is a [`Block`].
    Block,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Token,
        Self::Session,
        Self::Generation,
        Self::Cutoff,
        Self::Block,
    ];

    const BITS: u32 = 3;

    fn of(limit: u64) -> Option<Self> {
        let tag = limit & ((1 << Self::BITS) - 1);
        Self::ALL.into_iter().find(|kind| *kind as u64 == tag)
    }

    fn with(self, until: u64) -> u64 {
        until.min(NEVER) << Self::BITS | self as u64
    }
}

/// The `until` of what does not expire.
pub(super) const NEVER: u64 = u64::MAX >> Kind::BITS;

/// A block of a subject, or what a lifted one has left, as one word: so a reader sees it change at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// Whether it stands.
    pub(super) stands: bool,
    /// Once lifted: whether the generation tells which tokens were issued before, of those that carry one.
    pub(super) by_generation: bool,
    /// Once lifted: tokens issued in this second or before are dead.
    pub(super) cutoff: u64,
}

impl Block {
    const STANDS: u64 = 1 << 63;
    const BY_GENERATION: u64 = 1 << 62;

    pub(super) fn of(value: u64) -> Self {
        Self {
            stands: value & Self::STANDS != 0,
            by_generation: value & Self::BY_GENERATION != 0,
            cutoff: value & (Self::BY_GENERATION - 1),
        }
    }

    /// A new block of a subject that had one.
    pub(super) fn and(self, old: Self) -> Self {
        Self {
            cutoff: self.cutoff.max(old.cutoff),
            ..self
        }
    }

    pub(super) fn value(self) -> u64 {
        let flag = |set: bool, bit| if set { bit } else { 0 };
        flag(self.stands, Self::STANDS)
            | flag(self.by_generation, Self::BY_GENERATION)
            | self.cutoff.min(Self::BY_GENERATION - 1)
    }
}

/// A table of rows. Places are never used again, so a reader that has found a row may read the rest of it in peace; the
/// limit and the value change while they are read, each at once.
#[derive(Default)]
pub(super) struct Rows {
    lines: Box<[Line]>,
    filter: Filter,
    /// Until when the row counts, in seconds since the epoch, and its kind.
    limits: Box<[AtomicU64]>,
    /// Empty for tokens and sessions.
    values: Box<[AtomicU64]>,
}

/// A row's place.
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

    fn kind(self) -> Option<Kind> {
        Kind::of(self.limit())
    }

    /// The latest `exp` of what the row speaks of, in seconds since the epoch, rounded up.
    pub(super) fn until(self) -> u64 {
        self.limit() >> Kind::BITS
    }

    pub(super) fn value(self) -> u64 {
        let value = self.rows.values.get(self.place);
        value.map_or(0, |value| value.load(Ordering::Acquire))
    }

    /// Changes the row. Only one writer at a time may do so.
    pub(super) fn set(self, kind: Kind, until: u64, value: u64) {
        // A reader reads the limit first: with a new limit it sees the new value.
        // So an old value that has expired does not count again.
        if let Some(place) = self.rows.values.get(self.place) {
            place.store(value, Ordering::Release);
        }
        if let Some(place) = self.rows.limits.get(self.place) {
            place.store(kind.with(until), Ordering::Release);
        }
    }
}

/// Whether what expires at `until` is dead by now.
pub(super) fn is_over(until: u64, leeway: Duration, now: Duration) -> bool {
    until != NEVER && Duration::from_secs(until).saturating_add(leeway) <= now
}

impl Rows {
    #[inline]
    fn table(&self) -> Table<'_> {
        Table::of(&self.lines)
    }

    /// How many rows may lie in it.
    pub(super) fn room(&self) -> usize {
        self.table().room()
    }

    /// The row of that fingerprint and kind.
    #[inline]
    pub(super) fn find(&self, fingerprint: Fingerprint, kind: Kind) -> Option<Row<'_>> {
        let mut found = None;
        self.table().find(fingerprint, |place| {
            let row = Row { rows: self, place };
            let fits = row.kind() == Some(kind);
            if fits {
                found = Some(row);
            }
            fits
        });
        found
    }

    /// All rows of the subject with that fingerprint, if there is one.
    #[inline]
    pub(super) fn subject(&self, fingerprint: Fingerprint) -> Option<SubjectRows<'_>> {
        let mut found = SubjectRows::default();
        let mut is_any = false;
        self.table().find(fingerprint, |place| {
            let row = Row { rows: self, place };
            match row.kind() {
                Some(Kind::Generation) => found.generation = Some(row),
                Some(Kind::Cutoff) => found.cutoff = Some(row),
                Some(Kind::Block) => found.block = Some(row),
                _ => {}
            }
            is_any = true;
            false
        });
        is_any.then_some(found)
    }

    /// Adds a row that is not in the table. There must be [`room`](Rows::room).
    pub(super) fn put(&self, fingerprint: Fingerprint, kind: Kind, until: u64, value: u64) {
        self.table().put(fingerprint, |place| {
            Row { rows: self, place }.set(kind, until, value);
            self.filter.add(fingerprint);
        });
    }

    /// All rows: fingerprint, kind, until, value.
    pub(super) fn entries(&self) -> impl Iterator<Item = (Fingerprint, Kind, u64, u64)> {
        self.table().entries().filter_map(|(place, fingerprint)| {
            let row = Row { rows: self, place };
            Some((fingerprint, row.kind()?, row.until(), row.value()))
        })
    }

    /// A table for so many rows.
    pub(super) fn for_entries(entries: usize, with_values: bool) -> Self {
        let lines: Box<[Line]> = table::empty(entries);
        let column = |places| (0..places).map(|_| AtomicU64::default()).collect();
        let places = Table::of(&lines).places();
        Self {
            filter: Filter::for_places(places),
            limits: column(places),
            values: column(if with_values { places } else { 0 }),
            lines,
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        [
            size_of_val::<[Line]>(&self.lines),
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

/// Rows in shards by the lower bits of their fingerprints, so that the writer never has to build more than a part anew.
pub(super) type Shards = Arc<[Shard]>;

pub(super) const SHARDS: usize = 16;

/// Some of the rows, with their filter at hand.
#[derive(Clone, Default)]
pub(super) struct Shard {
    pub(super) filter: Filter,
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

pub(super) fn no_rows() -> Shards {
    let empty = Shard::default();
    (0..SHARDS).map(|_| empty.clone()).collect()
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the lower bits are meant")]
pub(super) fn shard_of(fingerprint: Fingerprint) -> usize {
    fingerprint.bits() as usize % SHARDS
}
