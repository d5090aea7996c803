//! The settings of `Sessions`.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::creation::SessionLimit;
use super::event::SessionEvent;
use super::record::Session;
use super::refresh_token::RefreshKeys;
use crate::clock::{Clock, SystemClock};
use crate::keys::SigningKeySet;
use crate::verify::Verifier;

#[derive(Clone)]
pub(super) struct Settings {
    pub(super) signing_keys: SigningKeySet,
    pub(super) refresh_keys: RefreshKeys,
    pub(super) issuer: Option<Arc<str>>,
    pub(super) audience: Vec<String>,
    pub(super) client_id: Option<Arc<str>>,
    pub(super) access_lifetime: Duration,
    pub(super) idle_lifetime: Duration,
    pub(super) lifetime: Duration,
    pub(super) grace: Duration,
    pub(super) limit: Option<SessionLimit>,
    pub(super) max_token_length: usize,
    pub(super) claims: Arc<ClaimsFunction>,
    pub(super) event_hook: Arc<EventHook>,
    pub(super) clock: Arc<dyn Clock>,
}

pub(super) type ClaimsFunction = dyn Fn(Session) -> ClaimsFuture + Send + Sync;
pub(super) type ClaimsFuture = Pin<Box<dyn Future<Output = ClaimsResult> + Send>>;
/// The claims of a session's subject, or `None` for an unknown subject.
type ClaimsResult = Result<Option<Value>, Box<dyn Error + Send + Sync>>;
type EventHook = dyn Fn(&SessionEvent<'_>) + Send + Sync;

impl Settings {
    pub(super) const ACCESS_LIFETIME: Duration = Duration::from_secs(5 * 60);
    pub(super) const IDLE_LIFETIME: Duration = Duration::from_secs(14 * 24 * 60 * 60);
    pub(super) const LIFETIME: Duration = Duration::from_secs(90 * 24 * 60 * 60);
    pub(super) const GRACE: Duration = Duration::from_secs(10);

    pub(super) fn new(signing_keys: SigningKeySet, refresh_keys: RefreshKeys) -> Self {
        Self {
            signing_keys,
            refresh_keys,
            issuer: None,
            audience: Vec::new(),
            client_id: None,
            access_lifetime: Self::ACCESS_LIFETIME,
            idle_lifetime: Self::IDLE_LIFETIME,
            lifetime: Self::LIFETIME,
            grace: Self::GRACE,
            limit: None,
            max_token_length: Verifier::DEFAULT_MAX_TOKEN_LENGTH,
            claims: Arc::new(|_: Session| -> ClaimsFuture {
                Box::pin(std::future::ready(Ok(Some(Value::Object(Map::new())))))
            }),
            event_hook: Arc::new(|_: &SessionEvent<'_>| {}),
            clock: Arc::new(SystemClock),
        }
    }
}
