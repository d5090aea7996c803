//! How a document comes from the network.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Response, Uri};

use super::error::{FetchError, FetchErrorKind};
use super::location;

/// The most bytes that a document may have: 1 MiB. Those of large providers have some ten thousand.
pub(super) const MOST_BYTES: usize = 1024 * 1024;

/// RFC 7517 §8.5.2, which Kubernetes insists on, and what most others and all metadata are.
const ACCEPT: &str = "application/jwk-set+json, application/json;q=0.9";

/// The most time that discovery and keys may take together.
pub(super) const FETCH_DEADLINE: Duration = Duration::from_secs(5);

/// Fetches a document by GET: [`HttpFetch`], or a client of one's own, for a private CA, a client certificate, or a proxy.
///
/// Some issuers answer 406 unless `Accept` allows `application/jwk-set+json` for keys and
/// `application/json` for metadata; `*/*` does.
///
/// An implementation must not follow redirects, and should stop reading after 1 MiB. What it answers is checked all the same: the
/// status, the length, and the content. It is given up after 5 seconds, if it is one that waits and does not block.
///
/// With `reqwest`, and a CA of one's own:
///
/// ```no_run
/// use bytes::Bytes;
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
///         let response = self.0.get(uri.to_string()).send().await?;
///         let (status, headers) = (response.status(), response.headers().clone());
///         let mut answer = Response::new(response.bytes().await?);
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
        .map_err(|error| FetchError::because(kind_of(&error), error))?;
    let status = response.status();
    if status != http::StatusCode::OK {
        return Err(FetchErrorKind::Status(status.as_u16()).into());
    }
    if response.body().len() > MOST_BYTES {
        return Err(FetchErrorKind::TooLong.into());
    }
    Ok(response)
}

/// The kind of a client's own failure, if it says more than that there was one.
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

/// How long the response is fresh by its `Cache-Control` (RFC 9111 §4.2.1), less the `Age` that it had already (§5.1). No time at
/// all if it may not be reused unasked (§5.2.2.4, §5.2.2.5), or what it says makes no sense.
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

/// RFC 9111 §1.2.2: what is too large a number is a very large one.
fn delta_seconds(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// A client with TLS by rustls: no redirects, no more than 1 MiB and 5 seconds.
///
/// It goes through the proxy that the environment names (`HTTPS_PROXY`, `NO_PROXY`), as clients on a server do: TLS reaches through
/// it to the issuer. Addresses of the machine itself, which may be `http`, never leave it that way.
#[derive(Clone, Debug)]
pub struct HttpFetch {
    client: reqwest::Client,
    /// For addresses of this machine.
    direct: reqwest::Client,
}

/// Why there is no client, or no response.
#[derive(Debug)]
pub struct HttpFetchError(Failure);

#[derive(Debug)]
enum Failure {
    Client(reqwest::Error),
    TooLong,
}

impl Failure {
    /// The address is reported beside the error, without its query.
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
    /// A client with the roots of trust of the platform.
    ///
    /// # Errors
    ///
    /// If TLS cannot be set up.
    pub fn new() -> Result<Self, HttpFetchError> {
        let build = |builder: reqwest::ClientBuilder| {
            builder
                .redirect(reqwest::redirect::Policy::none())
                .timeout(FETCH_DEADLINE)
                // Another crate may turn on decoders, which are for what is larger than it looks.
                .no_gzip()
                .no_brotli()
                .no_deflate()
                .no_zstd()
                // A connection lives in the runtime that opened it, and the next fetch may come from another.
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
        // What an error says is of no interest.
        if response.status() == http::StatusCode::OK {
            let most = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX);
            if response
                .content_length()
                .is_some_and(|length| length > most)
            {
                return Err(Failure::TooLong);
            }
            while let Some(chunk) = response.chunk().await.map_err(Failure::client)? {
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
        // RFC 9111 §5.2.2.4: that is about one header.
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
