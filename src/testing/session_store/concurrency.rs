//! Calls at the same time.

use std::sync::Arc;

use super::fixture::{ALICE, ContractTest, START, end, rotation, session};
use crate::session::{CreationOutcome, RotationOutcome, SessionId, SessionStore};

impl<S: SessionStore> ContractTest<S> {
    pub(super) async fn of_many_renewals_at_once_one_renews(self) {
        for round in 0..5 {
            let session = self.login(round, &ALICE, 0).await;
            let answers = self
                .concurrently(100, move |store, _| async move {
                    store.rotate(session.sid, &rotation(0, 1)).await
                })
                .await;
            let mut renewed = 0;
            for answer in answers {
                match answer {
                    RotationOutcome::Rotated(now) if now.counter == 1 => renewed += 1,
                    RotationOutcome::WithinGrace(now) if now.counter == 1 => {}
                    _ => self.require(false, "simultaneous renewals get the same token"),
                }
            }
            self.require_equal(
                &renewed,
                &1,
                "exactly one of many simultaneous renewals renews the session",
            );
        }
    }

    /// Ends sessions by `end` while they are renewed. Afterwards they must be ended.
    async fn end_during_renewals<A>(&self, end: impl Fn(Arc<S>, SessionId) -> A)
    where
        A: Future<Output = Result<(), S::Error>> + Send + 'static,
    {
        for round in 0..20 {
            let state = self.subject(&ALICE).await;
            let session = self.login(round, &ALICE, state.generation).await;
            let ending = tokio::spawn(end(Arc::clone(&self.store), session.sid));
            let sid = session.sid;
            let answers = self
                .concurrently(8, move |store, task| async move {
                    if task % 2 == 0 {
                        tokio::task::yield_now().await;
                    }
                    store.rotate(sid, &rotation(0, 200)).await
                })
                .await;
            match ending.await {
                Ok(ended) => self.answer(ended),
                Err(_) => panic!("the store panicked [{}]", self.requirement),
            }
            let mut last = session.clone();
            for answer in answers {
                match answer {
                    RotationOutcome::Rotated(now) | RotationOutcome::WithinGrace(now) => last = now,
                    _ => {}
                }
            }
            // A second before the last of its access tokens expires.
            self.advance_to(last.access_expires_at.seconds() - START - 1);
            self.require_ended(&last, "a session renewed while it was ended")
                .await;
            self.advance_to(0);
        }
    }

    pub(super) async fn an_end_wins_against_renewals_at_the_same_time(self) {
        self.end_during_renewals(|store, sid| async move {
            end(&*store, sid, ALICE.issuer).await.map(drop)
        })
        .await;
    }

    pub(super) async fn a_logout_everywhere_wins_against_renewals_at_the_same_time(self) {
        self.end_during_renewals(|store, _| async move {
            store.raise_generation(&ALICE).await.map(drop)
        })
        .await;
    }

    pub(super) async fn a_block_wins_against_renewals_at_the_same_time(self) {
        self.end_during_renewals(|store, _| async move {
            store.block(&ALICE).await?;
            store.unblock(&ALICE).await
        })
        .await;
    }

    /// Ends all sessions of a subject by `end` while it logs in. Afterwards the new sessions must
    /// be ended.
    async fn end_during_logins<A>(&self, end: impl Fn(Arc<S>) -> A)
    where
        A: Future<Output = Result<(), S::Error>> + Send + 'static,
    {
        for _ in 0..20 {
            let state = self.subject(&ALICE).await;
            let ending = tokio::spawn(end(Arc::clone(&self.store)));
            let answers = self
                .concurrently(8, move |store, task| async move {
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
                Err(_) => panic!("the store panicked [{}]", self.requirement),
            }
            for session in answers.iter().flatten() {
                self.require_ended(
                    session,
                    "a login that started before all sessions were ended",
                )
                .await;
            }
        }
    }

    pub(super) async fn a_logout_everywhere_wins_against_logins_at_the_same_time(self) {
        self.end_during_logins(
            |store| async move { store.raise_generation(&ALICE).await.map(drop) },
        )
        .await;
    }

    pub(super) async fn a_block_wins_against_logins_at_the_same_time(self) {
        self.end_during_logins(|store| async move {
            store.block(&ALICE).await?;
            store.unblock(&ALICE).await
        })
        .await;
    }

    pub(super) async fn generations_raised_at_the_same_time_are_distinct(self) {
        let mut raised = self
            .concurrently(50, |store, _| async move {
                store.raise_generation(&ALICE).await
            })
            .await;
        raised.sort_unstable();
        self.require_equal(
            &raised,
            &(1..=50).collect(),
            "each logout everywhere gets its own generation",
        );
    }
}
