//! Holds the layer to work without axum: plain tower over hyper, with another body type, on
//! loopback sockets.
#![cfg(any(feature = "aws_lc_rs", feature = "rust_crypto"))]
#![expect(clippy::unwrap_used, reason = "a test that panics fails")]

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tower::{Layer, service_fn};
use tower_jwt_auth::clock::ManualClock;
use tower_jwt_auth::keys::SigningKey;
use tower_jwt_auth::{JwtAuthLayer, VerifiedToken};

const NOW: u64 = 1_800_000_000;

/// Neither axum's body nor one of hyper's.
struct OneFrame(Option<Bytes>);

impl From<Bytes> for OneFrame {
    fn from(bytes: Bytes) -> Self {
        Self(Some(bytes))
    }
}

impl Body for OneFrame {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// Serves one connection, and sends one request over it.
async fn round_trip(authorization: Option<String>) -> Response<Bytes> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let key = SigningKey::hs256([7; 32]).unwrap();
    let service = JwtAuthLayer::new(key.verifying_key())
        .clock(ManualClock::at(NOW))
        .layer(service_fn(async |request: Request<Incoming>| {
            let token = request.extensions().get::<VerifiedToken>().unwrap();
            let subject = token.subject().unwrap().to_owned();
            Ok::<_, Infallible>(Response::new(OneFrame(Some(subject.into()))))
        }));
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
            .await
            .unwrap();
    });

    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut request = Request::get("/");
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn a_good_token_reaches_the_service() {
    let key = SigningKey::hs256([7; 32]).unwrap();
    let token = key
        .sign(&json!({ "sub": "alice", "exp": NOW + 60 }))
        .unwrap();
    let response = round_trip(Some(format!("Bearer {token}"))).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.body(), "alice");
}

#[tokio::test]
async fn the_rejection_has_the_service_s_own_body_type() {
    let response = round_trip(None).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        response.headers()[WWW_AUTHENTICATE],
        r#"Bearer realm="api""#
    );
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    let problem: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(problem["status"], 401);
}
