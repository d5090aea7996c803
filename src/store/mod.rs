//! Where sessions and revocations are kept.

#[cfg(feature = "embedded")]
#[cfg_attr(docsrs, doc(cfg(feature = "embedded")))]
pub mod embedded;
pub mod memory;

#[cfg(feature = "embedded")]
#[cfg_attr(docsrs, doc(cfg(feature = "embedded")))]
pub use embedded::{EmbeddedStore, EmbeddedStoreError, EmbeddedStoreOptions, EmbeddedStoreState};
pub use memory::MemoryStore;
