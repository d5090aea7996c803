//! Measures a request with an opaque token whose answer is remembered, against one with a JWT in
//! the cache: the layer and `Claims<T>`, over a bare axum router.
//!
//! Subjects take turns in one process, batch by batch, so a machine whose speed drifts favours
//! none. Compare the ratios of their 10th percentiles; absolute times mean little.
//!
//! `cargo bench --features introspection --bench introspection`, with `-- count N` for
//! `benches/instructions.sh`.
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

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use serde_json::json;
use tower::ServiceExt;
use tower_jwt_auth::JwtAuthLayer;
use tower_jwt_auth::introspection::{ClientAuthentication, Introspection};
use tower_jwt_auth::keys::remote::{Fetch, Post};
use tower_jwt_auth::keys::{Algorithm, SigningKey};

use support::{Subject, access, bare_handler, call, handler};

counted::counted!(counted_bare counted_ours counted_jwt);

const ISSUER: &str = "https://id.example.com";

/// As a `Bearer` token of 32 random bytes.
const OPAQUE: &str = "Bearer 8xLOxBtZp8nbmC2sQy8wZtOqkRFwW0GdpGrtCOuZ3bU";

/// An issuer in memory.
struct Memory(Bytes);

impl Fetch for Memory {
    type Error = Infallible;

    async fn fetch(&self, _: &Uri) -> Result<Response<Bytes>, Infallible> {
        Ok(Response::new(self.0.clone()))
    }
}

impl Post for Memory {
    async fn post(&self, _: Request<Bytes>) -> Result<Response<Bytes>, Infallible> {
        let mut response = Response::new(self.0.clone());
        let headers = response.headers_mut();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        Ok(response)
    }
}

/// As `axum::serve` does. Without the state the layer would be applied again for every request.
fn router(layer: JwtAuthLayer) -> Router {
    let router = Router::new().route("/me", get(handler));
    router.layer(layer.audience("api")).with_state(())
}

/// A service that has asked about [`OPAQUE`].
fn opaque() -> Router {
    let mut answer = serde_json::to_value(access()).unwrap();
    answer["active"] = json!(true);
    answer["token_type"] = json!("Bearer");
    let client = ClientAuthentication::secret_basic("api", "secret");
    let introspection = Introspection::endpoint("https://id.example.com/ask", ISSUER, client)
        .fetch(Memory(answer.to_string().into()))
        // As long as a run may take.
        .lifetime(Duration::from_secs(300))
        .build();
    let router = router(JwtAuthLayer::new(introspection.unwrap()));
    let first = Request::get("/me").header(AUTHORIZATION, OPAQUE);
    let first = router.clone().oneshot(first.body(Body::empty()).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let response = runtime.unwrap().block_on(first).unwrap();
    assert_eq!(response.status(), StatusCode::OK, "the issuer was asked");
    router
}

fn jwt() -> (Router, HeaderValue) {
    let signing = SigningKey::generate(Algorithm::ES256).unwrap();
    let token = format!("Bearer {}", signing.sign(&access()).unwrap());
    let layer = JwtAuthLayer::new(signing.verifying_key()).issuer(ISSUER);
    (router(layer), HeaderValue::try_from(token).unwrap())
}

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    let mut bare = Router::new().route("/me", get(bare_handler)).with_state(());
    let (mut jwt, token) = jwt();
    let (mut opaque, reference) = (opaque(), HeaderValue::from_static(OPAQUE));
    let mut bare = || call(&mut bare, &token);
    let mut jwt = || call(&mut jwt, &token);
    let mut opaque = || call(&mut opaque, &reference);
    if let Some(at) = arguments.iter().position(|arg| arg == "count") {
        // What happens once is not counted.
        bare();
        jwt();
        opaque();
        let count = arguments[at + 1].parse().unwrap();
        counted_bare(count, &mut bare);
        counted_jwt(count, &mut jwt);
        return counted_ours(count, &mut opaque);
    }
    // `cargo test --benches` runs this too, to see that it works.
    let is_bench = arguments.iter().any(|arg| arg == "--bench");
    let mut subjects = [Subject::new(bare), Subject::new(jwt), Subject::new(opaque)];
    for _ in 0..if is_bench { 4000 } else { 20 } {
        subjects.iter_mut().for_each(Subject::sample);
    }
    let [bare, jwt, opaque] = subjects.each_mut().map(Subject::percentile);
    println!(
        "10th percentiles in ns over bare ({bare:.0}): JWT in the cache of {} bytes {:.0}, opaque \
         token of {} bytes {:.0}\n\
         opaque / JWT: {:.2}",
        token.len() - "Bearer ".len(),
        jwt - bare,
        reference.len() - "Bearer ".len(),
        opaque - bare,
        (opaque - bare) / (jwt - bare),
    );
}
