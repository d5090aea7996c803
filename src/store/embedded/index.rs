//! The revocation index: answers from memory whether a token is revoked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::change::{Change, QualifiedName};
use super::error::EmbeddedStoreError as Error;
use crate::claims::NumericDate;
use crate::clock::Clock;
use crate::revocation::{Revocation, RevocationSet, TokenIdentity};

/// The settings of the index.
#[derive(Clone)]
pub(super) struct IndexOptions {
    pub(super) capacity: usize,
    pub(super) leeway: Duration,
    pub(super) longest_lifetime: Duration,
    pub(super) clock: Arc<dyn Clock>,
}

impl IndexOptions {
    fn new_set(&self) -> RevocationSet {
        RevocationSet::new()
            .capacity(self.capacity)
            .leeway(self.leeway)
            .longest_lifetime(self.longest_lifetime)
            .clock(Arc::clone(&self.clock))
    }
}

/// Takes each revocation of the file in turn.
type Visit<'a> = &'a mut dyn FnMut(&Revocation<'_>) -> Result<(), Error>;

/// The revocations of the file, in memory. Only the writer thread changes it.
pub(super) struct RevocationIndex {
    pub(super) options: IndexOptions,
    set: ArcSwap<RevocationSet>,
    /// In seconds since the epoch: the latest expiry of a revocation that the file has dropped.
    /// Tokens with this `exp` or an earlier one are revoked. 0: the file has dropped none.
    horizon: AtomicU64,
    /// A revocation is on disk but not in the set. Then the index never says "not revoked".
    is_incomplete: AtomicBool,
}

impl RevocationIndex {
    pub(super) fn new(options: IndexOptions) -> Self {
        Self {
            set: ArcSwap::from_pointee(options.new_set()),
            options,
            horizon: AtomicU64::new(0),
            is_incomplete: AtomicBool::new(false),
        }
    }

    pub(super) fn is_revoked(&self, token: &TokenIdentity<'_>) -> Result<bool, Error> {
        // First: the horizon is raised before a set without those tokens takes over.
        let set = self.set.load();
        let horizon = self.horizon.load(Ordering::Acquire);
        let is_below_horizon =
            horizon > 0 && token.expires_at.since_epoch() <= Duration::from_secs(horizon);
        let is_revoked = is_below_horizon || set.is_revoked(token);
        if !is_revoked && self.is_incomplete.load(Ordering::Relaxed) {
            return Err(Error::SetFull);
        }
        Ok(is_revoked)
    }

    /// Whether a session is revoked, and the revocation has not expired.
    pub(super) fn is_session_revoked(&self, session: &QualifiedName) -> bool {
        let mut token = TokenIdentity::new(NumericDate::MAX).sid(&session.name);
        token.issuer = session.issuer.as_deref();
        self.set.load().is_revoked(&token)
    }

    pub(super) fn len(&self) -> usize {
        self.set.load().state().entries()
    }

    /// How many more entries the set can hold. Prunes the set if these are fewer than `wanted`.
    pub(super) fn free_entries(&self, wanted: usize) -> usize {
        let set = self.set.load();
        let count = || {
            let state = set.state();
            state.capacity.saturating_sub(state.entries())
        };
        let free = count();
        if free >= wanted {
            return free;
        }
        set.prune();
        count()
    }

    /// Applies changes that are already on disk.
    ///
    /// # Errors
    ///
    /// If the set is full. From then on the index fails instead of saying "not revoked".
    pub(super) fn apply(&self, changes: &[Change]) -> Result<(), Error> {
        for change in changes {
            if !apply_to(&self.set.load(), change) {
                self.is_incomplete.store(true, Ordering::SeqCst);
                return Err(Error::SetFull);
            }
        }
        Ok(())
    }

    /// Revokes the tokens that expire in this second or earlier: the file may have dropped their
    /// revocations.
    pub(super) fn raise_horizon(&self, second: u64) {
        self.horizon.fetch_max(second, Ordering::SeqCst);
    }

    /// Replaces the set by a new one that `fill` fills. If that fails, the old set stays.
    ///
    /// A set drops entries that have expired by its clock. If the clock was ahead, the file still
    /// has them.
    pub(super) fn rebuild(
        &self,
        fill: impl FnOnce(Visit<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let set = self.options.new_set();
        set.write(|writer| {
            fill(&mut |revocation| writer.revoke(revocation).map_err(|_| Error::SetFull))
        })?;
        self.set.store(Arc::new(set));
        Ok(())
    }
}

/// Returns whether the set had room for the change.
fn apply_to(set: &RevocationSet, change: &Change) -> bool {
    let revocation = match change {
        Change::Token { name, until } => Revocation::Token {
            issuer: name.issuer.as_deref(),
            jti: &name.name,
            expires_at: *until,
        },
        Change::Session { name, until } => Revocation::Session {
            issuer: name.issuer.as_deref(),
            sid: &name.name,
            until: *until,
        },
        Change::Cutoff { name, at, until } => Revocation::Cutoff {
            issuer: name.issuer.as_deref(),
            subject: &name.name,
            issued_at: *at,
            until: *until,
        },
        Change::Generation {
            name,
            generation,
            until,
        } => Revocation::Generation {
            issuer: name.issuer.as_deref(),
            subject: &name.name,
            generation: *generation,
            until: *until,
        },
        Change::Block { name } => Revocation::Block {
            issuer: name.issuer.as_deref(),
            subject: &name.name,
        },
        Change::Unblock { name, generation } => {
            let issuer = name.issuer.as_deref();
            let lifted = set.lift_block_by_generation(issuer, &name.name, *generation);
            return lifted.is_ok();
        }
    };
    set.revoke(&revocation).is_ok()
}
