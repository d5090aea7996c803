//! What a request pays whose token was never seen before: the layer and `Claims<T>`, over a bare axum router.
//!
//! Subjects are interleaved in one process, batch by batch, and compared by their 10th percentiles, so that a machine
//! whose speed drifts does not favour one. Absolute times mean little; the ratios hold.
//!
//! `cargo bench --bench first_sight`
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a bench: it panics, prints, and reads the time"
)]

use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{self, KeyPair, ParsedPublicKey, VerificationAlgorithm};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, StatusCode};
use jsonwebtoken::{DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use tower::Service;
use tower_jwt_auth::keys::{Algorithm, SigningKey};
use tower_jwt_auth::{Claims, JwtAuthLayer};

#[derive(Serialize, Deserialize)]
struct Access {
    sub: String,
    iss: String,
    aud: String,
    exp: u64,
    iat: u64,
    nbf: u64,
    jti: String,
    scope: String,
    roles: Vec<String>,
}

fn access() -> Access {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    Access {
        sub: "248289761001".into(),
        iss: "https://id.example.com".into(),
        aud: "api".into(),
        exp: now + 3600,
        iat: now,
        nbf: now,
        jti: "6b1d5a9e-6a52-4c0e-9d29-2f1d0a1f3c77".into(),
        scope: "openid profile email notes:read notes:write".into(),
        roles: vec!["reader".into(), "writer".into(), "admin".into()],
    }
}

async fn handler(claims: Claims<Access>) -> StatusCode {
    black_box(&claims.sub);
    StatusCode::OK
}

async fn bare_handler() -> StatusCode {
    StatusCode::OK
}

/// One request through a router, without a runtime: nothing in it waits.
fn call(router: &mut Router, authorization: &HeaderValue) {
    let request = Request::get("/me")
        .header(AUTHORIZATION, authorization)
        .body(Body::empty())
        .unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(Ok(response)) = pin!(router.call(request)).poll(&mut context) else {
        unreachable_response();
    };
    if response.status() != StatusCode::OK {
        unreachable_response();
    }
}

#[cold]
#[expect(clippy::panic, reason = "the bench is broken")]
fn unreachable_response() -> ! {
    panic!("the request was not answered with 200");
}

/// A subject, and the nanoseconds of each of its batches.
struct Subject<'a> {
    run: Box<dyn FnMut() + 'a>,
    batch: u32,
    samples: Vec<f64>,
}

impl<'a> Subject<'a> {
    fn new(run: impl FnMut() + 'a) -> Self {
        let mut run: Box<dyn FnMut() + 'a> = Box::new(run);
        for _ in 0..100 {
            run();
        }
        // Batches of about 100 µs.
        let start = Instant::now();
        for _ in 0..50 {
            run();
        }
        let each = start.elapsed() / 50;
        let batch = (Duration::from_micros(100).as_nanos() / each.as_nanos().max(1)).max(1);
        Self {
            run,
            batch: u32::try_from(batch).unwrap(),
            samples: Vec::new(),
        }
    }

    fn sample(&mut self) {
        let start = Instant::now();
        for _ in 0..self.batch {
            (self.run)();
        }
        self.samples
            .push(start.elapsed().as_secs_f64() * 1e9 / f64::from(self.batch));
    }

    fn percentile(&mut self) -> f64 {
        self.samples.sort_by(f64::total_cmp);
        self.samples.get(self.samples.len() / 10).copied().unwrap()
    }
}

#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
enum Check {
    Mac(hmac::Key),
    Public(ParsedPublicKey),
}

/// The algorithm's key in each of the forms that the subjects want.
fn keys(algorithm: Algorithm) -> (SigningKey, DecodingKey, Check) {
    match algorithm {
        Algorithm::HS256 => {
            let secret = [7; 32];
            (
                SigningKey::hs256(secret).unwrap(),
                DecodingKey::from_secret(&secret),
                Check::Mac(hmac::Key::new(hmac::HMAC_SHA256, &secret)),
            )
        }
        Algorithm::RS256 => {
            let key = signature::RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
            let public = key.public_key().as_ref().to_vec();
            let private =
                aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&key)
                    .unwrap();
            (
                SigningKey::from_der(algorithm, private.as_ref()).unwrap(),
                DecodingKey::from_rsa_der(&public),
                parsed(&signature::RSA_PKCS1_2048_8192_SHA256, &public),
            )
        }
        Algorithm::ES256 => {
            let key =
                signature::EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING)
                    .unwrap();
            let public = key.public_key().as_ref().to_vec();
            (
                SigningKey::from_der(algorithm, key.to_pkcs8v1().unwrap()).unwrap(),
                DecodingKey::from_ec_der(&public),
                parsed(&signature::ECDSA_P256_SHA256_FIXED, &public),
            )
        }
        _ => {
            let key = signature::Ed25519KeyPair::generate().unwrap();
            let public = key.public_key().as_ref().to_vec();
            (
                SigningKey::from_der(algorithm, key.to_pkcs8v1().unwrap()).unwrap(),
                DecodingKey::from_ed_der(&public),
                parsed(&signature::ED25519, &public),
            )
        }
    }
}

fn parsed(algorithm: &'static dyn VerificationAlgorithm, public: &[u8]) -> Check {
    Check::Public(ParsedPublicKey::new(algorithm, public).unwrap())
}

impl Check {
    fn run(&self, message: &[u8], signature: &[u8]) {
        match self {
            Self::Mac(key) => hmac::verify(key, message, signature).unwrap(),
            Self::Public(key) => key.verify_sig(message, signature).unwrap(),
        }
    }
}

fn validation(algorithm: jsonwebtoken::Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.leeway = 30;
    validation.validate_nbf = true;
    validation.set_issuer(&["https://id.example.com"]);
    validation.set_audience(&["api"]);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation
}

fn measure(algorithm: Algorithm, theirs: jsonwebtoken::Algorithm, rounds: usize) {
    let (signing, decoding, check) = keys(algorithm);
    let token = signing.sign(&access()).unwrap();
    let authorization = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = base64_simd::URL_SAFE_NO_PAD
        .decode_to_vec(signature)
        .unwrap();
    let validation = validation(theirs);

    let layer = JwtAuthLayer::new(signing.verifying_key())
        .issuer("https://id.example.com")
        .audience("api");
    // As `axum::serve` does; without it the layer would be applied anew for every request.
    let mut bare = Router::new().route("/me", get(bare_handler)).with_state(());
    let mut ours = Router::new()
        .route("/me", get(handler))
        .layer(layer)
        .with_state(());

    let mut subjects = [
        Subject::new(|| call(&mut bare, &authorization)),
        Subject::new(|| call(&mut ours, &authorization)),
        Subject::new(|| {
            black_box(jsonwebtoken::decode::<Access>(&token, &decoding, &validation).unwrap());
        }),
        Subject::new(|| check.run(message.as_bytes(), &signature)),
    ];
    for _ in 0..rounds {
        subjects.iter_mut().for_each(Subject::sample);
    }
    let [bare, ours, decode, check] = &mut subjects;
    let (bare, ours) = (bare.percentile(), ours.percentile());
    let (decode, check) = (decode.percentile(), check.percentile());
    let over = ours - bare;
    println!(
        "{algorithm:<6} {bare:>7.0} {over:>9.0} {decode:>9.0} {check:>9.0} {:>12.2} {:>11.2}",
        over / decode,
        over / check,
    );
}

fn main() {
    use jsonwebtoken::Algorithm as Theirs;
    // `cargo test --benches` runs this too, to see that it works.
    let rounds = if std::env::args().any(|arg| arg == "--bench") {
        4000
    } else {
        20
    };
    println!(
        "10th percentiles in ns; token of {} bytes (HS256)\n\
         {:<6} {:>7} {:>9} {:>9} {:>9} {:>12} {:>11}",
        keys(Algorithm::HS256).0.sign(&access()).unwrap().len(),
        "alg",
        "bare",
        "over bare",
        "decode",
        "check",
        "over/decode",
        "over/check",
    );
    measure(Algorithm::HS256, Theirs::HS256, rounds);
    measure(Algorithm::RS256, Theirs::RS256, rounds);
    measure(Algorithm::ES256, Theirs::ES256, rounds);
    measure(Algorithm::EdDSA, Theirs::EdDSA, rounds);
}
