//! The tables, and what each call does to them in its one step.

use std::time::Duration;

use redb::{
    Database, Durability, ReadOnlyTable, ReadableTable, ReadableTableMetadata, Table,
    TableDefinition, TableHandle, WriteTransaction,
};

use super::error::EmbeddedStoreError as Error;
use super::file::Device;
use super::known::{Known, Mark, id, subject_id};
use super::row::{
    Reader, Seal, SessionRow, SubjectRow, VERSION, put_date, put_text, read_subject_key,
    subject_key,
};
use crate::claims::NumericDate;
use crate::session::{
    CreationOutcome, MAX_ACCESS_LIFETIME, Rotation, RotationOutcome, RotationRejection, Session,
    SessionId, Subject, SubjectState,
};

/// What the store knows of itself.
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("tower-jwt-auth");
/// Sessions by id.
const SESSIONS: TableDefinition<'_, [u8; 16], &[u8]> = TableDefinition::new("sessions");
/// When to look whether a session is dead, and its id.
const EXPIRY: TableDefinition<'_, [u8; 24], ()> = TableDefinition::new("sessions by expiry");
/// A subject, and the id of a session that it has.
const OWNERS: TableDefinition<'_, &[u8], ()> = TableDefinition::new("sessions by subject");
/// Subjects that were ever blocked or logged out everywhere.
const SUBJECTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("subjects");
/// When a revocation can go, and what was revoked.
const REVOCATIONS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("revocations");

/// Until which second revocations were dropped.
const FORGOTTEN: &str = "forgotten until";
/// How many commits there were.
const COMMITS: &str = "commits";

const MAGIC: [u8; 16] = *b"tower-jwt-auth\0\x01";
const FORMAT: u32 = 2;

/// Why a call fails: by itself, or together with all that share its commit.
pub(super) enum Failure {
    /// This call alone. It has changed nothing.
    Call(Error),
    /// The file.
    File(Error),
}

impl<E: Into<redb::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::File(error.into().into())
    }
}

fn call(error: Error) -> Failure {
    Failure::Call(error)
}

/// A database, and what it lies on.
pub(super) struct Open {
    pub(super) database: Database,
    pub(super) device: Device,
}

pub(super) fn begin(database: &Database) -> Result<WriteTransaction, Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate);
    // A file that was not closed is opened at once, and a commit is not guessed from checksums: who chooses the names and labels
    // that are written must not be able to choose what is read after a crash.
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// Makes the tables, or checks that they are those of a store. What to remember, and how many commits there were.
pub(super) fn prepare(database: &Database) -> Result<(), Error> {
    {
        let transaction = database.begin_read()?;
        match transaction.open_table(META) {
            Ok(meta) => return check_format(&meta),
            Err(redb::TableError::TableDoesNotExist(_)) => {}
            Err(redb::TableError::Storage(error)) => return Err(error.into()),
            Err(_) => return Err(Error::ForeignFile),
        }
        let mut others = transaction.list_tables()?;
        if others.any(|table| table.name() != META.name())
            || transaction.list_multimap_tables()?.next().is_some()
        {
            return Err(Error::ForeignFile);
        }
    }
    let transaction = begin(database)?;
    {
        let mut meta = transaction.open_table(META)?;
        let mut format = [&MAGIC[..], &FORMAT.to_be_bytes()].concat();
        Seal::Meta.put(b"format", &mut format);
        meta.insert("format", &*format)?;
    }
    drop(Tables::open(&transaction, 0, Duration::ZERO));
    transaction.commit()?;
    Ok(())
}

fn check_format(meta: &ReadOnlyTable<&str, &[u8]>) -> Result<(), Error> {
    let Some(format) = meta.get("format")? else {
        return Err(Error::ForeignFile);
    };
    let Some(version) = format.value().strip_prefix(&MAGIC) else {
        return Err(Error::ForeignFile);
    };
    match version
        .first_chunk()
        .map(|version| u32::from_be_bytes(*version))
    {
        Some(FORMAT) => Seal::Meta.check(b"format", format.value()).map(drop),
        Some(version) if version > FORMAT => Err(Error::NewerFormat),
        Some(version) if version > 0 => Err(Error::OlderFormat),
        _ => Err(Error::ForeignFile),
    }
}

/// All tables in a transaction that writes.
pub(super) struct Tables<'t> {
    meta: Table<'t, &'static str, &'static [u8]>,
    sessions: Table<'t, [u8; 16], &'static [u8]>,
    expiry: Table<'t, [u8; 24], ()>,
    owners: Table<'t, &'static [u8], ()>,
    subjects: Table<'t, &'static [u8], &'static [u8]>,
    revocations: Table<'t, &'static [u8], &'static [u8]>,
    /// What the set in memory is to learn once this is on disk.
    pub(super) marks: Vec<Mark>,
    /// How many more it can learn.
    room: usize,
    /// The longest lifetime of a token, of any issuer.
    longest_lifetime: Duration,
    pub(super) changed: bool,
    /// The file failed: nothing of this may be kept.
    pub(super) fatal: Option<Error>,
}

impl<'t> Tables<'t> {
    pub(super) fn open(
        transaction: &'t WriteTransaction,
        room: usize,
        longest_lifetime: Duration,
    ) -> Result<Self, Error> {
        Ok(Self {
            meta: transaction.open_table(META)?,
            sessions: transaction.open_table(SESSIONS)?,
            expiry: transaction.open_table(EXPIRY)?,
            owners: transaction.open_table(OWNERS)?,
            subjects: transaction.open_table(SUBJECTS)?,
            revocations: transaction.open_table(REVOCATIONS)?,
            marks: Vec::new(),
            room,
            longest_lifetime: longest_lifetime.max(MAX_ACCESS_LIFETIME),
            changed: false,
            fatal: None,
        })
    }

    pub(super) fn forgotten_until(&self) -> Result<u64, Error> {
        number(&self.meta, FORGOTTEN)
    }

    /// Counts this commit, and says which it is.
    pub(super) fn count(&mut self) -> Result<u64, Error> {
        let before = number(&self.meta, COMMITS)?;
        let commit = before.wrapping_add(1);
        put_number(&mut self.meta, COMMITS, commit)?;
        Ok(commit)
    }

    pub(super) fn create(&mut self, session: &Session) -> Result<CreationOutcome, Failure> {
        let key = subject_key(&session.owner()).map_err(call)?;
        let row = SessionRow {
            indexed: due(session),
            session: session.clone(),
        };
        let bytes = row.encode().map_err(call)?;
        let SubjectRow { state, .. } = self.subject(&key)?;
        if state.blocked {
            return Ok(CreationOutcome::Blocked);
        }
        if state.generation != session.generation {
            return Ok(CreationOutcome::LoggedOut);
        }
        // An id that is there already belongs to another session only by a mistake of the caller's.
        if let Some(before) = self.session(session.sid)? {
            self.remove(&before)?;
        }
        self.changed = true;
        self.sessions.insert(session.sid.to_bytes(), &*bytes)?;
        self.expiry.insert(expiry_key(&row), ())?;
        self.owners.insert(&*owner_key(&key, session.sid), ())?;
        Ok(CreationOutcome::Created)
    }

    pub(super) fn rotate(
        &mut self,
        sid: SessionId,
        rotation: &Rotation,
    ) -> Result<RotationOutcome, Failure> {
        let Some(mut row) = self.session(sid)? else {
            return Ok(RotationOutcome::Rejected(RotationRejection::Ended));
        };
        let key = subject_key(&row.session.owner()).map_err(call)?;
        let SubjectRow { state, .. } = self.subject(&key)?;
        let before = row.session.clone();
        let rotated = row.session.rotate(rotation, state);
        match rotated {
            RotationOutcome::ReuseDetected(_) => {
                self.end_row(&row, row.session.access_expires_at)?;
            }
            RotationOutcome::Rotated(_)
            | RotationOutcome::WithinGrace(_)
            | RotationOutcome::LostWrites(_) => {
                if row.session != before {
                    let bytes = row.encode().map_err(call)?;
                    self.changed = true;
                    self.sessions.insert(sid.to_bytes(), &*bytes)?;
                }
            }
            RotationOutcome::Rejected(_) => {}
        }
        Ok(rotated)
    }

    /// `known`: what was revoked before this commit.
    pub(super) fn end(
        &mut self,
        sid: SessionId,
        issuer: Option<&str>,
        revoke_until: NumericDate,
        known: &Known,
    ) -> Result<Option<Session>, Failure> {
        match self.session(sid)? {
            Some(row) if row.session.issuer.as_deref() == issuer => {
                self.end_row(&row, row.session.access_expires_at)?;
                Ok(Some(row.session))
            }
            Some(_) => Ok(None),
            None => {
                let id = id(issuer, &sid.to_string());
                let is_same =
                    |mark: &Mark| matches!(mark, Mark::Session { id: it, .. } if *it == id);
                // A second logout must not lengthen what the first has revoked.
                if !known.is_session_revoked(&id) && !self.marks.iter().any(is_same) {
                    self.revoke(Mark::Session {
                        id,
                        until: revoke_until,
                    })?;
                }
                Ok(None)
            }
        }
    }

    /// Revokes a session until `until`, or until all its access tokens are dead if that is later,
    /// and drops it.
    fn end_row(&mut self, row: &SessionRow, until: NumericDate) -> Result<(), Failure> {
        let session = &row.session;
        self.revoke(Mark::Session {
            id: id(session.issuer.as_deref(), &session.sid.to_string()),
            until: until.max(session.access_expires_at),
        })?;
        self.remove(row)
    }

    pub(super) fn raise_generation(
        &mut self,
        subject: &Subject<'_>,
        now: NumericDate,
    ) -> Result<u64, Failure> {
        let key = subject_key(subject).map_err(call)?;
        let before = self.subject(&key)?;
        self.end_last(&key, &before)?;
        let generation = before.state.generation.saturating_add(1);
        let until = self.longest(before.latest(now));
        self.raise(subject, &key, before, generation, until, false)?;
        Ok(generation)
    }

    pub(super) fn block(&mut self, subject: &Subject<'_>, now: NumericDate) -> Result<(), Failure> {
        let key = subject_key(subject).map_err(call)?;
        let before = self.subject(&key)?;
        // One that was blocked by a revocation may have no generation yet.
        if before.state.blocked && before.state.generation > 0 {
            return Ok(());
        }
        self.end_last(&key, &before)?;
        let generation = before.state.generation.saturating_add(1);
        let until = self.longest(before.latest(now));
        self.raise(subject, &key, before, generation, until, true)
    }

    /// A revocation may have raised the generation as far as it goes. Then its sessions end one by
    /// one.
    fn end_last(&mut self, key: &[u8], before: &SubjectRow) -> Result<(), Failure> {
        if before.state.generation < u64::MAX {
            return Ok(());
        }
        let sessions = self.sessions_of(key)?;
        // All or nothing, with the block and the generation.
        if self.room < sessions.len().saturating_add(2) {
            return Err(call(Error::SetFull));
        }
        for row in &sessions {
            self.end_row(row, row.session.access_expires_at)?;
        }
        Ok(())
    }

    /// Raises the generation of a subject, which ends its sessions of other generations, and may
    /// block it.
    fn raise(
        &mut self,
        subject: &Subject<'_>,
        key: &[u8],
        before: SubjectRow,
        generation: u64,
        until: NumericDate,
        block: bool,
    ) -> Result<(), Failure> {
        let mut sessions = self.sessions_of(key)?;
        sessions.retain(|row| row.session.generation != generation);
        self.take_room(if block { 2 } else { 1 })?;
        let latest = sessions.iter().map(|row| row.session.access_expires_at);
        let until = latest.fold(before.until.max(until), NumericDate::max);
        let row = SubjectRow {
            state: SubjectState::new(generation, block || before.state.blocked),
            until,
        };
        for session in &sessions {
            self.remove(session)?;
        }
        self.changed = true;
        self.subjects.insert(key, &*row.encode(key))?;
        let id = subject_id(subject);
        // In this order: see `Revocation::Block`.
        if block {
            self.marks.push(Mark::Block { id: id.clone() });
        }
        self.marks.push(Mark::Generation {
            id,
            generation,
            until,
        });
        Ok(())
    }

    /// Lifts a block. The tokens issued until now stay dead for as long as tokens live: by the
    /// generation, or by a cutoff if there is none.
    pub(super) fn unblock(
        &mut self,
        subject: &Subject<'_>,
        now: NumericDate,
    ) -> Result<(), Failure> {
        let key = subject_key(subject).map_err(call)?;
        let mut row = self.subject(&key)?;
        if !row.state.blocked {
            return Ok(());
        }
        let id = subject_id(subject);
        let generation = row.state.generation;
        self.take_room(1)?;
        let at = row.latest(now);
        let until = self.longest(at);
        if generation == 0 {
            let id = id.clone();
            self.revoke(Mark::Cutoff { id, at, until })?;
        } else {
            // Tokens that know no generation were issued while it was blocked.
            row.until = row.until.max(until);
        }
        row.state.blocked = false;
        self.changed = true;
        self.subjects.insert(&*key, &*row.encode(&key))?;
        self.marks.push(Mark::Unblock { id, generation });
        Ok(())
    }

    /// Revokes whatever can be revoked.
    pub(super) fn revoke_any(&mut self, mark: Mark, now: NumericDate) -> Result<(), Failure> {
        match &mark {
            Mark::Generation {
                id: (issuer, name),
                generation,
                until,
            } => {
                let subject = Subject::new(issuer.as_deref(), name);
                let key = subject_key(&subject).map_err(call)?;
                let before = self.subject(&key)?;
                // No token has a generation less than 0.
                if *generation == 0
                    || before.state.generation >= *generation && before.until >= *until
                {
                    return Ok(());
                }
                // Of two, the higher counts, and the longer.
                let generation = before.state.generation.max(*generation);
                let until = match before.state.blocked {
                    true => self.longest(before.latest(now)).max(*until),
                    false => *until,
                };
                self.raise(&subject, &key, before, generation, until, false)
            }
            Mark::Block { id: (issuer, name) } => {
                let subject = Subject::new(issuer.as_deref(), name);
                let key = subject_key(&subject).map_err(call)?;
                let before = self.subject(&key)?;
                if before.state.generation > 0 || !self.sessions_of(&key)?.is_empty() {
                    return self.block(&subject, now);
                }
                if !before.state.blocked {
                    // Somebody of another issuer, whose tokens know no generation.
                    self.take_room(1)?;
                    let row = SubjectRow {
                        state: SubjectState::new(0, true),
                        until: before.until.max(now),
                    };
                    self.changed = true;
                    self.subjects.insert(&*key, &*row.encode(&key))?;
                    self.marks.push(mark);
                }
                Ok(())
            }
            Mark::Session {
                id: (issuer, sid),
                until,
            } => {
                let held = match SessionId::parse(sid) {
                    Some(sid) => self.session(sid)?,
                    None => None,
                };
                match held.filter(|row| row.session.issuer == *issuer) {
                    Some(row) => self.end_row(&row, *until),
                    None => self.revoke(mark),
                }
            }
            _ => self.revoke(mark),
        }
    }

    /// Keeps one revocation that ends by itself.
    pub(super) fn revoke(&mut self, mark: Mark) -> Result<(), Failure> {
        let Some((key, value)) = revocation_row(&mark).map_err(call)? else {
            return Err(call(Error::Corrupt));
        };
        self.take_room(1)?;
        self.changed = true;
        self.revocations.insert(&*key, &*value)?;
        self.marks.push(mark);
        Ok(())
    }

    fn take_room(&mut self, marks: usize) -> Result<(), Failure> {
        let room = self.room.checked_sub(marks);
        self.room = room.ok_or_else(|| call(Error::SetFull))?;
        Ok(())
    }

    /// Drops what has been dead for longer than `leeway`, looking at no more than `most` rows. Whether there is more.
    pub(super) fn prune(
        &mut self,
        now: NumericDate,
        leeway: Duration,
        most: usize,
    ) -> Result<bool, Error> {
        let end = now.since_epoch().saturating_sub(leeway).as_secs();
        let mut left = most;
        let mut dead = Vec::new();
        for entry in self
            .revocations
            .range::<&[u8]>(..&end.to_be_bytes()[..])?
            .take(left)
        {
            dead.push(entry?.0.value().to_vec());
        }
        for key in &dead {
            self.revocations.remove(&**key)?;
        }
        if let Some(latest) = dead.last() {
            // Not the clock: it may be ahead, and what expires later was not dropped.
            let latest = Reader(latest).number().ok_or(Error::Corrupt)?;
            let forgotten = self.forgotten_until()?.max(latest);
            put_number(&mut self.meta, FORGOTTEN, forgotten)?;
        }
        left = left.saturating_sub(dead.len());
        let mut due_sessions = Vec::new();
        for entry in self.expiry.range(..expiry_bound(end))?.take(left) {
            due_sessions.push(entry?.0.value());
        }
        left = left.saturating_sub(due_sessions.len());
        for key in &due_sessions {
            self.expiry.remove(key)?;
            let Some(sid) = key.last_chunk() else {
                continue;
            };
            let sid = SessionId::from_bytes(*sid);
            // A row that cannot be read stays, for whoever asks for it to be told.
            let Ok(Some(mut row)) = self.session(sid) else {
                continue;
            };
            let due = due(&row.session);
            if due < end {
                self.remove(&row).map_err(file)?;
            } else {
                row.indexed = due;
                self.sessions.insert(sid.to_bytes(), &*row.encode()?)?;
                self.expiry.insert(expiry_key(&row), ())?;
            }
        }
        if left < most {
            self.changed = true;
        }
        Ok(left == 0)
    }

    fn remove(&mut self, row: &SessionRow) -> Result<(), Failure> {
        let key = subject_key(&row.session.owner()).map_err(call)?;
        self.changed = true;
        self.sessions.remove(row.session.sid.to_bytes())?;
        self.expiry.remove(expiry_key(row))?;
        self.owners.remove(&*owner_key(&key, row.session.sid))?;
        Ok(())
    }

    /// When the last token that is out now is dead. Not all sessions may be known: one may have
    /// been dropped while the clock was ahead.
    fn longest(&self, now: NumericDate) -> NumericDate {
        now.later_by(self.longest_lifetime)
    }

    fn session(&self, sid: SessionId) -> Result<Option<SessionRow>, Failure> {
        session(&self.sessions, sid)
    }

    fn subject(&self, key: &[u8]) -> Result<SubjectRow, Failure> {
        subject(&self.subjects, key)
    }

    fn sessions_of(&self, key: &[u8]) -> Result<Vec<SessionRow>, Failure> {
        sessions_of(&self.owners, &self.sessions, key)
    }
}

fn file(failure: Failure) -> Error {
    let (Failure::Call(error) | Failure::File(error)) = failure;
    error
}

/// The tables in a transaction that reads.
pub(super) struct Snapshot {
    device: Device,
    meta: ReadOnlyTable<&'static str, &'static [u8]>,
    sessions: ReadOnlyTable<[u8; 16], &'static [u8]>,
    owners: ReadOnlyTable<&'static [u8], ()>,
    subjects: ReadOnlyTable<&'static [u8], &'static [u8]>,
    revocations: ReadOnlyTable<&'static [u8], &'static [u8]>,
}

impl Snapshot {
    pub(super) fn open(open: &Open) -> Result<Self, Error> {
        let transaction = open.database.begin_read()?;
        Ok(Self {
            device: open.device.clone(),
            meta: transaction.open_table(META)?,
            sessions: transaction.open_table(SESSIONS)?,
            owners: transaction.open_table(OWNERS)?,
            subjects: transaction.open_table(SUBJECTS)?,
            revocations: transaction.open_table(REVOCATIONS)?,
        })
    }

    /// Revocations that end in this second or earlier may have been dropped.
    pub(super) fn forgotten_until(&self) -> Result<u64, Error> {
        number(&self.meta, FORGOTTEN)
    }

    pub(super) fn commits(&self) -> Result<u64, Error> {
        number(&self.meta, COMMITS)
    }

    pub(super) fn bytes(&self) -> Result<u64, Error> {
        Ok(self.device.bytes()?)
    }

    pub(super) fn sessions(&self) -> Result<u64, Error> {
        Ok(self.sessions.len()?)
    }

    pub(super) fn find(&self, sid: SessionId) -> Result<Option<Session>, Failure> {
        Ok(session(&self.sessions, sid)?.map(|row| row.session))
    }

    pub(super) fn subject(&self, whose: &Subject<'_>) -> Result<SubjectState, Failure> {
        let key = subject_key(whose).map_err(call)?;
        Ok(subject(&self.subjects, &key)?.state)
    }

    pub(super) fn list(
        &self,
        whose: &Subject<'_>,
        now: NumericDate,
    ) -> Result<Vec<Session>, Failure> {
        let key = subject_key(whose).map_err(call)?;
        let rows = sessions_of(&self.owners, &self.sessions, &key)?;
        let sessions = rows.into_iter().map(|row| row.session);
        Ok(sessions
            .filter(|session| !session.has_expired(now))
            .collect())
    }

    /// Everything that the set in memory must know.
    pub(super) fn marks(
        &self,
        mut each: impl FnMut(&Mark) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for entry in self.subjects.iter()? {
            let (key, value) = entry?;
            let id = subject_id(&read_subject_key(key.value())?);
            let SubjectRow { state, until } = SubjectRow::decode(key.value(), value.value())?;
            if state.blocked {
                each(&Mark::Block { id: id.clone() })?;
            }
            if state.generation > 0 {
                each(&Mark::Generation {
                    id,
                    generation: state.generation,
                    until,
                })?;
            }
        }
        for entry in self.revocations.iter()? {
            let (key, value) = entry?;
            let row = Seal::Revocation.check(key.value(), value.value())?;
            each(&read_revocation(key.value(), row).ok_or(Error::Corrupt)?)?;
        }
        Ok(())
    }
}

fn number(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
    name: &str,
) -> Result<u64, Error> {
    match meta.get(name)? {
        None => Ok(0),
        Some(bytes) => {
            let number = Seal::Meta.check(name.as_bytes(), bytes.value())?;
            Reader(number).number().ok_or(Error::Corrupt)
        }
    }
}

fn put_number(
    meta: &mut Table<'_, &'static str, &'static [u8]>,
    name: &str,
    number: u64,
) -> Result<(), Error> {
    let mut row = number.to_be_bytes().to_vec();
    Seal::Meta.put(name.as_bytes(), &mut row);
    meta.insert(name, &*row)?;
    Ok(())
}

fn session(
    sessions: &impl ReadableTable<[u8; 16], &'static [u8]>,
    sid: SessionId,
) -> Result<Option<SessionRow>, Failure> {
    match sessions.get(sid.to_bytes())? {
        None => Ok(None),
        Some(row) => SessionRow::decode(sid, row.value()).map(Some).map_err(call),
    }
}

fn subject(
    subjects: &impl ReadableTable<&'static [u8], &'static [u8]>,
    key: &[u8],
) -> Result<SubjectRow, Failure> {
    match subjects.get(key)? {
        None => Ok(SubjectRow::default()),
        Some(row) => SubjectRow::decode(key, row.value()).map_err(call),
    }
}

fn sessions_of(
    owners: &impl ReadableTable<&'static [u8], ()>,
    sessions: &impl ReadableTable<[u8; 16], &'static [u8]>,
    key: &[u8],
) -> Result<Vec<SessionRow>, Failure> {
    let first = owner_key(key, SessionId::from_bytes([0; 16]));
    let last = owner_key(key, SessionId::from_bytes([u8::MAX; 16]));
    let mut rows = Vec::new();
    for entry in owners.range::<&[u8]>(&*first..=&*last)? {
        let key = entry?.0;
        let sid = key
            .value()
            .last_chunk()
            .ok_or(Failure::Call(Error::Corrupt))?;
        let row = session(sessions, SessionId::from_bytes(*sid))?;
        rows.push(row.ok_or(Failure::Call(Error::Corrupt))?);
    }
    Ok(rows)
}

fn owner_key(subject: &[u8], sid: SessionId) -> Vec<u8> {
    [subject, &sid.to_bytes()].concat()
}

/// The second from which a session and all its access tokens are dead, but for the leeway.
fn due(session: &Session) -> u64 {
    let end = session.idle_expires_at.min(session.expires_at);
    end.max(session.access_expires_at).seconds_up()
}

fn expiry_key(row: &SessionRow) -> [u8; 24] {
    let mut key = expiry_bound(row.indexed);
    if let Some(tail) = key.last_chunk_mut() {
        *tail = row.session.sid.to_bytes();
    }
    key
}

/// Where the rows of a second begin.
fn expiry_bound(second: u64) -> [u8; 24] {
    let mut key = [0; 24];
    if let Some(head) = key.first_chunk_mut() {
        *head = second.to_be_bytes();
    }
    key
}

const TOKEN: u8 = 1;
const SESSION: u8 = 2;
const CUTOFF: u8 = 3;

/// A key, and its value.
type Row = (Vec<u8>, Vec<u8>);

/// The row of a mark that ends by itself, and is no subject's generation.
fn revocation_row(mark: &Mark) -> Result<Option<Row>, Error> {
    let (kind, (issuer, name), until) = match mark {
        Mark::Token { id, until } => (TOKEN, id, until),
        Mark::Session { id, until } => (SESSION, id, until),
        Mark::Cutoff { id, until, .. } => (CUTOFF, id, until),
        Mark::Generation { .. } | Mark::Block { .. } | Mark::Unblock { .. } => return Ok(None),
    };
    // To the nanosecond: the set finds a token by its `exp`.
    let mut value = vec![VERSION];
    put_date(&mut value, *until);
    if let Mark::Cutoff { at, .. } = mark {
        put_date(&mut value, *at);
    }
    let mut key = Vec::with_capacity(64);
    key.extend_from_slice(&until.seconds_up().to_be_bytes());
    key.push(kind);
    put_text(&mut key, issuer.as_deref())?;
    put_text(&mut key, Some(name))?;
    Seal::Revocation.put(&key, &mut value);
    Ok(Some((key, value)))
}

fn read_revocation(key: &[u8], value: &[u8]) -> Option<Mark> {
    let mut key = Reader(key);
    key.number()?;
    let kind = key.byte()?;
    let id = id(key.text()?, key.text()??);
    key.end()?;
    let mut value = Reader(value);
    value.version()?;
    let until = value.date()?;
    let mark = match kind {
        TOKEN => Mark::Token { id, until },
        SESSION => Mark::Session { id, until },
        CUTOFF => Mark::Cutoff {
            id,
            at: value.date()?,
            until,
        },
        _ => return None,
    };
    value.end()?;
    Some(mark)
}
