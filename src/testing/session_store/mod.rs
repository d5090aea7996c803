//! The contract of [`SessionStore`], as tests for any implementation.

mod concurrency;
mod creation;
mod data;
mod elevation;
mod ending;
mod fixture;
mod invalidation;
mod limit;
mod others;
mod rotation;
mod subjects;

use std::sync::Arc;

use self::fixture::{ContractTest, START};
use crate::clock::ManualClock;
use crate::session::SessionStore;

/// Checks that a store implements the contract of [`SessionStore`].
///
/// Call it in a multi-threaded tokio runtime. On one thread it finds fewer concurrency errors.
///
/// `make` creates an empty store that uses the given clock. It is called once for each requirement.
///
/// ```
/// # use tower_jwt_auth::{clock::ManualClock, session::SessionStore};
/// use tower_jwt_auth::testing::session_store_contract;
///
/// async fn keeps_the_contract<S: SessionStore>(make: impl AsyncFn(ManualClock) -> S) {
///     session_store_contract(|clock| make(clock)).await;
/// }
/// ```
///
/// # Panics
///
/// If the store violates the contract. The message describes the requirement and contains its name.
pub async fn session_store_contract<S, A>(make: impl Fn(ManualClock) -> A)
where
    S: SessionStore,
    A: Future<Output = S>,
{
    for requirement in SESSION_STORE_REQUIREMENTS {
        session_store_requirement(requirement, &make).await;
    }
}

macro_rules! requirements {
    ($($requirement:ident,)*) => {
        /// The names of the requirements, for [`session_store_requirement`].
        #[doc(hidden)]
        pub const SESSION_STORE_REQUIREMENTS: &[&str] = &[$(stringify!($requirement),)*];

        /// Checks one requirement. The suite's own tests use this to show that each requirement can
        /// fail.
        #[doc(hidden)]
        pub async fn session_store_requirement<S, A>(
            requirement: &str,
            make: impl Fn(ManualClock) -> A,
        ) where
            S: SessionStore,
            A: Future<Output = S>,
        {
            let clock = ManualClock::at(START);
            let store = Arc::new(make(clock.clone()).await);
            match requirement {
                $(stringify!($requirement) => {
                    let requirement = stringify!($requirement);
                    ContractTest { store, clock, requirement }.$requirement().await;
                })*
                _ => panic!("unknown requirement"),
            }
        }
    };
}

requirements! {
    an_unknown_subject_is_not_blocked_and_of_generation_0,
    a_session_that_was_created_is_found_as_it_was,
    a_blocked_subject_gets_no_session,
    a_login_that_began_before_a_logout_everywhere_gets_no_session,
    the_current_token_renews,
    the_absolute_end_is_never_extended,
    the_previous_token_is_valid_within_the_grace,
    the_grace_does_not_slide,
    a_clock_that_steps_back_does_not_lengthen_the_grace,
    the_previous_token_ends_the_session_after_the_grace,
    an_older_token_ends_the_session_within_the_grace,
    a_token_ahead_of_the_store_is_accepted,
    an_expired_session_is_not_renewed,
    an_unknown_session_is_not_renewed,
    an_ended_session_is_gone,
    ending_twice_changes_nothing,
    ending_one_session_leaves_the_others,
    a_session_of_another_issuer_is_not_ended,
    ending_a_lost_session_revokes_its_tokens,
    ending_a_lost_session_leaves_other_tokens,
    ending_revokes_the_tokens_of_its_issuer_alone,
    ending_revokes_until_the_latest_access_token_is_dead,
    a_repeated_renewal_extends_the_revocation,
    a_logout_everywhere_ends_everything_before,
    a_logout_everywhere_revokes_until_the_latest_access_token_is_dead,
    a_logout_everywhere_leaves_others,
    a_login_after_a_logout_everywhere_works,
    a_block_ends_everything_before,
    a_block_outlives_everything,
    blocking_twice_changes_nothing,
    lifting_a_block_revives_nothing,
    a_login_after_a_block_works,
    a_generation_is_never_forgotten,
    the_tokens_of_an_expired_session_can_be_revoked,
    a_list_holds_the_live_sessions_of_one_subject,
    an_elevation_sets_the_level_and_the_time,
    the_token_from_before_an_elevation_has_no_grace,
    an_elevation_of_another_counter_is_outdated,
    the_token_of_an_elevation_has_the_grace,
    an_elevation_needs_a_live_session,
    a_change_of_data_is_kept_with_the_next_version,
    a_change_of_older_data_is_refused,
    the_data_of_an_ended_session_cannot_change,
    the_data_survive_renewals,
    a_renewal_with_claims_of_older_data_is_outdated,
    an_invalidation_ends_access_tokens_and_no_session,
    an_invalidation_revokes_until_the_latest_access_token_is_dead,
    an_invalidation_leaves_others,
    a_renewal_from_before_an_invalidation_is_outdated,
    a_login_from_before_an_invalidation_is_outdated,
    a_logout_everywhere_after_an_invalidation_ends_everything,
    an_access_epoch_is_never_forgotten,
    ending_the_others_leaves_one_session,
    only_a_live_session_of_the_issuer_ends_the_others,
    a_login_beyond_the_limit_ends_the_least_recently_refreshed,
    a_login_beyond_the_limit_is_rejected,
    the_limit_counts_the_live_sessions_of_one_subject,
    a_login_that_is_rejected_ends_no_session,
    the_limit_revokes_until_the_latest_access_token_is_dead,
    of_many_renewals_at_once_one_renews,
    an_elevation_wins_against_renewals_at_the_same_time,
    of_many_logins_at_once_the_limit_remains,
    of_many_logins_at_once_the_limit_passes,
    of_many_changes_of_data_at_once_none_is_lost,
    an_invalidation_wins_against_renewals_at_the_same_time,
    an_invalidation_wins_against_logins_at_the_same_time,
    an_end_wins_against_renewals_at_the_same_time,
    a_logout_everywhere_wins_against_renewals_at_the_same_time,
    a_block_wins_against_renewals_at_the_same_time,
    ending_the_others_wins_against_renewals_at_the_same_time,
    ending_the_others_wins_against_logins_at_the_same_time,
    a_logout_everywhere_wins_against_logins_at_the_same_time,
    a_block_wins_against_logins_at_the_same_time,
    generations_raised_at_the_same_time_are_distinct,
}
