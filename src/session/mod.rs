//! Login, renewal and logout: short access tokens, and refresh tokens that notice their theft.
//!
//! An access token is a JWT that lives minutes. A refresh token renews it without a password, and is renewed itself each
//! time (RFC 9700 §4.14.2): the one before counts for a few seconds more, and whoever presents an older one has it from
//! somewhere else. Then the session ends, for the thief and the victim both, with all its access tokens.
//!
//! | the refresh token is | answer |
//! | --- | --- |
//! | the current one | a new pair |
//! | the one before, within the [grace](Sessions::grace) | the current one again, with a new access token |
//! | older, or the one before after the grace | [`Stolen`](SessionErrorKind::Stolen): the session has ended |
//! | ahead of the store, and authentic | a new pair; the store has lost writes, which is an [event](SessionEventKind::Recovered) |
//! | forged, or anything else | [`InvalidToken`](SessionErrorKind::InvalidToken), and nothing has changed |
//!
//! After an [outage](SessionErrorKind::Unavailable) the client does not know whether its token was
//! used. It should retry with the same token within the grace, 10 seconds by default. After that,
//! the retry counts as reuse, and the user must log in again.
//!
//! The next refresh token is a function of the session and its counter, so whoever asks twice gets the same one. The
//! [store](SessionStore) holds no secret, only the counter.
//!
//! Methods that name a subject take an [`OwnSubject`], so a token of another issuer cannot name one
//! of yours.

mod error;
mod event;
mod own_subject;
mod refresh_token;
mod sessions;
mod store;
mod token_pair;

pub use error::{SessionError, SessionErrorKind};
pub use event::{SessionEvent, SessionEventKind};
pub use own_subject::OwnSubject;
pub use refresh_token::{RefreshKeys, SessionId};
pub use sessions::{PendingLogin, Sessions};
pub use store::{
    Created, Refusal, Rotated, Rotation, Session, SessionStore, Subject, SubjectState,
};
pub use token_pair::TokenPair;

/// The longest life of an access token that [`Sessions`] allow: a day. A store may rely on it.
pub const LONGEST_ACCESS_LIFETIME: std::time::Duration =
    std::time::Duration::from_secs(24 * 60 * 60);
