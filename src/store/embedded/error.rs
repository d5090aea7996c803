//! Why the file has no answer.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use redb::{CommitError, DatabaseError, StorageError, TableError, TransactionError};

/// Why an [`EmbeddedStore`](super::EmbeddedStore) cannot be opened, or does not answer. Its text holds no id.
///
/// Unless it is [`Corrupt`](Self::Corrupt), nothing that was acknowledged is lost. In an open store
/// look-ups of revocations go on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EmbeddedStoreError {
    /// The file is open already: in another process, or in this one.
    InUse,
    /// The file is something else. It was not touched.
    ForeignFile,
    /// The file was written by a later version of this crate, or of redb. It was not touched.
    NewerFormat,
    /// The file was written by an earlier version of this crate, which kept less in it. It was not
    /// changed. Move it away: everybody must log in again.
    OlderFormat,
    /// Bytes of the file were changed or lost. Restore it from a backup, or move it away: then
    /// everybody must log in again, and nothing is revoked or blocked.
    Corrupt,
    /// There is no space left on the disk. Nothing has changed; it is tried anew at the next call.
    DiskFull(Arc<io::Error>),
    /// The file or its directory cannot be read or written. It is tried anew at the next call.
    Io(Arc<io::Error>),
    /// So many revocations still count that the set in memory holds no more. Nothing has changed; see
    /// [`EmbeddedStoreOptions::capacity`](super::EmbeddedStoreOptions::capacity).
    SetFull,
    /// A name or an id is longer than 4,096 bytes. Nothing has changed.
    TooLong,
    /// The file was deleted, moved or replaced while it was open. Nothing is acknowledged any more;
    /// look-ups of revocations and sessions go on. Put the file back, or restart the service.
    FileGone,
    /// The store was closed.
    Closed,
    /// Anything else that redb reports.
    Database(Arc<redb::Error>),
}

impl fmt::Display for EmbeddedStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InUse => "the store's file is in use: it can be open once, in one process",
            Self::ForeignFile => "the file is no store of sessions",
            Self::NewerFormat => "the store's file was written by a newer version",
            Self::OlderFormat => {
                "the store's file was written by an older version: move it away, and all must log in again"
            }
            Self::Corrupt => "the store's file is corrupt: restore it from a backup, or move it away",
            Self::DiskFull(_) => "there is no space left for the store's file",
            Self::Io(_) => "the store's file cannot be read or written",
            Self::SetFull => "the set of revocations is full",
            Self::TooLong => "a name or an id is too long for the store",
            Self::FileGone => {
                "the store's file was deleted, moved or replaced: put it back, or restart the service"
            }
            Self::Closed => "the store was closed",
            Self::Database(_) => "the store's database failed",
        })
    }
}

impl Error for EmbeddedStoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::DiskFull(error) | Self::Io(error) => Some(&**error),
            Self::Database(error) => Some(&**error),
            _ => None,
        }
    }
}

impl From<io::Error> for EmbeddedStoreError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::DiskFull(Arc::new(error)),
            // Something points behind the end of the file.
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => Self::Corrupt,
            _ => Self::Io(Arc::new(error)),
        }
    }
}

impl From<redb::Error> for EmbeddedStoreError {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            redb::Error::Io(error) => error.into(),
            // A format that this version of redb does not know is told by this text alone.
            redb::Error::Corrupted(text) if text.starts_with("Expected file format version") => {
                Self::NewerFormat
            }
            redb::Error::Corrupted(_) => Self::Corrupt,
            error => Self::Database(Arc::new(error)),
        }
    }
}

macro_rules! from_redb {
    ($($error:ty),*) => {$(
        impl From<$error> for EmbeddedStoreError {
            fn from(error: $error) -> Self {
                redb::Error::from(error).into()
            }
        }
    )*};
}

from_redb!(
    CommitError,
    DatabaseError,
    StorageError,
    TableError,
    TransactionError
);
