//! What every store of sessions must do.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use crate::claims::NumericDate;
use crate::clock::ManualClock;
use crate::revocation::{RevocationStore, TokenIdentity};
use crate::session::{
    CreationOutcome, MAX_ACCESS_LIFETIME, Rotation, RotationOutcome, Session, SessionId,
    SessionStore, Subject, SubjectState,
};

const START: u64 = 1_700_000_000;
const GRACE: Duration = Duration::from_secs(10);
/// Life of an access token, of an idle session, and of any session, in seconds.
const ACCESS: u64 = 300;
const IDLE: u64 = 1_000;
const LIFE: u64 = 5_000;

/// Holds a store to the contract of [`SessionStore`]. To be awaited in a runtime of tokio with several threads, or it finds fewer
/// of the faults that come of calls at the same time.
///
/// `make` makes an empty store that goes by the clock it is given, one for each must.
///
/// ```
/// # use tower_jwt_auth::{clock::ManualClock, session::SessionStore, testing::session_store_contract};
/// async fn keeps_the_contract<S: SessionStore>(make: impl AsyncFn(ManualClock) -> S) {
///     session_store_contract(|clock| make(clock)).await;
/// }
/// ```
///
/// # Panics
///
/// If the store breaks the contract: with the must in words, and its name.
pub async fn session_store_contract<S, A>(make: impl Fn(ManualClock) -> A)
where
    S: SessionStore,
    A: Future<Output = S>,
{
    for must in SESSION_STORE_MUSTS {
        session_store_must(must, &make).await;
    }
}

macro_rules! musts {
    ($($must:ident,)*) => {
        /// The names of the musts, for [`session_store_must`].
        #[doc(hidden)]
        pub const SESSION_STORE_MUSTS: &[&str] = &[$(stringify!($must),)*];

        /// Holds a store to one must: so the tests of the suite itself see that each can fail.
        #[doc(hidden)]
        pub async fn session_store_must<S, A>(must: &str, make: impl Fn(ManualClock) -> A)
        where
            S: SessionStore,
            A: Future<Output = S>,
        {
            let clock = ManualClock::at(START);
            let store = Arc::new(make(clock.clone()).await);
            match must {
                $(stringify!($must) => {
                    let must = stringify!($must);
                    Bench { store, clock, must }.$must().await;
                })*
                _ => panic!("there is no must of that name"),
            }
        }
    };
}

musts! {
    a_stranger_is_not_blocked_and_of_generation_0,
    a_session_that_was_created_is_found_as_it_was,
    a_blocked_subject_gets_no_session,
    a_login_that_began_before_a_logout_everywhere_gets_no_session,
    the_current_token_renews,
    the_absolute_end_is_never_extended,
    the_token_before_counts_within_the_grace,
    the_grace_does_not_slide,
    a_clock_that_steps_back_does_not_lengthen_the_grace,
    the_token_before_ends_the_session_after_the_grace,
    an_older_token_ends_the_session_within_the_grace,
    a_token_ahead_of_the_store_counts,
    an_expired_session_is_not_renewed,
    an_unknown_session_is_not_renewed,
    an_ended_session_is_gone,
    ending_twice_changes_nothing,
    ending_one_session_leaves_the_others,
    a_session_of_another_issuer_is_not_ended,
    ending_a_lost_session_revokes_its_tokens,
    ending_a_lost_session_leaves_other_tokens,
    ending_revokes_the_tokens_of_its_issuer_alone,
    ending_revokes_until_the_latest_access_token_is_dead,
    a_repeated_renewal_counts_for_how_long_to_revoke,
    a_logout_everywhere_ends_everything_before,
    a_logout_everywhere_revokes_until_the_latest_access_token_is_dead,
    a_logout_everywhere_leaves_others,
    a_login_after_a_logout_everywhere_works,
    a_block_ends_everything_before,
    a_block_outlives_everything,
    blocking_twice_changes_nothing,
    lifting_a_block_revives_nothing,
    a_login_after_a_block_works,
    a_generation_is_never_forgotten,
    the_tokens_of_an_expired_session_can_be_revoked,
    a_list_holds_the_live_sessions_of_one_subject,
    of_many_renewals_at_once_one_renews,
    an_end_wins_against_renewals_at_the_same_time,
    a_logout_everywhere_wins_against_renewals_at_the_same_time,
    a_block_wins_against_renewals_at_the_same_time,
    a_logout_everywhere_wins_against_logins_at_the_same_time,
    a_block_wins_against_logins_at_the_same_time,
    generations_raised_at_the_same_time_all_count,
}

struct Bench<S> {
    store: Arc<S>,
    clock: ManualClock,
    must: &'static str,
}

const ALICE: Subject<'static> = Subject {
    issuer: Some("https://id.example.com"),
    name: "alice",
};
const BOB: Subject<'static> = Subject {
    issuer: Some("https://id.example.com"),
    name: "bob",
};
/// Another Alice, of another issuer.
const ELSEWHERE: Subject<'static> = Subject {
    issuer: Some("https://elsewhere.example.com"),
    name: "alice",
};
const NOWHERE: Subject<'static> = Subject {
    issuer: None,
    name: "alice",
};

fn at(seconds: u64) -> NumericDate {
    NumericDate::from_seconds(START.saturating_add(seconds)).unwrap_or(NumericDate::MAX)
}

fn sid(number: u8) -> SessionId {
    let mut bytes = [0x5a; 16];
    bytes[0] = number;
    SessionId::from_bytes(bytes)
}

/// The session `number` of a subject, begun `seconds` after the start.
fn session(number: u8, subject: &Subject<'_>, generation: u64, seconds: u64) -> Session {
    let mut session = Session::new(sid(number), subject, generation, at(seconds));
    session.label = Some(format!("device {number}"));
    session.idle_expires_at = at(seconds.saturating_add(IDLE));
    session.expires_at = at(seconds.saturating_add(LIFE));
    session.access_expires_at = at(seconds.saturating_add(ACCESS));
    session
}

/// A renewal with the token of `counter`, `seconds` after the start.
fn rotation(counter: u64, seconds: u64) -> Rotation {
    Rotation {
        grace: GRACE,
        idle_expires_at: at(seconds.saturating_add(IDLE)),
        access_expires_at: at(seconds.saturating_add(ACCESS)),
        ..Rotation::new(counter, at(seconds))
    }
}

/// Ends a session of that issuer. One that was lost is revoked for as long as an access token may
/// live.
async fn end<S: SessionStore>(
    store: &S,
    sid: SessionId,
    issuer: Option<&str>,
) -> Result<Option<Session>, S::Error> {
    let longest = at(MAX_ACCESS_LIFETIME.as_secs());
    store.end(sid, issuer, longest).await
}

impl<S: SessionStore> Bench<S> {
    #[track_caller]
    fn must(&self, holds: bool, what: &str) {
        assert!(
            holds,
            "a store of sessions must keep: {what} [{}]",
            self.must
        );
    }

    #[track_caller]
    fn answer<T>(&self, answer: Result<T, S::Error>) -> T {
        match answer {
            Ok(answer) => answer,
            Err(error) => panic!("the store failed: {error} [{}]", self.must),
        }
    }

    #[track_caller]
    fn same<T: PartialEq + Debug>(&self, is: &T, should: &T, what: &str) {
        assert!(
            is == should,
            "a store of sessions must keep: {what}; {is:?} instead of {should:?} [{}]",
            self.must
        );
    }

    /// Moves the clock to `seconds` after the start.
    fn go_to(&self, seconds: u64) {
        self.clock.set(START.saturating_add(seconds));
    }

    async fn login(&self, number: u8, subject: &Subject<'_>, generation: u64) -> Session {
        let session = session(number, subject, generation, 0);
        let created = self.answer(self.store.create(&session).await);
        self.same(&created, &CreationOutcome::Created, "a login works");
        session
    }

    async fn rotate(&self, session: &Session, rotation: &Rotation) -> RotationOutcome {
        self.answer(self.store.rotate(session.sid, rotation).await)
    }

    /// Ends a session, as its issuer does.
    async fn end(&self, session: &Session) -> Option<Session> {
        let ended = end(&*self.store, session.sid, session.issuer.as_deref());
        self.answer(ended.await)
    }

    async fn found(&self, session: &Session) -> Option<Session> {
        self.answer(self.store.find(session.sid).await)
    }

    async fn subject(&self, subject: &Subject<'_>) -> SubjectState {
        self.answer(self.store.subject(subject).await)
    }

    /// Whether an access token of the session that expires at `expires_at` is revoked.
    async fn revoked(&self, session: &Session, expires_at: NumericDate) -> bool {
        let text = session.sid.to_string();
        let mut token = TokenIdentity::new(expires_at)
            .jti("an-access-token")
            .sid(&text)
            .subject(&session.subject)
            .issued_at(session.created_at)
            .generation(session.generation);
        token.issuer = session.issuer.as_deref();
        let revoked = self.answer(self.store.is_revoked(&token).await);
        if let Some(at_hand) = self.store.peek(&token) {
            self.same(&at_hand, &revoked, "`peek` says what `is_revoked` says");
        }
        revoked
    }

    async fn must_be_dead(&self, session: &Session, what: &str) {
        let revoked = self.revoked(session, session.access_expires_at).await;
        self.must(revoked, &format!("{what}: its access tokens are revoked"));
        self.must(
            self.found(session).await.is_none(),
            &format!("{what}: it is not found"),
        );
        let now = rotation(session.counter, 1);
        let rotated = self.rotate(session, &now).await;
        self.must(
            matches!(rotated, RotationOutcome::Rejected(_)),
            &format!("{what}: it is not renewed"),
        );
        let listed = self.list(&session.owner(), 0).await;
        self.must(
            listed.iter().all(|one| one.sid != session.sid),
            &format!("{what}: it is not listed"),
        );
    }

    async fn must_live(&self, session: &Session, what: &str) {
        let revoked = self.revoked(session, session.access_expires_at).await;
        self.must(!revoked, &format!("{what}: its access tokens count"));
        self.same(
            &self.found(session).await,
            &Some(session.clone()),
            &format!("{what}: it is found"),
        );
    }

    async fn list(&self, subject: &Subject<'_>, seconds: u64) -> Vec<Session> {
        let mut listed = self.answer(self.store.list(subject, at(seconds)).await);
        listed.sort_by_key(|session| session.sid);
        listed
    }

    /// Gives the store occasion to drop what is old by its clock.
    async fn stir(&self) {
        let seconds = NumericDate::from(self.clock.now())
            .seconds()
            .saturating_sub(START);
        let stranger = Subject::new(None, "stranger");
        for _ in 0..2 {
            self.at_once(20, move |store, number| async move {
                let session = session(200 + number, &stranger, 0, seconds);
                store.create(&session).await?;
                end(&*store, session.sid, None).await
            })
            .await;
        }
    }

    async fn a_stranger_is_not_blocked_and_of_generation_0(self) {
        for subject in [ALICE, NOWHERE] {
            let state = self.subject(&subject).await;
            self.same(
                &state,
                &SubjectState::default(),
                "who was never heard of is not blocked, and of generation 0",
            );
            let listed = self.list(&subject, 0).await;
            self.must(listed.is_empty(), "who was never heard of has no sessions");
        }
    }

    async fn a_session_that_was_created_is_found_as_it_was(self) {
        for (number, subject) in [(1, ALICE), (2, NOWHERE)] {
            let mut session = self.login(number, &subject, 0).await;
            self.must_live(&session, "a session that was created").await;
            session = Session {
                label: None,
                rotated_at: NumericDate::from_since_epoch(Duration::new(START, 999_999_999))
                    .unwrap_or(NumericDate::MAX),
                ..self::session(number + 10, &subject, 0, 0)
            };
            self.answer(self.store.create(&session).await);
            self.must_live(&session, "a session that was created").await;
        }
    }

    async fn a_blocked_subject_gets_no_session(self) {
        self.answer(self.store.block(&ALICE).await);
        let SubjectState { generation, .. } = self.subject(&ALICE).await;
        for generation in [generation, 0] {
            let session = session(1, &ALICE, generation, 0);
            let created = self.answer(self.store.create(&session).await);
            self.same(
                &created,
                &CreationOutcome::Blocked,
                "who is blocked gets no session",
            );
            let found = self.found(&session).await;
            self.must(found.is_none(), "a session that was refused is not kept");
        }
    }

    async fn a_login_that_began_before_a_logout_everywhere_gets_no_session(self) {
        self.answer(self.store.raise_generation(&ALICE).await);
        for generation in [0, 2] {
            let session = session(1, &ALICE, generation, 0);
            let created = self.answer(self.store.create(&session).await);
            self.same(
                &created,
                &CreationOutcome::LoggedOut,
                "a session of another generation than its subject's is refused",
            );
            let found = self.found(&session).await;
            self.must(found.is_none(), "a session that was refused is not kept");
        }
    }

    async fn the_current_token_renews(self) {
        let mut session = self.login(1, &ALICE, 0).await;
        for (counter, seconds) in [(0, 100), (1, 101), (2, 600)] {
            session.counter = counter + 1;
            session.rotated_at = at(seconds);
            session.idle_expires_at = at(seconds + IDLE);
            session.access_expires_at = at(seconds + ACCESS);
            let rotated = self.rotate(&session, &rotation(counter, seconds)).await;
            self.same(
                &rotated,
                &RotationOutcome::Rotated(session.clone()),
                "the current token renews its session, as the rotation says",
            );
            self.must_live(&session, "a session that was renewed").await;
        }
        // A clock that steps back shortens nothing that was promised.
        let latest = session.access_expires_at;
        let rotated = self.rotate(&session, &rotation(3, 500)).await;
        self.must(
            matches!(rotated, RotationOutcome::Rotated(ref now) if now.access_expires_at == latest),
            "the latest `exp` handed out is kept",
        );
    }

    async fn the_absolute_end_is_never_extended(self) {
        let mut session = self.login(1, &ALICE, 0).await;
        for (counter, seconds) in (0..).zip((900..LIFE).step_by(900)) {
            match self.rotate(&session, &rotation(counter, seconds)).await {
                RotationOutcome::Rotated(now) => session = now,
                other => self.same(
                    &other,
                    &RotationOutcome::Rotated(session.clone()),
                    "a renewal works",
                ),
            }
            self.same(&session.expires_at, &at(LIFE), "the absolute end stays");
            self.must(
                session.idle_expires_at <= at(LIFE),
                "no session is idle beyond its absolute end",
            );
        }
        let rotated = self
            .rotate(&session, &rotation(session.counter, LIFE))
            .await;
        self.must(
            matches!(rotated, RotationOutcome::Rejected(_)),
            "a session ends at its absolute end",
        );
    }

    async fn the_token_before_counts_within_the_grace(self) {
        let session = self.login(1, &ALICE, 0).await;
        let renewed = match self.rotate(&session, &rotation(0, 100)).await {
            RotationOutcome::Rotated(session) => session,
            other => panic!("{other:?} [{}]", self.must),
        };
        let repeated = Session {
            access_expires_at: at(109 + ACCESS),
            ..renewed
        };
        let rotated = self.rotate(&session, &rotation(0, 109)).await;
        self.same(
            &rotated,
            &RotationOutcome::WithinGrace(repeated.clone()),
            "the token before counts within the grace: the current one again",
        );
        self.must_live(&repeated, "a session whose renewal was repeated")
            .await;
    }

    async fn the_grace_does_not_slide(self) {
        let session = self.login(1, &ALICE, 0).await;
        self.rotate(&session, &rotation(0, 100)).await;
        self.rotate(&session, &rotation(0, 109)).await;
        let rotated = self.rotate(&session, &rotation(0, 110)).await;
        self.must(
            matches!(rotated, RotationOutcome::ReuseDetected(_)),
            "the grace is counted from the renewal, not from its repetition",
        );
    }

    async fn a_clock_that_steps_back_does_not_lengthen_the_grace(self) {
        // By less than the grace: then the grace counts from the earlier time.
        let session = self.login(1, &ALICE, 0).await;
        self.rotate(&session, &rotation(0, 100)).await;
        self.rotate(&session, &rotation(0, 95)).await;
        let rotated = self.rotate(&session, &rotation(0, 105)).await;
        self.must(
            matches!(rotated, RotationOutcome::ReuseDetected(_)),
            "the grace is counted from the earliest time at which the token before was seen",
        );
        // By more: nobody knows how long ago the renewal was.
        let session = self.login(2, &ALICE, 0).await;
        self.rotate(&session, &rotation(0, 100)).await;
        let rotated = self.rotate(&session, &rotation(0, 80)).await;
        self.must(
            matches!(rotated, RotationOutcome::ReuseDetected(_)),
            "the token before does not count after a step back by more than the grace",
        );
    }

    async fn the_token_before_ends_the_session_after_the_grace(self) {
        let session = self.login(1, &ALICE, 0).await;
        let other = self.login(2, &ALICE, 0).await;
        let renewed = match self.rotate(&session, &rotation(0, 100)).await {
            RotationOutcome::Rotated(session) => session,
            other => panic!("{other:?} [{}]", self.must),
        };
        let rotated = self.rotate(&session, &rotation(0, 110)).await;
        self.same(
            &rotated,
            &RotationOutcome::ReuseDetected(renewed.clone()),
            "the token before, after the grace, is theft",
        );
        self.must_be_dead(&renewed, "a session whose token was replayed")
            .await;
        self.must_live(&other, "another session of its subject")
            .await;
    }

    async fn an_older_token_ends_the_session_within_the_grace(self) {
        let session = self.login(1, &ALICE, 0).await;
        self.rotate(&session, &rotation(0, 100)).await;
        self.rotate(&session, &rotation(1, 101)).await;
        let rotated = self.rotate(&session, &rotation(0, 102)).await;
        match rotated {
            RotationOutcome::ReuseDetected(now) => {
                self.same(&now.counter, &2, "a replay says what the session was");
                self.must_be_dead(&now, "a session whose token was replayed")
                    .await;
            }
            _ => self.must(false, "a token before the one before is theft at any time"),
        }
    }

    async fn a_token_ahead_of_the_store_counts(self) {
        let session = self.login(1, &ALICE, 0).await;
        let rotated = self.rotate(&session, &rotation(7, 100)).await;
        match rotated {
            RotationOutcome::LostWrites(now) => {
                self.same(
                    &now.counter,
                    &8,
                    "the token after the one that was ahead counts",
                );
                self.must_live(&now, "a session that was recovered").await;
            }
            _ => self.must(false, "a token that is ahead of the store counts"),
        }
    }

    async fn an_expired_session_is_not_renewed(self) {
        let session = self.login(1, &ALICE, 0).await;
        let rotated = self.rotate(&session, &rotation(0, IDLE)).await;
        self.must(
            matches!(rotated, RotationOutcome::Rejected(_)),
            "a session that lay idle too long is not renewed",
        );
        if let Some(found) = self.found(&session).await {
            self.same(&found, &session, "a refusal changes nothing");
        }
    }

    async fn an_unknown_session_is_not_renewed(self) {
        let session = session(1, &ALICE, 0, 0);
        let rotated = self.rotate(&session, &rotation(0, 1)).await;
        self.must(
            matches!(rotated, RotationOutcome::Rejected(_)),
            "a session that never was is not renewed",
        );
        let found = self.found(&session).await;
        self.must(found.is_none(), "a session that never was is not found");
        let ended = self.end(&session).await;
        self.must(ended.is_none(), "a session that never was cannot be ended");
    }

    async fn an_ended_session_is_gone(self) {
        let session = self.login(1, &ALICE, 0).await;
        let ended = self.end(&session).await;
        self.same(
            &ended,
            &Some(session.clone()),
            "an end says which session it was",
        );
        self.must_be_dead(&session, "a session that was ended")
            .await;
    }

    async fn ending_twice_changes_nothing(self) {
        let session = self.login(1, &ALICE, 0).await;
        self.end(&session).await;
        let again = self.end(&session).await;
        self.must(again.is_none(), "ending what has ended changes nothing");
        self.must_be_dead(&session, "a session that was ended")
            .await;
    }

    async fn ending_one_session_leaves_the_others(self) {
        let session = self.login(1, &ALICE, 0).await;
        let other = self.login(2, &ALICE, 0).await;
        self.end(&session).await;
        self.must_live(&other, "another session of the subject")
            .await;
    }

    async fn a_session_of_another_issuer_is_not_ended(self) {
        let session = self.login(1, &ALICE, 0).await;
        for issuer in [ELSEWHERE.issuer, None] {
            let ended = self.answer(end(&*self.store, session.sid, issuer).await);
            self.must(ended.is_none(), "a session of another issuer is not ended");
        }
        self.must_live(&session, "a session that another issuer would end")
            .await;
    }

    async fn ending_a_lost_session_revokes_its_tokens(self) {
        let longest = MAX_ACCESS_LIFETIME.as_secs();
        for (number, subject) in [(1, ALICE), (2, NOWHERE)] {
            self.go_to(0);
            let session = session(number, &subject, 0, 0);
            let ended = self.end(&session).await;
            self.must(ended.is_none(), "a session that was lost is not returned");
            for seconds in [0, ACCESS, longest / 2, longest - 1] {
                self.go_to(seconds);
                self.stir().await;
                let revoked = self.revoked(&session, at(longest)).await;
                self.must(
                    revoked,
                    "the end of a session that was lost revokes its tokens for as long as it says",
                );
            }
        }
    }

    async fn ending_a_lost_session_leaves_other_tokens(self) {
        let mut session = session(1, &ALICE, 0, 0);
        self.end(&session).await;
        for issuer in [ELSEWHERE.issuer, None] {
            session.issuer = issuer.map(str::to_owned);
            let revoked = self.revoked(&session, session.access_expires_at).await;
            self.must(!revoked, "tokens are told apart by issuer and id");
        }
        let other = self.login(2, &ALICE, 0).await;
        self.must_live(&other, "another session of the subject")
            .await;
    }

    async fn ending_revokes_the_tokens_of_its_issuer_alone(self) {
        let mut session = self.login(1, &ALICE, 0).await;
        self.end(&session).await;
        for issuer in [ELSEWHERE.issuer, None] {
            session.issuer = issuer.map(str::to_owned);
            let revoked = self.revoked(&session, session.access_expires_at).await;
            self.must(!revoked, "tokens are told apart by issuer and id");
        }
    }

    async fn ending_revokes_until_the_latest_access_token_is_dead(self) {
        let session = self.login(1, &ALICE, 0).await;
        self.rotate(&session, &rotation(0, 200)).await;
        self.end(&session).await;
        for seconds in [200, ACCESS, ACCESS + 100, ACCESS + 199] {
            self.go_to(seconds);
            self.stir().await;
            let revoked = self.revoked(&session, at(ACCESS + 200)).await;
            self.must(
                revoked,
                "an end revokes until the latest `exp` of what was handed out",
            );
        }
    }

    async fn a_repeated_renewal_counts_for_how_long_to_revoke(self) {
        let session = self.login(1, &ALICE, 0).await;
        let until = at(ACCESS + 209);
        self.rotate(&session, &rotation(0, 200)).await;
        self.rotate(&session, &rotation(0, 209)).await;
        self.end(&session).await;
        self.go_to(ACCESS + 208);
        self.stir().await;
        // With a leeway of its own a store may be generous, so its word is asked as well.
        let revoked = self.revoked(&session, until).await;
        self.must(revoked, "a token handed out by a repetition is revoked too");
    }

    async fn a_logout_everywhere_ends_everything_before(self) {
        let sessions = [
            self.login(1, &ALICE, 0).await,
            self.login(2, &ALICE, 0).await,
        ];
        for generation in 1..=3 {
            let raised = self.answer(self.store.raise_generation(&ALICE).await);
            self.same(&raised, &generation, "the generation is raised by one");
            let state = self.subject(&ALICE).await;
            self.same(
                &state,
                &SubjectState::new(generation, false),
                "the generation is raised by one",
            );
        }
        for session in &sessions {
            self.must_be_dead(session, "a session from before a logout everywhere")
                .await;
        }
    }

    async fn a_logout_everywhere_revokes_until_the_latest_access_token_is_dead(self) {
        let session = self.login(1, &ALICE, 0).await;
        self.login(2, &ALICE, 0).await;
        self.rotate(&session, &rotation(0, 200)).await;
        self.answer(self.store.raise_generation(&ALICE).await);
        for seconds in [200, ACCESS, ACCESS + 100, ACCESS + 199] {
            self.go_to(seconds);
            self.stir().await;
            let revoked = self.revoked(&session, at(ACCESS + 200)).await;
            self.must(
                revoked,
                "a logout everywhere revokes until the latest `exp` of what was handed out",
            );
        }
    }

    async fn a_logout_everywhere_leaves_others(self) {
        let others = [
            self.login(1, &BOB, 0).await,
            self.login(2, &ELSEWHERE, 0).await,
            self.login(3, &NOWHERE, 0).await,
        ];
        self.login(4, &ALICE, 0).await;
        self.answer(self.store.raise_generation(&ALICE).await);
        self.answer(self.store.block(&ALICE).await);
        for other in &others {
            self.must_live(other, "a session of somebody else").await;
            let state = self.subject(&other.owner()).await;
            self.same(&state, &SubjectState::default(), "nobody else is changed");
        }
    }

    async fn a_login_after_a_logout_everywhere_works(self) {
        self.login(1, &ALICE, 0).await;
        let generation = self.answer(self.store.raise_generation(&ALICE).await);
        let session = self.login(2, &ALICE, generation).await;
        self.must_live(
            &session,
            "a login in the same second as a logout everywhere",
        )
        .await;
        let rotated = self.rotate(&session, &rotation(0, 1)).await;
        self.must(
            matches!(rotated, RotationOutcome::Rotated(_)),
            "a login after a logout everywhere can be renewed",
        );
    }

    async fn a_block_ends_everything_before(self) {
        let session = self.login(1, &ALICE, 0).await;
        self.answer(self.store.block(&ALICE).await);
        self.must_be_dead(&session, "a session of who is blocked")
            .await;
        let state = self.subject(&ALICE).await;
        self.same(
            &state,
            &SubjectState::new(1, true),
            "a block blocks, and raises the generation",
        );
    }

    async fn a_block_outlives_everything(self) {
        let session = self.login(1, &ALICE, 0).await;
        self.answer(self.store.block(&ALICE).await);
        self.go_to(400 * 24 * 60 * 60);
        self.stir().await;
        let state = self.subject(&ALICE).await;
        self.must(state.blocked, "a block is never forgotten");
        let late = at(400 * 24 * 60 * 60 + ACCESS);
        let revoked = self.revoked(&session, late).await;
        self.must(
            revoked,
            "a block revokes whatever the subject has, at any time",
        );
    }

    async fn blocking_twice_changes_nothing(self) {
        self.answer(self.store.block(&ALICE).await);
        self.answer(self.store.block(&ALICE).await);
        let state = self.subject(&ALICE).await;
        self.same(
            &state,
            &SubjectState::new(1, true),
            "blocking twice changes nothing",
        );
        self.answer(self.store.unblock(&ALICE).await);
        self.answer(self.store.unblock(&ALICE).await);
        let state = self.subject(&ALICE).await;
        self.same(
            &state,
            &SubjectState::new(1, false),
            "a block is lifted at once",
        );
    }

    async fn lifting_a_block_revives_nothing(self) {
        let session = self.login(1, &ALICE, 0).await;
        self.answer(self.store.block(&ALICE).await);
        self.answer(self.store.unblock(&ALICE).await);
        self.must_be_dead(&session, "a session from before a block that was lifted")
            .await;
    }

    async fn a_login_after_a_block_works(self) {
        self.answer(self.store.block(&ALICE).await);
        self.answer(self.store.unblock(&ALICE).await);
        let SubjectState { generation, .. } = self.subject(&ALICE).await;
        let session = self.login(1, &ALICE, generation).await;
        self.must_live(&session, "a login after a block was lifted")
            .await;
    }

    async fn a_generation_is_never_forgotten(self) {
        self.login(1, &ALICE, 0).await;
        self.answer(self.store.raise_generation(&ALICE).await);
        self.go_to(400 * 24 * 60 * 60);
        self.stir().await;
        let state = self.subject(&ALICE).await;
        self.same(
            &state.generation,
            &1,
            "a generation that was raised is never forgotten",
        );
    }

    async fn the_tokens_of_an_expired_session_can_be_revoked(self) {
        // Idle for a minute, while its access token lives for five.
        let mut session = session(1, &ALICE, 0, 0);
        session.idle_expires_at = at(60);
        self.answer(self.store.create(&session).await);
        self.go_to(250);
        self.stir().await;
        self.answer(self.store.raise_generation(&ALICE).await);
        let revoked = self.revoked(&session, session.access_expires_at).await;
        self.must(
            revoked,
            "a session whose access tokens are alive is not forgotten when they are to be revoked",
        );
    }

    async fn a_list_holds_the_live_sessions_of_one_subject(self) {
        let first = self.login(1, &ALICE, 0).await;
        let second = self.login(2, &ALICE, 0).await;
        let ended = self.login(3, &ALICE, 0).await;
        for (number, subject) in [(4, BOB), (5, ELSEWHERE), (6, NOWHERE)] {
            self.login(number, &subject, 0).await;
        }
        self.end(&ended).await;
        let listed = self.list(&ALICE, 0).await;
        self.same(
            &listed,
            &vec![first.clone(), second],
            "a list holds what the subject has, and nothing else",
        );
        let renewed = match self.rotate(&first, &rotation(0, 100)).await {
            RotationOutcome::Rotated(session) => session,
            other => panic!("{other:?} [{}]", self.must),
        };
        let listed = self.list(&ALICE, IDLE).await;
        self.same(
            &listed,
            &vec![renewed],
            "a list holds nothing that has expired",
        );
    }

    /// Has many tasks call at the same time, each with a number of its own.
    async fn at_once<T, A>(&self, tasks: u8, call: impl Fn(Arc<S>, u8) -> A) -> Vec<T>
    where
        T: Send + 'static,
        A: Future<Output = Result<T, S::Error>> + Send + 'static,
    {
        let tasks: Vec<_> = (0..tasks)
            .map(|task| tokio::spawn(call(Arc::clone(&self.store), task)))
            .collect();
        let mut answers = Vec::new();
        for task in tasks {
            match task.await {
                Ok(answer) => answers.push(self.answer(answer)),
                Err(_) => panic!("the store panicked [{}]", self.must),
            }
        }
        answers
    }

    async fn of_many_renewals_at_once_one_renews(self) {
        for round in 0..5 {
            let session = self.login(round, &ALICE, 0).await;
            let answers = self
                .at_once(100, move |store, _| async move {
                    store.rotate(session.sid, &rotation(0, 1)).await
                })
                .await;
            let mut renewed = 0;
            for answer in answers {
                match answer {
                    RotationOutcome::Rotated(now) if now.counter == 1 => renewed += 1,
                    RotationOutcome::WithinGrace(now) if now.counter == 1 => {}
                    _ => self.must(false, "who asks at the same time gets the same token"),
                }
            }
            self.same(
                &renewed,
                &1,
                "of many renewals with one token at the same time one renews",
            );
        }
    }

    /// Ends sessions by `end` while they are renewed, and looks at what is left.
    async fn race<A>(&self, end: impl Fn(Arc<S>, SessionId) -> A)
    where
        A: Future<Output = Result<(), S::Error>> + Send + 'static,
    {
        for round in 0..20 {
            let state = self.subject(&ALICE).await;
            let session = self.login(round, &ALICE, state.generation).await;
            let ending = tokio::spawn(end(Arc::clone(&self.store), session.sid));
            let sid = session.sid;
            let answers = self
                .at_once(8, move |store, task| async move {
                    if task % 2 == 0 {
                        tokio::task::yield_now().await;
                    }
                    store.rotate(sid, &rotation(0, 200)).await
                })
                .await;
            match ending.await {
                Ok(ended) => self.answer(ended),
                Err(_) => panic!("the store panicked [{}]", self.must),
            }
            let mut last = session.clone();
            for answer in answers {
                match answer {
                    RotationOutcome::Rotated(now) | RotationOutcome::WithinGrace(now) => last = now,
                    _ => {}
                }
            }
            // A second before the last of its access tokens is dead.
            self.go_to(last.access_expires_at.seconds() - START - 1);
            self.must_be_dead(&last, "what was renewed while it was ended")
                .await;
            self.go_to(0);
        }
    }

    async fn an_end_wins_against_renewals_at_the_same_time(self) {
        self.race(|store, sid| async move { end(&*store, sid, ALICE.issuer).await.map(drop) })
            .await;
    }

    async fn a_logout_everywhere_wins_against_renewals_at_the_same_time(self) {
        self.race(|store, _| async move { store.raise_generation(&ALICE).await.map(drop) })
            .await;
    }

    async fn a_block_wins_against_renewals_at_the_same_time(self) {
        self.race(|store, _| async move {
            store.block(&ALICE).await?;
            store.unblock(&ALICE).await
        })
        .await;
    }

    /// Ends everything of a subject by `end` while it logs in, and looks at what is left.
    async fn race_login<A>(&self, end: impl Fn(Arc<S>) -> A)
    where
        A: Future<Output = Result<(), S::Error>> + Send + 'static,
    {
        for _ in 0..20 {
            let state = self.subject(&ALICE).await;
            let ending = tokio::spawn(end(Arc::clone(&self.store)));
            let answers = self
                .at_once(8, move |store, task| async move {
                    if task % 2 == 0 {
                        tokio::task::yield_now().await;
                    }
                    let session = session(task, &ALICE, state.generation, 0);
                    let created = store.create(&session).await?;
                    Ok((created == CreationOutcome::Created).then_some(session))
                })
                .await;
            match ending.await {
                Ok(ended) => self.answer(ended),
                Err(_) => panic!("the store panicked [{}]", self.must),
            }
            for session in answers.iter().flatten() {
                self.must_be_dead(session, "a login that began before all was ended")
                    .await;
            }
        }
    }

    async fn a_logout_everywhere_wins_against_logins_at_the_same_time(self) {
        self.race_login(|store| async move { store.raise_generation(&ALICE).await.map(drop) })
            .await;
    }

    async fn a_block_wins_against_logins_at_the_same_time(self) {
        self.race_login(|store| async move {
            store.block(&ALICE).await?;
            store.unblock(&ALICE).await
        })
        .await;
    }

    async fn generations_raised_at_the_same_time_all_count(self) {
        let mut raised = self
            .at_once(50, |store, _| async move {
                store.raise_generation(&ALICE).await
            })
            .await;
        raised.sort_unstable();
        self.same(
            &raised,
            &(1..=50).collect(),
            "each logout everywhere has a generation of its own",
        );
    }
}
