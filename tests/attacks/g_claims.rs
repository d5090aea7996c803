//! Times and claims: missing, expired, of the wrong type, at the bounds.

use std::fmt::Debug;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tower_jwt_auth::claims::RegisteredClaims;
use tower_jwt_auth::clock::Clock;
use tower_jwt_auth::keys::{Algorithm, SigningKey, VerifyingKey};
use tower_jwt_auth::{Claims, JwtAuthLayer, VerifiedToken, Verifier, VerifyErrorKind};

use crate::log::Log;
use crate::support::{
    NOW, app, base64url, bearer, claims, clock, good, hs256, hs256_token, layer, panics,
};

/// A layer whose tokens may be as long as any.
fn long() -> JwtAuthLayer {
    layer().max_token_length(64 * 1024)
}

/// `{"exp": …}` with this text for a number.
fn exp(number: &str) -> String {
    hs256_token(format!(r#"{{"sub":"alice","exp":{number}}}"#))
}

/// Good claims, with this text for a further one.
fn with_claim(name: &str, json: &str) -> String {
    hs256_token(format!(r#"{{"exp":{},"{name}":{json}}}"#, NOW + 300))
}

#[tokio::test]
async fn g01_expiry_at_its_edges() {
    for leeway in [0, 30, 300] {
        let app = app(layer().leeway(Duration::from_secs(leeway)));
        for (date, alive) in [
            (NOW - leeway - 1, false),
            (NOW - leeway, false),
            (NOW - leeway + 1, true),
            (NOW + leeway + 1, true),
        ] {
            let answer = bearer(&app, &exp(&date.to_string())).await;
            match alive {
                true => assert_eq!(answer.accepted()["exp"], date),
                false => answer.refused(VerifyErrorKind::Expired),
            }
        }
    }
}

#[tokio::test]
async fn g01_expiry_to_the_nanosecond() {
    let default = Verifier::DEFAULT_LEEWAY;
    for leeway in [Duration::ZERO, default, Verifier::MAX_LEEWAY] {
        let clock = clock();
        let layer = match leeway {
            _ if leeway == default => layer(),
            _ => layer().leeway(leeway),
        };
        let app = app(layer.clock(clock.clone()));
        let token = exp(&(NOW + 60).to_string());
        bearer(&app, &token).await.accepted();
        clock.advance(Duration::from_secs(60) + leeway - Duration::from_nanos(1));
        bearer(&app, &token).await.accepted();
        clock.advance(Duration::from_nanos(1));
        let answer = bearer(&app, &token).await;
        answer.refused(VerifyErrorKind::Expired);
    }
}

#[test]
fn g01_a_leeway_of_more_than_five_minutes() {
    let beyond = Verifier::MAX_LEEWAY + Duration::from_nanos(1);
    for leeway in [beyond, Duration::from_secs(301), Duration::MAX] {
        assert!(panics(|| Verifier::new(hs256()).leeway(leeway)));
        assert!(panics(|| layer().leeway(leeway)));
    }
    assert!(!panics(|| layer().leeway(Verifier::MAX_LEEWAY)));
}

#[tokio::test]
async fn g02_an_expiry_that_is_no_number() {
    let app = app(layer());
    for json in [
        r#""123""#,
        r#""never""#,
        r#""1800000300""#,
        r#""""#,
        "null",
        "true",
        "false",
        "[]",
        "[1800000300]",
        "{}",
        r#"{"$serde_json::private::Number":"1800000300"}"#,
    ] {
        let answer = bearer(&app, &exp(json)).await;
        answer.refused(VerifyErrorKind::MalformedClaims);
    }
    for payload in [r#"{"sub":"alice"}"#, "{}", r#"{"EXP":1800000300}"#] {
        let answer = bearer(&app, &hs256_token(payload)).await;
        answer.refused(VerifyErrorKind::MissingExpiry);
    }
    bearer(&app, &exp("1800000300")).await.accepted();
}

#[tokio::test]
async fn g02_a_repeated_expiry() {
    let app = app(layer());
    for payload in [
        r#"{"exp":1800000300,"exp":1800000300}"#,
        r#"{"exp":1,"exp":1800000300}"#,
        r#"{"exp":1800000300,"exp":1}"#,
        r#"{"exp":1800000300,"\u0065xp":1800000300}"#,
        r#"{"exp":1800000300,"exp":null}"#,
    ] {
        let answer = bearer(&app, &hs256_token(payload)).await;
        answer.refused(VerifyErrorKind::MalformedClaims);
    }
    let once = hs256_token(r#"{"\u0065xp":1800000300,"EXP":1,"x":{"exp":1}}"#);
    bearer(&app, &once).await.accepted();
}

/// Texts that are no date within bounds.
const NO_DATES: [&str; 22] = [
    "1e999",
    "-1e999",
    "NaN",
    "Infinity",
    "-1",
    "-0.5",
    "-1e-9",
    "-1800000300",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "1e20",
    "1e308",
    // Milliseconds, as JavaScript counts.
    "1800000300000",
    "253402300800",
    "253402300799.5",
    "01800000300",
    "+1800000300",
    "0x6b49d32c",
    "1800000300.",
];

#[tokio::test]
async fn g03_numbers_at_the_edges() {
    let app = app(layer());
    for number in NO_DATES {
        for token in [
            exp(number),
            with_claim("nbf", number),
            with_claim("iat", number),
        ] {
            let answer = bearer(&app, &token).await;
            answer.refused(VerifyErrorKind::MalformedClaims);
        }
    }
    for number in [
        "0",
        "-0",
        "-0.0",
        "0e0",
        "1.5",
        "1e3",
        "1e-400",
        "1799999969.5",
        "1799999970",
    ] {
        let answer = bearer(&app, &exp(number)).await;
        answer.refused(VerifyErrorKind::Expired);
        let start = with_claim("nbf", number);
        bearer(&app, &start).await.accepted();
    }
    for number in [
        "1799999970.5",
        "1800000300",
        "1800000300.0",
        "1800000300.5",
        "1.8000003e9",
        "18000003e2",
        "253402300799",
    ] {
        bearer(&app, &exp(number)).await.accepted();
    }
    for (claim, kind) in [
        ("nbf", VerifyErrorKind::NotYetValid),
        ("iat", VerifyErrorKind::IssuedInFuture),
    ] {
        for number in ["253402300799", "1.8000003e9", "1800000030.5"] {
            let answer = bearer(&app, &with_claim(claim, number)).await;
            answer.refused(kind);
        }
    }
}

#[tokio::test]
async fn g04_beginnings_in_the_future() {
    for leeway in [0, 30, 300] {
        let app = app(layer().leeway(Duration::from_secs(leeway)));
        for (claim, kind) in [
            ("nbf", VerifyErrorKind::NotYetValid),
            ("iat", VerifyErrorKind::IssuedInFuture),
        ] {
            let token = |date: u64| with_claim(claim, &date.to_string());
            bearer(&app, &token(NOW - 1)).await.accepted();
            if leeway < 300 {
                bearer(&app, &token(NOW + leeway)).await.accepted();
            }
            for date in [NOW + leeway + 1, NOW + 1_000_000] {
                let token = json!({ "exp": NOW + 2_000_000, claim: date });
                let answer = bearer(&app, &hs256_token(token.to_string())).await;
                answer.refused(kind);
            }
        }
    }
}

#[tokio::test]
async fn g04_beginnings_that_are_no_numbers() {
    let app = app(layer());
    for claim in ["nbf", "iat"] {
        for json in [
            r#""1799999000""#,
            r#""yesterday""#,
            "null",
            "true",
            "[]",
            "{}",
        ] {
            let answer = bearer(&app, &with_claim(claim, json)).await;
            answer.refused(VerifyErrorKind::MalformedClaims);
        }
        bearer(&app, &with_claim(claim, "1799999000"))
            .await
            .accepted();
    }
}

#[tokio::test]
async fn g04_an_expiry_before_the_issue() {
    let app = app(layer());
    for (exp, iat, alive) in [
        (NOW - 10, NOW - 9, false),
        (NOW + 10, NOW + 11, false),
        (NOW + 10, NOW + 10, true),
        (NOW + 10, NOW, true),
    ] {
        let token = hs256_token(claims(json!({ "exp": exp, "iat": iat })));
        let answer = bearer(&app, &token).await;
        match alive {
            true => assert_eq!(answer.accepted()["exp"], exp),
            false => answer.refused(VerifyErrorKind::ExpiresBeforeIssued),
        }
    }
}

#[tokio::test]
async fn g05_the_clock_steps_back() {
    let clock = clock();
    let app = app(layer().clock(clock.clone()));
    let dated = good();
    let undated = exp(&(NOW + 300).to_string());
    for token in [&dated, &undated] {
        bearer(&app, token).await.accepted();
    }
    for by in [3600, NOW, u64::MAX] {
        clock.step_back(Duration::from_secs(by));
        let answer = bearer(&app, &dated).await;
        answer.refused(VerifyErrorKind::IssuedInFuture);
        bearer(&app, &undated).await.accepted();
    }
    // Far ahead, and back again.
    clock.advance(Duration::MAX);
    for token in [&dated, &undated] {
        let answer = bearer(&app, token).await;
        answer.refused(VerifyErrorKind::Expired);
    }
    clock.set(NOW);
    for token in [&dated, &undated] {
        bearer(&app, token).await.accepted();
    }
}

#[tokio::test]
async fn g05_a_clock_before_the_epoch() {
    struct Broken(Duration);

    impl Clock for Broken {
        fn now(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH - self.0
        }
    }

    let token = exp(&(NOW + 300).to_string());
    for by in [1, NOW * 1_000_000_000] {
        let app = app(layer().clock(Broken(Duration::from_nanos(by))));
        let answer = bearer(&app, &token).await;
        answer.refused(VerifyErrorKind::Expired);
    }
    let app = app(layer().clock(Broken(Duration::ZERO)));
    bearer(&app, &token).await.accepted();
}

#[tokio::test]
async fn g07_audiences() {
    use VerifyErrorKind::{MalformedClaims, MissingAudience, UnexpectedAudience, WrongAudience};

    let thousands = |last: &str| {
        let mut names = vec!["x"; 10_000];
        names.push(last);
        json!(names).to_string()
    };
    let configured = app(long().audience("api"));
    let bare = app(long());
    let any = app(long().any_audience());
    // Refused by the layer with an audience, and by that without.
    for json in [
        r#""""#,
        r#"[""]"#,
        r#""ap""#,
        r#""pi""#,
        r#""api2""#,
        r#""my-api""#,
        r#""API""#,
        r#"" api""#,
        r#""api ""#,
        r#""api\u0000""#,
        r#""api,other""#,
        r#""*""#,
        r#"["ap","i"]"#,
        r#"["API","api/"]"#,
        &thousands("ap"),
    ] {
        let token = with_claim("aud", json);
        bearer(&configured, &token).await.refused(WrongAudience);
        bearer(&bare, &token).await.refused(UnexpectedAudience);
        bearer(&any, &token).await.accepted();
    }
    for json in [
        "1",
        "null",
        "true",
        "{}",
        r#"{"api":true}"#,
        r#"["api",1]"#,
        r#"["api",null]"#,
        r#"[["api"]]"#,
    ] {
        for app in [&configured, &bare, &any] {
            let answer = bearer(app, &with_claim("aud", json)).await;
            answer.refused(MalformedClaims);
        }
    }
    for json in [
        r#""api""#,
        r#""\u0061pi""#,
        r#"["api"]"#,
        r#"["other","api"]"#,
        &thousands("api"),
    ] {
        let token = with_claim("aud", json);
        bearer(&configured, &token).await.accepted();
        bearer(&bare, &token).await.refused(UnexpectedAudience);
        bearer(&any, &token).await.accepted();
    }
    let token = good();
    bearer(&configured, &token).await.refused(MissingAudience);
    bearer(&bare, &token).await.accepted();
    bearer(&any, &token).await.accepted();
    let twice = hs256_token(r#"{"exp":1800000300,"aud":"x","aud":"api"}"#);
    bearer(&configured, &twice).await.refused(MalformedClaims);
}

/// Ory Hydra writes `"aud":[]` where no audience was requested.
#[tokio::test]
async fn g07_an_empty_array_names_no_audience() {
    let token = with_claim("aud", "[]");
    for layer in [layer(), layer().any_audience()] {
        bearer(&app(layer.clone()), &token).await.accepted();
        let typed = typed::<RegisteredClaims>(layer.clone());
        bearer(&typed, &token).await.accepted();
    }
    for layer in [
        layer().audience("api"),
        layer().audience("api").any_audience(),
        layer().audience("[]"),
    ] {
        let answer = bearer(&app(layer), &token).await;
        answer.refused(VerifyErrorKind::WrongAudience);
    }
    // An array within the array is still no audience.
    for json in ["[[]]", "[{}]", "[null]"] {
        let answer = bearer(&app(layer().any_audience()), &with_claim("aud", json)).await;
        answer.refused(VerifyErrorKind::MalformedClaims);
    }
}

#[tokio::test]
async fn g07_an_audience_with_any_audience_still_applies() {
    let app = app(layer().any_audience().audience("api"));
    bearer(&app, &with_claim("aud", r#""api""#))
        .await
        .accepted();
    let answer = bearer(&app, &with_claim("aud", r#""else""#)).await;
    answer.refused(VerifyErrorKind::WrongAudience);
    let answer = bearer(&app, &good()).await;
    answer.refused(VerifyErrorKind::MissingAudience);
}

#[tokio::test]
async fn g07_an_empty_audience_cannot_be_configured() {
    assert!(panics(|| layer().audience("")));
    assert!(panics(|| layer().issuer("")));
    assert!(!panics(|| layer().audience("api").issuer("id")));
}

#[tokio::test]
async fn g08_names_that_are_no_strings() {
    let app = app(layer());
    for claim in ["sub", "jti", "sid", "iss"] {
        for json in ["1", "1.5", "[]", r#"["alice"]"#, "{}", "true", "null"] {
            let answer = bearer(&app, &with_claim(claim, json)).await;
            answer.refused(VerifyErrorKind::MalformedClaims);
        }
        // Half of a surrogate pair is no string either.
        let answer = bearer(&app, &with_claim(claim, r#""\ud800""#)).await;
        answer.refused(VerifyErrorKind::MalformedClaims);
        for json in [r#""alice""#, r#""""#, r#""\u0000""#, r#""\ud83d\ude00""#] {
            bearer(&app, &with_claim(claim, json)).await.accepted();
        }
    }
}

#[tokio::test]
async fn g08_an_id_of_four_kilobytes() {
    async fn id(token: VerifiedToken) -> String {
        json!(token.token_id()).to_string()
    }

    let app = Router::new().route("/claims", get(id)).layer(layer());
    let long = "i".repeat(4096);
    for jti in [&*long, "i", "", "é\u{0}\"\\"] {
        let token = hs256_token(claims(json!({ "jti": jti })));
        assert_eq!(bearer(&app, &token).await.accepted(), jti);
    }
    assert_eq!(bearer(&app, &good()).await.accepted(), Value::Null);
}

/// `GET /claims` extracts them as `T`.
fn typed<T: DeserializeOwned + Send + Sync + 'static>(layer: JwtAuthLayer) -> Router {
    async fn extract<T: Send + Sync>(_: Claims<T>) -> &'static str {
        "{}"
    }
    Router::new()
        .route("/claims", get(extract::<T>))
        .layer(layer)
}

#[tokio::test]
async fn g11_payloads_that_are_no_claims() {
    let app = app(layer());
    let utf8 = |before: &str, bytes: &[u8], after: &str| {
        let payload = [before.as_bytes(), bytes, after.as_bytes()].concat();
        let text = String::from_utf8_lossy(&payload).into_owned();
        (hs256_token(payload), hs256_token(text))
    };
    for payload in [
        "[]",
        r#"[{"exp":1800000300}]"#,
        r#""{\"exp\":1800000300}""#,
        "1800000300",
        "null",
        "true",
        " ",
        "{",
        r#"{"exp":1800000300"#,
        r#"{"exp":1800000300}}"#,
        r#"{"exp":1800000300}{}"#,
        r#"{"exp":1800000300} x"#,
        r#"{"exp":1800000300,}"#,
        r#"{'exp':1800000300}"#,
        r#"{exp:1800000300}"#,
        "{\"exp\":1800000300}\0",
        "\u{feff}{\"exp\":1800000300}",
        "/**/{\"exp\":1800000300}",
        "{\"exp\":1800000300,\"x\":\"a\nb\"}",
        "[1800000300,1800000300,1800000300]",
    ] {
        let answer = bearer(&app, &hs256_token(payload)).await;
        answer.refused(VerifyErrorKind::MalformedClaims);
    }
    // In a claim that is read, in one that is not, in a name, and around the whole. As text it
    // would be valid.
    for bytes in [
        &[0xff][..],
        &[0xc0, 0x80],
        &[0xed, 0xa0, 0x80],
        &[0xe2, 0x82],
    ] {
        for (before, after) in [
            (r#"{"exp":1800000300,"sub":""#, r#""}"#),
            (r#"{"exp":1800000300,"x":""#, r#""}"#),
            (r#"{"exp":1800000300,"x":[{"y":""#, r#""}]}"#),
            (r#"{"exp":1800000300,""#, r#"":1}"#),
        ] {
            let (raw, lossy) = utf8(before, bytes, after);
            let answer = bearer(&app, &raw).await;
            answer.refused(VerifyErrorKind::MalformedClaims);
            bearer(&app, &lossy).await.accepted();
        }
    }
    for payload in [
        " {\"exp\" : 1800000300}\r\n\t",
        r#"{"exp":1800000300,"":0}"#,
    ] {
        bearer(&app, &hs256_token(payload)).await.accepted();
    }
}

#[tokio::test]
async fn g11_nested_up_to_the_length_cap() {
    #[derive(Deserialize)]
    struct Flat {
        #[serde(flatten)]
        _rest: Map<String, Value>,
    }

    const DEEPEST: usize = 18_000;
    let payload = |open: &str, close: &str, depth: usize| {
        let value = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        format!(r#"{{"exp":1800000300,"x":{value}}}"#)
    };
    let value = typed::<Value>(long());
    let flat = typed::<Flat>(long());
    let registered = typed::<RegisteredClaims>(long());
    let raw = typed::<Box<RawValue>>(long());
    for (open, close, depth) in [
        ("[", "]", DEEPEST),
        (r#"{"":"#, "}", DEEPEST / 3),
        (r#"[{"":"#, "}]", DEEPEST / 4),
    ] {
        let token = hs256_token(payload(open, close, depth));
        assert!((40_000..65_536).contains(&token.len()), "{}", token.len());
        // Whatever the handler asks for.
        for app in [&value, &flat, &registered, &raw] {
            let answer = bearer(app, &token).await;
            answer.refused(VerifyErrorKind::MalformedClaims);
        }
        let shallow = hs256_token(payload(open, close, 30));
        for app in [&value, &flat, &registered, &raw] {
            bearer(app, &shallow).await.accepted();
        }
        // Never closed.
        for app in [&value, &registered] {
            let token = hs256_token(payload(open, "", depth));
            let answer = bearer(app, &token).await;
            answer.refused(VerifyErrorKind::MalformedClaims);
        }
    }
    for claim in ["exp", "aud", "cnf", "sub"] {
        let token = hs256_token(format!(
            r#"{{"{claim}":{}{}}}"#,
            "[".repeat(DEEPEST),
            "]".repeat(DEEPEST)
        ));
        let answer = bearer(&registered, &token).await;
        answer.refused(VerifyErrorKind::MalformedClaims);
    }
    let deep = format!("{}{}", "[".repeat(DEEPEST), "]".repeat(DEEPEST));
    let answer = bearer(&registered, &hs256_token(&deep)).await;
    answer.refused(VerifyErrorKind::MalformedClaims);
    for name in ["cnf", "events"] {
        let token = with_claim(name, &format!(r#"{{"jkt":{deep}}}"#));
        let answer = bearer(&registered, &token).await;
        answer.refused(VerifyErrorKind::MalformedClaims);
    }
    // The cap itself.
    let answer = bearer(&value, &format!("{}.a.a", base64url(deep.repeat(2)))).await;
    answer.refused(VerifyErrorKind::TooLong);
}

/// The payload itself is the first level. Brackets within strings are none.
#[tokio::test]
async fn g11_as_deep_as_serde_json_reads_and_no_deeper() {
    let apps = [
        typed::<Value>(long()),
        typed::<RegisteredClaims>(long()),
        typed::<Box<RawValue>>(long()),
    ];
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    for (levels, is_read) in [(126, true), (127, false), (128, false), (24_000, false)] {
        for json in [
            nested(levels),
            nested(levels).replacen('[', r#"["]]]]\\\"]]]]","#, 1),
            format!("[1,{}]", nested(levels - 1)),
        ] {
            let payload = format!(r#"{{"exp":1800000300,"x":{json}}}"#);
            assert_eq!(serde_json::from_str::<Value>(&payload).is_ok(), is_read);
            for app in &apps {
                let answer = bearer(app, &hs256_token(&payload)).await;
                match is_read {
                    true => drop(answer.accepted()),
                    false => answer.refused(VerifyErrorKind::MalformedClaims),
                }
            }
        }
    }
}

#[tokio::test]
async fn g11_as_many_claims_as_the_length_cap_allows() {
    let app = typed::<Value>(long());
    let many: String = (0..5_000).map(|index| format!(r#","{index}":0"#)).collect();
    let token = hs256_token(format!(r#"{{"exp":1800000300{many}}}"#));
    bearer(&app, &token).await.accepted();
    let answer = bearer(
        &app,
        &hs256_token(format!(r#"{{"exp":1800000300{many},"exp":1}}"#)),
    )
    .await;
    answer.refused(VerifyErrorKind::MalformedClaims);
}

#[derive(Debug, Deserialize)]
struct User {
    #[expect(dead_code, reason = "only read")]
    level: u8,
}

#[tokio::test]
async fn g13_claims_of_another_type() {
    async fn required<T: Debug>(Claims(user): Claims<T>) -> String {
        json!(format!("{user:?}")).to_string()
    }
    async fn optional<T: Debug>(user: Option<Claims<T>>) -> String {
        json!(format!("{:?}", user.map(|Claims(user)| user))).to_string()
    }
    async fn by_hand(token: VerifiedToken) -> String {
        let refused = token.claims::<User>().map_err(|error| error.kind());
        json!(format!("{refused:?}")).to_string()
    }

    let log = Log::start();
    let service = |handler| Router::new().route("/claims", handler);
    for app in [
        service(get(required::<User>)).layer(layer()),
        service(get(optional::<User>)).layer(layer()),
        service(get(optional::<User>)).layer(layer().optional()),
    ] {
        for level in [
            json!("canary"),
            json!(256),
            json!(-1),
            json!(1.5),
            json!(null),
            json!([1]),
        ] {
            let token = hs256_token(claims(json!({ "level": level })));
            let answer = bearer(&app, &token).await;
            answer.refused(VerifyErrorKind::ClaimsMismatch);
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
            told_of_mismatch(&log.take());
        }
        // Missing, and twice: the second is no business of the verifier, but of the type.
        for payload in [
            claims(json!({})),
            r#"{"exp":1800000300,"level":1,"level":1}"#.to_owned(),
        ] {
            let answer = bearer(&app, &hs256_token(payload)).await;
            answer.refused(VerifyErrorKind::ClaimsMismatch);
            told_of_mismatch(&log.take());
        }
        let token = hs256_token(claims(json!({ "level": 3 })));
        assert!(
            bearer(&app, &token)
                .await
                .body
                .contains("User { level: 3 }")
        );
        assert_eq!(log.take(), [""; 0]);
    }

    // A service may ignore the error. Then nothing was rejected, and nothing is logged.
    let app = service(get(by_hand)).layer(layer());
    let answer = bearer(&app, &good()).await.accepted();
    assert_eq!(answer, "Err(ClaimsMismatch)");
    assert_eq!(log.take(), [""; 0]);
}

#[cfg(feature = "tracing")]
#[track_caller]
fn told_of_mismatch(lines: &[String]) {
    let [line] = lines else {
        assert_eq!(lines.len(), 1, "{lines:?}");
        return;
    };
    assert!(line.starts_with("WARN tower_jwt_auth"), "{line}");
    assert!(line.contains(r#"kind="claims_mismatch""#), "{line}");
    assert!(line.contains("column"), "{line}");
    assert!(!line.contains("canary"), "{line}");
}

#[cfg(not(feature = "tracing"))]
fn told_of_mismatch(lines: &[String]) {
    assert_eq!(lines, [""; 0]);
}

#[test]
fn g11_a_key_that_is_nested_without_end_is_refused_and_overflows_nothing() {
    for levels in [20, 400, 20_000] {
        let mut der: Vec<u8> = Vec::new();
        for _ in 0..levels {
            let length = u32::try_from(der.len()).unwrap().to_be_bytes();
            der = [&[0x30, 0x83], &length[1..], &der].concat();
        }
        let body = base64_simd::STANDARD.encode_to_string(&der);
        for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
            assert!(VerifyingKey::from_der(algorithm, &der).is_err());
            assert!(SigningKey::from_der(algorithm, &der).is_err());
            for label in ["PUBLIC KEY", "CERTIFICATE", "PRIVATE KEY"] {
                let pem = format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
                assert!(VerifyingKey::from_pem(algorithm, &pem).is_err());
                assert!(SigningKey::from_pem(algorithm, &pem).is_err());
            }
        }
    }
}
