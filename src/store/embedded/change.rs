//! Changes to the revocation index.

use crate::claims::NumericDate;
use crate::revocation::Revocation;
use crate::session::Subject;

/// An owned [`Revocation`] that can be sent to another thread, or a lifted block.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Change {
    Token {
        name: QualifiedName,
        until: NumericDate,
    },
    Session {
        name: QualifiedName,
        until: NumericDate,
    },
    Cutoff {
        name: QualifiedName,
        at: NumericDate,
        until: NumericDate,
    },
    Generation {
        name: QualifiedName,
        generation: u64,
        until: NumericDate,
    },
    Block {
        name: QualifiedName,
    },
    /// Lifts a block. With generation 0 the subject has no generation: then a cutoff revokes the
    /// tokens issued before.
    Unblock {
        name: QualifiedName,
        generation: u64,
    },
}

impl From<&Revocation<'_>> for Change {
    fn from(revocation: &Revocation<'_>) -> Self {
        match *revocation {
            Revocation::Token {
                issuer,
                jti,
                expires_at,
            } => Self::Token {
                name: QualifiedName::new(issuer, jti),
                until: expires_at,
            },
            Revocation::Session { issuer, sid, until } => Self::Session {
                name: QualifiedName::new(issuer, sid),
                until,
            },
            Revocation::Generation {
                issuer,
                subject,
                generation,
                until,
            } => Self::Generation {
                name: QualifiedName::new(issuer, subject),
                generation,
                until,
            },
            Revocation::Cutoff {
                issuer,
                subject,
                issued_at,
                until,
            } => Self::Cutoff {
                name: QualifiedName::new(issuer, subject),
                at: issued_at,
                until,
            },
            Revocation::Block { issuer, subject } => Self::Block {
                name: QualifiedName::new(issuer, subject),
            },
        }
    }
}

/// The ID of a token or session, or the name of a subject, and its issuer.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct QualifiedName {
    pub(super) issuer: Option<String>,
    pub(super) name: String,
}

impl QualifiedName {
    pub(super) fn new(issuer: Option<&str>, name: &str) -> Self {
        Self {
            issuer: issuer.map(str::to_owned),
            name: name.to_owned(),
        }
    }

    pub(super) fn of(subject: &Subject<'_>) -> Self {
        Self::new(subject.issuer, subject.name)
    }

    pub(super) fn subject(&self) -> Subject<'_> {
        Subject::new(self.issuer.as_deref(), &self.name)
    }
}
