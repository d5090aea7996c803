//! Where Redis is, and how a connection to it is opened.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::{ConnectionLike, MultiplexedConnection};
use ::redis::cluster::ClusterClient;
use ::redis::cluster_async::ClusterConnection;
use ::redis::sentinel::SentinelClient;
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, RedisFuture, RedisResult, Value,
};
use tokio::time::{sleep, timeout};

use super::error::RedisStoreError;
use super::sentinel::Sentinels;

/// The Redis deployment: a server, the master that Sentinels name, or a Cluster.
///
/// Convert a client of the `redis` crate into it. The client holds addresses, credentials and TLS.
#[derive(Clone)]
pub struct RedisDeployment(Arc<Kind>);

/// Opening a connection may take this many times the timeout of a call. Where one of several
/// machines is silent, the next one is tried only once the silent one has timed out.
const CALLS_PER_CONNECT: u32 = 5;

enum Kind {
    Server(Client),
    Sentinel(Sentinels),
    Cluster(ClusterClient),
}

impl Kind {
    async fn connect(&self, call_timeout: Duration) -> RedisResult<Opened> {
        let config = config(call_timeout);
        let mut master = None;
        let connection = match self {
            Self::Server(client) => {
                let opened = client.get_multiplexed_async_connection_with_config(&config);
                Connection::Server(opened.await?)
            }
            Self::Sentinel(sentinels) => {
                let (client, address) = sentinels.find_master(&config).await?;
                master = Some(address);
                let opened = client.get_multiplexed_async_connection_with_config(&config);
                Connection::Server(opened.await?)
            }
            Self::Cluster(client) => {
                let config = redis::cluster::ClusterConfig::new()
                    .set_connection_timeout(call_timeout)
                    .set_response_timeout(call_timeout);
                let opened = client.get_async_connection_with_config(config);
                Connection::Cluster(opened.await?)
            }
        };
        Ok(Opened { connection, master })
    }
}

impl From<Client> for RedisDeployment {
    fn from(client: Client) -> Self {
        Self(Arc::new(Kind::Server(client)))
    }
}

/// Create the client with server type `Master`: a replica is not supported.
impl From<SentinelClient> for RedisDeployment {
    fn from(client: SentinelClient) -> Self {
        Self(Arc::new(Kind::Sentinel(Sentinels::new(client))))
    }
}

impl From<ClusterClient> for RedisDeployment {
    fn from(client: ClusterClient) -> Self {
        Self(Arc::new(Kind::Cluster(client)))
    }
}

impl fmt::Debug for RedisDeployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self.0 {
            Kind::Server(_) => "Server",
            Kind::Sentinel(_) => "Sentinel",
            Kind::Cluster(_) => "Cluster",
        })
    }
}

impl RedisDeployment {
    pub(super) fn is_cluster(&self) -> bool {
        matches!(*self.0, Kind::Cluster(_))
    }

    /// Opens a connection whose calls time out after `call_timeout`.
    pub(super) async fn connect(&self, call_timeout: Duration) -> Result<Opened, RedisStoreError> {
        let opened = timeout(connect_timeout(call_timeout), self.0.connect(call_timeout));
        let opened = opened.await.map_err(|_| RedisStoreError::Timeout)?;
        Ok(opened?)
    }

    /// Follows the Sentinels for ever: each `interval` it checks that they name the same master.
    ///
    /// Sentinels leave a replaced master running as a master for up to ten seconds, with all its
    /// connections. Once another master is named, [`is_replaced`](Self::is_replaced) says so.
    pub(super) async fn follow_sentinels(&self, interval: Duration, call_timeout: Duration) {
        let Kind::Sentinel(sentinels) = &*self.0 else {
            return std::future::pending().await;
        };
        let config = config(call_timeout);
        loop {
            sleep(interval).await;
            // If no Sentinel answers, the node stays with its master.
            let _ = timeout(connect_timeout(call_timeout), sentinels.refresh(&config)).await;
        }
    }

    /// Whether the Sentinels have named another master than this one.
    pub(super) fn is_replaced(&self, master: Option<&ConnectionAddr>) -> bool {
        match &*self.0 {
            Kind::Sentinel(sentinels) => sentinels.master().as_ref() != master,
            Kind::Server(_) | Kind::Cluster(_) => false,
        }
    }
}

fn config(call_timeout: Duration) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(call_timeout))
        .set_response_timeout(Some(call_timeout))
}

/// How long opening a connection may take.
pub(super) fn connect_timeout(call_timeout: Duration) -> Duration {
    call_timeout.saturating_mul(CALLS_PER_CONNECT)
}

/// A new connection.
pub(super) struct Opened {
    pub(super) connection: Connection,
    /// The address that Sentinels named.
    pub(super) master: Option<ConnectionAddr>,
}

#[derive(Clone)]
pub(super) enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    pub(super) fn call<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Server(connection) => connection.req_packed_command(command),
            Self::Cluster(connection) => connection.req_packed_command(command),
        }
    }
}
