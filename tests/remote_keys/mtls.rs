//! Tokens that are bound to a certificate (RFC 8705), whose issuer's keys must be fetched.

use aws_lc_rs::digest::{SHA256, digest};
use tower_jwt_auth::mtls::{ClientCertificate, Mtls};

use super::*;

#[tokio::test]
async fn t22_a_bound_token_whose_key_is_fetched_needs_its_certificate() {
    let key = key("1");
    let issuer = Issuer::start().await;
    issuer.publish([&key]);
    let thumbprint = base64_simd::URL_SAFE_NO_PAD.encode_to_string(digest(&SHA256, b"own"));
    let claims = json!({
        "iss": issuer.name(), "aud": "api", "sub": "me", "exp": NOW + 100_000,
        "cnf": { "x5t#S256": thumbprint },
    });
    let token = key.sign(&claims).unwrap();
    for (is_checked, certificate, kind) in [
        (false, Some("own"), Some(VerifyErrorKind::SenderConstrained)),
        (true, None, Some(VerifyErrorKind::MissingCertificate)),
        (true, Some("other"), Some(VerifyErrorKind::WrongCertificate)),
        (true, Some("own"), None),
    ] {
        // Each time with new keys, so that the first request fetches.
        let keys = RemoteKeys::discover(issuer.name()).clock(clock()).build();
        let mut layer = JwtAuthLayer::new(keys.unwrap())
            .audience("api")
            .clock(clock());
        if is_checked {
            layer = layer.mtls(Mtls::direct());
        }
        let app = app(&layer);
        for _ in 0..2 {
            let mut request = Request::get("/").header(AUTHORIZATION, format!("Bearer {token}"));
            if let Some(der) = certificate {
                request = request.extension(ClientCertificate::from_der(der));
            }
            let request = request.body(Body::empty()).unwrap();
            let response = app.clone().oneshot(request).await.unwrap();
            let error: Option<&AuthError> = response.extensions().get();
            let expected = kind.map(AuthErrorKind::InvalidToken);
            assert_eq!(error.map(AuthError::kind), expected);
        }
    }
}
