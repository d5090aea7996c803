//! A store in memory. A restart loses its contents.

mod error;
mod session_store;
mod session_table;
mod store;

pub use error::MemoryStoreError;
pub use store::MemoryStore;
