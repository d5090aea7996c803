//! `huskarl-axum`, set up as its documents say for access tokens that are not of RFC 9068.
//!
//! Its key is given, so that nothing in it fetches or looks for keys. It has no cache of verified
//! tokens: each request costs a signature check.

use std::hint::black_box;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use huskarl_axum::extractors::ValidatedToken;
use huskarl_axum::layers::ValidatorLayer;
use huskarl_axum::resource_server::core::EndpointUrl;
use huskarl_axum::resource_server::core::crypto::verifier::{JwsVerifier, JwsVerifierPlatform};
use huskarl_axum::resource_server::core::jwk::{Jwk, PublicJwk};
use huskarl_axum::resource_server::core::platform::MaybeSendBoxFuture;
use huskarl_axum::resource_server::validator::custom::CustomValidator;
use huskarl_crypto_native::symmetric::SymmetricKey;
use serde::Deserialize;
use serde_json::Value;

use crate::subjects::Setting;
use crate::{AUDIENCE, ISSUER};

/// The claims that it does not read itself.
#[derive(Clone, Deserialize)]
struct Others {
    scope: String,
    roles: Vec<String>,
}

async fn handler(token: ValidatedToken<Others>) -> StatusCode {
    black_box((&token.sub, &token.claims.scope, &token.claims.roles));
    StatusCode::OK
}

async fn verifier(jwk: Value, platform: Arc<dyn JwsVerifierPlatform>) -> Arc<dyn JwsVerifier> {
    if jwk["kty"] != "oct" {
        let jwk: PublicJwk = serde_json::from_value(jwk).unwrap();
        return platform.create_verifier_from_jwk(jwk).await.unwrap();
    }
    let jwk: Jwk = serde_json::from_value(jwk).unwrap();
    let secret = jwk.private_jwk().unwrap().try_into().unwrap();
    Arc::new(SymmetricKey::from_jwk(secret).unwrap())
}

pub fn router(setting: &Setting) -> Router {
    let jwk = setting.jwk.clone();
    let key = move |_: Option<&EndpointUrl>,
                    platform: Arc<dyn JwsVerifierPlatform>|
          -> MaybeSendBoxFuture<'static, _> {
        let jwk = jwk.clone();
        Box::pin(async move { Ok(verifier(jwk, platform).await) })
    };
    let validator = CustomValidator::builder()
        .with_claims::<Others>()
        .iss(ISSUER)
        .aud(AUDIENCE)
        .clock_leeway(std::time::Duration::from_secs(30))
        .jws_verifier_factory(key)
        .build();
    let validator = tokio::runtime::Handle::current().block_on(validator);
    let layer = ValidatorLayer::builder().validator(validator.unwrap());
    Router::new()
        .route("/me", get(handler))
        .layer(layer.build().authenticated())
        .with_state(())
}
