//! What happens to a guard that is built wrongly.

use std::cell::Cell;
use std::error::Error;
use std::fmt;

/// A guard was built wrongly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Misuse(&'static str);

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Misuse {}

thread_local! {
    /// `None`: misuse panics. Otherwise it is kept here.
    static KEPT: Cell<Option<Option<Misuse>>> = const { Cell::new(None) };
}

/// Panics, unless it happens in [`kept`].
#[track_caller]
#[expect(clippy::panic, reason = "misuse of a builder, before any request")]
pub(super) fn misuse(message: &'static str) {
    match KEPT.get() {
        None => panic!("{message}"),
        Some(before) => KEPT.set(Some(before.or(Some(Misuse(message))))),
    }
}

/// Runs `build`, in which misuse is an error. A layer is built when a service starts, where a panic
/// is right. A permission is built for a request, where one would end the connection, or the
/// process.
#[cfg(feature = "axum")]
pub(crate) fn kept<T>(build: impl FnOnce() -> T) -> Result<T, Misuse> {
    /// Restores what was there, even if `build` panics by itself.
    struct Restore(Option<Option<Misuse>>);

    impl Drop for Restore {
        fn drop(&mut self) {
            KEPT.set(self.0);
        }
    }

    let _restore = Restore(KEPT.replace(Some(None)));
    let built = build();
    match KEPT.get().flatten() {
        None => Ok(built),
        Some(misuse) => Err(misuse),
    }
}
