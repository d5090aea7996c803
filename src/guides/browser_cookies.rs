//! Cookies for a browser app: on one origin, on two subdomains, on two sites, and in a frame.
//!
//! A cookie with `HttpOnly` keeps the token out of reach of scripts. The price is cross-site
//! request forgery: a page of another site can make the browser send the cookie. The layer
//! therefore checks where each request with a cookie comes from.
//!
//! | page | API | what you need |
//! | --- | --- | --- |
//! | `https://example.com` | the same origin | nothing more: [`SessionRoutes::new`](crate::routes::SessionRoutes::new) |
//! | `https://app.example.com` | `https://api.example.com` | `trusted_origin`, and CORS with credentials |
//! | `https://app.example.com` | `https://api.example.net` | the same, and [`cross_site`](crate::routes::SessionCookies::cross_site) and [`partitioned`](crate::routes::SessionCookies::partitioned) cookies. Bearer tokens or a proxy can replace all this: see [two sites](#two-sites) |
//! | `https://example.com` in a frame of another site | the same origin | `cross_site` and `partitioned` cookies |
//!
//! # Which requests pass
//!
//! | a request with the cookie | from your origin | from a trusted origin | from any other page |
//! | --- | --- | --- | --- |
//! | `GET`, `HEAD`, `OPTIONS` | passes | passes | passes; the browser adds the cookie if `SameSite` allows that |
//! | `POST` and other methods | passes | passes | 403 |
//! | a WebSocket | passes | passes | 403 |
//!
//! So a `GET` must not change anything. A request with `Authorization` and no cookie always passes
//! this check. [`csrf`](crate::csrf) has the exact rules.
//!
//! Routes that set a cookie before anyone is logged in need the rules of the table too: put
//! [`csrf_layer`](crate::routes::SessionRoutes::csrf_layer) on the login. Otherwise another site
//! could log its visitor in to the attacker's account. This layer also checks requests with
//! `Authorization` and no cookie, unless you call
//! [`exempt_authorization`](crate::csrf::CsrfLayer::exempt_authorization).
//!
//! A thief of the cookies has the session. To make a copied refresh cookie worthless, see
//! [bound sessions](super::bound_sessions).
//!
//! # One origin
//!
//! [`SessionCookies`](crate::routes::SessionCookies) uses two cookies. `__Host-access` holds the
//! access token for 5 minutes, `__Host-refresh` the refresh token. The page calls `POST /refresh`
//! when it gets a 401, and then repeats its request.
//!
//! ```
//! use std::error::Error;
//! use axum::extract::State;
//! use axum::http::StatusCode;
//! use axum::response::{self, IntoResponse};
//! use axum::routing::{get, post};
//! use axum::{Json, Router};
//! use serde::Deserialize;
//! use tower_jwt_auth::VerifiedToken;
//! use tower_jwt_auth::keys::{Algorithm, SigningKey};
//! use tower_jwt_auth::routes::SessionRoutes;
//! use tower_jwt_auth::session::{RefreshKeys, Sessions};
//! use tower_jwt_auth::store::MemoryStore;
//!
//! type Routes = SessionRoutes<MemoryStore>;
//!
//! #[derive(Deserialize)]
//! struct Credentials { name: String, password: String }
//!
//! async fn login(
//!     State(routes): State<Routes>,
//!     Json(form): Json<Credentials>,
//! ) -> response::Result<impl IntoResponse> {
//!     let sessions = routes.sessions();
//!     // Before the password check: if the user is blocked meanwhile, the login fails.
//!     let pending = sessions.begin(&sessions.subject_named(&form.name)).await?;
//!     // Compare with the password hash of your user database.
//!     if form.password != "correct horse" {
//!         return Err(StatusCode::FORBIDDEN.into());
//!     }
//!     // Rejects a blocked user. Without the password, nobody can find out who is blocked.
//!     let tokens = sessions.complete(pending).await?;
//!     Ok((StatusCode::NO_CONTENT, routes.logged_in(&tokens)?))
//! }
//!
//! async fn me(token: VerifiedToken) -> String {
//!     token.subject().unwrap_or_default().to_owned()
//! }
//!
//! fn app() -> Result<Router, Box<dyn Error>> {
//!     let key = SigningKey::generate(Algorithm::ES256)?;
//!     let sessions = Sessions::new(MemoryStore::new(), key, RefreshKeys::generate()?)
//!         .issuer("https://example.com");
//!     let routes = SessionRoutes::new(sessions)?;
//!     Ok(Router::new()
//!         .route("/me", get(me))
//!         .layer(routes.layer())
//!         .route("/login", post(login).layer(routes.csrf_layer()))
//!         .route("/refresh", post(routes.refresh()))
//!         .route("/logout", post(routes.logout()))
//!         .with_state(routes))
//! }
//! # use axum::{body::Body, http::Request};
//! # use tower::ServiceExt;
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! # let app = app().unwrap();
//! # let body = r#"{"name":"alice","password":"correct horse"}"#;
//! # let login = |site| Request::post("/login").header("Content-Type", "application/json")
//! #     .header("Sec-Fetch-Site", site).body(Body::from(body)).unwrap();
//! # let refused = app.clone().oneshot(login("cross-site")).await.unwrap();
//! # assert_eq!(refused.status(), 403);
//! # let answer = app.clone().oneshot(login("same-origin")).await.unwrap();
//! # assert_eq!(answer.status(), 204);
//! # let cookies = answer.headers().get_all("set-cookie").iter()
//! #     .map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap());
//! # let cookies = cookies.collect::<Vec<_>>().join("; ");
//! # let me = Request::get("/me").header("Cookie", &cookies).body(Body::empty()).unwrap();
//! # assert_eq!(app.clone().oneshot(me).await.unwrap().status(), 200);
//! # let logout = Request::post("/logout").header("Cookie", &cookies)
//! #     .header("Sec-Fetch-Site", "same-origin").body(Body::empty()).unwrap();
//! # assert_eq!(app.oneshot(logout).await.unwrap().status(), 204);
//! # }
//! ```
//!
//! A blocked user gets 401 `invalid_grant` from the login, as from a refresh. To tell the user
//! more, match [`Blocked`](crate::session::SessionErrorKind::Blocked) after the password check, and
//! answer in your own words.
//!
//! A handler that logs the user out everywhere also deletes the cookies of this browser:
//!
//! ```
//! # use axum::extract::State;
//! # use axum::http::StatusCode;
//! # use axum::response::{self, IntoResponse};
//! # use tower_jwt_auth::VerifiedToken;
//! # use tower_jwt_auth::routes::SessionRoutes;
//! # use tower_jwt_auth::store::MemoryStore;
//! # type Routes = SessionRoutes<MemoryStore>;
//! async fn logout_everywhere(
//!     State(routes): State<Routes>,
//!     token: VerifiedToken,
//! ) -> response::Result<impl IntoResponse> {
//!     let sessions = routes.sessions();
//!     sessions.logout_everywhere(&sessions.subject_of(&token)?).await?;
//!     Ok((StatusCode::NO_CONTENT, routes.logged_out()?))
//! }
//! # let routes: axum::Router<Routes> = axum::Router::new()
//! #     .route("/logout-everywhere", axum::routing::post(logout_everywhere));
//! # let _ = routes;
//! ```
//!
//! # Devices of a user
//!
//! | to | call |
//! | --- | --- |
//! | name the device at login | [`PendingLogin::label`](crate::session::PendingLogin::label) |
//! | list the sessions | [`Sessions::list`](crate::session::Sessions::list); a [`Session`](crate::session::Session) serializes to JSON |
//! | end one of them | [`Sessions::end_session_of`](crate::session::Sessions::end_session_of) |
//! | end all but this one | [`Sessions::logout_others`](crate::session::Sessions::logout_others); then the page must call `POST /refresh` |
//!
//! The example `web_login` has a page for login and a list of sessions, with an event log. It also
//! has a second factor, and support agents who act for users.
//!
//! # Pages that the server renders
//!
//! A page without a script cannot call `POST /refresh`. Put
//! [`page_renewal`](crate::routes::SessionRoutes::page_renewal) around the pages: it refreshes when
//! the browser opens a page and the access cookie has expired. Pages that everybody may see, such
//! as the login, also need `anonymous_if`. Otherwise a cookie of a session that has ended gets 401
//! there.
//!
//! ```
//! use axum::{Router, routing::get};
//! use tower_jwt_auth::VerifiedToken;
//! use tower_jwt_auth::cookie::CookieError;
//! use tower_jwt_auth::middleware::TokenFault;
//! use tower_jwt_auth::routes::SessionRoutes;
//! use tower_jwt_auth::session::SessionStore;
//!
//! async fn account(token: VerifiedToken) -> String {
//!     format!("hello {}", token.subject().unwrap_or_default())
//! }
//!
//! async fn front_page(token: Option<VerifiedToken>) -> &'static str {
//!     if token.is_some() { "welcome back" } else { "please log in" }
//! }
//!
//! fn pages<S: SessionStore>(routes: &SessionRoutes<S>) -> Result<Router, CookieError> {
//!     let faults = [
//!         TokenFault::Expired,
//!         TokenFault::Revoked,
//!         TokenFault::BadSignature,
//!         TokenFault::NoFittingKey,
//!     ];
//!     let public = Router::new()
//!         .route("/", get(front_page))
//!         .layer(routes.layer().anonymous_if(faults));
//!     let all = Router::new()
//!         .route("/account", get(account))
//!         .layer(routes.layer())
//!         .merge(public)
//!         // Added last, so it is outermost: both layers see the new token.
//!         .layer(routes.page_renewal()?);
//!     Ok(all)
//! }
//! ```
//!
//! The refresh cookie is `SameSite=Strict`. If the user follows a link on another site, the browser
//! does not send it, so the first page is not refreshed.
//! [`PageRenewalLayer`](crate::routes::PageRenewalLayer) lists the alternatives.
//!
//! # Two subdomains
//!
//! `app.example.com` and `api.example.com` are two origins of one site. The browser sends the
//! cookies of the API, `SameSite=Strict` ones too, if the page asks with
//! `fetch(url, { credentials: "include" })`. The API needs two settings:
//!
//! - `trusted_origin` on [`SessionRoutes`](crate::routes::SessionRoutes). It permits requests that
//!   change something: refresh, logout, the routes behind `layer`, and a login behind `csrf_layer`.
//! - `CorsLayer` with credentials. It lets the script read the answer. It must name the origin: the
//!   wildcard `*` is not allowed with credentials.
//!
//! ```
//! use axum::http::header::CONTENT_TYPE;
//! use axum::http::{HeaderValue, Method};
//! use axum::{Router, routing::post};
//! use tower_http::cors::CorsLayer;
//! use tower_jwt_auth::routes::SessionRoutes;
//! use tower_jwt_auth::session::SessionStore;
//!
//! const PAGE: &str = "https://app.example.com";
//!
//! fn app<S: SessionStore>(routes: SessionRoutes<S>) -> Router {
//!     let routes = routes.trusted_origin(PAGE);
//!     let cors = CorsLayer::new()
//!         .allow_origin(HeaderValue::from_static(PAGE))
//!         .allow_credentials(true)
//!         .allow_methods([Method::GET, Method::POST])
//!         .allow_headers([CONTENT_TYPE]);
//!     Router::new()
//!         .route("/notes", post(async || "saved"))
//!         .layer(routes.layer())
//!         .route("/refresh", post(routes.refresh()))
//!         .route("/logout", post(routes.logout()))
//!         // Added last, so it is outermost: preflights and refusals get its headers too.
//!         .layer(cors)
//! }
//! # use axum::{body::Body, http::Request};
//! # use tower::ServiceExt;
//! # use tower_jwt_auth::{keys::{Algorithm, SigningKey}, session::{RefreshKeys, Sessions}};
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! # let key = SigningKey::generate(Algorithm::ES256).unwrap();
//! # let store = tower_jwt_auth::store::MemoryStore::new();
//! # let sessions = Sessions::new(store, key, RefreshKeys::generate().unwrap()).issuer("api");
//! # let tokens = sessions.login(&sessions.subject_named("alice")).await.unwrap();
//! # let app = app(SessionRoutes::new(sessions).unwrap());
//! # let ask = async |method: Method, origin: &str| {
//! #     let request = Request::builder().method(method).uri("/notes").header("Origin", origin)
//! #         .header("Sec-Fetch-Site", "same-site")
//! #         .header("Access-Control-Request-Method", "POST")
//! #         .header("Cookie", format!("__Host-access={}", tokens.access_token));
//! #     app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
//! # };
//! # assert_eq!(ask(Method::POST, PAGE).await.status(), 200);
//! # assert_eq!(ask(Method::POST, "https://evil.example.com").await.status(), 403);
//! # let preflight = ask(Method::OPTIONS, PAGE).await;
//! # assert_eq!(preflight.status(), 200);
//! # assert_eq!(preflight.headers()["access-control-allow-credentials"], "true");
//! # }
//! ```
//!
//! If you do not know all origins at startup, as with preview deployments, pass a predicate to
//! `trusted_origins_by`. Apps and browser extensions have origins too, such as
//! `capacitor://localhost`.
//!
//! Keep the `__Host-` prefix. Then only the API's own host can set the cookies. Do not set
//! `Domain`: every subdomain, even a forgotten one, could read and replace the cookies. If you
//! must, see [several refresh cookies](crate::routes#several-refresh-cookies).
//!
//! # Two sites
//!
//! For a page on `example.com`, an API on `example.net` is another site. Browsers do not send
//! `SameSite=Lax` and `Strict` cookies with `fetch` to another site. Many also block
//! `SameSite=None` cookies, unless they are partitioned. Choose one of these:
//!
//! | way | what to know |
//! | --- | --- |
//! | give the API a name on the page's site, such as `api.example.com` | a DNS entry and a certificate |
//! | let the page's server forward `/api` to the API | one origin, no CORS |
//! | `SameSite=None` and `Partitioned` cookies | older browsers block them: test the browsers of your users |
//! | bearer tokens in the script's memory | any script on the page can read them; see below |
//!
//! The cookies need two more settings than on two subdomains. Everything else is the same: the
//! trusted origin, CORS with credentials, and `credentials: "include"` in the page.
//!
//! ```
//! use axum::{Router, routing::post};
//! use tower_jwt_auth::cookie::CookieError;
//! use tower_jwt_auth::routes::{SessionCookies, SessionRoutes};
//! use tower_jwt_auth::session::{SessionStore, Sessions};
//!
//! const PAGE: &str = "https://app.example.com";
//!
//! fn app<S: SessionStore>(sessions: Sessions<S>) -> Result<Router, CookieError> {
//!     let cookies = SessionCookies::new()?.cross_site()?.partitioned()?;
//!     let routes = SessionRoutes::new(sessions)?.with_cookies(cookies).trusted_origin(PAGE);
//!     Ok(Router::new()
//!         .route("/notes", post(async || "saved"))
//!         .layer(routes.layer())
//!         .route("/refresh", post(routes.refresh()))
//!         .route("/logout", post(routes.logout())))
//!         // And the `CorsLayer` of the last section.
//! }
//! # use axum::{body::Body, http::Request};
//! # use tower::ServiceExt;
//! # use tower_jwt_auth::{keys::{Algorithm, SigningKey}, session::RefreshKeys};
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! # let key = SigningKey::generate(Algorithm::ES256).unwrap();
//! # let store = tower_jwt_auth::store::MemoryStore::new();
//! # let sessions = Sessions::new(store, key, RefreshKeys::generate().unwrap()).issuer("api");
//! # let tokens = sessions.login(&sessions.subject_named("alice")).await.unwrap();
//! # let app = app(sessions).unwrap();
//! # let ask = async |path: &str, origin: &str| {
//! #     let request = Request::post(path).header("Origin", origin)
//! #         .header("Sec-Fetch-Site", "cross-site")
//! #         .header("Cookie", format!("__Host-access={}", tokens.access_token))
//! #         .header("Cookie", format!("__Host-refresh={}", tokens.refresh_token));
//! #     app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
//! # };
//! # assert_eq!(ask("/notes", PAGE).await.status(), 200);
//! # assert_eq!(ask("/notes", "https://evil.example").await.status(), 403);
//! # assert_eq!(ask("/refresh", "https://evil.example").await.status(), 403);
//! # let refreshed = ask("/refresh", PAGE).await;
//! # assert_eq!(refreshed.status(), 200);
//! # for cookie in refreshed.headers().get_all("set-cookie") {
//! #     let cookie = cookie.to_str().unwrap();
//! #     assert!(cookie.ends_with("; Secure; HttpOnly; SameSite=None; Partitioned"));
//! # }
//! # }
//! ```
//!
//! - `SameSite` no longer protects these cookies. The origin check alone does, so trust only your
//!   own pages. If a browser ignores `Partitioned`, any site can send a `GET` with the cookies,
//!   without reading the answer.
//! - A partitioned cookie belongs to the top-level site, which the address bar shows. A user who
//!   opens your app on another top-level site must log in again there.
//! - If you change `Domain`, `Path` or `Partitioned` of cookies that browsers already have, give
//!   the new ones another name, for example by
//!   [`environment`](crate::routes::SessionCookies::environment). Otherwise browsers send both.
//!
//! With bearer tokens the layer reads `Authorization` alone, and CORS needs no credentials:
//!
//! ```
//! use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
//! use axum::http::{HeaderValue, Method};
//! use axum::{Router, routing::get};
//! use tower_http::cors::CorsLayer;
//! use tower_jwt_auth::JwtAuthLayer;
//! # let key = tower_jwt_auth::keys::VerifyingKey::hs256([7; 32]).unwrap();
//!
//! let app: Router = Router::new()
//!     .route("/notes", get(async || "notes"))
//!     .layer(JwtAuthLayer::new(key).issuer("https://api.example.net"))
//!     .layer(
//!         CorsLayer::new()
//!             .allow_origin(HeaderValue::from_static("https://app.example.com"))
//!             .allow_methods([Method::GET, Method::POST])
//!             .allow_headers([AUTHORIZATION, CONTENT_TYPE]),
//!     );
//! ```
//!
//! The handlers for such tokens are in
//! [mobile and machine clients](super::mobile_and_machine_clients).
//!
//! # In a frame
//!
//! Your app may run in a frame of another site, such as a widget in a partner's page. Its own
//! requests then count as cross-site for `SameSite`, even those to its own origin. Use
//! `cross_site` and `partitioned` cookies, as on two sites. For the origin check these requests are
//! your own, so page and API on one origin need neither `trusted_origin` nor CORS.
//!
//! - Log the user in inside the frame. A login in a separate window sets cookies in another
//!   partition.
//! - Name the sites that may frame your app: `Content-Security-Policy: frame-ancestors
//!   https://partner.example`. Otherwise any site can frame it and trick users into clicks
//!   (clickjacking).
//! - An app that nobody may frame sends `frame-ancestors 'none'`.
//!
//! # On your own machine
//!
//! Chrome and Firefox accept `Secure` cookies from `http://localhost`, Safari does not. For Safari
//! use [`insecure_for_localhost`](crate::routes::SessionCookies::insecure_for_localhost). Cookies
//! do not distinguish ports: two services on `localhost` need different cookie names, by
//! [`environment`](crate::routes::SessionCookies::environment).
//!
//! `curl` is no browser. Add `-H 'Sec-Fetch-Site: none'` to a login, and to each request with a
//! cookie and a method such as `POST`.
