//! One attempt to fetch an issuer's keys.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::Uri;
use serde::Deserialize;
use tokio::time::{Instant, timeout};

use super::checked_fetch::AnyFetch;
use super::error::{FetchError, FetchErrorKind, ForbiddenJwksUri, IssuerMismatch};
use super::fetch::FETCH_DEADLINE;
use super::location::{self, AddressError, WebOrigin};
use crate::json::is_shallow;
use crate::keys::{Jwks, JwksOptions};

/// Where and how the keys of an issuer are fetched.
pub(super) struct KeyEndpoint {
    pub(super) location: KeyLocation,
    pub(super) fetch: Box<dyn AnyFetch>,
    pub(super) options: JwksOptions,
    pub(super) http_allowed: bool,
    /// The allowed origins of the `jwks_uri`. `None`: any origin.
    pub(super) jwks_origins: Option<Vec<WebOrigin>>,
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
    Issuer { name: Box<str>, metadata: [Uri; 2] },
    Jwks(Uri),
}

/// The required members of the metadata. A duplicate member is an error.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
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

/// The last requested URI, for the error.
type RequestedUri = Mutex<Option<Uri>>;

fn set(requested: &RequestedUri, uri: &Uri) {
    *requested.lock().unwrap_or_else(PoisonError::into_inner) = Some(uri.clone());
}

impl KeyEndpoint {
    pub(super) async fn fetch_keys(&self) -> Result<FetchedDocument, FetchError> {
        let requested = RequestedUri::default();
        let outcome = timeout(FETCH_DEADLINE, self.fetch_document(&requested)).await;
        let outcome = outcome.unwrap_or_else(|_| Err(FetchErrorKind::Timeout.into()));
        outcome.map_err(|error| {
            self.remember(None);
            match requested
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner)
            {
                Some(uri) => error.at(&uri),
                None => error,
            }
        })
    }

    async fn fetch_document(
        &self,
        requested: &RequestedUri,
    ) -> Result<FetchedDocument, FetchError> {
        let found = match &self.location {
            KeyLocation::Jwks(uri) => DiscoveredUri::now(uri.clone()),
            KeyLocation::Issuer { name, metadata } => {
                let discovery = self.discover(name, metadata, requested);
                match self.remembered() {
                    Some(found) if found.at.elapsed() < DISCOVERY_LIFETIME => found,
                    // If the metadata are unavailable, the old `jwks_uri` may still work.
                    Some(old) => match timeout(REDISCOVERY_DEADLINE, discovery).await {
                        Ok(Ok(uri)) => DiscoveredUri::now(uri),
                        _ => old,
                    },
                    None => DiscoveredUri::now(discovery.await?),
                }
            }
        };
        set(requested, &found.uri);
        let (body, max_age) = self.fetch.get_with_max_age(&found.uri).await?;
        let jwks = self
            .options
            .read(&body)
            .map_err(|error| FetchError::because(FetchErrorKind::NoUsableKeys, error))?;
        let url = location::shown(&found.uri);
        self.remember(Some(found));
        Ok(FetchedDocument { url, jwks, max_age })
    }

    async fn discover(
        &self,
        issuer: &str,
        metadata: &[Uri; 2],
        requested: &RequestedUri,
    ) -> Result<Uri, FetchError> {
        let [openid, oauth] = metadata;
        set(requested, openid);
        let body = match self.fetch.get(openid).await {
            // An authorization server without OpenID Connect.
            Err(error) if matches!(error.kind(), FetchErrorKind::Status(400..=499)) => {
                set(requested, oauth);
                self.fetch.get(oauth).await.map_err(|_| {
                    set(requested, openid);
                    error
                })?
            }
            body => body?,
        };
        self.jwks_uri(issuer, openid, &body)
    }

    /// The `jwks_uri` in the metadata, if it may be fetched.
    fn jwks_uri(&self, issuer: &str, openid: &Uri, body: &[u8]) -> Result<Uri, FetchError> {
        if !is_shallow(body) {
            return Err(FetchErrorKind::InvalidMetadata.into());
        }
        let metadata: Metadata = serde_json::from_slice(body)
            .map_err(|error| FetchError::because(FetchErrorKind::InvalidMetadata, error))?;
        if metadata.issuer != issuer {
            let mismatch = IssuerMismatch {
                configured: issuer.to_owned(),
                found: metadata.issuer,
            };
            return Err(FetchError::because(
                FetchErrorKind::IssuerMismatch,
                mismatch,
            ));
        }
        self.allowed(&metadata.jwks_uri, openid).map_err(|reason| {
            let uri = location::shown_text(&metadata.jwks_uri);
            let forbidden = ForbiddenJwksUri { uri, reason };
            FetchError::because(FetchErrorKind::ForbiddenJwksUri, forbidden)
        })
    }

    fn allowed(&self, jwks_uri: &str, openid: &Uri) -> Result<Uri, AddressError> {
        let uri = location::parse(jwks_uri, self.http_allowed)?;
        // A remote issuer must not send requests to this machine.
        if location::is_http(&uri) && !self.http_allowed && !location::is_http(openid) {
            return Err(AddressError::LocalHttp);
        }
        if location::is_of_this_machine(&uri) && !location::is_of_this_machine(openid) {
            return Err(AddressError::ThisMachine);
        }
        if !self.allows(&uri, openid) {
            return Err(AddressError::OtherOrigin);
        }
        Ok(uri)
    }

    fn allows(&self, uri: &Uri, openid: &Uri) -> bool {
        let Some(origins) = &self.jwks_origins else {
            return true;
        };
        let origin = WebOrigin::of(uri);
        origin.is_some()
            && (origin == WebOrigin::of(openid)
                || origins
                    .iter()
                    .any(|allowed| origin.as_ref() == Some(allowed)))
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
