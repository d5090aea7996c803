//! An MCP server, or another API whose clients discover its authorization server.
//!
//! Such a client knows only the URL of the API. The rest follows from RFC 9728:
//!
//! 1. The client sends a request without a token, and gets 401. The challenge names the URL of the
//!    metadata and the scopes to ask for.
//! 2. The metadata name the authorization server.
//! 3. The client lets its user log in there, and names your API as the `resource` (RFC 8707).
//! 4. It sends the request again, with the token. Your layer requires your API in `aud`.
//! 5. If an operation needs more scopes, a guard answers 403 with these scopes. The client asks for
//!    a token with them.
//!
//! ```
//! use axum::{Router, routing::{any, post}};
//! use tower_jwt_auth::{JwtAuthLayer, ProtectedResource, Require, VerifiedToken};
//! # use tower_jwt_auth::middleware::ResourceUrlError;
//! # use tower_jwt_auth::verify::IntoTrust;
//!
//! async fn mcp(token: VerifiedToken) -> String {
//!     token.subject().unwrap_or_default().to_owned()
//! }
//!
//! // In a service: `RemoteKeys::discover("https://id.example.com").build()?`.
//! fn app(keys: impl IntoTrust) -> Result<Router, ResourceUrlError> {
//!     let server = "https://id.example.com";
//!     let resource = ProtectedResource::new("https://api.example.com/mcp", server)?
//!         .name("Notes")
//!         .scope("notes:read");
//!     Ok(Router::new()
//!         .route("/mcp", post(mcp))
//!         .layer(Require::scope("notes:read"))
//!         .layer(JwtAuthLayer::new(keys).protected_resource(&resource))
//!         .route(&resource.metadata_path(), any(resource.metadata())))
//! }
//! # use axum::{body::{Body, to_bytes}, http::{Request, header::WWW_AUTHENTICATE}};
//! # use tower::ServiceExt;
//! # use tower_jwt_auth::testing::TestIssuer;
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! # let issuer = TestIssuer::with_key(tower_jwt_auth::keys::SigningKey::hs256([7; 32]).unwrap());
//! # let app = app(issuer.key()).unwrap();
//! # let request = Request::post("/mcp").body(Body::empty()).unwrap();
//! # let answer = app.clone().oneshot(request).await.unwrap();
//! # assert_eq!(answer.status(), 401);
//! # let challenge = answer.headers()[WWW_AUTHENTICATE].to_str().unwrap().to_owned();
//! # let url = "https://api.example.com/.well-known/oauth-protected-resource/mcp";
//! # assert!(challenge.contains(r#"scope="notes:read""#));
//! # assert!(challenge.contains(&format!(r#"resource_metadata="{url}""#)));
//! # let path = url.strip_prefix("https://api.example.com").unwrap();
//! # let request = Request::get(path).body(Body::empty()).unwrap();
//! # let answer = app.clone().oneshot(request).await.unwrap();
//! # let body = to_bytes(answer.into_body(), 1000).await.unwrap();
//! # assert!(body.starts_with(br#"{"resource":"https://api.example.com/mcp","#));
//! # }
//! ```
//!
//! `examples/mcp_server` is a whole MCP server on the crate `rmcp`. The
//! repository tests it with the client of `@modelcontextprotocol/sdk`.
//!
//! # What MCP asks of a server
//!
//! The [MCP specification](https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization)
//! of 2026-07-28 has these rules. The second column says what fulfils them here:
//!
//! | a server | by |
//! | --- | --- |
//! | must serve RFC 9728 metadata with `authorization_servers` | [`ProtectedResource`](crate::ProtectedResource) and its route |
//! | must name the URL of the metadata in the 401, or serve it at the well-known path | both: [`protected_resource`](crate::JwtAuthLayer::protected_resource) and the route |
//! | must accept only tokens issued for it | [`protected_resource`](crate::JwtAuthLayer::protected_resource) sets the audience |
//! | must answer 401 to an invalid or expired token | the layer |
//! | should name scopes in the 401 | [`scope`](crate::ProtectedResource::scope) |
//! | should answer 403 `insufficient_scope` with all scopes of the operation and `resource_metadata` | [`Require`](crate::Require) inside of the layer |
//! | must accept a broader scope that implies the needed one | [`Require::any_scope`](crate::Require::any_scope), where your scopes have such an order |
//! | should not list `offline_access` | [`scope`](crate::ProtectedResource::scope) panics if it gets this scope |
//! | must not read tokens from the query | no source of this crate does |
//! | must not pass the token on to other services | your code: get a token for the other service from its authorization server |
//! | must validate `Origin` | your MCP library; `rmcp` has `enforce_origin_validation` |
//!
//! # `aud`
//!
//! By default a token needs the identifier of the resource in `aud`, byte for byte. This is the URL
//! that you pass to `ProtectedResource::new`. There is one exception, because clients differ: a
//! slash directly after the host is optional if no path follows.
//!
//! Many authorization servers do not implement RFC 8707. They put the name of an API, or of a
//! client, into `aud`. If yours does, pass that name to
//! [`audience`](crate::ProtectedResource::audience), as the code below the table does:
//!
//! | authorization server | `aud` |
//! | --- | --- |
//! | with RFC 8707, such as `oidc-provider` | the identifier |
//! | Auth0 | the identifier of an API there; clients must send `audience`, unless the tenant accepts `resource` |
//! | Keycloak | what an audience mapper of a client scope says |
//! | Entra ID, Okta and others | see [`providers`](super::providers) |
//!
//! ```
//! # use tower_jwt_auth::ProtectedResource;
//! let resource = ProtectedResource::new("https://api.example.com/mcp", "https://id.example.com")?
//!     .audience("notes-api");
//! # Ok::<_, tower_jwt_auth::middleware::ResourceUrlError>(())
//! ```
//!
//! Do not share that audience with other services: a token for one would open the others.
//!
//! # Scopes of a tool
//!
//! All tools of an MCP server have one URL. A client asks for more scopes after the *status* 403.
//! An error in the JSON of a tool does not make it ask. So read the name of the tool from the
//! message, and apply the guard for it, before the MCP library handles the message.
//! `examples/mcp_server` shows how. Two things matter:
//!
//! - Name all scopes of the tool in one guard, also those that every request needs. Some clients
//!   ask for just the scopes of the last challenge.
//! - Pass on the message as you parsed it, not the text that you received. In JSON a member may
//!   occur twice, and two parsers may read such a text in two ways.
//!
//! # Several resources
//!
//! Make a [`ProtectedResource`](crate::ProtectedResource), a layer and a route for each. The path
//! of each metadata document is made from the path of its identifier. A token for one is rejected
//! at the others. One layer cannot protect two.
//!
//! # Clients in browsers
//!
//! The metadata may be read by pages of every origin. The API itself needs a `CorsLayer` outside of
//! the layer: see [`middleware`](crate::middleware#cors). Allow these headers of requests:
//! `Authorization`, `Content-Type`, `Mcp-Protocol-Version`, `Mcp-Method`, `Mcp-Name` and
//! `Mcp-Session-Id`. With DPoP also allow `DPoP`. Expose `WWW-Authenticate`, `Mcp-Session-Id` and
//! `DPoP-Nonce`: otherwise a script cannot read the challenge.
//!
//! # Behind a proxy
//!
//! The identifier is the URL that clients use, not the one behind the proxy. No `Host` or
//! `X-Forwarded-Host` of a request changes it. The proxy must also forward the path of the
//! metadata, which is at the root of the host: `/.well-known/oauth-protected-resource/mcp`.
