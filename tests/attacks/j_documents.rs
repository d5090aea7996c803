//! JWK Set documents with odd keys. `tests/remote_keys` has the other attacks of this letter.

use serde_json::json;
use tower_jwt_auth::JwtAuthLayer;
use tower_jwt_auth::keys::{JwksError, KeyError, KeySet, SkipReason, VerifyingKey};

use crate::support::{Signer, app, base64url, bearer, claims, clock, forge, rsa_jwk};

#[tokio::test]
async fn j01_one_odd_key_does_not_spoil_a_document() {
    let odd = [
        r#"{"kty":"EC","x":1e999}"#.to_owned(),
        r#"{"kty":"EC","note":"\ud800"}"#.to_owned(),
        format!(
            r#"{{"kty":"EC","x":{}1{}}}"#,
            "[".repeat(500),
            "]".repeat(500)
        ),
        r#"["oct",null,"HS256"]"#.to_owned(),
        "17".to_owned(),
        "null".to_owned(),
        // The same member twice: which one applies?
        r#"{"kty":"RSA","kty":"oct"}"#.to_owned(),
    ];
    let good = rsa_jwk(json!({ "kid": "good" }));
    for odd in odd {
        for document in [
            format!(r#"{{"keys":[{good},{odd}]}}"#),
            format!(r#"{{ "x": [{{}}], "keys" : [ {odd} , {good} ] , "y": "" }}"#),
        ] {
            let jwks = KeySet::from_jwks(&document).unwrap();
            assert_eq!(jwks.keys.len(), 1, "{document}");
            assert_eq!(jwks.skipped.len(), 1);
            assert!(matches!(jwks.skipped[0].reason, SkipReason::Key(_)));
            let app = app(JwtAuthLayer::new(jwks.keys).clock(clock()));
            let header = r#"{"alg":"RS256","kid":"good"}"#;
            let token = forge(header, claims(json!({})), &Signer::rs256());
            bearer(&app, &token).await.accepted();
        }
    }
}

#[test]
fn j01_a_document_or_key_is_an_object() {
    let key = rsa_jwk(json!({}));
    for document in [
        format!("[[{key}]]"),
        format!("[{key}]"),
        key.clone(),
        format!(r#"{{"keys":{key}}}"#),
    ] {
        assert_eq!(
            KeySet::from_jwks(&document).unwrap_err(),
            JwksError::NotJwks,
            "{document}"
        );
    }
    let k = base64url([7; 32]);
    let members = format!(
        r#"["oct",null,"HS256",null,null,null,"{k}",null,null,null,null,null,null,null,null,null,null]"#
    );
    assert_eq!(
        VerifyingKey::from_jwk(members).unwrap_err(),
        KeyError::Unreadable
    );
}
