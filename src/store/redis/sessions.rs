//! Sessions in Redis: each method one script.

use std::time::Duration;

use ::redis::Value;
use tokio::time::timeout;

use super::RedisStore;
use super::error::RedisStoreError;
use super::own::Ticket;
use super::sealed::Sealed;
use super::shared::{Answer, Argument, Shared, bytes, items, text};
use crate::claims::NumericDate;
use crate::revocation::Revocation;
use crate::session::{
    Created, Refusal, Rotated, Rotation, Session, SessionId, SessionStore, Subject, SubjectState,
};

/// 12 digits of seconds, and 9 of nanoseconds.
fn digits(date: NumericDate) -> Argument {
    let date = date.since_epoch();
    format!("{:012}{:09}", date.as_secs(), date.subsec_nanos())
        .as_str()
        .into()
}

fn date(digits: &[u8]) -> Option<NumericDate> {
    let (seconds, nanoseconds) = text(digits)?.split_at_checked(12)?;
    let date = Duration::new(seconds.parse().ok()?, nanoseconds.parse().ok()?);
    NumericDate::from_since_epoch(date)
}

/// A session of the members that a script answers.
fn session(sid: SessionId, members: &Value) -> Option<Session> {
    let members = items(members)?;
    let member = |name: &[u8]| {
        let mut pairs = members.chunks_exact(2);
        pairs.find_map(|pair| match pair {
            [found, value] if bytes(found) == Some(name) => bytes(value),
            _ => None,
        })
    };
    let string = |name| member(name).and_then(text).map(str::to_owned);
    let number = |name| text(member(name)?)?.parse().ok();
    let date = |name| date(member(name)?);
    let issuer = string(b"i");
    let subject = Subject::new(issuer.as_deref(), text(member(b"n")?)?);
    let mut session = Session::new(sid, &subject, number(b"g")?, date(b"a")?);
    session.counter = number(b"k")?;
    session.label = string(b"l");
    session.rotated_at = date(b"r")?;
    session.idle_expires_at = date(b"d")?;
    session.expires_at = date(b"e")?;
    session.access_expires_at = date(b"x")?;
    Some(session)
}

impl Shared {
    /// Takes in a revocation, of which a script has answered, last, the entry's tag, and until when
    /// it counts.
    pub(super) async fn revoked(
        &self,
        ticket: &mut Ticket<'_>,
        member: &[u8],
        answer: &Answer,
    ) -> Result<(), RedisStoreError> {
        let Some([.., tag, until]) = items(answer) else {
            return Err(RedisStoreError::Reply);
        };
        let until = bytes(until)
            .and_then(text)
            .and_then(|text| text.parse().ok());
        self.learn(member, until.ok_or(RedisStoreError::Reply)?)?;
        ticket.acknowledge(bytes(tag).ok_or(RedisStoreError::Reply)?);
        self.replicated(answer).await
    }

    /// The member of a session.
    fn session_member(
        &self,
        issuer: Option<&str>,
        sid: &str,
        until: NumericDate,
    ) -> Result<Sealed, RedisStoreError> {
        let member = self.member(&Revocation::Session { issuer, sid, until });
        member.ok_or(RedisStoreError::Reply)
    }

    /// Waits until this node has read what that call wrote, or knows nothing any more.
    async fn have_read(&self, ticket: &Ticket<'_>) -> Result<(), RedisStoreError> {
        let mut place = self.place.subscribe();
        let read = timeout(self.patience, async {
            while ticket.read().is_none() {
                // The sender lives as long as `self`.
                let _ = place.changed().await;
            }
        });
        match read.await {
            Err(_) if self.health.is_fresh() => Err(RedisStoreError::Timeout),
            _ => Ok(()),
        }
    }
}

impl SessionStore for RedisStore {
    async fn subject(&self, subject: &Subject<'_>) -> Result<SubjectState, RedisStoreError> {
        let shared = self.shared();
        let field = shared.field(subject);
        let answer = shared.call(&shared.scripts.subject, &[&field]).await?;
        match items(&answer) {
            Some([generation, blocked]) => {
                let generation = bytes(generation).and_then(text);
                let generation = generation.and_then(|text| text.parse().ok());
                let generation = generation.ok_or(RedisStoreError::Reply)?;
                Ok(SubjectState::new(generation, *blocked == Value::Int(1)))
            }
            _ => Err(RedisStoreError::Reply),
        }
    }

    async fn create(&self, session: &Session) -> Result<Created, RedisStoreError> {
        let shared = self.shared();
        let field = shared.field(&session.whose());
        let sid = session.sid.to_string();
        let (issuer, until) = (session.issuer.as_deref(), session.access_expires_at);
        let member = shared.session_member(issuer, &sid, until)?;
        let mut members: Vec<(&str, Argument)> = vec![
            ("n", session.subject.as_str().into()),
            ("g", session.generation.into()),
            ("k", session.counter.into()),
            ("a", digits(session.created_at)),
            ("r", digits(session.rotated_at)),
            ("d", digits(session.idle_expires_at)),
            ("e", digits(session.expires_at)),
            ("x", digits(session.access_expires_at)),
            ("m", member.as_slice().into()),
        ];
        if let Some(issuer) = &session.issuer {
            members.push(("i", issuer.as_str().into()));
        }
        if let Some(label) = &session.label {
            members.push(("l", label.as_str().into()));
        }
        let generation = Argument::from(session.generation);
        let ends = [
            session.idle_expires_at,
            session.expires_at,
            session.access_expires_at,
        ]
        .map(digits);
        let mut arguments: Vec<&[u8]> = vec![&field, sid.as_bytes(), &generation];
        arguments.extend(ends.iter().map(|end| &**end));
        for (name, value) in &members {
            arguments.extend([name.as_bytes(), value]);
        }
        let answer = shared.call(&shared.scripts.create, &arguments).await?;
        match bytes(&answer) {
            Some(b"kept") => {
                shared.replicated(&answer).await?;
                Ok(Created::Kept)
            }
            Some(b"blocked") => Ok(Created::Blocked),
            Some(b"logged out") => Ok(Created::LoggedOut),
            _ => Err(RedisStoreError::Reply),
        }
    }

    async fn find(&self, sid: SessionId) -> Result<Option<Session>, RedisStoreError> {
        let shared = self.shared();
        let name = sid.to_string();
        let found = shared
            .call(&shared.scripts.find, &[name.as_bytes()])
            .await?;
        match items(&found) {
            Some([]) => Ok(None),
            _ => session(sid, &found).map(Some).ok_or(RedisStoreError::Reply),
        }
    }

    async fn rotate(
        &self,
        sid: SessionId,
        rotation: &Rotation,
    ) -> Result<Rotated, RedisStoreError> {
        let shared = self.shared();
        let name = sid.to_string();
        let grace = u64::try_from(rotation.grace.as_nanos()).unwrap_or(u64::MAX);
        let arguments = [
            Argument::from(name.as_str()),
            rotation.counter.into(),
            grace.into(),
            digits(rotation.idle_expires_at),
            digits(rotation.access_expires_at),
            digits(rotation.now),
        ];
        let arguments = arguments.each_ref().map(|argument| &**argument);
        let now = rotation.now.since_epoch().as_millis();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        let script = &shared.scripts.rotate;
        let mut ticket = shared.ticket(false)?;
        let answer = shared.call_twice(&ticket.nonce, script, now, false, &arguments);
        let answer = answer.await?;
        let Some([what, rest @ ..]) = items(&answer) else {
            return Err(RedisStoreError::Reply);
        };
        let now = || {
            let members = rest.first().ok_or(RedisStoreError::Reply)?;
            session(sid, members).ok_or(RedisStoreError::Reply)
        };
        // No replica is waited for: a renewal that is lost is recovered, and one that failed here would count as theft when it is tried
        // again after the grace.
        Ok(match bytes(what) {
            Some(b"renewed") => Rotated::Renewed(now()?),
            Some(b"repeated") => Rotated::Repeated(now()?),
            Some(b"recovered") => Rotated::Recovered(now()?),
            Some(b"replayed") => {
                let session = now()?;
                let (issuer, until) = (session.issuer.as_deref(), session.access_expires_at);
                let member = shared.session_member(issuer, &name, until)?;
                match shared.revoked(&mut ticket, &member, &answer).await {
                    // A theft must be told, whoever has not heard of it yet.
                    Ok(()) | Err(RedisStoreError::Unreplicated) => {}
                    Err(error) => return Err(error),
                }
                return Ok(Rotated::Replayed(session));
            }
            Some(b"ended") => Rotated::Refused(Refusal::Ended),
            Some(b"expired") => Rotated::Refused(Refusal::Expired),
            Some(b"blocked") => Rotated::Refused(Refusal::Blocked),
            Some(b"logged out") => Rotated::Refused(Refusal::LoggedOut),
            _ => return Err(RedisStoreError::Reply),
        })
    }

    async fn end(
        &self,
        sid: SessionId,
        issuer: Option<&str>,
        revoke_until: NumericDate,
    ) -> Result<Option<Session>, RedisStoreError> {
        let shared = self.shared();
        let name = sid.to_string();
        let member = shared.session_member(issuer, &name, revoke_until)?;
        let until = Argument::from(revoke_until.seconds_up());
        let mut ticket = shared.ticket(true)?;
        let script = &shared.scripts.end;
        let arguments: [&[u8]; 3] = [name.as_bytes(), &member, &until];
        let answer = shared.call_for(&ticket, script, &arguments).await?;
        match items(&answer) {
            Some([members, _, _]) => {
                shared.revoked(&mut ticket, &member, &answer).await?;
                match items(members) {
                    Some([]) => Ok(None),
                    _ => session(sid, members)
                        .map(Some)
                        .ok_or(RedisStoreError::Reply),
                }
            }
            // Another node has ended it, and this one may not have read of that yet.
            Some([_, tag]) => {
                ticket.acknowledge(bytes(tag).ok_or(RedisStoreError::Reply)?);
                shared.have_read(&ticket).await?;
                // The end may have failed for want of replicas, and this be another try.
                shared.replicated(&answer).await?;
                Ok(None)
            }
            _ => Err(RedisStoreError::Reply),
        }
    }

    async fn raise_generation(&self, subject: &Subject<'_>) -> Result<u64, RedisStoreError> {
        let shared = self.shared();
        let (record, _) = shared.change(&shared.scripts.raise, subject).await?;
        Ok(record.generation)
    }

    async fn block(&self, subject: &Subject<'_>) -> Result<(), RedisStoreError> {
        let shared = self.shared();
        shared.change(&shared.scripts.block, subject).await?;
        Ok(())
    }

    async fn unblock(&self, subject: &Subject<'_>) -> Result<(), RedisStoreError> {
        let shared = self.shared();
        shared.change(&shared.scripts.unblock, subject).await?;
        Ok(())
    }

    async fn list(
        &self,
        subject: &Subject<'_>,
        now: NumericDate,
    ) -> Result<Vec<Session>, RedisStoreError> {
        let shared = self.shared();
        let field = shared.field(subject);
        let answer = shared.call(&shared.scripts.list, &[&field]).await?;
        let mut sessions = Vec::new();
        for found in items(&answer).ok_or(RedisStoreError::Reply)? {
            let pair = items(found).ok_or(RedisStoreError::Reply)?;
            let [sid, members] = pair else {
                return Err(RedisStoreError::Reply);
            };
            let sid = bytes(sid).and_then(text).and_then(SessionId::parse);
            let sid = sid.ok_or(RedisStoreError::Reply)?;
            sessions.push(session(sid, members).ok_or(RedisStoreError::Reply)?);
        }
        sessions.retain(|session| !session.has_expired(now));
        Ok(sessions)
    }
}
