//! One attempt to get an issuer's keys.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::Uri;
use serde::Deserialize;
use tokio::time::{Instant, timeout};

use super::error::{FetchError, FetchErrorKind};
use super::fetch::{AnyFetch, MOST_TIME};
use super::location;
use crate::keys::{Jwks, JwksOptions};

/// Where the keys of an issuer are, and how they get here.
pub(super) struct Origin {
    pub(super) place: Place,
    pub(super) fetch: Box<dyn AnyFetch>,
    pub(super) options: JwksOptions,
    pub(super) http_allowed: bool,
    /// The `jwks_uri` that was found, until a fetch of it fails.
    pub(super) found: Mutex<Option<Found>>,
}

/// Issuers hardly ever move their keys, and may leave the old ones where they were.
#[derive(Clone)]
pub(super) struct Found {
    uri: Uri,
    at: Instant,
}

/// How long a `jwks_uri` is believed before it is looked for again.
const BELIEVED: Duration = Duration::from_secs(60 * 60);

/// How long that may take: what is left of the time is for the keys.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) enum Place {
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
pub(super) struct Harvest {
    pub(super) jwks: Jwks,
    pub(super) max_age: Option<Duration>,
}

impl Found {
    fn now(uri: Uri) -> Self {
        Self {
            uri,
            at: Instant::now(),
        }
    }
}

impl Origin {
    pub(super) async fn attempt(&self) -> Result<Harvest, FetchError> {
        let outcome = timeout(MOST_TIME, self.keys()).await;
        let outcome = outcome.unwrap_or_else(|_| Err(FetchErrorKind::Timeout.into()));
        if outcome.is_err() {
            self.remember(None);
        }
        outcome
    }

    async fn keys(&self) -> Result<Harvest, FetchError> {
        let found = match &self.place {
            Place::Jwks(uri) => Found::now(uri.clone()),
            Place::Issuer { name, metadata } => {
                let discovery = self.discover(name, metadata);
                match self.remembered() {
                    Some(found) if found.at.elapsed() < BELIEVED => found,
                    // The keys may be there still, though the metadata are not.
                    Some(old) => match timeout(PATIENCE, discovery).await {
                        Ok(Ok(uri)) => Found::now(uri),
                        _ => old,
                    },
                    None => Found::now(discovery.await?),
                }
            }
        };
        let (body, max_age) = self.fetch.get_with_life(&found.uri).await?;
        let jwks = self
            .options
            .read(&body)
            .map_err(|error| FetchError::because(FetchErrorKind::Keys, error))?;
        self.remember(Some(found));
        Ok(Harvest { jwks, max_age })
    }

    async fn discover(&self, issuer: &str, metadata: &[Uri; 2]) -> Result<Uri, FetchError> {
        let [openid, oauth] = metadata;
        let body = match self.fetch.get(openid).await {
            // An authorization server that knows nothing of OpenID.
            Err(error) if matches!(error.kind(), FetchErrorKind::Status(400..=499)) => {
                self.fetch.get(oauth).await.map_err(|_| error)?
            }
            body => body?,
        };
        let metadata: Metadata = serde_json::from_slice(&body)
            .map_err(|error| FetchError::because(FetchErrorKind::Metadata, error))?;
        if metadata.issuer != issuer {
            return Err(FetchErrorKind::WrongIssuer.into());
        }
        let is_local = location::is_http(openid);
        location::parse(&metadata.jwks_uri, self.http_allowed)
            // An issuer elsewhere has no business with what listens on this machine.
            .filter(|uri| is_local || self.http_allowed || !location::is_http(uri))
            .ok_or_else(|| FetchErrorKind::Location.into())
    }

    fn remembered(&self) -> Option<Found> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.clone()
    }

    fn remember(&self, found: Option<Found>) {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }
}
