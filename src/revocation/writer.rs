//! The writer's side of the set. One at a time.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::Revocation;
use super::buckets::{self, BUCKETS, Lengths};
use super::fingerprint::Fingerprint;
#[cfg(feature = "redis")]
use super::mark::{Mark, MarkKind};
use super::root::{Flags, Root, TableOf};
use super::rows::{self, Block, Kind, NEVER, Rows, SHARDS};
use super::set::{RevocationSetFull, RevocationSetState, Settings};
use super::table::Table;
use crate::claims::NumericDate;

/// How many rows each write looks at to find expired ones, on average.
const SWEEP: usize = 8;

/// What only writers need to know.
pub(super) struct Writer {
    lengths: Lengths,
    counts: Counts,
    /// No bucket before this one is left.
    first_bucket: u64,
    sessions: [Shard; SHARDS],
    subjects: [Shard; SHARDS],
    /// The shard to look at next, and how many rows may be looked at.
    sweep: usize,
    credit: usize,
    /// Roots that a reader was still reading when they were replaced. They are dropped here, not by that reader: giving back
    /// the memory of a big table takes time.
    retired: Vec<Arc<Root>>,
}

#[derive(Clone, Copy)]
struct Shard {
    rows: usize,
    /// No row expires earlier.
    earliest: u64,
}

const NO_ROWS: Shard = Shard {
    rows: 0,
    earliest: NEVER,
};

#[derive(Clone, Copy, Default)]
struct Counts {
    tokens: usize,
    far_tokens: usize,
    sessions: usize,
    generations: usize,
    cutoffs: usize,
    blocks: usize,
}

impl Counts {
    fn all(&self) -> usize {
        [
            self.tokens,
            self.far_tokens,
            self.sessions,
            self.generations,
            self.cutoffs,
            self.blocks,
        ]
        .iter()
        .fold(0, |sum, count| sum.saturating_add(*count))
    }

    fn flags(&self) -> Flags {
        Flags {
            far_tokens: self.far_tokens > 0,
            sessions: self.sessions > 0,
            subjects: [self.generations, self.cutoffs, self.blocks] != [0; 3],
        }
    }

    fn of(&mut self, kind: Kind) -> &mut usize {
        match kind {
            Kind::Token => &mut self.far_tokens,
            Kind::Session => &mut self.sessions,
            Kind::Generation => &mut self.generations,
            Kind::Cutoff => &mut self.cutoffs,
            Kind::Block => &mut self.blocks,
        }
    }
}

/// The latest `exp` of tokens issued in that second or before. The fraction of the second counts.
fn lifted_until(settings: &Settings, second: u64) -> u64 {
    Duration::from_secs(second)
        .saturating_add(settings.longest_lifetime)
        .as_secs()
        .saturating_add(1)
}

/// A row to be written, or added to the one there is.
struct NewRow {
    kind: Kind,
    id: Fingerprint,
    until: u64,
    value: u64,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self {
            lengths: Lengths::new(),
            counts: Counts::default(),
            first_bucket: u64::MAX,
            sessions: [NO_ROWS; SHARDS],
            subjects: [NO_ROWS; SHARDS],
            sweep: 0,
            credit: 0,
            retired: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.counts.all() == 0
    }

    pub(super) fn state(&self) -> RevocationSetState {
        RevocationSetState {
            tokens: self.counts.tokens.saturating_add(self.counts.far_tokens),
            sessions: self.counts.sessions,
            generations: self.counts.generations,
            cutoffs: self.counts.cutoffs,
            blocks: self.counts.blocks,
            ..RevocationSetState::default()
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        BUCKETS.saturating_mul(size_of::<u32>())
    }

    pub(super) fn revoke(
        &mut self,
        settings: &Settings,
        root: &ArcSwap<Root>,
        revocation: &Revocation<'_>,
    ) -> Result<(), RevocationSetFull> {
        match *revocation {
            Revocation::Token {
                issuer,
                jti,
                expires_at,
            } => {
                let id = settings.ids.issuer(issuer).token(jti);
                self.revoke_token(settings, root, id, expires_at)
            }
            Revocation::Session { issuer, sid, until } => {
                let row = NewRow {
                    kind: Kind::Session,
                    id: settings.ids.issuer(issuer).session(sid),
                    until: until.seconds_up(),
                    value: 0,
                };
                self.add_row(settings, root, &row)
            }
            Revocation::Generation {
                issuer,
                subject,
                generation,
                until,
            } => {
                if generation == 0 {
                    // No token has less, and a row would exempt tokens from what a lifted block has
                    // left.
                    return Ok(());
                }
                let row = NewRow {
                    kind: Kind::Generation,
                    id: settings.ids.issuer(issuer).subject(subject),
                    until: until.seconds_up(),
                    value: generation,
                };
                self.add_row(settings, root, &row)
            }
            Revocation::Cutoff {
                issuer,
                subject,
                issued_at,
                until,
            } => {
                let row = NewRow {
                    kind: Kind::Cutoff,
                    id: settings.ids.issuer(issuer).subject(subject),
                    until: until.seconds_up(),
                    value: issued_at.seconds(),
                };
                self.add_row(settings, root, &row)
            }
            Revocation::Block { issuer, subject } => {
                let block = Block {
                    stands: true,
                    by_generation: false,
                    // So that lifting revives nothing even if the clock steps back before.
                    cutoff: settings.now().as_secs(),
                };
                let row = NewRow {
                    kind: Kind::Block,
                    id: settings.ids.issuer(issuer).subject(subject),
                    until: NEVER,
                    value: block.value(),
                };
                self.add_row(settings, root, &row)
            }
        }
    }

    #[cfg(feature = "redis")]
    pub(super) fn merge(
        &mut self,
        settings: &Settings,
        root: &ArcSwap<Root>,
        mark: &Mark,
    ) -> Result<(), RevocationSetFull> {
        let id = Fingerprint::new(mark.id);
        let row = |kind, value| NewRow {
            kind,
            id,
            until: mark.until.min(NEVER),
            value,
        };
        let row = match mark.kind {
            MarkKind::Token => {
                let expires_at = NumericDate::from_seconds(mark.until);
                let expires_at = expires_at.unwrap_or(NumericDate::MAX);
                return self.revoke_token(settings, root, id, expires_at);
            }
            MarkKind::Session => row(Kind::Session, 0),
            MarkKind::Cutoff { second } => row(Kind::Cutoff, second),
            MarkKind::Generation(0) => return Ok(()),
            MarkKind::Generation(generation) => row(Kind::Generation, generation),
            MarkKind::Block {
                stands,
                by_generation,
                cutoff,
            } => {
                let block = Block {
                    stands,
                    by_generation,
                    cutoff,
                };
                let until = if stands {
                    NEVER
                } else {
                    lifted_until(settings, cutoff)
                };
                let row = NewRow {
                    kind: Kind::Block,
                    id,
                    until,
                    value: block.value(),
                };
                return self.set_block(settings, root, &row);
            }
        };
        self.add_row(settings, root, &row)
    }

    /// Makes the block of a subject what the row says.
    #[cfg(feature = "redis")]
    fn set_block(
        &mut self,
        settings: &Settings,
        root: &ArcSwap<Root>,
        new: &NewRow,
    ) -> Result<(), RevocationSetFull> {
        let shard = rows::shard_of(new.id);
        let current = root.load();
        let rows = current.shard(TableOf::Subjects, shard);
        let Some(row) = rows.and_then(|rows| rows.find(new.id, Kind::Block)) else {
            drop(current);
            return self.add_row(settings, root, new);
        };
        row.set(Kind::Block, new.until, new.value);
        let mut known = self.shard(TableOf::Subjects, shard);
        known.earliest = known.earliest.min(new.until);
        self.set_shard(TableOf::Subjects, shard, known);
        Ok(())
    }

    fn revoke_token(
        &mut self,
        settings: &Settings,
        root: &ArcSwap<Root>,
        id: Fingerprint,
        expires_at: NumericDate,
    ) -> Result<(), RevocationSetFull> {
        let now = settings.now();
        let expires_at_exact = expires_at.since_epoch();
        let bucket = buckets::bucket_of(expires_at_exact);
        let current = root.load_full();
        if current.is_forgotten(expires_at_exact) {
            return Ok(());
        }
        if expires_at_exact.saturating_add(settings.leeway) <= now {
            self.forget(root, expires_at_exact);
            return Ok(());
        }
        let known = current.tokens.get(bucket);
        if known.is_some_and(|table| table.contains(id)) {
            return Ok(());
        }
        let is_far = bucket.saturating_sub(buckets::bucket_of(now)) >= BUCKETS as u64;
        let is_taken = current
            .tokens
            .in_place_of(bucket)
            .is_some_and(|other| other != bucket);
        if is_far || is_taken {
            let row = NewRow {
                kind: Kind::Token,
                id,
                until: expires_at.seconds_up(),
                value: 0,
            };
            return self.add_row(settings, root, &row);
        }
        drop(current);
        let room = self.make_room(settings, root);
        if room.is_err() && self.holds_far_token(root, id, expires_at.seconds_up()) {
            return Ok(());
        }
        room?;
        self.put_token(root, bucket, id);
        Ok(())
    }

    /// Whether a token that expires then lies among those that were too far ahead for a bucket.
    fn holds_far_token(&self, root: &ArcSwap<Root>, id: Fingerprint, until: u64) -> bool {
        let current = root.load();
        let rows = current.shard(TableOf::Sessions, rows::shard_of(id));
        rows.and_then(|rows| rows.find(id, Kind::Token))
            .is_some_and(|row| row.until() >= until)
    }

    fn put_token(&mut self, root: &ArcSwap<Root>, bucket: u64, id: Fingerprint) {
        let Some(length) = self.lengths.get_mut(bucket) else {
            return;
        };
        let entries = *length as usize;
        *length = length.saturating_add(1);
        self.counts.tokens = self.counts.tokens.saturating_add(1);
        self.first_bucket = self.first_bucket.min(bucket);
        let current = root.load_full();
        let table = current.tokens.get(bucket).unwrap_or_default();
        if entries < table.room() {
            table.put(id, |_| ());
            return;
        }
        let grown = table.grown(entries);
        Table::of(&grown).put(id, |_| ());
        let mut next = Root::clone(&current);
        next.tokens.set(bucket, Some(grown));
        drop(current);
        self.publish(root, next);
    }

    /// Adds a row, or adds to the one there is.
    fn add_row(
        &mut self,
        settings: &Settings,
        root: &ArcSwap<Root>,
        new: &NewRow,
    ) -> Result<(), RevocationSetFull> {
        let table = TableOf::kind(new.kind);
        let shard = rows::shard_of(new.id);
        if let Some(rows) = root.load().shard(table, shard)
            && let Some(row) = rows.find(new.id, new.kind)
        {
            let value = match new.kind {
                Kind::Block => Block::of(new.value).and(Block::of(row.value())).value(),
                _ => new.value.max(row.value()),
            };
            row.set(new.kind, new.until.max(row.until()), value);
            return Ok(());
        }
        if rows::is_over(new.until, settings.leeway, settings.now()) {
            self.forget(root, Duration::from_secs(new.until));
            return Ok(());
        }
        self.make_room(settings, root)?;
        let has_room = root
            .load()
            .shard(table, shard)
            .is_some_and(|rows| self.shard(table, shard).rows < rows.room());
        if !has_room {
            self.rebuild(settings, root, table, shard, 1);
        }
        if let Some(rows) = root.load().shard(table, shard) {
            rows.put(new.id, new.kind, new.until, new.value);
        }
        let mut known = self.shard(table, shard);
        known.rows = known.rows.saturating_add(1);
        known.earliest = known.earliest.min(new.until);
        self.set_shard(table, shard, known);
        let count = self.counts.of(new.kind);
        *count = count.saturating_add(1);
        self.update_flags(root);
        Ok(())
    }

    pub(super) fn lift_block(
        &mut self,
        settings: &Settings,
        root: &ArcSwap<Root>,
        id: Fingerprint,
        by_generation: bool,
    ) -> bool {
        let shard = rows::shard_of(id);
        let current = root.load();
        let Some(row) = current
            .shard(TableOf::Subjects, shard)
            .and_then(|rows| rows.find(id, Kind::Block))
        else {
            return false;
        };
        let block = Block::of(row.value());
        if !block.stands {
            return false;
        }
        let now = settings.now();
        let lifted = Block {
            stands: false,
            by_generation,
            cutoff: block.cutoff.max(now.as_secs()),
        };
        let until = lifted_until(settings, lifted.cutoff);
        row.set(Kind::Block, until, lifted.value());
        let mut known = self.shard(TableOf::Subjects, shard);
        known.earliest = known.earliest.min(until);
        self.set_shard(TableOf::Subjects, shard, known);
        true
    }

    pub(super) fn lift_block_by_generation(
        &mut self,
        settings: &Settings,
        root: &ArcSwap<Root>,
        id: Fingerprint,
        generation: u64,
    ) -> Result<bool, RevocationSetFull> {
        if generation == 0 {
            return Ok(self.lift_block(settings, root, id, false));
        }
        if !self.is_blocked(root, id) {
            return Ok(false);
        }
        let row = NewRow {
            kind: Kind::Generation,
            id,
            until: lifted_until(settings, settings.now().as_secs()),
            value: generation,
        };
        self.add_row(settings, root, &row)?;
        Ok(self.lift_block(settings, root, id, true))
    }

    fn is_blocked(&self, root: &ArcSwap<Root>, id: Fingerprint) -> bool {
        let current = root.load();
        let rows = current.shard(TableOf::Subjects, rows::shard_of(id));
        rows.and_then(|rows| rows.find(id, Kind::Block))
            .is_some_and(|row| Block::of(row.value()).stands)
    }

    /// Whether there is room for one more, once what has expired is dropped.
    fn make_room(
        &mut self,
        settings: &Settings,
        root: &ArcSwap<Root>,
    ) -> Result<(), RevocationSetFull> {
        if self.counts.all() < settings.capacity {
            return Ok(());
        }
        self.prune_tokens(settings, root, usize::MAX);
        for shard in 0..SHARDS {
            self.prune_rows(settings, root, shard);
        }
        if self.counts.all() < settings.capacity {
            return Ok(());
        }
        Err(RevocationSetFull)
    }

    /// Drops a part of what has expired, so that many writes drop all of it.
    pub(super) fn prune_a_little(&mut self, settings: &Settings, root: &ArcSwap<Root>) {
        self.release();
        self.prune_tokens(settings, root, 2);
        let now = settings.now();
        self.credit = self.credit.saturating_add(SWEEP);
        loop {
            let table = TableOf::number(self.sweep);
            let shard = self.sweep / 2 % SHARDS;
            let known = self.shard(table, shard);
            let is_due = rows::is_over(known.earliest, settings.leeway, now);
            let cost = if is_due { known.rows.max(1) } else { 1 };
            let Some(credit) = self.credit.checked_sub(cost) else {
                break;
            };
            self.credit = credit;
            self.sweep = self.sweep.wrapping_add(1);
            if is_due {
                self.rebuild(settings, root, table, shard, 0);
            }
        }
    }

    /// Drops buckets that have expired, at most so many.
    pub(super) fn prune_tokens(
        &mut self,
        settings: &Settings,
        root: &ArcSwap<Root>,
        at_most: usize,
    ) {
        // Buckets before this one end, with the leeway, by now.
        let ripe = settings
            .now()
            .checked_sub(settings.leeway)
            .map_or(0, buckets::bucket_of);
        if ripe <= self.first_bucket {
            return;
        }
        let current = root.load_full();
        let mut expired: Vec<u64> = current
            .tokens
            .numbers_between(self.first_bucket, ripe)
            .collect();
        expired.sort_unstable();
        self.first_bucket = expired.get(at_most).copied().unwrap_or(ripe);
        expired.truncate(at_most);
        let Some(last) = expired.last() else {
            return;
        };
        let mut next = Root::clone(&current);
        next.forget(buckets::end_of(*last));
        for bucket in expired {
            next.tokens.set(bucket, None);
            if let Some(length) = self.lengths.get_mut(bucket) {
                self.counts.tokens = self.counts.tokens.saturating_sub(*length as usize);
                *length = 0;
            }
        }
        drop(current);
        self.publish(root, next);
    }

    /// Drops what has expired in a shard of the sessions and of the subjects.
    pub(super) fn prune_rows(&mut self, settings: &Settings, root: &ArcSwap<Root>, shard: usize) {
        let now = settings.now();
        for table in [TableOf::Sessions, TableOf::Subjects] {
            if rows::is_over(self.shard(table, shard).earliest, settings.leeway, now) {
                self.rebuild(settings, root, table, shard, 0);
            }
        }
    }

    /// Builds a shard anew, without what has expired, and with room for so many more.
    fn rebuild(
        &mut self,
        settings: &Settings,
        root: &ArcSwap<Root>,
        table: TableOf,
        shard: usize,
        more: usize,
    ) {
        let current = root.load_full();
        let Some(old) = current.shard(table, shard) else {
            return;
        };
        let now = settings.now();
        let mut next = Root::clone(&current);
        let mut live = NO_ROWS;
        for (_, kind, until, _) in old.entries() {
            if rows::is_over(until, settings.leeway, now) {
                next.forget(Duration::from_secs(until));
                let count = self.counts.of(kind);
                *count = count.saturating_sub(1);
            } else {
                live.rows = live.rows.saturating_add(1);
                live.earliest = live.earliest.min(until);
            }
        }
        let has_dropped = live.rows < self.shard(table, shard).rows;
        self.set_shard(table, shard, live);
        if more == 0 && !has_dropped {
            return;
        }
        let new = Rows::for_entries(live.rows.saturating_add(more), table == TableOf::Subjects);
        for (id, kind, until, value) in old.entries() {
            if !rows::is_over(until, settings.leeway, now) {
                new.put(id, kind, until, value);
            }
        }
        next.set_shard(table, shard, new);
        next.set_flags(self.counts.flags());
        drop(current);
        self.publish(root, next);
    }

    /// Notes that tokens with this `exp`, which are dead, are not held.
    fn forget(&mut self, root: &ArcSwap<Root>, expires_at: Duration) {
        let current = root.load_full();
        if !current.is_forgotten(expires_at) {
            let mut next = Root::clone(&current);
            next.forget(expires_at);
            drop(current);
            self.publish(root, next);
        }
    }

    /// Has readers look for the kinds that there are, and no others.
    fn update_flags(&mut self, root: &ArcSwap<Root>) {
        let current = root.load_full();
        let flags = self.counts.flags();
        if current.flags != flags {
            let mut next = Root::clone(&current);
            next.set_flags(flags);
            drop(current);
            self.publish(root, next);
        }
    }

    fn publish(&mut self, root: &ArcSwap<Root>, next: Root) {
        self.retired.push(root.swap(Arc::new(next)));
        self.release();
    }

    fn release(&mut self) {
        self.retired.retain(|root| Arc::strong_count(root) > 1);
    }

    fn shard(&self, table: TableOf, shard: usize) -> Shard {
        let shards = match table {
            TableOf::Sessions => &self.sessions,
            TableOf::Subjects => &self.subjects,
        };
        shards.get(shard).copied().unwrap_or(NO_ROWS)
    }

    fn set_shard(&mut self, table: TableOf, shard: usize, known: Shard) {
        let shards = match table {
            TableOf::Sessions => &mut self.sessions,
            TableOf::Subjects => &mut self.subjects,
        };
        if let Some(shard) = shards.get_mut(shard) {
            *shard = known;
        }
    }
}
