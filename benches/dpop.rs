//! Measures a request with a fresh DPoP proof, over a bare axum router, against the check of the
//! proof's signature. The token is in the cache, and the client's key is known.
//!
//! Subjects take turns in one process, batch by batch, so a machine whose speed drifts favours
//! none. Compare the ratios of their 10th percentiles; absolute times mean little.
//!
//! `cargo bench --bench dpop`, with `-- count N` for `benches/instructions.sh`.
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

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    ParsedPublicKey,
};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, StatusCode};
use serde_json::json;
use tower::Service;
use tower_jwt_auth::dpop::Dpop;
use tower_jwt_auth::keys::{Algorithm, SigningKey, VerifyingKey};
use tower_jwt_auth::{JwtAuthLayer, TokenSource};

use support::{Subject, access, bare_handler, call, handler};

counted::counted!(counted_bare counted_ours counted_check);

/// Proofs in a turn. With eight, most code is in the processor's caches, as in a busy server. With
/// one, much of it is not, because the other subjects run in between.
const TURNS: [usize; 2] = [8, 1];

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes.as_ref())
}

/// A client's key as ES256 uses it.
struct Client {
    key: EcdsaKeyPair,
    jwk: serde_json::Value,
}

impl Client {
    fn new() -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let (x, y) = key.public_key().as_ref()[1..].split_at(32);
        let (x, y) = (base64url(x), base64url(y));
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y });
        Self { key, jwk }
    }

    fn thumbprint(&self) -> String {
        let key = VerifyingKey::from_jwk(self.jwk.to_string()).unwrap();
        key.jwk_thumbprint().unwrap()
    }

    fn proof(&self, token: &str, number: usize, now: u64) -> String {
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk });
        let claims = json!({
            "jti": format!("6b1d5a9e-6a52-4c0e-9d29-{number:012x}"),
            "htm": "GET",
            "htu": "https://api.example.com/me",
            "iat": now,
            "ath": base64url(digest(&SHA256, token.as_bytes())),
        });
        let input = [header, claims].map(|part| base64url(part.to_string()));
        let input = input.join(".");
        let signature = self.key.sign(&SystemRandom::new(), input.as_bytes());
        format!("{input}.{}", base64url(signature.unwrap()))
    }
}

/// As `call`, with a proof.
fn prove(router: &mut Router, authorization: &HeaderValue, proof: &HeaderValue) {
    let request = Request::get("/me")
        .header(AUTHORIZATION, authorization)
        .header("dpop", proof)
        .body(Body::empty())
        .unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let response = pin!(router.call(request)).poll(&mut context);
    assert!(matches!(response, Poll::Ready(Ok(response)) if response.status() == StatusCode::OK));
}

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    let counted = arguments.iter().position(|arg| arg == "count");
    let counted = counted.map(|at| arguments[at + 1].parse::<u32>().unwrap());
    // `cargo test --benches` runs this too, to see that it works.
    let is_bench = arguments.iter().any(|arg| arg == "--bench");
    let (rounds, count) = match counted {
        Some(count) => (0, usize::try_from(count).unwrap() + 1),
        None if is_bench => (4000, 60_000),
        None => (20, 4000),
    };
    let client = Client::new();
    let signing = SigningKey::generate(Algorithm::ES256).unwrap();
    let access = access();
    let mut claims = serde_json::to_value(&access).unwrap();
    let bearer = format!("Bearer {}", signing.sign(&claims).unwrap());
    let bearer = HeaderValue::try_from(bearer).unwrap();
    claims["cnf"] = json!({ "jkt": client.thumbprint() });
    let token = signing.sign(&claims).unwrap();
    let bound = HeaderValue::try_from(format!("DPoP {token}")).unwrap();
    let proofs: Vec<_> = (0..count)
        .map(|number| client.proof(&token, number, access.iat))
        .collect();
    // Each check is of another proof too: the time of a check depends on the signature.
    let signatures = proofs.iter().map(|proof| {
        let (message, signature) = proof.rsplit_once('.').unwrap();
        let signature = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(signature);
        (message.as_bytes(), signature.unwrap())
    });
    let mut signatures = signatures.collect::<Vec<_>>().into_iter();
    let public = client.key.public_key().as_ref();
    let check = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public).unwrap();
    let headers = proofs
        .iter()
        .map(|proof| HeaderValue::try_from(proof).unwrap());
    let mut fresh = headers.collect::<Vec<_>>().into_iter();

    // As long as a run may take.
    let dpop = Dpop::new("https://api.example.com").unwrap();
    let dpop = dpop.lifetime(Duration::from_secs(300));
    let layer = JwtAuthLayer::new(signing.verifying_key())
        .issuer("https://id.example.com")
        .audience("api")
        .source(TokenSource::dpop(dpop));
    // As `axum::serve` does. Without it the layer would be applied again for every request.
    let mut bare = Router::new().route("/me", get(bare_handler)).with_state(());
    let ours = Router::new().route("/me", get(handler)).layer(layer);
    let mut ours = ours.with_state(());
    let mut hit = ours.clone();

    let mut bare = || call(&mut bare, &bound);
    let mut hit = || call(&mut hit, &bearer);
    let mut ours = || prove(&mut ours, &bound, &fresh.next().unwrap());
    let mut check = || {
        let (message, signature) = signatures.next().unwrap();
        check.verify_sig(message, &signature).unwrap();
    };
    if let Some(count) = counted {
        // What happens once is not counted.
        bare();
        ours();
        check();
        counted_bare(count, &mut bare);
        counted_ours(count, &mut ours);
        return counted_check(count, &mut check);
    }
    println!(
        "10th percentiles in ns, ES256, proof of {} bytes",
        proofs[0].len()
    );
    for turn in TURNS {
        let mut subjects = [
            Subject::new(&mut bare),
            Subject::new(&mut hit),
            Subject::new(|| (0..turn).for_each(|_| ours())),
            Subject::new(|| (0..turn).for_each(|_| check())),
        ];
        for _ in 0..rounds {
            subjects.iter_mut().for_each(Subject::sample);
        }
        let [bare, hit, proven, check] = subjects.each_mut().map(Subject::percentile);
        let [proven, check] = [proven, check].map(|all| all / turn as f64);
        println!(
            "turns of {turn}: bare {bare:.0}, bearer token in the cache {hit:.0}, fresh proof \
             {proven:.0}, signature check {check:.0}; proof over bare / check: {:.3}",
            (proven - bare) / check,
        );
    }
}
