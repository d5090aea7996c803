//! Protection against cross-site request forgery: a page of another site makes a browser send a request, and the browser
//! adds the cookies.
//!
//! [`JwtAuthLayer`](super::JwtAuthLayer) applies the rules to a request that is authenticated by a cookie.
//! [`CsrfLayer`] applies them to every request, for routes that set a cookie rather than read one: without it a page of
//! another site could log its visitor in as somebody else.
//!
//! A request is allowed if any of these holds:
//!
//! 1. Its method is `GET`, `HEAD` or `OPTIONS`, it does not ask for an upgrade, and no header overrides the method. A
//!    WebSocket begins as a `GET` that upgrades, and a browser opens one to any site, with cookies. `Upgrade: h2c`
//!    alone asks for HTTP/2, as Java's client and `curl --http2` do, and is no such upgrade.
//! 2. `Sec-Fetch-Site` is `same-origin` or `none`.
//! 3. `Origin` is one of the trusted origins.
//! 4. There is no `Sec-Fetch-Site`, and `Origin` is the request's own: host and port are those of the request's target,
//!    or of `Host`.
//!
//! Anything else gets 403, a request with neither header too: a browser sends at least one of them. A client that is no
//! browser can authenticate with `Authorization`, or send `Sec-Fetch-Site: none`.
//!
//! # Behind a proxy
//!
//! Rule 4 compares with the `Host` that arrives here. A proxy that rewrites it leaves rules 2 and 3, which is enough for
//! browsers since 2023. `Origin` and `Sec-Fetch-Site` must arrive unchanged.
//!
//! In a test without a server nobody adds `Host`: name it, or send a whole URI, or `Sec-Fetch-Site: same-origin`.
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
