//! Sessions that began with a login at a provider, and end with it.

use std::fmt;
use std::time::Duration;

use super::{IdToken, LogoutToken};
use crate::claims::NumericDate;
use crate::session::{
    CreationOutcome, PendingLogin, Session, SessionError, SessionErrorKind, SessionId,
    SessionStore, Sessions, Subject, TokenPair,
};

/// Ends sessions of yours when their users log out at the OpenID provider where they logged in.
///
/// It remembers which session began with which ID token, so a logout token that names the
/// provider's session alone (`sid` without `sub`) finds yours. It also remembers each logout for
/// [an hour](ProviderSessions::LOGOUT_RETENTION), so a logout token that overtakes the login is not lost:
/// that login is refused.
///
/// Both are kept in the store of the sessions, beside them: they last as long as the sessions do,
/// and every node of the store sees them. A login adds two small entries, which live as long as a
/// session may ([`Sessions::lifetime`]).
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
///     // The key of the account of this `iss` and `sub`.
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
/// | `sid` and `sub` | those of them that are of this `sub`; also its sessions whose ID token had no `sid`, as below |
/// | `sub` | all sessions of the `sub` whose ID token was not issued later than the logout token |
pub struct ProviderSessions<S> {
    sessions: Sessions<S>,
}

/// What a logout token can name. Each is a subject of its own in the store, whose sessions are
/// [notes](Note).
#[derive(Clone, Copy)]
enum Place<'a> {
    Session(&'a str),
    Subject(&'a str),
    /// A subject, for logins whose ID token had no `sid`.
    Unnamed(&'a str),
}

impl<'a> Place<'a> {
    /// No issuer is called like this: it is no URL.
    fn issuer(self, provider: &str) -> String {
        let kind = match self {
            Self::Session(_) => "sid",
            Self::Subject(_) => "sub",
            Self::Unnamed(_) => "sub without sid",
        };
        format!("{kind} of {provider}")
    }

    fn name(self) -> &'a str {
        match self {
            Self::Session(name) | Self::Subject(name) | Self::Unnamed(name) => name,
        }
    }

    /// Whether this logout ends this login. The times are the provider's, so its clock alone
    /// decides. A session that has ended there has ended for every login.
    fn is_ended(self, login: &Note<'_>, logout: &Note<'_>) -> bool {
        logout.sid.is_none()
            && login.sid.is_some()
            && (logout.subject.is_none() || logout.subject == login.subject)
            && (matches!(self, Self::Session(_)) || login.issued_at <= logout.issued_at)
    }
}

/// A login or a logout at a place: a session that nobody has a token of, told by its label.
struct Note<'a> {
    /// The session that a login began. A logout began none.
    sid: Option<SessionId>,
    subject: Option<&'a str>,
    /// When the provider issued the token.
    issued_at: NumericDate,
}

impl<'a> Note<'a> {
    fn label(&self) -> String {
        let sid = self.sid.map_or("-".to_owned(), |sid| sid.to_string());
        format!("{sid} {}", self.subject.unwrap_or_default())
    }

    fn of(session: &'a Session) -> Option<Self> {
        let (sid, subject) = session.label.as_deref()?.split_once(' ')?;
        Some(Self {
            sid: SessionId::parse(sid),
            // No token names an empty one.
            subject: (!subject.is_empty()).then_some(subject),
            issued_at: session.created_at,
        })
    }
}

impl<S: SessionStore> ProviderSessions<S> {
    /// An hour: no login is completed with a code or an ID token older than that.
    pub const MEMORY: Duration = Duration::from_secs(60 * 60);

    /// For logins that `sessions` begin.
    #[must_use]
    pub fn new(sessions: Sessions<S>) -> Self {
        Self { sessions }
    }

    /// Completes a login that began with this ID token. Use it in place of [`Sessions::complete`].
    ///
    /// # Errors
    ///
    /// As [`Sessions::complete`]. [`SessionErrorKind::LoggedOut`] also if the provider has told of
    /// a logout that covers this ID token: the user must log in again.
    pub async fn complete(
        &self,
        login: PendingLogin,
        id_token: &IdToken,
    ) -> Result<TokenPair, SessionError> {
        let tokens = self.sessions.complete(login).await?;
        match self.link(tokens.sid, id_token).await {
            Ok(()) => Ok(tokens),
            Err(error) => {
                // Nobody has its tokens, so it is harmless if it cannot be ended.
                let _ = self.sessions.end_session(tokens.sid).await;
                Err(error)
            }
        }
    }

    async fn link(&self, sid: SessionId, id_token: &IdToken) -> Result<(), SessionError> {
        let (provider, subject) = (id_token.issuer(), id_token.subject());
        let login = Note {
            sid: Some(sid),
            subject: Some(subject),
            issued_at: id_token.issued_at(),
        };
        let named = id_token.session_id();
        let places = [
            named.map_or(Place::Unnamed(subject), Place::Session),
            Place::Subject(subject),
        ];
        for place in places {
            let life = self.sessions.max_lifetime();
            self.write(place, provider, &login, life).await?;
        }
        // Only now: `end` notes the logout before it looks for logins, so one of the two sees the
        // other.
        for place in places {
            let notes = self.notes(place, provider).await?;
            let mut notes = notes.iter().filter_map(Note::of);
            if notes.any(|note| place.is_ended(&login, &note)) {
                return Err(SessionErrorKind::LoggedOut.into());
            }
        }
        Ok(())
    }

    /// Ends what a logout token names, for `routes::BackChannelLogout`.
    /// Once this returns, nothing that those sessions issued works.
    ///
    /// # Errors
    ///
    /// [`SessionErrorKind::Unavailable`] if the store fails. Some sessions may live on: the
    /// provider should send the token again, and then this ends the rest.
    pub async fn end(&self, logout: &LogoutToken) -> Result<(), SessionError> {
        let provider = logout.issuer();
        let places = match (logout.session_id(), logout.subject()) {
            (Some(sid), subject) => [Some(Place::Session(sid)), subject.map(Place::Unnamed)],
            (None, subject) => [subject.map(Place::Subject), None],
        };
        let logout = Note {
            sid: None,
            subject: logout.subject(),
            issued_at: logout.issued_at(),
        };
        for place in places.into_iter().flatten() {
            self.write(place, provider, &logout, Self::MEMORY).await?;
            for session in self.notes(place, provider).await? {
                let login = Note::of(&session).filter(|note| place.is_ended(note, &logout));
                if let Some(sid) = login.and_then(|login| login.sid) {
                    self.sessions.end_session(sid).await?;
                    let (issuer, until) = (session.issuer.as_deref(), session.access_expires_at);
                    let forgotten = self.sessions.store().end(session.sid, issuer, until).await;
                    forgotten.map_err(SessionError::unavailable)?;
                }
            }
        }
        Ok(())
    }

    /// Keeps a note for `life`.
    async fn write(
        &self,
        place: Place<'_>,
        provider: &str,
        note: &Note<'_>,
        life: Duration,
    ) -> Result<(), SessionError> {
        let issuer = place.issuer(provider);
        let subject = Subject::new(Some(&issuer), place.name());
        let id = SessionId::random().map_err(|_| SessionErrorKind::Backend)?;
        let now = self.sessions.now();
        let mut session = Session::new(id, &subject, 0, now);
        session.created_at = note.issued_at;
        session.label = Some(note.label());
        session.expires_at = now.later_by(life);
        session.idle_expires_at = session.expires_at;
        let created = self.sessions.store().create(&session).await;
        match created.map_err(SessionError::unavailable)? {
            CreationOutcome::Created => Ok(()),
            // Somebody has blocked the place itself.
            CreationOutcome::Blocked | CreationOutcome::LoggedOut => {
                Err(SessionErrorKind::LoggedOut.into())
            }
        }
    }

    async fn notes(&self, place: Place<'_>, provider: &str) -> Result<Vec<Session>, SessionError> {
        let issuer = place.issuer(provider);
        let subject = Subject::new(Some(&issuer), place.name());
        let notes = self.sessions.store().list(&subject, self.sessions.now());
        notes.await.map_err(SessionError::unavailable)
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
