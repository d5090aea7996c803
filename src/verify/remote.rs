//! Verifying with keys that may have to be fetched first.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwapOption, Guard};

use super::error::{VerifyError, VerifyErrorKind};
use super::ring::{Epoch, Ring, RingKeys};
use super::{Refusal, VerifiedToken, Verifier};
use crate::clock::since_epoch;
use crate::keys::remote::{Need, RemoteKeys, Standing, Unobtainable};

/// Remote keys as one verifier sees them: what it remembers of their tokens' headers holds for its own settings.
#[derive(Clone)]
pub(super) struct RemoteRing {
    keys: RemoteKeys,
    seen: Arc<ArcSwapOption<NumberedRing>>,
}

/// The keys of one snapshot.
pub(super) struct NumberedRing {
    number: u64,
    epoch: Epoch,
    ring: Ring,
}

/// What a reader holds while it verifies.
pub(super) struct HeldRing(Guard<Option<Arc<NumberedRing>>>);

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

    /// The keys to verify with now.
    pub(super) fn at(&self, now: Duration) -> Result<HeldRing, Refusal> {
        let current = self.keys.current();
        let Some(snapshot) = &*current else {
            return Err(self.lacks(Need::Keys));
        };
        if !snapshot.is_fresh(now)
            && let Standing::Lacking = self.keys.standing(snapshot, now)
        {
            return Err(self.lacks(Need::Keys));
        }
        let seen = self.seen.load();
        if let Some(ring) = &*seen
            && ring.number == snapshot.number
        {
            return Ok(HeldRing(seen));
        }
        self.seen.store(Some(Arc::new(NumberedRing {
            number: snapshot.number,
            epoch: Epoch(snapshot.epoch),
            ring: Ring::new(RingKeys::Set(snapshot.keys.clone())),
        })));
        Ok(HeldRing(self.seen.load()))
    }

    /// A token that names a key which is not there waits for the keys that come next.
    pub(super) fn lacks_key(&self, held: &HeldRing) -> Refusal {
        match &*held.0 {
            Some(ring) => self.lacks(Need::KeyMissingIn(ring.number)),
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
    pub(super) fn ring(&self) -> Option<&Ring> {
        Some(&self.0.deref().as_ref()?.ring)
    }

    pub(super) fn epoch(&self) -> Option<Epoch> {
        Some(self.0.deref().as_ref()?.epoch)
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

    /// As [`verify`](Verifier::verify), and fetches the issuer's keys first if there are none, or none of this name. It waits for that, 5
    /// seconds at most each time; a token whose key is known waits for nothing.
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

    pub(super) fn now(&self) -> Duration {
        since_epoch(&*self.clock)
    }
}

impl fmt::Debug for RemoteRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.keys.fmt(f)
    }
}
