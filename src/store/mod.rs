//! Where revocations and sessions are kept: each store is a [`RevocationStore`](crate::revocation::RevocationStore) and a
//! [`SessionStore`](crate::session::SessionStore).

mod memory;
mod session_table;

pub use memory::{MemoryStore, MemoryStoreFull};
