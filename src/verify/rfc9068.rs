//! What RFC 9068 requires of an access token.

use std::borrow::Cow;

use serde::Deserialize;

use super::error::{VerifyError, VerifyErrorKind};
use crate::claims::{PayloadError, RegisteredMembers};

/// The claim that is not registered in RFC 7519. A duplicate is an error.
#[derive(Deserialize)]
struct ClientId<'a> {
    #[serde(borrow)]
    client_id: Option<Cow<'a, str>>,
}

/// Checks that the required claims are there (RFC 9068 §2.2). Their values were checked before.
pub(super) fn check(members: &RegisteredMembers<'_>, payload: &str) -> Result<(), VerifyError> {
    let client: ClientId<'_> = serde_json::from_str(payload).map_err(|error| {
        let claim = error.is_data().then_some("client_id");
        VerifyError::malformed_claims(&PayloadError { claim, error })
    })?;
    let has_audience = members
        .audience
        .as_ref()
        .is_some_and(|audience| !audience.is_empty());
    let has_client = client.client_id.is_some_and(|client| !client.is_empty());
    // Those with a kind of their own first.
    if members.expires_at.is_none() {
        return Err(VerifyErrorKind::MissingExpiry.into());
    }
    if members.issuer.is_none() {
        return Err(VerifyErrorKind::MissingIssuer.into());
    }
    if !has_audience {
        return Err(VerifyErrorKind::MissingAudience.into());
    }
    for (name, is_there) in [
        ("sub", members.subject.is_some()),
        ("client_id", has_client),
        ("iat", members.issued_at.is_some()),
        ("jti", members.token_id.is_some()),
    ] {
        if !is_there {
            return Err(VerifyError::missing(name));
        }
    }
    Ok(())
}
