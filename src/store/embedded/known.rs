//! What was revoked, in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use crate::claims::NumericDate;
use crate::revocation::TokenId;
use crate::session::Subject;

type Id = (Option<String>, String);

/// One thing that was revoked, or a block that was lifted.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Mark {
    Token {
        id: Id,
        until: NumericDate,
    },
    Session {
        id: Id,
        until: NumericDate,
    },
    Cutoff {
        id: Id,
        at: NumericDate,
        until: NumericDate,
    },
    Generation {
        id: Id,
        generation: u64,
        until: NumericDate,
    },
    Block {
        id: Id,
    },
    Unblock {
        id: Id,
    },
}

pub(super) fn id(issuer: Option<&str>, name: &str) -> Id {
    (issuer.map(str::to_owned), name.to_owned())
}

pub(super) fn subject_id(subject: &Subject<'_>) -> Id {
    id(subject.issuer, subject.name)
}

pub(super) struct Known {
    set: RwLock<Set>,
    capacity: usize,
    leeway: Duration,
}

#[derive(Default)]
struct Set {
    tokens: HashMap<Id, NumericDate>,
    sessions: HashMap<Id, NumericDate>,
    cutoffs: HashMap<Id, (NumericDate, NumericDate)>,
    generations: HashMap<Id, (u64, NumericDate)>,
    blocks: BTreeMap<Id, ()>,
}

impl Set {
    fn len(&self) -> usize {
        [
            self.tokens.len(),
            self.sessions.len(),
            self.cutoffs.len(),
            self.generations.len(),
            self.blocks.len(),
        ]
        .iter()
        .sum()
    }
}

impl Known {
    pub(super) fn new(capacity: usize, leeway: Duration) -> Self {
        Self {
            set: RwLock::default(),
            capacity,
            leeway,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.set
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// How many more it holds, at least.
    pub(super) fn room(&self) -> usize {
        self.capacity.saturating_sub(self.len())
    }

    /// Whether it was taken in.
    pub(super) fn insert(&self, mark: &Mark) -> bool {
        let full = self.room() == 0;
        let mut set = self.set.write().unwrap_or_else(PoisonError::into_inner);
        match mark.clone() {
            Mark::Unblock { id } => {
                set.blocks.remove(&id);
            }
            _ if full => return false,
            Mark::Token { id, until } => {
                let known = set.tokens.entry(id).or_insert(until);
                *known = until.max(*known);
            }
            Mark::Session { id, until } => {
                let known = set.sessions.entry(id).or_insert(until);
                *known = until.max(*known);
            }
            Mark::Cutoff { id, at, until } => {
                let known = set.cutoffs.entry(id).or_insert((at, until));
                *known = (at.max(known.0), until.max(known.1));
            }
            Mark::Generation {
                id,
                generation,
                until,
            } => {
                let known = set.generations.entry(id).or_insert((generation, until));
                *known = (generation.max(known.0), until.max(known.1));
            }
            Mark::Block { id } => {
                set.blocks.insert(id, ());
            }
        }
        true
    }

    /// Drops what no longer counts.
    pub(super) fn prune(&self, now: NumericDate) {
        let mut set = self.set.write().unwrap_or_else(PoisonError::into_inner);
        let lives = |until: NumericDate| {
            until.since_epoch().saturating_add(self.leeway) >= now.since_epoch()
        };
        set.tokens.retain(|_, until| lives(*until));
        set.sessions.retain(|_, until| lives(*until));
        set.cutoffs.retain(|_, (_, until)| lives(*until));
        set.generations.retain(|_, (_, until)| lives(*until));
    }

    pub(super) fn peek(&self, token: &TokenId<'_>) -> bool {
        let set = self.set.read().unwrap_or_else(PoisonError::into_inner);
        let id = |name: &str| id(token.issuer, name);
        let subject = token.subject.map(id);
        token
            .jti
            .is_some_and(|jti| set.tokens.contains_key(&id(jti)))
            || token
                .sid
                .is_some_and(|sid| set.sessions.contains_key(&id(sid)))
            || subject.is_some_and(|subject| {
                set.blocks.contains_key(&subject)
                    || set.generations.get(&subject).is_some_and(|(least, _)| {
                        token
                            .generation
                            .is_some_and(|generation| generation < *least)
                    })
                    || set.cutoffs.get(&subject).is_some_and(|(at, _)| {
                        token
                            .issued_at
                            .is_none_or(|issued_at| issued_at.seconds() <= at.seconds())
                    })
            })
    }
}
