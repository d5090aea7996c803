//! Logout, and the operations on all sessions of a subject.

use super::error::{SessionError, SessionErrorKind};
use super::event::SessionEventKind;
use super::own_subject::OwnSubject;
use super::record::Session;
use super::session_id::SessionId;
use super::sessions::Sessions;
use super::store::{MAX_ACCESS_LIFETIME, SessionStore};

impl<S: SessionStore> Sessions<S> {
    /// Ends the session of `refresh_token`, which may be an old one.
    ///
    /// Once this returns, the session's access tokens are revoked, even if the store has lost the
    /// session. Ending it again changes nothing.
    ///
    /// # Errors
    ///
    /// - [`SessionErrorKind::InvalidToken`] if the token is not authentic, or its session belongs
    ///   to another issuer.
    /// - [`SessionErrorKind::Unavailable`] if the store fails: the session may not have ended.
    pub async fn logout(&self, refresh_token: &str) -> Result<(), SessionError> {
        let sid = self.session_of_refresh_token(refresh_token);
        let sid = sid.ok_or(SessionErrorKind::InvalidToken)?;
        if self.is_foreign(sid).await? {
            return Err(SessionErrorKind::InvalidToken.into());
        }
        self.end_session(sid).await
    }

    /// Ends the session `sid`, as [`Sessions::logout`] does.
    ///
    /// For the session of a request, get the `sid` from [`session_of`](Sessions::session_of). A
    /// session of another issuer in the same store is not changed.
    ///
    /// Do not pass a `sid` from an unverified source. If the store has no such session, it keeps a
    /// revocation of the `sid` for a day. For a `sid` from a list use
    /// [`end_session_of`](Sessions::end_session_of).
    ///
    /// # Errors
    ///
    /// [`SessionErrorKind::Unavailable`] if the store fails: the session may not have ended.
    pub async fn end_session(&self, sid: SessionId) -> Result<(), SessionError> {
        // If the store has lost the session, it revokes the `sid` until then. The configured access
        // lifetime may be shorter now than it was when the tokens were issued.
        let until = self.now().later_by(MAX_ACCESS_LIFETIME);
        let ended = self.store.end(sid, self.issuer_name(), until).await;
        if let Some(session) = ended.map_err(SessionError::unavailable)? {
            self.emit_for(SessionEventKind::Ended, &session);
        }
        Ok(())
    }

    /// Ends the session `sid` if it belongs to `subject`. Returns `false` if it has another owner,
    /// or does not exist any more.
    ///
    /// Use it if the user picks a session from a [list](Sessions::list).
    ///
    /// # Errors
    ///
    /// - [`SessionErrorKind::Unavailable`] if the store fails: the session may not have ended.
    /// - [`SessionErrorKind::Foreign`] if `subject` was made by a `Sessions` of another issuer.
    pub async fn end_session_of(
        &self,
        subject: &OwnSubject,
        sid: SessionId,
    ) -> Result<bool, SessionError> {
        let subject = self.check_own(subject)?;
        let found = self.store.find(sid).await;
        match found.map_err(SessionError::unavailable)? {
            Some(session) if session.owner() == subject => {
                self.end_session(sid).await?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Ends all sessions of `subject`. Once this returns, every token issued to it before is
    /// invalid. The subject can log in again at once.
    ///
    /// A session in which the subject [impersonates](Sessions::impersonate) another user ends at
    /// its next refresh. Its access token stays valid until it expires.
    ///
    /// # Errors
    ///
    /// - [`SessionErrorKind::Unavailable`] if the store fails: the sessions may not have ended.
    /// - [`SessionErrorKind::Foreign`] if `subject` was made by a `Sessions` of another issuer.
    pub async fn logout_everywhere(&self, subject: &OwnSubject) -> Result<(), SessionError> {
        let subject = self.check_own(subject)?;
        let raised = self.store.raise_generation(&subject).await;
        raised.map_err(SessionError::unavailable)?;
        self.emit(SessionEventKind::LoggedOutEverywhere, subject);
        Ok(())
    }

    /// Ends all sessions of a subject except `sid`, in one step. Use it when a user has changed the
    /// password, with the `sid` from [`session_of`](Sessions::session_of).
    ///
    /// Once this returns, every token issued to the subject before is invalid, except the refresh
    /// token of this session. So its client must refresh: the next request with its access token
    /// gets 401. Logins that began before, perhaps with the old password, are rejected.
    ///
    /// A page with a script calls `POST /refresh` at once. If the server renders the pages,
    /// redirect to a page behind `page_renewal`, which refreshes.
    ///
    /// If Redis loses this write in a failover, nodes write back that all sessions have ended. They
    /// cannot write back that this session was kept. Then the user must log in again.
    ///
    /// # Errors
    ///
    /// - [`SessionErrorKind::Ended`] if [`find`](Sessions::find) does not find the session. Nothing
    ///   changes.
    /// - [`SessionErrorKind::Impersonated`] if the session is an
    ///   [impersonation](Sessions::impersonate): the user would lose all others. Nothing changes.
    /// - [`SessionErrorKind::Unavailable`] if the store fails: the sessions may not have ended.
    pub async fn logout_others(&self, sid: SessionId) -> Result<(), SessionError> {
        let session = self.find(sid).await?.ok_or(SessionErrorKind::Ended)?;
        if session.actor.is_some() {
            return Err(SessionErrorKind::Impersonated.into());
        }
        let kept = self.store.end_others(sid, self.issuer_name()).await;
        let kept = kept.map_err(SessionError::unavailable)?;
        let session = kept.ok_or(SessionErrorKind::Ended)?;
        self.emit_for(SessionEventKind::LoggedOutOthers, &session);
        Ok(())
    }

    /// Invalidates all access tokens of `subject`. Its sessions continue: the next refresh issues
    /// an access token with new claims.
    ///
    /// Call it after you changed what the [claims function](Sessions::claims) returns, if the
    /// change must take effect at once. Without it, the old claims stay valid until the access
    /// token expires. Once this returns, no access token with older claims is accepted or issued:
    /// a refresh that has computed older claims computes them again. Clients must refresh, as
    /// after [`logout_others`](Sessions::logout_others).
    ///
    /// # Errors
    ///
    /// - [`SessionErrorKind::Unavailable`] if the store fails: the tokens may still be valid.
    /// - [`SessionErrorKind::Foreign`] if `subject` was made by a `Sessions` of another issuer.
    pub async fn invalidate_access_tokens(&self, subject: &OwnSubject) -> Result<(), SessionError> {
        let subject = self.check_own(subject)?;
        let raised = self.store.raise_access_epoch(&subject).await;
        raised.map_err(SessionError::unavailable)?;
        self.emit(SessionEventKind::AccessTokensInvalidated, subject);
        Ok(())
    }

    /// Ends all sessions of `subject` and blocks logins until [`unblock`](Sessions::unblock).
    ///
    /// A session in which the subject [impersonates](Sessions::impersonate) another user ends at
    /// its next refresh. Its access token stays valid until it expires.
    ///
    /// # Errors
    ///
    /// - [`SessionErrorKind::Unavailable`] if the store fails: the subject may not be blocked.
    /// - [`SessionErrorKind::Foreign`] if `subject` was made by a `Sessions` of another issuer.
    pub async fn block(&self, subject: &OwnSubject) -> Result<(), SessionError> {
        let subject = self.check_own(subject)?;
        let blocked = self.store.block(&subject).await;
        blocked.map_err(SessionError::unavailable)?;
        self.emit(SessionEventKind::Blocked, subject);
        Ok(())
    }

    /// Lifts the block of `subject`: it can log in again. Tokens from before the block stay
    /// invalid.
    ///
    /// # Errors
    ///
    /// - [`SessionErrorKind::Unavailable`] if the store fails: the subject may still be blocked.
    /// - [`SessionErrorKind::Foreign`] if `subject` was made by a `Sessions` of another issuer.
    pub async fn unblock(&self, subject: &OwnSubject) -> Result<(), SessionError> {
        let subject = self.check_own(subject)?;
        let unblocked = self.store.unblock(&subject).await;
        unblocked.map_err(SessionError::unavailable)?;
        self.emit(SessionEventKind::Unblocked, subject);
        Ok(())
    }

    /// Lists the live sessions of `subject`. The session refreshed last comes first.
    /// [`session_of`](Sessions::session_of) returns the `sid` of the request's own session.
    ///
    /// # Errors
    ///
    /// - [`SessionErrorKind::Unavailable`] if the store fails.
    /// - [`SessionErrorKind::Foreign`] if `subject` was made by a `Sessions` of another issuer.
    pub async fn list(&self, subject: &OwnSubject) -> Result<Vec<Session>, SessionError> {
        let subject = self.check_own(subject)?;
        let listed = self.store.list(&subject, self.now()).await;
        let mut sessions = listed.map_err(SessionError::unavailable)?;
        sessions.sort_by(|a, b| b.rotated_at.cmp(&a.rotated_at).then(a.sid.cmp(&b.sid)));
        Ok(sessions)
    }

    /// Whether the store has this session for another issuer. The issuer of a session never
    /// changes, so the answer stays true until the session is deleted.
    async fn is_foreign(&self, sid: SessionId) -> Result<bool, SessionError> {
        let found = self.store.find(sid).await;
        let found = found.map_err(SessionError::unavailable)?;
        Ok(found.is_some_and(|session| session.issuer.as_deref() != self.issuer_name()))
    }
}
