//! The data of a session, and claims that were computed from older ones.

use super::fixture::{ALICE, ContractTest, rotation};
use crate::session::{Rotation, RotationOutcome, Session, SessionStore, UpdateOutcome};

impl<S: SessionStore> ContractTest<S> {
    pub(super) async fn a_change_of_data_is_kept_with_the_next_version(self) {
        let mut session = self.login(1, &ALICE, 0).await;
        let longest = format!("\"{}\"", "x".repeat(4094));
        for (version, json) in [
            (0, Some("1")),
            (1, None),
            (2, Some("{\"a\":\"\u{1f600}\"}")),
            (3, Some(&*longest)),
        ] {
            session.data_version = version + 1;
            session.data_json = json.map(str::to_owned);
            let updated = self.update(&session, version, json).await;
            self.require_equal(
                &updated,
                &UpdateOutcome::Updated,
                "a change of the current data works",
            );
            self.require_live(&session, "a session whose data changed")
                .await;
        }
    }

    pub(super) async fn a_change_of_older_data_is_refused(self) {
        let session = self.login(1, &ALICE, 0).await;
        for version in [1, 2, u64::MAX] {
            let updated = self.update(&session, version, Some("1")).await;
            self.require_equal(
                &updated,
                &UpdateOutcome::Outdated,
                "a change of data that have another version is refused",
            );
        }
        self.require_live(&session, "a session after a refused change")
            .await;
        self.update(&session, 0, Some("1")).await;
        let updated = self.update(&session, 0, Some("2")).await;
        self.require_equal(
            &updated,
            &UpdateOutcome::Outdated,
            "a change of older data is refused",
        );
        let found = self.find(&session).await;
        self.require(
            found.is_some_and(|found| found.data_json.as_deref() == Some("1")),
            "a refused change does not replace the data",
        );
    }

    pub(super) async fn the_data_of_an_ended_session_cannot_change(self) {
        let session = self.login(1, &ALICE, 0).await;
        self.end(&session).await;
        let other = self.login(2, &ALICE, 0).await;
        self.answer(self.store.raise_generation(&ALICE).await);
        for session in [session, other] {
            let updated = self.update(&session, 0, Some("1")).await;
            self.require_equal(
                &updated,
                &UpdateOutcome::Ended,
                "the data of an ended session cannot change",
            );
            self.require_ended(&session, "a session after a change of its data")
                .await;
        }
    }

    pub(super) async fn the_data_survive_renewals(self) {
        let mut session = self.login(1, &ALICE, 0).await;
        self.update(&session, 0, Some("[1]")).await;
        session.data_json = Some("[1]".to_owned());
        session.data_version = 1;
        for counter in 0..3 {
            let rotation = Rotation {
                data_version: 1,
                ..rotation(counter, 100 * (counter + 1))
            };
            let rotated = self.rotate(&session, &rotation).await;
            session = Session {
                counter: counter + 1,
                rotated_at: rotation.now,
                idle_expires_at: rotation.idle_expires_at,
                access_expires_at: rotation.access_expires_at,
                ..session
            };
            self.require_equal(
                &rotated,
                &RotationOutcome::Rotated(session.clone()),
                "a renewal leaves the data as they are",
            );
            self.require_live(&session, "a renewed session with data")
                .await;
        }
    }

    pub(super) async fn a_renewal_with_claims_of_older_data_is_outdated(self) {
        let mut session = self.login(1, &ALICE, 0).await;
        self.update(&session, 0, Some("[1]")).await;
        session.data_json = Some("[1]".to_owned());
        session.data_version = 1;
        // The current token, and one ahead of the store.
        for counter in [0, 7] {
            let rotated = self.rotate(&session, &rotation(counter, 1)).await;
            self.require_equal(
                &rotated,
                &RotationOutcome::Outdated,
                "a renewal with claims of older data is outdated",
            );
            self.require_live(&session, "a session after an outdated renewal")
                .await;
        }
        let current = |counter, seconds| Rotation {
            data_version: 1,
            ..rotation(counter, seconds)
        };
        self.rotate(&session, &current(0, 100)).await;
        let rotated = self.rotate(&session, &rotation(0, 101)).await;
        self.require_equal(
            &rotated,
            &RotationOutcome::Outdated,
            "a repeated renewal with claims of older data is outdated",
        );
        let rotated = self.rotate(&session, &rotation(0, 110)).await;
        self.require(
            matches!(rotated, RotationOutcome::ReuseDetected(_)),
            "a replay is detected, however old the claims are",
        );
    }
}
