//! Tests of the embedded store that need its internals.

mod commits;
mod corrupt_rows;
mod disk;
mod disk_failures;
mod fixture;
mod formats;
mod limits;
mod opening;
mod restart;
mod revocations;
