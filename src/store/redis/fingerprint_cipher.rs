//! Encrypts fingerprints for Redis: they hide IDs only as long as they are secret.

use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};

use crate::keys::{KeyError, SigningKey};
use crate::revocation::{Fingerprint, FingerprintKey, FingerprintedRevocation, RevocationKind};

/// A fingerprint, its kind and a value of 56 bits, encrypted as one block.
pub(super) type EncryptedFingerprint = [u8; 16];

/// The keys that all nodes derive from their common secret.
#[derive(Clone)]
pub(super) struct FingerprintCipher {
    cipher: Aes128,
    pub(super) fingerprint_key: FingerprintKey,
}

const TOKEN: u8 = 1;
const SESSION: u8 = 2;
const CUTOFF: u8 = 3;
const SUBJECT: u8 = 4;
const PROOF: u8 = 5;

/// The bits of the value.
const VALUE_MASK: u64 = (1 << 56) - 1;

/// The plain text of the check value. No fingerprint has its kind, 0.
const CHECK_BLOCK: [u8; 16] = [0; 16];

impl FingerprintCipher {
    pub(super) fn new(secret: &[u8]) -> Result<Self, KeyError> {
        let key = SigningKey::hs256(secret)?;
        let derived = key.mac(b"tower-jwt-auth redis 1");
        let derived = derived.ok_or(KeyError::NoBackend)?;
        let (cipher, rest) = derived.split_first_chunk().ok_or(KeyError::NoBackend)?;
        let fingerprint_key = rest.first_chunk::<16>().ok_or(KeyError::NoBackend)?;
        Ok(Self {
            cipher: Aes128::new(cipher.into()),
            fingerprint_key: FingerprintKey::new(*fingerprint_key),
        })
    }

    /// Equal for equal secrets only.
    pub(super) fn check_value(&self) -> EncryptedFingerprint {
        self.encrypt_block(CHECK_BLOCK)
    }

    /// The member of the sorted set. `None` for a generation and a block, which are in the
    /// subject's record.
    pub(super) fn encrypt_revocation(
        &self,
        revocation: &FingerprintedRevocation,
    ) -> Option<EncryptedFingerprint> {
        let fingerprint = revocation.fingerprint.bits();
        Some(match revocation.kind {
            RevocationKind::Token => self.encrypt(fingerprint, TOKEN, 0),
            RevocationKind::Session => self.encrypt(fingerprint, SESSION, 0),
            RevocationKind::Cutoff(second) => self.encrypt(fingerprint, CUTOFF, second),
            RevocationKind::Generation(_) | RevocationKind::Block(_) => return None,
        })
    }

    /// The revocation of a member of the sorted set. `until`: in seconds.
    pub(super) fn decrypt_revocation(
        &self,
        member: &[u8],
        until: u64,
    ) -> Option<FingerprintedRevocation> {
        let (fingerprint, kind, value) = self.decrypt(member)?;
        let kind = match (kind, value) {
            (TOKEN, 0) => RevocationKind::Token,
            (SESSION, 0) => RevocationKind::Session,
            (CUTOFF, second) => RevocationKind::Cutoff(second),
            _ => return None,
        };
        Some(FingerprintedRevocation {
            fingerprint: Fingerprint::new(fingerprint),
            kind,
            until,
        })
    }

    /// The field of a subject in the hash.
    pub(super) fn encrypt_subject(&self, fingerprint: u64) -> EncryptedFingerprint {
        self.encrypt(fingerprint, SUBJECT, 0)
    }

    /// The fingerprint of a subject's field in the hash.
    pub(super) fn decrypt_subject(&self, field: &[u8]) -> Option<u64> {
        match self.decrypt(field)? {
            (fingerprint, SUBJECT, 0) => Some(fingerprint),
            _ => None,
        }
    }

    /// The name of the key of a used proof.
    pub(super) fn encrypt_proof(&self, fingerprint: u64) -> EncryptedFingerprint {
        self.encrypt(fingerprint, PROOF, 0)
    }

    fn encrypt(&self, fingerprint: u64, kind: u8, value: u64) -> EncryptedFingerprint {
        let value = u128::from(value & VALUE_MASK);
        let block = u128::from(fingerprint) << 64 | u128::from(kind) << 56 | value;
        self.encrypt_block(block.to_be_bytes())
    }

    fn encrypt_block(&self, block: [u8; 16]) -> EncryptedFingerprint {
        let mut block = block.into();
        self.cipher.encrypt_block(&mut block);
        block.into()
    }

    fn decrypt(&self, encrypted: &[u8]) -> Option<(u64, u8, u64)> {
        let encrypted: &EncryptedFingerprint = encrypted.try_into().ok()?;
        let mut block = (*encrypted).into();
        self.cipher.decrypt_block(&mut block);
        let bytes: [u8; 16] = block.into();
        let (fingerprint, rest) = bytes.split_first_chunk()?;
        let fingerprint = u64::from_be_bytes(*fingerprint);
        let rest = u64::from_be_bytes(*rest.first_chunk()?);
        let [kind, ..] = rest.to_be_bytes();
        Some((fingerprint, kind, rest & VALUE_MASK))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_decrypted_with_the_same_secret_only() {
        let cipher = FingerprintCipher::new(&[7; 32]).unwrap();
        let other = FingerprintCipher::new(&[8; 32]).unwrap();
        assert_ne!(cipher.check_value(), other.check_value());
        for kind in [
            RevocationKind::Token,
            RevocationKind::Session,
            RevocationKind::Cutoff(1_800_000_000),
        ] {
            let revocation = FingerprintedRevocation {
                fingerprint: Fingerprint::new(0x0123_4567_89ab_cdef),
                kind,
                until: 1_800_000_300,
            };
            let member = cipher.encrypt_revocation(&revocation).unwrap();
            let decrypt =
                |cipher: &FingerprintCipher| cipher.decrypt_revocation(&member, revocation.until);
            assert_eq!(decrypt(&cipher), Some(revocation));
            assert_ne!(decrypt(&other), Some(revocation));
            assert_eq!(cipher.decrypt_subject(&member), None);
        }
        let field = cipher.encrypt_subject(7);
        assert_eq!(cipher.decrypt_subject(&field), Some(7));
        assert_eq!(cipher.decrypt_revocation(&field, 1), None);
        assert_eq!(cipher.decrypt_subject(b"short"), None);
    }
}
