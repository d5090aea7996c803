//! gRPC with tonic: the same layer, with answers that gRPC clients understand.
//!
//! A tonic server takes tower layers, and its metadata are HTTP headers. The client sends
//! `authorization: Bearer <token>`, and the layer verifies it. One thing differs: a gRPC client
//! reads the header `grpc-status`, and expects HTTP status 200. So give the layer a
//! [`Respond`](crate::middleware::Respond) that maps each error to a gRPC code.
//!
//! | refusal | HTTP status | gRPC code |
//! | --- | --- | --- |
//! | no token, or an invalid, expired or revoked one | 401 | 16 `UNAUTHENTICATED` |
//! | a token without the scope, or a request from an origin that you do not trust | 403 | 7 `PERMISSION_DENIED` |
//! | malformed credentials | 400 | 3 `INVALID_ARGUMENT` |
//! | a client sends too many DPoP proofs | 429 | 8 `RESOURCE_EXHAUSTED` |
//! | a login, but the user has too many sessions | 409 | 9 `FAILED_PRECONDITION` |
//! | a method other than `POST` on a session route | 405 | 12 `UNIMPLEMENTED` |
//! | the store or the keys are not available | 503 | 14 `UNAVAILABLE` |
//! | a mistake in the service's setup | 500 | 13 `INTERNAL` |
//!
//! tonic is not a dependency of this crate. The function below works with every body type that has
//! a default, and so with `tonic::body::Body`. The code runs against a plain tower service.
//!
//! ```
//! use http::{HeaderName, HeaderValue, Request, Response, header::CONTENT_TYPE};
//! use http_body_util::Empty;
//! use bytes::Bytes;
//! use std::convert::Infallible;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_jwt_auth::dpop::DpopErrorKind;
//! use tower_jwt_auth::keys::SigningKey;
//! use tower_jwt_auth::{AuthError, AuthErrorKind, JwtAuthLayer, Require, VerifiedToken};
//!
//! type Body = Empty<Bytes>;
//!
//! const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
//! const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
//!
//! /// A response of headers alone, "Trailers-Only" in the gRPC protocol.
//! fn grpc_refusal<B: Default>(error: &AuthError) -> Response<B> {
//!     let code = match error.status().as_u16() {
//!         400 => "3",
//!         401 => "16",
//!         403 => "7",
//!         405 => "12",
//!         409 => "9",
//!         429 => "8",
//!         503 => "14",
//!         _ => "13",
//!     };
//!     let mut response = Response::new(B::default());
//!     let headers = response.headers_mut();
//!     headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
//!     headers.insert(GRPC_STATUS, HeaderValue::from_static(code));
//!     // ASCII without a percent sign, so it needs no encoding.
//!     headers.insert(GRPC_MESSAGE, HeaderValue::from_static(error.description()));
//!     response
//! }
//!
//! /// A method of the service, as tonic calls it: the token is in the extensions.
//! async fn say_hello(request: Request<Body>) -> Result<Response<Body>, Infallible> {
//!     let token = request.extensions().get::<VerifiedToken>();
//!     let name = token.and_then(VerifiedToken::subject).unwrap_or_default();
//!     assert_eq!(name, "billing");
//!     Ok(Response::builder().header(GRPC_STATUS, "0").body(Empty::new()).unwrap())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let key = SigningKey::hs256([7; 32])?;
//! let service = ServiceBuilder::new()
//!     .layer(JwtAuthLayer::new(key.verifying_key()).respond(grpc_refusal))
//!     .layer(Require::scope("greet"))
//!     .service(service_fn(say_hello));
//!
//! let call = async |scope: &str| {
//!     let exp = 4_000_000_000_u64;
//!     let claims = serde_json::json!({ "sub": "billing", "scope": scope, "exp": exp });
//!     let bearer = format!("Bearer {}", key.sign(&claims).unwrap());
//!     let request = Request::post("/greeter.Greeter/SayHello").header("authorization", bearer);
//!     let response = service.clone().oneshot(request.body(Empty::new()).unwrap()).await.unwrap();
//!     (response.status().as_u16(), response.headers()[GRPC_STATUS].clone())
//! };
//! assert_eq!(call("greet").await, (200, HeaderValue::from_static("0")));
//! assert_eq!(call("read").await, (200, HeaderValue::from_static("7")));
//!
//! let request = Request::post("/greeter.Greeter/SayHello").body(Empty::new())?;
//! let response = service.oneshot(request).await?;
//! assert_eq!(response.headers()[GRPC_STATUS], "16");
//!
//! let error = AuthError::from(AuthErrorKind::InvalidProof(DpopErrorKind::TooMany));
//! assert_eq!(grpc_refusal::<Body>(&error).headers()[GRPC_STATUS], "8");
//! # Ok(())
//! # }
//! ```
//!
//! # With tonic
//!
//! ```text
//! use tonic::transport::Server;
//! use tonic::{Request, Response, Status};
//!
//! #[tonic::async_trait]
//! impl Greeter for MyGreeter {
//!     async fn say_hello(&self, request: Request<Hello>) -> Result<Response<Reply>, Status> {
//!         let token = request.extensions().get::<VerifiedToken>();
//!         let name = token.and_then(VerifiedToken::subject);
//!         let name = name.ok_or_else(|| Status::unauthenticated("no token"))?;
//!         Ok(Response::new(Reply { text: format!("hello {name}") }))
//!     }
//! }
//!
//! Server::builder()
//!     .layer(
//!         JwtAuthLayer::new(key)
//!             .audience("greeter")
//!             .respond(grpc_refusal::<tonic::body::Body>),
//!     )
//!     .add_service(GreeterServer::new(MyGreeter))
//!     .serve("0.0.0.0:50051".parse()?)
//!     .await?;
//! ```
//!
//! - `Server::layer` guards every service of the server, reflection and health checks too. To leave
//!   some open, wrap single services: `add_service(auth.named_layer(server))`, by
//!   `tonic::service::LayerExt`.
//! - `Require` sees only the token, not the path. To require a scope for one method, check it
//!   in the method, as above with the subject.
//! - tonic's interceptors run inside the layer, so they find the token in the extensions.
//! - A stream can outlive its token. Stop it at
//!   [`expires_at`](crate::VerifiedToken::expires_at), as [WebSockets](super::websockets) do.
