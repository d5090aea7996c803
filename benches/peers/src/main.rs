//! Compares a request through this crate with one through other crates and through an extractor
//! written by hand. All run over a bare axum router, in turns in one process, compared by 10th
//! percentiles.
//!
//! In this directory:
//!
//! | command | what |
//! | --- | --- |
//! | `cargo run --release` | the table of the README |
//! | `cargo run --release -- many-users` | mean costs and hit rates with many tokens |
//! | `cargo run --release -- sockets` | requests a second over sockets, on two processors |
//! | `cargo run --release -- serve bare` (`ours`, `by-hand`) | a server for `wrk.sh` |
//! | `cargo run --release -- token` | a token for that server |
//!
//! `quick` after the first three makes few rounds, to see that they work.

mod by_hand;
mod huskarl;
mod many_users;
mod sockets;
mod subjects;

use std::process::Command;
use std::time::{Duration, Instant};

use axum::http::HeaderValue;
use axum::serve::ListenerExt;
use serde::{Deserialize, Serialize};
use tower_jwt_auth::keys::{Algorithm, SigningKey};

use subjects::{Call, Setting};

const ISSUER: &str = "https://id.example.com";
const AUDIENCE: &str = "api";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// The claims that every subject reads.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Access {
    pub sub: String,
    pub iss: String,
    pub aud: String,
    pub exp: u64,
    pub iat: u64,
    pub nbf: u64,
    pub jti: String,
    pub scope: String,
    pub roles: Vec<String>,
}

fn access() -> Access {
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    Access {
        sub: "248289761001".into(),
        iss: ISSUER.into(),
        aud: AUDIENCE.into(),
        exp: now + 24 * 3600,
        iat: now,
        nbf: now,
        jti: "6b1d5a9e-6a52-4c0e-9d29-2f1d0a1f3c77".into(),
        scope: "openid profile email notes:read notes:write".into(),
        roles: vec!["reader".into(), "writer".into(), "admin".into()],
    }
}

/// A subject, and the nanoseconds of each of its batches.
struct Timed {
    name: &'static str,
    /// The subject that it is compared with.
    over: usize,
    call: Call,
    batch: u32,
    samples: Vec<f64>,
    allocations: u64,
    bytes: u64,
}

impl Timed {
    fn new(name: &'static str, over: usize, mut call: Call, token: &HeaderValue) -> Self {
        for _ in 0..100 {
            call(token);
        }
        let memory = allocation_counter::measure(|| call(token));
        let start = Instant::now();
        for _ in 0..20 {
            call(token);
        }
        let each = (start.elapsed() / 20).as_nanos().max(1);
        let batch = (Duration::from_micros(200).as_nanos() / each).max(1);
        Self {
            name,
            over,
            call,
            batch: u32::try_from(batch).unwrap(),
            samples: Vec::new(),
            allocations: memory.count_total,
            bytes: memory.bytes_total,
        }
    }

    fn sample(&mut self, token: &HeaderValue) {
        let start = Instant::now();
        for _ in 0..self.batch {
            (self.call)(token);
        }
        let each = start.elapsed().as_secs_f64() * 1e9 / f64::from(self.batch);
        self.samples.push(each);
    }

    fn percentile(&self) -> f64 {
        let mut samples = self.samples.clone();
        samples.sort_by(f64::total_cmp);
        samples[samples.len() / 10]
    }
}

/// Figures of one algorithm. Each subject has its cost over its bare router in µs, if it supports
/// the algorithm, and its allocations and their bytes. The last is the cost of the bare router
/// itself.
type Column = (Vec<(&'static str, Option<(f64, u64, u64)>)>, f64);

fn column(algorithm: Algorithm, rounds: usize) -> Column {
    let setting = Setting::new(algorithm);
    let token = setting.authorization(&access());
    let ours = [
        ("this crate, cache hit", subjects::ours(&setting)),
        ("this crate, cache miss", subjects::ours_uncached(&setting)),
    ];
    let ours = ours.map(|(name, router)| (name, 0, Some(subjects::call(router))));
    let rows = subjects::bare_rows().into_iter().chain(ours);
    let mut all = Vec::new();
    let mut missing = Vec::new();
    for (name, over, subject) in rows.chain(subjects::peers(&setting)) {
        match subject {
            Some(call) => all.push(Timed::new(name, over, call, &token)),
            None => missing.push(name),
        }
    }
    for _ in 0..rounds {
        all.iter_mut().for_each(|timed| timed.sample(&token));
    }
    let bare: Vec<_> = all
        .iter()
        .map(|timed| (timed.percentile(), timed.allocations, timed.bytes))
        .collect();
    let rows = all
        .iter()
        .zip(&bare)
        .skip(2)
        .map(|(timed, (time, allocations, bytes))| {
            let (base, base_allocations, base_bytes) = bare[timed.over];
            let over = (
                (time - base) / 1000.0,
                allocations - base_allocations,
                bytes - base_bytes,
            );
            (timed.name, Some(over))
        });
    let rows = rows
        .chain(missing.into_iter().map(|name| (name, None)))
        .collect();
    (rows, bare[0].0)
}

fn table(rounds: usize) {
    let algorithms = [
        Algorithm::HS256,
        Algorithm::RS256,
        Algorithm::ES256,
        Algorithm::EdDSA,
    ];
    let columns = algorithms.map(|algorithm| column(algorithm, rounds));
    println!(
        "| over bare axum, µs a request | HS256 | RS256 | ES256 | EdDSA | allocations, HS256 |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for (name, hs256) in &columns[0].0 {
        let cells = columns.iter().map(|(rows, _)| {
            let row = rows.iter().find(|(other, _)| other == name);
            match row.and_then(|(_, over)| *over) {
                Some((time, ..)) if time < 10.0 => format!("{time:.2}"),
                Some((time, ..)) => format!("{time:.1}"),
                None => "-".into(),
            }
        });
        let cells: Vec<_> = cells.collect();
        let memory = hs256.map_or("-".into(), |(_, allocations, bytes)| {
            format!("{allocations} ({bytes} B)")
        });
        println!("| {name} | {} | {memory} |", cells.join(" | "));
    }
    let bare = columns
        .iter()
        .map(|(_, bare)| *bare)
        .fold(f64::INFINITY, f64::min);
    println!(
        "\n{}. The bare router itself: {:.2} µs.",
        machine(),
        bare / 1000.0
    );
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// The date, the processor and the compiler, as a table names them.
fn machine() -> String {
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        text.unwrap_or_default()
    };
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    format!(
        "{}, {} with {} cores, {}",
        said("date", &["-u", "+%Y-%m-%d"]),
        processor.unwrap_or("a processor"),
        std::thread::available_parallelism().map_or(1, usize::from),
        said("rustc", &["--version"]),
    )
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _entered = runtime.enter();
    match arguments.as_slice() {
        [] => table(1500),
        ["quick"] => table(20),
        ["many-users"] => many_users::table(100_000),
        ["many-users", "quick"] => many_users::table(2000),
        ["sockets"] => sockets::table(10_000, Duration::from_millis(500)),
        ["sockets", "quick"] => sockets::table(100, Duration::from_millis(50)),
        ["token"] => println!("{}", rs256().sign(&access()).unwrap()),
        ["serve", which] => serve(which, "3999"),
        ["serve", which, port] => serve(which, port),
        _ => eprintln!(
            "usage: peers [quick | many-users [quick] | sockets [quick] | token | serve WHICH [PORT]]"
        ),
    }
}

/// A key that server and client agree on.
fn rs256() -> SigningKey {
    let path = std::env::temp_dir().join("tower-jwt-auth-peers.pem");
    if !path.exists() {
        let made = Command::new("openssl")
            .args(["genrsa", "-out"])
            .arg(&path)
            .arg("2048")
            .output();
        assert!(made.unwrap().status.success(), "openssl genrsa");
    }
    SigningKey::from_pem(Algorithm::RS256, std::fs::read(path).unwrap()).unwrap()
}

/// One thread, on a port of `127.0.0.1`.
fn serve(which: &str, port: &str) {
    let address = format!("127.0.0.1:{port}");
    let setting = Setting::with(Algorithm::RS256, rs256());
    let router = match which {
        "bare" => subjects::bare(),
        "ours" => subjects::ours(&setting),
        "ours-large" => subjects::ours_cached(&setting, 64 << 20),
        "by-hand" => by_hand::router(&setting),
        "oauth2" => subjects::oauth2(&setting),
        _ => panic!("there is no server {which}"),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    std::thread::spawn(move || {
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind(address).await.unwrap();
            let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap());
            axum::serve(listener, router).await.unwrap();
        });
    })
    .join()
    .unwrap();
}
