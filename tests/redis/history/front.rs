//! The way to a server, which fails as networks do: for one node or all of them, for the
//! connections that read the stream, for calls, or for replicas.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Calls,
    Reads,
    Replication,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Nothing comes through in either direction, and nothing says so.
    Holds,
    /// The server is told, and its answers do not come through.
    HoldsAnswers,
    /// Everything takes longer.
    Delays(Duration),
}

/// Something that is wrong with the way.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    number: u64,
    /// All, if none is named.
    pub(crate) node: Option<u8>,
    pub(crate) usage: Option<Use>,
    pub(crate) what: What,
}

/// The rules for all ways of a group, and its connections.
#[derive(Clone)]
pub(crate) struct Rules(Arc<Inner>);

struct Inner {
    rules: watch::Sender<Vec<Rule>>,
    next: AtomicU64,
    connections: Mutex<Vec<(Arc<Peer>, AbortHandle)>>,
}

/// Who has made a connection. Names are told in its first bytes.
struct Peer {
    node: AtomicU8,
    usage: AtomicU8,
}

const NOBODY: u8 = u8::MAX;

impl Peer {
    fn node(&self) -> Option<u8> {
        let node = self.node.load(Ordering::SeqCst);
        (node != NOBODY).then_some(node)
    }

    fn usage(&self) -> Use {
        match self.usage.load(Ordering::SeqCst) {
            1 => Use::Reads,
            2 => Use::Replication,
            _ => Use::Calls,
        }
    }

    /// What a chunk tells of the connection.
    fn learn(&self, data: &[u8]) {
        let find = |what: &[u8]| data.windows(what.len()).position(|part| part == what);
        if self.node().is_none() {
            // `AUTH n3 x`, with the lengths of the words in between.
            let found = find(b"AUTH\r\n$2\r\nn").and_then(|at| data.get(at + 11));
            if let Some(digit) = found {
                self.node.store(digit.wrapping_sub(b'0'), Ordering::SeqCst);
            }
        }
        if find(b"XREAD").is_some() {
            self.usage.store(1, Ordering::SeqCst);
        } else if find(b"PSYNC").is_some() || find(b"REPLCONF").is_some() {
            self.usage.store(2, Ordering::SeqCst);
        }
    }

    fn concerns(&self, node: Option<u8>, usage: Option<Use>) -> bool {
        let is_replication = self.usage() == Use::Replication;
        match node {
            Some(_) if self.node() != node => false,
            // Faults of nodes are not those of servers among one another, or of Sentinels.
            None if usage.is_none() && (is_replication || self.node().is_none()) => false,
            _ => usage.is_none_or(|usage| usage == self.usage()),
        }
    }
}

impl Rules {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner {
            rules: watch::Sender::new(Vec::new()),
            next: AtomicU64::new(0),
            connections: Mutex::default(),
        }))
    }

    /// From now on that is wrong, until the number is removed.
    pub(crate) fn add(&self, node: Option<u8>, usage: Option<Use>, what: What) -> u64 {
        let number = self.0.next.fetch_add(1, Ordering::SeqCst);
        let rule = Rule {
            number,
            node,
            usage,
            what,
        };
        self.0.rules.send_modify(|rules| rules.push(rule));
        number
    }

    pub(crate) fn remove(&self, number: u64) {
        let keep = |rule: &Rule| rule.number != number;
        self.0.rules.send_modify(|rules| rules.retain(keep));
    }

    pub(crate) fn clear(&self) {
        self.0.rules.send_modify(Vec::clear);
    }

    /// Cuts connections. What is on its way is lost.
    pub(crate) fn cut(&self, node: Option<u8>, usage: Option<Use>) {
        let mut connections = self.0.connections.lock().unwrap();
        connections.retain(|(peer, handle)| {
            let is_cut = peer.concerns(node, usage);
            if is_cut {
                handle.abort();
            }
            !is_cut && !handle.is_finished()
        });
    }
}

/// A port that leads to a server.
pub(crate) struct Front {
    address: SocketAddr,
    target: Arc<AtomicU16>,
    accepting: AbortHandle,
}

impl Front {
    pub(crate) async fn new(rules: &Rules) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let target = Arc::new(AtomicU16::new(0));
        let accepting = tokio::spawn(accept(listener, rules.clone(), Arc::clone(&target)));
        Self {
            address,
            target,
            accepting: accepting.abort_handle(),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// New connections lead there.
    pub(crate) fn lead_to(&self, port: u16) {
        self.target.store(port, Ordering::SeqCst);
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, rules: Rules, target: Arc<AtomicU16>) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        let peer = Arc::new(Peer {
            node: AtomicU8::new(NOBODY),
            usage: AtomicU8::new(0),
        });
        let connection = connect(
            client,
            target.load(Ordering::SeqCst),
            Arc::clone(&peer),
            rules.0.rules.subscribe(),
        );
        let handle = tokio::spawn(connection).abort_handle();
        rules.0.connections.lock().unwrap().push((peer, handle));
    }
}

async fn connect(client: TcpStream, port: u16, peer: Arc<Peer>, rules: watch::Receiver<Vec<Rule>>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = copy(from_client, to_server, &peer, rules.clone(), true) => {}
        () = copy(from_server, to_client, &peer, rules, false) => {}
    }
}

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    peer: &Peer,
    mut rules: watch::Receiver<Vec<Rule>>,
    is_request: bool,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = match from.read(&mut buffer).await {
            Ok(length) if length > 0 => length,
            _ => return,
        };
        if is_request {
            peer.learn(&buffer[..length]);
        }
        let mut delay = Duration::ZERO;
        let passes = rules.wait_for(|rules| {
            delay = Duration::ZERO;
            // What a replica is told goes in the direction of answers.
            !rules.iter().any(|rule| {
                if !peer.concerns(rule.node, rule.usage) {
                    return false;
                }
                match rule.what {
                    What::Holds => true,
                    What::HoldsAnswers => !is_request,
                    What::Delays(by) => {
                        delay = delay.max(by);
                        false
                    }
                }
            })
        });
        if passes.await.is_err() {
            return;
        }
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
