//! A provider that sends what a test tells it to, which no honest one would.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tower_jwt_auth::clock::{Clock, SystemClock};
use tower_jwt_auth::keys::{Algorithm, KeySet, SigningKey, TokenHeader};

use crate::service::serve;

pub(crate) struct Impostor {
    address: SocketAddr,
    key: SigningKey,
    answer: Arc<Mutex<Value>>,
}

impl Impostor {
    pub(crate) const CLIENT: &str = "client";

    pub(crate) async fn start() -> Self {
        Self::start_with(json!({})).await
    }

    /// Starts one whose metadata say more.
    pub(crate) async fn start_with(more: Value) -> Self {
        let key = SigningKey::generate(Algorithm::ES256).unwrap();
        let key = key.with_key_id("1");
        let document = KeySet::new([key.verifying_key()]).unwrap().to_jwks();
        let answer = Arc::new(Mutex::new(Value::Null));
        let said = Arc::clone(&answer);
        let issuer = Arc::new(Mutex::new(String::new()));
        let name = Arc::clone(&issuer);
        let metadata = async move || {
            let issuer = name.lock().unwrap().clone();
            let at = |path: &str| format!("{issuer}{path}");
            let mut metadata = json!({
                "issuer": issuer, "jwks_uri": at("/jwks"),
                "authorization_endpoint": at("/authorize"), "token_endpoint": at("/token"),
            });
            let all = metadata.as_object_mut().unwrap();
            all.extend(more.as_object().unwrap().clone());
            Json(metadata)
        };
        let token = async move || Json(said.lock().unwrap().clone());
        let jwks = async move || ([(CONTENT_TYPE, "application/json")], document).into_response();
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/jwks", get(jwks))
            .route("/token", post(token));
        let address = serve(app).await;
        *issuer.lock().unwrap() = format!("http://{address}");
        Self {
            address,
            key,
            answer,
        }
    }

    pub(crate) fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sets the ID token that every code is worth.
    pub(crate) fn say(&self, claims: Value) {
        self.say_at_length(claims, 0);
    }

    /// The same in an answer of this many bytes more.
    pub(crate) fn say_at_length(&self, claims: Value, more: usize) {
        let id_token = self.sign("JWT", claims);
        *self.answer.lock().unwrap() = json!({
            "access_token": "x", "token_type": "Bearer", "id_token": id_token, "x": "x".repeat(more),
        });
    }

    pub(crate) fn logout_token(&self, mut claims: Value) -> String {
        claims["events"] = json!({ "http://schemas.openid.net/event/backchannel-logout": {} });
        self.sign("logout+jwt", claims)
    }

    /// A token of this issuer for the client, of this moment.
    fn sign(&self, typ: &str, mut claims: Value) -> String {
        let now = SystemClock.now().duration_since(std::time::UNIX_EPOCH);
        let now = now.unwrap().as_secs();
        for (name, value) in [
            ("iss", json!(self.issuer())),
            ("aud", json!(Self::CLIENT)),
            ("iat", json!(now)),
            ("exp", json!(now + 60)),
        ] {
            claims[name] = value;
        }
        let header = TokenHeader::new().typ(typ);
        self.key.sign_with(&header, &claims).unwrap()
    }
}
