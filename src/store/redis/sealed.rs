//! Fingerprints as Redis gets them: encrypted, since they promise something only as long as they are secret.

use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};

use crate::keys::{KeyError, SigningKey};
use crate::revocation::{Fingerprint, FingerprintKey, FingerprintedRevocation, RevocationKind};

/// A fingerprint, its kind and a value of 56 bits, encrypted as one block.
pub(super) type Sealed = [u8; 16];

/// What all nodes derive from their common secret.
#[derive(Clone)]
pub(super) struct Seal {
    cipher: Aes128,
    pub(super) fingerprints: FingerprintKey,
}

const TOKEN: u8 = 1;
const SESSION: u8 = 2;
const CUTOFF: u8 = 3;
const SUBJECT: u8 = 4;

/// A block of another meaning than any that is sealed: its encryption tells secrets apart.
const PROBE: [u8; 16] = [0; 16];

impl Seal {
    pub(super) fn new(secret: &[u8]) -> Result<Self, KeyError> {
        let key = SigningKey::hs256(secret)?;
        let derived = key.mac(b"tower-jwt-auth redis 1");
        let derived = derived.ok_or(KeyError::NoBackend)?;
        let (cipher, rest) = derived.split_first_chunk().ok_or(KeyError::NoBackend)?;
        let fingerprints = rest.first_chunk::<16>().ok_or(KeyError::NoBackend)?;
        Ok(Self {
            cipher: Aes128::new(cipher.into()),
            fingerprints: FingerprintKey::new(*fingerprints),
        })
    }

    /// What tells nodes with another secret.
    pub(super) fn probe(&self) -> Sealed {
        self.encrypt(PROBE)
    }

    fn encrypt(&self, block: [u8; 16]) -> Sealed {
        let mut block = block.into();
        self.cipher.encrypt_block(&mut block);
        block.into()
    }

    fn seal(&self, id: u64, kind: u8, value: u64) -> Sealed {
        let block = u128::from(id) << 64 | u128::from(kind) << 56 | u128::from(value & VALUE);
        self.encrypt(block.to_be_bytes())
    }

    fn open(&self, sealed: &[u8]) -> Option<(u64, u8, u64)> {
        let sealed: &Sealed = sealed.try_into().ok()?;
        let mut block = (*sealed).into();
        self.cipher.decrypt_block(&mut block);
        let bytes: [u8; 16] = block.into();
        let (id, rest) = bytes.split_first_chunk()?;
        let (id, rest) = (
            u64::from_be_bytes(*id),
            u64::from_be_bytes(*rest.first_chunk()?),
        );
        let [kind, ..] = rest.to_be_bytes();
        Some((id, kind, rest & VALUE))
    }

    /// A member of the state. `None`: that is kept with its subject.
    pub(super) fn member(&self, revocation: &FingerprintedRevocation) -> Option<Sealed> {
        let id = revocation.fingerprint.bits();
        Some(match revocation.kind {
            RevocationKind::Token => self.seal(id, TOKEN, 0),
            RevocationKind::Session => self.seal(id, SESSION, 0),
            RevocationKind::Cutoff(second) => self.seal(id, CUTOFF, second),
            RevocationKind::Generation(_) | RevocationKind::Block(_) => return None,
        })
    }

    /// What a member of the state says. `until`: in seconds.
    pub(super) fn revocation(&self, member: &[u8], until: u64) -> Option<FingerprintedRevocation> {
        let (id, kind, value) = self.open(member)?;
        let kind = match (kind, value) {
            (TOKEN, 0) => RevocationKind::Token,
            (SESSION, 0) => RevocationKind::Session,
            (CUTOFF, second) => RevocationKind::Cutoff(second),
            _ => return None,
        };
        Some(FingerprintedRevocation {
            fingerprint: Fingerprint::new(id),
            kind,
            until,
        })
    }

    /// The field of a subject.
    pub(super) fn field(&self, id: u64) -> Sealed {
        self.seal(id, SUBJECT, 0)
    }

    pub(super) fn subject(&self, field: &[u8]) -> Option<u64> {
        match self.open(field)? {
            (id, SUBJECT, 0) => Some(id),
            _ => None,
        }
    }
}

const VALUE: u64 = (1 << 56) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_opened_with_the_same_secret_only() {
        let seal = Seal::new(&[7; 32]).unwrap();
        let other = Seal::new(&[8; 32]).unwrap();
        assert_ne!(seal.probe(), other.probe());
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
            let member = seal.member(&revocation).unwrap();
            assert_eq!(seal.revocation(&member, revocation.until), Some(revocation));
            assert_ne!(
                other.revocation(&member, revocation.until),
                Some(revocation)
            );
            assert_eq!(seal.subject(&member), None);
        }
        let field = seal.field(7);
        assert_eq!(seal.subject(&field), Some(7));
        assert_eq!(seal.revocation(&field, 1), None);
        assert_eq!(seal.subject(b"short"), None);
    }
}
