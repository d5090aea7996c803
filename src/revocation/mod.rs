//! Tokens that stop working before they expire.

mod failure;
mod store;
mod token_id;

pub use failure::FailurePolicy;
pub(crate) use failure::Outage;
pub use store::{
    BoxRevocationStore, BoxStoreError, NoRevocation, RevocationStore, StoreFn, store_fn,
};
pub use token_id::TokenId;
