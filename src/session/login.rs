//! Login.

use std::fmt;

use super::error::{SessionError, SessionErrorKind};
use super::event::SessionEventKind;
use super::own_subject::OwnSubject;
use super::record::Session;
use super::session_id::SessionId;
use super::sessions::Sessions;
use super::store::{CreationOutcome, SessionStore};
use super::token_pair::TokenPair;

/// A login that has begun: the state of the subject before its password is checked.
#[must_use = "the login takes effect only with `Sessions::complete`"]
pub struct PendingLogin {
    subject: OwnSubject,
    generation: u64,
    label: Option<String>,
}

impl PendingLogin {
    /// Names the session for lists, for example by its device or browser. Only the first 100
    /// characters are kept.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        const MAX_CHARACTERS: usize = 100;
        self.label = Some(label.into().chars().take(MAX_CHARACTERS).collect());
        self
    }
}

impl<S: SessionStore> Sessions<S> {
    /// Logs `subject` in after its password was checked.
    ///
    /// If the check takes time, call [`begin`](Sessions::begin) before it and
    /// [`complete`](Sessions::complete) after it.
    ///
    /// # Errors
    ///
    /// As [`Sessions::begin`] and [`Sessions::complete`].
    pub async fn login(&self, subject: &OwnSubject) -> Result<TokenPair, SessionError> {
        let pending = self.begin(subject).await?;
        self.complete(pending).await
    }

    /// Begins a login, before the password is checked.
    ///
    /// If the subject is blocked or logged out everywhere after this,
    /// [`complete`](Sessions::complete) fails.
    ///
    /// # Errors
    ///
    /// - [`SessionErrorKind::Blocked`].
    /// - [`SessionErrorKind::Foreign`] if `subject` was made by a `Sessions` of another issuer.
    /// - [`SessionErrorKind::Unavailable`] if the store fails.
    pub async fn begin(&self, subject: &OwnSubject) -> Result<PendingLogin, SessionError> {
        let state = self.store.subject(&self.check_own(subject)?).await;
        let state = state.map_err(SessionError::unavailable)?;
        if state.blocked {
            return Err(SessionErrorKind::Blocked.into());
        }
        Ok(PendingLogin {
            subject: subject.clone(),
            generation: state.generation,
            label: None,
        })
    }

    /// Completes a login after the password was checked.
    ///
    /// # Errors
    ///
    /// - [`SessionErrorKind::Blocked`] or [`SessionErrorKind::LoggedOut`] if that happened after
    ///   [`begin`](Sessions::begin).
    /// - [`SessionErrorKind::UnknownSubject`], [`SessionErrorKind::InvalidClaims`] or
    ///   [`SessionErrorKind::TokenTooLong`] for what the [claims function](Sessions::claims)
    ///   returned.
    /// - [`SessionErrorKind::Foreign`] if the login was begun by a `Sessions` of another issuer.
    /// - [`SessionErrorKind::Unavailable`] if the claims function or the store fails.
    pub async fn complete(&self, login: PendingLogin) -> Result<TokenPair, SessionError> {
        let subject = self.check_own(&login.subject)?;
        let claims = self.application_claims(login.subject.name()).await?;
        let sid = SessionId::random().map_err(|_| SessionErrorKind::Backend)?;
        let now = self.now();
        let mut session = Session::new(sid, &subject, login.generation, now);
        session.label = login.label;
        session.expires_at = now.later_by(self.settings.lifetime);
        session.idle_expires_at = now
            .later_by(self.settings.idle_lifetime)
            .min(session.expires_at);
        session.access_expires_at = self.access_expiry(&session, now);
        let access_token = self.access_token(&session, now, claims)?;
        let created = self.store.create(&session).await;
        match created.map_err(SessionError::unavailable)? {
            CreationOutcome::Created => {}
            CreationOutcome::Blocked => return Err(SessionErrorKind::Blocked.into()),
            CreationOutcome::LoggedOut => return Err(SessionErrorKind::LoggedOut.into()),
        }
        self.emit(SessionEventKind::Started, subject, Some(sid));
        self.token_pair(&session, access_token, now)
    }
}

/// Shows no claim that names the subject.
impl fmt::Debug for PendingLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingLogin")
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}
