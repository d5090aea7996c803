//! The settings of a store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::deployment::RedisDeployment;
use super::error::RedisStoreError;
use super::fingerprint_cipher::FingerprintCipher;
use super::key_names::KeyNames;
use super::local_state::LocalState;
use super::node::Node;
use super::random_id::random_id;
use super::script_client::{ScriptClient, ScriptSettings};
use super::store::RedisStore;
use crate::clock::{Clock, SystemClock};
use crate::dpop::ReplayMemory;
use crate::keys::KeyError;
use crate::revocation::RevocationSet;
use crate::session::MAX_ACCESS_LIFETIME;

/// The shortest time that the server keeps stream entries. A node that was disconnected for longer
/// loads the state.
const MIN_RETENTION: Duration = Duration::from_secs(60);

/// The settings of a [`RedisStore`].
#[derive(Clone)]
#[must_use = "nothing is connected before `connect`"]
pub struct RedisStoreOptions {
    cipher: FingerprintCipher,
    prefix: String,
    clock: Arc<dyn Clock>,
    longest_lifetime: Duration,
    capacity: usize,
    proof_capacity: usize,
    max_staleness: Duration,
    call_timeout: Duration,
    replicas: usize,
    replication_timeout: Duration,
    allows_eviction: bool,
}

impl RedisStoreOptions {
    /// 5 seconds. No access token is rejected during an outage of up to about 3 seconds: the last
    /// heartbeat may be a second old, and reading the next one may take another second. A token
    /// revoked on another node stays valid for at most this long on a node that is cut off.
    pub const DEFAULT_MAX_STALENESS: Duration = Duration::from_secs(5);

    /// 1 second. On a local network, Redis usually answers much faster.
    pub const DEFAULT_CALL_TIMEOUT: Duration = Duration::from_secs(1);

    /// The defaults, with the secret that all nodes share: at least 32 bytes, used for nothing
    /// else.
    ///
    /// It hides the IDs of revoked tokens in Redis. If the keys in Redis belong to another
    /// secret, calls fail with [`OtherSecret`](RedisStoreError::OtherSecret).
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the secret is empty, all zero, too short, or an encoded key such as PEM.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Ok(Self {
            cipher: FingerprintCipher::new(secret.as_ref())?,
            prefix: "jwt".to_owned(),
            clock: Arc::new(SystemClock),
            longest_lifetime: RevocationSet::DEFAULT_LONGEST_LIFETIME,
            capacity: RevocationSet::DEFAULT_CAPACITY,
            proof_capacity: ReplayMemory::DEFAULT_CAPACITY,
            max_staleness: Self::DEFAULT_MAX_STALENESS,
            call_timeout: Self::DEFAULT_CALL_TIMEOUT,
            replicas: 0,
            replication_timeout: Duration::from_millis(500),
            allows_eviction: false,
        })
    }

    /// Sets the prefix of all keys, which is put in braces. `jwt` by default.
    ///
    /// # Panics
    ///
    /// If `prefix` is empty, or has a brace.
    #[track_caller]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        let prefix = prefix.into();
        assert!(
            !prefix.is_empty() && !prefix.contains(['{', '}']),
            "the prefix is empty or has braces"
        );
        self.prefix = prefix;
        self
    }

    /// Sets the clock by which tokens and sessions expire. The system clock by default.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Tells the store the longest lifetime of a token of any issuer. [24
    /// hours](RevocationSet::DEFAULT_LONGEST_LIFETIME) is the default and the minimum: a lower
    /// value counts as 24 hours.
    ///
    /// For this long, a node remembers each lifted block, each logout everywhere and each
    /// invalidation of access tokens. A token that lives longer can become valid again.
    pub fn longest_lifetime(mut self, lifetime: Duration) -> Self {
        self.longest_lifetime = lifetime.max(MAX_ACCESS_LIFETIME);
        self
    }

    /// Sets the maximum number of revocations that this node holds. [10
    /// million](RevocationSet::DEFAULT_CAPACITY) by default. With more, look-ups of unrevoked
    /// tokens fail with an error.
    pub fn capacity(mut self, revocations: usize) -> Self {
        self.capacity = revocations;
        self
    }

    /// Sets the maximum number of DPoP proofs that this node stores at a time. [1
    /// million](ReplayMemory::DEFAULT_CAPACITY) by default. One client key can use a sixteenth of
    /// it at most, and so can one subject. See [the module docs](super#dpop-proofs).
    pub fn proof_capacity(mut self, proofs: usize) -> Self {
        self.proof_capacity = proofs;
        self
    }

    /// Sets how long a node stays fresh without reading back a new heartbeat. 5 seconds by default.
    /// The time counts from when the node sent the newest heartbeat that it has read back. See
    /// [fresh and stale nodes](super#fresh-and-stale-nodes).
    ///
    /// It must be the same on all nodes: [`revoke_and_wait`](RedisStore::revoke_and_wait) waits
    /// this long for a silent node.
    ///
    /// # Panics
    ///
    /// If it is less than half a second.
    #[track_caller]
    pub fn max_staleness(mut self, max_staleness: Duration) -> Self {
        assert!(
            max_staleness >= Duration::from_millis(500),
            "the maximum staleness is less than half a second"
        );
        self.max_staleness = max_staleness;
        self
    }

    /// Sets how long one command waits for Redis. 1 second by default. A call of the store may take
    /// longer: it may repeat a command after a broken connection, and wait for replicas.
    pub fn call_timeout(mut self, call_timeout: Duration) -> Self {
        self.call_timeout = call_timeout;
        self
    }

    /// Waits after each write until this many replicas have it, for at most `timeout`. Less than 1
    /// millisecond counts as 1 millisecond. Choose less than the
    /// [`call_timeout`](Self::call_timeout), which also ends the wait, and then drops the
    /// connection.
    ///
    /// None by default: then a promoted replica may lack the last writes. Token rotations do not
    /// wait, because a lost rotation is recovered.
    pub fn replicas(mut self, replicas: usize, timeout: Duration) -> Self {
        self.replicas = replicas;
        self.replication_timeout = timeout;
        self
    }

    /// Accepts a server that evicts keys. Rejected by default, with [`RedisStoreError::Eviction`].
    ///
    /// # Warning
    ///
    /// If the key of the revocations is evicted, all revocations are gone. If the key of the
    /// subjects is evicted, all blocks, logouts everywhere and invalidations are gone. Living nodes
    /// still reject revoked tokens, and write back what they know within a second or so. Until then
    /// blocked users can log in, and a node that starts accepts revoked tokens. If all nodes
    /// restart first, the data is lost permanently. If the key of a session is evicted, only that
    /// session ends. The store logs a warning each time it reads the state.
    pub fn allow_eviction(mut self) -> Self {
        self.allows_eviction = true;
        self
    }

    /// Connects in the background, for as long as the store lives.
    ///
    /// Redis need not be reachable at once. Until it is, and during long outages, the node is
    /// stale.
    ///
    /// If the process has no default crypto provider of rustls, this installs that of `aws-lc-rs`,
    /// even without `rediss` addresses. To use another one, install it before this call.
    ///
    /// # Errors
    ///
    /// [`RedisStoreError::Backend`] outside a tokio runtime, or without randomness.
    #[expect(
        clippy::unused_async,
        reason = "a later version may wait for the connection"
    )]
    pub async fn connect(
        self,
        deployment: impl Into<RedisDeployment>,
    ) -> Result<RedisStore, RedisStoreError> {
        let runtime = Handle::try_current().map_err(|_| RedisStoreError::Backend)?;
        install_crypto_provider();
        let set = RevocationSet::new()
            .fingerprint_key(self.cipher.fingerprint_key)
            .capacity(self.capacity)
            .longest_lifetime(self.longest_lifetime)
            .clock(Arc::clone(&self.clock));
        let settings = ScriptSettings {
            check_value: self.cipher.check_value(),
            retention: self.max_staleness.saturating_mul(3).max(MIN_RETENTION),
            call_timeout: self.call_timeout,
            replicas: self.replicas,
            replication_timeout: self.replication_timeout,
        };
        let redis = ScriptClient::new(
            deployment.into(),
            KeyNames::new(&self.prefix),
            Arc::clone(&self.clock),
            settings,
        );
        let local = LocalState::new(
            set,
            self.cipher,
            self.clock,
            self.longest_lifetime,
            self.max_staleness,
        );
        let node = Node::new(
            random_id()?,
            redis,
            local,
            self.max_staleness,
            self.allows_eviction,
        );
        let proofs = ReplayMemory::new().capacity(self.proof_capacity);
        Ok(RedisStore::begin(node, proofs, &runtime))
    }
}

/// The crate `redis` panics if a process has several providers of rustls and no default.
fn install_crypto_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        // If another thread was first, its provider is used.
        let _ = provider.install_default();
    }
}

/// Shows no secret.
impl fmt::Debug for RedisStoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStoreOptions")
            .field("prefix", &self.prefix)
            .field("max_staleness", &self.max_staleness)
            .field("capacity", &self.capacity)
            .field("replicas", &self.replicas)
            .finish_non_exhaustive()
    }
}
