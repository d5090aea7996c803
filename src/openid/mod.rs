//! What an OpenID provider says besides access tokens: who a person is, and that a person has logged out.
//!
//! Neither is an access token. A layer refuses a logout token in any case, and an ID token for its audience, which is the client:
//! where an API has the client's id for an audience too, it must require [`typ("at+jwt")`](crate::JwtAuthLayer::typ).
//!
//! - An ID token ends the login at a provider (OpenID Connect Core 1.0 §2). [`IdTokenVerifier`] verifies it, so that a session of
//!   one's own can begin.
//! - A logout token tells of a logout elsewhere (OpenID Connect Back-Channel Logout 1.0 §2.4). [`LogoutTokenVerifier`] verifies it;
//!   `routes::BackChannelLogout` is the handler that receives it.
//! - [`ProviderSessions`] ties sessions of your own to the logins that began them, so a logout there
//!   ends them here.

mod error;
mod id_token;
mod logout_token;
mod provider_sessions;

pub use error::{OpenIdError, OpenIdErrorKind};
pub use id_token::{IdToken, IdTokenVerifier};
pub use logout_token::{LogoutToken, LogoutTokenVerifier};
pub use provider_sessions::ProviderSessions;

use serde::Deserialize;

use crate::verify::{Trust, VerifiedToken, Verifier, VerifyError, VerifyErrorKind};

/// What verifies the tokens that an issuer makes for a client.
#[track_caller]
fn verifier_for(trust: Trust, client_id: String) -> Verifier {
    assert!(
        trust.sole_issuer().is_some(),
        "not one issuer by name, without audiences of its own"
    );
    Verifier::new(trust).audience(client_id)
}

async fn verified(verifier: &Verifier, token: &[u8]) -> Result<VerifiedToken, VerifyError> {
    #[cfg(feature = "jwks")]
    return verifier.fetch_and_verify(token).await;
    #[cfg(not(feature = "jwks"))]
    return std::future::ready(verifier.verify(token)).await;
}

/// Members beyond the registered ones. One that is there twice is an error.
fn members<'a, T: Deserialize<'a>>(token: &'a VerifiedToken) -> Result<T, OpenIdError> {
    serde_json::from_str(token.payload())
        .map_err(|_| VerifyError::from(VerifyErrorKind::MalformedClaims).into())
}
