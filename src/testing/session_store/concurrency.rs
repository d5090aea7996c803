//! Calls at the same time.

use std::sync::Arc;

use super::fixture::{
    ALICE, BOB, ContractTest, START, elevation, end, rotation, rotation_of_epoch, session,
};
use crate::session::{
    CreationOutcome, RotationOutcome, Session, SessionId, SessionLimit, SessionStore, Subject,
    UpdateOutcome,
};

/// Ends all sessions of the subject except a new one.
async fn end_others<S: SessionStore>(store: &S) -> Result<(), S::Error> {
    let state = store.subject(&ALICE).await?;
    let kept = Session {
        access_epoch: state.access_epoch,
        ..session(250, &ALICE, state.generation, 0)
    };
    store.create(&kept, None).await?;
    store.end_others(kept.sid, ALICE.issuer).await.map(drop)
}

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

    /// Elevates a session while it is renewed. No renewal returns the token of the elevation.
    pub(super) async fn an_elevation_wins_against_renewals_at_the_same_time(self) {
        for round in 0..20 {
            let session = self.login(round, &ALICE, 0).await;
            let sid = session.sid;
            let answers = self.concurrently(9, move |store, task| async move {
                if task % 2 == 0 {
                    tokio::task::yield_now().await;
                }
                if task > 0 {
                    return store.rotate(sid, &rotation(0, 1)).await;
                }
                loop {
                    let found = store.find(sid).await?;
                    let counter = found.map_or(0, |session| session.counter);
                    let elevated = store.rotate(sid, &elevation(counter, 1)).await?;
                    if elevated != RotationOutcome::Outdated {
                        return Ok(elevated);
                    }
                }
            });
            let mut answers = answers.await.into_iter();
            let Some(RotationOutcome::Rotated(elevated)) = answers.next() else {
                panic!("an elevation works [{}]", self.requirement);
            };
            let mut is_live = true;
            for answer in answers {
                match answer {
                    RotationOutcome::Rotated(now) | RotationOutcome::WithinGrace(now) => {
                        self.require(
                            now.counter < elevated.counter && now.acr == session.acr,
                            "no renewal with an earlier token returns that of the elevation",
                        );
                    }
                    RotationOutcome::ReuseDetected(_) => is_live = false,
                    _ => {}
                }
            }
            if is_live {
                self.require_live(&elevated, "a session elevated while it was renewed")
                    .await;
            }
        }
    }

    /// The outcomes of 20 logins at once under a limit, and the sessions that remain.
    async fn login_at_once(
        &self,
        subject: Subject<'static>,
        limit: SessionLimit,
        round: u8,
    ) -> (Vec<(Session, CreationOutcome)>, Vec<Session>) {
        let state = self.subject(&subject).await;
        let outcomes = self
            .concurrently(20, move |store, task| async move {
                let session = session(round * 20 + task, &subject, state.generation, 0);
                let created = store.create(&session, Some(limit)).await?;
                Ok((session, created))
            })
            .await;
        let remaining = self.list(&subject, 0).await;
        self.require_equal(&remaining.len(), &3, "as many sessions as the limit remain");
        self.answer(self.store.raise_generation(&subject).await);
        (outcomes, remaining)
    }

    pub(super) async fn of_many_logins_at_once_the_limit_remains(self) {
        for round in 0..5 {
            let (outcomes, remaining) = self
                .login_at_once(ALICE, SessionLimit::EndOldest(3), round)
                .await;
            let mut sessions: Vec<_> = remaining.iter().map(|session| session.sid).collect();
            for (_, outcome) in &outcomes {
                match outcome {
                    CreationOutcome::Created(ended) => sessions.extend(ended),
                    _ => self.require(false, "each login works"),
                }
            }
            sessions.sort_unstable();
            let mut created: Vec<_> = outcomes.iter().map(|(session, _)| session.sid).collect();
            created.sort_unstable();
            self.require_equal(
                &sessions,
                &created,
                "each session remains, or one login names it as ended",
            );
        }
    }

    pub(super) async fn of_many_logins_at_once_the_limit_passes(self) {
        for round in 0..5 {
            let (outcomes, remaining) = self
                .login_at_once(BOB, SessionLimit::RejectLogin(3), round)
                .await;
            let is_created = |outcome: &CreationOutcome| match outcome {
                CreationOutcome::Created(_) => true,
                CreationOutcome::LimitReached => false,
                _ => panic!("{outcome:?} [{}]", self.requirement),
            };
            let created = outcomes.iter().filter(|(_, outcome)| is_created(outcome));
            let mut created: Vec<_> = created.map(|(session, _)| session.sid).collect();
            created.sort_unstable();
            let remaining: Vec<_> = remaining.iter().map(|session| session.sid).collect();
            self.require_equal(&remaining, &created, "the logins that worked remain");
        }
    }

    pub(super) async fn of_many_changes_of_data_at_once_none_is_lost(self) {
        let session = self.login(1, &ALICE, 0).await;
        let changes: u64 = 20;
        self.concurrently(20, move |store, _| async move {
            loop {
                let found = store.find(session.sid).await?;
                let version = found.map_or(0, |session| session.data_version);
                let json = version.saturating_add(1).to_string();
                let updated = store.update(session.sid, version, Some(&json)).await?;
                if updated != UpdateOutcome::Outdated {
                    return Ok(());
                }
            }
        })
        .await;
        let session = self.find(&self::session(1, &ALICE, 0, 0)).await;
        let found = session.map(|session| (session.data_version, session.data_json));
        self.require_equal(
            &found,
            &Some((changes, Some(changes.to_string()))),
            "simultaneous changes of data all count",
        );
    }

    /// Invalidates access tokens while sessions are renewed. Every token that is issued afterwards
    /// has the new epoch.
    pub(super) async fn an_invalidation_wins_against_renewals_at_the_same_time(self) {
        for round in 0..20 {
            let before = self.subject(&ALICE).await;
            let mut session = session(round, &ALICE, before.generation, 0);
            session.access_epoch = before.access_epoch;
            let created = self.answer(self.store.create(&session, None).await);
            self.require_equal(
                &created,
                &CreationOutcome::Created(Vec::new()),
                "a login works",
            );
            let (sid, epoch) = (session.sid, before.access_epoch);
            let store = Arc::clone(&self.store);
            let raising = tokio::spawn(async move { store.raise_access_epoch(&ALICE).await });
            let renewals = self.concurrently(8, move |store, task| async move {
                if task % 2 == 0 {
                    tokio::task::yield_now().await;
                }
                store.rotate(sid, &rotation_of_epoch(epoch, 0, 1)).await
            });
            let renewals = renewals.await;
            self.join(raising).await;
            for outcome in renewals {
                match outcome {
                    RotationOutcome::Rotated(now) | RotationOutcome::WithinGrace(now) => {
                        session = now;
                    }
                    RotationOutcome::Outdated => {}
                    _ => self.require(false, "a renewal works, or is outdated"),
                }
            }
            self.require_equal(
                &self.find(&session).await,
                &Some(session.clone()),
                "an invalidation leaves the sessions as they are",
            );
            let until = session.access_expires_at;
            let revoked = self.is_revoked_until(&session, until).await;
            self.require(revoked, "an access token of an older epoch is revoked");
            let late = rotation_of_epoch(epoch, 0, 2);
            let late = self.rotate(&session, &late).await;
            self.require_equal(
                &late,
                &RotationOutcome::Outdated,
                "a renewal with claims from before an invalidation is outdated",
            );
        }
    }

    pub(super) async fn an_invalidation_wins_against_logins_at_the_same_time(self) {
        for round in 0..20 {
            let before = self.subject(&ALICE).await;
            let store = Arc::clone(&self.store);
            let raising = tokio::spawn(async move { store.raise_access_epoch(&ALICE).await });
            let answers = self
                .concurrently(8, move |store, task| async move {
                    if task % 2 == 0 {
                        tokio::task::yield_now().await;
                    }
                    let number = round * 8 + task;
                    let mut session = session(number, &ALICE, before.generation, 0);
                    session.access_epoch = before.access_epoch;
                    let created = store.create(&session, None).await?;
                    Ok(matches!(created, CreationOutcome::Created(_)).then_some(session))
                })
                .await;
            self.join(raising).await;
            for session in answers.iter().flatten() {
                let until = session.access_expires_at;
                let revoked = self.is_revoked_until(session, until).await;
                self.require(revoked, "an access token of an older epoch is revoked");
                self.require_equal(
                    &self.find(session).await.as_ref(),
                    &Some(session),
                    "an invalidation leaves the sessions as they are",
                );
            }
            let late = Session {
                access_epoch: before.access_epoch,
                ..session(250, &ALICE, before.generation, 0)
            };
            let late = self.answer(self.store.create(&late, None).await);
            self.require_equal(
                &late,
                &CreationOutcome::Outdated,
                "a login with claims from before an invalidation is outdated",
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
                    let epoch = state.access_epoch;
                    store.rotate(sid, &rotation_of_epoch(epoch, 0, 200)).await
                })
                .await;
            self.join(ending).await;
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
                    let created = store.create(&session, None).await?;
                    Ok(matches!(created, CreationOutcome::Created(_)).then_some(session))
                })
                .await;
            self.join(ending).await;
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

    pub(super) async fn ending_the_others_wins_against_renewals_at_the_same_time(self) {
        self.end_during_renewals(|store, _| async move { end_others(&*store).await })
            .await;
    }

    pub(super) async fn ending_the_others_wins_against_logins_at_the_same_time(self) {
        self.end_during_logins(|store| async move { end_others(&*store).await })
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
