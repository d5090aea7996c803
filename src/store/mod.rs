//! Where revocations are kept.

pub mod memory;

pub use memory::MemoryStore;
