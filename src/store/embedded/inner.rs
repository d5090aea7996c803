//! The index and the database, shared by the handles and the threads of a store.

use std::mem;
use std::sync::{PoisonError, RwLock};

use super::database::{OpenDatabase, catch_panic};
use super::error::EmbeddedStoreError as Error;
use super::index::{IndexOptions, RevocationIndex};
use super::tables::snapshot::Snapshot;
use crate::claims::NumericDate;

pub(super) struct Inner {
    pub(super) index: RevocationIndex,
    /// An error if the store was closed, or if the database could not be reopened after a failure.
    database: RwLock<Result<OpenDatabase, Error>>,
}

impl Inner {
    pub(super) fn new(options: IndexOptions) -> Self {
        Self {
            index: RevocationIndex::new(options),
            database: RwLock::new(Err(Error::Closed)),
        }
    }

    /// A clock before the epoch expires nothing.
    pub(super) fn now(&self) -> NumericDate {
        NumericDate::from(self.index.options.clock.now())
    }

    /// Fills the index from the file.
    pub(super) fn load_index(&self, open: &OpenDatabase) -> Result<(), Error> {
        catch_panic(|| {
            let snapshot = Snapshot::open(open)?;
            self.index.raise_horizon(snapshot.horizon()?);
            self.index
                .rebuild(|visit| snapshot.visit_revocations(visit))
        })
    }

    pub(super) fn set_database(&self, database: Result<OpenDatabase, Error>) {
        let mut current = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let before = mem::replace(&mut *current, database);
        // redb writes to the file when a database is dropped.
        let _ = catch_panic(|| {
            drop(before);
            Ok(())
        });
    }

    /// Runs code on the database. Nothing closes or replaces it meanwhile.
    pub(super) fn with_database<T>(
        &self,
        run: impl FnOnce(&OpenDatabase) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        match &*database {
            Ok(open) => catch_panic(|| run(open)),
            Err(error) => Err(error.clone()),
        }
    }
}
