//! What happens to sessions.

use std::fmt;

use super::SessionId;
use super::store::Subject;

/// Something that happened to a session or a subject, for [`Sessions::on_event`](super::Sessions::on_event).
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct SessionEvent<'a> {
    /// What happened.
    pub kind: SessionEventKind,
    /// To whom.
    pub subject: Subject<'a>,
    /// To which session, where it was one.
    pub sid: Option<SessionId>,
}

/// What a [`SessionEvent`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionEventKind {
    /// A login.
    Started,
    /// An old refresh token was presented: two people have had it, and one of them stole it. The session has ended.
    Stolen,
    /// A refresh token was ahead of the store, which has lost writes: look at its fail-over.
    Recovered,
    /// A logout.
    Ended,
    /// A logout everywhere.
    LoggedOutEverywhere,
    /// A block.
    Blocked,
    /// The end of a block.
    Unblocked,
}

impl SessionEventKind {
    /// The kind in snake case, for logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stolen => "stolen",
            Self::Recovered => "recovered",
            Self::Ended => "ended",
            Self::LoggedOutEverywhere => "logged_out_everywhere",
            Self::Blocked => "blocked",
            Self::Unblocked => "unblocked",
        }
    }
}

/// Shows what happened, and not to whom.
impl fmt::Debug for SessionEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionEvent")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "tracing")]
pub(super) fn report(kind: SessionEventKind) {
    let name = kind.name();
    match kind {
        SessionEventKind::Stolen => {
            tracing::warn!(
                kind = name,
                "a refresh token was used twice: its session has ended"
            );
        }
        SessionEventKind::Recovered => {
            tracing::warn!(kind = name, "the session store has lost writes");
        }
        _ => tracing::debug!(kind = name, "a session changed"),
    }
}

#[cfg(not(feature = "tracing"))]
pub(super) fn report(_: SessionEventKind) {}
