//! The future of the services here.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::CACHE_CONTROL;
use http::{HeaderValue, Response};
use pin_project_lite::pin_project;

use super::rejection::{Answers, Refused, Respond, replace};

pin_project! {
    /// The future of [`JwtAuth`](super::JwtAuth) and [`Csrf`](super::csrf::Csrf).
    pub struct ResponseFuture<F, B, R> {
        #[pin]
        kind: Kind<F, B, R>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<F, B, R> {
        Inner {
            #[pin]
            future: F,
            after: Option<After<R>>,
        },
        Rejected {
            response: Option<Response<B>>,
        },
    }
}

/// What happens to the response of the inner service.
struct After<R> {
    answers: Arc<Answers<R>>,
    by_cookie: bool,
}

impl<F, B, R> ResponseFuture<F, B, R> {
    pub(super) fn authenticated(future: F, answers: Arc<Answers<R>>, by_cookie: bool) -> Self {
        let after = Some(After { answers, by_cookie });
        Self {
            kind: Kind::Inner { future, after },
        }
    }

    pub(super) fn untouched(future: F) -> Self {
        let after = None;
        Self {
            kind: Kind::Inner { future, after },
        }
    }

    pub(super) fn rejected(response: Response<B>) -> Self {
        let response = Some(response);
        Self {
            kind: Kind::Rejected { response },
        }
    }
}

impl<F, B, E, R> Future for ResponseFuture<F, B, R>
where
    F: Future<Output = Result<Response<B>, E>>,
    R: Respond<B>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProjection::Inner { future, after } => {
                let response = ready!(future.poll(cx))?;
                Poll::Ready(Ok(match after {
                    Some(after) => after.apply(response),
                    None => response,
                }))
            }
            KindProjection::Rejected { response } => {
                #[expect(clippy::expect_used, reason = "the contract of `Future`")]
                let response = response.take().expect("polled after completion");
                Poll::Ready(Ok(response))
            }
        }
    }
}

impl<R> After<R> {
    fn apply<B>(&self, mut response: Response<B>) -> Response<B>
    where
        R: Respond<B>,
    {
        if let Some(Refused(error)) = response.extensions_mut().remove() {
            return replace(response, self.answers.reject(&error));
        }
        if self.by_cookie {
            // A shared cache does not know that the answer depends on a cookie.
            response
                .headers_mut()
                .entry(CACHE_CONTROL)
                .or_insert(HeaderValue::from_static("private"));
        }
        response
    }
}

impl<F, B, R> fmt::Debug for ResponseFuture<F, B, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
