//! Keys an issuer publishes: discovered, refreshed in the background, served stale during an
//! outage.
//!
//! You need this module to verify the tokens of an OpenID provider or authorization server.
//!
//! ```no_run
//! use tower_jwt_auth::{JwtAuthLayer, keys::remote::RemoteKeys};
//!
//! let keys = RemoteKeys::discover("https://id.example.com").build()?;
//! let layer = JwtAuthLayer::new(keys).audience("api");
//! # Ok::<_, tower_jwt_auth::keys::remote::RemoteKeysError>(())
//! ```
//!
//! # When keys are fetched
//!
//! - First at `build`, if that runs inside a tokio runtime; otherwise at the first request.
//! - Then in the background, after 80 % of their [lifetime](RemoteKeysBuilder::lifetime). The
//!   lifetime is 10 minutes by default. `max-age` of `Cache-Control` replaces it, but counts as at
//!   least 1 minute and at most 1 hour. With `no-cache` or `no-store` it is 1 minute. A withdrawn
//!   key stops verifying within that lifetime, or up to [`max_stale`](RemoteKeysBuilder::max_stale)
//!   later if fetches fail.
//! - When a token has an unknown `kid`, and its structure, algorithm and issuer are valid. Without
//!   `kid`, an unknown `x5t` or `x5t#S256` has the same effect, if the issuer publishes
//!   thumbprints. Such a fetch happens at most once per [cooldown](RemoteKeysBuilder::cooldown) of
//!   30 seconds, whether it succeeds or fails. During the cooldown such tokens are rejected at
//!   once: with 401, or with 503 if the last fetch failed. Requests with known keys never wait.
//!
//! There is one fetch at a time, and all waiting requests share it. If it fails:
//!
//! - The current keys are served for [one hour](RemoteKeysBuilder::max_stale) beyond their
//!   lifetime.
//! - Fetching is retried after 1, 2, 4 and up to 30 seconds, or the cooldown if that is less.
//! - When that hour is over, or if no fetch has succeeded yet, requests get 503 with `Retry-After`.
//!
//! A request waits for at most 6 seconds per fetch, and at most 4096 requests wait at once.
//!
//! Two clocks measure the age of keys: the system clock and the timer of the runtime. The larger
//! value is used. Setting the system clock back does not make keys fresh again.
//!
//! # Where keys are fetched
//!
//! In a task of the tokio runtime in which the keys are built or first needed. Its timer must be
//! enabled, as in `#[tokio::main]`. The task ends with the last clone of [`RemoteKeys`]. If that
//! runtime shuts down or hangs, a task in the runtime of a waiting request takes over.
//!
//! # What is fetched
//!
//! With [`discover`](RemoteKeys::discover), the first fetch also reads the issuer's metadata. So
//! does one fetch per hour, and each fetch after a failure. The metadata are at
//! `{issuer}/.well-known/openid-configuration`. If that request gets a 4xx status, the fetch tries
//! `/.well-known/oauth-authorization-server` of RFC 8414 §3. The metadata need only `issuer` and
//! `jwks_uri`. With [`jwks`](RemoteKeys::jwks), there are no metadata. These limits apply:
//!
//! | limit | value |
//! | --- | --- |
//! | scheme | `https`, or `http` for loopback addresses and with [`allow_http`](RemoteKeysBuilder::allow_http) |
//! | redirects | none |
//! | time | 5 seconds for metadata and keys together |
//! | size | 1 MiB and 512 keys |
//! | status | 200 |
//! | content type | any |
//!
//! Unusable keys are skipped and [reported](RemoteKeys::state) with position, `kid` and reason. The
//! limits also apply to your own client ([`Fetch`]), which must not follow redirects.
//!
//! The root certificates of the machine are loaded at the first fetch by `https`. If loading fails,
//! the fetch fails.
//!
//! The metadata may name any host for the keys. Limit the hosts with
//! [`jwks_origins`](RemoteKeysBuilder::jwks_origins).
//!
//! # What is logged
//!
//! With feature `tracing`, under targets that begin with `tower_jwt_auth::keys::remote`:
//!
//! | event | level | fields |
//! | --- | --- | --- |
//! | a fetch failed | `WARN` | `issuer`, `url`, `reason`: the error and its causes, `has_keys`: whether keys were ever fetched. They are served for `max_stale` beyond their lifetime |
//! | a key is skipped | `INFO` | `issuer`, `url`, `index`, `kid`, `reason` |
//! | keys were fetched | `DEBUG` | `issuer`, `url`, `keys` |
//!
//! - Each failed fetch is one `WARN`. After each failure the pause grows, to at most 30 seconds or
//!   the cooldown. So by default a long outage logs at most one `WARN` every 30 seconds. Unknown
//!   `kid`s cause at most one per cooldown.
//! - Skipped keys are logged when they change, at most 16 per document. This also holds for a
//!   document without a usable key.
//! - URLs are logged without their query. Text from outside is truncated and escaped to one line.

mod builder;
mod checked_fetch;
mod discovery;
mod endpoint;
mod error;
mod events;
mod fetch;
mod fetched;
mod http_fetch;
mod location;
mod refresh;
mod remote_keys;

pub use builder::{RemoteKeysBuilder, RemoteKeysError};
pub use error::{FetchError, FetchErrorKind, ForbiddenEndpoint, IssuerMismatch};
pub use fetch::Fetch;
#[cfg(feature = "introspection")]
#[cfg_attr(docsrs, doc(cfg(feature = "introspection")))]
pub use fetch::Post;
pub use http_fetch::{HttpFetch, HttpFetchError};
pub use location::AddressError;
pub use remote_keys::{RemoteKeys, RemoteKeysState};

#[cfg(feature = "introspection")]
pub(crate) use checked_fetch::AnyPost;
#[cfg(feature = "introspection")]
pub(crate) use discovery::{Discovery, IntrospectionMetadata, RequestedUri};
#[cfg(feature = "introspection")]
pub(crate) use fetch::FETCH_DEADLINE;
pub(crate) use fetched::{FetchedKeys, Timestamp};
#[cfg(feature = "introspection")]
pub(crate) use location::parse as parse_address;
pub(crate) use refresh::{KeyRequestError, RequiredKeys};
