//! Issuers that are found at run time.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::trusted_issuer::TrustedIssuer;

/// Decides at run time whether an issuer is trusted, and by which keys. [`IssuerResolution`] asks
/// it.
///
/// You need it if each customer brings an issuer, and your database lists them.
///
/// ```
/// use std::{collections::HashMap, io};
/// use tower_jwt_auth::{JwtAuthLayer, TrustedIssuer};
/// use tower_jwt_auth::verify::{IssuerResolution, IssuerResolver};
/// use tower_jwt_auth::keys::KeySet;
///
/// struct Customers(HashMap<String, KeySet>);
///
/// impl IssuerResolver for Customers {
///     type Error = io::Error;
///
///     async fn resolve(&self, issuer: &str) -> Result<Option<TrustedIssuer>, io::Error> {
///         let keys = self.0.get(issuer); // a query of your database
///         Ok(keys.map(|keys| TrustedIssuer::new(issuer, keys.clone())))
///     }
/// }
///
/// let customers = Customers(HashMap::new());
/// let layer = JwtAuthLayer::new(IssuerResolution::new(customers)).audience("api");
/// ```
///
/// **`issuer` comes from a token that is not verified.** Anybody can send any name of up to 512
/// bytes. Look it up among the issuers that you have approved. Never fetch keys from an issuer that
/// you have not approved.
///
/// Keep [`RemoteKeys`](crate::keys::remote::RemoteKeys) in your resolver and return clones, which
/// share the fetched keys. A new `RemoteKeys` in each answer would fetch the keys again.
pub trait IssuerResolver: Send + Sync + 'static {
    /// Why an issuer cannot be resolved now. Its `Display` text may be logged.
    type Error: Error + Send + Sync + 'static;

    /// The issuer with this name, byte for byte. `None` if it is not trusted.
    fn resolve(
        &self,
        issuer: &str,
    ) -> impl Future<Output = Result<Option<TrustedIssuer>, Self::Error>> + Send;
}

impl<R: IssuerResolver> IssuerResolver for Arc<R> {
    type Error = R::Error;

    fn resolve(
        &self,
        issuer: &str,
    ) -> impl Future<Output = Result<Option<TrustedIssuer>, R::Error>> + Send {
        (**self).resolve(issuer)
    }
}

/// Why an issuer is not resolved now.
pub(super) type ResolverError = Arc<dyn Error + Send + Sync>;

pub(super) type Resolving<'a> =
    Pin<Box<dyn Future<Output = Result<Option<TrustedIssuer>, ResolverError>> + Send + 'a>>;

/// Any [`IssuerResolver`].
pub(super) trait AnyResolver: Send + Sync + 'static {
    fn resolve_any<'a>(&'a self, issuer: &'a str) -> Resolving<'a>;
}

impl<R: IssuerResolver> AnyResolver for R {
    fn resolve_any<'a>(&'a self, issuer: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            let answer = self.resolve(issuer).await;
            answer.map_err(|error| Arc::new(error) as _)
        })
    }
}

/// Trust in the issuers that an [`IssuerResolver`] approves. It remembers the answers.
///
/// - A token of an unknown issuer waits for the resolver. There is one call per issuer at a time.
///   [`Verifier::verify`](super::Verifier::verify) does not wait, but returns
///   [`KeysUnavailable`](super::VerifyErrorKind::KeysUnavailable).
/// - If the resolver fails or exceeds the [deadline](Self::deadline), the response is 503, unless
///   an old answer can be used. After a failure, the resolver is asked about that issuer at most
///   once a second.
/// - Nothing is fetched for an issuer that the resolver did not approve.
/// - An approved issuer needs an audience, or `any_audience`: its own, or that of the verifier or
///   the layer.
/// - When the resolver no longer approves an issuer, its cached tokens are rejected too.
/// - When a request needs an answer that is past its lifetime, the resolver is asked again in the
///   background. Meanwhile, and while the resolver fails, the old answer is used, for [`max_stale`]
///   at most.
///
/// A call runs in a task of the tokio runtime of the request, whose timer must be enabled.
///
/// [`max_stale`]: Self::max_stale
#[must_use]
pub struct IssuerResolution {
    pub(super) resolver: Arc<dyn AnyResolver>,
    pub(super) limits: ResolutionLimits,
    pub(super) issuers: Vec<TrustedIssuer>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct ResolutionLimits {
    pub(super) max_issuers: usize,
    pub(super) lifetime: Duration,
    pub(super) refusal_lifetime: Duration,
    pub(super) max_stale: Duration,
    pub(super) deadline: Duration,
    pub(super) max_calls: usize,
}

impl IssuerResolution {
    /// 1,000 issuers. Each may hold fetched keys and a task that refreshes them.
    pub const DEFAULT_MAX_ISSUERS: usize = 1000;

    /// 5 minutes, like a typical access token. After that, the next token of an issuer triggers a
    /// new call, which notices that you removed it.
    pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(5 * 60);

    /// 1 minute. If you approve an issuer after its first token was rejected, its tokens are
    /// accepted 1 minute later at most.
    pub const DEFAULT_REFUSAL_LIFETIME: Duration = Duration::from_secs(60);

    /// 5 minutes: known issuers survive the restart of a database.
    pub const DEFAULT_MAX_STALE: Duration = Duration::from_secs(5 * 60);

    /// 2 seconds: enough to query a database or another service.
    pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(2);

    /// 64 calls: enough for many new issuers at once, and few enough for a database.
    pub const DEFAULT_MAX_CALLS: usize = 64;

    /// Trusts the issuers that `resolver` approves.
    pub fn new(resolver: impl IssuerResolver) -> Self {
        Self {
            resolver: Arc::new(resolver),
            limits: ResolutionLimits {
                max_issuers: Self::DEFAULT_MAX_ISSUERS,
                lifetime: Self::DEFAULT_LIFETIME,
                refusal_lifetime: Self::DEFAULT_REFUSAL_LIFETIME,
                max_stale: Self::DEFAULT_MAX_STALE,
                deadline: Self::DEFAULT_DEADLINE,
                max_calls: Self::DEFAULT_MAX_CALLS,
            },
            issuers: Vec::new(),
        }
    }

    /// Trusts this issuer without asking the resolver. May be called more than once.
    pub fn trusted_issuer(mut self, issuer: TrustedIssuer) -> Self {
        self.issuers.push(issuer);
        self
    }

    /// Sets how many approved issuers are remembered. 1,000 by default. Beyond that, rarely used
    /// issuers are forgotten, and the resolver is asked again when they return.
    ///
    /// The last 4,096 rejected names are remembered separately.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn max_issuers(mut self, issuers: usize) -> Self {
        assert!(issuers > 0, "no issuer can be remembered");
        self.limits.max_issuers = issuers;
        self
    }

    /// Sets how long an approved issuer is remembered. 5 minutes by default.
    ///
    /// # Panics
    ///
    /// If it is less than a second: the resolver would be asked for nearly every token.
    #[track_caller]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        assert!(
            lifetime >= Duration::from_secs(1),
            "the lifetime is less than a second"
        );
        self.limits.lifetime = lifetime;
        self
    }

    /// Sets how long it is remembered that an issuer is not trusted. 1 minute by default.
    ///
    /// # Panics
    ///
    /// If it is less than a second: an attacker would cause one call per request.
    #[track_caller]
    pub fn refusal_lifetime(mut self, lifetime: Duration) -> Self {
        assert!(
            lifetime >= Duration::from_secs(1),
            "the lifetime of a refusal is less than a second"
        );
        self.limits.refusal_lifetime = lifetime;
        self
    }

    /// Sets how long an approved issuer is used beyond its lifetime, until the resolver has
    /// answered again. 5 minutes by default.
    ///
    /// With zero, a token waits for the new answer.
    pub fn max_stale(mut self, max_stale: Duration) -> Self {
        self.limits.max_stale = max_stale;
        self
    }

    /// Sets the maximum time for one call. 2 seconds by default.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        assert!(!deadline.is_zero(), "the deadline is zero");
        self.limits.deadline = deadline;
        self
    }

    /// Sets how many unknown issuers may be resolved at once. 64 by default. Tokens of further
    /// issuers get 503.
    ///
    /// Calls for known issuers are not limited, so a flood of unknown names does not delay them.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn max_calls(mut self, calls: usize) -> Self {
        assert!(calls > 0, "no call is allowed");
        self.limits.max_calls = calls;
        self
    }
}

/// Shows the limits.
impl fmt::Debug for IssuerResolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuerResolution")
            .field("limits", &self.limits)
            .field("issuers", &self.issuers)
            .finish_non_exhaustive()
    }
}

/// Why an issuer could not be resolved, other than an error of the resolver itself. It is the
/// [source](Error::source) of a [`VerifyError`](super::VerifyError).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResolutionError {
    /// The resolver did not answer within the [deadline](IssuerResolution::deadline).
    Timeout,
    /// The resolver answered with an issuer of another name, or with one that stands for [many
    /// tenants](super::TrustedIssuer::tenants).
    OtherIssuer,
    /// The resolver panicked, or its runtime shut down.
    Interrupted,
    /// There is no tokio runtime in which to ask.
    NoRuntime,
    /// Too many [calls](IssuerResolution::max_calls) are under way, or too many requests wait.
    TooManyCalls,
}

impl fmt::Display for ResolutionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "the resolver did not answer within its deadline",
            Self::OtherIssuer => {
                "the resolver answered with another issuer than the one it was asked for"
            }
            Self::Interrupted => "the resolver panicked, or its runtime shut down",
            Self::NoRuntime => "there is no tokio runtime in which to ask the resolver",
            Self::TooManyCalls => "too many unknown issuers are being resolved",
        })
    }
}

impl Error for ResolutionError {}
