//! Events of sessions and subjects.

use std::fmt;

use super::record::Subject;
use super::session_id::SessionId;

/// An event of a session or a subject, for [`Sessions::on_event`](super::Sessions::on_event).
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct SessionEvent<'a> {
    /// What happened.
    pub kind: SessionEventKind,
    /// The subject concerned.
    pub subject: Subject<'a>,
    /// `sub` of the user who [impersonates](super::Sessions::impersonate) the subject in this
    /// session. `None` if nobody does.
    pub actor: Option<&'a str>,
    /// The session concerned. `None` if the event concerns all sessions of the subject.
    pub sid: Option<SessionId>,
}

/// The kind of a [`SessionEvent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionEventKind {
    /// A login.
    Started,
    /// An impersonation began: the `actor` acts for the subject.
    ImpersonationStarted,
    /// A refresh, also one with the previous refresh token within the grace.
    Refreshed,
    /// The user was authenticated again, perhaps at a higher level.
    Elevated,
    /// The previous refresh token was used after its grace, or an older one was used. It may have
    /// been stolen, or the client retried too late. The session has ended.
    ReuseDetected,
    /// A refresh token was newer than the store's record: the store has lost a refresh. The session
    /// continues. Check the store's persistence and fail-over.
    LostWrites,
    /// One session has ended by a logout, here or at the provider. Or a refresh or an elevation
    /// found that its subject is unknown, or that the actor of an impersonation is blocked or
    /// logged out.
    Ended,
    /// A login ended this session, because the subject had too many:
    /// [`Sessions::max_sessions`](super::Sessions::max_sessions).
    EndedByLimit,
    /// A logout everywhere.
    LoggedOutEverywhere,
    /// All sessions of the subject have ended, except this one.
    LoggedOutOthers,
    /// The access tokens of the subject were invalidated. Its sessions continue.
    AccessTokensInvalidated,
    /// The subject was blocked.
    Blocked,
    /// The block was lifted.
    Unblocked,
}

impl SessionEventKind {
    /// The kind in snake case, for logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::ImpersonationStarted => "impersonation_started",
            Self::Refreshed => "refreshed",
            Self::Elevated => "elevated",
            Self::ReuseDetected => "reuse_detected",
            Self::LostWrites => "lost_writes",
            Self::Ended => "ended",
            Self::EndedByLimit => "ended_by_limit",
            Self::LoggedOutEverywhere => "logged_out_everywhere",
            Self::LoggedOutOthers => "logged_out_others",
            Self::AccessTokensInvalidated => "access_tokens_invalidated",
            Self::Blocked => "blocked",
            Self::Unblocked => "unblocked",
        }
    }
}

/// Shows the kind only, not the subject.
impl fmt::Debug for SessionEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionEvent")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "tracing")]
pub(super) fn log(kind: SessionEventKind) {
    let name = kind.name();
    match kind {
        SessionEventKind::ReuseDetected => {
            tracing::warn!(
                kind = name,
                "a refresh token was used twice: its session has ended"
            );
        }
        SessionEventKind::LostWrites => {
            tracing::warn!(kind = name, "the session store has lost writes");
        }
        _ => tracing::debug!(kind = name, "a session changed"),
    }
}

#[cfg(not(feature = "tracing"))]
pub(super) fn log(_: SessionEventKind) {}
