//! Finds sessions, and changes their data.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::data::{UpdateOutcome, serialize};
use super::error::{SessionError, SessionErrorKind};
use super::record::Session;
use super::session_id::SessionId;
use super::sessions::Sessions;
use super::store::SessionStore;

/// How often [`Sessions::update`] tries: data that change more often do not belong into a session.
const MAX_ATTEMPTS: usize = 10;

impl<S: SessionStore> Sessions<S> {
    /// Finds the session `sid`. `None` if it has ended or expired, or belongs to another issuer.
    ///
    /// # Errors
    ///
    /// [`SessionErrorKind::Unavailable`] if the store fails.
    pub async fn find(&self, sid: SessionId) -> Result<Option<Session>, SessionError> {
        let found = self.store.find(sid).await;
        let found = found.map_err(SessionError::unavailable)?;
        Ok(found.filter(|session| {
            session.issuer.as_deref() == self.issuer_name() && !session.has_expired(self.now())
        }))
    }

    /// Changes the data of the session `sid`, and returns the session with the new data.
    ///
    /// `change` gets the current data, and may replace or remove them. It runs again if another
    /// call changed the data meanwhile, so that no change is lost. So `change` should have no side
    /// effects.
    ///
    /// The claims change at the next refresh: a page with a script calls `POST /refresh`. If the
    /// server renders the pages, they show the change once the access token has expired.
    ///
    /// If the old tokens must stop working earlier, call
    /// [`invalidate_access_tokens`](Sessions::invalidate_access_tokens). All devices of the subject
    /// then refresh once. A server that renders the pages should then redirect to a page behind
    /// `page_renewal`, which shows the change at once.
    ///
    /// ```
    /// # use serde::{Deserialize, Serialize};
    /// # use tower_jwt_auth::VerifiedToken;
    /// # use tower_jwt_auth::session::{SessionError, SessionStore, Sessions};
    /// #[derive(Serialize, Deserialize, Default)]
    /// struct Data { organisation: Option<String> }
    ///
    /// async fn choose_organisation<S: SessionStore>(
    ///     sessions: &Sessions<S>,
    ///     token: &VerifiedToken,
    ///     organisation: String,
    /// ) -> Result<(), SessionError> {
    ///     let sid = sessions.session_of(token)?;
    ///     let changed = sessions.update(sid, |data: &mut Option<Data>| {
    ///         data.get_or_insert_default().organisation = Some(organisation.clone());
    ///     });
    ///     changed.await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`SessionErrorKind::Ended`] if [`find`](Sessions::find) does not find the session.
    /// - [`SessionErrorKind::InvalidData`] if the current data do not deserialize to `T`. Also if
    ///   the new data do not serialize to JSON of at most 4 KiB and 127 levels. Nothing changes.
    /// - [`SessionErrorKind::Unavailable`] if other calls changed the data ten times meanwhile, or
    ///   the store fails: the change may have been made.
    ///
    /// With Redis a change may be made twice if the answer is lost and another call changes the
    /// data before the retry.
    pub async fn update<T: Serialize + DeserializeOwned>(
        &self,
        sid: SessionId,
        mut change: impl FnMut(&mut Option<T>),
    ) -> Result<Session, SessionError> {
        for _ in 0..MAX_ATTEMPTS {
            let mut session = self.find(sid).await?.ok_or(SessionErrorKind::Ended)?;
            let mut data = session.data()?;
            change(&mut data);
            let json = data.as_ref().map(serialize).transpose()?;
            let version = session.data_version;
            let updated = self.store.update(sid, version, json.as_deref()).await;
            match updated.map_err(SessionError::unavailable)? {
                UpdateOutcome::Updated => {
                    session.update_data(version, json.as_deref());
                    return Ok(session);
                }
                UpdateOutcome::Ended => return Err(SessionErrorKind::Ended.into()),
                UpdateOutcome::Outdated => {}
            }
        }
        Err(SessionError::outdated())
    }
}
