//! Drives the program `gate`.
#![cfg(all(feature = "gate", feature = "testing"))]
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics fails"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};
use tower_jwt_auth::keys::{Algorithm, SigningKey, TokenHeader, VerifyingKey};

const LATE: u64 = 4_000_000_000;

/// A directory of one test.
struct Files(PathBuf);

impl Files {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tower-jwt-auth-gate-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir(&directory).unwrap();
        Self(directory)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let file = self.0.join(name);
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    /// The verdict of a check.
    #[track_caller]
    fn verdict(&self, check: &str) -> &str {
        let line = self
            .out
            .lines()
            .find_map(|line| line.strip_prefix(&format!("  {check:<24} ")));
        line.unwrap_or_else(|| panic!("no {check}: {}{}", self.out, self.err))
    }
}

/// What `gate` says of this standard input.
fn gate(arguments: &[&str], input: impl AsRef<[u8]>) -> Said {
    let mut gate = Command::new(env!("CARGO_BIN_EXE_gate"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may not read it.
    let _ = gate.stdin.take().unwrap().write_all(input.as_ref());
    let Output {
        status,
        stdout,
        stderr,
    } = gate.wait_with_output().unwrap();
    Said {
        code: status.code().unwrap(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

fn key() -> SigningKey {
    SigningKey::generate(Algorithm::ES256)
        .unwrap()
        .with_key_id("k1")
}

fn jwks(key: &SigningKey) -> String {
    format!(r#"{{"keys":[{}]}}"#, key.verifying_key().to_jwk().unwrap())
}

fn claims(issuer: &str) -> Value {
    json!({ "iss": issuer, "aud": "api", "sub": "secret-subject", "exp": LATE })
}

/// A web server with these documents.
fn serve(documents: impl Fn(&str, &str) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let own = origin.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut line = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            reader.read_line(&mut line).unwrap();
            let mut header = line.clone();
            while header.trim() != "" {
                header.clear();
                reader.read_line(&mut header).unwrap();
            }
            let body = documents(&own, line.split(' ').nth(1).unwrap());
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
            let length = body.len();
            write!(stream, "{head}\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
        }
    });
    origin
}

#[test]
fn a_good_token_is_accepted_and_its_values_are_not_shown() {
    let (files, key) = (Files::new(), key());
    let keys = files.write("jwks.json", jwks(&key));
    let token = key.sign(&claims("https://id.test")).unwrap();
    let options = [
        "--jwks",
        &keys,
        "--issuer",
        "https://id.test",
        "--audience",
        "api",
    ];
    let file = files.write("token", format!("{token}\n"));
    let from_file = [&options[..], &["--token", &file]].concat();
    let from_dash = [&options[..], &["--token", "-"]].concat();
    for said in [
        gate(&options, &token),
        gate(&options, format!("  Bearer {token}\r\n")),
        gate(&from_dash, &token),
        gate(&from_file, ""),
    ] {
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{}", said.out);
        assert!(said.out.ends_with("accepted\n"), "{}", said.out);
        assert!(said.out.contains("  alg: \"ES256\"\n"), "{}", said.out);
        assert!(said.out.contains("  kid: \"k1\"\n"), "{}", said.out);
        assert!(
            said.out.contains("claims: aud, exp, iss, sub\n"),
            "{}",
            said.out
        );
        assert_eq!(said.verdict("signature"), "ok");
        assert_eq!(said.verdict("aud"), "ok");
        assert!(!said.out.contains("secret"), "{}", said.out);
        assert!(!said.out.contains(&token), "{}", said.out);
    }
}

#[test]
fn a_rejection_says_which_check_and_what_is_configured() {
    let (files, key) = (Files::new(), key());
    let keys = files.write("jwks.json", jwks(&key));
    let options = [
        "--jwks",
        &keys,
        "--issuer",
        "https://id.test",
        "--audience",
        "api-2",
    ];
    let said = gate(&options, key.sign(&claims("https://id.test")).unwrap());
    assert_eq!(said.code, 1);
    assert_eq!(said.verdict("iss"), "ok");
    assert_eq!(said.verdict("exp, nbf, iat"), "ok");
    assert_eq!(
        said.verdict("aud"),
        r#"rejected: wrong_audience: expected `aud`: "api-2""#
    );
    assert_eq!(said.verdict("other required claims"), "not reached");

    let said = gate(&options, key.sign(&claims("https://secret.test")).unwrap());
    let expected = r#"rejected: wrong_issuer: expected `iss`: "https://id.test""#;
    assert_eq!(said.verdict("iss"), expected);
    assert_eq!(said.verdict("signature"), "ok");
    assert_eq!(said.verdict("aud"), "not reached");
    assert!(!said.out.contains("secret"), "{}", said.out);

    let other = SigningKey::generate(Algorithm::ES256)
        .unwrap()
        .with_key_id("k1");
    let said = gate(&options, other.sign(&claims("https://id.test")).unwrap());
    assert_eq!(said.verdict("key"), "ok");
    assert_eq!(said.verdict("signature"), "rejected: bad_signature");
    assert_eq!(said.verdict("iss"), "not reached");

    let said = gate(&options, key.sign(&json!({ "exp": "secret" })).unwrap());
    let place = "rejected: malformed_claims: `exp`, at line 1, column 15 of the payload";
    assert_eq!(said.verdict("claims are readable"), place);
    assert!(!said.out.contains("secret"), "{}", said.out);

    let profile = [&options[..4], &["--audience", "api", "--rfc9068"]].concat();
    let said = gate(&profile, key.sign(&claims("https://id.test")).unwrap());
    assert_eq!(
        said.verdict("typ"),
        r#"rejected: wrong_type: expected `typ`: "at+jwt""#
    );
}

#[test]
fn what_is_no_token_is_said_so() {
    let (files, key) = (Files::new(), key());
    let keys = files.write("jwks.json", jwks(&key));
    for input in ["secret", "a.b", "\u{1b}[31m.x.y", "a.b.c.d.e"] {
        let said = gate(&["--jwks", &keys], input);
        assert_eq!(said.code, 1, "{}", said.err);
        assert!(
            said.out.contains("header: not a JSON object"),
            "{}",
            said.out
        );
        assert!(
            !said.out.contains(['\u{1b}']) && !said.out.contains("secret"),
            "{}",
            said.out
        );
    }
    let said = gate(&["--jwks", &keys], [0xff, b'.', 0xfe]);
    assert_eq!(said.code, 1);
    let said = gate(&["--jwks", &keys], vec![b'a'; 200_000]);
    assert!(
        said.verdict("three segments")
            .starts_with("rejected: too_long")
    );
}

#[test]
fn control_characters_are_escaped() {
    let (files, key) = (Files::new(), key());
    let keys = files.write("jwks.json", jwks(&key));
    let header = TokenHeader::new()
        .member("x\u{1b}[2J", "y\u{7f}\u{202e}\u{9b}z")
        .member("n", json!({ "\r": ["\n"] }));
    let token = key.sign_with(&header, &json!({ "a\u{1b}]0;b\u{7}": 1, "exp": LATE }));
    let said = gate(&["--jwks", &keys], token.unwrap());
    assert_eq!(said.code, 0, "{}", said.out);
    let odd = |character: char| character != '\n' && character.is_control();
    assert!(!said.out.contains(odd), "{:?}", said.out);
    assert!(!said.out.contains(['\u{202e}', '\u{9b}']), "{:?}", said.out);
    assert!(said.out.contains(r"x\u{1b}[2J"), "{}", said.out);
    assert!(said.out.contains(r"a\u{1b}]0;b\u{7}"), "{}", said.out);
}

#[test]
fn keys_come_from_pem_and_from_a_secret() {
    let files = Files::new();
    let token = |key: &SigningKey| key.sign(&json!({ "exp": LATE })).unwrap();
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let key = SigningKey::from_pem(Algorithm::ES256, pair.serialize_pem()).unwrap();
    let pem = files.write("key.pem", pair.public_key_pem());
    assert_eq!(
        gate(&["--pem", &pem, "--algorithm", "ES256"], token(&key)).code,
        0
    );
    let said = gate(&["--pem", &pem], token(&key));
    assert_eq!((said.code, said.out.as_str()), (2, ""), "{}", said.err);
    assert!(VerifyingKey::from_pem(Algorithm::RS256, pair.public_key_pem()).is_err());

    let secret = "0123456789abcdef0123456789abcdef";
    let key = SigningKey::hs256(secret).unwrap();
    let file = files.write("secret", format!("{secret}\n"));
    assert_eq!(gate(&["--secret-file", &file], token(&key)).code, 0);
}

#[test]
fn keys_are_fetched_from_a_url_and_discovered() {
    let key = key();
    let published = jwks(&key);
    let origin = serve(move |origin, path| match path {
        "/.well-known/openid-configuration" => {
            json!({ "issuer": origin, "jwks_uri": format!("{origin}/keys") }).to_string()
        }
        _ => published.clone(),
    });
    let token = key.sign(&claims(&origin)).unwrap();
    let url = format!("{origin}/keys");
    let from_url = ["--jwks-url", &url, "--issuer", &origin, "--audience", "api"];
    let said = gate(&from_url, &token);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let said = gate(&["--discover", &origin, "--audience", "api"], &token);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let said = gate(&["--discover", &origin, "--any-audience"], &token);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    // The audience must be configured, or not wanted.
    let said = gate(&["--discover", &origin], &token);
    assert_eq!(said.verdict("aud"), "rejected: unexpected_audience");

    // Another issuer's token chooses no keys: the signature is not checked.
    let foreign = key.sign(&claims("https://other.test")).unwrap();
    let said = gate(&["--discover", &origin, "--audience", "api"], foreign);
    let expected = format!("rejected: unknown_issuer: expected `iss`: {origin:?}");
    assert_eq!(said.verdict("iss"), expected);
    assert_eq!(said.verdict("signature"), "not reached");
    assert_eq!(said.code, 1);
}

#[test]
fn an_outage_is_named() {
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("http://{address}/keys");
    let said = gate(
        &["--jwks-url", &url, "--any-audience"],
        key().sign(&claims("a")).unwrap(),
    );
    assert_eq!(said.code, 3, "{}", said.out);
    assert!(said.out.contains("  kid: \"k1\"\n"), "{}", said.out);
    assert!(
        said.out
            .contains("\nnot checked: keys_unavailable: the request to the issuer failed: "),
        "{}",
        said.out
    );
    // Not even whose token it is.
    let said = gate(
        &["--discover", &format!("http://{address}"), "--any-audience"],
        key().sign(&claims("a")).unwrap(),
    );
    assert_eq!(said.code, 3, "{}", said.out);
    assert!(
        said.out.contains("\nnot checked: keys_unavailable: ")
            && !said.out.contains("unknown_issuer"),
        "{}",
        said.out
    );
}

#[test]
fn a_token_on_the_command_line_is_refused_and_not_repeated() {
    let files = Files::new();
    let keys = files.write("jwks.json", jwks(&key()));
    for arguments in [
        &["--jwks", keys.as_str(), "aaa.secret.ccc"][..],
        &["aaa.secret.ccc", "--jwks", keys.as_str()][..],
    ] {
        let said = gate(arguments, "");
        assert_eq!((said.code, said.out.as_str()), (2, ""));
        assert!(
            said.err.contains("use standard input, or --token FILE"),
            "{}",
            said.err
        );
        assert!(!said.err.contains("secret"), "{}", said.err);
    }
}

#[test]
fn options_that_contradict_are_errors() {
    let files = Files::new();
    let keys = files.write("jwks.json", jwks(&key()));
    let keys = keys.as_str();
    for arguments in [
        &["--issuer", "a"][..],
        &["--jwks", keys, "--pem", keys],
        &["--jwks", keys, "--algorithm", "RS256"],
        &["--jwks", keys, "--leeway", "301"],
        &["--jwks", keys, "--typ", "application/"],
        &["--jwks", keys, "--audience", "a", "--any-audience"],
        &["--jwks", keys, "--explain"],
        &["--jwks", keys, "--optional"],
        &["--jwks", keys, "--cookie", "c"],
        &["--jwks", keys, "--leeway", "1", "--leeway", "2"],
        &["--jwks", keys, "--port", "0", "--port", "0"],
        &["--jwks", keys, "--token", "a", "--token", "b"],
        &["--jwks", keys, "--scope-claim", "roles"],
        &["--jwks", keys, "--issuer", ""],
        &["--jwks", keys, "--rfc9068"],
        &["--jwks", keys, "--issuer", "a", "--rfc9068"],
        &["--jwks", keys, "--unknown"],
        &["--jwks", keys, "-x"],
        &["--jwks", "/nonexistent"],
        &["--discover", "https://id.test", "--issuer", "a"],
        &["--discover", "https://id.test", "--port", "0"],
    ] {
        let said = gate(arguments, "");
        assert_eq!(
            (said.code, said.out.as_str()),
            (2, ""),
            "{arguments:?} {}",
            said.err
        );
        assert!(
            said.err.starts_with("gate: ") && !said.err.contains("panicked"),
            "{}",
            said.err
        );
    }
    for help in ["--help", "-h"] {
        let said = gate(&[help], "");
        assert_eq!(said.code, 0);
        for part in [
            "--discover ISSUER",
            "examples:",
            "exit codes:",
            "HTTPS_PROXY",
        ] {
            assert!(said.out.contains(part), "{part}");
        }
    }
    let version = format!("gate {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(gate(&["--version"], "").out, version);
}

#[test]
fn it_explains_the_rejections_of_requests() {
    let (files, key) = (Files::new(), key());
    let keys = files.write("jwks.json", jwks(&key));
    let mut gate = Command::new(env!("CARGO_BIN_EXE_gate"))
        .args([
            "--jwks",
            &keys,
            "--audience",
            "api-2",
            "--port",
            "0",
            "--explain",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(gate.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("Listening on http://").unwrap();
    let address = address.strip_suffix("/claims").unwrap();
    let ask = |authorization: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        let head = format!("GET /claims HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        write!(stream, "{head}{authorization}\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let token = key.sign(&claims("https://secret.test")).unwrap();
    assert!(ask("").starts_with("HTTP/1.1 401 "));
    let answer = ask(&format!("Authorization: Bearer {token}\r\n"));
    assert!(
        answer.starts_with("HTTP/1.1 401 ") && !answer.contains("api-2"),
        "{answer}"
    );
    gate.kill().unwrap();
    let mut explained = String::new();
    gate.stderr
        .take()
        .unwrap()
        .read_to_string(&mut explained)
        .unwrap();
    gate.wait().unwrap();
    let lines: Vec<Value> = explained
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        lines,
        [
            json!({ "kind": "missing_token", "stage": "request", "status": 401,
                "reason": "looked for in: `Authorization: Bearer`" }),
            json!({ "kind": "wrong_audience", "stage": "claims", "status": 401,
                "reason": "expected `aud`: \"api-2\"" }),
        ]
    );
}

#[test]
fn a_check_that_was_not_made_is_not_called_ok() {
    let (files, key) = (Files::new(), key());
    let keys = files.write("jwks.json", jwks(&key));
    let token = key.sign(&claims("https://id.test")).unwrap();
    let said = gate(&["--jwks", &keys, "--any-audience"], &token);
    assert_eq!(said.code, 0, "{}", said.out);
    for (check, verdict) in [
        ("iss", "not checked (no --issuer)"),
        ("aud", "not checked (--any-audience)"),
        ("other required claims", "not checked (no --rfc9068)"),
        ("scopes", "not checked (no --scope)"),
        ("signature", "ok"),
        ("issuer of the key", "ok"),
    ] {
        assert_eq!(said.verdict(check), verdict, "{check}");
    }
    let without_audience = key.sign(&json!({ "exp": LATE })).unwrap();
    let said = gate(&["--jwks", &keys], without_audience);
    let verdict = "not checked (no --audience, and the token has no aud)";
    assert_eq!(said.verdict("aud"), verdict);
}

#[test]
fn a_wrong_issuer_is_named_with_keys_of_a_url() {
    let key = key();
    let published = jwks(&key);
    let origin = serve(move |_, _| published.clone());
    let options = ["--jwks-url", &origin, "--issuer", "foo", "--any-audience"];
    let said = gate(&options, key.sign(&claims("https://secret.test")).unwrap());
    assert_eq!(said.code, 1, "{}", said.err);
    assert_eq!(said.verdict("signature"), "ok");
    let expected = r#"rejected: wrong_issuer: expected `iss`: "foo""#;
    assert_eq!(said.verdict("iss"), expected);
    // The key is missing in these keys, and in the next.
    let other = SigningKey::generate(Algorithm::ES256)
        .unwrap()
        .with_key_id("k2");
    let said = gate(
        &options,
        other.sign(&claims("https://secret.test")).unwrap(),
    );
    assert!(!said.out.contains("secret"), "{}", said.out);
    assert_eq!(said.verdict("iss"), expected);
    assert_eq!(said.verdict("key"), "not reached");
    let said = gate(&options, other.sign(&claims("foo")).unwrap());
    assert_eq!(
        said.verdict("key"),
        r#"rejected: no_fitting_key: the keys have `alg`: "ES256", and `kid`: "k1""#
    );
}

#[test]
fn the_name_in_the_metadata_is_shown_if_it_differs() {
    let origin = serve(|origin, _| {
        json!({ "issuer": format!("{origin}/"), "jwks_uri": format!("{origin}/keys") }).to_string()
    });
    let token = key().sign(&claims("https://secret.test")).unwrap();
    let said = gate(&["--discover", &origin, "--audience", "api"], &token);
    assert_eq!(said.code, 3, "{}{}", said.out, said.err);
    let expected = format!("metadata: name \"{origin}/\", you gave \"{origin}\"\n");
    assert!(said.out.contains(&expected), "{}", said.out);
    assert!(!said.out.contains("secret"), "{}", said.out);

    let address = "https://id.test/.well-known/openid-configuration";
    let said = gate(&["--discover", address], &token);
    assert_eq!(said.code, 2);
    let expected = "cut off /.well-known/openid-configuration";
    assert!(said.err.contains(expected), "{}", said.err);
}

#[test]
fn what_was_pasted_wrongly_is_said_so() {
    let (files, key) = (Files::new(), key());
    let keys = files.write("jwks.json", jwks(&key));
    let token = key.sign(&claims("https://id.test")).unwrap();
    let (start, end) = token.split_at(40);
    for (input, told) in [
        (String::new(), "no token was read"),
        (
            format!("Authorization: Bearer {token}"),
            "leave out `Authorization:`",
        ),
        (format!("'{token}'"), "leave out the quotes"),
        (format!("{token}\n{token}"), "more than one token"),
        (format!("{start}\n{end}"), "the token contains line breaks"),
    ] {
        let said = gate(&["--jwks", &keys, "--any-audience"], input);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{}", said.err);
        assert!(said.err.contains(told), "{}", said.err);
        assert!(!said.err.contains(start), "{}", said.err);
    }
    let said = gate(&["--jwks", &keys], format!("{token}=="));
    assert_eq!(said.code, 1);
    assert!(
        said.out.contains("hint: a segment ends in `=`"),
        "{}",
        said.out
    );
    // {"alg":"none"}
    let payload = token.split('.').nth(1).unwrap();
    let said = gate(
        &["--jwks", &keys],
        format!("eyJhbGciOiJub25lIn0.{payload}."),
    );
    assert_eq!(said.code, 1);
    assert!(
        said.out.contains("hint: the token is unsigned"),
        "{}",
        said.out
    );
}

#[test]
fn scopes_are_checked_if_they_are_required() {
    let (files, key) = (Files::new(), key());
    let keys = files.write("jwks.json", jwks(&key));
    let token = json!({ "exp": LATE, "scope": "read secret", "realm": { "roles": ["admin"] } });
    let token = key.sign(&token).unwrap();
    let said = |more: &[&str]| gate(&[&["--jwks", &keys], more].concat(), &token);
    let granted = said(&["--scope", "read"]);
    assert_eq!((granted.code, granted.verdict("scopes")), (0, "ok"));
    let nested = [
        "--scope",
        "admin",
        "--scope-claim",
        "realm",
        "--scope-claim",
        "roles",
    ];
    assert_eq!(said(&nested).code, 0);
    let lacking = said(&["--scope", "read", "--scope", "write"]);
    assert_eq!(lacking.code, 1);
    assert_eq!(
        lacking.verdict("scopes"),
        r#"rejected: insufficient_scope: expected scope: "read write""#
    );
    assert!(lacking.out.contains("\nrejected: insufficient_scope: "));
    assert!(!lacking.out.contains("secret"), "{}", lacking.out);
    let rejected = said(&["--scope", "read", "--issuer", "a"]);
    assert_eq!(rejected.verdict("scopes"), "not reached");
}

#[test]
fn messages_name_options_and_values() {
    let files = Files::new();
    let keys = files.write("jwks.json", jwks(&key()));
    let none = files.write("empty.pem", "");
    let keys = keys.as_str();
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = busy.local_addr().unwrap().port().to_string();
    let busy = format!("127.0.0.1:{port}");
    for (arguments, told) in [
        (
            &["--jwks", keys, "--leeway", "abc"][..],
            "--leeway: \"abc\" is not a number from 0 to 300",
        ),
        (
            &["--jwks", keys, "--port", "x"],
            "--port: \"x\" is not a number from 0 to 65535",
        ),
        (&["--jwks", keys, "--audience", ""], "--audience is empty"),
        (
            &["--secret-file", keys, "--algorithm", "rs256"],
            "--algorithm \"rs256\": not the name of an algorithm, did you mean RS256?",
        ),
        (&["--jwks", keys, "--scope", "a b"], "--scope \"a b\": "),
        (&["--pem", &none], &none),
        (&["--jwks", &none], &none),
        (&["--secret-file", &none], &none),
        (&["--jwks", keys, "--any-audience", "--port", &port], &busy),
        (
            &["--discover", "http://id.test"],
            "--discover \"http://id.test\": use https",
        ),
        (
            &["--jwks-url", "https://a:secret@id.test"],
            "--jwks-url: leave out the user",
        ),
    ] {
        let said = gate(arguments, "");
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{}", said.err);
        assert!(said.err.contains(told), "{}", said.err);
        assert!(
            !said.err.contains("allow_http") && !said.err.contains("secret@"),
            "{}",
            said.err
        );
    }
    let key = key();
    let keys = files.write("other.json", jwks(&key));
    let said = gate(&["--jwks", &keys], key.sign(&claims("a")).unwrap());
    assert!(
        said.out.contains("give --audience NAME or --any-audience"),
        "{}",
        said.out
    );
}

#[test]
fn a_secret_in_base64_is_hinted_at() {
    let files = Files::new();
    let secret = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    let file = files.write("secret", format!("{secret}\n"));
    let key = SigningKey::hs256("0123456789abcdef0123456789abcdef").unwrap();
    let said = gate(
        &["--secret-file", &file],
        key.sign(&json!({ "exp": LATE })).unwrap(),
    );
    assert_eq!(said.verdict("signature"), "rejected: bad_signature");
    assert_eq!(said.verdict("issuer of the key"), "not reached");
    let hint = "hint: the secret has 44 bytes; if it is base64 text, decode it first";
    assert!(said.out.contains(hint), "{}", said.out);
    assert!(!said.out.contains(secret), "{}", said.out);
}
