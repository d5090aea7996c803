//! Sessions in Redis. Each method runs one script.

use ::redis::Value;

use super::error::RedisStoreError;
use super::fingerprint_cipher::EncryptedFingerprint;
use super::node::Node;
use super::reply::{bytes, items, text};
use super::script::Argument;
use super::script_client::ScriptCall;
use super::session_hash::{decode_session, encode_date, encode_session};
use super::store::RedisStore;
use crate::claims::NumericDate;
use crate::session::{
    CreationOutcome, Rotation, RotationOutcome, RotationRejection, Session, SessionId,
    SessionLimit, SessionStore, Subject, SubjectState, UpdateOutcome,
};

impl SessionStore for RedisStore {
    async fn subject(&self, subject: &Subject<'_>) -> Result<SubjectState, RedisStoreError> {
        let node = self.running_node();
        let field = node.local.encrypt_subject(subject);
        let reply = node
            .redis
            .call(&node.redis.scripts.subject_state, &[&field])
            .await?;
        match items(&reply) {
            Some([generation, access_epoch, blocked]) => {
                let number = |value| {
                    let number = bytes(value).and_then(text);
                    let number = number.and_then(|text| text.parse().ok());
                    number.ok_or(RedisStoreError::Reply)
                };
                let is_blocked = *blocked == Value::Int(1);
                let mut state = SubjectState::new(number(generation)?, is_blocked);
                state.access_epoch = number(access_epoch)?;
                Ok(state)
            }
            _ => Err(RedisStoreError::Reply),
        }
    }

    async fn create(
        &self,
        session: &Session,
        limit: Option<SessionLimit>,
    ) -> Result<CreationOutcome, RedisStoreError> {
        let node = self.running_node();
        let issuer = session.issuer.as_deref();
        let member =
            node.local
                .encrypt_session(issuer, &session.sid.to_string(), NumericDate::MAX)?;
        let arguments = creation_arguments(node, session, limit, &member);
        let arguments: Vec<&[u8]> = arguments.iter().map(|argument| &**argument).collect();
        let mut write = node.begin_write(false)?;
        let script = &node.redis.scripts.create_session;
        let reply = node.call_for(&write, script, &arguments, false).await?;
        let Some([outcome, rest @ ..]) = items(&reply) else {
            return Err(RedisStoreError::Reply);
        };
        let ended = match bytes(outcome) {
            Some(b"created") => match rest {
                [] => Vec::new(),
                [ended, _] => decode_ended(ended).ok_or(RedisStoreError::Reply)?,
                _ => return Err(RedisStoreError::Reply),
            },
            Some(b"limit reached") => return Ok(CreationOutcome::LimitReached),
            Some(b"blocked") => return Ok(CreationOutcome::Blocked),
            Some(b"logged out") => return Ok(CreationOutcome::LoggedOut),
            Some(b"outdated") => return Ok(CreationOutcome::Outdated),
            _ => return Err(RedisStoreError::Reply),
        };
        for (sid, until) in &ended {
            let sid = sid.to_string();
            let member = node.local.encrypt_session(issuer, &sid, NumericDate::MAX)?;
            node.local.apply_revocation(&member, *until)?;
        }
        if let [_, tag] = rest {
            write.acknowledge(bytes(tag).ok_or(RedisStoreError::Reply)?);
        }
        node.redis.wait_for_replicas(&reply).await?;
        let ended = ended.into_iter().map(|(sid, _)| sid).collect();
        Ok(CreationOutcome::Created(ended))
    }

    async fn find(&self, sid: SessionId) -> Result<Option<Session>, RedisStoreError> {
        let node = self.running_node();
        let name = sid.to_string();
        let script = &node.redis.scripts.find_session;
        let found = node.redis.call(script, &[name.as_bytes()]).await?;
        match items(&found) {
            Some([]) => Ok(None),
            _ => decode_session(sid, &found)
                .map(Some)
                .ok_or(RedisStoreError::Reply),
        }
    }

    async fn rotate(
        &self,
        sid: SessionId,
        rotation: &Rotation,
    ) -> Result<RotationOutcome, RedisStoreError> {
        let node = self.running_node();
        let name = sid.to_string();
        let grace = u64::try_from(rotation.grace.as_nanos()).unwrap_or(u64::MAX);
        let arguments = [
            Argument::from(name.as_str()),
            rotation.counter.into(),
            grace.into(),
            encode_date(rotation.idle_expires_at),
            encode_date(rotation.access_expires_at),
            encode_date(rotation.now),
            rotation.access_epoch.into(),
            rotation.data_version.into(),
            rotation.elevation.as_deref().unwrap_or_default().into(),
        ];
        let arguments = arguments.each_ref().map(|argument| &**argument);
        let now = rotation.now.since_epoch().as_millis();
        let mut write = node.begin_write(false)?;
        let script = &node.redis.scripts.rotate_session;
        let call = ScriptCall {
            now: u64::try_from(now).unwrap_or(u64::MAX),
            ..node.redis.prepare(script, &write.nonce, &arguments)
        };
        let reply = node.redis.call_and_retry(&call).await?;
        let Some([outcome, rest @ ..]) = items(&reply) else {
            return Err(RedisStoreError::Reply);
        };
        let session = || {
            let fields = rest.first().ok_or(RedisStoreError::Reply)?;
            decode_session(sid, fields).ok_or(RedisStoreError::Reply)
        };
        // This does not wait for replicas. A lost rotation is recovered. A rotation that failed
        // here would look like reuse when the client retries it after the grace.
        Ok(match bytes(outcome) {
            Some(b"renewed") => RotationOutcome::Rotated(session()?),
            Some(b"repeated") => RotationOutcome::WithinGrace(session()?),
            Some(b"recovered") => RotationOutcome::LostWrites(session()?),
            Some(b"replayed") => {
                let session = session()?;
                let (issuer, until) = (session.issuer.as_deref(), session.access_expires_at);
                let member = node.local.encrypt_session(issuer, &name, until)?;
                match node
                    .apply_revocation_reply(&mut write, &member, &reply)
                    .await
                {
                    // The caller must know of the reuse, even if too few replicas have it.
                    Ok(()) | Err(RedisStoreError::Unreplicated) => {}
                    Err(error) => return Err(error),
                }
                return Ok(RotationOutcome::ReuseDetected(session));
            }
            Some(b"outdated") => RotationOutcome::Outdated,
            Some(b"ended") => RotationOutcome::Rejected(RotationRejection::Ended),
            Some(b"elevated") => RotationOutcome::Rejected(RotationRejection::Elevated),
            Some(b"expired") => RotationOutcome::Rejected(RotationRejection::Expired),
            Some(b"blocked") => RotationOutcome::Rejected(RotationRejection::Blocked),
            Some(b"logged out") => RotationOutcome::Rejected(RotationRejection::LoggedOut),
            _ => return Err(RedisStoreError::Reply),
        })
    }

    async fn update(
        &self,
        sid: SessionId,
        data_version: u64,
        data_json: Option<&str>,
    ) -> Result<UpdateOutcome, RedisStoreError> {
        let node = self.running_node();
        let (name, version) = (sid.to_string(), Argument::from(data_version));
        let data = data_json.unwrap_or_default();
        let script = &node.redis.scripts.update_session;
        let arguments: [&[u8]; 3] = [name.as_bytes(), &version, data.as_bytes()];
        let reply = node.redis.call(script, &arguments).await?;
        match bytes(&reply) {
            Some(b"updated") => {
                node.redis.wait_for_replicas(&reply).await?;
                Ok(UpdateOutcome::Updated)
            }
            Some(b"outdated") => Ok(UpdateOutcome::Outdated),
            Some(b"ended") => Ok(UpdateOutcome::Ended),
            _ => Err(RedisStoreError::Reply),
        }
    }

    async fn end(
        &self,
        sid: SessionId,
        issuer: Option<&str>,
        revoke_until: NumericDate,
    ) -> Result<Option<Session>, RedisStoreError> {
        let node = self.running_node();
        let name = sid.to_string();
        let member = node.local.encrypt_session(issuer, &name, revoke_until)?;
        let until = Argument::from(revoke_until.seconds_up());
        let mut write = node.begin_write(false)?;
        let script = &node.redis.scripts.end_session;
        let arguments: [&[u8]; 3] = [name.as_bytes(), &member, &until];
        let reply = node.call_for(&write, script, &arguments, false).await?;
        match items(&reply) {
            Some([fields, _, _]) => {
                node.apply_revocation_reply(&mut write, &member, &reply)
                    .await?;
                match items(fields) {
                    Some([]) => Ok(None),
                    _ => decode_session(sid, fields)
                        .map(Some)
                        .ok_or(RedisStoreError::Reply),
                }
            }
            // The session of another issuer.
            Some([]) => Ok(None),
            _ => Err(RedisStoreError::Reply),
        }
    }

    async fn end_others(
        &self,
        sid: SessionId,
        issuer: Option<&str>,
    ) -> Result<Option<Session>, RedisStoreError> {
        let node = self.running_node();
        let name = sid.to_string();
        let member = node
            .local
            .encrypt_session(issuer, &name, NumericDate::MAX)?;
        let longest = Argument::from(node.local.longest_lifetime().as_secs());
        let arguments: [&[u8]; 3] = [name.as_bytes(), &member, &longest];
        let mut write = node.begin_write(false)?;
        let script = &node.redis.scripts.end_others;
        let reply = node.call_for(&write, script, &arguments, false).await?;
        let (field, fields) = match items(&reply) {
            Some([]) => return Ok(None),
            Some([_, _, _, field, fields]) => (field, fields),
            _ => return Err(RedisStoreError::Reply),
        };
        let field = bytes(field).and_then(|field| field.try_into().ok());
        let field = field.ok_or(RedisStoreError::Reply)?;
        node.apply_subject_reply(&mut write, &field, &reply).await?;
        decode_session(sid, fields)
            .map(Some)
            .ok_or(RedisStoreError::Reply)
    }

    async fn raise_generation(&self, subject: &Subject<'_>) -> Result<u64, RedisStoreError> {
        let node = self.running_node();
        let script = &node.redis.scripts.raise_generation;
        let (record, _) = node.change_subject(script, subject).await?;
        Ok(record.access_epoch)
    }

    async fn raise_access_epoch(&self, subject: &Subject<'_>) -> Result<u64, RedisStoreError> {
        let node = self.running_node();
        let script = &node.redis.scripts.raise_access_epoch;
        let (record, _) = node.change_subject(script, subject).await?;
        Ok(record.access_epoch)
    }

    async fn block(&self, subject: &Subject<'_>) -> Result<(), RedisStoreError> {
        let node = self.running_node();
        let script = &node.redis.scripts.block_subject;
        node.change_subject(script, subject).await?;
        Ok(())
    }

    async fn unblock(&self, subject: &Subject<'_>) -> Result<(), RedisStoreError> {
        let node = self.running_node();
        let script = &node.redis.scripts.unblock_subject;
        node.change_subject(script, subject).await?;
        Ok(())
    }

    async fn list(
        &self,
        subject: &Subject<'_>,
        now: NumericDate,
    ) -> Result<Vec<Session>, RedisStoreError> {
        let node = self.running_node();
        let field = node.local.encrypt_subject(subject);
        let script = &node.redis.scripts.list_sessions;
        let reply = node.redis.call(script, &[&field]).await?;
        let mut sessions = Vec::new();
        for found in items(&reply).ok_or(RedisStoreError::Reply)? {
            let pair = items(found).ok_or(RedisStoreError::Reply)?;
            let [sid, fields] = pair else {
                return Err(RedisStoreError::Reply);
            };
            let sid = bytes(sid).and_then(text).and_then(SessionId::parse);
            let sid = sid.ok_or(RedisStoreError::Reply)?;
            sessions.push(decode_session(sid, fields).ok_or(RedisStoreError::Reply)?);
        }
        sessions.retain(|session| !session.has_expired(now));
        Ok(sessions)
    }
}

/// The arguments of `create_session.lua`. `member`: revokes the session.
fn creation_arguments(
    node: &Node,
    session: &Session,
    limit: Option<SessionLimit>,
    member: &EncryptedFingerprint,
) -> Vec<Argument> {
    let max = limit.map(|limit| limit.max_sessions().to_string());
    let action = match limit {
        Some(SessionLimit::RejectLogin(_)) => "reject login",
        _ => "end oldest",
    };
    let field = node.local.encrypt_subject(&session.owner());
    let mut arguments = vec![
        field.as_slice().into(),
        session.sid.to_string().as_str().into(),
        session.generation.into(),
        session.access_epoch.into(),
        encode_date(session.idle_expires_at),
        encode_date(session.expires_at),
        encode_date(session.access_expires_at),
        max.as_deref().unwrap_or_default().into(),
        action.into(),
        encode_date(session.created_at),
        member.as_slice().into(),
    ];
    for (name, value) in encode_session(session, member) {
        arguments.extend([name.into(), value]);
    }
    arguments
}

/// Sessions that the limit ended, and until when they are revoked, in seconds.
fn decode_ended(ended: &Value) -> Option<Vec<(SessionId, u64)>> {
    let words: Vec<_> = text(bytes(ended)?)?.split(' ').collect();
    let pairs = words.chunks(2).map(|pair| match pair {
        [sid, until] => Some((SessionId::parse(sid)?, until.parse().ok()?)),
        _ => None,
    });
    pairs.collect()
}
