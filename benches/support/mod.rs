//! Shared by the benches of requests: a token, a call of a router, and samples taken in turns.

use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::Body;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, StatusCode};
use serde::{Deserialize, Serialize};
use tower::Service;
use tower_jwt_auth::Claims;

#[derive(Serialize, Deserialize)]
pub(crate) struct Access {
    pub(crate) sub: String,
    pub(crate) iss: String,
    pub(crate) aud: String,
    pub(crate) exp: u64,
    pub(crate) iat: u64,
    pub(crate) nbf: u64,
    pub(crate) jti: String,
    pub(crate) scope: String,
    pub(crate) roles: Vec<String>,
}

pub(crate) fn access() -> Access {
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

pub(crate) async fn handler(claims: Claims<Access>) -> StatusCode {
    black_box(&claims.sub);
    StatusCode::OK
}

pub(crate) async fn bare_handler() -> StatusCode {
    StatusCode::OK
}

/// One request through a router, without a runtime: nothing in it waits.
pub(crate) fn call(router: &mut Router, authorization: &HeaderValue) {
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
pub(crate) struct Subject<'a> {
    run: Box<dyn FnMut() + 'a>,
    batch: u32,
    samples: Vec<f64>,
}

impl<'a> Subject<'a> {
    pub(crate) fn new(run: impl FnMut() + 'a) -> Self {
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

    pub(crate) fn sample(&mut self) {
        let start = Instant::now();
        for _ in 0..self.batch {
            (self.run)();
        }
        self.samples
            .push(start.elapsed().as_secs_f64() * 1e9 / f64::from(self.batch));
    }

    pub(crate) fn percentile(&mut self) -> f64 {
        self.samples.sort_by(f64::total_cmp);
        self.samples.get(self.samples.len() / 10).copied().unwrap()
    }
}
