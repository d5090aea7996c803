//! The layer, and what its services share.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use tower_layer::Layer;

use super::csrf::{Origin, Rules};
use super::rejection::{AuthError, AuthErrorKind, Challenge, ProblemJson, Respond, finish};
use super::service::JwtAuth;
use super::source::{Found, RequestHead, TokenSource};
use crate::clock::Clock;
use crate::verify::{Trust, VerifiedToken, Verifier};

/// Authenticates every request by a token, and leaves a [`VerifiedToken`] in its extensions.
///
/// See the [module docs](super) for what is answered, and the [crate docs](crate) for a whole service.
///
/// ```
/// use tower_jwt_auth::{JwtAuthLayer, TokenSource};
/// # let keys = tower_jwt_auth::keys::VerifyingKey::hs256([7; 32]).unwrap();
///
/// let layer = JwtAuthLayer::new(keys)
///     .issuer("https://id.example.com").audience("api")
///     .sources([TokenSource::bearer(), TokenSource::cookie("__Host-access")]);
/// ```
pub struct JwtAuthLayer<R = ProblemJson> {
    shared: Arc<Shared<R>>,
}

/// What all services of a layer share.
pub(super) struct Shared<R> {
    verifier: Verifier,
    sources: Vec<TokenSource>,
    optional: bool,
    csrf: Rules,
    challenge: Challenge,
    responder: Arc<R>,
}

impl JwtAuthLayer {
    /// Trusts a key, a [`KeySet`](crate::keys::KeySet), or some [`TrustedIssuer`](crate::TrustedIssuer)s. The token
    /// comes as `Authorization: Bearer`, and is required.
    #[must_use]
    pub fn new(trust: impl Into<Trust>) -> Self {
        Self::with_verifier(Verifier::new(trust))
    }

    /// Uses a verifier made elsewhere.
    #[must_use]
    pub fn with_verifier(verifier: Verifier) -> Self {
        Self {
            shared: Arc::new(Shared {
                verifier,
                sources: vec![TokenSource::bearer()],
                optional: false,
                csrf: Rules::default(),
                challenge: Challenge::default(),
                responder: Arc::new(ProblemJson),
            }),
        }
    }
}

impl<R> JwtAuthLayer<R> {
    fn map(self, change: impl FnOnce(&mut Shared<R>)) -> Self {
        let mut shared = Arc::unwrap_or_clone(self.shared);
        change(&mut shared);
        Self {
            shared: Arc::new(shared),
        }
    }

    fn map_verifier(self, change: impl FnOnce(Verifier) -> Verifier) -> Self {
        let mut shared = Arc::unwrap_or_clone(self.shared);
        shared.verifier = change(shared.verifier);
        Self {
            shared: Arc::new(shared),
        }
    }

    /// As [`Verifier::issuer`].
    ///
    /// # Panics
    ///
    /// As [`Verifier::issuer`].
    #[must_use]
    #[track_caller]
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        self.map_verifier(|verifier| verifier.issuer(issuer))
    }

    /// As [`Verifier::audience`].
    ///
    /// # Panics
    ///
    /// As [`Verifier::audience`].
    #[must_use]
    #[track_caller]
    pub fn audience(self, audience: impl Into<String>) -> Self {
        self.map_verifier(|verifier| verifier.audience(audience))
    }

    /// As [`Verifier::any_audience`].
    #[must_use]
    pub fn any_audience(self) -> Self {
        self.map_verifier(Verifier::any_audience)
    }

    /// As [`Verifier::leeway`]. 30 seconds by default.
    ///
    /// # Panics
    ///
    /// As [`Verifier::leeway`].
    #[must_use]
    #[track_caller]
    pub fn leeway(self, leeway: Duration) -> Self {
        self.map_verifier(|verifier| verifier.leeway(leeway))
    }

    /// As [`Verifier::typ`].
    ///
    /// # Panics
    ///
    /// As [`Verifier::typ`].
    #[must_use]
    #[track_caller]
    pub fn typ(self, typ: impl Into<String>) -> Self {
        self.map_verifier(|verifier| verifier.typ(typ))
    }

    /// As [`Verifier::allow_confirmation`].
    #[must_use]
    pub fn allow_confirmation(self, method: impl Into<String>) -> Self {
        self.map_verifier(|verifier| verifier.allow_confirmation(method))
    }

    /// As [`Verifier::max_token_length`]. 8 KiB by default.
    ///
    /// # Panics
    ///
    /// As [`Verifier::max_token_length`].
    #[must_use]
    #[track_caller]
    pub fn max_token_length(self, bytes: usize) -> Self {
        self.map_verifier(|verifier| verifier.max_token_length(bytes))
    }

    /// As [`Verifier::clock`].
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        self.map_verifier(|verifier| verifier.clock(clock))
    }

    /// Where tokens come from, in order. [`TokenSource::bearer`] alone by default.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    #[track_caller]
    pub fn sources(self, sources: impl IntoIterator<Item = TokenSource>) -> Self {
        let sources: Vec<_> = sources.into_iter().collect();
        assert!(!sources.is_empty(), "no token source");
        self.map(|shared| shared.sources = sources)
    }

    /// Lets a request without a token pass. One with a bad token is still refused: it is no anonymous visitor who sends it.
    ///
    /// A handler tells the two apart by `Option<Claims<T>>`.
    #[must_use]
    pub fn optional(self) -> Self {
        self.map(|shared| shared.optional = true)
    }

    /// Lets pages of `origin` send requests that are authenticated by a cookie. See [`csrf`](super::csrf).
    ///
    /// # Panics
    ///
    /// If it is no [`Origin`]. Parse text from outside first, and hand over the result.
    #[must_use]
    #[track_caller]
    pub fn trusted_origin<O: TryInto<Origin, Error: fmt::Display>>(self, origin: O) -> Self {
        let origin = Origin::expect(origin);
        self.map(|shared| shared.csrf.trust(origin))
    }

    /// The `realm` of challenges (RFC 9110 §11.5). `api` by default.
    ///
    /// # Panics
    ///
    /// If it holds anything but printable ASCII, or a quote or backslash.
    #[must_use]
    #[track_caller]
    pub fn realm(self, realm: impl Into<String>) -> Self {
        let realm = realm.into();
        self.map(|shared| shared.challenge.set_realm(realm))
    }

    /// Where clients find this resource's metadata: `resource_metadata` of challenges (RFC 9728 §5.1). None by default.
    ///
    /// # Panics
    ///
    /// If it holds anything but printable ASCII, or a quote or backslash.
    #[must_use]
    #[track_caller]
    pub fn resource_metadata(self, url: impl Into<String>) -> Self {
        let url = url.into();
        self.map(|shared| shared.challenge.set_resource_metadata(url))
    }

    /// Replaces what answers refused requests, those that an extractor refuses too. [`ProblemJson`] by default.
    #[must_use]
    pub fn respond<R2>(self, responder: R2) -> JwtAuthLayer<R2> {
        let shared = Arc::unwrap_or_clone(self.shared);
        JwtAuthLayer {
            shared: Arc::new(Shared {
                verifier: shared.verifier,
                sources: shared.sources,
                optional: shared.optional,
                csrf: shared.csrf,
                challenge: shared.challenge,
                responder: Arc::new(responder),
            }),
        }
    }
}

/// The layer lets requests without a token pass, and this one had none.
#[derive(Clone, Copy)]
pub(crate) struct Anonymous;

/// How a request may pass.
pub(super) struct Passed {
    pub(super) by_cookie: bool,
}

impl<R> Shared<R> {
    /// Finds the token, verifies it, and leaves it in the extensions. What an outer layer left there does not count:
    /// the nearest layer decides.
    pub(super) fn authenticate<B>(&self, request: &mut Request<B>) -> Result<Passed, AuthError> {
        for source in &self.sources {
            let head = RequestHead::of(request);
            let token = match source.find(head) {
                Found::Nothing => continue,
                Found::Token(token) => token,
                Found::Malformed => return Err(AuthErrorKind::MalformedCredentials.into()),
                Found::Several => return Err(AuthErrorKind::SeveralTokens.into()),
            };
            let by_cookie = source.is_ambient();
            if by_cookie {
                self.csrf.check(head)?;
            }
            let token = self.verifier.verify(&*token)?;
            request.extensions_mut().insert(token);
            return Ok(Passed { by_cookie });
        }
        if !self.optional {
            return Err(AuthErrorKind::MissingToken.into());
        }
        request.extensions_mut().remove::<VerifiedToken>();
        request.extensions_mut().insert(Anonymous);
        Ok(Passed { by_cookie: false })
    }

    pub(super) fn reject<B>(&self, error: &AuthError) -> Response<B>
    where
        R: Respond<B>,
    {
        finish(error, Some(&self.challenge), self.responder.respond(error))
    }
}

impl<R> Clone for Shared<R> {
    fn clone(&self) -> Self {
        Self {
            verifier: self.verifier.clone(),
            sources: self.sources.clone(),
            optional: self.optional,
            csrf: self.csrf.clone(),
            challenge: self.challenge.clone(),
            responder: Arc::clone(&self.responder),
        }
    }
}

impl<R> Clone for JwtAuthLayer<R> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S, R> Layer<S> for JwtAuthLayer<R> {
    type Service = JwtAuth<S, R>;

    fn layer(&self, inner: S) -> JwtAuth<S, R> {
        JwtAuth::new(inner, Arc::clone(&self.shared))
    }
}

impl<R> fmt::Debug for Shared<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtAuthLayer")
            .field("verifier", &self.verifier)
            .field("sources", &self.sources)
            .field("optional", &self.optional)
            .field("csrf", &self.csrf)
            .field("challenge", &self.challenge)
            .finish_non_exhaustive()
    }
}

impl<R> fmt::Debug for JwtAuthLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}
