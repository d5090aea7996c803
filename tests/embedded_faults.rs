//! What an embedded store does with damaged, moved and linked files, and with clocks that jump.
#![cfg(all(feature = "embedded", unix))]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    reason = "a test that panics fails"
)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tower_jwt_auth::claims::NumericDate;
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::revocation::{Revocation, RevocationStore, TokenIdentity};
use tower_jwt_auth::session::{
    CreationOutcome, Session, SessionId, SessionStore, Subject, SubjectState,
};
use tower_jwt_auth::store::{EmbeddedStore, EmbeddedStoreError, EmbeddedStoreOptions};

const START: u64 = 1_700_000_000;
const LEEWAY: u64 = 30;
const TEN_YEARS: u64 = 10 * 365 * 86_400;

fn at(seconds: u64) -> NumericDate {
    NumericDate::from_seconds(START + seconds).unwrap()
}

fn sid(number: u64) -> SessionId {
    let mut bytes = [7; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    SessionId::from_bytes(bytes)
}

/// A session of the subject `name` that begins `after` seconds after the start.
fn session(number: u64, name: &str, after: u64) -> Session {
    let mut session = Session::new(sid(number), &Subject::new(None, name), 0, at(after));
    session.idle_expires_at = at(after + 100_000);
    session.expires_at = at(after + 900_000);
    session.access_expires_at = at(after + 300);
    session
}

fn is_revoked(store: &EmbeddedStore, session: &Session) -> bool {
    let sid = session.sid.to_string();
    let token = TokenIdentity::new(session.access_expires_at)
        .sid(&sid)
        .subject(&session.subject)
        .generation(session.generation)
        .issued_at(session.created_at);
    store.peek(&token).unwrap()
}

fn options(clock: &ManualClock) -> EmbeddedStoreOptions {
    EmbeddedStoreOptions::new()
        .clock(clock.clone())
        .leeway(Duration::from_secs(LEEWAY))
        .capacity(10_000)
}

async fn try_open(path: &Path) -> Result<EmbeddedStore, EmbeddedStoreError> {
    options(&ManualClock::at(START)).open(path).await
}

async fn open(path: &Path) -> EmbeddedStore {
    try_open(path).await.unwrap()
}

/// A directory that is removed when the test ends.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("tower-jwt-auth-faults-{}-{number}", std::process::id());
        // The tests open thousands of files: this is faster in memory.
        let memory = PathBuf::from("/dev/shm");
        let base = memory.is_dir().then_some(memory);
        let path = base.unwrap_or_else(std::env::temp_dir).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
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

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }
}

// A wrong clock.

/// Sessions that were revoked in each way.
struct Revoked(Vec<Session>);

impl Revoked {
    async fn new(store: &EmbeddedStore) -> Self {
        let ended = session(1, "ended", 0);
        store.create(&ended, None).await.unwrap();
        store
            .end(ended.sid, None, ended.access_expires_at)
            .await
            .unwrap();
        let out = session(2, "logged out everywhere", 0);
        store.create(&out, None).await.unwrap();
        store.raise_generation(&out.owner()).await.unwrap();
        let blocked = session(3, "blocked", 0);
        store.create(&blocked, None).await.unwrap();
        store.block(&blocked.owner()).await.unwrap();
        let unblocked = session(4, "unblocked", 0);
        store.create(&unblocked, None).await.unwrap();
        store.block(&unblocked.owner()).await.unwrap();
        store.unblock(&unblocked.owner()).await.unwrap();
        Self(vec![ended, out, blocked, unblocked])
    }

    fn check(&self, store: &EmbeddedStore, when: &str) {
        for session in &self.0 {
            assert!(is_revoked(store, session), "{when}: {}", session.subject);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_wrong_reading_of_the_clock_costs_nothing() {
    let directory = Temporary::new();
    let path = directory.join("sessions");
    let clock = ManualClock::at(START);
    let store = options(&clock).open(&path).await.unwrap();
    let revoked = Revoked::new(&store).await;
    let old = session(10, "alice", 0);
    store.create(&old, None).await.unwrap();

    clock.set(START + TEN_YEARS);
    let ahead = session(11, "alice", TEN_YEARS);
    assert_eq!(
        store.create(&ahead, None).await.unwrap(),
        CreationOutcome::Created(Vec::new())
    );
    clock.set(START + 10);
    let new = session(12, "alice", 10);
    assert_eq!(
        store.create(&new, None).await.unwrap(),
        CreationOutcome::Created(Vec::new())
    );
    assert!(
        !is_revoked(&store, &new),
        "a login after the clock is right"
    );
    assert!(!is_revoked(&store, &old), "a login from before");
    revoked.check(&store, "after the step back");
    store.close().await;

    let store = options(&clock).open(&path).await.unwrap();
    assert!(!is_revoked(&store, &new), "reopened");
    assert!(store.find(old.sid).await.unwrap().is_some(), "not dropped");
    revoked.check(&store, "reopened");
    store.close().await;
    clock.set(START + 365 * 86_400);
    let store = options(&clock).open(&path).await.unwrap();
    let later = session(13, "alice", 365 * 86_400);
    assert_eq!(
        store.create(&later, None).await.unwrap(),
        CreationOutcome::Created(Vec::new())
    );
    assert!(!is_revoked(&store, &later), "a year later");
}

/// Tokens with a dropped revocation stay revoked by their `exp`. Tokens that expire later pass.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_stays_ahead_revokes_only_up_to_what_was_dropped() {
    let directory = Temporary::new();
    let path = directory.join("sessions");
    let clock = ManualClock::at(START);
    let mut store = options(&clock).open(&path).await.unwrap();
    let revoked = Revoked::new(&store).await;
    let mut number = 100;
    for round in 0..6 {
        clock.set(START + TEN_YEARS + round);
        for _ in 0..3 {
            number += 1;
            let ahead = session(number, "alice", TEN_YEARS + round);
            assert_eq!(
                store.create(&ahead, None).await.unwrap(),
                CreationOutcome::Created(Vec::new())
            );
        }
        clock.set(START + 10 + round);
        number += 1;
        let new = session(number, "alice", 10 + round);
        assert_eq!(
            store.create(&new, None).await.unwrap(),
            CreationOutcome::Created(Vec::new())
        );
        assert!(!is_revoked(&store, &new), "round {round}");
        revoked.check(&store, &format!("round {round}"));
        store
            .end(new.sid, None, new.access_expires_at)
            .await
            .unwrap();
        if round % 2 == 1 {
            store.close().await;
            store = options(&clock).open(&path).await.unwrap();
            let other = session(number + 50, "alice", 20 + round);
            assert!(!is_revoked(&store, &other), "round {round}, reopened");
            revoked.check(&store, &format!("round {round}, reopened"));
        }
    }
}

/// A revocation that was dropped years too early rejects the tokens that expire before it, and no
/// others.
#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_far_revocation_revokes_up_to_its_expiry() {
    let directory = Temporary::new();
    let path = directory.join("sessions");
    let clock = ManualClock::at(START);
    let store = options(&clock).open(&path).await.unwrap();
    let far = Revocation::Session {
        issuer: None,
        sid: "far",
        until: at(5_000_000),
    };
    store.revoke(&far).await.unwrap();
    clock.set(START + TEN_YEARS);
    for _ in 0..3 {
        store
            .raise_generation(&Subject::new(None, "x"))
            .await
            .unwrap();
    }
    clock.set(START);
    store.close().await;
    let store = options(&clock).open(&path).await.unwrap();
    assert_eq!(
        store.peek(&TokenIdentity::new(at(5_000_000)).sid("far")),
        Some(true)
    );
    assert_eq!(
        store.peek(&TokenIdentity::new(at(5_000_001)).sid("near")),
        Some(false)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_while_the_clock_is_ahead_forgets_no_revocation() {
    let directory = Temporary::new();
    let path = directory.join("sessions");
    let clock = ManualClock::at(START);
    let store = options(&clock).open(&path).await.unwrap();
    let revoked = Revoked::new(&store).await;
    store.close().await;
    clock.set(START + TEN_YEARS);
    let store = options(&clock).open(&path).await.unwrap();
    clock.set(START + 10);
    revoked.check(&store, "before any write");
    let new = session(20, "alice", 10);
    store.create(&new, None).await.unwrap();
    assert!(!is_revoked(&store, &new));
    revoked.check(&store, "after a write");
}

/// A session that was dropped too early may still have a valid access token.
#[tokio::test(flavor = "multi_thread")]
async fn a_logout_everywhere_reaches_the_tokens_of_sessions_that_were_dropped() {
    let directory = Temporary::new();
    let path = directory.join("sessions");
    let clock = ManualClock::at(START);
    let store = options(&clock).open(&path).await.unwrap();
    let (alice, bob) = (session(1, "alice", 0), session(2, "bob", 0));
    store.create(&alice, None).await.unwrap();
    store.create(&bob, None).await.unwrap();
    clock.set(START + TEN_YEARS);
    for number in 10..13 {
        let ahead = session(number, "carol", TEN_YEARS);
        store.create(&ahead, None).await.unwrap();
    }
    clock.set(START + 10);
    assert_eq!(store.find(alice.sid).await.unwrap(), None, "dropped");
    store.raise_generation(&alice.owner()).await.unwrap();
    store.block(&bob.owner()).await.unwrap();
    store.unblock(&bob.owner()).await.unwrap();
    for _ in 0..2 {
        store.close().await;
        let store = options(&clock).open(&path).await.unwrap();
        assert!(is_revoked(&store, &alice));
        assert!(is_revoked(&store, &bob));
        store.close().await;
    }
}

// Damaged files.

/// How often threads of stores panicked, by source line.
static PANICS: Mutex<BTreeMap<String, usize>> = Mutex::new(BTreeMap::new());

/// Held by the test that counts panics.
static COUNTING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn count_panics() -> tokio::sync::MutexGuard<'static, ()> {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let name = std::thread::current().name().unwrap_or_default().to_owned();
            if !name.starts_with("jwt-auth") {
                return usual(info);
            }
            let place = info.location().map(|place| {
                let file = place.file().rsplit("src/").next().unwrap_or_default();
                format!("{file}:{}", place.line())
            });
            *PANICS
                .lock()
                .unwrap()
                .entry(place.unwrap_or_default())
                .or_default() += 1;
        }));
    });
    COUNTING.lock().await
}

fn panics() -> usize {
    PANICS.lock().unwrap().values().sum()
}

/// What was written to a store.
struct Content {
    rows: u64,
    /// The subject that the last commit blocked.
    last: Option<&'static str>,
}

impl Content {
    async fn write(path: &Path, rows: u64) -> Self {
        let store = open(path).await;
        let mut calls = Vec::new();
        for number in 0..rows {
            let store = store.clone();
            calls.push(tokio::spawn(async move {
                let name = format!("blocked {number}");
                store.block(&Subject::new(None, &name)).await.unwrap();
                let name = format!("raised {number}");
                let out = session(20_000 + number, &name, 0);
                store.create(&out, None).await.unwrap();
                store
                    .raise_generation(&Subject::new(None, &name))
                    .await
                    .unwrap();
                let jti = format!("token {number}");
                let token = TokenIdentity::new(at(5_000)).jti(&jti);
                let revocation = Revocation::of_token(&token).unwrap();
                store.revoke(&revocation).await.unwrap();
                let ended = session(10_000 + number, "of all", 0);
                store.create(&ended, None).await.unwrap();
                store
                    .end(ended.sid, None, ended.access_expires_at)
                    .await
                    .unwrap();
                store
                    .create(&session(number, "of all", 0), None)
                    .await
                    .unwrap();
            }));
        }
        for call in calls {
            call.await.unwrap();
        }
        store.close().await;
        // Removes older copies of rows: the tests search the file for live ones.
        let mut database = redb::Database::open(path).unwrap();
        database.compact().unwrap();
        Self { rows, last: None }
    }

    /// What is missing or wrong. An error is neither.
    async fn losses(&self, store: &EmbeddedStore) -> Vec<String> {
        let mut losses = Vec::new();
        for number in 0..self.rows {
            let mut check = |what: &str, is_there: bool| {
                if !is_there {
                    losses.push(format!("{what} {number}"));
                }
            };
            let revoked = |token: TokenIdentity<'_>| store.peek(&token).unwrap();
            let state = async |name: &str, expected: SubjectState| {
                let state = store.subject(&Subject::new(None, name)).await;
                state.is_err() || state.is_ok_and(|state| state == expected)
            };
            let name = format!("blocked {number}");
            let token = TokenIdentity::new(at(5_000)).subject(&name);
            check("block", revoked(token.generation(1)));
            check("blocked", state(&name, SubjectState::new(1, true)).await);
            let name = format!("raised {number}");
            let token = TokenIdentity::new(at(300)).subject(&name);
            check("generation", revoked(token.generation(0)));
            check("raised", state(&name, SubjectState::new(1, false)).await);
            let jti = format!("token {number}");
            check("token", revoked(TokenIdentity::new(at(5_000)).jti(&jti)));
            let ended = session(10_000 + number, "of all", 0);
            check("end", is_revoked(store, &ended));
            let live = session(number, "of all", 0);
            let found = store.find(live.sid).await;
            check(
                "session",
                found.is_err() || found.is_ok_and(|found| found == Some(live)),
            );
        }
        if let Some(last) = self.last {
            let state = store.subject(&Subject::new(None, last)).await;
            if state.is_ok_and(|state| !state.blocked) {
                losses.push("the last commit".to_owned());
            }
        }
        let listed = store.list(&Subject::new(None, "of all"), at(0)).await;
        if listed.is_ok_and(|listed| listed.len() as u64 != self.rows) {
            losses.push("list".to_owned());
        }
        losses
    }
}

#[derive(Debug, Default)]
struct Outcomes {
    harmless: u64,
    corrupt: u64,
    otherwise_refused: u64,
    with_losses: Vec<(usize, Vec<String>)>,
}

impl Outcomes {
    /// Opens the store with one bit flipped.
    async fn flip(&mut self, path: &Path, whole: &[u8], bit: usize, content: &Content) {
        let mut bytes = whole.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        self.open(path, &bytes, bit, content).await;
    }

    async fn open(&mut self, path: &Path, bytes: &[u8], bit: usize, content: &Content) {
        fs::write(path, bytes).unwrap();
        match try_open(path).await {
            Ok(store) => {
                let losses = content.losses(&store).await;
                store.close().await;
                match losses[..] {
                    [] => self.harmless += 1,
                    _ => self.with_losses.push((bit, losses)),
                }
            }
            Err(EmbeddedStoreError::Corrupt) => self.corrupt += 1,
            Err(EmbeddedStoreError::Io(error)) => panic!("{bit}: {error}"),
            Err(_) => self.otherwise_refused += 1,
        }
    }

    fn print(&self, what: &str) {
        let panics = PANICS.lock().unwrap();
        println!(
            "{what}: {} harmless, {} corrupt, {} otherwise refused, {} with losses; panics so far: {panics:?}",
            self.harmless,
            self.corrupt,
            self.otherwise_refused,
            self.with_losses.len(),
        );
    }

    fn check(&self, what: &str) {
        self.print(what);
        let few = self.with_losses.iter().take(5);
        let few: Vec<_> = few.map(|(bit, losses)| (bit / 8, losses)).collect();
        assert!(few.is_empty(), "{what}: {few:?}");
    }
}

/// The offsets of the names in live rows, and of the bytes around them.
fn live_bytes(whole: &[u8], rows: u64) -> Vec<usize> {
    let mut live = Vec::new();
    let mut add = |pattern: &[u8]| {
        let places = whole.windows(pattern.len());
        for (place, _) in places.enumerate().filter(|(_, bytes)| *bytes == pattern) {
            live.extend(place.saturating_sub(8)..place + pattern.len() + 8);
        }
    };
    for number in 0..rows {
        for name in ["blocked", "raised", "token"] {
            add(format!("{name} {number}").as_bytes());
        }
        add(&sid(number).to_bytes());
        add(sid(10_000 + number).to_string().as_bytes());
    }
    live
}

#[tokio::test(flavor = "multi_thread")]
async fn no_flipped_bit_loses_anything_in_silence() {
    let _counting = count_panics().await;
    let directory = Temporary::new();
    let path = directory.join("sessions");
    let content = Content::write(&path, 40).await;
    let whole = fs::read(&path).unwrap();
    assert_eq!(
        content.losses(&open(&path).await).await,
        Vec::<String>::new()
    );
    let flips = std::env::var("TOWER_JWT_AUTH_FLIPS").ok();
    let flips = flips.and_then(|flips| flips.parse().ok()).unwrap_or(60);
    let path = directory.join("damaged");
    let mut random = Random(14);

    let live = live_bytes(&whole, content.rows);
    let mut outcomes = Outcomes::default();
    for _ in 0..flips {
        let byte = live[random.index(live.len())];
        let bit = byte * 8 + random.index(8);
        outcomes.flip(&path, &whole, bit, &content).await;
    }
    let mut anywhere = Outcomes::default();
    for _ in 0..flips {
        let bit = random.index(whole.len() * 8);
        anywhere.flip(&path, &whole, bit, &content).await;
    }
    anywhere.print("anywhere");
    outcomes.check("in live rows");
    anywhere.check("anywhere");
}

/// Overwrites whole pages with zeros, ones, noise, or the bytes of another page.
#[tokio::test(flavor = "multi_thread")]
async fn no_overwritten_page_loses_anything_in_silence() {
    let _counting = count_panics().await;
    let directory = Temporary::new();
    let path = directory.join("sessions");
    let content = Content::write(&path, 40).await;
    let whole = fs::read(&path).unwrap();
    let path = directory.join("damaged");
    let mut random = Random(3);
    let pages = whole.chunks(4096).enumerate().skip(1);
    let used = pages.filter(|(_, page)| page.iter().any(|byte| *byte != 0));
    let used: Vec<usize> = used.map(|(number, _)| number * 4096).collect();
    let mut outcomes = Outcomes::default();
    for place in &used {
        let other = used[random.index(used.len())];
        let noise: Vec<u8> = (0..4096)
            .map(|_| random.index(256).to_le_bytes()[0])
            .collect();
        let pages = [
            &[0; 4096],
            &[0xff; 4096],
            &noise[..],
            &whole[other..other + 4096],
        ];
        let mut bytes = whole.clone();
        bytes[*place..place + 4096].copy_from_slice(pages[random.index(4)]);
        outcomes.open(&path, &bytes, place * 8, &content).await;
    }
    outcomes.check("pages");
}

/// `open` verifies the checksums of pages. Each later read verifies the checksum of the row.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_damaged_while_the_file_is_open_is_corrupt_when_read() {
    let directory = Temporary::new();
    let path = directory.join("sessions");
    Content::write(&path, 10).await;
    let store = options(&ManualClock::at(START)).cache(0).open(&path).await;
    let store = store.unwrap();
    let mut whole = fs::read(&path).unwrap();
    // The name of the subject, in each row and index.
    let name = b"of all";
    for place in 0..whole.len() - name.len() {
        if whole[place..].starts_with(name) {
            whole[place] ^= 1;
        }
    }
    fs::write(&path, &whole).unwrap();
    let error = store.find(sid(1)).await.unwrap_err();
    assert!(matches!(error, EmbeddedStoreError::Corrupt), "{error:?}");
}

/// Flips bits of the whole header, after a clean close and after a crash.
#[tokio::test(flavor = "multi_thread")]
async fn no_flipped_bit_of_the_header_loses_anything_in_silence() {
    let _counting = count_panics().await;
    let directory = Temporary::new();
    let path = directory.join("sessions");
    let content = Content::write(&path, 2).await;
    let store = open(&path).await;
    // An older header would lose the last commit.
    store.block(&Subject::new(None, "last")).await.unwrap();
    let content = Content {
        last: Some("last"),
        ..content
    };
    let crashed = fs::read(&path).unwrap();
    store.close().await;
    let closed = fs::read(&path).unwrap();
    let damaged = directory.join("damaged");
    for (what, whole) in [("closed", closed), ("crashed", crashed)] {
        let mut outcomes = Outcomes::default();
        let mut random = Random(17);
        let bits = (32..340).map(|byte| byte * 8 + random.index(8));
        for bit in (0..32 * 8).chain(bits) {
            let before = panics();
            outcomes.flip(&damaged, &whole, bit, &content).await;
            assert_eq!(panics(), before, "{what}: byte {} panics", bit / 8);
        }
        outcomes.check(what);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_file_is_corrupt_and_no_panic() {
    let _counting = count_panics().await;
    let directory = Temporary::new();
    let path = directory.join("sessions");
    let content = Content::write(&path, 20).await;
    let whole = fs::read(&path).unwrap();
    let before = panics();
    let pages = (0..whole.len()).step_by(4096);
    for length in pages.flat_map(|page| [page.max(9), page.max(9) + 1, page + 4095]) {
        fs::write(&path, &whole[..length.min(whole.len() - 1)]).unwrap();
        let error = try_open(&path).await.unwrap_err();
        assert!(
            matches!(error, EmbeddedStoreError::Corrupt),
            "{length}: {error:?}"
        );
    }
    // Longer files too.
    for more in [1, 4095, 4096, 4097, 10_000] {
        let mut longer = whole.clone();
        longer.resize(whole.len() + more, 0);
        fs::write(&path, &longer).unwrap();
        match try_open(&path).await {
            Ok(store) => {
                assert_eq!(content.losses(&store).await, Vec::<String>::new());
                store.close().await;
            }
            Err(error) => assert!(matches!(error, EmbeddedStoreError::Corrupt), "{error:?}"),
        }
    }
    let places = format!("{:?}", PANICS.lock().unwrap());
    assert_eq!(panics(), before, "{places}");
}

// Other things at the path.

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread")]
async fn making_a_store_follows_no_link_and_takes_nothing_over() {
    let directory = Temporary::new();
    let path = directory.join("sessions");
    let making = directory.join("sessions.new");
    let victim = directory.join("victim");
    let lay: [&dyn Fn(); 3] = [
        &|| symlink(&victim, &making).unwrap(),
        &|| fs::hard_link(&victim, &making).unwrap(),
        &|| {
            fs::write(&making, "half a store").unwrap();
            fs::set_permissions(&making, fs::Permissions::from_mode(0o644)).unwrap();
        },
    ];
    for (number, lay) in lay.into_iter().enumerate() {
        fs::write(&victim, "precious").unwrap();
        fs::set_permissions(&victim, fs::Permissions::from_mode(0o644)).unwrap();
        lay();
        let store = open(&path).await;
        store.block(&Subject::new(None, "mallory")).await.unwrap();
        store.close().await;
        assert_eq!(fs::read(&victim).unwrap(), b"precious", "{number}");
        assert_eq!(mode(&victim), 0o644, "{number}");
        assert!(fs::symlink_metadata(&path).unwrap().is_file(), "{number}");
        assert_eq!(mode(&path), 0o600, "{number}");
        assert_eq!(fs::metadata(&path).unwrap().nlink(), 1, "{number}");
        assert!(fs::symlink_metadata(&making).is_err(), "{number}");
        fs::remove_file(&path).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_to_a_store_is_followed_and_a_link_to_nothing_is_refused() {
    let directory = Temporary::new();
    let (path, link) = (directory.join("sessions"), directory.join("link"));
    symlink(&path, &link).unwrap();
    let error = try_open(&link).await.unwrap_err();
    assert!(matches!(error, EmbeddedStoreError::Io(_)), "{error:?}");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    open(&path).await.close().await;
    let store = open(&link).await;
    store.block(&Subject::new(None, "mallory")).await.unwrap();
    let error = try_open(&path).await.unwrap_err();
    assert!(matches!(error, EmbeddedStoreError::InUse), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_file_is_refused_at_once() {
    let directory = Temporary::new();
    let path = directory.join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    let opened = tokio::time::timeout(Duration::from_secs(10), try_open(&path)).await;
    let error = opened.expect("it hangs").unwrap_err();
    assert!(
        matches!(error, EmbeddedStoreError::ForeignFile),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn others_lose_access_to_a_file_that_was_open_to_them() {
    let directory = Temporary::new();
    let path = directory.join("sessions");
    open(&path).await.close().await;
    for (before, after) in [
        (0o644, 0o640),
        (0o666, 0o660),
        (0o640, 0o640),
        (0o600, 0o600),
    ] {
        fs::set_permissions(&path, fs::Permissions::from_mode(before)).unwrap();
        open(&path).await.close().await;
        assert_eq!(mode(&path), after, "{before:o}");
    }
}

// A file that disappears while it is open.

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_gone_acknowledges_nothing() {
    let directory = Temporary::new();
    let inner = directory.join("inner");
    let path = inner.join("sessions");
    let aside = inner.join("aside");
    let take: [&dyn Fn(); 4] = [
        &|| fs::remove_file(&path).unwrap(),
        &|| fs::rename(&path, &aside).unwrap(),
        &|| {
            fs::remove_file(&path).unwrap();
            fs::write(&path, "another").unwrap();
        },
        &|| fs::rename(&inner, directory.join("elsewhere")).unwrap(),
    ];
    for (number, take) in take.into_iter().enumerate() {
        let _ = fs::remove_dir_all(&inner);
        fs::create_dir_all(&inner).unwrap();
        let store = open(&path).await;
        let live = session(1, "alice", 0);
        store.create(&live, None).await.unwrap();
        let mallory = Subject::new(None, "mallory");
        store.block(&mallory).await.unwrap();
        take();
        let other = Subject::new(None, "other");
        for error in [
            store.block(&other).await.err(),
            store
                .end(live.sid, None, live.access_expires_at)
                .await
                .err(),
            store.create(&session(2, "alice", 0), None).await.err(),
        ] {
            assert!(
                matches!(error, Some(EmbeddedStoreError::FileGone)),
                "{number}: {error:?}"
            );
        }
        let token = TokenIdentity::new(at(300)).generation(0);
        assert_eq!(store.peek(&token.subject("mallory")), Some(true));
        assert_eq!(store.peek(&token.subject("other")), Some(false));
        assert!(store.find(live.sid).await.unwrap().is_some(), "{number}");
        assert!(!is_revoked(&store, &live), "{number}");
        if number == 1 {
            // After it is moved back, writes work again.
            fs::rename(&aside, &path).unwrap();
            store.block(&other).await.unwrap();
            assert_eq!(store.peek(&token.subject("other")), Some(true));
        }
        store.close().await;
    }
}
