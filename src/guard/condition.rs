//! What closures of the user say.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::verify::{VerifiedToken, VerifyError};

/// Whether a condition holds: `bool`, or a `Result` of one for conditions that can fail.
///
/// A failure is answered with 503: neither yes nor no.
pub trait Outcome: sealed::Sealed {
    #[doc(hidden)]
    fn into_answer(self) -> Result<bool, Fault>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for bool {}
    impl<E> Sealed for Result<bool, E> {}
}

/// What a condition says of a token.
pub(super) type Answer = Result<bool, Fault>;

/// Why a condition has no answer.
#[derive(Debug)]
pub enum Fault {
    /// The claims are not of the type that it looks at: it does not hold.
    Claims(VerifyError),
    /// It failed.
    Failed(Arc<dyn Error + Send + Sync>),
}

impl Outcome for bool {
    fn into_answer(self) -> Result<bool, Fault> {
        Ok(self)
    }
}

impl<E: Error + Send + Sync + 'static> Outcome for Result<bool, E> {
    fn into_answer(self) -> Result<bool, Fault> {
        self.map_err(|error| Fault::Failed(Arc::new(error)))
    }
}

pub(super) type Pending = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A condition that answers at once.
pub(super) type Check = Arc<dyn Fn(&VerifiedToken) -> Answer + Send + Sync>;

/// A condition that has to be waited for.
pub(super) type AsyncCheck = Arc<dyn Fn(&VerifiedToken) -> Pending + Send + Sync>;

pub(super) fn on_claims<T, O>(condition: impl Fn(&T) -> O + Send + Sync + 'static) -> Check
where
    T: DeserializeOwned + Send + Sync + 'static,
    O: Outcome,
{
    Arc::new(move |token| {
        let claims = token.claims::<T>().map_err(Fault::Claims)?;
        condition(&claims).into_answer()
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
            Box::pin(async move { holds.await.into_answer() })
        }
        Err(error) => Box::pin(std::future::ready(Err(Fault::Claims(error)))),
    })
}
