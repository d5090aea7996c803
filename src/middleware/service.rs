//! The service around the inner one.

use std::fmt;
use std::mem;
#[cfg(feature = "jwks")]
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::authenticated::Authenticated;
use super::authenticator::NotAuthenticated;
#[cfg(feature = "jwks")]
use super::authenticator::UnverifiedToken;
use super::error::AuthError;
use super::future::{After, ResponseFuture};
use super::layer_handle::{LayerHandle, SharedResponder};
use super::respond::{ProblemJson, Respond};
#[cfg(feature = "jwks")]
use super::revocation::Revocations;
use super::revocation::Verdict;
use crate::revocation::{NoRevocation, RevocationStore};
#[cfg(feature = "jwks")]
use crate::verify::Verifier;

/// The service that [`JwtAuthLayer`](super::JwtAuthLayer) makes.
pub struct JwtAuth<S, R = ProblemJson, V = NoRevocation> {
    inner: S,
    layer: LayerHandle<R, V>,
}

impl<S, R, V> JwtAuth<S, R, V> {
    pub(super) fn new(inner: S, layer: LayerHandle<R, V>) -> Self {
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

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let authenticator = self.layer.authenticator();
        let responder = authenticator.responder();
        let authenticated = match authenticator.authenticate(&request) {
            Ok(authenticated) => authenticated,
            Err(NotAuthenticated::Rejected(error)) => {
                return ResponseFuture::rejected(responder.reject(&error));
            }
            #[cfg(feature = "jwks")]
            Err(NotAuthenticated::KeysRequired(unverified)) => {
                let verifier = Arc::clone(&authenticator.verifier);
                let revocations = authenticator.revocations.clone();
                let verified = verify_later(unverified, verifier, revocations);
                return wait(&mut self.inner, self.layer.responder(), request, verified);
            }
        };
        let verdict = match &authenticated.token {
            Some(token) => authenticator.revocations.peek(token),
            None => Verdict::NotRevoked,
        };
        match verdict {
            Verdict::Rejected(error) => match authenticated.after(Err(error)) {
                Ok(anonymous) => pass(&mut self.inner, self.layer.responder(), request, anonymous),
                Err(error) => ResponseFuture::rejected(responder.reject(&error)),
            },
            Verdict::Pending => {
                let revocations = authenticator.revocations.clone();
                wait(
                    &mut self.inner,
                    self.layer.responder(),
                    request,
                    async move {
                        let look_up = match &authenticated.token {
                            Some(token) => revocations.ask(token).await,
                            None => Ok(()),
                        };
                        authenticated.after(look_up)?.remember_proof().await
                    },
                )
            }
            Verdict::NotRevoked => match authenticated.remember_proof_now() {
                Some(Ok(())) => pass(
                    &mut self.inner,
                    self.layer.responder(),
                    request,
                    authenticated,
                ),
                Some(Err(error)) => {
                    let error = error.under(authenticated.scheme());
                    ResponseFuture::rejected(responder.reject(&error))
                }
                None => wait(
                    &mut self.inner,
                    self.layer.responder(),
                    request,
                    authenticated.remember_proof(),
                ),
            },
        }
    }
}

/// Verifies a token whose keys have to be fetched, or whose issuer has to be asked.
#[cfg(feature = "jwks")]
async fn verify_later<V: RevocationStore>(
    unverified: UnverifiedToken,
    verifier: Arc<Verifier>,
    revocations: Revocations<V>,
) -> Result<Authenticated, AuthError> {
    let authenticated = unverified.verify(&verifier).await?;
    let look_up = match &authenticated.token {
        Some(token) => revocations.check(token).await,
        None => Ok(()),
    };
    authenticated.after(look_up)?.remember_proof().await
}

/// Calls the inner service at once.
#[inline]
fn pass<S, R, ReqBody, ResBody>(
    inner: &mut S,
    responder: SharedResponder<R>,
    mut request: Request<ReqBody>,
    mut authenticated: Authenticated,
) -> ResponseFuture<S, ReqBody, ResBody, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    let after = After::new(responder, &mut authenticated);
    authenticated.insert_into(&mut request);
    ResponseFuture::inner(inner.call(request), after)
}

/// Calls the inner service after `look_up` has accepted the token.
fn wait<S, R, ReqBody, ResBody>(
    inner: &mut S,
    responder: SharedResponder<R>,
    request: Request<ReqBody>,
    look_up: impl Future<Output = Result<Authenticated, AuthError>> + Send + 'static,
) -> ResponseFuture<S, ReqBody, ResBody, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
{
    // Call the service that was polled ready. Its clone was not.
    let clone = inner.clone();
    let ready = mem::replace(inner, clone);
    ResponseFuture::waiting(Box::pin(look_up), ready, request, responder)
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
