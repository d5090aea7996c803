//! What a client of a service gets from the layer.

use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::header::AUTHORIZATION;
use http::{Request, StatusCode};
use tower::ServiceExt;
use tower_jwt_auth::JwtAuthLayer;
use tower_jwt_auth::claims::RegisteredClaims;
use tower_jwt_auth::keys::{Algorithm, SigningKey};
use tower_jwt_auth::revocation::{FailurePolicy, TokenIdentity};
use tower_jwt_auth::store::RedisStore;

use crate::eventually;
use crate::load::{ISSUER, Thing, in_seconds};

pub(crate) fn signing_key() -> SigningKey {
    SigningKey::from_secret(Algorithm::HS256, [1; 32]).unwrap()
}

/// A service with a layer over the store.
#[derive(Clone)]
pub(crate) struct Edge(Router);

impl Edge {
    pub(crate) fn new(store: &RedisStore, policy: FailurePolicy) -> Self {
        let layer = JwtAuthLayer::new(signing_key().verifying_key())
            .issuer(ISSUER)
            .revocation(store.clone())
            .revocation_failure(policy);
        Self(Router::new().route("/", get(async || "here")).layer(layer))
    }

    pub(crate) async fn status(&self, token: &str) -> StatusCode {
        let request = Request::get("/").header(AUTHORIZATION, format!("Bearer {token}"));
        let request = request.body(Body::empty()).unwrap();
        self.0.clone().oneshot(request).await.unwrap().status()
    }
}

/// A token that the revocation of this thing revokes: it has the same `jti` and the same `exp`.
pub(crate) fn token(thing: &Thing) -> String {
    let TokenIdentity {
        jti, expires_at, ..
    } = thing.token();
    let claims = RegisteredClaims::valid_for(Duration::from_secs(600), SystemTime::now());
    let claims = claims.issuer(ISSUER).subject("alice");
    let mut claims = claims.token_id(jti.unwrap());
    claims.expires_at = Some(expires_at);
    signing_key().sign(&claims).unwrap()
}

/// One node, a service for each failure policy, a revoked token and a valid token.
pub(crate) struct Edges {
    store: RedisStore,
    rejecting: Edge,
    allowing: Edge,
    good: String,
    revoked: String,
}

impl Edges {
    pub(crate) async fn over(store: &RedisStore) -> Self {
        let expires_at = in_seconds(600);
        let revoked = Thing::new(6_000_000, expires_at);
        store.revoke(&revoked.revocation()).await.unwrap();
        Self {
            store: store.clone(),
            rejecting: Edge::new(store, FailurePolicy::Reject),
            allowing: Edge::new(store, FailurePolicy::Allow),
            good: token(&Thing::new(6_000_006, expires_at)),
            revoked: token(&revoked),
        }
    }

    /// Asserts the answers of a stale node: the policy decides, and a revoked token stays rejected.
    pub(crate) async fn knows_nothing(&self) {
        eventually("stale", || !self.store.state().is_fresh).await;
        let answer = self.rejecting.status(&self.good).await;
        if !self.store.state().is_fresh {
            assert_eq!(answer, StatusCode::SERVICE_UNAVAILABLE);
        }
        self.as_ever().await;
    }

    /// Asserts what holds whether the node is fresh or stale.
    pub(crate) async fn as_ever(&self) {
        assert_eq!(self.allowing.status(&self.good).await, StatusCode::OK);
        for edge in [&self.rejecting, &self.allowing] {
            let answer = edge.status(&self.revoked).await;
            assert_eq!(answer, StatusCode::UNAUTHORIZED);
        }
    }

    pub(crate) async fn knows(&self) {
        eventually("fresh", || self.store.state().is_fresh).await;
        let answer = self.rejecting.status(&self.good).await;
        if self.store.state().is_fresh {
            assert_eq!(answer, StatusCode::OK);
        }
        self.as_ever().await;
    }
}
