//! Configures an introspection.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use tokio::sync::Mutex;

use super::client_authentication::ClientAuthentication;
use super::endpoint::{IntrospectionEndpoint, LastFound, Location};
use super::memory::Memory;
use super::questions::{Limits, Questions};
use super::source::Introspection;
use crate::keys::remote::{
    AddressError, AnyPost, Discovery, FETCH_DEADLINE, HttpFetch, Post, parse_address,
};
use crate::keys::sha256;

/// Configures an [`Introspection`].
#[must_use = "an introspection has to be built"]
pub struct IntrospectionBuilder {
    issuer: String,
    /// `None`: it is discovered.
    endpoint: Option<String>,
    client: ClientAuthentication,
    fetch: Option<Box<dyn AnyPost>>,
    http_allowed: bool,
    limits: Limits,
    memory: usize,
}

impl Introspection {
    /// The issuer of this name. Its metadata have the `introspection_endpoint`. See OpenID Connect
    /// Discovery 1.0 §4 and RFC 8414 §3.
    ///
    /// The member `issuer` of the metadata must equal the argument, byte for byte. The endpoint
    /// must be on the issuer's origin, because the request has your service's credentials. For
    /// another origin use [`endpoint`](Self::endpoint).
    pub fn discover(
        issuer: impl Into<String>,
        client: ClientAuthentication,
    ) -> IntrospectionBuilder {
        IntrospectionBuilder::new(issuer.into(), None, client)
    }

    /// The issuer of this name, with its introspection endpoint at `url`.
    ///
    /// [`VerifiedToken::issuer`](crate::VerifiedToken::issuer) is `issuer`, even if an answer has
    /// no `iss`. An `iss` with another value is rejected.
    pub fn endpoint(
        url: impl Into<String>,
        issuer: impl Into<String>,
        client: ClientAuthentication,
    ) -> IntrospectionBuilder {
        IntrospectionBuilder::new(issuer.into(), Some(url.into()), client)
    }
}

impl IntrospectionBuilder {
    fn new(issuer: String, endpoint: Option<String>, client: ClientAuthentication) -> Self {
        Self {
            issuer,
            endpoint,
            client,
            fetch: None,
            http_allowed: false,
            limits: Limits {
                lifetime: Duration::from_secs(30),
                inactive_lifetime: Duration::from_secs(5),
                deadline: FETCH_DEADLINE,
                max_questions: 32,
                unknown_kind_allowed: false,
            },
            memory: 8 * 1024 * 1024,
        }
    }

    /// Sets your own HTTP client. [`HttpFetch`] by default, with connections that are kept open.
    pub fn fetch(mut self, fetch: impl Post) -> Self {
        self.fetch = Some(Box::new(fetch));
        self
    }

    /// Allows `http` for all addresses, not only loopback ones. Anybody on the network path can
    /// then read your service's credentials, and make any token active.
    pub fn allow_http(mut self) -> Self {
        self.http_allowed = true;
        self
    }

    /// Sets how long an active token is remembered. 30 seconds by default: a token that is revoked
    /// at the issuer is accepted for that long. It is never remembered beyond its `exp`.
    ///
    /// With zero, the issuer is asked for every request. Requests at the same time share one
    /// question.
    ///
    /// # Panics
    ///
    /// If it is more than an hour.
    #[track_caller]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        assert!(
            lifetime <= Duration::from_secs(60 * 60),
            "the lifetime is more than an hour"
        );
        self.limits.lifetime = lifetime;
        self
    }

    /// Sets how long a token that is not active is remembered. 5 seconds by default: a client that
    /// repeats its request costs the issuer little. A token that becomes active later is rejected
    /// for that long.
    ///
    /// # Panics
    ///
    /// If it is more than an hour.
    #[track_caller]
    pub fn inactive_lifetime(mut self, lifetime: Duration) -> Self {
        assert!(
            lifetime <= Duration::from_secs(60 * 60),
            "the lifetime is more than an hour"
        );
        self.limits.inactive_lifetime = lifetime;
        self
    }

    /// Sets how long a question may take, including the wait for its turn. After that the request
    /// gets 503. 5 seconds by default, as for fetched keys.
    ///
    /// # Panics
    ///
    /// If it is zero or more than 5 seconds.
    #[track_caller]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        assert!(
            !deadline.is_zero() && deadline <= FETCH_DEADLINE,
            "the deadline is zero or more than 5 seconds"
        );
        self.limits.deadline = deadline;
        self
    }

    /// Sets how many questions are on their way at once. 32 by default, so a flood of random
    /// tokens does not overload the issuer. Further questions wait for their turn. If `count` is 4
    /// or more, a quarter is reserved for [known tokens](super#when-the-issuer-is-asked).
    ///
    /// # Panics
    ///
    /// If it is zero or more than 1024.
    #[track_caller]
    pub fn max_questions(mut self, count: usize) -> Self {
        assert!(
            (1..=1024).contains(&count),
            "the number of questions is zero or more than 1024"
        );
        self.limits.max_questions = count;
        self
    }

    /// Sets the memory for the answers about active tokens, in bytes. 8 MiB by default, enough for
    /// about 8,000 tokens. Other tokens have a memory of their own: 4 MiB, or about twice that
    /// while questions fail.
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self
    }

    /// Accepts an answer that does not tell the kind of token. You need it only with
    /// [`any_audience`](crate::Verifier::any_audience).
    ///
    /// Issuers say that a refresh token is active too. If the audience is not checked, only
    /// `token_type` or `token_use` tells an access token apart. By default the answer must have one
    /// of them.
    pub fn allow_missing_token_type(mut self) -> Self {
        self.limits.unknown_kind_allowed = true;
        self
    }

    /// Builds it. The issuer is asked with the first token, not before.
    ///
    /// # Errors
    ///
    /// [`IntrospectionError`] if an address is invalid or not allowed, or no crypto back-end is
    /// enabled.
    pub fn build(self) -> Result<Introspection, IntrospectionError> {
        if self.issuer.is_empty() {
            return Err(IntrospectionError::EmptyIssuer);
        }
        if sha256(b"").is_none() {
            return Err(IntrospectionError::NoBackend);
        }
        let location = match &self.endpoint {
            Some(url) => Location::Configured(
                parse_address(url, self.http_allowed).map_err(IntrospectionError::Endpoint)?,
            ),
            None => {
                let (issuer, origins) = (self.issuer.clone(), Some(Vec::new()));
                let discovery = Discovery::new(issuer, self.http_allowed, origins)
                    .map_err(IntrospectionError::Issuer)?;
                Location::Discovered {
                    discovery: Box::new(discovery),
                    found: LastFound::default(),
                    gate: Mutex::default(),
                }
            }
        };
        let endpoint = IntrospectionEndpoint {
            issuer: self.issuer.into(),
            location,
            client: self.client,
            fetch: match self.fetch {
                Some(fetch) => fetch,
                None => Box::new(HttpFetch::keeping_connections()),
            },
        };
        let memory = Memory::new(self.memory);
        let questions = Questions::new(endpoint, self.limits, memory);
        Ok(Introspection::new(questions))
    }
}

/// Shows no secret.
impl fmt::Debug for IntrospectionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectionBuilder")
            .field("issuer", &self.issuer)
            .field("client", &self.client)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Why an introspection cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IntrospectionError {
    /// The issuer is empty.
    EmptyIssuer,
    /// The address of the issuer is invalid or not allowed.
    Issuer(AddressError),
    /// The address of the endpoint is invalid or not allowed.
    Endpoint(AddressError),
    /// No crypto back-end is enabled: the features `aws_lc_rs` and `rust_crypto` are off.
    NoBackend,
}

impl fmt::Display for IntrospectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyIssuer => f.write_str("the issuer is empty"),
            Self::Issuer(error) => write!(f, "the issuer is refused: {error}"),
            Self::Endpoint(error) => write!(f, "the introspection endpoint is refused: {error}"),
            Self::NoBackend => f.write_str(
                "no crypto back-end is enabled: enable feature aws_lc_rs or rust_crypto",
            ),
        }
    }
}

impl Error for IntrospectionError {}
