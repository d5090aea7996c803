//! Token pairs.

use std::fmt;
use std::time::Duration;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::session_id::SessionId;

/// An access token and the refresh token that renews it.
///
/// Serializes to the JSON of RFC 6749 §5.1: `access_token`, `token_type`, `expires_in` in seconds,
/// and `refresh_token`.
#[derive(Clone)]
#[non_exhaustive]
pub struct TokenPair {
    /// The access token: a JWT with `typ: at+jwt` (RFC 9068).
    pub access_token: String,
    /// The refresh token: 76 characters, opaque to clients.
    pub refresh_token: String,
    /// How long the access token is valid, in whole seconds.
    pub access_lifetime: Duration,
    /// How long the refresh token is valid, unless it is used before.
    pub refresh_lifetime: Duration,
    /// The ID of the session.
    pub sid: SessionId,
    /// Whether cookies with these tokens outlive the browser: see
    /// [`PendingLogin::without_max_age`](super::PendingLogin::without_max_age).
    pub persistent: bool,
    /// Whether the access token is bound to the client's key (RFC 9449 §6): then its `token_type`
    /// is `DPoP`, and each use of it needs a proof.
    pub access_is_bound: bool,
    /// The nonce of the client's next DPoP proof, if the nonce has changed: the header `DPoP-Nonce`
    /// (RFC 9449 §8.2). It is not secret.
    pub dpop_nonce: Option<String>,
}

impl TokenPair {
    /// `token_type` (RFC 6749 §5.1, RFC 9449 §5).
    #[must_use]
    pub fn token_type(&self) -> &'static str {
        if self.access_is_bound {
            "DPoP"
        } else {
            "Bearer"
        }
    }

    /// What a page's script may see of this pair, if the rest is in cookies: `expires_in` in
    /// seconds. If the access token is bound, also `access_token` and `token_type`.
    ///
    /// Return it as JSON from your login, beside the cookies. The refresh route does the same.
    pub fn for_script(&self) -> impl Serialize + use<> {
        ForScript {
            access_token: self.access_is_bound.then(|| self.access_token.clone()),
            token_type: self.access_is_bound.then(|| self.token_type()),
            expires_in: self.access_lifetime.as_secs(),
        }
    }
}

#[derive(Serialize)]
struct ForScript {
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    expires_in: u64,
}

impl Serialize for TokenPair {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_struct("TokenPair", 4)?;
        members.serialize_field("access_token", &self.access_token)?;
        members.serialize_field("token_type", self.token_type())?;
        members.serialize_field("expires_in", &self.access_lifetime.as_secs())?;
        members.serialize_field("refresh_token", &self.refresh_token)?;
        members.end()
    }
}

/// Shows no token.
impl fmt::Debug for TokenPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenPair")
            .field("access_lifetime", &self.access_lifetime)
            .field("refresh_lifetime", &self.refresh_lifetime)
            .finish_non_exhaustive()
    }
}
