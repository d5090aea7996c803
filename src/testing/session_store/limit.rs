//! The limit on the sessions of a subject.

use super::fixture::{
    ALICE, ALICE_OF_OTHER_ISSUER, ALICE_WITHOUT_ISSUER, BOB, ContractTest, IDLE_LIFETIME, at,
    rotation, session,
};
use crate::session::{CreationOutcome, RotationOutcome, Session, SessionLimit, SessionStore};

impl<S: SessionStore> ContractTest<S> {
    async fn create(&self, session: &Session, limit: SessionLimit) -> CreationOutcome {
        self.answer(self.store.create(session, Some(limit)).await)
    }

    pub(super) async fn a_login_beyond_the_limit_ends_the_least_recently_refreshed(self) {
        let [first, second, third, fourth, fifth] = [(1, 0), (2, 10), (3, 20), (4, 110), (5, 120)]
            .map(|(number, seconds)| session(number, &ALICE, 0, seconds));
        for session in [&first, &second, &third] {
            let created = self.create(session, SessionLimit::EndOldest(3)).await;
            self.require_equal(
                &created,
                &CreationOutcome::Created(Vec::new()),
                "a login within the limit ends no session",
            );
        }
        let first = match self.rotate(&first, &rotation(0, 100)).await {
            RotationOutcome::Rotated(session) => session,
            other => panic!("{other:?} [{}]", self.requirement),
        };
        let created = self.create(&fourth, SessionLimit::EndOldest(3)).await;
        self.require_equal(
            &created,
            &CreationOutcome::Created(vec![second.sid]),
            "a login beyond the limit names the least recently refreshed session",
        );
        self.require_ended(&second, "a session that the limit ended")
            .await;
        for session in [&first, &third, &fourth] {
            self.require_live(session, "a session within the limit")
                .await;
        }
        let created = self.create(&fifth, SessionLimit::EndOldest(1)).await;
        self.require_equal(
            &created,
            &CreationOutcome::Created(vec![third.sid, first.sid, fourth.sid]),
            "a login ends all sessions beyond a lower limit",
        );
        for session in [&first, &third, &fourth] {
            self.require_ended(session, "a session that the limit ended")
                .await;
        }
        self.require_live(&fifth, "the new session").await;
        let listed = self.list(&ALICE, 120).await;
        self.require_equal(&listed, &vec![fifth], "the new session is listed");
    }

    pub(super) async fn a_login_beyond_the_limit_is_rejected(self) {
        let limit = SessionLimit::RejectLogin(2);
        let [first, second, third] = [1, 2, 3].map(|number| session(number, &ALICE, 0, 0));
        for session in [&first, &second] {
            self.create(session, limit).await;
        }
        let created = self.create(&third, limit).await;
        self.require_equal(
            &created,
            &CreationOutcome::LimitReached,
            "a login beyond the limit is rejected",
        );
        let found = self.find(&third).await;
        self.require(found.is_none(), "a rejected session is not stored");
        for session in [&first, &second] {
            self.require_live(session, "a session within the limit")
                .await;
        }
        self.end(&first).await;
        let created = self.create(&third, limit).await;
        self.require_equal(
            &created,
            &CreationOutcome::Created(Vec::new()),
            "a login works once another session has ended",
        );
        self.require_live(&third, "the new session").await;
    }

    pub(super) async fn the_limit_counts_the_live_sessions_of_one_subject(self) {
        // From before a logout everywhere.
        self.login(1, &ALICE, 0).await;
        self.answer(self.store.raise_generation(&ALICE).await);
        for (number, subject) in [
            (2, BOB),
            (3, ALICE_OF_OTHER_ISSUER),
            (4, ALICE_WITHOUT_ISSUER),
        ] {
            let session = session(number, &subject, 0, IDLE_LIFETIME - 1);
            self.answer(self.store.create(&session, None).await);
        }
        let expired = Session {
            access_expires_at: at(IDLE_LIFETIME + 100),
            ..session(5, &ALICE, 1, 0)
        };
        self.answer(self.store.create(&expired, None).await);
        let ended = session(6, &ALICE, 1, IDLE_LIFETIME - 1);
        self.answer(self.store.create(&ended, None).await);
        self.end(&ended).await;
        self.advance_to(IDLE_LIFETIME);
        for (number, limit) in [
            (7, SessionLimit::RejectLogin(1)),
            (8, SessionLimit::EndOldest(2)),
        ] {
            let session = session(number, &ALICE, 1, IDLE_LIFETIME);
            let created = self.create(&session, limit).await;
            self.require_equal(
                &created,
                &CreationOutcome::Created(Vec::new()),
                "only live sessions of the subject count",
            );
            self.require_live(&session, "the new session").await;
        }
        let revoked = self.is_revoked_until(&expired, expired.access_expires_at);
        self.require(!revoked.await, "the limit does not end expired sessions");
    }

    pub(super) async fn a_login_that_is_rejected_ends_no_session(self) {
        self.answer(self.store.raise_generation(&ALICE).await);
        let live = self.login(1, &ALICE, 1).await;
        let late = session(2, &ALICE, 0, 1);
        let outdated = Session {
            access_epoch: 0,
            ..session(3, &ALICE, 1, 1)
        };
        for (rejected, outcome) in [
            (late, CreationOutcome::LoggedOut),
            (outdated, CreationOutcome::Outdated),
        ] {
            let created = self.create(&rejected, SessionLimit::EndOldest(1)).await;
            self.require_equal(&created, &outcome, "the limit lets no login pass");
            self.require_live(&live, "a session beside a rejected login")
                .await;
        }
    }

    pub(super) async fn the_limit_revokes_until_the_latest_access_token_is_dead(self) {
        let session = self.login(1, &ALICE, 0).await;
        self.rotate(&session, &rotation(0, 200)).await;
        let next = self::session(2, &ALICE, 0, 200);
        self.create(&next, SessionLimit::EndOldest(1)).await;
        let what = "the limit revokes the tokens of a session until the latest issued `exp`";
        self.require_revoked_until_latest(&session, what).await;
    }
}
