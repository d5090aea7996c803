//! A connection that is opened again after it breaks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::redis::cluster_routing::RoutingInfo;
use ::redis::{Cmd, ConnectionAddr, ErrorKind, ServerErrorKind, Value};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use super::deployment::{Connection, Opened, RedisDeployment, connect_timeout};
use super::error::RedisStoreError;

/// One connection that all callers share.
pub(super) struct Link {
    current: Arc<Mutex<Current>>,
    call_timeout: Duration,
}

#[derive(Default)]
struct Current {
    connection: Option<Connection>,
    /// The server that the Sentinels had named.
    master: Option<ConnectionAddr>,
    /// Counts the connections, so that a caller whose connection broke does not drop its successor.
    number: u64,
    opening: Option<Opening>,
}

type Outcome = Option<Result<(), RedisStoreError>>;

/// A connection that is being opened. Its task continues when the callers that wait for it give up.
struct Opening {
    began: Instant,
    task: AbortHandle,
    outcome: watch::Receiver<Outcome>,
}

impl Opening {
    /// Whether its runtime is gone or hangs: otherwise it would have timed out.
    fn is_dead(&self, call_timeout: Duration) -> bool {
        let most = connect_timeout(call_timeout).saturating_add(call_timeout);
        self.outcome.has_changed().is_err() || self.began.elapsed() > most
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        lock(&self.current).opening = None;
    }
}

fn lock(current: &Mutex<Current>) -> MutexGuard<'_, Current> {
    current.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn open(
    deployment: RedisDeployment,
    current: Arc<Mutex<Current>>,
    call_timeout: Duration,
    outcome: watch::Sender<Outcome>,
) {
    let opened = deployment.connect(call_timeout).await;
    let mut current = lock(&current);
    let opened = opened.map(|Opened { connection, master }| {
        current.number = current.number.wrapping_add(1);
        current.connection = Some(connection);
        current.master = master;
    });
    outcome.send_replace(Some(opened));
    current.opening = None;
}

impl Link {
    pub(super) fn new(call_timeout: Duration) -> Self {
        Self {
            current: Arc::default(),
            call_timeout,
        }
    }

    pub(super) fn call_timeout(&self) -> Duration {
        self.call_timeout
    }

    /// Sends a command. An error reply is an error here.
    pub(super) async fn ask(
        &self,
        deployment: &RedisDeployment,
        command: &Cmd,
    ) -> Result<Value, RedisStoreError> {
        self.ask_and_tell(deployment, command)
            .await
            .map(|(value, _)| value)
    }

    /// As [`ask`](Self::ask), with the number of the connection.
    pub(super) async fn ask_and_tell(
        &self,
        deployment: &RedisDeployment,
        command: &Cmd,
    ) -> Result<(Value, u64), RedisStoreError> {
        let mut asked_on = None;
        let asked = timeout(self.call_timeout, async {
            let (number, mut connection) = self.connection(deployment).await?;
            asked_on = Some(number);
            let answer = connection.call(command).await;
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
            // The connection may be half open.
            Err(_) => {
                if let Some(number) = asked_on {
                    self.forget(number);
                }
                Err(RedisStoreError::Timeout)
            }
        }
    }

    /// Sends a command to one node of a Cluster.
    pub(super) async fn ask_at(
        &self,
        deployment: &RedisDeployment,
        command: &Cmd,
        route: RoutingInfo,
    ) -> Result<Value, RedisStoreError> {
        let asked = timeout(self.call_timeout, async {
            let (_, connection) = self.connection(deployment).await?;
            let Connection::Cluster(mut connection) = connection else {
                return Err(RedisStoreError::Reply);
            };
            Ok(connection.route_command(command.clone(), route).await?)
        });
        asked.await.map_err(|_| RedisStoreError::Timeout)?
    }

    /// Waits for a connection, for as long as opening one takes.
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
                if current.connection.is_some() && deployment.is_replaced(current.master.as_ref()) {
                    current.connection = None;
                }
                if let Some(connection) = &current.connection {
                    return Ok((current.number, connection.clone()));
                }
                let is_dead = |opening: &mut Opening| opening.is_dead(self.call_timeout);
                drop(current.opening.take_if(is_dead));
                let opening = current.opening.get_or_insert_with(|| {
                    let (sender, outcome) = watch::channel(None);
                    let current = Arc::clone(&self.current);
                    let task = open(deployment.clone(), current, self.call_timeout, sender);
                    Opening {
                        began: Instant::now(),
                        task: tokio::spawn(task).abort_handle(),
                        outcome,
                    }
                });
                opening.outcome.clone()
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

    /// Drops the connection. An opening of a runtime that is gone ends by itself.
    pub(super) fn forget_any(&self) {
        lock(&self.current).connection = None;
    }
}

/// Whether the connection must be dropped: it is broken, or its server is not the master.
fn is_over(error: &redis::RedisError) -> bool {
    error.is_unrecoverable_error()
        || error.is_io_error()
        || error.is_timeout()
        // A master without replicas may have been replaced without knowing it.
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
