//! What the layer does during an outage of the store.

use std::time::Duration;

/// What the layer does with a request if its revocation look-up returns an error or times out.
///
/// A token that the store reports as revoked is rejected under every policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailurePolicy {
    /// Reject it: 503 with `Retry-After`. The default, because an outage must not let revoked
    /// tokens through.
    #[default]
    Reject,
    /// Accept it, and log a warning (feature `tracing`). During an outage, revoked tokens are
    /// accepted.
    Allow,
    /// Accept it during the first part of an outage, for this long. Then reject it.
    ///
    /// An outage begins with its first failure. It ends once the store has worked for the same
    /// duration without a failure. Failures that come and go therefore do not restart the allowed
    /// time.
    AllowFor(Duration),
}

/// The start of an outage, and the time since when the store answers again.
///
/// Times are read from a monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    began: Option<Duration>,
    healthy_since: Option<Duration>,
}

impl Outage {
    /// Notes a failure. Returns whether the layer accepts the request.
    pub(crate) fn failed(&mut self, policy: FailurePolicy, now: Duration) -> bool {
        // Only answers end an outage, not the absence of requests.
        self.healthy_since = None;
        let began = *self.began.get_or_insert(now);
        match policy {
            FailurePolicy::Reject => false,
            FailurePolicy::Allow => true,
            FailurePolicy::AllowFor(grace) => now.saturating_sub(began) < grace,
        }
    }

    /// Notes an answer. Returns whether the outage has ended.
    pub(crate) fn answered(&mut self, policy: FailurePolicy, now: Duration) -> bool {
        self.healthy_since.get_or_insert(now);
        self.end_if_healthy(policy, now);
        self.began.is_none()
    }

    fn end_if_healthy(&mut self, policy: FailurePolicy, now: Duration) {
        let needed = match policy {
            FailurePolicy::AllowFor(grace) => grace,
            _ => Duration::ZERO,
        };
        if let Some(since) = self.healthy_since
            && now.saturating_sub(since) >= needed
        {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: FailurePolicy = FailurePolicy::AllowFor(Duration::from_secs(60));

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_grace_begins_with_the_first_failure() {
        let mut outage = Outage::default();
        assert!(outage.failed(GRACE, at(100)));
        assert!(outage.failed(GRACE, at(159)));
        assert!(!outage.failed(GRACE, at(160)));
        assert!(!outage.failed(GRACE, at(100_000)), "no answer in between");
    }

    #[test]
    fn a_store_that_fails_again_gets_no_new_grace() {
        let mut outage = Outage::default();
        assert!(outage.failed(GRACE, at(100)));
        assert!(!outage.answered(GRACE, at(130)));
        assert!(!outage.failed(GRACE, at(170)));
        assert!(!outage.answered(GRACE, at(180)));
        assert!(!outage.failed(GRACE, at(239)), "healthy for 59 seconds");
        assert!(!outage.answered(GRACE, at(240)));
        assert!(!outage.failed(GRACE, at(300)), "no answer in between");
        assert!(!outage.answered(GRACE, at(310)));
        assert!(outage.answered(GRACE, at(370)), "healthy for 60 seconds");
        assert!(outage.failed(GRACE, at(371)));
        assert!(!outage.failed(GRACE, at(431)));
    }

    #[test]
    fn the_other_policies_ignore_earlier_failures() {
        let mut outage = Outage::default();
        for now in [0, 1, 1_000_000] {
            assert!(!outage.failed(FailurePolicy::Reject, at(now)));
            assert!(outage.failed(FailurePolicy::Allow, at(now)));
        }
        assert!(outage.answered(FailurePolicy::Reject, at(2_000_000)));
    }
}
