//! A service on a socket, and requests to it.

use std::net::SocketAddr;

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderValue, Request};
use http_body_util::Empty;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tower_jwt_auth::middleware::ProblemJson;
use tower_jwt_auth::revocation::RevocationStore;
use tower_jwt_auth::{AuthError, Claims, JwtAuthLayer};

/// Serves `app` on a free port, for as long as the runtime lives.
pub(crate) async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Serves a resource behind the layer. A header names the kind of a rejection, which no real
/// service should do.
pub(crate) async fn protected(
    layer: JwtAuthLayer<ProblemJson, impl RevocationStore>,
) -> SocketAddr {
    async fn me(Claims(claims): Claims<Value>) -> String {
        claims["sub"].to_string()
    }
    async fn tell(mut response: Response) -> Response {
        if let Some(error) = response.extensions().get::<AuthError>() {
            let kind = format!("{:?}", error.kind());
            response
                .headers_mut()
                .insert("x-refused", HeaderValue::try_from(kind).unwrap());
        }
        response
    }
    let app = Router::new().route("/me", get(me)).layer(layer);
    serve(app.layer(axum::middleware::map_response(tell))).await
}

/// One connection to a service, kept.
pub(crate) struct Connection(SendRequest<Empty<Bytes>>);

impl Connection {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    /// The status, and the kind of the error of a rejection: `200`, or `401 InvalidToken(Expired)`.
    pub(crate) async fn ask(&mut self, token: &str) -> String {
        let request = Request::get("/me")
            .header(HOST, "api.example")
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .body(Empty::new())
            .unwrap();
        self.0.ready().await.expect("the connection is kept");
        let response = self.0.send_request(request).await.unwrap();
        let status = response.status().as_u16();
        match response.headers().get("x-refused") {
            Some(kind) => format!("{status} {}", kind.to_str().unwrap()),
            None => status.to_string(),
        }
    }
}
