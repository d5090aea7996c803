//! The thumbprint of a key (RFC 7638).

use std::fmt;

use super::base64url;

/// The SHA-256 thumbprint of a public key (RFC 7638 §3.1): `jkt` of a token (RFC 9449 §6.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct JwkThumbprint([u8; 32]);

impl JwkThumbprint {
    /// `None` if the digest has another length.
    pub(crate) fn of_digest(digest: &[u8]) -> Option<Self> {
        digest.try_into().ok().map(Self)
    }

    /// Reads the one spelling in base64url.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        base64url::decode_sha256(text).map(Self)
    }

    /// The digest in base64url.
    pub(crate) fn to_text(self) -> String {
        base64url::encode(&self.0)
    }
}

/// Shows nothing: a thumbprint is a claim's value.
impl fmt::Debug for JwkThumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JwkThumbprint(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbprint_has_one_spelling() {
        let text = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
        assert_eq!(JwkThumbprint::parse(text).unwrap().to_text(), text);
        for other in [
            "",
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9X",
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xt",
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs=",
            "NzbLsXh8uDCcd+6MNwXF4W/7noWXFZAfHkxZsRGC9Xs",
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9XsA",
        ] {
            assert!(JwkThumbprint::parse(other).is_none(), "{other}");
        }
    }
}
