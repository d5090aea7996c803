//! A node in a separate process, which is stopped for longer than `max_staleness`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tower_jwt_auth::claims::NumericDate;
use tower_jwt_auth::revocation::RevocationStore;
use tower_jwt_auth::store::redis::client::Client;

use crate::load::{Load, Thing, in_seconds};
use crate::server::Server;
use crate::{LONG, STALENESS, node, nodes};

const URL: &str = "NODE_OF_REDIS";

/// The `exp` of all tokens, in seconds since the epoch.
const EXPIRES_AT: &str = "NODE_EXPIRES_AT";

/// The node, and not a test: reads numbers of things, and prints what it knows about them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_node() {
    let Ok(url) = std::env::var(URL) else {
        return;
    };
    let node = node(Client::open(url).unwrap()).await;
    let expires_at = std::env::var(EXPIRES_AT).unwrap().parse().unwrap();
    let expires_at = NumericDate::from_seconds(expires_at).unwrap();
    println!("\nready");
    // A thread reads the input, so the runtime is not blocked.
    let asking = tokio::task::spawn_blocking(move || {
        for line in std::io::stdin().lines() {
            let thing = Thing::new(line.unwrap().parse().unwrap(), expires_at);
            println!("answer {:?}", node.peek(&thing.token()));
        }
    });
    asking.await.unwrap();
}

struct Process {
    child: Child,
    input: ChildStdin,
    answers: Receiver<String>,
}

impl Process {
    fn start(url: &str, expires_at: NumericDate) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "process::the_node", "--nocapture"]);
        command
            .env(URL, url)
            .env(EXPIRES_AT, expires_at.since_epoch().as_secs().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for line in output.lines() {
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        let process = Self {
            child,
            input,
            answers,
        };
        process.wait_for("ready");
        process
    }

    fn wait_for(&self, what: &str) -> String {
        loop {
            let line = self.answers.recv_timeout(LONG).unwrap();
            if let Some(rest) = line.strip_prefix(what) {
                return rest.trim().to_owned();
            }
        }
    }

    fn send(&mut self, number: u64) {
        writeln!(self.input, "{number}").unwrap();
    }

    fn ask(&mut self, number: u64) -> String {
        self.send(number);
        self.wait_for("answer")
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_stopped_for_longer_than_its_max_staleness() {
    let server = Server::start(&[]);
    let nodes = nodes(&server, 2).await;
    let expires_at = NumericDate::from_seconds(in_seconds(600).since_epoch().as_secs()).unwrap();
    let mut process = Process::start(&server.url(), expires_at);
    let load = Load::on(&nodes, Duration::from_millis(5));
    // Numbers that the load does not use.
    let (mut number, step) = (6_000_000, 6);
    for round in 0..3 {
        let before = number;
        let thing = Thing::new(before, expires_at);
        nodes[0]
            .revoke_and_wait(&thing.revocation(), LONG)
            .await
            .unwrap();
        assert_eq!(process.ask(before), "Some(true)");
        process.signal("-STOP");
        let meanwhile = number + step;
        let thing = Thing::new(meanwhile, expires_at);
        nodes[0]
            .revoke_and_wait(&thing.revocation(), LONG)
            .await
            .unwrap();
        // The node judges by its clock, however long this took.
        tokio::time::sleep(STALENESS + Duration::from_millis(100)).await;
        if round == 1 {
            use tower_jwt_auth::store::redis::client::cmd;
            server.ask::<u64>(cmd("XTRIM").arg("{jwt}:stream").arg("MAXLEN").arg(0));
        }
        // The node's first step after it continues, before it has read anything.
        process.send(meanwhile);
        process.send(before);
        process.send(number + 3 * step);
        process.signal("-CONT");
        let first = process.wait_for("answer");
        assert_ne!(first, "Some(false)");
        assert_eq!(process.wait_for("answer"), "Some(true)");
        println!("woken: {first}, {}", process.wait_for("answer"));
        let mut tries = 0;
        while process.ask(meanwhile) != "Some(true)"
            || process.ask(number + 3 * step) != "Some(false)"
        {
            tries += 1;
            assert!(tries < 6000, "it does not recover");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        number += 5 * step;
    }
    load.settle(&[]).await;
}
