//! Why a store in memory fails.

use std::error::Error;
use std::fmt;

use crate::revocation::RevocationSetFull;

/// Why the store rejected a change. Its contents stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemoryStoreError {
    /// The revocation set is full.
    Revocations(RevocationSetFull),
    /// The store has the maximum number of sessions.
    Sessions,
    /// A generation above [`MAX_GENERATION`](crate::session::MAX_GENERATION).
    OutOfRange,
}

impl From<RevocationSetFull> for MemoryStoreError {
    fn from(full: RevocationSetFull) -> Self {
        Self::Revocations(full)
    }
}

impl fmt::Display for MemoryStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Revocations(_) => "the store has no room for another revocation",
            Self::Sessions => "the store has no room for another session",
            Self::OutOfRange => "the generation is larger than 2^52",
        })
    }
}

impl Error for MemoryStoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Revocations(full) => Some(full),
            Self::Sessions | Self::OutOfRange => None,
        }
    }
}
