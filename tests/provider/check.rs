//! Runs a service that trusts a real, certified OpenID provider, `provider.mjs`. Use `run.sh`: this
//! needs node and the provider's package.
//!
//! `provider_check DIRECTORY [STEP…]` runs all steps, or those named. The directory has
//! `provider.mjs` and the package. Each step starts its own provider.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    reason = "a check that panics fails, and its output is what it found"
)]

mod browser;
mod impostor;
mod process;
mod provider;
mod service;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::{Form, Request};
use axum::http::StatusCode;
use axum::{Router, routing::post};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt as _;
use reqwest::Url;
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::{Instant, sleep, timeout};
use tower_jwt_auth::JwtAuthLayer;
use tower_jwt_auth::clock::{Clock, ManualClock, SystemClock};
use tower_jwt_auth::introspection::{ClientAuthentication, Introspection};
use tower_jwt_auth::keys::remote::{FetchErrorKind, RemoteKeys};
use tower_jwt_auth::keys::{Algorithm, SigningKey};
use tower_jwt_auth::openid::{LogoutToken, LogoutTokenVerifier};
use tower_jwt_auth::routes::BackChannelLogout;
use tower_jwt_auth::store::MemoryStore;

use browser::Browser;
use impostor::Impostor;
use process::Process;
use provider::{ALGORITHMS, API, Client, Provider, part};
use service::{Connection, protected, serve};

/// An address without a listener: the browser stops before it.
const HOME: &str = "http://127.0.0.1:1/home";

/// The defaults of remote keys.
const COOLDOWN: Duration = Duration::from_secs(30);
const LIFE: Duration = Duration::from_secs(10 * 60);

const FORM: &str = "application/x-www-form-urlencoded";

/// How long the provider's access tokens live.
const TOKEN_LIFE: Duration = Duration::from_secs(60 * 60);

/// No step takes a quarter of it, on a busy machine.
const LONGEST: Duration = Duration::from_secs(60);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let work = PathBuf::from(arguments.next().expect("the directory of the provider"));
    let wanted: Vec<String> = arguments.collect();
    let mut ran = 0;
    macro_rules! steps {
        ($($step:ident)*) => {$(
            let name = stringify!($step);
            if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
                println!("{name}");
                let began = Instant::now();
                timeout(LONGEST, $step(&work)).await.expect("a step that ends");
                println!("  ok, {:.1} s", began.elapsed().as_secs_f64());
                ran += 1;
            }
        )*};
    }
    steps! {
        access_tokens_of_all_algorithms_verify
        its_other_tokens_are_no_access_tokens
        unannounced_rotations_fail_no_request
        a_removed_key_is_refused_within_its_life
        opaque_tokens_follow_the_provider
        its_clients_authenticate_as_they_registered
        a_logout_at_the_provider_ends_its_tokens_here
        social_login_comes_to_a_session
        social_login_keeps_its_rules_with_a_bad_provider
        social_login_ends_with_the_session_at_the_provider
        social_login_ends_the_session_before
        social_login_wants_the_issuer_that_was_announced
        openid_provider_says_what_it_found
    }
    assert!(
        ran > 0 && (wanted.is_empty() || ran == wanted.len()),
        "there is no such step"
    );
}

fn clock() -> ManualClock {
    let now = SystemClock.now().duration_since(UNIX_EPOCH).unwrap();
    ManualClock::at(now.as_secs())
}

fn keys_of(issuer: &str, clock: &ManualClock) -> RemoteKeys {
    RemoteKeys::discover(issuer)
        .clock(clock.clone())
        .build()
        .unwrap()
}

fn layer(keys: &RemoteKeys, clock: &ManualClock) -> JwtAuthLayer {
    JwtAuthLayer::new(keys.clone()).clock(clock.clone())
}

async fn ask(service: SocketAddr, token: &str) -> String {
    Connection::to(service).await.ask(token).await
}

/// A step that waits in vain ends at its deadline.
async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        sleep(Duration::from_millis(5)).await;
    }
}

async fn access_tokens_of_all_algorithms_verify(work: &Path) {
    let (provider, clock) = (Provider::start(work), clock());
    let client = provider.register(HOME, json!({})).await;
    let keys = keys_of(provider.issuer(), &clock);
    let service = protected(layer(&keys, &clock).audience(API)).await;
    let other = protected(layer(&keys, &clock).audience(format!("{API}/"))).await;
    for algorithm in ALGORITHMS {
        let (_, tokens) = provider.log_in(&client, "alice", algorithm).await;
        for token in [
            provider.token_of(&client, algorithm).await,
            tokens.access_token,
        ] {
            assert_eq!(part(&token, 0)["alg"], algorithm);
            assert_eq!(part(&token, 0)["typ"], "at+jwt");
            assert_eq!(ask(service, &token).await, "200");
            let refused = "401 InvalidToken(WrongAudience)";
            assert_eq!(ask(other, &token).await, refused);
            let (signed, _) = token.rsplit_once('.').unwrap();
            let (_, strange) = tokens.id_token.rsplit_once('.').unwrap();
            let refused = "401 InvalidToken(BadSignature)";
            assert_eq!(ask(service, &format!("{signed}.{strange}")).await, refused);
        }
        println!("  {algorithm}: at+jwt of a client and of a user verify");
    }
    let (metadata, _) = provider.document("/.well-known/openid-configuration").await;
    assert_eq!(metadata["issuer"], provider.issuer());
    let state = keys.state();
    let (found, skipped) = (state.keys.unwrap().len(), state.skipped.len());
    assert_eq!((found, skipped), (3, 0));
    println!(
        "  discovery: {found} keys, {skipped} skipped, {} fetch",
        state.fetches
    );

    let nearly = format!("{}/", provider.issuer());
    let keys = keys_of(&nearly, &clock);
    let service = protected(layer(&keys, &clock).audience(API)).await;
    let token = provider.token_of(&client, "ES256").await;
    let refused = "401 InvalidToken(UnknownIssuer)";
    assert_eq!(ask(service, &token).await, refused);
    until(|| keys.state().last_error.is_some()).await;
    let error = keys.state().last_error.unwrap();
    assert_eq!(error.kind(), FetchErrorKind::IssuerMismatch);
    println!(
        "  trusted with a slash more: metadata {:?}, tokens {refused}",
        error.kind()
    );
}

async fn opaque_tokens_follow_the_provider(work: &Path) {
    /// The default of an introspection, and the time after a failure until the next question.
    const LIFE: Duration = Duration::from_secs(30);
    const PAUSE: Duration = Duration::from_secs(1);

    let (provider, clock) = (Provider::start(work), clock());
    let client = provider.register(HOME, json!({})).await;
    let api = provider.register(HOME, json!({})).await;
    let credentials = ClientAuthentication::secret_basic(&api.id, &api.secret);
    let introspection = Introspection::discover(provider.issuer(), credentials);
    let introspection = introspection.build().unwrap();
    let keys = keys_of(provider.issuer(), &clock);
    let layer = layer(&keys, &clock).introspection(introspection.clone());
    let service = protected(layer.audience(API)).await;

    let (_, tokens) = provider.log_in(&client, "alice", "opaque").await;
    let (known, other) = (
        tokens.access_token,
        provider.token_of(&client, "opaque").await,
    );
    assert!(!known.contains('.') && !other.contains('.'));
    assert_eq!(ask(service, &known).await, "200");
    assert_eq!(ask(service, &known).await, "200");
    assert_eq!(ask(service, &other).await, "200");
    assert_eq!(introspection.state().questions, 2);
    let jwt = provider.token_of(&client, "ES256").await;
    assert_eq!(ask(service, &jwt).await, "200");
    let inactive = "401 InvalidToken(Inactive)";
    assert_eq!(ask(service, "no-token-of-the-provider").await, inactive);
    println!("  opaque tokens of a user and of a client pass, beside a JWT");

    provider.revoke(&client, &other).await;
    assert_eq!(ask(service, &other).await, "200");
    clock.advance(LIFE);
    assert_eq!(ask(service, &other).await, inactive);
    assert_eq!(ask(service, &known).await, "200");
    println!("  revoked at the provider: {inactive} within {LIFE:?}");

    let fresh = provider.token_of(&client, "opaque").await;
    provider.stop().await;
    let unavailable = "503 Unavailable";
    assert_eq!(ask(service, &fresh).await, unavailable);
    assert_eq!(ask(service, &known).await, "200");
    clock.advance(LIFE);
    assert_eq!(ask(service, &known).await, unavailable);
    provider.restart().await;
    clock.advance(PAUSE);
    assert_eq!(ask(service, &fresh).await, "200");
    assert_eq!(ask(service, &known).await, "200");
    println!("  provider stopped: {unavailable}; started: 200");
}

async fn its_clients_authenticate_as_they_registered(work: &Path) {
    let (provider, clock) = (Provider::start(work), clock());
    let client = provider.register(HOME, json!({})).await;
    let token = provider.token_of(&client, "opaque").await;
    let key = SigningKey::generate(Algorithm::ES256).unwrap();
    let key = key.with_key_id("1");
    let public: Value = serde_json::from_str(&key.verifying_key().to_jwk().unwrap()).unwrap();
    for method in [
        "client_secret_basic",
        "client_secret_post",
        "private_key_jwt",
    ] {
        let mut metadata = json!({ "token_endpoint_auth_method": method });
        if method == "private_key_jwt" {
            metadata["jwks"] = json!({ "keys": [public] });
        }
        let api = provider.register(HOME, metadata).await;
        let wrong = ClientAuthentication::secret_basic(&api.id, "wrong");
        let answer = introspect(&provider, wrong, &clock, &token).await;
        assert_eq!(answer, "503 Unavailable", "{method}");
        let right = match method {
            "client_secret_basic" => ClientAuthentication::secret_basic(&api.id, &api.secret),
            "client_secret_post" => ClientAuthentication::secret_post(&api.id, &api.secret),
            _ => ClientAuthentication::private_key_jwt(&api.id, key.clone()),
        };
        let answer = introspect(&provider, right, &clock, &token).await;
        assert_eq!(answer, "200", "{method}");
        println!("  {method}: 200, and 503 with a wrong secret");
    }
}

/// Asks a new service.
async fn introspect(
    provider: &Provider,
    client: ClientAuthentication,
    clock: &ManualClock,
    token: &str,
) -> String {
    let introspection = Introspection::discover(provider.issuer(), client);
    let layer = JwtAuthLayer::new(introspection.build().unwrap());
    let service = protected(layer.audience(API).clock(clock.clone())).await;
    ask(service, token).await
}

async fn its_other_tokens_are_no_access_tokens(work: &Path) {
    let (provider, clock) = (Provider::start(work), clock());
    let (heard, mut logout_tokens) = mpsc::unbounded_channel();
    let hear = async move |Form(mut form): Form<HashMap<String, String>>| {
        heard.send(form.remove("logout_token").unwrap()).unwrap();
    };
    let listener = serve(Router::new().route("/logout", post(hear))).await;
    let keys = keys_of(provider.issuer(), &clock);
    let api = protected(layer(&keys, &clock).audience(API)).await;
    for algorithm in ALGORITHMS {
        let metadata = json!({
            "id_token_signed_response_alg": algorithm,
            "backchannel_logout_uri": format!("http://{listener}/logout"),
            "backchannel_logout_session_required": true,
        });
        let client = provider.register(HOME, metadata).await;
        let of_client = || layer(&keys, &clock).audience(&client.id);
        let lax = protected(of_client()).await;
        let strict = protected(of_client().typ("at+jwt")).await;

        let (mut browser, tokens) = provider.log_in(&client, "alice", algorithm).await;
        assert_eq!(ask(api, &tokens.access_token).await, "200");
        let sid = &part(&tokens.access_token, 1)["sid"];
        assert!(sid.is_string() && part(&tokens.id_token, 1)["sid"] == *sid);
        provider.log_out(&mut browser, &client).await;
        let logout_token = logout_tokens.try_recv().unwrap();
        assert_eq!(part(&logout_token, 1)["sid"], *sid);

        let id_token = ["WrongAudience", "WrongType"];
        let logout = ["WrongType", "WrongType"];
        for (what, token, kinds) in [
            ("ID token", &tokens.id_token, id_token),
            ("logout token", &logout_token, logout),
        ] {
            assert_eq!(part(token, 0)["alg"], algorithm);
            assert_eq!(part(token, 1)["aud"], client.id);
            for (service, kind) in [api, strict].into_iter().zip(kinds) {
                let refused = format!("401 InvalidToken({kind})");
                assert_eq!(ask(service, token).await, refused, "{what}");
            }
            let typ = part(token, 0)["typ"].clone();
            println!("  {algorithm}, {what}, typ {typ}: {kinds:?}");
        }
        // The audience alone tells an ID token from an access token, where `typ` is not asked for.
        let refused = "401 InvalidToken(WrongType)";
        assert_eq!(ask(lax, &logout_token).await, refused);
        println!(
            "  {algorithm}, the ID token for its own audience and any typ: {}",
            ask(lax, &tokens.id_token).await
        );
    }
}

/// What two connections saw.
#[derive(Default)]
struct Load {
    rotations: AtomicUsize,
    stop: AtomicBool,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// How many requests passed, by connection and name of the key.
    passed: HashMap<(usize, String), usize>,
    failed: Vec<String>,
    withdrawn: usize,
}

impl Load {
    /// Sends one request after the other, each with a new token, until it is stopped.
    ///
    /// A valid request is one whose key the provider still publishes when it is answered. A key may
    /// be withdrawn between issue and request. Then the token may be rejected, and the client asks
    /// for another.
    async fn run(
        &self,
        connection: usize,
        provider: &Provider,
        client: &Client,
        service: SocketAddr,
    ) {
        let mut requests = Connection::to(service).await;
        for algorithm in ALGORITHMS.iter().cycle() {
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            let rotations = self.rotations.load(Ordering::SeqCst);
            let token = provider.token_of(client, algorithm).await;
            let key_id = part(&token, 0)["kid"].as_str().unwrap().to_owned();
            let answer = requests.ask(&token).await;
            let withdrawn = answer == "401 InvalidToken(NoFittingKey)"
                && rotations != self.rotations.load(Ordering::SeqCst)
                && !provider.key_ids().await.contains(&key_id);
            let mut seen = self.seen.lock().unwrap();
            match &*answer {
                "200" => *seen.passed.entry((connection, key_id)).or_default() += 1,
                _ if withdrawn => seen.withdrawn += 1,
                _ => seen.failed.push(answer),
            }
        }
    }

    /// Until each connection had `count` requests pass with each of these keys.
    async fn passed(&self, key_ids: &[String], count: usize) {
        until(|| {
            let seen = self.seen.lock().unwrap();
            assert!(seen.failed.is_empty(), "{:?}", seen.failed);
            [0, 1].iter().all(|connection| {
                let passed = |key_id: &String| seen.passed.get(&(*connection, key_id.clone()));
                key_ids
                    .iter()
                    .all(|key_id| passed(key_id).is_some_and(|passed| *passed >= count))
            })
        })
        .await;
    }
}

async fn unannounced_rotations_fail_no_request(work: &Path) {
    const ROTATIONS: usize = 5;
    const REQUESTS: usize = 30;
    let (provider, clock) = (Arc::new(Provider::start(work)), clock());
    let client = Arc::new(provider.register(HOME, json!({})).await);
    let keys = keys_of(provider.issuer(), &clock);
    let service = protected(layer(&keys, &clock).audience(API)).await;
    // Otherwise that would say how long keys live.
    let (_, cache_control) = provider.document("/jwks").await;
    assert_eq!(cache_control, None);

    let load = Arc::new(Load::default());
    let connections = [0, 1].map(|number| {
        let (load, provider, client) = (load.clone(), provider.clone(), client.clone());
        tokio::spawn(async move { load.run(number, &provider, &client, service).await })
    });
    let began = Instant::now();
    load.passed(&provider.key_ids().await, REQUESTS).await;
    let cold = keys.state().fetches;
    for _ in 0..ROTATIONS {
        clock.advance(COOLDOWN);
        load.rotations.fetch_add(1, Ordering::SeqCst);
        provider.rotate().await;
        load.passed(&provider.key_ids().await, REQUESTS).await;
    }
    load.stop.store(true, Ordering::SeqCst);
    for connection in connections {
        connection.await.unwrap();
    }
    let took = began.elapsed().as_secs_f64();
    let seen = std::mem::take(&mut *load.seen.lock().unwrap());
    let fetches = keys.state().fetches - cold;
    let passed: usize = seen.passed.values().sum();
    let key_ids: HashSet<_> = seen.passed.keys().map(|(_, key_id)| key_id).collect();
    let (failed, withdrawn) = (seen.failed.len(), seen.withdrawn);
    println!(
        "  {ROTATIONS} rotations, {} keys, {fetches} fetches, {took:.1} s",
        key_ids.len()
    );
    println!(
        "  {passed} requests passed, {failed} failed, {withdrawn} with a key withdrawn on the way"
    );
    assert_eq!(failed, 0, "{:?}", seen.failed);
    // Each connection has one request under way.
    assert!(withdrawn <= 2 * ROTATIONS);
    assert_eq!(key_ids.len(), (1 + ROTATIONS) * ALGORITHMS.len());
    // A request in flight while the clock moved may see it set back, and cause one more fetch.
    assert!((5..=6).contains(&fetches));

    // What the rotations were kept apart for.
    let old = provider.token_of(&client, "ES256").await;
    provider.rotate().await;
    let new = provider.token_of(&client, "ES256").await;
    assert_eq!(ask(service, &new).await, "401 InvalidToken(NoFittingKey)");
    assert_eq!(ask(service, &old).await, "200");
    assert_eq!(keys.state().fetches - cold, fetches);
    clock.advance(COOLDOWN);
    assert_eq!(ask(service, &new).await, "200");
    assert_eq!(ask(service, &old).await, "401 InvalidToken(NoFittingKey)");
    println!("  one more within the cooldown: its tokens pass when that is over");
}

async fn a_removed_key_is_refused_within_its_life(work: &Path) {
    let (provider, clock) = (Provider::start(work), clock());
    let client = provider.register(HOME, json!({})).await;
    let keys = keys_of(provider.issuer(), &clock);
    let service = protected(layer(&keys, &clock).audience(API)).await;
    let mut connection = Connection::to(service).await;
    let mut old = Vec::new();
    for algorithm in ALGORITHMS {
        let token = provider.token_of(&client, algorithm).await;
        assert_eq!(connection.ask(&token).await, "200");
        old.push(token);
    }
    let fetches = keys.state().fetches;
    provider.rotate().await;
    // No request has a token of the new keys, so nothing says that the old ones are gone.
    clock.advance(LIFE * 4 / 5 - Duration::from_secs(1));
    for token in &old {
        assert_eq!(connection.ask(token).await, "200");
    }
    assert_eq!(keys.state().fetches, fetches);
    clock.advance(LIFE / 5 + Duration::from_secs(1));
    for token in &old {
        assert_eq!(
            connection.ask(token).await,
            "401 InvalidToken(NoFittingKey)"
        );
    }
    for algorithm in ALGORITHMS {
        let token = provider.token_of(&client, algorithm).await;
        assert_eq!(connection.ask(&token).await, "200");
    }
    println!(
        "  verified for {} s, refused at {} s",
        LIFE.as_secs() * 4 / 5 - 1,
        LIFE.as_secs()
    );
}

/// A client whose logouts end the provider's access tokens, in `store`. Returns its address, and
/// its answers.
async fn client_that_listens(
    provider: &Provider,
    keys: &RemoteKeys,
    store: &MemoryStore,
    mut metadata: Value,
) -> (Client, String, UnboundedReceiver<(StatusCode, Bytes)>) {
    // The client gets its id by telling its address.
    let id = Arc::new(OnceLock::<BackChannelLogout>::new());
    let (answered, answers) = mpsc::unbounded_channel();
    let receiver = id.clone();
    let receive = async move |request: Request| {
        let (head, body) = request.into_parts();
        let form = body.collect().await.unwrap().to_bytes();
        let request = Request::from_parts(head, Body::from(form.clone()));
        let response = receiver.get().unwrap().handler()(request).await;
        answered.send((response.status(), form)).unwrap();
        response
    };
    let address = serve(Router::new().route("/logout", post(receive))).await;
    let uri = format!("http://{address}/logout");
    metadata["backchannel_logout_uri"] = uri.clone().into();
    let client = provider.register(HOME, metadata).await;

    let verifier = LogoutTokenVerifier::new(keys.clone(), &client.id);
    let store = store.clone();
    let logout = BackChannelLogout::new(verifier, move |logout: LogoutToken| {
        std::future::ready(store.revoke(&logout.revocation(TOKEN_LIFE)))
    });
    id.set(logout).unwrap();
    (client, uri, answers)
}

async fn a_logout_at_the_provider_ends_its_tokens_here(work: &Path) {
    const LOGGED_OUT: &str = "401 Revoked";
    let provider = Provider::start(work);
    let keys = RemoteKeys::discover(provider.issuer()).build().unwrap();
    let store = MemoryStore::new();
    let layer = JwtAuthLayer::new(keys.clone()).audience(API);
    let service = protected(layer.revocation(store.clone())).await;
    let http = browser::client();
    for algorithm in ALGORITHMS {
        let metadata = json!({
            "id_token_signed_response_alg": algorithm,
            "backchannel_logout_session_required": true,
        });
        let (client, uri, mut answers) =
            client_that_listens(&provider, &keys, &store, metadata).await;
        let (mut here, of_here) = provider.log_in(&client, "alice", algorithm).await;
        let (_, of_elsewhere) = provider.log_in(&client, "alice", algorithm).await;
        let elsewhere = &of_elsewhere.access_token;
        assert_eq!(ask(service, &of_here.access_token).await, "200");
        assert_eq!(ask(service, elsewhere).await, "200");
        provider.log_out(&mut here, &client).await;
        let (status, form) = answers.try_recv().unwrap();
        assert_eq!(status, StatusCode::OK);
        assert_eq!(ask(service, &of_here.access_token).await, LOGGED_OUT);
        assert_eq!(ask(service, elsewhere).await, "200");

        // Neither the same again, nor what else the provider signs.
        let logout = |token: &str| format!("logout_token={token}").into();
        for form in [form, logout(&of_elsewhere.id_token), logout(elsewhere)] {
            let request = http.post(&uri).header(CONTENT_TYPE, FORM).body(form);
            let status = request.send().await.unwrap().status();
            assert_eq!(status, StatusCode::BAD_REQUEST);
        }
        assert_eq!(ask(service, elsewhere).await, "200");
        println!(
            "  {algorithm}, sid: {LOGGED_OUT}; the other session 200; no logout token, or one again: 400"
        );
    }

    // A client that wants no `sid` gets a token for all of a person.
    let (client, _, mut answers) = client_that_listens(&provider, &keys, &store, json!({})).await;
    let (mut here, of_here) = provider.log_in(&client, "alice", "ES256").await;
    let (_, of_elsewhere) = provider.log_in(&client, "alice", "ES256").await;
    let (_, of_bob) = provider.log_in(&client, "bob", "ES256").await;
    for tokens in [&of_here, &of_elsewhere, &of_bob] {
        assert_eq!(ask(service, &tokens.access_token).await, "200");
    }
    provider.log_out(&mut here, &client).await;
    assert_eq!(answers.try_recv().unwrap().0, StatusCode::OK);
    assert_eq!(ask(service, &of_here.access_token).await, LOGGED_OUT);
    assert_eq!(ask(service, &of_elsewhere.access_token).await, LOGGED_OUT);
    assert_eq!(ask(service, &of_bob.access_token).await, "200");
    println!("  no sid: {LOGGED_OUT} twice; another person 200");
    // Tokens have their issue time in whole seconds, so tokens of the same second are ended too.
    loop {
        let (_, again) = provider.log_in(&client, "alice", "ES256").await;
        match &*ask(service, &again.access_token).await {
            "200" => break,
            answer => assert_eq!(answer, LOGGED_OUT),
        }
    }
    println!("  a login after that: 200");
}

/// An example of this crate. Cargo builds it to `examples/`, and this to `deps/`.
fn example(name: &str) -> Command {
    let executable = std::env::current_exe().unwrap();
    let target = executable.ancestors().nth(2).unwrap();
    Command::new(target.join("examples").join(name))
}

/// The example `social_login`, unchanged, against this provider.
async fn social_login_comes_to_a_session(work: &Path) {
    let provider = Provider::start(work);
    // The provider has to know the example's address, and the example its name at the provider.
    let reserved = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = reserved.local_addr().unwrap().port();
    let origin = format!("http://127.0.0.1:{port}");
    let metadata = json!({
        "backchannel_logout_uri": format!("{origin}/backchannel-logout"),
        "backchannel_logout_session_required": true,
    });
    let client = provider
        .register(&format!("{origin}/callback"), metadata)
        .await;
    let mut command = example("social_login");
    command
        .env("ISSUER", provider.issuer())
        .env("CLIENT_ID", &client.id)
        .env("CLIENT_SECRET", &client.secret)
        .env("PORT", port.to_string())
        .env("ORIGIN", &origin);
    drop(reserved);
    let mut process = Process::start(&mut command);
    assert_eq!(process.line(), format!("open {origin}"));

    let at = |path: &str| Url::parse(&format!("{origin}{path}")).unwrap();
    let status = async |browser: &mut Browser, path: &str| {
        browser.open(at(path)).await.status.unwrap().as_u16()
    };
    let (mut here, mut elsewhere) = (Browser::new(), Browser::new());
    assert_eq!(status(&mut here, "/me").await, 401);
    for browser in [&mut here, &mut elsewhere] {
        let page = browser.log_in(at("/login"), "alice").await;
        assert_eq!((page.url, page.status), (at("/"), Some(StatusCode::OK)));
        let me = browser.open(at("/me")).await;
        assert_eq!(me.status, Some(StatusCode::OK), "{}", me.body);
        let claims: Value = serde_json::from_str(&me.body).unwrap();
        assert_eq!(
            [&claims["sub"], &claims["iss"], &claims["aud"]],
            ["alice", &origin, &origin]
        );
    }
    println!("  login, callback, /me: a session of its own in each of two browsers");

    // The callback of one browser is of no use to another, whether or not it has begun a login.
    let mut attacker = Browser::new().stop_at(format!("{origin}/callback"));
    let callback = attacker.log_in(at("/login"), "mallory").await.url;
    let mut victim = Browser::new();
    let refused = victim.open(callback.clone()).await.status;
    assert_eq!(refused, Some(StatusCode::UNAUTHORIZED));
    let page = victim.open(at("/login")).await;
    assert!(page.url.as_str().starts_with(provider.issuer()));
    // PKCE would stop it too, a step later.
    let refused = victim.open(callback).await;
    assert_eq!(refused.status, Some(StatusCode::FORBIDDEN));
    assert_eq!(refused.body, "this login did not begin in this browser\n");
    assert_eq!(status(&mut victim, "/me").await, 401);
    println!("  the callback of another browser: 401; where a login has begun: 403");

    provider.log_out(&mut here, &client).await;
    assert_eq!(status(&mut here, "/me").await, 401);
    assert_eq!(status(&mut elsewhere, "/me").await, 200);
    println!("  after a logout at the provider: 401, and 200 in the other browser");

    assert_eq!(status(&mut here, "/").await, 200);
    let page = here.log_in(at("/login"), "alice").await;
    assert_eq!((page.url, page.status), (at("/"), Some(StatusCode::OK)));
    assert_eq!(status(&mut here, "/me").await, 200);
    let (metadata, _) = provider.document("/.well-known/openid-configuration").await;
    let member = "authorization_response_iss_parameter_supported";
    assert_eq!(metadata[member], true);
    println!("  the page still opens, and a login there counts at once; with iss, as announced");
}

/// The example `social_login`, unchanged, against a hostile provider.
async fn social_login_keeps_its_rules_with_a_bad_provider(_: &Path) {
    let provider = Impostor::start().await;
    let mut command = example("social_login");
    command
        .env("ISSUER", provider.issuer())
        .env("CLIENT_ID", Impostor::CLIENT)
        .env("PORT", "0");
    let mut process = Process::start(&mut command);
    let line = process.line();
    let origin = line.strip_prefix("open ").unwrap().to_owned();
    let at = |path: &str| Url::parse(&format!("{origin}{path}")).unwrap();
    let stop = format!("{}/authorize", provider.issuer());
    let begin = async || {
        let mut browser = Browser::new().stop_at(&stop);
        let sent = browser.open(at("/login")).await;
        let [state, nonce] = ["state", "nonce"].map(|name| sent.parameter(name).unwrap());
        (browser, state, nonce)
    };
    let come_back = async |browser: &mut Browser, parameters: &str| {
        let page = browser.open(at(&format!("/callback?{parameters}"))).await;
        page.status.unwrap().as_u16()
    };
    let me = async |browser: &mut Browser| browser.open(at("/me")).await.status.unwrap().as_u16();
    let log_out = async |claims: Value| {
        let token = provider.logout_token(claims);
        let request = browser::client().post(at("/backchannel-logout"));
        let request = browser::with_form(request, &[("logout_token", &token)]);
        request.send().await.unwrap().status().as_u16()
    };

    // Whatever is wrong with an answer: the nonce of that login serves no other.
    let (mut browser, state, nonce) = begin().await;
    provider.say(json!({ "sub": "alice", "nonce": "another" }));
    let callback = format!("code=c&state={state}");
    assert_eq!(come_back(&mut browser, &callback).await, 403);
    provider.say(json!({ "sub": "alice", "nonce": nonce }));
    assert_eq!(come_back(&mut browser, &callback).await, 401);
    let (mut browser, state, nonce) = begin().await;
    provider.say(json!({ "sub": "alice", "nonce": nonce }));
    let refused = format!("error=access_denied&state={state}");
    assert_eq!(come_back(&mut browser, &refused).await, 403);
    let callback = format!("code=c&state={state}");
    assert_eq!(come_back(&mut browser, &callback).await, 401);
    println!("  after an answer that is refused, the login has to begin anew");

    // But not if it was no answer to this login.
    let (mut browser, state, nonce) = begin().await;
    provider.say(json!({ "sub": "alice", "nonce": nonce, "name": "</pre><script>x</script>" }));
    assert_eq!(come_back(&mut browser, "code=c&state=x").await, 403);
    assert_eq!(
        come_back(&mut browser, &format!("code=c&state={state}")).await,
        200
    );
    // Claims reach the page as JSON alone, so no markup in them is one of the page.
    let page = browser.open(at("/")).await.body;
    assert!(!page.contains("<script>x"), "{page}");
    let claims: Value = serde_json::from_str(&browser.open(at("/me")).await.body).unwrap();
    assert_eq!(claims["name"], "</pre><script>x</script>");
    for parameters in [
        "code=c&error=x",
        "code=c&iss=https%3A%2F%2Fid.example.com",
        "",
    ] {
        let (mut browser, state, nonce) = begin().await;
        provider.say(json!({ "sub": "alice", "nonce": nonce }));
        let parameters = format!("{parameters}&state={state}");
        assert_eq!(come_back(&mut browser, &parameters).await, 403);
        assert_eq!(me(&mut browser).await, 401);
    }

    // No answer fills the memory.
    for (more, expected) in [(20_000, 200), (1 << 20, 403)] {
        let (mut browser, state, nonce) = begin().await;
        provider.say_at_length(json!({ "sub": "alice", "nonce": nonce }), more);
        let parameters = format!("code=c&state={state}");
        assert_eq!(come_back(&mut browser, &parameters).await, expected);
    }

    // A session at the provider may have a long `sid`, or none. It ends here as any other.
    let long = "s".repeat(300);
    let log_in = async |sid: Option<&str>| {
        let (mut browser, state, nonce) = begin().await;
        let mut claims = json!({ "sub": "bob", "nonce": nonce });
        if let Some(sid) = sid {
            claims["sid"] = json!(sid);
        }
        provider.say(claims);
        assert_eq!(
            come_back(&mut browser, &format!("code=c&state={state}")).await,
            200
        );
        browser
    };
    let mut there = log_in(Some("s2")).await;
    let mut here = log_in(Some(&long)).await;
    let mut unnamed = log_in(None).await;
    let others = json!({ "jti": "1", "sub": "carol", "sid": long });
    assert_eq!(log_out(others).await, 200);
    assert_eq!((me(&mut here).await, me(&mut unnamed).await), (200, 200));
    let logout = json!({ "jti": "2", "sub": "bob", "sid": long });
    assert_eq!(log_out(logout).await, 200);
    assert_eq!(me(&mut here).await, 401, "its name is long");
    assert_eq!(me(&mut unnamed).await, 401, "it may be the one");
    assert_eq!(me(&mut there).await, 200);
    println!("  a logout of a session with a long name, or with none, ends it here");
}

/// The example `social_login` with a provider that sends what the test tells it to.
struct SocialLogin {
    provider: Impostor,
    origin: String,
    _process: Process,
}

impl SocialLogin {
    async fn start(metadata: Value) -> Self {
        let provider = Impostor::start_with(metadata).await;
        let mut command = example("social_login");
        command
            .env("ISSUER", provider.issuer())
            .env("CLIENT_ID", Impostor::CLIENT)
            .env("PORT", "0");
        let mut process = Process::start(&mut command);
        let line = process.line();
        Self {
            origin: line.strip_prefix("open ").unwrap().to_owned(),
            provider,
            _process: process,
        }
    }

    fn at(&self, path: &str) -> Url {
        Url::parse(&format!("{}{path}", self.origin)).unwrap()
    }

    /// Begins a login in `browser` of the user in the claims. Returns the parameters of the
    /// callback.
    async fn begin(&self, browser: &mut Browser, mut claims: Value) -> String {
        let sent = browser.open(self.at("/login")).await;
        let [state, nonce] = ["state", "nonce"].map(|name| sent.parameter(name).unwrap());
        claims["nonce"] = nonce.into();
        self.provider.say(claims);
        format!("code=c&state={state}")
    }

    async fn come_back(&self, browser: &mut Browser, parameters: &str) -> u16 {
        self.status(browser, &format!("/callback?{parameters}"))
            .await
    }

    async fn log_in(&self, browser: &mut Browser, claims: Value) {
        let parameters = self.begin(browser, claims).await;
        assert_eq!(self.come_back(browser, &parameters).await, 200);
        assert_eq!(self.status(browser, "/me").await, 200);
    }

    async fn status(&self, browser: &mut Browser, path: &str) -> u16 {
        browser.open(self.at(path)).await.status.unwrap().as_u16()
    }

    async fn renew(&self, browser: &mut Browser) -> u16 {
        let page = browser.post(self.at("/refresh")).await;
        page.status.unwrap().as_u16()
    }

    fn browser(&self) -> Browser {
        Browser::new().stop_at(format!("{}/authorize", self.provider.issuer()))
    }

    async fn receive(&self, claims: Value) -> u16 {
        let token = self.provider.logout_token(claims);
        let request = browser::client().post(self.at("/backchannel-logout"));
        let request = browser::with_form(request, &[("logout_token", &token)]);
        request.send().await.unwrap().status().as_u16()
    }
}

async fn social_login_ends_with_the_session_at_the_provider(_: &Path) {
    let service = SocialLogin::start(json!({})).await;
    let (mut here, mut there) = (service.browser(), service.browser());
    let alice = json!({ "sub": "alice", "sid": "s1" });
    service.log_in(&mut here, alice.clone()).await;
    let elsewhere = json!({ "sub": "alice", "sid": "s2" });
    service.log_in(&mut there, elsewhere.clone()).await;

    // The page renews by its script.
    assert!(here.open(service.at("/")).await.body.contains("/page.js"));
    let script = here.open(service.at("/page.js")).await.body;
    assert!(script.contains("/refresh"), "{script}");
    assert_eq!(service.renew(&mut here).await, 200);

    // A logout token may name the session alone. The page is still one to log in with.
    assert_eq!(
        service.receive(json!({ "jti": "1", "sid": "s1" })).await,
        200
    );
    assert_eq!(service.status(&mut here, "/me").await, 401);
    assert_eq!(service.status(&mut there, "/me").await, 200);
    assert_eq!(service.status(&mut here, "/").await, 200);
    assert_eq!(service.renew(&mut here).await, 401);
    let page = here.open(service.at("/")).await;
    assert!(page.body.contains("/login"), "{}", page.body);
    println!("  sid alone: the session has ended, the other has not, and the page still opens");

    // One that overtakes the login is not forgotten.
    let mut late = service.browser();
    let parameters = service
        .begin(&mut late, json!({ "sub": "alice", "sid": "s3" }))
        .await;
    assert_eq!(
        service.receive(json!({ "jti": "2", "sid": "s3" })).await,
        200
    );
    assert_eq!(service.come_back(&mut late, &parameters).await, 403);
    assert_eq!(service.status(&mut late, "/me").await, 401);
    let parameters = service
        .begin(&mut late, json!({ "sub": "alice", "sid": "s4" }))
        .await;
    assert_eq!(
        service.receive(json!({ "jti": "3", "sub": "alice" })).await,
        200
    );
    assert_eq!(service.come_back(&mut late, &parameters).await, 403);
    assert_eq!(service.status(&mut there, "/me").await, 401);
    println!("  a logout that overtakes the login: 403");
}

async fn social_login_ends_the_session_before(_: &Path) {
    let service = SocialLogin::start(json!({})).await;
    let mut browser = service.browser();
    service
        .log_in(&mut browser, json!({ "sub": "alice", "sid": "s1" }))
        .await;
    let mut copy = browser.clone();
    // A login that comes to nothing ends nothing.
    let parameters = service.begin(&mut browser, json!({ "sub": "bob" })).await;
    let refused = parameters.replace("code=c", "error=access_denied");
    assert_eq!(service.come_back(&mut browser, &refused).await, 403);
    assert_eq!(service.status(&mut copy, "/me").await, 200);
    service
        .log_in(&mut browser, json!({ "sub": "bob", "sid": "s2" }))
        .await;
    assert_eq!(service.status(&mut copy, "/me").await, 401);
    assert_eq!(service.renew(&mut copy).await, 401);
    assert_eq!(service.renew(&mut browser).await, 200);
    println!("  a login over a session ends that one");
}

async fn social_login_wants_the_issuer_that_was_announced(_: &Path) {
    let member = "authorization_response_iss_parameter_supported";
    for (announced, without) in [(Value::Null, 200), (json!(false), 200), (json!(true), 403)] {
        let mut metadata = json!({});
        if !announced.is_null() {
            metadata[member] = announced.clone();
        }
        let service = SocialLogin::start(metadata).await;
        let iss: String = url_encoded(&service.provider.issuer());
        for (more, expected) in [
            (String::new(), without),
            (format!("&iss={iss}"), 200),
            (format!("&iss={iss}%2F"), 403),
            ("&iss=".to_owned(), 403),
        ] {
            let mut browser = service.browser();
            let parameters = service.begin(&mut browser, json!({ "sub": "alice" })).await;
            let answer = service
                .come_back(&mut browser, &format!("{parameters}{more}"))
                .await;
            assert_eq!(answer, expected, "{announced} {more}");
        }
    }
    println!("  iss (RFC 9207): required where announced, compared wherever it is there");
}

fn url_encoded(text: &str) -> String {
    let url = browser::with_parameters("form:", &[("x", text)]);
    url.query().unwrap()[2..].to_owned()
}

/// The example `openid_provider`, unchanged.
async fn openid_provider_says_what_it_found(work: &Path) {
    let provider = Provider::start(work);
    let client = provider.register(HOME, json!({})).await;
    let mut command = example("openid_provider");
    command
        .env("ISSUER", provider.issuer())
        .env("AUDIENCE", API)
        .env("TYP", "at+jwt")
        .env("PORT", "0");
    let mut process = Process::start(&mut command);
    let line = process.line();
    let address = line.strip_prefix("listening on ").unwrap();
    assert_eq!(process.line(), "3 keys:");
    let mut found: Vec<_> = (0..3).map(|_| process.line()).collect();
    let mut published: Vec<_> = std::iter::zip(ALGORITHMS, provider.key_ids().await)
        .map(|(algorithm, key_id)| format!("  {algorithm} {key_id}"))
        .collect();
    found.sort();
    published.sort();
    assert_eq!(found, published);

    let (_, tokens) = provider.log_in(&client, "alice", "EdDSA").await;
    let http = browser::client();
    let status = async |token: &str| {
        let request = http.get(format!("{address}/claims")).bearer_auth(token);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(status(&tokens.access_token).await, 200);
    assert_eq!(status(&tokens.id_token).await, 401);
    let refused = process.line();
    assert!(refused.starts_with("refused: "), "{refused}");
    println!("  3 keys; the ID token is {refused}");
}
