//! Delays between retries.

use std::time::Duration;

use tokio::time::sleep;

/// Waits 100 ms after the first failure, and twice as long each time, up to 1 second.
#[derive(Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub(super) async fn wait(&mut self) {
        self.failures = self.failures.saturating_add(1);
        let factor = 1_u32 << self.failures.saturating_sub(1).min(4);
        let delay = Duration::from_millis(100).saturating_mul(factor);
        sleep(delay.min(Duration::from_secs(1))).await;
    }

    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}
