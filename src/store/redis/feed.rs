//! How a node learns what the others revoke: it reads the state, then the stream, and keeps saying that it lives.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ::redis::Value;
use ::redis::streams::StreamReadReply;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::error::RedisStoreError;
use super::health::Moment;
use super::link::Link;
use super::record::Record;
use super::shared::{Argument, Beat, Node, Position, Shared, bytes, items, random_name, text};
use crate::clock::since_epoch;

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

/// Where a node is in the stream, and the tag of the entry that it has read last.
struct Place {
    position: Position,
    last: Vec<u8>,
}

enum Reading {
    /// So many entries were read.
    Read,
    /// The stream does not go on from where this node is: something was trimmed, lost or replaced.
    Broken,
}

/// Says every so often, and when it is asked to, that this node lives, and how far it has read.
pub(super) async fn beat(shared: Arc<Shared>) {
    let pause = shared.settings.max_staleness.div_f64(5.0);
    loop {
        if let Err(error) = say(&shared).await {
            report(&error);
        }
        let _ = timeout(pause, shared.urge.notified()).await;
    }
}

async fn say(shared: &Shared) -> Result<(), RedisStoreError> {
    let nonce = random_name()?;
    let written = Moment::now();
    let beat = Beat {
        // As the script calls its first entry.
        nonce: format!("{nonce}1"),
        written,
    };
    {
        let mut beats = shared.beats();
        beats.push_back(beat);
        if beats.len() > MOST_BEATS {
            beats.pop_front();
        }
    }
    let position = shared.position.borrow().to_text();
    let now = u64::try_from(since_epoch(&*shared.clock).as_millis()).unwrap_or(u64::MAX);
    let arguments = [shared.node.as_bytes(), position.as_bytes()];
    let script = &shared.scripts.beat;
    let said = shared.call_as(&nonce, script, now, false, &arguments).await;
    if said.is_err() {
        // It was not written, or may not have been: waiting for it would say nothing about the stream.
        let mut beats = shared.beats();
        beats.retain(|beat| !beat.nonce.starts_with(&nonce));
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
    loop {
        let place = match load(&shared).await {
            Ok(place) => place,
            Err(error) => {
                report(&error);
                pause.wait().await;
                continue;
            }
        };
        let loads = shared.loads.fetch_add(1, Ordering::Relaxed);
        if loads > 0 {
            // What the server has lost, this node may still hold. The one before goes: this one covers it.
            drop(restoring.replace(Restoring::begin(&shared)));
        }
        pause = Pause::default();
        read_on(&shared, &link, place).await;
        // Whoever answered may not be the master any more.
        link.forget_any().await;
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
                report(&error);
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
    loop {
        match read(shared, link, &mut place).await {
            Ok(Reading::Read) => pause = Pause::default(),
            Ok(Reading::Broken) => return,
            Err(error) => {
                report(&error);
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

/// Notes where the stream ends, then takes in the state: what comes meanwhile is read from the stream.
async fn load(shared: &Shared) -> Result<Place, RedisStoreError> {
    let probe = shared.seal.probe();
    let hello = shared.call(&shared.scripts.hello, &[&probe]).await?;
    let Some([found, position, last]) = items(&hello) else {
        return Err(RedisStoreError::Reply);
    };
    let is_ours = bytes(found) == Some(&probe);
    let other = &shared.health.other_secret;
    other.store(!is_ours, Ordering::Relaxed);
    if !is_ours {
        return Err(RedisStoreError::OtherSecret);
    }
    let position = bytes(position).and_then(Position::parse);
    let place = Place {
        position: position.ok_or(RedisStoreError::Reply)?,
        last: bytes(last).ok_or(RedisStoreError::Reply)?.to_vec(),
    };
    scan(shared, "ZSCAN", &shared.names.state, |member, until| {
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
    scan(shared, "HSCAN", &shared.names.subjects, |field, record| {
        let id = shared.seal.subject(field)?;
        Some(shared.learn_subject(id, Record::parse(record)?))
    })
    .await?;
    shared.health.incomplete.store(false, Ordering::Relaxed);
    Ok(place)
}

/// Visits all pairs of a key.
async fn scan(
    shared: &Shared,
    command: &str,
    key: &str,
    mut visit: impl FnMut(&[u8], &[u8]) -> Option<Result<(), RedisStoreError>>,
) -> Result<(), RedisStoreError> {
    let mut cursor = b"0".to_vec();
    loop {
        let mut page = ::redis::cmd(command);
        page.arg(key).arg(&cursor).arg("COUNT").arg(PAGE);
        let page = shared.link.ask(&shared.deployment, &page).await?;
        let Some([next, pairs]) = items(&page) else {
            return Err(RedisStoreError::Reply);
        };
        let pairs = items(pairs).ok_or(RedisStoreError::Reply)?;
        for pair in pairs.chunks_exact(2) {
            let [name, value] = pair else { continue };
            let (name, value) = (bytes(name), bytes(value));
            let visited = visit(name.unwrap_or_default(), value.unwrap_or_default());
            visited.ok_or(RedisStoreError::Reply)??;
        }
        cursor = bytes(next).ok_or(RedisStoreError::Reply)?.to_vec();
        if cursor == b"0" {
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
        return Ok(Reading::Read);
    }
    let answer: StreamReadReply =
        redis::from_redis_value(answer).map_err(|_| RedisStoreError::Reply)?;
    let mut is_wanted = false;
    for entry in answer.keys.into_iter().flat_map(|key| key.ids) {
        let member = |name: &str| entry.map.get(name).and_then(bytes);
        if member("p") != Some(&place.last) {
            return Ok(Reading::Broken);
        }
        let position = Position::parse(entry.id.as_bytes()).ok_or(RedisStoreError::Reply)?;
        let own = member("n").ok_or(RedisStoreError::Reply)?;
        take(shared, own, &member)?;
        is_wanted |= member("w") == Some(b"1");
        *place = Place {
            position,
            last: own.to_vec(),
        };
        shared.position.send_replace(position);
    }
    if is_wanted {
        shared.urge.notify_one();
    }
    Ok(Reading::Read)
}

/// Takes in an entry.
fn take<'a>(
    shared: &Shared,
    own: &[u8],
    member: &impl Fn(&str) -> Option<&'a [u8]>,
) -> Result<(), RedisStoreError> {
    if let (Some(revoked), Some(until)) = (member("z"), member("s")) {
        let until = text(until).and_then(|text| text.parse().ok());
        return shared.learn(revoked, until.ok_or(RedisStoreError::Reply)?);
    }
    if let (Some(field), Some(record)) = (member("u"), member("r")) {
        let id = shared.seal.subject(field);
        let record = Record::parse(record).ok_or(RedisStoreError::Reply)?;
        return shared.learn_subject(id.ok_or(RedisStoreError::Reply)?, record);
    }
    if let (Some(name), Some(read)) = (member("h"), member("a")) {
        let read = Position::parse(read).ok_or(RedisStoreError::Reply)?;
        hear(shared, name, read, own);
    }
    Ok(())
}

fn hear(shared: &Shared, name: &[u8], read: Position, own: &[u8]) {
    let heard = Moment::now();
    let silent = |node: &Node| node.heard.age() > shared.settings.max_staleness;
    let mut nodes = shared.nodes();
    if !nodes.contains_key(name) {
        nodes.retain(|_, node| !silent(node));
        if nodes.len() >= MOST_NODES {
            return;
        }
    }
    nodes.insert(name.to_vec(), Node { read, heard });
    drop(nodes);
    if name != shared.node.as_bytes() {
        return;
    }
    let mut beats = shared.beats();
    if let Some(index) = beats.iter().position(|beat| beat.nonce.as_bytes() == own) {
        let mut read = beats.drain(..=index);
        if let Some(beat) = read.next_back() {
            shared.health.hear(beat.written);
        }
    }
}

/// Tells the server, and so the other nodes, what this one holds and they may not.
async fn restore(shared: &Shared) -> Result<(), RedisStoreError> {
    let now = shared.now_in_seconds();
    let leeway = Shared::LEEWAY_MILLISECONDS / 1000;
    let mut held = Vec::new();
    shared.set.visit_passing(|mark| {
        if now < mark.until.saturating_add(leeway)
            && let Some(member) = shared.seal.member(&mark)
        {
            held.push((member, Argument::from(mark.until)));
        }
    });
    for page in held.chunks(PAGE) {
        let pairs = page.iter().flat_map(|(member, until)| [&member[..], until]);
        let arguments: Vec<&[u8]> = pairs.collect();
        shared.call(&shared.scripts.restore, &arguments).await?;
    }
    for (id, record) in shared.live_records() {
        let field = shared.seal.field(id);
        let text = record.to_text();
        let script = &shared.scripts.restore_subject;
        let answer = shared.call(script, &[&field, text.as_bytes()]).await?;
        shared.changed(&field, &answer).await?;
    }
    Ok(())
}

#[cfg(feature = "tracing")]
fn report(error: &RedisStoreError) {
    let reason = std::error::Error::source(error).map(tracing::field::display);
    tracing::warn!(reason, "revocations cannot be read from Redis: {error}");
}

#[cfg(not(feature = "tracing"))]
fn report(_: &RedisStoreError) {}
