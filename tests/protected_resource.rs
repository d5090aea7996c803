//! Holds protected resources to RFC 9728, and to what MCP asks of a server: the metadata, the
//! challenges, and tokens for one resource alone.
#![cfg(all(feature = "axum", feature = "testing"))]
#![expect(clippy::unwrap_used, reason = "a test that panics fails")]

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/answer.rs"]
mod answer;

use std::panic::{AssertUnwindSafe, catch_unwind};

use answer::{Answer, send};
use axum::Router;
use axum::body::Body;
use axum::routing::{any, post};
use http::header::{AUTHORIZATION, HOST, WWW_AUTHENTICATE};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tower_jwt_auth::keys::{Algorithm, SigningKey};
use tower_jwt_auth::middleware::{ResourceUrlError, ResourceUrlErrorKind};
use tower_jwt_auth::routes::SessionRoutes;
use tower_jwt_auth::session::{RefreshKeys, Sessions};
use tower_jwt_auth::store::MemoryStore;
use tower_jwt_auth::testing::TestIssuer;
use tower_jwt_auth::{AuthErrorKind, ProtectedResource, Require, VerifyErrorKind};

const MCP: &str = "https://api.example.com/mcp";
const METADATA: &str = "https://api.example.com/.well-known/oauth-protected-resource/mcp";
const SERVER: &str = "https://id.example.com";

fn resource(identifier: &str) -> ProtectedResource {
    ProtectedResource::new(identifier, SERVER).unwrap()
}

/// The service of each resource at the path of its identifier, and its metadata.
fn app(issuer: &TestIssuer, resources: &[&ProtectedResource]) -> Router {
    let mut app = Router::new();
    for resource in resources {
        let path = resource.identifier().strip_prefix("https://").unwrap();
        let path = path.find('/').map_or("/", |slash| &path[slash..]);
        let service = Router::new()
            .route(path, post(|| async { "done" }))
            .route_layer(Require::scope("read"))
            .route_layer(issuer.layer().protected_resource(resource));
        app = app
            .merge(service)
            .route(&resource.metadata_path(), any(resource.metadata()));
    }
    app
}

async fn metadata(app: &Router, path: &str) -> Answer {
    send(app, Request::get(path).body(Body::empty()).unwrap()).await
}

/// Calls the path with a token that has these claims.
async fn call(app: &Router, issuer: &TestIssuer, path: &str, aud: Value, scope: &str) -> Answer {
    let token = issuer.token("alice").claim("aud", aud);
    let token = token.claim("scope", scope).bearer();
    let request = Request::post(path).header(AUTHORIZATION, token);
    send(app, request.body(Body::empty()).unwrap()).await
}

#[track_caller]
fn is_refused_as(answer: &Answer, kind: VerifyErrorKind) {
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    let error = answer.error.as_ref().unwrap();
    assert_eq!(error.kind(), AuthErrorKind::InvalidToken(kind));
}

#[tokio::test]
async fn the_document_has_what_is_configured() {
    let issuer = TestIssuer::new();
    let plain = resource(MCP);
    let answer = metadata(&app(&issuer, &[&plain]), &plain.metadata_path()).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.body,
        r#"{"resource":"https://api.example.com/mcp","authorization_servers":["https://id.example.com"],"bearer_methods_supported":["header"]}"#
    );
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["cache-control"], "public, max-age=600");
    assert_eq!(answer.headers["access-control-allow-origin"], "*");

    let full = resource("https://api.example.com/a%2Fb/")
        .authorization_server("https://id.example.com/realms/a/")
        .unwrap()
        .audience("api")
        .scope("read")
        .scope("list")
        .optional_scope("write")
        .name("The \"API\"")
        .documentation("https://api.example.com/docs")
        .dpop_algorithms([Algorithm::ES256, Algorithm::EdDSA])
        .dpop_required()
        .certificate_bound_tokens()
        .member("resource_policy_uri", "https://api.example.com/policy")
        .member("authorization_details_types_supported", vec!["payment"]);
    let document: Value = serde_json::from_str(&full.metadata_document()).unwrap();
    assert_eq!(
        document,
        json!({
            "resource": "https://api.example.com/a%2Fb/",
            "authorization_servers": [
                "https://id.example.com",
                "https://id.example.com/realms/a/",
            ],
            "scopes_supported": ["read", "list", "write"],
            "bearer_methods_supported": ["header"],
            "resource_name": "The \"API\"",
            "resource_documentation": "https://api.example.com/docs",
            "dpop_signing_alg_values_supported": ["ES256", "EdDSA"],
            "dpop_bound_access_tokens_required": true,
            "tls_client_certificate_bound_access_tokens": true,
            "resource_policy_uri": "https://api.example.com/policy",
            "authorization_details_types_supported": ["payment"],
        })
    );
}

#[tokio::test]
async fn where_the_metadata_are() {
    let issuer = TestIssuer::new();
    for (identifier, path) in [
        ("https://api.example.com", ""),
        ("https://api.example.com/", ""),
        ("https://api.example.com/mcp", "/mcp"),
        ("https://api.example.com/mcp/", "/mcp"),
        ("https://api.example.com/a/b.c", "/a/b.c"),
        ("https://api.example.com/a%2Fb%20c", "/a%2Fb%20c"),
        ("https://api.example.com/x/:y", "/x/:y"),
    ] {
        let resource = resource(identifier);
        let path = format!("/.well-known/oauth-protected-resource{path}");
        assert_eq!(resource.metadata_path(), path);
        assert_eq!(
            resource.metadata_url(),
            format!("https://api.example.com{path}")
        );
        let app: Router = Router::new()
            .without_v07_checks()
            .route(&path, any(resource.metadata()));
        let answer = metadata(&app, &path).await;
        let document: Value = serde_json::from_str(&answer.body).unwrap();
        // RFC 9728 §3.3: a client compares it.
        assert_eq!(document["resource"], identifier);
    }
    let local = ProtectedResource::new("http://localhost:3000/mcp", "http://127.0.0.1:9000");
    assert_eq!(
        local.unwrap().metadata_url(),
        "http://localhost:3000/.well-known/oauth-protected-resource/mcp"
    );
    // A token has no part in it.
    let app = app(&issuer, &[&resource(MCP)]);
    let path = "/.well-known/oauth-protected-resource/mcp";
    for (method, status) in [
        ("GET", 200),
        ("HEAD", 200),
        ("OPTIONS", 204),
        ("POST", 405),
        ("DELETE", 405),
    ] {
        let request = Request::builder().method(method).uri(path);
        let request = request
            .header("origin", "https://inspector.example")
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "mcp-protocol-version");
        let answer = send(&app, request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, status, "{method}");
        assert_eq!(answer.headers["access-control-allow-origin"], "*");
        let allowed = answer.headers.get("access-control-allow-headers");
        assert_eq!(allowed.is_some(), method == "OPTIONS");
        let methods = answer.headers.get("allow");
        assert_eq!(methods.is_some(), status == 405);
    }
}

#[tokio::test]
async fn challenges_name_the_metadata_and_the_first_scopes() {
    let issuer = TestIssuer::new();
    let resource = resource(MCP)
        .scope("read")
        .scope("list")
        .optional_scope("write");
    let layer = issuer.layer().protected_resource(&resource);
    let handler = || async { "done" };
    let app = Router::new()
        .route("/read", post(handler).layer(Require::scope("read")))
        .route(
            "/write",
            post(handler).layer(Require::all_scopes(["read", "write"])),
        )
        .route("/odd", post(handler).layer(Require::token(|_| false)))
        .route("/login", post(handler).layer(Require::acr(["2"])))
        .layer(layer);
    let end = format!(r#", resource_metadata="{METADATA}""#);
    let challenge = |answer: &Answer| {
        let challenge = answer.headers[WWW_AUTHENTICATE].to_str().unwrap();
        let rest = challenge.strip_suffix(&*end);
        let rest = rest.and_then(|rest| rest.strip_prefix(r#"Bearer realm="api""#));
        rest.unwrap_or_else(|| panic!("{challenge}")).to_owned()
    };

    // Without a token, and with a bad one.
    let request = Request::post("/read").body(Body::empty()).unwrap();
    let answer = send(&app, request).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(challenge(&answer), r#", scope="read list""#);
    let request = Request::post("/read").header(AUTHORIZATION, "Bearer a.b.c");
    let answer = send(&app, request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        challenge(&answer),
        r#", error="invalid_token", error_description="The access token is invalid.", scope="read list""#
    );
    // Malformed: another token would not help.
    let request = Request::post("/read").header(AUTHORIZATION, "Bearer a b");
    let answer = send(&app, request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        challenge(&answer),
        r#", error="invalid_request", error_description="The credentials are malformed.""#
    );
    // A guard names all of its scopes at once, and no others.
    let denied = r#", error="insufficient_scope", error_description="The access token does not allow this.""#;
    let answer = call(&app, &issuer, "/write", json!(MCP), "read").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(
        challenge(&answer),
        format!(r#"{denied}, scope="read write""#)
    );
    let answer = call(&app, &issuer, "/odd", json!(MCP), "read").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(challenge(&answer), denied);
    // The user's login is at fault, and the scopes of the token are not.
    let answer = call(&app, &issuer, "/login", json!(MCP), "read").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(!challenge(&answer).contains("scope="));
    let answer = call(&app, &issuer, "/write", json!(MCP), "write read").await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "done"));
}

#[tokio::test]
async fn r01_a_token_for_another_resource() {
    use VerifyErrorKind::{MissingAudience, WrongAudience};

    let issuer = TestIssuer::new();
    let other = "https://api.example.com/mcp/other";
    let app = app(&issuer, &[&resource(MCP), &resource(other)]);
    let known =
        ["/mcp", "/mcp/other"].map(|path| format!("/.well-known/oauth-protected-resource{path}"));
    for (path, name) in known.iter().zip([MCP, other]) {
        let document: Value = serde_json::from_str(&metadata(&app, path).await.body).unwrap();
        assert_eq!(document["resource"], name);
    }
    for (path, aud, kind) in [
        ("/mcp", json!(MCP), None),
        ("/mcp", json!(["https://x.example", MCP]), None),
        ("/mcp/other", json!(other), None),
        ("/mcp", json!(other), Some(WrongAudience)),
        ("/mcp/other", json!(MCP), Some(WrongAudience)),
        (
            "/mcp",
            json!("https://api.example.com/mcp/"),
            Some(WrongAudience),
        ),
        (
            "/mcp",
            json!("https://api.example.com"),
            Some(WrongAudience),
        ),
        (
            "/mcp",
            json!("https://API.example.com/mcp"),
            Some(WrongAudience),
        ),
        (
            "/mcp",
            json!("http://api.example.com/mcp"),
            Some(WrongAudience),
        ),
        ("/mcp", json!([]), Some(WrongAudience)),
    ] {
        let answer = call(&app, &issuer, path, aud, "read").await;
        match kind {
            None => assert_eq!(answer.status, StatusCode::OK, "{path}"),
            Some(kind) => is_refused_as(&answer, kind),
        }
    }
    let token = issuer.token("alice").claim("scope", "read").bearer();
    let request = Request::post("/mcp").header(AUTHORIZATION, token);
    let answer = send(&app, request.body(Body::empty()).unwrap()).await;
    is_refused_as(&answer, MissingAudience);
    // One layer for both would accept the tokens of either at each.
    let layer = issuer.layer().protected_resource(&resource(MCP));
    let again = || layer.clone().protected_resource(&resource(other));
    assert!(catch_unwind(AssertUnwindSafe(again)).is_err());
}

#[tokio::test]
async fn an_audience_replaces_the_identifier() {
    let issuer = TestIssuer::new();
    let named = resource(MCP).audience("api").audience("api-2");
    let app_of = |resource: &ProtectedResource| app(&issuer, &[resource]);
    for (aud, status) in [("api", 200), ("api-2", 200), (MCP, 401), ("api-3", 401)] {
        let answer = call(&app_of(&named), &issuer, "/mcp", json!(aud), "read").await;
        assert_eq!(answer.status, status, "{aud}");
    }
    // Without a path, a client may add the slash, and an authorization server keeps it.
    for identifier in ["https://api.example.com", "https://api.example.com/"] {
        let app = app_of(&resource(identifier));
        for (aud, status) in [
            ("https://api.example.com", 200),
            ("https://api.example.com/", 200),
            ("https://api.example.com//", 401),
        ] {
            let answer = call(&app, &issuer, "/", json!(aud), "read").await;
            assert_eq!(answer.status, status, "{aud}");
        }
    }
}

#[tokio::test]
async fn r02_hosts_that_a_client_names() {
    let issuer = TestIssuer::new();
    let resource = resource(MCP);
    let app = app(&issuer, &[&resource]);
    let document = resource.metadata_document();
    for (name, value) in [
        (HOST.as_str(), "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-prefix", "/evil"),
        ("x-original-url", "/evil"),
        ("forwarded", "host=evil.example;proto=http"),
    ] {
        for uri in ["/mcp", "http://evil.example/mcp", "/mcp?resource=evil"] {
            let request = Request::post(uri).header(name, value);
            let answer = send(&app, request.body(Body::empty()).unwrap()).await;
            assert_eq!(
                answer.headers[WWW_AUTHENTICATE],
                format!(r#"Bearer realm="api", resource_metadata="{METADATA}""#)
            );
        }
        let path = format!("{}?resource=https://evil.example", resource.metadata_path());
        let request = Request::get(path).header(name, value);
        let answer = send(&app, request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.body, document);
    }
}

#[tokio::test]
async fn r03_other_spellings_of_the_path_of_the_metadata() {
    let issuer = TestIssuer::new();
    let app = app(
        &issuer,
        &[
            &resource(MCP),
            &resource("https://api.example.com/mcp/other"),
        ],
    );
    for path in [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/",
        "/.well-known/oauth-protected-resource/mcp/",
        "/.well-known/oauth-protected-resource/MCP",
        "/.well-known/oauth-protected-resource/%6dcp",
        "/.well-known/oauth-protected-resource//mcp",
        "/.well-known/oauth-protected-resource/mcp%2Fother",
        "/.well-known/oauth-protected-resource/mcp/../mcp",
        "/mcp/.well-known/oauth-protected-resource",
    ] {
        assert_eq!(
            metadata(&app, path).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
}

/// What would leave its quotes in a challenge, match other paths, or name something else to a
/// client.
#[test]
fn r04_identifiers_that_would_break_out() {
    use ResourceUrlErrorKind::{Credentials, Fragment, Host, NotAUrl, Path, Query, Scheme};

    let kind = |result: Result<ProtectedResource, ResourceUrlError>| result.unwrap_err().kind();
    for (url, expected) in [
        ("api", NotAUrl),
        ("http://api.example.com", Scheme),
        ("https://alice:hunter2@api.example.com", Credentials),
        ("https://api.example.com/#mcp", Fragment),
        ("https://api.example.com/mcp?tenant=a", Query),
        ("https://API.example.com", Host),
        ("https://api.example.com:443", Host),
        ("https://api.example.com\", scope=\"x", Host),
        ("https://api.example.com/\", scope=\"x", Path),
        ("https://api.example.com/a\r\nb", Path),
        ("https://api.example.com/{tenant}", Path),
        ("https://api.example.com/a/../b", Path),
        ("https://api.example.com/a/%2e%2E/b", Path),
    ] {
        assert_eq!(kind(ProtectedResource::new(url, SERVER)), expected, "{url}");
        assert_eq!(kind(ProtectedResource::new(MCP, url)), expected, "{url}");
        assert_eq!(kind(resource(MCP).authorization_server(url)), expected);
        let error = ProtectedResource::new(url, SERVER).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}

#[test]
fn settings_that_no_client_could_use() {
    let panics = |change: &dyn Fn(ProtectedResource) -> ProtectedResource| {
        catch_unwind(AssertUnwindSafe(|| change(resource(MCP)))).is_err()
    };
    for scope in ["", "a b", "a\"b", "a\\b", "ä", "offline_access"] {
        assert!(panics(&|resource| resource.scope(scope)), "{scope}");
        assert!(
            panics(&|resource| resource.optional_scope(scope)),
            "{scope}"
        );
    }
    assert!(panics(&|resource| resource.audience("")));
    assert!(panics(&|resource| resource.dpop_algorithms([])));
    assert!(panics(
        &|resource| resource.dpop_algorithms([Algorithm::HS256])
    ));
    for name in [
        "resource",
        "authorization_servers",
        "scopes_supported",
        "bearer_methods_supported",
        "signed_metadata",
    ] {
        assert!(panics(&|resource| resource.member(name, "x")), "{name}");
    }
    assert!(panics(&|resource| resource.member("jwks_uri", Value::Null)));
    assert!(panics(&|resource| resource.member("x", json!([]))));
    assert!(!panics(&|resource| resource
        .member("x", false)
        .scope("a:b")
        .audience("a")));
}

#[tokio::test]
async fn r05_tokens_outside_of_the_header() {
    let issuer = TestIssuer::new();
    let app = app(&issuer, &[&resource(MCP)]);
    let token = || {
        issuer
            .token("alice")
            .claim("aud", MCP)
            .claim("scope", "read")
    };
    let query = format!("/mcp?access_token={}", token().sign());
    let form = format!("access_token={}", token().sign());
    let request = Request::post(query)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("cookie", format!("access_token={}", token().sign()));
    let answer = send(&app, request.body(form.into()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.error.unwrap().kind(), AuthErrorKind::MissingToken);
    let request = Request::post("/mcp").header(AUTHORIZATION, token().bearer());
    let answer = send(&app, request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn sessions_issue_tokens_for_a_resource() {
    let key = SigningKey::generate(Algorithm::ES256).unwrap();
    let sessions = Sessions::new(MemoryStore::new(), key, RefreshKeys::generate().unwrap())
        .issuer(SERVER)
        .audience(MCP);
    let routes = SessionRoutes::without_cookies(sessions);
    let layer = routes
        .layer()
        .protected_resource(&resource(MCP).scope("read"));
    let app = Router::new()
        .route("/mcp", post(|| async { "done" }))
        .layer(layer);
    let alice = routes.sessions().subject_named("alice");
    let pending = routes.sessions().begin(&alice).await.unwrap();
    let tokens = routes.sessions().complete(pending).await.unwrap();
    let bearer = format!("Bearer {}", tokens.access_token);
    let request = Request::post("/mcp").header(AUTHORIZATION, bearer);
    let answer = send(&app, request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK);
    let request = Request::post("/mcp").body(Body::empty()).unwrap();
    assert_eq!(
        send(&app, request).await.headers[WWW_AUTHENTICATE],
        format!(r#"Bearer realm="api", scope="read", resource_metadata="{METADATA}""#)
    );
}
