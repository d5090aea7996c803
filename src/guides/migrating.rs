//! Moving to this crate from `jsonwebtoken` by hand, from `jwt-authorizer`, or from `axum-login`.
//!
//! Each section shows the code before and after. Three checks are stricter here than in most
//! services, so look for them first:
//!
//! | check | here | if your tokens do not comply |
//! | --- | --- | --- |
//! | `exp` | required | issue tokens with `exp` |
//! | `aud` | a token with `aud` is rejected until you configure an audience | [`audience`](crate::JwtAuthLayer::audience) |
//! | `jti` | required once a revocation store is set | [`token_id_optional`](crate::JwtAuthLayer::token_id_optional) |
//!
//! The program `gate` says why it rejects a token. See [how to install and call
//! it](crate#why-is-my-token-rejected).
//!
//! # From `jsonwebtoken` by hand
//!
//! Before: an extractor that decodes the header's token.
//!
//! ```text
//! impl<S: Sync> FromRequestParts<S> for User {
//!     type Rejection = StatusCode;
//!     async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<User, StatusCode> {
//!         let value = parts.headers.get("authorization").ok_or(StatusCode::UNAUTHORIZED)?;
//!         let token = value.to_str().ok().and_then(|value| value.strip_prefix("Bearer "));
//!         let mut validation = Validation::new(Algorithm::RS256);
//!         validation.set_issuer(&["https://id.example.com"]);
//!         validation.set_audience(&["api"]);
//!         decode::<User>(token.ok_or(StatusCode::UNAUTHORIZED)?, &KEY, &validation)
//!             .map(|data| data.claims)
//!             .map_err(|_| StatusCode::UNAUTHORIZED)
//!     }
//! }
//!
//! async fn me(user: User) -> String { user.name }
//! ```
//!
//! After: the key may stay a `DecodingKey`, and the claims keep their type.
//!
//! ```
//! use axum::{Router, routing::get};
//! use jsonwebtoken::DecodingKey;
//! use serde::Deserialize;
//! use tower_jwt_auth::keys::{Algorithm, KeyError, VerifyingKey};
//! use tower_jwt_auth::{Claims, JwtAuthLayer};
//!
//! #[derive(Deserialize)]
//! struct User { name: String }
//!
//! async fn me(Claims(user): Claims<User>) -> String { user.name.clone() }
//!
//! fn app(key: &DecodingKey) -> Result<Router, KeyError> {
//!     let key = VerifyingKey::from_decoding_key(Algorithm::RS256, key)?;
//!     let auth = JwtAuthLayer::new(key).issuer("https://id.example.com").audience("api");
//!     Ok(Router::new().route("/me", get(me)).layer(auth))
//! }
//! ```
//!
//! - The leeway is 30 seconds, not 60: set [`leeway`](crate::JwtAuthLayer::leeway) if clocks
//!   differ.
//! - `encode(&header, &claims, &key)` becomes [`SigningKey::sign`](crate::keys::SigningKey::sign).
//! - A weak key, such as a secret under 32 bytes, is an error when you make the key.
//!
//! # From `jwt-authorizer`
//!
//! Before:
//!
//! ```text
//! let auth: Authorizer<User> = JwtAuthorizer::from_oidc("https://id.example.com")
//!     .validation(Validation::new().aud(&["api"]))
//!     .check(|user| user.roles.contains(&"admin".to_owned()))
//!     .jwt_source(JwtSource::Cookie("token".to_owned()))
//!     .build()
//!     .await?;
//! let app = Router::new().route("/me", get(me)).layer(auth.into_layer());
//!
//! async fn me(JwtClaims(user): JwtClaims<User>) -> String { user.name }
//! ```
//!
//! After: the keys are refreshed in the background, and the check becomes a guard.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use serde::Deserialize;
//! use tower_jwt_auth::keys::remote::RemoteKeys;
//! use tower_jwt_auth::{Claims, JwtAuthLayer, Require, TokenSource};
//!
//! #[derive(Deserialize)]
//! struct User { name: String, roles: Vec<String> }
//!
//! async fn me(Claims(user): Claims<User>) -> String { user.name.clone() }
//!
//! # fn app() -> Result<Router, Box<dyn std::error::Error>> {
//! let keys = RemoteKeys::discover("https://id.example.com").build()?;
//! let auth = JwtAuthLayer::new(keys)
//!     .audience("api")
//!     .sources([TokenSource::cookie("token")]);
//! let admin = Require::claims(|user: &User| user.roles.iter().any(|role| role == "admin"));
//! let app = Router::new().route("/me", get(me)).layer(admin).layer(auth);
//! # Ok(app)
//! # }
//! ```
//!
//! | `jwt-authorizer` | here |
//! | --- | --- |
//! | `from_jwks_url(url)` | [`RemoteKeys::jwks`](crate::keys::remote::RemoteKeys::jwks) and [`TrustedIssuer`](crate::TrustedIssuer) |
//! | `from_secret`, `from_rsa_pem` | [`VerifyingKey::from_secret`](crate::keys::VerifyingKey::from_secret), [`from_pem`](crate::keys::VerifyingKey::from_pem), with the algorithm |
//! | several authorizers in one layer | several [`TrustedIssuer`](crate::TrustedIssuer)s |
//! | `Option<JwtClaims<T>>` | `Option<Claims<T>>`, with [`optional`](crate::JwtAuthLayer::optional) on the layer |
//!
//! # From `axum-login`
//!
//! `axum-login` keeps a session on the server and loads the user for each request. Here the access
//! token carries what a request needs, and your user database is asked only at login and renewal.
//!
//! Before:
//!
//! ```text
//! let sessions = SessionManagerLayer::new(session_store);
//! let auth = AuthManagerLayerBuilder::new(Backend, sessions).build();
//! let app = Router::new()
//!     .route("/me", get(me))
//!     .route_layer(permission_required!(Backend, login_url = "/login", "notes:read"))
//!     .route("/login", post(login))
//!     .layer(auth);
//!
//! async fn login(mut auth: AuthSession<Backend>, Form(form): Form<Credentials>) -> Response {
//!     match auth.authenticate(form).await {
//!         Ok(Some(user)) if auth.login(&user).await.is_ok() => {
//!             Redirect::to("/me").into_response()
//!         }
//!         _ => StatusCode::UNAUTHORIZED.into_response(),
//!     }
//! }
//! ```
//!
//! After:
//!
//! ```
//! use std::{error::Error, io};
//! use axum::extract::{Form, State};
//! use axum::http::StatusCode;
//! use axum::response::{self, Html, IntoResponse, Redirect, Response};
//! use axum::{Router, routing::{get, post}};
//! use serde::{Deserialize, Serialize};
//! use tower_jwt_auth::keys::{Algorithm, SigningKey};
//! use tower_jwt_auth::routes::SessionRoutes;
//! use tower_jwt_auth::session::{RefreshKeys, SessionStore, Sessions};
//! use tower_jwt_auth::{AuthError, Claims, Require};
//!
//! #[derive(Deserialize)]
//! struct Credentials { name: String, password: String }
//!
//! /// What the access token says of the user. Renewed every 5 minutes from your database.
//! #[derive(Deserialize, Serialize)]
//! struct User { name: String, scope: String }
//!
//! async fn find_user(id: String) -> io::Result<Option<User>> {
//!     Ok(Some(User { name: id, scope: "notes:read".to_owned() }))
//! }
//!
//! async fn me(Claims(user): Claims<User>) -> String { user.name.clone() }
//!
//! async fn login_page() -> Html<&'static str> {
//!     Html("<form method=post><input name=name><input name=password type=password>
//!         <button>Log in</button></form>")
//! }
//!
//! async fn login<S: SessionStore>(
//!     State(routes): State<SessionRoutes<S>>,
//!     Form(form): Form<Credentials>,
//! ) -> response::Result<impl IntoResponse> {
//!     let sessions = routes.sessions();
//!     let pending = sessions.begin(&sessions.subject_named(&form.name)).await?;
//!     if form.password != "correct horse" {
//!         return Err(StatusCode::FORBIDDEN.into());
//!     }
//!     // Rejects a blocked user. Without the password, nobody can find out who is blocked.
//!     let tokens = sessions.complete(pending).await?;
//!     Ok((routes.logged_in(&tokens)?, Redirect::to("/me")))
//! }
//!
//! /// Takes the place of `login_url`.
//! fn to_login(error: &AuthError) -> Response {
//!     match error.status() {
//!         StatusCode::UNAUTHORIZED => Redirect::to("/login").into_response(),
//!         status => status.into_response(),
//!     }
//! }
//!
//! fn app<S: SessionStore>(store: S) -> Result<Router, Box<dyn Error>> {
//!     let key = SigningKey::generate(Algorithm::ES256)?;
//!     let sessions = Sessions::new(store, key, RefreshKeys::generate()?)
//!         .issuer("https://example.com")
//!         .claims(|session| find_user(session.subject));
//!     let routes = SessionRoutes::new(sessions)?;
//!     Ok(Router::new()
//!         .route("/me", get(me).layer(Require::scope("notes:read")))
//!         .layer(routes.layer().respond(to_login))
//!         .layer(routes.page_renewal()?)
//!         .route("/login", get(login_page).post(login::<S>).layer(routes.csrf_layer()))
//!         .route("/refresh", post(routes.refresh()))
//!         .route("/logout", post(routes.logout()))
//!         .with_state(routes))
//! }
//! # use axum::{body::Body, http::Request};
//! # use tower::ServiceExt;
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! # let app = app(tower_jwt_auth::store::MemoryStore::new()).unwrap();
//! # let me = Request::get("/me").body(Body::empty()).unwrap();
//! # let answer = app.clone().oneshot(me).await.unwrap();
//! # assert_eq!(answer.status(), StatusCode::SEE_OTHER);
//! # assert_eq!(answer.headers()["location"], "/login");
//! # let page = Request::get("/login").body(Body::empty()).unwrap();
//! # assert_eq!(app.clone().oneshot(page).await.unwrap().status(), 200);
//! # let login = Request::post("/login").header("Sec-Fetch-Site", "same-origin")
//! #     .header("Content-Type", "application/x-www-form-urlencoded")
//! #     .body(Body::from("name=alice&password=correct+horse")).unwrap();
//! # let answer = app.clone().oneshot(login).await.unwrap();
//! # let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap();
//! # let me = Request::get("/me").header("Cookie", cookie).body(Body::empty()).unwrap();
//! # assert_eq!(app.oneshot(me).await.unwrap().status(), 200);
//! # }
//! ```
//!
//! - The access token must be renewed. Around pages,
//!   [`page_renewal`](crate::routes::SessionRoutes::page_renewal) does so. Let routes for scripts
//!   answer 401: the script then calls `POST /refresh`, as
//!   [browser cookies](super::browser_cookies) explains.
//! - A change in the database is seen at the next renewal, at most 5 minutes and 30 seconds later.
//!   To apply it at once, call
//!   [`invalidate_access_tokens`](crate::session::Sessions::invalidate_access_tokens).
//! - Data of at most 4 KiB may live in the session:
//!   [`PendingLogin::data`](crate::session::PendingLogin::data). A shopping cart stays in
//!   `tower-sessions`.
