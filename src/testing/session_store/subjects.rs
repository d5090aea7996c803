//! Logout everywhere and blocks.

use super::fixture::{
    ACCESS_LIFETIME, ALICE, ALICE_OF_OTHER_ISSUER, ALICE_WITHOUT_ISSUER, BOB, ContractTest, at,
    rotation, rotation_of_epoch, session,
};
use crate::session::{RotationOutcome, SessionStore, SubjectState};

impl<S: SessionStore> ContractTest<S> {
    pub(super) async fn a_logout_everywhere_ends_everything_before(self) {
        let sessions = [
            self.login(1, &ALICE, 0).await,
            self.login(2, &ALICE, 0).await,
        ];
        for generation in 1..=3 {
            let raised = self.answer(self.store.raise_generation(&ALICE).await);
            self.require_equal(&raised, &generation, "the generation increases by one");
            let state = self.subject(&ALICE).await;
            self.require_equal(
                &state,
                &SubjectState::new(generation, false),
                "the generation increases by one",
            );
        }
        for session in &sessions {
            self.require_ended(session, "a session created before a logout everywhere")
                .await;
        }
    }

    pub(super) async fn a_logout_everywhere_revokes_until_the_latest_access_token_is_dead(self) {
        let session = self.login(1, &ALICE, 0).await;
        self.login(2, &ALICE, 0).await;
        self.rotate(&session, &rotation(0, 200)).await;
        self.answer(self.store.raise_generation(&ALICE).await);
        let what = "a logout everywhere revokes tokens until the latest issued `exp`";
        self.require_revoked_until_latest(&session, what).await;
    }

    pub(super) async fn a_logout_everywhere_leaves_others(self) {
        let others = [
            self.login(1, &BOB, 0).await,
            self.login(2, &ALICE_OF_OTHER_ISSUER, 0).await,
            self.login(3, &ALICE_WITHOUT_ISSUER, 0).await,
        ];
        self.login(4, &ALICE, 0).await;
        self.answer(self.store.raise_generation(&ALICE).await);
        self.answer(self.store.block(&ALICE).await);
        for other in &others {
            self.require_live(other, "a session of another subject")
                .await;
            let state = self.subject(&other.owner()).await;
            self.require_equal(
                &state,
                &SubjectState::default(),
                "other subjects do not change",
            );
        }
    }

    pub(super) async fn a_login_after_a_logout_everywhere_works(self) {
        self.login(1, &ALICE, 0).await;
        let generation = self.answer(self.store.raise_generation(&ALICE).await);
        let session = self.login(2, &ALICE, generation).await;
        self.require_live(
            &session,
            "a login in the same second as a logout everywhere",
        )
        .await;
        let rotated = self
            .rotate(&session, &rotation_of_epoch(generation, 0, 1))
            .await;
        self.require(
            matches!(rotated, RotationOutcome::Rotated(_)),
            "a login after a logout everywhere can be renewed",
        );
    }

    pub(super) async fn a_block_ends_everything_before(self) {
        let session = self.login(1, &ALICE, 0).await;
        self.answer(self.store.block(&ALICE).await);
        self.require_ended(&session, "a session of a blocked subject")
            .await;
        let state = self.subject(&ALICE).await;
        self.require_equal(
            &state,
            &SubjectState::new(1, true),
            "a block blocks the subject and increases the generation",
        );
    }

    pub(super) async fn a_block_outlives_everything(self) {
        let session = self.login(1, &ALICE, 0).await;
        self.answer(self.store.block(&ALICE).await);
        self.advance_to(400 * 24 * 60 * 60);
        self.trigger_pruning().await;
        let state = self.subject(&ALICE).await;
        self.require(state.blocked, "a block does not expire");
        let late = at(400 * 24 * 60 * 60 + ACCESS_LIFETIME);
        let revoked = self.is_revoked_until(&session, late).await;
        self.require(
            revoked,
            "a block revokes all tokens of the subject at any time",
        );
    }

    pub(super) async fn blocking_twice_changes_nothing(self) {
        self.answer(self.store.block(&ALICE).await);
        self.answer(self.store.block(&ALICE).await);
        let state = self.subject(&ALICE).await;
        self.require_equal(
            &state,
            &SubjectState::new(1, true),
            "a second block does not change the subject",
        );
        self.answer(self.store.unblock(&ALICE).await);
        self.answer(self.store.unblock(&ALICE).await);
        let state = self.subject(&ALICE).await;
        self.require_equal(
            &state,
            &SubjectState::new(1, false),
            "a lifted block has no effect",
        );
    }

    pub(super) async fn lifting_a_block_revives_nothing(self) {
        let session = self.login(1, &ALICE, 0).await;
        self.answer(self.store.block(&ALICE).await);
        self.answer(self.store.unblock(&ALICE).await);
        self.require_ended(&session, "a session created before a lifted block")
            .await;
    }

    pub(super) async fn a_login_after_a_block_works(self) {
        self.answer(self.store.block(&ALICE).await);
        self.answer(self.store.unblock(&ALICE).await);
        let SubjectState { generation, .. } = self.subject(&ALICE).await;
        let session = self.login(1, &ALICE, generation).await;
        self.require_live(&session, "a login after a block was lifted")
            .await;
    }

    pub(super) async fn a_generation_is_never_forgotten(self) {
        self.login(1, &ALICE, 0).await;
        self.answer(self.store.raise_generation(&ALICE).await);
        self.advance_to(400 * 24 * 60 * 60);
        self.trigger_pruning().await;
        let state = self.subject(&ALICE).await;
        self.require_equal(&state.generation, &1, "a generation does not expire");
    }

    pub(super) async fn the_tokens_of_an_expired_session_can_be_revoked(self) {
        // It expires after an idle minute, while its access token lives for five.
        let mut session = session(1, &ALICE, 0, 0);
        session.idle_expires_at = at(60);
        self.answer(self.store.create(&session, None).await);
        self.advance_to(250);
        self.trigger_pruning().await;
        self.answer(self.store.raise_generation(&ALICE).await);
        let revoked = self
            .is_revoked_until(&session, session.access_expires_at)
            .await;
        self.require(
            revoked,
            "the access tokens of an idle-expired session can be revoked",
        );
    }
}
