//! Ending one session.

use super::fixture::{
    ACCESS_LIFETIME, ALICE, ALICE_OF_OTHER_ISSUER, ALICE_WITHOUT_ISSUER, ContractTest, at, end,
    rotation, session,
};
use crate::session::{MAX_ACCESS_LIFETIME, SessionStore};

impl<S: SessionStore> ContractTest<S> {
    pub(super) async fn an_ended_session_is_gone(self) {
        let session = self.login(1, &ALICE, 0).await;
        let ended = self.end(&session).await;
        self.require_equal(
            &ended,
            &Some(session.clone()),
            "ending a session returns it",
        );
        self.require_ended(&session, "an ended session").await;
    }

    pub(super) async fn ending_twice_changes_nothing(self) {
        let session = self.login(1, &ALICE, 0).await;
        self.end(&session).await;
        let again = self.end(&session).await;
        self.require(again.is_none(), "ending an ended session returns `None`");
        self.require_ended(&session, "an ended session").await;
    }

    pub(super) async fn ending_one_session_leaves_the_others(self) {
        let session = self.login(1, &ALICE, 0).await;
        let other = self.login(2, &ALICE, 0).await;
        self.end(&session).await;
        self.require_live(&other, "another session of the subject")
            .await;
    }

    pub(super) async fn a_session_of_another_issuer_is_not_ended(self) {
        let session = self.login(1, &ALICE, 0).await;
        for issuer in [ALICE_OF_OTHER_ISSUER.issuer, None] {
            let ended = self.answer(end(&*self.store, session.sid, issuer).await);
            self.require(ended.is_none(), "a session of another issuer is not ended");
        }
        self.require_live(&session, "a session that another issuer tried to end")
            .await;
    }

    pub(super) async fn ending_a_lost_session_revokes_its_tokens(self) {
        let longest = MAX_ACCESS_LIFETIME.as_secs();
        for (number, subject) in [(1, ALICE), (2, ALICE_WITHOUT_ISSUER)] {
            self.advance_to(0);
            let session = session(number, &subject, 0, 0);
            let ended = self.end(&session).await;
            self.require(ended.is_none(), "ending a lost session returns `None`");
            for seconds in [0, ACCESS_LIFETIME, longest / 2, longest - 1] {
                self.advance_to(seconds);
                self.trigger_pruning().await;
                let revoked = self.is_revoked_until(&session, at(longest)).await;
                self.require(
                    revoked,
                    "ending a lost session revokes its tokens until the given time",
                );
            }
        }
    }

    pub(super) async fn ending_a_lost_session_leaves_other_tokens(self) {
        let session = session(1, &ALICE, 0, 0);
        self.end(&session).await;
        self.require_other_issuers_unaffected(session).await;
        let other = self.login(2, &ALICE, 0).await;
        self.require_live(&other, "another session of the subject")
            .await;
    }

    pub(super) async fn ending_revokes_the_tokens_of_its_issuer_alone(self) {
        let session = self.login(1, &ALICE, 0).await;
        self.end(&session).await;
        self.require_other_issuers_unaffected(session).await;
    }

    pub(super) async fn ending_revokes_until_the_latest_access_token_is_dead(self) {
        let session = self.login(1, &ALICE, 0).await;
        self.rotate(&session, &rotation(0, 200)).await;
        self.end(&session).await;
        let what = "ending a session revokes its tokens until the latest issued `exp`";
        self.require_revoked_until_latest(&session, what).await;
    }

    pub(super) async fn a_repeated_renewal_extends_the_revocation(self) {
        let session = self.login(1, &ALICE, 0).await;
        let until = at(ACCESS_LIFETIME + 209);
        self.rotate(&session, &rotation(0, 200)).await;
        self.rotate(&session, &rotation(0, 209)).await;
        self.end(&session).await;
        self.advance_to(ACCESS_LIFETIME + 208);
        self.trigger_pruning().await;
        // The leeway of the store may extend the revocation, so the store is asked.
        let revoked = self.is_revoked_until(&session, until).await;
        self.require(
            revoked,
            "an access token issued by a repeated renewal is revoked too",
        );
    }
}
