//! The order of layers, and what to do when the compiler cannot infer a type.
//!
#![doc = include_str!("../../docs/pictures/layers.svg")]
//!
//! | from outside to inside | why there |
//! | --- | --- |
//! | `TraceLayer` | sees every request and the status of every refusal |
//! | `CorsLayer` | answers preflights, which carry no token; lets scripts read a 401 |
//! | `JwtAuthLayer` | puts the token into the request's extensions |
//! | `Require` | reads the token from the extensions |
//! | limits by user, your own middleware | can use the token too |
//! | the handler | |
//!
//! # Two ways to write it
//!
//! A `ServiceBuilder` lists layers from outside to inside. Calls of `Router::layer` go from inside
//! to outside: the last one added is outermost. Both apps below do the same.
//!
//! ```
//! use axum::http::{HeaderValue, header::AUTHORIZATION};
//! use axum::{Router, routing::get};
//! use tower::ServiceBuilder;
//! use tower_http::cors::CorsLayer;
//! use tower_http::trace::TraceLayer;
//! use tower_jwt_auth::{Claims, JwtAuthLayer, Require};
//!
//! async fn me(Claims(claims): Claims<serde_json::Value>) -> String {
//!     claims["sub"].to_string()
//! }
//!
//! fn cors() -> CorsLayer {
//!     CorsLayer::new()
//!         .allow_origin(HeaderValue::from_static("https://app.example.com"))
//!         .allow_headers([AUTHORIZATION])
//! }
//!
//! fn one_stack(auth: JwtAuthLayer) -> Router {
//!     let stack = ServiceBuilder::new()
//!         .layer(TraceLayer::new_for_http())
//!         .layer(cors())
//!         .layer(auth)
//!         .layer(Require::scope("profile"));
//!     Router::new().route("/me", get(me)).layer(stack)
//! }
//!
//! fn one_by_one(auth: JwtAuthLayer) -> Router {
//!     Router::new()
//!         .route("/me", get(me))
//!         .layer(Require::scope("profile"))
//!         .layer(auth)
//!         .layer(cors())
//!         .layer(TraceLayer::new_for_http())
//! }
//! # use axum::{body::Body, http::Request};
//! # use tower::ServiceExt;
//! # use tower_jwt_auth::testing::TestIssuer;
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! # let issuer = TestIssuer::new();
//! # for app in [one_stack(issuer.layer()), one_by_one(issuer.layer())] {
//! #     let ask = async |scope: Option<&str>| {
//! #         let mut request = Request::get("/me").header("Origin", "https://app.example.com");
//! #         if let Some(scope) = scope {
//! #             let token = issuer.token("alice").claim("scope", scope);
//! #             request = request.header("Authorization", token.bearer());
//! #         }
//! #         app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
//! #     };
//! #     assert_eq!(ask(Some("profile")).await.status(), 200);
//! #     assert_eq!(ask(Some("other")).await.status(), 403);
//! #     let refused = ask(None).await;
//! #     assert_eq!(refused.status(), 401);
//! #     assert!(refused.headers().contains_key("access-control-allow-origin"));
//! #     let preflight = Request::options("/me").header("Origin", "https://app.example.com")
//! #         .header("Access-Control-Request-Method", "GET").body(Body::empty()).unwrap();
//! #     assert_eq!(app.clone().oneshot(preflight).await.unwrap().status(), 200);
//! # }
//! # }
//! ```
//!
//! # Mistakes, and how they show
//!
//! | mistake | what you see |
//! | --- | --- |
//! | `Require` outside `JwtAuthLayer` | 500 to every request, and an event at `ERROR` |
//! | `CorsLayer` inside `JwtAuthLayer` | preflights get 401; the browser reports a CORS error |
//! | a route added after `.layer(auth)` | the route is open; a handler with `Claims` gets 500 |
//! | a layer that changes the body, inside `JwtAuthLayer` in one `ServiceBuilder` | "`ProblemJson` cannot answer with a body of type …" |
//! | `.layer(auth)` on the whole router | 401 instead of 404 for unknown paths; `route_layer` avoids it |
//!
//! For the body: `TraceLayer` and compression wrap it. Put them outside, as above.
//!
//!
