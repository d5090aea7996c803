//! The tables of the file, and what each call does to them in one transaction.

mod definitions;
pub(super) mod failure;
pub(super) mod format;
mod lookup;
mod metadata;
mod pruning;
mod revocations;
mod sessions;
pub(super) mod snapshot;
mod subjects;
pub(super) mod write;
