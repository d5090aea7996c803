//! Rejections and logs: they hold no token, no key, no claim and no message of a library.

use std::error::Error;
use std::fmt::{Debug, Display, Write};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, SET_COOKIE, WWW_AUTHENTICATE};
use http::{HeaderValue, Request, Response, StatusCode};
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tower::Layer;
use tower_jwt_auth::claims::{Audience, NumericDate, RegisteredClaims};
use tower_jwt_auth::cookie::TokenCookie;
use tower_jwt_auth::csrf::CsrfLayer;
use tower_jwt_auth::keys::{
    Algorithm, JwksOptions, KeyError, KeySet, SigningKey, TokenHeader, VerifyingKey,
};
use tower_jwt_auth::middleware::{EmptyBody, ProblemJson, Respond};
use tower_jwt_auth::verify::{IntoTrust, Keys};
use tower_jwt_auth::{
    AuthError, AuthErrorKind, Claims, JwtAuthLayer, TokenSource, TrustedIssuer, VerifiedToken,
    Verifier, VerifyErrorKind,
};

use crate::support::{
    Answer, ED25519, NOW, P256, RSA, Signer, base64url, clock, ec_jwk, ed25519_key, forge,
    p256_key, panics, rsa_jwk, rsa_key, send, with_headers,
};

/// Part of everything that must stay secret: claims and their names, header members, the secret.
const CANARY: &str = "canary";

const SECRET: &[u8] = b"a canary: thirty-two bytes secret";

fn key() -> VerifyingKey {
    VerifyingKey::hs256(SECRET).unwrap()
}

fn layer() -> JwtAuthLayer {
    JwtAuthLayer::new(key()).clock(clock())
}

/// Claims full of canaries, with `more` laid over them.
fn payload(more: Value) -> String {
    let mut claims = json!({
        "iss": "https://canary-iss.example",
        "sub": "canary-sub",
        "jti": "canary-jti",
        "sid": "canary-sid",
        "canary-name": ["canary-value", { "canary-inner": "canary-deep" }],
        "level": 3,
        "iat": NOW,
        "exp": NOW + 300,
    });
    let more: Map<_, _> = serde_json::from_value(more).unwrap();
    claims.as_object_mut().unwrap().extend(more);
    claims.to_string()
}

fn signed(header: &str, payload: &str) -> String {
    forge(header, payload, &Signer::hmac(SECRET))
}

fn token(more: Value) -> String {
    let header = r#"{"alg":"HS256","kid":"canary-kid","canary":"canary"}"#;
    signed(header, &payload(more))
}

fn without(claim: &str) -> String {
    let mut claims: Value = serde_json::from_str(&payload(json!({}))).unwrap();
    claims.as_object_mut().unwrap().remove(claim).unwrap();
    signed(r#"{"alg":"HS256"}"#, &claims.to_string())
}

/// A way to be refused: why, by what layer, and what is sent.
struct Case {
    kind: AuthErrorKind,
    layer: Option<JwtAuthLayer>,
    method: &'static str,
    headers: Vec<(&'static str, String)>,
    /// What must not come back.
    secrets: Vec<String>,
}

impl Case {
    fn new(kind: AuthErrorKind, layer: JwtAuthLayer, headers: Vec<(&'static str, String)>) -> Self {
        Self {
            kind,
            layer: Some(layer),
            method: "GET",
            headers,
            secrets: Vec::new(),
        }
    }

    fn token(kind: VerifyErrorKind, layer: JwtAuthLayer, token: String) -> Self {
        let headers = vec![("authorization", format!("Bearer {token}"))];
        let mut case = Self::new(AuthErrorKind::InvalidToken(kind), layer, headers);
        // The beginning of a segment is enough to know it by.
        case.secrets = token
            .split('.')
            .filter(|segment| segment.len() > 8)
            .map(|segment| segment[..segment.len().min(24)].to_owned())
            .collect();
        case.secrets.push(token);
        case
    }

    async fn send<R>(&self, respond: R) -> Answer
    where
        R: Respond<Body> + Clone + Send + Sync + 'static,
    {
        #[derive(Deserialize)]
        struct User {
            #[expect(dead_code, reason = "only read")]
            level: u8,
        }
        let handler = |_: Claims<User>| async { "{}" };
        let mut app = Router::new().route("/claims", get(handler).post(handler));
        if let Some(layer) = &self.layer {
            app = app.layer(layer.clone().respond(respond));
        }
        let headers: Vec<_> = self
            .headers
            .iter()
            .map(|(name, value)| (*name, &**value))
            .collect();
        send(&app, with_headers(self.method, &headers)).await
    }
}

/// Every kind of refusal.
fn cases() -> Vec<Case> {
    use VerifyErrorKind as Kind;

    let header = |members: &str| {
        signed(
            &format!(r#"{{"alg":"HS256",{members}}}"#),
            &payload(json!({})),
        )
    };
    let several = || {
        let other = VerifyingKey::hs256("canary-secret of somebody else, as long").unwrap();
        let keys = [key().with_key_id("canary-a"), other.with_key_id("canary-b")];
        JwtAuthLayer::new(KeySet::new(keys).unwrap()).clock(clock())
    };
    let issuers =
        || JwtAuthLayer::new([TrustedIssuer::new("https://id.example", key())]).clock(clock());
    let tenants = || {
        let tenants = TrustedIssuer::tenants("https://id.example/{tenantid}", key());
        JwtAuthLayer::new(tenants.any_tenant()).clock(clock())
    };
    let of_issuer = || {
        let k = base64url(SECRET);
        let jwk = json!({ "kty": "oct", "alg": "HS256", "k": k, "issuer": "canary-issuer" });
        let key = VerifyingKey::from_jwk(jwk.to_string()).unwrap();
        JwtAuthLayer::new(key).clock(clock())
    };
    let bearer = || ("authorization", format!("Bearer {}", token(json!({}))));
    let cookie = || {
        let cookie = format!("access={}", token(json!({})));
        (layer().sources([TokenSource::cookie("access")]), cookie)
    };
    let mut cases: Vec<_> = [
        (
            Kind::TooLong,
            layer(),
            format!("{}.{}", token(json!({})), "x".repeat(8192)),
        ),
        (Kind::Malformed, layer(), "canary-no-token".into()),
        (
            Kind::Encrypted,
            layer(),
            format!("{}.canary.canary", token(json!({}))),
        ),
        (
            Kind::MalformedHeader,
            layer(),
            header(r#""alg":"canary-alg""#),
        ),
        (
            Kind::MalformedHeader,
            layer(),
            header(r#""kid":["canary-kid"]"#),
        ),
        (
            Kind::CriticalHeader,
            layer(),
            header(r#""crit":["canary-crit"]"#),
        ),
        (Kind::UnencodedPayload, layer(), header(r#""b64":false"#)),
        (Kind::Compressed, layer(), header(r#""zip":"canary-zip""#)),
        (Kind::Nested, layer(), header(r#""cty":"JWT""#)),
        (Kind::WrongType, layer(), header(r#""typ":"canary+jwt""#)),
        (
            Kind::NoFittingKey,
            layer(),
            signed(r#"{"alg":"canary"}"#, &payload(json!({}))),
        ),
        (
            Kind::NoFittingKey,
            several(),
            header(r#""kid":"canary-kid""#),
        ),
        (
            Kind::SeveralFittingKeys,
            several(),
            header(r#""x":"canary""#),
        ),
        (
            Kind::BadSignature,
            layer(),
            forge(
                r#"{"alg":"HS256"}"#,
                payload(json!({})),
                &Signer::hmac(b"canary"),
            ),
        ),
        (
            Kind::MalformedClaims,
            layer(),
            token(json!({ "exp": "canary-exp" })),
        ),
        (
            Kind::MalformedClaims,
            layer(),
            token(json!({ "sub": { "canary": "canary" } })),
        ),
        (
            Kind::MalformedClaims,
            layer(),
            signed(r#"{"alg":"HS256"}"#, "{canary"),
        ),
        (Kind::MissingExpiry, layer(), without("exp")),
        (
            Kind::MissingClaim,
            layer()
                .allow_null_claims()
                .allow_missing_expiry(Duration::from_secs(60)),
            token(json!({ "exp": null, "iat": null })),
        ),
        (Kind::Expired, layer(), token(json!({ "exp": NOW - 300 }))),
        (
            Kind::NotYetValid,
            layer(),
            token(json!({ "nbf": NOW + 300 })),
        ),
        (
            Kind::IssuedInFuture,
            layer(),
            token(json!({ "iat": NOW + 300 })),
        ),
        (
            Kind::ExpiresBeforeIssued,
            layer(),
            token(json!({ "exp": NOW + 5, "iat": NOW + 9 })),
        ),
        (Kind::MissingIssuer, layer().issuer("id"), without("iss")),
        (Kind::MissingIssuer, issuers(), without("iss")),
        (Kind::WrongIssuer, layer().issuer("id"), token(json!({}))),
        (Kind::UnknownIssuer, issuers(), token(json!({}))),
        (
            Kind::WrongTenant,
            tenants(),
            token(json!({ "iss": "https://id.example/canary-a", "tid": "canary-b" })),
        ),
        (Kind::WrongKeyIssuer, of_issuer(), token(json!({}))),
        (
            Kind::MissingAudience,
            layer().audience("api"),
            token(json!({})),
        ),
        (
            Kind::WrongAudience,
            layer().audience("api"),
            token(json!({ "aud": "canary-aud" })),
        ),
        (
            Kind::UnexpectedAudience,
            layer(),
            token(json!({ "aud": ["canary-aud"] })),
        ),
        (
            Kind::LogoutToken,
            layer(),
            token(json!({ "events": { "canary": "canary" } })),
        ),
        (
            Kind::SenderConstrained,
            layer(),
            token(json!({ "cnf": { "canary": "canary" } })),
        ),
        (
            Kind::ClaimsMismatch,
            layer(),
            token(json!({ "level": "canary-level" })),
        ),
        (
            Kind::ClaimsMismatch,
            layer(),
            token(json!({ "level": { "canary": "canary" } })),
        ),
        (
            Kind::ClaimsMismatch,
            layer().optional(),
            token(json!({ "level": 987_654_321 })),
        ),
        (Kind::ClaimsMismatch, layer(), without("level")),
    ]
    .map(|(kind, layer, token)| Case::token(kind, layer, token))
    .into();

    cases.push(Case::new(AuthErrorKind::MissingToken, layer(), vec![]));
    cases.push(Case::new(
        AuthErrorKind::MissingToken,
        layer().optional(),
        vec![],
    ));
    let other = vec![
        ("authorization", "Basic canary".to_owned()),
        ("cookie", "access=canary".to_owned()),
    ];
    cases.push(Case::new(AuthErrorKind::MissingToken, layer(), other));
    let malformed = vec![("authorization", format!("{} canary", bearer().1))];
    cases.push(Case::new(
        AuthErrorKind::MalformedCredentials,
        layer(),
        malformed,
    ));
    cases.push(Case::new(
        AuthErrorKind::SeveralTokens,
        layer(),
        vec![bearer(), bearer()],
    ));
    let (by_cookie, good) = cookie();
    let twice = vec![("cookie", format!("{good}; access=canary"))];
    cases.push(Case::new(
        AuthErrorKind::SeveralTokens,
        by_cookie.clone(),
        twice,
    ));
    let cross = vec![
        ("cookie", good),
        ("origin", "https://canary.example".to_owned()),
        ("sec-fetch-site", "canary".to_owned()),
    ];
    cases.push(Case {
        method: "POST",
        ..Case::new(AuthErrorKind::CrossSite, by_cookie, cross)
    });
    cases.push(Case {
        layer: None,
        ..Case::new(AuthErrorKind::MissingLayer, layer(), vec![bearer()])
    });
    cases
}

#[track_caller]
fn no_canary(text: &str) {
    assert!(!text.to_lowercase().contains(CANARY), "{text}");
}

/// Nothing of the request or the key, and no words of a library.
#[track_caller]
fn says_nothing(text: &str, case: &Case) {
    const PHRASES: [&str; 27] = [
        "serde",
        "aws",
        "jsonwebtoken",
        "base64",
        "utf-8",
        "utf8",
        "panick",
        "unwrap",
        "invalid type",
        "invalid value",
        "invalid length",
        "missing field",
        "unknown field",
        "unknown variant",
        "duplicate",
        "expected",
        "trailing",
        "eof",
        "line ",
        "column",
        "unspecified",
        "rejected",
        "signature",
        "level",
        "algorithm",
        "tower",
        "987654321",
    ];
    no_canary(text);
    for secret in &case.secrets {
        assert!(!text.contains(secret), "{text}");
    }
    let lower = text.to_lowercase();
    for phrase in PHRASES {
        assert!(!lower.contains(phrase), "{phrase}: {text}");
    }
    let all = [
        base64url(SECRET),
        base64_simd::STANDARD.encode_to_string(SECRET),
    ];
    for secret in all {
        assert!(!text.contains(&secret), "{text}");
    }
}

/// RFC 6750 §3, RFC 9110 §11.2: `Bearer`, and parameters in quotes that need no escapes.
fn parameters(challenge: &str) -> Vec<(String, String)> {
    let rest = challenge.strip_prefix("Bearer ").unwrap();
    rest.split(", ")
        .map(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap();
            let value = value.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
            let allowed = |byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            assert!(value.bytes().all(allowed), "{challenge}");
            (name.to_owned(), value.to_owned())
        })
        .collect()
}

/// The parts of the response that no other function checks.
#[track_caller]
fn check(answer: &Answer, case: &Case) {
    assert_eq!(answer.kind(), Some(case.kind), "{}", answer.asked);
    let error = answer.error.as_ref().unwrap();
    assert_eq!(error.status(), answer.status);
    says_nothing(&answer.body, case);
    says_nothing(error.description(), case);
    for (name, value) in &answer.headers {
        says_nothing(name.as_str(), case);
        let value = value.to_str().unwrap();
        says_nothing(value, case);
        assert!(value.bytes().all(|byte| matches!(byte, 0x20..=0x7e)));
    }
    assert!(!answer.headers.contains_key(SET_COOKIE));
}

#[test]
fn n01_every_kind_is_among_the_cases() {
    let mut names: Vec<_> = cases().iter().map(|case| case.kind.name()).collect();
    names.sort_unstable();
    names.dedup();
    // 30 for the token, and 5 more. `t_mtls` has those for certificates.
    assert_eq!(names.len(), 35, "{names:?}");
}

#[tokio::test]
async fn n01_responses_tell_nothing() {
    for case in cases() {
        let answer = case.send(ProblemJson).await;
        check(&answer, &case);

        assert_eq!(answer.headers[CONTENT_TYPE], "application/problem+json");
        let problem: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["status"], answer.status.as_u16());
        assert_eq!(problem["title"], answer.status.canonical_reason().unwrap());
        let description = answer.error.as_ref().unwrap().description();
        assert_eq!(problem["detail"], description);
        assert_eq!(problem.as_object().unwrap().len(), 5);

        // Codes of this crate are no codes for a challenge.
        let (status, code, own_code) = match case.kind {
            AuthErrorKind::MissingToken => (401, None, Some("missing_token")),
            AuthErrorKind::InvalidToken(_) => (401, Some("invalid_token"), None),
            AuthErrorKind::CrossSite => (403, None, Some("cross_site")),
            AuthErrorKind::MissingLayer => (500, None, Some("server_error")),
            _ => (400, Some("invalid_request"), None),
        };
        assert_eq!(problem["code"], code.or(own_code).unwrap());
        assert_eq!(answer.status, status, "{:?}", case.kind);
        let challenge = answer.challenge().map(parameters);
        match (status, code) {
            (403 | 500, _) => assert_eq!(challenge, None),
            (_, None) => assert_eq!(challenge.unwrap(), [("realm".into(), "api".into())]),
            (_, Some(code)) => {
                let expected = [
                    ("realm", "api"),
                    ("error", code),
                    ("error_description", description),
                ];
                let expected = expected.map(|(name, value)| (name.into(), value.into()));
                assert_eq!(challenge.unwrap(), expected);
            }
        }
        if case.layer.is_some() {
            assert_eq!(answer.headers[CACHE_CONTROL], "no-store");
        }
        assert!(answer.headers.get_all(WWW_AUTHENTICATE).iter().count() <= 1);
    }
}

#[tokio::test]
async fn n01_one_answer_for_every_bad_token() {
    let mut answers = Vec::new();
    for case in cases() {
        let answer = case.send(ProblemJson).await;
        match case.kind {
            AuthErrorKind::InvalidToken(VerifyErrorKind::Expired) => {
                assert!(answer.body.contains("expired"));
            }
            AuthErrorKind::InvalidToken(_) => {
                let mut headers: Vec<_> = answer
                    .headers
                    .iter()
                    .map(|(name, value)| format!("{name}: {value:?}"))
                    .collect();
                headers.sort_unstable();
                answers.push((answer.status, headers, answer.body));
            }
            _ => {}
        }
    }
    assert!(answers.len() > 30);
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:#?}");
}

#[tokio::test]
async fn n01_the_error_beside_the_response_tells_nothing() {
    for case in cases() {
        let error = case.send(ProblemJson).await.error.unwrap();
        no_canary(&format!(
            "{error:?} {error:#?} {error} {}",
            error.kind().name()
        ));
        let mut next: Option<&dyn Error> = error.source();
        let mut links = 0;
        while let Some(error) = next {
            let text = format!("{error} {error:?}");
            no_canary(&text);
            assert!(!text.contains("987654321"), "{text}");
            assert!(!text.contains("invalid type"), "{text}");
            // The name of a claim is told where its value is at fault, and nowhere else.
            let is_mismatch =
                case.kind == AuthErrorKind::InvalidToken(VerifyErrorKind::ClaimsMismatch);
            assert!(is_mismatch || !text.contains("level"), "{text}");
            next = error.source();
            links += 1;
        }
        match case.kind {
            AuthErrorKind::InvalidToken(_) => assert!(links > 0),
            // The layer says where it looked. An extractor behind an optional layer cannot.
            AuthErrorKind::MissingToken => assert!(links <= 1),
            _ => assert_eq!(links, 0),
        }
    }
}

#[tokio::test]
async fn n01_realm() {
    for case in cases() {
        let Some(layer) = &case.layer else { continue };
        let layer = layer.clone().realm("a 'realm', of = its own");
        let case = Case {
            layer: Some(layer),
            secrets: case.secrets,
            ..case
        };
        let answer = case.send(ProblemJson).await;
        check(&answer, &case);
        let Some(challenge) = answer.challenge() else {
            assert_eq!(answer.status, StatusCode::FORBIDDEN);
            continue;
        };
        assert!(
            challenge.starts_with(r#"Bearer realm="a 'realm', of = its own""#),
            "{challenge}"
        );
    }
}

#[test]
fn n01_realms_that_would_break_out() {
    for text in [
        "a\"b",
        "a\\b",
        "a\r\nSet-Cookie: b",
        "a\nb",
        "a\tb",
        "\0",
        "\u{7f}",
        "\u{e9}",
        "\", error=\"x",
    ] {
        assert!(panics(|| layer().realm(text)), "{text:?}");
    }
    for text in ["", " ", "a b", "https://a.example/?b=c&d#e", "a, b='c'"] {
        assert!(!panics(|| layer().realm(text)));
    }
}

#[tokio::test]
async fn n01_custom_responders() {
    let closure = |error: &AuthError| {
        let mut response = Response::new(Body::from(format!("sorry: {}", error.description())));
        *response.status_mut() = error.status();
        response
    };
    let teapot = |_: &AuthError| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        response
    };
    let challenging = |error: &AuthError| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = error.status();
        let challenge = HeaderValue::from_static("Basic realm=\"x\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        response
            .headers_mut()
            .insert(CACHE_CONTROL, HeaderValue::from_static("max-age=1"));
        response
    };
    for case in cases() {
        let standard = case.send(ProblemJson).await;
        if case.layer.is_none() {
            continue;
        }
        let own = case.send(closure).await;
        check(&own, &case);
        assert!(own.body.starts_with("sorry: "), "{}", own.body);
        assert_eq!(own.status, standard.status);
        assert_eq!(own.challenge(), standard.challenge());
        assert_eq!(own.headers[CACHE_CONTROL], "no-store");

        let empty = case.send(EmptyBody).await;
        check(&empty, &case);
        assert_eq!(empty.body, "");
        assert!(!empty.headers.contains_key(CONTENT_TYPE));
        assert_eq!(empty.status, standard.status);
        assert_eq!(empty.challenge(), standard.challenge());
        assert_eq!(empty.headers[CACHE_CONTROL], "no-store");

        // Another answer is not corrected.
        let other = case.send(teapot).await;
        assert_eq!(other.status, StatusCode::IM_A_TEAPOT);
        assert_eq!(other.challenge(), None);
        assert_eq!(other.kind(), Some(case.kind));
        let own = case.send(challenging).await;
        assert_eq!(own.challenge(), Some("Basic realm=\"x\""));
        assert_eq!(own.headers.get_all(WWW_AUTHENTICATE).iter().count(), 1);
        assert_eq!(own.headers[CACHE_CONTROL], "private, max-age=1");
    }
}

/// The secret and the numbers of keys in the forms that something could print them in.
fn key_texts() -> Vec<String> {
    use aws_lc_rs::signature::KeyPair;
    let modulus = RSA.public_key().modulus();
    let numbers = [
        SECRET,
        modulus.big_endian_without_leading_zero(),
        &P256.public_key().as_ref()[1..],
        ED25519.public_key().as_ref(),
    ];
    let mut texts = Vec::new();
    for number in numbers {
        let start = &number[..12];
        texts.push(base64url(start));
        texts.push(base64_simd::STANDARD.encode_to_string(start));
        texts.push(format!("{start:?}").trim_matches(['[', ']']).to_owned());
        texts.push(format!("{start:x?}").trim_matches(['[', ']']).to_owned());
        let mut hex = String::new();
        for byte in start {
            write!(hex, "{byte:02x}").unwrap();
        }
        texts.push(hex.to_uppercase());
        texts.push(hex);
    }
    texts
}

#[tokio::test]
async fn n03_nothing_shows_what_it_holds() {
    fn shown(value: &(impl Debug + ?Sized)) -> String {
        format!("{value:?} {value:#?}")
    }
    fn told(error: &(impl Error + ?Sized)) -> String {
        format!("{error} {error:?} {error:#?}")
    }

    let token = token(json!({ "aud": ["canary-aud", "canary-aud-2"], "nbf": NOW }));
    let verifier = Verifier::new(key()).clock(clock()).any_audience();
    let verified = verifier.verify(&token).unwrap();
    assert_eq!(verified.subject(), Some("canary-sub"));
    let registered: RegisteredClaims = serde_json::from_str(verified.payload()).unwrap();
    let audience: Audience = registered.audience.clone().unwrap();
    assert!(audience.contains("canary-aud"));
    let signing = SigningKey::hs256(SECRET).unwrap();
    let set = KeySet::new([
        rsa_key(Algorithm::RS256).with_key_id("r"),
        p256_key().with_key_id("e"),
        ed25519_key(Algorithm::EdDSA).with_key_id("o"),
        key().with_key_id("s"),
    ])
    .unwrap();
    let secret_jwk = json!({ "kty": "oct", "alg": "HS256", "k": base64url(SECRET) }).to_string();
    let keys = [
        rsa_jwk(json!({})),
        ec_jwk(&P256, "P-256", json!({})),
        secret_jwk.clone(),
        r#"{"kty":"canary"}"#.to_owned(),
        r#"{"kty":"EC","crv":"canary","x":"canary"}"#.to_owned(),
        r#""canary""#.to_owned(),
    ]
    .join(",");
    let document = format!(r#"{{"keys":[{keys}]}}"#);
    let jwks = JwksOptions::new().read(&document).unwrap();
    assert_eq!(jwks.skipped.len(), 4);
    let layer = layer().sources([TokenSource::bearer(), TokenSource::cookie("access")]);
    let handler = Router::<()>::new().route("/claims", get(|| async { "{}" }));
    let cookie = TokenCookie::new("access").unwrap();
    let set_cookie = cookie.set(&token, Duration::from_secs(9)).unwrap();

    let mut texts = vec![
        shown(&verified),
        shown(&Claims(verified.claims::<Value>().unwrap())),
        shown(&verifier),
        shown(&layer),
        shown(&layer.layer(handler.clone())),
        shown(&CsrfLayer::new().layer(handler)),
        shown(&key()),
        shown(&signing),
        shown(&signing.verifying_key()),
        shown(&SigningKey::from_jwk(&secret_jwk).unwrap()),
        shown(&VerifyingKey::from_jwk(&secret_jwk).unwrap()),
        shown(&set),
        shown(&Keys::from(set.clone())),
        shown(&set.clone().into_trust()),
        shown(&key().into_trust()),
        shown(&[TrustedIssuer::new("id", key())].into_trust()),
        shown(&TrustedIssuer::new("id", set)),
        shown(&jwks),
        shown(&jwks.keys),
        shown(&registered),
        shown(&audience),
        shown(
            &RegisteredClaims::valid_for(Duration::from_secs(9), SystemTime::UNIX_EPOCH)
                .subject("canary"),
        ),
        shown(&TokenSource::bearer()),
        shown(&cookie),
        shown(&set_cookie),
        shown(&TokenHeader::new()),
        shown(&clock()),
    ];
    for date in [
        registered.expires_at,
        registered.issued_at,
        registered.not_before,
    ] {
        let text = shown(&date.unwrap());
        assert!(!text.contains(char::is_numeric), "{text}");
        texts.push(text);
    }
    assert!(!shown(&NumericDate::MAX).contains(char::is_numeric));
    texts.push(
        jwks.skipped
            .iter()
            .map(|key| format!("{key} {key:?}"))
            .collect(),
    );
    assert!(set_cookie.is_sensitive());
    assert!(cookie.clear().unwrap().is_sensitive());

    // Errors over what holds canaries.
    for case in cases() {
        if let Some(token) = case.secrets.last() {
            let refused = verifier.verify(token);
            texts.extend(refused.err().map(|error| told(&error)));
        }
        texts.push(told(&case.send(ProblemJson).await.error.unwrap()));
    }
    let mismatch = verified.claims::<u8>().unwrap_err();
    texts.push(told(&mismatch));
    texts.push(told(mismatch.source().unwrap()));
    texts.extend(key_errors().iter().map(told));
    texts.push(told(
        &KeySet::from_jwks(r#"{"canary":"canary"}"#).unwrap_err(),
    ));
    texts.push(told(
        &KeySet::from_jwks(r#"{"keys":[{"kty":"canary"}]}"#).unwrap_err(),
    ));
    let other = VerifyingKey::hs256("canary-secret of somebody else, as long").unwrap();
    texts.push(told(&KeySet::new([key(), other]).unwrap_err()));
    texts.push(told(&signing.sign("canary").unwrap_err()));
    let header = TokenHeader::new().member("alg", "x");
    texts.push(told(
        &signing
            .sign_with(&header, &json!({ "canary": 1 }))
            .unwrap_err(),
    ));
    texts.push(told(
        &cookie.set("canary canary", Duration::ZERO).unwrap_err(),
    ));
    texts.push(told(&TokenCookie::new("canary canary").unwrap_err()));
    texts.push(told(&"canary".parse::<Algorithm>().unwrap_err()));
    texts.push(told(
        &"https://canary/"
            .parse::<tower_jwt_auth::csrf::Origin>()
            .unwrap_err(),
    ));

    let keys = key_texts();
    let date = (NOW + 300).to_string();
    for text in texts {
        no_canary(&text);
        assert!(!text.contains(&date), "{text}");
        for segment in token.split('.') {
            assert!(!text.contains(&segment[..16]), "{text}");
        }
        for key in &keys {
            assert!(!text.contains(key), "{key}: {text}");
        }
    }
}

/// Keys that are none, made of canaries.
fn key_errors() -> Vec<KeyError> {
    let pem = "-----BEGIN PUBLIC KEY-----\ncanary\n-----END PUBLIC KEY-----";
    let short = b"canary";
    let mut errors = Vec::new();
    for algorithm in [
        Algorithm::HS256,
        Algorithm::RS256,
        Algorithm::ES256,
        Algorithm::EdDSA,
    ] {
        errors.extend(VerifyingKey::from_pem(algorithm, pem).err());
        errors.extend(VerifyingKey::from_der(algorithm, short).err());
        errors.extend(VerifyingKey::from_secret(algorithm, short).err());
        errors.extend(
            VerifyingKey::from_decoding_key(algorithm, &DecodingKey::from_secret(short)).err(),
        );
        errors.extend(SigningKey::from_pem(algorithm, pem).err());
        errors.extend(SigningKey::from_der(algorithm, short).err());
        errors.extend(SigningKey::from_secret(algorithm, short).err());
        for jwk in [
            "canary",
            r#"{"kty":"canary"}"#,
            r#"{"kty":"RSA","n":"canary","e":"canary"}"#,
            r#"{"kty":"EC","crv":"P-256","x":"canary","y":"canary"}"#,
            r#"{"kty":"oct","k":"canary"}"#,
            r#"{"kty":"oct","alg":"canary","k":"canary"}"#,
            r#"{"kty":"EC","kid":1,"x":"canary"}"#,
        ] {
            errors.extend(VerifyingKey::from_jwk_for(algorithm, jwk).err());
            errors.extend(SigningKey::from_jwk_for(algorithm, jwk).err());
        }
    }
    assert_eq!(errors.len(), 4 * 21);
    errors
}

#[cfg(feature = "tracing")]
#[tokio::test]
async fn n03_the_log_tells_nothing() {
    use crate::log::Log;

    let log = Log::start();
    let keys = key_texts();
    for case in cases() {
        let answer = case.send(ProblemJson).await;
        let lines = log.take();
        assert_eq!(lines.len(), 1, "{lines:?}");
        let kind = format!("kind={:?}", case.kind.name());
        for line in &lines {
            assert!(line.contains(&kind), "{line}");
            no_canary(line);
            for secret in case.secrets.iter().chain(&keys) {
                assert!(!line.contains(secret), "{line}");
            }
            assert!(!line.contains("invalid type"), "{line}");
            assert!(!line.contains("987654321"), "{line}");
            let level = match case.kind {
                AuthErrorKind::MissingLayer => "ERROR",
                AuthErrorKind::InvalidToken(VerifyErrorKind::ClaimsMismatch) => "WARN",
                _ => "DEBUG",
            };
            assert!(line.starts_with(level), "{line}");
        }
        assert_ne!(answer.status, StatusCode::OK);
    }

    // Making keys, and what is accepted: not a word.
    let case = Case::new(
        AuthErrorKind::MissingToken,
        layer(),
        vec![("authorization", format!("Bearer {}", token(json!({}))))],
    );
    assert_eq!(case.send(ProblemJson).await.status, StatusCode::OK);
    key_errors();
    let _ = KeySet::from_jwks(r#"{"keys":[{"kty":"canary"}]}"#);
    assert_eq!(log.take(), [""; 0]);
}

/// An extractor is no way round the layer's answer.
#[tokio::test]
async fn n01_a_handler_that_answers_the_error_itself() {
    type Refusal = Result<Claims<Vec<String>>, AuthError>;
    let shows = |claims: Refusal| async move {
        let error = claims.err().unwrap();
        format!("{error} {error:?} {}", error.description())
    };
    let fails = |claims: Refusal| async move { claims.map(|_| "{}") };
    let headers = [("authorization", &*format!("Bearer {}", token(json!({}))))];

    let app = Router::new().route("/claims", get(shows)).layer(layer());
    let answer = send(&app, with_headers("GET", &headers)).await;
    assert_eq!(answer.status, StatusCode::OK);
    no_canary(&answer.body);

    let app = Router::new()
        .route("/claims", get(fails))
        .layer(layer().realm("r"));
    let answer = send(&app, with_headers("GET", &headers)).await;
    answer.refused(VerifyErrorKind::ClaimsMismatch);
    assert!(
        answer
            .challenge()
            .unwrap()
            .starts_with("Bearer realm=\"r\"")
    );
    no_canary(&answer.body);
}

#[test]
fn n03_a_verified_token_of_any_algorithm() {
    for (algorithm, signer, key) in [
        ("RS256", Signer::rs256(), rsa_key(Algorithm::RS256)),
        ("ES256", Signer::es256(), p256_key()),
        ("EdDSA", Signer::ed25519(), ed25519_key(Algorithm::EdDSA)),
    ] {
        let header = json!({ "alg": algorithm, "kid": "canary-kid", "typ": "JWT" });
        let token = forge(header.to_string(), payload(json!({})), &signer);
        let verifier = Verifier::new(key).clock(clock());
        let verified: VerifiedToken = verifier.verify(&token).unwrap();
        for text in [
            format!("{verified:?} {verified:#?}"),
            format!("{:?}", Some(&verified)),
            // What was remembered of its header.
            format!("{verifier:?} {verifier:#?}"),
        ] {
            no_canary(&text);
        }
        assert_eq!(verified.key_id(), Some("canary-kid"));
        let told: &dyn Display = &verified.algorithm().unwrap();
        assert_eq!(told.to_string(), algorithm);
    }
}

#[tokio::test]
async fn n03_the_debug_of_a_request_shows_no_token() {
    let source = TokenSource::custom(|request| {
        let text = format!("{request:?}");
        assert!(
            !text.contains("s3cr3t") && !text.contains("cook1e"),
            "{text}"
        );
        assert!(text.contains("authorization"), "{text}");
        None
    });
    let app = crate::support::app(crate::support::layer().sources([source]));
    let request = Request::get("/claims?access_token=s3cr3t")
        .header(AUTHORIZATION, "Bearer s3cr3t")
        .header("cookie", "a=cook1e");
    let answer = send(&app, request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}
