//! Logs failed questions.

use std::sync::atomic::AtomicU64;
#[cfg(feature = "tracing")]
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::keys::remote::FetchError;

/// Which failures are logged: one a second, so that an outage does not flood the log.
#[derive(Default)]
#[cfg_attr(
    not(feature = "tracing"),
    expect(dead_code, reason = "nothing is logged")
)]
pub(super) struct FailureLog {
    /// The second of the last event.
    second: AtomicU64,
    /// The failures since then.
    silent: AtomicU64,
}

#[cfg(feature = "tracing")]
pub(super) fn report(log: &FailureLog, issuer: &str, error: &FetchError, now: Duration) {
    let order = Ordering::Relaxed;
    if log.second.swap(now.as_secs(), order) == now.as_secs() {
        log.silent.fetch_add(1, order);
        return;
    }
    let silent = log.silent.swap(0, order);
    let (reason, url) = (error.chain(), error.url());
    tracing::warn!(issuer, url, reason, silent, "an introspection failed");
}

#[cfg(not(feature = "tracing"))]
pub(super) fn report(_: &FailureLog, _: &str, _: &FetchError, _: Duration) {}
