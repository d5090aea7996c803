//! A proxy to the server that fails as networks do.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tower_jwt_auth::store::redis::client::Client;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Passes,
    /// Half open: nothing passes, and no side gets an error.
    Stops,
    /// The server gets the calls, and its answers do not pass.
    StopsAnswers,
    /// The same, only for connections that read the stream.
    StopsReads,
    /// The same, only for all other connections.
    StopsWrites,
    /// The same, from the first login or rotation of a session.
    StopsRenewals,
    /// The call for a load's second page of revocations does not pass.
    StopsSecondPage,
    /// New connections are held: they lead nowhere yet.
    HoldsNew,
    /// Connections are closed right after they are accepted.
    Refused,
}

/// The last arguments of that call: how many revocations were read, and how many to read now.
const SECOND_PAGE: &[u8] = b"\r\n$4\r\n4000\r\n$4\r\n4000\r\n";

pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

struct Shared {
    flow: watch::Sender<Flow>,
    target: Mutex<u16>,
    connections: Mutex<Vec<AbortHandle>>,
    held: AtomicU64,
}

impl Proxy {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            flow: watch::Sender::new(Flow::Passes),
            target: Mutex::new(port),
            connections: Mutex::default(),
            held: AtomicU64::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            accepting: accepting.abort_handle(),
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::open(format!("redis://{}/", self.address)).unwrap()
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn set(&self, flow: Flow) {
        self.shared.flow.send_replace(flow);
    }

    /// Makes new connections lead to another port.
    pub(crate) fn lead_to(&self, port: u16) {
        *self.shared.target.lock().unwrap() = port;
    }

    /// How many connections, or calls for a second page, were held since the start.
    pub(crate) fn held(&self) -> u64 {
        self.shared.held.load(Ordering::SeqCst)
    }

    /// Cuts all connections that are not held.
    pub(crate) fn cut(&self) {
        let mut connections = self.shared.connections.lock().unwrap();
        connections.drain(..).for_each(|handle| handle.abort());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        if *shared.flow.borrow() == Flow::Refused {
            continue;
        }
        let mut flow = shared.flow.subscribe();
        if *flow.borrow() == Flow::HoldsNew {
            shared.held.fetch_add(1, Ordering::SeqCst);
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                let passes = flow.wait_for(|flow| *flow != Flow::HoldsNew).await.is_ok();
                if passes {
                    lead(&shared, client);
                }
            });
        } else {
            lead(&shared, client);
        }
    }
}

fn lead(shared: &Arc<Shared>, client: TcpStream) {
    let target = *shared.target.lock().unwrap();
    let flow = shared.flow.subscribe();
    let shared_with_task = Arc::clone(shared);
    let task = tokio::spawn(async move {
        let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else {
            return;
        };
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let (reads, renews) = (AtomicBool::new(false), AtomicBool::new(false));
        tokio::select! {
            () = copy(from_client, to_server, flow.clone(), |flow, data| {
                let reads_now = data.windows(5).any(|part| part == b"XREAD");
                reads.fetch_or(reads_now, Ordering::SeqCst);
                // A date has 21 digits.
                let renews_now = flow == Flow::StopsRenewals
                    && data.windows(9).any(|part| part == b"\r\n$21\r\n00")
                    && !reads_now;
                renews.fetch_or(renews_now, Ordering::SeqCst);
                let is_second_page = flow == Flow::StopsSecondPage
                    && data.windows(SECOND_PAGE.len()).any(|part| part == SECOND_PAGE);
                if is_second_page {
                    shared_with_task.held.fetch_add(1, Ordering::SeqCst);
                }
                flow == Flow::Stops || is_second_page
            }) => {}
            () = copy(from_server, to_client, flow, |flow, _| match flow {
                Flow::Stops | Flow::StopsAnswers => true,
                Flow::StopsRenewals => renews.load(Ordering::SeqCst),
                Flow::StopsReads => reads.load(Ordering::SeqCst),
                Flow::StopsWrites => !reads.load(Ordering::SeqCst),
                _ => false,
            }) => {}
        }
    });
    shared.connections.lock().unwrap().push(task.abort_handle());
}

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut flow: watch::Receiver<Flow>,
    stops: impl Fn(Flow, &[u8]) -> bool,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok(length) = from.read(&mut buffer).await else {
            return;
        };
        if length == 0 {
            return;
        }
        let data = &buffer[..length];
        let passes = flow.wait_for(|flow| !stops(*flow, data)).await.is_ok();
        if !passes || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
