//! Changes to the set. One thread at a time.

mod blocks;
mod prune;
mod publish;
mod revoke;
mod rows;
mod state;
mod tokens;

pub(super) use publish::Writer;
pub(super) use state::WriterState;
