//! Good proofs: they are remembered, so that each is used once.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::timeout;

use super::error::DpopErrorKind;
use super::replay::{Answer, ProofIdentity, RememberError, ReplayVerdict};
use super::settings::Dpop;
use super::verifier::AcceptedProof;
use crate::token::JwkThumbprint;

/// A proof that is good, unless it was used before.
pub(crate) struct CheckedProof {
    dpop: Arc<Dpop>,
    accepted: AcceptedProof,
    now: Duration,
}

/// Whose proof it is, in the replay store.
#[derive(Clone, Copy)]
pub(crate) struct ProofOwner<'a> {
    pub(crate) issuer: Option<&'a str>,
    pub(crate) subject: Option<&'a str>,
}

/// Why a good proof cannot be used.
#[derive(Debug)]
pub(crate) enum NotRemembered {
    Rejected(DpopErrorKind),
    /// The replay store failed.
    Failed(RememberError),
}

impl CheckedProof {
    pub(super) fn new(dpop: &Arc<Dpop>, accepted: AcceptedProof, now: Duration) -> Self {
        Self {
            dpop: Arc::clone(dpop),
            accepted,
            now,
        }
    }

    /// The key that the client has proven to hold.
    pub(crate) fn key(&self) -> JwkThumbprint {
        self.accepted.key
    }

    /// The nonce that the client should use next, if that changes.
    pub(crate) fn next_nonce(&self) -> Option<&str> {
        self.accepted.next_nonce.as_deref()
    }

    /// Remembers the proof. `None` if the store has to be awaited.
    pub(crate) fn remember_now(&self, owner: ProofOwner<'_>) -> Option<Result<(), NotRemembered>> {
        let key = self.accepted.key.to_text();
        let identity = self.identity(&key, owner, self.now);
        self.dpop.store.remember_now(&identity).map(judge)
    }

    /// Remembers the proof, and waits for the store until the deadline.
    pub(crate) async fn remember(&self, owner: ProofOwner<'_>) -> Result<(), NotRemembered> {
        self.remember_at(owner, self.now).await
    }

    /// Remembers a proof that was checked some time ago, unless it has expired since.
    pub(crate) async fn remember_at(
        &self,
        owner: ProofOwner<'_>,
        now: Duration,
    ) -> Result<(), NotRemembered> {
        if now >= self.accepted.expires_at {
            return Err(NotRemembered::Rejected(DpopErrorKind::Expired));
        }
        let key = self.accepted.key.to_text();
        let identity = self.identity(&key, owner, now);
        judge(match self.dpop.store.remember_now(&identity) {
            Some(answer) => answer,
            None => self.dpop.remember(&identity).await,
        })
    }

    fn identity<'a>(
        &'a self,
        key: &'a str,
        owner: ProofOwner<'a>,
        now: Duration,
    ) -> ProofIdentity<'a> {
        ProofIdentity {
            key,
            jti: &self.accepted.jti,
            issuer: owner.issuer,
            subject: owner.subject,
            forget_at: time(self.accepted.expires_at.saturating_add(Dpop::REPLAY_MARGIN)),
            now: time(now),
        }
    }
}

fn judge(answer: Answer) -> Result<(), NotRemembered> {
    match answer {
        Ok(ReplayVerdict::New) => Ok(()),
        Ok(ReplayVerdict::Replayed) => Err(NotRemembered::Rejected(DpopErrorKind::Replayed)),
        Ok(ReplayVerdict::TooMany) => Err(NotRemembered::Rejected(DpopErrorKind::TooMany)),
        Err(failure) => {
            report(&failure);
            Err(NotRemembered::Failed(failure))
        }
    }
}

/// The dates of good proofs are before the year 10000, which every platform's time reaches.
fn time(since_epoch: Duration) -> SystemTime {
    let time = SystemTime::UNIX_EPOCH.checked_add(since_epoch);
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(feature = "tracing")]
fn report(failure: &RememberError) {
    let reason = tracing::field::display(failure);
    tracing::warn!(reason, "the replay store failed: a request is rejected");
}

#[cfg(not(feature = "tracing"))]
fn report(_: &RememberError) {}

impl Dpop {
    async fn remember(&self, proof: &ProofIdentity<'_>) -> Answer {
        // Without a runtime there is no timer, and no request may wait for ever.
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(Arc::new(NoAnswer::Runtime));
        }
        match timeout(self.deadline, self.store.remember(proof)).await {
            Ok(answer) => answer,
            Err(_) => Err(Arc::new(NoAnswer::Deadline)),
        }
    }
}

/// A failure that is not the store's error.
#[derive(Clone, Copy, Debug)]
enum NoAnswer {
    Deadline,
    Runtime,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deadline => "the replay store did not answer within the deadline",
            Self::Runtime => "there is no tokio runtime with a timer for the deadline",
        })
    }
}

impl Error for NoAnswer {}
