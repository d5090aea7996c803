//! The trust in an issuer that is asked about opaque tokens.

use std::fmt;
use std::sync::Arc;

use super::rules::IssuerRules;
use super::token::VerifiedHeader;
use crate::introspection::Introspection;
use crate::token::base64url;

/// An issuer that is asked about opaque tokens.
#[derive(Clone)]
pub(super) struct OpaqueTrust {
    pub(super) introspection: Introspection,
    /// Opaque tokens have no header: all share this one.
    pub(super) header: Arc<VerifiedHeader>,
    /// The rules for its tokens, unless keys of the issuer are trusted too.
    pub(super) rules: IssuerRules,
}

impl OpaqueTrust {
    pub(super) fn new(introspection: Introspection) -> Self {
        Self {
            introspection,
            header: Arc::new(VerifiedHeader::none()),
            rules: IssuerRules::default(),
        }
    }

    pub(super) fn issuer(&self) -> &str {
        self.introspection.issuer()
    }
}

/// Whether a token is three segments of base64. The issuer is asked about any other token.
///
/// A JWT with wrong padding, in the other alphabet of base64, with dots at its end, or without its
/// signature, is still a JWT. An issuer may ignore such a fault, and must not answer for a JWT that
/// the keys reject.
pub(super) fn has_jwt_shape(token: &[u8]) -> bool {
    let is_digit = |byte: &u8| base64url::is_digit(*byte) || matches!(byte, b'+' | b'/');
    let bare = without(token, |byte| matches!(byte, b'.' | b'='));
    let has_final_dot = token
        .get(bare.len()..)
        .is_some_and(|end| end.contains(&b'.'));
    let mut segments = bare
        .split(|byte| *byte == b'.')
        .map(|segment| without(segment, |byte| byte == b'='));
    match [(); 4].map(|()| segments.next()) {
        [Some(header), Some(payload), signature, None] => {
            let is_whole = signature.is_some() || has_final_dot;
            let are_there = !header.is_empty() && !payload.is_empty();
            let signature = signature.unwrap_or_default();
            let mut bytes = header.iter().chain(payload).chain(signature);
            is_whole && are_there && bytes.all(is_digit)
        }
        _ => false,
    }
}

/// The segment without such bytes at its end.
fn without(mut segment: &[u8], is_dropped: impl Fn(u8) -> bool) -> &[u8] {
    while let [rest @ .., last] = segment
        && is_dropped(*last)
    {
        segment = rest;
    }
    segment
}

impl fmt::Debug for OpaqueTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.introspection.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_of_a_jwt() {
        for token in [
            "a.b.c",
            "eyJ-_.AA.Zz09",
            "QQ==.QUI=.QUJD",
            "a.b.",
            "a.b.c=",
            "a=.b==.c===",
            "a.b.c.",
            "a.b.c..",
            "a.b.c=.=",
            "a.b..",
            "a/b.c.d",
            "a+.b.c",
        ] {
            assert!(has_jwt_shape(token.as_bytes()), "{token}");
        }
        for token in [
            "",
            "a",
            "a.b",
            ".b.c",
            "a..c",
            "a.b.c.d",
            "a.b.c.d.e",
            "a.b~.c",
            "a b.c.d",
            "a.",
            "a..",
            ".b.c.",
            "a..c.",
            "...",
            "=.a.b",
            "a=b.c.d",
        ] {
            assert!(!has_jwt_shape(token.as_bytes()), "{token}");
        }
    }
}
