//! An MCP server on `rmcp` with two tools. Clients find its authorization server by themselves
//! (RFC 9728).
//!
//! ```text
//! cd examples/mcp_server
//! ISSUER=https://id.example.com cargo run
//! npx @modelcontextprotocol/inspector --cli http://127.0.0.1:3000/mcp --method tools/list
//! ```
//!
//! `PORT` sets the port (default 3000). Behind a proxy, `MCP_URL` is the URL that clients use. The
//! issuer must implement RFC 8707: its tokens have that URL in `aud`. Otherwise set `AUDIENCE` to
//! what they have.
//!
//! | scope | for |
//! | --- | --- |
//! | `notes:read` | every request |
//! | `notes:write` | the tool `add_note` too |

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use http::request::Parts;
use http::{StatusCode, Uri};
use rmcp::handler::server::common::Extension;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{schemars, tool, tool_router};
use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpListener;
use tower::ServiceExt;
use tower_jwt_auth::keys::remote::RemoteKeys;
use tower_jwt_auth::{JwtAuthLayer, ProtectedResource, Require, VerifiedToken};

/// Bytes of the longest message.
const MAX_MESSAGE: usize = 64 * 1024;

/// Notes of all users. The oldest is dropped when there are too many.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

const MAX_NOTES: usize = 100;

#[derive(Deserialize, schemars::JsonSchema)]
struct Note {
    text: String,
}

#[tool_router(server_handler)]
impl Notes {
    #[tool(description = "Lists the notes", annotations(read_only_hint = true))]
    fn list_notes(&self) -> String {
        let notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        notes.join("\n")
    }

    #[tool(description = "Adds a note")]
    fn add_note(
        &self,
        Parameters(note): Parameters<Note>,
        Extension(parts): Extension<Parts>,
    ) -> String {
        // The layer has put the token there.
        let subject = parts.extensions.get().and_then(VerifiedToken::subject);
        let note = format!("{}: {}", subject.unwrap_or("unknown"), note.text);
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() == MAX_NOTES {
            notes.remove(0);
        }
        notes.push(note.clone());
        note
    }
}

/// The MCP endpoint, once for each set of scopes.
#[derive(Clone)]
struct Endpoint {
    reading: Router,
    writing: Router,
}

/// Chooses the scopes by the tool that the message calls.
///
/// The scopes must be known before MCP answers: a client asks for more scopes after the status 403,
/// not after an error in JSON. The challenge names all scopes of the tool, because some clients ask
/// for just these.
async fn endpoint(
    State(endpoint): State<Endpoint>,
    request: Request,
) -> Result<Response, StatusCode> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_MESSAGE).await;
    let body = body.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    let (router, body) = if body.is_empty() {
        (endpoint.reading, Body::empty())
    } else {
        let message = serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
        let router = if calls_add_note(&message) {
            endpoint.writing
        } else {
            endpoint.reading
        };
        // MCP gets what was checked: a text with a member twice could be read in two ways.
        (router, Body::from(message.to_string()))
    };
    match router.oneshot(Request::from_parts(parts, body)).await {
        Ok(response) => Ok(response),
        Err(never) => match never {},
    }
}

/// Whether the message, or one of a batch, calls the tool.
fn calls_add_note(message: &Value) -> bool {
    match message {
        Value::Array(messages) => messages.iter().any(calls_add_note),
        message => message["method"] == "tools/call" && message["params"]["name"] == "add_note",
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let variable = |name: &str| std::env::var(name).ok();
    let issuer = variable("ISSUER").ok_or("ISSUER is not set")?;
    let port: u16 = variable("PORT").unwrap_or("3000".to_owned()).parse()?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let url = match variable("MCP_URL") {
        Some(url) => url,
        None => format!("http://{}/mcp", listener.local_addr()?),
    };

    let mut resource = ProtectedResource::new(&url, &issuer)?
        .name("Notes")
        .scope("notes:read")
        .optional_scope("notes:write");
    if let Some(audience) = variable("AUDIENCE") {
        resource = resource.audience(audience);
    }

    let host = url.parse::<Uri>()?.authority().map(ToString::to_string);
    let config = StreamableHttpServerConfig::default()
        .with_allowed_hosts(host)
        // Pages of other origins must not call it. Name those of clients in browsers here.
        .enforce_origin_validation()
        // A session would outlive its user's token, and anybody who knows its ID could join it.
        .with_legacy_session_mode(false)
        .with_json_response(true);
    let notes = Notes::default();
    let sessions = Arc::new(LocalSessionManager::default());
    let mcp = StreamableHttpService::new(move || Ok(notes.clone()), sessions, config);
    let guarded = |require: Require| Router::new().fallback_service(mcp.clone()).layer(require);
    let endpoints = Endpoint {
        reading: guarded(Require::scope("notes:read")),
        writing: guarded(Require::all_scopes(["notes:read", "notes:write"])),
    };

    let keys = RemoteKeys::discover(&issuer).build()?;
    let app = Router::new()
        .route("/mcp", any(endpoint).with_state(endpoints))
        .layer(JwtAuthLayer::new(keys).protected_resource(&resource))
        .route(&resource.metadata_path(), any(resource.metadata()));
    println!("{url}");
    axum::serve(listener, app).await?;
    Ok(())
}
