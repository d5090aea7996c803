//! The threads that touch the disk: one that writes, one that reads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use redb::Database;
use tokio::sync::{mpsc, oneshot};

use super::error::EmbeddedStoreError as Error;
use super::file::{Device, Opened};
use super::known::{Known, Mark, SetOptions};
use super::tables::{Failure, Open, Snapshot, Tables, begin, prepare};
use crate::claims::NumericDate;
use crate::clock::Clock;

/// As many calls share a commit at most.
const BATCH: usize = 1024;

/// As many rows are looked at for being dead at each commit, and two more for each call of it: more than it can add.
const PRUNED: usize = 64;

pub(super) struct Shared {
    pub(super) known: Known,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) leeway: Duration,
    pub(super) longest_lifetime: Duration,
    /// Or why there is none: it could not be opened anew after a failure, or the store was closed.
    open: RwLock<Result<Open, Error>>,
}

/// Tells a caller what became of its call, given what became of the commit.
type Reply = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// A call: does what it does to the tables, unless there is a reason why not.
type Call = Box<dyn FnOnce(Result<&mut Tables<'_>, Error>) -> Reply + Send>;

/// A call that may change something.
pub(super) enum Job {
    Change(Call),
    /// Something that reads has failed: the file is to be opened anew.
    Recover,
    Close(oneshot::Sender<()>),
}

/// A call that changes nothing.
pub(super) type Query = Box<dyn FnOnce(Result<&Snapshot, Error>) -> Option<Error> + Send>;

/// A job, and where its answer will be.
pub(super) fn change<T: Send + 'static>(
    run: impl FnOnce(&mut Tables<'_>) -> Result<T, Failure> + Send + 'static,
) -> (Job, oneshot::Receiver<Result<T, Error>>) {
    let (sender, receiver) = oneshot::channel();
    let job = Job::Change(Box::new(
        move |tables: Result<&mut Tables<'_>, Error>| -> Reply {
            let answer = tables.and_then(|tables| match run(tables) {
                Ok(answer) => Ok(answer),
                Err(Failure::Call(error)) => Err(error),
                Err(Failure::File(error)) => {
                    tables.fatal = Some(error.clone());
                    Err(error)
                }
            });
            Box::new(move |committed| {
                // Nobody may be waiting any more.
                let _ = sender.send(committed.and(answer));
            })
        },
    ));
    (job, receiver)
}

pub(super) fn query<T: Send + 'static>(
    run: impl FnOnce(&Snapshot) -> Result<T, Failure> + Send + 'static,
) -> (Query, oneshot::Receiver<Result<T, Error>>) {
    let (sender, receiver) = oneshot::channel();
    let query = Box::new(move |snapshot: Result<&Snapshot, Error>| {
        let (answer, failed) = match snapshot.map(run) {
            Ok(Ok(answer)) => (Ok(answer), None),
            Ok(Err(Failure::Call(error))) => (Err(error), None),
            Ok(Err(Failure::File(error))) | Err(error) => (Err(error.clone()), Some(error)),
        };
        let _ = sender.send(answer);
        failed
    });
    (query, receiver)
}

impl Shared {
    pub(super) fn new(options: SetOptions) -> Self {
        Self {
            clock: Arc::clone(&options.clock),
            leeway: options.leeway,
            longest_lifetime: options.longest_lifetime,
            known: Known::new(options),
            open: RwLock::new(Err(Error::Closed)),
        }
    }

    /// A clock that stands before the epoch makes nothing old.
    pub(super) fn now(&self) -> NumericDate {
        NumericDate::from(self.clock.now())
    }

    /// Fills the set from the file.
    fn load(&self, open: &Open) -> Result<(), Error> {
        guarded(|| {
            let snapshot = Snapshot::open(open)?;
            self.known.forget_until(snapshot.forgotten_until()?);
            self.known.rebuild(|each| snapshot.marks(each))
        })
    }

    fn set(&self, open: Result<Open, Error>) {
        let mut place = self.open.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *place, open);
        // redb writes when it is dropped.
        let _ = guarded(|| {
            drop(before);
            Ok(())
        });
    }

    /// The database, while nobody takes it away.
    fn with<T>(&self, run: impl FnOnce(&Open) -> Result<T, Error>) -> Result<T, Error> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        match &*open {
            Ok(open) => guarded(|| run(open)),
            Err(error) => Err(error.clone()),
        }
    }
}

/// Runs what calls redb, which panics where a file is not what it wrote.
fn guarded<T>(run: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or(Err(Error::Corrupt))
}

fn open_database(device: &Device, cache: usize) -> Result<Open, Error> {
    guarded(|| {
        device.check()?;
        let mut builder = Database::builder();
        builder
            .set_cache_size(cache)
            .create_with_file_format_v3(true);
        Ok(Open {
            database: builder.create_with_backend(device.clone())?,
            device: device.clone(),
        })
    })
}

/// Commits of which it is not known whether they happened: the number of the one, and what it was to teach the set.
struct Uncertain {
    commit: u64,
    marks: Vec<Mark>,
}

/// The thread that writes.
pub(super) struct Writer {
    shared: Arc<Shared>,
    device: Device,
    cache: usize,
    uncertain: Option<Uncertain>,
    broken: bool,
    /// What the clock said at the commit before.
    last: NumericDate,
}

impl Writer {
    /// Opens the store in a file, and learns what was revoked.
    pub(super) fn open(shared: Arc<Shared>, opened: Opened, cache: usize) -> Result<Self, Error> {
        let last = shared.now();
        let device = guarded(|| {
            let mut open = open_database(&opened.device, cache)?;
            prepare(&open.database)?;
            // Every page, against the checksum that the page above it has: a damaged one could hide
            // others. Rows are checked again when they are read.
            open.database.check_integrity()?;
            let device = opened.name()?;
            shared.load(&open)?;
            shared.set(Ok(open));
            Ok(device)
        })?;
        Ok(Self {
            last,
            shared,
            device,
            cache,
            uncertain: None,
            broken: false,
        })
    }

    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut closing = None;
        let mut more_to_prune = false;
        while closing.is_none() {
            let first = if more_to_prune {
                match jobs.try_recv() {
                    Ok(job) => Some(job),
                    Err(mpsc::error::TryRecvError::Empty) => None,
                    Err(mpsc::error::TryRecvError::Disconnected) => break,
                }
            } else {
                match jobs.blocking_recv() {
                    Some(job) => Some(job),
                    None => break,
                }
            };
            let mut calls = Vec::new();
            let mut next = first;
            while let Some(job) = next.take() {
                match job {
                    Job::Change(call) => calls.push(call),
                    Job::Recover => self.broken = true,
                    Job::Close(done) => {
                        closing = Some(done);
                        break;
                    }
                }
                if calls.len() < BATCH {
                    next = jobs.try_recv().ok();
                }
            }
            if !calls.is_empty() || closing.is_none() {
                more_to_prune = self.batch(calls);
            }
        }
        // What came after the wish to close is answered by the end of its channel.
        self.shared.set(Err(Error::Closed));
        drop(self);
        drop(jobs);
        if let Some(done) = closing {
            let _ = done.send(());
        }
    }

    /// Runs calls, commits once, and answers. Whether there is more to prune.
    fn batch(&mut self, calls: Vec<Call>) -> bool {
        let mut replies = Vec::with_capacity(calls.len());
        let budget = PRUNED.saturating_add(calls.len().saturating_mul(2));
        let mut calls = calls.into_iter();
        let (committed, more) = match self.commit(calls.by_ref(), &mut replies, budget) {
            Ok(more) => (Ok(()), more),
            Err(error) => (Err(error), false),
        };
        if let Err(error) = &committed {
            replies.extend(calls.map(|call| call(Err(error.clone()))));
        }
        for reply in replies {
            reply(committed.clone());
        }
        more
    }

    fn commit(
        &mut self,
        calls: impl Iterator<Item = Call>,
        replies: &mut Vec<Reply>,
        budget: usize,
    ) -> Result<bool, Error> {
        if self.broken {
            self.recover()?;
        }
        let shared = Arc::clone(&self.shared);
        self.device.check_place()?;
        let now = shared.now();
        if let Err(error) = self.follow(now) {
            self.broken = true;
            return Err(error);
        }
        // A single wrong reading of the clock drops nothing.
        let dead_by = now.min(self.last);
        self.last = now;
        let room = shared.known.room(BATCH.saturating_mul(2));
        let mut uncertain = None;
        let mut forgotten = 0;
        let committed = shared.with(|open| {
            let transaction = begin(&open.database)?;
            let mut tables = Tables::open(&transaction, room, shared.longest_lifetime)?;
            for call in calls {
                replies.push(call(Ok(&mut tables)));
                if let Some(error) = tables.fatal.take() {
                    return Err(error);
                }
            }
            let more = tables.prune(dead_by, shared.leeway, budget)?;
            forgotten = tables.forgotten_until()?;
            if !tables.changed {
                drop(tables);
                transaction.abort()?;
                return Ok(more);
            }
            let commit = tables.count()?;
            let marks = std::mem::take(&mut tables.marks);
            drop(tables);
            uncertain = Some(Uncertain { commit, marks });
            transaction.commit()?;
            Ok(more)
        });
        match committed {
            Ok(more) => {
                if let Some(Uncertain { marks, .. }) = uncertain {
                    // There is room for it: nobody else adds to it.
                    shared.known.learn(&marks)?;
                }
                shared.known.forget_until(forgotten);
                // If it went in between, this is in a file that nobody will open.
                self.device.check_place()?;
                Ok(more)
            }
            Err(error) => {
                self.broken = true;
                self.uncertain = uncertain;
                // It may have happened after all: the file knows.
                match self.recover() {
                    Ok(true) => {
                        self.device.check_place()?;
                        Ok(false)
                    }
                    _ => Err(error),
                }
            }
        }
    }

    /// If the clock stepped back, takes in again what the set dropped while the clock was ahead.
    fn follow(&self, now: NumericDate) -> Result<(), Error> {
        let later = now.since_epoch().saturating_add(self.shared.leeway);
        if later >= self.last.since_epoch() {
            return Ok(());
        }
        match self.shared.with(|open| self.shared.load(open)) {
            // The set as it is revokes more, not less.
            Err(Error::SetFull) => Ok(()),
            loaded => loaded,
        }
    }

    /// Opens the file anew. Whether the commit that failed is in it.
    fn recover(&mut self) -> Result<bool, Error> {
        // The old database must be gone before the file is opened again.
        self.shared.set(Err(Error::Closed));
        let opened = open_database(&self.device, self.cache).and_then(|open| {
            let (commits, forgotten) = guarded(|| {
                let snapshot = Snapshot::open(&open)?;
                Ok((snapshot.commits()?, snapshot.forgotten_until()?))
            })?;
            self.shared.known.forget_until(forgotten);
            Ok((open, commits))
        });
        let (open, commits) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.shared.set(Err(error.clone()));
                return Err(error);
            }
        };
        let happened = match self.uncertain.take() {
            Some(uncertain) if uncertain.commit == commits => {
                self.shared.known.learn(&uncertain.marks)?;
                true
            }
            _ => false,
        };
        self.shared.set(Ok(open));
        self.broken = false;
        Ok(happened)
    }
}

/// The thread that reads.
pub(super) fn read(
    shared: &Shared,
    queries: &mut mpsc::Receiver<Query>,
    writer: &mpsc::WeakSender<Job>,
) {
    while let Some(query) = queries.blocking_recv() {
        let mut query = Some(query);
        let failed = shared.with(|open| {
            let snapshot = Snapshot::open(open);
            let query = query.take();
            Ok(query.and_then(|query| match snapshot {
                Ok(snapshot) => query(Ok(&snapshot)),
                Err(error) => query(Err(error)),
            }))
        });
        let failed = match (failed, query) {
            (Err(error), Some(query)) => query(Err(error)),
            (Err(error), None) => Some(error),
            (Ok(failed), _) => failed,
        };
        if failed.is_some()
            && let Some(writer) = writer.upgrade()
        {
            // If it is busy it finds out by itself.
            let _ = writer.try_send(Job::Recover);
        }
    }
}

/// A thread with a name.
pub(super) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    thread::Builder::new().name(name.to_owned()).spawn(run)?;
    Ok(())
}
