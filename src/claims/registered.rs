//! The registered claims as a value.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::de::Deserializer;
use serde::{Deserialize, Serialize};

use super::audience::Audience;
use super::members;
use super::numeric_date::NumericDate;

/// The registered claims. Sign a token with them, or extract them with `Claims<RegisteredClaims>`.
///
/// To sign more claims, flatten it into your struct:
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use serde::Serialize;
/// use tower_jwt_auth::claims::RegisteredClaims;
///
/// #[derive(Serialize)]
/// struct Access {
///     name: String,
///     #[serde(flatten)]
///     registered: RegisteredClaims,
/// }
///
/// let registered = RegisteredClaims::valid_for(Duration::from_secs(300), SystemTime::now())
///     .subject("248289761001")
///     .audience("api")
///     .random_token_id()?;
/// # let _ = Access { name: "Jane".into(), registered };
/// # Ok::<_, tower_jwt_auth::claims::NoRandomness>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RegisteredClaims {
    /// `iss`: who issued the token (§4.1.1).
    #[serde(rename = "iss", default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// `sub`: the subject (§4.1.2).
    #[serde(rename = "sub", default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// `aud`: whom the token is for (§4.1.3).
    #[serde(rename = "aud", default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<Audience>,
    /// `exp`: when the token expires (§4.1.4).
    #[serde(rename = "exp", default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<NumericDate>,
    /// `nbf`: when the token becomes valid (§4.1.5).
    #[serde(rename = "nbf", default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<NumericDate>,
    /// `iat`: when the token was issued (§4.1.6).
    #[serde(rename = "iat", default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<NumericDate>,
    /// `jti`: the token's ID (§4.1.7).
    #[serde(rename = "jti", default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    /// `sid`: the session that the token belongs to.
    #[serde(rename = "sid", default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// `generation`: the [access epoch](crate::session::SubjectState::access_epoch) of the subject
    /// when the token was issued. It is not registered: it belongs to this crate.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number_or_none"
    )]
    pub generation: Option<u64>,
}

fn number_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    members::Generation::deserialize(deserializer).map(|generation| generation.0)
}

impl RegisteredClaims {
    /// Claims issued at `now`, in whole seconds, that expire `lifetime` later.
    #[must_use]
    pub fn valid_for(lifetime: Duration, now: SystemTime) -> Self {
        let issued_at = NumericDate::from(now);
        let expires_at = issued_at.later_by(lifetime).whole_seconds();
        Self {
            issued_at: Some(issued_at),
            expires_at: Some(expires_at),
            ..Self::default()
        }
    }

    /// Sets `iss`.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Sets `sub`.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Sets `aud`: one name or several.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<Audience>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Sets `jti`.
    #[must_use]
    pub fn token_id(mut self, token_id: impl Into<String>) -> Self {
        self.token_id = Some(token_id.into());
        self
    }

    /// Sets `jti` to 128 random bits, as 32 hexadecimal digits: unique, and impossible to guess.
    ///
    /// # Errors
    ///
    /// If the system has no randomness.
    pub fn random_token_id(self) -> Result<Self, NoRandomness> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|_| NoRandomness)?;
        Ok(self.token_id(format!("{:032x}", u128::from_be_bytes(id))))
    }

    /// Sets `sid`.
    #[must_use]
    pub fn session_id(mut self, session_id: impl Into<String>) -> Self {
        self.session_id = Some(session_id.into());
        self
    }

    /// Sets `generation`.
    #[must_use]
    pub fn generation(mut self, generation: u64) -> Self {
        self.generation = Some(generation);
        self
    }
}

/// The system has no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoRandomness;

impl fmt::Display for NoRandomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the system has no randomness")
    }
}

impl std::error::Error for NoRandomness {}

/// Shows no values.
impl fmt::Debug for RegisteredClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegisteredClaims").finish_non_exhaustive()
    }
}
