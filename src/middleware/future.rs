//! The future of the services here.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::caching::Sharing;
use super::handle::SharedAnswers;
use super::rejection::{AuthError, Refused, Respond, replace};
use super::sender::Sender;

pin_project! {
    /// The future of [`JwtAuth`](super::JwtAuth) and [`Csrf`](super::csrf::Csrf).
    pub struct ResponseFuture<S, ReqBody, ResBody, R>
    where
        S: Service<Request<ReqBody>>,
    {
        #[pin]
        kind: Kind<S, S::Future, ReqBody, ResBody, R>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<S, F, ReqBody, ResBody, R> {
        /// The store is being asked, or keys are fetched.
        Waiting {
            waiting: Option<Box<Waiting<S, ReqBody, R>>>,
        },
        Inner {
            #[pin]
            future: F,
            after: Option<After<R>>,
        },
        Rejected {
            response: Option<Response<ResBody>>,
        },
    }
}

pub(super) type LookUp = Pin<Box<dyn Future<Output = Result<Sender, AuthError>> + Send>>;

struct Waiting<S, ReqBody, R> {
    look_up: LookUp,
    ready: S,
    request: Request<ReqBody>,
    answers: SharedAnswers<R>,
}

/// What happens to the response of the inner service.
struct After<R> {
    answers: SharedAnswers<R>,
    sharing: Sharing,
}

impl<S, ReqBody, ResBody, R> ResponseFuture<S, ReqBody, ResBody, R>
where
    S: Service<Request<ReqBody>>,
{
    /// Calls `ready`, which was polled ready, once `look_up` says so.
    pub(super) fn waiting(
        look_up: LookUp,
        ready: S,
        request: Request<ReqBody>,
        answers: SharedAnswers<R>,
    ) -> Self {
        let waiting = Some(Box::new(Waiting {
            look_up,
            ready,
            request,
            answers,
        }));
        Self {
            kind: Kind::Waiting { waiting },
        }
    }

    pub(super) fn authenticated(
        future: S::Future,
        answers: SharedAnswers<R>,
        sharing: Sharing,
    ) -> Self {
        let after = Some(After { answers, sharing });
        Self {
            kind: Kind::Inner { future, after },
        }
    }

    pub(super) fn untouched(future: S::Future) -> Self {
        let after = None;
        Self {
            kind: Kind::Inner { future, after },
        }
    }

    pub(super) fn rejected(response: Response<ResBody>) -> Self {
        let response = Some(response);
        Self {
            kind: Kind::Rejected { response },
        }
    }
}

impl<S, ReqBody, ResBody, R> Future for ResponseFuture<S, ReqBody, ResBody, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    R: Respond<ResBody>,
{
    type Output = Result<Response<ResBody>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut kind = self.project().kind;
        loop {
            match kind.as_mut().project() {
                KindProjection::Waiting { waiting } => {
                    let verdict = match waiting {
                        Some(waiting) => ready!(waiting.look_up.as_mut().poll(cx)),
                        None => polled_after_completion(),
                    };
                    let Some(waiting) = waiting.take() else {
                        polled_after_completion()
                    };
                    kind.set(waiting.resume(verdict));
                }
                KindProjection::Inner { future, after } => {
                    let response = ready!(future.poll(cx))?;
                    return Poll::Ready(Ok(match after {
                        Some(after) => after.apply(response),
                        None => response,
                    }));
                }
                KindProjection::Rejected { response } => {
                    return Poll::Ready(Ok(response
                        .take()
                        .unwrap_or_else(|| polled_after_completion())));
                }
            }
        }
    }
}

#[expect(clippy::panic, reason = "the contract of `Future`")]
fn polled_after_completion() -> ! {
    panic!("polled after completion")
}

impl<S, ReqBody, R> Waiting<S, ReqBody, R> {
    fn resume<ResBody>(
        self,
        verdict: Result<Sender, AuthError>,
    ) -> Kind<S, S::Future, ReqBody, ResBody, R>
    where
        S: Service<Request<ReqBody>>,
        R: Respond<ResBody>,
    {
        let Self {
            mut ready,
            mut request,
            answers,
            ..
        } = self;
        let sender = match verdict {
            Ok(sender) => sender,
            Err(error) => {
                let response = Some(answers.0.reject(&error));
                return Kind::Rejected { response };
            }
        };
        let sharing = sender.sharing.clone();
        sender.mark(&mut request);
        let future = ready.call(request);
        let after = Some(After { answers, sharing });
        Kind::Inner { future, after }
    }
}

impl<R> After<R> {
    fn apply<B>(&self, mut response: Response<B>) -> Response<B>
    where
        R: Respond<B>,
    {
        if let Some(Refused(error)) = response.extensions_mut().remove()
            // A handler that answers otherwise, with 404 say, means it.
            && response.status() == error.status()
        {
            return replace(response, self.answers.0.reject(&error));
        }
        self.sharing.tell(response.headers_mut());
        response
    }
}

impl<S, ReqBody, ResBody, R> fmt::Debug for ResponseFuture<S, ReqBody, ResBody, R>
where
    S: Service<Request<ReqBody>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
