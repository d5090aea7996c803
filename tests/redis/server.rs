//! A real redis-server, in a new directory, on a free port.

use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tower_jwt_auth::store::redis::client::{self, Client};

pub(crate) struct Server {
    pub(crate) port: u16,
    program: Vec<String>,
    options: Vec<String>,
    directory: PathBuf,
    child: Option<Child>,
}

/// A port that nobody uses. It is below those that Linux gives to outgoing connections: one of
/// these would take it before the server does.
pub(crate) fn free_port() -> u16 {
    const FIRST: u32 = 12_000;
    const COUNT: u32 = 20_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);

    let start = std::process::id().wrapping_mul(7919);
    loop {
        let number = start.wrapping_add(NEXT.fetch_add(1, Ordering::SeqCst));
        let port = u16::try_from(FIRST + number % COUNT).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// The command that starts a program whose clock is ahead.
fn shifted(seconds: i64) -> Vec<String> {
    if seconds == 0 {
        return vec!["redis-server".to_owned()];
    }
    by_clock(format!("SHIFT={seconds}"))
}

fn by_clock(variable: String) -> Vec<String> {
    static LIBRARY: LazyLock<String> = LazyLock::new(|| {
        let library = concat!(env!("CARGO_TARGET_TMPDIR"), "/shift.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/redis/shift.c");
        let new = format!("{library}-{}", std::process::id());
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", source, "-o", &new]);
        assert!(compiler.status().unwrap().success());
        std::fs::rename(new, library).unwrap();
        library.to_owned()
    });
    let mut command = vec!["env".to_owned()];
    command.push(format!("LD_PRELOAD={}", *LIBRARY));
    command.push(variable);
    command.push("redis-server".to_owned());
    command
}

impl Server {
    /// A server that keeps nothing on disk unless the options say so.
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::start_by(&shifted(0), options)
    }

    /// A server whose clock is ahead.
    pub(crate) fn ahead(seconds: i64) -> Self {
        Self::start_by(&shifted(seconds), &[])
    }

    /// A server whose clock can be set.
    pub(crate) fn with_clock() -> (Self, ServerClock) {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let name = format!("tower-jwt-auth-clock-{}-{number}", std::process::id());
        let clock = ServerClock(std::env::temp_dir().join(name));
        std::fs::write(&clock.0, 0_i64.to_ne_bytes()).unwrap();
        let variable = format!("SHIFT_FILE={}", clock.0.display());
        (Self::start_by(&by_clock(variable), &[]), clock)
    }

    /// A server that is started by another command.
    pub(crate) fn start_by(program: &[String], options: &[&str]) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let name = format!("tower-jwt-auth-redis-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let mut server = Self {
            port: free_port(),
            program: program.to_vec(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            directory,
            child: None,
        };
        server.run();
        server
    }

    /// Starts the server, on the same port and with the same files as before.
    pub(crate) fn run(&mut self) {
        let log = std::fs::File::create(self.directory.join("log")).unwrap();
        let mut command = Command::new(&self.program[0]);
        command
            .args(&self.program[1..])
            .args([
                "--port",
                &self.port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
            ])
            .arg("--dir")
            .arg(&self.directory)
            .args(&self.options)
            .stdout(log)
            .stderr(Stdio::inherit());
        self.child = Some(command.spawn().expect("it is not installed"));
        self.wait();
    }

    /// Waits until the server answers.
    fn wait(&self) {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(20) {
            if let Ok(mut connection) = self.client().get_connection() {
                match client::cmd("PING").query::<String>(&mut connection) {
                    Err(error) if error.code() != Some("NOAUTH") => {}
                    _ => return,
                }
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("redis-server does not answer");
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    pub(crate) fn client(&self) -> Client {
        Client::open(self.url()).unwrap()
    }

    /// Kills the server as a power failure would. The disk keeps what was synced.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(crate) fn ask<T: client::FromRedisValue>(&self, command: &mut client::Cmd) -> T {
        let mut connection = self.client().get_connection().unwrap();
        command.query(&mut connection).unwrap()
    }

    /// A replica of this server, once it has all data.
    pub(crate) fn replica(&self, seconds_ahead: i64) -> Self {
        let port = self.port.to_string();
        let options = [
            "--replicaof",
            "127.0.0.1",
            &port,
            "--repl-diskless-sync-delay",
            "0",
        ];
        let replica = Self::start_by(&shifted(seconds_ahead), &options);
        replica.wait_for("master_link_status:up");
        self.wait_for("state=online");
        replica
    }

    /// Cuts this replica off from its master, and makes it a master.
    pub(crate) fn promote(&self) {
        self.ask::<()>(client::cmd("REPLICAOF").arg("NO").arg("ONE"));
    }

    /// Stops the process. Its connections stay open, and get no answer.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status();
        assert!(sent.unwrap().success());
    }

    /// Loses its append-only file, as with a new disk. It must not be running.
    pub(crate) fn lose_file(&self) {
        let _ = std::fs::remove_dir_all(self.directory.join("appendonlydir"));
    }

    /// Waits until `INFO` contains this text.
    pub(crate) fn wait_for(&self, what: &str) {
        let began = Instant::now();
        while !self.info("replication").contains(what) {
            assert!(began.elapsed() < Duration::from_secs(20), "not {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn info(&self, section: &str) -> String {
        self.ask(client::cmd("INFO").arg(section))
    }

    /// A number from `INFO`.
    pub(crate) fn number(&self, section: &str, name: &str) -> u64 {
        let info = self.info(section);
        let mut lines = info.lines();
        let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.expect(name).trim().parse().unwrap()
    }

    /// How often each command was called.
    pub(crate) fn calls(&self) -> std::collections::BTreeMap<String, u64> {
        let info = self.info("commandstats");
        let calls = info.lines().filter_map(|line| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            Some((name.to_owned(), rest.split_once(',')?.0.parse().ok()?))
        });
        calls.collect()
    }

    pub(crate) fn is_running(&self) -> bool {
        self.child.is_some()
    }
}

/// The clock of a server.
pub(crate) struct ServerClock(PathBuf);

impl ServerClock {
    /// Sets how many seconds the clock is ahead.
    pub(crate) fn set(&self, seconds: i64) {
        // In place: the server has the file in its memory.
        let file = std::fs::OpenOptions::new().write(true).open(&self.0);
        file.unwrap().write_all(&seconds.to_ne_bytes()).unwrap();
    }
}

impl Drop for ServerClock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
