//! What was revoked, in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::error::EmbeddedStoreError;
use crate::claims::NumericDate;
use crate::clock::Clock;
use crate::revocation::{Revocation, RevocationSet, TokenIdentity};
use crate::session::Subject;

/// An issuer, and an id or a subject of its.
pub(super) type Id = (Option<String>, String);

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
    /// Generation 0: the subject has none, and a cutoff tells what was issued before.
    Unblock {
        id: Id,
        generation: u64,
    },
}

pub(super) fn id(issuer: Option<&str>, name: &str) -> Id {
    (issuer.map(str::to_owned), name.to_owned())
}

pub(super) fn subject_id(subject: &Subject<'_>) -> Id {
    id(subject.issuer, subject.name)
}

/// The settings of the set.
#[derive(Clone)]
pub(super) struct SetOptions {
    pub(super) capacity: usize,
    pub(super) leeway: Duration,
    pub(super) longest_lifetime: Duration,
    pub(super) clock: Arc<dyn Clock>,
}

impl SetOptions {
    fn new_set(&self) -> RevocationSet {
        RevocationSet::new()
            .capacity(self.capacity)
            .leeway(self.leeway)
            .longest_lifetime(self.longest_lifetime)
            .clock(Arc::clone(&self.clock))
    }
}

/// A set that one thread adds to.
pub(super) struct Known {
    set: ArcSwap<RevocationSet>,
    options: SetOptions,
    /// In seconds since the epoch: revocations of tokens with this `exp` or an earlier one may be
    /// gone from the file. Such tokens count as revoked. 0: nothing was dropped yet.
    horizon: AtomicU64,
    /// Something on disk is not in the set, so that it can tell nothing.
    incomplete: AtomicBool,
}

impl Known {
    pub(super) fn new(options: SetOptions) -> Self {
        Self {
            set: ArcSwap::from_pointee(options.new_set()),
            options,
            horizon: AtomicU64::new(0),
            incomplete: AtomicBool::new(false),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.set.load().state().entries()
    }

    /// How many more it holds, at least; `wanted` of them if that can be had.
    pub(super) fn room(&self, wanted: usize) -> usize {
        let set = self.set.load();
        let room = || {
            let state = set.state();
            state.capacity.saturating_sub(state.entries())
        };
        let at_once = room();
        if at_once >= wanted {
            return at_once;
        }
        set.prune();
        room()
    }

    /// Replaces the set by one that `fill` fills. If that fails, the old one stays.
    ///
    /// A set drops what has expired by its clock. If the clock was ahead, the file still has it.
    pub(super) fn rebuild(
        &self,
        fill: impl FnOnce(
            &mut dyn FnMut(&Mark) -> Result<(), EmbeddedStoreError>,
        ) -> Result<(), EmbeddedStoreError>,
    ) -> Result<(), EmbeddedStoreError> {
        let set = self.options.new_set();
        fill(&mut |mark| match insert(&set, mark) {
            true => Ok(()),
            false => Err(EmbeddedStoreError::SetFull),
        })?;
        self.set.store(Arc::new(set));
        Ok(())
    }

    /// What expires in this second or earlier may be gone from the file.
    pub(super) fn forget_until(&self, second: u64) {
        self.horizon.fetch_max(second, Ordering::SeqCst);
    }

    /// Takes in what is on disk already. If it cannot, it knows nothing for sure any more: better no answer than a wrong one.
    pub(super) fn learn(&self, marks: &[Mark]) -> Result<(), EmbeddedStoreError> {
        for mark in marks {
            if !insert(&self.set.load(), mark) {
                self.incomplete.store(true, Ordering::SeqCst);
                return Err(EmbeddedStoreError::SetFull);
            }
        }
        Ok(())
    }

    /// Whether a session is revoked, and the revocation has not expired.
    pub(super) fn is_session_revoked(&self, (issuer, sid): &Id) -> bool {
        let mut token = TokenIdentity::new(NumericDate::MAX).sid(sid);
        token.issuer = issuer.as_deref();
        self.set.load().is_revoked(&token)
    }

    pub(super) fn peek(&self, token: &TokenIdentity<'_>) -> Result<bool, EmbeddedStoreError> {
        let horizon = self.horizon.load(Ordering::Relaxed);
        let is_forgotten =
            horizon > 0 && token.expires_at.since_epoch() <= Duration::from_secs(horizon);
        let revoked = is_forgotten || self.set.load().is_revoked(token);
        if !revoked && self.incomplete.load(Ordering::Relaxed) {
            return Err(EmbeddedStoreError::SetFull);
        }
        Ok(revoked)
    }
}

/// Whether it was taken in.
fn insert(set: &RevocationSet, mark: &Mark) -> bool {
    let revocation = match mark {
        Mark::Token { id, until } => Revocation::Token {
            issuer: id.0.as_deref(),
            jti: &id.1,
            expires_at: *until,
        },
        Mark::Session { id, until } => Revocation::Session {
            issuer: id.0.as_deref(),
            sid: &id.1,
            until: *until,
        },
        Mark::Cutoff { id, at, until } => Revocation::Cutoff {
            issuer: id.0.as_deref(),
            subject: &id.1,
            issued_at: *at,
            until: *until,
        },
        Mark::Generation {
            id,
            generation,
            until,
        } => Revocation::Generation {
            issuer: id.0.as_deref(),
            subject: &id.1,
            generation: *generation,
            until: *until,
        },
        Mark::Block { id } => Revocation::Block {
            issuer: id.0.as_deref(),
            subject: &id.1,
        },
        Mark::Unblock { id, generation } => {
            let issuer = id.0.as_deref();
            let lifted = set.lift_block_by_generation(issuer, &id.1, *generation);
            return lifted.is_ok();
        }
    };
    set.revoke(&revocation).is_ok()
}
