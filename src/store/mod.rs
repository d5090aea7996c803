//! Where revocations and sessions are kept: each store is a [`RevocationStore`](crate::revocation::RevocationStore) and a
//! [`SessionStore`](crate::session::SessionStore).
//!
//! | store | survives | for |
//! | --- | --- | --- |
//! | [`MemoryStore`] | nothing | tests, and services whose logins need not outlive a restart |
//! | `EmbeddedStore` (feature `embedded`) | the process, the system, and the power: acknowledged once on disk | one machine |
//!
//! With feature `testing` a store of one's own can be held to the contract of both.

#[cfg(feature = "embedded")]
#[cfg_attr(docsrs, doc(cfg(feature = "embedded")))]
pub mod embedded;
mod memory;
mod session_table;

#[cfg(feature = "embedded")]
#[cfg_attr(docsrs, doc(cfg(feature = "embedded")))]
pub use embedded::{EmbeddedStore, EmbeddedStoreError, EmbeddedStoreOptions, EmbeddedStoreState};
pub use memory::{MemoryStore, MemoryStoreFull};
