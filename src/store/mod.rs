//! The stores of this crate. Each one stores revocations and sessions.
//!
//! Each implements [`RevocationStore`](crate::revocation::RevocationStore) and
//! [`SessionStore`](crate::session::SessionStore). `RedisStore` also stores used DPoP proofs, as a
//! [`ReplayStore`](crate::dpop::ReplayStore).
//!
//! | store | what survives a restart or a crash | use it for |
//! | --- | --- | --- |
//! | [`MemoryStore`] | nothing | tests, and services where a restart may log everybody out |
//! | `EmbeddedStore` (feature `embedded`) | everything, even after a crash of the process or the system, or a power loss | one machine |
//! | `RedisStore` (feature `redis`) | what the Redis server keeps, and revocations that a living node has read | several nodes |
//!
//! The feature `testing` has a test suite for your own
//! [`SessionStore`](crate::session::SessionStore).
//!
//! ```
//! use tower_jwt_auth::JwtAuthLayer;
//! use tower_jwt_auth::keys::VerifyingKey;
//! use tower_jwt_auth::store::MemoryStore;
//!
//! let store = MemoryStore::new();
//! let layer = JwtAuthLayer::new(VerifyingKey::hs256([7; 32])?).revocation(store);
//! # let _ = layer;
//! # Ok::<_, tower_jwt_auth::keys::KeyError>(())
//! ```

#[cfg(feature = "embedded")]
#[cfg_attr(docsrs, doc(cfg(feature = "embedded")))]
pub mod embedded;
mod memory;
#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub mod redis;

#[cfg(feature = "embedded")]
#[cfg_attr(docsrs, doc(cfg(feature = "embedded")))]
pub use embedded::{EmbeddedStore, EmbeddedStoreError, EmbeddedStoreOptions, EmbeddedStoreState};
pub use memory::{MemoryStore, MemoryStoreError};
#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub use redis::{RedisStore, RedisStoreError, RedisStoreOptions, RedisStoreState};
