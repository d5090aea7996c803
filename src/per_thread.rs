//! One value for each thread, so that threads do not wait for each other's processor caches.
//!
//! Every request raises and lowers reference counts. A count that all threads share moves between
//! the processors' caches each time, and that costs more the more threads there are.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A value in cache lines of its own. Processors fetch them in pairs of 64 bytes.
#[repr(align(128))]
pub(crate) struct CachePadded<T>(pub(crate) T);

/// As many values as threads run at once. A thread always finds the same one, which few others use.
pub(crate) struct PerThread<T>(Box<[CachePadded<T>]>);

impl<T> PerThread<T> {
    pub(crate) fn new(make: impl FnMut() -> T) -> Self {
        let made = std::iter::repeat_with(make).map(CachePadded);
        Self(made.take(count()).collect())
    }

    /// The value of this thread. There is always one.
    #[inline]
    pub(crate) fn of_this_thread(&self) -> Option<&T> {
        let last = self.0.len().checked_sub(1)?;
        // Their number is a power of two.
        self.0.get(thread() & last).map(|value| &value.0)
    }
}

/// How many values there are: a power of two.
pub(crate) fn count() -> usize {
    const MOST: usize = 64;
    static COUNT: OnceLock<usize> = OnceLock::new();
    // The system may read files to answer.
    *COUNT.get_or_init(|| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        threads.min(MOST).next_power_of_two()
    })
}

/// The number of this thread. Threads are numbered in the order of their first call.
#[inline]
fn thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    const UNNUMBERED: usize = usize::MAX;
    thread_local! {
        static NUMBER: Cell<usize> = const { Cell::new(UNNUMBERED) };
    }
    NUMBER.with(|number| {
        if number.get() == UNNUMBERED {
            number.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        number.get()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_finds_its_own() {
        let next = AtomicUsize::new(0);
        let values = PerThread::new(|| next.fetch_add(1, Ordering::Relaxed));
        let own = || *values.of_this_thread().unwrap();
        assert_eq!(own(), own());
        if count() > 1 {
            // Threads are numbered in turn, so some of several get another.
            let others = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..2 * count()).map(|_| scope.spawn(own)).collect();
                threads
                    .into_iter()
                    .map(|thread| thread.join().unwrap())
                    .collect::<Vec<_>>()
            });
            assert!(others.iter().any(|other| *other != own()));
        }
    }
}
