//! An extractor as services write it themselves, for comparison.

use std::hint::black_box;
use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, FromRequestParts};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::routing::get;
use jsonwebtoken::{DecodingKey, Validation, decode};

use crate::subjects::Setting;
use crate::{AUDIENCE, Access, ISSUER};

#[derive(Clone)]
struct Keys(Arc<(DecodingKey, Validation)>);

struct Authenticated(Access);

impl<S> FromRequestParts<S> for Authenticated
where
    Keys: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, StatusCode> {
        let keys = Keys::from_ref(state);
        let token = parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or(StatusCode::UNAUTHORIZED)?;
        let data = decode::<Access>(token, &keys.0.0, &keys.0.1);
        Ok(Self(data.map_err(|_| StatusCode::UNAUTHORIZED)?.claims))
    }
}

async fn handler(Authenticated(access): Authenticated) -> StatusCode {
    black_box(&access.sub);
    StatusCode::OK
}

pub fn router(setting: &Setting) -> Router {
    let jwk = serde_json::from_value(setting.jwk.clone()).unwrap();
    let mut validation = Validation::new(setting.jsonwebtoken());
    validation.leeway = 30;
    validation.validate_nbf = true;
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    let keys = Keys(Arc::new((DecodingKey::from_jwk(&jwk).unwrap(), validation)));
    Router::new().route("/me", get(handler)).with_state(keys)
}
