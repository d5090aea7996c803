//! How a store is set up, and connected.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::sealed::Seal;
use super::shared::{Names, Settings, Shared, random_name};
use super::{RedisDeployment, RedisStore, RedisStoreError};
use crate::clock::{Clock, SystemClock};
use crate::keys::KeyError;
use crate::revocation::RevocationSet;

/// How a [`RedisStore`] is set up.
#[derive(Clone)]
#[must_use = "nothing is connected before `connect`"]
pub struct RedisStoreOptions {
    seal: Seal,
    prefix: String,
    clock: Arc<dyn Clock>,
    leeway: Duration,
    longest_lifetime: Duration,
    capacity: usize,
    max_staleness: Duration,
    patience: Duration,
    replicas: usize,
    replication_patience: Duration,
    allows_eviction: bool,
}

impl RedisStoreOptions {
    /// 5 seconds: an outage of Redis that is shorter is noticed by nobody, and so long at most may a token live on that was revoked on
    /// another node while this one was cut off.
    pub const DEFAULT_MAX_STALENESS: Duration = Duration::from_secs(5);

    /// 1 second: what is slower than that on a network of one's own will not come.
    pub const DEFAULT_PATIENCE: Duration = Duration::from_secs(1);

    /// The defaults, with the nodes' common secret of at least 32 bytes. It serves no other purpose. From it comes what the ids of
    /// revoked tokens look like in Redis; nodes with another secret refuse to work on the same keys.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the secret is empty, all zero or short, or is the text or encoding of a key.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Ok(Self {
            seal: Seal::new(secret.as_ref())?,
            prefix: "jwt".to_owned(),
            clock: Arc::new(SystemClock),
            leeway: RevocationSet::DEFAULT_LEEWAY,
            longest_lifetime: RevocationSet::DEFAULT_LONGEST_LIFETIME,
            capacity: RevocationSet::DEFAULT_CAPACITY,
            max_staleness: Self::DEFAULT_MAX_STALENESS,
            patience: Self::DEFAULT_PATIENCE,
            replicas: 0,
            replication_patience: Duration::from_millis(500),
            allows_eviction: false,
        })
    }

    /// What the names of all keys begin with, within braces: `jwt` by default.
    ///
    /// # Panics
    ///
    /// If it is empty, or holds a brace.
    #[track_caller]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        let prefix = prefix.into();
        assert!(
            !prefix.is_empty() && !prefix.contains(['{', '}']),
            "a prefix that is empty or holds braces"
        );
        self.prefix = prefix;
        self
    }

    /// Where the time comes from by which tokens and sessions age. The system's clock by default.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// How long tokens live at most. [24 hours](RevocationSet::DEFAULT_LONGEST_LIFETIME) by default: for so long a block that was
    /// lifted is remembered, and a logout everywhere.
    pub fn longest_lifetime(mut self, lifetime: Duration) -> Self {
        self.longest_lifetime = lifetime;
        self
    }

    /// How many revocations this node holds at most. [10 million](RevocationSet::DEFAULT_CAPACITY) by default. If there are more it can
    /// tell of no token that it was not revoked.
    pub fn capacity(mut self, revocations: usize) -> Self {
        self.capacity = revocations;
        self
    }

    /// For how long a node may have heard nothing and still say that a token was not revoked. 5 seconds by default. It must be the same
    /// on all nodes: for so long [`revoke_and_wait`](RedisStore::revoke_and_wait) waits for one that has fallen silent.
    ///
    /// # Panics
    ///
    /// If it is less than half a second.
    #[track_caller]
    pub fn max_staleness(mut self, max_staleness: Duration) -> Self {
        assert!(
            max_staleness >= Duration::from_millis(500),
            "a staleness of less than half a second"
        );
        self.max_staleness = max_staleness;
        self
    }

    /// For how long an answer is waited for. 1 second by default.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Waits after each write until so many replicas have it, for `patience` at most and within that of the whole call. None by default: a
    /// replica that is promoted may then lack the last writes. Renewals do not wait: one that is lost is recovered.
    pub fn replicas(mut self, replicas: usize, patience: Duration) -> Self {
        self.replicas = replicas;
        self.replication_patience = patience;
        self
    }

    /// Accepts a server that evicts keys. Refused by default, with [`RedisStoreError::Eviction`].
    ///
    /// # Warning
    ///
    /// An evicted key takes all revocations or all blocks with it. Living nodes write back what
    /// they hold, within a second or so. Until then, and after a restart of all nodes for ever,
    /// revoked tokens pass and blocked users log in. Evicted sessions end. The store logs a warning
    /// each time that it reads the state.
    pub fn allow_eviction(mut self) -> Self {
        self.allows_eviction = true;
        self
    }

    /// Connects, in the background and for as long as the store lives. It need not succeed at once: until then, and whenever Redis is away
    /// for too long, nothing is known of a token.
    ///
    /// For `rediss` addresses the process needs a crypto provider of rustls. If it has none, that of aws-lc-rs is installed.
    ///
    /// # Errors
    ///
    /// [`RedisStoreError::Backend`] outside a tokio runtime, or without randomness.
    #[expect(clippy::unused_async, reason = "it may have to wait one day")]
    pub async fn connect(
        self,
        deployment: impl Into<RedisDeployment>,
    ) -> Result<RedisStore, RedisStoreError> {
        let runtime = Handle::try_current().map_err(|_| RedisStoreError::Backend)?;
        // The crate `redis` would panic where it is not clear which provider is meant.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            let provider = rustls::crypto::aws_lc_rs::default_provider();
            // Another thread may have been first: that one is as good.
            let _ = provider.install_default();
        }
        let set = RevocationSet::new()
            .fingerprint_key(self.seal.fingerprints)
            .capacity(self.capacity)
            .leeway(self.leeway)
            .longest_lifetime(self.longest_lifetime)
            .clock(Arc::clone(&self.clock));
        let settings = Settings {
            max_staleness: self.max_staleness,
            longest_lifetime: self.longest_lifetime,
            replicas: self.replicas,
            replication_patience: self.replication_patience,
            allows_eviction: self.allows_eviction,
        };
        let shared = Arc::new(Shared::new(
            deployment.into(),
            Names::new(&self.prefix),
            self.seal,
            set,
            self.clock,
            settings,
            self.patience,
            random_name()?,
        ));
        Ok(RedisStore::begin(shared, &runtime))
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
