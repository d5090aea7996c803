//! `Sessions`: construction and settings.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::creation::SessionLimit;
use super::event::{SessionEvent, SessionEventKind, log};
use super::record::{Session, Subject};
use super::refresh_token::RefreshKeys;
use super::settings::{ClaimsFuture, Settings};
use super::store::{MAX_ACCESS_LIFETIME, SessionStore};
use crate::claims::NumericDate;
use crate::clock::Clock;
use crate::keys::{KeySet, SigningKeySet};
use crate::verify::Verifier;

/// Logs subjects in, refreshes their tokens and logs them out. Cheap to clone.
///
/// The [module docs](super) have an example.
///
/// | to | call |
/// | --- | --- |
/// | log in | [`login`](Sessions::login), or [`begin`](Sessions::begin) and [`complete`](Sessions::complete) |
/// | refresh | [`refresh`](Sessions::refresh) |
/// | log out | [`logout`](Sessions::logout), [`end_session`](Sessions::end_session), [`logout_everywhere`](Sessions::logout_everywhere), [`logout_others`](Sessions::logout_others) |
/// | let an administrator act for a user | [`impersonate`](Sessions::impersonate) |
/// | ask for a second factor | [`elevate`](Sessions::elevate) |
/// | change rights or data | [`invalidate_access_tokens`](Sessions::invalidate_access_tokens), [`update`](Sessions::update) |
/// | manage a subject | [`list`](Sessions::list), [`find`](Sessions::find), [`end_session_of`](Sessions::end_session_of), [`block`](Sessions::block), [`unblock`](Sessions::unblock) |
/// | name a subject | [`subject_of`](Sessions::subject_of), [`subject_named`](Sessions::subject_named) |
pub struct Sessions<S> {
    pub(super) store: Arc<S>,
    pub(super) settings: Arc<Settings>,
}

impl<S: SessionStore> Sessions<S> {
    /// 5 minutes: a role that you remove stays usable for at most this time plus the layer's
    /// leeway.
    pub const DEFAULT_ACCESS_LIFETIME: Duration = Settings::ACCESS_LIFETIME;

    /// 14 days: a user who visits at least once in this time stays logged in.
    pub const DEFAULT_IDLE_LIFETIME: Duration = Settings::IDLE_LIFETIME;

    /// 90 days: then every user must log in again.
    pub const DEFAULT_LIFETIME: Duration = Settings::LIFETIME;

    /// 10 seconds: enough to retry after a lost response, and for two tabs that refresh at once.
    pub const DEFAULT_GRACE: Duration = Settings::GRACE;

    /// Creates sessions in `store`. `signing_keys` sign access tokens, `refresh_keys` authenticate
    /// refresh tokens.
    #[must_use]
    pub fn new(
        store: S,
        signing_keys: impl Into<SigningKeySet>,
        refresh_keys: RefreshKeys,
    ) -> Self {
        Self {
            store: Arc::new(store),
            settings: Arc::new(Settings::new(signing_keys.into(), refresh_keys)),
        }
    }

    /// Sets `iss` of access tokens. Absent by default.
    ///
    /// # Panics
    ///
    /// If it is empty.
    #[must_use]
    #[track_caller]
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        let issuer = issuer.into();
        assert!(!issuer.is_empty(), "the issuer is empty");
        self.change(|settings| settings.issuer = Some(issuer.into()))
    }

    /// Adds a value to `aud` of access tokens. Absent by default.
    ///
    /// # Panics
    ///
    /// If it is empty.
    #[must_use]
    #[track_caller]
    pub fn audience(self, audience: impl Into<String>) -> Self {
        let audience = audience.into();
        assert!(!audience.is_empty(), "the audience is empty");
        self.change(|settings| settings.audience.push(audience))
    }

    /// Sets `client_id` of access tokens: the name of your application (RFC 8693 §4.3). Absent by
    /// default. A login may have [another](super::PendingLogin::client_id).
    ///
    /// If you also set an issuer and an audience, the access tokens conform to RFC 9068, which
    /// [`JwtAuthLayer::rfc9068`](crate::JwtAuthLayer::rfc9068) requires. Once a `client_id` is set,
    /// the [claims](Sessions::claims) must not contain one.
    ///
    /// # Panics
    ///
    /// If it is empty.
    #[must_use]
    #[track_caller]
    pub fn client_id(self, client_id: impl Into<String>) -> Self {
        let client_id = client_id.into();
        assert!(!client_id.is_empty(), "the client_id is empty");
        self.change(|settings| settings.client_id = Some(client_id.into()))
    }

    /// Sets the function that supplies your application's claims. Without it, access tokens have
    /// only the registered claims.
    ///
    /// It is called at login, at every refresh and at every [elevation](Sessions::elevate). So a
    /// role that you remove is missing from the next access token. It gets the session, with its
    /// [data](Session::data). At login that is the session about to be created. Return `Ok(None)`
    /// if the subject no longer exists: its session then ends.
    ///
    /// It is called again, at most three times, if the session's data changed meanwhile, or access
    /// tokens were [invalidated](Sessions::invalidate_access_tokens).
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
    ///     sessions.claims(move |session| {
    ///         let users = users.clone();
    ///         async move {
    ///             let Some(user) = users.find(&session.subject).await? else { return Ok(None) };
    ///             let scope = user.scopes.join(" ");
    ///             Ok::<_, io::Error>(Some(Access { name: user.name, scope }))
    ///         }
    ///     })
    /// }
    /// ```
    #[must_use]
    pub fn claims<F, A, C, E>(self, claims: F) -> Self
    where
        F: Fn(Session) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Option<C>, E>> + Send + 'static,
        C: Serialize,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let function = move |session: Session| -> ClaimsFuture {
            let claims = claims(session);
            Box::pin(async move {
                let claims = claims.await.map_err(Into::into)?;
                // A serializer's error may quote a claim. `Null` becomes `InvalidClaims` later.
                Ok(claims.map(|claims| serde_json::to_value(claims).unwrap_or(Value::Null)))
            })
        };
        self.change(|settings| settings.claims = Arc::new(function))
    }

    /// Sets the lifetime of access tokens. [5 minutes](Self::DEFAULT_ACCESS_LIFETIME) by default.
    /// An access token never outlives the [maximum lifetime](Self::lifetime) of its session.
    ///
    /// # Panics
    ///
    /// If it is less than a second or more than a day.
    #[must_use]
    #[track_caller]
    pub fn access_lifetime(self, lifetime: Duration) -> Self {
        let most = MAX_ACCESS_LIFETIME.as_secs();
        assert_within(lifetime, 1, most, "the lifetime of access tokens");
        self.change(|settings| settings.access_lifetime = lifetime)
    }

    /// Sets how long a session lasts without a refresh. [14 days](Self::DEFAULT_IDLE_LIFETIME) by
    /// default.
    ///
    /// # Panics
    ///
    /// If it is less than a second or more than ten years.
    #[must_use]
    #[track_caller]
    pub fn idle_lifetime(self, lifetime: Duration) -> Self {
        assert_within(lifetime, 1, TEN_YEARS, "the idle lifetime of sessions");
        self.change(|settings| settings.idle_lifetime = lifetime)
    }

    /// Sets the maximum lifetime of a session. Refreshing does not extend it.
    /// [90 days](Self::DEFAULT_LIFETIME) by default.
    ///
    /// # Panics
    ///
    /// If it is less than a second or more than ten years.
    #[must_use]
    #[track_caller]
    pub fn lifetime(self, lifetime: Duration) -> Self {
        assert_within(lifetime, 1, TEN_YEARS, "the lifetime of sessions");
        self.change(|settings| settings.lifetime = lifetime)
    }

    /// Sets how long the previous refresh token stays valid after a rotation.
    /// [10 seconds](Self::DEFAULT_GRACE) by default.
    ///
    /// The grace covers two tabs that refresh at once, and a client that lost the response. A thief
    /// who uses a stolen token within the grace is not detected at once. Reuse is detected when the
    /// previous token is used after its grace, or when an older one is used.
    ///
    /// - Raise it, up to 300 seconds, if clients must survive a longer outage without a new login.
    ///   That weakens detection: during the grace a stolen token yields access tokens unnoticed.
    /// - Below 3 seconds, a client that follows `Retry-After: 1` may retry too late.
    /// - If a clock steps back by more than the grace, the age of the rotation is unknown. The
    ///   previous token then counts as reused.
    ///
    /// # Panics
    ///
    /// If it is more than 300 seconds.
    #[must_use]
    #[track_caller]
    pub fn grace(self, grace: Duration) -> Self {
        assert_within(grace, 0, 300, "the grace");
        self.change(|settings| settings.grace = grace)
    }

    /// Limits the sessions of a subject. Without this there is no limit.
    ///
    /// Expired sessions do not count. The limit also holds if logins run concurrently, on any
    /// nodes. It applies only at a login: after you lower it, a subject may have too many sessions.
    /// With `EndOldest` the next login ends the excess. With `RejectLogin` logins are rejected
    /// until enough sessions have ended or expired.
    ///
    /// - [`SessionLimit::EndOldest`] ends the sessions that were refreshed least recently, and
    ///   revokes their access tokens. You get an event
    ///   [`EndedByLimit`](super::SessionEventKind::EndedByLimit) for each.
    /// - [`SessionLimit::RejectLogin`] rejects the login with
    ///   [`TooManySessions`](super::SessionErrorKind::TooManySessions): 409. Show the
    ///   [`list`](Sessions::list), and let the user choose a session. End it by
    ///   [`end_session_of`](Sessions::end_session_of), and begin the login again. Without such a
    ///   choice, a user who lost all devices must wait until a session expires.
    ///
    /// An [impersonation](Sessions::impersonate) does not count: it begins whatever the limit is,
    /// and ends none of the user's sessions.
    ///
    /// A browser that logs in again has a session already. End it first, as
    /// [`session_of_refresh_token`](Sessions::session_of_refresh_token) shows.
    ///
    /// ```
    /// # use tower_jwt_auth::session::{SessionStore, Sessions};
    /// use tower_jwt_auth::session::SessionLimit;
    ///
    /// fn on_five_devices<S: SessionStore>(sessions: Sessions<S>) -> Sessions<S> {
    ///     sessions.max_sessions(SessionLimit::EndOldest(5))
    /// }
    /// ```
    ///
    /// # Panics
    ///
    /// If the limit is 0 or more than [1,000](SessionLimit::MAX).
    #[must_use]
    #[track_caller]
    pub fn max_sessions(self, limit: SessionLimit) -> Self {
        assert!(
            (1..=SessionLimit::MAX).contains(&limit.max_sessions()),
            "the limit of sessions is not between 1 and 1000"
        );
        self.change(|settings| settings.limit = Some(limit))
    }

    /// Sets the maximum length of an access token, in bytes. A longer one is not issued:
    /// [`SessionErrorKind::TokenTooLong`](super::SessionErrorKind::TokenTooLong).
    ///
    /// 8 KiB by default, the [`max_token_length`](crate::Verifier::max_token_length) of a layer. If
    /// you set more, the layer of `SessionRoutes` accepts it too. A cookie holds about 4,000 bytes.
    /// A login or refresh by cookie fails if its access token is longer than that, whatever is set
    /// here.
    ///
    /// # Panics
    ///
    /// If it is more than 64 KiB: no layer accepts such tokens.
    #[must_use]
    #[track_caller]
    pub fn max_token_length(self, bytes: usize) -> Self {
        assert!(
            bytes <= Verifier::LONGEST_TOKEN,
            "tokens of more than 64 KiB"
        );
        self.change(|settings| settings.max_token_length = bytes)
    }

    /// Calls `hook` after each [event](SessionEvent). Look-ups on this node see the change already.
    /// The hook must not block.
    ///
    /// With feature `tracing` the events are also logged, without the subject.
    #[must_use]
    pub fn on_event(self, hook: impl Fn(&SessionEvent<'_>) + Send + Sync + 'static) -> Self {
        self.change(|settings| settings.event_hook = Arc::new(hook))
    }

    /// Sets the clock. The system's clock by default.
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        self.change(|settings| settings.clock = Arc::new(clock))
    }

    /// The store. Pass it to a layer, which then rejects the access tokens of ended sessions.
    #[must_use]
    pub fn store(&self) -> &Arc<S> {
        &self.store
    }

    /// The keys that verify the access tokens.
    #[must_use]
    pub fn verifying_keys(&self) -> &KeySet {
        self.settings.signing_keys.verifying_keys()
    }

    /// `iss` of the access tokens.
    #[must_use]
    pub fn issuer_name(&self) -> Option<&str> {
        self.settings.issuer.as_deref()
    }

    /// `aud` of the access tokens.
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        self.settings.audience.iter().map(String::as_str)
    }

    /// The clock.
    #[must_use]
    pub fn current_clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.settings.clock)
    }

    /// The maximum length of an access token, in bytes.
    #[cfg(feature = "axum")]
    pub(crate) fn longest_token(&self) -> usize {
        self.settings.max_token_length
    }

    /// The maximum lifetime of a session.
    pub(crate) fn max_lifetime(&self) -> Duration {
        self.settings.lifetime
    }

    #[cfg(feature = "axum")]
    pub(crate) fn grace_length(&self) -> Duration {
        self.settings.grace
    }

    pub(crate) fn now(&self) -> NumericDate {
        NumericDate::precise(self.settings.clock.now())
    }

    /// Emits an event of one session.
    pub(super) fn emit_for(&self, kind: SessionEventKind, session: &Session) {
        self.send(&SessionEvent {
            kind,
            subject: session.owner(),
            actor: session.actor.as_deref(),
            sid: Some(session.sid),
        });
    }

    /// Emits an event of all sessions of a subject.
    pub(super) fn emit(&self, kind: SessionEventKind, subject: Subject<'_>) {
        self.send(&SessionEvent {
            kind,
            subject,
            actor: None,
            sid: None,
        });
    }

    pub(super) fn send(&self, event: &SessionEvent<'_>) {
        log(event.kind);
        (self.settings.event_hook)(event);
    }

    fn change(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }
}

const TEN_YEARS: u64 = 10 * 366 * 24 * 60 * 60;

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
            settings: Arc::clone(&self.settings),
        }
    }
}

impl<S> fmt::Debug for Sessions<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("signing_keys", &self.settings.signing_keys)
            .field("refresh_keys", &self.settings.refresh_keys)
            .field("access_lifetime", &self.settings.access_lifetime)
            .field("idle_lifetime", &self.settings.idle_lifetime)
            .field("lifetime", &self.settings.lifetime)
            .field("grace", &self.settings.grace)
            .field("limit", &self.settings.limit)
            .finish_non_exhaustive()
    }
}
