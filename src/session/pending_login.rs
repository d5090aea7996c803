//! A login between its first and its last step.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::own_subject::OwnSubject;
use super::record::SubjectState;
use crate::clock::Clock;
use crate::dpop::CheckedProof;
use crate::token::JwkThumbprint;

/// A login that has begun: the state of the subject before its password is checked.
#[must_use = "the login takes effect only with `Sessions::complete`"]
pub struct PendingLogin {
    pub(super) subject: OwnSubject,
    pub(super) state: SubjectState,
    pub(super) label: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) actor: Option<PendingActor>,
    pub(super) acr: Option<String>,
    pub(super) lifetime: Duration,
    pub(super) max_lifetime: Duration,
    pub(super) persistent: bool,
    pub(super) data_json: Option<String>,
    pub(super) binding: Option<KeyBinding>,
    pub(super) clock: Arc<dyn Clock>,
}

/// Who acts for the subject of a login, and its generation.
pub(super) struct PendingActor {
    pub(super) name: String,
    pub(super) generation: u64,
    /// The key of the actor's own session, which the new session must have too. Otherwise a thief
    /// of an access token without the key could begin a session that lives longer.
    pub(super) required_key: Option<JwkThumbprint>,
}

/// The key that the login binds its session to.
pub(super) struct KeyBinding {
    pub(super) key: JwkThumbprint,
    /// `None` if the access token of an actor was proven already, with the same request.
    pub(super) proof: Option<CheckedProof>,
    pub(super) access_is_bound: bool,
}

/// Shows no claim that names the subject.
impl fmt::Debug for PendingLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingLogin")
            .field("generation", &self.state.generation)
            .finish_non_exhaustive()
    }
}
