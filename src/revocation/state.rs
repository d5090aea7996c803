//! Figures of a set, and the error of a full one.

use std::error::Error;
use std::fmt;

use crate::claims::NumericDate;

/// How many entries a [`RevocationSet`](super::RevocationSet) contains.
///
/// The figures include expired entries that the set has not dropped yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RevocationSetState {
    /// Revoked tokens.
    pub tokens: usize,
    /// Revoked sessions.
    pub sessions: usize,
    /// Subjects with a raised generation.
    pub generations: usize,
    /// Subjects with a cutoff.
    pub cutoffs: usize,
    /// Blocked subjects, and subjects whose older tokens stay revoked after the block was lifted.
    pub blocks: usize,
    /// The maximum number of entries, over all kinds.
    pub capacity: usize,
    /// Bytes on the heap, without the allocator's overhead.
    pub heap_bytes: usize,
    /// The latest `exp` whose tokens the set may have dropped, in whole seconds, rounded down.
    ///
    /// Tokens that expire at this horizon or earlier count as revoked.
    pub horizon: Option<NumericDate>,
}

impl RevocationSetState {
    /// The number of entries of all kinds.
    #[must_use]
    pub fn entries(&self) -> usize {
        [
            self.tokens,
            self.sessions,
            self.generations,
            self.cutoffs,
            self.blocks,
        ]
        .iter()
        .fold(0, |sum, count| sum.saturating_add(*count))
    }
}

/// The set is full and rejected a revocation. Its entries stay in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevocationSetFull;

impl fmt::Display for RevocationSetFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the revocation set is full: raise its capacity")
    }
}

impl Error for RevocationSetFull {}
