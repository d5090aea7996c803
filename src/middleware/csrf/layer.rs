//! The layer that applies the rules to every request.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::origin::Origin;
use super::rules::CsrfRules;
use crate::middleware::authenticated::token_of;
use crate::middleware::future::{After, ResponseFuture};
use crate::middleware::layer_handle::{SharedResponder, shared};
use crate::middleware::respond::{ProblemJson, Respond};
use crate::middleware::responder::Responder;
use crate::middleware::source::RequestHead;

/// Applies the [rules](super) to every request, with or without a token.
///
/// See the [module docs](super) for an example.
pub struct CsrfLayer<R = ProblemJson> {
    rules: Arc<CsrfRules>,
    responder: SharedResponder<R>,
}

impl CsrfLayer {
    /// A layer that trusts no other origin.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Default for CsrfLayer {
    fn default() -> Self {
        Self {
            rules: Arc::default(),
            responder: shared(Responder::default()),
        }
    }
}

impl<R> CsrfLayer<R> {
    #[cfg(feature = "axum")]
    pub(crate) fn with_rules(rules: CsrfRules, responder: Responder<R>) -> Self {
        Self {
            rules: Arc::new(rules),
            responder: shared(responder),
        }
    }

    /// Allows pages of `origin` to send requests.
    ///
    /// # Panics
    ///
    /// If `origin` is not an [`Origin`]. Parse configured or untrusted text into an [`Origin`]
    /// first.
    #[must_use]
    #[track_caller]
    pub fn trusted_origin<O: TryInto<Origin, Error: fmt::Display>>(mut self, origin: O) -> Self {
        Arc::make_mut(&mut self.rules).trust(Origin::expect(origin));
        self
    }

    /// Allows pages of every origin for which `is_trusted` returns true, besides those of
    /// [`trusted_origin`](CsrfLayer::trusted_origin). May be called more than once.
    ///
    /// You need it for preview deployments, and for tenants that are added at run time. The closure
    /// runs during the request, so look origins up in memory.
    ///
    /// Compare the [scheme](Origin::scheme), and the whole [host](Origin::host) or an ending that
    /// begins with a dot. The closure is not called for `null`, or for text that is no [`Origin`].
    ///
    /// ```
    /// use tower_jwt_auth::csrf::{CsrfLayer, Origin};
    ///
    /// let layer = CsrfLayer::new().trusted_origins_by(|origin: &Origin| {
    ///     origin.scheme() == "https" && origin.host().ends_with(".preview.example.com")
    /// });
    /// ```
    #[must_use]
    pub fn trusted_origins_by(
        mut self,
        is_trusted: impl Fn(&Origin) -> bool + Send + Sync + 'static,
    ) -> Self {
        Arc::make_mut(&mut self.rules).trust_by(is_trusted);
        self
    }

    /// Allows a request without an origin if it has a token in `Authorization`, with the scheme
    /// `Bearer` or `DPoP`. Off by default.
    ///
    /// You need it for routes that both browsers and other clients call. The request must have no
    /// `Cookie`, no `Origin` and no `Sec-Fetch-Site`: browsers send at least one of them. `Basic`
    /// and `Negotiate` exempt nothing, because browsers send these credentials on their own.
    ///
    /// The layer does not verify the token. Use it only where another layer verifies it, or where
    /// the route needs no token.
    #[must_use]
    pub fn exempt_authorization(mut self) -> Self {
        Arc::make_mut(&mut self.rules).exempt_authorization();
        self
    }

    /// Sets the responses to rejected requests. [`ProblemJson`] by default.
    ///
    /// This includes errors that a handler inside returns, such as `SessionError`. If a
    /// [`JwtAuthLayer`](crate::JwtAuthLayer) wraps this layer, the `JwtAuthLayer` responds to those
    /// errors instead.
    #[must_use]
    pub fn respond<R2>(self, responder: R2) -> CsrfLayer<R2> {
        CsrfLayer {
            rules: self.rules,
            responder: shared(self.responder.0.with_respond(responder)),
        }
    }
}

impl<R> Clone for CsrfLayer<R> {
    fn clone(&self) -> Self {
        Self {
            rules: Arc::clone(&self.rules),
            responder: Arc::clone(&self.responder),
        }
    }
}

impl<R> fmt::Debug for CsrfLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsrfLayer")
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

impl<S, R> Layer<S> for CsrfLayer<R> {
    type Service = Csrf<S, R>;

    fn layer(&self, inner: S) -> Csrf<S, R> {
        Csrf {
            inner,
            layer: self.clone(),
        }
    }
}

/// The service that [`CsrfLayer`] makes.
pub struct Csrf<S, R = ProblemJson> {
    inner: S,
    layer: CsrfLayer<R>,
}

impl<S: Clone, R> Clone for Csrf<S, R> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            layer: self.layer.clone(),
        }
    }
}

impl<S: fmt::Debug, R> fmt::Debug for Csrf<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Csrf")
            .field("inner", &self.inner)
            .field("layer", &self.layer)
            .finish()
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for Csrf<S, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    R: Respond<ResBody>,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody, ResBody, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        if let Err(error) = self.layer.rules.check(RequestHead::of(&request)) {
            return ResponseFuture::rejected(self.layer.responder.0.reject(&error));
        }
        // An outer layer, which authenticates, responds to rejections.
        let is_inner = token_of(request.extensions()).is_ok();
        let future = self.inner.call(request);
        if is_inner {
            return ResponseFuture::untouched(future);
        }
        let responder = Arc::clone(&self.layer.responder);
        ResponseFuture::inner(future, After::unauthenticated(responder))
    }
}
