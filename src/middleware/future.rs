//! The response future of the services.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::authenticated::Authenticated;
use super::caching::{CacheDirective, forbid_storing};
use super::error::AuthError;
use super::layer_handle::SharedResponder;
use super::respond::Respond;
use super::responder::{Rejected, set_dpop_nonce};
use super::scheme::Scheme;
use crate::dpop::CheckedProof;

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
        /// The store is asked, or keys are fetched.
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

pub(super) type LookUp = Pin<Box<dyn Future<Output = Result<Authenticated, AuthError>> + Send>>;

struct Waiting<S, ReqBody, R> {
    look_up: LookUp,
    ready: S,
    request: Request<ReqBody>,
    responder: SharedResponder<R>,
}

/// What happens to the response of the inner service.
pub(super) struct After<R> {
    responder: SharedResponder<R>,
    caching: CacheDirective,
    /// The proof of the request.
    proof: Option<Box<CheckedProof>>,
}

impl<S, ReqBody, ResBody, R> ResponseFuture<S, ReqBody, ResBody, R>
where
    S: Service<Request<ReqBody>>,
{
    /// Calls `ready`, which was polled ready, after `look_up`.
    pub(super) fn waiting(
        look_up: LookUp,
        ready: S,
        request: Request<ReqBody>,
        responder: SharedResponder<R>,
    ) -> Self {
        let waiting = Some(Box::new(Waiting {
            look_up,
            ready,
            request,
            responder,
        }));
        Self {
            kind: Kind::Waiting { waiting },
        }
    }

    /// `future` is that of the inner service. Its rejections get the response of a responder.
    pub(super) fn inner(future: S::Future, after: After<R>) -> Self {
        let after = Some(after);
        Self {
            kind: Kind::Inner { future, after },
        }
    }

    /// The response stays as the inner service made it.
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
        verdict: Result<Authenticated, AuthError>,
    ) -> Kind<S, S::Future, ReqBody, ResBody, R>
    where
        S: Service<Request<ReqBody>>,
        R: Respond<ResBody>,
    {
        let Self {
            mut ready,
            mut request,
            responder,
            ..
        } = self;
        let mut authenticated = match verdict {
            Ok(authenticated) => authenticated,
            Err(error) => {
                let response = Some(responder.0.reject(&error));
                return Kind::Rejected { response };
            }
        };
        let after = Some(After::new(responder, &mut authenticated));
        authenticated.insert_into(&mut request);
        let future = ready.call(request);
        Kind::Inner { future, after }
    }
}

impl<R> After<R> {
    /// For a request whose token nobody has read.
    pub(super) fn unauthenticated(responder: SharedResponder<R>) -> Self {
        Self {
            responder,
            caching: CacheDirective::None,
            proof: None,
        }
    }

    #[inline]
    pub(super) fn new(responder: SharedResponder<R>, authenticated: &mut Authenticated) -> Self {
        Self {
            responder,
            caching: authenticated.caching.clone(),
            proof: authenticated.proof.take(),
        }
    }

    fn apply<B>(&self, response: Response<B>) -> Response<B>
    where
        R: Respond<B>,
    {
        let mut response = self.apply_to_content(response);
        let nonce = self.proof.as_ref().and_then(|proof| proof.next_nonce());
        if let Some(nonce) = nonce {
            // A cache must not give the nonce to anybody when it has ended (RFC 9449 §8.2).
            forbid_storing(response.headers_mut());
            set_dpop_nonce(response.headers_mut(), nonce);
        }
        response
    }

    fn apply_to_content<B>(&self, mut response: Response<B>) -> Response<B>
    where
        R: Respond<B>,
    {
        if let Some(rejected) = Rejected::take(&mut response) {
            let rejected = match self.proof {
                Some(_) => rejected.under(Scheme::Dpop),
                None => rejected,
            };
            response = self.responder.0.replace(response, &rejected);
            if !matches!(self.caching, CacheDirective::NotStored) {
                return response;
            }
        }
        self.caching.apply(response.headers_mut());
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
