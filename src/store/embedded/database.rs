//! The open redb database.

use std::panic::{AssertUnwindSafe, catch_unwind};

use redb::{Database, Durability, WriteTransaction};

use super::backend::Backend;
use super::error::EmbeddedStoreError as Error;

/// A database and its backend.
pub(super) struct OpenDatabase {
    pub(super) database: Database,
    pub(super) backend: Backend,
}

impl OpenDatabase {
    pub(super) fn open(backend: &Backend, cache: usize) -> Result<Self, Error> {
        catch_panic(|| {
            backend.check_header()?;
            let mut builder = Database::builder();
            builder
                .set_cache_size(cache)
                .create_with_file_format_v3(true);
            Ok(Self {
                database: builder.create_with_backend(backend.clone())?,
                backend: backend.clone(),
            })
        })
    }

    pub(super) fn begin_write(&self) -> Result<WriteTransaction, Error> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate);
        // With quick repair, a file that was not closed opens at once. It also commits in two
        // phases. In one phase, redb would choose the commit after a crash by checksums. Then
        // attackers who choose names and labels could forge what is read.
        transaction.set_quick_repair(true);
        Ok(transaction)
    }
}

/// Runs code that calls redb, and reports a panic as a corrupt file. redb panics at some kinds of
/// damage.
pub(super) fn catch_panic<T>(run: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or(Err(Error::Corrupt))
}
