//! A node of the service, as a task of this process or as a process of its own.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use crate::service::{Service, Setup};
use crate::wire::{Answer, Request};

/// Longer than any call takes: those of the store give up after a few seconds.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) enum Node {
    Task {
        service: Mutex<Option<Arc<Service>>>,
        killed: watch::Sender<bool>,
    },
    Process(Process),
}

impl Node {
    /// Starts one, and waits until it says that it is ready.
    pub(crate) async fn start(
        setup: &Setup,
        is_process: bool,
        deadline: Duration,
    ) -> Result<Self, String> {
        if is_process {
            let process = Process::start(setup, deadline).await?;
            return Ok(Self::Process(process));
        }
        let service = Service::start(setup, deadline).await?;
        Ok(Self::Task {
            service: Mutex::new(Some(Arc::new(service))),
            killed: watch::Sender::new(false),
        })
    }

    pub(crate) async fn ask(&self, request: Request) -> Answer {
        let asked = async {
            match self {
                Self::Task { service, killed } => {
                    let service = service.lock().unwrap().clone();
                    let Some(service) = service else {
                        return gone();
                    };
                    let mut killed = killed.subscribe();
                    let answer = async { service.answer(request).await };
                    tokio::select! {
                        answer = answer => answer,
                        _ = killed.wait_for(|killed| *killed) => gone(),
                    }
                }
                Self::Process(process) => process.ask(&request).await,
            }
        };
        let answer = tokio::time::timeout(PATIENCE, asked).await;
        answer.unwrap_or_else(|_| Answer::Failed("no answer".to_owned()))
    }

    /// Ends it at once, whatever it is doing.
    pub(crate) fn kill(&self) {
        match self {
            Self::Task { service, killed } => {
                drop(service.lock().unwrap().take());
                killed.send_replace(true);
            }
            Self::Process(process) => process.kill(),
        }
    }

    /// Stops a process, or lets it go on. Whether it is one.
    pub(crate) fn signal(&self, signal: &str) -> bool {
        match self {
            Self::Task { .. } => false,
            Self::Process(process) => {
                let id = process.child.lock().unwrap().id().to_string();
                let _ = Command::new("kill").args([signal, &id]).status();
                true
            }
        }
    }
}

fn gone() -> Answer {
    Answer::Failed("gone".to_owned())
}

type Waiting = Arc<Mutex<Option<HashMap<u64, oneshot::Sender<Answer>>>>>;

pub(crate) struct Process {
    child: Mutex<Child>,
    lines: mpsc::Sender<String>,
    waiting: Waiting,
    next: Mutex<u64>,
}

impl Process {
    async fn start(setup: &Setup, deadline: Duration) -> Result<Self, String> {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .arg("--node")
            .arg(serde_json::to_string(setup).unwrap());
        command.arg(deadline.as_millis().to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let waiting: Waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        let (lines, to_write) = mpsc::channel::<String>();
        // A process that is stopped reads nothing: no thread of the runtime may wait for it.
        std::thread::spawn(move || {
            for line in to_write {
                if input.write_all(line.as_bytes()).is_err() {
                    return;
                }
            }
        });
        let (ready, is_ready) = oneshot::channel();
        let answered = Arc::clone(&waiting);
        std::thread::spawn(move || {
            let mut ready = Some(ready);
            for line in output.lines().map_while(Result::ok) {
                if let Some(ready) = ready.take() {
                    let _ = ready.send(line);
                    continue;
                }
                let (number, answer): (u64, Answer) = serde_json::from_str(&line).unwrap();
                let mut answered = answered.lock().unwrap();
                let found = answered.as_mut().and_then(|found| found.remove(&number));
                if let Some(found) = found {
                    let _ = found.send(answer);
                }
            }
            // Those who wait are told that there will be no answer.
            drop(answered.lock().unwrap().take());
        });
        let process = Self {
            child: Mutex::new(child),
            lines,
            waiting,
            next: Mutex::new(0),
        };
        let wait = deadline + PATIENCE;
        match tokio::time::timeout(wait, is_ready).await {
            Ok(Ok(line)) if line == "ready" => Ok(process),
            Ok(Ok(line)) => Err(line),
            _ => Err("the process has ended".to_owned()),
        }
    }

    async fn ask(&self, request: &Request) -> Answer {
        let number = {
            let mut next = self.next.lock().unwrap();
            *next += 1;
            *next
        };
        let (sender, answer) = oneshot::channel();
        match self.waiting.lock().unwrap().as_mut() {
            Some(waiting) => drop(waiting.insert(number, sender)),
            None => return gone(),
        }
        let line = serde_json::to_string(&(number, request)).unwrap();
        let _ = self.lines.send(line + "\n");
        answer.await.unwrap_or_else(|_| gone())
    }

    fn kill(&self) {
        let mut child = self.child.lock().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a process does that is a node: it answers lines until there are no more.
pub(crate) async fn serve(setup: &str, deadline: &str) {
    let setup: Setup = serde_json::from_str(setup).unwrap();
    let deadline = Duration::from_millis(deadline.parse().unwrap());
    let service = match Service::start(&setup, deadline).await {
        Ok(service) => Arc::new(service),
        Err(error) => return println!("{error}"),
    };
    println!("ready");
    let (sender, mut lines) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    while let Some(line) = lines.recv().await {
        let service = Arc::clone(&service);
        tokio::spawn(async move {
            let (number, request): (u64, Request) = serde_json::from_str(&line).unwrap();
            let answer = service.answer(request).await;
            let line = serde_json::to_string(&(number, answer)).unwrap();
            // Nobody may listen any more.
            let _ = writeln!(std::io::stdout(), "{line}");
        });
    }
}
