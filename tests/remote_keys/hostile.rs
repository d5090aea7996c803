//! J01: what a hostile issuer, or an attacker in its place, may send.

use std::fmt::Write as _;
use std::time::Duration;

use http::StatusCode;
use http::header::RETRY_AFTER;
use tokio::time::{Instant, sleep};
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::keys::remote::{FetchErrorKind, HttpFetch, RemoteKeys};
use tower_jwt_auth::keys::{Algorithm, SigningKey};

use crate::issuer::{self, Answer, Issuer};
use crate::{App, ask, built, clock, key, status, token};

/// An issuer, its key, and what fetches from it.
struct Scene {
    issuer: Issuer,
    key: SigningKey,
    clock: ManualClock,
    http: HttpFetch,
}

impl Scene {
    async fn new() -> Self {
        Self {
            issuer: Issuer::start().await,
            key: key("1"),
            clock: clock(),
            http: HttpFetch::new(),
        }
    }

    fn document(&self) -> String {
        issuer::document([&self.key])
    }

    fn good(&self) -> String {
        token(&self.key, self.issuer.name())
    }

    fn remote(&self) -> (RemoteKeys, App) {
        let remote = RemoteKeys::discover(self.issuer.name()).fetch(self.http.clone());
        built(remote, &self.clock)
    }

    /// On a cold start it is an outage, and later it leaves the last good keys.
    async fn leaves_the_last_good_keys(&self, answer: Answer, expected: FetchErrorKind) {
        let shown = format!("{answer:.200?}");
        self.issuer.answer("/jwks", answer.clone());
        let (keys, app) = self.remote();
        let response = ask(&app, &self.good()).await;
        let status_of = response.status();
        assert_eq!(status_of, StatusCode::SERVICE_UNAVAILABLE, "cold: {shown}");
        assert!(response.headers().contains_key(RETRY_AFTER), "{shown}");
        assert!(keys.state().keys.is_none(), "{shown}");
        let error = keys.state().last_error.unwrap();
        assert_eq!(error.kind(), expected, "cold: {shown}: {error:?}");
        drop((keys, app));

        self.issuer.publish([&self.key]);
        let (keys, app) = self.remote();
        assert_eq!(status(&app, &self.good()).await, 200, "{shown}");
        self.issuer.answer("/jwks", answer);
        let forged = token(&key("x"), self.issuer.name());
        let response = ask(&app, &forged).await;
        let status_of = response.status();
        assert_eq!(status_of, StatusCode::SERVICE_UNAVAILABLE, "{shown}");
        assert!(response.headers().contains_key(RETRY_AFTER), "{shown}");
        let state = keys.state();
        assert_eq!(state.last_error.unwrap().kind(), expected, "{shown}");
        assert_eq!(state.keys.unwrap().len(), 1, "{shown}");
        assert_eq!(status(&app, &self.good()).await, 200, "{shown}");
    }
}

#[tokio::test]
async fn j01_any_status_but_200_leaves_the_last_good_keys() {
    let scene = Scene::new().await;
    for code in [
        201, 202, 204, 206, 304, 400, 401, 403, 404, 418, 429, 500, 503, 599,
    ] {
        let answer = Answer::Status(code);
        let expected = FetchErrorKind::Status(code);
        scene.leaves_the_last_good_keys(answer, expected).await;
        // Whatever its body says.
        if ![204, 304].contains(&code) {
            let document = scene.document();
            let length = document.len();
            let whole =
                format!("HTTP/1.1 {code} Status\r\nContent-Length: {length}\r\n\r\n{document}");
            let answer = Answer::Bytes(whole.into_bytes());
            scene.leaves_the_last_good_keys(answer, expected).await;
        }
    }
}

#[tokio::test]
async fn j01_redirects_are_not_followed() {
    let scene = Scene::new().await;
    let elsewhere = Issuer::start().await;
    elsewhere.publish([&scene.key]);
    scene.issuer.answer("/good", Answer::Text(scene.document()));
    let here = format!("{}/good", scene.issuer.name());
    for to in [&format!("{}/jwks", elsewhere.name()), &here, "/good"] {
        for code in [301, 302, 303, 307, 308] {
            let whole = format!("HTTP/1.1 {code} R\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
            let expected = FetchErrorKind::Status(code);
            let answer = Answer::Bytes(whole.into_bytes());
            scene.leaves_the_last_good_keys(answer, expected).await;
        }
    }
    // Nor are those of the metadata.
    let metadata = "/.well-known/openid-configuration";
    elsewhere.answer(
        metadata,
        Answer::Text(format!(
            r#"{{"issuer":"{}","jwks_uri":"{here}"}}"#,
            scene.issuer.name()
        )),
    );
    let to = format!("{}{metadata}", elsewhere.name());
    scene.issuer.answer(metadata, Answer::Redirect(to));
    let (keys, app) = scene.remote();
    assert_eq!(status(&app, &scene.good()).await, 503);
    let error = keys.state().last_error.unwrap();
    assert_eq!(error.kind(), FetchErrorKind::Status(302));
    assert_eq!(
        (scene.issuer.hits("/good"), elsewhere.connections()),
        (0, 0)
    );
}

#[tokio::test]
async fn j01_a_connection_that_breaks_leaves_the_last_good_keys() {
    let scene = Scene::new().await;
    let document = scene.document();
    let length = document.len() + 1;
    let short = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{document}");
    let open = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let unended = format!("{open}{:x}\r\n{document}\r\n", document.len());
    for bytes in [
        "",
        "H",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n",
        &short,
        &unended,
        "SSH-2.0-OpenSSH_9.2\r\n",
        "\u{15}\u{3}\u{1}\0\u{2}\u{2}P",
        &format!("HTTP/1.1 200 OK\r\nContent-Length: 9\r\nContent-Length: 8\r\n\r\n{document}"),
        &format!("{open}zz\r\n{document}\r\n0\r\n\r\n"),
        &format!(
            "HTTP/1.1 200 OK\r\nX: {}\r\n\r\n{document}",
            "x".repeat(1 << 20)
        ),
    ] {
        for answer in [Answer::Bytes(bytes.into()), Answer::Reset(bytes.into())] {
            let expected = FetchErrorKind::Transport;
            scene.leaves_the_last_good_keys(answer, expected).await;
        }
    }
}

#[tokio::test]
async fn j01_no_more_is_read_than_a_mebibyte() {
    const MIB: usize = 1 << 20;
    let scene = Scene::new().await;
    let document = scene.document();
    let padded = |length: usize| {
        let padding = " ".repeat(length - document.len());
        format!("{document}{padding}")
    };
    // As much as that is good.
    let most = Answer::Text(padded(MIB));
    scene.issuer.answer("/jwks", most);
    let (_keys, app) = scene.remote();
    assert_eq!(status(&app, &scene.good()).await, 200);

    let expected = FetchErrorKind::TooLong;
    let answer = Answer::Text(padded(MIB + 1));
    scene.leaves_the_last_good_keys(answer, expected).await;

    // What says how long it is is not read at all.
    let answer = Answer::Text(padded(10 << 20));
    scene.leaves_the_last_good_keys(answer, expected).await;
    hung_up(&scene.issuer).await;
    assert!(scene.issuer.sent() < 4 * MIB, "{}", scene.issuer.sent());

    // What does not is read so far, and what is on the way by then.
    let answer = Answer::chunked(&[b' '; 10_000], Duration::ZERO);
    scene.leaves_the_last_good_keys(answer, expected).await;
    hung_up(&scene.issuer).await;
    let sent = scene.issuer.sent();
    assert!((MIB..9 * MIB).contains(&sent), "{sent}");
}

/// Until the issuer has noticed it.
async fn hung_up(issuer: &Issuer) {
    while issuer.hung_up() == 0 {
        sleep(Duration::from_millis(1)).await;
    }
}

/// On paused time, which goes on as soon as there is nothing to do.
#[tokio::test(start_paused = true)]
async fn j01_what_comes_too_slowly_is_given_up_after_five_seconds() {
    let scene = Scene::new().await;
    let tenth = Duration::from_millis(100);
    let head = b"HTTP/1.1 200 OK\r\nX: ".to_vec();
    for answer in [
        Answer::Hang,
        Answer::Endless(head, b"x".to_vec(), tenth),
        Answer::chunked(b" ", tenth),
    ] {
        let started = Instant::now();
        let shown = format!("{answer:?}");
        let is_drip = !matches!(answer, Answer::Hang);
        let expected = FetchErrorKind::Timeout;
        scene.leaves_the_last_good_keys(answer, expected).await;
        // Twice, cold and warm.
        let seconds = started.elapsed().as_secs_f64();
        assert!((9.9..10.5).contains(&seconds), "{shown}: {seconds}");
        if is_drip {
            hung_up(&scene.issuer).await;
            let sent = scene.issuer.sent();
            assert!((40..=400).contains(&sent), "{shown}: {sent}");
        }
    }
}

#[tokio::test]
async fn j01_a_gzip_bomb_is_not_unpacked() {
    let scene = Scene::new().await;
    let bomb = gzip_bomb(&scene.document(), 40_000);
    assert!(bomb.len() < 100_000);
    for headers in ["Content-Encoding: gzip\r\n", ""] {
        let answer = Answer::with(headers, &bomb);
        let expected = FetchErrorKind::NoUsableKeys;
        scene.leaves_the_last_good_keys(answer, expected).await;
    }
}

/// RFC 1951 and 1952: a good document, followed by 10 million spaces.
fn gzip_bomb(document: &str, repeats: usize) -> Vec<u8> {
    let mut bits = Vec::new();
    // The last block, with fixed codes.
    bits.extend([true, true, false]);
    let code = |bits: &mut Vec<bool>, code: u32, length: u32| {
        bits.extend((0..length).rev().map(|place| code >> place & 1 == 1));
    };
    for byte in document.bytes().chain([b' ']) {
        assert!(byte < 144);
        code(&mut bits, 0x30 + u32::from(byte), 8);
    }
    for _ in 0..repeats {
        // 258 bytes like the last one.
        code(&mut bits, 0b1100_0101, 8);
        code(&mut bits, 0, 5);
    }
    code(&mut bits, 0, 7);
    let packed = bits.chunks(8).map(|byte| {
        byte.iter()
            .rev()
            .fold(0_u8, |sum, bit| sum << 1 | u8::from(*bit))
    });
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    head.into_iter().chain(packed).chain([0; 8]).collect()
}

#[tokio::test]
async fn j01_what_is_no_key_set_leaves_the_last_good_keys() {
    let scene = Scene::new().await;
    let good = scene.document();
    let jwk = good
        .trim_start_matches(r#"{"keys":["#)
        .trim_end_matches("]}");
    let deep = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let secret = r#"{"kty":"oct","alg":"HS256","kid":"1","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T"}"#;
    let documents = [
        "".into(),
        " ".into(),
        "no JSON".into(),
        "<!DOCTYPE html><title>Sign in</title>".into(),
        "null".into(),
        "true".into(),
        "1e9999".into(),
        r#""keys""#.into(),
        "[]".into(),
        "{}".into(),
        format!("[{jwk}]"),
        jwk.into(),
        format!(r#"{{"jwks":{good}}}"#),
        format!(r#"{{"Keys":[{jwk}]}}"#),
        r#"{"keys":null}"#.into(),
        r#"{"keys":[]}"#.into(),
        r#"{"keys":{}}"#.into(),
        r#"{"keys":"x"}"#.into(),
        format!(r#"{{"keys":{jwk}}}"#),
        r#"{"keys":[1,"x",null,[],{},{"kty":"EC"},{"kty":"XX"}]}"#.into(),
        format!(r#"{{"keys":[{jwk}],"keys":[{jwk}]}}"#),
        format!(r#"{{"keys":[{secret}]}}"#),
        format!(
            r#"{{"keys":[{}]}}"#,
            jwk.replacen('{', r#"{"use":"enc","#, 1)
        ),
        good.replace(']', ""),
        good.replace('}', ""),
        format!("{good}x"),
        format!("{good}{good}"),
        format!("\u{feff}{good}"),
        format!("// keys\n{good}"),
        good.replace('"', "'"),
        good.replace("]}", ",]}"),
        good.replacen("kty", "kty\0", 1),
        format!(r#"{{"x":NaN,{}"#, good.trim_start_matches('{')),
        deep(500_000),
        "[".repeat(1 << 20),
        r#"{"keys":["#.repeat(100_000),
        format!(r#"{{"keys":[{}]}}"#, deep(500_000)),
        format!(r#"{{"keys":{}}}"#, deep(500_000)),
        // Many tiny ones, and many that are well-formed.
        format!(r#"{{"keys":[{}1]}}"#, "1,".repeat(500_000)),
        format!(r#"{{"keys":[{}{{}}]}}"#, "{},".repeat(300_000)),
        many(513),
    ];
    for document in documents {
        let answer = Answer::Text(document);
        let expected = FetchErrorKind::NoUsableKeys;
        scene.leaves_the_last_good_keys(answer, expected).await;
    }
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let latin1 = [good.as_bytes(), &[0xff]].concat();
    for bytes in [utf16, latin1] {
        let answer = Answer::with("Content-Type: application/json\r\n", bytes);
        let expected = FetchErrorKind::NoUsableKeys;
        scene.leaves_the_last_good_keys(answer, expected).await;
    }
}

/// A document of so many keys.
fn many(count: usize) -> String {
    let key = SigningKey::generate(Algorithm::ES256).unwrap();
    let mut keys = String::new();
    for number in 0..count {
        let jwk = key.clone().with_key_id(number.to_string());
        let jwk = jwk.verifying_key().to_jwk().unwrap();
        write!(keys, "{}{jwk}", if number == 0 { "" } else { "," }).unwrap();
    }
    format!(r#"{{"keys":[{keys}]}}"#)
}

#[tokio::test]
async fn j01_a_bad_key_among_good_ones_is_skipped_and_reported() {
    let scene = Scene::new().await;
    let others: Vec<_> = ["2", "3", "4"].map(key).to_vec();
    let good = issuer::document(others.iter().chain([&scene.key]));
    let deep = format!("{}{}", "[".repeat(400_000), "]".repeat(400_000));
    for bad in [
        r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#,
        r#"{"kty":"oct","alg":"HS256","kid":"1","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T"}"#,
        r#"{"kty":"EC","kty":"EC"}"#,
        r#"{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA","kid":"\ud800"}"#,
        "5",
        &deep,
        r#"{"kid":{"a":[1e999]}}"#,
    ] {
        // At the beginning, and at the end.
        for document in [
            good.replacen('[', &format!("[{bad},"), 1),
            good.replace("]}", &format!(",{bad}]}}")),
        ] {
            scene.issuer.answer("/jwks", Answer::Text(document));
            let (keys, app) = scene.remote();
            let shown = bad.get(..40).unwrap_or(bad);
            assert_eq!(status(&app, &scene.good()).await, 200, "{shown}");
            let state = keys.state();
            let counts = (state.keys.unwrap().len(), state.skipped.len());
            assert_eq!(counts, (4, 1), "{shown}");
            assert!(state.last_error.is_none());
        }
    }
    // As many as 512 are read.
    scene.issuer.answer("/jwks", Answer::Text(many(512)));
    let (keys, app) = scene.remote();
    assert_eq!(
        status(&app, &token(&key("x"), scene.issuer.name())).await,
        401
    );
    assert_eq!(keys.state().keys.unwrap().len(), 512);
}

#[tokio::test]
async fn j01_the_content_decides_and_not_its_type() {
    let scene = Scene::new().await;
    for headers in [
        "",
        "Content-Type: application/jwk-set+json\r\n",
        "Content-Type: text/plain\r\n",
        "Content-Type: application/octet-stream\r\nContent-Disposition: attachment\r\n",
    ] {
        let answer = Answer::with(headers, scene.document());
        scene.issuer.answer("/jwks", answer);
        let (_keys, app) = scene.remote();
        assert_eq!(status(&app, &scene.good()).await, 200, "{headers}");
    }
}

/// Kubernetes answers 406 unless the type of its document is accepted.
#[tokio::test]
async fn documents_are_asked_for_by_their_types() {
    let scene = Scene::new().await;
    let name = scene.issuer.name();
    let metadata = format!(r#"{{"issuer":"{name}","jwks_uri":"{name}/jwks"}}"#);
    for keys_are in ["application/jwk-set+json", "application/json"] {
        let metadata = Answer::Negotiated("application/json", metadata.clone());
        scene
            .issuer
            .answer("/.well-known/openid-configuration", metadata);
        let document = Answer::Negotiated(keys_are, scene.document());
        scene.issuer.answer("/jwks", document);
        let (keys, app) = scene.remote();
        assert_eq!(status(&app, &scene.good()).await, 200, "{keys_are}");
        assert!(keys.state().last_error.is_none());
    }
}

/// As `serde_json` reads them: 127 levels and no more.
#[tokio::test]
async fn j01_documents_that_nest_too_deeply() {
    let scene = Scene::new().await;
    let name = scene.issuer.name();
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    for (levels, is_read) in [(126, true), (127, false), (400_000, false)] {
        let x = nested(levels);
        let expected = if is_read { 200 } else { 503 };
        let metadata = format!(r#"{{"issuer":"{name}","jwks_uri":"{name}/jwks","x":{x}}}"#);
        scene
            .issuer
            .answer("/.well-known/openid-configuration", Answer::Text(metadata));
        scene.issuer.publish([&scene.key]);
        let (keys, app) = scene.remote();
        assert_eq!(status(&app, &scene.good()).await, expected, "{levels}");
        let error = keys.state().last_error.map(|error| error.kind());
        assert_eq!(error, (!is_read).then_some(FetchErrorKind::InvalidMetadata));

        scene.issuer.start_metadata();
        let good = scene.document();
        let beside = good.replacen('{', &format!(r#"{{"x":{x},"#), 1);
        scene.issuer.answer("/jwks", Answer::Text(beside));
        let (keys, app) = scene.remote();
        assert_eq!(status(&app, &scene.good()).await, expected, "{levels}");
        let error = keys.state().last_error.map(|error| error.kind());
        assert_eq!(error, (!is_read).then_some(FetchErrorKind::NoUsableKeys));

        // One key alone is skipped alone.
        let extra = key("2").verifying_key().to_jwk().unwrap();
        let extra = extra.replacen('{', &format!(r#"{{"z":{x},"#), 1);
        let within = good.replacen('[', &format!("[{extra},"), 1);
        scene.issuer.answer("/jwks", Answer::Text(within));
        let (keys, app) = scene.remote();
        assert_eq!(status(&app, &scene.good()).await, 200, "{levels}");
        let skipped = keys.state().skipped.len();
        assert_eq!(skipped, usize::from(!is_read), "{levels}");
    }
}

/// 503 for every request was what one key listed twice cost.
#[tokio::test]
async fn j01_a_key_that_is_listed_twice_is_one_key() {
    let scene = Scene::new().await;
    let others = ["2", "3"].map(key);
    let doubled = |keys: &[&SigningKey]| {
        let keys = keys.iter().chain(keys).copied();
        Answer::Text(issuer::document(keys))
    };
    for (document, counts) in [
        (doubled(&[&scene.key]), (1, 0)),
        (doubled(&[&others[0], &scene.key, &others[1]]), (3, 0)),
        // Two keys of one name are both reported, and no other.
        (
            doubled(&[
                &others[0],
                &others[0].clone().with_key_id("3"),
                &others[1],
                &scene.key,
            ]),
            (4, 4),
        ),
    ] {
        scene.issuer.answer("/jwks", document);
        let (keys, app) = scene.remote();
        assert_eq!(status(&app, &scene.good()).await, 200);
        let state = keys.state();
        assert_eq!((state.keys.unwrap().len(), state.skipped.len()), counts);
    }
}

#[tokio::test]
async fn h09_good_and_bad_tokens_while_fetching_fails() {
    let scene = Scene::new().await;
    let unknown = token(&key("x"), scene.issuer.name());
    let wrong_key = token(&key("1"), scene.issuer.name());
    let other_issuer = token(&scene.key, "https://id.example.com");
    let garbage = "x.y.z".to_owned();
    for answer in [Answer::Status(500), Answer::Reset(Vec::new())] {
        // Cold: nothing is known of either.
        scene.issuer.answer("/jwks", answer.clone());
        let (_keys, app) = scene.remote();
        let (good, bad) = (scene.good(), wrong_key.clone());
        let both = tokio::join!(status(&app, &good), status(&app, &bad));
        assert_eq!(both, (503, 503));
        let both = tokio::join!(status(&app, &other_issuer), status(&app, &garbage));
        assert_eq!(both, (401, 401));
        drop(app);

        // A known key, and an unknown `kid`.
        scene.issuer.publish([&scene.key]);
        let (keys, app) = scene.remote();
        assert_eq!(status(&app, &good).await, 200);
        scene.issuer.answer("/jwks", answer.clone());
        for _ in 0..2 {
            let three = tokio::join!(
                status(&app, &good),
                status(&app, &bad),
                status(&app, &unknown)
            );
            assert_eq!(three, (200, 401, 503));
        }
        // Stale.
        scene.clock.advance(Duration::from_secs(1800));
        for _ in 0..2 {
            let three = tokio::join!(
                status(&app, &good),
                status(&app, &bad),
                status(&app, &unknown)
            );
            assert_eq!(three, (200, 401, 503));
        }
        // Too old.
        scene.clock.advance(Duration::from_secs(3600));
        let three = tokio::join!(
            status(&app, &good),
            status(&app, &bad),
            status(&app, &unknown)
        );
        assert_eq!(three, (503, 503, 503));
        assert!(keys.state().last_error.is_some());
    }
}

/// On paused time: what is known of where the keys are is known by the timer.
#[tokio::test(start_paused = true)]
async fn keys_that_moved_are_found_again_though_the_old_ones_were_left_behind() {
    const METADATA: &str = "/.well-known/openid-configuration";
    let scene = Scene::new().await;
    let name = scene.issuer.name().to_owned();
    scene.issuer.publish([&scene.key]);
    let (_keys, app) = scene.remote();
    assert_eq!(status(&app, &scene.good()).await, 200);
    // For half an hour they are fetched from where they were.
    sleep(Duration::from_secs(1800)).await;
    assert_eq!(scene.issuer.hits(METADATA), 1);
    assert!(scene.issuer.hits("/jwks") > 3);

    // Metadata that are not there, or wrong, or hang, change nothing.
    for answer in [Answer::Status(500), Answer::Text("{}".into()), Answer::Hang] {
        let before = scene.issuer.hits(METADATA);
        scene.issuer.answer(METADATA, answer);
        sleep(Duration::from_secs(3700)).await;
        assert!(scene.issuer.hits(METADATA) > before);
        assert_eq!(status(&app, &scene.good()).await, 200);
    }

    let new = key("2");
    let document = issuer::document([&new]);
    scene.issuer.answer("/moved", Answer::Text(document));
    let metadata = format!(r#"{{"issuer":"{name}","jwks_uri":"{name}/moved"}}"#);
    scene.issuer.answer(METADATA, Answer::Text(metadata));
    sleep(Duration::from_secs(3700)).await;
    assert_eq!(status(&app, &token(&new, &name)).await, 200);
    assert_eq!(status(&app, &scene.good()).await, 401);
}

/// The metadata name a place that is not allowed. Somebody else may own the old one by now.
#[tokio::test(start_paused = true)]
async fn keys_are_not_fetched_from_a_place_that_the_issuer_has_left() {
    const METADATA: &str = "/.well-known/openid-configuration";
    let scene = Scene::new().await;
    let name = scene.issuer.name().to_owned();
    for moved in [
        format!(r#"{{"issuer":"{name}","jwks_uri":"http://keys.example.net/jwks"}}"#),
        format!(r#"{{"issuer":"https://other.example.net","jwks_uri":"{name}/jwks"}}"#),
    ] {
        let metadata = format!(r#"{{"issuer":"{name}","jwks_uri":"{name}/jwks"}}"#);
        scene.issuer.answer(METADATA, Answer::Text(metadata));
        scene.issuer.publish([&scene.key]);
        let (keys, app) = scene.remote();
        assert_eq!(status(&app, &scene.good()).await, 200);
        scene.issuer.answer(METADATA, Answer::Text(moved));
        sleep(Duration::from_secs(5000)).await;
        let hits = scene.issuer.hits("/jwks");
        let error = keys.state().last_error.unwrap();
        let refusals = [
            FetchErrorKind::ForbiddenEndpoint,
            FetchErrorKind::IssuerMismatch,
        ];
        assert!(refusals.contains(&error.kind()), "{error}");
        sleep(Duration::from_secs(3700)).await;
        assert_eq!(scene.issuer.hits("/jwks"), hits);
    }
}
