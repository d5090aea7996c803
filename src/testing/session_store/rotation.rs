//! Refresh token rotation: renewal, grace and reuse detection.

use super::fixture::{
    ACCESS_LIFETIME, ALICE, ContractTest, IDLE_LIFETIME, SESSION_LIFETIME, at, rotation, session,
};
use crate::session::{RotationOutcome, Session, SessionStore};

impl<S: SessionStore> ContractTest<S> {
    pub(super) async fn the_current_token_renews(self) {
        let mut session = self.login(1, &ALICE, 0).await;
        for (counter, seconds) in [(0, 100), (1, 101), (2, 600)] {
            session.counter = counter + 1;
            session.rotated_at = at(seconds);
            session.idle_expires_at = at(seconds + IDLE_LIFETIME);
            session.access_expires_at = at(seconds + ACCESS_LIFETIME);
            let rotated = self.rotate(&session, &rotation(counter, seconds)).await;
            self.require_equal(
                &rotated,
                &RotationOutcome::Rotated(session.clone()),
                "the current token renews its session as the rotation specifies",
            );
            self.require_live(&session, "a renewed session").await;
        }
        // A clock that is set back must not shorten an issued `exp`.
        let latest = session.access_expires_at;
        let rotated = self.rotate(&session, &rotation(3, 500)).await;
        self.require(
            matches!(rotated, RotationOutcome::Rotated(ref now) if now.access_expires_at == latest),
            "the latest `exp` of an issued access token is stored",
        );
    }

    pub(super) async fn the_absolute_end_is_never_extended(self) {
        let mut session = self.login(1, &ALICE, 0).await;
        for (counter, seconds) in (0..).zip((900..SESSION_LIFETIME).step_by(900)) {
            match self.rotate(&session, &rotation(counter, seconds)).await {
                RotationOutcome::Rotated(now) => session = now,
                other => self.require_equal(
                    &other,
                    &RotationOutcome::Rotated(session.clone()),
                    "the current token renews its session",
                ),
            }
            self.require_equal(
                &session.expires_at,
                &at(SESSION_LIFETIME),
                "the absolute expiry does not change",
            );
            self.require(
                session.idle_expires_at <= at(SESSION_LIFETIME),
                "the idle expiry is never after the absolute expiry",
            );
        }
        let rotated = self
            .rotate(&session, &rotation(session.counter, SESSION_LIFETIME))
            .await;
        self.require(
            matches!(rotated, RotationOutcome::Rejected(_)),
            "a session ends at its absolute expiry",
        );
    }

    pub(super) async fn the_previous_token_is_valid_within_the_grace(self) {
        let session = self.login(1, &ALICE, 0).await;
        let renewed = match self.rotate(&session, &rotation(0, 100)).await {
            RotationOutcome::Rotated(session) => session,
            other => panic!("{other:?} [{}]", self.requirement),
        };
        let repeated = Session {
            access_expires_at: at(109 + ACCESS_LIFETIME),
            ..renewed
        };
        let rotated = self.rotate(&session, &rotation(0, 109)).await;
        self.require_equal(
            &rotated,
            &RotationOutcome::WithinGrace(repeated.clone()),
            "the previous token returns the current session within the grace",
        );
        self.require_live(&repeated, "a session after a repeated renewal")
            .await;
    }

    pub(super) async fn the_grace_does_not_slide(self) {
        let session = self.login(1, &ALICE, 0).await;
        self.rotate(&session, &rotation(0, 100)).await;
        self.rotate(&session, &rotation(0, 109)).await;
        let rotated = self.rotate(&session, &rotation(0, 110)).await;
        self.require(
            matches!(rotated, RotationOutcome::ReuseDetected(_)),
            "the grace starts at the renewal, not at its repetition",
        );
    }

    pub(super) async fn a_clock_that_steps_back_does_not_lengthen_the_grace(self) {
        // By less than the grace: the grace starts at the earlier time.
        let session = self.login(1, &ALICE, 0).await;
        self.rotate(&session, &rotation(0, 100)).await;
        self.rotate(&session, &rotation(0, 95)).await;
        let rotated = self.rotate(&session, &rotation(0, 105)).await;
        self.require(
            matches!(rotated, RotationOutcome::ReuseDetected(_)),
            "the grace starts at the earliest use of the previous token",
        );
        // By more: the age of the renewal is unknown.
        let session = self.login(2, &ALICE, 0).await;
        self.rotate(&session, &rotation(0, 100)).await;
        let rotated = self.rotate(&session, &rotation(0, 80)).await;
        self.require(
            matches!(rotated, RotationOutcome::ReuseDetected(_)),
            "the previous token is invalid if the clock was set back by more than the grace",
        );
    }

    pub(super) async fn the_previous_token_ends_the_session_after_the_grace(self) {
        let session = self.login(1, &ALICE, 0).await;
        let other = self.login(2, &ALICE, 0).await;
        let renewed = match self.rotate(&session, &rotation(0, 100)).await {
            RotationOutcome::Rotated(session) => session,
            other => panic!("{other:?} [{}]", self.requirement),
        };
        let rotated = self.rotate(&session, &rotation(0, 110)).await;
        self.require_equal(
            &rotated,
            &RotationOutcome::ReuseDetected(renewed.clone()),
            "the previous token after the grace is a replay",
        );
        self.require_ended(&renewed, "a session after a replay")
            .await;
        self.require_live(&other, "another session of the subject")
            .await;
    }

    pub(super) async fn an_older_token_ends_the_session_within_the_grace(self) {
        let session = self.login(1, &ALICE, 0).await;
        self.rotate(&session, &rotation(0, 100)).await;
        self.rotate(&session, &rotation(1, 101)).await;
        let rotated = self.rotate(&session, &rotation(0, 102)).await;
        match rotated {
            RotationOutcome::ReuseDetected(now) => {
                self.require_equal(&now.counter, &2, "a replay returns the session");
                self.require_ended(&now, "a session after a replay").await;
            }
            _ => self.require(
                false,
                "a token older than the previous one is always a replay",
            ),
        }
    }

    pub(super) async fn a_token_ahead_of_the_store_is_accepted(self) {
        let session = self.login(1, &ALICE, 0).await;
        let rotated = self.rotate(&session, &rotation(7, 100)).await;
        match rotated {
            RotationOutcome::LostWrites(now) => {
                self.require_equal(
                    &now.counter,
                    &8,
                    "a token ahead of the store sets the counter",
                );
                self.require_live(&now, "a recovered session").await;
            }
            _ => self.require(false, "a token ahead of the store is accepted"),
        }
    }

    pub(super) async fn an_expired_session_is_not_renewed(self) {
        let session = self.login(1, &ALICE, 0).await;
        let rotated = self.rotate(&session, &rotation(0, IDLE_LIFETIME)).await;
        self.require(
            matches!(rotated, RotationOutcome::Rejected(_)),
            "an idle-expired session is not renewed",
        );
        if let Some(found) = self.find(&session).await {
            self.require_equal(
                &found,
                &session,
                "a rejected renewal does not change the session",
            );
        }
    }

    pub(super) async fn an_unknown_session_is_not_renewed(self) {
        let session = session(1, &ALICE, 0, 0);
        let rotated = self.rotate(&session, &rotation(0, 1)).await;
        self.require(
            matches!(rotated, RotationOutcome::Rejected(_)),
            "an unknown session is not renewed",
        );
        let found = self.find(&session).await;
        self.require(found.is_none(), "an unknown session is not found");
        let ended = self.end(&session).await;
        self.require(ended.is_none(), "ending an unknown session returns `None`");
    }
}
