//! Login, renewal and logout over a store.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use super::LONGEST_ACCESS_LIFETIME;
use super::error::{SessionError, SessionErrorKind};
use super::event::{SessionEvent, SessionEventKind, report};
use super::own_subject::OwnSubject;
use super::refresh_token::{Presented, RefreshKeys, SessionId};
use super::store::{Created, Refusal, Rotated, Rotation, Session, SessionStore, Subject};
use super::token_pair::TokenPair;
use crate::claims::{NumericDate, RegisteredClaims};
use crate::clock::{Clock, SystemClock};
use crate::json::is_shallow;
use crate::keys::{KeySet, SignError, SigningKeySet, TokenHeader};
use crate::verify::{VerifiedToken, Verifier};

/// Logs subjects in, renews their tokens, and logs them out. Cheap to clone.
///
/// See the [module docs](super) for an example.
pub struct Sessions<S> {
    store: Arc<S>,
    config: Arc<Config>,
}

#[derive(Clone)]
struct Config {
    signing_keys: SigningKeySet,
    refresh_keys: RefreshKeys,
    issuer: Option<Arc<str>>,
    audience: Vec<String>,
    access_lifetime: Duration,
    idle_lifetime: Duration,
    lifetime: Duration,
    grace: Duration,
    max_token_length: usize,
    claims: Arc<Supply>,
    hook: Arc<Hook>,
    clock: Arc<dyn Clock>,
}

type Supplied =
    Pin<Box<dyn Future<Output = Result<Option<Value>, Box<dyn Error + Send + Sync>>> + Send>>;
type Supply = dyn Fn(&str) -> Supplied + Send + Sync;
type Hook = dyn Fn(&SessionEvent<'_>) + Send + Sync;

/// A login that has begun: what the store said of the subject before its password was checked.
#[must_use = "a login is complete once `Sessions::complete` was called"]
pub struct PendingLogin {
    subject: OwnSubject,
    generation: u64,
    label: Option<String>,
}

impl PendingLogin {
    /// Names the session for lists: a device, a browser. At most 100 characters of it are kept.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        const MOST_CHARACTERS: usize = 100;
        self.label = Some(label.into().chars().take(MOST_CHARACTERS).collect());
        self
    }
}

impl<S: SessionStore> Sessions<S> {
    /// 5 minutes: how long a role that was taken away can still be used, where no look-up says otherwise.
    pub const DEFAULT_ACCESS_LIFETIME: Duration = Duration::from_secs(5 * 60);

    /// 14 days: who comes once in two weeks stays logged in.
    pub const DEFAULT_IDLE_LIFETIME: Duration = Duration::from_secs(14 * 24 * 60 * 60);

    /// 90 days: then everybody shows the password once more.
    pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(90 * 24 * 60 * 60);

    /// 10 seconds: a response that was lost is asked for again sooner than that, and two tabs renew in the same second.
    pub const DEFAULT_GRACE: Duration = Duration::from_secs(10);

    /// The claims that belong to the session, and those with which every verifier refuses a token:
    /// `events` makes it a logout token, `cnf` binds it to its sender.
    const RESERVED: [&str; 11] = [
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "jti",
        "sid",
        "generation",
        "events",
        "cnf",
    ];

    /// Sessions in `store`, with access tokens signed by `signing_keys` and refresh tokens under `refresh_keys`.
    #[must_use]
    pub fn new(
        store: S,
        signing_keys: impl Into<SigningKeySet>,
        refresh_keys: RefreshKeys,
    ) -> Self {
        let config = Config {
            signing_keys: signing_keys.into(),
            refresh_keys,
            issuer: None,
            audience: Vec::new(),
            access_lifetime: Self::DEFAULT_ACCESS_LIFETIME,
            idle_lifetime: Self::DEFAULT_IDLE_LIFETIME,
            lifetime: Self::DEFAULT_LIFETIME,
            grace: Self::DEFAULT_GRACE,
            max_token_length: Verifier::DEFAULT_MAX_TOKEN_LENGTH,
            claims: Arc::new(|_: &str| -> Supplied {
                Box::pin(std::future::ready(Ok(Some(Value::Object(Map::new())))))
            }),
            hook: Arc::new(|_: &SessionEvent<'_>| {}),
            clock: Arc::new(SystemClock),
        };
        Self {
            store: Arc::new(store),
            config: Arc::new(config),
        }
    }

    fn map(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(Arc::make_mut(&mut self.config));
        self
    }

    /// Sets `iss` of access tokens. None by default.
    ///
    /// # Panics
    ///
    /// If it is empty.
    #[must_use]
    #[track_caller]
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        let issuer = issuer.into();
        assert!(!issuer.is_empty(), "the issuer is empty");
        self.map(|config| config.issuer = Some(issuer.into()))
    }

    /// Adds to `aud` of access tokens. None by default.
    ///
    /// # Panics
    ///
    /// If it is empty.
    #[must_use]
    #[track_caller]
    pub fn audience(self, audience: impl Into<String>) -> Self {
        let audience = audience.into();
        assert!(!audience.is_empty(), "the audience is empty");
        self.map(|config| config.audience.push(audience))
    }

    /// Where the claims of access tokens come from besides the registered ones: asked at login and at each renewal, so that
    /// a role that was taken away does not live on. `Ok(None)`: there is no such subject any more, and its session ends.
    ///
    /// Without this call there are none.
    ///
    /// ```
    /// # use tower_jwt_auth::{keys::SigningKey, session::{RefreshKeys, Sessions, SessionStore}};
    /// use std::io;
    /// use serde::Serialize;
    ///
    /// #[derive(Serialize)]
    /// struct Access { name: String, scope: String }
    ///
    /// # #[derive(Clone)] struct Users;
    /// # struct User { name: String, scopes: Vec<String> }
    /// # impl Users { async fn find(&self, _: &str) -> io::Result<Option<User>> { Ok(None) } }
    /// fn with_claims<S: SessionStore>(sessions: Sessions<S>, users: Users) -> Sessions<S> {
    ///     sessions.claims(move |subject| {
    ///         let (users, subject) = (users.clone(), subject.to_owned());
    ///         async move {
    ///             let Some(user) = users.find(&subject).await? else { return Ok(None) };
    ///             Ok::<_, io::Error>(Some(Access { name: user.name, scope: user.scopes.join(" ") }))
    ///         }
    ///     })
    /// }
    /// ```
    #[must_use]
    pub fn claims<F, A, C, E>(self, claims: F) -> Self
    where
        F: Fn(&str) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Option<C>, E>> + Send + 'static,
        C: Serialize,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let supply = move |subject: &str| -> Supplied {
            let claims = claims(subject);
            Box::pin(async move {
                let claims = claims.await.map_err(Into::into)?;
                // A serializer's error may quote a claim: no object, then, and an error later.
                Ok(claims.map(|claims| serde_json::to_value(claims).unwrap_or(Value::Null)))
            })
        };
        self.map(|config| config.claims = Arc::new(supply))
    }

    /// How long an access token counts. 5 minutes by default. None outlives its session.
    ///
    /// # Panics
    ///
    /// If it is under a second, or over a day.
    #[must_use]
    #[track_caller]
    pub fn access_lifetime(self, lifetime: Duration) -> Self {
        let most = LONGEST_ACCESS_LIFETIME.as_secs();
        assert_within(lifetime, 1, most, "the life of access tokens");
        self.map(|config| config.access_lifetime = lifetime)
    }

    /// How long a session lives that is not renewed. 14 days by default.
    ///
    /// # Panics
    ///
    /// If it is under a second, or over ten years.
    #[must_use]
    #[track_caller]
    pub fn idle_lifetime(self, lifetime: Duration) -> Self {
        assert_within(lifetime, 1, TEN_YEARS, "the idle life of sessions");
        self.map(|config| config.idle_lifetime = lifetime)
    }

    /// How long a session lives at most, however often it is renewed. 90 days by default.
    ///
    /// # Panics
    ///
    /// If it is under a second, or over ten years.
    #[must_use]
    #[track_caller]
    pub fn lifetime(self, lifetime: Duration) -> Self {
        assert_within(lifetime, 1, TEN_YEARS, "the life of sessions");
        self.map(|config| config.lifetime = lifetime)
    }

    /// For how long after a renewal the refresh token before it still counts, counted from that renewal. 10 seconds by default.
    ///
    /// Two tabs that renew in the same moment, and a client whose response was lost, are no thieves. A thief who is as fast
    /// is not noticed until the next renewal.
    ///
    /// Raise it, up to 300 seconds, if clients must survive a longer outage without a new login: a
    /// client whose response was lost can retry only within the grace. That costs detection: during
    /// the grace a stolen token yields access tokens unnoticed. Below 3 seconds a client that
    /// follows `Retry-After: 1` may retry too late.
    ///
    /// If a clock steps back by more than the grace, the token before no longer counts: the age of
    /// the renewal is unknown.
    ///
    /// # Panics
    ///
    /// If it is over 5 minutes.
    #[must_use]
    #[track_caller]
    pub fn grace(self, grace: Duration) -> Self {
        assert_within(grace, 0, 300, "the grace");
        self.map(|config| config.grace = grace)
    }

    /// The longest access token that is issued, in bytes. A longer one is
    /// [`SessionErrorKind::TooLarge`].
    ///
    /// 8 KiB by default: a layer refuses longer tokens, unless its
    /// [`max_token_length`](Verifier::max_token_length) says otherwise. The ready-made routes set
    /// it to what fits into a cookie.
    #[must_use]
    pub fn max_token_length(self, bytes: usize) -> Self {
        self.map(|config| config.max_token_length = bytes)
    }

    /// Calls `hook` for what happens, after it has. It must not block. With feature `tracing` there are events as well, which
    /// name nobody.
    #[must_use]
    pub fn on_event(self, hook: impl Fn(&SessionEvent<'_>) + Send + Sync + 'static) -> Self {
        self.map(|config| config.hook = Arc::new(hook))
    }

    /// Where the time comes from. The system's clock by default.
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        self.map(|config| config.clock = Arc::new(clock))
    }

    /// The store: also what a layer asks whether a token was revoked.
    #[must_use]
    pub fn store(&self) -> &Arc<S> {
        &self.store
    }

    /// The keys that verify the access tokens.
    #[must_use]
    pub fn verifying_keys(&self) -> &KeySet {
        self.config.signing_keys.verifying_keys()
    }

    /// `iss` of the access tokens.
    #[must_use]
    pub fn issuer_name(&self) -> Option<&str> {
        self.config.issuer.as_deref()
    }

    /// Where the time comes from.
    #[must_use]
    pub fn current_clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.config.clock)
    }

    /// `aud` of the access tokens.
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        self.config.audience.iter().map(String::as_str)
    }

    /// The subject of an access token that these sessions issued, for a handler that acts on the
    /// sender of a request.
    ///
    /// A layer may trust several issuers. This refuses the tokens of all others, so their `sub`
    /// never names a subject of yours.
    ///
    /// ```
    /// # use tower_jwt_auth::{VerifiedToken, session::{SessionError, SessionStore, Sessions}};
    /// async fn logout_everywhere<S: SessionStore>(
    ///     sessions: Sessions<S>,
    ///     token: VerifiedToken,
    /// ) -> Result<(), SessionError> {
    ///     sessions.logout_everywhere(&sessions.subject_of(&token)?).await
    /// }
    /// ```
    ///
    /// Without an [`issuer`](Sessions::issuer), only the private claim `generation` tells these
    /// tokens from those of another key that you trust without an issuer. That stops mistakes, not
    /// an issuer that lies: name the issuers where you trust several.
    ///
    /// # Errors
    ///
    /// [`SessionErrorKind::Foreign`] if the token has another `iss`, no `sub`, or does not have the
    /// `sid` and `generation` of a session.
    pub fn subject_of(&self, token: &VerifiedToken) -> Result<OwnSubject, SessionError> {
        self.session_of(token)?;
        let name = token.subject().ok_or(SessionErrorKind::Foreign)?;
        Ok(self.subject_named(name))
    }

    /// The subject with this name: the key of an account, as your service knows it.
    ///
    /// Never hand it the `sub` of a token: [`subject_of`](Sessions::subject_of) checks whose token
    /// it is.
    #[must_use]
    pub fn subject_named(&self, name: impl Into<String>) -> OwnSubject {
        let issuer = self.config.issuer.clone();
        OwnSubject::new(issuer, name.into().into_boxed_str())
    }

    /// The session of an access token that these sessions issued. Refuses what
    /// [`subject_of`](Sessions::subject_of) refuses, except a token without `sub`.
    ///
    /// # Errors
    ///
    /// [`SessionErrorKind::Foreign`].
    pub fn session_of(&self, token: &VerifiedToken) -> Result<SessionId, SessionError> {
        let is_own = token.issuer() == self.issuer_name() && token.generation().is_some();
        let sid = token.session_id().filter(|_| is_own);
        let sid = sid.and_then(SessionId::parse);
        sid.ok_or_else(|| SessionErrorKind::Foreign.into())
    }

    /// The session that a refresh token names. The token may be an old one, and the session may
    /// have ended: ask this to end the session that a browser had before a login. `None` if the
    /// token is not authentic.
    ///
    /// ```
    /// # use tower_jwt_auth::session::{PendingLogin, SessionError, SessionStore, Sessions, TokenPair};
    /// async fn log_in<S: SessionStore>(
    ///     sessions: &Sessions<S>,
    ///     login: PendingLogin,
    ///     cookie: Option<&str>,
    /// ) -> Result<TokenPair, SessionError> {
    ///     if let Some(old) = cookie.and_then(|token| sessions.session_named_by(token)) {
    ///         sessions.end_session(old).await?;
    ///     }
    ///     sessions.complete(login).await
    /// }
    /// ```
    #[must_use]
    pub fn session_named_by(&self, refresh_token: &str) -> Option<SessionId> {
        let presented = self.config.refresh_keys.read(refresh_token);
        presented.map(|presented| presented.sid)
    }

    /// Logs `subject` in, whose password was checked just now. Where that takes time, [`begin`](Sessions::begin) before.
    ///
    /// # Errors
    ///
    /// As [`Sessions::begin`] and [`Sessions::complete`].
    pub async fn login(&self, subject: &OwnSubject) -> Result<TokenPair, SessionError> {
        let pending = self.begin(subject).await?;
        self.complete(pending).await
    }

    /// Begins a login, before the password is checked. A block, or a logout everywhere, between this and
    /// [`complete`](Sessions::complete) wins.
    ///
    /// # Errors
    ///
    /// [`SessionErrorKind::Blocked`]; [`SessionErrorKind::Foreign`] for a subject of other
    /// sessions; [`SessionErrorKind::Unavailable`] if the store fails.
    pub async fn begin(&self, subject: &OwnSubject) -> Result<PendingLogin, SessionError> {
        let state = self.store.subject(&self.whose(subject)?).await;
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

    /// Completes a login, once the password was found right.
    ///
    /// # Errors
    ///
    /// [`SessionErrorKind::Blocked`] and [`SessionErrorKind::LoggedOut`] if that happened in between;
    /// [`SessionErrorKind::UnknownSubject`], [`SessionErrorKind::Claims`] and [`SessionErrorKind::TooLarge`] for what
    /// [`Sessions::claims`] supplied; [`SessionErrorKind::Foreign`] for a login that other sessions
    /// began; [`SessionErrorKind::Unavailable`] if that or the store fails.
    pub async fn complete(&self, login: PendingLogin) -> Result<TokenPair, SessionError> {
        let subject = self.whose(&login.subject)?;
        let claims = self.supply(login.subject.name()).await?;
        let sid = SessionId::random().map_err(|_| SessionErrorKind::Backend)?;
        let now = self.now();
        let mut session = Session::new(sid, &subject, login.generation, now);
        session.label = login.label;
        session.expires_at = now.later_by(self.config.lifetime);
        session.idle_expires_at = now
            .later_by(self.config.idle_lifetime)
            .min(session.expires_at);
        session.access_expires_at = self.access_expiry(&session, now);
        let access_token = self.mint(&session, now, claims)?;
        let created = self.store.create(&session).await;
        match created.map_err(SessionError::unavailable)? {
            Created::Kept => {}
            Created::Blocked => return Err(SessionErrorKind::Blocked.into()),
            Created::LoggedOut => return Err(SessionErrorKind::LoggedOut.into()),
        }
        self.tell(SessionEventKind::Started, subject, Some(sid));
        self.pair(&session, access_token, now)
    }

    /// Renews the tokens of the session that `refresh_token` belongs to.
    ///
    /// # Errors
    ///
    /// [`SessionErrorKind::InvalidToken`] for what is no refresh token of ours, and nothing has changed;
    /// [`SessionErrorKind::Stolen`] for one that was used before, and its session has ended; [`SessionErrorKind::Ended`],
    /// [`Expired`](SessionErrorKind::Expired), [`Blocked`](SessionErrorKind::Blocked),
    /// [`LoggedOut`](SessionErrorKind::LoggedOut) and [`UnknownSubject`](SessionErrorKind::UnknownSubject) for a session
    /// that is dead.
    ///
    /// After [`SessionErrorKind::Unavailable`] the token may have been used: the store may have
    /// renewed the session and lost the answer. Retry with the same token within the
    /// [grace](Sessions::grace). A later retry is treated as reuse if the token was used: the
    /// session ends, and the client must log in again. With any other kind the token still counts.
    pub async fn refresh(&self, refresh_token: &str) -> Result<TokenPair, SessionError> {
        let Presented { sid, counter } = self.read(refresh_token)?;
        let found = self.store.find(sid).await;
        let session = found
            .map_err(SessionError::unavailable)?
            .ok_or(SessionErrorKind::Ended)?;
        if session.issuer.as_deref() != self.issuer_name() {
            // Another service's, whose refresh keys are the same by mistake.
            return Err(SessionErrorKind::InvalidToken.into());
        }
        // Before the rotation, so that a function that fails or hangs uses up no token.
        let claims = match self.supply(&session.subject).await {
            Err(error) if error.kind() == SessionErrorKind::UnknownSubject => {
                self.end_session(sid).await?;
                return Err(error);
            }
            claims => claims?,
        };
        let now = self.now();
        let access_token = self.mint(&session, now, claims)?;
        let rotation = Rotation {
            grace: self.config.grace,
            idle_expires_at: now.later_by(self.config.idle_lifetime),
            access_expires_at: self.access_expiry(&session, now),
            ..Rotation::new(counter, now)
        };
        let rotated = self.store.rotate(sid, &rotation).await;
        match rotated.map_err(SessionError::unavailable)? {
            Rotated::Renewed(session) | Rotated::Repeated(session) => {
                self.pair(&session, access_token, now)
            }
            Rotated::Recovered(session) => {
                self.tell(SessionEventKind::Recovered, session.whose(), Some(sid));
                self.pair(&session, access_token, now)
            }
            Rotated::Replayed(session) => {
                self.tell(SessionEventKind::Stolen, session.whose(), Some(sid));
                Err(SessionErrorKind::Stolen.into())
            }
            Rotated::Refused(refusal) => Err(SessionError::from(match refusal {
                Refusal::Ended => SessionErrorKind::Ended,
                Refusal::Expired => SessionErrorKind::Expired,
                Refusal::Blocked => SessionErrorKind::Blocked,
                Refusal::LoggedOut => SessionErrorKind::LoggedOut,
            })),
        }
    }

    /// Ends the session that `refresh_token` belongs to, whichever of its tokens it is. Its access tokens are dead once this
    /// returns, even if the store has lost the session. Ending what has ended changes nothing.
    ///
    /// # Errors
    ///
    /// [`SessionErrorKind::InvalidToken`]; [`SessionErrorKind::Unavailable`] if the store fails: then it may not have ended.
    pub async fn logout(&self, refresh_token: &str) -> Result<(), SessionError> {
        let Presented { sid, .. } = self.read(refresh_token)?;
        if self.is_foreign(sid).await? {
            return Err(SessionErrorKind::InvalidToken.into());
        }
        self.end_session(sid).await
    }

    /// Whether another issuer's sessions keep this one in the same store. The issuer of a session
    /// never changes, so the answer holds until the session is gone.
    async fn is_foreign(&self, sid: SessionId) -> Result<bool, SessionError> {
        let found = self.store.find(sid).await;
        let found = found.map_err(SessionError::unavailable)?;
        Ok(found.is_some_and(|session| session.issuer.as_deref() != self.issuer_name()))
    }

    /// Ends a session. As [`Sessions::logout`].
    ///
    /// For the session of a request, take the `sid` from [`session_of`](Sessions::session_of). A
    /// session of another issuer in the same store is left alone.
    ///
    /// Never pass a `sid` from an unverified source: if the store has no such session, it revokes
    /// the `sid` for a day, which takes an entry each. For a `sid` from a list use
    /// [`end_session_of`](Sessions::end_session_of).
    ///
    /// # Errors
    ///
    /// [`SessionErrorKind::Unavailable`] if the store fails: then it may not have ended.
    pub async fn end_session(&self, sid: SessionId) -> Result<(), SessionError> {
        // A session that the store has lost is revoked for as long as any access token may live.
        // The access lifetime that is configured now may be shorter than it was when the tokens
        // were issued.
        let until = self.now().later_by(LONGEST_ACCESS_LIFETIME);
        let ended = self.store.end(sid, self.issuer_name(), until).await;
        if let Some(session) = ended.map_err(SessionError::unavailable)? {
            self.tell(SessionEventKind::Ended, session.whose(), Some(sid));
        }
        Ok(())
    }

    /// Ends one of a subject's own sessions, as from a list. Whether there was such a one; another's is none.
    ///
    /// # Errors
    ///
    /// [`SessionErrorKind::Unavailable`] if the store fails: then it may not have ended.
    /// [`SessionErrorKind::Foreign`] for a subject of other sessions.
    pub async fn end_session_of(
        &self,
        subject: &OwnSubject,
        sid: SessionId,
    ) -> Result<bool, SessionError> {
        let whose = self.whose(subject)?;
        let found = self.store.find(sid).await;
        match found.map_err(SessionError::unavailable)? {
            Some(session) if session.whose() == whose => {
                self.end_session(sid).await?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Logs `subject` out everywhere. Everything issued before is dead once this returns; a login a moment later works.
    ///
    /// # Errors
    ///
    /// [`SessionErrorKind::Unavailable`] if the store fails: then it may not have happened.
    /// [`SessionErrorKind::Foreign`] for a subject of other sessions.
    pub async fn logout_everywhere(&self, subject: &OwnSubject) -> Result<(), SessionError> {
        let whose = self.whose(subject)?;
        let raised = self.store.raise_generation(&whose).await;
        raised.map_err(SessionError::unavailable)?;
        self.tell(SessionEventKind::LoggedOutEverywhere, whose, None);
        Ok(())
    }

    /// Keeps `subject` from getting any token, and ends what it has, until [`unblock`](Sessions::unblock).
    ///
    /// # Errors
    ///
    /// [`SessionErrorKind::Unavailable`] if the store fails: then it may not have happened.
    /// [`SessionErrorKind::Foreign`] for a subject of other sessions.
    pub async fn block(&self, subject: &OwnSubject) -> Result<(), SessionError> {
        let whose = self.whose(subject)?;
        let blocked = self.store.block(&whose).await;
        blocked.map_err(SessionError::unavailable)?;
        self.tell(SessionEventKind::Blocked, whose, None);
        Ok(())
    }

    /// Lets `subject` log in again. What was issued before the block stays dead.
    ///
    /// # Errors
    ///
    /// [`SessionErrorKind::Unavailable`] if the store fails: then it may not have happened.
    /// [`SessionErrorKind::Foreign`] for a subject of other sessions.
    pub async fn unblock(&self, subject: &OwnSubject) -> Result<(), SessionError> {
        let whose = self.whose(subject)?;
        let unblocked = self.store.unblock(&whose).await;
        unblocked.map_err(SessionError::unavailable)?;
        self.tell(SessionEventKind::Unblocked, whose, None);
        Ok(())
    }

    /// The live sessions of `subject`, the one used last first.
    ///
    /// # Errors
    ///
    /// [`SessionErrorKind::Unavailable`] if the store fails; [`SessionErrorKind::Foreign`] for a
    /// subject of other sessions.
    pub async fn list(&self, subject: &OwnSubject) -> Result<Vec<Session>, SessionError> {
        let listed = self.store.list(&self.whose(subject)?, self.now()).await;
        let mut sessions = listed.map_err(SessionError::unavailable)?;
        sessions.sort_by(|a, b| b.rotated_at.cmp(&a.rotated_at).then(a.sid.cmp(&b.sid)));
        Ok(sessions)
    }

    /// Fails for a subject that other sessions made: a service may have several.
    fn whose<'a>(&self, subject: &'a OwnSubject) -> Result<Subject<'a>, SessionError> {
        if subject.issuer != self.config.issuer {
            return Err(SessionErrorKind::Foreign.into());
        }
        Ok(Subject::new(subject.issuer.as_deref(), subject.name()))
    }

    /// For how long a session may live.
    pub(crate) fn longest_life(&self) -> Duration {
        self.config.lifetime
    }

    pub(crate) fn now(&self) -> NumericDate {
        NumericDate::precise(self.config.clock.now())
    }

    fn read(&self, refresh_token: &str) -> Result<Presented, SessionError> {
        let read = self.config.refresh_keys.read(refresh_token);
        read.ok_or_else(|| SessionErrorKind::InvalidToken.into())
    }

    async fn supply(&self, subject: &str) -> Result<Map<String, Value>, SessionError> {
        let claims = (self.config.claims)(subject).await;
        match claims.map_err(SessionError::from_boxed)? {
            None => Err(SessionErrorKind::UnknownSubject.into()),
            Some(Value::Object(claims))
                if !Self::RESERVED.iter().any(|name| claims.contains_key(*name)) =>
            {
                Ok(claims)
            }
            Some(_) => Err(SessionErrorKind::Claims.into()),
        }
    }

    /// `exp` of an access token issued at `now`, in whole seconds: never after the session's end.
    fn access_expiry(&self, session: &Session, now: NumericDate) -> NumericDate {
        let lifetime = self.config.access_lifetime.min(self.config.idle_lifetime);
        now.later_by(lifetime)
            .min(session.expires_at)
            .whole_seconds()
    }

    fn mint(
        &self,
        session: &Session,
        now: NumericDate,
        mut claims: Map<String, Value>,
    ) -> Result<String, SessionError> {
        let mut registered = RegisteredClaims::default()
            .subject(&*session.subject)
            .session_id(session.sid.to_string())
            .generation(session.generation)
            .random_token_id()
            .map_err(|_| SessionErrorKind::Backend)?;
        registered.issuer = session.issuer.clone();
        registered.issued_at = Some(now.whole_seconds());
        registered.expires_at = Some(self.access_expiry(session, now));
        if !self.config.audience.is_empty() {
            registered = registered.audience(self.config.audience.clone());
        }
        match serde_json::to_value(registered) {
            Ok(Value::Object(registered)) => claims.extend(registered),
            _ => return Err(SessionErrorKind::Claims.into()),
        }
        if !can_be_read(&claims) {
            return Err(SessionErrorKind::Claims.into());
        }
        let header = TokenHeader::new().typ("at+jwt");
        let token = self
            .config
            .signing_keys
            .signing_key()
            .sign_with(&header, &claims);
        let token = token.map_err(|error| match error {
            SignError::Backend => SessionErrorKind::Backend,
            _ => SessionErrorKind::Claims,
        })?;
        if token.len() > self.config.max_token_length {
            return Err(SessionErrorKind::TooLarge.into());
        }
        Ok(token)
    }

    fn pair(
        &self,
        session: &Session,
        access_token: String,
        now: NumericDate,
    ) -> Result<TokenPair, SessionError> {
        let presented = Presented {
            sid: session.sid,
            counter: session.counter,
        };
        let refresh_token = self.config.refresh_keys.token(presented);
        let until = |date: NumericDate| {
            date.since_epoch()
                .saturating_sub(now.whole_seconds().since_epoch())
        };
        Ok(TokenPair {
            access_token,
            refresh_token: refresh_token.ok_or(SessionErrorKind::Backend)?,
            access_lifetime: until(self.access_expiry(session, now)),
            refresh_lifetime: until(session.idle_expires_at),
            sid: session.sid,
        })
    }

    fn tell(&self, kind: SessionEventKind, subject: Subject<'_>, sid: Option<SessionId>) {
        report(kind);
        (self.config.hook)(&SessionEvent { kind, subject, sid });
    }
}

const TEN_YEARS: u64 = 10 * 366 * 24 * 60 * 60;

/// Whether a verifier reads the claims again: JSON that nests too deeply is written, but not read.
fn can_be_read(claims: &Map<String, Value>) -> bool {
    serde_json::to_vec(claims).is_ok_and(|json| is_shallow(&json))
}

#[track_caller]
fn assert_within(duration: Duration, least: u64, most: u64, what: &str) {
    assert!(
        duration >= Duration::from_secs(least) && duration <= Duration::from_secs(most),
        "{what} is not between {least} and {most} seconds"
    );
}

impl<S> Clone for Sessions<S> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            config: Arc::clone(&self.config),
        }
    }
}

impl<S> fmt::Debug for Sessions<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("signing_keys", &self.config.signing_keys)
            .field("refresh_keys", &self.config.refresh_keys)
            .field("access_lifetime", &self.config.access_lifetime)
            .field("idle_lifetime", &self.config.idle_lifetime)
            .field("lifetime", &self.config.lifetime)
            .field("grace", &self.config.grace)
            .finish_non_exhaustive()
    }
}

/// Names nobody.
impl fmt::Debug for PendingLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingLogin")
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}
