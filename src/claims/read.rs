//! Reads the registered claims of a payload.

use serde::de::Error as _;

use super::members::{Allowances, PayloadError, RegisteredMembers};
use super::plain;
use crate::json;

/// The registered claims of a payload, read strictly.
pub(crate) fn read_registered(
    payload: &str,
    allowed: Allowances,
) -> Result<RegisteredMembers<'_>, PayloadError> {
    let mut members = RegisteredMembers::default();
    // What is plain is not deep.
    if plain::read(payload, &mut members).is_some() {
        return Ok(members);
    }
    if !json::is_shallow(payload.as_bytes()) {
        // Its own error says where.
        let error = serde_json::from_str::<serde_json::Value>(payload).err();
        let error = error.unwrap_or_else(|| serde_json::Error::custom("nested too deeply"));
        return Err(PayloadError { claim: None, error });
    }
    RegisteredMembers::read(payload, allowed)
}
