//! Holds the contract suite of session stores to find each fault that it looks for.
#![cfg(feature = "testing")]
#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "a test that panics fails"
)]

use std::collections::HashMap;
use std::convert::Infallible;
use std::panic::resume_unwind;
use std::sync::Mutex;
use std::time::Duration;

use tower_jwt_auth::claims::NumericDate;
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::revocation::{RevocationStore, TokenIdentity};
use tower_jwt_auth::session::{
    CreationOutcome, Rotation, RotationOutcome, RotationRejection, Session, SessionId,
    SessionLimit, SessionStore, Subject, SubjectState, UpdateOutcome,
};
use tower_jwt_auth::testing::{
    SESSION_STORE_REQUIREMENTS, session_store_contract, session_store_requirement,
};

/// The one point in which a store breaks the contract, and the must that says so.
macro_rules! faults {
    ($($fault:ident => $must:literal,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Fault {
            None,
            $($fault,)*
        }

        const FAULTS: &[(Fault, &str)] = &[$((Fault::$fault, $must),)*];
    };
}

faults! {
    StrangersAreBlocked => "an_unknown_subject_is_not_blocked_and_of_generation_0",
    LabelIsLost => "a_session_that_was_created_is_found_as_it_was",
    DataAreLost => "a_session_that_was_created_is_found_as_it_was",
    DataVersionIsLost => "a_session_that_was_created_is_found_as_it_was",
    ClientIsLost => "a_session_that_was_created_is_found_as_it_was",
    ThumbprintIsLost => "a_session_that_was_created_is_found_as_it_was",
    BindingIsLost => "a_session_that_was_created_is_found_as_it_was",
    LevelIsLost => "a_session_that_was_created_is_found_as_it_was",
    ElevationMarkIsLost => "a_session_that_was_created_is_found_as_it_was",
    ActorIsLost => "a_session_that_was_created_is_found_as_it_was",
    ActorGenerationIsLost => "a_session_that_was_created_is_found_as_it_was",
    PersistenceIsLost => "a_session_that_was_created_is_found_as_it_was",
    AuthenticationTimeIsLost => "a_session_that_was_created_is_found_as_it_was",
    FractionIsLost => "a_session_that_was_created_is_found_as_it_was",
    CreateIgnoresBlock => "a_blocked_subject_gets_no_session",
    CreateIgnoresGeneration => "a_login_that_began_before_a_logout_everywhere_gets_no_session",
    CreateTakesLaterGenerations => "a_login_that_began_before_a_logout_everywhere_gets_no_session",
    CreateKeepsWhatItRefuses => "a_blocked_subject_gets_no_session",
    RotationIsNotKept => "the_current_token_renews",
    RotateForgetsTheActor => "the_current_token_renews",
    RotateForgetsTheKey => "the_current_token_renews",
    RotateForgetsPersistence => "the_current_token_renews",
    IdleIsNotExtended => "the_current_token_renews",
    LatestAccessIsForgotten => "the_current_token_renews",
    AbsoluteEndIsExtended => "the_absolute_end_is_never_extended",
    IdleGoesBeyondTheEnd => "the_absolute_end_is_never_extended",
    NoGrace => "the_previous_token_is_valid_within_the_grace",
    RepetitionsAreNotCounted => "the_previous_token_is_valid_within_the_grace",
    RepetitionsAreNotKept => "the_previous_token_is_valid_within_the_grace",
    GraceSlides => "the_grace_does_not_slide",
    GraceIgnoresStepsBack => "a_clock_that_steps_back_does_not_lengthen_the_grace",
    AnyStepBackIsGrace => "a_clock_that_steps_back_does_not_lengthen_the_grace",
    GraceIsEndless => "the_previous_token_ends_the_session_after_the_grace",
    ReplayEndsNothing => "the_previous_token_ends_the_session_after_the_grace",
    ReplayRevokesNothing => "the_previous_token_ends_the_session_after_the_grace",
    ReplayEndsAllOfTheSubject => "the_previous_token_ends_the_session_after_the_grace",
    PeekSaysNo => "an_older_token_ends_the_session_within_the_grace",
    GrandparentCounts => "an_older_token_ends_the_session_within_the_grace",
    AheadIsReplay => "a_token_ahead_of_the_store_is_accepted",
    AheadIsOneStep => "a_token_ahead_of_the_store_is_accepted",
    ExpiredIsRenewed => "an_expired_session_is_not_renewed",
    UnknownIsRenewed => "an_unknown_session_is_not_renewed",
    EndKeepsTheSession => "an_ended_session_is_gone",
    EndRevokesNothing => "an_ended_session_is_gone",
    EndAnswersTwice => "ending_twice_changes_nothing",
    EndEndsAllOfTheSubject => "ending_one_session_leaves_the_others",
    EndEndsAnyIssuers => "a_session_of_another_issuer_is_not_ended",
    LostIsNotRevoked => "ending_a_lost_session_revokes_its_tokens",
    LostIsRevokedTooShort => "ending_a_lost_session_revokes_its_tokens",
    LostIsRevokedForAll => "ending_a_lost_session_leaves_other_tokens",
    EndIgnoresIssuers => "ending_revokes_the_tokens_of_its_issuer_alone",
    EndRevokesTooShort => "ending_revokes_until_the_latest_access_token_is_dead",
    RepetitionsAreNotRevoked => "a_repeated_renewal_extends_the_revocation",
    RaiseByTwo => "a_logout_everywhere_ends_everything_before",
    RaiseKeepsSessions => "a_logout_everywhere_ends_everything_before",
    RaiseRevokesNothing => "a_logout_everywhere_ends_everything_before",
    RaiseRevokesTooShort => "a_logout_everywhere_revokes_until_the_latest_access_token_is_dead",
    RaiseIgnoresIssuers => "a_logout_everywhere_leaves_others",
    RaiseRevokesLaterLogins => "a_login_after_a_logout_everywhere_works",
    BlockRaisesNothing => "a_block_ends_everything_before",
    BlockIsForgotten => "a_block_outlives_everything",
    BlockRevokesOldTokensOnly => "a_block_outlives_everything",
    BlockingTwiceRaisesTwice => "blocking_twice_changes_nothing",
    UnblockDoesNothing => "blocking_twice_changes_nothing",
    UnblockLowersTheGeneration => "blocking_twice_changes_nothing",
    UnblockRevivesTokens => "lifting_a_block_revives_nothing",
    BlockStaysInTheSet => "a_login_after_a_block_works",
    GenerationIsForgotten => "a_generation_is_never_forgotten",
    ExpiredIsForgottenTooSoon => "the_tokens_of_an_expired_session_can_be_revoked",
    ListHoldsExpired => "a_list_holds_the_live_sessions_of_one_subject",
    ListIgnoresIssuers => "a_list_holds_the_live_sessions_of_one_subject",
    ListHoldsOne => "a_list_holds_the_live_sessions_of_one_subject",
    LevelIsNotSet => "an_elevation_sets_the_level_and_the_time",
    AuthenticationTimeStays => "an_elevation_sets_the_level_and_the_time",
    ElevatedParentHasGrace => "the_token_from_before_an_elevation_has_no_grace",
    ElevationEndsReuseDetection => "the_token_from_before_an_elevation_has_no_grace",
    ElevationTakesOldCounters => "an_elevation_of_another_counter_is_outdated",
    ElevationTakesLaterCounters => "an_elevation_of_another_counter_is_outdated",
    ElevationMarkStays => "the_token_of_an_elevation_has_the_grace",
    ElevationRevivesTheEnded => "an_elevation_needs_a_live_session",
    ElevationLosesRenewals => "an_elevation_wins_against_renewals_at_the_same_time",
    UpdateIsNotKept => "a_change_of_data_is_kept_with_the_next_version",
    UpdateKeepsTheVersion => "a_change_of_data_is_kept_with_the_next_version",
    UpdateIgnoresVersions => "a_change_of_older_data_is_refused",
    UpdateTakesLaterVersions => "a_change_of_older_data_is_refused",
    UpdateRevivesTheEnded => "the_data_of_an_ended_session_cannot_change",
    RotateDropsData => "the_data_survive_renewals",
    RotateIgnoresVersions => "a_renewal_with_claims_of_older_data_is_outdated",
    OutdatedHidesReuse => "a_renewal_with_claims_of_older_data_is_outdated",
    InvalidationEndsSessions => "an_invalidation_ends_access_tokens_and_no_session",
    InvalidationRevokesNothing => "an_invalidation_ends_access_tokens_and_no_session",
    InvalidationRevokesLaterTokens => "an_invalidation_ends_access_tokens_and_no_session",
    InvalidationRaisesTheGeneration => "an_invalidation_ends_access_tokens_and_no_session",
    InvalidationRevokesTooShort =>
        "an_invalidation_revokes_until_the_latest_access_token_is_dead",
    InvalidationIgnoresIssuers => "an_invalidation_leaves_others",
    RotateIgnoresAccessEpochs => "a_renewal_from_before_an_invalidation_is_outdated",
    RotateTakesLaterAccessEpochs => "a_renewal_from_before_an_invalidation_is_outdated",
    RepetitionsIgnoreAccessEpochs => "a_renewal_from_before_an_invalidation_is_outdated",
    OutdatedIsKept => "a_renewal_from_before_an_invalidation_is_outdated",
    CreateIgnoresAccessEpochs => "a_login_from_before_an_invalidation_is_outdated",
    CreateTakesLaterAccessEpochs => "a_login_from_before_an_invalidation_is_outdated",
    RaiseForgetsInvalidations => "a_logout_everywhere_after_an_invalidation_ends_everything",
    AccessEpochIsForgotten => "an_access_epoch_is_never_forgotten",
    EndOthersEndsAll => "ending_the_others_leaves_one_session",
    EndOthersEndsNone => "ending_the_others_leaves_one_session",
    EndOthersRevokesNothing => "ending_the_others_leaves_one_session",
    EndOthersLeavesPendingLogins => "ending_the_others_leaves_one_session",
    EndOthersIgnoresIssuers => "only_a_live_session_of_the_issuer_ends_the_others",
    EndOthersOfTheEnded => "only_a_live_session_of_the_issuer_ends_the_others",
    EndOthersLosesRenewals => "ending_the_others_wins_against_renewals_at_the_same_time",
    EndOthersLosesLogins => "ending_the_others_wins_against_logins_at_the_same_time",
    LimitIsIgnored => "a_login_beyond_the_limit_ends_the_least_recently_refreshed",
    LimitAllowsOneMore => "a_login_beyond_the_limit_ends_the_least_recently_refreshed",
    LimitEndsTheNewest => "a_login_beyond_the_limit_ends_the_least_recently_refreshed",
    LimitGoesByLogin => "a_login_beyond_the_limit_ends_the_least_recently_refreshed",
    LimitKeepsTheSession => "a_login_beyond_the_limit_ends_the_least_recently_refreshed",
    LimitRevokesNothing => "a_login_beyond_the_limit_ends_the_least_recently_refreshed",
    LimitNamesNone => "a_login_beyond_the_limit_ends_the_least_recently_refreshed",
    LimitEndsInsteadOfRejecting => "a_login_beyond_the_limit_is_rejected",
    LimitSavesWhatItRejects => "a_login_beyond_the_limit_is_rejected",
    LimitCountsImpersonations => "the_limit_counts_the_live_sessions_of_one_subject",
    LimitCountsExpired => "the_limit_counts_the_live_sessions_of_one_subject",
    LimitIgnoresIssuers => "the_limit_counts_the_live_sessions_of_one_subject",
    LimitComesFirst => "a_login_that_is_rejected_ends_no_session",
    LimitRevokesTooShort => "the_limit_revokes_until_the_latest_access_token_is_dead",
    LimitEndsWhatItRead => "of_many_logins_at_once_the_limit_remains",
    LimitCountsWhatItRead => "of_many_logins_at_once_the_limit_passes",
    UpdateIsNotAtomic => "of_many_changes_of_data_at_once_none_is_lost",
    InvalidationLosesRenewals => "an_invalidation_wins_against_renewals_at_the_same_time",
    InvalidationLosesLogins => "an_invalidation_wins_against_logins_at_the_same_time",
    RotateIsNotAtomic => "of_many_renewals_at_once_one_renews",
    EndIsNotAtomic => "an_end_wins_against_renewals_at_the_same_time",
    RotateRevivesAfterRaise => "a_logout_everywhere_wins_against_renewals_at_the_same_time",
    RotateRevivesAfterBlock => "a_block_wins_against_renewals_at_the_same_time",
    RaiseIsNotAtomic => "generations_raised_at_the_same_time_are_distinct",
    CreateIsNotAtomic => "a_logout_everywhere_wins_against_logins_at_the_same_time",
    CreateLooksAtBlocksEarly => "a_block_wins_against_logins_at_the_same_time",
}

type Id = (Option<String>, String);

fn id(issuer: Option<&str>, name: &str) -> Id {
    (issuer.map(str::to_owned), name.to_owned())
}

fn whose(subject: &Subject<'_>) -> Id {
    id(subject.issuer, subject.name)
}

/// A plain store in memory, right but for one fault.
struct Model {
    fault: Fault,
    clock: ManualClock,
    state: Mutex<State>,
}

#[derive(Clone, Default)]
struct State {
    sessions: HashMap<SessionId, Session>,
    subjects: HashMap<Id, SubjectState>,
    /// Until when the tokens of a session, or of a subject's older generations, are revoked.
    ended: HashMap<Id, NumericDate>,
    raised: HashMap<Id, (u64, NumericDate)>,
    blocked: HashMap<Id, u64>,
}

impl State {
    fn subject(&self, subject: &Id) -> SubjectState {
        self.subjects.get(subject).copied().unwrap_or_default()
    }

    fn revoke_session(&mut self, fault: Fault, session: &Session, until: NumericDate) {
        let issuer = match fault {
            Fault::EndIgnoresIssuers => None,
            _ => session.issuer.as_deref(),
        };
        self.ended
            .insert(id(issuer, &session.sid.to_string()), until);
    }
}

impl Model {
    fn new(fault: Fault, clock: ManualClock) -> Self {
        Self {
            fault,
            clock,
            state: Mutex::default(),
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn now(&self) -> NumericDate {
        self.clock.now().into()
    }

    /// Drops what is old.
    fn prune(&self, state: &mut State) {
        let now = self.now();
        let forget = self.has(Fault::ExpiredIsForgottenTooSoon);
        state.sessions.retain(|_, session| {
            !session.has_expired(now) || (session.access_expires_at > now && !forget)
        });
        state.ended.retain(|_, until| *until > now);
        state.raised.retain(|_, (_, until)| *until > now);
        let year_later = now > NumericDate::from_seconds(1_700_000_000 + 365 * 86_400).unwrap();
        if year_later && self.has(Fault::BlockIsForgotten) {
            state
                .subjects
                .values_mut()
                .for_each(|subject| subject.blocked = false);
        }
        if year_later && self.has(Fault::GenerationIsForgotten) {
            state
                .subjects
                .values_mut()
                .for_each(|subject| subject.generation = 0);
        }
        if year_later && self.has(Fault::AccessEpochIsForgotten) {
            state
                .subjects
                .values_mut()
                .for_each(|subject| subject.access_epoch = 0);
        }
    }

    fn end_all(&self, state: &mut State, subject: &Subject<'_>) {
        let fault = self.fault;
        let sessions = std::mem::take(&mut state.sessions);
        for (sid, session) in sessions {
            if session.owner() == *subject {
                let until = session.access_expires_at;
                state.revoke_session(fault, &session, until);
            } else {
                state.sessions.insert(sid, session);
            }
        }
    }

    fn raise(&self, state: &mut State, subject: &Subject<'_>) -> u64 {
        let ignores = self.has(Fault::RaiseIgnoresIssuers);
        let key = whose(subject);
        let of = |session: &Session| {
            session.owner() == *subject || (ignores && session.subject == subject.name)
        };
        let known = state.subjects.entry(key.clone()).or_default();
        let by = if self.has(Fault::RaiseByTwo) { 2 } else { 1 };
        let generation = match self.fault {
            Fault::RaiseForgetsInvalidations => known.generation + by,
            _ => known.access_epoch + by,
        };
        (known.generation, known.access_epoch) = (generation, generation);
        let ended = state.sessions.values().filter(|session| of(session));
        let mut until: Vec<_> = ended.map(|session| session.access_expires_at).collect();
        until.sort();
        let until = if self.has(Fault::RaiseRevokesTooShort) {
            until.first()
        } else {
            until.last()
        };
        if let Some(until) = until
            && !self.has(Fault::RaiseRevokesNothing)
        {
            let least = match self.fault {
                Fault::RaiseRevokesLaterLogins => generation + 1,
                _ => generation,
            };
            state.raised.insert(key, (least, *until));
        }
        if !self.has(Fault::RaiseKeepsSessions) {
            state.sessions.retain(|_, session| !of(session));
        }
        generation
    }

    fn raise_access_epoch(&self, state: &mut State, subject: &Subject<'_>) -> u64 {
        let key = whose(subject);
        let known = state.subjects.entry(key.clone()).or_default();
        *known = known.access_tokens_invalidated();
        if self.has(Fault::InvalidationRaisesTheGeneration) {
            known.generation = known.access_epoch;
        }
        let epoch = known.access_epoch;
        let of = state
            .sessions
            .values()
            .filter(|one| one.owner() == *subject);
        let mut until: Vec<_> = of.map(|session| session.access_expires_at).collect();
        until.sort();
        let until = match self.fault {
            Fault::InvalidationRevokesTooShort => until.first(),
            _ => until.last(),
        };
        let least = match self.fault {
            Fault::InvalidationRevokesLaterTokens => epoch + 1,
            _ => epoch,
        };
        if let Some(until) = until
            && !self.has(Fault::InvalidationRevokesNothing)
        {
            state.raised.insert(key, (least, *until));
            if self.has(Fault::InvalidationIgnoresIssuers) {
                let other = id(None, subject.name);
                state.raised.insert(other, (least, *until));
            }
        }
        if self.has(Fault::InvalidationEndsSessions) {
            self.end_all(state, subject);
        }
        epoch
    }

    /// Ends the sessions beyond the limit. `before`: what was read some time ago.
    fn apply_limit(
        &self,
        state: &mut State,
        before: &HashMap<SessionId, Session>,
        session: &Session,
        limit: Option<SessionLimit>,
    ) -> CreationOutcome {
        let limit = match (self.fault, limit) {
            (Fault::LimitIsIgnored, _) => None,
            (Fault::LimitAllowsOneMore, Some(SessionLimit::EndOldest(max))) => {
                Some(SessionLimit::EndOldest(max + 1))
            }
            (Fault::LimitEndsInsteadOfRejecting, Some(SessionLimit::RejectLogin(max))) => {
                Some(SessionLimit::EndOldest(max))
            }
            (_, limit) => limit,
        };
        let read = match self.fault {
            Fault::LimitEndsWhatItRead | Fault::LimitCountsWhatItRead => before,
            _ => &state.sessions,
        };
        let ignores = self.has(Fault::LimitIgnoresIssuers);
        let mut others: Vec<_> = read
            .values()
            .filter(|one| {
                one.owner() == session.owner() || (ignores && one.subject == session.subject)
            })
            .cloned()
            .collect();
        for other in &mut others {
            match self.fault {
                Fault::LimitEndsTheNewest => {
                    let reversed = 4_000_000_000 - other.rotated_at.seconds();
                    other.rotated_at = NumericDate::from_seconds(reversed).unwrap();
                }
                Fault::LimitCountsImpersonations => other.actor = None,
                Fault::LimitGoesByLogin => other.rotated_at = other.created_at,
                Fault::LimitCountsExpired => {
                    (other.idle_expires_at, other.expires_at) =
                        (NumericDate::MAX, NumericDate::MAX);
                }
                _ => {}
            }
        }
        let mut current = SubjectState::new(session.generation, false);
        current.access_epoch = session.access_epoch;
        let outcome = session.create(current, limit, &others);
        let CreationOutcome::Created(ended) = &outcome else {
            return outcome;
        };
        for sid in ended {
            let Some(ended) = state.sessions.get(sid).cloned() else {
                continue;
            };
            if !self.has(Fault::LimitKeepsTheSession) {
                state.sessions.remove(sid);
            }
            let until = match self.fault {
                Fault::LimitRevokesTooShort => {
                    let short = ended.created_at.since_epoch() + Duration::from_secs(300);
                    NumericDate::from_since_epoch(short).unwrap()
                }
                _ => ended.access_expires_at,
            };
            if !self.has(Fault::LimitRevokesNothing) {
                state.revoke_session(self.fault, &ended, until);
            }
        }
        match self.fault {
            Fault::LimitNamesNone => CreationOutcome::Created(Vec::new()),
            _ => outcome,
        }
    }

    /// What is wrong with how a session is rotated.
    fn rotate_session(
        &self,
        session: &mut Session,
        rotation: &Rotation,
        subject: SubjectState,
    ) -> RotationOutcome {
        let before = session.clone();
        let mut rotation = rotation.clone();
        match self.fault {
            Fault::NoGrace => rotation.grace = Duration::ZERO,
            Fault::GraceIsEndless => rotation.grace = Duration::MAX,
            Fault::GrandparentCounts if rotation.counter + 2 == session.counter => {
                rotation.counter += 1;
            }
            Fault::AheadIsReplay if rotation.counter > session.counter => {
                return RotationOutcome::ReuseDetected(before);
            }
            Fault::AheadIsOneStep => rotation.counter = rotation.counter.min(session.counter + 1),
            Fault::ExpiredIsRenewed if session.has_expired(rotation.now) => {
                session.idle_expires_at = NumericDate::MAX;
            }
            Fault::AbsoluteEndIsExtended => {
                session.expires_at = session.expires_at.max(rotation.idle_expires_at);
            }
            Fault::IdleGoesBeyondTheEnd => session.expires_at = NumericDate::MAX,
            Fault::ElevatedParentHasGrace if rotation.counter < session.counter => {
                session.was_elevated = false;
            }
            Fault::ElevationEndsReuseDetection
                if session.was_elevated && rotation.counter < session.counter =>
            {
                return RotationOutcome::Rejected(RotationRejection::Elevated);
            }
            Fault::ElevationTakesOldCounters if rotation.elevation.is_some() => {
                rotation.counter = rotation.counter.max(session.counter);
            }
            Fault::ElevationTakesLaterCounters if rotation.elevation.is_some() => {
                rotation.counter = rotation.counter.min(session.counter);
            }
            Fault::RotateIgnoresVersions => rotation.data_version = session.data_version,
            Fault::OutdatedHidesReuse if rotation.data_version != session.data_version => {
                return RotationOutcome::Outdated;
            }
            Fault::RotateIgnoresAccessEpochs => rotation.access_epoch = subject.access_epoch,
            Fault::RotateTakesLaterAccessEpochs => {
                rotation.access_epoch = rotation.access_epoch.min(subject.access_epoch);
            }
            Fault::RepetitionsIgnoreAccessEpochs if rotation.counter < session.counter => {
                rotation.access_epoch = subject.access_epoch;
            }
            Fault::OutdatedIsKept => session.access_epoch = rotation.access_epoch.max(1),
            // Never lowered, as if no time had passed.
            Fault::GraceIgnoresStepsBack => rotation.now = rotation.now.max(session.rotated_at),
            // Lowered, however far the step.
            Fault::AnyStepBackIsGrace if rotation.counter < session.counter => {
                session.rotated_at = session.rotated_at.min(rotation.now);
            }
            _ => {}
        }
        let rotated = session.rotate(&rotation, subject);
        match (self.fault, &rotated) {
            (Fault::IdleIsNotExtended, _) => session.idle_expires_at = before.idle_expires_at,
            (Fault::IdleGoesBeyondTheEnd, _) => session.expires_at = before.expires_at,
            (Fault::LatestAccessIsForgotten, RotationOutcome::Rotated(_)) => {
                session.access_expires_at = rotation.access_expires_at;
            }
            (Fault::GraceSlides, RotationOutcome::WithinGrace(_)) => {
                session.rotated_at = rotation.now;
            }
            (Fault::RepetitionsAreNotCounted, RotationOutcome::WithinGrace(_)) => {
                session.access_expires_at = before.access_expires_at;
            }
            (Fault::LevelIsNotSet, _) => session.acr.clone_from(&before.acr),
            (Fault::AuthenticationTimeStays, _) => {
                session.authenticated_at = before.authenticated_at;
            }
            (Fault::ElevationMarkStays, _) => session.was_elevated |= before.was_elevated,
            (Fault::RotateForgetsTheActor, _) => session.actor = None,
            (Fault::RotateForgetsTheKey, _) => session.key_thumbprint = None,
            (Fault::RotateForgetsPersistence, _) => session.persistent = true,
            (Fault::RotateDropsData, _) => session.data_json = None,
            (Fault::AbsoluteEndIsExtended, _) => {}
            _ => return rotated,
        }
        match rotated {
            RotationOutcome::Rotated(_) => RotationOutcome::Rotated(session.clone()),
            RotationOutcome::WithinGrace(_) if self.has(Fault::GraceSlides) => rotated,
            RotationOutcome::WithinGrace(_) => RotationOutcome::WithinGrace(session.clone()),
            other => other,
        }
    }

    fn write_rotation(&self, state: &mut State, session: Session, rotated: &RotationOutcome) {
        match rotated {
            RotationOutcome::ReuseDetected(before) => {
                if !self.has(Fault::ReplayEndsNothing) {
                    state.sessions.remove(&session.sid);
                }
                if self.has(Fault::ReplayEndsAllOfTheSubject) {
                    self.end_all(state, &session.owner());
                }
                if !self.has(Fault::ReplayRevokesNothing) {
                    state.revoke_session(self.fault, before, before.access_expires_at);
                }
            }
            RotationOutcome::Outdated if !self.has(Fault::OutdatedIsKept) => {}
            RotationOutcome::Rejected(_) => {}
            RotationOutcome::WithinGrace(_) if self.has(Fault::RepetitionsAreNotKept) => {}
            RotationOutcome::Rotated(_) if self.has(Fault::RotationIsNotKept) => {}
            _ => {
                state.sessions.insert(session.sid, session);
            }
        }
    }
}

async fn others_go_first() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

impl RevocationStore for Model {
    type Error = Infallible;

    async fn is_revoked(&self, token: &TokenIdentity<'_>) -> Result<bool, Infallible> {
        let mut state = self.state.lock().unwrap();
        self.prune(&mut state);
        let sid = token.sid.map(|sid| {
            let issuer = match self.fault {
                Fault::EndIgnoresIssuers => None,
                _ => token.issuer,
            };
            state.ended.contains_key(&id(issuer, sid))
        });
        let subject = token.subject.map(|subject| {
            let subject = id(token.issuer, subject);
            let raised = state.raised.get(&subject);
            let blocked = match (self.fault, state.blocked.get(&subject)) {
                (Fault::BlockRevokesOldTokensOnly, Some(generation)) => {
                    raised.is_some() && token.generation < Some(*generation)
                }
                (_, blocked) => blocked.is_some(),
            };
            blocked || raised.is_some_and(|(least, _)| token.generation < Some(*least))
        });
        Ok(sid == Some(true) || subject == Some(true))
    }

    fn peek(&self, _: &TokenIdentity<'_>) -> Option<bool> {
        self.has(Fault::PeekSaysNo).then_some(false)
    }
}

impl SessionStore for Model {
    async fn subject(&self, subject: &Subject<'_>) -> Result<SubjectState, Infallible> {
        let mut state = self.state.lock().unwrap();
        self.prune(&mut state);
        if self.has(Fault::StrangersAreBlocked) && !state.subjects.contains_key(&whose(subject)) {
            return Ok(SubjectState::new(0, true));
        }
        Ok(state.subject(&whose(subject)))
    }

    async fn create(
        &self,
        session: &Session,
        limit: Option<SessionLimit>,
    ) -> Result<CreationOutcome, Infallible> {
        let before = self.state.lock().unwrap().sessions.clone();
        if matches!(
            self.fault,
            Fault::LimitEndsWhatItRead | Fault::LimitCountsWhatItRead
        ) {
            others_go_first().await;
        }
        let subject = self.state.lock().unwrap().subject(&whose(&session.owner()));
        let early = matches!(
            self.fault,
            Fault::CreateIsNotAtomic | Fault::CreateLooksAtBlocksEarly
        );
        if early {
            others_go_first().await;
        }
        let mut state = self.state.lock().unwrap();
        self.prune(&mut state);
        let subject = match early {
            true => subject,
            false => state.subject(&whose(&session.owner())),
        };
        let mut kept = session.clone();
        match self.fault {
            Fault::LabelIsLost => kept.label = None,
            Fault::DataAreLost => kept.data_json = None,
            Fault::DataVersionIsLost => kept.data_version = 0,
            Fault::ClientIsLost => kept.client_id = None,
            Fault::ThumbprintIsLost => kept.key_thumbprint = None,
            Fault::BindingIsLost => kept.access_is_bound = false,
            Fault::LevelIsLost => kept.acr = None,
            Fault::ElevationMarkIsLost => kept.was_elevated = false,
            Fault::ActorIsLost => kept.actor = None,
            Fault::ActorGenerationIsLost => kept.actor_generation = 0,
            Fault::PersistenceIsLost => kept.persistent = true,
            Fault::AuthenticationTimeIsLost => kept.authenticated_at = kept.created_at,
            Fault::FractionIsLost => {
                kept.rotated_at = NumericDate::from_seconds(kept.rotated_at.seconds()).unwrap();
            }
            _ => {}
        }
        if self.has(Fault::LimitComesFirst) {
            self.apply_limit(&mut state, &before, session, limit);
        }
        if self.has(Fault::CreateKeepsWhatItRefuses) {
            state.sessions.insert(session.sid, kept.clone());
        }
        if subject.blocked && !self.has(Fault::CreateIgnoresBlock) {
            return Ok(CreationOutcome::Blocked);
        }
        let fits = match self.fault {
            Fault::CreateIgnoresGeneration => true,
            Fault::CreateTakesLaterGenerations => session.generation >= subject.generation,
            _ => session.generation == subject.generation,
        };
        if !fits && !subject.blocked {
            return Ok(CreationOutcome::LoggedOut);
        }
        let is_current = match self.fault {
            Fault::CreateIgnoresAccessEpochs => true,
            Fault::CreateTakesLaterAccessEpochs => session.access_epoch >= subject.access_epoch,
            _ => session.access_epoch == subject.access_epoch,
        };
        // Other faults let logins of other generations pass.
        if !is_current && session.generation == subject.generation {
            return Ok(CreationOutcome::Outdated);
        }
        let outcome = self.apply_limit(&mut state, &before, session, limit);
        if outcome != CreationOutcome::LimitReached || self.has(Fault::LimitSavesWhatItRejects) {
            state.sessions.insert(session.sid, kept);
        }
        Ok(outcome)
    }

    async fn find(&self, sid: SessionId) -> Result<Option<Session>, Infallible> {
        Ok(self.state.lock().unwrap().sessions.get(&sid).cloned())
    }

    async fn rotate(
        &self,
        sid: SessionId,
        rotation: &Rotation,
    ) -> Result<RotationOutcome, Infallible> {
        let (found, subject) = {
            let state = self.state.lock().unwrap();
            let found = state.sessions.get(&sid).cloned();
            let subject = found
                .as_ref()
                .map(|one| state.subject(&whose(&one.owner())));
            (found, subject.unwrap_or_default())
        };
        let Some(mut session) = found else {
            let nothing_ended = self.state.lock().unwrap().ended.is_empty();
            let is_elevation = rotation.elevation.is_some();
            let revives = self.has(Fault::UnknownIsRenewed)
                || (self.has(Fault::ElevationRevivesTheEnded) && is_elevation);
            if revives && nothing_ended {
                let session = Session::new(sid, &Subject::new(None, ""), 0, rotation.now);
                return Ok(RotationOutcome::Rotated(session));
            }
            return Ok(RotationOutcome::Rejected(RotationRejection::Ended));
        };
        match self.fault {
            // Each looks at what it has read some time ago.
            fault
                if fault == Fault::RotateIsNotAtomic
                    || (fault == Fault::ElevationLosesRenewals && rotation.elevation.is_some()) =>
            {
                others_go_first().await;
                let rotated = self.rotate_session(&mut session, rotation, subject);
                let mut state = self.state.lock().unwrap();
                if state.sessions.contains_key(&sid) {
                    self.write_rotation(&mut state, session, &rotated);
                }
                Ok(rotated)
            }
            // It notices that another has renewed, but not that the session has ended.
            Fault::RotateRevivesAfterRaise | Fault::RotateRevivesAfterBlock => {
                others_go_first().await;
                let mut state = self.state.lock().unwrap();
                if let Some(now) = state.sessions.get(&sid) {
                    session = now.clone();
                }
                let rotated = self.rotate_session(&mut session, rotation, subject);
                self.write_rotation(&mut state, session, &rotated);
                Ok(rotated)
            }
            _ => {
                let mut state = self.state.lock().unwrap();
                let Some(mut session) = state.sessions.get(&sid).cloned() else {
                    return Ok(RotationOutcome::Rejected(RotationRejection::Ended));
                };
                let subject = state.subject(&whose(&session.owner()));
                let rotated = self.rotate_session(&mut session, rotation, subject);
                self.write_rotation(&mut state, session, &rotated);
                if let (RotationOutcome::WithinGrace(_), Fault::RepetitionsAreNotRevoked) =
                    (&rotated, self.fault)
                {
                    // Stored where it is read, and not where it is enforced.
                    let latest = state.sessions.get(&sid).unwrap().clone();
                    state.ended.insert(id(None, "short"), latest.rotated_at);
                }
                Ok(rotated)
            }
        }
    }

    async fn update(
        &self,
        sid: SessionId,
        data_version: u64,
        data_json: Option<&str>,
    ) -> Result<UpdateOutcome, Infallible> {
        let before = self.state.lock().unwrap().sessions.get(&sid).cloned();
        if self.has(Fault::UpdateIsNotAtomic) {
            others_go_first().await;
        }
        let mut state = self.state.lock().unwrap();
        let found = match self.fault {
            Fault::UpdateIsNotAtomic => before,
            _ => state.sessions.get(&sid).cloned(),
        };
        let Some(mut session) = found else {
            if self.has(Fault::UpdateRevivesTheEnded) {
                let session = Session::new(sid, &Subject::new(None, ""), 0, self.now());
                state.sessions.insert(sid, session);
                return Ok(UpdateOutcome::Updated);
            }
            return Ok(UpdateOutcome::Ended);
        };
        let version = match self.fault {
            Fault::UpdateIgnoresVersions => session.data_version,
            Fault::UpdateTakesLaterVersions => data_version.min(session.data_version),
            _ => data_version,
        };
        let updated = session.update_data(version, data_json);
        if self.has(Fault::UpdateKeepsTheVersion) {
            session.data_version = version;
        }
        if !self.has(Fault::UpdateIsNotKept) {
            state.sessions.insert(sid, session);
        }
        Ok(updated)
    }

    async fn end(
        &self,
        sid: SessionId,
        issuer: Option<&str>,
        revoke_until: NumericDate,
    ) -> Result<Option<Session>, Infallible> {
        if self.has(Fault::EndIsNotAtomic) {
            let found = self.state.lock().unwrap().sessions.get(&sid).cloned();
            others_go_first().await;
            let mut state = self.state.lock().unwrap();
            state.sessions.remove(&sid);
            if let Some(session) = &found {
                state.revoke_session(self.fault, session, session.access_expires_at);
            }
            return Ok(found);
        }
        let mut state = self.state.lock().unwrap();
        let Some(session) = state.sessions.get(&sid).cloned() else {
            if self.has(Fault::EndAnswersTwice) && !state.ended.is_empty() {
                let session = Session::new(sid, &Subject::new(None, ""), 0, self.now());
                return Ok(Some(session));
            }
            let until = match self.fault {
                Fault::LostIsRevokedTooShort => {
                    let short = revoke_until.since_epoch() - Duration::from_secs(60);
                    NumericDate::from_since_epoch(short).unwrap()
                }
                _ => revoke_until,
            };
            let of = match self.fault {
                Fault::EndIgnoresIssuers | Fault::LostIsRevokedForAll => None,
                _ => issuer,
            };
            if !self.has(Fault::LostIsNotRevoked) {
                let ended = state.ended.entry(id(of, &sid.to_string()));
                ended.or_insert(until);
            }
            return Ok(None);
        };
        if session.issuer.as_deref() != issuer && !self.has(Fault::EndEndsAnyIssuers) {
            return Ok(None);
        }
        if !self.has(Fault::EndKeepsTheSession) {
            state.sessions.remove(&sid);
        }
        let until = match self.fault {
            Fault::EndRevokesTooShort => {
                let short = session.created_at.since_epoch() + Duration::from_secs(300);
                NumericDate::from_since_epoch(short).unwrap()
            }
            Fault::RepetitionsAreNotRevoked if state.ended.contains_key(&id(None, "short")) => {
                let short = session.rotated_at.since_epoch() + Duration::from_secs(300);
                NumericDate::from_since_epoch(short).unwrap()
            }
            _ => session.access_expires_at,
        };
        if !self.has(Fault::EndRevokesNothing) {
            state.revoke_session(self.fault, &session, until);
        }
        if self.has(Fault::EndEndsAllOfTheSubject) {
            self.end_all(&mut state, &session.owner());
        }
        Ok(Some(session))
    }

    async fn end_others(
        &self,
        sid: SessionId,
        issuer: Option<&str>,
    ) -> Result<Option<Session>, Infallible> {
        let before = self.state.lock().unwrap().clone();
        let loses = matches!(
            self.fault,
            Fault::EndOthersLosesRenewals | Fault::EndOthersLosesLogins
        );
        if loses {
            // It ends those of before, and not those that were renewed or created meanwhile.
            others_go_first().await;
        }
        let mut state = self.state.lock().unwrap();
        let ignores = self.has(Fault::EndOthersIgnoresIssuers);
        let found = state.sessions.get(&sid).cloned();
        let Some(mut kept) = found.filter(|one| ignores || one.issuer.as_deref() == issuer) else {
            if self.has(Fault::EndOthersOfTheEnded) {
                let alice = Subject::new(issuer, "alice");
                self.raise(&mut state, &alice);
            }
            return Ok(None);
        };
        let owner = kept.clone();
        let subject = owner.owner();
        if loses {
            let of = before.sessions.into_values();
            let others: Vec<_> = of
                .filter(|one| one.owner() == subject && one.sid != sid)
                .collect();
            for other in others {
                state.sessions.remove(&other.sid);
                state.revoke_session(self.fault, &other, other.access_expires_at);
            }
            return Ok(Some(kept));
        }
        let known = state.subject(&whose(&subject));
        if self.has(Fault::EndOthersEndsNone) {
            return Ok(Some(kept));
        }
        let revocation = state.raised.get(&whose(&subject)).copied();
        self.raise(&mut state, &subject);
        match self.fault {
            Fault::EndOthersRevokesNothing => {
                state.raised.remove(&whose(&subject));
                state
                    .raised
                    .extend(revocation.map(|one| (whose(&subject), one)));
            }
            Fault::EndOthersLeavesPendingLogins => {
                state.subjects.insert(whose(&subject), known);
            }
            _ => {}
        }
        kept.survive_logout(state.subject(&whose(&subject)));
        if !self.has(Fault::EndOthersEndsAll) {
            state.sessions.insert(sid, kept.clone());
        }
        Ok(Some(kept))
    }

    async fn raise_generation(&self, subject: &Subject<'_>) -> Result<u64, Infallible> {
        if self.has(Fault::RaiseIsNotAtomic) {
            let before = self.state.lock().unwrap().subject(&whose(subject));
            others_go_first().await;
            let mut state = self.state.lock().unwrap();
            state.subjects.insert(whose(subject), before);
            return Ok(self.raise(&mut state, subject));
        }
        Ok(self.raise(&mut self.state.lock().unwrap(), subject))
    }

    async fn raise_access_epoch(&self, subject: &Subject<'_>) -> Result<u64, Infallible> {
        let loses = matches!(
            self.fault,
            Fault::InvalidationLosesRenewals | Fault::InvalidationLosesLogins
        );
        if loses {
            let mut before = self.state.lock().unwrap().clone();
            others_go_first().await;
            let epoch = self.raise_access_epoch(&mut before, subject);
            *self.state.lock().unwrap() = before;
            return Ok(epoch);
        }
        Ok(self.raise_access_epoch(&mut self.state.lock().unwrap(), subject))
    }

    async fn block(&self, subject: &Subject<'_>) -> Result<(), Infallible> {
        let mut state = self.state.lock().unwrap();
        let before = state.subject(&whose(subject));
        if !before.blocked || self.has(Fault::BlockingTwiceRaisesTwice) {
            let mut generation = self.raise(&mut state, subject);
            let known = state.subjects.get_mut(&whose(subject)).unwrap();
            known.blocked = true;
            if self.has(Fault::BlockRaisesNothing) {
                known.generation -= 1;
                known.access_epoch -= 1;
                generation -= 1;
            }
            state.blocked.insert(whose(subject), generation);
        }
        Ok(())
    }

    async fn unblock(&self, subject: &Subject<'_>) -> Result<(), Infallible> {
        let mut state = self.state.lock().unwrap();
        if self.has(Fault::UnblockDoesNothing) {
            return Ok(());
        }
        if let Some(known) = state.subjects.get_mut(&whose(subject))
            && known.blocked
        {
            known.blocked = false;
            if self.has(Fault::UnblockLowersTheGeneration) {
                known.generation -= 1;
            }
        }
        if self.has(Fault::UnblockRevivesTokens) {
            state.raised.remove(&whose(subject));
        }
        if !self.has(Fault::BlockStaysInTheSet) {
            state.blocked.remove(&whose(subject));
        }
        Ok(())
    }

    async fn list(
        &self,
        subject: &Subject<'_>,
        now: NumericDate,
    ) -> Result<Vec<Session>, Infallible> {
        let state = self.state.lock().unwrap();
        let ignores = self.has(Fault::ListIgnoresIssuers);
        let of = |session: &Session| {
            session.owner() == *subject || (ignores && session.subject == subject.name)
        };
        let expired = self.has(Fault::ListHoldsExpired);
        let mut listed: Vec<_> = state
            .sessions
            .values()
            .filter(|session| of(session) && (expired || !session.has_expired(now)))
            .cloned()
            .collect();
        if self.has(Fault::ListHoldsOne) {
            listed.truncate(1);
        }
        Ok(listed)
    }
}

/// What the must says of a store with the fault. A race that is lost is tried again.
async fn breach(must: &'static str, fault: Fault) -> Option<String> {
    for _ in 0..200 {
        let make = move |clock| async move { Model::new(fault, clock) };
        let run = tokio::spawn(session_store_requirement(must, make));
        if let Err(error) = run.await {
            return match error.into_panic().downcast::<String>() {
                Ok(text) => Some(*text),
                Err(other) => resume_unwind(other),
            };
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_right_store_passes() {
    for _ in 0..10 {
        session_store_contract(|clock| async { Model::new(Fault::None, clock) }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_fault_is_found_by_the_must_that_it_breaks() {
    let mut missed = Vec::new();
    for (fault, must) in FAULTS {
        match breach(must, *fault).await {
            Some(text) if text.ends_with(&format!("[{must}]")) => {}
            Some(text) => missed.push(format!("{fault:?}: {text}")),
            None => missed.push(format!("{fault:?}: not found by {must}")),
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn each_must_is_broken_by_a_fault() {
    for must in SESSION_STORE_REQUIREMENTS {
        let broken = FAULTS.iter().any(|(_, broken)| broken == must);
        assert!(broken, "{must}");
    }
}
