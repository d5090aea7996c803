//! The service around the inner one.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::authenticator::Authenticator;
use super::future::ResponseFuture;
use super::rejection::{ProblemJson, Respond};

/// The service that [`JwtAuthLayer`](super::JwtAuthLayer) makes.
pub struct JwtAuth<S, R = ProblemJson> {
    inner: S,
    authenticator: Arc<Authenticator<R>>,
}

impl<S, R> JwtAuth<S, R> {
    pub(super) fn new(inner: S, authenticator: Arc<Authenticator<R>>) -> Self {
        Self {
            inner,
            authenticator,
        }
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for JwtAuth<S, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    R: Respond<ResBody>,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResBody, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        match self.authenticator.authenticate(&mut request) {
            // The inner service that was polled ready is the one that is called.
            Ok(passed) => ResponseFuture::authenticated(
                self.inner.call(request),
                Arc::clone(self.authenticator.answers()),
                passed.by_cookie,
            ),
            Err(error) => ResponseFuture::rejected(self.authenticator.answers().reject(&error)),
        }
    }
}

impl<S: Clone, R> Clone for JwtAuth<S, R> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            authenticator: Arc::clone(&self.authenticator),
        }
    }
}

impl<S: fmt::Debug, R> fmt::Debug for JwtAuth<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtAuth")
            .field("inner", &self.inner)
            .field("authenticator", &self.authenticator)
            .finish()
    }
}
