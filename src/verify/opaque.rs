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

/// Whether a token is three segments of base64url. The issuer is asked about any other token.
///
/// A JWT with wrong padding, or without its signature, is still a JWT. An issuer may ignore either
/// fault. So it is never asked about a JWT that the keys reject.
pub(super) fn has_jwt_shape(token: &[u8]) -> bool {
    let mut segments = token.split(|byte| *byte == b'.').map(without_padding);
    let is_base64url = |segment: &[u8]| segment.iter().all(|byte| base64url::is_digit(*byte));
    match [(); 4].map(|()| segments.next()) {
        [Some(header), Some(payload), Some(signature), None] => {
            let are_there = !header.is_empty() && !payload.is_empty();
            are_there && [header, payload, signature].into_iter().all(is_base64url)
        }
        _ => false,
    }
}

fn without_padding(mut segment: &[u8]) -> &[u8] {
    while let [rest @ .., b'='] = segment {
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
            "a/b.c.d",
            "a+.b.c",
            "a b.c.d",
            "=.a.b",
            "a=b.c.d",
        ] {
            assert!(!has_jwt_shape(token.as_bytes()), "{token}");
        }
    }
}
