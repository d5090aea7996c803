//! Login with an OpenID provider: Google, Keycloak, Auth0 and others.
//!
//! The provider says who the user is, in an ID token. Your service verifies the ID token and starts
//! its own session. After that, the session works like any other, without the provider's tokens.
//!
//! | step | who | what |
//! | --- | --- | --- |
//! | 1 | `GET /login` | redirects to the provider with `state`, `nonce` and a PKCE challenge; keeps `state`, `nonce` and the PKCE verifier in a signed cookie |
//! | 2 | the provider | asks for the password, redirects to `/callback` with a code |
//! | 3 | `GET /callback` | compares `state`, exchanges the code for an ID token, verifies it with the `nonce` |
//! | 4 | `GET /callback` | starts a session, sets its cookies |
//! | 5 | `POST /backchannel-logout` | the provider reports a logout, and the session here ends |
//!
//! This crate verifies the ID token of step 3, and does steps 4 and 5. The crate `oauth2` helps
//! with step 1 and the exchange of the code. `cargo run --example social_login --features jwks` is
//! a whole service with discovery.
//!
//! ```no_run
//! use std::error::Error;
//! use std::sync::Arc;
//! use std::time::{Duration, SystemTime};
//! use axum::extract::{Query, State};
//! use axum::http::{HeaderValue, StatusCode, header::{CACHE_CONTROL, CONTENT_TYPE, SET_COOKIE}};
//! use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
//! use axum::{Router, routing::{get, post}};
//! use oauth2::{CsrfToken, PkceCodeChallenge};
//! use serde::{Deserialize, Serialize};
//! use tower_jwt_auth::claims::RegisteredClaims;
//! use tower_jwt_auth::cookie::TokenCookie;
//! use tower_jwt_auth::keys::remote::RemoteKeys;
//! use tower_jwt_auth::keys::{Algorithm, SigningKey, TokenHeader};
//! use tower_jwt_auth::openid::{
//!     IdTokenVerifier, LogoutToken, LogoutTokenVerifier, ProviderSessions,
//! };
//! use tower_jwt_auth::routes::{BackChannelLogout, SessionRoutes};
//! use tower_jwt_auth::session::{RefreshKeys, Sessions};
//! use tower_jwt_auth::store::MemoryStore;
//! use tower_jwt_auth::{Claims, JwtAuthLayer, TokenSource, VerifiedToken};
//!
//! const PROVIDER: &str = "https://id.example.com";
//! const CLIENT_ID: &str = "our-client-id";
//! const CALLBACK: &str = "https://app.example.com/callback";
//! /// How long a user may take to log in at the provider.
//! const PATIENCE: Duration = Duration::from_secs(600);
//!
//! struct Service {
//!     id_tokens: IdTokenVerifier,
//!     logins: ProviderSessions<MemoryStore>,
//!     routes: SessionRoutes<MemoryStore>,
//!     login_key: SigningKey,
//!     login_cookie: TokenCookie,
//! }
//!
//! /// What the browser keeps between `/login` and `/callback`, in a signed cookie.
//! #[derive(Deserialize, Serialize)]
//! struct Started {
//!     state: String,
//!     nonce: String,
//!     pkce_verifier: String,
//!     #[serde(flatten)]
//!     registered: RegisteredClaims,
//! }
//!
//! fn internal<E>(_: E) -> Response { StatusCode::INTERNAL_SERVER_ERROR.into_response() }
//!
//! async fn login(State(service): State<Arc<Service>>) -> Result<Response, Response> {
//!     let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
//!     let started = Started {
//!         state: CsrfToken::new_random().into_secret(),
//!         nonce: CsrfToken::new_random().into_secret(),
//!         pkce_verifier: verifier.into_secret(),
//!         registered: RegisteredClaims::valid_for(PATIENCE, SystemTime::now()),
//!     };
//!     let url = format!(
//!         "{PROVIDER}/authorize?response_type=code&client_id={CLIENT_ID}&redirect_uri={CALLBACK}\
//!          &scope=openid&state={}&nonce={}&code_challenge_method=S256&code_challenge={}",
//!         started.state, started.nonce, challenge.as_str(),
//!     );
//!     let header = TokenHeader::new().typ("login+jwt");
//!     let started = service.login_key.sign_with(&header, &started).map_err(internal)?;
//!     let cookie = service.login_cookie.set(&started, PATIENCE).map_err(internal)?;
//!     let headers = [(SET_COOKIE, cookie), (CACHE_CONTROL, HeaderValue::from_static("no-store"))];
//!     Ok((headers, Redirect::to(&url)).into_response())
//! }
//!
//! #[derive(Deserialize)]
//! struct Callback { state: String, code: String }
//!
//! async fn callback(
//!     State(service): State<Arc<Service>>,
//!     Claims(started): Claims<Started>,
//!     Query(callback): Query<Callback>,
//! ) -> Result<Response, Response> {
//!     // Refuses a login that began in another browser. `CsrfToken` compares in constant time.
//!     if CsrfToken::new(callback.state) != CsrfToken::new(started.state.clone()) {
//!         return Err(StatusCode::FORBIDDEN.into_response());
//!     }
//!     let id_token = exchange(&callback.code, &started.pkce_verifier).await;
//!     let id_token = id_token.map_err(|_| StatusCode::BAD_GATEWAY.into_response())?;
//!     let id_token = service.id_tokens.verify(&id_token, &started.nonce).await;
//!     let id_token = id_token.map_err(|_| StatusCode::FORBIDDEN.into_response())?;
//!
//!     // Use `sub` as the key of the account. An e-mail address can change its owner.
//!     let sessions = service.routes.sessions();
//!     let login = sessions.begin(&sessions.subject_named(id_token.subject())).await;
//!     let login = login.map_err(IntoResponse::into_response)?;
//!     let tokens = service.logins.complete(login, &id_token).await;
//!     let tokens = tokens.map_err(IntoResponse::into_response)?;
//!     let cookies = service.routes.logged_in(&tokens).map_err(internal)?;
//!     let forget = [(SET_COOKIE, service.login_cookie.clear().map_err(internal)?)];
//!     Ok((cookies, AppendHeaders(forget), Redirect::to("/")).into_response())
//! }
//!
//! #[derive(Deserialize)]
//! struct TokenResponse { id_token: String }
//!
//! /// Exchanges the code for an ID token (RFC 6749 §4.1.3).
//! async fn exchange(code: &str, pkce_verifier: &str) -> Result<String, Box<dyn Error>> {
//!     let form = form_urlencoded::Serializer::new(String::new())
//!         .append_pair("grant_type", "authorization_code")
//!         .append_pair("code", code)
//!         .append_pair("redirect_uri", CALLBACK)
//!         .append_pair("code_verifier", pkce_verifier)
//!         .finish();
//!     let http = reqwest::Client::builder()
//!         .redirect(reqwest::redirect::Policy::none())
//!         .timeout(Duration::from_secs(5))
//!         .build()?;
//!     let secret = std::env::var("CLIENT_SECRET")?;
//!     let request = http
//!         .post(format!("{PROVIDER}/token"))
//!         .basic_auth(CLIENT_ID, Some(secret))
//!         .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
//!         .body(form);
//!     let response = request.send().await?.error_for_status()?;
//!     let tokens: TokenResponse = serde_json::from_slice(&response.bytes().await?)?;
//!     Ok(tokens.id_token)
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn Error>> {
//!     let keys = RemoteKeys::discover(PROVIDER).build()?;
//!     let signing_key = SigningKey::generate(Algorithm::ES256)?;
//!     let sessions = Sessions::new(MemoryStore::new(), signing_key, RefreshKeys::generate()?)
//!         .issuer("https://app.example.com");
//!     let routes = SessionRoutes::new(sessions)?;
//!     let logins = ProviderSessions::new(routes.sessions().clone());
//!
//!     let verifier = LogoutTokenVerifier::new(keys.clone(), CLIENT_ID);
//!     let ended = logins.clone();
//!     let logout = BackChannelLogout::new(verifier, move |logout: LogoutToken| {
//!         let logins = ended.clone();
//!         async move { logins.end(&logout).await }
//!     });
//!
//!     let login_key = SigningKey::generate(Algorithm::HS256)?;
//!     let login_cookie = TokenCookie::new("__Host-login")?;
//!     let started = JwtAuthLayer::new(login_key.verifying_key())
//!         .typ("login+jwt")
//!         .sources([TokenSource::from(&login_cookie)]);
//!     let app = Router::new()
//!         .route("/me", get(async |token: VerifiedToken| token.payload().to_owned()))
//!         .layer(routes.layer())
//!         .route("/login", get(login))
//!         .route("/callback", get(callback).layer(started))
//!         .route("/refresh", post(routes.refresh()))
//!         .route("/logout", post(routes.logout()))
//!         .route("/backchannel-logout", post(logout.handler()))
//!         .with_state(Arc::new(Service {
//!             id_tokens: IdTokenVerifier::new(keys, CLIENT_ID),
//!             logins,
//!             routes,
//!             login_key,
//!             login_cookie,
//!         }));
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//!     axum::serve(listener, app).await?;
//!     Ok(())
//! }
//! ```
//!
//! Before you go live:
//!
//! - Check `iss` of the redirect if you use several providers
//!   ([`check_response_issuer`](crate::openid::IdTokenVerifier::check_response_issuer), RFC 9207).
//! - End the session that the browser had before
//!   ([`session_of_refresh_token`](crate::session::Sessions::session_of_refresh_token)).
//! - With several providers, the key of an account is `iss` and `sub` together.
//! - With several nodes, `login_key` must be the same on all of them.
