//! Tests that each store of one process must pass. The caller names their module `cases`.

macro_rules! on_each_store {
    ($($test:ident,)*) => {
        mod memory {
            use super::*;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                cases::$test(MemoryStore::new()).await;
            })*
        }

        #[cfg(feature = "embedded")]
        mod embedded {
            use super::*;
            use tower_jwt_auth::store::EmbeddedStoreOptions;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let name = format!("{}-{}", stringify!($test), std::process::id());
                let directory = std::env::temp_dir().join(name);
                std::fs::create_dir_all(&directory).unwrap();
                let options = EmbeddedStoreOptions::new();
                let store = options.open(directory.join("store")).await.unwrap();
                cases::$test(store).await;
                std::fs::remove_dir_all(&directory).unwrap();
            })*
        }
    };
}
