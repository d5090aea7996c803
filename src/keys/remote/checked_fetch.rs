//! A fetch with checks of its response.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
#[cfg(feature = "introspection")]
use http::Request;
use http::{Response, Uri};

use super::error::{FetchError, FetchErrorKind};
use super::fetch::{Fetch, MAX_BYTES};
#[cfg(feature = "introspection")]
use super::fetch::{MAX_ANSWER, Post};
use super::http_fetch::HttpFetchError;

type Fetched<'a, T> = Pin<Box<dyn Future<Output = Result<T, FetchError>> + Send + 'a>>;

/// Any [`Fetch`], with checks of the response.
pub(crate) trait AnyFetch: Send + Sync + 'static {
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

/// Any [`Post`], with checks of the response.
#[cfg(feature = "introspection")]
pub(crate) trait AnyPost: AnyFetch {
    fn post_form(&self, request: Request<Bytes>) -> Fetched<'_, Bytes>;
}

#[cfg(feature = "introspection")]
impl<F: Post> AnyPost for F {
    fn post_form(&self, request: Request<Bytes>) -> Fetched<'_, Bytes> {
        Box::pin(async move {
            let response = check(self.post(request).await, MAX_ANSWER)?;
            Ok(response.into_body())
        })
    }
}

async fn checked<F: Fetch>(fetch: &F, uri: &Uri) -> Result<Response<Bytes>, FetchError> {
    check(fetch.fetch(uri).await, MAX_BYTES)
}

fn check<E: Error + Send + Sync + 'static>(
    response: Result<Response<Bytes>, E>,
    max_bytes: usize,
) -> Result<Response<Bytes>, FetchError> {
    let response = response.map_err(|error| FetchError::because(kind_of(&error), error))?;
    let status = response.status();
    if status != http::StatusCode::OK {
        return Err(FetchErrorKind::Status(status.as_u16()).into());
    }
    if response.body().len() > max_bytes {
        return Err(FetchErrorKind::TooLong.into());
    }
    Ok(response)
}

/// The kind of a client's error, if an [`HttpFetchError`] is in it.
fn kind_of(error: &(dyn Error + 'static)) -> FetchErrorKind {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<HttpFetchError>() {
            return error.kind();
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
