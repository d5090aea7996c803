//! Asks the introspection endpoint about one token.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use form_urlencoded::Serializer;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request, Uri};
use tokio::time::{Instant, timeout, timeout_at};

use super::answer::Reply;
use super::client_authentication::ClientAuthentication;
use crate::clock::ClockSource;
use crate::keys::remote::{
    AnyPost, Discovery, FetchError, FetchErrorKind, IntrospectionMetadata, RequestedUri,
};

/// How long a discovered endpoint is used before it is discovered again.
const DISCOVERY_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// The maximum time for that, and half of the deadline at most. The rest is for the question.
const REDISCOVERY_DEADLINE: Duration = Duration::from_secs(2);

/// Where and how an issuer is asked.
pub(super) struct IntrospectionEndpoint {
    pub(super) issuer: Box<str>,
    pub(super) location: Location,
    pub(super) client: ClientAuthentication,
    pub(super) fetch: Box<dyn AnyPost>,
}

pub(super) enum Location {
    Configured(Uri),
    Discovered {
        discovery: Box<Discovery>,
        found: LastFound,
        /// Held while the endpoint is discovered, so that usually this happens once.
        gate: tokio::sync::Mutex<()>,
    },
}

/// The endpoint that was discovered last.
#[derive(Default)]
pub(super) struct LastFound(Mutex<Option<FoundEndpoint>>);

struct FoundEndpoint {
    /// Counts the discoveries.
    number: u64,
    uri: Uri,
    at: Instant,
    /// The endpoint failed, so it may be elsewhere by now.
    has_failed: bool,
}

impl LastFound {
    /// The endpoint, unless it must be discovered again.
    fn current(&self) -> Option<Uri> {
        let found = self.lock();
        let found = found.as_ref()?;
        let is_current = !found.has_failed && found.at.elapsed() < DISCOVERY_LIFETIME;
        is_current.then(|| found.uri.clone())
    }

    /// The endpoint and its number, which is 0 before the first discovery.
    fn last(&self) -> (Option<Uri>, u64) {
        match &*self.lock() {
            Some(found) => (Some(found.uri.clone()), found.number),
            None => (None, 0),
        }
    }

    /// Replaces the endpoint of that number, unless another discovery has done so.
    fn replace(&self, number: u64, uri: Uri) {
        let mut found = self.lock();
        if found.as_ref().map_or(0, |found| found.number) == number {
            *found = Some(FoundEndpoint {
                number: number.wrapping_add(1),
                uri,
                at: Instant::now(),
                has_failed: false,
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<FoundEndpoint>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IntrospectionEndpoint {
    /// Asks within `deadline`. `token` has only characters of a `b64token`.
    pub(super) async fn ask(
        &self,
        token: &str,
        clock: &ClockSource,
        deadline: Duration,
    ) -> Result<Reply, FetchError> {
        let requested = RequestedUri::default();
        let reply = timeout(deadline, self.request(token, clock, deadline, &requested)).await;
        let reply = reply.unwrap_or_else(|_| Err(FetchErrorKind::Timeout.into()));
        reply.map_err(|error| requested.name_in(error))
    }

    async fn request(
        &self,
        token: &str,
        clock: &ClockSource,
        deadline: Duration,
        requested: &RequestedUri,
    ) -> Result<Reply, FetchError> {
        let uri = self.uri(deadline, requested).await?;
        requested.set(&uri);
        let mut request = Request::post(&uri)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(header) = self.client.header() {
            request = request.header(AUTHORIZATION, HeaderValue::clone(header));
        }
        let request = request
            .body(Bytes::from(self.form(token, clock)?))
            .map_err(|error| FetchError::because(FetchErrorKind::Transport, error))?;
        let body = match self.fetch.post_form(request).await {
            Ok(body) => body,
            Err(error) => {
                if has_moved(error.kind()) {
                    self.note_failure();
                }
                return Err(error);
            }
        };
        Reply::read(&body)
    }

    fn form(&self, token: &str, clock: &ClockSource) -> Result<String, FetchError> {
        let mut form = Serializer::new(String::new());
        form.append_pair("token", token);
        form.append_pair("token_type_hint", "access_token");
        self.client.add_to(&mut form, &self.issuer, clock)?;
        Ok(form.finish())
    }

    async fn uri(&self, deadline: Duration, requested: &RequestedUri) -> Result<Uri, FetchError> {
        let (discovery, found, gate) = match &self.location {
            Location::Configured(uri) => return Ok(uri.clone()),
            Location::Discovered {
                discovery,
                found,
                gate,
            } => (discovery, found, gate),
        };
        if let Some(uri) = found.current() {
            return Ok(uri);
        }
        let half = deadline.checked_div(2).unwrap_or_default();
        let limit = REDISCOVERY_DEADLINE.min(half);
        let until = Instant::now().checked_add(limit);
        // A runtime that nobody drives may hold the gate: then this discovers beside it.
        let patience = limit.checked_div(2).unwrap_or_default();
        let _gate = timeout(patience, gate.lock()).await;
        if let Some(uri) = found.current() {
            return Ok(uri);
        }
        let discover = discovery.find::<IntrospectionMetadata>(&*self.fetch, requested);
        let (old, number) = found.last();
        let newest = match old {
            // If the metadata are unavailable, the old endpoint may still work.
            Some(old) => match timeout_at(until.unwrap_or_else(Instant::now), discover).await {
                Ok(Ok(uri)) => uri,
                _ => old,
            },
            None => discover.await?,
        };
        found.replace(number, newest.clone());
        Ok(newest)
    }

    fn note_failure(&self) {
        if let Location::Discovered { found, .. } = &self.location
            && let Some(known) = &mut *found.lock()
        {
            known.has_failed = true;
        }
    }
}

/// Whether the endpoint may be elsewhere by now. Statuses that may concern one token alone do not
/// count.
fn has_moved(error: FetchErrorKind) -> bool {
    matches!(
        error,
        FetchErrorKind::Transport | FetchErrorKind::Status(300..=399 | 404 | 405 | 410)
    )
}
