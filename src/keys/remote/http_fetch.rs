//! The built-in HTTP client.

use std::error::Error;
use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
#[cfg(feature = "introspection")]
use http::Request;
use http::{Response, Uri};
use reqwest::{Client, ClientBuilder};

use super::error::FetchErrorKind;
use super::fetch::{FETCH_DEADLINE, Fetch, MAX_BYTES};
#[cfg(feature = "introspection")]
use super::fetch::{MAX_ANSWER, Post};
use super::location;

/// RFC 7517 §8.5.2. Kubernetes requires the first type. Most issuers and all metadata use the
/// second.
const ACCEPT: &str = "application/jwk-set+json, application/json;q=0.9";

/// How long an unused connection is kept. Many servers close it after a minute.
const IDLE: Duration = Duration::from_secs(30);

/// An HTTP client with TLS by rustls. It does not follow redirects and reads at most 1 MiB within 5
/// seconds, or 64 KiB of an answer to an introspection.
///
/// It uses the proxy of the environment (`HTTPS_PROXY`, `NO_PROXY`). TLS is end-to-end through the
/// proxy. Loopback addresses, which may use `http`, are requested directly.
///
/// The root certificates of the platform are loaded at the first request that needs them. A machine
/// without root certificates can therefore still fetch by `http`.
#[derive(Clone, Debug, Default)]
pub struct HttpFetch {
    keeps_connections: bool,
    https: OnceLock<Client>,
    local_https: OnceLock<Client>,
    http: OnceLock<Client>,
    local_http: OnceLock<Client>,
}

/// Why a request failed.
#[derive(Debug)]
pub struct HttpFetchError(Failure);

#[derive(Debug)]
enum Failure {
    Setup(reqwest::Error),
    Request(reqwest::Error),
    TooLong,
}

impl Failure {
    /// The URL is reported next to the error, without its query.
    fn request(error: reqwest::Error) -> Self {
        Self::Request(error.without_url())
    }
}

impl HttpFetchError {
    pub(super) fn kind(&self) -> FetchErrorKind {
        match &self.0 {
            Failure::TooLong => FetchErrorKind::TooLong,
            Failure::Setup(_) => FetchErrorKind::TlsUnavailable,
            Failure::Request(error) if error.is_timeout() => FetchErrorKind::Timeout,
            Failure::Request(_) => FetchErrorKind::Transport,
        }
    }
}

impl HttpFetch {
    /// A client with the root certificates of the platform.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps connections open for the next request: a handshake for each token would be slow.
    #[cfg(feature = "introspection")]
    pub(crate) fn keeping_connections() -> Self {
        Self {
            keeps_connections: true,
            ..Self::default()
        }
    }

    /// The client for an address, made at its first use. If that fails, the next request tries
    /// again.
    fn client(&self, uri: &Uri) -> Result<&Client, Failure> {
        let is_local = uri.host().is_some_and(location::is_loopback);
        let is_http = location::is_http(uri);
        let client = match (is_http, is_local) {
            (false, false) => &self.https,
            (false, true) => &self.local_https,
            (true, false) => &self.http,
            (true, true) => &self.local_http,
        };
        if let Some(client) = client.get() {
            return Ok(client);
        }
        let builder = || {
            let builder = Client::builder().pool_idle_timeout(IDLE);
            let builder = match self.keeps_connections {
                true => builder,
                // A connection belongs to the runtime that opened it. The next fetch may use
                // another runtime, and comes minutes later.
                false => builder.pool_max_idle_per_host(0),
            };
            match is_local {
                true => builder.no_proxy(),
                false => builder,
            }
        };
        let without_roots = || build(builder().tls_certs_only([]));
        let built = match (is_http, is_local) {
            (false, _) => build(builder()),
            // The proxy may use TLS.
            (true, false) => build(builder()).or_else(|_| without_roots()),
            (true, true) => without_roots(),
        };
        let built = built.map_err(Failure::Setup)?;
        Ok(client.get_or_init(|| built))
    }

    async fn read(&self, uri: &Uri) -> Result<Response<Bytes>, Failure> {
        let request = self
            .client(uri)?
            .get(uri.to_string())
            .header(http::header::ACCEPT, ACCEPT);
        let response = request.send().await.map_err(Failure::request)?;
        read_body(response, MAX_BYTES).await
    }

    /// Sends a request. If the server has closed a kept connection in the meantime, sends it once
    /// more: asking twice has no effect.
    #[cfg(feature = "introspection")]
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Failure> {
        let (head, body) = request.into_parts();
        let client = self.client(&head.uri)?;
        let send = || {
            let request = client.post(head.uri.to_string());
            request
                .headers(head.headers.clone())
                .body(body.clone())
                .send()
        };
        let response = match send().await {
            Err(error) if !error.is_connect() && !error.is_timeout() => send().await,
            sent => sent,
        };
        read_body(response.map_err(Failure::request)?, MAX_ANSWER).await
    }
}

async fn read_body(
    mut response: reqwest::Response,
    max_bytes: usize,
) -> Result<Response<Bytes>, Failure> {
    let mut answer = Response::new(());
    *answer.status_mut() = response.status();
    *answer.headers_mut() = response.headers().clone();
    let mut body = BytesMut::new();
    // The body of an error response is not needed.
    if response.status() == http::StatusCode::OK {
        let most = u64::try_from(max_bytes).unwrap_or(u64::MAX);
        if response
            .content_length()
            .is_some_and(|length| length > most)
        {
            return Err(Failure::TooLong);
        }
        while let Some(chunk) = response.chunk().await.map_err(Failure::request)? {
            if body.len().saturating_add(chunk.len()) > max_bytes {
                return Err(Failure::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
    }
    Ok(answer.map(|()| body.freeze()))
}

fn build(builder: ClientBuilder) -> reqwest::Result<Client> {
    builder
        .redirect(reqwest::redirect::Policy::none())
        .timeout(FETCH_DEADLINE)
        // One request at a time for each connection: a runtime that nobody drives delays no request
        // on another connection.
        .http1_only()
        // Another crate may enable these. A small compressed body can expand to a huge one.
        .no_gzip()
        .no_brotli()
        .no_deflate()
        .no_zstd()
        .user_agent(concat!("tower-jwt-auth/", env!("CARGO_PKG_VERSION")))
        .build()
}

impl Fetch for HttpFetch {
    type Error = HttpFetchError;

    async fn fetch(&self, uri: &Uri) -> Result<Response<Bytes>, HttpFetchError> {
        self.read(uri).await.map_err(HttpFetchError)
    }
}

#[cfg(feature = "introspection")]
impl Post for HttpFetch {
    async fn post(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpFetchError> {
        self.send(request).await.map_err(HttpFetchError)
    }
}

impl fmt::Display for HttpFetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Failure::Setup(_) => {
                "TLS cannot be set up: install root certificates (the package ca-certificates), \
                 name a file of them in SSL_CERT_FILE, or implement Fetch"
            }
            Failure::Request(_) => "the HTTP client failed",
            Failure::TooLong => "the response is too long",
        })
    }
}

impl Error for HttpFetchError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Failure::Setup(error) | Failure::Request(error) => Some(error),
            Failure::TooLong => None,
        }
    }
}
