//! Tokens bound to their sender, or issued for another purpose than access.

use serde_json::json;
use tower_jwt_auth::VerifyErrorKind;

use crate::support::{NOW, SECRET, Signer, app, bearer, claims, forge, good, hs256_token, layer};

/// Good claims, with this text for a further member.
fn with_claim(member: &str) -> String {
    hs256_token(format!(r#"{{"sub":"alice","exp":{},{member}}}"#, NOW + 300))
}

const JKT: &str = r#""cnf":{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}"#;
const X5T: &str = r#""cnf":{"x5t#S256":"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}"#;

#[tokio::test]
async fn m02_sender_constrained_tokens_are_no_bearer_tokens() {
    let app = app(layer());
    for member in [
        JKT,
        X5T,
        r#""cnf":{}"#,
        r#""cnf":{"jkt":null}"#,
        r#""cnf":{"":""}"#,
        r#""cnf":{"jwk":{"kty":"oct"}}"#,
        r#""cnf":{"kid":"x"}"#,
        r#""cnf":{"unknown":[[]]}"#,
        r#""\u0063nf":{"jkt":"x"}"#,
        r#""c\u006ef":{"\u006akt":"x"}"#,
    ] {
        let answer = bearer(&app, &with_claim(member)).await;
        answer.refused(VerifyErrorKind::SenderConstrained);
    }
    // Of the wrong type, or repeated: the meaning is unknown.
    for member in [
        r#""cnf":null"#,
        r#""cnf":"jkt""#,
        r#""cnf":[]"#,
        r#""cnf":["jkt"]"#,
        r#""cnf":1"#,
        r#""cnf":false"#,
        r#""cnf":{},"cnf":{}"#,
        r#""cnf":{"jkt":"x"},"\u0063nf":{"jkt":"x"}"#,
    ] {
        let answer = bearer(&app, &with_claim(member)).await;
        answer.refused(VerifyErrorKind::MalformedClaims);
    }
    for member in [
        r#""CNF":{"jkt":"x"}"#,
        r#""x":{"cnf":{"jkt":"x"}}"#,
        r#""jkt":"x""#,
    ] {
        bearer(&app, &with_claim(member)).await.accepted();
    }
}

#[tokio::test]
async fn m02_allowed_by_name() {
    let dpop = app(layer().allow_confirmation("jkt"));
    let tls = app(layer().allow_confirmation("x5t#S256"));
    let both = layer().allow_confirmation("jkt");
    let both = app(both.allow_confirmation("x5t#S256"));
    let refused = VerifyErrorKind::SenderConstrained;

    bearer(&dpop, &with_claim(JKT)).await.accepted();
    bearer(&dpop, &with_claim(X5T)).await.refused(refused);
    bearer(&tls, &with_claim(X5T)).await.accepted();
    bearer(&tls, &with_claim(JKT)).await.refused(refused);
    let two = with_claim(r#""cnf":{"jkt":"x","x5t#S256":"y"}"#);
    bearer(&dpop, &two).await.refused(refused);
    bearer(&tls, &two).await.refused(refused);
    bearer(&both, &two).await.accepted();
    for member in [
        r#""cnf":{}"#,
        r#""cnf":{"JKT":"x"}"#,
        r#""cnf":{"jkt ":"x"}"#,
        r#""cnf":{"jkt":"x","unknown":"y"}"#,
        r#""cnf":{"unknown":"x","jkt":"y"}"#,
        r#""cnf":{"x5t#s256":"x"}"#,
    ] {
        for app in [&dpop, &tls, &both] {
            bearer(app, &with_claim(member)).await.refused(refused);
        }
    }
    for app in [&dpop, &tls, &both] {
        bearer(app, &good()).await.accepted();
        let malformed = with_claim(r#""cnf":null"#);
        let answer = bearer(app, &malformed).await;
        answer.refused(VerifyErrorKind::MalformedClaims);
    }
}

#[tokio::test]
async fn m03_logout_tokens() {
    const EVENT: &str = r#"{"http://schemas.openid.net/event/backchannel-logout":{}}"#;
    let apps = [
        app(layer()),
        app(layer().any_audience().allow_confirmation("jkt")),
    ];
    for app in &apps {
        for member in [
            &*format!(r#""events":{EVENT}"#),
            &format!(r#""\u0065vents":{EVENT}"#),
            &format!(r#""sid":"s","events":{EVENT}"#),
            r#""events":{}"#,
            r#""events":null"#,
            r#""events":[]"#,
            r#""events":"""#,
            r#""events":false"#,
            r#""events":{},"events":{}"#,
        ] {
            let answer = bearer(app, &with_claim(member)).await;
            answer.refused(VerifyErrorKind::LogoutToken);
        }
        for member in [r#""event":{}"#, r#""Events":{}"#, r#""x":{"events":{}}"#] {
            bearer(app, &with_claim(member)).await.accepted();
        }
        let typed = |typ: &str| {
            let header = json!({ "alg": "HS256", "typ": typ }).to_string();
            forge(header, claims(json!({})), &Signer::hmac(SECRET))
        };
        for typ in [
            "logout+jwt",
            "LOGOUT+JWT",
            "application/logout+jwt",
            "secevent+jwt",
        ] {
            let answer = bearer(app, &typed(typ)).await;
            answer.refused(VerifyErrorKind::WrongType);
        }
        bearer(app, &typed("at+jwt")).await.accepted();
    }
}

#[tokio::test]
async fn m03_id_tokens() {
    let id_token = json!({ "aud": "client-7", "nonce": "n", "at_hash": "h", "auth_time": NOW });
    let id_token = hs256_token(claims(id_token));
    let access = |typ: &str| {
        let header = json!({ "alg": "HS256", "typ": typ }).to_string();
        forge(
            header,
            claims(json!({ "aud": "api" })),
            &Signer::hmac(SECRET),
        )
    };
    // Told apart by the audience,
    let by_audience = app(layer().audience("api"));
    let answer = bearer(&by_audience, &id_token).await;
    answer.refused(VerifyErrorKind::WrongAudience);
    bearer(&by_audience, &access("JWT")).await.accepted();
    // also where none is configured,
    let answer = bearer(&app(layer()), &id_token).await;
    answer.refused(VerifyErrorKind::UnexpectedAudience);
    // or by typ.
    let by_type = app(layer().any_audience().typ("at+jwt"));
    let answer = bearer(&by_type, &id_token).await;
    answer.refused(VerifyErrorKind::WrongType);
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt"] {
        bearer(&by_type, &access(typ)).await.accepted();
    }
    let answer = bearer(&by_type, &access("JWT")).await;
    answer.refused(VerifyErrorKind::WrongType);
    let untyped = forge(
        r#"{"alg":"HS256"}"#,
        claims(json!({})),
        &Signer::hmac(SECRET),
    );
    let answer = bearer(&by_type, &untyped).await;
    answer.refused(VerifyErrorKind::WrongType);
}
