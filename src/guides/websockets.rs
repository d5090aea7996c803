//! Protecting a WebSocket, and closing it when its token expires or is revoked.
//!
//! A WebSocket begins as a `GET` request, so the layer authenticates it like any other. Two things
//! differ:
//!
//! - A browser script cannot set `Authorization` for it. The token comes by cookie, or as a
//!   subprotocol.
//! - It stays open. The layer checked the token once, when the connection began. Your handler must
//!   close it when the token expires.
//!
//! | client | the token is in | protection against other sites |
//! | --- | --- | --- |
//! | a browser, with the session's cookies | the cookie `__Host-access` | the layer checks `Origin`, for this `GET` too |
//! | a browser, with the token in a script | `Sec-WebSocket-Protocol` | not needed: only your script knows the token |
//! | anything else | `Authorization` | not needed |
//!
//! To refuse pages of other origins even if the token is not in the cookie, add the check to the
//! route. Clients that are no browser still pass with `Authorization`:
//!
//! ```text
//! .route("/chat", get(chat).layer(routes.csrf_layer().exempt_authorization()))
//! ```
//!
//! Do not put the token into the query: URLs end up in logs (RFC 9700 §4.3.2).
//!
//! ```
//! use std::borrow::Cow;
//! use std::time::Duration;
//! use axum::extract::State;
//! use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
//! use axum::response::Response;
//! use axum::{Router, routing::get};
//! use tokio::sync::broadcast;
//! use tokio::time::interval;
//! use tower_jwt_auth::claims::NumericDate;
//! use tower_jwt_auth::clock::Clock;
//! use tower_jwt_auth::revocation::{RevocationStore, TokenIdentity};
//! use tower_jwt_auth::routes::SessionRoutes;
//! use tower_jwt_auth::session::Sessions;
//! use tower_jwt_auth::store::MemoryStore;
//! use tower_jwt_auth::{TokenSource, VerifiedToken};
//!
//! /// The script opens it by `new WebSocket(url, ["chat", "access-token." + token])`.
//! fn subprotocol() -> TokenSource {
//!     TokenSource::custom(|request| {
//!         let protocols = request.headers.get("sec-websocket-protocol")?.to_str().ok()?;
//!         let mut protocols = protocols.split(',').map(str::trim);
//!         let token = protocols.find_map(|name| name.strip_prefix("access-token."))?;
//!         Some(Cow::Owned(token.to_owned()))
//!     })
//! }
//!
//! /// The sessions, and the news for all sockets.
//! type Shared = (Sessions<MemoryStore>, broadcast::Sender<String>);
//!
//! async fn chat(
//!     upgrade: WebSocketUpgrade,
//!     token: VerifiedToken,
//!     State((sessions, news)): State<Shared>,
//! ) -> Response {
//!     // Before the upgrade: the client misses no news once it is connected.
//!     let news = news.subscribe();
//!     upgrade
//!         // The response names the subprotocol `chat`, so it does not repeat the token.
//!         .protocols(["chat"])
//!         .on_upgrade(move |socket| talk(socket, token, sessions, news))
//! }
//!
//! async fn talk(
//!     mut socket: WebSocket,
//!     token: VerifiedToken,
//!     sessions: Sessions<MemoryStore>,
//!     mut news: broadcast::Receiver<String>,
//! ) {
//!     let mut check = interval(Duration::from_secs(10));
//!     let reason = loop {
//!         tokio::select! {
//!             _ = check.tick() => match reason_to_close(&token, &sessions).await {
//!                 Some(reason) => break reason,
//!                 None => {}
//!             },
//!             Ok(text) = news.recv() => {
//!                 // Before each push: the token may have been revoked since the last check.
//!                 if let Some(reason) = reason_to_close(&token, &sessions).await { break reason }
//!                 if socket.send(Message::text(text)).await.is_err() { return }
//!             }
//!             message = socket.recv() => match message {
//!                 Some(Ok(Message::Text(text))) => {
//!                     let name = token.subject().unwrap_or_default();
//!                     let answer = Message::text(format!("{name}: {text}"));
//!                     if socket.send(answer).await.is_err() { return }
//!                 }
//!                 Some(Ok(_)) => {}
//!                 Some(Err(_)) | None => return,
//!             },
//!         }
//!     };
//!     let frame = CloseFrame { code: close_code::POLICY, reason: reason.into() };
//!     // The client may be gone.
//!     let _ = socket.send(Message::Close(Some(frame))).await;
//! }
//!
//! async fn reason_to_close(
//!     token: &VerifiedToken,
//!     sessions: &Sessions<MemoryStore>,
//! ) -> Option<&'static str> {
//!     // The clock of the sessions: a test moves it.
//!     if NumericDate::from(sessions.current_clock().now()) >= token.expires_at() {
//!         return Some("expired");
//!     }
//!     match sessions.store().is_revoked(&TokenIdentity::from(token)).await {
//!         Ok(false) => None,
//!         Ok(true) => Some("revoked"),
//!         // The layer answers 503 in this case.
//!         Err(_) => Some("unavailable"),
//!     }
//! }
//!
//! fn app(routes: &SessionRoutes<MemoryStore>, news: &broadcast::Sender<String>) -> Router {
//!     Router::new()
//!         .route("/chat", get(chat))
//!         // It reads `Authorization` and the cookie first.
//!         .layer(routes.layer().source(subprotocol()))
//!         .with_state((routes.sessions().clone(), news.clone()))
//! }
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! # use tower_jwt_auth::clock::ManualClock;
//! # use tower_jwt_auth::keys::{Algorithm, SigningKey};
//! # use tower_jwt_auth::session::RefreshKeys;
//! # // Time passes while nothing else happens.
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let clock = ManualClock::at(1_800_000_000);
//! # let store = MemoryStore::with_clock(clock.clone());
//! # let key = SigningKey::generate(Algorithm::HS256)?;
//! # let sessions = Sessions::new(store, key, RefreshKeys::generate()?).clock(clock.clone());
//! # let alice = sessions.subject_named("alice");
//! # let (first, second) = (sessions.login(&alice).await?, sessions.login(&alice).await?);
//! # let (news, _) = broadcast::channel(16);
//! # let app = app(&SessionRoutes::new(sessions.clone())?, &news);
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let address = listener.local_addr()?;
//! # let server = tokio::spawn(async move { axum::serve(listener, app).await });
//! # let open = async |headers: String| {
//! #     let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
//! #     let request = format!("GET /chat HTTP/1.1\r\nHost: api.example.com\r\n\
//! #         Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
//! #         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n\r\n");
//! #     stream.write_all(request.as_bytes()).await.unwrap();
//! #     let mut buffer = [0; 2000];
//! #     let length = stream.read(&mut buffer).await.unwrap();
//! #     (stream, String::from_utf8_lossy(&buffer[..length]).into_owned())
//! # };
//! # let closed = async |mut stream: tokio::net::TcpStream, pushed: &str, reason: &str| {
//! #     let mut frame = Vec::new();
//! #     let month = Duration::from_secs(30 * 24 * 3600);
//! #     let read = tokio::time::timeout(month, stream.read_to_end(&mut frame)).await;
//! #     read.unwrap().unwrap();
//! #     assert!(frame.ends_with(reason.as_bytes()), "{frame:?}");
//! #     let expected = if pushed.is_empty() { 0 } else { 2 + pushed.len() } + 4 + reason.len();
//! #     assert_eq!(frame.len(), expected, "{frame:?}");
//! # };
//! # let cookie = format!("Cookie: __Host-access={}", first.access_token);
//! # let (_, answer) = open(format!("{cookie}\r\nOrigin: https://evil.example")).await;
//! # assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
//! # let (revoked, answer) = open(format!("{cookie}\r\nOrigin: https://api.example.com")).await;
//! # assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
//! # let (_, answer) = open("Origin: https://api.example.com".to_owned()).await;
//! # assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
//! # let protocol = format!("Sec-WebSocket-Protocol: chat, access-token.{}", second.access_token);
//! # let (expired, answer) = open(protocol).await;
//! # assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
//! # assert!(answer.contains("sec-websocket-protocol: chat\r\n"), "{answer}");
//! # sessions.end_session(first.sid).await?;
//! # news.send("news".to_owned())?;
//! # closed(revoked, "", "revoked").await;
//! # clock.advance(Duration::from_secs(300));
//! # closed(expired, "news", "expired").await;
//! # server.abort();
//! # Ok(())
//! # }
//! ```
//!
//! The client sees close code 1008, renews its token by `POST /refresh`, and opens a new
//! connection. A good client renews and reconnects shortly before the token expires, so that no
//! message is lost.
//!
//! A page of another origin needs `trusted_origin`, as in [browser
//! cookies](super::browser_cookies). CORS does not apply to WebSockets: no preflight is sent, and
//! only the check of `Origin` protects the cookie.
//!
//! # Limits of the checks
//!
//! - The interval decides how long an expired or revoked token keeps its connection: 10 seconds
//!   here. The stores of this crate answer from memory, so checking more often costs little.
//!   The code above also checks the token before it sends each text of `news`. With sessions in one
//!   process, [`on_event`](crate::session::Sessions::on_event) can wake the sockets to check at
//!   once.
//! - The layer accepts a token for the leeway of 30 seconds after it has expired. The code above
//!   closes at the expiry itself. So a socket that opens within the leeway closes at once, and the
//!   client must renew its token.
//! - [`logout_others`](crate::session::Sessions::logout_others) also revokes the access token of
//!   the session that it keeps. After a change of roles,
//!   [`invalidate_access_tokens`](crate::session::Sessions::invalidate_access_tokens) revokes the
//!   access tokens of all sessions of the user. In both cases the sockets close. The client of a
//!   session that continues renews its token and connects again.
//! - In a test give the sessions and the store a [`ManualClock`](crate::clock::ManualClock), and
//!   advance it past the expiry. Start tokio with paused time: then no test waits for the interval.
//!   This needs a [`MemoryStore::with_clock`](crate::store::MemoryStore::with_clock): with other
//!   stores do not [pause the time](super::testing_your_service#paused-time).
//! - The client may send a new token as a message, to keep the connection open. Verify that token
//!   with a [`Verifier`](crate::Verifier), and compare the subjects.
