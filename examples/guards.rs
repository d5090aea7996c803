//! Authorization: scopes, roles, a database query, and combinations.
//!
//! `cargo run --example guards --features testing` prints tokens of three users, and `curl` lines
//! to try. `PORT` sets the port (default 3000).
#![expect(clippy::print_stdout, reason = "it talks to a person")]

use std::collections::HashSet;
use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;

use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tower_jwt_auth::testing::TestIssuer;
use tower_jwt_auth::{Allowed, Claims, JwtAuthLayer, Permission, Require};

/// The claims that the guards read, besides scopes.
#[derive(Deserialize)]
struct Employee {
    sub: String,
    #[serde(default)]
    roles: Vec<String>,
}

/// A role: a closure over the claims.
fn manager() -> Require {
    Require::claims(|employee: &Employee| employee.roles.iter().any(|role| role == "manager"))
}

/// A condition that asks another service, for at most one second.
fn on_duty(rota: Rota) -> Require {
    Require::claims_async(move |employee: Arc<Employee>| {
        let rota = rota.clone();
        async move { rota.is_on_duty(&employee.sub).await }
    })
}

#[derive(Clone)]
struct Rota(Arc<HashSet<&'static str>>);

impl Rota {
    #[expect(clippy::unused_async, reason = "a real one asks a database")]
    async fn is_on_duty(&self, name: &str) -> Result<bool, Infallible> {
        Ok(self.0.contains(name))
    }
}

/// A permission that a handler has in its signature.
struct Approve;

impl Permission for Approve {
    fn require() -> Require {
        Require::all_scopes(["orders:read", "orders:approve"]).and(manager())
    }
}

async fn approve(_: Allowed<Approve>, Claims(employee): Claims<Employee>) -> Json<Value> {
    Json(json!({ "approved_by": employee.sub }))
}

fn app(layer: JwtAuthLayer) -> Router {
    let rota = Rota(Arc::new(HashSet::from(["carol"])));
    let till = Router::new()
        .route("/till", post(async || "open\n"))
        // Both guards must hold.
        .route_layer(on_duty(rota))
        .route_layer(Require::scope("till").or(manager()));
    Router::new()
        .route(
            "/orders",
            get(async || "orders\n").layer(Require::any_scope(["orders:read", "orders:admin"])),
        )
        .route("/orders/approve", post(approve))
        .merge(till)
        .layer(layer)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let issuer = TestIssuer::new();
    issuer.clock().set(system_seconds());
    let alice = issuer.token("alice").claim("scope", "orders:read");
    let bob = issuer
        .token("bob")
        .claim("scope", "orders:read orders:approve")
        .claim("roles", json!(["manager"]));
    let carol = issuer.token("carol").claim("scope", "till");

    let port: u16 = match std::env::var("PORT") {
        Ok(port) => port.parse()?,
        Err(_) => 3000,
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let base = format!("http://{}", listener.local_addr()?);
    println!("Listening on {base}. Paste these lines into another terminal:\n");
    println!("ALICE={}", alice.sign());
    println!("BOB={}", bob.sign());
    println!("CAROL={}", carol.sign());
    println!(
        r#"
# 200, then 403: Alice reads orders, and approves none.
curl -iw '\n' {base}/orders -H "Authorization: Bearer $ALICE"
curl -iw '\n' -X POST {base}/orders/approve -H "Authorization: Bearer $ALICE"

# 200: Bob is a manager, and has both scopes.
curl -iw '\n' -X POST {base}/orders/approve -H "Authorization: Bearer $BOB"

# 403, then 200: Bob may open the till, but is not on duty. Carol is.
curl -iw '\n' -X POST {base}/till -H "Authorization: Bearer $BOB"
curl -iw '\n' -X POST {base}/till -H "Authorization: Bearer $CAROL"
"#
    );
    axum::serve(listener, app(issuer.layer())).await?;
    Ok(())
}

fn system_seconds() -> u64 {
    std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap_or_default()
        .as_secs()
}
