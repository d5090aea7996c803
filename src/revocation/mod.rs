//! Revocation: reject a token before it expires.
//!
//! The layer asks a [`RevocationStore`] about every token that it has verified. You need one for
//! logout, for blocked users, and to reject a stolen token. This crate has [three
//! stores](crate::store). Use [`RevocationSet`] to write a store of your own, or [`store_fn`] to
//! ask a closure.
//!
//! ```
//! use tower_jwt_auth::JwtAuthLayer;
//! use tower_jwt_auth::claims::NumericDate;
//! use tower_jwt_auth::keys::VerifyingKey;
//! use tower_jwt_auth::revocation::{Revocation, RevocationStore};
//! use tower_jwt_auth::store::MemoryStore;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = MemoryStore::new();
//! let layer = JwtAuthLayer::new(VerifyingKey::hs256([7; 32])?).revocation(store.clone());
//!
//! // From now on the layer rejects the token with this issuer, `jti` and `exp`.
//! store.revoke(&Revocation::Token {
//!     issuer: Some("https://id.example.com"),
//!     jti: "6b1d5a9e",
//!     expires_at: NumericDate::from_seconds(4_000_000_000).ok_or("the date is too late")?,
//! })?;
//! # let _ = layer;
//! # Ok(())
//! # }
//! ```

mod buckets;
mod entry;
mod failure;
mod filter;
mod fingerprint;
mod fingerprinted;
mod lookup;
mod published;
mod rows;
mod set;
mod shared;
mod state;
mod store;
mod table;
mod token_identity;
mod writer;

pub use entry::Revocation;
pub use failure::FailurePolicy;
pub(crate) use failure::Outage;
#[cfg(feature = "redis")]
pub(crate) use fingerprint::Fingerprint;
pub use fingerprint::FingerprintKey;
pub(crate) use fingerprint::Fingerprinter;
#[cfg(feature = "redis")]
pub(crate) use fingerprinted::{FingerprintedRevocation, RevocationKind, SubjectBlock};
pub use set::RevocationSet;
pub use state::{RevocationSetFull, RevocationSetState};
pub use store::{
    BoxRevocationStore, BoxStoreError, NoRevocation, RevocationStore, StoreFn, store_fn,
};
pub use token_identity::TokenIdentity;
