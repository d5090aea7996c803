//! Why a store in memory fails.

use std::error::Error;
use std::fmt;

use crate::revocation::RevocationSetFull;

/// The store is full and rejected the change. Its contents stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemoryStoreFull {
    /// The revocation set is full.
    Revocations(RevocationSetFull),
    /// The store has its greatest number of sessions.
    Sessions,
}

impl From<RevocationSetFull> for MemoryStoreFull {
    fn from(full: RevocationSetFull) -> Self {
        Self::Revocations(full)
    }
}

impl fmt::Display for MemoryStoreFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Revocations(_) => "the store has no room for another revocation",
            Self::Sessions => "the store has no room for another session",
        })
    }
}

impl Error for MemoryStoreFull {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Revocations(full) => Some(full),
            Self::Sessions => None,
        }
    }
}
