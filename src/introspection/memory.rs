//! Remembers answers.
//!
//! Active tokens and others are remembered apart, each in a bounded cache: a flood of random tokens
//! evicts no active one. The key is the SHA-256 of the whole token. So all keys have the same size,
//! the memory holds no token, and no two tokens share an entry.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, UnitWeighter, Weighter};

use super::answer::{Answer, Lifespan};
use crate::keys::remote::FetchError;

/// SHA-256 of a token.
pub(super) type Digest = [u8; 32];

/// What a question comes to. `None`: the token is not active.
pub(crate) type Outcome = Result<Option<Arc<Answer>>, FetchError>;

pub(super) struct Memory {
    active: Cache<Digest, Arc<Answer>, AnswerWeighter>,
    others: Cache<Digest, Other>,
}

/// A token that is not active, or about which a question failed.
#[derive(Clone)]
struct Other {
    lifespan: Lifespan,
    failure: Option<FetchError>,
}

#[derive(Clone)]
struct AnswerWeighter;

impl AnswerWeighter {
    /// The size of an entry besides the answer's text: two slots, as tables grow by doubling, and
    /// the allocations.
    const OVERHEAD: usize = 256;

    /// The usual size of an entry.
    const USUAL_SIZE: usize = 1024;
}

impl Weighter<Digest, Arc<Answer>> for AnswerWeighter {
    fn weight(&self, _: &Digest, answer: &Arc<Answer>) -> u64 {
        weight(answer.payload.len().saturating_add(Self::OVERHEAD))
    }
}

fn weight(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

impl Memory {
    /// The number of other tokens that are remembered: 4 MiB at most, without the errors of
    /// questions that failed. Those are of bounded size, and count for a second.
    const MAX_OTHERS: usize = 16 * 1024;

    pub(super) fn new(bytes: usize) -> Self {
        let usual = bytes
            .checked_div(AnswerWeighter::USUAL_SIZE)
            .unwrap_or_default();
        Self {
            active: cache(bytes, usual, AnswerWeighter),
            others: cache(Self::MAX_OTHERS, Self::MAX_OTHERS, UnitWeighter),
        }
    }

    /// What is remembered of a token.
    pub(super) fn find(&self, digest: &Digest, now: Duration) -> Option<Outcome> {
        if let Some(answer) = self.active.get(digest)
            && answer.lifespan.contains(now)
        {
            return Some(Ok(Some(answer)));
        }
        let other = self.others.get(digest)?;
        if !other.lifespan.contains(now) {
            return None;
        }
        Some(match other.failure {
            Some(error) => Err(error),
            None => Ok(None),
        })
    }

    /// Whether the last answer about the token said that it is active. It may be too old to count.
    pub(super) fn was_active(&self, digest: &Digest) -> bool {
        self.active.peek(digest).is_some()
    }

    pub(super) fn keep_active(&self, digest: Digest, answer: Arc<Answer>) {
        self.others.remove(&digest);
        self.active.insert(digest, answer);
    }

    pub(super) fn keep_inactive(&self, digest: Digest, lifespan: Lifespan) {
        self.active.remove(&digest);
        let failure = None;
        self.others.insert(digest, Other { lifespan, failure });
    }

    pub(super) fn keep_failure(&self, digest: Digest, error: FetchError, lifespan: Lifespan) {
        let failure = Some(error);
        self.others.insert(digest, Other { lifespan, failure });
    }

    /// The numbers of active tokens and of others, expired ones included.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.active.len(), self.others.len())
    }
}

/// In one shard: an entry is evicted only if all together are too many.
fn cache<V: Clone, W: Weighter<Digest, V> + Clone>(
    capacity: usize,
    usual_count: usize,
    weighter: W,
) -> Cache<Digest, V, W> {
    let mut options = OptionsBuilder::new();
    options
        .weight_capacity(weight(capacity))
        .estimated_items_capacity(usual_count)
        .shards(1);
    #[expect(clippy::expect_used, reason = "both required options are set")]
    let options = options.build().expect("no option is missing");
    Cache::with_options(
        options,
        weighter,
        Default::default(),
        DefaultLifecycle::default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::introspection::TokenKind;
    use crate::keys::remote::Timestamp;

    #[test]
    fn a_flood_of_other_tokens_is_bounded_and_evicts_no_active_one() {
        let memory = Memory::new(1 << 20);
        let now = Duration::from_secs(1_800_000_000);
        let lifespan = Lifespan {
            asked: Timestamp::at(now),
            length: Duration::from_secs(600),
        };
        let digest = |number: u32| {
            let mut digest = [0; 32];
            digest[..4].copy_from_slice(&number.to_be_bytes());
            digest
        };
        for number in 0..100 {
            let answer = Answer {
                payload: "{}".into(),
                kind: TokenKind::Access,
                lifespan,
            };
            memory.keep_active(digest(number), Arc::new(answer));
        }
        for number in 1000..50_000 {
            memory.keep_inactive(digest(number), lifespan);
            // Some are looked up often.
            let _ = memory.find(&digest(1000 + number % 100), now);
        }
        assert_eq!(memory.counts().0, 100);
        assert!(memory.counts().1 <= Memory::MAX_OTHERS);
        for number in 0..100 {
            assert!(matches!(
                memory.find(&digest(number), now),
                Some(Ok(Some(_)))
            ));
        }
    }
}
