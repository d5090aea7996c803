//! The subjects, sessions and assertions of the contract tests.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::claims::NumericDate;
use crate::clock::ManualClock;
use crate::revocation::{RevocationStore, TokenIdentity};
use crate::session::{
    CreationOutcome, MAX_ACCESS_LIFETIME, Rotation, RotationOutcome, Session, SessionId,
    SessionStore, Subject, SubjectState, UpdateOutcome,
};

pub(super) const START: u64 = 1_700_000_000;
pub(super) const GRACE: Duration = Duration::from_secs(10);
/// Lifetimes of an access token, of an idle session and of any session, in seconds.
pub(super) const ACCESS_LIFETIME: u64 = 300;
pub(super) const IDLE_LIFETIME: u64 = 1_000;
pub(super) const SESSION_LIFETIME: u64 = 5_000;

pub(super) struct ContractTest<S> {
    pub(super) store: Arc<S>,
    pub(super) clock: ManualClock,
    pub(super) requirement: &'static str,
}

pub(super) const ALICE: Subject<'static> = Subject {
    issuer: Some("https://id.example.com"),
    name: "alice",
};
pub(super) const BOB: Subject<'static> = Subject {
    issuer: Some("https://id.example.com"),
    name: "bob",
};
/// Another subject with the same name.
pub(super) const ALICE_OF_OTHER_ISSUER: Subject<'static> = Subject {
    issuer: Some("https://elsewhere.example.com"),
    name: "alice",
};
pub(super) const ALICE_WITHOUT_ISSUER: Subject<'static> = Subject {
    issuer: None,
    name: "alice",
};

pub(super) fn at(seconds: u64) -> NumericDate {
    NumericDate::from_seconds(START.saturating_add(seconds)).unwrap_or(NumericDate::MAX)
}

pub(super) fn sid(number: u8) -> SessionId {
    let mut bytes = [0x5a; 16];
    bytes[0] = number;
    SessionId::from_bytes(bytes)
}

/// The session `number` of a subject, created `seconds` after the start.
pub(super) fn session(number: u8, subject: &Subject<'_>, generation: u64, seconds: u64) -> Session {
    let mut session = Session::new(sid(number), subject, generation, at(seconds));
    session.label = Some(format!("device {number}"));
    session.data_json = Some(format!("{{\"device\":{number}}}"));
    session.client_id = Some("app".to_owned());
    session.key_thumbprint = Some(format!("thumbprint {number}"));
    session.access_is_bound = true;
    session.acr = Some("pwd".to_owned());
    session.actor = Some("support".to_owned());
    session.actor_generation = 3;
    session.persistent = false;
    session.idle_expires_at = at(seconds.saturating_add(IDLE_LIFETIME));
    session.expires_at = at(seconds.saturating_add(SESSION_LIFETIME));
    session.access_expires_at = at(seconds.saturating_add(ACCESS_LIFETIME));
    session
}

/// A rotation with the refresh token of `counter`, `seconds` after the start.
pub(super) fn rotation(counter: u64, seconds: u64) -> Rotation {
    Rotation {
        grace: GRACE,
        idle_expires_at: at(seconds.saturating_add(IDLE_LIFETIME)),
        access_expires_at: at(seconds.saturating_add(ACCESS_LIFETIME)),
        ..Rotation::new(counter, at(seconds))
    }
}

/// An elevation of a session with that counter, `seconds` after the start.
pub(super) fn elevation(counter: u64, seconds: u64) -> Rotation {
    Rotation {
        elevation: Some("mfa".to_owned()),
        ..rotation(counter, seconds)
    }
}

/// The same rotation, after access tokens were invalidated.
pub(super) fn rotation_of_epoch(access_epoch: u64, counter: u64, seconds: u64) -> Rotation {
    Rotation {
        access_epoch,
        ..rotation(counter, seconds)
    }
}

/// Ends a session of that issuer. If the store lost it, its tokens are revoked for the longest
/// lifetime of an access token.
pub(super) async fn end<S: SessionStore>(
    store: &S,
    sid: SessionId,
    issuer: Option<&str>,
) -> Result<Option<Session>, S::Error> {
    let longest = at(MAX_ACCESS_LIFETIME.as_secs());
    store.end(sid, issuer, longest).await
}

impl<S: SessionStore> ContractTest<S> {
    #[track_caller]
    pub(super) fn require(&self, holds: bool, what: &str) {
        assert!(holds, "requirement not met: {what} [{}]", self.requirement);
    }

    #[track_caller]
    pub(super) fn answer<T>(&self, answer: Result<T, S::Error>) -> T {
        match answer {
            Ok(answer) => answer,
            Err(error) => panic!("the store failed: {error} [{}]", self.requirement),
        }
    }

    #[track_caller]
    pub(super) fn require_equal<T: PartialEq + Debug>(&self, actual: &T, expected: &T, what: &str) {
        assert!(
            actual == expected,
            "requirement not met: {what}; {actual:?} instead of {expected:?} [{}]",
            self.requirement
        );
    }

    /// Sets the clock to `seconds` after the start.
    pub(super) fn advance_to(&self, seconds: u64) {
        self.clock.set(START.saturating_add(seconds));
    }

    pub(super) async fn login(
        &self,
        number: u8,
        subject: &Subject<'_>,
        generation: u64,
    ) -> Session {
        let session = session(number, subject, generation, 0);
        let created = self.answer(self.store.create(&session, None).await);
        self.require_equal(
            &created,
            &CreationOutcome::Created(Vec::new()),
            "a login works",
        );
        session
    }

    pub(super) async fn rotate(&self, session: &Session, rotation: &Rotation) -> RotationOutcome {
        self.answer(self.store.rotate(session.sid, rotation).await)
    }

    /// Ends a session with its own issuer.
    pub(super) async fn end(&self, session: &Session) -> Option<Session> {
        let ended = end(&*self.store, session.sid, session.issuer.as_deref());
        self.answer(ended.await)
    }

    pub(super) async fn find(&self, session: &Session) -> Option<Session> {
        self.answer(self.store.find(session.sid).await)
    }

    pub(super) async fn update(
        &self,
        session: &Session,
        data_version: u64,
        data_json: Option<&str>,
    ) -> UpdateOutcome {
        let updated = self.store.update(session.sid, data_version, data_json);
        self.answer(updated.await)
    }

    pub(super) async fn end_others(&self, session: &Session) -> Option<Session> {
        let kept = self
            .store
            .end_others(session.sid, session.issuer.as_deref());
        self.answer(kept.await)
    }

    pub(super) async fn raise_access_epoch(&self, subject: &Subject<'_>) -> u64 {
        self.answer(self.store.raise_access_epoch(subject).await)
    }

    pub(super) async fn subject(&self, subject: &Subject<'_>) -> SubjectState {
        self.answer(self.store.subject(subject).await)
    }

    /// Whether an access token of the session that expires at `expires_at` is revoked.
    pub(super) async fn is_revoked_until(
        &self,
        session: &Session,
        expires_at: NumericDate,
    ) -> bool {
        let text = session.sid.to_string();
        let mut token = TokenIdentity::new(expires_at)
            .jti("an-access-token")
            .sid(&text)
            .subject(&session.subject)
            .issued_at(session.created_at)
            .generation(session.access_epoch);
        token.issuer = session.issuer.as_deref();
        let revoked = self.answer(self.store.is_revoked(&token).await);
        if let Some(peeked) = self.store.peek(&token) {
            self.require_equal(&peeked, &revoked, "`peek` returns the same as `is_revoked`");
        }
        revoked
    }

    /// Access tokens with this session's ID, but of another issuer, are not revoked.
    pub(super) async fn require_other_issuers_unaffected(&self, mut session: Session) {
        for issuer in [ALICE_OF_OTHER_ISSUER.issuer, None] {
            session.issuer = issuer.map(str::to_owned);
            let revoked = self
                .is_revoked_until(&session, session.access_expires_at)
                .await;
            self.require(!revoked, "tokens of another issuer are not revoked");
        }
    }

    /// A session that was renewed at second 200 stays revoked until that access token expires.
    pub(super) async fn require_revoked_until_latest(&self, session: &Session, what: &str) {
        for seconds in [
            200,
            ACCESS_LIFETIME,
            ACCESS_LIFETIME + 100,
            ACCESS_LIFETIME + 199,
        ] {
            self.advance_to(seconds);
            self.trigger_pruning().await;
            let revoked = self
                .is_revoked_until(session, at(ACCESS_LIFETIME + 200))
                .await;
            self.require(revoked, what);
        }
    }

    pub(super) async fn require_ended(&self, session: &Session, what: &str) {
        let revoked = self
            .is_revoked_until(session, session.access_expires_at)
            .await;
        self.require(revoked, &format!("{what}: its access tokens are revoked"));
        self.require(
            self.find(session).await.is_none(),
            &format!("{what}: it is not found"),
        );
        let now = rotation(session.counter, 1);
        let rotated = self.rotate(session, &now).await;
        self.require(
            matches!(rotated, RotationOutcome::Rejected(_)),
            &format!("{what}: it is not renewed"),
        );
        let listed = self.list(&session.owner(), 0).await;
        self.require(
            listed.iter().all(|one| one.sid != session.sid),
            &format!("{what}: it is not listed"),
        );
    }

    pub(super) async fn require_live(&self, session: &Session, what: &str) {
        let revoked = self
            .is_revoked_until(session, session.access_expires_at)
            .await;
        self.require(
            !revoked,
            &format!("{what}: its access tokens are not revoked"),
        );
        self.require_equal(
            &self.find(session).await,
            &Some(session.clone()),
            &format!("{what}: it is found"),
        );
    }

    pub(super) async fn list(&self, subject: &Subject<'_>, seconds: u64) -> Vec<Session> {
        let mut listed = self.answer(self.store.list(subject, at(seconds)).await);
        listed.sort_by_key(|session| session.sid);
        listed
    }

    /// Makes calls that let the store drop expired entries.
    pub(super) async fn trigger_pruning(&self) {
        let seconds = NumericDate::from(self.clock.now())
            .seconds()
            .saturating_sub(START);
        let stranger = Subject::new(None, "stranger");
        for _ in 0..2 {
            self.concurrently(20, move |store, number| async move {
                let session = session(200 + number, &stranger, 0, seconds);
                store.create(&session, None).await?;
                end(&*store, session.sid, None).await
            })
            .await;
        }
    }

    /// Runs `call` in many tasks at once, each with its own number.
    pub(super) async fn concurrently<T, A>(
        &self,
        tasks: u8,
        call: impl Fn(Arc<S>, u8) -> A,
    ) -> Vec<T>
    where
        T: Send + 'static,
        A: Future<Output = Result<T, S::Error>> + Send + 'static,
    {
        let tasks: Vec<_> = (0..tasks)
            .map(|task| tokio::spawn(call(Arc::clone(&self.store), task)))
            .collect();
        let mut answers = Vec::new();
        for task in tasks {
            answers.push(self.join(task).await);
        }
        answers
    }

    /// What the store answered in that task.
    pub(super) async fn join<T>(&self, task: JoinHandle<Result<T, S::Error>>) -> T {
        match task.await {
            Ok(answer) => self.answer(answer),
            Err(_) => panic!("the store panicked [{}]", self.requirement),
        }
    }
}
