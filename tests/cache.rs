//! Holds the cache of tokens to each point of its safety argument. `tests/remote_keys` does so for
//! remote keys.
#![cfg(any(feature = "aws_lc_rs", feature = "rust_crypto"))]
#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test that panics fails"
)]

use std::cell::Cell;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use http::header::AUTHORIZATION;
use http::{Request, Response};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use tower::{Layer, ServiceExt, service_fn};
use tower_jwt_auth::clock::{Clock, ManualClock};
use tower_jwt_auth::keys::{Algorithm, KeySet, SigningKey};
use tower_jwt_auth::revocation::{Revocation, RevocationStore, TokenIdentity};
use tower_jwt_auth::store::MemoryStore;
use tower_jwt_auth::{
    JwtAuthLayer, TrustedIssuer, VerifiedToken, Verifier, VerifyError, VerifyErrorKind,
};

const NOW: u64 = 1_800_000_000;

/// So often a token has to come until each thread that sees it has a copy, and more.
const HOT: usize = 100;

fn claims() -> Value {
    json!({
        "iss": "https://id.example.com", "aud": "api", "sub": "me", "jti": "1",
        "exp": NOW + 300, "nbf": NOW - 10, "iat": NOW - 10,
    })
}

fn signing(algorithm: Algorithm) -> SigningKey {
    SigningKey::generate(algorithm).unwrap()
}

fn verifier(key: &SigningKey, clock: &ManualClock) -> Verifier {
    Verifier::new(key.verifying_key())
        .issuer("https://id.example.com")
        .audience("api")
        .clock(clock.clone())
}

fn kind(result: Result<VerifiedToken, VerifyError>) -> Option<VerifyErrorKind> {
    result.err().map(|error| error.kind())
}

/// Whether two tokens are the same in memory: the second was a cache hit.
fn same(one: &VerifiedToken, other: &VerifiedToken) -> bool {
    std::ptr::eq(one.payload(), other.payload())
}

fn heat(verifier: &Verifier, token: &str) {
    for _ in 0..HOT {
        verifier.verify(token).unwrap();
    }
}

#[test]
fn a_cached_token_is_not_verified_again() {
    for algorithm in [Algorithm::HS256, Algorithm::ES256, Algorithm::EdDSA] {
        let (key, clock) = (signing(algorithm), ManualClock::at(NOW));
        let token = key.sign(&claims()).unwrap();
        let again = |verifier: &Verifier| {
            let first = verifier.verify(&token).unwrap();
            same(&first, &verifier.verify(&token).unwrap())
        };
        let verifier = verifier(&key, &clock);
        assert!(again(&verifier));
        assert!(again(&verifier.clone().cache(1 << 20)));
        assert!(!again(&verifier.clone().without_cache()));
        assert!(!again(&verifier.clone().cache(0)));
        // A clone knows what the original knows.
        let one = verifier.verify(&token).unwrap();
        assert!(same(&one, &verifier.clone().verify(&token).unwrap()));
        // One that is hot has copies, which are the same token.
        heat(&verifier, &token);
        let copy = verifier.verify(&token).unwrap();
        assert!(same(&copy, &verifier.verify(&token).unwrap()));
        assert_eq!(copy.payload(), one.payload());
        assert_eq!(copy.token_id(), one.token_id());
        assert_eq!(
            copy.claims::<Value>().unwrap(),
            one.claims::<Value>().unwrap()
        );
    }
}

#[test]
fn a_token_that_differs_anywhere_is_verified_for_itself() {
    let (key, clock) = (signing(Algorithm::EdDSA), ManualClock::at(NOW));
    let verifier = verifier(&key, &clock);
    let without = verifier.clone().without_cache();
    let token = key.sign(&claims()).unwrap();
    heat(&verifier, &token);
    for at in 0..token.len() {
        for by in ["A", "B", "_", "."] {
            let mut tampered = token.clone();
            tampered.replace_range(at..=at, by);
            assert_eq!(
                kind(verifier.verify(&tampered)),
                kind(without.verify(&tampered)),
                "{at}"
            );
            assert_eq!(verifier.verify(&tampered).is_ok(), tampered == token);
        }
    }
    for cut in 0..token.len() {
        assert!(verifier.verify(&token[..cut]).is_err(), "{cut}");
    }
    assert!(verifier.verify(format!("{token}A")).is_err());
}

#[test]
fn equal_claims_with_another_signature_never_hit() {
    let clock = ManualClock::at(NOW);
    let (key, stranger) = (signing(Algorithm::ES256), signing(Algorithm::ES256));
    let verifier = verifier(&key, &clock);
    // ECDSA signs with a random number: two good tokens of the same header and claims.
    let (one, two) = (key.sign(&claims()).unwrap(), key.sign(&claims()).unwrap());
    let unsigned = |token: &str| token.rsplit_once('.').unwrap().0.to_owned();
    assert_eq!(unsigned(&one), unsigned(&two));
    assert_ne!(one, two);
    heat(&verifier, &one);
    let (one, two) = (
        verifier.verify(&one).unwrap(),
        verifier.verify(&two).unwrap(),
    );
    assert!(!same(&one, &two));
    let forged = stranger.sign(&claims()).unwrap();
    assert_eq!(unsigned(&forged), unsigned(&key.sign(&claims()).unwrap()));
    assert_eq!(
        kind(verifier.verify(forged)),
        Some(VerifyErrorKind::BadSignature)
    );
}

/// (r, n - s) is good wherever (r, s) is.
fn twin(token: &str) -> String {
    const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let (unsigned, signature) = token.rsplit_once('.').unwrap();
    let mut signature = base64_simd::URL_SAFE_NO_PAD
        .decode_to_vec(signature)
        .unwrap();
    let mut borrow = 0;
    for at in (0..32).rev() {
        let order = i16::from(u8::from_str_radix(&ORDER[2 * at..2 * at + 2], 16).unwrap());
        let difference = order - i16::from(signature[32 + at]) - borrow;
        borrow = i16::from(difference < 0);
        signature[32 + at] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    let signature = base64_simd::URL_SAFE_NO_PAD.encode_to_string(signature);
    format!("{unsigned}.{signature}")
}

type Service = tower::util::BoxCloneSyncService<Request<String>, Response<Vec<u8>>, Infallible>;

fn service<V: RevocationStore>(
    layer: &JwtAuthLayer<tower_jwt_auth::middleware::ProblemJson, V>,
) -> Service {
    let inner = service_fn(async |_: Request<String>| Ok(Response::new(Vec::new())));
    Service::new(layer.layer(inner))
}

async fn status(service: &Service, token: &str) -> u16 {
    let request = Request::get("/")
        .header(AUTHORIZATION, format!("Bearer {token}"))
        .body(String::new())
        .unwrap();
    service
        .clone()
        .oneshot(request)
        .await
        .unwrap()
        .status()
        .as_u16()
}

#[tokio::test]
async fn f04_the_second_form_of_a_signature_is_another_entry_and_the_same_token_id() {
    let (key, clock) = (signing(Algorithm::ES256), ManualClock::at(NOW));
    let verifier = verifier(&key, &clock);
    let token = key.sign(&claims()).unwrap();
    let twin = twin(&token);
    heat(&verifier, &token);
    assert!(!same(
        &verifier.verify(&token).unwrap(),
        &verifier.verify(&twin).unwrap()
    ));

    let store = MemoryStore::with_clock(clock);
    let service = service(&JwtAuthLayer::with_verifier(verifier.clone()).revocation(store.clone()));
    for token in [&token, &twin] {
        assert_eq!(status(&service, token).await, 200);
    }
    let verified = verifier.verify(&token).unwrap();
    let revocation = Revocation::of_token(&TokenIdentity::from(&verified)).unwrap();
    store.revoke(&revocation).unwrap();
    for token in [&token, &twin] {
        assert_eq!(status(&service, token).await, 401);
    }
}

#[test]
fn the_times_are_checked_at_every_hit() {
    let (key, clock) = (signing(Algorithm::EdDSA), ManualClock::at(NOW));
    let verifier = verifier(&key, &clock);
    let mut claims = claims();
    claims["nbf"] = json!(NOW - 5);
    let token = key.sign(&claims).unwrap();
    for times in [1, HOT] {
        clock.set(NOW);
        for _ in 0..times {
            verifier.verify(&token).unwrap();
        }
        clock.set(NOW + 329);
        assert_eq!(kind(verifier.verify(&token)), None);
        clock.set(NOW + 330);
        assert_eq!(
            kind(verifier.verify(&token)),
            Some(VerifyErrorKind::Expired)
        );
        // With a clock that steps back the cached token is as valid as a new one.
        clock.set(NOW - 35);
        assert_eq!(kind(verifier.verify(&token)), None);
        clock.step_back(Duration::from_nanos(1));
        assert_eq!(
            kind(verifier.verify(&token)),
            Some(VerifyErrorKind::NotYetValid)
        );
    }
    claims.as_object_mut().unwrap().remove("nbf");
    let token = key.sign(&claims).unwrap();
    for times in [1, HOT] {
        clock.set(NOW);
        for _ in 0..times {
            verifier.verify(&token).unwrap();
        }
        clock.set(NOW - 40);
        assert_eq!(kind(verifier.verify(&token)), None);
        clock.step_back(Duration::from_nanos(1));
        assert_eq!(
            kind(verifier.verify(&token)),
            Some(VerifyErrorKind::IssuedInFuture)
        );
    }
}

#[derive(Clone, Default)]
struct Asked {
    times: Arc<AtomicU64>,
    revoked: Arc<AtomicBool>,
}

impl RevocationStore for Asked {
    type Error = Infallible;

    async fn is_revoked(&self, _: &TokenIdentity<'_>) -> Result<bool, Infallible> {
        self.times.fetch_add(1, Ordering::Relaxed);
        Ok(self.revoked.load(Ordering::Relaxed))
    }
}

#[tokio::test]
async fn the_store_is_asked_at_every_hit() {
    let (key, clock) = (signing(Algorithm::EdDSA), ManualClock::at(NOW));
    let store = Asked::default();
    let layer = JwtAuthLayer::with_verifier(verifier(&key, &clock)).revocation(store.clone());
    let service = service(&layer);
    let token = key.sign(&claims()).unwrap();
    for asked in 1..=HOT {
        assert_eq!(status(&service, &token).await, 200);
        assert_eq!(store.times.load(Ordering::Relaxed), asked as u64);
    }
    store.revoked.store(true, Ordering::Relaxed);
    assert_eq!(status(&service, &token).await, 401);
    // Its verdict is not kept either.
    store.revoked.store(false, Ordering::Relaxed);
    assert_eq!(status(&service, &token).await, 200);
}

#[test]
fn a_changed_configuration_starts_an_empty_cache() {
    let (key, clock) = (signing(Algorithm::EdDSA), ManualClock::at(NOW));
    let verifier = verifier(&key, &clock);
    let token = key.sign(&claims()).unwrap();
    heat(&verifier, &token);
    let cases: [(&str, Verifier, VerifyErrorKind); 6] = [
        (
            "typ",
            verifier.clone().typ("at+jwt"),
            VerifyErrorKind::WrongType,
        ),
        (
            "length",
            verifier.clone().max_token_length(10),
            VerifyErrorKind::TooLong,
        ),
        (
            "clock",
            verifier.clone().clock(ManualClock::at(NOW + 1000)),
            VerifyErrorKind::Expired,
        ),
        (
            "leeway",
            verifier
                .clone()
                .leeway(Duration::ZERO)
                .clock(ManualClock::at(NOW + 300)),
            VerifyErrorKind::Expired,
        ),
        (
            "issuer",
            Verifier::new(key.verifying_key())
                .issuer("b")
                .audience("api")
                .clock(clock.clone()),
            VerifyErrorKind::WrongIssuer,
        ),
        (
            "audience",
            Verifier::new(key.verifying_key())
                .clock(clock.clone())
                .audience("b"),
            VerifyErrorKind::WrongAudience,
        ),
    ];
    for (name, changed, expected) in cases {
        for _ in 0..2 {
            assert_eq!(kind(changed.verify(&token)), Some(expected), "{name}");
            assert_eq!(kind(verifier.verify(&token)), None, "{name}");
        }
    }
    // Settings that only allow more start with an empty cache as well.
    let known = verifier.verify(&token).unwrap();
    for changed in [
        verifier.clone().any_audience(),
        verifier.clone().issuer("b"),
        verifier.clone().audience("b"),
        verifier.clone().allow_confirmation("jkt"),
        verifier.clone().leeway(Duration::from_secs(60)),
        verifier.clone().cache(1 << 20),
    ] {
        assert!(!same(&known, &changed.verify(&token).unwrap()));
    }
}

#[test]
fn a_configuration_under_construction_takes_nothing_along() {
    let (key, clock) = (signing(Algorithm::EdDSA), ManualClock::at(NOW));
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove("aud");
    let token = key.sign(&claims).unwrap();
    let lax = Verifier::new(key.verifying_key()).clock(clock);
    heat(&lax, &token);
    let strict = lax.clone().audience("api");
    assert_eq!(
        kind(strict.verify(&token)),
        Some(VerifyErrorKind::MissingAudience)
    );
    let strict = lax.clone().issuer("b");
    assert_eq!(
        kind(strict.verify(&token)),
        Some(VerifyErrorKind::WrongIssuer)
    );
}

#[test]
fn issuers_do_not_share_what_is_known() {
    let clock = ManualClock::at(NOW);
    let (one, two) = (signing(Algorithm::EdDSA), signing(Algorithm::EdDSA));
    let set = KeySet::new([one.clone().with_key_id("1").verifying_key()]).unwrap();
    let verifier = Verifier::new([
        TrustedIssuer::new("https://id.example.com", set),
        TrustedIssuer::new("b", two.verifying_key()),
    ])
    .audience("api")
    .clock(clock);
    let good = one.with_key_id("1").sign(&claims()).unwrap();
    heat(&verifier, &good);
    let first = verifier.verify(&good).unwrap();
    assert!(same(&first, &verifier.verify(&good).unwrap()));
    let forged = two.with_key_id("1").sign(&claims()).unwrap();
    assert_eq!(
        kind(verifier.verify(forged)),
        Some(VerifyErrorKind::BadSignature)
    );
}

/// Panics when it is asked while `armed`.
#[derive(Clone)]
struct Fragile {
    armed: Arc<AtomicBool>,
    clock: ManualClock,
}

impl Clock for Fragile {
    fn now(&self) -> SystemTime {
        assert!(!self.armed.load(Ordering::Relaxed), "the clock is broken");
        self.clock.now()
    }
}

#[test]
fn a_clock_that_panics_leaves_no_entry_and_spoils_none() {
    let (key, clock) = (signing(Algorithm::EdDSA), ManualClock::at(NOW));
    let armed = Arc::new(AtomicBool::new(true));
    let verifier = verifier(&key, &clock).clock(Fragile {
        armed: Arc::clone(&armed),
        clock: clock.clone(),
    });
    let token = key.sign(&claims()).unwrap();
    let panics = || catch_unwind(AssertUnwindSafe(|| verifier.verify(&token))).is_err();
    assert!(panics());
    armed.store(false, Ordering::Relaxed);
    clock.set(NOW + 1000);
    assert_eq!(
        kind(verifier.verify(&token)),
        Some(VerifyErrorKind::Expired)
    );
    clock.set(NOW);
    for times in [1, HOT] {
        for _ in 0..times {
            verifier.verify(&token).unwrap();
        }
        armed.store(true, Ordering::Relaxed);
        assert!(panics());
        armed.store(false, Ordering::Relaxed);
        clock.set(NOW + 1000);
        assert_eq!(
            kind(verifier.verify(&token)),
            Some(VerifyErrorKind::Expired)
        );
        clock.set(NOW);
        assert_eq!(kind(verifier.verify(&token)), None);
    }
}

thread_local! {
    static FRAGILE: Cell<bool> = const { Cell::new(false) };
}

struct Picky(String);

impl<'de> Deserialize<'de> for Picky {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let claims = Value::deserialize(deserializer)?;
        assert!(!FRAGILE.get(), "no claims today");
        Ok(Self(claims["sub"].as_str().unwrap().to_owned()))
    }
}

#[test]
fn a_deserializer_that_panics_leaves_the_token_as_it_was() {
    let (key, clock) = (signing(Algorithm::EdDSA), ManualClock::at(NOW));
    let verifier = verifier(&key, &clock);
    let token = key.sign(&claims()).unwrap();
    for times in [1, HOT] {
        for _ in 0..times {
            verifier.verify(&token).unwrap();
        }
        let known = verifier.verify(&token).unwrap();
        FRAGILE.set(true);
        assert!(catch_unwind(AssertUnwindSafe(|| known.claims::<Picky>().is_ok())).is_err());
        FRAGILE.set(false);
        let again = verifier.verify(&token).unwrap();
        assert_eq!(again.claims::<Picky>().unwrap().0, "me");
        assert_eq!(known.claims::<Picky>().unwrap().0, "me");
        // One that fails is asked again too.
        assert!(known.claims::<Vec<u8>>().is_err());
        assert_eq!(known.claims::<Picky>().unwrap().0, "me");
    }
}

#[test]
fn tokens_that_are_long_are_not_kept() {
    let (key, clock) = (signing(Algorithm::EdDSA), ManualClock::at(NOW));
    let verifier = verifier(&key, &clock);
    let again = |length: usize| {
        let mut claims = claims();
        claims["padding"] = json!("x".repeat(length));
        let token = key.sign(&claims).unwrap();
        let first = verifier.verify(&token).unwrap();
        (token.len(), same(&first, &verifier.verify(&token).unwrap()))
    };
    let (length, known) = again(2500);
    assert!(length <= 4096 && known, "{length}");
    let (length, known) = again(3000);
    assert!(length > 4096 && !known, "{length}");
}

#[derive(Deserialize)]
struct Large {
    #[expect(dead_code, reason = "what is looked at is that it is kept")]
    sub: String,
    #[serde(skip, default = "large")]
    _rest: [[u8; 32]; 512],
}

fn large() -> [[u8; 32]; 512] {
    [[0; 32]; 512]
}

#[derive(Deserialize)]
struct Small {
    #[expect(dead_code, reason = "what is looked at is that it is kept")]
    sub: String,
}

#[test]
fn decoded_claims_are_kept_as_far_as_they_were_reckoned_with() {
    let (key, clock) = (signing(Algorithm::EdDSA), ManualClock::at(NOW));
    let verifier = verifier(&key, &clock);
    let token = key.sign(&claims()).unwrap();
    let known = verifier.verify(&token).unwrap();
    let large = known.claims::<Large>().unwrap();
    assert!(!Arc::ptr_eq(&large, &known.claims::<Large>().unwrap()));
    let small = known.claims::<Small>().unwrap();
    let again = verifier.verify(&token).unwrap();
    assert!(Arc::ptr_eq(&small, &again.claims::<Small>().unwrap()));
    // Where nothing is kept in memory beyond the request, anything is.
    let token = verifier.without_cache().verify(&token).unwrap();
    let large = token.claims::<Large>().unwrap();
    assert!(Arc::ptr_eq(&large, &token.claims::<Large>().unwrap()));
}

#[test]
fn threads_that_share_a_verifier_agree() {
    let (key, clock) = (signing(Algorithm::HS256), ManualClock::at(NOW));
    let verifier = verifier(&key, &clock).cache(200_000);
    let tokens: Vec<_> = (0..100)
        .map(|number| {
            let mut claims = claims();
            claims["jti"] = json!(number.to_string());
            key.sign(&claims).unwrap()
        })
        .collect();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (verifier, tokens) = (&verifier, &tokens);
            scope.spawn(move || {
                for round in 0..2000 {
                    let number = (round * (thread + 1)) % if round % 3 == 0 { 3 } else { 100 };
                    let verified = verifier.verify(&tokens[number]).unwrap();
                    assert_eq!(verified.token_id(), Some(&*number.to_string()));
                    let claims = verified.claims::<Value>().unwrap();
                    assert_eq!(claims["jti"], number.to_string());
                }
            });
        }
    });
}

#[test]
fn any_number_of_bytes_is_a_bound() {
    let (key, clock) = (signing(Algorithm::EdDSA), ManualClock::at(NOW));
    let token = key.sign(&claims()).unwrap();
    for bytes in [1, 100, 4096, 1 << 40, usize::MAX - 1, usize::MAX] {
        let verifier = verifier(&key, &clock).cache(bytes);
        heat(&verifier, &token);
    }
}
