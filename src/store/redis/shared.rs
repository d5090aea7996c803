//! What all clones of a store, and its tasks, share.

use std::collections::{HashMap, VecDeque};
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use ::redis::{Cmd, ErrorKind, ServerErrorKind, Value};
use tokio::sync::{Notify, watch};

use super::deployment::RedisDeployment;
use super::error::RedisStoreError;
use super::health::{Health, Moment};
use super::link::Link;
use super::own::{Own, Ticket};
use super::record::{Lineage, Record};
use super::script::{Script, Scripts};
use super::sealed::{Seal, Sealed};
use crate::clock::{Clock, since_epoch};
use crate::revocation::{
    Fingerprint, FingerprintedRevocation, Revocation, RevocationKind, RevocationSet, SubjectBlock,
};
use crate::session::{MAX_ACCESS_LIFETIME, Subject};

pub(super) struct Shared {
    pub(super) deployment: RedisDeployment,
    pub(super) link: Link,
    /// For writes that wait for replicas, lest what keeps this node alive waits with them.
    slow_link: Link,
    pub(super) names: Names,
    pub(super) scripts: Scripts,
    pub(super) seal: Seal,
    pub(super) set: RevocationSet,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: Settings,
    /// The name of this node: that of a process, for as long as it lives.
    pub(super) node: String,
    pub(super) health: Health,
    pub(super) beats: Mutex<VecDeque<Beat>>,
    /// To say at once how far this node has read.
    pub(super) urge: Notify,
    pub(super) nodes: Mutex<HashMap<Vec<u8>, Node>>,
    pub(super) place: watch::Sender<Place>,
    pub(super) own: Own,
    pub(super) loads: AtomicU64,
    /// How often the state had been read when it was last said that the server evicts keys.
    pub(super) warned: AtomicU64,
    records: Mutex<HashMap<u64, Record>>,
    /// When records were last looked through for those that no longer count, in seconds.
    pruned: AtomicU64,
}

/// How long the name of a node is, the nonce of a call, and the hash of an entry.
pub(super) const NAME: usize = 16;

#[derive(Clone, Copy)]
pub(super) struct Settings {
    pub(super) max_staleness: Duration,
    pub(super) longest_lifetime: Duration,
    pub(super) replicas: usize,
    pub(super) replication_patience: Duration,
    pub(super) allows_eviction: bool,
}

/// The names of the keys. They share a hash tag, so a Cluster keeps them in one slot.
pub(super) struct Names {
    pub(super) state: String,
    pub(super) subjects: String,
    pub(super) stream: String,
    last: String,
}

/// A sign of life that was written, and not read yet.
pub(super) struct Beat {
    pub(super) nonce: String,
    pub(super) written: Moment,
}

/// Another node, or this one, as the stream tells of it.
#[derive(Clone, Copy)]
pub(super) struct Node {
    pub(super) read: Position,
    pub(super) heard: Moment,
    /// How often this node had read the state when it heard of it: positions before and after say nothing of each other.
    pub(super) loads: u64,
}

impl Node {
    /// Whether it knows nothing any more: so long ago was it heard of, however fast its clock goes.
    pub(super) fn is_silent(&self, max_staleness: Duration) -> bool {
        self.heard.least_age() > max_staleness
    }
}

/// How far this node has read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) position: Position,
    /// The hash of the entry there.
    pub(super) last: Vec<u8>,
}

/// A place in the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position(u64, u64);

impl Position {
    #[cfg(test)]
    pub(super) const START: Self = Self(0, 0);

    pub(super) fn parse(id: &[u8]) -> Option<Self> {
        let (milliseconds, number) = text(id)?.split_once('-')?;
        Some(Self(milliseconds.parse().ok()?, number.parse().ok()?))
    }

    pub(super) fn to_text(self) -> String {
        format!("{}-{}", self.0, self.1)
    }
}

/// What a script has answered, and on which connection.
pub(super) struct Answer {
    value: Value,
    connection: u64,
    /// In a Cluster, which process was the master before, if replicas are to be waited for.
    process: Option<Vec<u8>>,
}

/// How far a master's replicas are.
struct Replication {
    process: Vec<u8>,
    offset: Argument,
    replicas: usize,
}

impl Deref for Answer {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.value
    }
}

/// An argument of a script.
pub(super) struct Argument(Vec<u8>);

impl From<u64> for Argument {
    fn from(number: u64) -> Self {
        Self(number.to_string().into())
    }
}

impl From<&str> for Argument {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<&[u8]> for Argument {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl Deref for Argument {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

pub(super) fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

pub(super) fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}

pub(super) fn items(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(items) | Value::Set(items) => Some(items),
        Value::Nil => Some(&[]),
        _ => None,
    }
}

impl Names {
    /// With `prefix` as their hash tag.
    pub(super) fn new(prefix: &str) -> Self {
        let prefix = format!("{{{prefix}}}");
        let name = |name: &str| format!("{prefix}:{name}");
        Self {
            state: name("revoked"),
            subjects: name("subjects"),
            stream: name("stream"),
            last: name("last"),
        }
    }
}

impl Shared {
    /// 5 minutes: the largest leeway of any verifier.
    pub(super) const LEEWAY_SECONDS: u64 = 300;

    /// How far the stream reaches back at least. A node that was away for longer reads the state anew.
    const RETENTION: Duration = Duration::from_secs(60);

    /// The highest generation to accept. Numbers in Lua are exact up to 2^53, so 2^52 logouts
    /// everywhere are left.
    pub(super) const MAX_GENERATION: u64 = 1 << 52;

    #[expect(
        clippy::too_many_arguments,
        reason = "one caller, who has them from the options"
    )]
    pub(super) fn new(
        deployment: RedisDeployment,
        names: Names,
        seal: Seal,
        set: RevocationSet,
        clock: Arc<dyn Clock>,
        settings: Settings,
        patience: Duration,
        node: String,
    ) -> Self {
        Self {
            deployment,
            link: Link::new(patience),
            slow_link: Link::new(patience),
            names,
            scripts: Scripts::new(),
            seal,
            set,
            clock,
            settings,
            node,
            health: Health::new(settings.max_staleness),
            beats: Mutex::default(),
            urge: Notify::new(),
            nodes: Mutex::default(),
            place: watch::Sender::default(),
            own: Own::default(),
            loads: AtomicU64::new(0),
            warned: AtomicU64::new(0),
            records: Mutex::default(),
            pruned: AtomicU64::new(0),
        }
    }

    pub(super) fn longest_lifetime(&self) -> Duration {
        self.settings.longest_lifetime.max(MAX_ACCESS_LIFETIME)
    }

    pub(super) fn now_in_seconds(&self) -> u64 {
        since_epoch(&*self.clock).as_secs()
    }

    pub(super) fn field(&self, subject: &Subject<'_>) -> Sealed {
        let set = &self.set;
        let fingerprint = set.subject_fingerprint(subject.issuer, subject.name);
        self.seal.field(fingerprint.bits())
    }

    pub(super) fn member(&self, revocation: &Revocation<'_>) -> Option<Sealed> {
        self.seal.member(&self.set.fingerprinted(revocation))
    }

    pub(super) fn ticket(&self, is_awaited: bool) -> Result<Ticket<'_>, RedisStoreError> {
        Ok(self.own.ticket(random_name()?, is_awaited))
    }

    pub(super) fn forget_connections(&self) {
        self.link.forget_any();
        self.slow_link.forget_any();
    }

    /// Runs a script that writes nothing to the stream. Once more if the connection had broken.
    pub(super) async fn call(
        &self,
        script: &Script,
        arguments: &[&[u8]],
    ) -> Result<Answer, RedisStoreError> {
        let nonce = random_name()?;
        self.call_twice(&nonce, script, self.now(), false, arguments)
            .await
    }

    /// Runs a script that writes to the stream.
    pub(super) async fn call_for(
        &self,
        ticket: &Ticket<'_>,
        script: &Script,
        arguments: &[&[u8]],
    ) -> Result<Answer, RedisStoreError> {
        self.call_twice(&ticket.nonce, script, self.now(), false, arguments)
            .await
    }

    /// Runs a script, and once more if the connection had broken, by the same name: who would do harm twice notices.
    ///
    /// The client of a Cluster repeats calls by itself, too. Either way both servers may run the
    /// call, one of them after a history that the other does not have. The entries then have
    /// different tags.
    pub(super) async fn call_twice(
        &self,
        nonce: &str,
        script: &Script,
        now: u64,
        is_wanted: bool,
        arguments: &[&[u8]],
    ) -> Result<Answer, RedisStoreError> {
        let is_replicated = self.settings.replicas > 0;
        let link = if is_replicated {
            &self.slow_link
        } else {
            &self.link
        };
        let process = if is_replicated && self.deployment.is_cluster() {
            Some(self.replication(&Argument::from("")).await?.process)
        } else {
            None
        };
        let answer = match self
            .call_on(link, nonce, script, now, is_wanted, arguments)
            .await
        {
            Err(RedisStoreError::Server(error)) if error.is_connection_dropped() => {
                self.call_on(link, nonce, script, now, is_wanted, arguments)
                    .await
            }
            answer => answer,
        };
        let answer = answer?;
        Ok(Answer { process, ..answer })
    }

    /// How far the replicas of a Cluster's master are, up to `offset`, or up to what it has written by now.
    async fn replication(&self, offset: &[u8]) -> Result<Replication, RedisStoreError> {
        let nonce = random_name()?;
        let script = &self.scripts.replication;
        let arguments = [offset];
        let answer = self.call_on(
            &self.slow_link,
            &nonce,
            script,
            self.now(),
            false,
            &arguments,
        );
        let answer = answer.await?;
        match items(&answer) {
            Some([process, offset, Value::Int(replicas)]) => Ok(Replication {
                process: bytes(process).ok_or(RedisStoreError::Reply)?.to_vec(),
                offset: Argument::from(bytes(offset).ok_or(RedisStoreError::Reply)?),
                replicas: usize::try_from(*replicas).unwrap_or(0),
            }),
            _ => Err(RedisStoreError::Reply),
        }
    }

    /// The time of this node in milliseconds.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(since_epoch(&*self.clock).as_millis()).unwrap_or(u64::MAX)
    }

    /// Runs a script. `now`: in milliseconds. `is_wanted`: whether the nodes are to say at once that they have read of it.
    pub(super) async fn call_on(
        &self,
        link: &Link,
        nonce: &str,
        script: &Script,
        now: u64,
        is_wanted: bool,
        arguments: &[&[u8]],
    ) -> Result<Answer, RedisStoreError> {
        let names = &self.names;
        let keys = [&*names.state, &names.subjects, &names.stream, &names.last];
        let now = now.to_string();
        let retention = self.settings.max_staleness.saturating_mul(3);
        let retention = retention.max(Self::RETENTION).as_secs().to_string();
        let probe = self.seal.probe();
        let wanted: &[u8] = if is_wanted { b"1" } else { b"" };
        let mut all: Vec<&[u8]> = vec![
            nonce.as_bytes(),
            now.as_bytes(),
            retention.as_bytes(),
            &probe,
            wanted,
        ];
        all.extend(arguments);
        let command = script.by_hash(&keys, &all);
        let answer = match link.ask_and_tell(&self.deployment, &command).await {
            Err(RedisStoreError::Server(error))
                if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) =>
            {
                let command = script.by_code(&keys, &all);
                link.ask_and_tell(&self.deployment, &command).await
            }
            answer => answer,
        };
        let (value, connection) = answer?;
        Ok(Answer {
            value,
            connection,
            process: None,
        })
    }

    /// Waits until as many replicas as wanted have what was written by the call with this answer.
    pub(super) async fn replicated(&self, answer: &Answer) -> Result<(), RedisStoreError> {
        let Settings {
            replicas,
            replication_patience,
            ..
        } = self.settings;
        if replicas == 0 {
            return Ok(());
        }
        let mut command = ::redis::cmd("WAIT");
        let patience = u64::try_from(replication_patience.as_millis()).unwrap_or(u64::MAX);
        command.arg(replicas).arg(patience);
        if self.deployment.is_cluster() {
            return match self.replicated_in_cluster(answer, &command).await {
                Ok(true) => Ok(()),
                // The master has it, whatever went wrong since.
                _ => Err(RedisStoreError::Unreplicated),
            };
        }
        let asked = self.slow_link.ask_and_tell(&self.deployment, &command);
        let asked = match asked.await {
            // The server counts from what was written on the same connection.
            Ok((_, connection)) if connection != answer.connection => {
                Err(RedisStoreError::Unreplicated)
            }
            asked => asked.map(|(value, _)| value),
        };
        match asked {
            Ok(Value::Int(count))
                if usize::try_from(count).is_ok_and(|count| count >= replicas) =>
            {
                Ok(())
            }
            // The server has it, whatever went wrong since.
            _ => Err(RedisStoreError::Unreplicated),
        }
    }

    /// The same in a Cluster, whose connections are made anew unseen. So what the master says of its replicas counts, if it was the same
    /// process before, in between and now; `wait` only has them hurry.
    async fn replicated_in_cluster(
        &self,
        answer: &Answer,
        wait: &Cmd,
    ) -> Result<bool, RedisStoreError> {
        let written = self.replication(b"").await?;
        let route = Route::with_key(&self.names.stream, SlotAddr::Master);
        let route = RoutingInfo::SingleNode(SingleNodeRoutingInfo::SpecificNode(route));
        self.slow_link.ask_at(&self.deployment, wait, route).await?;
        let now = self.replication(&written.offset).await?;
        let is_same = |process: &[u8]| answer.process.as_deref() == Some(process);
        Ok(is_same(&written.process)
            && is_same(&now.process)
            && now.replicas >= self.settings.replicas)
    }

    /// Takes in a member of the state. `until`: in seconds.
    pub(super) fn learn(&self, member: &[u8], until: u64) -> Result<(), RedisStoreError> {
        let revocation = self.seal.revocation(member, until);
        self.merge(&revocation.ok_or(RedisStoreError::Reply)?)
    }

    fn merge(&self, revocation: &FingerprintedRevocation) -> Result<(), RedisStoreError> {
        self.set.merge(revocation).map_err(|_| {
            // It is in Redis, and not here: from now on nobody can be told that a token was not revoked.
            self.health.overflow();
            RedisStoreError::SetFull
        })
    }

    /// Takes in what the server keeps of a subject, unless something newer is known. Where neither came of the other, both count, and
    /// what was known is kept to be restored.
    pub(super) fn learn_subject(
        &self,
        id: u64,
        record: Record,
    ) -> Result<Lineage, RedisStoreError> {
        let mut records = self.records();
        let known = records.get(&id);
        let lineage = known.map_or(Lineage::Newer, |known| record.lineage(known));
        match (lineage, known) {
            (Lineage::Older, _) => {}
            (Lineage::Split, Some(known)) => self.merge_subject(id, &known.strictest(&record))?,
            _ => {
                self.merge_subject(id, &record)?;
                if record.counts(self.now_in_seconds(), Self::LEEWAY_SECONDS) {
                    records.insert(id, record);
                } else {
                    records.remove(&id);
                }
            }
        }
        Ok(lineage)
    }

    fn merge_subject(&self, id: u64, record: &Record) -> Result<(), RedisStoreError> {
        let merge = |kind, until| {
            self.merge(&FingerprintedRevocation {
                fingerprint: Fingerprint::new(id),
                kind,
                until,
            })
        };
        // First, because lifting a block relies on it. Also if it has expired: the set then
        // remembers the horizon, should the clock step back.
        merge(RevocationKind::Generation(record.generation), record.until)?;
        if record.blocked || record.cutoff > 0 {
            let block = SubjectBlock {
                in_force: record.blocked,
                by_generation: true,
                cutoff: record.cutoff,
            };
            merge(RevocationKind::Block(block), u64::MAX)?;
        }
        Ok(())
    }

    /// Takes in what a script has answered that may have changed a subject: the tag of its entry in
    /// the stream, and the record. Where nothing was changed the record may be news all the same,
    /// so this is a write of its own in any case.
    pub(super) async fn changed(
        &self,
        ticket: &mut Ticket<'_>,
        field: &Sealed,
        answer: &Answer,
    ) -> Result<Record, RedisStoreError> {
        let Some([tag, record, ..]) = items(answer) else {
            return Err(RedisStoreError::Reply);
        };
        let record = self.learn_answer(field, record)?;
        ticket.acknowledge(bytes(tag).ok_or(RedisStoreError::Reply)?);
        self.replicated(answer).await?;
        Ok(record)
    }

    /// Takes in the record of a subject that a script has answered.
    pub(super) fn learn_answer(
        &self,
        field: &Sealed,
        record: &Value,
    ) -> Result<Record, RedisStoreError> {
        let record = bytes(record).and_then(Record::parse);
        let record = record.ok_or(RedisStoreError::Reply)?;
        let id = self.seal.subject(field).ok_or(RedisStoreError::Reply)?;
        self.learn_subject(id, record.clone())?;
        Ok(record)
    }

    /// Runs a script that changes a subject, which is told how long tokens live. What is kept of the subject then, and whether it has
    /// changed.
    pub(super) async fn change(
        &self,
        script: &Script,
        subject: &Subject<'_>,
    ) -> Result<(Record, bool), RedisStoreError> {
        let longest = Argument::from(self.longest_lifetime().as_secs());
        let field = self.field(subject);
        let mut ticket = self.ticket(false)?;
        let answer = self.call_for(&ticket, script, &[&field, &longest]).await?;
        let record = self.changed(&mut ticket, &field, &answer).await?;
        let is_changed = matches!(items(&answer), Some([_, _, Value::Int(1)]));
        Ok((record, is_changed))
    }

    /// The subjects of which something is known that still counts. Drops what does not.
    pub(super) fn live_subjects(&self) -> Vec<u64> {
        self.drop_dead_subjects();
        self.records().keys().copied().collect()
    }

    fn drop_dead_subjects(&self) {
        let now = self.now_in_seconds();
        self.records()
            .retain(|_, record| record.counts(now, Self::LEEWAY_SECONDS));
    }

    /// Drops records that do not count any more, once a minute.
    pub(super) fn prune_subjects(&self) {
        let now = self.now_in_seconds();
        // The clock may have been set back.
        if now.abs_diff(self.pruned.load(Ordering::Acquire)) >= 60 {
            self.pruned.store(now, Ordering::Release);
            self.drop_dead_subjects();
        }
    }

    /// Whether there is anything that a server may have lost.
    pub(super) fn holds_something(&self) -> bool {
        self.set.state().entries() > 0 || self.records_held() > 0
    }

    pub(super) fn record_of(&self, subject: u64) -> Option<Record> {
        self.records().get(&subject).cloned()
    }

    pub(super) fn records_held(&self) -> usize {
        self.records().len()
    }

    fn records(&self) -> MutexGuard<'_, HashMap<u64, Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn nodes(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Node>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn beats(&self) -> MutexGuard<'_, VecDeque<Beat>> {
        self.beats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 16 hexadecimal digits that nobody else has.
pub(super) fn random_name() -> Result<String, RedisStoreError> {
    let mut name = [0; 8];
    getrandom::fill(&mut name).map_err(|_| RedisStoreError::Backend)?;
    Ok(format!("{:016x}", u64::from_be_bytes(name)))
}
