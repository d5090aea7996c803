//! The conditions of a requirement, and how they combine.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use super::authentication::RequiredAuthentication;
use super::claim::RequiredClaim;
use super::condition::{AsyncCheck, Check, ConditionError, ConditionResult};
use super::scopes::Scopes;
use crate::clock::ClockSource;
use crate::middleware::AuthError;
use crate::verify::VerifiedToken;

/// A requirement: one condition, or several.
#[derive(Clone)]
pub(super) enum Condition {
    Scopes(Scopes),
    Issuers(Arc<[Box<str>]>),
    Claim(Arc<RequiredClaim>),
    Authentication(RequiredAuthentication),
    NotImpersonated,
    Check(Check),
    AsyncCheck(AsyncCheck),
    All(Arc<[Condition; 2]>),
    Any(Arc<[Condition; 2]>),
}

impl Condition {
    /// Whether it contains an asynchronous condition.
    pub(super) fn is_async(&self) -> bool {
        match self {
            Self::Scopes(_)
            | Self::Issuers(_)
            | Self::Claim(_)
            | Self::Authentication(_)
            | Self::NotImpersonated
            | Self::Check(_) => false,
            Self::AsyncCheck(_) => true,
            Self::All(conditions) | Self::Any(conditions) => conditions.iter().any(Self::is_async),
        }
    }

    pub(super) fn check(&self, token: &VerifiedToken, clock: &ClockSource) -> ConditionResult {
        match self {
            Self::Scopes(scopes) => Ok(scopes.are_granted_by(token.payload())),
            Self::Issuers(names) => Ok(token
                .issuer()
                .is_some_and(|issuer| names.iter().any(|name| **name == *issuer))),
            Self::Claim(claim) => Ok(claim.is_in(token.payload())),
            Self::Authentication(required) if required.is_met_by(token, clock) => Ok(true),
            Self::Authentication(_) => Err(ConditionError::Authentication),
            Self::NotImpersonated => Ok(matches!(token.actor(), Ok(None))),
            Self::Check(check) => check(token),
            // Unreachable: `is_async` was false.
            Self::AsyncCheck(_) => Ok(false),
            Self::All(conditions) => {
                let [first, second] = &**conditions;
                Ok(first.check(token, clock)? && second.check(token, clock)?)
            }
            Self::Any(conditions) => {
                let [first, second] = &**conditions;
                match first.check(token, clock) {
                    Ok(true) => Ok(true),
                    Err(ConditionError::Failed(reason)) => Err(ConditionError::Failed(reason)),
                    first => second_alternative(&first, second.check(token, clock)),
                }
            }
        }
    }

    pub(super) fn check_async<'a>(
        &'a self,
        token: &'a VerifiedToken,
        clock: &'a ClockSource,
    ) -> Pin<Box<dyn Future<Output = ConditionResult> + Send + 'a>> {
        Box::pin(async move {
            match self {
                Self::AsyncCheck(check) => check(token).await,
                Self::All(conditions) => {
                    let [first, second] = &**conditions;
                    Ok(first.check_async(token, clock).await?
                        && second.check_async(token, clock).await?)
                }
                Self::Any(conditions) => {
                    let [first, second] = &**conditions;
                    match first.check_async(token, clock).await {
                        Ok(true) => Ok(true),
                        Err(ConditionError::Failed(reason)) => Err(ConditionError::Failed(reason)),
                        first => second_alternative(&first, second.check_async(token, clock).await),
                    }
                }
                _ => self.check(token, clock),
            }
        })
    }

    /// The required scopes in order.
    fn scope(&self, names_of: fn(&Scopes) -> &[Box<str>]) -> Option<String> {
        let mut names = Vec::new();
        self.scope_names(names_of, &mut names);
        (!names.is_empty()).then(|| names.join(" "))
    }

    fn scope_names<'a>(
        &'a self,
        names_of: fn(&'a Scopes) -> &'a [Box<str>],
        names: &mut Vec<&'a str>,
    ) {
        match self {
            Self::Scopes(scopes) => {
                for name in names_of(scopes) {
                    if !names.contains(&&**name) {
                        names.push(name);
                    }
                }
            }
            Self::All(conditions) | Self::Any(conditions) => {
                for condition in conditions.iter() {
                    condition.scope_names(names_of, names);
                }
            }
            _ => {}
        }
    }

    /// Whether it requires a value of `acr`.
    pub(super) fn names_acr(&self) -> bool {
        match self {
            Self::Authentication(required) => required.names_acr(),
            Self::All(conditions) | Self::Any(conditions) => conditions.iter().any(Self::names_acr),
            _ => false,
        }
    }

    /// Whether no token can meet it, because `acr` would need two values.
    pub(super) fn is_contradiction(&self) -> bool {
        self.alternatives().is_empty()
    }

    /// What the authentication must be, for each way to meet the requirement.
    fn alternatives(&self) -> Vec<RequiredAuthentication> {
        let mut alternatives = Vec::new();
        let mut add = |alternative| {
            if !alternatives.contains(&alternative) {
                alternatives.push(alternative);
            }
        };
        match self {
            Self::Authentication(required) => add(required.clone()),
            Self::All(conditions) => {
                let [first, second] = &**conditions;
                let second = second.alternatives();
                for alternative in first.alternatives() {
                    let both = second.iter().filter_map(|other| alternative.and(other));
                    both.for_each(&mut add);
                }
            }
            Self::Any(conditions) => {
                let each = conditions.iter().flat_map(Self::alternatives);
                each.for_each(&mut add);
            }
            _ => add(RequiredAuthentication::default()),
        }
        alternatives
    }

    /// The authentication that would meet the requirement, for the client.
    fn authentication(&self) -> RequiredAuthentication {
        let alternatives = self.alternatives();
        let either = alternatives
            .into_iter()
            .reduce(|either, other| either.or(&other));
        either.unwrap_or_default()
    }

    pub(super) fn decision(&self, result: ConditionResult) -> Result<(), AuthError> {
        let insufficient = |reason| {
            let requestable = self.scope(Scopes::requestable);
            AuthError::insufficient_scope(requestable, self.scope(Scopes::names), reason)
        };
        match result {
            Ok(true) => Ok(()),
            Ok(false) => Err(insufficient(None)),
            Err(ConditionError::Claims(error)) => Err(insufficient(Some(error))),
            Err(ConditionError::Authentication) => {
                let required = self.authentication();
                let (acr_values, max_age) = (required.acr_values(), required.max_age());
                Err(AuthError::insufficient_authentication(acr_values, max_age))
            }
            Err(ConditionError::Failed(reason)) => Err(AuthError::unavailable(reason)),
        }
    }
}

/// The result of `or` if the first is not met. If the second is not met either, and a new login
/// could meet the first, the login is asked for. Claims of another type count as not met.
fn second_alternative(first: &ConditionResult, second: ConditionResult) -> ConditionResult {
    match (first, second) {
        (Err(ConditionError::Authentication), Ok(false) | Err(ConditionError::Claims(_))) => {
            Err(ConditionError::Authentication)
        }
        (_, second) => second,
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scopes(scopes) => scopes.fmt(f),
            Self::Issuers(names) => f.debug_tuple("Issuers").field(names).finish(),
            Self::Claim(claim) => claim.fmt(f),
            Self::Authentication(required) => required.fmt(f),
            Self::NotImpersonated => f.write_str("NotImpersonated"),
            Self::Check(_) => f.write_str("Check"),
            Self::AsyncCheck(_) => f.write_str("AsyncCheck"),
            Self::All(conditions) => f.debug_tuple("All").field(conditions).finish(),
            Self::Any(conditions) => f.debug_tuple("Any").field(conditions).finish(),
        }
    }
}
