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
//!     claims["sub"].as_str().unwrap_or_default().to_owned()
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
//! # Mistakes, and what you see
//!
//! | mistake | effect |
//! | --- | --- |
//! | `Require` outside `JwtAuthLayer` | 500 to every request, and an [event](crate#events) at `ERROR` |
//! | `CorsLayer` inside `JwtAuthLayer` | preflights get 401; the browser reports a CORS error |
//! | a route added after `.layer(auth)` | the route is open; a handler with `Claims` gets 500 |
//! | a layer that changes the body, inside `JwtAuthLayer` in one `ServiceBuilder` | "`ProblemJson` cannot answer with a body of type …" |
//! | `.layer(auth)` on the whole router | 401 instead of 404 for unknown paths; `route_layer` avoids it |
//!
//! # "Type annotations needed"
//!
//! Two layers on one `MethodRouter` do not compile:
//!
//! ```text
//! Router::new().route("/me", get(me).layer(Require::scope("profile")).layer(auth))
//! ```
//!
//! ```text
//! error[E0283]: type annotations needed
//!   |
//! 6 |     get(me).layer(Require::scope("profile")).layer(auth),
//!   |             ^^^^^ cannot infer type of the type parameter `NewError` declared on the
//!   |                   method `layer`
//!   |
//!   = note: multiple `impl`s satisfying `_: From<Infallible>` found in the following crates:
//!           `core`, `der`, `http`, `time`
//!   = note: required for `Infallible` to implement `Into<_>`
//! ```
//!
//! `MethodRouter::layer` can change the error type. Nothing tells the compiler which error type the
//! service has between the two calls. This happens with any two layers, not just those of this
//! crate. Four ways out:
//!
//! ```
//! use std::convert::Infallible;
//! use axum::{Router, routing::get};
//! use tower::ServiceBuilder;
//! use tower_jwt_auth::{JwtAuthLayer, Require};
//!
//! async fn me() -> &'static str { "hello" }
//!
//! # fn routes(auth: JwtAuthLayer) -> Router {
//! # let profile = || Require::scope("profile");
//! Router::new()
//!     // One stack, from outside to inside.
//!     .route("/a", get(me).layer(ServiceBuilder::new().layer(auth.clone()).layer(profile())))
//!     // `route_layer` keeps the error type. Other methods still get 405 without a token.
//!     .route("/b", get(me).route_layer(profile()).route_layer(auth.clone()))
//!     // The type, written out.
//!     .route("/c", get(me).layer::<_, Infallible>(profile()).layer(auth.clone()))
//!     // Usually best: the guard on the route, the authentication on a router.
//!     .merge(Router::new().route("/d", get(me).layer(profile())).layer(auth))
//! # }
//! # use tower_jwt_auth::testing::TestIssuer;
//! # use tower::ServiceExt;
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! # let issuer = TestIssuer::new();
//! # let app = routes(issuer.layer());
//! # for path in ["/a", "/b", "/c", "/d"] {
//! #     for (scope, status) in [("profile", 200), ("other", 403)] {
//! #         let request = axum::http::Request::get(path);
//! #         let token = issuer.token("alice").claim("scope", scope).bearer();
//! #         let request = request.header("Authorization", token).body(axum::body::Body::empty());
//! #         let answer = app.clone().oneshot(request.unwrap()).await.unwrap();
//! #         assert_eq!(answer.status(), status, "{path}");
//! #     }
//! # }
//! # let post = axum::http::Request::post("/b").body(axum::body::Body::empty()).unwrap();
//! # assert_eq!(app.oneshot(post).await.unwrap().status(), 405);
//! # }
//! ```
//!
//! With several guards on one route, use [`Require::and`](crate::Require::and): it makes one layer
//! of two.
//!
//! # A body that the layer cannot make
//!
//! ```text
//! error[E0277]: `ProblemJson` cannot answer with a body of type `ResponseBody<Body, …>`
//!   = note: `ProblemJson` needs a body that is `From<Bytes>`, `EmptyBody` one that is `Default`;
//!           a closure `Fn(&AuthError) -> Response<B>` serves any other
//!   = note: a layer between this one and the routes may have changed the body: in axum call
//!           `.layer` for each, rather than once with a `ServiceBuilder`, or put that layer outside
//! ```
//!
//! Here `TraceLayer` is inside `JwtAuthLayer` in one `ServiceBuilder`. Move it outside, as above.
