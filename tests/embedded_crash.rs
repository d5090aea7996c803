//! Kills a process at random moments while it logs in, refreshes and revokes. No acknowledged call
//! is lost.
#![cfg(all(feature = "embedded", unix))]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a test that panics fails"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tower_jwt_auth::claims::NumericDate;
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::revocation::{Revocation, RevocationStore, TokenIdentity};
use tower_jwt_auth::session::{
    CreationOutcome, Rotation, RotationOutcome, Session, SessionId, SessionStore, Subject,
};
use tower_jwt_auth::store::{EmbeddedStore, EmbeddedStoreOptions};

const START: u64 = 1_700_000_000;
const ROUNDS: u64 = 300;
const TASKS: u64 = 4;
const PATH: &str = "TOWER_JWT_AUTH_CRASH_PATH";
const ROUND: &str = "TOWER_JWT_AUTH_CRASH_ROUND";

fn at(seconds: u64) -> NumericDate {
    NumericDate::from_seconds(START + seconds).unwrap()
}

fn sid(number: u64) -> SessionId {
    let mut bytes = [7; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    SessionId::from_bytes(bytes)
}

/// A subject that only one task of one round logs out.
fn subject(number: u64) -> String {
    format!("subject {number}")
}

fn session(number: u64, subject: &str) -> Session {
    let mut session = Session::new(sid(number), &Subject::new(None, subject), 0, at(0));
    session.idle_expires_at = at(1_000_000);
    session.expires_at = at(2_000_000);
    session.access_expires_at = at(300);
    session
}

/// The session after its refreshes. Each refresh changes several fields, so a partial one shows.
fn renewed(mut session: Session, counter: u64) -> Session {
    session.counter = counter;
    session.rotated_at = at(counter);
    session.idle_expires_at = at(1_000_000 + counter);
    session.access_expires_at = at(300 + counter);
    session
}

fn rotation(counter: u64) -> Rotation {
    let mut rotation = Rotation::new(counter, at(counter + 1));
    rotation.idle_expires_at = at(1_000_000 + counter + 1);
    rotation.access_expires_at = at(300 + counter + 1);
    rotation
}

async fn open(path: &Path) -> EmbeddedStore {
    let options = EmbeddedStoreOptions::new().clock(ManualClock::at(START));
    options.open(path).await.unwrap()
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("@{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// One of the concurrent tasks. It prints each acknowledged call.
async fn work(store: EmbeddedStore, base: u64) {
    let mut random = Random(base);
    let name = subject(base);
    for number in base.. {
        let created = store
            .create(&session(number, "of all"), None)
            .await
            .unwrap();
        assert_eq!(created, CreationOutcome::Created(Vec::new()));
        say(&format!("created {number} 0"));
        let renewals = random.below(4);
        for counter in 0..renewals {
            let rotated = store.rotate(sid(number), &rotation(counter)).await.unwrap();
            assert!(matches!(rotated, RotationOutcome::Rotated(_)));
            say(&format!("renewed {number} {}", counter + 1));
        }
        match random.below(4) {
            0 => {
                let until = NumericDate::MAX;
                store.end(sid(number), None, until).await.unwrap();
                say(&format!("ended {number} {renewals}"));
            }
            1 if renewals > 1 => {
                let rotated = store.rotate(sid(number), &rotation(0)).await.unwrap();
                assert!(matches!(rotated, RotationOutcome::ReuseDetected(_)));
                say(&format!("ended {number} {renewals}"));
            }
            2 => {
                let jti = format!("token {number}");
                let token = TokenIdentity::new(at(300)).jti(&jti);
                store
                    .revoke(&Revocation::of_token(&token).unwrap())
                    .await
                    .unwrap();
                say(&format!("revoked {number} 0"));
            }
            _ => {
                let generation = store
                    .raise_generation(&Subject::new(None, &name))
                    .await
                    .unwrap();
                say(&format!("raised {base} {generation}"));
            }
        }
    }
}

/// Not a test: the process that the test kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Some(path) = std::env::var_os(PATH) else {
        return;
    };
    let round: u64 = std::env::var(ROUND).unwrap().parse().unwrap();
    let store = open(Path::new(&path)).await;
    say("ready 0 0");
    let base = |task: u64| (round * TASKS + task) * 1_000_000;
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| tokio::spawn(work(store.clone(), base(task))))
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Acknowledged {
    Live(u64),
    Ended(u64),
}

#[derive(Default)]
struct Known {
    sessions: BTreeMap<u64, Acknowledged>,
    generations: BTreeMap<u64, u64>,
    tokens: Vec<u64>,
}

impl Known {
    fn hear(&mut self, line: &str) {
        // The test harness prints other lines, and the last line may be incomplete.
        let Some(line) = line.split_once('@').map(|(_, line)| line) else {
            return;
        };
        let mut words = line.split(' ');
        let (Some(what), Some(number), Some(value)) = (words.next(), words.next(), words.next())
        else {
            return;
        };
        let (number, value): (u64, u64) = (number.parse().unwrap(), value.parse().unwrap());
        match what {
            "created" | "renewed" => drop(self.sessions.insert(number, Acknowledged::Live(value))),
            "ended" => drop(self.sessions.insert(number, Acknowledged::Ended(value))),
            "raised" => drop(self.generations.insert(number, value)),
            "revoked" => self.tokens.push(number),
            _ => {}
        }
    }

    async fn check(&self, store: &EmbeddedStore, from: u64) {
        for (number, acknowledged) in self.sessions.range(from..) {
            let found = store.find(sid(*number)).await.unwrap();
            let text = sid(*number).to_string();
            let token = TokenIdentity::new(at(300))
                .sid(&text)
                .subject("of all")
                .generation(0);
            let revoked = store.peek(&token).unwrap();
            assert_eq!(found.is_none(), revoked, "{number} {acknowledged:?}");
            let counter = match (acknowledged, &found) {
                (Acknowledged::Ended(_), None) => continue,
                // The end may be on disk, but not printed before the kill.
                (Acknowledged::Live(_), None) => continue,
                (Acknowledged::Ended(_), Some(_)) => panic!("{number}: an end was lost"),
                (Acknowledged::Live(counter), Some(_)) => *counter,
            };
            let found = found.unwrap();
            assert!(
                found.counter == counter || found.counter == counter + 1,
                "{number}: {} instead of {counter}",
                found.counter
            );
            let mut whole = session(*number, "of all");
            if found.counter > 0 {
                whole = renewed(whole, found.counter);
            }
            assert_eq!(found, whole, "{number}: by halves");
        }
        for (base, generation) in self.generations.range(from..) {
            let name = subject(*base);
            let state = store.subject(&Subject::new(None, &name)).await.unwrap();
            assert!(
                state.generation == *generation || state.generation == generation + 1,
                "{base}: {} instead of {generation}",
                state.generation
            );
        }
        for number in self.tokens.iter().filter(|number| **number >= from) {
            let jti = format!("token {number}");
            assert_eq!(
                store.peek(&TokenIdentity::new(at(300)).jti(&jti)),
                Some(true),
                "{number}"
            );
        }
    }
}

fn start(path: &Path, round: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads", "1"])
        .env(PATH, path)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l07_l08_nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let directory =
        std::env::temp_dir().join(format!("tower-jwt-auth-crash-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path: PathBuf = directory.join("sessions");
    let mut known = Known::default();
    let mut random = Random(std::process::id().into());
    let mut worked = 0;
    for round in 0..ROUNDS {
        let mut child = start(&path, round);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let heard = std::thread::spawn({
            let wait_for_ready = random.below(4) != 0;
            let delay = Duration::from_micros(random.below(100_000));
            move || {
                let mut heard = Vec::new();
                if wait_for_ready {
                    for line in lines.by_ref() {
                        let line = line.unwrap();
                        let ready = line.contains("@ready");
                        heard.push(line);
                        if ready {
                            break;
                        }
                    }
                }
                std::thread::sleep(delay);
                child.kill().unwrap();
                heard.extend(lines.map_while(Result::ok));
                child.wait().unwrap();
                heard
            }
        });
        let heard = tokio::task::spawn_blocking(move || heard.join().unwrap())
            .await
            .unwrap();
        let before = known.sessions.len();
        for line in &heard {
            known.hear(line);
        }
        worked += u64::from(known.sessions.len() > before);
        let store = open(&path).await;
        known.check(&store, round * TASKS * 1_000_000).await;
        store.close().await;
        if round % 50 == 49 {
            let store = open(&path).await;
            known.check(&store, 0).await;
            store.close().await;
        }
    }
    assert!(worked > ROUNDS / 2, "{worked} rounds did anything");
    let _ = std::fs::remove_dir_all(&directory);
}
