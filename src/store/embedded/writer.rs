//! The writer thread: runs the calls in batches, with one commit for each batch.

use std::mem;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::backend::Backend;
use super::change::Change;
use super::database::{OpenDatabase, catch_panic};
use super::error::EmbeddedStoreError as Error;
use super::file::LockedFile;
use super::inner::Inner;
use super::request::{Reply, WriteCall, WriteRequest};
use super::tables::prepare::prepare;
use super::tables::snapshot::Snapshot;
use super::tables::write::Tables;
use crate::claims::NumericDate;

/// The most calls of one commit.
const MAX_BATCH: usize = 1024;

/// A commit prunes this many rows and two more for each of its calls: more than these calls can
/// add.
const MIN_PRUNED: usize = 64;

pub(super) struct Writer {
    inner: Arc<Inner>,
    backend: Backend,
    cache: usize,
    unconfirmed: Option<UnconfirmedCommit>,
    must_reopen: bool,
    /// The time of the previous commit.
    previous_now: NumericDate,
}

/// A commit that failed, but may be on disk.
struct UnconfirmedCommit {
    number: u64,
    changes: Vec<Change>,
}

/// The calls of one commit, and when to close the store.
struct Batch {
    calls: Vec<WriteCall>,
    closing: Option<oneshot::Sender<()>>,
}

impl Writer {
    /// Opens the database of a file, checks every page, and fills the index.
    pub(super) fn open(inner: Arc<Inner>, file: LockedFile, cache: usize) -> Result<Self, Error> {
        let previous_now = inner.now();
        let backend = catch_panic(|| {
            let mut open = OpenDatabase::open(&file.backend, cache)?;
            prepare(&open)?;
            // Compares every page with its checksum in the page above. A damaged page could hide
            // others. The checksums of rows are verified when the rows are read.
            open.database.check_integrity()?;
            let backend = file.publish()?;
            inner.load_index(&open)?;
            inner.set_database(Ok(open));
            Ok(backend)
        })?;
        Ok(Self {
            inner,
            backend,
            cache,
            unconfirmed: None,
            must_reopen: false,
            previous_now,
        })
    }

    /// Handles requests until the store is closed, or the last handle is dropped.
    pub(super) fn run(mut self, mut requests: mpsc::Receiver<WriteRequest>) {
        let mut closing = None;
        let mut has_more_to_prune = false;
        while closing.is_none() {
            let first = if has_more_to_prune {
                match requests.try_recv() {
                    Ok(request) => Some(request),
                    Err(mpsc::error::TryRecvError::Empty) => None,
                    Err(mpsc::error::TryRecvError::Disconnected) => break,
                }
            } else {
                match requests.blocking_recv() {
                    Some(request) => Some(request),
                    None => break,
                }
            };
            let batch = self.collect(first, &mut requests);
            closing = batch.closing;
            if !batch.calls.is_empty() || closing.is_none() {
                has_more_to_prune = self.run_batch(batch.calls);
            }
        }
        // Later requests are dropped with the channel: their callers get `Closed`.
        self.inner.set_database(Err(Error::Closed));
        drop(self);
        drop(requests);
        if let Some(done) = closing {
            let _ = done.send(());
        }
    }

    /// Takes the waiting requests from the queue, up to a full batch.
    fn collect(
        &mut self,
        first: Option<WriteRequest>,
        requests: &mut mpsc::Receiver<WriteRequest>,
    ) -> Batch {
        let mut calls = Vec::new();
        let mut next = first;
        while let Some(request) = next.take() {
            match request {
                WriteRequest::Call(call) => calls.push(call),
                WriteRequest::Reopen => self.must_reopen = true,
                WriteRequest::Close(done) => {
                    let closing = Some(done);
                    return Batch { calls, closing };
                }
            }
            if calls.len() < MAX_BATCH {
                next = requests.try_recv().ok();
            }
        }
        let closing = None;
        Batch { calls, closing }
    }

    /// Runs calls, commits once, and replies. Returns whether there is more to prune.
    fn run_batch(&mut self, calls: Vec<WriteCall>) -> bool {
        let mut replies = Vec::with_capacity(calls.len());
        let max_pruned = MIN_PRUNED.saturating_add(calls.len().saturating_mul(2));
        let mut calls = calls.into_iter();
        let (committed, has_more) = match self.commit(calls.by_ref(), &mut replies, max_pruned) {
            Ok(has_more) => (Ok(()), has_more),
            Err(error) => (Err(error), false),
        };
        if let Err(error) = &committed {
            replies.extend(calls.map(|call| call(Err(error.clone()))));
        }
        for reply in replies {
            reply(committed.clone());
        }
        has_more
    }

    /// Runs calls and commits. If the commit fails, finds out whether it is on disk. Returns
    /// whether there is more to prune.
    fn commit(
        &mut self,
        calls: impl Iterator<Item = WriteCall>,
        replies: &mut Vec<Reply>,
        max_pruned: usize,
    ) -> Result<bool, Error> {
        if self.must_reopen {
            self.reopen()?;
        }
        self.backend.check_path()?;
        let now = self.inner.now();
        if let Err(error) = self.reload_after_clock_step(now) {
            self.must_reopen = true;
            return Err(error);
        }
        // A single wrong reading of the clock drops nothing.
        let prune_by = now.min(self.previous_now);
        self.previous_now = now;
        match self.run_transaction(calls, replies, prune_by, max_pruned) {
            Ok(committed) => {
                // There is room: only this thread adds entries.
                self.inner.index.apply(&committed.changes)?;
                self.inner.index.raise_horizon(committed.horizon);
                // If the file was moved in the meantime, the commit is in a file that the next
                // process will not open.
                self.backend.check_path()?;
                Ok(committed.has_more_to_prune)
            }
            Err(error) => {
                self.must_reopen = true;
                // The failed commit may be on disk. Only the reopened database tells.
                match self.reopen() {
                    Ok(true) => {
                        self.backend.check_path()?;
                        Ok(false)
                    }
                    _ => Err(error),
                }
            }
        }
    }

    fn run_transaction(
        &mut self,
        calls: impl Iterator<Item = WriteCall>,
        replies: &mut Vec<Reply>,
        prune_by: NumericDate,
        max_pruned: usize,
    ) -> Result<Committed, Error> {
        let options = &self.inner.index.options;
        let free_entries = self.inner.index.free_entries(MAX_BATCH.saturating_mul(2));
        let mut unconfirmed = None;
        let result = self.inner.with_database(|open| {
            let transaction = open.begin_write()?;
            let mut tables = Tables::open(&transaction, free_entries, options.longest_lifetime)?;
            for call in calls {
                replies.push(call(Ok(&mut tables)));
                if let Some(error) = tables.file_error.take() {
                    return Err(error);
                }
            }
            let has_more_to_prune = tables.prune(prune_by, options.leeway, max_pruned)?;
            let horizon = tables.horizon()?;
            if !tables.is_modified {
                drop(tables);
                transaction.abort()?;
                return Ok((has_more_to_prune, horizon));
            }
            let number = tables.count_commit()?;
            let changes = mem::take(&mut tables.changes);
            drop(tables);
            unconfirmed = Some(UnconfirmedCommit { number, changes });
            transaction.commit()?;
            Ok((has_more_to_prune, horizon))
        });
        match result {
            Ok((has_more_to_prune, horizon)) => Ok(Committed {
                changes: unconfirmed.map_or_else(Vec::new, |commit| commit.changes),
                horizon,
                has_more_to_prune,
            }),
            Err(error) => {
                self.unconfirmed = unconfirmed;
                Err(error)
            }
        }
    }

    /// Reloads the index if the clock stepped back: the index dropped entries while the clock was
    /// ahead.
    fn reload_after_clock_step(&self, now: NumericDate) -> Result<(), Error> {
        let leeway = self.inner.index.options.leeway;
        let latest = now.since_epoch().saturating_add(leeway);
        if latest >= self.previous_now.since_epoch() {
            return Ok(());
        }
        let reloaded = self.inner.with_database(|open| self.inner.load_index(open));
        match reloaded {
            // The old index stays. It revokes more tokens, not fewer.
            Err(Error::SetFull) => Ok(()),
            _ => reloaded,
        }
    }

    /// Reopens the database. Returns whether the unconfirmed commit is in it.
    fn reopen(&mut self) -> Result<bool, Error> {
        // Closes the old database first.
        self.inner.set_database(Err(Error::Closed));
        let opened = OpenDatabase::open(&self.backend, self.cache).and_then(|open| {
            let (commits, horizon) = catch_panic(|| {
                let snapshot = Snapshot::open(&open)?;
                Ok((snapshot.commits()?, snapshot.horizon()?))
            })?;
            self.inner.index.raise_horizon(horizon);
            Ok((open, commits))
        });
        let (open, commits) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.inner.set_database(Err(error.clone()));
                return Err(error);
            }
        };
        let is_on_disk = match self.unconfirmed.take() {
            Some(unconfirmed) if unconfirmed.number == commits => {
                self.inner.index.apply(&unconfirmed.changes)?;
                true
            }
            _ => false,
        };
        self.inner.set_database(Ok(open));
        self.must_reopen = false;
        Ok(is_on_disk)
    }
}

/// The outcome of a transaction.
struct Committed {
    changes: Vec<Change>,
    horizon: u64,
    has_more_to_prune: bool,
}
