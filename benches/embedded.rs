//! Measures an [`EmbeddedStore`] with many live sessions and as many revocations. The figures are
//! the time to open it, its size on disk and in memory, and the time of a refresh.
//!
//! `cargo bench --features embedded --bench embedded [-- COUNT...]`. The file is created in the
//! directory for temporary files.
#![expect(clippy::print_stdout, reason = "it tells what it measured")]
#![expect(clippy::unwrap_used, reason = "a bench that fails is no bench")]
#![expect(clippy::arithmetic_side_effects, reason = "small numbers")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

#[path = "support/resident.rs"]
mod resident;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use resident::resident_kib;
use tower_jwt_auth::claims::NumericDate;
use tower_jwt_auth::revocation::Revocation;
use tower_jwt_auth::session::{
    Rotation, RotationOutcome, Session, SessionId, SessionStore, Subject,
};
use tower_jwt_auth::store::EmbeddedStore;

const ISSUER: &str = "https://id.example.com";

/// Spread like random ids.
fn sid(number: u64) -> SessionId {
    let mix = |number: u64| {
        let number = (number ^ (number >> 31)).wrapping_mul(0x7fb5_d329_728e_a185);
        (number ^ (number >> 27)).wrapping_mul(0x81da_def4_bc2d_d44d)
    };
    let mut bytes = [0; 16];
    let (head, tail) = bytes.split_at_mut(8);
    head.copy_from_slice(&mix(number + 1).to_be_bytes());
    tail.copy_from_slice(&mix(mix(number + 1) + 1).to_be_bytes());
    SessionId::from_bytes(bytes)
}

fn in_seconds(seconds: u64) -> NumericDate {
    (SystemTime::now() + Duration::from_secs(seconds)).into()
}

async fn at_once<F: Future<Output = ()> + Send + 'static>(
    callers: u64,
    count: u64,
    call: impl Fn(u64) -> F + Clone + Send + 'static,
) {
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let call = call.clone();
            tokio::spawn(async move {
                for number in (caller..count).step_by(usize::try_from(callers).unwrap()) {
                    call(number).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

async fn fill(path: &Path, count: u64) {
    let store = EmbeddedStore::open(path).await.unwrap();
    let started = Instant::now();
    let sessions = store.clone();
    at_once(1024, count, move |number| {
        let store = sessions.clone();
        async move {
            let name = format!("user-{}", number / 2);
            let subject = Subject::new(Some(ISSUER), &name);
            let mut session = Session::new(sid(number), &subject, 0, in_seconds(0));
            session.label = Some("Firefox on Linux".to_owned());
            session.idle_expires_at = in_seconds(14 * 86_400);
            session.expires_at = in_seconds(90 * 86_400);
            session.access_expires_at = in_seconds(300);
            store.create(&session, None).await.unwrap();
        }
    })
    .await;
    let revocations = store.clone();
    at_once(1024, count, move |number| {
        let store = revocations.clone();
        async move {
            let jti = sid(number + 1_000_000_000).to_string();
            let revocation = Revocation::Token {
                issuer: Some(ISSUER),
                jti: &jti,
                // Tokens of an hour, revoked at any time of it.
                expires_at: in_seconds(1_800 + number % 1_800),
            };
            store.revoke(&revocation).await.unwrap();
        }
    })
    .await;
    let each = started.elapsed() / u32::try_from(2 * count).unwrap();
    println!("  filled by 1024 callers, {each:?} a write");
    store.close().await;
}

async fn rotate(store: &EmbeddedStore, number: u64, counter: u64) {
    let mut rotation = Rotation::new(counter, in_seconds(0));
    rotation.idle_expires_at = in_seconds(14 * 86_400);
    rotation.access_expires_at = in_seconds(300);
    let rotated = store.rotate(sid(number), &rotation).await.unwrap();
    assert!(matches!(rotated, RotationOutcome::Rotated(_)));
}

/// The fastest of several openings. The first one tells the memory.
async fn open(path: &Path) {
    let mut fastest = Duration::MAX;
    let mut memory = String::new();
    for _ in 0..7 {
        let before = resident_kib("VmRSS:");
        let started = Instant::now();
        let store = EmbeddedStore::open(path).await.unwrap();
        fastest = fastest.min(started.elapsed());
        if memory.is_empty() {
            let more = |name| resident_kib(name) - before;
            let most = more("VmHWM:") * 100 / more("VmRSS:").max(1);
            memory = format!("+{} MiB, at most {most} %", more("VmRSS:") >> 10);
        }
        store.close().await;
    }
    println!("  open {fastest:.2?}, resident {memory} of that");
}

async fn measure(path: &Path, count: u64) {
    let before = resident_kib("VmRSS:");
    let store = EmbeddedStore::open(path).await.unwrap();
    let state = store.state().await.unwrap();
    assert_eq!((state.sessions, state.revocations as u64), (count, count));

    let alone = 200.min(count / 4);
    let started = Instant::now();
    for number in 0..alone {
        // Even ones here, odd ones below: none is renewed twice.
        rotate(&store, (number * (count / alone)) & !1, 0).await;
    }
    let one = started.elapsed() / u32::try_from(alone).unwrap();

    let many = 12_800.min(count / 4);
    let started = Instant::now();
    let shared = store.clone();
    at_once(64, many, move |number| {
        let store = shared.clone();
        async move { rotate(&store, (number * (count / many)) | 1, 0).await }
    })
    .await;
    let elapsed = started.elapsed();
    let each = elapsed / u32::try_from(many).unwrap();
    println!(
        "  file {} MiB, resident +{} MiB after all",
        state.file_bytes >> 20,
        (resident_kib("VmRSS:") - before) >> 10,
    );
    println!(
        "  rotate: 1 caller {one:.2?}; 64 callers {:.2?} each, {each:.1?} a rotation",
        each * 64
    );
}

async fn run(arguments: Vec<String>) {
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["fill", path, count] => return fill(Path::new(path), count.parse().unwrap()).await,
        ["open", path, _] => return open(Path::new(path)).await,
        ["measure", path, count] => {
            return measure(Path::new(path), count.parse().unwrap()).await;
        }
        _ => {}
    }
    let mut counts: Vec<u64> = words.iter().filter_map(|word| word.parse().ok()).collect();
    if counts.is_empty() {
        // As a test it only shows that it runs.
        counts = match words.contains(&"--bench") {
            true => vec![10_000, 100_000, 1_000_000],
            false => vec![400],
        };
    }
    let name = format!("tower-jwt-auth-bench-{}", std::process::id());
    let directory: PathBuf = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&directory).unwrap();
    for count in counts {
        println!("{count} sessions and {count} revocations");
        let path = directory.join(count.to_string());
        // Each runs in a separate process, to measure its memory alone.
        for what in ["fill", "open", "measure"] {
            let status = Command::new(std::env::current_exe().unwrap())
                .arg(what)
                .arg(&path)
                .arg(count.to_string())
                .status();
            assert!(status.unwrap().success());
        }
        let _ = std::fs::remove_file(&path);
    }
    let _ = std::fs::remove_dir_all(&directory);
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    runtime.block_on(run(std::env::args().skip(1).collect()));
}
