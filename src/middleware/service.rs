//! The service around the inner one.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::authenticator::Authenticator;
use super::future::ResponseFuture;
use super::rejection::{ProblemJson, Respond};
use super::revocation::Verdict;
use crate::revocation::{NoRevocation, RevocationStore};

/// The service that [`JwtAuthLayer`](super::JwtAuthLayer) makes.
pub struct JwtAuth<S, R = ProblemJson, V = NoRevocation> {
    inner: S,
    authenticator: Arc<Authenticator<R, V>>,
}

impl<S, R, V> JwtAuth<S, R, V> {
    pub(super) fn new(inner: S, authenticator: Arc<Authenticator<R, V>>) -> Self {
        Self {
            inner,
            authenticator,
        }
    }
}

impl<S, R, V, ReqBody, ResBody> Service<Request<ReqBody>> for JwtAuth<S, R, V>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    R: Respond<ResBody>,
    V: RevocationStore,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody, ResBody, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let answers = self.authenticator.answers();
        let sender = match self.authenticator.authenticate(&request) {
            Ok(sender) => sender,
            Err(error) => return ResponseFuture::rejected(answers.reject(&error)),
        };
        let verdict = match &sender.token {
            Some(token) => self.authenticator.revocations.peek(token),
            None => Verdict::Counts,
        };
        match (verdict, &sender.token) {
            (Verdict::Refused(error), _) => ResponseFuture::rejected(answers.reject(&error)),
            (Verdict::Unknown, Some(token)) => {
                let (revocations, token) = (self.authenticator.revocations.clone(), token.clone());
                let look_up = async move { revocations.ask(&token).await };
                // The service that was polled ready is the one that is called; its clone never was.
                let clone = self.inner.clone();
                let ready = mem::replace(&mut self.inner, clone);
                let answers = Arc::clone(answers);
                ResponseFuture::waiting(Box::pin(look_up), ready, request, sender, answers)
            }
            (Verdict::Counts | Verdict::Unknown, _) => {
                let known_to_caches = sender.known_to_caches;
                sender.mark(&mut request);
                let answers = Arc::clone(answers);
                ResponseFuture::authenticated(self.inner.call(request), answers, known_to_caches)
            }
        }
    }
}

impl<S: Clone, R, V> Clone for JwtAuth<S, R, V> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            authenticator: Arc::clone(&self.authenticator),
        }
    }
}

impl<S: fmt::Debug, R, V> fmt::Debug for JwtAuth<S, R, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtAuth")
            .field("inner", &self.inner)
            .field("authenticator", &self.authenticator)
            .finish()
    }
}
