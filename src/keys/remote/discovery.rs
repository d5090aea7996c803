//! Finds an endpoint of an issuer in its metadata.

use std::sync::{Mutex, PoisonError};

use http::Uri;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::checked_fetch::AnyFetch;
use super::error::{FetchError, FetchErrorKind, ForbiddenEndpoint, IssuerMismatch};
use super::location::{self, AddressError, WebOrigin};
use crate::json::is_shallow;
use crate::keys::verifying::TENANT_SLOT;

/// An issuer by its name, and where its metadata may send requests.
pub(crate) struct Discovery {
    issuer: Box<str>,
    metadata: [Uri; 2],
    http_allowed: bool,
    /// The allowed origins besides the issuer's. `None`: any origin.
    origins: Option<Vec<WebOrigin>>,
}

/// The last requested URI, for the error.
#[derive(Default)]
pub(crate) struct RequestedUri(Mutex<Option<Uri>>);

impl RequestedUri {
    pub(crate) fn set(&self, uri: &Uri) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(uri.clone());
    }

    /// Adds the URI to an error, unless it has one.
    pub(crate) fn name_in(self, error: FetchError) -> FetchError {
        match self.0.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(uri) => error.at(&uri),
            None => error,
        }
    }
}

/// The members of the metadata that are needed. A duplicate member is an error.
pub(crate) trait Metadata: DeserializeOwned {
    /// `issuer`, and the endpoint.
    fn parts(self) -> (String, String);
}

/// Metadata with the address of the keys.
#[derive(Deserialize)]
pub(super) struct KeysMetadata {
    issuer: String,
    jwks_uri: String,
}

impl Metadata for KeysMetadata {
    fn parts(self) -> (String, String) {
        (self.issuer, self.jwks_uri)
    }
}

/// Metadata with the introspection endpoint (RFC 8414 §2).
#[cfg(feature = "introspection")]
#[derive(Deserialize)]
pub(crate) struct IntrospectionMetadata {
    issuer: String,
    introspection_endpoint: String,
}

#[cfg(feature = "introspection")]
impl Metadata for IntrospectionMetadata {
    fn parts(self) -> (String, String) {
        (self.issuer, self.introspection_endpoint)
    }
}

impl Discovery {
    pub(crate) fn new(
        issuer: String,
        http_allowed: bool,
        origins: Option<Vec<WebOrigin>>,
    ) -> Result<Self, AddressError> {
        let uri = location::parse(&issuer.replace(TENANT_SLOT, "common"), http_allowed)?;
        // OpenID Connect Discovery 1.0 §4.3 and RFC 8414 §2.
        if uri.query().is_some() {
            return Err(AddressError::Query);
        }
        Ok(Self {
            issuer: issuer.into(),
            metadata: location::metadata_of(&uri).ok_or(AddressError::NotAUrl)?,
            http_allowed,
            origins,
        })
    }

    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Fetches the metadata, and returns the endpoint if it may be requested.
    pub(crate) async fn find<M: Metadata>(
        &self,
        fetch: &(impl AnyFetch + ?Sized),
        requested: &RequestedUri,
    ) -> Result<Uri, FetchError> {
        let [openid, oauth] = &self.metadata;
        requested.set(openid);
        let body = match fetch.get(openid).await {
            // An authorization server without OpenID Connect.
            Err(error) if matches!(error.kind(), FetchErrorKind::Status(400..=499)) => {
                requested.set(oauth);
                fetch.get(oauth).await.map_err(|_| {
                    requested.set(openid);
                    error
                })?
            }
            body => body?,
        };
        self.endpoint_in::<M>(openid, &body)
    }

    fn endpoint_in<M: Metadata>(&self, openid: &Uri, body: &[u8]) -> Result<Uri, FetchError> {
        if !is_shallow(body) {
            return Err(FetchErrorKind::InvalidMetadata.into());
        }
        let metadata: M = serde_json::from_slice(body)
            .map_err(|error| FetchError::because(FetchErrorKind::InvalidMetadata, error))?;
        let (issuer, endpoint) = metadata.parts();
        if *issuer != *self.issuer {
            return Err(FetchError::because(
                FetchErrorKind::IssuerMismatch,
                IssuerMismatch::new(&self.issuer, &issuer),
            ));
        }
        self.allowed(&endpoint, openid).map_err(|reason| {
            let uri = location::shown_text(&endpoint);
            let forbidden = ForbiddenEndpoint { uri, reason };
            FetchError::because(FetchErrorKind::ForbiddenEndpoint, forbidden)
        })
    }

    fn allowed(&self, endpoint: &str, openid: &Uri) -> Result<Uri, AddressError> {
        let uri = location::parse(endpoint, self.http_allowed)?;
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
        let Some(origins) = &self.origins else {
            return true;
        };
        let origin = WebOrigin::of(uri);
        origin.is_some()
            && (origin == WebOrigin::of(openid)
                || origins
                    .iter()
                    .any(|allowed| origin.as_ref() == Some(allowed)))
    }
}
