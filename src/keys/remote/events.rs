//! Logs the results of fetches.

use super::endpoint::KeyEndpoint;
#[cfg(feature = "tracing")]
use super::endpoint::KeyLocation;
use super::error::FetchError;
#[cfg(feature = "tracing")]
use super::error::on_one_line;
use crate::keys::SkippedKey;

/// The result of a fetch.
#[cfg_attr(
    not(feature = "tracing"),
    expect(dead_code, reason = "nothing is logged")
)]
pub(super) enum FetchEvent {
    /// URL, number of keys, and the skipped keys if they differ from the last document's.
    Fetched(String, usize, Vec<SkippedKey>),
    /// The error, and whether older keys are still served.
    Failed(FetchError, bool),
}

#[cfg(feature = "tracing")]
pub(super) fn report(endpoint: &KeyEndpoint, event: FetchEvent) {
    /// A document may have hundreds of unusable keys.
    const MAX_SKIPPED: usize = 16;
    const MAX_CHARACTERS: usize = 64;

    let issuer = match &endpoint.location {
        KeyLocation::Issuer { name, .. } => Some(&**name),
        KeyLocation::Jwks(_) => None,
    };
    match event {
        FetchEvent::Failed(error, has_keys) => {
            let reason = error.chain();
            let url = error.url();
            tracing::warn!(
                issuer,
                url,
                reason,
                has_keys,
                "an issuer's keys could not be fetched"
            );
        }
        FetchEvent::Fetched(url, keys, skipped) => {
            tracing::debug!(issuer, url, keys, "an issuer's keys were fetched");
            for key in skipped.iter().take(MAX_SKIPPED) {
                let kid = key.key_id.as_deref();
                let kid = kid.map(|kid| on_one_line(kid, MAX_CHARACTERS));
                let (index, reason) = (key.index, tracing::field::display(key.reason));
                tracing::info!(
                    issuer,
                    url,
                    index,
                    kid,
                    reason,
                    "a key of an issuer is skipped"
                );
            }
            if let Some(more) = skipped
                .len()
                .checked_sub(MAX_SKIPPED)
                .filter(|more| *more > 0)
            {
                tracing::info!(issuer, more, "further keys of an issuer are skipped");
            }
        }
    }
}

#[cfg(not(feature = "tracing"))]
pub(super) fn report(_: &KeyEndpoint, _: FetchEvent) {}
