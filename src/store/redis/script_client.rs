//! Runs scripts on the server, and waits for its replicas.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use ::redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use ::redis::{Cmd, ErrorKind, ServerErrorKind, Value};

use super::deployment::RedisDeployment;
use super::error::RedisStoreError;
use super::fingerprint_cipher::EncryptedFingerprint;
use super::key_names::KeyNames;
use super::link::Link;
use super::random_id::random_id;
use super::reply::{bytes, items};
use super::script::{Argument, Script, Scripts};
use crate::clock::{Clock, since_epoch};

/// The server, and what every script needs.
pub(super) struct ScriptClient {
    pub(super) deployment: RedisDeployment,
    pub(super) keys: KeyNames,
    pub(super) scripts: Scripts,
    link: Link,
    /// For writes that wait for replicas: heartbeats must not wait with them.
    replicated_link: Link,
    clock: Arc<dyn Clock>,
    settings: ScriptSettings,
}

/// The settings of a [`ScriptClient`].
pub(super) struct ScriptSettings {
    /// The check value of the nodes' secret.
    pub(super) check_value: EncryptedFingerprint,
    /// The shortest time that the server keeps stream entries.
    pub(super) retention: Duration,
    /// The timeout of each call.
    pub(super) call_timeout: Duration,
    /// How many replicas must have a write before it is acknowledged.
    pub(super) replicas: usize,
    pub(super) replication_timeout: Duration,
}

/// One call of a script.
pub(super) struct ScriptCall<'a> {
    pub(super) script: &'a Script,
    /// The same for each repetition, so that the script can detect a repeated change.
    pub(super) nonce: &'a str,
    /// The time of this node, in milliseconds.
    pub(super) now: u64,
    /// Whether all nodes that read the entry send a heartbeat at once.
    pub(super) requests_heartbeats: bool,
    pub(super) arguments: &'a [&'a [u8]],
}

/// The answer of a script.
pub(super) struct ScriptReply {
    value: Value,
    /// The number of the connection.
    connection: u64,
    /// The process of a Cluster's master before the call, if replicas are waited for.
    process: Option<Vec<u8>>,
}

impl Deref for ScriptReply {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.value
    }
}

/// What a master says about its replicas.
struct ReplicationStatus {
    process: Vec<u8>,
    offset: Argument,
    /// How many replicas have everything up to the offset.
    replicas: usize,
}

impl ScriptClient {
    pub(super) fn new(
        deployment: RedisDeployment,
        keys: KeyNames,
        clock: Arc<dyn Clock>,
        settings: ScriptSettings,
    ) -> Self {
        Self {
            deployment,
            keys,
            scripts: Scripts::new(),
            link: Link::new(settings.call_timeout),
            replicated_link: Link::new(settings.call_timeout),
            clock,
            settings,
        }
    }

    pub(super) fn forget_connections(&self) {
        self.link.forget_any();
        self.replicated_link.forget_any();
    }

    /// Follows the Sentinels for ever. Each `interval` the node leaves a master that they replaced.
    pub(super) async fn follow_sentinels(&self, interval: Duration) {
        let call_timeout = self.link.call_timeout();
        let deployment = &self.deployment;
        deployment.follow_sentinels(interval, call_timeout).await;
    }

    /// A call with the time of this node that requests no heartbeats.
    pub(super) fn prepare<'a>(
        &self,
        script: &'a Script,
        nonce: &'a str,
        arguments: &'a [&'a [u8]],
    ) -> ScriptCall<'a> {
        ScriptCall {
            script,
            nonce,
            now: u64::try_from(since_epoch(&*self.clock).as_millis()).unwrap_or(u64::MAX),
            requests_heartbeats: false,
            arguments,
        }
    }

    /// Runs a script that writes nothing to the stream, and repeats it once after a broken
    /// connection.
    pub(super) async fn call(
        &self,
        script: &Script,
        arguments: &[&[u8]],
    ) -> Result<ScriptReply, RedisStoreError> {
        let nonce = random_id()?;
        self.call_and_retry(&self.prepare(script, &nonce, arguments))
            .await
    }

    /// Runs a script, and repeats it once after a broken connection.
    ///
    /// The client of a Cluster repeats calls by itself, too. Either way two servers may run the
    /// call, after histories that differ. The entries then have different tags.
    pub(super) async fn call_and_retry(
        &self,
        call: &ScriptCall<'_>,
    ) -> Result<ScriptReply, RedisStoreError> {
        let is_replicated = self.settings.replicas > 0;
        let link = if is_replicated {
            &self.replicated_link
        } else {
            &self.link
        };
        let process = if is_replicated && self.deployment.is_cluster() {
            // An empty offset: only the process matters here.
            Some(self.replication_status(b"").await?.process)
        } else {
            None
        };
        let reply = self.call_twice(link, call).await?;
        Ok(ScriptReply { process, ..reply })
    }

    /// As [`call_and_retry`](Self::call_and_retry), for a write that waits for no replica.
    pub(super) async fn call_unreplicated(
        &self,
        call: &ScriptCall<'_>,
    ) -> Result<ScriptReply, RedisStoreError> {
        self.call_twice(&self.link, call).await
    }

    async fn call_twice(
        &self,
        link: &Link,
        call: &ScriptCall<'_>,
    ) -> Result<ScriptReply, RedisStoreError> {
        match self.call_on(link, call).await {
            Err(RedisStoreError::Server(error)) if error.is_connection_dropped() => {
                self.call_on(link, call).await
            }
            reply => reply,
        }
    }

    /// Runs a script, and does not repeat it.
    pub(super) async fn call_once(
        &self,
        call: &ScriptCall<'_>,
    ) -> Result<ScriptReply, RedisStoreError> {
        self.call_on(&self.link, call).await
    }

    async fn call_on(
        &self,
        link: &Link,
        call: &ScriptCall<'_>,
    ) -> Result<ScriptReply, RedisStoreError> {
        let keys = self.keys.all();
        let now = call.now.to_string();
        let retention = self.settings.retention.as_secs().to_string();
        let requests_heartbeats: &[u8] = if call.requests_heartbeats { b"1" } else { b"" };
        // The order of `header.lua` and `prelude.lua`.
        let mut arguments: Vec<&[u8]> = vec![
            call.nonce.as_bytes(),
            now.as_bytes(),
            retention.as_bytes(),
            &self.settings.check_value,
            requests_heartbeats,
        ];
        arguments.extend(call.arguments);
        let command = call.script.by_hash(&keys, &arguments);
        let reply = match link.ask_and_tell(&self.deployment, &command).await {
            Err(RedisStoreError::Server(error))
                if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) =>
            {
                let command = call.script.by_code(&keys, &arguments);
                link.ask_and_tell(&self.deployment, &command).await
            }
            reply => reply,
        };
        let (value, connection) = reply?;
        Ok(ScriptReply {
            value,
            connection,
            process: None,
        })
    }

    /// Waits until the configured number of replicas have what the call with this reply wrote.
    pub(super) async fn wait_for_replicas(
        &self,
        reply: &ScriptReply,
    ) -> Result<(), RedisStoreError> {
        if self.settings.replicas == 0 {
            return Ok(());
        }
        let timeout = self.settings.replication_timeout.as_millis();
        // 0 would mean that the server waits for ever.
        let timeout = u64::try_from(timeout).unwrap_or(u64::MAX).max(1);
        let mut wait = ::redis::cmd("WAIT");
        wait.arg(self.settings.replicas).arg(timeout);
        let is_replicated = if self.deployment.is_cluster() {
            self.wait_in_cluster(reply, &wait).await
        } else {
            self.wait_on_connection(reply, &wait).await
        };
        match is_replicated {
            Ok(true) => Ok(()),
            // The master has the write, even if a later step failed.
            _ => Err(RedisStoreError::Unreplicated),
        }
    }

    async fn wait_on_connection(
        &self,
        reply: &ScriptReply,
        wait: &Cmd,
    ) -> Result<bool, RedisStoreError> {
        let link = &self.replicated_link;
        let (value, connection) = link.ask_and_tell(&self.deployment, wait).await?;
        // The server waits for what was written on the same connection.
        if connection != reply.connection {
            return Ok(false);
        }
        let Value::Int(count) = value else {
            return Ok(false);
        };
        Ok(usize::try_from(count).is_ok_and(|count| count >= self.settings.replicas))
    }

    /// Waits in a Cluster, whose client replaces connections without notice.
    ///
    /// So `wait` only makes the replicas hurry. What the master says about its replicas is valid if
    /// it was the same process before the write, after it and now.
    async fn wait_in_cluster(
        &self,
        reply: &ScriptReply,
        wait: &Cmd,
    ) -> Result<bool, RedisStoreError> {
        let written = self.replication_status(b"").await?;
        let route = Route::with_key(&self.keys.stream, SlotAddr::Master);
        let route = RoutingInfo::SingleNode(SingleNodeRoutingInfo::SpecificNode(route));
        let link = &self.replicated_link;
        link.ask_at(&self.deployment, wait, route).await?;
        let now = self.replication_status(&written.offset).await?;
        let is_same = |process: &[u8]| reply.process.as_deref() == Some(process);
        Ok(is_same(&written.process)
            && is_same(&now.process)
            && now.replicas >= self.settings.replicas)
    }

    /// The replicas of a Cluster's master up to `offset`. If it is empty, up to the master's own
    /// offset.
    async fn replication_status(
        &self,
        offset: &[u8],
    ) -> Result<ReplicationStatus, RedisStoreError> {
        let nonce = random_id()?;
        let arguments = [offset];
        let call = self.prepare(&self.scripts.replication_status, &nonce, &arguments);
        let reply = self.call_on(&self.replicated_link, &call).await?;
        match items(&reply) {
            Some([process, offset, Value::Int(replicas)]) => Ok(ReplicationStatus {
                process: bytes(process).ok_or(RedisStoreError::Reply)?.to_vec(),
                offset: Argument::from(bytes(offset).ok_or(RedisStoreError::Reply)?),
                replicas: usize::try_from(*replicas).unwrap_or(0),
            }),
            _ => Err(RedisStoreError::Reply),
        }
    }
}
