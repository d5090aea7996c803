//! What an [`EmbeddedStore`] does to its file, and what the file's troubles do to it.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::clock::ManualClock;

/// A file of its own in the directory of temporary files, which goes with it.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("tower-jwt-auth-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("sessions")
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn open(path: &Path, clock: &ManualClock) -> EmbeddedStore {
    let options = EmbeddedStoreOptions::new().clock(clock.clone());
    options.open(path).await.unwrap()
}

/// A store over a backend that is no file.
async fn over(backend: impl redb::StorageBackend, clock: &ManualClock) -> EmbeddedStore {
    let options = EmbeddedStoreOptions::new().clock(clock.clone());
    let opened = move || Ok(Opened::over(Box::new(backend)));
    options.open_with(opened).await.unwrap()
}

#[cfg(feature = "testing")]
#[tokio::test(flavor = "multi_thread")]
async fn the_contract_is_kept() {
    let make =
        async |clock: ManualClock| over(redb::backends::InMemoryBackend::new(), &clock).await;
    crate::testing::session_store_contract(make).await;
}
