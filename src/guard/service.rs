//! The guard as a tower service.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::require::{Decision, Require};
use crate::middleware::{AuthError, reject_without_layer, token_of};

impl<S> Layer<S> for Require {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard {
            inner,
            require: self.clone(),
        }
    }
}

/// The service created by [`Require`].
#[derive(Clone)]
pub struct Guard<S> {
    inner: S,
    require: Require,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Guard<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    ResBody: Default,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = GuardFuture<S, ReqBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let token = token_of(request.extensions());
        let kind = match self.require.authorize(token) {
            Decision::Ready(Ok(())) => Kind::Inner {
                future: self.inner.call(request),
            },
            Decision::Ready(Err(error)) => Kind::Rejected { error: Some(error) },
            Decision::Pending(decision) => {
                // The service that was polled ready must be called. Its clone was not polled.
                let clone = self.inner.clone();
                let ready = mem::replace(&mut self.inner, clone);
                let waiting = Some(Box::new(Waiting {
                    decision,
                    ready,
                    request,
                }));
                Kind::Waiting { waiting }
            }
        };
        GuardFuture { kind }
    }
}

impl<S: fmt::Debug> fmt::Debug for Guard<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("inner", &self.inner)
            .field("require", &self.require)
            .finish()
    }
}

pin_project! {
    /// The future of [`Guard`].
    pub struct GuardFuture<S, ReqBody>
    where
        S: Service<Request<ReqBody>>,
    {
        #[pin]
        kind: Kind<S, S::Future, ReqBody>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<S, F, ReqBody> {
        Waiting {
            waiting: Option<Box<Waiting<S, ReqBody>>>,
        },
        Inner {
            #[pin]
            future: F,
        },
        Rejected {
            error: Option<AuthError>,
        },
    }
}

struct Waiting<S, ReqBody> {
    decision: Pin<Box<dyn Future<Output = Result<(), AuthError>> + Send>>,
    ready: S,
    request: Request<ReqBody>,
}

impl<S, ReqBody, ResBody> Future for GuardFuture<S, ReqBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Default,
{
    type Output = Result<Response<ResBody>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut kind = self.project().kind;
        loop {
            match kind.as_mut().project() {
                KindProjection::Waiting { waiting } => {
                    let outcome = match waiting {
                        Some(waiting) => ready!(waiting.decision.as_mut().poll(cx)),
                        None => polled_after_completion(),
                    };
                    let Some(mut waiting) = waiting.take() else {
                        polled_after_completion()
                    };
                    kind.set(match outcome {
                        Ok(()) => Kind::Inner {
                            future: waiting.ready.call(waiting.request),
                        },
                        Err(error) => Kind::Rejected { error: Some(error) },
                    });
                }
                KindProjection::Inner { future } => return future.poll(cx),
                KindProjection::Rejected { error } => {
                    let Some(error) = error.take() else {
                        polled_after_completion()
                    };
                    return Poll::Ready(Ok(reject_without_layer(error)));
                }
            }
        }
    }
}

#[expect(clippy::panic, reason = "the contract of `Future`")]
fn polled_after_completion() -> ! {
    panic!("polled after completion")
}

impl<S, ReqBody> fmt::Debug for GuardFuture<S, ReqBody>
where
    S: Service<Request<ReqBody>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardFuture").finish_non_exhaustive()
    }
}
