//! Verifying with keys that may have to be fetched first.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwapOption, Guard};

use super::error::{VerifyError, VerifyErrorKind};
use super::ring::{Epoch, Ring, RingKeys};
use super::{Refusal, VerifiedToken, Verifier};
use crate::keys::remote::{Need, RemoteKeys, Snapshot, Unobtainable};

/// Remote keys as one verifier sees them: what it remembers of their tokens' headers holds for its own settings.
#[derive(Clone)]
pub(super) struct RemoteRing {
    keys: RemoteKeys,
    seen: Arc<ArcSwapOption<SnapshotRing>>,
}

/// The keys of one snapshot.
pub(super) struct SnapshotRing {
    snapshot: Arc<Snapshot>,
    ring: Ring,
}

/// What a reader holds while it verifies.
pub(super) struct HeldRing(Guard<Option<Arc<SnapshotRing>>>);

impl RemoteRing {
    pub(super) fn new(keys: RemoteKeys) -> Self {
        Self {
            keys,
            seen: Arc::default(),
        }
    }

    pub(super) fn forget(&mut self) {
        self.seen = Arc::default();
    }

    pub(super) fn has_system_clock(&self) -> bool {
        self.keys.has_system_clock()
    }

    pub(super) fn now(&self) -> Duration {
        self.keys.now()
    }

    /// The keys to verify with at `now`, by the clock of the keys: nearly always those that were there a moment ago, and fresh.
    #[inline(always)]
    pub(super) fn fresh_at(&self, now: Duration) -> Option<HeldRing> {
        let newest = self.keys.newest();
        let held = HeldRing(self.seen.load());
        let ring = held.0.as_ref()?;
        (ring.snapshot.number() == newest && ring.snapshot.is_fresh(now)).then_some(held)
    }

    /// As [`fresh_at`](Self::fresh_at), for keys that are new, or past the time at which they were to be renewed.
    #[cold]
    pub(super) fn at(&self, now: Duration) -> Result<HeldRing, Refusal> {
        let newest = self.keys.newest();
        let mut held = HeldRing(self.seen.load());
        if !held.is_of(newest) {
            held = self.renew();
        }
        match &*held.0 {
            Some(ring)
                if ring.snapshot.is_fresh(now) || self.keys.may_serve(&ring.snapshot, now) =>
            {
                Ok(held)
            }
            _ => Err(self.lacks(Need::Keys)),
        }
    }

    /// Of two that do so at once, the one with the older keys may be the last to leave them: then the next does it again.
    fn renew(&self) -> HeldRing {
        let Some(snapshot) = self.keys.current() else {
            return HeldRing(Guard::from_inner(None));
        };
        let ring = Ring::new(RingKeys::Set(snapshot.keys().clone()));
        let ring = Some(Arc::new(SnapshotRing { snapshot, ring }));
        self.seen.store(ring.clone());
        HeldRing(Guard::from_inner(ring))
    }

    /// A token that names a key which is not there waits for the keys that come next.
    pub(super) fn lacks_key(&self, held: &HeldRing) -> Refusal {
        match &*held.0 {
            Some(ring) => self.lacks(Need::KeyMissingIn(ring.snapshot.number())),
            None => self.lacks(Need::Keys),
        }
    }

    fn lacks(&self, need: Need) -> Refusal {
        Refusal::Lacking(Lack {
            keys: self.keys.clone(),
            need,
        })
    }
}

impl HeldRing {
    fn is_of(&self, number: u64) -> bool {
        let ring = self.0.deref().as_ref();
        ring.is_some_and(|ring| ring.snapshot.number() == number)
    }

    pub(super) fn ring(&self) -> Option<&Ring> {
        Some(&self.0.deref().as_ref()?.ring)
    }

    pub(super) fn epoch(&self) -> Option<Epoch> {
        Some(Epoch(self.0.deref().as_ref()?.snapshot.epoch()))
    }
}

/// What is missing to verify a token.
pub(crate) struct Lack {
    keys: RemoteKeys,
    need: Need,
}

impl Lack {
    /// What can be said without waiting.
    pub(super) fn at_once(&self) -> VerifyError {
        match self.need {
            Need::Keys => VerifyErrorKind::KeysUnavailable,
            Need::KeyMissingIn(_) => VerifyErrorKind::NoFittingKey,
        }
        .into()
    }

    async fn wait(self) -> Result<(), VerifyError> {
        self.keys
            .wait_for(self.need)
            .await
            .map_err(|why| match why {
                Unobtainable::NoSuchKey => VerifyErrorKind::NoFittingKey.into(),
                Unobtainable::Down { retry_after, error } => {
                    VerifyError::outage(retry_after, error)
                }
            })
    }
}

impl Verifier {
    /// How often a token may find that keys came which are not its own: an attempt that was under way, and one for it.
    const MOST_ROUNDS: usize = 3;

    /// As [`verify`](Verifier::verify), and fetches the issuer's keys first if there are none, or none of this name. It waits for that in a
    /// tokio runtime, with its timer enabled, 6 seconds at most each time; a token whose key is known waits for nothing.
    ///
    /// # Errors
    ///
    /// As [`verify`](Verifier::verify). [`VerifyErrorKind::KeysUnavailable`] if the issuer does not answer.
    pub async fn fetch_and_verify(
        &self,
        token: impl AsRef<[u8]>,
    ) -> Result<VerifiedToken, VerifyError> {
        let token = token.as_ref();
        for _ in 0..Self::MOST_ROUNDS {
            match self.try_verify(token) {
                Ok(token) => return Ok(token),
                Err(Refusal::Final(error)) => return Err(error),
                Err(Refusal::Lacking(lack)) => lack.wait().await?,
            }
        }
        self.verify(token)
    }
}

impl fmt::Debug for RemoteRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.keys.fmt(f)
    }
}
