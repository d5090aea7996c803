//! Sessions: login, refresh token rotation with reuse detection, logout, logout everywhere.
//!
//! You need this module if your service logs users in itself. [`Sessions`] issues short-lived
//! access tokens (JWTs) and the refresh tokens that renew them. The handlers for axum are in the
//! module `routes` (feature `axum`).
//!
//! ```
//! use tower_jwt_auth::JwtAuthLayer;
//! use tower_jwt_auth::keys::{Algorithm, SigningKey};
//! use tower_jwt_auth::session::{RefreshKeys, SessionErrorKind, Sessions};
//! use tower_jwt_auth::store::MemoryStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let signing_key = SigningKey::generate(Algorithm::ES256)?;
//! let sessions = Sessions::new(MemoryStore::new(), signing_key, RefreshKeys::generate()?)
//!     .issuer("https://example.com");
//!
//! // The layer accepts the access tokens and rejects those of ended sessions.
//! let layer = JwtAuthLayer::new(sessions.verifying_keys().clone())
//!     .issuer("https://example.com")
//!     .revocation(sessions.store().clone());
//! # let _ = layer;
//!
//! // After the password was checked:
//! let login = sessions.login(&sessions.subject_named("alice")).await?;
//!
//! // Before the access token expires:
//! let refreshed = sessions.refresh(&login.refresh_token).await?;
//!
//! sessions.logout(&refreshed.refresh_token).await?;
//! let error = sessions.refresh(&refreshed.refresh_token).await.unwrap_err();
//! assert_eq!(error.kind(), SessionErrorKind::Ended);
//! # Ok(())
//! # }
//! ```
//!
//! # Reuse detection
//!
//! Every refresh rotates the refresh token (RFC 9700 §4.14.2). The previous refresh token stays
//! valid for a short [grace](Sessions::grace). If it is used later, it may have been stolen, or the
//! client retried too late. The session then ends with all its access tokens, for the user and for
//! a possible thief.
//!
//! | refresh token | answer |
//! | --- | --- |
//! | the current one | a new pair |
//! | the previous one, within the [grace](Sessions::grace) | the current refresh token, with a new access token |
//! | the previous one, within the grace, if the session was [elevated](Sessions::elevate) since | [`Elevated`](SessionErrorKind::Elevated): nothing changes |
//! | the previous one after the grace, or an older one | [`ReuseDetected`](SessionErrorKind::ReuseDetected): the session has ended |
//! | authentic and newer than the store's record, because the store has lost a refresh | a new pair, and the event [`LostWrites`](SessionEventKind::LostWrites) |
//! | forged or malformed | [`InvalidToken`](SessionErrorKind::InvalidToken); nothing changes |
//!
//! After an [outage](SessionErrorKind::Unavailable) the client does not know whether its refresh
//! token was used. It should retry with the same token within the grace, 10 seconds by default. A
//! later retry may be treated as reuse, and the user must log in again.
//!
//! The next refresh token is computed from the session ID, a counter and the refresh secret. Two
//! concurrent refreshes therefore get the same refresh token. The [store](SessionStore) holds the
//! counter, but no secret.
//!
//! # Bound to a key of the client
//!
//! A login can bind its session to a key that only the client has (RFC 9449 §5). Each refresh then
//! needs a [proof](crate::dpop) by this key, so a stolen refresh token alone is worthless.
//!
//! | call | refresh tokens | access tokens |
//! | --- | --- | --- |
//! | [`PendingLogin::bind`] | bound | bound: `cnf.jkt`, and `token_type` is `DPoP` |
//! | [`PendingLogin::bind_refresh_token`] | bound | not bound, for a cookie that lives some minutes |
//! | neither | not bound | not bound |
//!
//! - The proof must be made for the login request or the refresh request itself, and has no `ath`.
//!   At login, pass it to [`bind`](PendingLogin::bind) or
//!   [`bind_refresh_token`](PendingLogin::bind_refresh_token). At a refresh, pass it to
//!   [`refresh_with_proof`](Sessions::refresh_with_proof).
//! - After the login, a session never gets, changes or loses a key. Its later tokens are bound as
//!   the first ones were. A proof for a session without a key is refused.
//! - A missing or wrong proof does not use the refresh token or end the session. Even with an old
//!   refresh token, this does not count as reuse. So a thief without the key cannot log the owner
//!   out by a refresh.
//! - [`logout`](Sessions::logout) and [`end_session`](Sessions::end_session) need no proof. A user
//!   who lost the key can still log out, and so can a thief of one of the tokens.
//! - [`elevate`](Sessions::elevate) needs no proof: your route has authenticated the request.
//!   [`impersonate`](Sessions::impersonate) needs the key of the actor.
//! - [Reuse detection](#reuse-detection) still applies to clients that have the key.
//!
//! A bound session does not stop a thief who has a copy of the key, for example from a copied
//! browser profile. It also does not stop a script injected into the page, which can use the key
//! there.
//!
//! # Changed rights, and data of a session
//!
//! The [claims function](Sessions::claims) runs at login, at every refresh and at every
//! [elevation](Sessions::elevate). If you change what it returns, the next access token has the
//! change. To reject the current ones at once, call [`Sessions::invalidate_access_tokens`]: clients
//! refresh, and their sessions continue.
//!
//! A session can have data, such as the chosen organisation or `amr`. Set the data with
//! [`PendingLogin::data`], change them with [`Sessions::update`], and return them as claims.
//!
//! # Stronger or more recent logins
//!
//! Access tokens carry `auth_time`, and `acr` if the session has one. [`Require::acr`] and
//! [`Require::authenticated_within`] check them. [`Sessions::elevate`] sets both after a second
//! factor. The previous refresh token is then rejected even within the grace, so a stolen copy of
//! it gains nothing.
//!
//! [`Require::acr`]: crate::Require::acr
//! [`Require::authenticated_within`]: crate::Require::authenticated_within
//!
//! # Subjects
//!
//! Methods that act on a subject take an [`OwnSubject`]. A token of another issuer cannot name one
//! of your subjects.

mod boxed;
mod creation;
mod data;
mod elevation;
mod error;
mod event;
mod impersonation;
mod issue;
mod key_binding;
mod login;
mod logout;
mod own_subject;
mod pending_login;
mod record;
mod refresh;
mod refresh_token;
mod rotation;
mod session_id;
mod sessions;
mod settings;
mod store;
mod token_pair;
mod update;

pub use boxed::BoxSessionStore;
pub use creation::{CreationOutcome, SessionLimit};
pub use data::UpdateOutcome;
pub use error::{SessionError, SessionErrorKind};
pub use event::{SessionEvent, SessionEventKind};
pub use own_subject::OwnSubject;
pub use pending_login::PendingLogin;
pub use record::{Session, Subject, SubjectState};
pub use refresh_token::RefreshKeys;
pub use rotation::{Rotation, RotationOutcome, RotationRejection};
pub use session_id::SessionId;
pub use sessions::Sessions;
pub use store::{MAX_ACCESS_LIFETIME, MAX_GENERATION, SessionStore};
pub use token_pair::TokenPair;
