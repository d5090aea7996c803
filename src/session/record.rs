//! What a store keeps of sessions and subjects.

use std::fmt;

use super::session_id::SessionId;
use crate::claims::NumericDate;

/// A subject of an issuer, by the claims `iss` and `sub`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Subject<'a> {
    /// `iss` of the tokens. `None` for tokens without `iss`.
    pub issuer: Option<&'a str>,
    /// `sub` of the tokens.
    pub name: &'a str,
}

impl<'a> Subject<'a> {
    /// The subject `name` of `issuer`. `None` stands for tokens without `iss`.
    #[must_use]
    pub fn new(issuer: Option<&'a str>, name: &'a str) -> Self {
        Self { issuer, name }
    }
}

/// The state of a subject in a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubjectState {
    /// How many times the subject was logged out everywhere or blocked.
    pub generation: u64,
    /// Whether the subject is blocked: it gets no tokens.
    pub blocked: bool,
}

impl SubjectState {
    /// The state of a subject with this generation, blocked or not.
    #[must_use]
    pub fn new(generation: u64, blocked: bool) -> Self {
        Self {
            generation,
            blocked,
        }
    }
}

/// A session, as a store keeps it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Session {
    /// `sid` of its access tokens.
    pub sid: SessionId,
    /// `iss` of its access tokens.
    pub issuer: Option<String>,
    /// `sub` of its access tokens.
    pub subject: String,
    /// The generation of the subject at login.
    pub generation: u64,
    /// How many times the session was refreshed. The current refresh token has the same counter.
    pub counter: u64,
    /// The name of the session in lists, such as a device or a browser.
    pub label: Option<String>,
    /// When the session began.
    pub created_at: NumericDate,
    /// When the refresh token was last rotated. At first, when the session began.
    pub rotated_at: NumericDate,
    /// When the session expires unless it is refreshed before.
    pub idle_expires_at: NumericDate,
    /// When the session expires, however often it is refreshed.
    pub expires_at: NumericDate,
    /// The latest `exp` of its access tokens.
    pub access_expires_at: NumericDate,
}

impl Session {
    /// A session without a label that begins and expires at `now`. Set its fields as needed.
    #[must_use]
    pub fn new(sid: SessionId, subject: &Subject<'_>, generation: u64, now: NumericDate) -> Self {
        Self {
            sid,
            issuer: subject.issuer.map(str::to_owned),
            subject: subject.name.to_owned(),
            generation,
            counter: 0,
            label: None,
            created_at: now,
            rotated_at: now,
            idle_expires_at: now,
            expires_at: now,
            access_expires_at: now,
        }
    }

    /// The subject, with its issuer, that the session belongs to.
    #[must_use]
    pub fn owner(&self) -> Subject<'_> {
        Subject::new(self.issuer.as_deref(), &self.subject)
    }

    /// Whether the session was idle for too long, or has reached its maximum lifetime.
    #[must_use]
    pub fn has_expired(&self, now: NumericDate) -> bool {
        now >= self.idle_expires_at || now >= self.expires_at
    }
}

/// Shows no claim that names the session or its subject.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("generation", &self.generation)
            .field("counter", &self.counter)
            .finish_non_exhaustive()
    }
}

/// Shows no claim.
impl fmt::Debug for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").finish_non_exhaustive()
    }
}
