//! Creating sessions, finding them and listing them.

use std::time::Duration;

use super::fixture::{
    ALICE, ALICE_OF_OTHER_ISSUER, ALICE_WITHOUT_ISSUER, BOB, ContractTest, IDLE_LIFETIME, START,
    rotation, session,
};
use crate::claims::NumericDate;
use crate::session::{CreationOutcome, RotationOutcome, Session, SessionStore, SubjectState};

impl<S: SessionStore> ContractTest<S> {
    pub(super) async fn an_unknown_subject_is_not_blocked_and_of_generation_0(self) {
        for subject in [ALICE, ALICE_WITHOUT_ISSUER] {
            let state = self.subject(&subject).await;
            self.require_equal(
                &state,
                &SubjectState::default(),
                "an unknown subject is not blocked and has generation 0",
            );
            let listed = self.list(&subject, 0).await;
            self.require(
                listed.is_empty(),
                "an unknown subject does not have sessions",
            );
        }
    }

    pub(super) async fn a_session_that_was_created_is_found_as_it_was(self) {
        for (number, subject) in [(1, ALICE), (2, ALICE_WITHOUT_ISSUER)] {
            let mut session = self.login(number, &subject, 0).await;
            self.require_live(&session, "a created session").await;
            session = Session {
                label: None,
                data_json: None,
                client_id: None,
                key_thumbprint: None,
                access_is_bound: false,
                acr: None,
                actor: None,
                was_elevated: true,
                persistent: true,
                data_version: 7,
                authenticated_at: NumericDate::from_since_epoch(Duration::new(START - 60, 1))
                    .unwrap_or(NumericDate::MAX),
                rotated_at: NumericDate::from_since_epoch(Duration::new(START, 999_999_999))
                    .unwrap_or(NumericDate::MAX),
                ..self::session(number + 10, &subject, 0, 0)
            };
            self.answer(self.store.create(&session, None).await);
            self.require_live(&session, "a created session").await;
        }
    }

    pub(super) async fn a_blocked_subject_gets_no_session(self) {
        self.answer(self.store.block(&ALICE).await);
        let SubjectState { generation, .. } = self.subject(&ALICE).await;
        for generation in [generation, 0] {
            let session = session(1, &ALICE, generation, 0);
            let created = self.answer(self.store.create(&session, None).await);
            self.require_equal(
                &created,
                &CreationOutcome::Blocked,
                "a blocked subject does not get a session",
            );
            let found = self.find(&session).await;
            self.require(found.is_none(), "a rejected session is not stored");
        }
    }

    pub(super) async fn a_login_that_began_before_a_logout_everywhere_gets_no_session(self) {
        self.answer(self.store.raise_generation(&ALICE).await);
        for generation in [0, 2] {
            let session = session(1, &ALICE, generation, 0);
            let created = self.answer(self.store.create(&session, None).await);
            self.require_equal(
                &created,
                &CreationOutcome::LoggedOut,
                "a session is rejected if its generation differs from its subject's",
            );
            let found = self.find(&session).await;
            self.require(found.is_none(), "a rejected session is not stored");
        }
    }

    pub(super) async fn a_list_holds_the_live_sessions_of_one_subject(self) {
        let first = self.login(1, &ALICE, 0).await;
        let second = self.login(2, &ALICE, 0).await;
        let ended = self.login(3, &ALICE, 0).await;
        for (number, subject) in [
            (4, BOB),
            (5, ALICE_OF_OTHER_ISSUER),
            (6, ALICE_WITHOUT_ISSUER),
        ] {
            self.login(number, &subject, 0).await;
        }
        self.end(&ended).await;
        let listed = self.list(&ALICE, 0).await;
        self.require_equal(
            &listed,
            &vec![first.clone(), second],
            "a list contains exactly the sessions of the subject",
        );
        let renewed = match self.rotate(&first, &rotation(0, 100)).await {
            RotationOutcome::Rotated(session) => session,
            other => panic!("{other:?} [{}]", self.requirement),
        };
        let listed = self.list(&ALICE, IDLE_LIFETIME).await;
        self.require_equal(
            &listed,
            &vec![renewed],
            "a list does not contain expired sessions",
        );
    }
}
