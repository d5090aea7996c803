//! The tables of the file, and what each call does to them in one transaction.

mod definitions;
pub(super) mod failure;
mod lookup;
mod metadata;
pub(super) mod prepare;
mod pruning;
mod revocations;
mod sessions;
pub(super) mod snapshot;
mod subjects;
pub(super) mod write;
