//! One thing for each of the threads that run at once, so that they do not wait for each other's processor caches.
//!
//! A counter that every request raises and lowers, as that of an `Arc` is, travels between the processors with each of them. That
//! costs more than whatever is counted, and the more the more threads there are.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// In lines of the processor's cache of its own: they are fetched in pairs of 64 bytes.
#[repr(align(128))]
pub(crate) struct Apart<T>(pub(crate) T);

/// As many of one thing as threads run at once. A thread always finds the same of them, and shares it with few others.
pub(crate) struct Lanes<T>(Box<[Apart<T>]>);

impl<T> Lanes<T> {
    pub(crate) fn new(make: impl FnMut() -> T) -> Self {
        let made = std::iter::repeat_with(make).map(Apart);
        Self(made.take(count()).collect())
    }

    /// This thread's own. There is always one.
    #[inline]
    pub(crate) fn own(&self) -> Option<&T> {
        let last = self.0.len().checked_sub(1)?;
        // Their number is a power of two.
        self.0.get(thread() & last).map(|lane| &lane.0)
    }
}

/// How many lanes there are: a power of two.
pub(crate) fn count() -> usize {
    const MOST: usize = 64;
    static COUNT: OnceLock<usize> = OnceLock::new();
    // The system may read files to answer.
    *COUNT.get_or_init(|| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        threads.min(MOST).next_power_of_two()
    })
}

/// The number of this thread: threads count as they come here first.
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
        let lanes = Lanes::new(|| next.fetch_add(1, Ordering::Relaxed));
        let own = || *lanes.own().unwrap();
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
