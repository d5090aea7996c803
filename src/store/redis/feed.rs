//! How a node learns what the others revoke: it reads the state, then the stream, and keeps saying that it lives.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ::redis::Value;
use ::redis::streams::StreamReadReply;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::error::RedisStoreError;
use super::health::Moment;
use super::link::Link;
use super::own::Read;
use super::record::{Lineage, Record};
use super::shared::{
    Argument, Beat, NAME, Node, Place, Position, Shared, bytes, items, random_name, text,
};

/// For how long the server holds back an answer while there is nothing new, in milliseconds.
const BLOCK: u64 = 500;

/// How many entries are read at once.
const ENTRIES: usize = 1000;

/// How many members of the state are read or restored at once. Some hundred microseconds of the server's time.
const PAGE: usize = 1000;

/// How many signs of life may be on their way.
const MOST_BEATS: usize = 64;

/// How many nodes are kept in mind. More are no deployment, but somebody who writes to the stream.
const MOST_NODES: usize = 10_000;

/// How many subjects are restored at once. Each takes the server longer than a member.
const SUBJECTS: usize = 100;

enum Reading {
    /// What came was read. There may be more.
    Some,
    /// All was read that there is.
    All,
    /// The stream does not go on from where this node is: something was trimmed, lost or replaced.
    Broken,
}

/// Says every so often, and when it is asked to, that this node lives, and how far it has read.
pub(super) async fn beat(shared: Arc<Shared>) {
    let pause = shared.settings.max_staleness.div_f64(5.0);
    loop {
        if let Err(error) = say(&shared).await {
            shared.failed(error);
        }
        shared.prune_subjects();
        let _ = timeout(pause, shared.urge.notified()).await;
    }
}

/// Leaves a master that the Sentinels have replaced, within a heartbeat.
pub(super) async fn follow_sentinels(shared: Arc<Shared>) {
    let interval = shared.settings.max_staleness.div_f64(5.0);
    let call_timeout = shared.link.call_timeout();
    let deployment = &shared.deployment;
    deployment.follow_sentinels(interval, call_timeout).await;
}

async fn say(shared: &Shared) -> Result<(), RedisStoreError> {
    let nonce = random_name()?;
    let written = Moment::now();
    let beat = Beat {
        nonce: nonce.clone(),
        written,
    };
    {
        let mut beats = shared.beats();
        beats.push_back(beat);
        if beats.len() > MOST_BEATS {
            beats.pop_front();
        }
    }
    let Place { position, last } = shared.place.borrow().clone();
    let position = position.to_text();
    let arguments = [shared.node.as_bytes(), position.as_bytes(), &last];
    let script = &shared.scripts.beat;
    let said = shared
        .call_on(
            &shared.link,
            &nonce,
            script,
            shared.now(),
            false,
            &arguments,
        )
        .await;
    if said.is_err() {
        // It was not written, or may not have been: waiting for it would say nothing about the stream.
        let mut beats = shared.beats();
        beats.retain(|beat| beat.nonce != nonce);
    }
    said.map(|_| ())
}

/// Reads for ever.
pub(super) async fn follow(shared: Arc<Shared>) {
    let patience = Duration::from_millis(BLOCK).saturating_add(Duration::from_secs(1));
    let link = Link::new(patience);
    // Ends with this one, and when another begins.
    let mut restoring = None;
    let mut pause = Pause::default();
    let mut loaded: Option<Instant> = None;
    loop {
        // Who lives is in the stream. Soon after another look it is known already; and if that part is what does not go
        // on, it must not be read over and over.
        let back = shared.settings.max_staleness.saturating_mul(2);
        let back = match loaded {
            Some(before) if before.elapsed() < back => Duration::ZERO,
            _ => back,
        };
        let began = Instant::now();
        let loading = async {
            // First of all: what is read must not grow old while that takes its time.
            link.connect(&shared.deployment).await?;
            load(&shared, back).await
        };
        let Loaded { place, restores } = match loading.await {
            Ok(loaded) => loaded,
            Err(error) => {
                shared.failed(error);
                pause.wait().await;
                continue;
            }
        };
        loaded = Some(began);
        shared.loads.fetch_add(1, Ordering::AcqRel);
        if restores {
            // What the server has lost, this node may still hold. The one before goes: this one covers it.
            drop(restoring.replace(Restoring::begin(&shared)));
        }
        pause = Pause::default();
        read_on(&shared, &link, place).await;
        // Whoever answered may not be the master any more.
        link.forget_any();
    }
}

/// A task that ends with its handle.
struct Restoring(JoinHandle<()>);

impl Restoring {
    fn begin(shared: &Arc<Shared>) -> Self {
        let shared = Arc::clone(shared);
        Self(tokio::spawn(async move {
            let mut pause = Pause::default();
            while let Err(error) = restore(&shared).await {
                shared.failed(error);
                pause.wait().await;
            }
        }))
    }
}

impl Drop for Restoring {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A tenth of a second, then twice as long each time, up to a second.
#[derive(Default)]
struct Pause(u32);

impl Pause {
    async fn wait(&mut self) {
        self.0 = self.0.saturating_add(1);
        let factor = 1_u32 << self.0.saturating_sub(1).min(4);
        let pause = Duration::from_millis(100).saturating_mul(factor);
        sleep(pause.min(Duration::from_secs(1))).await;
    }
}

/// Reads the stream until it does not go on.
async fn read_on(shared: &Shared, link: &Link, mut place: Place) {
    let mut pause = Pause::default();
    // Those that were written before are no sign of how this goes; one is written now.
    shared.beats().clear();
    shared.urge.notify_one();
    loop {
        let reading = read(shared, link, &mut place).await;
        shared.place.send_replace(place.clone());
        match reading {
            // Signs of life may be farther on.
            Ok(Reading::Some) => {
                pause = Pause::default();
                continue;
            }
            // There was no room for something. Whether there is now, only the state tells.
            Ok(Reading::All) if shared.health.is_incomplete() => return,
            Ok(Reading::All) => pause = Pause::default(),
            Ok(Reading::Broken) => return,
            Err(error) => {
                shared.failed(error);
                pause.wait().await;
            }
        }
        if is_overdue(shared) {
            return;
        }
    }
}

/// Whether a sign of life was written, and is not to be read here: then this is not the stream that it was written to.
fn is_overdue(shared: &Shared) -> bool {
    let patience = shared.settings.max_staleness.div_f64(2.0);
    let mut beats = shared.beats();
    let is_overdue = beats
        .front()
        .is_some_and(|beat| beat.written.age() > patience);
    if is_overdue {
        beats.clear();
    }
    is_overdue
}

/// From where the stream is to be read, after the state was.
struct Loaded {
    place: Place,
    /// Whether this node holds what the server may have lost.
    restores: bool,
}

/// Notes where the stream ends, then takes in the state: what comes meanwhile is read from the
/// stream. Then writes an entry that says nothing, and expects to read it: the server may lose what
/// was found in its state and written after the place that was noted, and its stream would go on
/// from there all the same.
async fn load(shared: &Shared, back: Duration) -> Result<Loaded, RedisStoreError> {
    let overflows = shared.health.overflows();
    let nonce = random_name()?;
    let back = back.as_millis().to_string();
    let script = &shared.scripts.hello;
    let arguments = [back.as_bytes()];
    let hello = shared.call_on(
        &shared.link,
        &nonce,
        script,
        shared.now(),
        false,
        &arguments,
    );
    let hello = hello.await;
    let is_other = matches!(hello, Err(RedisStoreError::OtherSecret));
    if is_other || hello.is_ok() {
        shared.health.set_other_secret(is_other);
    }
    let hello = hello?;
    let Some([position, last, process]) = items(&hello) else {
        return Err(RedisStoreError::Reply);
    };
    let process = bytes(process).ok_or(RedisStoreError::Reply)?;
    let position = bytes(position).and_then(Position::parse);
    let place = Place {
        position: position.ok_or(RedisStoreError::Reply)?,
        last: bytes(last).ok_or(RedisStoreError::Reply)?.to_vec(),
    };
    // At once, one after the other: a write that is acknowledged in between would be neither
    // expected nor written back.
    shared.own.begin_load();
    let holds_something = shared.holds_something();
    scan(shared, process, "revoked", |member, until| {
        let until: f64 = text(until).and_then(|text| text.parse().ok())?;
        // A score is a whole number of seconds.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates"
        )]
        Some(shared.learn(member, until as u64))
    })
    .await?;
    scan(shared, process, "subjects", |field, record| {
        let id = shared.seal.subject(field)?;
        let learnt = shared.learn_subject(id, Record::parse(record)?);
        Some(learnt.map(|_| ()))
    })
    .await?;
    shared.health.make_good(overflows);
    let mut ticket = shared.ticket(false)?;
    let script = &shared.scripts.mark;
    let (link, now) = (&shared.link, shared.now());
    let mark = shared.call_on(link, &ticket.nonce, script, now, false, &[]);
    let mark = mark.await?;
    let Some([from, tag]) = items(&mark) else {
        return Err(RedisStoreError::Reply);
    };
    if bytes(from) != Some(process) {
        return Err(RedisStoreError::Replaced);
    }
    ticket.acknowledge(bytes(tag).ok_or(RedisStoreError::Reply)?);
    Ok(Loaded {
        place,
        restores: shared.own.end_load() || holds_something,
    })
}

/// Visits all pairs of a key, as that process of a server has them: to another one that has taken its place meanwhile the cursor would
/// mean another part. Pairs that `visit` cannot read are another program's, and say nothing.
async fn scan(
    shared: &Shared,
    process: &[u8],
    key: &str,
    mut visit: impl FnMut(&[u8], &[u8]) -> Option<Result<(), RedisStoreError>>,
) -> Result<(), RedisStoreError> {
    let mut cursor = b"0".to_vec();
    let size = PAGE.to_string();
    loop {
        let nonce = random_name()?;
        let script = &shared.scripts.page;
        let arguments = [key.as_bytes(), &cursor, size.as_bytes()];
        let (link, now) = (&shared.link, shared.now());
        let page = shared.call_on(link, &nonce, script, now, false, &arguments);
        let page = page.await?;
        let Some([from, next, pairs]) = items(&page) else {
            return Err(RedisStoreError::Reply);
        };
        if bytes(from) != Some(process) {
            return Err(RedisStoreError::Replaced);
        }
        let pairs = items(pairs).ok_or(RedisStoreError::Reply)?;
        for pair in pairs.chunks_exact(2) {
            let [name, value] = pair else { continue };
            let (name, value) = (bytes(name).unwrap_or_default(), bytes(value));
            // It says no more than that the key was never gone.
            if name.is_empty() {
                continue;
            }
            match visit(name, value.unwrap_or_default()) {
                // Not `Reply`: this one may be read by itself.
                Some(Err(RedisStoreError::Reply)) | None => report(&RedisStoreError::Reply),
                Some(visited) => visited?,
            }
        }
        cursor = bytes(next).ok_or(RedisStoreError::Reply)?.to_vec();
        if cursor == *b"0" {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}

/// Reads what has come, or waits for it.
async fn read(shared: &Shared, link: &Link, place: &mut Place) -> Result<Reading, RedisStoreError> {
    let mut command = ::redis::cmd("XREAD");
    command.arg("COUNT").arg(ENTRIES).arg("BLOCK").arg(BLOCK);
    command.arg("STREAMS").arg(&shared.names.stream);
    command.arg(place.position.to_text());
    let answer = link.ask(&shared.deployment, &command).await?;
    if answer == Value::Nil {
        return Ok(Reading::All);
    }
    let answer: StreamReadReply =
        redis::from_redis_value(answer).map_err(|_| RedisStoreError::Reply)?;
    let mut entries = 0_usize;
    let mut is_wanted = false;
    let mut is_broken = false;
    for entry in answer.keys.into_iter().flat_map(|key| key.ids) {
        entries = entries.saturating_add(1);
        let position = Position::parse(entry.id.as_bytes()).ok_or(RedisStoreError::Reply)?;
        let member = |name: &str| entry.map.get(name).and_then(bytes);
        let (Some(before), Some(own)) = (member("p"), member("n")) else {
            // Not one of ours: those name one another, as if it were not there.
            place.position = position;
            continue;
        };
        let hash = own.get(NAME..).unwrap_or_default();
        is_broken = before != place.last || !take(shared, position, own, &member)?;
        if is_broken {
            break;
        }
        is_wanted |= member("w") == Some(b"1");
        *place = Place {
            position,
            last: hash.to_vec(),
        };
    }
    if is_wanted {
        shared.place.send_replace(place.clone());
        shared.urge.notify_one();
    }
    Ok(if is_broken {
        Reading::Broken
    } else if entries < ENTRIES {
        Reading::All
    } else {
        Reading::Some
    })
}

/// Takes in an entry. Whether it makes sense: that it does after all that came before.
pub(super) fn take<'a>(
    shared: &Shared,
    position: Position,
    own: &[u8],
    member: &impl Fn(&str) -> Option<&'a [u8]>,
) -> Result<bool, RedisStoreError> {
    let mut makes_sense = true;
    if let (Some(revoked), Some(until)) = (member("z"), member("s")) {
        match text(until).and_then(|text| text.parse().ok()) {
            Some(until) => match shared.learn(revoked, until) {
                Err(RedisStoreError::Reply) => makes_sense = false,
                learnt => learnt?,
            },
            None => makes_sense = false,
        }
    } else if let (Some(field), Some(record)) = (member("u"), member("r")) {
        match (shared.seal.subject(field), Record::parse(record)) {
            (Some(id), Some(record)) => {
                makes_sense = shared.learn_subject(id, record)? != Lineage::Split;
            }
            _ => makes_sense = false,
        }
    } else if let (Some(name), Some(read)) = (member("h"), member("a")) {
        match Position::parse(read) {
            Some(read) => makes_sense = hear(shared, name, read, own, member("e")),
            None => makes_sense = false,
        }
    }
    let loads = shared.loads.load(Ordering::Acquire);
    shared.own.read(own, Read { position, loads });
    Ok(makes_sense)
}

/// Takes in a sign of life. Whether nothing is missing that this node wrote before it, if it is its
/// own. `policy`: by which the server evicted keys when it was written.
fn hear(shared: &Shared, name: &[u8], read: Position, own: &[u8], policy: Option<&[u8]>) -> bool {
    if name.len() != NAME {
        return false;
    }
    let node = Node {
        read,
        heard: Moment::now(),
        loads: shared.loads.load(Ordering::Acquire),
    };
    let mut nodes = shared.nodes();
    let is_known = nodes.contains_key(name);
    if !is_known {
        nodes.retain(|_, node| !node.is_silent(shared.settings.max_staleness));
    }
    if is_known || nodes.len() < MOST_NODES {
        nodes.insert(name.to_vec(), node);
    }
    drop(nodes);
    if name != shared.node.as_bytes() {
        return true;
    }
    let mut beats = shared.beats();
    let nonce = own.get(..NAME).unwrap_or_default();
    let index = beats.iter().position(|beat| beat.nonce.as_bytes() == nonce);
    let Some(beat) = index.and_then(|index| beats.drain(..=index).next_back()) else {
        return true;
    };
    drop(beats);
    if shared.own.is_missing(beat.written) {
        return false;
    }
    note_eviction(shared, policy);
    shared.health.hear(beat.written);
    true
}

/// Takes in by which policy the server evicts keys, if it does.
fn note_eviction(shared: &Shared, policy: Option<&[u8]>) {
    let Some(policy) = policy else {
        return shared.health.set_eviction(None);
    };
    let policy: Arc<str> = String::from_utf8_lossy(policy).into();
    let loads = shared.loads.load(Ordering::Acquire);
    // Once each time that the state was read.
    if shared.warned.swap(loads, Ordering::AcqRel) != loads {
        warn_of_eviction(&policy, shared.settings.allows_eviction);
    }
    let is_refused = !shared.settings.allows_eviction;
    shared.health.set_eviction(is_refused.then_some(policy));
}

#[cfg(feature = "tracing")]
fn warn_of_eviction(policy: &str, is_allowed: bool) {
    let then = if is_allowed {
        "`allow_eviction` is set, so revocations may be lost"
    } else {
        "this node refuses to say of any token that it was not revoked"
    };
    tracing::warn!(
        policy,
        "Redis may evict keys: set `maxmemory-policy noeviction`; {then}"
    );
}

#[cfg(not(feature = "tracing"))]
fn warn_of_eviction(_: &str, _: bool) {}

/// Tells the server, and so the other nodes, what this one holds and they may not. Each page is a
/// write of this node's own: if it is not read, the server has lost it, and all is restored again.
async fn restore(shared: &Shared) -> Result<(), RedisStoreError> {
    // First, because they are few, and each blocks or logs out a whole user.
    restore_subjects(shared).await?;
    restore_members(shared).await
}

async fn restore_members(shared: &Shared) -> Result<(), RedisStoreError> {
    let now = shared.now_in_seconds();
    let leeway = Shared::LEEWAY_SECONDS;
    let snapshot = shared.set.snapshot();
    let revocations = snapshot.tokens_sessions_and_cutoffs();
    let mut members = revocations.filter_map(|revocation| {
        let lives = now < revocation.until.saturating_add(leeway);
        let member = shared.seal.member(&revocation).filter(|_| lives)?;
        Some((member, Argument::from(revocation.until)))
    });
    // Page by page: all at once, as the server wants them, would take far more memory than the set.
    loop {
        let page: Vec<_> = members.by_ref().take(PAGE).collect();
        if page.is_empty() {
            break;
        }
        let pairs = page.iter().flat_map(|(member, until)| [&member[..], until]);
        let arguments: Vec<&[u8]> = pairs.collect();
        let mut ticket = shared.ticket(false)?;
        let script = &shared.scripts.restore;
        let tag = shared.call_for(&ticket, script, &arguments).await?;
        ticket.acknowledge(bytes(&tag).ok_or(RedisStoreError::Reply)?);
    }
    Ok(())
}

async fn restore_subjects(shared: &Shared) -> Result<(), RedisStoreError> {
    let longest = Argument::from(shared.longest_lifetime().as_secs());
    for page in shared.live_subjects().chunks(SUBJECTS) {
        let record = |id: &u64| {
            let record = shared.record_of(*id)?;
            Some((shared.seal.field(*id), record.to_text()))
        };
        let page: Vec<_> = page.iter().filter_map(record).collect();
        let pairs = page
            .iter()
            .flat_map(|(field, record)| [&field[..], record.as_bytes()]);
        let arguments: Vec<&[u8]> = std::iter::once(&*longest).chain(pairs).collect();
        let mut ticket = shared.ticket(false)?;
        let script = &shared.scripts.restore_subjects;
        let answer = shared.call_for(&ticket, script, &arguments).await?;
        let Some([tag, records]) = items(&answer) else {
            return Err(RedisStoreError::Reply);
        };
        let records = items(records).ok_or(RedisStoreError::Reply)?;
        for ((field, _), record) in page.iter().zip(records) {
            shared.learn_answer(field, record)?;
        }
        ticket.acknowledge(bytes(tag).ok_or(RedisStoreError::Reply)?);
    }
    Ok(())
}

impl Shared {
    /// Notes what a task failed with, and reports it.
    fn failed(&self, error: RedisStoreError) {
        report(&error);
        self.health.fail(error);
    }
}

#[cfg(feature = "tracing")]
fn report(error: &RedisStoreError) {
    let reason = std::error::Error::source(error).map(tracing::field::display);
    tracing::warn!(reason, "revocations cannot be read from Redis: {error}");
}

#[cfg(not(feature = "tracing"))]
fn report(_: &RedisStoreError) {}
