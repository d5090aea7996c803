//! Login.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::creation::CreationOutcome;
use super::data;
use super::elevation;
use super::error::{SessionError, SessionErrorKind};
use super::event::{SessionEvent, SessionEventKind};
use super::issue::ATTEMPTS;
use super::own_subject::OwnSubject;
use super::pending_login::PendingLogin;
use super::record::{Session, Subject};
use super::session_id::SessionId;
use super::sessions::Sessions;
use super::store::SessionStore;
use super::token_pair::TokenPair;
use crate::claims::NumericDate;

impl PendingLogin {
    /// Names the session for lists, for example by its device or browser. Only the first 100
    /// characters are kept.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        const MAX_CHARACTERS: usize = 100;
        self.label = Some(label.into().chars().take(MAX_CHARACTERS).collect());
        self
    }

    /// Sets `client_id` of the session's access tokens, instead of
    /// [`Sessions::client_id`]. Use it if several applications log in here.
    ///
    /// # Panics
    ///
    /// If it is empty.
    #[track_caller]
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        let client_id = client_id.into();
        assert!(!client_id.is_empty(), "the client_id is empty");
        self.client_id = Some(client_id);
        self
    }

    /// Sets `acr` of the session's access tokens: the level at which the user was authenticated.
    /// Use it if the login itself reaches this level. [`Sessions::elevate`] sets it later.
    ///
    /// # Errors
    ///
    /// [`SessionErrorKind::InvalidAcr`] unless it is 1 to 256 characters of printable ASCII without
    /// spaces, quotes and backslashes. [`SessionErrorKind::Impersonated`] after
    /// [`Sessions::impersonate`].
    pub fn acr(mut self, acr: impl Into<String>) -> Result<Self, SessionError> {
        if self.actor.is_some() {
            return Err(SessionErrorKind::Impersonated.into());
        }
        self.acr = Some(elevation::checked_acr(acr.into())?);
        Ok(self)
    }

    /// Sets the lifetime of this session, for example a day if the user did not tick "remember me".
    /// [`Sessions::lifetime`] by default. Refreshing does not extend it, and the session still ends
    /// when it is [idle](Sessions::idle_lifetime) for too long.
    ///
    /// ```
    /// # use tower_jwt_auth::session::{PendingLogin, SessionError};
    /// use std::time::Duration;
    ///
    /// fn remember(login: PendingLogin, remember_me: bool) -> Result<PendingLogin, SessionError> {
    ///     if remember_me {
    ///         return Ok(login);
    ///     }
    ///     // The cookies end with the browser, and the session after a day.
    ///     login.without_max_age().lifetime(Duration::from_secs(24 * 60 * 60))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionErrorKind::InvalidLifetime`] if it is less than a second, or longer than
    /// [`Sessions::lifetime`]. For an impersonation the maximum is
    /// [`Sessions::MAX_IMPERSONATION_LIFETIME`].
    pub fn lifetime(mut self, lifetime: Duration) -> Result<Self, SessionError> {
        if lifetime < Duration::from_secs(1) || lifetime > self.max_lifetime {
            return Err(SessionErrorKind::InvalidLifetime.into());
        }
        self.lifetime = lifetime;
        Ok(self)
    }

    /// Sets the cookies of this session without `Max-Age`, also after each refresh: the browser
    /// deletes them when it closes. See
    /// [`TokenCookie::without_max_age`](crate::cookie::TokenCookie::without_max_age).
    pub fn without_max_age(mut self) -> Self {
        self.persistent = false;
        self
    }

    /// Sets the data of the session. The [claims function](Sessions::claims) reads them each time
    /// it is called, and [`Sessions::update`] changes them.
    ///
    /// ```
    /// # use tower_jwt_auth::session::{
    /// #     OwnSubject, SessionError, SessionStore, Sessions, TokenPair,
    /// # };
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Data { organisation: String }
    ///
    /// async fn log_in<S: SessionStore>(
    ///     sessions: &Sessions<S>,
    ///     subject: &OwnSubject,
    /// ) -> Result<TokenPair, SessionError> {
    ///     let data = Data { organisation: "acme".to_owned() };
    ///     let login = sessions.begin(subject).await?.data(&data)?;
    ///     sessions.complete(login).await
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionErrorKind::InvalidData`] if they do not serialize to JSON of at most 4 KiB
    /// and 127 levels.
    pub fn data(mut self, data: &impl Serialize) -> Result<Self, SessionError> {
        self.data_json = Some(data::serialize(data)?);
        Ok(self)
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
    /// This succeeds even if the subject is blocked: then [`complete`](Sessions::complete) fails.
    /// So nobody without a password can find out who is blocked. `complete` also fails if the
    /// subject is blocked or logged out everywhere between the two calls.
    ///
    /// # Errors
    ///
    /// - [`SessionErrorKind::Foreign`] if `subject` was made by a `Sessions` of another issuer.
    /// - [`SessionErrorKind::Unavailable`] if the store fails.
    pub async fn begin(&self, subject: &OwnSubject) -> Result<PendingLogin, SessionError> {
        let state = self.store.subject(&self.check_own(subject)?).await;
        let state = state.map_err(SessionError::unavailable)?;
        Ok(PendingLogin {
            subject: subject.clone(),
            state,
            label: None,
            client_id: None,
            actor: None,
            acr: None,
            lifetime: self.settings.lifetime,
            max_lifetime: self.settings.lifetime,
            persistent: true,
            data_json: None,
            binding: None,
            clock: Arc::clone(&self.settings.clock),
        })
    }

    /// Completes a login after the password was checked.
    ///
    /// # Errors
    ///
    /// - [`SessionErrorKind::Blocked`] if the subject was blocked at [`begin`](Sessions::begin), or
    ///   is now. Also if the actor of an impersonation is blocked now.
    /// - [`SessionErrorKind::LoggedOut`] if the subject or the actor was logged out everywhere
    ///   after the login began.
    /// - [`SessionErrorKind::TooManySessions`] if [`max_sessions`](Sessions::max_sessions) rejects
    ///   it.
    /// - [`SessionErrorKind::UnknownSubject`], [`SessionErrorKind::InvalidClaims`] or
    ///   [`SessionErrorKind::TokenTooLong`] for what the [claims function](Sessions::claims)
    ///   returned.
    /// - [`SessionErrorKind::Foreign`] if the login was begun by a `Sessions` of another issuer.
    /// - [`SessionErrorKind::InvalidProof`] if the proof of [`bind`](PendingLogin::bind) was used
    ///   before or has expired. Also if an [impersonation](Sessions::impersonate) lacks a proof
    ///   that it needs.
    /// - [`SessionErrorKind::Unavailable`] if the claims function, the store or the
    ///   [replay store](crate::dpop::Dpop::replay_store) fails. Also if access tokens of the
    ///   subject were invalidated four times meanwhile.
    /// - [`SessionErrorKind::Backend`] if the crypto back-end fails.
    pub async fn complete(&self, login: PendingLogin) -> Result<TokenPair, SessionError> {
        let subject = self.check_own(&login.subject)?;
        if login.state.blocked {
            return Err(SessionErrorKind::Blocked.into());
        }
        let sid = SessionId::random().map_err(|_| SessionErrorKind::Backend)?;
        let mut access_epoch = login.state.access_epoch;
        let kind = match login.actor {
            None => SessionEventKind::Started,
            Some(_) => SessionEventKind::ImpersonationStarted,
        };
        let dpop_nonce = self.use_login_proof(&login, &subject).await?;
        for _ in ATTEMPTS {
            let now = self.now();
            let mut session = self.new_session(sid, &login, now);
            session.access_epoch = access_epoch;
            self.check_actor(&session).await?;
            let claims = self.application_claims(&session).await?;
            let access_token = self.access_token(&session, now, claims)?;
            let limit = self.settings.limit.filter(|_| session.actor.is_none());
            let created = self.store.create(&session, limit).await;
            match created.map_err(SessionError::unavailable)? {
                CreationOutcome::Created(ended) => {
                    for ended in ended {
                        self.send(&SessionEvent {
                            kind: SessionEventKind::EndedByLimit,
                            subject,
                            actor: None,
                            sid: Some(ended),
                        });
                    }
                    self.emit_for(kind, &session);
                    let tokens = self.token_pair(&session, access_token, now)?;
                    return Ok(TokenPair {
                        dpop_nonce,
                        ..tokens
                    });
                }
                CreationOutcome::LimitReached => {
                    return Err(SessionErrorKind::TooManySessions.into());
                }
                CreationOutcome::Blocked => return Err(SessionErrorKind::Blocked.into()),
                CreationOutcome::LoggedOut => return Err(SessionErrorKind::LoggedOut.into()),
                CreationOutcome::Outdated => access_epoch = self.access_epoch(&subject).await?,
            }
        }
        Err(SessionError::outdated())
    }

    fn new_session(&self, sid: SessionId, login: &PendingLogin, now: NumericDate) -> Session {
        let settings = &self.settings;
        let subject = Subject::new(self.issuer_name(), login.subject.name());
        let mut session = Session::new(sid, &subject, login.state.generation, now);
        session.label = login.label.clone();
        let client_id = login.client_id.as_deref();
        let client_id = client_id.or(settings.client_id.as_deref());
        session.client_id = client_id.map(str::to_owned);
        session.acr.clone_from(&login.acr);
        if let Some(actor) = &login.actor {
            session.actor = Some(actor.name.clone());
            session.actor_generation = actor.generation;
        }
        session.data_json = login.data_json.clone();
        session.persistent = login.persistent;
        if let Some(binding) = &login.binding {
            binding.apply(&mut session);
        }
        session.expires_at = now.later_by(login.lifetime);
        let idle_expires_at = now.later_by(settings.idle_lifetime);
        session.idle_expires_at = idle_expires_at.min(session.expires_at);
        session.access_expires_at = self.access_expiry(&session, now);
        session
    }

    /// Refuses an impersonation whose actor was blocked or logged out everywhere since it began.
    pub(super) async fn check_actor(&self, session: &Session) -> Result<(), SessionError> {
        let Some(actor) = &session.actor else {
            return Ok(());
        };
        let actor = Subject::new(self.issuer_name(), actor);
        let state = self.store.subject(&actor).await;
        let state = state.map_err(SessionError::unavailable)?;
        if state.blocked {
            return Err(SessionErrorKind::Blocked.into());
        }
        if state.generation != session.actor_generation {
            return Err(SessionErrorKind::LoggedOut.into());
        }
        Ok(())
    }

    /// The current access epoch of a subject.
    pub(super) async fn access_epoch(&self, subject: &Subject<'_>) -> Result<u64, SessionError> {
        let state = self.store.subject(subject).await;
        Ok(state.map_err(SessionError::unavailable)?.access_epoch)
    }
}
