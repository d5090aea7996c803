//! ID tokens (OpenID Connect Core 1.0 §2).

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use subtle::ConstantTimeEq;

use super::error::{OpenIdError, OpenIdErrorKind};
use super::provider_token::{other_claims, verifier_for, verify};
use crate::claims::NumericDate;
use crate::clock::Clock;
use crate::verify::{IntoTrust, VerifiedToken, Verifier, VerifyError};

/// Verifies the ID tokens of one provider for one client, by OpenID Connect Core 1.0 §3.1.3.7.
///
/// In addition to the [checks that apply to all tokens](crate::verify):
///
/// | claim | must be |
/// | --- | --- |
/// | `sub`, `iat` | present |
/// | `typ` (header) | absent or `JWT`, so an access token of RFC 9068 is rejected |
/// | `aud` | the client ID, and nothing else but an [`additional_audience`](Self::additional_audience) |
/// | `azp` | the client ID or an [`authorized_party`](Self::authorized_party); may be absent if `aud` has one value |
/// | `nonce` | the one of this login, so a token stolen from another login is rejected |
///
/// `at_hash` is not checked. The authorization code flow does not need it: the access token comes
/// directly from the provider (§3.1.3.8).
///
/// ```
/// use tower_jwt_auth::TrustedIssuer;
/// use tower_jwt_auth::openid::IdTokenVerifier;
/// # use tower_jwt_auth::keys::{Algorithm, SigningKey};
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// # let key = SigningKey::generate(Algorithm::ES256).unwrap();
/// # let keys = key.verifying_key();
///
/// // With feature `jwks`: RemoteKeys::discover("https://id.example.com").build()?
/// let provider = TrustedIssuer::new("https://id.example.com", keys);
/// let verifier = IdTokenVerifier::new(provider, "our-client-id");
/// # let (id_token, nonce) = (key.sign(&serde_json::json!({
/// #     "iss": "https://id.example.com", "aud": "our-client-id", "sub": "248289761001",
/// #     "nonce": "n-0S6_WzA2Mj", "iat": 1_700_000_000, "exp": 4_000_000_000_u64
/// # })).unwrap(), "n-0S6_WzA2Mj");
///
/// // The nonce that was sent at the start of the login, from the browser's session.
/// let id_token = verifier.verify(&id_token, nonce).await.unwrap();
/// assert_eq!(id_token.subject(), "248289761001");
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct IdTokenVerifier {
    verifier: Verifier,
    issuer: Arc<str>,
    client_id: Arc<str>,
    audiences: Vec<Arc<str>>,
    parties: Vec<Arc<str>>,
    max_age: Option<Duration>,
}

/// The claims beyond the registered ones.
#[derive(Deserialize)]
struct OtherClaims<'a> {
    #[serde(borrow, default)]
    nonce: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    azp: Option<Cow<'a, str>>,
    #[serde(default)]
    auth_time: Option<NumericDate>,
}

impl IdTokenVerifier {
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
        let (trust, client_id) = (trust.into_trust(), client_id.into());
        Self {
            issuer: trust.sole_issuer().unwrap_or_default().into(),
            client_id: client_id.as_str().into(),
            verifier: verifier_for(trust, client_id).for_id_tokens(),
            audiences: Vec::new(),
            parties: Vec::new(),
            max_age: None,
        }
    }

    /// Accepts `audience` in `aud`, next to the client ID. May be called more than once.
    #[must_use]
    pub fn additional_audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into().into());
        self
    }

    /// Accepts `party` as `azp`, next to the client ID. May be called more than once.
    ///
    /// You need it if another client of yours, such as an app, gets ID tokens for this client.
    #[must_use]
    pub fn authorized_party(mut self, party: impl Into<String>) -> Self {
        self.parties.push(party.into().into());
        self
    }

    /// Sets the maximum age of the authentication, by `auth_time`. No maximum by default.
    ///
    /// Send the same `max_age` to the provider in the authentication request.
    #[must_use]
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
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

    /// Sets the maximum length of a token, in bytes. 8 KiB by default.
    ///
    /// Raise it for a provider that puts every group of a user into the ID token.
    ///
    /// # Panics
    ///
    /// If it is more than 64 KiB.
    #[must_use]
    #[track_caller]
    pub fn max_token_length(mut self, bytes: usize) -> Self {
        self.verifier = self.verifier.max_token_length(bytes);
        self
    }

    /// Sets the clock. The system's clock by default.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.verifier = self.verifier.clock(clock);
        self
    }

    /// Checks that an authorization response comes from this provider (RFC 9207 §2.4).
    ///
    /// Call it before you redeem the code. A client of several providers must not send the code of
    /// one provider to another.
    ///
    /// - `iss` is the parameter of the response.
    /// - `is_announced`: whether the provider sends `iss` in every response. Its metadata say so in
    ///   `authorization_response_iss_parameter_supported`, `false` by default.
    ///
    /// # Errors
    ///
    /// - [`OpenIdErrorKind::WrongResponseIssuer`] if `iss` is not the provider's name, byte for
    ///   byte.
    /// - [`OpenIdErrorKind::MissingResponseIssuer`] if `iss` is missing although it is announced.
    pub fn check_response_issuer(
        &self,
        iss: Option<&str>,
        is_announced: bool,
    ) -> Result<(), OpenIdError> {
        match iss {
            Some(iss) if *iss == *self.issuer => Ok(()),
            Some(_) => Err(OpenIdErrorKind::WrongResponseIssuer.into()),
            None if is_announced => Err(OpenIdErrorKind::MissingResponseIssuer.into()),
            None => Ok(()),
        }
    }

    /// Verifies the ID token of a login that was begun with `nonce`. Waits only if the provider's
    /// keys must be fetched first.
    ///
    /// A nonce is for one login. Delete it after this call, also after an error.
    ///
    /// # Errors
    ///
    /// [`OpenIdError`] if the token is not a valid ID token of this login.
    pub async fn verify(
        &self,
        token: impl AsRef<[u8]>,
        nonce: impl AsRef<str>,
    ) -> Result<IdToken, OpenIdError> {
        self.verify_login(token.as_ref(), Some(nonce.as_ref()))
            .await
    }

    /// Verifies the ID token of a login without a nonce, or of a refresh (§12.2). Rejects a token
    /// with a `nonce`.
    ///
    /// Without a nonce, a token of another login is also accepted. Use this only with PKCE, or for
    /// the ID token of a refresh.
    ///
    /// # Errors
    ///
    /// As [`IdTokenVerifier::verify`].
    pub async fn verify_without_nonce(
        &self,
        token: impl AsRef<[u8]>,
    ) -> Result<IdToken, OpenIdError> {
        self.verify_login(token.as_ref(), None).await
    }

    async fn verify_login(
        &self,
        token: &[u8],
        nonce: Option<&str>,
    ) -> Result<IdToken, OpenIdError> {
        let token = verify(&self.verifier, token).await?;
        if token.subject().is_none_or(str::is_empty) {
            return Err(OpenIdErrorKind::MissingSubject.into());
        }
        let issued_at = token.issued_at();
        let issued_at = issued_at.ok_or(OpenIdErrorKind::MissingIssuedAt)?;
        let claims: OtherClaims<'_> = other_claims(&token)?;
        match (nonce, &claims.nonce) {
            (None, None) => {}
            (None, Some(_)) => return Err(OpenIdErrorKind::UnexpectedNonce.into()),
            (Some(_), None) => return Err(OpenIdErrorKind::MissingNonce.into()),
            (Some(sent), Some(nonce)) => {
                // An empty nonce is the caller's mistake: it would match in every login.
                let is_same = bool::from(sent.as_bytes().ct_eq(nonce.as_bytes()));
                if sent.is_empty() || !is_same {
                    return Err(OpenIdErrorKind::WrongNonce.into());
                }
            }
        }
        self.check_parties(&token, claims.azp.as_deref())?;
        self.check_age(claims.auth_time)?;
        let authenticated_at = claims.auth_time;
        Ok(IdToken {
            token,
            issued_at,
            authenticated_at,
        })
    }

    fn check_parties(&self, token: &VerifiedToken, azp: Option<&str>) -> Result<(), OpenIdError> {
        let is_known = |name: &str, others: &[Arc<str>]| {
            name == &*self.client_id || others.iter().any(|other| name == &**other)
        };
        if !token.audience().all(|name| is_known(name, &self.audiences)) {
            return Err(OpenIdErrorKind::UntrustedAudience.into());
        }
        match azp {
            Some(azp) if is_known(azp, &self.parties) => Ok(()),
            Some(_) => Err(OpenIdErrorKind::WrongAuthorizedParty.into()),
            None if token.audience().nth(1).is_some() => {
                Err(OpenIdErrorKind::MissingAuthorizedParty.into())
            }
            None => Ok(()),
        }
    }

    fn check_age(&self, authenticated_at: Option<NumericDate>) -> Result<(), OpenIdError> {
        let Some(max_age) = self.max_age else {
            return Ok(());
        };
        let authenticated_at = authenticated_at
            .ok_or(OpenIdErrorKind::MissingAuthenticationTime)?
            .since_epoch();
        let (leeway, now) = self.verifier.leeway_and_now();
        let latest = authenticated_at
            .saturating_add(max_age)
            .saturating_add(leeway);
        if now > latest || authenticated_at > now.saturating_add(leeway) {
            return Err(OpenIdErrorKind::AuthenticationTooOld.into());
        }
        Ok(())
    }
}

/// A verified ID token: the identity of a user at a provider. Cheap to clone.
#[derive(Clone)]
pub struct IdToken {
    token: VerifiedToken,
    issued_at: NumericDate,
    authenticated_at: Option<NumericDate>,
}

impl IdToken {
    /// `iss`: the provider.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.token.issuer().unwrap_or_default()
    }

    /// `sub`: the user, unique at this provider only.
    ///
    /// Use issuer and subject together as the key of an account. Do not use the e-mail address,
    /// which may be reassigned to another person (OpenID Connect Core 1.0 §5.7).
    #[must_use]
    pub fn subject(&self) -> &str {
        self.token.subject().unwrap_or_default()
    }

    /// `sid`: the session at the provider. Its logout tokens have the same `sid`.
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.token.session_id()
    }

    /// `iat`: when the token was issued.
    #[must_use]
    pub fn issued_at(&self) -> NumericDate {
        self.issued_at
    }

    /// `auth_time`: when the user authenticated.
    #[must_use]
    pub fn authenticated_at(&self) -> Option<NumericDate> {
        self.authenticated_at
    }

    /// The claims as a type of your own, for example with `email` and `name`.
    ///
    /// # Errors
    ///
    /// [`VerifyErrorKind::ClaimsMismatch`](crate::VerifyErrorKind::ClaimsMismatch) if the claims do
    /// not deserialize to `T`.
    pub fn claims<T>(&self) -> Result<Arc<T>, VerifyError>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        self.token.claims()
    }

    /// The token, with all registered claims.
    #[must_use]
    pub fn token(&self) -> &VerifiedToken {
        &self.token
    }
}

/// Shows the algorithm, but no claim.
impl fmt::Debug for IdToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdToken")
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}
