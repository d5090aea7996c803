//! The layer and its settings.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tower_layer::Layer;

use super::authenticator::Authenticator;
use super::csrf::Origin;
#[cfg(feature = "axum")]
use super::csrf::rules::CsrfRules;
use super::layer_handle::{LayerCopies, LayerCopy, LayerHandle};
use super::respond::ProblemJson;
#[cfg(feature = "axum")]
use super::responder::Responder;
use super::service::JwtAuth;
use super::source::TokenSource;
use super::token_fault::{TokenFault, TokenFaults};
use crate::clock::Clock;
use crate::mtls::Mtls;
use crate::revocation::{FailurePolicy, NoRevocation, RevocationStore};
use crate::verify::{IntoTrust, Verifier};

/// Authenticates every request by a JSON Web Token.
///
/// It inserts a [`VerifiedToken`](crate::VerifiedToken) into the request's extensions, or rejects
/// the request. The [module docs](super) list the responses. The [crate docs](crate) show a whole
/// service.
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
    /// Requires a token in `Authorization: Bearer`, signed by a trusted key.
    ///
    /// `trust` is one of:
    ///
    /// - a [`VerifyingKey`](crate::keys::VerifyingKey);
    /// - a [`KeySet`](crate::keys::KeySet), such as that of a JWKS document
    ///   ([`KeySet::from_jwks`](crate::keys::KeySet::from_jwks));
    /// - the keys that an issuer publishes (`keys::remote::RemoteKeys`, feature `jwks`);
    /// - [`TrustedIssuer`](crate::TrustedIssuer)s;
    /// - an issuer of opaque tokens (`introspection::Introspection`, feature `introspection`).
    #[must_use]
    #[track_caller]
    pub fn new(trust: impl IntoTrust) -> Self {
        Self::with_verifier(Verifier::new(trust))
    }

    /// Uses a verifier that you configured.
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

    pub(super) fn map(self, change: impl FnOnce(&mut Authenticator<R, V>)) -> Self {
        let mut authenticator = Arc::unwrap_or_clone(self.authenticator);
        change(&mut authenticator);
        Self::of(authenticator)
    }

    pub(super) fn verifier(&self) -> Verifier {
        Verifier::clone(&self.authenticator.verifier)
    }

    pub(super) fn set_verifier(self, verifier: Verifier) -> Self {
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

    /// As [`Verifier::rfc9068`]: requires an access token that conforms to RFC 9068.
    ///
    /// # Panics
    ///
    /// As [`Verifier::rfc9068`].
    #[must_use]
    #[track_caller]
    pub fn rfc9068(self) -> Self {
        let verifier = self.verifier().rfc9068();
        self.set_verifier(verifier)
    }

    /// As [`Verifier::allow_null_claims`], which panics for several `TrustedIssuer`s or an
    /// `IssuerResolution`.
    #[must_use]
    #[track_caller]
    pub fn allow_null_claims(self) -> Self {
        let verifier = self.verifier().allow_null_claims();
        self.set_verifier(verifier)
    }

    /// As [`Verifier::allow_integer_subject`], which panics for several `TrustedIssuer`s or an
    /// `IssuerResolution`. `1` and `"1"` are then the same subject.
    #[must_use]
    #[track_caller]
    pub fn allow_integer_subject(self) -> Self {
        let verifier = self.verifier().allow_integer_subject();
        self.set_verifier(verifier)
    }

    /// As [`Verifier::allow_missing_expiry`], which panics for several `TrustedIssuer`s, an
    /// `IssuerResolution` or a `max_age` of zero.
    #[must_use]
    #[track_caller]
    pub fn allow_missing_expiry(self, max_age: Duration) -> Self {
        let verifier = self.verifier().allow_missing_expiry(max_age);
        self.set_verifier(verifier)
    }

    /// As [`Verifier::allow_padding`], which panics for several `TrustedIssuer`s or an
    /// `IssuerResolution`.
    #[must_use]
    #[track_caller]
    pub fn allow_padding(self) -> Self {
        let verifier = self.verifier().allow_padding();
        self.set_verifier(verifier)
    }

    /// As [`Verifier::allow_confirmation`].
    #[must_use]
    pub fn allow_confirmation(self, method: impl Into<String>) -> Self {
        let verifier = self.verifier().allow_confirmation(method);
        self.set_verifier(verifier)
    }

    /// Accepts tokens that are bound to a certificate (RFC 8705 §3.1), and checks that the client
    /// has it. Other tokens stay accepted. See [`mtls`](crate::mtls).
    #[must_use]
    pub fn mtls(self, mtls: Mtls) -> Self {
        let verifier = self.verifier().with_checked_certificates();
        self.set_verifier(verifier)
            .map(|authenticator| authenticator.mtls = Some(Arc::new(mtls)))
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

    /// As [`Verifier::cache`]: the memory of the token cache, in bytes. 16 MiB by default.
    #[must_use]
    pub fn cache(self, bytes: usize) -> Self {
        let verifier = self.verifier().cache(bytes);
        self.set_verifier(verifier)
    }

    /// As [`Verifier::without_cache`]: turns the token cache off.
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

    /// Sets where tokens come from, in order. [`TokenSource::bearer`] alone by default.
    ///
    /// # Panics
    ///
    /// If `sources` is empty.
    #[must_use]
    #[track_caller]
    pub fn sources(self, sources: impl IntoIterator<Item = TokenSource>) -> Self {
        let sources: Vec<_> = sources.into_iter().collect();
        assert!(!sources.is_empty(), "no token source");
        self.map(|authenticator| authenticator.set_sources(sources))
    }

    /// Adds a source that is asked after the others.
    #[must_use]
    pub fn source(self, source: TokenSource) -> Self {
        self.map(|authenticator| authenticator.add_source(source))
    }

    /// Lets a request without a token pass. A request with a bad token is still rejected.
    ///
    /// A handler uses `Option<Claims<T>>`: `None` without a token.
    #[must_use]
    pub fn optional(self) -> Self {
        self.map(|authenticator| authenticator.optional = true)
    }

    /// Treats a token with one of these faults as missing: the request is anonymous. Also lets
    /// requests without a token pass, as [`optional`](JwtAuthLayer::optional).
    ///
    /// You need it for pages that everybody may see, above all the login page: a browser keeps
    /// sending a cookie that was revoked. The [module docs](super#public-pages) say when it
    /// applies.
    ///
    /// # Panics
    ///
    /// If `faults` is empty.
    #[must_use]
    #[track_caller]
    pub fn anonymous_if(self, faults: impl IntoIterator<Item = TokenFault>) -> Self {
        let faults: TokenFaults = faults.into_iter().collect();
        assert!(!faults.is_empty(), "no fault of a token is named");
        self.map(|authenticator| {
            authenticator.optional = true;
            authenticator.ignored_faults = faults;
        })
    }

    /// Allows pages of `origin` to send requests with a token in a cookie. See
    /// [`csrf`](super::csrf).
    ///
    /// # Panics
    ///
    /// If `origin` is not an [`Origin`]. Parse configured or untrusted text into an [`Origin`]
    /// first.
    #[must_use]
    #[track_caller]
    pub fn trusted_origin<O: TryInto<Origin, Error: fmt::Display>>(self, origin: O) -> Self {
        let origin = Origin::expect(origin);
        self.map(|authenticator| authenticator.csrf.trust(origin))
    }

    /// Allows pages of every origin for which `is_trusted` returns true, besides those of
    /// [`trusted_origin`](JwtAuthLayer::trusted_origin). May be called more than once.
    ///
    /// You need it for preview deployments, and for tenants that are added at run time. The closure
    /// runs during the request, so look origins up in memory.
    ///
    /// Compare the [scheme](Origin::scheme), and the whole [host](Origin::host) or an ending that
    /// begins with a dot. The closure is not called for `null`, or for text that is no [`Origin`].
    #[must_use]
    pub fn trusted_origins_by(
        self,
        is_trusted: impl Fn(&Origin) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.map(|authenticator| authenticator.csrf.trust_by(is_trusted))
    }

    /// Replaces the trusted origins.
    #[cfg(feature = "axum")]
    pub(crate) fn csrf_rules(self, rules: CsrfRules) -> Self {
        self.map(|authenticator| authenticator.csrf = rules)
    }

    /// Replaces the responder and its challenge.
    #[cfg(feature = "axum")]
    pub(crate) fn with_responder<R2>(self, responder: Responder<R2>) -> JwtAuthLayer<R2, V> {
        let authenticator = Arc::unwrap_or_clone(self.authenticator);
        JwtAuthLayer::of(authenticator.with_responder(responder))
    }

    /// Sets the `realm` of challenges (RFC 9110 §11.5). `api` by default.
    ///
    /// # Panics
    ///
    /// If `realm` has a quote, a backslash, or anything but printable ASCII.
    #[must_use]
    #[track_caller]
    pub fn realm(self, realm: impl Into<String>) -> Self {
        self.map(|authenticator| authenticator.challenge().set_realm(realm.into()))
    }

    /// Sets the responses to rejected requests. [`ProblemJson`] by default.
    ///
    /// This includes rejections by extractors and guards, and errors that a handler returns:
    /// [`AuthError`](super::AuthError), `SessionError` and `CookieError`.
    #[must_use]
    pub fn respond<R2>(self, responder: R2) -> JwtAuthLayer<R2, V> {
        let authenticator = Arc::unwrap_or_clone(self.authenticator);
        JwtAuthLayer::of(authenticator.with_respond(responder))
    }

    /// Looks up every verified token in `store`, and rejects a revoked one with 401. See
    /// [`revocation`](crate::revocation).
    ///
    /// A token then needs a `jti`: without it, a single token cannot be revoked.
    /// [`token_id_optional`](JwtAuthLayer::token_id_optional) lifts this rule.
    ///
    /// Without a store, a token stays valid until it expires, even after a logout. The layer logs
    /// one warning about this (feature `tracing`), for the first token with both `sid` and
    /// `generation`. Only tokens of [`Sessions`](crate::session::Sessions) have both. To accept
    /// this risk without the warning, pass [`NoRevocation`](crate::revocation::NoRevocation). Like
    /// any store, it makes the layer require a `jti`.
    ///
    /// A store in memory answers without waiting. For any other store the request waits for the
    /// answer, at most until the [deadline](JwtAuthLayer::revocation_deadline). That needs a tokio
    /// runtime with its timer enabled.
    #[must_use]
    pub fn revocation<V2: RevocationStore>(self, store: V2) -> JwtAuthLayer<R, V2> {
        let authenticator = Arc::unwrap_or_clone(self.authenticator);
        JwtAuthLayer::of(authenticator.with_revocations(store))
    }
}

impl<R, V: RevocationStore> JwtAuthLayer<R, V> {
    /// Sets how long a request waits for the store. 250 milliseconds by default: more than a
    /// healthy store on the same network needs.
    ///
    /// # Panics
    ///
    /// If `deadline` is zero.
    #[must_use]
    #[track_caller]
    pub fn revocation_deadline(self, deadline: Duration) -> Self {
        assert!(!deadline.is_zero(), "the deadline is zero");
        self.map(|authenticator| authenticator.revocations.deadline = deadline)
    }

    /// Sets what happens to requests while the store fails. [`FailurePolicy::Reject`] by default.
    #[must_use]
    pub fn revocation_failure(self, policy: FailurePolicy) -> Self {
        self.map(|authenticator| authenticator.revocations.set_policy(policy))
    }

    /// Accepts tokens without `jti` although a store is set. They can be revoked by session and by
    /// subject only.
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
    /// - If no audience is configured for an issuer whose keys are fetched, or which is asked about
    ///   tokens. Every token with an `aud` would be rejected, and a token without one could be for
    ///   any service. Call [`audience`](JwtAuthLayer::audience) or
    ///   [`any_audience`](JwtAuthLayer::any_audience), here or on each such
    ///   [`TrustedIssuer`](crate::TrustedIssuer::audience).
    /// - If a source is [`TokenSource::dpop`] and
    ///   [`allow_confirmation`](JwtAuthLayer::allow_confirmation) names `jkt`: bound tokens would
    ///   pass without a proof.
    /// - If [`mtls`](JwtAuthLayer::mtls) is set and
    ///   [`allow_confirmation`](JwtAuthLayer::allow_confirmation) names `x5t#S256`.
    /// - If you called [`rfc9068`](JwtAuthLayer::rfc9068), but the issuer or the audience is not
    ///   configured.
    #[track_caller]
    fn layer(&self, inner: S) -> JwtAuth<S, R, V> {
        self.authenticator.expect_sound();
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
