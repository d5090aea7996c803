//! Tokens and keys in the shape of well-known providers, and the lines of the guide that trust
//! them: `src/guides/providers.rs`.
#![cfg(all(feature = "axum", feature = "jwks"))]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics fails"
)]

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/answer.rs"]
mod answer;

use std::borrow::Cow;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use answer::send;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use base64_simd::{URL_SAFE, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, Response, Uri};
use serde::Deserialize;
use serde_json::{Value, json};
use tower_jwt_auth::AuthErrorKind::{self, InsufficientScope, InvalidToken};
use tower_jwt_auth::VerifyErrorKind::*;
use tower_jwt_auth::keys::remote::{Fetch, RemoteKeys, RemoteKeysBuilder};
use tower_jwt_auth::keys::{Algorithm, KeySet, SigningKey, TokenHeader, VerifyingKey};
use tower_jwt_auth::{JwtAuthLayer, Require, TokenSource, TrustedIssuer};

const BEFORE: u64 = 1_700_000_000;
const LATE: u64 = 4_000_000_000;

/// The documents of the internet.
#[derive(Clone)]
struct Web(Arc<HashMap<String, String>>);

impl Fetch for Web {
    type Error = Infallible;

    async fn fetch(&self, uri: &Uri) -> Result<Response<Bytes>, Infallible> {
        let document = self.0.get(&uri.to_string());
        let status = if document.is_some() { 200 } else { 404 };
        let body = document.cloned().unwrap_or_default();
        Ok(Response::builder()
            .status(status)
            .body(body.into())
            .unwrap())
    }
}

fn key(algorithm: Algorithm) -> SigningKey {
    SigningKey::generate(algorithm)
        .unwrap()
        .with_key_id("key-1")
}

fn jwks(key: &SigningKey) -> String {
    format!(r#"{{"keys":[{}]}}"#, key.verifying_key().to_jwk().unwrap())
}

/// Keys that are published at `url`.
fn published(key: &SigningKey, url: &str) -> RemoteKeysBuilder {
    let documents = HashMap::from([(url.to_owned(), jwks(key))]);
    RemoteKeys::jwks(url).fetch(Web(Arc::new(documents)))
}

/// Keys at `url`, which the metadata of `issuer` name.
fn discovered(key: &SigningKey, issuer: &str, url: &str) -> RemoteKeysBuilder {
    let base = issuer.replace("{tenantid}", "common");
    let metadata = format!(
        "{}/.well-known/openid-configuration",
        base.trim_end_matches('/')
    );
    let documents = HashMap::from([
        (
            metadata,
            json!({ "issuer": issuer, "jwks_uri": url }).to_string(),
        ),
        (url.to_owned(), jwks(key)),
    ]);
    RemoteKeys::discover(issuer).fetch(Web(Arc::new(documents)))
}

/// A service, and a token that it accepts.
struct Case {
    layer: JwtAuthLayer,
    guard: Option<Require>,
    header_name: &'static str,
    key: SigningKey,
    header: TokenHeader,
    claims: Value,
}

impl Case {
    fn new(key: SigningKey, layer: JwtAuthLayer, claims: Value) -> Self {
        Self {
            layer,
            guard: None,
            header_name: "authorization",
            key,
            header: TokenHeader::new(),
            claims,
        }
    }

    fn guard(mut self, guard: Require) -> Self {
        self.guard = Some(guard);
        self
    }

    fn header(mut self, header: TokenHeader) -> Self {
        self.header = header;
        self
    }

    fn in_header(mut self, name: &'static str) -> Self {
        self.header_name = name;
        self
    }

    async fn ask(&self, claims: &Value) -> Option<AuthErrorKind> {
        let mut claims = claims.clone();
        claims["iat"] = BEFORE.into();
        claims["exp"] = LATE.into();
        let token = self.key.sign_with(&self.header, &claims).unwrap();
        self.ask_with(&token).await
    }

    async fn ask_with(&self, token: &str) -> Option<AuthErrorKind> {
        let mut app = Router::new().route("/", get(async || "in"));
        if let Some(guard) = &self.guard {
            app = app.route_layer(guard.clone());
        }
        let app = app.layer(self.layer.clone());
        let value = match self.header_name {
            "authorization" => format!("Bearer {token}"),
            _ => token.to_owned(),
        };
        let request = Request::get("/").header(self.header_name, value);
        let answer = send(&app, request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status == 200, answer.error.is_none());
        answer.error.map(|error| error.kind())
    }

    /// The token is accepted. With another value of these claims, it is rejected.
    async fn accepts(&self) {
        assert_eq!(self.ask(&self.claims).await, None);
    }

    async fn rejects(&self, claim: &str, value: impl Into<Value>, kind: AuthErrorKind) {
        let mut claims = self.claims.clone();
        claims[claim] = value.into();
        assert_eq!(self.ask(&claims).await, Some(kind), "{claim}");
    }
}

const OTHER_AUDIENCE: AuthErrorKind = InvalidToken(WrongAudience);
/// The issuer chooses the keys: a discovered one.
const NOT_TRUSTED: AuthErrorKind = InvalidToken(UnknownIssuer);
/// The issuer is required beside the keys.
const OTHER_ISSUER: AuthErrorKind = InvalidToken(WrongIssuer);

#[tokio::test]
async fn auth0() {
    let key = key(Algorithm::RS256);
    let issuer = "https://tenant.eu.auth0.com/";
    let keys = discovered(
        &key,
        issuer,
        "https://tenant.eu.auth0.com/.well-known/jwks.json",
    );
    let layer = JwtAuthLayer::new(keys.build().unwrap()).audience("https://api.example.com");
    let claims = json!({
        "iss": issuer, "sub": "auth0|123456",
        "aud": ["https://api.example.com", "https://tenant.eu.auth0.com/userinfo"],
        "azp": "my_client_id", "scope": "openid read:notes", "permissions": ["read:notes"],
    });
    let case = Case::new(key.clone(), layer.clone(), claims.clone())
        .guard(Require::scope("read:notes").at(["permissions"]));
    case.accepts().await;
    case.rejects("aud", "https://other.example.com", OTHER_AUDIENCE)
        .await;
    // The slash at the end belongs to the name.
    case.rejects("iss", "https://tenant.eu.auth0.com", NOT_TRUSTED)
        .await;
    case.rejects("permissions", json!([]), InsufficientScope)
        .await;

    // The RFC 9068 profile of an API.
    let mut claims = claims;
    claims["client_id"] = "my_client_id".into();
    claims["jti"] = "a".into();
    let case = Case::new(key, layer.rfc9068(), claims).header(TokenHeader::new().typ("at+jwt"));
    case.accepts().await;
    case.rejects("client_id", Value::Null, InvalidToken(MissingClaim))
        .await;
}

#[tokio::test]
async fn okta() {
    let key = key(Algorithm::RS256);
    let issuer = "https://org.okta.com/oauth2/default";
    let keys = discovered(&key, issuer, "https://org.okta.com/oauth2/default/v1/keys");
    let layer = JwtAuthLayer::new(keys.build().unwrap()).audience("api://default");
    let claims = json!({
        "ver": 1, "jti": "AT.1", "iss": issuer, "aud": "api://default", "cid": "0oa1",
        "uid": "00u1", "scp": ["openid", "notes"], "sub": "alice@example.com",
    });
    let case = Case::new(key, layer, claims)
        .header(TokenHeader::new().without_typ())
        .guard(Require::scope("notes").and(Require::claim("cid", "0oa1")));
    case.accepts().await;
    case.rejects("iss", "https://org.okta.com", NOT_TRUSTED)
        .await;
    case.rejects("aud", "https://org.okta.com", OTHER_AUDIENCE)
        .await;
    case.rejects("scp", json!(["openid"]), InsufficientScope)
        .await;
    case.rejects("cid", "0oa2", InsufficientScope).await;
}

const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
const CLIENT: &str = "6731de76-14a6-49ae-97bc-6eba6914391e";

#[tokio::test]
async fn entra_v2() {
    let key = key(Algorithm::RS256);
    let issuer = format!("https://login.microsoftonline.com/{TENANT}/v2.0");
    let url = format!("https://login.microsoftonline.com/{TENANT}/discovery/v2.0/keys");
    let keys = discovered(&key, &issuer, &url).build().unwrap();
    let layer = JwtAuthLayer::new(keys).audience(CLIENT);
    let claims = json!({
        "aud": CLIENT, "iss": issuer, "nbf": BEFORE, "azp": "a", "azpacr": "1", "oid": "o",
        "scp": "Notes.Read Notes.Write", "roles": ["Admin"], "sub": "s", "tid": TENANT,
        "ver": "2.0",
    });
    let guard = Require::scope("Notes.Read").and(Require::scope("Admin").at(["roles"]));
    let case = Case::new(key, layer, claims).guard(guard);
    case.accepts().await;
    case.rejects(
        "aud",
        "00000003-0000-0000-c000-000000000000",
        OTHER_AUDIENCE,
    )
    .await;
    case.rejects(
        "iss",
        format!("https://sts.windows.net/{TENANT}/"),
        NOT_TRUSTED,
    )
    .await;
    case.rejects("roles", json!([]), InsufficientScope).await;
}

#[tokio::test]
async fn entra_v1() {
    let key = key(Algorithm::RS256);
    let issuer = format!("https://sts.windows.net/{TENANT}/");
    let url = "https://login.microsoftonline.com/common/discovery/keys";
    let keys = discovered(&key, &issuer, url)
        .jwks_origins(&["https://login.microsoftonline.com"])
        .build()
        .unwrap();
    let audience = format!("api://{CLIENT}");
    let layer = JwtAuthLayer::new(keys).audience(&audience);
    let claims = json!({
        "aud": audience, "iss": issuer, "appid": "a", "appidacr": "1", "scp": "Notes.Read",
        "tid": TENANT, "ver": "1.0", "sub": "s",
    });
    let case = Case::new(key, layer, claims).guard(Require::claim("appid", "a"));
    case.accepts().await;
    case.rejects("aud", CLIENT, OTHER_AUDIENCE).await;
    case.rejects("appid", "b", InsufficientScope).await;
}

#[tokio::test]
async fn entra_for_many_tenants() {
    let key = key(Algorithm::RS256);
    let pattern = "https://login.microsoftonline.com/{tenantid}/v2.0";
    let url = "https://login.microsoftonline.com/common/discovery/v2.0/keys";
    let keys = discovered(&key, pattern, url).build().unwrap();
    let trusted = TrustedIssuer::tenants(pattern, keys).tenant(TENANT);
    let layer = JwtAuthLayer::new(trusted).audience(CLIENT);
    let other = "9188040d-6c67-4c5b-b112-36a304b66dad";
    let claims = json!({
        "aud": CLIENT, "iss": pattern.replace("{tenantid}", TENANT), "tid": TENANT, "ver": "2.0",
    });
    let case = Case::new(key, layer, claims);
    case.accepts().await;
    case.rejects("iss", pattern.replace("{tenantid}", other), NOT_TRUSTED)
        .await;
    case.rejects("tid", other, InvalidToken(WrongTenant)).await;
    case.rejects("aud", "other", OTHER_AUDIENCE).await;
}

#[tokio::test]
async fn entra_b2c() {
    let key = key(Algorithm::RS256);
    let policy = "https://contoso.b2clogin.com/contoso.onmicrosoft.com/B2C_1_signin";
    let keys = published(&key, &format!("{policy}/discovery/v2.0/keys"));
    let issuer = format!("https://contoso.b2clogin.com/{TENANT}/v2.0/");
    let layer = JwtAuthLayer::new(keys.build().unwrap())
        .issuer(&issuer)
        .audience(CLIENT);
    let claims = json!({
        "iss": issuer, "aud": CLIENT, "sub": "s", "tfp": "B2C_1_signin", "scp": "read",
        "azp": "a", "ver": "1.0",
    });
    let case = Case::new(key, layer, claims).guard(Require::claim("tfp", "B2C_1_signin"));
    case.accepts().await;
    case.rejects(
        "iss",
        format!("https://contoso.b2clogin.com/{CLIENT}/v2.0/"),
        OTHER_ISSUER,
    )
    .await;
    case.rejects("tfp", "B2C_1_edit", InsufficientScope).await;
}

#[tokio::test]
async fn google() {
    let key = key(Algorithm::RS256);
    let issuer = "https://accounts.google.com";
    let keys = discovered(&key, issuer, "https://www.googleapis.com/oauth2/v3/certs")
        .jwks_origins(&["https://www.googleapis.com"])
        .build()
        .unwrap();
    let client = "1234-abc.apps.googleusercontent.com";
    let layer = JwtAuthLayer::new(keys).audience(client);
    let claims = json!({
        "iss": issuer, "azp": client, "aud": client, "sub": "1076", "hd": "example.com",
        "email": "alice@example.com", "email_verified": true,
    });
    let guard = Require::claim("email_verified", true).and(Require::claim("hd", "example.com"));
    let case = Case::new(key, layer, claims).guard(guard);
    case.accepts().await;
    case.rejects(
        "aud",
        "1234-other.apps.googleusercontent.com",
        OTHER_AUDIENCE,
    )
    .await;
    case.rejects("email_verified", false, InsufficientScope)
        .await;
    case.rejects("hd", "other.example", InsufficientScope).await;
}

#[tokio::test]
async fn apple() {
    let key = key(Algorithm::RS256);
    let issuer = "https://appleid.apple.com";
    let keys = discovered(&key, issuer, "https://appleid.apple.com/auth/keys");
    let layer = JwtAuthLayer::new(keys.build().unwrap()).audience("com.example.app");
    let claims = json!({
        "iss": issuer, "aud": "com.example.app", "sub": "000123.abc.456", "email_verified": "true",
        "is_private_email": "true", "nonce_supported": true,
    });
    let guard = Require::claim("email_verified", true).or(Require::claim("email_verified", "true"));
    let header = TokenHeader::new().without_typ();
    let case = Case::new(key, layer, claims).header(header).guard(guard);
    case.accepts().await;
    case.rejects("aud", "com.example.other", OTHER_AUDIENCE)
        .await;
    case.rejects("email_verified", "false", InsufficientScope)
        .await;
}

#[tokio::test]
async fn cognito() {
    let key = key(Algorithm::RS256);
    let issuer = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI";
    let keys = discovered(&key, issuer, &format!("{issuer}/.well-known/jwks.json"));
    // Access tokens have no `aud`. The guard requires the client instead.
    let layer = JwtAuthLayer::new(keys.build().unwrap()).any_audience();
    let guard = Require::claim("token_use", "access").and(Require::claim("client_id", "7f1c2d"));
    let claims = json!({
        "sub": "aaaa-bbbb", "cognito:groups": ["admin"], "iss": issuer, "client_id": "7f1c2d",
        "origin_jti": "o", "event_id": "e", "token_use": "access", "scope": "openid api/read",
        "username": "alice", "jti": "j",
    });
    let guard = guard.and(Require::scope("admin").at(["cognito:groups"]));
    let case = Case::new(key, layer, claims)
        .header(TokenHeader::new().without_typ())
        .guard(guard);
    case.accepts().await;
    case.rejects("client_id", "other", InsufficientScope).await;
    case.rejects("token_use", "id", InsufficientScope).await;
    case.rejects(
        "iss",
        "https://cognito-idp.eu-west-1.amazonaws.com/other",
        NOT_TRUSTED,
    )
    .await;
}

#[tokio::test]
async fn keycloak() {
    let key = key(Algorithm::RS256);
    let issuer = "https://id.example.com/realms/shop";
    let keys = discovered(
        &key,
        issuer,
        &format!("{issuer}/protocol/openid-connect/certs"),
    );
    let layer = JwtAuthLayer::new(keys.build().unwrap()).audience("api");
    let claims = json!({
        "jti": "j", "iss": issuer, "aud": ["api", "account"], "sub": "s", "typ": "Bearer",
        "azp": "web", "sid": "s", "realm_access": { "roles": ["admin"] },
        "resource_access": { "api": { "roles": ["writer"] } }, "scope": "openid profile",
    });
    let guard = Require::claim("typ", "Bearer")
        .and(Require::claim("azp", "web"))
        .and(Require::scope("admin").at(["realm_access", "roles"]))
        .and(Require::scope("writer").at(["resource_access", "api", "roles"]));
    let case = Case::new(key, layer, claims).guard(guard);
    case.accepts().await;
    case.rejects("aud", "account", OTHER_AUDIENCE).await;
    case.rejects("iss", "https://id.example.com/realms/master", NOT_TRUSTED)
        .await;
    case.rejects("azp", "other", InsufficientScope).await;
    case.rejects("typ", "ID", InsufficientScope).await;
    case.rejects("realm_access", json!({ "roles": [] }), InsufficientScope)
        .await;
}

#[tokio::test]
async fn firebase() {
    let key = key(Algorithm::RS256);
    let url =
        "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com";
    let keys = published(&key, url).build().unwrap();
    let issuer = "https://securetoken.google.com/my-project";
    let layer = JwtAuthLayer::new(keys)
        .issuer(issuer)
        .audience("my-project");
    let claims = json!({
        "iss": issuer, "aud": "my-project", "auth_time": BEFORE, "user_id": "u", "sub": "u",
        "email_verified": true, "firebase": { "identities": {}, "sign_in_provider": "password" },
    });
    let case = Case::new(key, layer, claims);
    case.accepts().await;
    // All projects share the keys.
    case.rejects("iss", "https://securetoken.google.com/other", OTHER_ISSUER)
        .await;
    case.rejects("aud", "other", OTHER_AUDIENCE).await;
}

#[tokio::test]
async fn supabase() {
    let key = key(Algorithm::ES256);
    let issuer = "https://project.supabase.co/auth/v1";
    let keys = published(&key, &format!("{issuer}/.well-known/jwks.json"))
        .build()
        .unwrap();
    let secret = "a legacy secret of at least 32 bytes";
    let trusted = TrustedIssuer::new(issuer, VerifyingKey::hs256(secret).unwrap()).keys(keys);
    let layer = JwtAuthLayer::new(trusted).audience("authenticated");
    let claims = json!({
        "iss": issuer, "aud": "authenticated", "sub": "u", "role": "authenticated", "aal": "aal1",
        "session_id": "s", "is_anonymous": false,
    });
    let guard =
        || Require::claim("role", "authenticated").and(Require::claim("is_anonymous", false));
    let case = Case::new(key, layer.clone(), claims.clone()).guard(guard());
    case.accepts().await;
    case.rejects("aud", "anon", OTHER_AUDIENCE).await;
    case.rejects("iss", "https://other.supabase.co/auth/v1", NOT_TRUSTED)
        .await;
    case.rejects("is_anonymous", true, InsufficientScope).await;
    let legacy = SigningKey::hs256(secret).unwrap();
    Case::new(legacy, layer, claims)
        .guard(guard())
        .accepts()
        .await;
}

#[tokio::test]
async fn github_actions() {
    let key = key(Algorithm::RS256);
    let issuer = "https://token.actions.githubusercontent.com";
    let keys = discovered(&key, issuer, &format!("{issuer}/.well-known/jwks"));
    let layer = JwtAuthLayer::new(keys.build().unwrap()).audience("https://deploy.example.com");
    let claims = json!({
        "jti": "j", "sub": "repo:octo-org/octo-repo:ref:refs/heads/main", "iss": issuer,
        "aud": "https://deploy.example.com", "ref": "refs/heads/main",
        "repository": "octo-org/octo-repo", "repository_owner": "octo-org",
        "repository_id": "74", "actor": "octocat", "nbf": BEFORE,
    });
    let guard = Require::claim("repository", "octo-org/octo-repo")
        .and(Require::claim("ref", "refs/heads/main"));
    let case = Case::new(key, layer, claims).guard(guard);
    case.accepts().await;
    // Every repository of the world has tokens of this issuer.
    case.rejects("repository", "evil/fork", InsufficientScope)
        .await;
    case.rejects("ref", "refs/pull/1/merge", InsufficientScope)
        .await;
    case.rejects("aud", "https://github.com/octo-org", OTHER_AUDIENCE)
        .await;
}

#[tokio::test]
async fn kubernetes() {
    let key = key(Algorithm::RS256);
    let issuer = "https://kubernetes.default.svc.cluster.local";
    let keys = discovered(&key, issuer, &format!("{issuer}/openid/v1/jwks"));
    let layer = JwtAuthLayer::new(keys.build().unwrap()).audience("my-service");
    let claims = json!({
        "aud": ["my-service"], "iss": issuer, "jti": "j", "nbf": BEFORE,
        "kubernetes.io": { "namespace": "shop", "serviceaccount": { "name": "web", "uid": "u" } },
        "sub": "system:serviceaccount:shop:web",
    });
    let guard = Require::claim("sub", "system:serviceaccount:shop:web");
    let header = TokenHeader::new().without_typ();
    let case = Case::new(key, layer, claims).header(header).guard(guard);
    case.accepts().await;
    case.rejects("aud", json!([issuer]), OTHER_AUDIENCE).await;
    case.rejects("sub", "system:serviceaccount:shop:other", InsufficientScope)
        .await;
}

#[tokio::test]
async fn cloudflare_access() {
    let key = key(Algorithm::RS256);
    let issuer = "https://team.cloudflareaccess.com";
    let keys = published(&key, &format!("{issuer}/cdn-cgi/access/certs"))
        .build()
        .unwrap();
    let audience = "4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2";
    let layer = JwtAuthLayer::new(keys)
        .issuer(issuer)
        .audience(audience)
        .sources([TokenSource::header("cf-access-jwt-assertion")]);
    let claims = json!({
        "aud": [audience], "email": "alice@example.com", "iss": issuer, "nbf": BEFORE,
        "type": "app", "sub": "s", "country": "US",
    });
    let case = Case::new(key, layer, claims).in_header("cf-access-jwt-assertion");
    case.accepts().await;
    case.rejects("aud", json!(["another application"]), OTHER_AUDIENCE)
        .await;
    case.rejects("iss", "https://other.cloudflareaccess.com", OTHER_ISSUER)
        .await;
}

#[tokio::test]
async fn gcp_iap() {
    let key = key(Algorithm::ES256);
    let keys = published(&key, "https://www.gstatic.com/iap/verify/public_key-jwk");
    let layer = JwtAuthLayer::new(keys.build().unwrap())
        .issuer("https://cloud.google.com/iap")
        .audience("/projects/1234/global/backendServices/5678")
        .sources([TokenSource::header("x-goog-iap-jwt-assertion")]);
    let claims = json!({
        "iss": "https://cloud.google.com/iap", "sub": "accounts.google.com:1076",
        "aud": "/projects/1234/global/backendServices/5678", "email": "alice@example.com",
        "hd": "example.com",
    });
    let case = Case::new(key, layer, claims).in_header("x-goog-iap-jwt-assertion");
    case.accepts().await;
    // All projects share issuer and keys.
    case.rejects(
        "aud",
        "/projects/9999/global/backendServices/1",
        OTHER_AUDIENCE,
    )
    .await;
    case.rejects("iss", "https://accounts.google.com", OTHER_ISSUER)
        .await;
}

/// The header of a load balancer's token, before it is verified.
#[derive(Deserialize)]
struct LoadBalancerHeader {
    signer: String,
}

/// The token of one load balancer. The signature covers the header, which is verified afterwards.
fn token_of(signer: &'static str) -> TokenSource {
    TokenSource::custom(move |request| {
        let token = request.headers.get("x-amzn-oidc-data")?.to_str().ok()?;
        let header = token.split('.').next()?.trim_end_matches('=');
        let header = URL_SAFE_NO_PAD.decode_to_vec(header).ok()?;
        let header: LoadBalancerHeader = serde_json::from_slice(&header).ok()?;
        (header.signer == signer).then_some(Cow::Borrowed(token))
    })
}

#[tokio::test]
async fn aws_alb() {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref()).unwrap();
    let public = VerifyingKey::from_der(Algorithm::ES256, spki(pair.public_key().as_ref()));
    let keys = KeySet::new([public.unwrap().with_key_id("key-1")]).unwrap();
    let signer = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/web/50dc6c";
    let layer = JwtAuthLayer::new(keys)
        .issuer("https://id.example.com")
        .allow_padding()
        .sources([token_of(signer)]);
    let case = Case::new(key(Algorithm::HS256), layer, Value::Null).in_header("x-amzn-oidc-data");
    let sign = |signer: &str, issuer: &str| {
        let header = json!({
            "alg": "ES256", "kid": "key-1", "signer": signer, "iss": issuer, "client": "c",
            "exp": LATE,
        });
        let claims = json!({ "sub": "s", "exp": LATE, "iss": issuer });
        let [header, claims] = [header, claims].map(|json| {
            let mut json = json.to_string();
            // So that there is padding.
            json.push_str(if json.len() % 3 == 0 { " " } else { "" });
            URL_SAFE.encode_to_string(json)
        });
        let input = format!("{header}.{claims}");
        let signature = pair.sign(&random, input.as_bytes()).unwrap();
        format!("{input}.{}", URL_SAFE.encode_to_string(signature))
    };
    let good = sign(signer, "https://id.example.com");
    assert!(good.contains("=.") && good.ends_with('='), "{good}");
    assert_eq!(case.ask_with(&good).await, None);
    let other = sign(signer, "https://other.example");
    assert_eq!(case.ask_with(&other).await, Some(OTHER_ISSUER));
    let other = sign("arn:of:another:account", "https://id.example.com");
    assert_eq!(
        case.ask_with(&other).await,
        Some(AuthErrorKind::MissingToken)
    );
}

/// A P-256 point as SubjectPublicKeyInfo (RFC 5480).
fn spki(point: &[u8]) -> Vec<u8> {
    const START: [u8; 26] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
        0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ];
    [&START[..], point].concat()
}

#[tokio::test]
async fn ory_hydra() {
    let key = key(Algorithm::RS256);
    let issuer = "https://hydra.example.com";
    let keys = discovered(&key, issuer, &format!("{issuer}/.well-known/jwks.json"));
    let layer = JwtAuthLayer::new(keys.build().unwrap());
    let claims = |audience: Value| {
        json!({
            "aud": audience, "client_id": "web", "ext": {}, "iss": issuer, "jti": "j",
            "nbf": BEFORE, "scp": ["notes"], "sub": "s",
        })
    };
    let guard = || Require::scope("notes").and(Require::claim("client_id", "web"));
    let named = Case::new(
        key.clone(),
        layer.clone().audience("api"),
        claims(json!(["api"])),
    );
    let named = named.guard(guard());
    named.accepts().await;
    named
        .rejects("aud", json!([]), InvalidToken(WrongAudience))
        .await;
    named.rejects("scp", json!([]), InsufficientScope).await;
    // A client that asks for no audience gets an empty one.
    let unnamed = Case::new(key, layer.any_audience(), claims(json!([]))).guard(guard());
    unnamed.accepts().await;
    unnamed
        .rejects("client_id", "other", InsufficientScope)
        .await;
}

#[tokio::test]
async fn adfs() {
    let key = key(Algorithm::RS256);
    let keys = published(&key, "https://adfs.example.com/adfs/discovery/keys");
    let issuer = "http://adfs.example.com/adfs/services/trust";
    let audience = "microsoft:identityserver:6731de76-14a6-49ae-97bc-6eba6914391e";
    let layer = JwtAuthLayer::new(keys.build().unwrap())
        .issuer(issuer)
        .audience(audience);
    let claims = json!({
        "aud": audience, "iss": issuer, "apptype": "Public", "appid": "a",
        "authmethod": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
        "ver": "1.0", "scp": "openid",
    });
    let case = Case::new(key, layer, claims).guard(Require::claim("appid", "a"));
    case.accepts().await;
    // The issuer of ID tokens and of the metadata is another one.
    case.rejects("iss", "https://adfs.example.com/adfs", OTHER_ISSUER)
        .await;
    case.rejects("aud", "urn:other", OTHER_AUDIENCE).await;
}

/// The roles of Zitadel: an object with a member for each role.
#[derive(Deserialize)]
struct ZitadelRoles {
    #[serde(rename = "urn:zitadel:iam:org:project:roles", default)]
    roles: HashMap<String, Value>,
}

#[tokio::test]
async fn zitadel() {
    let key = key(Algorithm::RS256);
    let issuer = "https://instance.zitadel.cloud";
    let keys = discovered(&key, issuer, &format!("{issuer}/oauth/v2/keys"));
    let layer = JwtAuthLayer::new(keys.build().unwrap()).audience("230000000000000001");
    let claims = json!({
        "iss": issuer, "aud": ["230000000000000002@shop", "230000000000000001"], "sub": "23",
        "client_id": "230000000000000002@shop", "nbf": BEFORE, "jti": "j",
        "urn:zitadel:iam:org:project:roles": { "admin": { "229": "org.zitadel.cloud" } },
    });
    let admin = Require::claims(|claims: &ZitadelRoles| claims.roles.contains_key("admin"));
    let case = Case::new(key, layer, claims).guard(admin);
    case.accepts().await;
    case.rejects("aud", json!(["230000000000000002@shop"]), OTHER_AUDIENCE)
        .await;
    case.rejects(
        "urn:zitadel:iam:org:project:roles",
        json!({}),
        InsufficientScope,
    )
    .await;
}

#[tokio::test]
async fn authentik() {
    let key = key(Algorithm::RS256);
    let issuer = "https://id.example.com/application/o/shop/";
    let keys = discovered(&key, issuer, &format!("{issuer}jwks/"))
        .build()
        .unwrap();
    let layer = JwtAuthLayer::new(keys).audience("client-id");
    let claims = json!({
        "iss": issuer, "sub": "s", "aud": "client-id", "azp": "client-id", "groups": ["admins"],
        "scope": "openid profile", "uid": "u",
    });
    let case = Case::new(key, layer, claims).guard(Require::scope("admins").at(["groups"]));
    case.accepts().await;
    case.rejects(
        "iss",
        "https://id.example.com/application/o/other/",
        NOT_TRUSTED,
    )
    .await;
    case.rejects("aud", "other", OTHER_AUDIENCE).await;
    case.rejects("groups", json!([]), InsufficientScope).await;
}
