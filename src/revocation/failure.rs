//! What is to happen while a store has no answers.

use std::time::Duration;

/// What becomes of a request whose look-up failed: with an error, or because the deadline passed.
///
/// What a store does answer counts under every policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailurePolicy {
    /// Refuse it: 503 with `Retry-After`. The default, since a revoked token must not come through because a store is down.
    #[default]
    Reject,
    /// Let it pass, unasked, and report it. A revoked token counts again for as long as the store is down.
    Allow,
    /// Let it pass while the outage is younger than this, then refuse.
    ///
    /// An outage begins with its first failure. It ends when the store has answered without a failure for as long as
    /// this: a store that comes and goes gets no new grace each time.
    AllowFor(Duration),
}

/// When the store began to fail, and whether it has recovered.
///
/// Times are spans since one point, on a clock that does not step.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    began: Option<Duration>,
    healthy_since: Option<Duration>,
}

impl Outage {
    /// Notes a failure. Whether the request may pass.
    pub(crate) fn failed(&mut self, policy: FailurePolicy, now: Duration) -> bool {
        // Silence is no health: only an answer ends an outage.
        self.healthy_since = None;
        let began = *self.began.get_or_insert(now);
        match policy {
            FailurePolicy::Reject => false,
            FailurePolicy::Allow => true,
            FailurePolicy::AllowFor(grace) => now.saturating_sub(began) < grace,
        }
    }

    /// Notes an answer. Whether the outage is over.
    pub(crate) fn answered(&mut self, policy: FailurePolicy, now: Duration) -> bool {
        self.healthy_since.get_or_insert(now);
        self.settle(policy, now);
        self.began.is_none()
    }

    fn settle(&mut self, policy: FailurePolicy, now: Duration) {
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
    fn the_grace_is_counted_from_the_first_failure() {
        let mut outage = Outage::default();
        assert!(outage.failed(GRACE, at(100)));
        assert!(outage.failed(GRACE, at(159)));
        assert!(!outage.failed(GRACE, at(160)));
        assert!(!outage.failed(GRACE, at(100_000)), "nobody saw it healthy");
    }

    #[test]
    fn a_store_that_comes_and_goes_gets_no_new_grace() {
        let mut outage = Outage::default();
        assert!(outage.failed(GRACE, at(100)));
        assert!(!outage.answered(GRACE, at(130)));
        assert!(!outage.failed(GRACE, at(170)));
        assert!(!outage.answered(GRACE, at(180)));
        assert!(!outage.failed(GRACE, at(239)), "healthy for 59 seconds");
        assert!(!outage.answered(GRACE, at(240)));
        assert!(!outage.failed(GRACE, at(300)), "nobody saw it healthy");
        assert!(!outage.answered(GRACE, at(310)));
        assert!(outage.answered(GRACE, at(370)), "healthy for 60 seconds");
        assert!(outage.failed(GRACE, at(371)));
        assert!(!outage.failed(GRACE, at(431)));
    }

    #[test]
    fn the_other_policies_have_no_memory() {
        let mut outage = Outage::default();
        for now in [0, 1, 1_000_000] {
            assert!(!outage.failed(FailurePolicy::Reject, at(now)));
            assert!(outage.failed(FailurePolicy::Allow, at(now)));
        }
        assert!(outage.answered(FailurePolicy::Reject, at(2_000_000)));
    }
}
