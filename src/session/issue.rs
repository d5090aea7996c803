//! Issuing access tokens and token pairs.

use serde_json::{Map, Value, json};

use super::error::{SessionError, SessionErrorKind};
use super::record::Session;
use super::refresh_token::RefreshTokenContents;
use super::sessions::Sessions;
use super::store::SessionStore;
use super::token_pair::TokenPair;
use crate::claims::{NumericDate, RegisteredClaims};
use crate::json::is_shallow;
use crate::keys::{SignError, TokenHeader};

/// Claims that the application must not supply. The session sets most of them. With `events` a
/// verifier rejects the token as a logout token.
const RESERVED_CLAIMS: [&str; 12] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "sid",
    "generation",
    "auth_time",
    "events",
    "cnf",
];

/// How often the claims are computed again if what they depend on has changed meanwhile.
const MAX_RECOMPUTATIONS: usize = 3;

/// The attempts of a login or a refresh: the first one, and those with claims computed again.
pub(super) const ATTEMPTS: std::ops::RangeInclusive<usize> = 0..=MAX_RECOMPUTATIONS;

impl<S: SessionStore> Sessions<S> {
    /// Calls the claims function.
    pub(super) async fn application_claims(
        &self,
        session: &Session,
    ) -> Result<Map<String, Value>, SessionError> {
        let claims = (self.settings.claims)(session.clone()).await;
        match claims.map_err(SessionError::from_boxed)? {
            None => Err(SessionErrorKind::UnknownSubject.into()),
            Some(Value::Object(claims))
                if !RESERVED_CLAIMS
                    .iter()
                    .any(|name| claims.contains_key(*name)) =>
            {
                Ok(claims)
            }
            Some(_) => Err(SessionErrorKind::InvalidClaims.into()),
        }
    }

    pub(super) fn access_token(
        &self,
        session: &Session,
        now: NumericDate,
        mut claims: Map<String, Value>,
    ) -> Result<String, SessionError> {
        match serde_json::to_value(self.registered_claims(session, now)?) {
            Ok(Value::Object(registered)) => claims.extend(registered),
            _ => return Err(SessionErrorKind::InvalidClaims.into()),
        }
        // A session may be older than the setting.
        let client_id = session.client_id.as_deref();
        let client_id = client_id.or(self.settings.client_id.as_deref());
        // Nobody was authenticated when an impersonation began.
        let auth_time = session.authenticated_at.seconds();
        let auth_time = session.actor.is_none().then(|| Value::from(auth_time));
        for (name, value) in [
            ("auth_time", auth_time),
            ("acr", session.acr.as_deref().map(Value::from)),
            ("act", session.actor.as_deref().map(|actor| self.act(actor))),
            ("client_id", client_id.map(Value::from)),
            ("cnf", confirmation(session)),
        ] {
            if let Some(value) = value
                && claims.insert(name.to_owned(), value).is_some()
            {
                return Err(SessionErrorKind::InvalidClaims.into());
            }
        }
        if !is_readable(&claims) {
            return Err(SessionErrorKind::InvalidClaims.into());
        }
        let header = TokenHeader::new().typ("at+jwt");
        let signing_key = self.settings.signing_keys.signing_key();
        let token = signing_key.sign_with(&header, &claims);
        let token = token.map_err(|error| match error {
            SignError::Backend => SessionErrorKind::Backend,
            _ => SessionErrorKind::InvalidClaims,
        })?;
        if token.len() > self.settings.max_token_length {
            return Err(SessionErrorKind::TokenTooLong.into());
        }
        Ok(token)
    }

    /// The claim `act` (RFC 8693 §4.1).
    fn act(&self, actor: &str) -> Value {
        match self.issuer_name() {
            Some(issuer) => json!({ "sub": actor, "iss": issuer }),
            None => json!({ "sub": actor }),
        }
    }

    fn registered_claims(
        &self,
        session: &Session,
        now: NumericDate,
    ) -> Result<RegisteredClaims, SessionError> {
        let mut registered = RegisteredClaims::default()
            .subject(&*session.subject)
            .session_id(session.sid.to_string())
            .generation(session.access_epoch)
            .random_token_id()
            .map_err(|_| SessionErrorKind::Backend)?;
        registered.issuer = session.issuer.clone();
        registered.issued_at = Some(now.whole_seconds());
        registered.expires_at = Some(self.access_expiry(session, now));
        if !self.settings.audience.is_empty() {
            registered = registered.audience(self.settings.audience.clone());
        }
        Ok(registered)
    }

    /// `exp` of an access token issued at `now`, in whole seconds. Never after the maximum lifetime
    /// of the session.
    pub(super) fn access_expiry(&self, session: &Session, now: NumericDate) -> NumericDate {
        let settings = &self.settings;
        let lifetime = settings.access_lifetime.min(settings.idle_lifetime);
        now.later_by(lifetime)
            .min(session.expires_at)
            .whole_seconds()
    }

    pub(super) fn token_pair(
        &self,
        session: &Session,
        access_token: String,
        now: NumericDate,
    ) -> Result<TokenPair, SessionError> {
        let contents = RefreshTokenContents {
            sid: session.sid,
            counter: session.counter,
        };
        let refresh_token = self.settings.refresh_keys.encode(contents);
        let until = |date: NumericDate| {
            date.since_epoch()
                .saturating_sub(now.whole_seconds().since_epoch())
        };
        Ok(TokenPair {
            access_token,
            refresh_token: refresh_token.ok_or(SessionErrorKind::Backend)?,
            access_lifetime: until(self.access_expiry(session, now)),
            refresh_lifetime: until(session.idle_expires_at),
            sid: session.sid,
            persistent: session.persistent,
            access_is_bound: confirmation(session).is_some(),
            dpop_nonce: None,
        })
    }
}

/// The claim `cnf` of a bound access token (RFC 9449 §6.1).
fn confirmation(session: &Session) -> Option<Value> {
    let key = session.key_thumbprint.as_deref();
    let key = key.filter(|_| session.access_is_bound)?;
    Some(json!({ "jkt": key }))
}

/// Whether a verifier can read the claims. JSON that nests too deeply can be written, but not read.
fn is_readable(claims: &Map<String, Value>) -> bool {
    serde_json::to_vec(claims).is_ok_and(|json| is_shallow(&json))
}
