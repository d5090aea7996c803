//! An API for mobile apps and for other services: bearer tokens, without cookies.
//!
//! A client that is not a browser sends `Authorization: Bearer <token>`. A page of another site
//! cannot make a browser send it, so no check against cross-site request forgery applies.
//!
//! | client | gets its tokens from | renews by |
//! | --- | --- | --- |
//! | a mobile or desktop app, with a user | your login, as JSON | `POST /refresh` with the refresh token as JSON |
//! | another service, without a user | an authorization server, by client credentials | asking again |
//!
//! # Apps with a user
//!
//! Your login answers with a [`TokenPair`](crate::session::TokenPair), which serializes to the JSON
//! of RFC 6749 §5.1. The handlers of [`routes`](crate::routes) also accept a refresh token in the
//! body. They then answer in the body and set no cookies.
//!
//! ```
//! use std::error::Error;
//! use axum::extract::State;
//! use axum::http::{StatusCode, header::CACHE_CONTROL};
//! use axum::response::{IntoResponse, Response};
//! use axum::routing::{get, post};
//! use axum::{Json, Router};
//! use serde::Deserialize;
//! use tower_jwt_auth::keys::{Algorithm, SigningKey};
//! use tower_jwt_auth::routes::SessionRoutes;
//! use tower_jwt_auth::session::{RefreshKeys, Sessions};
//! use tower_jwt_auth::store::MemoryStore;
//! use tower_jwt_auth::VerifiedToken;
//!
//! type Routes = SessionRoutes<MemoryStore>;
//!
//! #[derive(Deserialize)]
//! struct Credentials { name: String, password: String, device: String }
//!
//! async fn login(
//!     State(routes): State<Routes>,
//!     Json(form): Json<Credentials>,
//! ) -> Result<Response, Response> {
//!     let sessions = routes.sessions();
//!     let pending = sessions.begin(&sessions.subject_named(&form.name)).await;
//!     let pending = pending.map_err(IntoResponse::into_response)?;
//!     // Compare with the password hash of your user database.
//!     if form.password != "correct horse" {
//!         return Err(StatusCode::FORBIDDEN.into_response());
//!     }
//!     // The label is shown in the user's list of sessions.
//!     let pending = pending.label(form.device);
//!     // Rejects a blocked user. Without the password, nobody can find out who is blocked.
//!     let tokens = sessions.complete(pending).await.map_err(IntoResponse::into_response)?;
//!     Ok(([(CACHE_CONTROL, "no-store")], Json(tokens)).into_response())
//! }
//!
//! async fn me(token: VerifiedToken) -> String {
//!     token.subject().unwrap_or_default().to_owned()
//! }
//!
//! fn app() -> Result<Router, Box<dyn Error>> {
//!     let key = SigningKey::generate(Algorithm::ES256)?;
//!     let sessions = Sessions::new(MemoryStore::new(), key, RefreshKeys::generate()?)
//!         .issuer("https://api.example.com")
//!         .audience("https://api.example.com");
//!     // With `SessionRoutes::new` this API would also read the cookies of browsers.
//!     let routes = SessionRoutes::without_cookies(sessions);
//!     Ok(Router::new()
//!         .route("/me", get(me))
//!         .layer(routes.layer())
//!         .route("/login", post(login))
//!         .route("/refresh", post(routes.refresh()))
//!         .route("/logout", post(routes.logout()))
//!         .with_state(routes))
//! }
//! # use axum::{body::{Body, to_bytes}, http::Request};
//! # use serde_json::{Value, json};
//! # use tower::ServiceExt;
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! # let app = app().unwrap();
//! # let post = async |path: &str, body: Value| {
//! #     let request = Request::post(path).header("Content-Type", "application/json");
//! #     let request = request.body(Body::from(body.to_string())).unwrap();
//! #     let answer = app.clone().oneshot(request).await.unwrap();
//! #     let status = answer.status();
//! #     let body = to_bytes(answer.into_body(), 10_000).await.unwrap();
//! #     (status, serde_json::from_slice::<Value>(&body).unwrap_or_default())
//! # };
//! # let form = json!({ "name": "alice", "password": "correct horse", "device": "phone" });
//! # let (status, tokens) = post("/login", form).await;
//! # assert_eq!((status, &tokens["expires_in"]), (StatusCode::OK, &json!(300)));
//! # let refresh = json!({ "refresh_token": tokens["refresh_token"] });
//! # let (status, tokens) = post("/refresh", refresh).await;
//! # assert_eq!((status, &tokens["token_type"]), (StatusCode::OK, &json!("Bearer")));
//! # let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
//! # let me = Request::get("/me").header("Authorization", bearer).body(Body::empty()).unwrap();
//! # assert_eq!(app.clone().oneshot(me).await.unwrap().status(), 200);
//! # let (status, _) = post("/logout", json!({ "refresh_token": tokens["refresh_token"] })).await;
//! # assert_eq!(status, StatusCode::NO_CONTENT);
//! # }
//! ```
//!
//! What the app must do:
//!
//! 1. Keep the refresh token in the keychain of the system, and the access token in memory.
//! 2. Renew when `expires_in` has nearly passed, or after a 401. Let one renewal run at a time.
//! 3. Store the new refresh token before using the new access token. Do not send the old one after
//!    the [grace](crate::session::Sessions::grace), 10 seconds by default. That counts as theft and
//!    ends the session.
//! 4. After a 503 or a lost connection, wait for a second. Then repeat the renewal with the same
//!    refresh token, within the grace.
//! 5. After a 401 from `/refresh`, ask the user to log in.
//!
//! To make a stolen refresh token worthless, [bind the session](super::bound_sessions#apps) to a
//! key of the device.
//!
//! # Services without a user
//!
//! The calling service gets an access token from an authorization server, by the client credentials
//! grant (RFC 6749 §4.4). Your service trusts the keys of that server.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use tower_jwt_auth::keys::remote::RemoteKeys;
//! use tower_jwt_auth::{JwtAuthLayer, Require, VerifiedToken};
//!
//! async fn export(token: VerifiedToken) -> String {
//!     // By RFC 9068 §2.2 the subject of such a token is the client.
//!     format!("data for {}", token.subject().unwrap_or("an unnamed client"))
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // Sets the issuer too. Fetches and refreshes the keys in the background.
//!     let keys = RemoteKeys::discover("https://id.example.com").build()?;
//!     let auth = JwtAuthLayer::new(keys)
//!         .audience("https://export.example.com")
//!         // Rejects ID tokens. Leave it out if the server does not follow RFC 9068.
//!         .typ("at+jwt");
//!     let app = Router::new()
//!         .route("/export", get(export))
//!         .layer(Require::scope("export:read"))
//!         .layer(auth);
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//!     axum::serve(listener, app).await?;
//!     Ok(())
//! }
//! ```
//!
//! # Your own services, without an authorization server
//!
//! A caller can sign its own tokens. Give each caller a key pair, and the callee the public keys.
//! Never share one secret among callers: each could act as any other.
//!
//! ```
//! use std::time::{Duration, SystemTime};
//! use tower_jwt_auth::claims::RegisteredClaims;
//! use tower_jwt_auth::keys::{Algorithm, SigningKey};
//! use tower_jwt_auth::{JwtAuthLayer, TrustedIssuer, Verifier};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//!
//! let billing = SigningKey::generate(Algorithm::EdDSA)?;
//! let shipping = SigningKey::generate(Algorithm::EdDSA)?;
//!
//! // In the caller: a new token for each minute or so.
//! let claims = RegisteredClaims::valid_for(Duration::from_secs(60), SystemTime::now())
//!     .issuer("billing")
//!     .subject("billing")
//!     .audience("stock");
//! let token = billing.sign(&claims)?;
//!
//! // In the callee: each issuer has its own key.
//! let callers = || [
//!     TrustedIssuer::new("billing", billing.verifying_key()),
//!     TrustedIssuer::new("shipping", shipping.verifying_key()),
//! ];
//! let layer = JwtAuthLayer::new(callers()).audience("stock");
//! # let verifier = Verifier::new(callers()).audience("stock");
//! # assert_eq!(verifier.verify(&token)?.issuer(), Some("billing"));
//! # Ok(())
//! # }
//! ```
