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
    /// The error, whether keys were ever fetched, and the skipped keys as above.
    Failed(FetchError, bool, Vec<SkippedKey>),
}

#[cfg(feature = "tracing")]
pub(super) fn report(endpoint: &KeyEndpoint, event: FetchEvent) {
    let issuer = match &endpoint.location {
        KeyLocation::Issuer(issuer) => Some(issuer.issuer()),
        KeyLocation::Jwks(_) => None,
    };
    match event {
        FetchEvent::Failed(error, has_keys, skipped) => {
            let reason = error.chain();
            let url = error.url();
            tracing::warn!(
                issuer,
                url,
                reason,
                has_keys,
                "an issuer's keys could not be fetched"
            );
            report_skipped(issuer, url, &skipped);
        }
        FetchEvent::Fetched(url, keys, skipped) => {
            tracing::debug!(issuer, url, keys, "an issuer's keys were fetched");
            report_skipped(issuer, Some(&url), &skipped);
        }
    }
}

#[cfg(feature = "tracing")]
fn report_skipped(issuer: Option<&str>, url: Option<&str>, skipped: &[SkippedKey]) {
    /// A document may have hundreds of unusable keys.
    const MAX_SKIPPED: usize = 16;
    const MAX_CHARACTERS: usize = 64;

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
    let more = skipped.len().saturating_sub(MAX_SKIPPED);
    if more > 0 {
        tracing::info!(issuer, url, more, "further keys of an issuer are skipped");
    }
}

#[cfg(not(feature = "tracing"))]
pub(super) fn report(_: &KeyEndpoint, _: FetchEvent) {}
