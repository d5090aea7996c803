//! Sessions that end with a logout at the provider where they began.

use std::fmt;
use std::time::Duration;

use super::id_token::IdToken;
use super::logout_token::LogoutToken;
use crate::claims::NumericDate;
use crate::session::{
    CreationOutcome, PendingLogin, Session, SessionError, SessionErrorKind, SessionId,
    SessionStore, Sessions, Subject, TokenPair,
};

/// Ends your sessions when their users log out at the OpenID provider where they logged in.
///
/// It records which session began with which ID token. So it finds your session even if the logout
/// token names only the provider's session (`sid` without `sub`). It also records each logout for
/// [an hour](ProviderSessions::LOGOUT_RETENTION). If the logout token for a login arrives before
/// the login completes, the login is rejected.
///
/// The records are in the store of the sessions, so every node sees them. A login adds two small
/// records for the [maximum lifetime](Sessions::lifetime) of a session.
///
/// ```
/// use tower_jwt_auth::TrustedIssuer;
/// use tower_jwt_auth::openid::{IdToken, LogoutToken, LogoutTokenVerifier, ProviderSessions};
/// # #[cfg(feature = "axum")]
/// use tower_jwt_auth::routes::BackChannelLogout;
/// use tower_jwt_auth::session::{SessionError, SessionStore, Sessions, TokenPair};
///
/// // At the end of a login.
/// async fn log_in<S: SessionStore>(
///     sessions: &Sessions<S>,
///     logins: &ProviderSessions<S>,
///     id_token: &IdToken,
/// ) -> Result<TokenPair, SessionError> {
///     // With one provider, `sub` can be the key of the account. Otherwise use `iss` and `sub`.
///     let subject = sessions.subject_named(id_token.subject());
///     let login = sessions.begin(&subject).await?;
///     logins.complete(login, id_token).await
/// }
///
/// # #[cfg(feature = "axum")]
/// fn receiver<S: SessionStore>(
///     provider: TrustedIssuer,
///     logins: ProviderSessions<S>,
/// ) -> BackChannelLogout {
///     let verifier = LogoutTokenVerifier::new(provider, "our-client-id");
///     BackChannelLogout::new(verifier, move |logout: LogoutToken| {
///         let logins = logins.clone();
///         async move { logins.end(&logout).await }
///     })
/// }
/// ```
///
/// | the logout token names | ends |
/// | --- | --- |
/// | `sid` | the sessions that began with this `sid` |
/// | `sid` and `sub` | the sessions of this user that began with this `sid`; also the user's sessions that began without a `sid`, if their ID token was issued no later than the logout token |
/// | `sub` | all sessions of this `sub` whose ID token was issued no later than the logout token |
pub struct ProviderSessions<S> {
    sessions: Sessions<S>,
}

/// What a logout token can name: the key of [records](Record) in the store. The store keeps a key
/// as a subject, and its records as sessions.
#[derive(Clone, Copy)]
enum RecordKey<'a> {
    Session(&'a str),
    Subject(&'a str),
    /// A subject, for logins whose ID token had no `sid`.
    SubjectWithoutSession(&'a str),
}

impl<'a> RecordKey<'a> {
    /// Not a URL, so it differs from every real issuer.
    fn issuer(self, provider: &str) -> String {
        let kind = match self {
            Self::Session(_) => "sid",
            Self::Subject(_) => "sub",
            Self::SubjectWithoutSession(_) => "sub without sid",
        };
        format!("{kind} of {provider}")
    }

    fn name(self) -> &'a str {
        match self {
            Self::Session(name) | Self::Subject(name) | Self::SubjectWithoutSession(name) => name,
        }
    }

    /// Whether `logout` ends `login`.
    ///
    /// Both times come from the provider's clock. They are not compared for a `sid`: once the
    /// provider's session has ended, no login of it is valid.
    fn is_ended_by_logout(self, login: &Record<'_>, logout: &Record<'_>) -> bool {
        logout.sid.is_none()
            && login.sid.is_some()
            && (logout.subject.is_none() || logout.subject == login.subject)
            && (matches!(self, Self::Session(_)) || login.issued_at <= logout.issued_at)
    }
}

/// A login or a logout. The store keeps it as a session without tokens; its label has the contents.
struct Record<'a> {
    /// The session that a login began. `None` for a logout.
    sid: Option<SessionId>,
    subject: Option<&'a str>,
    /// When the provider issued the token.
    issued_at: NumericDate,
}

impl<'a> Record<'a> {
    fn label(&self) -> String {
        let sid = self.sid.map_or("-".to_owned(), |sid| sid.to_string());
        format!("{sid} {}", self.subject.unwrap_or_default())
    }

    fn of(session: &'a Session) -> Option<Self> {
        let (sid, subject) = session.label.as_deref()?.split_once(' ')?;
        Some(Self {
            sid: SessionId::parse(sid),
            // Verified tokens never have an empty subject.
            subject: (!subject.is_empty()).then_some(subject),
            issued_at: session.created_at,
        })
    }
}

impl<S: SessionStore> ProviderSessions<S> {
    /// How long a logout is remembered: an hour. Codes and ID tokens of earlier logins have usually
    /// expired by then.
    pub const LOGOUT_RETENTION: Duration = Duration::from_secs(60 * 60);

    /// Links the logins of `sessions` to the user's logins at the provider.
    #[must_use]
    pub fn new(sessions: Sessions<S>) -> Self {
        Self { sessions }
    }

    /// Completes a login that began with this ID token. Call it instead of [`Sessions::complete`].
    ///
    /// # Errors
    ///
    /// As [`Sessions::complete`]. Also [`SessionErrorKind::LoggedOut`] if the provider has sent a
    /// logout token for this login: the user must log in again.
    pub async fn complete(
        &self,
        login: PendingLogin,
        id_token: &IdToken,
    ) -> Result<TokenPair, SessionError> {
        let tokens = self.sessions.complete(login).await?;
        match self.link(tokens.sid, id_token).await {
            Ok(()) => Ok(tokens),
            Err(error) => {
                // If this fails too, the session lives on, but its tokens were never handed out.
                let _ = self.sessions.end_session(tokens.sid).await;
                Err(error)
            }
        }
    }

    async fn link(&self, sid: SessionId, id_token: &IdToken) -> Result<(), SessionError> {
        let (provider, subject) = (id_token.issuer(), id_token.subject());
        let login = Record {
            sid: Some(sid),
            subject: Some(subject),
            issued_at: id_token.issued_at(),
        };
        let named = id_token.session_id();
        let keys = [
            named.map_or(
                RecordKey::SubjectWithoutSession(subject),
                RecordKey::Session,
            ),
            RecordKey::Subject(subject),
        ];
        for key in keys {
            let lifetime = self.sessions.max_lifetime();
            self.write(key, provider, &login, lifetime).await?;
        }
        // The order matters: both sides write their record before they read. So of a concurrent
        // login and logout, at least one sees the other.
        for key in keys {
            let records = self.records(key, provider).await?;
            let mut records = records.iter().filter_map(Record::of);
            if records.any(|record| key.is_ended_by_logout(&login, &record)) {
                return Err(SessionErrorKind::LoggedOut.into());
            }
        }
        Ok(())
    }

    /// Ends the sessions that a logout token names, for `routes::BackChannelLogout`. Once this
    /// returns, all their tokens are invalid.
    ///
    /// # Errors
    ///
    /// [`SessionErrorKind::Unavailable`] if the store fails. Some sessions may not have ended. The
    /// provider should retry; the next call ends the rest.
    pub async fn end(&self, logout: &LogoutToken) -> Result<(), SessionError> {
        let provider = logout.issuer();
        let keys = match (logout.session_id(), logout.subject()) {
            (Some(sid), subject) => [
                Some(RecordKey::Session(sid)),
                subject.map(RecordKey::SubjectWithoutSession),
            ],
            (None, subject) => [subject.map(RecordKey::Subject), None],
        };
        let logout = Record {
            sid: None,
            subject: logout.subject(),
            issued_at: logout.issued_at(),
        };
        for key in keys.into_iter().flatten() {
            self.write(key, provider, &logout, Self::LOGOUT_RETENTION)
                .await?;
            for session in self.records(key, provider).await? {
                let login =
                    Record::of(&session).filter(|record| key.is_ended_by_logout(record, &logout));
                if let Some(sid) = login.and_then(|login| login.sid) {
                    self.sessions.end_session(sid).await?;
                    let (issuer, until) = (session.issuer.as_deref(), session.access_expires_at);
                    let deleted = self.sessions.store().end(session.sid, issuer, until).await;
                    deleted.map_err(SessionError::unavailable)?;
                }
            }
        }
        Ok(())
    }

    /// Saves a record for `lifetime`.
    async fn write(
        &self,
        key: RecordKey<'_>,
        provider: &str,
        record: &Record<'_>,
        lifetime: Duration,
    ) -> Result<(), SessionError> {
        let issuer = key.issuer(provider);
        let subject = Subject::new(Some(&issuer), key.name());
        let id = SessionId::random().map_err(|_| SessionErrorKind::Backend)?;
        let now = self.sessions.now();
        let mut session = Session::new(id, &subject, 0, now);
        session.created_at = record.issued_at;
        session.label = Some(record.label());
        session.expires_at = now.later_by(lifetime);
        session.idle_expires_at = session.expires_at;
        let created = self.sessions.store().create(&session, None).await;
        match created.map_err(SessionError::unavailable)? {
            CreationOutcome::Created(_) => Ok(()),
            // Someone has blocked the subject that represents the key.
            _ => Err(SessionErrorKind::LoggedOut.into()),
        }
    }

    async fn records(
        &self,
        key: RecordKey<'_>,
        provider: &str,
    ) -> Result<Vec<Session>, SessionError> {
        let issuer = key.issuer(provider);
        let subject = Subject::new(Some(&issuer), key.name());
        let records = self.sessions.store().list(&subject, self.sessions.now());
        records.await.map_err(SessionError::unavailable)
    }
}

impl<S> Clone for ProviderSessions<S> {
    fn clone(&self) -> Self {
        Self {
            sessions: self.sessions.clone(),
        }
    }
}

impl<S> fmt::Debug for ProviderSessions<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderSessions").finish_non_exhaustive()
    }
}
