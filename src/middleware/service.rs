//! The service around the inner one.

use std::fmt;
use std::mem;
#[cfg(feature = "jwks")]
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::authenticator::Halt;
use super::future::ResponseFuture;
use super::handle::{Handle, SharedAnswers};
use super::rejection::{AuthError, ProblemJson, Respond};
use super::revocation::Verdict;
use super::sender::Sender;
use crate::revocation::{NoRevocation, RevocationStore};

/// The service that [`JwtAuthLayer`](super::JwtAuthLayer) makes.
pub struct JwtAuth<S, R = ProblemJson, V = NoRevocation> {
    inner: S,
    layer: Handle<R, V>,
}

impl<S, R, V> JwtAuth<S, R, V> {
    pub(super) fn new(inner: S, layer: Handle<R, V>) -> Self {
        Self { inner, layer }
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
        let authenticator = self.layer.authenticator();
        let answers = authenticator.answers();
        let sender = match authenticator.authenticate(&request) {
            Ok(sender) => sender,
            Err(Halt::Refused(error)) => return ResponseFuture::rejected(answers.reject(&error)),
            #[cfg(feature = "jwks")]
            Err(Halt::Lacking(unverified)) => {
                let verifier = Arc::clone(&authenticator.verifier);
                let revocations = authenticator.revocations.clone();
                return wait(&mut self.inner, self.layer.answers(), request, async move {
                    let sender = unverified.verify(&verifier).await?;
                    if let Some(token) = &sender.token {
                        revocations.check(token).await?;
                    }
                    Ok(sender)
                });
            }
        };
        let verdict = match &sender.token {
            Some(token) => authenticator.revocations.peek(token),
            None => Verdict::Counts,
        };
        match verdict {
            Verdict::Refused(error) => ResponseFuture::rejected(answers.reject(&error)),
            Verdict::Unknown => {
                let revocations = authenticator.revocations.clone();
                wait(&mut self.inner, self.layer.answers(), request, async move {
                    if let Some(token) = &sender.token {
                        revocations.ask(token).await?;
                    }
                    Ok(sender)
                })
            }
            Verdict::Counts => {
                let sharing = sender.sharing.clone();
                sender.mark(&mut request);
                let answers = self.layer.answers();
                ResponseFuture::authenticated(self.inner.call(request), answers, sharing)
            }
        }
    }
}

/// Calls the inner service once `look_up` has said who sent the request.
fn wait<S, R, ReqBody, ResBody>(
    inner: &mut S,
    answers: SharedAnswers<R>,
    request: Request<ReqBody>,
    look_up: impl Future<Output = Result<Sender, AuthError>> + Send + 'static,
) -> ResponseFuture<S, ReqBody, ResBody, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
{
    // The service that was polled ready is the one that is called; its clone never was.
    let clone = inner.clone();
    let ready = mem::replace(inner, clone);
    ResponseFuture::waiting(Box::pin(look_up), ready, request, answers)
}

impl<S: Clone, R, V> Clone for JwtAuth<S, R, V> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            layer: self.layer.clone(),
        }
    }
}

impl<S: fmt::Debug, R, V> fmt::Debug for JwtAuth<S, R, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtAuth")
            .field("inner", &self.inner)
            .field("authenticator", self.layer.authenticator())
            .finish()
    }
}
