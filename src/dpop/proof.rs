//! The claims of a proof.

use std::borrow::Cow;

use serde::Deserialize;

use super::error::DpopErrorKind;
use crate::claims::NumericDate;

/// The claims with a meaning (RFC 9449 §4.2). Others are ignored.
#[derive(Deserialize)]
pub(super) struct ProofClaims<'a> {
    #[serde(borrow)]
    pub(super) htm: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) htu: Cow<'a, str>,
    pub(super) iat: NumericDate,
    #[serde(borrow)]
    pub(super) jti: Cow<'a, str>,
    pub(super) ath: Option<String>,
    pub(super) nonce: Option<String>,
}

impl<'a> ProofClaims<'a> {
    /// Reads a payload. A duplicate of these claims, or one of the wrong type, is an error.
    pub(super) fn read(payload: &'a [u8]) -> Result<Self, DpopErrorKind> {
        // serde_json does not check that the strings it skips are UTF-8.
        let payload = std::str::from_utf8(payload).map_err(|_| DpopErrorKind::Malformed)?;
        // serde would also accept an array of the claims.
        if !payload.trim_ascii_start().starts_with('{') {
            return Err(DpopErrorKind::Malformed);
        }
        serde_json::from_str(payload).map_err(|_| DpopErrorKind::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_come_once_and_have_their_types() {
        let good = r#"{"htm":"GET","htu":"https://a","iat":1,"jti":"x","other":[{}],"other":1}"#;
        let claims = ProofClaims::read(good.as_bytes()).unwrap();
        assert_eq!((&*claims.htm, &*claims.jti), ("GET", "x"));
        assert!(matches!(claims.htu, Cow::Borrowed(_)));
        for bad in [
            "",
            "[]",
            r#"["GET","https://a",1,"x",null,null]"#,
            r#"{"htm":"GET","htu":"https://a","iat":1}"#,
            r#"{"htm":"GET","htu":"https://a","jti":"x"}"#,
            r#"{"htm":"GET","iat":1,"jti":"x"}"#,
            r#"{"htu":"https://a","iat":1,"jti":"x"}"#,
            r#"{"htm":"GET","htm":"GET","htu":"https://a","iat":1,"jti":"x"}"#,
            r#"{"htm":"GET","\u0068tm":"GET","htu":"https://a","iat":1,"jti":"x"}"#,
            r#"{"htm":"GET","htu":"https://a","iat":"1","jti":"x"}"#,
            r#"{"htm":"GET","htu":"https://a","iat":-1,"jti":"x"}"#,
            r#"{"htm":"GET","htu":"https://a","iat":null,"jti":"x"}"#,
            r#"{"htm":"GET","htu":["https://a"],"iat":1,"jti":"x"}"#,
            r#"{"htm":"GET","htu":"https://a","iat":1,"jti":7}"#,
            r#"{"htm":"GET","htu":"https://a","iat":1,"jti":"x","ath":7}"#,
            r#"{"htm":"GET","htu":"https://a","iat":1,"jti":"x"} "x""#,
        ] {
            let error = ProofClaims::read(bad.as_bytes()).err();
            assert_eq!(error, Some(DpopErrorKind::Malformed), "{bad}");
        }
    }
}
