//! Groups of servers that replace each other: Sentinel and Cluster.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tower_jwt_auth::revocation::{Revocation, RevocationStore, TokenIdentity};
use tower_jwt_auth::session::{SessionStore, Subject};
use tower_jwt_auth::store::redis::client::cluster::ClusterClient;
use tower_jwt_auth::store::redis::client::sentinel::{
    SentinelClient, SentinelNodeConnectionInfo, SentinelServerType,
};
use tower_jwt_auth::store::redis::client::{Client, FromRedisValue, RedisConnectionInfo, cmd};
use tower_jwt_auth::store::{RedisStore, RedisStoreError};

use crate::access::{allow, documented, documented_for, nothing_was_denied};
use crate::edge::Edges;
use crate::load::{Load, Thing, in_seconds};
use crate::server::{Server, free_port};
use crate::{LONG, STALENESS, all_fresh, eventually, node};

pub(crate) struct Sentinel {
    pub(crate) port: u16,
    file: PathBuf,
    child: Child,
}

impl Sentinel {
    pub(crate) fn of(master: &Server) -> Self {
        Self::at(free_port(), master)
    }

    fn at(port: u16, master: &Server) -> Self {
        let file = std::env::temp_dir().join(format!("tower-jwt-auth-sentinel-{port}"));
        let lines = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {} 2\n\
             sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n\
             sentinel parallel-syncs main 2\n",
            master.port
        );
        std::fs::write(&file, lines).unwrap();
        let mut command = Command::new("redis-sentinel");
        let child = command.arg(&file).stdout(Stdio::null()).spawn();
        Self {
            port,
            file,
            child: child.expect("redis-sentinel is not installed"),
        }
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let _ = std::fs::remove_file(&self.file);
    }
}

/// A master, two replicas and three Sentinels that know one another.
pub(crate) struct Watched {
    pub(crate) servers: Vec<Server>,
    sentinels: Vec<Sentinel>,
}

impl Watched {
    pub(crate) async fn start() -> Self {
        let mut servers = vec![Server::start(&[])];
        for _ in 0..2 {
            let replica = servers[0].replica(0);
            servers.push(replica);
        }
        let sentinels = (0..3).map(|_| Sentinel::of(&servers[0])).collect();
        let watched = Self { servers, sentinels };
        eventually("the sentinels know of all", || {
            let master: Vec<String> = watched.ask_sentinel(0, &["MASTER", "main"]);
            let value = |name: &str| {
                let index = master.iter().position(|found| found == name);
                index.and_then(|index| master.get(index + 1).cloned())
            };
            value("num-slaves").as_deref() == Some("2")
                && value("num-other-sentinels").as_deref() == Some("2")
        })
        .await;
        watched
    }

    fn url(&self, sentinel: usize) -> String {
        format!("redis://127.0.0.1:{}/", self.sentinels[sentinel].port)
    }

    fn ask_sentinel<T: FromRedisValue + Default>(&self, number: usize, words: &[&str]) -> T {
        let client = Client::open(self.url(number)).unwrap();
        let asked = client
            .get_connection()
            .and_then(|mut connection| cmd("SENTINEL").arg(words).query(&mut connection));
        asked.unwrap_or_default()
    }

    pub(crate) fn client(&self) -> SentinelClient {
        let urls = (0..3).map(|number| self.url(number)).collect::<Vec<_>>();
        SentinelClient::build(urls, "main", None, SentinelServerType::Master).unwrap()
    }
}

/// Sentinels leave a replaced master running as a master for up to ten seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_leave_a_master_that_sentinels_have_replaced() {
    let watched = Watched::start().await;
    let nodes = [node(watched.client()).await, node(watched.client()).await];
    let address = ["GET-MASTER-ADDR-BY-NAME", "main"];
    let old: (String, u16) = watched.ask_sentinel(0, &address);
    let _: String = watched.ask_sentinel(0, &["FAILOVER", "main"]);
    eventually("all sentinels name another master", || {
        (0..3).all(|number| {
            let named: (String, u16) = watched.ask_sentinel(number, &address);
            named.1 != 0 && named != old
        })
    })
    .await;
    tokio::time::sleep(STALENESS).await;
    let new = node(watched.client()).await;
    let expires_at = in_seconds(600);
    let is_known = |node: &RedisStore, jti: &'static str| {
        let token = TokenIdentity::new(expires_at).jti(jti);
        node.peek(&token) == Some(true)
    };
    for (jti, from, to) in [("a", &nodes[0], &new), ("b", &new, &nodes[1])] {
        let revocation = Revocation::Token {
            issuer: None,
            jti,
            expires_at,
        };
        from.revoke(&revocation).await.unwrap();
        let began = Instant::now();
        while !is_known(to, jti) {
            assert!(began.elapsed() < STALENESS, "{jti} is not known");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    assert!(
        watched.servers[0]
            .info("replication")
            .contains("role:master"),
        "the old master was demoted before the nodes had to leave it"
    );
}

/// Their configuration then starts at epoch 0 again, below what the node knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_connects_after_all_sentinels_were_set_up_again() {
    let mut watched = Watched::start().await;
    let node = node(watched.client()).await;
    let _: String = watched.ask_sentinel(0, &["FAILOVER", "main"]);
    let old = watched.servers[0].port;
    eventually("another master is named", || {
        ![0, old].contains(&named_by(&watched))
    })
    .await;
    tokio::time::sleep(STALENESS).await;
    let port = named_by(&watched);
    let ports: Vec<_> = watched.sentinels.iter().map(|one| one.port).collect();
    watched.sentinels.clear();
    let mut servers = watched.servers.iter();
    let master = servers.find(|server| server.port == port).unwrap();
    watched.sentinels = ports
        .iter()
        .map(|port| Sentinel::at(*port, master))
        .collect();
    eventually("the new sentinels answer", || named_by(&watched) == port).await;
    // The node must look the master up again, and its old connection to a Sentinel is gone.
    for _ in 0..3 {
        let _: u64 = master.ask(cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal"));
        tokio::time::sleep(STALENESS).await;
    }
    let known = master.ask::<u64>(cmd("XLEN").arg("{jwt}:stream"));
    node.revoke(&Revocation::Token {
        issuer: None,
        jti: "after",
        expires_at: in_seconds(600),
    })
    .await
    .unwrap();
    assert!(master.ask::<u64>(cmd("XLEN").arg("{jwt}:stream")) > known);
    all_fresh(&[node]).await;
}

fn named_by(watched: &Watched) -> u16 {
    let address = ["GET-MASTER-ADDR-BY-NAME", "main"];
    let (_, port): (String, u16) = watched.ask_sentinel(0, &address);
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_master_is_killed_that_sentinels_watch() {
    let mut watched = Watched::start().await;
    let nodes = [
        node(watched.client()).await,
        node(watched.client()).await,
        node(watched.client()).await,
    ];
    let edges = Edges::over(&nodes[0]).await;
    let load = Load::on(&nodes, Duration::from_millis(5));
    load.go_on(200).await;
    watched.servers[0].kill();
    edges.knows_nothing().await;
    let began = Instant::now();
    load.go_on(200).await;
    edges.knows().await;
    all_fresh(&nodes).await;
    println!("after {:?} the nodes know again", began.elapsed());
    // The old master restarts and becomes a replica. No node connects to it.
    watched.servers[0].run();
    load.go_on(200).await;
    let new = node(watched.client()).await;
    load.settle(&[&new]).await;
}

pub(crate) struct Cluster(Vec<Server>);

impl Cluster {
    /// Three masters with a replica each.
    pub(crate) async fn start() -> Self {
        let servers: Vec<_> = (0..6)
            .map(|_| {
                let bus = free_port().to_string();
                Server::start(&[
                    "--cluster-enabled",
                    "yes",
                    "--cluster-port",
                    &bus,
                    "--cluster-node-timeout",
                    "1000",
                    "--cluster-config-file",
                    "nodes",
                ])
            })
            .collect();
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]);
        create.args(
            servers
                .iter()
                .map(|server| format!("127.0.0.1:{}", server.port)),
        );
        create
            .args(["--cluster-replicas", "1", "--cluster-yes"])
            .stdout(Stdio::null());
        assert!(create.status().unwrap().success());
        let cluster = Self(servers);
        eventually("the cluster stands", || {
            cluster.0.iter().all(|server| {
                let info: String = server.ask(cmd("CLUSTER").arg("INFO"));
                let nodes: String = server.ask(cmd("CLUSTER").arg("NODES"));
                info.contains("cluster_state:ok")
                    && nodes.lines().filter(|line| line.contains("slave")).count() == 3
            })
        })
        .await;
        // A replica without data is not promoted.
        for server in &cluster.0 {
            if server.info("replication").contains("role:slave") {
                server.wait_for("master_link_status:up");
            }
        }
        cluster
    }

    pub(crate) fn client(&self) -> ClusterClient {
        ClusterClient::new(self.0.iter().map(Server::url).collect::<Vec<_>>()).unwrap()
    }

    /// The index of the server that has the keys.
    fn master(&self) -> usize {
        let position = self.0.iter().position(|server| {
            server.is_running()
                && server.info("replication").contains("role:master")
                && server
                    .client()
                    .get_connection()
                    .and_then(|mut connection| {
                        cmd("XLEN")
                            .arg("{jwt}:stream")
                            .query::<u64>(&mut connection)
                    })
                    .is_ok()
        });
        position.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_master_of_the_slot_is_killed() {
    let mut cluster = Cluster::start().await;
    let nodes = [
        node(cluster.client()).await,
        node(cluster.client()).await,
        node(cluster.client()).await,
    ];
    let edges = Edges::over(&nodes[0]).await;
    let load = Load::on(&nodes, Duration::from_millis(5));
    load.go_on(200).await;
    let master = cluster.master();
    cluster.0[master].kill();
    edges.knows_nothing().await;
    let began = Instant::now();
    load.go_on(200).await;
    edges.knows().await;
    all_fresh(&nodes).await;
    println!("after {:?} the nodes know again", began.elapsed());
    cluster.0[master].run();
    load.go_on(200).await;
    let new = node(cluster.client()).await;
    load.settle(&[&new]).await;
}

/// Sessions in a Cluster, with replicas.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_in_a_cluster() {
    let cluster = Cluster::start().await;
    let store = crate::options().replicas(1, Duration::from_secs(1));
    let store = crate::connect(store, cluster.client()).await;
    let sessions = crate::sessions::sessions(&store);
    let pair = sessions
        .login(&sessions.subject_named("alice"))
        .await
        .unwrap();
    let pair = sessions.refresh(&pair.refresh_token).await.unwrap();
    assert_eq!(
        sessions
            .list(&sessions.subject_named("alice"))
            .await
            .unwrap()
            .len(),
        1
    );
    sessions.end_session(pair.sid).await.unwrap();
    assert_eq!(crate::sessions::is_dead(&store, pair.sid), Some(true));
    store.block(&Subject::new(None, "bob")).await.unwrap();
    let too_many = crate::options().replicas(2, Duration::from_millis(50));
    let too_many = crate::connect(too_many, cluster.client()).await;
    let error = too_many
        .block(&Subject::new(None, "carol"))
        .await
        .unwrap_err();
    assert!(matches!(error, RedisStoreError::Unreplicated));
    too_many.ready(LONG).await.unwrap();
}

/// Each server has a user with the documented rules for a Cluster.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_rules_are_enough_in_a_cluster() {
    let cluster = Cluster::start().await;
    let more = documented_for("| a Cluster |");
    let rules = documented();
    let rules = rules.into_iter().chain(more.iter().map(String::as_str));
    let rules: Vec<_> = rules.collect();
    for server in &cluster.0 {
        allow(server, &rules);
    }
    let urls = cluster
        .0
        .iter()
        .map(|server| format!("redis://service:password@127.0.0.1:{}/", server.port));
    let options = crate::options().replicas(1, Duration::from_secs(1));
    let client = ClusterClient::new(urls.collect::<Vec<_>>()).unwrap();
    let store = crate::connect(options, client).await;
    let sessions = crate::sessions::sessions(&store);
    let pair = sessions
        .login(&sessions.subject_named("alice"))
        .await
        .unwrap();
    sessions.logout(&pair.refresh_token).await.unwrap();
    for server in &cluster.0 {
        nothing_was_denied(server);
    }
}

/// The same under Sentinel, where the Sentinels have users too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_rules_are_enough_under_sentinel() {
    let master = Server::start(&[]);
    let sentinel = Sentinel::of(&master);
    let more = documented_for("| under Sentinel |");
    let (on_servers, on_sentinels) = more.split_at(1);
    let rules = documented();
    let rules: Vec<_> = rules
        .into_iter()
        .chain(on_servers.iter().map(String::as_str))
        .collect();
    allow(&master, &rules);
    let at = |user: &str| format!("redis://{user}127.0.0.1:{}/", sentinel.port);
    let connect = || Client::open(at("")).unwrap().get_connection();
    eventually("the sentinel answers", || connect().is_ok()).await;
    let mut user = cmd("ACL");
    user.arg("SETUSER").arg("service").arg("reset");
    user.arg("on").arg(">password").arg(on_sentinels);
    user.query::<()>(&mut connect().unwrap()).unwrap();
    let info = RedisConnectionInfo::default()
        .set_username("service")
        .set_password("password");
    let nodes = SentinelNodeConnectionInfo::default().set_redis_connection_info(info);
    let urls = vec![at("service:password@")];
    let of = SentinelServerType::Master;
    let client = SentinelClient::build(urls, "main", Some(nodes), of).unwrap();
    let store = crate::connect(crate::options(), client).await;
    let sessions = crate::sessions::sessions(&store);
    let pair = sessions
        .login(&sessions.subject_named("alice"))
        .await
        .unwrap();
    sessions.logout(&pair.refresh_token).await.unwrap();
    nothing_was_denied(&master);
}

/// An address that never answers, like that of a machine that is down.
fn silence() -> (std::net::TcpListener, Vec<std::net::TcpStream>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let connect = || std::net::TcpStream::connect_timeout(&address, Duration::from_millis(300));
    // Fill the queue of connections.
    let held = std::iter::from_fn(|| connect().ok()).collect();
    (listener, held)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_machine_of_the_first_sentinel_is_away() {
    let master = Server::start(&[]);
    let sentinel = Sentinel::of(&master);
    let away = silence();
    let urls = vec![
        format!("redis://{}/", away.0.local_addr().unwrap()),
        format!("redis://127.0.0.1:{}/", sentinel.port),
    ];
    let client = SentinelClient::build(urls, "main", None, SentinelServerType::Master).unwrap();
    crate::connect(crate::options(), client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_machine_of_the_slots_master_is_away() {
    let cluster = Cluster::start().await;
    let node = node(cluster.client()).await;
    cluster.0[cluster.master()].freeze();
    eventually("it knows nothing", || !node.state().is_fresh).await;
    all_fresh(&[node]).await;
}

/// The connection is cut while the store waits for replicas. The next one has nothing to wait for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_in_a_cluster_are_waited_for() {
    let cluster = Cluster::start().await;
    let options = crate::options().replicas(1, Duration::from_millis(500));
    let node = crate::connect(options, cluster.client()).await;
    let thing = |number: u64| Thing::new(number * 6, in_seconds(600));
    let master = &cluster.0[cluster.master()];
    let mut tries = 0;
    while node.revoke(&thing(0).revocation()).await.is_err() {
        tries += 1;
        assert!(tries < 20, "the replica has it");
    }
    let port = format!("master_port:{}\r", master.port);
    for server in &cluster.0 {
        if server.info("replication").contains(&port) {
            server.freeze();
        }
    }
    for number in 1..=5 {
        let (node, thing) = (node.clone(), thing(number));
        let revoked = tokio::spawn(async move { node.revoke(&thing.revocation()).await });
        tokio::time::sleep(Duration::from_millis(150)).await;
        let mut kill = cmd("CLIENT");
        kill.arg("KILL")
            .arg("TYPE")
            .arg("normal")
            .arg("SKIPME")
            .arg("yes");
        master.ask::<u64>(&mut kill);
        assert!(revoked.await.unwrap().is_err(), "no replica has it");
    }
}
