//! The provider, and the requests of a client to it.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use aws_lc_rs::digest::{SHA256, digest};
use base64_simd::URL_SAFE_NO_PAD;
use http::StatusCode;
use reqwest::Url;
use serde_json::{Value, json};

use crate::browser::{Browser, Page, client, with_form, with_parameters};
use crate::process::Process;

/// Who its access tokens are for.
pub(crate) const API: &str = "https://api.example";

pub(crate) const ALGORITHMS: [&str; 3] = ["RS256", "ES256", "EdDSA"];

/// The provider, which lives as long as this.
pub(crate) struct Provider {
    _process: Process,
    issuer: String,
    control: String,
    http: reqwest::Client,
}

/// A client that is registered.
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) secret: String,
    redirect_uri: String,
}

/// What the provider hands out for a code.
pub(crate) struct Tokens {
    pub(crate) access_token: String,
    pub(crate) id_token: String,
}

impl Provider {
    /// Starts `provider.mjs` of `work`, which has the package beside it. Its errors go to
    /// `provider.log` there.
    pub(crate) fn start(work: &Path) -> Self {
        let mut node = Command::new("node");
        node.arg(work.join("provider.mjs"))
            .stderr(File::create(work.join("provider.log")).unwrap());
        let mut process = Process::start(&mut node);
        let ready: Value = serde_json::from_str(&process.line()).unwrap_or_else(|_| {
            panic!(
                "the provider does not start: see provider.log in {}",
                work.display()
            )
        });
        Self {
            _process: process,
            issuer: text(&ready, "issuer"),
            control: text(&ready, "control"),
            http: client(),
        }
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }

    /// A document of the provider, and its `Cache-Control`.
    pub(crate) async fn document(&self, path: &str) -> (Value, Option<String>) {
        let response = self.http.get(self.at(path)).send().await.unwrap();
        let headers = response.headers();
        let cache_control = headers
            .get("cache-control")
            .map(|value| value.to_str().unwrap().to_owned());
        (read(response, StatusCode::OK).await, cache_control)
    }

    /// The names of the keys that the provider publishes now.
    pub(crate) async fn key_ids(&self) -> Vec<String> {
        let (document, _) = self.document("/jwks").await;
        let keys = document["keys"].as_array().unwrap();
        keys.iter().map(|key| text(key, "kid")).collect()
    }

    /// Replaces all keys at once.
    pub(crate) async fn rotate(&self) {
        self.act("rotate").await;
    }

    /// Closes the provider's port, until `restart`.
    pub(crate) async fn stop(&self) {
        self.act("stop").await;
    }

    pub(crate) async fn restart(&self) {
        self.act("start").await;
    }

    async fn act(&self, action: &str) {
        let request = self.http.post(format!("{}/{action}", self.control));
        assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    }

    /// Revokes an access token of the client (RFC 7009).
    pub(crate) async fn revoke(&self, client: &Client, token: &str) {
        let request = self.http.post(self.at("/token/revocation"));
        let request = request.basic_auth(&client.id, Some(&client.secret));
        let response = with_form(request, &[("token", token)]).send().await;
        assert_eq!(response.unwrap().status(), StatusCode::OK);
    }

    /// Registers a client (RFC 7591) with more metadata than its `redirect_uri`.
    pub(crate) async fn register(&self, redirect_uri: &str, more: Value) -> Client {
        let mut metadata = json!({
            "redirect_uris": [redirect_uri],
            "grant_types": ["authorization_code", "client_credentials"],
        });
        metadata
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let request = self
            .http
            .post(self.at("/reg"))
            .header("content-type", "application/json");
        let response = request.body(metadata.to_string()).send().await.unwrap();
        let client = read(response, StatusCode::CREATED).await;
        Client {
            id: text(&client, "client_id"),
            // One that authenticates by a key has none.
            secret: client["client_secret"].as_str().unwrap_or_default().into(),
            redirect_uri: redirect_uri.to_owned(),
        }
    }

    /// An access token for the client itself (RFC 6749 §4.4).
    pub(crate) async fn token_of(&self, client: &Client, algorithm: &str) -> String {
        let resource = format!("{API}/{algorithm}");
        let form = [
            ("grant_type", "client_credentials"),
            ("scope", "read"),
            ("resource", &*resource),
        ];
        text(&self.token(client, &form).await, "access_token")
    }

    /// Logs `account` in by the authorization code flow with PKCE, and fetches the tokens.
    pub(crate) async fn log_in(
        &self,
        client: &Client,
        account: &str,
        algorithm: &str,
    ) -> (Browser, Tokens) {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let challenge = URL_SAFE_NO_PAD.encode_to_string(digest(&SHA256, verifier.as_bytes()));
        let resource = format!("{API}/{algorithm}");
        let url = with_parameters(
            &self.at("/auth"),
            &[
                ("response_type", "code"),
                ("client_id", &client.id),
                ("redirect_uri", &client.redirect_uri),
                ("scope", "openid email read sid"),
                ("resource", &resource),
                ("state", "the state"),
                ("nonce", "the nonce"),
                ("code_challenge", &challenge),
                ("code_challenge_method", "S256"),
            ],
        );
        let mut browser = Browser::new().stop_at(&client.redirect_uri);
        let page = browser.log_in(url, account).await;
        assert!(page.status.is_none(), "{}: {}", page.url, page.body);
        assert_eq!(page.parameter("state").as_deref(), Some("the state"));
        assert_eq!(page.parameter("iss").as_deref(), Some(self.issuer()));
        let code = page.parameter("code").expect("a code");
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &*code),
            ("redirect_uri", &client.redirect_uri),
            ("code_verifier", verifier),
            ("resource", &resource),
        ];
        let tokens = self.token(client, &form).await;
        let tokens = Tokens {
            access_token: text(&tokens, "access_token"),
            id_token: text(&tokens, "id_token"),
        };
        (browser, tokens)
    }

    /// Logs out at the provider, as `client` asks for. On return the provider has notified its
    /// clients (OpenID Connect Back-Channel Logout 1.0).
    pub(crate) async fn log_out(&self, browser: &mut Browser, client: &Client) -> Page {
        let parameters = [("client_id", &*client.id)];
        let url = with_parameters(&self.at("/session/end"), &parameters);
        let page = browser.log_out(url).await;
        assert_eq!(
            page.status,
            Some(StatusCode::OK),
            "{}: {}",
            page.url,
            page.body
        );
        page
    }

    async fn token(&self, client: &Client, form: &[(&str, &str)]) -> Value {
        let request = self.http.post(self.at("/token"));
        let request = request.basic_auth(&client.id, Some(&client.secret));
        let response = with_form(request, form).send().await.unwrap();
        read(response, StatusCode::OK).await
    }
}

async fn read(response: reqwest::Response, expected: StatusCode) -> Value {
    let (url, status): (Url, _) = (response.url().clone(), response.status());
    let body = response.text().await.unwrap();
    assert_eq!(status, expected, "{url}: {body}");
    serde_json::from_str(&body).unwrap()
}

fn text(value: &Value, member: &str) -> String {
    value[member]
        .as_str()
        .unwrap_or_else(|| panic!("{member} is missing"))
        .to_owned()
}

/// A part of a token, without any check.
pub(crate) fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode_to_vec(part).unwrap()).unwrap()
}
