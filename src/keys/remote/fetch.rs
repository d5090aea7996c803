//! The interface to the HTTP client, and its limits. `checked_fetch.rs` checks the responses.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
#[cfg(feature = "introspection")]
use http::Request;
use http::{Response, Uri};

/// The maximum size of a document: 1 MiB. Documents of large providers have about ten thousand
/// bytes.
pub(super) const MAX_BYTES: usize = 1024 * 1024;

/// The maximum time for metadata and keys together.
pub(crate) const FETCH_DEADLINE: Duration = Duration::from_secs(5);

/// Fetches a document by GET.
///
/// [`HttpFetch`](super::HttpFetch) implements it. Implement it yourself if you need a private CA, a
/// client certificate or your own proxy settings.
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

/// The maximum size of an answer: 64 KiB. The claims of the longest token that is accepted are not
/// longer.
#[cfg(feature = "introspection")]
pub(super) const MAX_ANSWER: usize = 64 * 1024;

/// Sends the requests of an [`Introspection`](crate::introspection::Introspection) by POST, and
/// fetches documents as [`Fetch`].
///
/// [`HttpFetch`](super::HttpFetch) implements it. Implement it yourself, with [`Fetch`], if you
/// need a private CA, a client certificate or your own proxy settings.
///
/// The request has its absolute URL, its headers and its body. Send them as they are: they
/// authenticate your service. An implementation must not follow redirects, and should stop reading
/// after 64 KiB. The status, the size and the content of the response are checked afterwards. A
/// request is cancelled after its deadline, unless it blocks the thread. Do not log the request:
/// it has a token and credentials.
///
/// An example with `reqwest`. Its client comes from the example of [`Fetch`]:
///
/// ```no_run
/// use bytes::{Bytes, BytesMut};
/// use http::{Request, Response, Uri};
/// use tower_jwt_auth::keys::remote::{Fetch, Post};
///
/// struct PrivateCa(reqwest::Client);
///
/// # impl Fetch for PrivateCa {
/// #     type Error = reqwest::Error;
/// #     async fn fetch(&self, _: &Uri) -> Result<Response<Bytes>, reqwest::Error> {
/// #         unimplemented!()
/// #     }
/// # }
/// impl Post for PrivateCa {
///     async fn post(&self, request: Request<Bytes>) -> Result<Response<Bytes>, reqwest::Error> {
///         let (head, body) = request.into_parts();
///         let request = self.0.post(head.uri.to_string()).headers(head.headers).body(body);
///         let mut response = request.send().await?;
///         let status = response.status();
///         let mut body = BytesMut::new();
///         while let Some(chunk) = response.chunk().await? {
///             body.extend_from_slice(&chunk);
///             if body.len() > 64 * 1024 { break } // It is rejected as too long.
///         }
///         let mut answer = Response::new(body.freeze());
///         *answer.status_mut() = status;
///         Ok(answer)
///     }
/// }
/// ```
#[cfg(feature = "introspection")]
#[cfg_attr(docsrs, doc(cfg(feature = "introspection")))]
pub trait Post: Fetch {
    /// Sends `request`.
    fn post(
        &self,
        request: Request<Bytes>,
    ) -> impl Future<Output = Result<Response<Bytes>, Self::Error>> + Send;
}
