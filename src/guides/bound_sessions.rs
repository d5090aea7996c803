//! A browser app whose stolen refresh tokens are worthless: sessions bound to a key (RFC 9449).
//!
//! Malware copies cookies out of browsers, and a thief then uses the session from elsewhere. A
//! session that is bound to a key stops this. The page's script makes a key that cannot be
//! exported, and proves at each refresh that it holds this key. A copied refresh cookie is refused
//! at once.
//!
//! # Where the access token lives
//!
//! The refresh token is bound, and stays in its `HttpOnly` cookie. Your login handler chooses where
//! the access token is kept, and whether it is bound:
//!
//! | call | access token | a thief of the cookies has | choose it if |
//! | --- | --- | --- | --- |
//! | [`bind_refresh_token`](crate::session::PendingLogin::bind_refresh_token) | in its `HttpOnly` cookie, not bound | access until that token expires: [5 minutes](crate::session::Sessions::access_lifetime) and the leeway of your layers | the server renders pages, or forms and images need the login |
//! | [`bind`](crate::session::PendingLogin::bind) | bound, in the memory of the page's script | nothing | a script makes all requests: each needs a proof |
//!
//! # The service
//!
//! ```
//! use axum::extract::State;
//! use axum::response::{ErrorResponse, IntoResponse};
//! use axum::routing::{get, post};
//! use axum::{Form, Json, Router};
//! use http::StatusCode;
//! use http::request::Parts;
//! use serde::Deserialize;
//! use tower_jwt_auth::VerifiedToken;
//! use tower_jwt_auth::dpop::Dpop;
//! use tower_jwt_auth::routes::SessionRoutes;
//! use tower_jwt_auth::session::{SessionStore, Sessions};
//!
//! #[derive(Deserialize)]
//! struct Credentials { name: String, password: String }
//!
//! async fn login<S: SessionStore>(
//!     State(routes): State<SessionRoutes<S>>,
//!     request: Parts,
//!     Form(form): Form<Credentials>,
//! ) -> Result<impl IntoResponse, ErrorResponse> {
//!     let sessions = routes.sessions();
//!     let mut pending = sessions.begin(&sessions.subject_named(&form.name)).await?;
//!     // Before the password check: a proof without the nonce is rejected at once.
//!     if let Some(proof) = routes.proof(&request) {
//!         pending = pending.bind_refresh_token(&proof)?;
//!     }
//!     // Compare with the password hash of your user database.
//!     if form.password != "correct horse" {
//!         return Err(StatusCode::FORBIDDEN.into());
//!     }
//!     let tokens = sessions.complete(pending).await?;
//!     // If you call `bind` instead, the script needs the access token. `for_script` has it.
//!     Ok((routes.logged_in(&tokens)?, Json(tokens.for_script())))
//! }
//!
//! fn app<S: SessionStore + Clone>(
//!     sessions: Sessions<S>,
//! ) -> Result<Router, Box<dyn std::error::Error>> {
//!     // The origin of your pages. All nodes need the same secret for the nonces.
//!     let dpop = Dpop::new("https://app.example.com")?.nonces([7; 32])?;
//!     let routes = SessionRoutes::new(sessions)?.dpop(dpop);
//!     Ok(Router::new()
//!         .route("/me", get(async |token: VerifiedToken| {
//!             token.subject().unwrap_or_default().to_owned()
//!         }))
//!         .layer(routes.layer())
//!         .route("/login", post(login).layer(routes.csrf_layer()))
//!         .route("/refresh", post(routes.refresh()))
//!         .route("/logout", post(routes.logout()))
//!         .with_state(routes))
//! }
//! # use axum::{body::Body, http::Request};
//! # use tower::ServiceExt;
//! # use tower_jwt_auth::{keys::{Algorithm, SigningKey}, session::RefreshKeys};
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! # let key = SigningKey::generate(Algorithm::ES256).unwrap();
//! # let store = tower_jwt_auth::store::MemoryStore::new();
//! # let sessions = Sessions::new(store, key, RefreshKeys::generate().unwrap()).issuer("app");
//! # let app = app(sessions).unwrap();
//! # let login = |proof: Option<&str>| {
//! #     let request = Request::post("/login").header("sec-fetch-site", "same-origin")
//! #         .header("content-type", "application/x-www-form-urlencoded");
//! #     let request = proof.iter().fold(request, |request, proof| request.header("dpop", *proof));
//! #     request.body(Body::from("name=alice&password=correct+horse")).unwrap()
//! # };
//! # assert_eq!(app.clone().oneshot(login(None)).await.unwrap().status(), 200);
//! # assert_eq!(app.oneshot(login(Some("no proof"))).await.unwrap().status(), 400);
//! # }
//! ```
//!
//! To refuse logins without a key, return `DpopErrorKind::MissingProof` as a
//! [`SessionError`](crate::session::SessionError) if there is no proof.
//!
//! # The page
//!
//! The key is made once for each login, and kept in IndexedDB. In `generateKey` below, `false`
//! means that the private key cannot be exported: not even the page's own script can read it.
//!
//! ```js
//! const newKey = () =>
//!   crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
//!
//! const base64url = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)))
//!   .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
//!
//! async function proof({ privateKey, publicKey }, method, path, claims) {
//!   const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", publicKey);
//!   const header = { typ: "dpop+jwt", alg: "ES256", jwk: { kty, crv, x, y } };
//!   const payload = {
//!     jti: crypto.randomUUID(),
//!     htm: method,
//!     htu: new URL(path, location.origin).href,
//!     iat: Math.floor(Date.now() / 1000),
//!     ...claims, // nonce, and ath for a bound access token
//!   };
//!   const encode = (part) => base64url(new TextEncoder().encode(JSON.stringify(part)));
//!   const input = `${encode(header)}.${encode(payload)}`;
//!   const algorithm = { name: "ECDSA", hash: "SHA-256" };
//!   const bytes = new TextEncoder().encode(input);
//!   return `${input}.${base64url(await crypto.subtle.sign(algorithm, privateKey, bytes))}`;
//! }
//! ```
//!
//! The script then does this:
//!
//! - It sends a proof in the header `DPoP` of `POST /login`, and stores the key once the login has
//!   succeeded. A failed login must not replace the key of the existing session.
//! - It sends a proof with each `POST /refresh`.
//! - If an answer has the header `DPoP-Nonce`, the next proof has this `nonce`. If the error's
//!   `code` is `use_dpop_nonce`, it sends the request again.
//! - If page and API have two origins, CORS must allow `DPoP` and expose `DPoP-Nonce`, as the guide
//!   on [DPoP](super::dpop) shows.
//! - After a login without a proof it deletes the key: a session that is not bound rejects a
//!   refresh with a proof.
//! - If a refresh gets 401 `invalid_grant`, the user must log in again. Exception: if a step-up ran
//!   at the same time, the script refreshes once more. The browser then sends the cookie that the
//!   step-up has set.
//! - The user must also log in again if the page has lost the key of a bound session: its refresh
//!   gets 400. After seven days of browser use without a visit to the site, Safari deletes what
//!   scripts stored.
//!
//! `examples/web_login` is a whole page. Its login form offers both kinds of bound sessions, and
//! unbound ones.
//!
//! # Apps
//!
//! An app without cookies does the same with JSON: `bind` at login, then `POST /refresh` with its
//! refresh token and a proof. `token_type` is `DPoP`. Keep the key in the key store of the device.
//!
//! # What remains
//!
//! - A script that is injected into the page can use the key while the page is open, but cannot
//!   copy it. A Content-Security-Policy makes such an injection harder.
//! - A thief who copies the whole browser profile has the key too, unless the browser or the system
//!   encrypts it for this device. Reuse detection then ends the session once the thief and the user
//!   have both refreshed.
//! - A thief who holds an unbound access cookie can call your API until the token expires. Require
//!   a [second factor](super::second_factor) for what such a thief must not do. Such a thief cannot
//!   begin to [impersonate](crate::session::Sessions::impersonate) another user.
//! - Logout needs no proof, so a thief of the refresh cookie can log the user out.
