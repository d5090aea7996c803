//! Adds revocations of every kind.

use super::publish::Writer;
#[cfg(feature = "redis")]
use crate::claims::NumericDate;
use crate::revocation::entry::Revocation;
use crate::revocation::fingerprinted::FingerprintedRevocation;
#[cfg(feature = "redis")]
use crate::revocation::fingerprinted::RevocationKind;
use crate::revocation::state::RevocationSetFull;

impl Writer<'_> {
    pub(crate) fn revoke(&mut self, revocation: &Revocation<'_>) -> Result<(), RevocationSetFull> {
        let new = FingerprintedRevocation::new(revocation, &self.shared.fingerprinter);
        match *revocation {
            Revocation::Token { expires_at, .. } => self.revoke_token(new.fingerprint, expires_at),
            Revocation::Block { .. } => {
                // The cutoff keeps older tokens revoked after the block is lifted, even if the
                // clock steps back before.
                let cutoff = self.shared.now().as_secs();
                self.add_row(&FingerprintedRevocation::block(new.fingerprint, cutoff))
            }
            _ => self.add_row(&new),
        }
    }

    /// Adds a revocation of a set with the same fingerprint key.
    ///
    /// A block replaces the present one. The caller ensures that it is newer.
    #[cfg(feature = "redis")]
    pub(crate) fn merge(&mut self, new: &FingerprintedRevocation) -> Result<(), RevocationSetFull> {
        match new.kind {
            RevocationKind::Token => {
                let expires_at = NumericDate::from_seconds(new.until);
                self.revoke_token(new.fingerprint, expires_at.unwrap_or(NumericDate::MAX))
            }
            RevocationKind::Block(block) => self.set_block(new.fingerprint, block),
            _ => self.add_row(new),
        }
    }
}
