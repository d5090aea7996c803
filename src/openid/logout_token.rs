//! Logout tokens (OpenID Connect Back-Channel Logout 1.0 §2.4).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::{OpenIdError, OpenIdErrorKind};
use crate::claims::NumericDate;
use crate::clock::Clock;
use crate::revocation::Revocation;
use crate::verify::{Trust, VerifiedToken, Verifier};

/// Verifies the logout tokens of one provider for one client, by OpenID Connect Back-Channel Logout 1.0 §2.6.
///
/// Beyond what is [checked of every token](crate::verify): `aud` is the client; `iat` is there, and not long ago; `jti` is there; `sub`,
/// `sid` or both are there; `events` tells of a logout; there is no `nonce`; and `typ` is absent, `JWT` or `logout+jwt`.
///
/// That a token was seen before is for the receiver to notice: `routes::BackChannelLogout` does.
///
/// ```
/// use tower_jwt_auth::TrustedIssuer;
/// use tower_jwt_auth::openid::LogoutTokenVerifier;
/// # use tower_jwt_auth::clock::ManualClock;
/// # use tower_jwt_auth::keys::{Algorithm, SigningKey, TokenHeader};
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// # let key = SigningKey::generate(Algorithm::ES256).unwrap();
/// # let keys = key.verifying_key();
///
/// // With feature `jwks`: RemoteKeys::discover("https://id.example.com").build()?
/// let provider = TrustedIssuer::new("https://id.example.com", keys);
/// let verifier = LogoutTokenVerifier::new(provider, "our-client-id");
/// # let verifier = verifier.clock(ManualClock::at(1_700_000_000));
/// # let logout_token = key.sign_with(&TokenHeader::new().typ("logout+jwt"), &serde_json::json!({
/// #     "iss": "https://id.example.com", "aud": "our-client-id", "sub": "248289761001", "sid": "08a5019c",
/// #     "iat": 1_700_000_000, "exp": 1_700_000_120, "jti": "bWJq",
/// #     "events": { "http://schemas.openid.net/event/backchannel-logout": {} }
/// # })).unwrap();
///
/// let logout = verifier.verify(&logout_token).await.unwrap();
/// assert_eq!(logout.session_id(), Some("08a5019c"));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct LogoutTokenVerifier {
    verifier: Verifier,
    max_age: Duration,
}

/// What is looked at beyond the registered claims.
#[derive(Deserialize)]
struct Members {
    #[serde(default)]
    events: Events,
    #[serde(default, deserialize_with = "is_there")]
    nonce: bool,
}

/// Whether the one event is there that makes a logout token, with a JSON object (§2.4).
#[derive(Default)]
struct Events {
    logout: bool,
}

fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

impl<'de> Deserialize<'de> for Events {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Events;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("events")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Events, A::Error> {
                // A struct would be read from an array too.
                type Event = BTreeMap<String, IgnoredAny>;

                let mut events = Events::default();
                while let Some(name) = map.next_key::<Cow<'_, str>>()? {
                    if name != LogoutTokenVerifier::EVENT {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    map.next_value::<Event>()?;
                    if events.logout {
                        return Err(A::Error::duplicate_field(LogoutTokenVerifier::EVENT));
                    }
                    events.logout = true;
                }
                Ok(events)
            }
        }

        deserializer.deserialize_map(Members)
    }
}

impl LogoutTokenVerifier {
    /// The member of `events` that makes a logout token.
    const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

    /// 5 minutes: a provider sends a logout token at once, and may try again for a while. For so long a receiver has to remember `jti`.
    pub const DEFAULT_MAX_AGE: Duration = Duration::from_secs(300);

    /// Verifies tokens that the issuer `trust` made for the client `client_id`.
    ///
    /// `trust` is a [`TrustedIssuer`](crate::TrustedIssuer), or remote keys that were found by the issuer's name.
    ///
    /// # Panics
    ///
    /// If it is not one issuer by name, or one with audiences of its own, or if `client_id` is empty.
    #[must_use]
    #[track_caller]
    pub fn new(trust: impl Into<Trust>, client_id: impl Into<String>) -> Self {
        Self {
            verifier: super::verifier_for(trust.into(), client_id.into()).for_logout_tokens(),
            max_age: Self::DEFAULT_MAX_AGE,
        }
    }

    /// Requires `typ: logout+jwt`. Not every provider writes it (§2.4 recommends it).
    #[must_use]
    pub fn require_typ(mut self) -> Self {
        self.verifier = self.verifier.typ("logout+jwt");
        self
    }

    /// How long ago a token may have been issued. 5 minutes by default.
    ///
    /// # Panics
    ///
    /// If it is more than an hour.
    #[must_use]
    #[track_caller]
    pub fn max_age(mut self, max_age: Duration) -> Self {
        assert!(
            max_age <= Duration::from_secs(60 * 60),
            "logout tokens of more than an hour ago"
        );
        self.max_age = max_age;
        self
    }

    /// How far the provider's clock may be off: 30 seconds by default.
    ///
    /// # Panics
    ///
    /// If it is more than [`Verifier::MAX_LEEWAY`].
    #[must_use]
    #[track_caller]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.verifier = self.verifier.leeway(leeway);
        self
    }

    /// Where the time comes from. The system's clock by default.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.verifier = self.verifier.clock(clock);
        self
    }

    #[cfg(feature = "axum")]
    pub(crate) fn current_clock(&self) -> crate::clock::ClockSource {
        self.verifier.current_clock()
    }

    /// Verifies a logout token. It waits only where the provider's keys have to be fetched first.
    ///
    /// # Errors
    ///
    /// [`OpenIdError`] for everything that is no logout token of this provider for this client.
    pub async fn verify(&self, token: impl AsRef<[u8]>) -> Result<LogoutToken, OpenIdError> {
        let token = super::verified(&self.verifier, token.as_ref()).await?;
        let members: Members = super::members(&token)?;
        if !members.events.logout {
            return Err(OpenIdErrorKind::MissingLogoutEvent.into());
        }
        if members.nonce {
            return Err(OpenIdErrorKind::NonceInLogoutToken.into());
        }
        if token.token_id().is_none_or(str::is_empty) {
            return Err(OpenIdErrorKind::MissingTokenId.into());
        }
        let is_empty = |name: Option<&str>| name.is_some_and(str::is_empty);
        let names_nobody = token.session_id().is_none() && token.subject().is_none();
        if names_nobody || is_empty(token.session_id()) || is_empty(token.subject()) {
            return Err(OpenIdErrorKind::MissingSubjectAndSession.into());
        }
        let issued_at = token.issued_at();
        let issued_at = issued_at.ok_or(OpenIdErrorKind::MissingIssuedAt)?;
        let (leeway, now) = self.verifier.tolerance();
        let remember_until = issued_at.later_by(self.max_age).later_by(leeway);
        if now >= remember_until.since_epoch() {
            return Err(OpenIdErrorKind::IssuedTooLongAgo.into());
        }
        Ok(LogoutToken {
            received_at: NumericDate::from_since_epoch(now).unwrap_or(NumericDate::MAX),
            issued_at,
            remember_until,
            token,
        })
    }
}

/// A logout token that was verified: a person has logged out at the provider. Cheap to clone.
#[derive(Clone)]
pub struct LogoutToken {
    token: VerifiedToken,
    issued_at: NumericDate,
    received_at: NumericDate,
    remember_until: NumericDate,
}

impl LogoutToken {
    /// `iss`: the provider.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.token.issuer().unwrap_or_default()
    }

    /// `sub`: who has logged out.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.token.subject()
    }

    /// `sid`: the session at the provider that has ended. Without it, all sessions of the subject have.
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.token.session_id()
    }

    /// `jti`: the token's own id.
    #[must_use]
    pub fn token_id(&self) -> &str {
        self.token.token_id().unwrap_or_default()
    }

    /// `iat`: when it was issued.
    #[must_use]
    pub fn issued_at(&self) -> NumericDate {
        self.issued_at
    }

    /// From when on it is refused for its age: for so long it has to be remembered that it was seen.
    #[must_use]
    pub fn remember_until(&self) -> NumericDate {
        self.remember_until
    }

    /// What a store of revocations is to be told, if access tokens of the provider itself are what a service accepts: the end of the
    /// session if the token names one, otherwise [`LogoutToken::of_subject`].
    ///
    /// `access_lifetime`: the longest life of the provider's access tokens. They must carry the same `sid`; not every provider
    /// writes it into them.
    #[must_use]
    pub fn revocation(&self, access_lifetime: Duration) -> Revocation<'_> {
        match (self.session_id(), self.of_subject(access_lifetime)) {
            (None, Some(all)) => all,
            (sid, _) => Revocation::Session {
                issuer: self.token.issuer(),
                sid: sid.unwrap_or_default(),
                until: self.received_at.later_by(access_lifetime),
            },
        }
    }

    /// The same for all access tokens of the subject that were issued until this one was; `None` if it names no subject.
    #[must_use]
    pub fn of_subject(&self, access_lifetime: Duration) -> Option<Revocation<'_>> {
        Some(Revocation::Cutoff {
            issuer: self.token.issuer(),
            subject: self.subject()?,
            issued_at: self.issued_at,
            until: self.received_at.later_by(access_lifetime),
        })
    }
}

/// Shows the algorithm, and no claim.
impl fmt::Debug for LogoutToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogoutToken")
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}
