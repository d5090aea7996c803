//! How and when the user must have authenticated (RFC 9470).

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::builder_error::report;
use crate::claims::NumericDate;
use crate::clock::ClockSource;
use crate::middleware::is_scope_token;
use crate::verify::{VerifiedToken, Verifier};

/// The required claims `acr` and `auth_time`.
#[derive(Clone, Default, PartialEq)]
pub(super) struct RequiredAuthentication {
    /// The accepted values, in order of preference. If empty, `acr` is not checked.
    acr_values: Arc<[Box<str>]>,
    max_age: Option<Duration>,
}

/// A claim of another type is an error, and so is a duplicate.
#[derive(Deserialize)]
struct AuthenticationClaims<'a> {
    #[serde(borrow, default)]
    acr: Option<Cow<'a, str>>,
    #[serde(default)]
    auth_time: Option<NumericDate>,
}

impl RequiredAuthentication {
    /// # Panics
    ///
    /// If there are no values, or a value cannot stand in a list separated by spaces.
    #[track_caller]
    pub(super) fn acr<N: AsRef<str>>(values: impl IntoIterator<Item = N>) -> Self {
        let values: Arc<[Box<str>]> = values
            .into_iter()
            .map(|name| name.as_ref().into())
            .collect();
        if values.is_empty() {
            report("no acr is required");
        }
        if !values.iter().all(|value| is_scope_token(value)) {
            report("an acr is printable ASCII without spaces, quotes and backslashes");
        }
        Self {
            acr_values: values,
            ..Self::default()
        }
    }

    /// # Panics
    ///
    /// If `max_age` is shorter than one second.
    #[track_caller]
    pub(super) fn max_age_of(max_age: Duration) -> Self {
        if max_age.as_secs() == 0 {
            report("the max_age is shorter than one second");
        }
        Self {
            max_age: Some(max_age),
            ..Self::default()
        }
    }

    /// What meets both requirements. `None` if no `acr` does, because a token has only one.
    pub(super) fn and(&self, other: &Self) -> Option<Self> {
        let acr_values = match (&*self.acr_values, &*other.acr_values) {
            ([], _) => Arc::clone(&other.acr_values),
            (_, []) => Arc::clone(&self.acr_values),
            (values, others) => {
                let both = values.iter().filter(|value| others.contains(*value));
                let both: Arc<[_]> = both.cloned().collect();
                if both.is_empty() {
                    return None;
                }
                both
            }
        };
        Some(self.with_values(acr_values, other))
    }

    /// Combines the values, and takes the shorter `max_age`. Such a login meets one of the two.
    pub(super) fn or(&self, other: &Self) -> Self {
        let mut values = self.acr_values.to_vec();
        for value in &*other.acr_values {
            if !values.contains(value) {
                values.push(value.clone());
            }
        }
        self.with_values(values.into(), other)
    }

    fn with_values(&self, acr_values: Arc<[Box<str>]>, other: &Self) -> Self {
        let ages = [self.max_age, other.max_age];
        Self {
            acr_values,
            max_age: ages.into_iter().flatten().min(),
        }
    }

    /// Whether it requires a value of `acr`.
    pub(super) fn names_acr(&self) -> bool {
        !self.acr_values.is_empty()
    }

    /// The values separated by spaces, for the client.
    pub(super) fn acr_values(&self) -> Option<String> {
        (!self.acr_values.is_empty()).then(|| self.acr_values.join(" "))
    }

    pub(super) fn max_age(&self) -> Option<Duration> {
        self.max_age
    }

    pub(super) fn is_met_by(&self, token: &VerifiedToken, clock: &ClockSource) -> bool {
        let Ok(claims) = serde_json::from_str::<AuthenticationClaims<'_>>(token.payload()) else {
            return false;
        };
        let acr_fits = self.acr_values.is_empty()
            || claims
                .acr
                .is_some_and(|acr| self.acr_values.iter().any(|value| **value == acr));
        let is_recent = self.max_age.is_none_or(|max_age| {
            claims
                .auth_time
                .is_some_and(|auth_time| is_recent(auth_time, max_age, clock.since_epoch()))
        });
        acr_fits && is_recent
    }
}

fn is_recent(auth_time: NumericDate, max_age: Duration, now: Duration) -> bool {
    let auth_time = auth_time.since_epoch();
    match now.checked_sub(auth_time) {
        Some(age) => age.as_secs() <= max_age.as_secs(),
        // The issuer's clock is ahead.
        None => auth_time.saturating_sub(now) <= Verifier::DEFAULT_LEEWAY,
    }
}

impl fmt::Debug for RequiredAuthentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authentication")
            .field("acr_values", &self.acr_values)
            .field("max_age", &self.max_age)
            .finish()
    }
}
