//! One refresh for all requests that come at once with the same refresh token.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::OnceCell;

use crate::session::{SessionError, TokenPair};

/// How many refreshes are shared at once. Further ones run alone, and the grace covers them.
const MOST: usize = 10_000;

type Refresh = OnceCell<Result<TokenPair, SessionError>>;

/// The refreshes under way, by refresh token. An entry lives as long as a request waits for it.
#[derive(Default)]
pub(super) struct SharedRefreshes(Mutex<HashMap<Box<str>, Weak<Refresh>>>);

impl SharedRefreshes {
    /// Runs `refresh`, or waits for the one under way. If the request that runs it is dropped, the
    /// next one runs it again.
    pub(super) async fn share<F>(
        &self,
        refresh_token: &str,
        refresh: impl FnOnce() -> F,
    ) -> Result<TokenPair, SessionError>
    where
        F: Future<Output = Result<TokenPair, SessionError>>,
    {
        let participant = self.join(refresh_token);
        participant.refresh.get_or_init(refresh).await.clone()
    }

    fn join<'a>(&'a self, refresh_token: &'a str) -> Participant<'a> {
        let mut entries = self.entries();
        let under_way = entries.get(refresh_token).and_then(Weak::upgrade);
        let refresh = under_way.unwrap_or_else(|| {
            let refresh = Arc::default();
            if entries.len() < MOST {
                entries.insert(refresh_token.into(), Arc::downgrade(&refresh));
            }
            refresh
        });
        Participant {
            refreshes: self,
            refresh_token,
            refresh,
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Box<str>, Weak<Refresh>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that runs a refresh or waits for it.
struct Participant<'a> {
    refreshes: &'a SharedRefreshes,
    refresh_token: &'a str,
    refresh: Arc<Refresh>,
}

impl Drop for Participant<'_> {
    fn drop(&mut self) {
        let mut entries = self.refreshes.entries();
        // Under the lock, or two that leave at once would each leave the entry to the other.
        drop(mem::take(&mut self.refresh));
        let entry = entries.get(self.refresh_token);
        if entry.is_some_and(|entry| entry.strong_count() == 0) {
            entries.remove(self.refresh_token);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_lives_as_long_as_somebody_waits() {
        let refreshes = SharedRefreshes::default();
        let first = refreshes.join("a");
        let second = refreshes.join("a");
        let other = refreshes.join("b");
        assert!(Arc::ptr_eq(&first.refresh, &second.refresh));
        assert!(!Arc::ptr_eq(&first.refresh, &other.refresh));
        drop(first);
        assert_eq!(refreshes.entries().len(), 2);
        drop(second);
        assert_eq!(refreshes.entries().len(), 1);
        drop(other);
        assert_eq!(refreshes.entries().len(), 0);
    }

    #[test]
    fn the_number_of_entries_is_bounded() {
        let refreshes = SharedRefreshes::default();
        let names: Vec<_> = (0..=MOST).map(|name| name.to_string()).collect();
        let all: Vec<_> = names.iter().map(|name| refreshes.join(name)).collect();
        assert_eq!(refreshes.entries().len(), MOST);
        // The last one runs alone.
        let alone = refreshes.join(names.last().unwrap());
        assert!(!Arc::ptr_eq(&alone.refresh, &all.last().unwrap().refresh));
        drop((all, alone));
        assert_eq!(refreshes.entries().len(), 0);
    }
}
