//! Tokens that stop working before they expire.

mod buckets;
mod entry;
mod failure;
mod filter;
mod fingerprint;
#[cfg(feature = "redis")]
mod mark;
mod root;
mod rows;
mod set;
mod store;
mod table;
mod token_id;
mod writer;

pub use entry::Revocation;
pub use failure::FailurePolicy;
pub(crate) use failure::Outage;
pub use fingerprint::FingerprintKey;
#[cfg(feature = "redis")]
pub(crate) use mark::{Mark, MarkKind};
pub use set::{RevocationSet, RevocationSetFull, RevocationSetState};
pub use store::{
    BoxRevocationStore, BoxStoreError, NoRevocation, RevocationStore, StoreFn, store_fn,
};
pub use token_id::TokenId;
