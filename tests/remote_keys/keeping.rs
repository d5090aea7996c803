//! Holds fetches to their schedule, with a client under the test's control and paused time.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, PoisonError, mpsc};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Response, Uri};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::time::{Instant, advance, sleep};
use tower_jwt_auth::clock::{Clock, ManualClock};
use tower_jwt_auth::keys::SigningKey;
use tower_jwt_auth::keys::remote::{Fetch, FetchErrorKind, RemoteKeys, RemoteKeysBuilder};
use tower_jwt_auth::{JwtAuthLayer, TrustedIssuer, Verifier};

use crate::issuer::document;
use crate::{App, NOW, app, ask, built, clock, futures_poll, key, status, token};

const ISSUER: &str = "https://id.example.com";
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// An issuer in memory.
#[derive(Clone, Default)]
struct Memory(Arc<Inner>);

struct Inner {
    document: Mutex<String>,
    cache_control: Mutex<&'static str>,
    mood: Mutex<Mood>,
    fetches: AtomicUsize,
    /// How many may answer, in the mood for that.
    gate: Semaphore,
    /// Blocks the receiver until something is sent.
    block: Mutex<Option<mpsc::Receiver<()>>>,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            document: Mutex::default(),
            cache_control: Mutex::default(),
            mood: Mutex::default(),
            fetches: AtomicUsize::new(0),
            gate: Semaphore::new(0),
            block: Mutex::default(),
        }
    }
}

#[derive(Clone, Copy, Default)]
enum Mood {
    #[default]
    Good,
    Fails,
    Hangs,
    Panics,
    Blocks,
    /// Has the document of the time at which it was asked, and waits at the gate.
    Waits,
}

impl Memory {
    fn new<'a>(keys: impl IntoIterator<Item = &'a SigningKey>) -> Self {
        let memory = Self::default();
        memory.publish(keys);
        memory
    }

    fn publish<'a>(&self, keys: impl IntoIterator<Item = &'a SigningKey>) {
        *self.0.document.lock().unwrap() = document(keys);
    }

    fn is(&self, mood: Mood) {
        *self.0.mood.lock().unwrap() = mood;
    }

    fn cache_control(&self, value: &'static str) {
        *self.0.cache_control.lock().unwrap() = value;
    }

    fn fetches(&self) -> usize {
        self.0.fetches.load(Ordering::SeqCst)
    }

    fn builder(&self) -> RemoteKeysBuilder {
        RemoteKeys::jwks("https://id.example.com/jwks").fetch(self.clone())
    }

    fn keys(&self, clock: &ManualClock) -> (RemoteKeys, App) {
        built(self.builder(), clock)
    }
}

impl Fetch for Memory {
    type Error = std::io::Error;

    async fn fetch(&self, _: &Uri) -> Result<Response<Bytes>, std::io::Error> {
        self.0.fetches.fetch_add(1, Ordering::SeqCst);
        let document = self.0.document.lock().unwrap().clone();
        let mood = *self.0.mood.lock().unwrap();
        match mood {
            Mood::Good => (),
            Mood::Fails => return Err(std::io::ErrorKind::ConnectionRefused.into()),
            Mood::Hangs => std::future::pending().await,
            Mood::Panics => panic!("the client is broken"),
            Mood::Blocks => {
                let block = self.0.block.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = block.as_ref().unwrap().recv();
            }
            Mood::Waits => self.0.gate.acquire().await.unwrap().forget(),
        }
        let cache_control = *self.0.cache_control.lock().unwrap();
        let response = Response::builder().header("cache-control", cache_control);
        Ok(response.body(document.into()).unwrap())
    }
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn paused() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().start_paused(true).build().unwrap()
}

fn last_error(keys: &RemoteKeys) -> Option<FetchErrorKind> {
    keys.state().last_error.map(|error| error.kind())
}

/// So much time, and what it brings with it.
async fn pass(time: Duration) {
    sleep(time).await;
    settle().await;
}

/// Until what is under way has come to an end, without time going on.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_answers_is_given_up_after_five_seconds() {
    let key = key("1");
    let memory = Memory::new([&key]);
    memory.is(Mood::Hangs);
    let (keys, app) = memory.keys(&clock());
    let started = Instant::now();
    assert_eq!(status(&app, &token(&key, ISSUER)).await, 503);
    assert_eq!(started.elapsed().as_secs(), 5);
    assert_eq!(last_error(&keys), Some(FetchErrorKind::Timeout));
    memory.is(Mood::Good);
    pass(SECOND).await;
    assert_eq!(status(&app, &token(&key, ISSUER)).await, 200);
}

#[tokio::test(start_paused = true)]
async fn j02_in_an_outage_it_is_tried_again_after_one_two_four_up_to_thirty_seconds() {
    let (key, clock) = (key("1"), clock());
    let memory = Memory::new([&key]);
    memory.is(Mood::Fails);
    let (_keys, app) = memory.keys(&clock);
    let good = token(&key, ISSUER);
    let mut attempts = 0;
    for pause in [1, 2, 4, 8, 16, 30, 30, 30] {
        attempts += 1;
        // However often the client asks, `Retry-After` has the delay.
        for _ in 0..100 {
            let response = ask(&app, &good).await;
            assert_eq!(response.status(), 503);
            assert_eq!(response.headers()["retry-after"], pause.to_string());
        }
        assert_eq!(memory.fetches(), attempts);
        pass(Duration::from_secs(pause) - Duration::from_millis(60)).await;
        assert_eq!(status(&app, &good).await, 503);
        assert_eq!(memory.fetches(), attempts);
        pass(Duration::from_millis(60)).await;
        assert_eq!(memory.fetches(), attempts + 1);
    }
    memory.is(Mood::Good);
    pass(30 * SECOND).await;
    assert_eq!(status(&app, &good).await, 200);
}

#[test]
fn a_refresher_without_a_runtime_is_replaced() {
    let (key, new, clock) = (key("1"), self::key("2"), clock());
    let memory = Memory::new([&key]);
    let (idle, busy) = (current_thread(), paused());
    let (keys, app) = {
        let _inside = idle.enter();
        memory.keys(&clock)
    };
    busy.block_on(async {
        let started = Instant::now();
        let good = token(&key, ISSUER);
        // All who wait are answered, in time, and the next find keys.
        let (one, two) = tokio::join!(status(&app, &good), status(&app, &good));
        assert_eq!((one, two), (503, 503));
        assert_eq!(started.elapsed().as_secs(), 6);
        assert_eq!(status(&app, &good).await, 200);
        assert_eq!(started.elapsed().as_secs(), 6);
    });
    assert_eq!(memory.fetches(), 1);
    // The one that was replaced has nothing more to do, or to undo.
    idle.block_on(settle());
    assert_eq!(memory.fetches(), 1);
    memory.publish([&key, &new]);
    assert_eq!(busy.block_on(status(&app, &token(&new, ISSUER))), 200);
    assert_eq!((memory.fetches(), keys.state().fetches), (2, 2));
    assert_eq!(busy.metrics().num_alive_tasks(), 1);
}

#[test]
fn known_keys_outlive_a_refresher_without_a_runtime() {
    let (key, clock) = (key("1"), clock());
    let memory = Memory::new([&key]);
    let (idle, busy) = (paused(), paused());
    let good = token(&key, ISSUER);
    let (keys, app) = {
        let _inside = idle.enter();
        memory.keys(&clock)
    };
    assert_eq!(idle.block_on(status(&app, &good)), 200);
    // From here on its runtime does not run, and requests arrive on another.
    busy.block_on(async {
        for _ in 0..120 {
            clock.advance(10 * SECOND);
            advance(10 * SECOND).await;
            assert_eq!(status(&app, &good).await, 200);
            settle().await;
        }
    });
    assert_eq!(memory.fetches(), 3);
    assert!(keys.state().age.unwrap() < 8 * MINUTE);
}

#[test]
fn a_fetch_that_ends_with_its_runtime_is_repeated() {
    let (key, clock) = (key("1"), clock());
    let memory = Memory::new([&key]);
    memory.is(Mood::Hangs);
    let (first, second) = (current_thread(), paused());
    let (_keys, app) = {
        let _inside = first.enter();
        memory.keys(&clock)
    };
    first.block_on(settle());
    let good = token(&key, ISSUER);
    let mut waits = Box::pin(status(&app, &good));
    second.block_on(async {
        assert_eq!(futures_poll(&mut waits).await, None);
        memory.is(Mood::Good);
        std::thread::spawn(move || drop(first)).join().unwrap();
        assert_eq!(waits.await, 200);
    });
    assert_eq!(memory.fetches(), 2);
}

#[test]
fn the_cooldown_of_a_fetch_that_ended_with_its_runtime_does_not_apply() {
    let (key, new, clock) = (key("1"), self::key("2"), clock());
    let memory = Memory::new([&key]);
    let (first, second) = (current_thread(), paused());
    let (keys, app) = {
        let _inside = first.enter();
        memory.keys(&clock)
    };
    assert_eq!(first.block_on(status(&app, &token(&key, ISSUER))), 200);
    memory.publish([&key, &new]);
    memory.is(Mood::Hangs);
    let new = token(&new, ISSUER);
    let mut waits = Box::pin(status(&app, &new));
    first.block_on(async {
        assert_eq!(futures_poll(&mut waits).await, None);
        settle().await;
    });
    assert_eq!(memory.fetches(), 2);
    memory.is(Mood::Good);
    drop(first);
    assert_eq!(second.block_on(waits), 200);
    assert_eq!((memory.fetches(), last_error(&keys)), (3, None));
}

#[test]
fn a_runtime_that_is_shut_down_is_no_trap() {
    let (key, clock) = (key("1"), clock());
    let memory = Memory::new([&key]);
    let runtime = current_thread();
    let handle = runtime.handle().clone();
    drop(runtime);
    let (_keys, app) = {
        let _inside = handle.enter();
        memory.keys(&clock)
    };
    let good = token(&key, ISSUER);
    assert_eq!(handle.block_on(status(&app, &good)), 503);
    assert_eq!(paused().block_on(status(&app, &good)), 200);
}

#[test]
fn without_a_runtime_nobody_waits() {
    let (key, clock) = (key("1"), clock());
    let memory = Memory::new([&key]);
    let (_keys, app) = memory.keys(&clock);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let good = token(&key, ISSUER);
    let mut answer = Box::pin(status(&app, &good));
    let polled = answer.as_mut().poll(&mut context);
    assert_eq!(polled, std::task::Poll::Ready(503));
    assert_eq!(paused().block_on(status(&app, &good)), 200);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_panics_has_failed_like_any_other() {
    let (key, new, clock) = (key("1"), self::key("2"), clock());
    let memory = Memory::new([&key]);
    memory.is(Mood::Panics);
    let (keys, app) = memory.keys(&clock);
    let good = token(&key, ISSUER);
    for _ in 0..100 {
        assert_eq!(status(&app, &good).await, 503);
    }
    assert_eq!(memory.fetches(), 1);
    assert_eq!(last_error(&keys), Some(FetchErrorKind::Panic));
    pass(SECOND).await;
    assert_eq!(memory.fetches(), 2);
    memory.is(Mood::Good);
    pass(2 * SECOND).await;
    assert_eq!(status(&app, &good).await, 200);
    // And with keys at hand.
    memory.is(Mood::Panics);
    assert_eq!(status(&app, &token(&new, ISSUER)).await, 503);
    assert_eq!(status(&app, &good).await, 200);
    memory.publish([&key, &new]);
    memory.is(Mood::Good);
    pass(SECOND).await;
    assert_eq!(status(&app, &token(&new, ISSUER)).await, 200);
}

#[test]
fn a_client_that_blocks_keeps_one_thread_and_nobody_else() {
    let (key, new, clock) = (key("1"), self::key("2"), clock());
    let memory = Memory::new([&key]);
    let (release, block) = mpsc::channel();
    *memory.0.block.lock().unwrap() = Some(block);
    let busy = paused();
    let (keys, app) = {
        let memory = memory.clone();
        let clock = clock.clone();
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            current_thread().block_on(async {
                let _ = tell.send(memory.keys(&clock));
                std::future::pending::<()>().await;
            });
        });
        told.recv().unwrap()
    };
    // It goes on in a separate thread.
    while keys.state().keys.is_none() {
        std::thread::yield_now();
    }
    let good = token(&key, ISSUER);
    memory.is(Mood::Blocks);
    memory.publish([&key, &new]);
    let new = token(&new, ISSUER);
    busy.block_on(async {
        let started = Instant::now();
        let mut waits = Box::pin(status(&app, &new));
        assert_eq!(futures_poll(&mut waits).await, None);
        while memory.fetches() < 2 {
            std::thread::yield_now();
        }
        assert_eq!(waits.await, 503);
        assert_eq!(started.elapsed().as_secs(), 6);
        for _ in 0..100 {
            assert_eq!(status(&app, &new).await, 503);
        }
        assert_eq!(started.elapsed().as_secs(), 6);
        // What is there is served stale.
        clock.advance(20 * MINUTE);
        assert_eq!(status(&app, &good).await, 200);
        clock.step_back(20 * MINUTE);
    });
    assert_eq!(memory.fetches(), 2);
    memory.is(Mood::Good);
    release.send(()).unwrap();
    while last_error(&keys).is_some() || keys.state().keys.unwrap().len() < 2 {
        std::thread::yield_now();
    }
    assert_eq!(busy.block_on(status(&app, &new)), 200);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_does_not_make_keys_young() {
    let (kept, gone, clock) = (key("1"), key("2"), clock());
    let memory = Memory::new([&kept, &gone]);
    let (keys, app) = memory.keys(&clock);
    let (good, withdrawn) = (token(&kept, ISSUER), token(&gone, ISSUER));
    assert_eq!(status(&app, &withdrawn).await, 200);
    memory.publish([&kept]);
    clock.step_back(365 * 24 * 60 * MINUTE);
    // A request that notices it asks for others, and need not wait.
    assert_eq!(status(&app, &withdrawn).await, 200);
    settle().await;
    assert_eq!(status(&app, &withdrawn).await, 401);
    assert_eq!(status(&app, &good).await, 200);

    // In an outage they are served no longer than otherwise.
    memory.is(Mood::Fails);
    clock.step_back(MINUTE);
    assert_eq!(status(&app, &good).await, 200);
    pass(69 * MINUTE).await;
    assert_eq!(status(&app, &good).await, 200);
    pass(2 * MINUTE).await;
    assert_eq!(status(&app, &good).await, 503);
    assert!(keys.state().age.unwrap() > 70 * MINUTE);
    memory.is(Mood::Good);
    pass(30 * SECOND).await;
    assert_eq!(status(&app, &good).await, 200);
}

#[tokio::test(start_paused = true)]
async fn keys_are_renewed_by_the_timer_though_the_clock_stands_still() {
    let (kept, gone, clock) = (key("1"), key("2"), clock());
    let memory = Memory::new([&kept, &gone]);
    let (_keys, app) = memory.keys(&clock);
    let withdrawn = token(&gone, ISSUER);
    assert_eq!(status(&app, &withdrawn).await, 200);
    memory.publish([&kept]);
    pass(8 * MINUTE - SECOND).await;
    assert_eq!(status(&app, &withdrawn).await, 200);
    pass(SECOND).await;
    assert_eq!(status(&app, &withdrawn).await, 401);
    assert_eq!(memory.fetches(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_forward_makes_keys_old() {
    let (key, clock) = (key("1"), clock());
    let memory = Memory::new([&key]);
    let (keys, app) = memory.keys(&clock);
    let good = token(&key, ISSUER);
    assert_eq!(status(&app, &good).await, 200);
    clock.advance(20 * 60 * MINUTE);
    memory.is(Mood::Fails);
    assert_eq!(status(&app, &good).await, 503);
    clock.step_back(20 * 60 * MINUTE);
    assert_eq!(status(&app, &good).await, 200);
    memory.is(Mood::Good);
    clock.advance(20 * 60 * MINUTE);
    pass(SECOND).await;
    assert_eq!(status(&app, &good).await, 200);
    // And back again: keys from the future.
    clock.step_back(19 * 60 * MINUTE);
    let before = memory.fetches();
    assert_eq!(status(&app, &good).await, 200);
    settle().await;
    assert_eq!(memory.fetches(), before + 1);
    assert!(keys.state().age.unwrap() < SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_broken_clock_makes_nobody_fetch_more() {
    struct Broken;
    impl Clock for Broken {
        fn now(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH - SECOND
        }
    }
    let (key, new) = (key("1"), key("2"));
    let memory = Memory::new([&key]);
    let keys = memory.builder().clock(Broken).build().unwrap();
    let layer = JwtAuthLayer::new(keys).audience("api").clock(clock());
    let app = app(&layer);
    let (good, unknown) = (token(&key, ISSUER), token(&new, ISSUER));
    for _ in 0..100 {
        assert_eq!(status(&app, &good).await, 200);
        assert_eq!(status(&app, &unknown).await, 401);
    }
    // The first, one for the name, and one as the keys are not fresh.
    assert!(memory.fetches() <= 3, "{}", memory.fetches());
    let before = memory.fetches();
    pass(7 * MINUTE).await;
    assert_eq!(memory.fetches(), before);
    pass(MINUTE).await;
    assert_eq!(memory.fetches(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn keys_age_by_their_own_clock() {
    let key = key("1");
    let memory = Memory::new([&key]);
    let keys = memory.builder().build().unwrap();
    // The layer's is another, years ahead.
    let layer = JwtAuthLayer::new(keys).audience("api").clock(clock());
    let app = app(&layer);
    for _ in 0..10 {
        assert_eq!(status(&app, &token(&key, ISSUER)).await, 200);
    }
    assert_eq!(memory.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_life_of_keys_is_what_the_document_says_within_bounds() {
    let (kept, gone) = (key("1"), key("2"));
    for (cache_control, seconds) in [
        ("", 600),
        ("public", 600),
        ("max-age=300", 300),
        ("max-age=0", 60),
        ("no-store", 60),
        ("max-age=nonsense", 60),
        ("max-age=86400", 3600),
        ("max-age=18446744073709551616", 3600),
    ] {
        let clock = clock();
        let memory = Memory::new([&kept, &gone]);
        memory.cache_control(cache_control);
        let (_keys, app) = memory.keys(&clock);
        let withdrawn = token(&gone, ISSUER);
        assert_eq!(status(&app, &withdrawn).await, 200);
        memory.publish([&kept]);
        let refresh = Duration::from_secs(seconds) * 4 / 5;
        clock.advance(refresh - SECOND);
        assert_eq!(status(&app, &withdrawn).await, 200, "{cache_control}");
        settle().await;
        assert_eq!(memory.fetches(), 1, "{cache_control}");
        // It is asked for by a request, which does not wait for it.
        clock.advance(SECOND);
        assert_eq!(status(&app, &withdrawn).await, 200, "{cache_control}");
        settle().await;
        assert_eq!(status(&app, &withdrawn).await, 401, "{cache_control}");
        // At the end of its life nothing is served that was not renewed.
        memory.publish([&kept, &gone]);
        clock.advance(Duration::from_secs(seconds));
        assert_eq!(status(&app, &withdrawn).await, 200, "{cache_control}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_is_asked_for_once_however_many_requests_see_that_it_is_due() {
    let (key, clock) = (key("1"), clock());
    let memory = Memory::new([&key]);
    let (_keys, app) = memory.keys(&clock);
    let good = token(&key, ISSUER);
    assert_eq!(status(&app, &good).await, 200);
    clock.advance(9 * MINUTE);
    memory.is(Mood::Waits);
    for _ in 0..1000 {
        assert_eq!(status(&app, &good).await, 200);
    }
    settle().await;
    assert_eq!(memory.fetches(), 2);
    memory.is(Mood::Fails);
    memory.0.gate.close();
    // In an outage they ask once a second, and it is tried again no sooner than it may be.
    for _ in 0..60 {
        clock.advance(SECOND);
        for _ in 0..10 {
            assert_eq!(status(&app, &good).await, 200);
        }
        settle().await;
    }
    // After 1, 2, 4, 8, 16 and 30 seconds, or up to one later.
    assert!((6..=8).contains(&memory.fetches()), "{}", memory.fetches());
}

#[tokio::test(start_paused = true)]
async fn the_result_of_a_fetch_serves_requests_from_before_its_start() {
    let (old, new, clock) = (key("1"), key("2"), clock());
    let memory = Memory::new([&old]);
    let (_keys, app) = memory.keys(&clock);
    assert_eq!(status(&app, &token(&old, ISSUER)).await, 200);
    // A refresh is under way with a document of before the rotation.
    memory.is(Mood::Waits);
    clock.advance(8 * MINUTE);
    assert_eq!(status(&app, &token(&old, ISSUER)).await, 200);
    settle().await;
    assert_eq!(memory.fetches(), 2);
    memory.publish([&old, &new]);
    let new = token(&new, ISSUER);
    let mut waits = Box::pin(status(&app, &new));
    assert_eq!(futures_poll(&mut waits).await, None);
    memory.0.gate.add_permits(2);
    assert_eq!(waits.await, 200);
    assert_eq!(memory.fetches(), 3);
}

#[tokio::test(start_paused = true)]
async fn so_many_may_wait_and_no_more() {
    let (key, clock) = (key("1"), clock());
    let memory = Memory::new([&key]);
    memory.is(Mood::Waits);
    let (_keys, app) = memory.keys(&clock);
    let good = token(&key, ISSUER);
    let wait = || Box::pin(status(&app, &good));
    let mut waiting: Vec<_> = (0..4096).map(|_| wait()).collect();
    for waits in &mut waiting {
        assert_eq!(futures_poll(waits).await, None);
    }
    let response = ask(&app, &good).await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
    // Who goes makes room, and stops nothing.
    waiting.truncate(10);
    waiting.extend((0..4086).map(|_| wait()));
    for waits in &mut waiting {
        assert_eq!(futures_poll(waits).await, None);
    }
    assert_eq!(status(&app, &good).await, 503);
    drop(waiting);
    memory.0.gate.add_permits(1);
    assert_eq!(status(&app, &good).await, 200);
    assert_eq!(memory.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn j04_keys_rotate_a_thousand_times() {
    let clock = ManualClock::at(NOW);
    let mut last = key("0");
    let memory = Memory::new([&last]);
    let (keys, app) = memory.keys(&clock);
    for number in 1..=1000_u64 {
        let next = SigningKey::generate(tower_jwt_auth::keys::Algorithm::EdDSA)
            .unwrap()
            .with_key_id(number.to_string());
        memory.publish([&last, &next]);
        assert_eq!(status(&app, &token(&next, ISSUER)).await, 200, "{number}");
        assert_eq!(status(&app, &token(&last, ISSUER)).await, 200, "{number}");
        clock.advance(30 * SECOND);
        last = next;
    }
    assert_eq!(keys.state().keys.unwrap().len(), 2);
    assert!(memory.fetches() >= 1000, "{}", memory.fetches());
}

#[test]
fn j06_threads_that_need_keys_at_once_cost_one_fetch() {
    const THREADS: usize = 8;
    let (key, new) = (key("1"), key("2"));
    let (good, new_token) = (token(&key, ISSUER), token(&new, ISSUER));
    for _ in 0..50 {
        let memory = Memory::new([&key]);
        let (_keys, app) = memory.keys(&clock());
        let barrier = Barrier::new(THREADS);
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    barrier.wait();
                    assert_eq!(runtime.block_on(status(&app, &good)), 200);
                    if barrier.wait().is_leader() {
                        assert_eq!(memory.fetches(), 1);
                        memory.publish([&key, &new]);
                    }
                    barrier.wait();
                    assert_eq!(runtime.block_on(status(&app, &new_token)), 200);
                });
            }
        });
        assert_eq!(memory.fetches(), 2);
    }
}

#[cfg(feature = "tracing")]
#[test]
fn who_listens_may_look_at_the_state() {
    use tracing::span;

    #[derive(Clone, Default)]
    struct Listener(Arc<Mutex<(Option<RemoteKeys>, usize)>>);

    impl tracing::Subscriber for Listener {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }
        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn event(&self, event: &tracing::Event<'_>) {
            if event.metadata().target().contains("remote") {
                let mut listener = self.0.lock().unwrap();
                listener.1 += 1;
                if let Some(keys) = &listener.0 {
                    assert!(keys.state().fetches > 0);
                }
            }
        }
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    let (key, new) = (key("1"), key("2"));
    let listener = Listener::default();
    // What listens to one thread may be overlooked while others begin to.
    while listener.0.lock().unwrap().1 < 10 {
        tracing::subscriber::with_default(listener.clone(), || {
            paused().block_on(async {
                let memory = Memory::new([&key]);
                let (keys, app) = memory.keys(&clock());
                listener.0.lock().unwrap().0 = Some(keys);
                assert_eq!(status(&app, &token(&key, ISSUER)).await, 200);
                memory.is(Mood::Fails);
                assert_eq!(status(&app, &token(&new, ISSUER)).await, 503);
                listener.0.lock().unwrap().0 = None;
            });
        });
    }
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_not_trusted_makes_nobody_fetch() {
    let (key, clock) = (key("1"), clock());
    let memory = Memory::new([&key]);
    let (_keys, app) = {
        let keys = memory.builder().clock(clock.clone()).build().unwrap();
        let trusted = TrustedIssuer::new(ISSUER, keys.clone()).audience("api");
        (keys, app(&JwtAuthLayer::new(trusted).clock(clock.clone())))
    };
    assert_eq!(status(&app, &token(&key, ISSUER)).await, 200);
    for issuer in [
        "https://id.example.com/",
        "https://id.example.com:443",
        "https://ID.example.com",
        "http://id.example.com",
        "https://id.example.com ",
        "https://id.example.co",
        "id.example.com",
        "",
    ] {
        for kid in ["1", "2"] {
            let forged = token(&self::key(kid), issuer);
            assert_eq!(status(&app, &forged).await, 401, "{issuer}");
        }
    }
    settle().await;
    assert_eq!(memory.fetches(), 1);
}

#[test]
fn keys_whose_keeper_is_gone_age_though_the_clock_is_set_back() {
    let (kept, gone, clock) = (key("1"), key("2"), clock());
    let memory = Memory::new([&kept, &gone]);
    let (first, second) = (paused(), paused());
    let withdrawn = token(&gone, ISSUER);
    let (_keys, app) = {
        let _inside = first.enter();
        memory.keys(&clock)
    };
    assert_eq!(first.block_on(status(&app, &withdrawn)), 200);
    drop(first);
    memory.publish([&kept]);
    second.block_on(async {
        // Far beyond the lifetime of the keys, by the monotonic clock. The other clock is set back
        // again and again.
        for _ in 0..12 {
            advance(10 * MINUTE).await;
            clock.advance(SECOND);
            let _ = status(&app, &withdrawn).await;
            settle().await;
        }
        assert_eq!(status(&app, &withdrawn).await, 401);
    });
}

#[test]
fn j05_threads_that_know_a_token_learn_at_once_that_its_key_is_gone() {
    const ROUNDS: u64 = 9;
    let (kept, gone, clock) = (key("1"), key("2"), clock());
    let (good, withdrawn) = (token(&kept, ISSUER), token(&gone, ISSUER));
    let memory = Memory::new([&kept, &gone]);
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (keys, verifier) = {
        let _inside = runtime.enter();
        let keys = memory.builder().clock(clock.clone()).build().unwrap();
        let verifier = Verifier::new(keys.clone()).audience("api");
        (keys, verifier.clock(clock.clone()))
    };
    runtime
        .block_on(verifier.fetch_and_verify(&withdrawn))
        .unwrap();
    // Odd while the key is gone for certain.
    let phase = AtomicUsize::new(0);
    let (refused, accepted) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let is_over = AtomicBool::new(false);
    let renew = |count: usize| {
        clock.advance(9 * MINUTE);
        while keys.state().keys.unwrap().len() != count {
            // A fetch that began before the change may end after it. Then another one is needed.
            if keys.state().age.unwrap() < MINUTE {
                clock.advance(9 * MINUTE);
            }
            verifier.verify(&good).unwrap();
            std::thread::yield_now();
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    let before = phase.load(Ordering::SeqCst);
                    let passes = verifier.verify(&withdrawn).is_ok();
                    if before % 2 == 1 && before == phase.load(Ordering::SeqCst) {
                        let count = if passes { &accepted } else { &refused };
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        let _inside = runtime.enter();
        for _ in 0..ROUNDS {
            memory.publish([&kept]);
            renew(1);
            phase.fetch_add(1, Ordering::SeqCst);
            let seen = || refused.load(Ordering::SeqCst) + accepted.load(Ordering::SeqCst);
            let before = seen();
            while seen() < before + 200 {
                std::thread::yield_now();
            }
            phase.fetch_add(1, Ordering::SeqCst);
            memory.publish([&kept, &gone]);
            renew(2);
            for _ in 0..100 {
                verifier.verify(&withdrawn).unwrap();
            }
        }
        is_over.store(true, Ordering::SeqCst);
    });
    assert_eq!(accepted.into_inner(), 0);
}
