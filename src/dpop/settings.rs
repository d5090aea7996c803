//! How proofs are checked.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::base_url::{BaseUrl, BaseUrlError};
use super::client_key::ClientKeys;
use super::nonces::Nonces;
use super::replay::{ErasedStore, ReplayStore};
use super::replay_memory::ReplayMemory;
use crate::keys::{Algorithm, KeyError};

/// How a layer checks DPoP proofs. Pass it to [`TokenSource::dpop`](crate::TokenSource::dpop).
///
/// ```
/// use std::time::Duration;
/// use tower_jwt_auth::dpop::Dpop;
/// use tower_jwt_auth::keys::Algorithm;
///
/// # let secret = [7; 32];
/// let dpop = Dpop::new("https://api.example.com/v1")?
///     .base_url("https://api.example.org")?
///     .algorithms([Algorithm::ES256, Algorithm::EdDSA])
///     .lifetime(Duration::from_secs(30))
///     .nonces(secret)?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// The [module docs](super) say what is checked.
pub struct Dpop {
    pub(super) base_urls: Vec<BaseUrl>,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) lifetime: Duration,
    pub(super) nonces: Option<Nonces>,
    pub(super) keys: ClientKeys,
    pub(super) store: Box<dyn ErasedStore>,
    pub(super) deadline: Duration,
}

impl Dpop {
    /// 60 seconds: enough for a client's clock that is 30 seconds behind, and for a slow request.
    pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(60);

    /// 5 minutes. Proofs are made for one request, and are remembered while they are valid.
    pub const MAX_LIFETIME: Duration = Duration::from_secs(5 * 60);

    /// 250 ms: more than a healthy store on the same network needs, and less than a client waits.
    pub const DEFAULT_REPLAY_DEADLINE: Duration = Duration::from_millis(250);

    /// Accepts proofs for `base_url`: the URL that clients use for the path `/` of this layer. See
    /// [the module docs](super#the-url-of-the-request).
    ///
    /// # Errors
    ///
    /// [`BaseUrlError`] if it is not an `https` URL, or has a query or a fragment. `http` is
    /// accepted for `localhost` and loopback addresses.
    pub fn new(base_url: impl AsRef<str>) -> Result<Self, BaseUrlError> {
        let asymmetric = Algorithm::ALL
            .into_iter()
            .filter(|algorithm| algorithm.is_asymmetric());
        Ok(Self {
            base_urls: vec![BaseUrl::new(base_url.as_ref())?],
            algorithms: asymmetric.collect(),
            lifetime: Self::DEFAULT_LIFETIME,
            nonces: None,
            keys: ClientKeys::new(),
            store: Box::new(ReplayMemory::new()),
            deadline: Self::DEFAULT_REPLAY_DEADLINE,
        })
    }

    /// Accepts proofs for another base URL too, if clients reach the service by several names.
    ///
    /// Do not use it for a second nested router: a proof for one would fit the other. Give each
    /// router a `Dpop` of its own, or put the layer outside of `nest`.
    ///
    /// # Errors
    ///
    /// As [`Dpop::new`].
    pub fn base_url(mut self, base_url: impl AsRef<str>) -> Result<Self, BaseUrlError> {
        self.base_urls.push(BaseUrl::new(base_url.as_ref())?);
        Ok(self)
    }

    /// Sets the algorithms of proofs. All asymmetric ones by default: the client has chosen its key
    /// at the authorization server. Challenges name them in this order.
    ///
    /// # Panics
    ///
    /// If `algorithms` is empty, or one is symmetric.
    #[must_use]
    #[track_caller]
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        let mut all = self.algorithms.iter();
        assert!(
            !self.algorithms.is_empty() && all.all(|algorithm| algorithm.is_asymmetric()),
            "DPoP needs asymmetric algorithms, such as ES256"
        );
        self
    }

    /// Sets how long a proof is accepted after its `iat`.
    /// [60 seconds](Dpop::DEFAULT_LIFETIME) by default.
    ///
    /// All nodes that share a [replay store](Dpop::replay_store) need the same value. The first
    /// node that accepts a proof decides when the store forgets it.
    ///
    /// # Panics
    ///
    /// If it is zero, or more than [5 minutes](Dpop::MAX_LIFETIME).
    #[must_use]
    #[track_caller]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        assert!(
            !lifetime.is_zero() && lifetime <= Self::MAX_LIFETIME,
            "the lifetime of a proof is zero, or more than 5 minutes"
        );
        self.lifetime = lifetime;
        self
    }

    /// Requires a nonce of this service in every proof (RFC 9449 §9). Off by default: it costs a
    /// client's first request a second round trip.
    ///
    /// Use it against proofs that an attacker made in advance, while the attacker had access to the
    /// client's device. A nonce is accepted for 5 to 10 minutes. It is computed from the time, so
    /// no node stores it.
    ///
    /// `secret` has at least 32 random bytes. All nodes of the service need the same one. Do not
    /// use a secret that signs tokens.
    ///
    /// # Errors
    ///
    /// As [`SigningKey::hs256`](crate::keys::SigningKey::hs256).
    pub fn nonces(mut self, secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        self.nonces = Some(Nonces::new(secret.as_ref())?);
        Ok(self)
    }

    /// Sets where used proofs are remembered. A [`ReplayMemory`] of this `Dpop` by default.
    #[must_use]
    pub fn replay_store(mut self, store: impl ReplayStore) -> Self {
        self.store = Box::new(store);
        self
    }

    /// Sets how long a request waits for the replay store.
    /// [250 milliseconds](Dpop::DEFAULT_REPLAY_DEADLINE) by default.
    ///
    /// # Panics
    ///
    /// If `deadline` is zero.
    #[must_use]
    #[track_caller]
    pub fn replay_deadline(mut self, deadline: Duration) -> Self {
        assert!(!deadline.is_zero(), "the deadline is zero");
        self.deadline = deadline;
        self
    }

    /// `algs` of challenges (RFC 9449 §7.1).
    pub(crate) fn algorithm_names(&self) -> String {
        let names: Vec<_> = self.algorithms.iter().map(|one| one.name()).collect();
        names.join(" ")
    }

    /// What an operator should compare with `htu`.
    pub(super) fn expected_urls(&self) -> ExpectedUrls {
        ExpectedUrls(format!(
            "expected an htu under one of the base URLs {:?}",
            self.base_urls
        ))
    }
}

/// The URLs that a proof may name.
#[derive(Debug)]
pub(crate) struct ExpectedUrls(String);

impl fmt::Display for ExpectedUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for ExpectedUrls {}

/// Shows no secret and no proof.
impl fmt::Debug for Dpop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dpop")
            .field("base_urls", &self.base_urls)
            .field("algorithms", &self.algorithms)
            .field("lifetime", &self.lifetime)
            .field("nonces", &self.nonces.is_some())
            .field("keys", &self.keys)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
