//! Tokens that stop working before they expire.

mod store;
mod token_id;

pub use store::{
    BoxRevocationStore, BoxStoreError, NoRevocation, RevocationStore, StoreFn, store_fn,
};
pub use token_id::TokenId;
