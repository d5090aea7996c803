//! Entries of a set as sets that have one fingerprint key tell each other of them.

use std::sync::Arc;

use super::Revocation;
use super::buckets;
use super::fingerprint::Fingerprint;
use super::root::Root;
use super::rows::Kind;
use super::set::RevocationSet;

/// An entry, without the ids that it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The fingerprint.
    pub(crate) id: u64,
    pub(crate) kind: MarkKind,
    /// In seconds since the epoch. For a token: the last second of its bucket, which is all that sets remember of its `exp`.
    pub(crate) until: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MarkKind {
    Token,
    Session,
    Cutoff {
        second: u64,
    },
    Generation(u64),
    /// A block, or one that was lifted.
    Block {
        stands: bool,
        by_generation: bool,
        cutoff: u64,
    },
}

impl RevocationSet {
    /// What another set is to be told of this revocation.
    pub(crate) fn mark(&self, revocation: &Revocation<'_>) -> Mark {
        let issuer = |issuer| self.fingerprinter().issuer(issuer);
        let mark = |id: Fingerprint, kind, until| Mark {
            id: id.bits(),
            kind,
            until,
        };
        match *revocation {
            Revocation::Token {
                issuer: of,
                jti,
                expires_at,
            } => {
                let bucket = buckets::bucket_of(expires_at.since_epoch());
                mark(issuer(of).token(jti), MarkKind::Token, last_of(bucket))
            }
            Revocation::Session {
                issuer: of,
                sid,
                until,
            } => mark(
                issuer(of).session(sid),
                MarkKind::Session,
                until.seconds_up(),
            ),
            Revocation::Generation {
                issuer: of,
                subject,
                generation,
                until,
            } => mark(
                issuer(of).subject(subject),
                MarkKind::Generation(generation),
                until.seconds_up(),
            ),
            Revocation::Cutoff {
                issuer: of,
                subject,
                issued_at,
                until,
            } => mark(
                issuer(of).subject(subject),
                MarkKind::Cutoff {
                    second: issued_at.seconds(),
                },
                until.seconds_up(),
            ),
            Revocation::Block {
                issuer: of,
                subject,
            } => mark(
                issuer(of).subject(subject),
                MarkKind::Block {
                    stands: true,
                    by_generation: false,
                    cutoff: 0,
                },
                u64::MAX,
            ),
        }
    }

    /// The fingerprint of a subject.
    pub(crate) fn subject_id(&self, issuer: Option<&str>, subject: &str) -> u64 {
        self.fingerprinter().issuer(issuer).subject(subject).bits()
    }

    /// What the set holds at this moment. What is revoked later may be in it or not.
    pub(crate) fn held(&self) -> Held {
        Held(self.current())
    }
}

/// What a set held at some moment. It keeps the tables of then in memory.
pub(crate) struct Held(Arc<Root>);

impl Held {
    /// The entries that a set has for a while only: tokens, sessions and cutoffs.
    pub(crate) fn passing(&self) -> impl Iterator<Item = Mark> + Send {
        let tokens = self.0.tokens.entries().map(|(bucket, id)| Mark {
            id: id.bits(),
            kind: MarkKind::Token,
            until: last_of(bucket),
        });
        let rows = self.0.rows().filter_map(|(id, kind, until, value)| {
            let kind = match kind {
                Kind::Token => MarkKind::Token,
                Kind::Session => MarkKind::Session,
                Kind::Cutoff => MarkKind::Cutoff { second: value },
                Kind::Generation | Kind::Block => return None,
            };
            Some(Mark {
                id: id.bits(),
                kind,
                until,
            })
        });
        tokens.chain(rows)
    }
}

fn last_of(bucket: u64) -> u64 {
    buckets::end_of(bucket).as_secs().saturating_sub(1)
}
