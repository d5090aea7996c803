//! Where revocations and sessions are kept: each store is a [`RevocationStore`](crate::revocation::RevocationStore) and a
//! [`SessionStore`](crate::session::SessionStore).
//!
//! | store | survives | for |
//! | --- | --- | --- |
//! | [`MemoryStore`] | nothing | tests, and services whose logins need not outlive a restart |
//! | `EmbeddedStore` (feature `embedded`) | the process, the system, and the power: acknowledged once on disk | one machine |
//! | `RedisStore` (feature `redis`) | what the Redis server is set to survive; of revocations, also what any living node remembers | many nodes |
//!
//! With feature `testing` a store of one's own can be held to the contract of both.

#[cfg(feature = "embedded")]
#[cfg_attr(docsrs, doc(cfg(feature = "embedded")))]
pub mod embedded;
mod memory;
#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
#[expect(
    clippy::allow_attributes,
    reason = "stays right when the function is short"
)]
#[allow(
    clippy::too_many_lines,
    reason = "`feed::load` is too long: remove both when it is short"
)]
pub mod redis;
mod session_table;

#[cfg(feature = "embedded")]
#[cfg_attr(docsrs, doc(cfg(feature = "embedded")))]
pub use embedded::{EmbeddedStore, EmbeddedStoreError, EmbeddedStoreOptions, EmbeddedStoreState};
pub use memory::{MemoryStore, MemoryStoreFull};
#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub use redis::{RedisStore, RedisStoreError, RedisStoreOptions, RedisStoreState};
