//! Measures the memory of the token cache: how many tokens it holds, and whether it takes what it
//! reckons, for three types of claims.
//!
//! `cargo bench --bench cache_memory`. Each row is a process of its own, as memory that was freed
//! stays with the process. *Held* is the largest number of tokens that are all found when they are
//! used in turn. *Allocated* and *resident* are measured after three times as many tokens.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    reason = "a bench: it panics and prints"
)]

#[path = "support/resident.rs"]
mod resident;

use std::collections::HashMap;
use std::hint::black_box;
use std::process::Command;

use allocation_counter::measure;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::RsaKeyPair;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tower_jwt_auth::Verifier;
use tower_jwt_auth::keys::{Algorithm, SigningKey};

use resident::resident_kib;

/// The default of `Verifier::cache`.
const BOUND: usize = 16 << 20;

/// Ten short fields.
#[derive(Deserialize)]
#[expect(dead_code, reason = "only their memory matters")]
struct Fields {
    iss: String,
    sub: String,
    aud: String,
    exp: u64,
    iat: u64,
    jti: String,
    client_id: String,
    tenant: u32,
    email_verified: bool,
    scope: String,
}

/// Roles as Keycloak nests them.
#[derive(Deserialize)]
#[expect(dead_code, reason = "only their memory matters")]
struct Nested {
    sub: String,
    scope: String,
    realm_access: Roles,
    resource_access: HashMap<String, Roles>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only their memory matters")]
struct Roles {
    roles: Vec<String>,
}

fn main() {
    let args: Vec<_> = std::env::args().skip(1).collect();
    if let [case, algorithm, claims] = &*args
        && case == "case"
    {
        return run(algorithm, claims);
    }
    println!("| token | claims | held | allocated | resident |");
    println!("|---|---|---:|---:|---:|");
    for algorithm in ["ES256", "RS256"] {
        for claims in ["fields", "roles", "value"] {
            let program = std::env::current_exe().unwrap();
            let mut row = Command::new(program);
            assert!(
                row.args(["case", algorithm, claims])
                    .status()
                    .unwrap()
                    .success()
            );
        }
    }
}

fn run(algorithm: &str, claims: &str) {
    let key = match algorithm {
        "RS256" => {
            let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
            let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&key).unwrap();
            SigningKey::from_der(Algorithm::RS256, der.as_ref()).unwrap()
        }
        _ => SigningKey::generate(Algorithm::ES256).unwrap(),
    };
    let key = key.with_key_id("2026-11");
    match claims {
        "fields" => report::<Fields>(algorithm, claims, &key),
        "roles" => report::<Nested>(algorithm, claims, &key),
        _ => report::<Value>(algorithm, claims, &key),
    }
}

fn report<T: DeserializeOwned + Send + Sync + 'static>(
    algorithm: &str,
    claims: &str,
    key: &SigningKey,
) {
    let has_roles = claims == "roles";
    let scope = match algorithm {
        "RS256" => format!("openid {}", "notes:read ".repeat(11)),
        _ => "openid profile email notes:read notes:write offline".to_owned(),
    };
    let tokens: Vec<_> = (0..45_000)
        .map(|number| token(key, number, scope.trim_end(), has_roles))
        .collect();
    let verifier = || {
        let verifier = Verifier::new(key.verifying_key());
        verifier.issuer("https://id.example.com").audience("api")
    };

    let before = resident_kib("VmRSS:");
    let filled = verifier();
    let allocated = measure(|| {
        for token in &tokens {
            use_token::<T>(&filled, token);
        }
    });
    let resident = (resident_kib("VmRSS:") - before) << 10;
    drop(filled);

    let held = (40..)
        .map(|step| step * 100)
        .take_while(|count| *count <= tokens.len())
        .take_while(|count| {
            let (verifier, tokens) = (verifier(), tokens.get(..*count).unwrap());
            for token in tokens {
                use_token::<T>(&verifier, token);
            }
            let hits = tokens.iter().filter(|token| {
                let used = measure(|| use_token::<T>(&verifier, token));
                used.count_total == 0
            });
            hits.count() * 1000 >= count * 999
        })
        .last();

    let length = tokens.iter().map(String::len).sum::<usize>() / tokens.len();
    let part = |bytes: f64| format!("{:.1} %", bytes / BOUND as f64 * 100.0);
    println!(
        "| {algorithm}, {length} bytes | {claims} | {} | {} | {} |",
        held.unwrap_or(0),
        part(allocated.bytes_current as f64),
        part(resident as f64)
    );
}

fn use_token<T: DeserializeOwned + Send + Sync + 'static>(verifier: &Verifier, token: &str) {
    black_box(verifier.verify(token).unwrap().claims::<T>().unwrap());
}

fn token(key: &SigningKey, number: u32, scope: &str, has_roles: bool) -> String {
    let mut claims = json!({
        "iss": "https://id.example.com",
        "sub": format!("24828976{number:06}"),
        "aud": "api",
        "exp": 4_000_000_000_u64,
        "iat": 1_700_000_000,
        "jti": format!("6b1d5a9e-6a52-4c0e-9d29-2f1d0a{number:06}"),
        "client_id": "web",
        "tenant": number % 100,
        "email_verified": true,
        "scope": scope,
    });
    if has_roles {
        claims["realm_access"] = json!({ "roles": ["offline_access", "user"] });
        claims["resource_access"] = json!({
            "notes": { "roles": ["reader", "writer"] },
            "account": { "roles": ["manage-account", "view-profile"] },
        });
    }
    key.sign(&claims).unwrap()
}
