//! The sessions of an embedded store.

use std::sync::Arc;

use super::change::QualifiedName;
use super::error::EmbeddedStoreError as Error;
use super::store::EmbeddedStore;
use crate::claims::NumericDate;
use crate::session::{
    CreationOutcome, Rotation, RotationOutcome, Session, SessionId, SessionLimit, SessionStore,
    Subject, SubjectState, UpdateOutcome,
};

/// A call that needs the file fails if the file cannot be read or written. A failed call does not
/// change what was acknowledged before.
impl SessionStore for EmbeddedStore {
    async fn subject(&self, subject: &Subject<'_>) -> Result<SubjectState, Error> {
        let name = QualifiedName::of(subject);
        self.read(move |snapshot| snapshot.subject(&name.subject()))
            .await
    }

    async fn create(
        &self,
        session: &Session,
        limit: Option<SessionLimit>,
    ) -> Result<CreationOutcome, Error> {
        let session = session.clone();
        self.write(move |tables| tables.create(&session, limit))
            .await
    }

    async fn find(&self, sid: SessionId) -> Result<Option<Session>, Error> {
        self.read(move |snapshot| snapshot.find(sid)).await
    }

    async fn rotate(&self, sid: SessionId, rotation: &Rotation) -> Result<RotationOutcome, Error> {
        let rotation = rotation.clone();
        self.write(move |tables| tables.rotate(sid, &rotation))
            .await
    }

    async fn update(
        &self,
        sid: SessionId,
        data_version: u64,
        data_json: Option<&str>,
    ) -> Result<UpdateOutcome, Error> {
        let data_json = data_json.map(str::to_owned);
        self.write(move |tables| tables.update(sid, data_version, data_json.as_deref()))
            .await
    }

    async fn end(
        &self,
        sid: SessionId,
        issuer: Option<&str>,
        revoke_until: NumericDate,
    ) -> Result<Option<Session>, Error> {
        let issuer = issuer.map(str::to_owned);
        let inner = Arc::clone(&self.inner);
        self.write(move |tables| tables.end(sid, issuer.as_deref(), revoke_until, &inner.index))
            .await
    }

    async fn end_others(
        &self,
        sid: SessionId,
        issuer: Option<&str>,
    ) -> Result<Option<Session>, Error> {
        let issuer = issuer.map(str::to_owned);
        let inner = Arc::clone(&self.inner);
        self.write(move |tables| tables.end_others(sid, issuer.as_deref(), inner.now()))
            .await
    }

    async fn raise_generation(&self, subject: &Subject<'_>) -> Result<u64, Error> {
        let name = QualifiedName::of(subject);
        let inner = Arc::clone(&self.inner);
        self.write(move |tables| tables.raise_generation(&name.subject(), inner.now()))
            .await
    }

    async fn raise_access_epoch(&self, subject: &Subject<'_>) -> Result<u64, Error> {
        let name = QualifiedName::of(subject);
        let inner = Arc::clone(&self.inner);
        self.write(move |tables| tables.raise_access_epoch(&name.subject(), inner.now()))
            .await
    }

    async fn block(&self, subject: &Subject<'_>) -> Result<(), Error> {
        let name = QualifiedName::of(subject);
        let inner = Arc::clone(&self.inner);
        self.write(move |tables| tables.block(&name.subject(), inner.now()))
            .await
    }

    async fn unblock(&self, subject: &Subject<'_>) -> Result<(), Error> {
        let name = QualifiedName::of(subject);
        let inner = Arc::clone(&self.inner);
        self.write(move |tables| tables.unblock(&name.subject(), inner.now()))
            .await
    }

    async fn list(&self, subject: &Subject<'_>, now: NumericDate) -> Result<Vec<Session>, Error> {
        let name = QualifiedName::of(subject);
        self.read(move |snapshot| snapshot.list(&name.subject(), now))
            .await
    }
}
