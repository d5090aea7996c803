//! What a store keeps of sessions and subjects.

use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

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
    /// The value of [`access_epoch`](Self::access_epoch) at the last logout everywhere or block.
    /// Sessions of other generations have ended.
    pub generation: u64,
    /// A number that a logout everywhere, a block or an invalidation of access tokens raises.
    /// Despite its name, the claim `generation` of an access token holds this number, and not the
    /// value of the field `generation`. Access tokens with a lower one are revoked.
    pub access_epoch: u64,
    /// Whether the subject is blocked: it gets no tokens.
    pub blocked: bool,
}

impl SubjectState {
    /// The state of a subject, blocked or not. Its generation and its access epoch are both
    /// `generation`.
    #[must_use]
    pub fn new(generation: u64, blocked: bool) -> Self {
        Self {
            generation,
            access_epoch: generation,
            blocked,
        }
    }

    /// The state after a logout everywhere: all sessions and access tokens end.
    #[must_use]
    pub fn logged_out(self) -> Self {
        let access_epoch = self.access_epoch.saturating_add(1);
        Self {
            generation: access_epoch,
            access_epoch,
            ..self
        }
    }

    /// The state after [`Revocation::Generation`](crate::revocation::Revocation::Generation), which
    /// ends the sessions of lower generations. `None` if there are none.
    pub(crate) fn raised_to(self, generation: u64) -> Option<Self> {
        let logged_out = self.logged_out();
        let access_epoch = logged_out.access_epoch.max(generation);
        (generation > self.generation).then_some(Self {
            generation: access_epoch,
            access_epoch,
            ..self
        })
    }

    /// The state after all access tokens were invalidated. The sessions continue.
    #[must_use]
    pub fn access_tokens_invalidated(self) -> Self {
        Self {
            access_epoch: self.access_epoch.saturating_add(1),
            ..self
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
    /// The generation of the subject at login, or at the last `end_others` that the session
    /// survived.
    pub generation: u64,
    /// The access epoch of the subject at the login, at the last refresh or elevation, or at the
    /// last `end_others` that the session survived. A login, a refresh or an elevation issues an
    /// access token with this number as its claim `generation`.
    pub access_epoch: u64,
    /// The counter of the current refresh token: how many times it was rotated, by a refresh or an
    /// elevation. A refresh within the grace rotates nothing.
    pub counter: u64,
    /// The name of the session in lists, such as a device or a browser.
    pub label: Option<String>,
    /// The application's data, as JSON of at most 4 KiB. [`data`](Session::data) parses it.
    pub data_json: Option<String>,
    /// How many times the data were changed.
    pub data_version: u64,
    /// `client_id` of its access tokens.
    pub client_id: Option<String>,
    /// The SHA-256 thumbprint (RFC 7638) of the key that the client must prove to hold at each
    /// refresh (RFC 9449 §5). It never changes after the login. See
    /// [`PendingLogin::bind`](super::PendingLogin::bind).
    pub key_thumbprint: Option<String>,
    /// Whether the access tokens are bound to this key too.
    pub access_is_bound: bool,
    /// The level at which the user was authenticated: `acr` of its access tokens, of at most 256
    /// bytes.
    pub acr: Option<String>,
    /// Whether the last rotation was an [elevation](super::Sessions::elevate). Then the previous
    /// refresh token is rejected within its grace too, and the session continues.
    pub was_elevated: bool,
    /// `sub` of the user who [impersonates](super::Sessions::impersonate) the subject. Its access
    /// tokens carry it as `act` (RFC 8693 §4.1).
    pub actor: Option<String>,
    /// The generation of the actor when the impersonation began. 0 if there is no actor.
    pub actor_generation: u64,
    /// Whether its cookies outlive the browser: they have `Max-Age`.
    pub persistent: bool,
    /// When the user was authenticated: at login, or at the last
    /// [elevation](super::Sessions::elevate). `auth_time` of its access tokens.
    pub authenticated_at: NumericDate,
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
    /// A session that begins and expires at `now`, without a label or data. Set its fields as
    /// needed.
    #[must_use]
    pub fn new(sid: SessionId, subject: &Subject<'_>, generation: u64, now: NumericDate) -> Self {
        Self {
            sid,
            issuer: subject.issuer.map(str::to_owned),
            subject: subject.name.to_owned(),
            generation,
            access_epoch: generation,
            counter: 0,
            label: None,
            data_json: None,
            data_version: 0,
            client_id: None,
            key_thumbprint: None,
            access_is_bound: false,
            acr: None,
            was_elevated: false,
            actor: None,
            actor_generation: 0,
            persistent: true,
            authenticated_at: now,
            created_at: now,
            rotated_at: now,
            idle_expires_at: now,
            expires_at: now,
            access_expires_at: now,
        }
    }

    /// Lets the session continue after its subject was logged out everywhere: see
    /// [`SessionStore::end_others`](super::SessionStore::end_others).
    pub fn survive_logout(&mut self, subject: SubjectState) {
        self.generation = subject.generation;
        self.access_epoch = subject.access_epoch;
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

/// For a page or an API that lists sessions: `sid`, `label`, `client_id`, `acr`, and the dates
/// `authenticated_at`, `created_at`, `rotated_at`, `idle_expires_at` and `expires_at` in seconds
/// since the epoch. The subject, its issuer, the actor and the data are left out.
impl Serialize for Session {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_struct("Session", 9)?;
        members.serialize_field("sid", &self.sid.to_string())?;
        members.serialize_field("label", &self.label)?;
        members.serialize_field("client_id", &self.client_id)?;
        members.serialize_field("acr", &self.acr)?;
        for (name, date) in [
            ("authenticated_at", self.authenticated_at),
            ("created_at", self.created_at),
            ("rotated_at", self.rotated_at),
            ("idle_expires_at", self.idle_expires_at),
            ("expires_at", self.expires_at),
        ] {
            members.serialize_field(name, &date.seconds())?;
        }
        members.end()
    }
}

/// Shows no data, and no claim that names the session or its subject.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("generation", &self.generation)
            .field("access_epoch", &self.access_epoch)
            .field("counter", &self.counter)
            .field("data_version", &self.data_version)
            .finish_non_exhaustive()
    }
}

/// Shows no claim.
impl fmt::Debug for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").finish_non_exhaustive()
    }
}
