//! One attempt to get an issuer's keys.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::Uri;
use serde::Deserialize;
use tokio::time::{Instant, timeout};

use super::error::{FetchError, FetchErrorKind};
use super::fetch::{AnyFetch, FETCH_DEADLINE};
use super::location::{self, WebOrigin};
use crate::json::is_shallow;
use crate::keys::{Jwks, JwksOptions};

/// Where the keys of an issuer are, and how they get here.
pub(super) struct KeyEndpoint {
    pub(super) location: KeyLocation,
    pub(super) fetch: Box<dyn AnyFetch>,
    pub(super) options: JwksOptions,
    pub(super) http_allowed: bool,
    /// Where the `jwks_uri` may lie, if not anywhere.
    pub(super) jwks_origins: Option<Vec<WebOrigin>>,
    /// The `jwks_uri` that was found, until a fetch of it fails.
    pub(super) discovered: Mutex<Option<DiscoveredUri>>,
}

/// Issuers hardly ever move their keys, and may leave the old ones where they were.
#[derive(Clone)]
pub(super) struct DiscoveredUri {
    uri: Uri,
    at: Instant,
}

/// How long a `jwks_uri` is believed before it is looked for again.
const DISCOVERY_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// How long that may take: what is left of the time is for the keys.
const REDISCOVERY_DEADLINE: Duration = Duration::from_secs(2);

pub(super) enum KeyLocation {
    Issuer { name: Box<str>, metadata: [Uri; 2] },
    Jwks(Uri),
}

/// The part of an issuer's metadata that is of interest. A member that is there twice is an error.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

/// What an attempt brought.
pub(super) struct FetchedDocument {
    /// Where it is from, as it may be shown.
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

/// What is being fetched, for the error in the end.
type Asked = Mutex<Option<Uri>>;

fn set(asked: &Asked, uri: &Uri) {
    *asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(uri.clone());
}

impl KeyEndpoint {
    pub(super) async fn fetch_keys(&self) -> Result<FetchedDocument, FetchError> {
        let asked = Asked::default();
        let outcome = timeout(FETCH_DEADLINE, self.fetch_document(&asked)).await;
        let outcome = outcome.unwrap_or_else(|_| Err(FetchErrorKind::Timeout.into()));
        outcome.map_err(|error| {
            self.remember(None);
            match asked.into_inner().unwrap_or_else(PoisonError::into_inner) {
                Some(uri) => error.at(&uri),
                None => error,
            }
        })
    }

    async fn fetch_document(&self, asked: &Asked) -> Result<FetchedDocument, FetchError> {
        let found = match &self.location {
            KeyLocation::Jwks(uri) => DiscoveredUri::now(uri.clone()),
            KeyLocation::Issuer { name, metadata } => {
                let discovery = self.discover(name, metadata, asked);
                match self.remembered() {
                    Some(found) if found.at.elapsed() < DISCOVERY_LIFETIME => found,
                    // The keys may be there still, though the metadata are not.
                    Some(old) => match timeout(REDISCOVERY_DEADLINE, discovery).await {
                        Ok(Ok(uri)) => DiscoveredUri::now(uri),
                        _ => old,
                    },
                    None => DiscoveredUri::now(discovery.await?),
                }
            }
        };
        set(asked, &found.uri);
        let (body, max_age) = self.fetch.get_with_life(&found.uri).await?;
        let jwks = self
            .options
            .read(&body)
            .map_err(|error| FetchError::because(FetchErrorKind::Keys, error))?;
        let url = location::shown(&found.uri);
        self.remember(Some(found));
        Ok(FetchedDocument { url, jwks, max_age })
    }

    async fn discover(
        &self,
        issuer: &str,
        metadata: &[Uri; 2],
        asked: &Asked,
    ) -> Result<Uri, FetchError> {
        let [openid, oauth] = metadata;
        set(asked, openid);
        let body = match self.fetch.get(openid).await {
            // An authorization server that knows nothing of OpenID.
            Err(error) if matches!(error.kind(), FetchErrorKind::Status(400..=499)) => {
                set(asked, oauth);
                self.fetch.get(oauth).await.map_err(|_| {
                    set(asked, openid);
                    error
                })?
            }
            body => body?,
        };
        self.jwks_uri(issuer, openid, &body)
    }

    /// The address of the keys that the metadata name, if it is one that may be fetched.
    fn jwks_uri(&self, issuer: &str, openid: &Uri, body: &[u8]) -> Result<Uri, FetchError> {
        if !is_shallow(body) {
            return Err(FetchErrorKind::Metadata.into());
        }
        let metadata: Metadata = serde_json::from_slice(body)
            .map_err(|error| FetchError::because(FetchErrorKind::Metadata, error))?;
        if metadata.issuer != issuer {
            return Err(FetchErrorKind::WrongIssuer.into());
        }
        let is_local = location::is_http(openid);
        location::parse(&metadata.jwks_uri, self.http_allowed)
            // An issuer elsewhere has no business with what listens on this machine.
            .filter(|uri| is_local || self.http_allowed || !location::is_http(uri))
            .filter(|uri| {
                !location::is_of_this_machine(uri) || location::is_of_this_machine(openid)
            })
            .filter(|uri| self.allows(uri, openid))
            .ok_or_else(|| FetchErrorKind::Location.into())
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
