//! The master that Sentinels name.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ::redis::aio::MultiplexedConnection;
use ::redis::sentinel::SentinelClient;
use ::redis::{AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, RedisError, RedisResult};

/// The Sentinels, and the master that they named last.
pub(super) struct Sentinels {
    inner: tokio::sync::Mutex<Inner>,
    master: Mutex<Option<ConnectionAddr>>,
}

struct Inner {
    client: SentinelClient,
    /// A connection to the first Sentinel that answered.
    sentinel: Option<MultiplexedConnection>,
    /// The name of the master. The client knows it too, but does not tell.
    name: Option<String>,
    /// The newest configuration that a Sentinel has told. Sentinels agree within seconds: until
    /// then an older one must not lead back to a master that was replaced.
    epoch: u64,
}

impl Sentinels {
    pub(super) fn new(client: SentinelClient) -> Self {
        Self {
            inner: tokio::sync::Mutex::new(Inner {
                client,
                sentinel: None,
                name: None,
                epoch: 0,
            }),
            master: Mutex::default(),
        }
    }

    /// The master that the last look-up found.
    pub(super) fn master(&self) -> MutexGuard<'_, Option<ConnectionAddr>> {
        self.master.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks the master up: a client for it, and its address.
    pub(super) async fn find_master(
        &self,
        config: &AsyncConnectionConfig,
    ) -> RedisResult<(Client, ConnectionAddr)> {
        let mut inner = self.inner.lock().await;
        let client = inner.client.async_get_client().await?;
        let info = client.get_connection_info().clone();
        let address = inner.named_master(info.addr(), config).await?;
        let client = Client::open(info.set_addr(address.clone()))?;
        *self.master() = Some(address.clone());
        Ok((client, address))
    }

    /// Asks one Sentinel for the master again. This costs two commands, where
    /// [`find_master`](Self::find_master) opens connections.
    pub(super) async fn refresh(&self, config: &AsyncConnectionConfig) -> RedisResult<()> {
        let Some(last) = self.master().clone() else {
            return Ok(());
        };
        let named = self.inner.lock().await.named_master(&last, config).await;
        *self.master() = Some(named?);
        Ok(())
    }
}

impl Inner {
    /// The address of the master, by the name of the master at `listed`.
    ///
    /// `SENTINEL MASTERS`, which the client uses, lists a replaced master until its replicas follow
    /// the new one. `SENTINEL GET-MASTER-ADDR-BY-NAME` names the new one at once.
    async fn named_master(
        &mut self,
        listed: &ConnectionAddr,
        config: &AsyncConnectionConfig,
    ) -> RedisResult<ConnectionAddr> {
        let sentinel = match self.sentinel.take() {
            Some(sentinel) => Ok(sentinel),
            None => self.connect(config).await,
        };
        // The client learned the master from another Sentinel, if this one is away.
        let Ok(mut sentinel) = sentinel else {
            return Ok(listed.clone());
        };
        let name = match self.name.take() {
            Some(name) => name,
            None => name_of(listed, masters(&mut sentinel).await?).ok_or_else(unlisted)?,
        };
        let mut command = ::redis::cmd("SENTINEL");
        command.arg("GET-MASTER-ADDR-BY-NAME").arg(&name);
        let (host, port) = command.query_async(&mut sentinel).await?;
        // After the address, so that an address is never older than its epoch says.
        let epoch = epoch_of(&name, &masters(&mut sentinel).await?).ok_or_else(unlisted)?;
        // The connection and the name are used again only if the Sentinel answers.
        (self.sentinel, self.name) = (Some(sentinel), Some(name));
        if epoch < self.epoch {
            return Err(RedisError::from((
                ErrorKind::MasterNameNotFoundBySentinel,
                "the Sentinel does not know of the last failover yet",
            )));
        }
        self.epoch = epoch;
        Ok(at(listed, host, port))
    }

    async fn connect(
        &mut self,
        config: &AsyncConnectionConfig,
    ) -> RedisResult<MultiplexedConnection> {
        let client = self.client.async_get_sentinel_client().await?;
        client
            .get_multiplexed_async_connection_with_config(config)
            .await
    }
}

type Masters = Vec<HashMap<String, String>>;

async fn masters(sentinel: &mut MultiplexedConnection) -> RedisResult<Masters> {
    let mut command = ::redis::cmd("SENTINEL");
    command.arg("MASTERS").query_async(sentinel).await
}

fn unlisted() -> RedisError {
    RedisError::from((
        ErrorKind::MasterNameNotFoundBySentinel,
        "the Sentinel does not list this master",
    ))
}

fn epoch_of(name: &str, masters: &[HashMap<String, String>]) -> Option<u64> {
    let mut masters = masters.iter();
    let listed = masters.find(|listed| listed.get("name").is_some_and(|one| one == name))?;
    listed.get("config-epoch")?.parse().ok()
}

/// The name of the master at this address.
fn name_of(address: &ConnectionAddr, masters: Masters) -> Option<String> {
    let (ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. }) = address
    else {
        return None;
    };
    let port = port.to_string();
    masters
        .into_iter()
        .find(|listed| listed.get("ip") == Some(host) && listed.get("port") == Some(&port))?
        .remove("name")
}

/// The address with another host and port.
fn at(address: &ConnectionAddr, host: String, port: u16) -> ConnectionAddr {
    match address {
        ConnectionAddr::TcpTls {
            insecure,
            tls_params,
            ..
        } => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        },
        _ => ConnectionAddr::Tcp(host, port),
    }
}
