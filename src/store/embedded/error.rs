//! Why a call of the embedded store fails.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use redb::{CommitError, DatabaseError, StorageError, TableError, TransactionError};

/// Why an [`EmbeddedStore`](super::EmbeddedStore) cannot be opened, or why a call fails.
///
/// [`Corrupt`](Self::Corrupt) and [`FileGone`](Self::FileGone) mean that acknowledged data may be
/// lost. All other errors leave acknowledged data intact. `SetFull`, `TooLong` and `OutOfRange`
/// also mean that the call changed nothing. After any other error, its change may have happened. In
/// an open store, look-ups of revocations still work after every error. The text of an error
/// contains no ID. Cheap to clone.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EmbeddedStoreError {
    /// The file is already open, in another process or in this one.
    InUse,
    /// The file is not a store. It is unchanged.
    ForeignFile,
    /// A later version of this crate or of redb wrote the file. It is unchanged.
    NewerFormat,
    /// An earlier version of this crate wrote the file in a format that lacks some data. The file
    /// is unchanged. Move it away. Without the file all users must log in again, and no revocation
    /// or block is in force.
    OlderFormat,
    /// Bytes of the file were changed or lost. Restore it from a backup, or move it away. Without
    /// the file all users must log in again, and no revocation or block is in force.
    Corrupt,
    /// The disk is full. The next call tries again.
    DiskFull(Arc<io::Error>),
    /// The file or its directory cannot be read or written. The next call tries again.
    Io(Arc<io::Error>),
    /// The file has, or would have, more unexpired revocations than the
    /// [capacity](super::EmbeddedStoreOptions::capacity). The call changed nothing.
    SetFull,
    /// A name or an ID is longer than 4,096 bytes. The call changed nothing.
    TooLong,
    /// A generation above [`MAX_GENERATION`](crate::session::MAX_GENERATION). The call changed
    /// nothing.
    OutOfRange,
    /// The file was deleted, moved or replaced while it was open. Until it is back, the store
    /// acknowledges no writes. Look-ups of revocations and sessions still work. Put the file back,
    /// or restart the service.
    FileGone,
    /// The store was closed.
    Closed,
    /// Any other error of redb.
    Database(Arc<redb::Error>),
}

impl fmt::Display for EmbeddedStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InUse => {
                "the store's file is already open: close it first, or use a clone of that store"
            }
            Self::ForeignFile => "the file is not a store: choose another path",
            Self::NewerFormat => {
                "a newer version wrote the store's file: update this crate, or move the file away"
            }
            Self::OlderFormat => {
                "an older version wrote the store's file: move it away, \
                 and all users must log in again; no revocation or block is then in force"
            }
            Self::Corrupt => {
                "the store's file is corrupt: restore it from a backup, or move it away"
            }
            Self::DiskFull(_) => "the disk of the store's file is full: free some space",
            Self::Io(_) => "the store's file cannot be read or written",
            Self::SetFull => "the revocation set is full: raise the store's capacity",
            Self::TooLong => "a name or an ID is longer than 4,096 bytes",
            Self::OutOfRange => "the generation is larger than 2^52",
            Self::FileGone => {
                "the store's file was deleted, moved or replaced: put it back, \
                 or restart the service"
            }
            Self::Closed => "the store was closed",
            Self::Database(_) => "the database of the store failed",
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
            // A page refers to bytes behind the end of the file.
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
            // redb reports a format that it does not know with this text only.
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
