//! Ending all sessions of a subject except one.

use super::fixture::{ALICE, ALICE_OF_OTHER_ISSUER, BOB, ContractTest, rotation_of_epoch, session};
use crate::session::{CreationOutcome, RotationOutcome, Session, SessionStore, SubjectState};

impl<S: SessionStore> ContractTest<S> {
    pub(super) async fn ending_the_others_leaves_one_session(self) {
        self.raise_access_epoch(&ALICE).await;
        let [before, others @ ..] = [1, 2, 3].map(|number| Session {
            access_epoch: 1,
            ..session(number, &ALICE, 0, 0)
        });
        for session in others.iter().chain([&before]) {
            self.answer(self.store.create(session, None).await);
            self.require_live(session, "a session of the subject").await;
        }
        let strangers = [
            self.login(4, &BOB, 0).await,
            self.login(5, &ALICE_OF_OTHER_ISSUER, 0).await,
        ];
        let kept = Session {
            generation: 2,
            access_epoch: 2,
            ..before.clone()
        };
        self.require_equal(
            &self.end_others(&before).await,
            &Some(kept.clone()),
            "ending the others returns the session, with the new generation and access epoch",
        );
        self.require_equal(
            &self.subject(&ALICE).await,
            &SubjectState::new(2, false),
            "ending the others raises the access epoch, and the generation to it",
        );
        self.require_live(&kept, "the session that is kept").await;
        let until = before.access_expires_at;
        let revoked = self.is_revoked_until(&before, until).await;
        self.require(
            revoked,
            "older access tokens of the kept session are revoked",
        );
        for other in &others {
            self.require_ended(other, "another session of the subject")
                .await;
        }
        for stranger in &strangers {
            self.require_live(stranger, "a session of another subject")
                .await;
        }
        let listed = self.list(&ALICE, 0).await;
        self.require_equal(&listed, &vec![kept.clone()], "the kept session is listed");
        let late = session(6, &ALICE, 0, 0);
        let late = self.answer(self.store.create(&late, None).await);
        self.require_equal(
            &late,
            &CreationOutcome::LoggedOut,
            "a login that began before the others ended is refused",
        );
        let rotated = self.rotate(&kept, &rotation_of_epoch(2, 0, 1)).await;
        self.require(
            matches!(rotated, RotationOutcome::Rotated(_)),
            "the kept session can be renewed",
        );
    }

    pub(super) async fn only_a_live_session_of_the_issuer_ends_the_others(self) {
        let ended = self.login(1, &ALICE, 0).await;
        let other = self.login(2, &ALICE, 0).await;
        self.end(&ended).await;
        let unknown = session(3, &ALICE, 0, 0);
        let mut foreign = other.clone();
        foreign.issuer = ALICE_OF_OTHER_ISSUER.issuer.map(str::to_owned);
        for session in [ended, unknown, foreign] {
            let kept = self.end_others(&session).await;
            self.require(kept.is_none(), "only a live session can end the others");
        }
        self.require_live(&other, "a session of the subject").await;
        self.require_equal(
            &self.subject(&ALICE).await,
            &SubjectState::default(),
            "a refused call changes nothing",
        );
    }
}
