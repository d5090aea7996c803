//! A store in one file: sessions and revocations of a service on one machine.
//!
//! Use it if logins and revocations must survive a restart, and a single process serves them. With
//! several nodes use the Redis store.
//!
//! ```
//! use tower_jwt_auth::JwtAuthLayer;
//! use tower_jwt_auth::keys::VerifyingKey;
//! use tower_jwt_auth::session::{SessionStore, Subject};
//! use tower_jwt_auth::store::EmbeddedStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let path = std::env::temp_dir().join(format!("tower-jwt-auth-doc-{}", std::process::id()));
//! # let _ = std::fs::remove_file(&path);
//! let store = EmbeddedStore::open(&path).await?;
//! let layer = JwtAuthLayer::new(VerifyingKey::hs256([7; 32])?).revocation(store.clone());
//!
//! // The block is on disk when this returns. The layer rejects the tokens of `mallory`.
//! store.block(&Subject::new(None, "mallory")).await?;
//! store.close().await;
//! # let _ = layer;
//! # std::fs::remove_file(&path)?;
//! # Ok(())
//! # }
//! ```
//!
//! An acknowledged call is on disk: it survives a crash of the process or system, and a power
//! failure. Concurrent calls share a commit.
//!
//! One thread writes to the file and another reads from it. So the threads of the async runtime
//! never wait for the disk. The store does not need a runtime. It continues to work after the
//! runtime that opened it has shut down. Look-ups of revocations never touch the disk: `open` loads
//! all of them into memory.
//!
//! If the disk fails or is full, calls fail. Look-ups of revocations still work, and the next call
//! tries again. After [`SetFull`](EmbeddedStoreError::SetFull),
//! [`TooLong`](EmbeddedStoreError::TooLong) and [`OutOfRange`](EmbeddedStoreError::OutOfRange)
//! nothing has changed. After any other error the change may have happened: repeat the call. A call
//! whose future you drop may still take effect.
//!
//! # The file
//!
//! `open` verifies the checksums of all pages and revocations. Each row has a checksum too, which
//! is verified at each read. Changed or lost bytes are reported as
//! [`Corrupt`](EmbeddedStoreError::Corrupt), by `open` or by the call that reads the row. The
//! checksums detect accidents. They do not detect:
//!
//! - an attacker who can write to the file,
//! - an older copy of the whole file.
//!
//! The database library redb panics at some kinds of damage. The store checks the file's length and
//! header before redb does, and reports a panic of redb as `Corrupt`. In a process built with
//! `panic = "abort"`, a damaged page can still end the process, in two cases:
//!
//! - redb reads the page while it opens the file, before the checksum is verified.
//! - The page is damaged after `open`.
//!
//! | at the path | what `open` does |
//! | --- | --- |
//! | nothing, or an empty file | Creates a store with mode 0600. Removes a leftover `PATH.new` first, unless another process is writing that file. Does not follow links. |
//! | the file of a store | Removes the access of other users, if the process owns the file. The group keeps its access. |
//! | a link to the file of a store | Follows symbolic and hard links. The lock is on the file, whatever its name. |
//! | a link to nothing | Fails with [`Io`](EmbeddedStoreError::Io). |
//! | a pipe, a socket or a device | Fails with [`ForeignFile`](EmbeddedStoreError::ForeignFile). |
//!
//! On Unix the store checks before each acknowledgement that the path still leads to its file. If
//! the file or a directory above it was deleted, moved or replaced, writes fail with
//! [`FileGone`](EmbeddedStoreError::FileGone). Look-ups still work: revoked tokens stay revoked,
//! and other tokens pass. Once the file is back, writes work again. Call `chroot` before `open`,
//! because `chroot` changes where the path leads.
//!
//! # A wrong clock
//!
//! The store drops expired rows by its clock. If the clock is ahead during a single commit only,
//! the store drops nothing. A clock that stays ahead has these effects, even after it is correct
//! again:
//!
//! - Sessions that have expired by the wrong clock are lost: their users must log in again.
//! - Valid tokens are rejected if they expire no later than a token whose revocation was dropped:
//!   the store no longer knows which token was revoked. No revoked token becomes valid.
//! - Suppose that you block a subject while the clock is wrong, and lift the block later. A token
//!   stays revoked if it has no generation, and its `iat` is before the time that the wrong clock
//!   showed. This lasts until that time plus
//!   [`longest_lifetime`](EmbeddedStoreOptions::longest_lifetime).
//!
//! Access tokens of [`Sessions`](crate::session::Sessions) live at most a day, so valid tokens are
//! rejected for a day at most. There are two exceptions:
//!
//! - If you revoked a longer-lived token of another issuer, this lasts longer.
//! - If a dropped revocation was made while the clock was wrong, this may last until about the time
//!   that the wrong clock showed. A restart does not end it.
//!
//! # Figures
//!
//! Measured with as many revocations as live sessions, on two busy cores of a virtual machine whose
//! disk takes 5 ms for a sync (`cargo bench --features embedded --bench embedded`):
//!
//! | sessions | `open` | file | memory after `open` | a refresh, 1 caller | a refresh, 64 callers | refreshes per second, 64 callers |
//! | --- | --- | --- | --- | --- | --- | --- |
//! | 10,000 | 0.06 s | 10 MiB | 8 MiB | 22 ms | 20 ms | 3,300 |
//! | 100,000 | 0.6 s | 80 MiB | 51 MiB | 17 ms | 36 ms | 1,800 |
//!
//! A refresh takes two syncs, which concurrent calls share. The second sync ensures that after a
//! crash the store finds the last commit. `open` verifies the whole file: about 500 MiB per second
//! if the file is in the page cache of the system. Opening also fills the
//! [cache](EmbeddedStoreOptions::cache) of the store.

mod backend;
mod change;
mod database;
mod error;
mod file;
mod header;
mod index;
mod inner;
mod options;
mod reader;
mod request;
mod row;
mod session_store;
mod store;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

pub use error::EmbeddedStoreError;
pub use options::EmbeddedStoreOptions;
pub use store::{EmbeddedStore, EmbeddedStoreState};
