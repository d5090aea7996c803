//! The master that Sentinels name.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::sentinel::SentinelClient;
use ::redis::{AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, RedisError, RedisResult};
use tokio::time::Instant;

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
    newest: Option<Configuration>,
}

/// A configuration of the Sentinels: each failover raises its epoch.
#[derive(Clone, Copy)]
struct Configuration {
    epoch: u64,
    told_at: Instant,
}

impl Configuration {
    /// For how long an older configuration must not lead back to a master that was replaced.
    /// Sentinels agree within seconds. Sentinels that were set up again start at epoch 0.
    const MEMORY: Duration = Duration::from_secs(30);

    fn outranks(&self, epoch: u64, now: Instant) -> bool {
        epoch < self.epoch && now.saturating_duration_since(self.told_at) < Self::MEMORY
    }
}

impl Sentinels {
    pub(super) fn new(client: SentinelClient) -> Self {
        Self {
            inner: tokio::sync::Mutex::new(Inner {
                client,
                sentinel: None,
                name: None,
                newest: None,
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
        let last = self.master().clone();
        let named = inner.named_master(info.addr(), config).await?;
        let address = match named {
            // The client learned the master from another Sentinel, if this one is away.
            None => info.addr().clone(),
            Some(named) => {
                let is_same = last.as_ref() == Some(&named.address);
                let newest = inner.newest.filter(|_| !is_same);
                if newest.is_some_and(|newest| newest.outranks(named.epoch, Instant::now())) {
                    return Err(older_configuration());
                }
                inner.follow(named)
            }
        };
        let client = Client::open(info.set_addr(address.clone()))?;
        *self.master() = Some(address.clone());
        Ok((client, address))
    }

    /// Asks one Sentinel for the master again. This costs two commands, where
    /// [`find_master`](Self::find_master) opens connections.
    ///
    /// A connection that works is never given up for an older configuration.
    pub(super) async fn refresh(&self, config: &AsyncConnectionConfig) -> RedisResult<()> {
        let mut inner = self.inner.lock().await;
        let Some(last) = self.master().clone() else {
            return Ok(());
        };
        if let Some(named) = inner.named_master(&last, config).await? {
            let is_older = inner
                .newest
                .is_some_and(|newest| named.epoch < newest.epoch);
            if is_older && named.address != last {
                return Err(older_configuration());
            }
            *self.master() = Some(inner.follow(named));
        }
        Ok(())
    }
}

/// What a Sentinel says of the master.
struct NamedMaster {
    address: ConnectionAddr,
    epoch: u64,
}

impl Inner {
    /// Finds the name of the master at `listed`, and asks which address has that name now. The name
    /// is looked up only once. `None` if no Sentinel can be reached.
    ///
    /// `SENTINEL MASTERS`, which the client uses, lists a replaced master until its replicas follow
    /// the new one. `SENTINEL GET-MASTER-ADDR-BY-NAME` names the new one at once.
    async fn named_master(
        &mut self,
        listed: &ConnectionAddr,
        config: &AsyncConnectionConfig,
    ) -> RedisResult<Option<NamedMaster>> {
        let sentinel = match self.sentinel.take() {
            Some(sentinel) => Ok(sentinel),
            None => self.connect(config).await,
        };
        let Ok(mut sentinel) = sentinel else {
            return Ok(None);
        };
        let name = match &self.name {
            Some(name) => name,
            None => {
                let name = name_of(listed, masters(&mut sentinel).await?);
                self.name.insert(name.ok_or_else(unlisted)?)
            }
        };
        let mut command = ::redis::cmd("SENTINEL");
        command.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
        let (host, port) = command.query_async(&mut sentinel).await?;
        // After the address, so that an address is never older than its epoch says.
        let epoch = epoch_of(name, &masters(&mut sentinel).await?).ok_or_else(unlisted)?;
        // The connection is used again only if the Sentinel answers.
        self.sentinel = Some(sentinel);
        let address = at(listed, host, port);
        Ok(Some(NamedMaster { address, epoch }))
    }

    fn follow(&mut self, named: NamedMaster) -> ConnectionAddr {
        self.newest = Some(Configuration {
            epoch: named.epoch,
            told_at: Instant::now(),
        });
        named.address
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

fn older_configuration() -> RedisError {
    RedisError::from((
        ErrorKind::MasterNameNotFoundBySentinel,
        "the Sentinel does not know of the last failover yet",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_configuration_is_refused_for_half_a_minute() {
        let told_at = Instant::now();
        let newest = Configuration { epoch: 5, told_at };
        let after = |seconds| told_at + Duration::from_secs(seconds);
        for (epoch, seconds, expected) in [
            (4, 0, true),
            (0, 29, true),
            (0, 30, false),
            (5, 0, false),
            (6, 0, false),
        ] {
            assert_eq!(newest.outranks(epoch, after(seconds)), expected, "{epoch}");
        }
    }
}
