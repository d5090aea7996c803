//! Conditions: the user's closures on claims.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::verify::{VerifiedToken, VerifyError};

/// The result of a condition: `bool`, or `Result<bool, E>` for a condition that can fail.
///
/// If the condition returns an error, the response is 503.
pub trait Outcome: sealed::Sealed {
    #[doc(hidden)]
    fn into_result(self) -> Result<bool, ConditionError>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for bool {}
    impl<E> Sealed for Result<bool, E> {}
}

/// Whether a token meets a condition.
pub(super) type ConditionResult = Result<bool, ConditionError>;

/// Why a condition cannot be evaluated.
#[derive(Debug)]
pub enum ConditionError {
    /// The claims do not deserialise to the condition's type. The condition is not met.
    Claims(VerifyError),
    /// The user has to authenticate again, or in another way (RFC 9470).
    Authentication,
    /// The condition returned an error or timed out.
    Failed(Arc<dyn Error + Send + Sync>),
}

impl Outcome for bool {
    fn into_result(self) -> Result<bool, ConditionError> {
        Ok(self)
    }
}

impl<E: Error + Send + Sync + 'static> Outcome for Result<bool, E> {
    fn into_result(self) -> Result<bool, ConditionError> {
        self.map_err(|error| ConditionError::Failed(Arc::new(error)))
    }
}

pub(super) type ConditionFuture = Pin<Box<dyn Future<Output = ConditionResult> + Send>>;

/// A synchronous condition.
pub(super) type Check = Arc<dyn Fn(&VerifiedToken) -> ConditionResult + Send + Sync>;

/// An asynchronous condition.
pub(super) type AsyncCheck = Arc<dyn Fn(&VerifiedToken) -> ConditionFuture + Send + Sync>;

pub(super) fn on_claims<T, O>(condition: impl Fn(&T) -> O + Send + Sync + 'static) -> Check
where
    T: DeserializeOwned + Send + Sync + 'static,
    O: Outcome,
{
    Arc::new(move |token| {
        let claims = token.claims::<T>().map_err(ConditionError::Claims)?;
        condition(&claims).into_result()
    })
}

pub(super) fn on_claims_async<T, F, O>(
    condition: impl Fn(Arc<T>) -> F + Send + Sync + 'static,
) -> AsyncCheck
where
    T: DeserializeOwned + Send + Sync + 'static,
    F: Future<Output = O> + Send + 'static,
    O: Outcome,
{
    Arc::new(move |token| match token.claims::<T>() {
        Ok(claims) => {
            let holds = condition(claims);
            Box::pin(async move { holds.await.into_result() })
        }
        Err(error) => Box::pin(std::future::ready(Err(ConditionError::Claims(error)))),
    })
}

/// Why an asynchronous condition was not evaluated.
#[derive(Clone, Copy, Debug)]
pub(super) enum AsyncConditionError {
    TimedOut,
    NoRuntime,
}

impl fmt::Display for AsyncConditionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "the condition did not finish within the deadline",
            Self::NoRuntime => "there is no tokio runtime to enforce the deadline",
        })
    }
}

impl Error for AsyncConditionError {}
