//! Verifies any header and any payload with a valid signature, to reach the checks behind the
//! signature.
//!
//! The result must equal that of the rules written out over plain JSON. `jsonwebtoken::decode` must
//! not reject what is accepted. A token is signed with the key of its `alg`, or else of HS256. So a
//! wrong `alg` or `kid` is rejected for itself and not for its signature.
//!
//! Three pairs are compared too: accessors and payload, the parser of plain payloads and the
//! general one, a cached header and one that is not.
//!
//! Input: a line of header, empty for a usual one, and then the payload. If the first byte is 0x80
//! or more: choices for `writing`. Ten digits that begin with 18000 are a time: 1800050000 is now,
//! whenever the target runs.
#![no_main]

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arbitrary::Unstructured;
use jsonwebtoken::Validation;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tower_jwt_auth::claims::{NumericDate, RegisteredClaims};
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::keys::{Algorithm, KeySet, VerifyingKey};
use tower_jwt_auth::{TrustedIssuer, VerifiedToken, Verifier};
use tower_jwt_auth_fuzz::json::Json;
use tower_jwt_auth_fuzz::reading::{Claims, Header, is_beyond_value, read_claims, read_header};
use tower_jwt_auth_fuzz::tokens::{self, EC_PUBLIC, ED_PUBLIC, LONG_SECRET, SECRET, base64url};
use tower_jwt_auth_fuzz::writing::header_and_payload;
use tower_jwt_auth_fuzz::{count, note};

const ISSUER: &str = "https://id.example.com";
const MOST_BYTES: usize = 8 * 1024;

/// What the verifier trusts.
#[derive(PartialEq)]
enum Keys {
    /// A key for HS256.
    Lone,
    /// [`SET`].
    Set,
    /// The two issuers, each with that key.
    Issuers,
}

/// Algorithm and `kid` of each key in the set, and whether it is the one that signs here.
const SET: [(&str, Option<&str>, bool); 6] = [
    ("HS256", Some("a"), true),
    ("HS384", Some("a"), true),
    ("HS384", Some(""), false),
    ("ES256", Some("zoë"), true),
    ("EdDSA", None, true),
    ("Ed25519", Some("a"), true),
];

fn set() -> KeySet {
    let keys = SET.map(|(name, key_id, signs)| {
        let algorithm: Algorithm = name.parse().unwrap();
        let key = match name {
            _ if !signs => VerifyingKey::from_secret(algorithm, [b'x'; 64]),
            "HS256" => VerifyingKey::from_secret(algorithm, SECRET),
            "HS384" => VerifyingKey::from_secret(algorithm, LONG_SECRET),
            "ES256" => VerifyingKey::from_pem(algorithm, EC_PUBLIC),
            _ => VerifyingKey::from_pem(algorithm, ED_PUBLIC),
        };
        match key_id {
            Some(key_id) => key.unwrap().with_key_id(key_id),
            None => key.unwrap(),
        }
    });
    KeySet::new(keys).unwrap()
}

/// A verifier, and what it is set up to accept.
struct Setup {
    name: &'static str,
    keys: Keys,
    issuers: &'static [&'static str],
    /// For tokens of the first issuer, or of all if there are no issuers with keys of their own.
    audiences: &'static [&'static str],
    any_audience: bool,
    confirmation: Option<&'static str>,
    typ: Option<&'static str>,
    leeway: u64,
}

const STRICT: Setup = Setup {
    name: "nothing configured",
    keys: Keys::Lone,
    issuers: &[],
    audiences: &[],
    any_audience: false,
    confirmation: None,
    typ: None,
    leeway: 30,
};

static SETUPS: [Setup; 6] = [
    STRICT,
    Setup {
        name: "issuer and audience",
        issuers: &[ISSUER],
        audiences: &["api"],
        ..STRICT
    },
    Setup {
        name: "any audience, confirmed",
        any_audience: true,
        confirmation: Some("jkt"),
        leeway: 0,
        ..STRICT
    },
    Setup {
        name: "at+jwt of two issuers",
        issuers: &[ISSUER, "b"],
        audiences: &["api", "b"],
        typ: Some("at+jwt"),
        leeway: 300,
        ..STRICT
    },
    Setup {
        name: "two issuers with keys",
        keys: Keys::Issuers,
        issuers: &[ISSUER, "b"],
        audiences: &["api"],
        ..STRICT
    },
    Setup {
        name: "a set of keys",
        keys: Keys::Set,
        any_audience: true,
        ..STRICT
    },
];

impl Setup {
    fn verifier(&self, clock: ManualClock) -> Verifier {
        let key = VerifyingKey::hs256(SECRET).unwrap();
        let mut verifier = if self.keys == Keys::Set {
            Verifier::new(set())
        } else if self.keys == Keys::Issuers {
            let [first, second] = self.issuers else {
                unreachable!()
            };
            let mut first = TrustedIssuer::new(*first, key.clone());
            for audience in self.audiences {
                first = first.audience(*audience);
            }
            Verifier::new([first, TrustedIssuer::new(*second, key)])
        } else {
            let verifier = self
                .issuers
                .iter()
                .fold(Verifier::new(key), |v, name| v.issuer(*name));
            self.audiences
                .iter()
                .fold(verifier, |v, name| v.audience(*name))
        };
        if self.any_audience {
            verifier = verifier.any_audience();
        }
        if let Some(method) = self.confirmation {
            verifier = verifier.allow_confirmation(method);
        }
        if let Some(typ) = self.typ {
            verifier = verifier.typ(typ);
        }
        verifier
            .leeway(Duration::from_secs(self.leeway))
            .clock(clock)
    }

    fn validation(&self) -> Validation {
        let mut validation = Validation::new(jsonwebtoken::Algorithm::HS256);
        validation.leeway = self.leeway;
        validation.validate_nbf = true;
        validation.validate_aud = !self.any_audience && self.keys != Keys::Issuers;
        let mut required = vec!["exp"];
        if !self.issuers.is_empty() {
            validation.set_issuer(self.issuers);
            required.push("iss");
        }
        if !self.audiences.is_empty() && self.keys != Keys::Issuers {
            validation.set_audience(self.audiences);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        validation
    }

    fn header(&self) -> String {
        let typ = self.typ.unwrap_or("JWT");
        format!(r#"{{"alg":"HS256","typ":"{typ}"}}"#)
    }

    /// DESIGN.md, "Verification", over what was read.
    fn refuses(&self, header: &Header, claims: &Claims, now: Duration) -> Option<&'static str> {
        let typ = header.typ.as_deref().map(|typ| {
            let typ = typ.to_ascii_lowercase();
            typ.strip_prefix("application/")
                .map(str::to_owned)
                .unwrap_or(typ)
        });
        let typ_fits = match (typ.as_deref(), self.typ) {
            (typ, Some(wanted)) => typ == Some(wanted),
            (typ, None) => matches!(typ, None | Some("jwt" | "at+jwt")),
        };
        let key_fits = match self.keys {
            Keys::Lone | Keys::Issuers => header.alg == "HS256",
            // By name and algorithm; without a name, the only one of the algorithm.
            Keys::Set => {
                let kid = header.kid.as_deref();
                let fitting: Vec<_> = SET
                    .iter()
                    .filter(|(alg, name, _)| *alg == header.alg && (kid.is_none() || *name == kid))
                    .collect();
                matches!(fitting[..], [(.., true)])
            }
        };
        let issuer = claims.iss.as_deref();
        let audiences = match issuer {
            Some(issuer) if self.keys == Keys::Issuers && issuer != self.issuers[0] => &[],
            _ => self.audiences,
        };
        let audience_fits = match &claims.aud {
            None => audiences.is_empty(),
            Some(names) if audiences.is_empty() && names.is_empty() => true,
            Some(_) if audiences.is_empty() => self.any_audience,
            Some(names) => names.iter().any(|name| audiences.contains(&name.as_str())),
        };
        let bearer = match &claims.cnf {
            None => true,
            Some(methods) => {
                !methods.is_empty() && methods.iter().all(|m| self.confirmation == Some(m))
            }
        };
        let leeway = Duration::from_secs(self.leeway);
        let begun = |start: Option<Duration>| start.is_none_or(|start| start <= now + leeway);
        [
            (typ_fits, "typ"),
            (key_fits, "alg and kid"),
            (
                self.issuers.is_empty() || issuer.is_some_and(|iss| self.issuers.contains(&iss)),
                "iss",
            ),
            (audience_fits, "aud"),
            (bearer, "cnf"),
            (!claims.events, "events"),
            (now < claims.exp + leeway, "exp"),
            (begun(claims.nbf), "nbf"),
            (begun(claims.iat), "iat"),
            (
                claims.iat.is_none_or(|iat| claims.exp >= iat),
                "exp before iat",
            ),
        ]
        .into_iter()
        .find_map(|(holds, what)| (!holds).then_some(what))
    }
}

struct Verifiers {
    clock: ManualClock,
    /// With no header remembered, and with the usual one.
    pairs: Vec<(Verifier, Verifier)>,
    validations: Vec<Validation>,
}

static VERIFIERS: LazyLock<Verifiers> = LazyLock::new(|| {
    let clock = ManualClock::default();
    let pairs = SETUPS.iter().map(|setup| {
        let fresh = setup.verifier(clock.clone());
        let warm = fresh.clone();
        let claims = format!(r#"{{"iss":"{ISSUER}"}}"#);
        let _ = warm.verify(tokens::hs256(setup.header().as_bytes(), claims.as_bytes()));
        (fresh, warm)
    });
    let pairs = pairs.collect();
    Verifiers {
        clock,
        pairs,
        validations: SETUPS.iter().map(Setup::validation).collect(),
    }
});

/// Takes header and payload as they are in the token.
fn check(header: &[u8], payload: &[u8], now: u64, choice: usize) {
    let header_read = tokens::decode(header).and_then(|bytes| read_header(&bytes));
    let alg = header_read.as_ref().map_or("", |header| &header.alg);
    let token = tokens::signed(tokens::key(alg), header, payload);
    // Quarters of a second, of which `jsonwebtoken` knows nothing.
    let quarters = (choice / SETUPS.len() % 4) as u32;
    let now = Duration::from_secs(now) + Duration::from_millis(250) * quarters;
    VERIFIERS.clock.set(now.as_secs());
    VERIFIERS
        .clock
        .advance(Duration::from_millis(250) * quarters);

    let shape = token.len() <= MOST_BYTES
        && token.iter().filter(|byte| **byte == b'.').count() == 2
        && !header.is_empty()
        && !payload.is_empty();
    let payload_text = tokens::decode(payload)
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_default();
    let beyond_value = Json::parse(&payload_text).is_some_and(|json| is_beyond_value(&json));
    let claims_read = Json::parse(&payload_text).and_then(read_claims);

    for (index, (setup, (fresh, warm))) in SETUPS.iter().zip(&VERIFIERS.pairs).enumerate() {
        let refused = match (&header_read, &claims_read) {
            _ if !shape => Some("shape"),
            (None, _) => Some("header"),
            (_, None) => Some("claims"),
            (Some(header), Some(claims)) => setup.refuses(header, claims, now),
        };
        let verdict = warm.verify(&token);
        let outcome = verdict
            .as_ref()
            .map_or_else(|error| error.kind().name(), |_| "accepted");
        count(setup.name, outcome);
        match (&verdict, refused) {
            (Ok(_), Some(rule)) => panic!("accepted against the rules: {rule}"),
            (Err(error), None) => panic!("refused within the rules: {error}"),
            _ => {}
        }
        if let (Ok(verified), Some(header), Some(claims)) = (&verdict, &header_read, &claims_read) {
            check_accessors(verified, &payload_text, beyond_value, header, claims);
        }
        if quarters == 0 {
            compare(
                index,
                &token,
                alg,
                payload,
                &verdict,
                beyond_value,
                now.as_secs(),
            );
        }
        if choice % SETUPS.len() == index {
            same(&verdict, &fresh.clone().verify(&token));
            if let Some(general) = for_the_general_reader(&payload_text) {
                let general = base64url(general);
                let token = tokens::signed(tokens::key(alg), header, general.as_bytes());
                if token.len() <= MOST_BYTES {
                    same(&verdict, &warm.verify(token));
                }
            }
        }
    }
}

/// The same claims, and one that is ignored and written with an escape: no longer plain.
fn for_the_general_reader(payload: &str) -> Option<String> {
    let rest = payload
        .trim_start_matches([' ', '\t', '\n', '\r'])
        .strip_prefix('{')?;
    let comma = match rest.trim_start().starts_with('}') {
        true => "",
        false => ",",
    };
    Some(format!(r#"{{"\u007a":0{comma}{rest}"#))
}

type Verdict = Result<VerifiedToken, tower_jwt_auth::VerifyError>;

#[track_caller]
fn same(one: &Verdict, other: &Verdict) {
    match (one, other) {
        (Ok(one), Ok(other)) => {
            assert_eq!(one.issuer(), other.issuer());
            assert_eq!(one.subject(), other.subject());
            assert_eq!(one.token_id(), other.token_id());
            assert_eq!(one.session_id(), other.session_id());
            assert_eq!(one.generation(), other.generation());
            assert!(one.audience().eq(other.audience()));
            assert!(one.expires_at() == other.expires_at());
            assert!(one.not_before() == other.not_before());
            assert!(one.issued_at() == other.issued_at());
            assert_eq!(one.key_id(), other.key_id());
            assert_eq!(one.typ(), other.typ());
        }
        (Err(one), Err(other)) => assert_eq!(one.kind(), other.kind()),
        _ => panic!("{one:?}, but {other:?}"),
    }
}

#[expect(clippy::disallowed_methods, reason = "the reference")]
fn compare(
    setup: usize,
    token: &[u8],
    alg: &str,
    payload: &[u8],
    verdict: &Verdict,
    beyond_value: bool,
    now: u64,
) {
    let decodes = |token: &[u8], alg| {
        let key = tokens::key(alg);
        let mut validation = VERIFIERS.validations[setup].clone();
        validation.algorithms = vec![key.algorithm];
        jsonwebtoken::decode::<Value>(token, &key.verifying, &validation)
    };
    let shown = || String::from_utf8_lossy(token).into_owned();
    match (verdict, decodes(token, alg)) {
        (Ok(_), Ok(_)) | (Err(_), Err(_)) => {}
        (Err(error), Ok(_)) => note(
            "refused, but not by jsonwebtoken",
            error.kind().name(),
            shown,
        ),
        (Ok(_), Err(_)) if beyond_value => {
            note(
                "accepted, but not by jsonwebtoken",
                "a claim that serde_json::Value cannot hold",
                shown,
            );
        }
        // The second has passed: the two were not asked at the same time.
        (Ok(_), Err(_)) if seconds() != now => {}
        (Ok(_), Err(_)) => {
            let plain = base64url(SETUPS[setup].header());
            let plain = tokens::signed(tokens::key("HS256"), plain.as_bytes(), payload);
            if let Err(error) = decodes(&plain, "HS256") {
                panic!("accepted against jsonwebtoken: {error:?}");
            }
            note(
                "accepted, but not by jsonwebtoken",
                "a member of the header that its types cannot hold",
                shown,
            );
        }
    }
}

fn check_accessors(
    verified: &VerifiedToken,
    payload: &str,
    beyond_value: bool,
    header: &Header,
    claims: &Claims,
) {
    let since = |date: NumericDate| date.since_epoch();
    assert_eq!(verified.payload(), payload);
    assert_eq!(verified.algorithm().unwrap().name(), header.alg);
    assert_eq!(verified.key_id(), header.kid.as_deref());
    assert_eq!(verified.typ(), header.typ.as_deref());
    assert_eq!(verified.issuer(), claims.iss.as_deref());
    assert_eq!(verified.subject(), claims.sub.as_deref());
    assert_eq!(verified.token_id(), claims.jti.as_deref());
    assert_eq!(verified.session_id(), claims.sid.as_deref());
    assert_eq!(verified.generation(), claims.generation);
    assert!(verified.audience().eq(claims.aud.iter().flatten()));
    assert_eq!(since(verified.expires_at()), claims.exp);
    assert_eq!(verified.not_before().map(since), claims.nbf);
    assert_eq!(verified.issued_at().map(since), claims.iat);
    let _ = format!("{verified:?}");

    let value = verified.claims::<Value>();
    assert_eq!(value.is_err(), beyond_value, "{value:?}");
    if let Ok(value) = value {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        assert_eq!(verified.issuer(), text("iss"));
        assert_eq!(verified.subject(), text("sub"));
        assert_eq!(verified.token_id(), text("jti"));
        assert_eq!(verified.session_id(), text("sid"));
        let generation = value.get("generation").and_then(Value::as_u64);
        assert_eq!(verified.generation(), generation);
        let exp = value.get("exp").and_then(Value::as_f64).unwrap();
        assert_eq!(
            claims.exp.as_secs_f64(),
            Duration::from_secs_f64(exp).as_secs_f64()
        );
    }

    let registered = verified
        .claims::<RegisteredClaims>()
        .expect("the claims were read before");
    assert_eq!(registered.issuer.as_deref(), verified.issuer());
    assert_eq!(registered.subject.as_deref(), verified.subject());
    assert_eq!(registered.token_id.as_deref(), verified.token_id());
    assert_eq!(registered.session_id.as_deref(), verified.session_id());
    assert_eq!(registered.generation, verified.generation());
    assert!(
        registered
            .audience
            .iter()
            .flat_map(|names| names.iter())
            .eq(verified.audience())
    );
    assert!(registered.expires_at == Some(verified.expires_at()));
    assert!(registered.not_before == verified.not_before());
    assert!(registered.issued_at == verified.issued_at());
    let minted = serde_json::to_string(&*registered).unwrap();
    let again: RegisteredClaims = serde_json::from_str(&minted).unwrap();
    if minted.contains('.') {
        // A fraction of a second may lose its last digits.
        assert!(again.issuer == registered.issuer && again.generation == registered.generation);
    } else {
        assert!(again == *registered);
    }
}

/// In base64url, or nearly so.
fn encoded(bytes: &[u8], oddity: u8) -> Vec<u8> {
    let mut text = base64url(bytes).into_bytes();
    match oddity {
        0x31 => text.push(b'='),
        // Stray bits, if there is room for any.
        0x32 => {
            if let Some(last) = text.last_mut() {
                *last = last.wrapping_add(1);
            }
        }
        0x33 => text
            .iter_mut()
            .filter(|b| **b == b'-')
            .for_each(|b| *b = b'+'),
        0x34 => return bytes.to_vec(),
        _ => {}
    }
    text
}

/// Moves the times of an input to where they are meant.
fn at(now: u64, text: &[u8]) -> Vec<u8> {
    const MARK: &[u8] = b"18000";
    let mut moved = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        match rest
            .strip_prefix(MARK)
            .and_then(|digits| digits.split_at_checked(5))
        {
            Some((digits, after)) if digits.iter().all(u8::is_ascii_digit) => {
                let offset: u64 = std::str::from_utf8(digits).unwrap().parse().unwrap();
                moved.extend_from_slice((now + offset - 50_000).to_string().as_bytes());
                rest = after;
            }
            _ => {
                moved.push(*first);
                rest = after;
            }
        }
    }
    moved
}

#[expect(
    clippy::disallowed_methods,
    reason = "jsonwebtoken knows no other clock"
)]
fn seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

fuzz_target!(|data: &[u8]| {
    let (header, payload, oddities) = match data {
        [kind, first, second, choices @ ..] if *kind >= 0x80 => {
            let Ok((header, payload)) = header_and_payload(&mut Unstructured::new(choices)) else {
                return;
            };
            (header, payload, [*first, *second])
        }
        _ => {
            let (header, payload) = match data.iter().position(|byte| *byte == b'\n') {
                None => (&b""[..], data),
                Some(end) => (&data[..end], &data[end + 1..]),
            };
            let header = match header {
                b"" => br#"{"alg":"HS256","typ":"at+jwt"}"#,
                header => header,
            };
            (header.to_vec(), payload.to_vec(), [0, 0])
        }
    };
    count(
        "input",
        match data.first() {
            Some(0x80..) => "choices",
            _ => "text",
        },
    );
    let now = seconds();
    let header = encoded(&at(now, &header), oddities[0]);
    let payload = encoded(&at(now, &payload), oddities[1]);
    check(&header, &payload, now, data.len());
});
