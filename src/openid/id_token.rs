//! ID tokens (OpenID Connect Core 1.0 §2).

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use subtle::ConstantTimeEq;

use super::{OpenIdError, OpenIdErrorKind};
use crate::claims::NumericDate;
use crate::clock::Clock;
use crate::verify::{Trust, VerifiedToken, Verifier, VerifyError};

/// Verifies the ID tokens of one provider for one client, by OpenID Connect Core 1.0 §3.1.3.7.
///
/// Beyond what is [checked of every token](crate::verify): `sub` and `iat` are there; `typ` is absent or `JWT`, so an access token
/// is no ID token; `aud` is the client and nobody else; `azp`, if it is there, is the client; and `nonce` is the one that was
/// sent with this login, so a token that was stolen from another login is of no use.
///
/// `at_hash` is not checked: with the authorization code flow the access token comes in the same response, from the provider itself (§3.1.3.8).
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
/// #     "iss": "https://id.example.com", "aud": "our-client-id", "sub": "248289761001", "nonce": "n-0S6_WzA2Mj",
/// #     "iat": 1_700_000_000, "exp": 4_000_000_000_u64
/// # })).unwrap(), "n-0S6_WzA2Mj");
///
/// // The nonce that was sent with the login, kept in the browser's session.
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

/// What is looked at beyond the registered claims.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow, default)]
    nonce: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    azp: Option<Cow<'a, str>>,
    #[serde(default)]
    auth_time: Option<NumericDate>,
}

impl IdTokenVerifier {
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
        let (trust, client_id) = (trust.into(), client_id.into());
        Self {
            issuer: trust.sole_issuer().unwrap_or_default().into(),
            client_id: client_id.as_str().into(),
            verifier: super::verifier_for(trust, client_id).for_id_tokens(),
            audiences: Vec::new(),
            parties: Vec::new(),
            max_age: None,
        }
    }

    /// Accepts `aud` that name `audience` besides the client.
    #[must_use]
    pub fn additional_audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into().into());
        self
    }

    /// Accepts `azp: party` besides the client itself: an app of the same maker that has a client id of its own, and gets
    /// tokens for this one.
    #[must_use]
    pub fn authorized_party(mut self, party: impl Into<String>) -> Self {
        self.parties.push(party.into().into());
        self
    }

    /// Requires that the person authenticated no longer than this ago, by `auth_time`. To be sent to the provider as `max_age` too.
    #[must_use]
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
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

    /// The longest token that is looked at, in bytes: 8 KiB by default. Some providers put every group of a person into it.
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

    /// Where the time comes from. The system's clock by default.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.verifier = self.verifier.clock(clock);
        self
    }

    /// Checks that an authorization response is from this provider (RFC 9207 §2.4). Call it before
    /// the code is sent anywhere: a client of several providers must not hand one the code of
    /// another.
    ///
    /// `iss` is the parameter of the response. `is_announced` says whether the provider sends it in
    /// every response: the member `authorization_response_iss_parameter_supported` of its metadata,
    /// `false` by default.
    ///
    /// # Errors
    ///
    /// [`OpenIdErrorKind::WrongResponseIssuer`] if `iss` is not the provider's name, byte for byte;
    /// [`OpenIdErrorKind::MissingResponseIssuer`] if it is missing although it was announced.
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

    /// Verifies an ID token whose login was begun with `nonce`. It waits only where the provider's keys have to be fetched first.
    ///
    /// A nonce serves one login: forget it, whatever comes of this.
    ///
    /// # Errors
    ///
    /// [`OpenIdError`] for everything that does not end that login.
    pub async fn verify(
        &self,
        token: impl AsRef<[u8]>,
        nonce: impl AsRef<str>,
    ) -> Result<IdToken, OpenIdError> {
        self.verify_for(token.as_ref(), Some(nonce.as_ref())).await
    }

    /// Verifies an ID token of a login without a nonce, or of a renewal (§12.2). One that has a `nonce` is refused.
    ///
    /// Nothing then tells the token from one of another login: only with PKCE, or where the token comes straight from the provider.
    ///
    /// # Errors
    ///
    /// As [`IdTokenVerifier::verify`].
    pub async fn verify_without_nonce(
        &self,
        token: impl AsRef<[u8]>,
    ) -> Result<IdToken, OpenIdError> {
        self.verify_for(token.as_ref(), None).await
    }

    async fn verify_for(&self, token: &[u8], nonce: Option<&str>) -> Result<IdToken, OpenIdError> {
        let token = super::verified(&self.verifier, token).await?;
        if token.subject().is_none_or(str::is_empty) {
            return Err(OpenIdErrorKind::MissingSubject.into());
        }
        let issued_at = token.issued_at();
        let issued_at = issued_at.ok_or(OpenIdErrorKind::MissingIssuedAt)?;
        let members: Members<'_> = super::members(&token)?;
        match (nonce, &members.nonce) {
            (None, None) => {}
            (None, Some(_)) => return Err(OpenIdErrorKind::UnexpectedNonce.into()),
            (Some(_), None) => return Err(OpenIdErrorKind::MissingNonce.into()),
            (Some(sent), Some(nonce)) => {
                // A nonce that was left empty by mistake would be equal to that of everybody else.
                let is_same = bool::from(sent.as_bytes().ct_eq(nonce.as_bytes()));
                if sent.is_empty() || !is_same {
                    return Err(OpenIdErrorKind::WrongNonce.into());
                }
            }
        }
        self.check_parties(&token, members.azp.as_deref())?;
        self.check_age(members.auth_time)?;
        let authenticated_at = members.auth_time;
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
        let (leeway, now) = self.verifier.tolerance();
        let latest = authenticated_at
            .saturating_add(max_age)
            .saturating_add(leeway);
        if now > latest || authenticated_at > now.saturating_add(leeway) {
            return Err(OpenIdErrorKind::AuthenticationTooOld.into());
        }
        Ok(())
    }
}

/// An ID token that was verified: who a person is, by the word of a provider. Cheap to clone.
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

    /// `sub`: the person, by a name that means something at this provider alone. Together with the issuer it is the key of an account;
    /// an e-mail address is none, since it can pass to another person (OpenID Connect Core 1.0 §5.7).
    #[must_use]
    pub fn subject(&self) -> &str {
        self.token.subject().unwrap_or_default()
    }

    /// `sid`: the session at the provider, which its logout tokens name.
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.token.session_id()
    }

    /// `iat`: when it was issued.
    #[must_use]
    pub fn issued_at(&self) -> NumericDate {
        self.issued_at
    }

    /// `auth_time`: when the person authenticated.
    #[must_use]
    pub fn authenticated_at(&self) -> Option<NumericDate> {
        self.authenticated_at
    }

    /// The claims as a type of one's own: `email`, `name`, and what else the provider says.
    ///
    /// # Errors
    ///
    /// [`VerifyErrorKind::ClaimsMismatch`](crate::VerifyErrorKind::ClaimsMismatch) if the payload is no `T`.
    pub fn claims<T>(&self) -> Result<Arc<T>, VerifyError>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        self.token.claims()
    }

    /// The token with all its registered claims.
    #[must_use]
    pub fn token(&self) -> &VerifiedToken {
        &self.token
    }
}

/// Shows the algorithm, and no claim.
impl fmt::Debug for IdToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdToken")
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}
