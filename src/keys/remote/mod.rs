//! Keys that an issuer publishes, found by its name, kept fresh, and renewal_failed.
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
//! - At first when they are made inside a tokio runtime, otherwise with the first request.
//! - Ahead, in the background, when 80 % of their [life](RemoteKeysBuilder::life) has passed: 10 minutes, or what `Cache-Control`
//!   says, between 1 minute and 1 hour (`no-cache` and `no-store`: 1 minute). So a key that is gone from the document stops
//!   verifying within that life.
//! - Within a request whose token names a `kid` that is not known, once its shape, algorithm and issuer are in order:
//!   at most once in a [cooldown](RemoteKeysBuilder::cooldown) of 30 seconds, whatever comes of it. In between such a
//!   token is refused at once. Requests with known keys never wait for it.
//!
//! There is one fetch at a time; who needs it waits for the same one. A fetch that fails changes nothing about the keys at hand: they are
//! served for [one hour](RemoteKeysBuilder::max_stale) beyond their life, while it is tried again after 1, 2, 4, up to 30
//! seconds. After that, and before the first success, requests get 503 with `Retry-After`: an outage is no fault of a
//! token. Nobody waits longer than 6 seconds for one fetch, and no more than 4096 requests at once.
//!
//! Keys age by two clocks, the system's and the timer of the runtime, whichever says more: a clock that is set back does not
//! make them young again.
//!
//! # Where they are fetched
//!
//! In a task of the tokio runtime in which they are made or first needed; its timer must be enabled, as `#[tokio::main]` does. The
//! task ends with the last [`RemoteKeys`]. If that runtime is shut down, or nobody drives it any more, a task in the
//! runtime of a request that needs keys takes over.
//!
//! # What is fetched
//!
//! The metadata of an issuer at first, once an hour, and after a failure; otherwise its keys alone. `https` only, but for
//! loopback addresses ([`allow_http`](RemoteKeysBuilder::allow_http)). No redirects, at most 5 seconds for all of it, at most 1 MiB and 512 keys, status 200, whatever the content type. Of the document's keys, what cannot be
//! used is skipped and [reported](RemoteKeys::state). A client of one's own ([`Fetch`]) is held to all of that but the redirects,
//! which it must not follow.
//!
//! The metadata choose where the keys are: another host, if they like. See
//! [`jwks_origins`](RemoteKeysBuilder::jwks_origins) to limit that.
//!
//! # What is logged
//!
//! With feature `tracing`, under the target `tower_jwt_auth::keys::remote`:
//!
//! | event | level | fields |
//! | --- | --- | --- |
//! | a fetch failed | `WARN` | `issuer`, `url`, `reason`: the error and its causes, `has_keys`: whether older keys still serve |
//! | a key is skipped | `INFO` | `issuer`, `url`, `index`, `kid`, `reason` |
//! | keys were fetched | `DEBUG` | `issuer`, `url`, `keys` |
//!
//! There is one `WARN` for each fetch, never one for each request: in an outage at most one every
//! 30 seconds after the first few, and for unknown `kid`s one in a cooldown. Skipped keys are
//! reported when they differ from the last document's, at most 16 of them. URLs are logged without
//! their query. Text from outside is cut and put on one line.

mod builder;
mod endpoint;
mod error;
mod events;
mod fetch;
mod fetched;
mod location;
mod refresh;
mod remote_keys;

pub use builder::{RemoteKeysBuilder, RemoteKeysError};
pub use error::{FetchError, FetchErrorKind};
pub use fetch::{Fetch, HttpFetch, HttpFetchError};
pub use remote_keys::{RemoteKeys, RemoteKeysState};

pub(crate) use fetched::FetchedKeys;
pub(crate) use refresh::{KeysUnobtainable, WantedKeys};
