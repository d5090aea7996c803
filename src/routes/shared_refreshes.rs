//! One refresh for all pages of one refresh token, until the browser has the next token.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

use crate::session::{SessionError, TokenPair};

/// How many refreshes are shared at once. Further ones run alone, and the grace covers them.
const MOST: usize = 10_000;

/// How long a refresh is shared, however long a page takes: the longest grace.
const LONGEST: Duration = Duration::from_secs(300);

type Refresh = OnceCell<Result<TokenPair, SessionError>>;

/// The shared refreshes, by refresh token.
pub(super) struct SharedRefreshes {
    entries: Arc<Mutex<Entries>>,
    /// How long a refresh stays shared after its last page.
    grace: Duration,
}

type Entries = HashMap<Box<str>, Entry>;

/// Lives as long as a participant of its refresh.
struct Entry {
    refresh: Weak<Refresh>,
    started: Instant,
}

impl SharedRefreshes {
    pub(super) fn new(grace: Duration) -> Self {
        let entries = Arc::default();
        Self { entries, grace }
    }

    /// Joins the refresh of this token, unless it has failed or is too old.
    pub(super) fn join(&self, refresh_token: &str) -> Participant {
        let mut entries = lock(&self.entries);
        let entry = entries.get(refresh_token);
        let shared = entry
            .filter(|entry| entry.started.elapsed() < LONGEST)
            .and_then(|entry| entry.refresh.upgrade())
            .filter(|refresh| !matches!(refresh.get(), Some(Err(_))));
        let has_room = entry.is_some() || entries.len() < MOST;
        let refresh = shared.unwrap_or_else(|| {
            let refresh = Arc::default();
            if has_room {
                let entry = Entry {
                    refresh: Arc::downgrade(&refresh),
                    started: Instant::now(),
                };
                entries.insert(refresh_token.into(), entry);
            }
            refresh
        });
        Participant {
            entries: Arc::clone(&self.entries),
            refresh_token: refresh_token.into(),
            refresh,
            grace: self.grace,
        }
    }
}

fn lock(entries: &Mutex<Entries>) -> MutexGuard<'_, Entries> {
    entries.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A page that runs a refresh, waits for it or was made with its tokens. The refresh is shared
/// until the last one is dropped, and for the grace after it: the visitor may have aborted the page
/// to reload it.
pub(super) struct Participant {
    entries: Arc<Mutex<Entries>>,
    refresh_token: Box<str>,
    refresh: Arc<Refresh>,
    grace: Duration,
}

impl Participant {
    /// Runs `refresh`, or waits for the one under way, or takes the tokens of the one before. If
    /// the page that runs it is dropped, the next one runs it again.
    pub(super) async fn tokens<F>(
        &self,
        refresh: impl FnOnce() -> F,
    ) -> Result<TokenPair, SessionError>
    where
        F: Future<Output = Result<TokenPair, SessionError>>,
    {
        self.refresh.get_or_init(refresh).await.clone()
    }

    /// Removes the entry with its last participant. If the entry must stay for the grace, returns a
    /// participant that keeps it.
    fn leave(&mut self) -> Option<Self> {
        let mut entries = lock(&self.entries);
        // Dropped under the lock, or two that leave at once would each leave the entry to the
        // other.
        let refresh = mem::take(&mut self.refresh);
        let entry = entries.get(&self.refresh_token)?;
        let is_last = Arc::strong_count(&refresh) == 1;
        if !is_last || Weak::as_ptr(&entry.refresh) != Arc::as_ptr(&refresh) {
            return None;
        }
        if !self.grace.is_zero() && matches!(refresh.get(), Some(Ok(_))) {
            return Some(Self {
                entries: Arc::clone(&self.entries),
                refresh_token: mem::take(&mut self.refresh_token),
                refresh,
                grace: Duration::ZERO,
            });
        }
        entries.remove(&self.refresh_token);
        None
    }
}

impl Drop for Participant {
    fn drop(&mut self) {
        let Some(keeper) = self.leave() else {
            return;
        };
        let grace = self.grace;
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                sleep(grace).await;
                drop(keeper);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl SharedRefreshes {
        fn count(&self) -> usize {
            lock(&self.entries).len()
        }
    }

    #[test]
    fn an_entry_lives_as_long_as_somebody_waits() {
        let refreshes = SharedRefreshes::new(Duration::from_secs(10));
        let first = refreshes.join("a");
        let second = refreshes.join("a");
        let other = refreshes.join("b");
        assert!(Arc::ptr_eq(&first.refresh, &second.refresh));
        assert!(!Arc::ptr_eq(&first.refresh, &other.refresh));
        drop(first);
        assert_eq!(refreshes.count(), 2);
        drop(second);
        assert_eq!(refreshes.count(), 1);
        drop(other);
        assert_eq!(refreshes.count(), 0);
    }

    #[test]
    fn the_number_of_entries_is_bounded() {
        let refreshes = SharedRefreshes::new(Duration::from_secs(10));
        let names: Vec<_> = (0..=MOST).map(|name| name.to_string()).collect();
        let all: Vec<_> = names.iter().map(|name| refreshes.join(name)).collect();
        assert_eq!(refreshes.count(), MOST);
        // The last one runs alone.
        let alone = refreshes.join(names.last().unwrap());
        assert!(!Arc::ptr_eq(&alone.refresh, &all.last().unwrap().refresh));
        drop((all, alone));
        assert_eq!(refreshes.count(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_refresh_is_replaced_and_leaves_the_new_one_alone() {
        let refreshes = SharedRefreshes::new(Duration::ZERO);
        let old = refreshes.join("a");
        tokio::time::advance(LONGEST).await;
        let new = refreshes.join("a");
        assert!(!Arc::ptr_eq(&old.refresh, &new.refresh));
        drop(old);
        assert!(Arc::ptr_eq(&new.refresh, &refreshes.join("a").refresh));
        drop(new);
        assert_eq!(refreshes.count(), 0);
    }
}
