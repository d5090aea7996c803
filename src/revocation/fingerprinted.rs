//! A revocation with a fingerprint in place of its issuer and id.
//!
//! The set stores revocations in this form. Sets with the same fingerprint key exchange them.

use super::buckets;
use super::entry::Revocation;
use super::fingerprint::{Fingerprint, Fingerprinter};

/// The `until` of a revocation that does not expire. Rows store `until` in this many bits.
pub(super) const NEVER: u64 = u64::MAX >> 3;

/// A [`Revocation`] without its issuer and id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FingerprintedRevocation {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) kind: RevocationKind,
    /// The latest `exp` of the revoked tokens, in seconds since the epoch, rounded up.
    ///
    /// For a token: the last second of its bucket, because the set does not store its `exp`.
    pub(crate) until: u64,
}

/// What is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RevocationKind {
    Token,
    Session,
    /// Tokens of the subject with a lower generation.
    Generation(u64),
    /// Tokens of the subject issued in this second or before.
    Cutoff(u64),
    Block(SubjectBlock),
}

/// A block of a subject, or what remains of a lifted one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SubjectBlock {
    pub(crate) in_force: bool,
    /// Once lifted: the cutoff spares tokens that carry a generation.
    pub(crate) by_generation: bool,
    /// Once lifted: tokens issued in this second or before are revoked.
    pub(crate) cutoff: u64,
}

impl FingerprintedRevocation {
    pub(super) fn new(revocation: &Revocation<'_>, fingerprinter: &Fingerprinter) -> Self {
        match *revocation {
            Revocation::Token {
                issuer,
                jti,
                expires_at,
            } => Self {
                fingerprint: fingerprinter.issuer(issuer).token(jti),
                kind: RevocationKind::Token,
                until: buckets::last_second_of(buckets::bucket_of(expires_at.since_epoch())),
            },
            Revocation::Session { issuer, sid, until } => Self {
                fingerprint: fingerprinter.issuer(issuer).session(sid),
                kind: RevocationKind::Session,
                until: until.seconds_up(),
            },
            Revocation::Generation {
                issuer,
                subject,
                generation,
                until,
            } => Self {
                fingerprint: fingerprinter.issuer(issuer).subject(subject),
                kind: RevocationKind::Generation(generation),
                until: until.seconds_up(),
            },
            Revocation::Cutoff {
                issuer,
                subject,
                issued_at,
                until,
            } => Self {
                fingerprint: fingerprinter.issuer(issuer).subject(subject),
                kind: RevocationKind::Cutoff(issued_at.seconds()),
                until: until.seconds_up(),
            },
            Revocation::Block { issuer, subject } => {
                Self::block(fingerprinter.issuer(issuer).subject(subject), 0)
            }
        }
    }

    /// A block in force, which leaves at least this cutoff once it is lifted.
    pub(super) fn block(fingerprint: Fingerprint, cutoff: u64) -> Self {
        Self {
            fingerprint,
            kind: RevocationKind::Block(SubjectBlock {
                in_force: true,
                by_generation: false,
                cutoff,
            }),
            until: NEVER,
        }
    }
}

impl SubjectBlock {
    const IN_FORCE: u64 = 1 << 63;
    const BY_GENERATION: u64 = 1 << 62;

    /// One word holds the block, so that readers see it change at once.
    pub(super) fn to_word(self) -> u64 {
        let flag = |is_set: bool, bit| if is_set { bit } else { 0 };
        flag(self.in_force, Self::IN_FORCE)
            | flag(self.by_generation, Self::BY_GENERATION)
            | self.cutoff.min(Self::BY_GENERATION - 1)
    }

    pub(super) fn from_word(word: u64) -> Self {
        Self {
            in_force: word & Self::IN_FORCE != 0,
            by_generation: word & Self::BY_GENERATION != 0,
            cutoff: word & (Self::BY_GENERATION - 1),
        }
    }

    /// This block with the later of both cutoffs.
    pub(super) fn with_later_cutoff(self, other: Self) -> Self {
        Self {
            cutoff: self.cutoff.max(other.cutoff),
            ..self
        }
    }
}
