//! How an invalid guard is reported: as a panic, or as an error.

use std::cell::Cell;
use std::error::Error;
use std::fmt;

/// An invalid argument of a guard's builder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BuilderError(&'static str);

impl fmt::Display for BuilderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for BuilderError {}

thread_local! {
    /// `None`: errors panic. `Some`: the first error is captured here.
    static CAPTURED: Cell<Option<Option<BuilderError>>> = const { Cell::new(None) };
}

/// Panics, or records the error inside of [`capture`].
#[track_caller]
#[expect(
    clippy::panic,
    reason = "an invalid argument of a builder, before any request"
)]
pub(super) fn report(message: &'static str) {
    match CAPTURED.get() {
        None => panic!("{message}"),
        Some(before) => CAPTURED.set(Some(before.or(Some(BuilderError(message))))),
    }
}

/// Runs `build` and returns the first invalid argument as an error.
///
/// A layer is built at startup, where a panic is right. A permission is built for each request,
/// where a panic would close the connection or end the process.
#[cfg(feature = "axum")]
pub(crate) fn capture<T>(build: impl FnOnce() -> T) -> Result<T, BuilderError> {
    /// Restores the outer state, even if `build` panics.
    struct Restore(Option<Option<BuilderError>>);

    impl Drop for Restore {
        fn drop(&mut self) {
            CAPTURED.set(self.0);
        }
    }

    let _restore = Restore(CAPTURED.replace(Some(None)));
    let built = build();
    match CAPTURED.get().flatten() {
        None => Ok(built),
        Some(error) => Err(error),
    }
}
