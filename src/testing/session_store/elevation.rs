//! Elevation: the level of a session rises, and earlier refresh tokens do not follow.

use super::fixture::{
    ACCESS_LIFETIME, ALICE, ContractTest, IDLE_LIFETIME, at, elevation, rotation, session,
};
use crate::session::{Rotation, RotationOutcome, RotationRejection, Session, SessionStore};

const REFUSED: RotationOutcome = RotationOutcome::Rejected(RotationRejection::Elevated);

impl<S: SessionStore> ContractTest<S> {
    /// Elevates the session, which has this counter, and returns it as it is then.
    async fn elevate(&self, session: &Session, seconds: u64) -> Session {
        let elevated = Session {
            counter: session.counter.saturating_add(1),
            acr: Some("mfa".to_owned()),
            was_elevated: true,
            authenticated_at: at(seconds),
            rotated_at: at(seconds),
            idle_expires_at: at(seconds.saturating_add(IDLE_LIFETIME)),
            access_expires_at: at(seconds.saturating_add(ACCESS_LIFETIME)),
            ..session.clone()
        };
        let rotation = elevation(session.counter, seconds);
        self.require_equal(
            &self.rotate(session, &rotation).await,
            &RotationOutcome::Rotated(elevated.clone()),
            "an elevation sets level, time and counter",
        );
        self.require_live(&elevated, "an elevated session").await;
        elevated
    }

    pub(super) async fn an_elevation_sets_the_level_and_the_time(self) {
        let session = self.login(1, &ALICE, 0).await;
        let mut session = self.elevate(&session, 100).await;
        // At once again: the level is renewed.
        session = self.elevate(&session, 101).await;
        let rotated = self.rotate(&session, &rotation(2, 200)).await;
        match rotated {
            RotationOutcome::Rotated(now) => {
                let level = (now.acr.as_deref(), now.authenticated_at);
                self.require_equal(
                    &level,
                    &(Some("mfa"), at(101)),
                    "a renewal keeps level and time",
                );
                self.require_live(&now, "a session renewed after an elevation")
                    .await;
            }
            _ => self.require(false, "the token of an elevation renews"),
        }
    }

    pub(super) async fn the_token_from_before_an_elevation_has_no_grace(self) {
        let what = "the token from before an elevation is refused within the grace";
        let session = self.login(1, &ALICE, 0).await;
        let elevated = self.elevate(&session, 100).await;
        for seconds in [100, 109, 95] {
            let rotated = self.rotate(&session, &rotation(0, seconds)).await;
            self.require_equal(&rotated, &REFUSED, what);
            self.require_live(&elevated, "a session after that refusal")
                .await;
        }
        let outdated = Rotation {
            data_version: 7,
            access_epoch: 7,
            ..rotation(0, 101)
        };
        let rotated = self.rotate(&session, &outdated).await;
        self.require_equal(&rotated, &REFUSED, what);
        let rotated = self.rotate(&session, &rotation(0, 110)).await;
        self.require_equal(
            &rotated,
            &RotationOutcome::ReuseDetected(elevated.clone()),
            "the token from before an elevation is reuse after the grace",
        );
        self.require_ended(&elevated, "a session after that reuse")
            .await;

        // If the clock was set back by more than the grace, the age is unknown. Older tokens and
        // sessions without a grace have no such time.
        for (number, counter, seconds) in [(2, 1, 80), (3, 0, 101)] {
            let session = self.login(number, &ALICE, 0).await;
            let renewed = self.rotate(&session, &rotation(0, 99)).await;
            let RotationOutcome::Rotated(renewed) = renewed else {
                panic!("{renewed:?} [{}]", self.requirement);
            };
            self.elevate(&renewed, 100).await;
            let rotated = self.rotate(&session, &rotation(counter, seconds)).await;
            self.require(
                matches!(rotated, RotationOutcome::ReuseDetected(_)),
                "an elevation does not hide reuse",
            );
        }
    }

    pub(super) async fn an_elevation_of_another_counter_is_outdated(self) {
        let session = self.login(1, &ALICE, 0).await;
        let rotated = self.rotate(&session, &rotation(0, 100)).await;
        let RotationOutcome::Rotated(session) = rotated else {
            panic!("{rotated:?} [{}]", self.requirement);
        };
        let current = elevation(1, 101);
        for outdated in [
            elevation(0, 101),
            elevation(2, 101),
            Rotation {
                data_version: 1,
                ..current.clone()
            },
            Rotation {
                access_epoch: 1,
                ..current
            },
            // After the grace too: nobody presented a token.
            elevation(0, 200),
        ] {
            let rotated = self.rotate(&session, &outdated).await;
            self.require_equal(
                &rotated,
                &RotationOutcome::Outdated,
                "an elevation of a session that has changed is outdated",
            );
            self.require_live(&session, "a session after an outdated elevation")
                .await;
        }
    }

    pub(super) async fn the_token_of_an_elevation_has_the_grace(self) {
        let session = self.login(1, &ALICE, 0).await;
        let elevated = self.elevate(&session, 100).await;
        self.rotate(&elevated, &rotation(1, 200)).await;
        let rotated = self.rotate(&elevated, &rotation(1, 209)).await;
        match rotated {
            RotationOutcome::WithinGrace(now) => {
                self.require_equal(&now.counter, &2, "the grace returns the current token");
                self.require_equal(&now.acr, &elevated.acr, "the grace keeps the level");
                self.require_live(&now, "a session after the grace was used")
                    .await;
            }
            _ => self.require(false, "the token of an elevation has the grace"),
        }
    }

    pub(super) async fn an_elevation_needs_a_live_session(self) {
        let session = self.login(1, &ALICE, 0).await;
        let expired = self.rotate(&session, &elevation(0, IDLE_LIFETIME)).await;
        let unknown = self::session(2, &ALICE, 0, 0);
        let unknown = self.rotate(&unknown, &elevation(0, 1)).await;
        self.answer(self.store.block(&ALICE).await);
        let blocked = self.rotate(&session, &elevation(0, 1)).await;
        for refused in [expired, unknown, blocked] {
            self.require(
                matches!(refused, RotationOutcome::Rejected(_)),
                "only a live session is elevated",
            );
        }
        self.require_ended(&session, "a session that was not elevated")
            .await;
    }
}
