//! A protected resource: its metadata (RFC 9728), and the layer around it.

use serde::Serialize;
use serde_json::{Map, Value};

use super::challenge::{ChallengedResource, is_scope_token};
use super::layer::JwtAuthLayer;
use super::resource_url::{ResourceUrl, ResourceUrlError};
use crate::keys::Algorithm;
use crate::verify::Verifier;

/// The well-known URI of the metadata (RFC 9728 §3).
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// A resource server as clients discover it: which authorization servers issue its tokens, and
/// which scopes it knows (RFC 9728).
///
/// You need it for an MCP server: its clients know only its URL, and discover the rest. This type
/// configures three things:
///
/// - [`JwtAuthLayer::protected_resource`] requires the resource as the audience of a token. It adds
///   two parameters to challenges: the URL of the metadata, and the scopes of
///   [`scope`](Self::scope).
/// - `metadata` is the handler for axum (feature `axum`), at
///   [`metadata_path`](ProtectedResource::metadata_path).
/// - [`metadata_document`](ProtectedResource::metadata_document) is the document for other servers.
///
#[cfg_attr(feature = "axum", doc = "```")]
#[cfg_attr(not(feature = "axum"), doc = "```text")]
/// use axum::{Router, routing::{any, post}};
/// use tower_jwt_auth::{JwtAuthLayer, ProtectedResource, Require};
/// # let keys = tower_jwt_auth::keys::VerifyingKey::hs256([7; 32]).unwrap();
///
/// let resource = ProtectedResource::new("https://api.example.com/mcp", "https://id.example.com")?
///     .scope("mcp:read")
///     .optional_scope("mcp:write");
/// let app: Router = Router::new()
///     .route("/mcp", post(|| async { "hello" }))
///     .layer(Require::scope("mcp:read"))
///     .layer(JwtAuthLayer::new(keys).protected_resource(&resource))
///     // `/.well-known/oauth-protected-resource/mcp`, for everybody.
///     .route(&resource.metadata_path(), any(resource.metadata()));
/// # Ok::<_, tower_jwt_auth::middleware::ResourceUrlError>(())
/// ```
///
/// The metadata say `"bearer_methods_supported": ["header"]`: no source of this crate reads a token
/// from a query or a form (RFC 9700 §4.3.2).
#[derive(Clone, Debug)]
pub struct ProtectedResource {
    identifier: ResourceUrl,
    /// Instead of the identifier, if there are any.
    audiences: Vec<Box<str>>,
    authorization_servers: Vec<ResourceUrl>,
    scopes: Vec<Box<str>>,
    optional_scopes: Vec<Box<str>>,
    /// Further members of the metadata.
    members: Map<String, Value>,
}

/// The members of the metadata that this type sets itself (RFC 9728 §2).
#[derive(Serialize)]
struct Metadata<'a> {
    resource: &'a str,
    authorization_servers: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<&'a str>,
    bearer_methods_supported: [&'static str; 1],
    #[serde(flatten)]
    members: &'a Map<String, Value>,
}

/// Names of members that [`ProtectedResource::member`] refuses: this type sets the first four, and
/// the last would override them (RFC 9728 §2.2).
const RESERVED_MEMBERS: [&str; 5] = [
    "resource",
    "authorization_servers",
    "scopes_supported",
    "bearer_methods_supported",
    "signed_metadata",
];

impl ProtectedResource {
    /// A resource whose tokens `authorization_server` issues.
    ///
    /// `identifier` is the URL of the resource, as clients use it (RFC 9728 §1.2). For an MCP
    /// server it is the URL of its endpoint. `authorization_server` is the issuer's name (RFC 8414
    /// §2). Both stay as they are: clients compare them byte for byte (§3.3).
    ///
    /// # Errors
    ///
    /// If one of them is not an `https` URL, has credentials, a query or a fragment, or is not in
    /// the form that clients use: for example, its host has capital letters. `http` is allowed for
    /// loopback addresses.
    pub fn new(
        identifier: impl AsRef<str>,
        authorization_server: impl AsRef<str>,
    ) -> Result<Self, ResourceUrlError> {
        let resource = Self {
            identifier: ResourceUrl::parse(identifier.as_ref())?,
            audiences: Vec::new(),
            authorization_servers: Vec::new(),
            scopes: Vec::new(),
            optional_scopes: Vec::new(),
            members: Map::new(),
        };
        resource.authorization_server(authorization_server)
    }

    /// Adds another authorization server.
    ///
    /// # Errors
    ///
    /// As [`new`](ProtectedResource::new).
    pub fn authorization_server(
        mut self,
        issuer: impl AsRef<str>,
    ) -> Result<Self, ResourceUrlError> {
        let issuer = ResourceUrl::parse(issuer.as_ref())?;
        self.authorization_servers.push(issuer);
        Ok(self)
    }

    /// Sets what tokens have in `aud` instead of the identifier. May be called more than once: a
    /// token must have one of the values.
    ///
    /// You need it for authorization servers that do not implement RFC 8707: their `aud` is a name
    /// that you configured there.
    ///
    /// # Panics
    ///
    /// If `audience` is empty.
    #[must_use]
    #[track_caller]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        let audience = audience.into();
        assert!(!audience.is_empty(), "the audience is empty");
        self.audiences.push(audience.into());
        self
    }

    /// Adds a scope that a client should ask for at first: it is in `scopes_supported`, and in the
    /// challenge to a request without a valid token.
    ///
    /// It is advice for clients. Use [`Require`](crate::Require) to reject a token without the
    /// scope.
    ///
    /// # Panics
    ///
    /// - If it is not a scope token: printable ASCII without spaces, quotes and backslashes (RFC
    ///   6749 §3.3).
    /// - If it is `offline_access`: a refresh token concerns the authorization server only, and MCP
    ///   advises against it.
    #[must_use]
    #[track_caller]
    pub fn scope(mut self, name: impl AsRef<str>) -> Self {
        self.scopes.push(checked_scope(name.as_ref()));
        self
    }

    /// Adds a scope that only some operations need: it is in `scopes_supported`, but not in the
    /// challenge to a request without a valid token.
    ///
    /// A client asks for it after the 403 of a [guard](crate::guard), which names the scope.
    ///
    /// # Panics
    ///
    /// As [`scope`](ProtectedResource::scope).
    #[must_use]
    #[track_caller]
    pub fn optional_scope(mut self, name: impl AsRef<str>) -> Self {
        self.optional_scopes.push(checked_scope(name.as_ref()));
        self
    }

    /// Sets the name that a client may show to its user: `resource_name`.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        self.set("resource_name", name.into())
    }

    /// Sets the URL of documentation for developers: `resource_documentation`.
    #[must_use]
    pub fn documentation(self, url: impl Into<String>) -> Self {
        self.set("resource_documentation", url.into())
    }

    /// Says which algorithms a DPoP proof may have: `dpop_signing_alg_values_supported` (RFC 9449
    /// §4.3).
    ///
    /// # Panics
    ///
    /// If `algorithms` is empty, or one is symmetric.
    #[must_use]
    #[track_caller]
    pub fn dpop_algorithms(self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        let algorithms: Vec<_> = algorithms.into_iter().collect();
        assert!(!algorithms.is_empty(), "no algorithm of DPoP proofs");
        assert!(
            algorithms.iter().all(|algorithm| algorithm.is_asymmetric()),
            "a DPoP proof has an asymmetric algorithm"
        );
        let names: Vec<_> = algorithms.into_iter().map(Algorithm::name).collect();
        self.set("dpop_signing_alg_values_supported", names)
    }

    /// Says that a token must be bound to the client's key: `dpop_bound_access_tokens_required`.
    ///
    /// It is advice for clients. The sources of the layer decide what is accepted.
    #[must_use]
    pub fn dpop_required(self) -> Self {
        self.set("dpop_bound_access_tokens_required", true)
    }

    /// Says that tokens may be bound to the client's certificate (RFC 8705 §3):
    /// `tls_client_certificate_bound_access_tokens`.
    ///
    /// It is advice for clients. [`JwtAuthLayer::mtls`] accepts such tokens.
    #[must_use]
    pub fn certificate_bound_tokens(self) -> Self {
        self.set("tls_client_certificate_bound_access_tokens", true)
    }

    /// Sets any other member of the metadata, such as `resource_policy_uri`, `jwks_uri`, or a name
    /// in another language: `resource_name#de` (RFC 9728 §2).
    ///
    /// It replaces a member of the same name, also one that a method such as [`name`](Self::name)
    /// has set.
    ///
    /// # Panics
    ///
    /// - If it is `resource`, `authorization_servers`, `scopes_supported` or
    ///   `bearer_methods_supported`: this type sets them.
    /// - If it is `signed_metadata`: it would override the others (§2.2), and is not signed here.
    /// - If `value` is null, or an empty array: such members must be left out (§3.2).
    #[must_use]
    #[track_caller]
    pub fn member(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        let (name, value) = (name.into(), value.into());
        assert!(
            !RESERVED_MEMBERS.contains(&&*name),
            "`{name}` is not set by `member`"
        );
        let is_empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        assert!(!is_empty, "a member without a value must be left out");
        self.set(name, value)
    }

    fn set(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.members.insert(name.into(), value.into());
        self
    }

    /// The identifier, as it was configured.
    #[must_use]
    pub fn identifier(&self) -> &str {
        self.identifier.as_str()
    }

    /// The path of the metadata, for a route: the well-known path, followed by the path of the
    /// resource (RFC 9728 §3.1). A slash at the end of the identifier is left out.
    ///
    /// A segment that begins with `:` or `*` needs axum's `Router::without_v07_checks`.
    #[must_use]
    pub fn metadata_path(&self) -> String {
        format!("{WELL_KNOWN}{}", self.identifier.path())
    }

    /// The URL of the metadata: `resource_metadata` of challenges (RFC 9728 §5.1).
    #[must_use]
    pub fn metadata_url(&self) -> String {
        format!("{}{}", self.identifier.origin(), self.metadata_path())
    }

    /// The metadata as JSON (RFC 9728 §3.2). Serve it as `application/json`.
    #[must_use]
    pub fn metadata_document(&self) -> String {
        let scopes = self.scopes.iter().chain(&self.optional_scopes);
        let servers = self.authorization_servers.iter();
        let metadata = Metadata {
            resource: self.identifier(),
            authorization_servers: servers.map(ResourceUrl::as_str).collect(),
            scopes_supported: scopes.map(|scope| &**scope).collect(),
            bearer_methods_supported: ["header"],
            members: &self.members,
        };
        // Never fails: the names of members are strings.
        serde_json::to_string(&metadata).unwrap_or_default()
    }

    /// What tokens must have in `aud`: one of these values.
    fn audiences(&self) -> Vec<String> {
        if !self.audiences.is_empty() {
            return self.audiences.iter().map(ToString::to_string).collect();
        }
        if self.identifier.path().is_empty() {
            // RFC 3986 §6.2.3: an empty path is `/`, and URL libraries of clients add the slash.
            let origin = self.identifier.origin();
            return vec![origin.to_owned(), format!("{origin}/")];
        }
        vec![self.identifier().to_owned()]
    }
}

#[track_caller]
fn checked_scope(name: &str) -> Box<str> {
    assert!(
        is_scope_token(name),
        "a scope is printable ASCII without spaces, quotes and backslashes"
    );
    assert!(
        name != "offline_access",
        "`offline_access` is a scope of the authorization server, not of a resource"
    );
    name.into()
}

impl<R, V> JwtAuthLayer<R, V> {
    /// Protects `resource`: a token must have been issued for it, and challenges tell clients where
    /// its metadata are (RFC 9728 §5.1).
    ///
    /// - It adds the audiences of the resource: its identifier, or those of
    ///   [`ProtectedResource::audience`]. Audiences of this layer stay accepted too. A
    ///   [`TrustedIssuer`](crate::TrustedIssuer) with audiences uses its own instead.
    /// - The challenges of a 400, of a 401 and of a guard's 403 have `resource_metadata`.
    /// - The challenge to a request without a valid token has the `scope` of
    ///   [`ProtectedResource::scope`]. A guard's 403 names the guard's scopes.
    ///
    /// The URL is the configured one: no header of a request changes it.
    ///
    /// # Panics
    ///
    /// If the layer protects a resource already: a token for one would be accepted for the other.
    #[must_use]
    #[track_caller]
    pub fn protected_resource(self, resource: &ProtectedResource) -> Self {
        let audiences = resource.audiences().into_iter();
        let verifier = audiences.fold(self.verifier(), Verifier::audience);
        let challenged = ChallengedResource {
            metadata_url: resource.metadata_url().into(),
            scope: (!resource.scopes.is_empty()).then(|| resource.scopes.join(" ").into()),
        };
        self.set_verifier(verifier)
            .map(|authenticator| authenticator.challenge().set_resource(challenged))
    }
}
