//! Measures a request whose token is not in the cache: the layer and `Claims<T>`, over a bare axum
//! router.
//!
//! Subjects take turns in one process, batch by batch, so a machine whose speed drifts favours
//! none. Compare the ratios of their 10th percentiles; absolute times mean little.
//!
//! `cargo bench --bench cache_miss`, with `-- count RS256 N` for `benches/instructions.sh`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a bench: it panics, prints, and reads the time"
)]

#[path = "support/counted.rs"]
mod counted;
mod support;

use std::hint::black_box;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{self, KeyPair, ParsedPublicKey, VerificationAlgorithm};
use axum::Router;
use axum::routing::get;
use http::HeaderValue;
use jsonwebtoken::{DecodingKey, Validation};
use tower_jwt_auth::JwtAuthLayer;
use tower_jwt_auth::keys::{Algorithm, SigningKey};

use support::{Access, Subject, access, bare_handler, call, handler};

counted::counted!(counted_bare counted_ours counted_decode counted_check);

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

/// Tokens that differ in their `jti`.
fn headers(signing: &SigningKey, count: usize) -> Vec<HeaderValue> {
    let header = |number| {
        let mut access = access();
        access.jti = format!("6b1d5a9e-6a52-4c0e-9d29-{number:012x}");
        HeaderValue::try_from(format!("Bearer {}", signing.sign(&access).unwrap())).unwrap()
    };
    (0..count).map(header).collect()
}

#[derive(Clone, Copy)]
enum Effort {
    /// Rounds of all subjects.
    Full(usize),
    /// To see that it works.
    Quick,
    /// So many runs of each subject, without a clock.
    Count(u32),
}

impl Effort {
    fn rounds(self) -> usize {
        match self {
            Self::Full(rounds) => rounds,
            Self::Quick | Self::Count(_) => 20,
        }
    }
}

fn measure(algorithm: Algorithm, theirs: jsonwebtoken::Algorithm, effort: Effort) {
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
    // Far too many for the cache: nearly all are stored, and evicted before they are sent again.
    let tokens = headers(
        &signing,
        if let Effort::Full(_) = effort {
            5000
        } else {
            100
        },
    );
    let mut next = 0;
    let mut kept = Router::new()
        .route("/me", get(handler))
        .layer(layer.clone().cache(1 << 20))
        .with_state(());
    // As `axum::serve` does. Without it the layer would be applied again for every request.
    let mut bare = Router::new().route("/me", get(bare_handler)).with_state(());
    let mut ours = Router::new()
        .route("/me", get(handler))
        .layer(layer)
        .with_state(());

    let mut bare = || call(&mut bare, &authorization);
    let mut ours = || call(&mut ours, &authorization);
    let mut decode = || {
        black_box(jsonwebtoken::decode::<Access>(&token, &decoding, &validation).unwrap());
    };
    let mut check = || check.run(message.as_bytes(), &signature);
    if let Effort::Count(count) = effort {
        // What happens once is not counted.
        bare();
        ours();
        decode();
        check();
        counted_bare(count, &mut bare);
        counted_ours(count, &mut ours);
        counted_decode(count, &mut decode);
        return counted_check(count, &mut check);
    }
    let mut subjects = [
        Subject::new(bare),
        Subject::new(ours),
        Subject::new(decode),
        Subject::new(check),
        Subject::new(|| {
            call(&mut kept, &tokens[next]);
            next = (next + 1) % tokens.len();
        }),
    ];
    for _ in 0..effort.rounds() {
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
    let all = [
        (Algorithm::HS256, Theirs::HS256),
        (Algorithm::RS256, Theirs::RS256),
        (Algorithm::ES256, Theirs::ES256),
        (Algorithm::EdDSA, Theirs::EdDSA),
    ];
    let arguments: Vec<_> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|arg| arg == "count") {
        let effort = Effort::Count(arguments[at + 2].parse().unwrap());
        let wanted = |(ours, _): &(Algorithm, _)| ours.name() == arguments[at + 1];
        let (ours, theirs) = all.into_iter().find(wanted).unwrap();
        return measure(ours, theirs, effort);
    }
    // `cargo test --benches` runs this too, to see that it works.
    let is_bench = arguments.iter().any(|arg| arg == "--bench");
    let effort = if is_bench {
        Effort::Full(4000)
    } else {
        Effort::Quick
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
    for (ours, theirs) in all {
        measure(ours, theirs, effort);
    }
}
