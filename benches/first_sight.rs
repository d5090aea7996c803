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
    clippy::indexing_slicing,
    reason = "a bench: it panics, prints, and reads the time"
)]

mod support;

use std::hint::black_box;

use axum::Router;
use axum::routing::get;
use http::HeaderValue;
use jsonwebtoken::Validation;
use tower_jwt_auth::JwtAuthLayer;
use tower_jwt_auth::keys::{Algorithm, SigningKey};

use support::{Access, Subject, access, bare_handler, call, handler, keys};

fn validation(algorithm: jsonwebtoken::Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.leeway = 30;
    validation.validate_nbf = true;
    validation.set_issuer(&["https://id.example.com"]);
    validation.set_audience(&["api"]);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation
}

/// Tokens that differ in their `jti`.
fn headers(signing: &SigningKey, count: usize) -> Vec<HeaderValue> {
    let header = |number| {
        let mut access = access();
        access.jti = format!("6b1d5a9e-6a52-4c0e-9d29-{number:012x}");
        HeaderValue::try_from(format!("Bearer {}", signing.sign(&access).unwrap())).unwrap()
    };
    (0..count).map(header).collect()
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
        .audience("api")
        .without_cache();
    // Far too many for the cache, so that nearly all are kept, and evicted before they come again.
    let tokens = headers(&signing, if rounds < 100 { 100 } else { 5000 });
    let mut next = 0;
    let mut kept = Router::new()
        .route("/me", get(handler))
        .layer(layer.clone().cache(1 << 20))
        .with_state(());
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
        Subject::new(|| {
            call(&mut kept, &tokens[next]);
            next = (next + 1) % tokens.len();
        }),
    ];
    for _ in 0..rounds {
        subjects.iter_mut().for_each(Subject::sample);
    }
    let [bare, ours, decode, check, kept] = &mut subjects;
    let kept = kept.percentile() - bare.percentile();
    let (bare, ours) = (bare.percentile(), ours.percentile());
    let (decode, check) = (decode.percentile(), check.percentile());
    let over = ours - bare;
    println!(
        "{algorithm:<6} {bare:>7.0} {over:>9.0} {decode:>9.0} {check:>9.0} {:>12.2} {:>11.2} {kept:>9.0} {:>12.2} {:>11.2}",
        over / decode,
        over / check,
        kept / decode,
        kept / check,
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
         {:<6} {:>7} {:>9} {:>9} {:>9} {:>12} {:>11} {:>9} {:>12} {:>11}",
        keys(Algorithm::HS256).0.sign(&access()).unwrap().len(),
        "alg",
        "bare",
        "over bare",
        "decode",
        "check",
        "over/decode",
        "over/check",
        "and kept",
        "kept/decode",
        "kept/check",
    );
    measure(Algorithm::HS256, Theirs::HS256, rounds);
    measure(Algorithm::RS256, Theirs::RS256, rounds);
    measure(Algorithm::ES256, Theirs::ES256, rounds);
    measure(Algorithm::EdDSA, Theirs::EdDSA, rounds);
}
