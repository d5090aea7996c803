//! How a document comes from the network.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Response, Uri};

use super::error::{FetchError, FetchErrorKind};

/// The most bytes that a document may have: 1 MiB. Those of large providers have some ten thousand.
pub(super) const MOST_BYTES: usize = 1024 * 1024;

/// The most time that discovery and keys may take together.
pub(super) const MOST_TIME: Duration = Duration::from_secs(5);

/// Fetches a document by GET: [`HttpFetch`], or a client of one's own, for a proxy, a private CA, or mTLS.
///
/// An implementation must not follow redirects, and should stop reading after 1 MiB. What it answers is checked all the same:
/// the status, the length, and the content. It is given up after 5 seconds.
///
/// ```
/// use http::{Response, Uri};
/// use tower_jwt_auth::keys::remote::Fetch;
///
/// struct Files;
///
/// impl Fetch for Files {
///     type Error = std::io::Error;
///
///     async fn fetch(&self, uri: &Uri) -> Result<Response<bytes::Bytes>, std::io::Error> {
///         let name = uri.path().rsplit('/').next().unwrap_or_default();
///         Ok(Response::new(tokio::fs::read(format!("keys/{name}")).await?.into()))
///     }
/// }
/// ```
pub trait Fetch: Send + Sync + 'static {
    /// Why there is no response.
    type Error: Error + Send + Sync + 'static;

    /// Fetches `uri`.
    fn fetch(&self, uri: &Uri)
    -> impl Future<Output = Result<Response<Bytes>, Self::Error>> + Send;
}

type Fetched<'a, T> = Pin<Box<dyn Future<Output = Result<T, FetchError>> + Send + 'a>>;

/// Any [`Fetch`], with what is asked of its answers.
pub(super) trait AnyFetch: Send + Sync + 'static {
    fn get<'a>(&'a self, uri: &'a Uri) -> Fetched<'a, Bytes>;
    fn get_with_life<'a>(&'a self, uri: &'a Uri) -> Fetched<'a, (Bytes, Option<Duration>)>;
}

impl<F: Fetch> AnyFetch for F {
    fn get<'a>(&'a self, uri: &'a Uri) -> Fetched<'a, Bytes> {
        Box::pin(async move { Ok(checked(self, uri).await?.into_body()) })
    }

    fn get_with_life<'a>(&'a self, uri: &'a Uri) -> Fetched<'a, (Bytes, Option<Duration>)> {
        Box::pin(async move {
            let response = checked(self, uri).await?;
            let life = max_age(&response);
            Ok((response.into_body(), life))
        })
    }
}

async fn checked<F: Fetch>(fetch: &F, uri: &Uri) -> Result<Response<Bytes>, FetchError> {
    let response = fetch
        .fetch(uri)
        .await
        .map_err(|error| FetchError::because(FetchErrorKind::Transport, error))?;
    let status = response.status();
    if status != http::StatusCode::OK {
        return Err(FetchErrorKind::Status(status.as_u16()).into());
    }
    if response.body().len() > MOST_BYTES {
        return Err(FetchErrorKind::TooLong.into());
    }
    Ok(response)
}

/// `max-age` of `Cache-Control` (RFC 9111 §5.2.2.1), less the `Age` that it had already (§5.1).
fn max_age<B>(response: &Response<B>) -> Option<Duration> {
    let values = response.headers().get_all(http::header::CACHE_CONTROL);
    let seconds: u64 = values
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|directive| directive.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("max-age"))
        .and_then(|(_, seconds)| seconds.trim().trim_matches('"').parse().ok())?;
    let age = response.headers().get(http::header::AGE);
    let age = age
        .and_then(|age| age.to_str().ok()?.trim().parse().ok())
        .unwrap_or(0);
    Some(Duration::from_secs(seconds.saturating_sub(age)))
}

/// A client with TLS by rustls: no redirects, no proxy that is not set in the environment, no more than 1 MiB and 5 seconds.
#[derive(Clone, Debug)]
pub struct HttpFetch(reqwest::Client);

/// Why there is no client, or no response.
#[derive(Debug)]
pub struct HttpFetchError(Failure);

#[derive(Debug)]
enum Failure {
    Client(reqwest::Error),
    TooLong,
}

impl HttpFetch {
    /// A client with the roots of trust of the platform.
    ///
    /// # Errors
    ///
    /// If TLS cannot be set up.
    pub fn new() -> Result<Self, HttpFetchError> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(MOST_TIME)
            .user_agent(concat!("tower-jwt-auth/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self(
            client.map_err(Failure::Client).map_err(HttpFetchError)?,
        ))
    }
}

impl Fetch for HttpFetch {
    type Error = HttpFetchError;

    async fn fetch(&self, uri: &Uri) -> Result<Response<Bytes>, HttpFetchError> {
        self.read(uri).await.map_err(HttpFetchError)
    }
}

impl HttpFetch {
    async fn read(&self, uri: &Uri) -> Result<Response<Bytes>, Failure> {
        let request = self
            .0
            .get(uri.to_string())
            .header(http::header::ACCEPT, "application/json");
        let mut response = request.send().await.map_err(Failure::Client)?;
        let mut answer = Response::new(());
        *answer.status_mut() = response.status();
        *answer.headers_mut() = response.headers().clone();
        let mut body = BytesMut::new();
        // What an error says is of no interest.
        if response.status() == http::StatusCode::OK {
            while let Some(chunk) = response.chunk().await.map_err(Failure::Client)? {
                if body.len().saturating_add(chunk.len()) > MOST_BYTES {
                    return Err(Failure::TooLong);
                }
                body.extend_from_slice(&chunk);
            }
        }
        Ok(answer.map(|()| body.freeze()))
    }
}

impl fmt::Display for HttpFetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Failure::Client(_) => "the HTTP client failed",
            Failure::TooLong => "the response is longer than 1 MiB",
        })
    }
}

impl Error for HttpFetchError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Failure::Client(error) => Some(error),
            Failure::TooLong => None,
        }
    }
}
