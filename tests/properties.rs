//! Holds [`Verifier`] to properties of every token, on generated input.

#![cfg(any(feature = "aws_lc_rs", feature = "rust_crypto"))]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "a test that panics fails"
)]

use std::cell::Cell;
use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64_simd::URL_SAFE_NO_PAD;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{FileFailurePersistence, TestError, TestRunner};
use serde_json::{Map, Value, json};
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::keys::{Algorithm, KeySet, SigningKey, TokenHeader, VerifyingKey};
use tower_jwt_auth::verify::Stage;
use tower_jwt_auth::{TrustedIssuer, VerifiedToken, Verifier};

const NOW: u64 = 1_800_000_000;

const SECRET: [u8; 32] = [7; 32];

/// The names that the verifier reads in a payload.
const REGISTERED: [&str; 10] = [
    "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "events", "cnf",
];

/// One key for each algorithm; those of [`FOUR`] come first.
static KEYS: LazyLock<Vec<SigningKey>> = LazyLock::new(|| {
    [
        "HS256", "RS256", "ES256", "EdDSA", "HS384", "HS512", "RS384", "RS512", "PS256", "PS384",
        "PS512", "ES384", "ES512", "ES256K", "Ed25519",
    ]
    .map(|name| SigningKey::generate(name.parse().unwrap()).unwrap())
    .into()
});

/// How many algorithms the flipped bits are tried on: one of each family.
const FOUR: usize = 4;

/// Failures are kept beside this file.
fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        source_file: Some(file!()),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    }
}

fn verifier(key: &SigningKey) -> Verifier {
    Verifier::new(key.verifying_key())
        .any_audience()
        .max_token_length(64 * 1024)
        .clock(ManualClock::at(NOW))
}

/// Any text, with more than its share of what JSON escapes.
fn text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        4 => any::<char>(),
        2 => proptest::char::range('\0', '\x7f'),
        1 => select(vec!['"', '\\', '/', '\0', '\n', '\u{7f}', '\u{2028}', 'é', '😀', '\u{10ffff}']),
    ];
    vec(character, 0..12).prop_map(String::from_iter)
}

/// Any JSON but for fractions, which `serde_json` does not promise to read as they were written.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((text(), inner), 0..5).prop_map(|members| Value::Object(Map::from_iter(members))),
        ]
    })
}

/// Claims that every verifier of this file accepts at [`NOW`].
fn claims() -> impl Strategy<Value = Map<String, Value>> {
    let private = vec((text(), value()), 0..6);
    let names = [(); 4].map(|()| proptest::option::of(text()));
    let audience = prop_oneof![
        Just(None),
        text().prop_map(|name| Some(json!(name))),
        vec(text(), 1..4).prop_map(|names| Some(json!(names))),
    ];
    let expires_in = 0..1_000_000u64;
    let since = [(); 2].map(|()| proptest::option::of(0..=NOW));
    (private, names, audience, expires_in, since).prop_map(
        |(private, names, audience, expires_in, since)| {
            let mut claims: Map<_, _> = private
                .into_iter()
                .filter(|(name, _)| !REGISTERED.contains(&name.as_str()))
                .collect();
            claims.insert("exp".into(), json!(NOW + expires_in));
            claims.extend(audience.map(|audience| ("aud".into(), audience)));
            for (name, text) in ["iss", "sub", "jti", "sid"].into_iter().zip(names) {
                claims.extend(text.map(|text| (name.into(), json!(text))));
            }
            for (name, since) in ["nbf", "iat"].into_iter().zip(since) {
                claims.extend(since.map(|since| (name.into(), json!(since))));
            }
            claims
        },
    )
}

fn audience(claims: &Map<String, Value>) -> Vec<&str> {
    match claims.get("aud") {
        None => Vec::new(),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        Some(name) => name.as_str().into_iter().collect(),
    }
}

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn what_is_issued_is_what_is_verified(claims in claims(), key: Index) {
        let key = key.get(&KEYS);
        let token = key.sign(&claims).unwrap();
        let verified = verifier(key).verify(&token).unwrap();

        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        prop_assert_eq!(verified.issuer(), text("iss"));
        prop_assert_eq!(verified.subject(), text("sub"));
        prop_assert_eq!(verified.token_id(), text("jti"));
        prop_assert_eq!(verified.session_id(), text("sid"));
        prop_assert_eq!(verified.audience().collect::<Vec<_>>(), audience(&claims));
        let date = |name: &str| claims.get(name).and_then(Value::as_u64);
        prop_assert_eq!(Some(verified.expires_at().seconds()), date("exp"));
        prop_assert_eq!(verified.not_before().map(|date| date.seconds()), date("nbf"));
        prop_assert_eq!(verified.issued_at().map(|date| date.seconds()), date("iat"));
        prop_assert_eq!(verified.algorithm(), Some(key.algorithm()));

        prop_assert_eq!(verified.payload(), serde_json::to_string(&claims).unwrap());
        let decoded = verified.claims::<Value>().unwrap();
        prop_assert_eq!(&*decoded, &Value::Object(claims));
    }

    #[test]
    fn one_flipped_bit_is_refused(
        claims in claims(),
        key in 0..FOUR,
        place: Index,
        bit in 0..8u8,
        known_header: bool,
    ) {
        let key = &KEYS[key];
        let verifier = verifier(key);
        let mut token = key.sign(&claims).unwrap().into_bytes();
        if known_header {
            verifier.verify(&token).unwrap();
        }
        *place.get_mut(&mut token) ^= 1 << bit;
        prop_assert!(verifier.verify(&token).is_err());
    }

    #[test]
    fn bytes_are_no_token(bytes: Vec<u8>) {
        prop_assert!(verifier(&KEYS[0]).verify(&bytes).is_err());
    }

    #[test]
    fn segments_without_a_signature_are_no_token(segments in vec("[A-Za-z0-9_-]{0,44}", 0..7)) {
        for key in &KEYS[..FOUR] {
            prop_assert!(verifier(key).verify(segments.join(".")).is_err());
        }
    }

    #[test]
    fn a_header_without_a_signature_is_no_token(
        key in 0..FOUR,
        payload in "[A-Za-z0-9_-]{1,60}",
        signature: Vec<u8>,
    ) {
        let header = json!({"alg": KEYS[key].algorithm().name()}).to_string();
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode_to_string(bytes);
        let token = [encode(header.as_bytes()), payload, encode(&signature)].join(".");
        prop_assert!(verifier(&KEYS[key]).verify(token).is_err());
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    for key in &KEYS[..FOUR] {
        let claims = json!({"iss": "https://id.example.com", "sub": "me", "exp": NOW + 300});
        let good = key.sign(&claims).unwrap().into_bytes();
        let fresh = verifier(key);
        // It has seen the header, and may skip reading it.
        let used = verifier(key);
        used.verify(&good).unwrap();
        for place in 0..good.len() {
            for bit in 0..8 {
                let mut token = good.clone();
                token[place] ^= 1 << bit;
                for verifier in [&fresh, &used] {
                    assert!(
                        verifier.verify(&token).is_err(),
                        "{key:?}: bit {bit} of byte {place} of {}",
                        String::from_utf8_lossy(&good)
                    );
                }
            }
        }
        fresh.verify(&good).unwrap();
    }
}

/// Signs bytes as they are, with [`SECRET`] for HS256.
fn sign(header: &[u8], payload: &[u8]) -> String {
    let mut token = URL_SAFE_NO_PAD.encode_to_string(header);
    token.push('.');
    URL_SAFE_NO_PAD.encode_append(payload, &mut token);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &SECRET);
    let tag = hmac::sign(&key, token.as_bytes());
    token.push('.');
    URL_SAFE_NO_PAD.encode_append(tag, &mut token);
    token
}

/// JSON as a text, where a name may come twice, `1e0` is not `1`, and `"\u0061"` is not `"a"`.
#[derive(Clone, Debug)]
enum Json {
    /// A literal or a number, as written.
    Plain(String),
    Text(Text),
    Array(Vec<Json>),
    Object(Vec<(Text, Json)>),
}

#[derive(Clone, Debug)]
struct Text {
    value: String,
    /// Every character is written as `\uXXXX`.
    escaped: bool,
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.escaped {
            return f.write_str(&json!(self.value).to_string());
        }
        f.write_str("\"")?;
        self.value
            .encode_utf16()
            .try_for_each(|unit| write!(f, "\\u{unit:04X}"))?;
        f.write_str("\"")
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |parts: Vec<String>| parts.join(" ,\r\n");
        match self {
            Self::Plain(text) => f.write_str(text),
            Self::Text(text) => text.fmt(f),
            Self::Array(elements) => {
                write!(
                    f,
                    "[{}]",
                    joined(elements.iter().map(Json::to_string).collect())
                )
            }
            Self::Object(members) => {
                let member = |(name, value): &(Text, Json)| format!("{name}:\t{value}");
                write!(f, "{{{}}}", joined(members.iter().map(member).collect()))
            }
        }
    }
}

impl Json {
    fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(&text.value),
            _ => None,
        }
    }

    /// A number of seconds that is a date of the years 1970 to 9999.
    fn as_date(&self) -> Option<f64> {
        match self {
            Self::Plain(number) => number
                .parse()
                .ok()
                .filter(|date| (0.0..=253_402_300_799.0).contains(date)),
            _ => None,
        }
    }

    fn as_names(&self) -> Option<Vec<&str>> {
        match self {
            Self::Array(names) => names.iter().map(Json::as_text).collect(),
            name => name.as_text().map(|name| vec![name]),
        }
    }

    /// Whether it nests deeper than `serde_json` reads. Only [`DEEP`] does.
    fn is_deep(&self) -> bool {
        match self {
            Self::Plain(text) => text.starts_with('['),
            Self::Text(_) => false,
            Self::Array(all) => all.iter().any(Json::is_deep),
            Self::Object(members) => members.iter().any(|(_, value)| value.is_deep()),
        }
    }
}

/// How many levels the deepest JSON of these tests has.
const DEEP: usize = 200;

/// A header or payload: JSON with something before and after.
#[derive(Clone, Debug)]
struct Part {
    before: &'static str,
    json: Json,
    after: &'static str,
}

impl Part {
    fn bytes(&self) -> Vec<u8> {
        format!("{}{}{}", self.before, self.json, self.after).into_bytes()
    }

    /// The members, if it is nothing but an object of bounded depth.
    fn members(&self) -> Option<&[(Text, Json)]> {
        let blank = |text: &str| text.chars().all(|character| " \t\r\n".contains(character));
        match &self.json {
            Json::Object(members)
                if blank(self.before) && blank(self.after) && !self.json.is_deep() =>
            {
                Some(members)
            }
            _ => None,
        }
    }
}

/// The values under `name`, or `None` if there are two.
fn once<'a>(members: &'a [(Text, Json)], name: &str) -> Option<Option<&'a Json>> {
    let mut values = members
        .iter()
        .filter(|(other, _)| other.value == name)
        .map(|(_, value)| value);
    let value = values.next();
    values.next().is_none().then_some(value)
}

/// As [`once`], and if there is one it reads as a `T`.
fn member<'a, T>(
    members: &'a [(Text, Json)],
    name: &str,
    read: impl FnOnce(&'a Json) -> Option<T>,
) -> Option<Option<T>> {
    match once(members, name)? {
        Some(value) => read(value).map(Some),
        None => Some(None),
    }
}

#[derive(Clone, Debug)]
struct Setting {
    now: u64,
    leeway: u64,
    issuer: bool,
    audience: Audience,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Audience {
    None,
    Any,
    Api,
}

impl Setting {
    fn verifier(&self) -> Verifier {
        let key = SigningKey::hs256(SECRET).unwrap();
        let verifier = Verifier::new(key.verifying_key())
            .max_token_length(64 * 1024)
            .leeway(Duration::from_secs(self.leeway))
            .clock(ManualClock::at(self.now));
        let verifier = match self.audience {
            Audience::None => verifier,
            Audience::Any => verifier.any_audience(),
            Audience::Api => verifier.audience("api"),
        };
        if self.issuer {
            verifier.issuer("me")
        } else {
            verifier
        }
    }

    /// The rules of the documentation, written as plainly as possible: the position of the first
    /// fault of a token signed with [`SECRET`].
    fn expected(&self, header: &Part, payload: &Part) -> Result<(), Stage> {
        let algorithm = Self::header(header).ok_or(Stage::Header)?;
        if algorithm != "HS256" {
            return Err(Stage::Key);
        }
        self.claims(payload).ok_or(Stage::Claims)
    }

    fn header(header: &Part) -> Option<&str> {
        let members = header.members()?;
        for (name, _) in members {
            once(members, &name.value)?;
            if ["crit", "b64", "zip"].contains(&name.value.as_str()) {
                return None;
            }
        }
        member(members, "kid", Json::as_text)?;
        if let Some(cty) = member(members, "cty", Json::as_text)?
            && ["jwt", "application/jwt"].contains(&&*cty.to_ascii_lowercase())
        {
            return None;
        }
        if let Some(typ) = member(members, "typ", Json::as_text)? {
            let typ = typ.to_ascii_lowercase();
            let typ = typ.strip_prefix("application/").unwrap_or(&typ);
            if !["jwt", "at+jwt"].contains(&typ) {
                return None;
            }
        }
        member(members, "alg", Json::as_text)?
    }

    fn claims(&self, payload: &Part) -> Option<()> {
        let members = payload.members()?;
        let issuer = member(members, "iss", Json::as_text)?;
        for name in ["sub", "jti", "sid"] {
            member(members, name, Json::as_text)?;
        }
        let audience = member(members, "aud", Json::as_names)?;
        let expiry = member(members, "exp", Json::as_date)??;
        let start = member(members, "nbf", Json::as_date)?;
        let issued = member(members, "iat", Json::as_date)?;
        let foreign = |(name, _): &(Text, Json)| ["events", "cnf"].contains(&&*name.value);
        if members.iter().any(foreign) {
            return None;
        }

        let (now, leeway) = (self.now as f64, self.leeway as f64);
        let in_time = now < expiry + leeway
            && start.is_none_or(|start| start <= now + leeway)
            && issued.is_none_or(|issued| issued <= now + leeway && issued <= expiry);
        let for_us = match self.audience {
            Audience::None => audience.is_none_or(|names| names.is_empty()),
            Audience::Any => true,
            Audience::Api => audience.is_some_and(|names| names.contains(&"api")),
        };
        let from_them = !self.issuer || issuer == Some("me");
        (in_time && for_us && from_them).then_some(())
    }
}

fn written(value: impl Strategy<Value = String>) -> impl Strategy<Value = Text> {
    let escaped = prop::bool::weighted(0.2);
    (value, escaped).prop_map(|(value, escaped)| Text { value, escaped })
}

fn json_text(value: impl Strategy<Value = String> + 'static) -> BoxedStrategy<Json> {
    written(value).prop_map(Json::Text).boxed()
}

fn one_of(names: &'static [&'static str]) -> BoxedStrategy<Json> {
    json_text(select(names).prop_map(str::to_owned))
}

/// `seconds`, give or take one, in one of the ways to write it.
fn date(seconds: f64) -> BoxedStrategy<Json> {
    let offset = select(vec![-1.0, -0.5, 0.0, 0.0, 0.5, 1.0]);
    (offset, 0..4)
        .prop_map(move |(offset, style)| {
            let date = seconds + offset;
            Json::Plain(match style {
                0 => format!("{date}"),
                1 => format!("{date:.2}"),
                2 => format!("{date}e0"),
                _ => format!("{}E-1", date * 10.0),
            })
        })
        .boxed()
}

fn any_json() -> BoxedStrategy<Json> {
    const PLAIN: &[&str] = &[
        "null",
        "true",
        "false",
        "0",
        "1",
        "-1",
        "-0",
        "-0.0",
        "-1e-7",
        "1e-400",
        "1e400",
        "1E+9",
        "18446744073709551616",
        "9223372036854775807",
        "99999999999999999999999999999999",
    ];
    let leaf = prop_oneof![
        3 => select(PLAIN).prop_map(|text| Json::Plain(text.to_owned())),
        2 => json_text(text()),
        2 => one_of(&["", "me", "api", "jkt", "JWT", "HS256", "none", "1800000100"]),
        1 => any::<f64>().prop_filter("JSON has no other numbers", |number| number.is_finite())
            .prop_map(|number| Json::Plain(format!("{number:e}"))),
        1 => Just(Json::Plain(format!("{}{}", "[".repeat(DEEP), "]".repeat(DEEP)))),
    ];
    leaf.prop_recursive(2, 10, 3, |inner| {
        let name = prop_oneof![text(), select(&REGISTERED[..]).prop_map(str::to_owned),];
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Json::Array),
            vec((written(name), inner), 0..4).prop_map(Json::Object),
        ]
    })
    .boxed()
}

type Members = Vec<(Text, Json)>;

/// A member that now and then is missing, comes twice, or is anything.
fn usually(name: &'static str, good: BoxedStrategy<Json>) -> BoxedStrategy<Members> {
    let twice = (good.clone(), prop_oneof![good.clone(), any_json()]);
    let values = prop_oneof![
        150 => good.prop_map(|value| vec![value]),
        4 => any_json().prop_map(|value| vec![value]),
        3 => Just(Vec::new()),
        2 => twice.prop_map(|(first, second)| vec![first, second]),
    ];
    (written(Just(name.to_owned())), values)
        .prop_map(|(name, values)| {
            values
                .into_iter()
                .map(|value| (name.clone(), value))
                .collect()
        })
        .boxed()
}

/// As [`usually`], but no less often missing than not.
fn sometimes(name: &'static str, good: BoxedStrategy<Json>) -> BoxedStrategy<Members> {
    prop_oneof![Just(Vec::new()), usually(name, good)].boxed()
}

fn rarely(name: &'static str) -> BoxedStrategy<Members> {
    prop_oneof![
        60 => Just(Vec::new()),
        1 => (written(Just(name.to_owned())), any_json()).prop_map(|member| vec![member]),
    ]
    .boxed()
}

/// Members that mean nothing to the verifier, though some look as if they did.
fn others() -> BoxedStrategy<Members> {
    let name = prop_oneof![
        text(),
        select(
            &[
                "EXP", "exp ", "exp\0", "issuer", "jku", "x5c", "jwk", "scope"
            ][..]
        )
        .prop_map(str::to_owned),
    ];
    vec((written(name), any_json()), 0..3).boxed()
}

/// An object of these members in any order; now and then something else.
fn part(members: Vec<BoxedStrategy<Members>>) -> impl Strategy<Value = Part> {
    let object = members
        .prop_map(|members| members.concat())
        .prop_shuffle()
        .prop_map(Json::Object);
    let json = prop_oneof![80 => object, 1 => any_json()];
    let around = || {
        prop_oneof![
            80 => select(&["", "", " ", "\r\n\t"][..]),
            1 => select(&["\u{feff}", "\0", "{}", "x", ",", "\u{a0}", "//"][..]),
        ]
    };
    (around(), json, around()).prop_map(|(before, json, after)| Part {
        before,
        json,
        after,
    })
}

fn header() -> impl Strategy<Value = Part> {
    part(vec![
        usually("alg", one_of(&["HS256"])),
        sometimes(
            "typ",
            prop_oneof![
                8 => one_of(&["JWT", "jwt", "at+jwt", "application/at+jwt", "Application/Jwt"]),
                1 => one_of(&["", "JOSE", "at+jwt ", "application/", "logout+jwt", "dpop+jwt", "jwt/at+jwt"]),
            ]
            .boxed(),
        ),
        sometimes("kid", json_text(text())),
        prop_oneof![4 => Just(Vec::new()), 1 => usually("cty", one_of(&["json", "jwt", "application/JWT", ""]))]
            .boxed(),
        rarely("crit"),
        rarely("b64"),
        rarely("zip"),
        others(),
    ])
}

fn payload(setting: &Setting) -> impl Strategy<Value = Part> + use<> {
    let (now, leeway) = (setting.now as f64, setting.leeway as f64);
    let audience = match setting.audience {
        Audience::None => rarely("aud"),
        Audience::Any => sometimes("aud", one_of(&["api", "", "another"])),
        Audience::Api => {
            let several = vec(one_of(&["api", "API", "another", ""]), 0..4).prop_map(Json::Array);
            let foreign = one_of(&["", "API", "ap", "api "]);
            usually(
                "aud",
                prop_oneof![8 => one_of(&["api"]), 2 => several, 1 => foreign].boxed(),
            )
        }
    };
    let issuer = prop_oneof![15 => one_of(&["me"]), 1 => one_of(&["", "Me", "me\0", "mee"])];
    let name = || json_text(text());
    part(vec![
        usually(
            "exp",
            prop_oneof![
                6 => date(now + 300.0),
                3 => date(now - leeway),
                1 => date(253_402_300_799.0),
                1 => date(0.0),
            ]
            .boxed(),
        ),
        sometimes(
            "nbf",
            prop_oneof![6 => date(now - 10.0), 2 => date(now + leeway)].boxed(),
        ),
        sometimes(
            "iat",
            prop_oneof![5 => date(now - leeway), 2 => date(now + leeway), 1 => date(0.0)].boxed(),
        ),
        usually("iss", issuer.boxed()),
        sometimes("sub", name()),
        sometimes("jti", name()),
        sometimes("sid", name()),
        audience,
        rarely("events"),
        rarely("cnf"),
        others(),
    ])
}

fn setting() -> impl Strategy<Value = Setting> {
    (
        select(vec![1, 100, NOW, NOW, 4_102_444_800]),
        select(vec![0, 30, 300]),
        any::<bool>(),
        select(vec![Audience::None, Audience::Any, Audience::Api]),
    )
        .prop_map(|(now, leeway, issuer, audience)| Setting {
            now,
            leeway,
            issuer,
            audience,
        })
}

/// What an accepted token says of itself is what was written into it.
fn agrees(token: &VerifiedToken, header: &Part, payload: &Part) -> Result<(), TestCaseError> {
    let header = |name| once(header.members()?, name)??.as_text();
    let claim = |name| once(payload.members()?, name)?;
    let text = |name| claim(name)?.as_text();
    prop_assert_eq!(token.typ(), header("typ"));
    prop_assert_eq!(token.key_id(), header("kid"));
    prop_assert_eq!(token.issuer(), text("iss"));
    prop_assert_eq!(token.subject(), text("sub"));
    prop_assert_eq!(token.token_id(), text("jti"));
    prop_assert_eq!(token.session_id(), text("sid"));
    let audience: Vec<_> = token.audience().collect();
    let names = claim("aud").and_then(Json::as_names).unwrap_or_default();
    prop_assert_eq!(audience, names);
    // To the nanosecond: a date holds no smaller part of a second.
    let date = |name| Duration::try_from_secs_f64(claim(name)?.as_date()?).ok();
    let since_epoch = tower_jwt_auth::claims::NumericDate::since_epoch;
    prop_assert_eq!(Some(since_epoch(token.expires_at())), date("exp"));
    prop_assert_eq!(token.not_before().map(since_epoch), date("nbf"));
    prop_assert_eq!(token.issued_at().map(since_epoch), date("iat"));
    Ok(())
}

/// Runs `test`, which returns whether the token was accepted. Fails if either result is rare.
fn both_outcomes<S: Strategy>(
    cases: u32,
    strategy: &S,
    test: impl Fn(S::Value) -> Result<bool, TestCaseError>,
) {
    let accepted = Cell::new(0u32);
    let mut runner = TestRunner::new(config(cases));
    let result = runner.run(strategy, |value| {
        accepted.set(accepted.get() + u32::from(test(value)?));
        Ok(())
    });
    if let Err(TestError::Fail(why, value)) = result {
        panic!("{why}\n{value:#?}");
    }
    let accepted = accepted.get();
    assert!(
        (cases / 10..=cases - cases / 10).contains(&accepted),
        "{accepted} of {cases} accepted"
    );
}

#[test]
fn a_signed_token_is_accepted_if_and_only_if_the_rules_say_so() {
    let strategy = setting().prop_flat_map(|setting| {
        let payload = payload(&setting);
        (Just(setting), header(), payload)
    });
    both_outcomes(1000, &strategy, |(setting, header, payload)| {
        let token = sign(&header.bytes(), &payload.bytes());
        let verifier = setting.verifier();
        let outcome = verifier.verify(&token);
        let stage = outcome
            .as_ref()
            .map(|_| ())
            .map_err(|error| error.kind().stage());
        prop_assert_eq!(stage, setting.expected(&header, &payload), "{:?}", outcome);
        // A verifier that knows the header comes to the same.
        let again = verifier.verify(&token);
        prop_assert_eq!(
            again.as_ref().map(|_| ()).map_err(|error| error.kind()),
            outcome.as_ref().map(|_| ()).map_err(|error| error.kind())
        );
        for token in outcome.iter().chain(&again) {
            agrees(token, &header, &payload)?;
            // JSON that serde_json only skips may be more than it can read, as an error.
            let _ = token.claims::<Value>();
        }
        Ok(outcome.is_ok())
    });
}

/// Bits of JSON in no order: most of it is none.
fn soup(object: &'static str) -> impl Strategy<Value = Vec<u8>> {
    const TOKENS: &str = r#"{ } [ ] , : {"exp":1800000300 "exp" ,"exp":0 ,"iss":"a" ,"aud":["a"] ,"cnf":{} ,"alg":"HS256"
        ,"x":1e999 ,"x":"\ud800" ,"\ud800":0 "\u0000 ,"typ":"JWT" " \ - 0 1. 1800000300 null true é"#;
    let tokens: Vec<_> = TOKENS
        .split_ascii_whitespace()
        .chain([" ", "\0", "\u{feff}", ",\"y\":\"\0\""])
        .collect();
    let text = vec(select(tokens), 0..8).prop_map(|tokens| tokens.concat());
    let good = move |text: String| format!("{object}{text}}}").into_bytes();
    prop_oneof![
        2 => text.clone().prop_map(good),
        1 => text.prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..40),
    ]
}

/// What `serde_json` parses. `None` for what it accepts only where it skips: too large a number, or
/// half a surrogate pair.
fn read(json: &[u8]) -> Result<Option<Value>, TestCaseError> {
    let text = String::from_utf8_lossy(json);
    match serde_json::from_slice(json) {
        Ok(value) => Ok(Some(value)),
        Err(_) if text.contains("1e999") || text.contains("\\ud800") => Ok(None),
        Err(error) => Err(TestCaseError::fail(format!("{error} in {text}"))),
    }
}

proptest! {
    #![proptest_config(config(1000))]

    #[test]
    fn a_signature_makes_no_claims(payload in soup(r#"{"exp":1800000300"#)) {
        let token = sign(br#"{"alg":"HS256"}"#, &payload);
        if let Ok(token) = verifier(&SigningKey::hs256(SECRET).unwrap()).verify(token) {
            prop_assert_eq!(token.payload().as_bytes(), &payload);
            let claims = read(&payload)?;
            let decoded = token.claims::<Value>().ok();
            prop_assert_eq!(decoded.as_deref(), claims.as_ref());
            if let Some(claims) = claims {
                // A digit of the soup may have joined it.
                let expiry = claims["exp"].as_f64();
                let is_in_bounds = |expiry| (1_800_000_300.0..2.6e11).contains(&expiry);
                prop_assert!(expiry.is_some_and(is_in_bounds));
                prop_assert!(claims.get("cnf").is_none());
            }
        }
    }

    #[test]
    fn a_signature_makes_no_header(header in soup(r#"{"alg":"HS256""#)) {
        let token = sign(&header, br#"{"exp":1800000300}"#);
        if verifier(&SigningKey::hs256(SECRET).unwrap()).verify(token).is_ok()
            && let Some(header) = read(&header)?
        {
            prop_assert_eq!(&header["alg"], "HS256");
        }
    }
}

/// JSON that is nested about as deeply as anything reads it, with brackets in its strings.
fn nested() -> impl Strategy<Value = String> {
    let opening = select(vec![
        ("[", "]"),
        (r#"[1,{"]":"["},"#, "]"),
        (r#"{"x":"#, "}"),
        (r#"{"[\\\"{":"#, r#","y":"}]\\"}"#),
    ]);
    // More of them about the limit than elsewhere.
    let levels = prop_oneof![0..140usize, 120..130usize, 125..129usize];
    let inner = select(vec![
        "1",
        r#""[[[""#,
        r#""\\\"[""#,
        "[]",
        "{}",
        "[[1]]",
        "null",
    ]);
    (levels, inner).prop_flat_map(move |(levels, inner)| {
        vec(opening.clone(), levels).prop_map(move |levels| {
            let start: String = levels.iter().map(|(open, _)| *open).collect();
            let end: String = levels.iter().rev().map(|(_, close)| *close).collect();
            format!("{start}{inner}{end}")
        })
    })
}

proptest! {
    #![proptest_config(config(2000))]

    /// A payload, a header and a key are read if and only if `serde_json` reads them into whatever
    /// type: as deep, and no deeper.
    #[test]
    fn depth_is_bounded_as_serde_json_bounds_it(json in nested(), spaced: bool) {
        let space = if spaced { "\n" } else { "" };
        let verifier = verifier(&SigningKey::hs256(SECRET).unwrap());
        let payload = format!(r#"{{"exp":1800000300,{space}"x":{json}}}"#);
        let reads = serde_json::from_str::<Value>(&payload).is_ok();
        let token = verifier.verify(sign(br#"{"alg":"HS256"}"#, payload.as_bytes()));
        prop_assert_eq!(token.is_ok(), reads);
        let header = format!(r#"{{"alg":"HS256",{space}"x":{json}}}"#);
        let token = verifier.verify(sign(header.as_bytes(), br#"{"exp":1800000300}"#));
        prop_assert_eq!(token.is_ok(), reads);
        let k = URL_SAFE_NO_PAD.encode_to_string(SECRET);
        let jwk = format!(r#"{{"kty":"oct","alg":"HS256","k":"{k}",{space}"z":{json}}}"#);
        prop_assert_eq!(VerifyingKey::from_jwk(&jwk).is_ok(), reads);
    }
}

/// A token of one of several issuers.
#[derive(Clone, Debug)]
struct Issued {
    iss: Option<Json>,
    again: bool,
    signer: usize,
    kid: Option<&'static str>,
}

/// The keys of issuer `many`, with the key IDs `0` and `1`; of `lone`; of `other`; and one that is
/// not trusted.
static SIGNERS: LazyLock<[SigningKey; 5]> = LazyLock::new(|| {
    [
        SigningKey::hs256([0x10; 32]).unwrap(),
        SigningKey::hs256([0x11; 32]).unwrap(),
        SigningKey::hs256([0x12; 32]).unwrap(),
        SigningKey::generate(Algorithm::EdDSA).unwrap(),
        SigningKey::hs256([0x14; 32]).unwrap(),
    ]
});

impl Issued {
    fn token(&self) -> String {
        let signer = SIGNERS[self.signer].clone();
        let signer = match self.kid {
            Some(kid) => signer.with_key_id(kid),
            None => signer,
        };
        let iss = match &self.iss {
            Some(iss) if self.again => format!(r#""iss":{iss},"iss":{iss},"#),
            Some(iss) => format!(r#""iss":{iss},"#),
            None => String::new(),
        };
        let claims = format!(r#"{{{iss}"exp":{}}}"#, NOW + 300);
        // As a `RawValue` the text is signed as it is.
        let claims = serde_json::value::RawValue::from_string(claims).unwrap();
        signer.sign_with(&TokenHeader::new(), &claims).unwrap()
    }

    fn expected(&self) -> bool {
        let name = self.iss.as_ref().and_then(Json::as_text);
        let signed_by_it = match name {
            Some("many") => matches!((self.kid, self.signer), (Some("0"), 0) | (Some("1"), 1)),
            Some("lone") => self.signer == 2,
            Some("other") => self.signer == 3,
            _ => false,
        };
        signed_by_it && !self.again
    }
}

#[test]
fn a_token_is_valid_if_and_only_if_its_issuer_signed_it() {
    let named = SIGNERS.clone().map(|key| key.verifying_key());
    let [zero, one, lone, other, _] = named;
    let many = KeySet::new([zero.with_key_id("0"), one.with_key_id("1")]).unwrap();
    let verifier = Verifier::new([
        TrustedIssuer::new("many", many),
        TrustedIssuer::new("lone", lone),
        TrustedIssuer::new("other", other),
    ])
    .clock(ManualClock::at(NOW));

    let trusted = || one_of(&["many", "lone", "other"]);
    let iss = prop_oneof![
        20 => trusted().prop_map(Some),
        2 => one_of(&["", "Many", "lone ", "lone\0", "oth", "another"]).prop_map(Some),
        1 => vec(trusted(), 0..3).prop_map(|names| Some(Json::Array(names))),
        1 => any_json().prop_map(Some),
        1 => Just(None),
    ];
    let fitting = prop::bool::weighted(0.3);
    let again = prop::bool::weighted(0.05);
    let kid = select(vec![None, Some("0"), Some("1"), Some("2")]);
    let strategy = (iss, again, 0..SIGNERS.len(), kid, fitting).prop_map(
        |(iss, again, signer, kid, fitting)| {
            let (signer, kid) = match iss.as_ref().and_then(Json::as_text) {
                Some("many") if fitting => (1, Some("1")),
                Some("lone") if fitting => (2, kid),
                Some("other") if fitting => (3, kid),
                _ => (signer, kid),
            };
            Issued {
                iss,
                again,
                signer,
                kid,
            }
        },
    );
    both_outcomes(1000, &strategy, |issued| {
        let outcome = verifier.verify(issued.token());
        prop_assert_eq!(outcome.is_ok(), issued.expected(), "{:?}", outcome);
        if let Ok(token) = &outcome {
            prop_assert_eq!(token.issuer(), issued.iss.as_ref().and_then(Json::as_text));
            prop_assert_eq!(token.key_id(), issued.kid);
            prop_assert_eq!(token.algorithm(), Some(SIGNERS[issued.signer].algorithm()));
        }
        Ok(outcome.is_ok())
    });
}
