//! An issuer on a socket, which sends what it is told to, byte by byte.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
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
}

#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Text(String),
    Status(u16),
    Redirect(String),
    /// The connection is closed before there is an answer.
    Reset,
    /// There is none.
    Hang,
    /// A body without end.
    Endless,
    /// A body that says it is compressed.
    Gzip,
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
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = Self {
            name: format!("http://{}", listener.local_addr().unwrap()),
            shared: Arc::default(),
        };
        issuer.start_metadata();
        let shared = Arc::clone(&issuer.shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.lock().unwrap().connections += 1;
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        issuer
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn answer(&self, path: &str, answer: Answer) {
        self.shared
            .lock()
            .unwrap()
            .answers
            .insert(path.to_owned(), answer);
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
}

async fn serve(mut stream: TcpStream, shared: Arc<Mutex<Shared>>) -> std::io::Result<()> {
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
    let close = "Connection: close\r\n";
    let whole = match answer.unwrap_or(Answer::Status(404)) {
        Answer::Text(text) => {
            format!(
                "HTTP/1.1 200 OK\r\n{close}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{text}",
                text.len()
            )
        }
        Answer::Status(status) => {
            format!("HTTP/1.1 {status} Status\r\n{close}Content-Length: 0\r\n\r\n")
        }
        Answer::Redirect(to) => {
            format!("HTTP/1.1 302 Found\r\n{close}Location: {to}\r\nContent-Length: 0\r\n\r\n")
        }
        Answer::Reset => return Ok(()),
        Answer::Hang => std::future::pending().await,
        Answer::Endless => {
            let head = format!("HTTP/1.1 200 OK\r\n{close}Transfer-Encoding: chunked\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            loop {
                stream.write_all(b"5\r\n[[[[[\r\n").await?;
            }
        }
        Answer::Gzip => {
            let head = format!(
                "HTTP/1.1 200 OK\r\n{close}Content-Encoding: gzip\r\nContent-Length: 20\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await?;
            stream
                .write_all(&[
                    0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                ])
                .await?;
            return Ok(());
        }
    };
    stream.write_all(whole.as_bytes()).await?;
    stream.shutdown().await
}
