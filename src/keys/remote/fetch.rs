//! Fetches a document by HTTP.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Response, Uri};

use super::error::{FetchError, FetchErrorKind};
use super::location;

/// The maximum size of a document: 1 MiB. Documents of large providers have about ten thousand
/// bytes.
pub(super) const MAX_BYTES: usize = 1024 * 1024;

/// RFC 7517 §8.5.2. Kubernetes requires the first type. Most issuers and all metadata use the
/// second.
const ACCEPT: &str = "application/jwk-set+json, application/json;q=0.9";

/// The maximum time for metadata and keys together.
pub(super) const FETCH_DEADLINE: Duration = Duration::from_secs(5);

/// Fetches a document by GET.
///
/// [`HttpFetch`] implements it. Implement it yourself if you need a private CA, a client
/// certificate or your own proxy settings.
///
/// An implementation must not follow redirects, and should stop reading after 1 MiB. The status,
/// the size and the content of the response are checked afterwards. A fetch is cancelled after 5
/// seconds, unless it blocks the thread.
///
/// Some issuers answer 406 unless `Accept` allows `application/jwk-set+json` for keys and
/// `application/json` for metadata. `*/*` allows both.
///
/// With `reqwest` and a private CA:
///
/// ```no_run
/// use bytes::{Bytes, BytesMut};
/// use http::{Response, Uri};
/// use reqwest::{Certificate, Client, redirect};
/// use tower_jwt_auth::{JwtAuthLayer, keys::remote::{Fetch, RemoteKeys}};
///
/// struct PrivateCa(Client);
///
/// impl Fetch for PrivateCa {
///     type Error = reqwest::Error;
///
///     async fn fetch(&self, uri: &Uri) -> Result<Response<Bytes>, reqwest::Error> {
///         let mut response = self.0.get(uri.to_string()).send().await?;
///         let (status, headers) = (response.status(), response.headers().clone());
///         let mut body = BytesMut::new();
///         while let Some(chunk) = response.chunk().await? {
///             body.extend_from_slice(&chunk);
///             if body.len() > 1024 * 1024 { break } // It is rejected as too long.
///         }
///         let mut answer = Response::new(body.freeze());
///         *answer.status_mut() = status;
///         *answer.headers_mut() = headers; // for `Cache-Control`
///         Ok(answer)
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::builder()
///     .tls_certs_only([Certificate::from_pem(&std::fs::read("ca.pem")?)?])
///     // .identity(…) for a client certificate, .proxy(…) for a proxy
///     .redirect(redirect::Policy::none())
///     .build()?;
/// let keys = RemoteKeys::discover("https://id.internal").fetch(PrivateCa(client)).build()?;
/// let layer = JwtAuthLayer::new(keys).audience("api");
/// # Ok(())
/// # }
/// ```
pub trait Fetch: Send + Sync + 'static {
    /// Why the request failed.
    type Error: Error + Send + Sync + 'static;

    /// Fetches `uri`.
    fn fetch(&self, uri: &Uri)
    -> impl Future<Output = Result<Response<Bytes>, Self::Error>> + Send;
}

type Fetched<'a, T> = Pin<Box<dyn Future<Output = Result<T, FetchError>> + Send + 'a>>;

/// Any [`Fetch`], with checks of the response.
pub(super) trait AnyFetch: Send + Sync + 'static {
    fn get<'a>(&'a self, uri: &'a Uri) -> Fetched<'a, Bytes>;
    fn get_with_max_age<'a>(&'a self, uri: &'a Uri) -> Fetched<'a, (Bytes, Option<Duration>)>;
}

impl<F: Fetch> AnyFetch for F {
    fn get<'a>(&'a self, uri: &'a Uri) -> Fetched<'a, Bytes> {
        Box::pin(async move { Ok(checked(self, uri).await?.into_body()) })
    }

    fn get_with_max_age<'a>(&'a self, uri: &'a Uri) -> Fetched<'a, (Bytes, Option<Duration>)> {
        Box::pin(async move {
            let response = checked(self, uri).await?;
            let max_age = max_age(&response);
            Ok((response.into_body(), max_age))
        })
    }
}

async fn checked<F: Fetch>(fetch: &F, uri: &Uri) -> Result<Response<Bytes>, FetchError> {
    let response = fetch
        .fetch(uri)
        .await
        .map_err(|error| FetchError::because(kind_of(&error), error))?;
    let status = response.status();
    if status != http::StatusCode::OK {
        return Err(FetchErrorKind::Status(status.as_u16()).into());
    }
    if response.body().len() > MAX_BYTES {
        return Err(FetchErrorKind::TooLong.into());
    }
    Ok(response)
}

/// The kind of a client's error, if it is an [`HttpFetchError`].
fn kind_of(error: &(dyn Error + 'static)) -> FetchErrorKind {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(HttpFetchError(failure)) = error.downcast_ref() {
            return failure.kind();
        }
        next = error.source();
    }
    FetchErrorKind::Transport
}

/// How long the response is fresh: `max-age` of `Cache-Control` (RFC 9111 §4.2.1) minus `Age`
/// (§5.1).
///
/// Zero for `no-cache` and `no-store` (§5.2.2.4, §5.2.2.5) and for an invalid `max-age`.
fn max_age<B>(response: &Response<B>) -> Option<Duration> {
    let values = response.headers().get_all(http::header::CACHE_CONTROL);
    let directives = values
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|directive| match directive.split_once('=') {
            Some((name, value)) => (name.trim(), value.trim()),
            None => (directive.trim(), ""),
        });
    let mut fresh = None;
    for (name, value) in directives {
        let seconds = if name.eq_ignore_ascii_case("max-age") {
            delta_seconds(value.trim_matches('"')).unwrap_or(0)
        } else if value.is_empty()
            && (name.eq_ignore_ascii_case("no-cache") || name.eq_ignore_ascii_case("no-store"))
        {
            0
        } else {
            continue;
        };
        fresh = Some(fresh.map_or(seconds, |fresh: u64| fresh.min(seconds)));
    }
    let age = response.headers().get(http::header::AGE);
    let age = age
        .and_then(|age| delta_seconds(age.to_str().ok()?.trim()))
        .unwrap_or(0);
    Some(Duration::from_secs(fresh?.saturating_sub(age)))
}

/// Parses a number of seconds. A number that is too large becomes the maximum (RFC 9111 §1.2.2).
fn delta_seconds(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// An HTTP client with TLS by rustls. It does not follow redirects and reads at most 1 MiB within 5
/// seconds.
///
/// It uses the proxy of the environment (`HTTPS_PROXY`, `NO_PROXY`). TLS is end-to-end through the
/// proxy. Loopback addresses, which may use `http`, are requested directly.
#[derive(Clone, Debug)]
pub struct HttpFetch {
    client: reqwest::Client,
    /// For loopback addresses, without proxy.
    direct: reqwest::Client,
}

/// Why the client cannot be set up, or why a request failed.
#[derive(Debug)]
pub struct HttpFetchError(Failure);

#[derive(Debug)]
enum Failure {
    Client(reqwest::Error),
    TooLong,
}

impl Failure {
    /// The URL is reported next to the error, without its query.
    fn client(error: reqwest::Error) -> Self {
        Self::Client(error.without_url())
    }

    fn kind(&self) -> FetchErrorKind {
        match self {
            Self::TooLong => FetchErrorKind::TooLong,
            Self::Client(error) if error.is_timeout() => FetchErrorKind::Timeout,
            Self::Client(_) => FetchErrorKind::Transport,
        }
    }
}

impl HttpFetch {
    /// A client with the root certificates of the platform.
    ///
    /// # Errors
    ///
    /// [`HttpFetchError`] if TLS cannot be set up.
    pub fn new() -> Result<Self, HttpFetchError> {
        let build = |builder: reqwest::ClientBuilder| {
            builder
                .redirect(reqwest::redirect::Policy::none())
                .timeout(FETCH_DEADLINE)
                // Another crate may enable these. A small compressed body can expand to a huge one.
                .no_gzip()
                .no_brotli()
                .no_deflate()
                .no_zstd()
                // A connection belongs to the runtime that opened it. The next fetch may use
                // another runtime.
                .pool_max_idle_per_host(0)
                .user_agent(concat!("tower-jwt-auth/", env!("CARGO_PKG_VERSION")))
                .build()
                .map_err(|error| HttpFetchError(Failure::client(error)))
        };
        Ok(Self {
            client: build(reqwest::Client::builder())?,
            direct: build(reqwest::Client::builder().no_proxy())?,
        })
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
        let client = match uri.host() {
            Some(host) if location::is_loopback(host) => &self.direct,
            _ => &self.client,
        };
        let request = client
            .get(uri.to_string())
            .header(http::header::ACCEPT, ACCEPT);
        let mut response = request.send().await.map_err(Failure::client)?;
        let mut answer = Response::new(());
        *answer.status_mut() = response.status();
        *answer.headers_mut() = response.headers().clone();
        let mut body = BytesMut::new();
        // The body of an error response is not needed.
        if response.status() == http::StatusCode::OK {
            let most = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
            if response
                .content_length()
                .is_some_and(|length| length > most)
            {
                return Err(Failure::TooLong);
            }
            while let Some(chunk) = response.chunk().await.map_err(Failure::client)? {
                if body.len().saturating_add(chunk.len()) > MAX_BYTES {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_a_response_is_fresh() {
        let fresh = |headers: &[(&str, &str)]| {
            let mut response = Response::builder();
            for (name, value) in headers {
                response = response.header(*name, *value);
            }
            max_age(&response.body(()).unwrap()).map(|age| age.as_secs())
        };
        let of = |value: &str| fresh(&[("cache-control", value)]);
        assert_eq!(fresh(&[]), None);
        assert_eq!(of("public"), None);
        assert_eq!(of("public, max-age=300, must-revalidate"), Some(300));
        assert_eq!(of("MAX-AGE = \"300\""), Some(300));
        assert_eq!(of("s-maxage=300"), None);
        assert_eq!(of("max-age=0"), Some(0));
        for nothing in ["no-store", "no-cache", "max-age=300, No-Cache"] {
            assert_eq!(of(nothing), Some(0), "{nothing}");
        }
        // RFC 9111 §5.2.2.4: with a field name, the directive applies only to that header.
        assert_eq!(of("no-cache=\"set-cookie\", max-age=300"), Some(300));
        for nonsense in [
            "max-age",
            "max-age=",
            "max-age=-1",
            "max-age=1e9",
            "max-age=+5",
        ] {
            assert_eq!(of(nonsense), Some(0), "{nonsense}");
        }
        assert_eq!(of("max-age=99999999999999999999999"), Some(u64::MAX));
        assert_eq!(of("max-age=300, max-age=60"), Some(60));
        let two = [
            ("cache-control", "max-age=300"),
            ("cache-control", "max-age=60"),
        ];
        assert_eq!(fresh(&two), Some(60));
        let aged = |age| fresh(&[("cache-control", "max-age=300"), ("age", age)]);
        assert_eq!(aged("100"), Some(200));
        assert_eq!(aged("99999999999999999999999"), Some(0));
        assert_eq!(aged("x"), Some(300));
    }
}
