//! The servers: one with a replica, three under Sentinels, or a Cluster of three masters with a
//! replica each. All ways to them, those of the replicas too, lead over fronts.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tower_jwt_auth::store::redis::client::{Client, Cmd, FromRedisValue, cmd};

use crate::front::{Front, Rules};
use crate::programs::{Sentinel, with_clock};
use crate::server::{Server, free_port};
use crate::service::Address;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Single,
    Sentinel,
    Cluster,
}

/// How long a group may take to be whole again: elections take a few seconds.
const HEALING: Duration = Duration::from_secs(40);

pub(crate) struct Group {
    pub(crate) kind: Kind,
    pub(crate) rules: Rules,
    servers: Vec<Server>,
    fronts: Vec<Front>,
    clocks: Vec<PathBuf>,
    sentinels: Vec<Sentinel>,
    /// Where nodes are led that know one server only.
    entry: Front,
    /// Of `Kind::Single`, which server that is.
    chosen: usize,
}

fn ask<T: FromRedisValue>(port: u16, command: &Cmd) -> Option<T> {
    let client = Client::open(format!("redis://127.0.0.1:{port}/")).unwrap();
    let mut connection = client
        .get_connection_with_timeout(Duration::from_secs(1))
        .ok()?;
    connection
        .set_read_timeout(Some(Duration::from_secs(2)))
        .ok()?;
    command.query(&mut connection).ok()
}

impl Group {
    pub(crate) async fn start(kind: Kind, keeps_file: bool) -> Self {
        let rules = Rules::new();
        let mut group = Self {
            kind,
            rules: rules.clone(),
            servers: Vec::new(),
            fronts: Vec::new(),
            clocks: Vec::new(),
            sentinels: Vec::new(),
            entry: Front::new(&rules).await,
            chosen: 0,
        };
        let count = match kind {
            Kind::Single => 2,
            Kind::Sentinel => 3,
            Kind::Cluster => 6,
        };
        for _ in 0..count {
            let front = Front::new(&rules).await;
            let port = front.port().to_string();
            let bus = free_port().to_string();
            let mut options = vec!["--repl-diskless-sync-delay", "0"];
            for user in ["n0", "n1", "n2", "n3", "n4", "n9"] {
                options.extend(["--user", user, "on", "nopass", "~*", "&*", "+@all"]);
            }
            if keeps_file {
                options.extend(["--appendonly", "yes", "--appendfsync", "always"]);
            }
            match kind {
                Kind::Single => {}
                Kind::Sentinel => options.extend(["--replica-announce-port", &port]),
                Kind::Cluster => options.extend([
                    "--cluster-enabled",
                    "yes",
                    "--cluster-port",
                    &bus,
                    "--cluster-node-timeout",
                    "1000",
                    "--cluster-config-file",
                    "nodes",
                    "--cluster-announce-ip",
                    "127.0.0.1",
                    "--cluster-announce-port",
                    &port,
                    "--cluster-announce-bus-port",
                    &bus,
                ]),
            }
            let name = format!("tower-jwt-auth-clock-{}-{port}", std::process::id());
            let clock = std::env::temp_dir().join(name);
            let program = with_clock(&clock);
            let server = tokio::task::block_in_place(|| Server::start_by(&program, &options));
            front.lead_to(server.port);
            group.servers.push(server);
            group.fronts.push(front);
            group.clocks.push(clock);
        }
        group.found();
        group.heal().await;
        group
    }

    fn found(&mut self) {
        self.entry.lead_to(self.servers[0].port);
        match self.kind {
            Kind::Single => self.follow(1, 0),
            Kind::Sentinel => {
                self.follow(1, 0);
                self.follow(2, 0);
                let port = self.fronts[0].port();
                self.sentinels = (0..3).map(|_| Sentinel::of(port)).collect();
            }
            Kind::Cluster => {
                let mut create = Command::new("redis-cli");
                create.args(["--cluster", "create"]);
                let ports = self.servers.iter().map(|server| server.port);
                create.args(ports.map(|port| format!("127.0.0.1:{port}")));
                create.args(["--cluster-replicas", "1", "--cluster-yes"]);
                create.stdout(Stdio::null());
                let created = tokio::task::block_in_place(|| create.status());
                assert!(created.unwrap().success());
            }
        }
    }

    fn follow(&self, replica: usize, master: usize) {
        let port = self.fronts[master].port();
        let mut command = cmd("REPLICAOF");
        command.arg("127.0.0.1").arg(port);
        let _ = self.ask::<()>(replica, &command);
    }

    /// Where nodes find the servers.
    pub(crate) fn address(&self) -> Address {
        let host = |port: u16| format!("127.0.0.1:{port}");
        match self.kind {
            Kind::Single => Address::Server(host(self.entry.port())),
            Kind::Sentinel => {
                Address::Sentinels(self.sentinels.iter().map(|one| host(one.port)).collect())
            }
            Kind::Cluster => {
                Address::Cluster(self.fronts.iter().map(|front| host(front.port())).collect())
            }
        }
    }

    pub(crate) fn ask<T: FromRedisValue>(&self, server: usize, command: &Cmd) -> Option<T> {
        if !self.servers[server].is_running() {
            return None;
        }
        let port = self.servers[server].port;
        tokio::task::block_in_place(|| ask(port, command))
    }

    fn info(&self, server: usize) -> Option<String> {
        self.ask(server, cmd("INFO").arg("replication"))
    }

    fn is_master(&self, server: usize) -> bool {
        let says_so = self
            .info(server)
            .is_some_and(|info| info.contains("role:master"));
        says_so
            && match self.kind {
                Kind::Single => server == self.chosen,
                Kind::Sentinel => self.named() == Some(self.fronts[server].port()),
                Kind::Cluster => {
                    let has = self.ask::<u64>(server, cmd("XLEN").arg("{jwt}:stream"));
                    has.is_some()
                }
            }
    }

    /// The master that all Sentinels name. A node may ask any of them.
    fn named(&self) -> Option<u16> {
        let mut command = cmd("SENTINEL");
        command.arg("GET-MASTER-ADDR-BY-NAME").arg("main");
        let mut asked = self
            .sentinels
            .iter()
            .map(|one| tokio::task::block_in_place(|| ask::<(String, u16)>(one.port, &command)));
        let (_, first) = asked.next()??;
        asked
            .all(|other| other.is_some_and(|(_, port)| port == first))
            .then_some(first)
    }

    /// A look at the epoch of the first Sentinel's configuration: each failover raises it.
    pub(crate) fn epoch(&self) -> impl Fn() -> Option<u64> + Send + Sync + use<> {
        let port = self.sentinels.first().map(|one| one.port);
        move || {
            let mut command = cmd("SENTINEL");
            command.arg("MASTER").arg("main");
            let asked: Vec<String> = tokio::task::block_in_place(|| ask(port?, &command))?;
            let index = asked.iter().position(|found| found == "config-epoch")?;
            asked.get(index + 1)?.parse().ok()
        }
    }

    /// The server that has the keys, once there is one.
    pub(crate) async fn master(&self) -> usize {
        let began = Instant::now();
        loop {
            if let Some(master) = (0..self.servers.len()).find(|server| self.is_master(*server)) {
                return master;
            }
            assert!(
                began.elapsed() < HEALING,
                "no server takes the place of the master"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Whether a replica is connected, so that it can take the master's place.
    pub(crate) fn has_replica(&self, master: usize) -> bool {
        self.replica_of(master).is_some()
    }

    pub(crate) fn replica_of(&self, master: usize) -> Option<usize> {
        let ports = [self.servers[master].port, self.fronts[master].port()];
        let lines = ports.map(|port| format!("master_port:{port}\r"));
        (0..self.servers.len()).find(|server| {
            let info = self.info(*server).unwrap_or_default();
            info.contains("role:slave")
                && info.contains("master_link_status:up")
                && lines.iter().any(|line| info.contains(line))
        })
    }

    pub(crate) fn kill(&mut self, server: usize) {
        tokio::task::block_in_place(|| self.servers[server].kill());
    }

    pub(crate) fn run(&mut self, server: usize, keeps_file: bool) {
        if !keeps_file {
            self.servers[server].lose_file();
        }
        tokio::task::block_in_place(|| self.servers[server].run());
    }

    pub(crate) fn run_if_killed(&mut self, server: usize) {
        if !self.servers[server].is_running() {
            self.run(server, true);
        }
        if self.kind == Kind::Single {
            self.follow_if_alone();
        }
    }

    pub(crate) fn signal(&self, server: usize, signal: &str) {
        if self.servers[server].is_running() {
            self.servers[server].signal(signal);
        }
    }

    /// Sets how far a server's clock is off.
    pub(crate) fn set_clock(&self, server: usize, milliseconds: i64) {
        let clock = &self.clocks[server % self.clocks.len()];
        let file = OpenOptions::new().write(true).open(clock);
        let nanoseconds = milliseconds * 1_000_000;
        file.unwrap().write_all(&nanoseconds.to_ne_bytes()).unwrap();
    }

    /// Has the replica take the master's place, which may be gone. The new master.
    pub(crate) async fn promote(&mut self, master: usize) -> usize {
        match self.kind {
            Kind::Single => {
                let next = 1 - self.chosen;
                let _ = self.ask::<()>(next, cmd("REPLICAOF").arg("NO").arg("ONE"));
                self.chosen = next;
                self.entry.lead_to(self.servers[next].port);
                self.rules.cut(None, None);
                if self.servers[1 - next].is_running() {
                    self.follow(1 - next, next);
                }
                return next;
            }
            Kind::Sentinel if self.servers[master].is_running() => {
                let port = self.sentinels[0].port;
                let mut command = cmd("SENTINEL");
                command.arg("FAILOVER").arg("main");
                tokio::task::block_in_place(|| ask::<()>(port, &command));
            }
            Kind::Cluster if self.servers[master].is_running() => {
                let mut command = cmd("CLUSTER");
                command.arg("FAILOVER").arg("TAKEOVER");
                if let Some(replica) = self.replica_of(master) {
                    let _ = self.ask::<()>(replica, &command);
                }
            }
            // They notice by themselves.
            _ => {}
        }
        let began = Instant::now();
        while self.is_master(master) && began.elapsed() < Duration::from_secs(8) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let next = self.master().await;
        if self.kind == Kind::Sentinel && next != master {
            self.is_left(master).await;
        }
        next
    }

    /// Waits until no node uses a master that the Sentinels have replaced. It stays a master for
    /// ten seconds. A frozen node cannot leave it.
    async fn is_left(&self, master: usize) {
        let began = Instant::now();
        let is_used = || {
            let clients: Option<String> = self.ask(master, cmd("CLIENT").arg("LIST"));
            clients.is_some_and(|clients| clients.contains(" user=n"))
        };
        while is_used() && began.elapsed() < Duration::from_secs(3) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// All servers run, and the replicas have all.
    pub(crate) async fn heal(&mut self) {
        for server in 0..self.servers.len() {
            if !self.servers[server].is_running() {
                self.run(server, true);
            }
            self.signal(server, "-CONT");
        }
        let began = Instant::now();
        while !self.is_whole().await {
            assert!(
                began.elapsed() < HEALING,
                "the servers do not come together again"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn is_whole(&self) -> bool {
        if self.kind == Kind::Single {
            self.follow_if_alone();
        }
        let infos: Vec<_> = (0..self.servers.len())
            .filter_map(|one| self.info(one))
            .collect();
        let count = |what: &str| infos.iter().filter(|info| info.contains(what)).count();
        let masters = if self.kind == Kind::Cluster { 3 } else { 1 };
        let replicas = self.servers.len() - masters;
        let stands = self.kind != Kind::Cluster
            || (0..self.servers.len()).all(|server| {
                let info: Option<String> = self.ask(server, cmd("CLUSTER").arg("INFO"));
                info.is_some_and(|info| info.contains("cluster_state:ok"))
            });
        let is_watched = self.kind != Kind::Sentinel || self.is_watched();
        stands
            && is_watched
            && count("role:master") == masters
            && count("master_link_status:up") == replicas
    }

    /// What the servers say of themselves, for one who looks for the cause of a violation.
    pub(crate) fn describe(&self) {
        for server in 0..self.servers.len() {
            let clients: Option<String> = self.ask(server, cmd("CLIENT").arg("LIST"));
            let length: Option<u64> = self.ask(server, cmd("XLEN").arg("{jwt}:stream"));
            let info = self.info(server).unwrap_or_default();
            let port = self.servers[server].port;
            println!("server {server}, port {port}, stream {length:?}, {info}");
            for client in clients.unwrap_or_default().lines() {
                let words = client.split(' ').filter(|word| {
                    let names = ["age=", "idle=", "user=", "cmd=", "flags=", "qbuf=", "omem="];
                    names.iter().any(|name| word.starts_with(name))
                });
                println!("  {}", words.collect::<Vec<_>>().join(" "));
            }
        }
    }

    fn follow_if_alone(&self) {
        let other = 1 - self.chosen;
        if self
            .info(other)
            .is_some_and(|info| info.contains("role:master"))
        {
            self.follow(other, self.chosen);
        }
    }

    fn is_watched(&self) -> bool {
        let mut command = cmd("SENTINEL");
        command.arg("MASTER").arg("main");
        self.sentinels.iter().all(|one| {
            let asked = tokio::task::block_in_place(|| ask::<Vec<String>>(one.port, &command));
            let value = |name: &str| {
                let asked = asked.as_ref()?;
                let index = asked.iter().position(|found| found == name)?;
                asked.get(index + 1).cloned()
            };
            value("flags").as_deref() == Some("master")
                && value("num-slaves").as_deref() == Some("2")
                && value("num-other-sentinels").as_deref() == Some("2")
        })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for clock in &self.clocks {
            let _ = std::fs::remove_file(clock);
        }
    }
}
