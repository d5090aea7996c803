//! Your own revocation store: a directory with one file per revoked token.
//!
//! Run `cargo run --example custom_store`, then paste the lines that it prints. `PORT` sets the
//! port (default 3000). `REVOKED` sets the directory (default: `revoked-tokens` in the directory
//! for temporary files). Several processes can share it.
#![expect(clippy::print_stdout, reason = "it talks to a person")]

use std::error::Error;
use std::fmt::Write;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use tower_jwt_auth::claims::RegisteredClaims;
use tower_jwt_auth::keys::{Algorithm, SigningKey};
use tower_jwt_auth::revocation::{RevocationStore, TokenIdentity};
use tower_jwt_auth::{JwtAuthLayer, VerifiedToken};

const ISSUER: &str = "custom-store";

#[derive(Clone)]
struct Directory(PathBuf);

impl Directory {
    /// The file of a token: its issuer and ID in hexadecimal, because an ID may contain `../`.
    ///
    /// A file name has at most 255 bytes. A token with a longer ID cannot be revoked here, so it
    /// must not be accepted: it is an error, which the layer turns into 503.
    fn file(&self, token: &TokenIdentity<'_>) -> io::Result<PathBuf> {
        let mut name = String::new();
        let issuer = token.issuer.unwrap_or_default().bytes();
        let id = token.jti.unwrap_or_default().bytes();
        for byte in issuer.chain([0]).chain(id) {
            // Writing to a string does not fail.
            let _ = write!(name, "{byte:02x}");
        }
        if name.len() > 255 {
            return Err(io::Error::other("the id is too long for a file's name"));
        }
        Ok(self.0.join(name))
    }

    async fn revoke(&self, token: &TokenIdentity<'_>) -> io::Result<()> {
        tokio::fs::create_dir_all(&self.0).await?;
        let file = tokio::fs::File::create(self.file(token)?).await?;
        // The token is revoked once the file is on disk.
        file.sync_all().await
    }
}

/// The layer needs nothing else.
impl RevocationStore for Directory {
    type Error = io::Error;

    async fn is_revoked(&self, token: &TokenIdentity<'_>) -> io::Result<bool> {
        tokio::fs::try_exists(self.file(token)?).await
    }
}

async fn me(token: VerifiedToken) -> String {
    format!("hello {}", token.subject().unwrap_or("stranger"))
}

/// After this response the token is rejected.
async fn logout(State(store): State<Directory>, token: VerifiedToken) -> StatusCode {
    match store.revoke(&TokenIdentity::from(&token)).await {
        Ok(()) => StatusCode::NO_CONTENT,
        // The logout failed, so the client must not be told that it succeeded.
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn app(key: &SigningKey, store: Directory) -> Router {
    let layer = JwtAuthLayer::new(key.verifying_key())
        .issuer(ISSUER)
        .revocation(store.clone());
    Router::new()
        .route("/me", get(me))
        .route("/logout", post(logout))
        .with_state(store)
        .layer(layer)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let key = SigningKey::generate(Algorithm::HS256)?;
    #[expect(clippy::disallowed_methods, reason = "the issuer's clock")]
    let now = SystemTime::now();
    let claims = |id: &str| {
        RegisteredClaims::valid_for(Duration::from_secs(300), now)
            .issuer(ISSUER)
            .subject("alice")
            .token_id(format!("{id}-{:?}", now.elapsed()))
    };
    let (first, second) = (key.sign(&claims("first"))?, key.sign(&claims("second"))?);
    let directory = std::env::var_os("REVOKED").map_or_else(
        || std::env::temp_dir().join("revoked-tokens"),
        PathBuf::from,
    );
    let port: u16 = match std::env::var("PORT") {
        Ok(port) => port.parse()?,
        Err(_) => 3000,
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let base = format!("http://{}", listener.local_addr()?);
    println!(
        r#"Listening on {base}. Revoked tokens are files in {}. Paste these lines into another terminal:

FIRST={first}
SECOND={second}

# 200, 204, and from then on 401; the other token counts.
curl -iw '\n' {base}/me -H "Authorization: Bearer $FIRST"
curl -iw '\n' -X POST {base}/logout -H "Authorization: Bearer $FIRST"
curl -iw '\n' {base}/me -H "Authorization: Bearer $FIRST"
curl -iw '\n' {base}/me -H "Authorization: Bearer $SECOND"
"#,
        directory.display()
    );
    axum::serve(listener, app(&key, Directory(directory))).await?;
    Ok(())
}
