//! The application's data of a session: the rules for stores. Redis applies them in
//! `update_session.lua`.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{SessionError, SessionErrorKind};
use super::record::Session;
use crate::json::is_shallow;

/// The longest JSON of the data, in bytes: every refresh reads it, and every store keeps it.
const MAX_BYTES: usize = 4096;

/// The outcome of [`SessionStore::update`](super::SessionStore::update).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpdateOutcome {
    /// The data were replaced.
    Updated,
    /// The data have another version. Nothing has changed.
    Outdated,
    /// The session has ended or does not exist. Nothing has changed.
    Ended,
}

impl Session {
    /// The application's data: those of [`PendingLogin::data`](super::PendingLogin::data), or of
    /// the last [`Sessions::update`](super::Sessions::update). `None` if the session has none.
    ///
    /// # Errors
    ///
    /// [`SessionErrorKind::InvalidData`](super::SessionErrorKind::InvalidData) if the data do not
    /// deserialize to `T`.
    pub fn data<T: DeserializeOwned>(&self) -> Result<Option<T>, SessionError> {
        let parsed = self.data_json.as_deref().map(serde_json::from_str);
        // The message of the parser may quote the data.
        parsed
            .transpose()
            .map_err(|_| SessionErrorKind::InvalidData.into())
    }

    /// Applies [`SessionStore::update`](super::SessionStore::update) to this session.
    ///
    /// A store calls this within its atomic step and then saves the session.
    pub fn update_data(&mut self, data_version: u64, data_json: Option<&str>) -> UpdateOutcome {
        let next = data_version.checked_add(1);
        match next.filter(|_| data_version == self.data_version) {
            None => UpdateOutcome::Outdated,
            Some(next) => {
                self.data_version = next;
                self.data_json = data_json.map(str::to_owned);
                UpdateOutcome::Updated
            }
        }
    }
}

pub(super) fn serialize(data: &impl Serialize) -> Result<String, SessionError> {
    // The message of the serializer may quote the data.
    let json = serde_json::to_string(data).map_err(|_| SessionErrorKind::InvalidData)?;
    // What nests deeper can be written, but not read again.
    if json.len() > MAX_BYTES || !is_shallow(json.as_bytes()) {
        return Err(SessionErrorKind::InvalidData.into());
    }
    Ok(json)
}
