//! Protection against cross-site request forgery (CSRF).
//!
//! In this attack a page of another site makes a browser send a request, and the browser adds the
//! cookies. [`JwtAuthLayer`](super::JwtAuthLayer) applies the rules below to every request with its
//! token in a cookie, or from [`custom_ambient`](super::TokenSource::custom_ambient). You need
//! [`CsrfLayer`] for routes that set a cookie, such as a login: without it, a page of another site
//! could log its visitor in with the attacker's account.
//!
//! A request is allowed if one of these rules holds:
//!
//! 1. Its method is `GET`, `HEAD` or `OPTIONS`, it does not ask for an upgrade, and no header
//!    overrides the method. (A WebSocket starts as a `GET` with an upgrade, and browsers open one
//!    to any site, with cookies. `Upgrade: h2c`, as Java's client and `curl --http2` send it, is
//!    allowed.)
//! 2. `Sec-Fetch-Site` is `same-origin` or `none`.
//! 3. `Origin` is one of the trusted origins: one of a list, or one that your predicate accepts.
//! 4. There is no `Sec-Fetch-Site`, and `Origin` has the host and port of the request's target, or
//!    of `Host`.
//!
//! Any other request gets 403. That includes a request with neither header: browsers always send
//! one of them. A client that is not a browser can authenticate with `Authorization`, or send
//! `Sec-Fetch-Site: none`. [`CsrfLayer`] applies the rules to `Authorization` too, unless you call
//! [`exempt_authorization`](CsrfLayer::exempt_authorization).
//!
//! # Behind a proxy
//!
//! `Origin` and `Sec-Fetch-Site` must arrive unchanged. Rule 4 uses the `Host` that arrives. If a
//! proxy rewrites it, rules 2 and 3 remain; they suffice for browsers since 2023.
//!
//! # In tests
//!
//! A test without a server has no `Host`. Set `Host`, use an absolute URI, or send
//! `Sec-Fetch-Site: same-origin`.
//!
//! ```
//! use tower_jwt_auth::csrf::CsrfLayer;
//! # use axum::{Router, routing::post};
//! # async fn login() {}
//!
//! let app: Router = Router::new()
//!     .route("/login", post(login))
//!     .layer(CsrfLayer::new().trusted_origin("https://app.example.com"));
//! ```

mod layer;
mod origin;
pub(crate) mod rules;

pub use layer::{Csrf, CsrfLayer};
pub use origin::{Origin, OriginError};
