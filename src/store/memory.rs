//! In the memory of this process.

use std::convert::Infallible;
use std::sync::Arc;

use crate::revocation::{
    Revocation, RevocationSet, RevocationSetFull, RevocationSetState, RevocationStore, TokenId,
};

/// Keeps in memory what was revoked: nothing survives a restart, and no other node hears of it.
///
/// A clone is another handle to the same store. A look-up waits for nothing and allocates nothing.
///
/// ```
/// use tower_jwt_auth::claims::NumericDate;
/// use tower_jwt_auth::clock::ManualClock;
/// use tower_jwt_auth::revocation::{Revocation, RevocationSet, RevocationStore, TokenId};
/// use tower_jwt_auth::store::MemoryStore;
///
/// # fn main() -> Result<(), tower_jwt_auth::revocation::RevocationSetFull> {
/// let set = RevocationSet::new().clock(ManualClock::at(1_700_000_000));
/// let store = MemoryStore::from(set.capacity(1_000_000));
///
/// let expires_at = NumericDate::from_seconds(1_700_000_300).unwrap();
/// let token = TokenId::new(expires_at).issuer("https://id.example.com").jti("6b1d5a9e");
/// store.revoke(&Revocation::of_token(&token).unwrap())?;
/// assert_eq!(store.peek(&token), Some(true));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    set: Arc<RevocationSet>,
}

impl MemoryStore {
    /// An empty store with the defaults of [`RevocationSet`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Revokes: see [`RevocationSet::revoke`].
    ///
    /// # Errors
    ///
    /// If the store is full. What it holds stays revoked.
    pub fn revoke(&self, revocation: &Revocation<'_>) -> Result<(), RevocationSetFull> {
        self.set.revoke(revocation)
    }

    /// Lifts the block of a subject: see [`RevocationSet::lift_block`]. Whether there was one.
    pub fn lift_block(&self, issuer: Option<&str>, subject: &str) -> bool {
        self.set.lift_block(issuer, subject)
    }

    /// Lifts the block of a subject whose generation was raised: see [`RevocationSet::lift_block_by_generation`]. Whether there
    /// was one.
    ///
    /// # Errors
    ///
    /// If the store is full and does not hold the generation yet. The block stays.
    pub fn lift_block_by_generation(
        &self,
        issuer: Option<&str>,
        subject: &str,
        generation: u64,
    ) -> Result<bool, RevocationSetFull> {
        self.set
            .lift_block_by_generation(issuer, subject, generation)
    }

    /// Drops all that has expired: see [`RevocationSet::prune`].
    pub fn prune(&self) {
        self.set.prune();
    }

    /// What it holds.
    #[must_use]
    pub fn state(&self) -> RevocationSetState {
        self.set.state()
    }
}

/// A store that keeps revocations in this set.
impl From<RevocationSet> for MemoryStore {
    fn from(set: RevocationSet) -> Self {
        Self { set: Arc::new(set) }
    }
}

impl RevocationStore for MemoryStore {
    type Error = Infallible;

    async fn is_revoked(&self, token: &TokenId<'_>) -> Result<bool, Infallible> {
        Ok(self.set.is_revoked(token))
    }

    /// Always an answer.
    fn peek(&self, token: &TokenId<'_>) -> Option<bool> {
        Some(self.set.is_revoked(token))
    }
}
