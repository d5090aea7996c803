//! The row of a session.

use super::encoding::{Reader, TableId, VERSION, put_date, put_text};
use crate::session::{Session, SessionId, Subject};
use crate::store::embedded::error::EmbeddedStoreError as Error;

/// A session, and its key in the table of sessions by expiry.
pub(in crate::store::embedded) struct SessionRow {
    pub(in crate::store::embedded) session: Session,
    /// The second under which the table by expiry has the session. A rotation does not change it.
    pub(in crate::store::embedded) indexed_expiry: u64,
}

impl SessionRow {
    pub(in crate::store::embedded) fn encode(&self) -> Result<Vec<u8>, Error> {
        let session = &self.session;
        let mut value = Vec::with_capacity(256);
        value.push(VERSION);
        value.extend_from_slice(&self.indexed_expiry.to_be_bytes());
        for number in [
            session.generation,
            session.access_epoch,
            session.counter,
            session.data_version,
            session.actor_generation,
        ] {
            value.extend_from_slice(&number.to_be_bytes());
        }
        for date in [
            session.authenticated_at,
            session.created_at,
            session.rotated_at,
            session.idle_expires_at,
            session.expires_at,
            session.access_expires_at,
        ] {
            put_date(&mut value, date);
        }
        value.push(u8::from(session.was_elevated));
        value.push(u8::from(session.persistent));
        value.push(u8::from(session.access_is_bound));
        put_text(&mut value, session.issuer.as_deref())?;
        put_text(&mut value, Some(&session.subject))?;
        for text in [
            &session.label,
            &session.client_id,
            &session.key_thumbprint,
            &session.acr,
            &session.actor,
            &session.data_json,
        ] {
            put_text(&mut value, text.as_deref())?;
        }
        TableId::Session.append_checksum(&session.sid.to_bytes(), &mut value);
        Ok(value)
    }

    pub(in crate::store::embedded) fn decode(sid: SessionId, value: &[u8]) -> Result<Self, Error> {
        let value = TableId::Session.verify_checksum(&sid.to_bytes(), value)?;
        let read = |reader: &mut Reader<'_>| {
            reader.version()?;
            let indexed_expiry = reader.number()?;
            let generation = reader.number()?;
            let (access_epoch, counter) = (reader.number()?, reader.number()?);
            let (data_version, actor_generation) = (reader.number()?, reader.number()?);
            let (authenticated_at, created_at) = (reader.date()?, reader.date()?);
            let mut session = Session::new(sid, &Subject::new(None, ""), generation, created_at);
            session.access_epoch = access_epoch;
            session.counter = counter;
            session.data_version = data_version;
            session.actor_generation = actor_generation;
            session.authenticated_at = authenticated_at;
            session.rotated_at = reader.date()?;
            session.idle_expires_at = reader.date()?;
            session.expires_at = reader.date()?;
            session.access_expires_at = reader.date()?;
            session.was_elevated = reader.flag()?;
            session.persistent = reader.flag()?;
            session.access_is_bound = reader.flag()?;
            session.issuer = reader.text()?.map(str::to_owned);
            session.subject = reader.text()??.to_owned();
            session.label = reader.text()?.map(str::to_owned);
            session.client_id = reader.text()?.map(str::to_owned);
            session.key_thumbprint = reader.text()?.map(str::to_owned);
            session.acr = reader.text()?.map(str::to_owned);
            session.actor = reader.text()?.map(str::to_owned);
            session.data_json = reader.text()?.map(str::to_owned);
            reader.end()?;
            Some(Self {
                session,
                indexed_expiry,
            })
        };
        read(&mut Reader(value)).ok_or(Error::Corrupt)
    }
}
