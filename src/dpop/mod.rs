//! DPoP (RFC 9449): tokens that are bound to a key of the client.
//!
//! You need this module if your authorization server binds tokens to keys. Such a token has `jkt`
//! in `cnf`. A thief cannot use it without the key. Each request carries a proof in the
//! header `DPoP`: a JWT about this request, signed with the key.
//!
//! [`session`](crate::session#bound-to-a-key-of-the-client) issues such tokens itself.
//!
//! ```
//! use tower_jwt_auth::dpop::Dpop;
//! use tower_jwt_auth::{JwtAuthLayer, TokenSource};
//! # let keys = tower_jwt_auth::keys::VerifyingKey::hs256([7; 32]).unwrap();
//!
//! let dpop = Dpop::new("https://api.example.com")?;
//! let layer = JwtAuthLayer::new(keys)
//!     .issuer("https://id.example.com")
//!     .audience("https://api.example.com")
//!     .sources([TokenSource::dpop(dpop)]);
//! # Ok::<_, tower_jwt_auth::dpop::BaseUrlError>(())
//! ```
//!
//! This accepts only tokens that are bound to a key. Add
//! [`TokenSource::bearer`](crate::TokenSource::bearer) to accept other tokens too. A bound token is
//! rejected in every other source. A token that is not bound is rejected under the scheme `DPoP`.
//!
//! # What is checked
//!
//! | part | must |
//! | --- | --- |
//! | header `DPoP` | be there once, with a JWS of at most 4 KiB (§4.3, 1 and 2) |
//! | `typ` | be `dpop+jwt` |
//! | `alg` | be asymmetric, and one of [`Dpop::algorithms`] |
//! | `jwk` | be a public key that the [module `keys`](crate::keys) accepts. Its thumbprint equals `jkt` of the token (§6.1) |
//! | the signature | verify with that key |
//! | `htm` | equal the method |
//! | `htu` | equal the URL of the request, after normalization by RFC 3986 §6.2.2 and §6.2.3. Query and fragment of `htu` are ignored. |
//! | `iat` | be at most [`Dpop::lifetime`] ago, and at most 30 seconds in the future |
//! | `ath` | be the SHA-256 of the access token. At login and refresh, be absent (§5) |
//! | `nonce` | be a current one, if [`Dpop::nonces`] are on |
//! | `jti` | have 1 to 256 bytes, and be new |
//!
//! Apply only one layer with this source to a request. A second one rejects the proof as used if
//! both share the source or a [`ReplayStore`].
//!
//! The token is verified first, or found in the cache. The `jti` is remembered last, so only good
//! proofs fill the memory. A client's key is parsed once, and kept while it is in use.
//!
//! # The URL of the request
//!
//! A service cannot know its own URL from the request: `Host` is set by the client. So you name the
//! [base URL](Dpop::new). The layer adds the path that it sees. A proxy may remove a prefix of the
//! path, and the `nest` of axum does. Then add that prefix to the base URL.
//!
//! ```
//! use axum::{Router, routing::get};
//! use tower_jwt_auth::dpop::Dpop;
//! use tower_jwt_auth::{JwtAuthLayer, TokenSource};
//! # let keys = tower_jwt_auth::keys::VerifyingKey::hs256([7; 32]).unwrap();
//!
//! // The layer inside of `nest` sees `/me`. Clients use `/v1/me`.
//! let dpop = Dpop::new("https://api.example.com/v1")?;
//! let v1 = Router::new()
//!     .route("/me", get(async || "hello"))
//!     .layer(JwtAuthLayer::new(keys).sources([TokenSource::dpop(dpop)]));
//! let app: Router = Router::new().nest("/v1", v1);
//! # Ok::<_, tower_jwt_auth::dpop::BaseUrlError>(())
//! ```
//!
//! If the prefix has parameters, such as `/{tenant}`, put the layer outside of `nest`. A wrong base
//! URL rejects every request with [`DpopErrorKind::WrongUrl`]. The error's source shows the base
//! URLs.
//!
//! # Responses
//!
//! | request | status | error of the `DPoP` challenge (§7.1) |
//! | --- | --- | --- |
//! | without a token | 401 | none |
//! | with a proof that is missing, wrong or used | 401 | `invalid_dpop_proof` |
//! | whose proof has no nonce, or an old one | 401 | `use_dpop_nonce`, and the header `DPoP-Nonce` |
//! | with a token that is invalid, bound to another key, or not bound | 401 | `invalid_token` |
//! | of a client or a subject that sends too many proofs | 429 | none |
//! | while the replay store fails, or is full | 503 | none |
//!
//! A login and a refresh answer with [other statuses](crate::session::SessionErrorKind), mostly 400
//! (§5, §8).
//!
//! The challenge names the algorithms. If other sources are accepted too, a response with 401 has a
//! second challenge, with the scheme `Bearer`. [`DpopErrorKind`] says why a proof was rejected.
//!
//! # Replay
//!
//! By default each [`Dpop`] remembers the proofs it has accepted, in a [`ReplayMemory`] of its own.
//! Another node accepts a used proof again, and the same node does after a restart. So does another
//! `Dpop` with the same base URL. Such a replay works only for the same method and URL, until the
//! proof expires. By default that takes 90 seconds at most: a [lifetime](Dpop::lifetime) of 60, and
//! 30 if the client's clock is ahead.
//!
//! A [`ReplayStore`] that all nodes share closes this gap. It costs a round trip in each request.
//! `RedisStore` (feature `redis`) is one.

mod base_url;
mod client_key;
mod error;
mod nonces;
mod proof;
mod remember;
mod replay;
mod replay_memory;
mod sent_proof;
mod settings;
mod verifier;

pub use base_url::BaseUrlError;
pub use error::DpopErrorKind;
pub use replay::{ProofIdentity, ReplayStore, ReplayVerdict};
pub use replay_memory::{ReplayMemory, ReplayMemoryFull};
pub use sent_proof::SentProof;
pub use settings::Dpop;

pub(crate) use remember::{CheckedProof, NotRemembered, ProofOwner};
pub(crate) use verifier::{ProofRejection, ProvenToken};
