//! Connections that are made anew once they break.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::redis::aio::{ConnectionLike, MultiplexedConnection};
use ::redis::cluster::ClusterClient;
use ::redis::cluster_async::ClusterConnection;
use ::redis::cluster_routing::RoutingInfo;
use ::redis::sentinel::SentinelClient;
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, RedisFuture, RedisResult, ServerErrorKind, Value,
};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use super::error::RedisStoreError;

/// Where Redis is: a server, the master that Sentinels name, or a Cluster. Made of the `redis` crate's own clients, which know of
/// addresses, users, passwords and TLS.
pub struct RedisDeployment(Arc<Kind>);

enum Kind {
    Server(Client),
    Sentinel(tokio::sync::Mutex<SentinelClient>),
    Cluster(ClusterClient),
}

impl From<Client> for RedisDeployment {
    fn from(client: Client) -> Self {
        Self(Arc::new(Kind::Server(client)))
    }
}

/// The client must be one for the master.
impl From<SentinelClient> for RedisDeployment {
    fn from(client: SentinelClient) -> Self {
        Self(Arc::new(Kind::Sentinel(tokio::sync::Mutex::new(client))))
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
}

impl Kind {
    /// A new connection, which gives up on an answer after `patience`.
    async fn connect(&self, patience: Duration) -> RedisResult<Connection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(patience))
            .set_response_timeout(Some(patience));
        Ok(match self {
            Self::Server(client) => {
                let made = client.get_multiplexed_async_connection_with_config(&config);
                Connection::Server(made.await?)
            }
            Self::Sentinel(client) => {
                let mut client = client.lock().await;
                Connection::Server(client.get_async_connection_with_config(&config).await?)
            }
            Self::Cluster(client) => {
                let config = redis::cluster::ClusterConfig::new()
                    .set_connection_timeout(patience)
                    .set_response_timeout(patience);
                let made = client.get_async_connection_with_config(config);
                Connection::Cluster(made.await?)
            }
        })
    }
}

#[derive(Clone)]
enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    fn ask<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Server(connection) => connection.req_packed_command(command),
            Self::Cluster(connection) => connection.req_packed_command(command),
        }
    }
}

/// One connection, shared by all who ask something of the server.
pub(super) struct Link {
    current: Arc<Mutex<Current>>,
    patience: Duration,
}

#[derive(Default)]
struct Current {
    connection: Option<Connection>,
    /// Counts the connections, so that who has seen one break does not throw away the next.
    number: u64,
    attempt: Option<Attempt>,
}

type Outcome = Option<Result<(), RedisStoreError>>;

/// A connection that is being made. It goes on when those who wait for it give up: where one of several machines is silent, the next is
/// tried only once that one has had its time.
struct Attempt {
    began: Instant,
    task: AbortHandle,
    outcome: watch::Receiver<Outcome>,
}

impl Attempt {
    /// Whether its runtime is gone, or stands still: else it would have ended by its own timeout.
    fn is_dead(&self, patience: Duration) -> bool {
        let most = patience.saturating_mul(ATTEMPT.saturating_add(1));
        self.outcome.has_changed().is_err() || self.began.elapsed() > most
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        lock(&self.current).attempt = None;
    }
}

fn lock(current: &Mutex<Current>) -> MutexGuard<'_, Current> {
    current.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many times the patience of a call an attempt may take.
const ATTEMPT: u32 = 5;

async fn attempt(
    deployment: Arc<Kind>,
    current: Arc<Mutex<Current>>,
    patience: Duration,
    outcome: watch::Sender<Outcome>,
) {
    let made = timeout(
        patience.saturating_mul(ATTEMPT),
        deployment.connect(patience),
    );
    let made = match made.await {
        Ok(made) => made.map_err(RedisStoreError::from),
        Err(_) => Err(RedisStoreError::Timeout),
    };
    let mut current = lock(&current);
    let made = made.map(|connection| {
        current.number = current.number.wrapping_add(1);
        current.connection = Some(connection);
    });
    outcome.send_replace(Some(made));
    current.attempt = None;
}

impl Link {
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            current: Arc::default(),
            patience,
        }
    }

    /// Asks the server. An answer that is an error is an error here.
    pub(super) async fn ask(
        &self,
        deployment: &RedisDeployment,
        command: &Cmd,
    ) -> Result<Value, RedisStoreError> {
        self.ask_and_tell(deployment, command)
            .await
            .map(|(value, _)| value)
    }

    /// The same, and on which connection.
    pub(super) async fn ask_and_tell(
        &self,
        deployment: &RedisDeployment,
        command: &Cmd,
    ) -> Result<(Value, u64), RedisStoreError> {
        let mut asked_on = None;
        let asked = timeout(self.patience, async {
            let (number, mut connection) = self.connection(deployment).await?;
            asked_on = Some(number);
            let answer = connection.ask(command).await;
            let answer = answer.and_then(Value::extract_error);
            Ok((number, answer))
        });
        match asked.await {
            Ok(Ok((number, Ok(value)))) => Ok((value, number)),
            Ok(Ok((number, Err(error)))) => {
                if is_over(&error) {
                    self.forget(number);
                }
                Err(error.into())
            }
            Ok(Err(error)) => Err(error),
            // It may be half open: nothing comes through, and nothing says so.
            Err(_) => {
                if let Some(number) = asked_on {
                    self.forget(number);
                }
                Err(RedisStoreError::Timeout)
            }
        }
    }

    /// The same, of one node of a Cluster.
    pub(super) async fn ask_at(
        &self,
        deployment: &RedisDeployment,
        command: &Cmd,
        route: RoutingInfo,
    ) -> Result<Value, RedisStoreError> {
        let asked = timeout(self.patience, async {
            let (_, connection) = self.connection(deployment).await?;
            let Connection::Cluster(mut connection) = connection else {
                return Err(RedisStoreError::Reply);
            };
            Ok(connection.route_command(command.clone(), route).await?)
        });
        asked.await.map_err(|_| RedisStoreError::Timeout)?
    }

    /// Waits for a connection, for as long as an attempt takes.
    pub(super) async fn connect(
        &self,
        deployment: &RedisDeployment,
    ) -> Result<(), RedisStoreError> {
        self.connection(deployment).await.map(|_| ())
    }

    async fn connection(
        &self,
        deployment: &RedisDeployment,
    ) -> Result<(u64, Connection), RedisStoreError> {
        loop {
            let mut outcome = {
                let mut current = lock(&self.current);
                if let Some(connection) = &current.connection {
                    return Ok((current.number, connection.clone()));
                }
                let is_dead = |attempt: &mut Attempt| attempt.is_dead(self.patience);
                drop(current.attempt.take_if(is_dead));
                let attempt = current.attempt.get_or_insert_with(|| {
                    let (sender, outcome) = watch::channel(None);
                    let (deployment, current) =
                        (Arc::clone(&deployment.0), Arc::clone(&self.current));
                    let task = attempt(deployment, current, self.patience, sender);
                    Attempt {
                        began: Instant::now(),
                        task: tokio::spawn(task).abort_handle(),
                        outcome,
                    }
                });
                attempt.outcome.clone()
            };
            match outcome.wait_for(Option::is_some).await.as_deref() {
                Ok(Some(Ok(()))) => {}
                Ok(Some(Err(error))) => return Err(error.clone()),
                Ok(None) | Err(_) => return Err(RedisStoreError::Timeout),
            }
        }
    }

    fn forget(&self, number: u64) {
        let mut current = lock(&self.current);
        if current.number == number {
            current.connection = None;
        }
    }

    /// An attempt of a runtime that is gone ends by itself.
    pub(super) fn forget_any(&self) {
        lock(&self.current).connection = None;
    }
}

/// Whether the connection is of no more use: it broke, or leads to a server that is not, or no longer, the master.
fn is_over(error: &redis::RedisError) -> bool {
    error.is_unrecoverable_error()
        || error.is_io_error()
        || error.is_timeout()
        // A master without replicas may be one that was replaced, and does not know it yet.
        || error.code() == Some("NOREPLICAS")
        || matches!(
            error.kind(),
            ErrorKind::Server(
                ServerErrorKind::ReadOnly
                    | ServerErrorKind::MasterDown
                    | ServerErrorKind::BusyLoading
            )
        )
}
