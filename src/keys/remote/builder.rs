//! How remote keys are set up.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use super::endpoint::{KeyEndpoint, KeyLocation};
use super::fetch::{AnyFetch, Fetch, HttpFetch, HttpFetchError};
use super::fetched::KeyLifetimes;
use super::location::{self, WebOrigin};
use super::remote_keys::RemoteKeys;
use crate::clock::{Clock, ClockSource};
use crate::keys::JwksOptions;

/// Sets up [`RemoteKeys`].
#[must_use = "keys are fetched once they are built"]
pub struct RemoteKeysBuilder {
    location: RequestedLocation,
    fetch: Option<Box<dyn AnyFetch>>,
    options: JwksOptions,
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
    /// The keys of an OpenID provider or authorization server, whose metadata lie where OpenID Connect Discovery 1.0 §4 or
    /// RFC 8414 §3 says. Its tokens are those whose `iss` is `issuer`, byte for byte; so must that of the metadata be.
    ///
    /// The metadata's `jwks_uri` may lead to another host. Google's does, and that of Microsoft
    /// Entra ID's v1.0 tokens (`sts.windows.net`). So an issuer can make this service send a GET
    /// request to any `https` host it can reach, also in your network.
    /// [`jwks_origins`](RemoteKeysBuilder::jwks_origins) limits that to the hosts you name.
    ///
    /// Never fetched: loopback, link-local (169.254.169.254) and unspecified addresses, unless the
    /// issuer has such an address itself. Names are not resolved for this check.
    pub fn discover(issuer: impl Into<String>) -> RemoteKeysBuilder {
        RemoteKeysBuilder::new(RequestedLocation::Issuer(issuer.into()))
    }

    /// The keys of the JWK Set document at `uri`. Which issuer they are of is for [`TrustedIssuer`](crate::TrustedIssuer) to say,
    /// or [`JwtAuthLayer::issuer`](crate::JwtAuthLayer::issuer).
    pub fn jwks(uri: impl Into<String>) -> RemoteKeysBuilder {
        RemoteKeysBuilder::new(RequestedLocation::Jwks(uri.into()))
    }
}

impl RemoteKeysBuilder {
    fn new(location: RequestedLocation) -> Self {
        Self {
            location,
            fetch: None,
            options: JwksOptions::new().of_others(),
            http_allowed: false,
            jwks_origins: None,
            lifetimes: KeyLifetimes::default(),
            clock: ClockSource::default(),
        }
    }

    /// Fetches with a client of one's own. [`HttpFetch`] by default.
    pub fn fetch(mut self, fetch: impl Fetch) -> Self {
        self.fetch = Some(Box::new(fetch));
        self
    }

    /// What algorithms keys are for that do not say theirs. Secrets are never taken from a remote document.
    pub fn options(mut self, options: JwksOptions) -> Self {
        self.options = options.of_others();
        self
    }

    /// Allows `http` addresses that are not loopback ones: whoever stands in between can then hand out keys of their own.
    pub fn allow_http(mut self) -> Self {
        self.http_allowed = true;
        self
    }

    /// Fetches keys from the issuer's own origin and from `others` only. `&[]`: from its own alone.
    /// Any by default, because large providers have their keys elsewhere.
    ///
    /// An origin is scheme, host and port: `https://www.googleapis.com`. A `jwks_uri` elsewhere is
    /// [`FetchErrorKind::Location`](super::FetchErrorKind::Location). Without effect on
    /// [`RemoteKeys::jwks`].
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

    /// How long keys are good for after they were fetched, where the document does not say by `Cache-Control`. 10
    /// minutes by default: that long a key that was withdrawn may still verify.
    ///
    /// # Panics
    ///
    /// If it is less than a second, or more than a day.
    #[track_caller]
    pub fn life(mut self, life: Duration) -> Self {
        assert!(
            (Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60)).contains(&life),
            "a life of less than a second or more than a day"
        );
        self.lifetimes.life = life;
        self
    }

    /// How far apart fetches for unknown `kid`s are at least. 30 seconds by default, so that made-up ones cost the
    /// issuer two fetches a minute.
    ///
    /// # Panics
    ///
    /// If it is less than a second.
    #[track_caller]
    pub fn cooldown(mut self, cooldown: Duration) -> Self {
        assert!(
            cooldown >= Duration::from_secs(1),
            "a cooldown of less than a second"
        );
        self.lifetimes.cooldown = cooldown;
        self
    }

    /// For how long beyond their life keys are served while fetching fails. 1 hour by default.
    pub fn max_stale(mut self, max_stale: Duration) -> Self {
        self.lifetimes.max_stale = max_stale;
        self
    }

    /// Sets the clock by which keys age. The system's by default. Should it be set back, keys age by the timer of the runtime.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = ClockSource::custom(clock);
        self
    }

    /// The keys. Inside a tokio runtime, they are being fetched from now on.
    ///
    /// # Errors
    ///
    /// [`RemoteKeysError`] if the address is none that may be fetched, or TLS cannot be set up.
    pub fn build(self) -> Result<RemoteKeys, RemoteKeysError> {
        let parse =
            |text: &str| location::parse(text, self.http_allowed).ok_or(RemoteKeysError::Location);
        let location = match self.location {
            RequestedLocation::Jwks(uri) => KeyLocation::Jwks(parse(&uri)?),
            RequestedLocation::Issuer(name) => {
                let issuer = parse(&name)?;
                // OpenID Connect Discovery 1.0 §4.3 and RFC 8414 §2.
                if issuer.query().is_some() {
                    return Err(RemoteKeysError::Location);
                }
                KeyLocation::Issuer {
                    metadata: location::metadata_of(&issuer).ok_or(RemoteKeysError::Location)?,
                    name: name.into(),
                }
            }
        };
        let fetch = match self.fetch {
            Some(fetch) => fetch,
            None => Box::new(HttpFetch::new().map_err(RemoteKeysError::Client)?),
        };
        let jwks_origins = match self.jwks_origins {
            Some(origins) => Some(
                origins
                    .iter()
                    .map(|origin| WebOrigin::parse(origin, self.http_allowed))
                    .collect::<Option<_>>()
                    .ok_or(RemoteKeysError::Location)?,
            ),
            None => None,
        };
        let endpoint = KeyEndpoint {
            location,
            jwks_origins,
            fetch,
            options: self.options,
            http_allowed: self.http_allowed,
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

/// Why there are no remote keys.
#[derive(Debug)]
#[non_exhaustive]
pub enum RemoteKeysError {
    /// The address is no `https` URL, or an issuer with a query, or has a user or a fragment; or
    /// one of the [origins](RemoteKeysBuilder::jwks_origins) is more than scheme, host and port.
    Location,
    /// The HTTP client cannot be set up.
    Client(HttpFetchError),
}

impl fmt::Display for RemoteKeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Location => "keys may not be fetched from this address",
            Self::Client(_) => "the HTTP client cannot be set up",
        })
    }
}

impl std::error::Error for RemoteKeysError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Location => None,
            Self::Client(error) => Some(error),
        }
    }
}
