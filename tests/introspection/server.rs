//! An issuer on a socket that is asked about tokens, and answers as a test tells it to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

pub(crate) struct Server {
    name: String,
    shared: Arc<Shared>,
}

type Answers = dyn Fn(&str) -> Answer + Send + Sync;

struct Shared {
    state: Mutex<State>,
    /// Answers that are held wait for a permit.
    held: Semaphore,
}

struct State {
    answers: Arc<Answers>,
    metadata: String,
    requests: Vec<Request>,
    connections: usize,
    /// How many questions are on their way, and how many were at most.
    active: usize,
    most_active: usize,
    sent: usize,
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) head: String,
    pub(crate) body: String,
}

#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// A document, with 200.
    Text(String),
    /// These bytes, with 200.
    Body(Vec<u8>),
    /// This status line and these headers, without a body.
    Head(String),
    /// As text, once the test releases it.
    Held(String),
    /// None, ever.
    Hang,
    /// A document without end: these bytes over and over, at this distance.
    Endless(Vec<u8>, Duration),
    /// The connection is closed.
    Close,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let name = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                answers: Arc::new(|_| Answer::Text(r#"{"active":false}"#.to_owned())),
                metadata: format!(
                    r#"{{"issuer":"{name}","introspection_endpoint":"{name}/introspect"}}"#
                ),
                requests: Vec::new(),
                connections: 0,
                active: 0,
                most_active: 0,
                sent: 0,
            }),
            held: Semaphore::new(0),
        });
        let server = Self {
            name,
            shared: Arc::clone(&shared),
        };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.state.lock().unwrap().connections += 1;
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    // A client may hang up.
                    let _ = serve(stream, &shared).await;
                });
            }
        });
        server
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("{}/introspect", self.name)
    }

    /// Answers by token from now on.
    pub(crate) fn answer_by(&self, answers: impl Fn(&str) -> Answer + Send + Sync + 'static) {
        self.shared.state.lock().unwrap().answers = Arc::new(answers);
    }

    pub(crate) fn answer(&self, answer: Answer) {
        self.answer_by(move |_| answer.clone());
    }

    pub(crate) fn answer_with(&self, text: impl Into<String>) {
        self.answer(Answer::Text(text.into()));
    }

    pub(crate) fn publish(&self, metadata: impl Into<String>) {
        self.shared.state.lock().unwrap().metadata = metadata.into();
    }

    /// Lets this many held answers go.
    pub(crate) fn release(&self, count: usize) {
        self.shared.held.add_permits(count);
    }

    /// The questions so far.
    pub(crate) fn questions(&self) -> Vec<Request> {
        let state = self.shared.state.lock().unwrap();
        let all = state.requests.iter();
        all.filter(|request| request.path == "/introspect")
            .cloned()
            .collect()
    }

    /// The number of questions so far.
    pub(crate) fn count(&self) -> usize {
        self.questions().len()
    }

    /// The number of requests for this path.
    pub(crate) fn hits(&self, path: &str) -> usize {
        let state = self.shared.state.lock().unwrap();
        let all = state.requests.iter();
        all.filter(|request| request.path == path).count()
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.state.lock().unwrap().connections
    }

    pub(crate) fn most_active(&self) -> usize {
        self.shared.state.lock().unwrap().most_active
    }

    /// How many bytes of endless documents went out.
    pub(crate) fn sent(&self) -> usize {
        self.shared.state.lock().unwrap().sent
    }
}

/// The parameters of a form.
pub(crate) fn form(body: &str) -> HashMap<String, String> {
    form_urlencoded::parse(body.as_bytes())
        .into_owned()
        .collect()
}

async fn read_request(stream: &mut TcpStream) -> std::io::Result<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await?;
    Ok(Request {
        path: head.split([' ', '?']).nth(1).unwrap().to_owned(),
        head,
        body: String::from_utf8(body).unwrap(),
    })
}

/// Counts a question while it is on its way.
struct Active<'a>(&'a Shared);

impl<'a> Active<'a> {
    fn begin(shared: &'a Shared) -> Self {
        let mut state = shared.state.lock().unwrap();
        state.active += 1;
        state.most_active = state.most_active.max(state.active);
        Self(shared)
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.state.lock().unwrap().active -= 1;
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    loop {
        let request = read_request(&mut stream).await?;
        let is_question = request.path == "/introspect";
        let answer = {
            let mut state = shared.state.lock().unwrap();
            state.requests.push(request.clone());
            if request.path == "/.well-known/openid-configuration" {
                Answer::Text(state.metadata.clone())
            } else if is_question {
                let token = form(&request.body).remove("token").unwrap_or_default();
                let answers = Arc::clone(&state.answers);
                drop(state);
                answers(&token)
            } else {
                Answer::Head("HTTP/1.1 404 Not Found\r\n".to_owned())
            }
        };
        let active = is_question.then(|| Active::begin(shared));
        let with = |body: &[u8]| {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            [head.as_bytes(), body].concat()
        };
        let bytes = match answer {
            Answer::Text(text) => with(text.as_bytes()),
            Answer::Body(body) => with(&body),
            Answer::Head(head) => format!("{head}Content-Length: 0\r\n\r\n").into_bytes(),
            Answer::Held(text) => {
                shared.held.acquire().await.unwrap().forget();
                with(text.as_bytes())
            }
            Answer::Hang => std::future::pending().await,
            Answer::Endless(chunk, pause) => {
                let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
                stream.write_all(head).await?;
                let chunk = [format!("{:x}\r\n", chunk.len()).as_bytes(), &chunk, b"\r\n"].concat();
                loop {
                    if !pause.is_zero() {
                        tokio::time::sleep(pause).await;
                    }
                    stream.write_all(&chunk).await?;
                    shared.state.lock().unwrap().sent += chunk.len();
                }
            }
            Answer::Close => return Ok(()),
        };
        drop(active);
        stream.write_all(&bytes).await?;
    }
}
