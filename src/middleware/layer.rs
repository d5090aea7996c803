//! The layer, and how it is set up.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tower_layer::Layer;

use super::authenticator::Authenticator;
use super::csrf::Origin;
use super::layer_handle::{LayerCopies, LayerCopy, LayerHandle};
use super::respond::ProblemJson;
use super::service::JwtAuth;
use super::source::TokenSource;
use crate::clock::Clock;
use crate::revocation::{FailurePolicy, NoRevocation, RevocationStore};
use crate::verify::{Trust, Verifier};

/// Authenticates every request by a token, and leaves a [`VerifiedToken`](crate::VerifiedToken) in its extensions.
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
pub struct JwtAuthLayer<R = ProblemJson, V = NoRevocation> {
    authenticator: Arc<Authenticator<R, V>>,
    /// Made with the first service of this layer.
    copies: Arc<OnceLock<Arc<LayerCopies<R, V>>>>,
}

impl JwtAuthLayer {
    /// Trusts a key, a [`KeySet`](crate::keys::KeySet) (of a JWKS document: [`KeySet::from_jwks`](crate::keys::KeySet::from_jwks)),
    /// the keys that an issuer publishes (`keys::remote::RemoteKeys`, feature `jwks`), or some
    /// [`TrustedIssuer`](crate::TrustedIssuer)s. The token comes as `Authorization: Bearer`, and is required.
    #[must_use]
    pub fn new(trust: impl Into<Trust>) -> Self {
        Self::with_verifier(Verifier::new(trust))
    }

    /// Uses a verifier made elsewhere.
    #[must_use]
    pub fn with_verifier(verifier: Verifier) -> Self {
        Self::of(Authenticator::new(verifier))
    }
}

impl<R, V> JwtAuthLayer<R, V> {
    fn of(authenticator: Authenticator<R, V>) -> Self {
        Self {
            authenticator: Arc::new(authenticator),
            copies: Arc::default(),
        }
    }

    fn map(self, change: impl FnOnce(&mut Authenticator<R, V>)) -> Self {
        let mut authenticator = Arc::unwrap_or_clone(self.authenticator);
        change(&mut authenticator);
        Self::of(authenticator)
    }

    fn verifier(&self) -> Verifier {
        Verifier::clone(&self.authenticator.verifier)
    }

    fn set_verifier(self, verifier: Verifier) -> Self {
        self.map(|authenticator| authenticator.verifier = Arc::new(verifier))
    }

    /// As [`Verifier::issuer`].
    ///
    /// # Panics
    ///
    /// As [`Verifier::issuer`].
    #[must_use]
    #[track_caller]
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        let verifier = self.verifier().issuer(issuer);
        self.set_verifier(verifier)
    }

    /// As [`Verifier::audience`].
    ///
    /// # Panics
    ///
    /// As [`Verifier::audience`].
    #[must_use]
    #[track_caller]
    pub fn audience(self, audience: impl Into<String>) -> Self {
        let verifier = self.verifier().audience(audience);
        self.set_verifier(verifier)
    }

    /// As [`Verifier::any_audience`].
    #[must_use]
    pub fn any_audience(self) -> Self {
        let verifier = self.verifier().any_audience();
        self.set_verifier(verifier)
    }

    /// As [`Verifier::leeway`]. 30 seconds by default.
    ///
    /// # Panics
    ///
    /// As [`Verifier::leeway`].
    #[must_use]
    #[track_caller]
    pub fn leeway(self, leeway: Duration) -> Self {
        let verifier = self.verifier().leeway(leeway);
        self.set_verifier(verifier)
    }

    /// As [`Verifier::typ`].
    ///
    /// # Panics
    ///
    /// As [`Verifier::typ`].
    #[must_use]
    #[track_caller]
    pub fn typ(self, typ: impl Into<String>) -> Self {
        let verifier = self.verifier().typ(typ);
        self.set_verifier(verifier)
    }

    /// As [`Verifier::allow_confirmation`].
    #[must_use]
    pub fn allow_confirmation(self, method: impl Into<String>) -> Self {
        let verifier = self.verifier().allow_confirmation(method);
        self.set_verifier(verifier)
    }

    /// As [`Verifier::max_token_length`]. 8 KiB by default.
    ///
    /// # Panics
    ///
    /// As [`Verifier::max_token_length`].
    #[must_use]
    #[track_caller]
    pub fn max_token_length(self, bytes: usize) -> Self {
        let verifier = self.verifier().max_token_length(bytes);
        self.set_verifier(verifier)
    }

    /// As [`Verifier::cache`]: remembers verified tokens in `bytes` of memory at most. 16 MiB by default.
    #[must_use]
    pub fn cache(self, bytes: usize) -> Self {
        let verifier = self.verifier().cache(bytes);
        self.set_verifier(verifier)
    }

    /// As [`Verifier::without_cache`]: verifies every token anew.
    #[must_use]
    pub fn without_cache(self) -> Self {
        let verifier = self.verifier().without_cache();
        self.set_verifier(verifier)
    }

    /// As [`Verifier::clock`].
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        let verifier = self.verifier().clock(clock);
        self.set_verifier(verifier)
    }

    /// Where tokens come from, in order: an array of them, or a `Vec`. [`TokenSource::bearer`] alone by default.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    #[track_caller]
    pub fn sources(self, sources: impl IntoIterator<Item = TokenSource>) -> Self {
        let sources: Vec<_> = sources.into_iter().collect();
        assert!(!sources.is_empty(), "no token source");
        self.map(|authenticator| authenticator.set_sources(sources))
    }

    /// Lets a request without a token pass. One with a bad token is still refused: it is no anonymous visitor who sends it.
    ///
    /// A handler tells the two apart by `Option<Claims<T>>`.
    #[must_use]
    pub fn optional(self) -> Self {
        self.map(|authenticator| authenticator.optional = true)
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
        self.map(|authenticator| authenticator.csrf.trust(origin))
    }

    /// The `realm` of challenges (RFC 9110 §11.5). `api` by default.
    ///
    /// # Panics
    ///
    /// If it holds anything but printable ASCII, or a quote or backslash.
    #[must_use]
    #[track_caller]
    pub fn realm(self, realm: impl Into<String>) -> Self {
        self.map(|authenticator| authenticator.challenge().set_realm(realm.into()))
    }

    /// Where clients find this resource's metadata: `resource_metadata` of challenges (RFC 9728 §5.1). None by default.
    ///
    /// # Panics
    ///
    /// If it holds anything but printable ASCII, or a quote or backslash.
    #[must_use]
    #[track_caller]
    pub fn resource_metadata(self, url: impl Into<String>) -> Self {
        self.map(|authenticator| authenticator.challenge().set_resource_metadata(url.into()))
    }

    /// Replaces what answers refused requests, those that an extractor refuses too. [`ProblemJson`] by default.
    #[must_use]
    pub fn respond<R2>(self, responder: R2) -> JwtAuthLayer<R2, V> {
        let authenticator = Arc::unwrap_or_clone(self.authenticator);
        JwtAuthLayer::of(authenticator.with_respond(responder))
    }

    /// Asks `store` about every token that was verified, and answers one that was revoked with 401. See
    /// [`revocation`](crate::revocation).
    ///
    /// From now on a token needs a `jti`, without which it could not be revoked on its own
    /// ([`token_id_optional`](JwtAuthLayer::token_id_optional)).
    ///
    /// Without a store, a token counts until it expires, logged out or not. The layer logs one
    /// warning (feature `tracing`) when it first meets a token with both `sid` and `generation`,
    /// the private claim of [`Sessions`](crate::session::Sessions). A `sid` alone warns of nothing:
    /// OpenID providers write it too. If you mean it, pass
    /// [`NoRevocation`](crate::revocation::NoRevocation).
    ///
    /// A store that has its answer at hand, as one in memory has, is
    /// read on the spot. For any other the request waits, for as long as the
    /// [deadline](JwtAuthLayer::revocation_deadline): on tokio, with its timer enabled as `#[tokio::main]` does.
    #[must_use]
    pub fn revocation<V2: RevocationStore>(self, store: V2) -> JwtAuthLayer<R, V2> {
        let authenticator = Arc::unwrap_or_clone(self.authenticator);
        JwtAuthLayer::of(authenticator.with_revocations(store))
    }
}

impl<R, V: RevocationStore> JwtAuthLayer<R, V> {
    /// How long a request waits for the store. 250 milliseconds by default: longer than a healthy store on the same
    /// network takes.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub fn revocation_deadline(self, deadline: Duration) -> Self {
        assert!(!deadline.is_zero(), "the deadline is zero");
        self.map(|authenticator| authenticator.revocations.deadline = deadline)
    }

    /// What becomes of requests while the store fails. [`FailurePolicy::Reject`] by default.
    #[must_use]
    pub fn revocation_failure(self, policy: FailurePolicy) -> Self {
        self.map(|authenticator| authenticator.revocations.set_policy(policy))
    }

    /// Accepts tokens without `jti`, although a store is set. They can still be revoked by session and by subject.
    #[must_use]
    pub fn token_id_optional(self) -> Self {
        self.map(|authenticator| authenticator.revocations.token_id_optional = true)
    }
}

impl<R, V> Clone for JwtAuthLayer<R, V> {
    fn clone(&self) -> Self {
        Self {
            authenticator: Arc::clone(&self.authenticator),
            copies: Arc::clone(&self.copies),
        }
    }
}

impl<S, R, V> Layer<S> for JwtAuthLayer<R, V> {
    type Service = JwtAuth<S, R, V>;

    /// # Panics
    ///
    /// If keys are fetched from others, and it is not said which audience their tokens must name: whoever gets a token
    /// of that issuer, for whatever service, would be let in. [`any_audience`](JwtAuthLayer::any_audience) allows it.
    #[track_caller]
    fn layer(&self, inner: S) -> JwtAuth<S, R, V> {
        assert!(
            self.authenticator.verifier.names_audience(),
            "keys of other issuers need an audience, or `any_audience`"
        );
        let copies = self
            .copies
            .get_or_init(|| Arc::new(LayerCopy::for_each_thread(&self.authenticator)));
        let handle = LayerHandle::new(&self.authenticator, Arc::clone(copies));
        JwtAuth::new(inner, handle)
    }
}

impl<R, V> fmt::Debug for JwtAuthLayer<R, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JwtAuthLayer")
            .field(&self.authenticator)
            .finish()
    }
}
