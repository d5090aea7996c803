//! The services that are compared.

use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use aliri::jwt::CoreClaims;
use axum::body::Body;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderValue, Request, Response, StatusCode};
use axum::routing::get;
use axum::{Extension, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tower::Service;
use tower_jwt_auth::keys::{Algorithm, SigningKey};
use tower_jwt_auth::{Claims, JwtAuthLayer};

use crate::{AUDIENCE, Access, ISSUER, SECRET, by_hand, huskarl};

/// Sends a request with this `Authorization`.
pub type Call = Box<dyn FnMut(&HeaderValue)>;

/// A name, the bare router that it is compared with, and `None` if the algorithm is not supported.
pub type Row = (&'static str, usize, Option<Call>);

/// A key, in the forms that the crates want.
pub struct Setting {
    algorithm: Algorithm,
    key: SigningKey,
    /// What verifies.
    pub jwk: Value,
}

impl Setting {
    pub fn new(algorithm: Algorithm) -> Self {
        let key = match algorithm {
            Algorithm::HS256 => SigningKey::hs256(SECRET),
            _ => SigningKey::generate(algorithm),
        };
        Self::with(algorithm, key.unwrap())
    }

    pub fn with(algorithm: Algorithm, key: SigningKey) -> Self {
        // Some need a name to find the key by.
        let key = key.with_key_id("key");
        let jwk = match key.verifying_key().to_jwk() {
            Some(jwk) => serde_json::from_str(&jwk).unwrap(),
            None => json!({
                "kty": "oct", "alg": "HS256", "use": "sig", "kid": "key",
                "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY",
            }),
        };
        Self {
            algorithm,
            key,
            jwk,
        }
    }

    pub fn authorization(&self, access: &Access) -> HeaderValue {
        let token = self.key.sign(access).unwrap();
        HeaderValue::try_from(format!("Bearer {token}")).unwrap()
    }

    fn jwks(&self) -> String {
        json!({ "keys": [self.jwk] }).to_string()
    }

    /// `T` for the algorithm, which all name alike.
    fn named<T: for<'de> Deserialize<'de>>(&self) -> T {
        serde_json::from_value(json!(self.algorithm.name())).unwrap()
    }

    pub fn jsonwebtoken(&self) -> jsonwebtoken::Algorithm {
        self.named()
    }
}

pub fn call(router: Router) -> Call {
    call_with::<_, Body>(router)
}

fn call07(router: axum07::Router) -> Call {
    call_with::<_, axum07::body::Body>(router)
}

fn call_with<S, B>(mut service: S) -> Call
where
    S: Service<Request<B>> + 'static,
    S::Response: Answer,
    B: From<Vec<u8>> + 'static,
{
    Box::new(move |authorization| {
        let request = Request::get("/me")
            .header(AUTHORIZATION, authorization)
            .body(B::from(Vec::new()))
            .unwrap();
        let mut context = Context::from_waker(Waker::noop());
        let mut future = pin!(service.call(request));
        // Nothing waits for the world outside.
        for _ in 0..100 {
            if let Poll::Ready(response) = future.as_mut().poll(&mut context) {
                let status = response.ok().map(|response| response.status());
                assert_eq!(status, Some(StatusCode::OK));
                return;
            }
        }
        panic!("no answer");
    })
}

pub trait Answer {
    fn status(&self) -> StatusCode;
}

impl<B> Answer for Response<B> {
    fn status(&self) -> StatusCode {
        self.status()
    }
}

/// The bare routers, in the order by which rows name them.
pub fn bare_rows() -> Vec<Row> {
    vec![
        ("bare", 0, Some(call(bare()))),
        ("bare, axum 0.7", 1, Some(call07(bare07()))),
    ]
}

/// The others. None of them caches verified tokens.
pub fn peers(setting: &Setting) -> Vec<Row> {
    vec![
        (
            "an extractor by hand, `jsonwebtoken` 11",
            0,
            Some(call(by_hand::router(setting))),
        ),
        ("`aliri_tower` 0.6", 0, aliri(setting).map(call)),
        ("`axum-jwt-auth` 0.7", 0, Some(call(axum_jwt_auth(setting)))),
        (
            "`huskarl-axum` 0.1",
            0,
            Some(call(huskarl::router(setting))),
        ),
        (
            "`jwt-authorizer` 0.15 (axum 0.7)",
            1,
            Some(call07(jwt_authorizer(setting))),
        ),
        (
            "`tower-oauth2-resource-server` 0.12",
            0,
            Some(call(oauth2(setting))),
        ),
    ]
}

async fn unread() -> StatusCode {
    StatusCode::OK
}

/// As `axum::serve` does. Without the state, layers would be applied again for every request.
pub fn bare() -> Router {
    Router::new().route("/me", get(unread)).with_state(())
}

fn bare07() -> axum07::Router {
    axum07::Router::new()
        .route("/me", axum07::routing::get(unread))
        .with_state(())
}

pub fn layer(setting: &Setting) -> JwtAuthLayer {
    JwtAuthLayer::new(setting.key.verifying_key())
        .issuer(ISSUER)
        .audience(AUDIENCE)
}

fn with(layer: JwtAuthLayer) -> Router {
    async fn handler(access: Claims<Access>) -> StatusCode {
        black_box(&access.sub);
        StatusCode::OK
    }
    Router::new()
        .route("/me", get(handler))
        .layer(layer)
        .with_state(())
}

pub fn ours(setting: &Setting) -> Router {
    with(layer(setting))
}

pub fn ours_cached(setting: &Setting, bytes: usize) -> Router {
    with(layer(setting).cache(bytes))
}

pub fn ours_uncached(setting: &Setting) -> Router {
    with(layer(setting).without_cache())
}

async fn extension(Extension(access): Extension<Access>) -> StatusCode {
    black_box(&access.sub);
    StatusCode::OK
}

pub fn oauth2(setting: &Setting) -> Router {
    use tower_oauth2_resource_server::server::OAuth2ResourceServer;
    use tower_oauth2_resource_server::tenant::TenantConfiguration;
    use tower_oauth2_resource_server::validation::ClaimsValidationSpec;

    let audiences = vec![AUDIENCE.to_owned()];
    let tenant = TenantConfiguration::static_builder(setting.jwks())
        .identifier(ISSUER)
        .audiences(&audiences)
        .claims_validation(ClaimsValidationSpec::recommended(ISSUER, &audiences))
        .allowed_algorithms(&[setting.named()])
        .build()
        .unwrap();
    let server = tokio::runtime::Handle::current().block_on(
        OAuth2ResourceServer::<Access>::builder()
            .add_tenant(tenant)
            .build(),
    );
    Router::new()
        .route("/me", get(extension))
        .layer(server.unwrap().into_layer::<Body>())
        .with_state(())
}

fn axum_jwt_auth(setting: &Setting) -> Router {
    use axum_jwt_auth::{Decoder, LocalDecoder};

    async fn handler(access: axum_jwt_auth::Claims<Access>) -> StatusCode {
        black_box(&access.claims.sub);
        StatusCode::OK
    }
    let jwk = serde_json::from_value(setting.jwk.clone()).unwrap();
    let mut validation = jsonwebtoken10::Validation::new(setting.named());
    validation.leeway = 30;
    validation.validate_nbf = true;
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    let decoder = LocalDecoder::builder()
        .keys(vec![jsonwebtoken10::DecodingKey::from_jwk(&jwk).unwrap()])
        .validation(validation)
        .build()
        .unwrap();
    let decoder: Decoder<Access> = Arc::new(decoder);
    Router::new().route("/me", get(handler)).with_state(decoder)
}

fn jwt_authorizer(setting: &Setting) -> axum07::Router {
    use jwt_authorizer::{Authorizer, IntoLayer, JwtAuthorizer, JwtClaims, Validation};

    async fn handler(JwtClaims(access): JwtClaims<Access>) -> StatusCode {
        black_box(&access.sub);
        StatusCode::OK
    }
    let builder = match setting.algorithm {
        Algorithm::HS256 => JwtAuthorizer::<Access>::from_secret(SECRET),
        _ => JwtAuthorizer::<Access>::from_jwks_text(&setting.jwks()),
    };
    let validation = Validation::new()
        .iss(&[ISSUER])
        .aud(&[AUDIENCE])
        .nbf(true)
        .leeway(30);
    let authorizer: Authorizer<Access> = tokio::runtime::Handle::current()
        .block_on(builder.validation(validation).build())
        .unwrap();
    axum07::Router::new()
        .route("/me", axum07::routing::get(handler))
        .layer(authorizer.into_layer())
        .with_state(())
}

/// Has no EdDSA.
fn aliri(setting: &Setting) -> Option<Router> {
    use aliri_tower::Oauth2Authorizer;

    let algorithm = match setting.algorithm {
        Algorithm::HS256 => aliri::jwa::Algorithm::HS256,
        Algorithm::RS256 => aliri::jwa::Algorithm::RS256,
        Algorithm::ES256 => aliri::jwa::Algorithm::ES256,
        _ => return None,
    };
    let jwks: aliri::Jwks = serde_json::from_str(&setting.jwks()).unwrap();
    let validator = aliri::jwt::CoreValidator::default()
        .add_approved_algorithm(algorithm)
        .add_allowed_audience(aliri::jwt::Audience::from_static(AUDIENCE))
        .require_issuer(aliri::jwt::Issuer::from_static(ISSUER))
        .check_not_before()
        .with_leeway_secs(30);
    let authority = aliri_oauth2::Authority::new(jwks, validator);
    let layer = Oauth2Authorizer::new()
        .with_claims::<Aliri>()
        .with_terse_error_handler()
        .jwt_layer(authority);
    async fn handler(Extension(access): Extension<Aliri>) -> StatusCode {
        black_box(&access.sub);
        StatusCode::OK
    }
    Some(
        Router::new()
            .route("/me", get(handler))
            .layer(layer)
            .with_state(()),
    )
}

/// [`Access`] in the types that `aliri` wants.
#[derive(Clone, Deserialize)]
struct Aliri {
    sub: aliri::jwt::Subject,
    iss: aliri::jwt::Issuer,
    aud: aliri::jwt::Audiences,
    exp: aliri_clock::UnixTime,
    nbf: aliri_clock::UnixTime,
    #[serde(rename = "iat")]
    _iat: u64,
    #[serde(rename = "jti")]
    _jti: String,
    scope: aliri_oauth2::Scope,
    #[serde(rename = "roles")]
    _roles: Vec<String>,
}

impl CoreClaims for Aliri {
    fn nbf(&self) -> Option<aliri_clock::UnixTime> {
        Some(self.nbf)
    }

    fn exp(&self) -> Option<aliri_clock::UnixTime> {
        Some(self.exp)
    }

    fn aud(&self) -> &aliri::jwt::Audiences {
        &self.aud
    }

    fn iss(&self) -> Option<&aliri::jwt::IssuerRef> {
        Some(&self.iss)
    }

    fn sub(&self) -> Option<&aliri::jwt::SubjectRef> {
        Some(&self.sub)
    }
}

impl aliri_oauth2::HasScope for Aliri {
    fn scope(&self) -> &aliri_oauth2::Scope {
        &self.scope
    }
}
