//! The row of a revocation that expires.

use super::encoding::{Reader, TableId, VERSION, put_date, put_text};
use crate::revocation::Revocation;
use crate::store::embedded::change::{Change, QualifiedName};
use crate::store::embedded::error::EmbeddedStoreError as Error;

// Which kind of revocation a key belongs to.
const TOKEN: u8 = 1;
const SESSION: u8 = 2;
const CUTOFF: u8 = 3;

/// A key and its value.
pub(in crate::store::embedded) type RevocationRow = (Vec<u8>, Vec<u8>);

/// Encodes a change. `None`: it belongs to the row of a subject.
pub(in crate::store::embedded) fn encode_revocation(
    change: &Change,
) -> Result<Option<RevocationRow>, Error> {
    let (kind, QualifiedName { issuer, name }, until) = match change {
        Change::Token { name, until } => (TOKEN, name, until),
        Change::Session { name, until } => (SESSION, name, until),
        Change::Cutoff { name, until, .. } => (CUTOFF, name, until),
        Change::Generation { .. } | Change::Block { .. } | Change::Unblock { .. } => {
            return Ok(None);
        }
    };
    // To the nanosecond: the set finds a token by its exact `exp`.
    let mut value = vec![VERSION];
    put_date(&mut value, *until);
    if let Change::Cutoff { at, .. } = change {
        put_date(&mut value, *at);
    }
    let mut key = Vec::with_capacity(64);
    key.extend_from_slice(&until.seconds_up().to_be_bytes());
    key.push(kind);
    put_text(&mut key, issuer.as_deref())?;
    put_text(&mut key, Some(name))?;
    TableId::Revocation.append_checksum(&key, &mut value);
    Ok(Some((key, value)))
}

/// Verifies the checksum of a row, and decodes the row.
pub(in crate::store::embedded) fn decode_revocation<'a>(
    key: &'a [u8],
    value: &[u8],
) -> Result<Revocation<'a>, Error> {
    let value = TableId::Revocation.verify_checksum(key, value)?;
    read(key, value).ok_or(Error::Corrupt)
}

fn read<'a>(key: &'a [u8], value: &[u8]) -> Option<Revocation<'a>> {
    let mut key = Reader(key);
    key.number()?;
    let kind = key.byte()?;
    let (issuer, name) = (key.text()?, key.text()??);
    key.end()?;
    let mut value = Reader(value);
    value.version()?;
    let until = value.date()?;
    let revocation = match kind {
        TOKEN => Revocation::Token {
            issuer,
            jti: name,
            expires_at: until,
        },
        SESSION => Revocation::Session {
            issuer,
            sid: name,
            until,
        },
        CUTOFF => Revocation::Cutoff {
            issuer,
            subject: name,
            issued_at: value.date()?,
            until,
        },
        _ => return None,
    };
    value.end()?;
    Some(revocation)
}
