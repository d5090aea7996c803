//! Prepares the tables of a file.

use std::time::Duration;

use redb::TableHandle;

use super::definitions::METADATA;
use super::metadata::{check_format, put_format};
use super::write::Tables;
use crate::store::embedded::database::OpenDatabase;
use crate::store::embedded::error::EmbeddedStoreError as Error;

/// Checks that the database is a store. Creates the tables in an empty one.
pub(in crate::store::embedded) fn prepare(open: &OpenDatabase) -> Result<(), Error> {
    {
        let transaction = open.database.begin_read()?;
        match transaction.open_table(METADATA) {
            Ok(metadata) => return check_format(&metadata),
            Err(redb::TableError::TableDoesNotExist(_)) => {}
            Err(redb::TableError::Storage(error)) => return Err(error.into()),
            Err(_) => return Err(Error::ForeignFile),
        }
        let mut tables = transaction.list_tables()?;
        if tables.any(|table| table.name() != METADATA.name())
            || transaction.list_multimap_tables()?.next().is_some()
        {
            return Err(Error::ForeignFile);
        }
    }
    let transaction = open.begin_write()?;
    put_format(&mut transaction.open_table(METADATA)?)?;
    drop(Tables::open(&transaction, 0, Duration::ZERO));
    transaction.commit()?;
    Ok(())
}
