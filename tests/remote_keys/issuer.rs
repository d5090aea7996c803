//! An issuer on a socket that sends what a test tells it to, byte by byte.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::sleep;
use tower_jwt_auth::keys::SigningKey;

pub(crate) struct Issuer {
    name: String,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    answers: HashMap<String, Answer>,
    hits: HashMap<String, usize>,
    connections: usize,
    sent: usize,
    hung_up: usize,
}

#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// A document, with 200.
    Text(String),
    /// A document of this type, with 200; 406 where `Accept` does not list the type.
    Negotiated(&'static str, String),
    Status(u16),
    Redirect(String),
    /// These bytes and no others; then the connection is closed.
    Bytes(Vec<u8>),
    /// These, and then it is reset.
    Reset(Vec<u8>),
    /// None, ever.
    Hang,
    /// These, then the others over and over, each at this distance, until the client hangs up.
    Endless(Vec<u8>, Vec<u8>, Duration),
}

impl Answer {
    /// A document, with these header lines and 200.
    pub(crate) fn with(headers: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let head = format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
            body.len()
        );
        Self::Bytes([head.as_bytes(), body].concat())
    }

    pub(crate) fn chunked(chunk: &[u8], pause: Duration) -> Self {
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let length = format!("{:x}\r\n", chunk.len());
        let chunk = [length.as_bytes(), chunk, b"\r\n"].concat();
        Self::Endless(head.to_vec(), chunk, pause)
    }
}

/// The document of the public halves.
pub(crate) fn document<'a>(keys: impl IntoIterator<Item = &'a SigningKey>) -> String {
    let keys: Vec<String> = keys
        .into_iter()
        .map(|key| key.verifying_key().to_jwk().unwrap())
        .collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // So that what was sent is about what was read.
        socket.set_send_buffer_size(4096).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1024).unwrap();
        let issuer = Self {
            name: format!("http://{}", listener.local_addr().unwrap()),
            shared: Arc::default(),
        };
        issuer.start_metadata();
        let shared = Arc::clone(&issuer.shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.lock().unwrap().connections += 1;
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    if serve(stream, &shared).await.is_err() {
                        shared.lock().unwrap().hung_up += 1;
                    }
                });
            }
        });
        issuer
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn answer(&self, path: &str, answer: Answer) {
        let mut shared = self.shared.lock().unwrap();
        shared.sent = 0;
        shared.hung_up = 0;
        shared.answers.insert(path.to_owned(), answer);
    }

    pub(crate) fn start_metadata(&self) {
        let name = &self.name;
        self.answer(
            "/.well-known/openid-configuration",
            Answer::Text(format!(
                r#"{{"issuer":"{name}","jwks_uri":"{name}/jwks","x":[1]}}"#
            )),
        );
    }

    pub(crate) fn publish<'a>(&self, keys: impl IntoIterator<Item = &'a SigningKey>) {
        self.answer("/jwks", Answer::Text(document(keys)));
    }

    pub(crate) fn hits(&self, path: &str) -> usize {
        let shared = self.shared.lock().unwrap();
        shared.hits.get(path).copied().unwrap_or(0)
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.lock().unwrap().connections
    }

    /// How many bytes went out since the last answer was laid down.
    pub(crate) fn sent(&self) -> usize {
        self.shared.lock().unwrap().sent
    }

    /// On how many clients they were lost, since then.
    pub(crate) fn hung_up(&self) -> usize {
        self.shared.lock().unwrap().hung_up
    }
}

async fn serve(mut stream: TcpStream, shared: &Mutex<Shared>) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let answer = {
        let mut shared = shared.lock().unwrap();
        *shared.hits.entry(path.clone()).or_default() += 1;
        shared.answers.get(&path).cloned()
    };
    let close = "Connection: close\r\nContent-Length: 0\r\n\r\n";
    let bytes = match answer.unwrap_or(Answer::Status(404)) {
        Answer::Text(text) => {
            let Answer::Bytes(bytes) = Answer::with("Content-Type: application/json\r\n", text)
            else {
                unreachable!()
            };
            bytes
        }
        Answer::Negotiated(kind, text) => {
            let accepted = head.lines().any(|line| {
                let (name, value) = line.split_once(':').unwrap_or_default();
                name.eq_ignore_ascii_case("accept")
                    && value
                        .split(',')
                        .any(|range| range.split(';').next().unwrap().trim() == kind)
            });
            let head = format!("Content-Type: {kind}\r\n");
            match Answer::with(&head, text) {
                Answer::Bytes(bytes) if accepted => bytes,
                _ => format!("HTTP/1.1 406 Not Acceptable\r\n{close}").into_bytes(),
            }
        }
        Answer::Bytes(bytes) => bytes,
        Answer::Status(status) => format!("HTTP/1.1 {status} Status\r\n{close}").into_bytes(),
        Answer::Redirect(to) => {
            format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\n{close}").into_bytes()
        }
        Answer::Reset(bytes) => {
            stream.write_all(&bytes).await?;
            stream.set_zero_linger()?;
            return Ok(());
        }
        Answer::Hang => std::future::pending().await,
        Answer::Endless(head, next, pause) => {
            stream.write_all(&head).await?;
            loop {
                if !pause.is_zero() {
                    sleep(pause).await;
                }
                send(&mut stream, &next, shared).await?;
            }
        }
    };
    send(&mut stream, &bytes, shared).await?;
    stream.shutdown().await
}

async fn send(
    stream: &mut TcpStream,
    mut bytes: &[u8],
    shared: &Mutex<Shared>,
) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let written = stream.write(bytes).await?;
        shared.lock().unwrap().sent += written;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}
