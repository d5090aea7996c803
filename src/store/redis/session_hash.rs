//! A session as a hash in Redis.
//!
//! | field | contents |
//! | --- | --- |
//! | `n`, `i`, `l` | subject, issuer and label |
//! | `c` | `client_id` |
//! | `h`, `hb` | thumbprint of the client's key, and `1` if the access tokens are bound to it |
//! | `b`, `f` | `acr`, and `1` if the last rotation was an elevation |
//! | `s`, `y` | actor, and its generation |
//! | `z` | `1` if the cookies have `Max-Age` |
//! | `g`, `p` | generation, and access epoch |
//! | `k` | counter of the refresh token |
//! | `j`, `v` | the application's data, empty for none, and their version |
//! | `w` | when the user was authenticated |
//! | `a`, `r` | when the session began, and when it was last rotated |
//! | `d`, `e` | when it expires if idle, and at the latest |
//! | `x` | `exp` of the last access token |
//! | `m` | the member that revokes the session |
//!
//! The scripts add fields of their own: see `create_session.lua`, `rotate_session.lua` and
//! `update_session.lua`.

use std::time::Duration;

use ::redis::Value;

use super::fingerprint_cipher::EncryptedFingerprint;
use super::reply::{bytes, items, text};
use super::script::Argument;
use crate::claims::NumericDate;
use crate::session::{Session, SessionId, Subject};

pub(super) fn encode_session(
    session: &Session,
    member: &EncryptedFingerprint,
) -> Vec<(&'static str, Argument)> {
    let mut fields: Vec<(&str, Argument)> = vec![
        ("n", session.subject.as_str().into()),
        ("g", session.generation.into()),
        ("p", session.access_epoch.into()),
        ("k", session.counter.into()),
        ("j", session.data_json.as_deref().unwrap_or_default().into()),
        ("v", session.data_version.into()),
        ("w", encode_date(session.authenticated_at)),
        ("a", encode_date(session.created_at)),
        ("r", encode_date(session.rotated_at)),
        ("d", encode_date(session.idle_expires_at)),
        ("e", encode_date(session.expires_at)),
        ("x", encode_date(session.access_expires_at)),
        ("y", session.actor_generation.into()),
        ("f", encode_flag(session.was_elevated)),
        ("z", encode_flag(session.persistent)),
        ("hb", encode_flag(session.access_is_bound)),
        ("m", member.as_slice().into()),
    ];
    let optional = [
        ("i", &session.issuer),
        ("l", &session.label),
        ("c", &session.client_id),
        ("h", &session.key_thumbprint),
        ("b", &session.acr),
        ("s", &session.actor),
    ];
    let present = optional
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?.into())));
    fields.extend(present);
    fields
}

/// Reads a session from the names and values of its fields.
pub(super) fn decode_session(sid: SessionId, fields: &Value) -> Option<Session> {
    let fields = items(fields)?;
    let field = |name: &[u8]| {
        let mut pairs = fields.chunks_exact(2);
        pairs.find_map(|pair| match pair {
            [found, value] if bytes(found) == Some(name) => bytes(value),
            _ => None,
        })
    };
    let string = |name| field(name).and_then(text).map(str::to_owned);
    let number = |name| text(field(name)?)?.parse().ok();
    let date = |name| decode_date(field(name)?);
    let issuer = string(b"i");
    let subject = Subject::new(issuer.as_deref(), text(field(b"n")?)?);
    let mut session = Session::new(sid, &subject, number(b"g")?, date(b"a")?);
    session.counter = number(b"k")?;
    session.access_epoch = number(b"p")?;
    session.label = string(b"l");
    session.client_id = string(b"c");
    session.key_thumbprint = string(b"h");
    session.acr = string(b"b");
    session.actor = string(b"s");
    session.actor_generation = number(b"y")?;
    session.was_elevated = field(b"f")? == b"1";
    session.persistent = field(b"z")? == b"1";
    session.access_is_bound = field(b"hb")? == b"1";
    // No JSON is empty.
    session.data_json = string(b"j").filter(|json| !json.is_empty());
    session.data_version = number(b"v")?;
    session.authenticated_at = date(b"w")?;
    session.rotated_at = date(b"r")?;
    session.idle_expires_at = date(b"d")?;
    session.expires_at = date(b"e")?;
    session.access_expires_at = date(b"x")?;
    Some(session)
}

fn encode_flag(flag: bool) -> Argument {
    (if flag { "1" } else { "" }).into()
}

/// 12 digits of seconds and 9 of nanoseconds: compared as text, dates have the right order.
pub(super) fn encode_date(date: NumericDate) -> Argument {
    let date = date.since_epoch();
    format!("{:012}{:09}", date.as_secs(), date.subsec_nanos())
        .as_str()
        .into()
}

fn decode_date(digits: &[u8]) -> Option<NumericDate> {
    let (seconds, nanoseconds) = text(digits)?.split_at_checked(12)?;
    let date = Duration::new(seconds.parse().ok()?, nanoseconds.parse().ok()?);
    NumericDate::from_since_epoch(date)
}
