//! One attempt to fetch an issuer's keys.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::Uri;
use tokio::time::{Instant, timeout};

use super::checked_fetch::AnyFetch;
use super::discovery::{Discovery, KeysMetadata, RequestedUri};
use super::error::{FetchError, FetchErrorKind};
use super::fetch::FETCH_DEADLINE;
use super::location;
use crate::keys::{Jwks, JwksOptions};

/// Where and how the keys of an issuer are fetched.
pub(super) struct KeyEndpoint {
    pub(super) location: KeyLocation,
    pub(super) fetch: Box<dyn AnyFetch>,
    pub(super) options: JwksOptions,
    /// The discovered `jwks_uri`, until a fetch fails.
    pub(super) discovered: Mutex<Option<DiscoveredUri>>,
}

/// A `jwks_uri` is cached, because issuers rarely change it and may keep publishing at the old one.
#[derive(Clone)]
pub(super) struct DiscoveredUri {
    uri: Uri,
    at: Instant,
}

/// How long a discovered `jwks_uri` is used before it is discovered again.
const DISCOVERY_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// The maximum time for that. The rest of the deadline is for the keys.
const REDISCOVERY_DEADLINE: Duration = Duration::from_secs(2);

pub(super) enum KeyLocation {
    Issuer(Discovery),
    Jwks(Uri),
}

/// The result of a successful attempt.
pub(super) struct FetchedDocument {
    /// The URL without its query.
    pub(super) url: String,
    pub(super) jwks: Jwks,
    pub(super) max_age: Option<Duration>,
}

impl DiscoveredUri {
    fn now(uri: Uri) -> Self {
        Self {
            uri,
            at: Instant::now(),
        }
    }
}

fn is_refusal(kind: FetchErrorKind) -> bool {
    matches!(
        kind,
        FetchErrorKind::ForbiddenEndpoint | FetchErrorKind::IssuerMismatch
    )
}

impl KeyEndpoint {
    pub(super) async fn fetch_keys(&self) -> Result<FetchedDocument, FetchError> {
        let requested = RequestedUri::default();
        let outcome = timeout(FETCH_DEADLINE, self.fetch_document(&requested)).await;
        let outcome = outcome.unwrap_or_else(|_| Err(FetchErrorKind::Timeout.into()));
        outcome.map_err(|error| {
            self.remember(None);
            requested.name_in(error)
        })
    }

    async fn fetch_document(
        &self,
        requested: &RequestedUri,
    ) -> Result<FetchedDocument, FetchError> {
        let found = match &self.location {
            KeyLocation::Jwks(uri) => DiscoveredUri::now(uri.clone()),
            KeyLocation::Issuer(issuer) => {
                let discovery = issuer.find::<KeysMetadata>(&*self.fetch, requested);
                match self.remembered() {
                    Some(found) if found.at.elapsed() < DISCOVERY_LIFETIME => found,
                    // If the metadata are unavailable, the old `jwks_uri` may still work.
                    Some(old) => match timeout(REDISCOVERY_DEADLINE, discovery).await {
                        Ok(Ok(uri)) => DiscoveredUri::now(uri),
                        // The metadata are there. They name another issuer, or a place that is not
                        // allowed.
                        Ok(Err(error)) if is_refusal(error.kind()) => return Err(error),
                        _ => old,
                    },
                    None => DiscoveredUri::now(discovery.await?),
                }
            }
        };
        requested.set(&found.uri);
        let (body, max_age) = self.fetch.get_with_max_age(&found.uri).await?;
        let jwks = self
            .options
            .read(&body)
            .map_err(|error| FetchError::because(FetchErrorKind::NoUsableKeys, error))?;
        let url = location::shown(&found.uri);
        self.remember(Some(found));
        Ok(FetchedDocument { url, jwks, max_age })
    }

    fn remembered(&self) -> Option<DiscoveredUri> {
        let found = self
            .discovered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        found.clone()
    }

    fn remember(&self, found: Option<DiscoveredUri>) {
        *self
            .discovered
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = found;
    }
}
