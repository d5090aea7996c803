//! What ID tokens and logout tokens have in common.

use serde::Deserialize;

use super::error::OpenIdError;
use crate::verify::{Trust, VerifiedToken, Verifier, VerifyError, VerifyErrorKind};

/// A verifier for the tokens that one issuer makes for a client.
#[track_caller]
pub(super) fn verifier_for(trust: Trust, client_id: String) -> Verifier {
    assert!(
        trust.sole_issuer().is_some(),
        "`trust` is not one issuer by name, without audiences of its own"
    );
    Verifier::new(trust).audience(client_id)
}

/// Verifies a token. Waits only if the issuer's keys must be fetched first.
pub(super) async fn verify(
    verifier: &Verifier,
    token: &[u8],
) -> Result<VerifiedToken, VerifyError> {
    #[cfg(feature = "jwks")]
    return verifier.fetch_and_verify(token).await;
    #[cfg(not(feature = "jwks"))]
    return std::future::ready(verifier.verify(token)).await;
}

/// The claims beyond the registered ones. A duplicate is an error.
pub(super) fn other_claims<'a, T: Deserialize<'a>>(
    token: &'a VerifiedToken,
) -> Result<T, OpenIdError> {
    serde_json::from_str(token.payload())
        .map_err(|_| VerifyError::from(VerifyErrorKind::MalformedClaims).into())
}
