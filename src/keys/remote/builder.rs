//! Configures remote keys.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use super::checked_fetch::AnyFetch;
use super::discovery::Discovery;
use super::endpoint::{KeyEndpoint, KeyLocation};
use super::fetch::Fetch;
use super::fetched::KeyLifetimes;
use super::http_fetch::HttpFetch;
use super::location::{self, AddressError, WebOrigin};
use super::remote_keys::RemoteKeys;
use crate::clock::{Clock, ClockSource};
use crate::keys::JwksOptions;

/// Configures [`RemoteKeys`].
#[must_use = "keys are fetched once they are built"]
pub struct RemoteKeysBuilder {
    location: RequestedLocation,
    fetch: Option<Box<dyn AnyFetch>>,
    options: JwksOptions,
    tries_keys_with_same_id: bool,
    http_allowed: bool,
    jwks_origins: Option<Vec<String>>,
    lifetimes: KeyLifetimes,
    clock: ClockSource,
}

enum RequestedLocation {
    Issuer(String),
    Jwks(String),
}

impl RemoteKeys {
    /// The keys of an OpenID provider or authorization server, found by its metadata. See OpenID
    /// Connect Discovery 1.0 §4 and RFC 8414 §3.
    ///
    /// The `iss` claim of its tokens and the member `issuer` of its metadata must equal the
    /// argument, byte for byte.
    ///
    /// The metadata's `jwks_uri` may name another host. Google and Microsoft Entra ID (v1.0 tokens,
    /// `sts.windows.net`) do this. An issuer can therefore make your service send a GET request to
    /// any reachable `https` host, also in your network. Limit the hosts with
    /// [`jwks_origins`](RemoteKeysBuilder::jwks_origins).
    ///
    /// If `issuer` contains `{tenantid}`, it stands for many tenants. Pass such keys to
    /// [`TrustedIssuer::tenants`](crate::TrustedIssuer::tenants): with the keys alone,
    /// [`JwtAuthLayer::new`](crate::JwtAuthLayer::new) panics. The metadata are fetched from the
    /// tenant `common`, where Microsoft Entra ID publishes the shared keys. The `issuer` of the
    /// metadata must contain `{tenantid}` too.
    ///
    /// Loopback, link-local (169.254.169.254) and unspecified addresses are never fetched, unless
    /// the issuer has such an address itself. Host names are not resolved for this check.
    pub fn discover(issuer: impl Into<String>) -> RemoteKeysBuilder {
        RemoteKeysBuilder::new(RequestedLocation::Issuer(issuer.into()))
    }

    /// The keys of the JWK Set document at `uri`.
    ///
    /// Configure the issuer with [`TrustedIssuer`](crate::TrustedIssuer) or
    /// [`JwtAuthLayer::issuer`](crate::JwtAuthLayer::issuer).
    pub fn jwks(uri: impl Into<String>) -> RemoteKeysBuilder {
        RemoteKeysBuilder::new(RequestedLocation::Jwks(uri.into()))
    }
}

impl RemoteKeysBuilder {
    fn new(location: RequestedLocation) -> Self {
        Self {
            location,
            fetch: None,
            options: JwksOptions::new(),
            tries_keys_with_same_id: false,
            http_allowed: false,
            jwks_origins: None,
            lifetimes: KeyLifetimes::default(),
            clock: ClockSource::default(),
        }
    }

    /// Sets your own HTTP client. [`HttpFetch`] by default.
    pub fn fetch(mut self, fetch: impl Fetch) -> Self {
        self.fetch = Some(Box::new(fetch));
        self
    }

    /// Sets how the keys are read, for example the algorithm of a key without `alg`. Secrets are
    /// always skipped.
    ///
    /// This example is for an issuer with an Ed25519 key without `alg`, whose tokens have `alg`
    /// `EdDSA` or `Ed25519`:
    ///
    /// ```no_run
    /// use tower_jwt_auth::keys::{JwksOptions, remote::RemoteKeys};
    ///
    /// let keys = RemoteKeys::discover("https://id.example.com")
    ///     .options(JwksOptions::new().both_ed25519_names())
    ///     .build()?;
    /// # Ok::<_, tower_jwt_auth::keys::remote::RemoteKeysError>(())
    /// ```
    pub fn options(mut self, options: JwksOptions) -> Self {
        self.options = options;
        self
    }

    /// Tries each of the keys with the token's `kid` and `alg`, if there are at most four. All must
    /// have the same [`issuer`](crate::keys::VerifyingKey::issuer), or none.
    ///
    /// Off by default. Use it for an issuer that gives a new key the `kid` of the old one. For the
    /// cost, see [`KeySet::try_keys_with_same_id`](crate::keys::KeySet::try_keys_with_same_id).
    pub fn try_keys_with_same_id(mut self) -> Self {
        self.tries_keys_with_same_id = true;
        self
    }

    /// Allows `http` for all addresses, not only loopback ones. Anybody on the network path can
    /// then replace the keys.
    pub fn allow_http(mut self) -> Self {
        self.http_allowed = true;
        self
    }

    /// Fetches keys only from the issuer's origin and from `others`. With `&[]`, only from the
    /// issuer's.
    ///
    /// By default any origin is allowed, because large providers publish their keys on another
    /// host.
    ///
    /// An origin is scheme, host and port: `https://www.googleapis.com`. A `jwks_uri` on another
    /// origin fails with
    /// [`FetchErrorKind::ForbiddenEndpoint`](super::FetchErrorKind::ForbiddenEndpoint). This does
    /// not affect [`RemoteKeys::jwks`].
    ///
    /// ```no_run
    /// use tower_jwt_auth::keys::remote::RemoteKeys;
    ///
    /// let google = RemoteKeys::discover("https://accounts.google.com")
    ///     .jwks_origins(&["https://www.googleapis.com"])
    ///     .build()?;
    /// # Ok::<_, tower_jwt_auth::keys::remote::RemoteKeysError>(())
    /// ```
    pub fn jwks_origins(mut self, others: &[&str]) -> Self {
        self.jwks_origins = Some(others.iter().map(|&origin| origin.into()).collect());
        self
    }

    /// Sets the lifetime of fetched keys. 10 minutes by default. `max-age` of `Cache-Control`
    /// replaces it, but counts as at least 1 minute and at most 1 hour.
    ///
    /// A withdrawn key verifies for at most the lifetime, or up to [`max_stale`](Self::max_stale)
    /// longer if fetches fail.
    ///
    /// # Panics
    ///
    /// If it is less than a second or more than a day.
    #[track_caller]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        assert!(
            (Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60)).contains(&lifetime),
            "the lifetime is less than a second or more than a day"
        );
        self.lifetimes.lifetime = lifetime;
        self
    }

    /// Sets the minimum time between fetches for unknown `kid`s. 30 seconds by default, so random
    /// `kid`s cost the issuer two fetches per minute.
    ///
    /// It also limits the pause before a failed fetch is retried. That pause never exceeds 30
    /// seconds.
    ///
    /// # Panics
    ///
    /// If it is less than a second.
    #[track_caller]
    pub fn cooldown(mut self, cooldown: Duration) -> Self {
        assert!(
            cooldown >= Duration::from_secs(1),
            "the cooldown is less than a second"
        );
        self.lifetimes.cooldown = cooldown;
        self
    }

    /// Sets how long keys are served beyond their lifetime while fetches fail. 1 hour by default,
    /// to survive a short outage.
    pub fn max_stale(mut self, max_stale: Duration) -> Self {
        self.lifetimes.max_stale = max_stale;
        self
    }

    /// Sets the clock for the age of keys, for the cooldown and for the pauses between retries. The
    /// system clock by default.
    ///
    /// If the clock is set back, the timer of the runtime measures the age.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = ClockSource::custom(clock);
        self
    }

    /// Builds the keys. Inside a tokio runtime, this starts the first fetch.
    ///
    /// # Errors
    ///
    /// [`RemoteKeysError`] if an address is invalid or not allowed.
    pub fn build(self) -> Result<RemoteKeys, RemoteKeysError> {
        let jwks_origins = match self.jwks_origins {
            Some(origins) => Some(
                origins
                    .iter()
                    .map(|origin| WebOrigin::parse(origin, self.http_allowed))
                    .collect::<Result<_, _>>()
                    .map_err(RemoteKeysError::Origin)?,
            ),
            None => None,
        };
        let location = match self.location {
            RequestedLocation::Jwks(uri) => {
                location::parse(&uri, self.http_allowed).map(KeyLocation::Jwks)
            }
            RequestedLocation::Issuer(name) => {
                Discovery::new(name, self.http_allowed, jwks_origins).map(KeyLocation::Issuer)
            }
        };
        let fetch = match self.fetch {
            Some(fetch) => fetch,
            None => Box::new(HttpFetch::new()),
        };
        let endpoint = KeyEndpoint {
            location: location.map_err(RemoteKeysError::Address)?,
            fetch,
            options: self.options.untrusted(self.tries_keys_with_same_id),
            discovered: Mutex::new(None),
        };
        Ok(RemoteKeys::start(endpoint, self.lifetimes, self.clock))
    }
}

impl fmt::Debug for RemoteKeysBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (RequestedLocation::Issuer(address) | RequestedLocation::Jwks(address)) =
            &self.location;
        f.debug_struct("RemoteKeysBuilder")
            .field("address", address)
            .field("lifetimes", &self.lifetimes)
            .finish_non_exhaustive()
    }
}

/// Why remote keys cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RemoteKeysError {
    /// The issuer or the address of the keys is invalid or not allowed.
    Address(AddressError),
    /// One of the [origins](RemoteKeysBuilder::jwks_origins) is not allowed, or is no origin.
    Origin(AddressError),
}

impl fmt::Display for RemoteKeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(error) => write!(f, "the address of the keys is refused: {error}"),
            Self::Origin(error) => write!(f, "one of jwks_origins is refused: {error}"),
        }
    }
}

impl std::error::Error for RemoteKeysError {}
