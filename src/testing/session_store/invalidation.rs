//! Invalidated access tokens.

use super::fixture::{
    ACCESS_LIFETIME, ALICE, ALICE_OF_OTHER_ISSUER, ALICE_WITHOUT_ISSUER, BOB, ContractTest, at,
    rotation, rotation_of_epoch, session,
};
use crate::session::{CreationOutcome, RotationOutcome, Session, SessionStore, SubjectState};

impl<S: SessionStore> ContractTest<S> {
    pub(super) async fn an_invalidation_ends_access_tokens_and_no_session(self) {
        let mut session = self.login(1, &ALICE, 0).await;
        for epoch in 1..=3 {
            let raised = self.raise_access_epoch(&ALICE).await;
            self.require_equal(&raised, &epoch, "the access epoch increases by one");
            let state = self.subject(&ALICE).await;
            let expected = SubjectState {
                access_epoch: epoch,
                ..SubjectState::default()
            };
            self.require_equal(
                &state,
                &expected,
                "an invalidation raises the access epoch alone",
            );
            let until = session.access_expires_at;
            let revoked = self.is_revoked_until(&session, until).await;
            self.require(revoked, "invalidated access tokens are revoked");
            let found = self.find(&session).await;
            self.require_equal(
                &found,
                &Some(session.clone()),
                "an invalidation leaves the sessions",
            );
            let listed = self.list(&ALICE, 0).await;
            self.require_equal(
                &listed,
                &vec![session.clone()],
                "an invalidation leaves the sessions",
            );
            let rotation = rotation_of_epoch(epoch, session.counter, epoch);
            session = match self.rotate(&session, &rotation).await {
                RotationOutcome::Rotated(session) => session,
                other => panic!("{other:?} [{}]", self.requirement),
            };
            self.require_equal(
                &session.access_epoch,
                &epoch,
                "a renewed session has the access epoch of the renewal",
            );
            self.require_live(&session, "a session renewed after an invalidation")
                .await;
        }
    }

    pub(super) async fn an_invalidation_revokes_until_the_latest_access_token_is_dead(self) {
        let session = self.login(1, &ALICE, 0).await;
        self.login(2, &ALICE, 0).await;
        self.rotate(&session, &rotation(0, 200)).await;
        self.raise_access_epoch(&ALICE).await;
        let what = "an invalidation revokes tokens until the latest issued `exp`";
        self.require_revoked_until_latest(&session, what).await;
    }

    pub(super) async fn an_invalidation_leaves_others(self) {
        let others = [
            self.login(1, &BOB, 0).await,
            self.login(2, &ALICE_OF_OTHER_ISSUER, 0).await,
            self.login(3, &ALICE_WITHOUT_ISSUER, 0).await,
        ];
        self.login(4, &ALICE, 0).await;
        self.raise_access_epoch(&ALICE).await;
        for other in &others {
            self.require_live(other, "a session of another subject")
                .await;
        }
    }

    pub(super) async fn a_renewal_from_before_an_invalidation_is_outdated(self) {
        let session = self.login(1, &ALICE, 0).await;
        self.raise_access_epoch(&ALICE).await;
        // Of an older epoch, and of one that the store does not know.
        for rotation in [rotation(0, 1), rotation(7, 1), rotation_of_epoch(2, 0, 1)] {
            let rotated = self.rotate(&session, &rotation).await;
            self.require_equal(
                &rotated,
                &RotationOutcome::Outdated,
                "a renewal with claims from before an invalidation is outdated",
            );
            let found = self.find(&session).await;
            self.require_equal(
                &found,
                &Some(session.clone()),
                "an outdated renewal changes nothing",
            );
        }
        self.rotate(&session, &rotation_of_epoch(1, 0, 100)).await;
        self.raise_access_epoch(&ALICE).await;
        let repeated = rotation_of_epoch(1, 0, 101);
        let repeated = self.rotate(&session, &repeated).await;
        self.require_equal(
            &repeated,
            &RotationOutcome::Outdated,
            "a repeated renewal with claims from before an invalidation is outdated",
        );
        match self.rotate(&session, &rotation_of_epoch(2, 0, 102)).await {
            RotationOutcome::WithinGrace(session) => {
                self.require_live(&session, "a renewal repeated after an invalidation")
                    .await;
            }
            _ => self.require(false, "the previous token is valid within the grace"),
        }
        let replayed = self.rotate(&session, &rotation_of_epoch(1, 0, 110)).await;
        self.require(
            matches!(replayed, RotationOutcome::ReuseDetected(_)),
            "a replay is detected, however old the claims are",
        );
    }

    pub(super) async fn a_login_from_before_an_invalidation_is_outdated(self) {
        self.raise_access_epoch(&ALICE).await;
        for access_epoch in [0, 2] {
            let session = Session {
                access_epoch,
                ..session(1, &ALICE, 0, 0)
            };
            let created = self.answer(self.store.create(&session, None).await);
            self.require_equal(
                &created,
                &CreationOutcome::Outdated,
                "a login with claims from before an invalidation is outdated",
            );
            let found = self.find(&session).await;
            self.require(found.is_none(), "an outdated session is not stored");
        }
        let session = Session {
            access_epoch: 1,
            ..session(1, &ALICE, 0, 0)
        };
        let created = self.answer(self.store.create(&session, None).await);
        self.require_equal(
            &created,
            &CreationOutcome::Created(Vec::new()),
            "a login works",
        );
        self.require_live(&session, "a login after an invalidation")
            .await;
    }

    pub(super) async fn a_logout_everywhere_after_an_invalidation_ends_everything(self) {
        let session = self.login(1, &ALICE, 0).await;
        self.raise_access_epoch(&ALICE).await;
        let rotated = self.rotate(&session, &rotation_of_epoch(1, 0, 1)).await;
        let RotationOutcome::Rotated(session) = rotated else {
            panic!("{rotated:?} [{}]", self.requirement);
        };
        let generation = self.answer(self.store.raise_generation(&ALICE).await);
        self.require_equal(
            &self.subject(&ALICE).await,
            &SubjectState::new(2, false),
            "a logout everywhere raises the access epoch, and the generation to it",
        );
        self.require_ended(&session, "a session created before a logout everywhere")
            .await;
        let session = self.login(2, &ALICE, generation).await;
        self.require_live(&session, "a login after a logout everywhere")
            .await;
        self.raise_access_epoch(&ALICE).await;
        self.answer(self.store.block(&ALICE).await);
        self.answer(self.store.unblock(&ALICE).await);
        self.require_equal(
            &self.subject(&ALICE).await,
            &SubjectState::new(4, false),
            "a block raises the access epoch, and the generation to it",
        );
        self.require_ended(&session, "a session created before a lifted block")
            .await;
    }

    pub(super) async fn an_access_epoch_is_never_forgotten(self) {
        let mut session = self.login(1, &ALICE, 0).await;
        self.raise_access_epoch(&ALICE).await;
        let late = 400 * 24 * 60 * 60;
        self.advance_to(late);
        self.trigger_pruning().await;
        let state = self.subject(&ALICE).await;
        self.require_equal(&state.access_epoch, &1, "an access epoch does not expire");
        // A token that is issued now has the epoch.
        session.access_epoch = 1;
        let until = at(late + ACCESS_LIFETIME);
        let revoked = self.is_revoked_until(&session, until).await;
        self.require(!revoked, "a token of the current epoch is not revoked");
    }
}
