//! Holds the log to what a failed fetch and skipped keys must leave in it.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, Uri};
use tower_jwt_auth::keys::remote::{Fetch, FetchErrorKind, RemoteKeys};

use crate::issuer::{self, Answer, Issuer};
use crate::log::Log;
use crate::{built, clock, key, status, token};

/// The lines of the module of keys since the last call.
fn logged(log: &Log) -> Vec<String> {
    let is_of_keys = |line: &String| line.contains(" tower_jwt_auth::keys");
    log.take().into_iter().filter(is_of_keys).collect()
}

fn warnings(log: &Log) -> Vec<String> {
    let lines = logged(log).into_iter();
    lines.filter(|line| line.starts_with("WARN")).collect()
}

#[tokio::test]
async fn a_failed_fetch_names_issuer_address_and_cause() {
    let log = Log::start();
    let one = key("1");
    let issuer = Issuer::start().await;
    let name = issuer.name();
    let metadata = |jwks: &str| {
        let metadata = format!(r#"{{"issuer":"{name}","jwks_uri":"{name}/{jwks}"}}"#);
        issuer.answer("/.well-known/openid-configuration", Answer::Text(metadata));
    };
    let discovery = format!("{name}/.well-known/openid-configuration");
    let jwks = format!("{name}/jwks");

    issuer.answer("/jwks?key=hidden", Answer::Status(418));
    metadata("jwks?key=hidden");
    let (keys, app) = built(RemoteKeys::discover(name), &clock());
    for _ in 0..20 {
        assert_eq!(status(&app, &token(&one, name)).await, 503);
    }
    let lines = warnings(&log);
    assert_eq!(lines.len(), 1, "once for each attempt: {lines:?}");
    for part in [&format!("issuer={name:?}"), &format!("url={jwks:?}"), "418"] {
        assert!(lines[0].contains(part), "{part} in {lines:?}");
    }
    assert!(!lines[0].contains("hidden"), "{lines:?}");
    let error = keys.state().last_error.unwrap();
    assert_eq!(error.url(), Some(&*jwks));
    drop((keys, app));

    issuer.answer(
        "/.well-known/openid-configuration",
        Answer::Text("{]".into()),
    );
    let (_keys, app) = built(RemoteKeys::discover(name), &clock());
    assert_eq!(status(&app, &token(&one, name)).await, 503);
    let lines = warnings(&log);
    for part in [&format!("url={discovery:?}"), "metadata", "line 1 column 2"] {
        assert!(lines[0].contains(part), "{part} in {lines:?}");
    }

    // An address that leads nowhere: the causes down to the last.
    let nowhere = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let (_keys, app) = built(
        RemoteKeys::jwks(format!("{nowhere}/keys?key=hidden")),
        &clock(),
    );
    assert_eq!(status(&app, &token(&one, name)).await, 503);
    let lines = warnings(&log);
    let url = format!("url={:?}", format!("{nowhere}/keys"));
    for part in [&*url, "refused"] {
        assert!(lines[0].contains(part), "{part} in {lines:?}");
    }
    assert!(!lines[0].contains("hidden"), "{lines:?}");
}

/// A client whose errors say too much, and too long.
struct Talkative(&'static str);

#[derive(Debug)]
struct Talk(String, Option<Box<Talk>>);

impl fmt::Display for Talk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Talk {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|source| source as _)
    }
}

impl Fetch for Talkative {
    type Error = Talk;

    async fn fetch(&self, uri: &Uri) -> Result<Response<Bytes>, Talk> {
        let last = Box::new(Talk("the cause of it all".into(), None));
        let long = Box::new(Talk("x".repeat(self.0.len() * 10_000), Some(last)));
        let text = format!("GET {uri} failed{}", self.0);
        Err(Talk(
            text,
            if self.0.is_empty() { Some(long) } else { None },
        ))
    }
}

#[tokio::test]
async fn a_log_line_of_a_failed_fetch_holds_no_query_and_no_control_characters() {
    let log = Log::start();
    let one = key("1");
    let uri = "https://id.example.com/keys?sig=hidden";
    for (said, seen) in [
        ("", "the cause of it all"),
        ("\n\u{1b}[31mERROR forged=line", "\\n"),
    ] {
        let (keys, app) = built(RemoteKeys::jwks(uri).fetch(Talkative(said)), &clock());
        assert_eq!(status(&app, &token(&one, "x")).await, 503);
        let error = keys.state().last_error.unwrap();
        assert_eq!(error.kind(), FetchErrorKind::Transport);
        let lines = warnings(&log);
        assert_eq!(lines.len(), 1);
        let line = &lines[0];
        assert!(
            line.contains(r#"url="https://id.example.com/keys""#),
            "{line}"
        );
        assert!(line.contains(seen), "{line}");
        assert!(!line.contains("hidden"), "{line}");
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
    // A text of any length is cut.
    let (_keys, app) = built(RemoteKeys::jwks(uri).fetch(Talkative(&LONG)), &clock());
    assert_eq!(status(&app, &token(&one, "x")).await, 503);
    let lines = warnings(&log);
    assert!(lines[0].len() < 3_000, "{}", lines[0].len());
}

static LONG: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| "y".repeat(100_000));

#[tokio::test]
async fn skipped_keys_are_named_once_and_again_when_they_change() {
    let log = Log::start();
    let (one, time) = (key("1"), clock());
    let issuer = Issuer::start().await;
    let publish = |bad: &[&str]| {
        let good = issuer::document([&one]);
        let bad: String = bad.iter().map(|key| format!("{key},")).collect();
        let document = good.replacen('[', &format!("[{bad}"), 1);
        issuer.answer("/jwks", Answer::Text(document));
    };
    let encrypts = r#"{"kty":"RSA","kid":"enc\n1","use":"enc","n":"AQAB","e":"AQAB"}"#;
    let secret =
        r#"{"kty":"oct","kid":"s","alg":"HS256","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ"}"#;
    publish(&[encrypts, secret, "5"]);
    let (keys, app) = built(RemoteKeys::discover(issuer.name()), &time);
    let good = token(&one, issuer.name());
    let skipped = || {
        let lines = logged(&log).into_iter();
        lines
            .filter(|line| line.contains("skipped") && line.starts_with("INFO"))
            .collect::<Vec<_>>()
    };
    assert_eq!(status(&app, &good).await, 200);
    let lines = skipped();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for (line, part) in lines.iter().zip([r"enc\\n1", r#""s""#, "index=2"]) {
        assert!(line.contains(part), "{part} in {line}");
        assert!(line.contains(issuer.name()), "{line}");
        assert!(!line.contains("AyM1"), "{line}");
    }
    assert!(lines[1].contains("secret"), "{lines:?}");
    // The same document again says nothing new.
    time.advance(Duration::from_secs(601));
    assert_eq!(status(&app, &good).await, 200);
    assert_eq!(keys.state().fetches, 2);
    assert_eq!(skipped(), Vec::<String>::new());
    publish(&[secret]);
    time.advance(Duration::from_secs(601));
    assert_eq!(status(&app, &good).await, 200);
    assert_eq!(skipped().len(), 1);
    // A document without a usable key names them beside the failure.
    issuer.answer("/jwks", Answer::Text(format!(r#"{{"keys":[{encrypts}]}}"#)));
    time.advance(Duration::from_secs(601));
    assert_eq!(status(&app, &good).await, 200);
    let lines = logged(&log);
    assert!(
        lines.iter().any(|line| line.starts_with("WARN")),
        "{lines:?}"
    );
    let named = |line: &&String| line.starts_with("INFO") && line.contains("encryption");
    assert_eq!(lines.iter().filter(named).count(), 1, "{lines:?}");
    // However many there are.
    let many: Vec<_> = (0..400).map(|_| encrypts).collect();
    publish(&many);
    time.advance(Duration::from_secs(601));
    assert_eq!(status(&app, &good).await, 200);
    assert!(skipped().len() < 20);
}
