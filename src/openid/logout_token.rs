//! Logout tokens (OpenID Connect Back-Channel Logout 1.0 §2.4).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::error::{OpenIdError, OpenIdErrorKind};
use super::provider_token::{other_claims, verifier_for, verify};
use crate::claims::NumericDate;
use crate::clock::Clock;
use crate::revocation::Revocation;
use crate::verify::{IntoTrust, VerifiedToken, Verifier};

/// Verifies the logout tokens of one provider for one client, by OpenID Connect Back-Channel Logout
/// 1.0 §2.6.
///
/// In addition to the [checks that apply to all tokens](crate::verify):
///
/// | claim | must be |
/// | --- | --- |
/// | `aud` | the client ID; other values may stand beside it |
/// | `iat` | present, and within [`max_age`](Self::max_age) |
/// | `jti` | present |
/// | `sub`, `sid` | one of them, or both |
/// | `events` | an object with the logout event |
/// | `nonce` | absent |
/// | `typ` (header) | absent, `JWT` or `logout+jwt` |
///
/// It does not detect replays. `routes::BackChannelLogout` does.
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
/// #     "iss": "https://id.example.com", "aud": "our-client-id", "sub": "248289761001",
/// #     "sid": "08a5019c", "iat": 1_700_000_000, "exp": 1_700_000_120, "jti": "bWJq",
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

/// The claims beyond the registered ones.
#[derive(Deserialize)]
struct OtherClaims {
    #[serde(default)]
    events: Events,
    #[serde(default, deserialize_with = "is_present")]
    nonce: bool,
}

/// Whether `events` has the logout event with a JSON object as its value (§2.4).
#[derive(Default)]
struct Events {
    logout: bool,
}

fn is_present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

impl<'de> Deserialize<'de> for Events {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EventsVisitor;

        impl<'de> Visitor<'de> for EventsVisitor {
            type Value = Events;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of events")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Events, A::Error> {
                // A map, since serde also reads a struct from an array.
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

        deserializer.deserialize_map(EventsVisitor)
    }
}

impl LogoutTokenVerifier {
    /// The name of the logout event.
    const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

    /// 5 minutes: a provider sends a logout token at once and may retry for a while. A receiver
    /// must remember `jti` until [`remember_until`](LogoutToken::remember_until), to detect
    /// replays.
    pub const DEFAULT_MAX_AGE: Duration = Duration::from_secs(300);

    /// Verifies the tokens that one provider makes for the client `client_id`.
    ///
    /// `trust` is a [`TrustedIssuer`](crate::TrustedIssuer), or keys from `RemoteKeys::discover`.
    ///
    /// # Panics
    ///
    /// - If `trust` is not exactly one named issuer, or if that issuer has audiences of its own.
    /// - If `client_id` is empty.
    #[must_use]
    #[track_caller]
    pub fn new(trust: impl IntoTrust, client_id: impl Into<String>) -> Self {
        Self {
            verifier: verifier_for(trust.into_trust(), client_id.into()).for_logout_tokens(),
            max_age: Self::DEFAULT_MAX_AGE,
        }
    }

    /// Requires `typ: logout+jwt`. Not every provider writes it (§2.4 recommends it).
    #[must_use]
    pub fn require_typ(mut self) -> Self {
        self.verifier = self.verifier.requiring_logout_type();
        self
    }

    /// Sets the maximum age of a token, by `iat`. [5 minutes](Self::DEFAULT_MAX_AGE) by default.
    ///
    /// # Panics
    ///
    /// If it is more than an hour.
    #[must_use]
    #[track_caller]
    pub fn max_age(mut self, max_age: Duration) -> Self {
        assert!(
            max_age <= Duration::from_secs(60 * 60),
            "the maximum age of logout tokens is more than an hour"
        );
        self.max_age = max_age;
        self
    }

    /// Sets how far the provider's clock may be off. 30 seconds by default.
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

    /// Sets the clock. The system's clock by default.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.verifier = self.verifier.clock(clock);
        self
    }

    #[cfg(feature = "axum")]
    pub(crate) fn current_clock(&self) -> crate::clock::ClockSource {
        self.verifier.current_clock()
    }

    /// Verifies a logout token. Waits only if the provider's keys must be fetched first.
    ///
    /// # Errors
    ///
    /// [`OpenIdError`] if it is not a valid logout token of this provider for this client.
    pub async fn verify(&self, token: impl AsRef<[u8]>) -> Result<LogoutToken, OpenIdError> {
        let token = verify(&self.verifier, token.as_ref()).await?;
        let claims: OtherClaims = other_claims(&token)?;
        if !claims.events.logout {
            return Err(OpenIdErrorKind::MissingLogoutEvent.into());
        }
        if claims.nonce {
            return Err(OpenIdErrorKind::NonceInLogoutToken.into());
        }
        if token.token_id().is_none_or(str::is_empty) {
            return Err(OpenIdErrorKind::MissingTokenId.into());
        }
        let is_empty = |name: Option<&str>| name.is_some_and(str::is_empty);
        let names_nothing = token.session_id().is_none() && token.subject().is_none();
        if names_nothing || is_empty(token.session_id()) || is_empty(token.subject()) {
            return Err(OpenIdErrorKind::MissingSubjectAndSession.into());
        }
        let issued_at = token.issued_at();
        let issued_at = issued_at.ok_or(OpenIdErrorKind::MissingIssuedAt)?;
        let (leeway, now) = self.verifier.leeway_and_now();
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

/// A verified logout token: a user has logged out at the provider. Cheap to clone.
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

    /// `sub`: the user who has logged out.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.token.subject()
    }

    /// `sid`: the session that has ended at the provider. Without it, all sessions of the subject
    /// have ended.
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.token.session_id()
    }

    /// `jti`: the ID of the token.
    #[must_use]
    pub fn token_id(&self) -> &str {
        self.token.token_id().unwrap_or_default()
    }

    /// `iat`: when the token was issued.
    #[must_use]
    pub fn issued_at(&self) -> NumericDate {
        self.issued_at
    }

    /// When this logout token becomes too old. Remember its `jti` until then, to detect replays.
    #[must_use]
    pub fn remember_until(&self) -> NumericDate {
        self.remember_until
    }

    /// The revocation of the provider's own access tokens, for a service that accepts them.
    ///
    /// It revokes the session that the token names. If the token names none, this is
    /// [`subject_revocation`](LogoutToken::subject_revocation).
    ///
    /// `access_lifetime` is the longest lifetime of the provider's access tokens. They must have
    /// the same `sid`, which not every provider writes into them.
    #[must_use]
    pub fn revocation(&self, access_lifetime: Duration) -> Revocation<'_> {
        match (self.session_id(), self.subject_revocation(access_lifetime)) {
            (None, Some(revocation)) => revocation,
            (sid, _) => Revocation::Session {
                issuer: self.token.issuer(),
                sid: sid.unwrap_or_default(),
                until: self.received_at.later_by(access_lifetime),
            },
        }
    }

    /// The revocation of all access tokens of the subject issued up to this logout token. `None` if
    /// the token has no `sub`.
    #[must_use]
    pub fn subject_revocation(&self, access_lifetime: Duration) -> Option<Revocation<'_>> {
        Some(Revocation::Cutoff {
            issuer: self.token.issuer(),
            subject: self.subject()?,
            issued_at: self.issued_at,
            until: self.received_at.later_by(access_lifetime),
        })
    }
}

/// Shows the algorithm, but no claim.
impl fmt::Debug for LogoutToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogoutToken")
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}
