//! Guides: one page for each task, with code that compiles.
//!
//! | I want to … | guide |
//! | --- | --- |
//! | decide where sessions and revocations live | [`choosing_a_store`] |
//! | log users in to a browser app with cookies | [`browser_cookies`] |
//! | list a user's devices, or log out all but this one | [browser cookies](browser_cookies#devices-of-a-user) |
//! | take a role away at once | [changed rights](crate::session#changed-rights-and-data-of-a-session) |
//! | make stolen refresh cookies worthless | [`bound_sessions`] |
//! | require a second factor, or a recent login, for some routes | [`second_factor`] |
//! | serve mobile apps, or other services | [`mobile_and_machine_clients`] |
//! | bind tokens to a key of the client, so that a stolen token is useless | [`dpop`] |
//! | bind tokens to the certificates of clients (mutual TLS) | [`mtls`] |
//! | accept tokens of Auth0, Entra, Cognito, Keycloak or another provider | [`providers`] |
//! | accept opaque tokens, or see a revocation at the issuer within seconds | [`opaque_tokens`] |
//! | let users log in with Google, Keycloak or another provider | [`social_login`] |
//! | trust several issuers, many tenants, or my customers' issuers | [`several_issuers`] |
//! | protect an MCP server, or let clients discover my authorization server | [`protected_resources`] |
//! | protect a WebSocket | [`websockets`] |
//! | protect a gRPC service | [`grpc`] |
//! | answer refusals in my own format | [`error_responses`] |
//! | count rejected requests, and record the user in traces | [`observability`] |
//! | test my service | [`testing_your_service`] |
//! | replace `jsonwebtoken`, `jwt-authorizer` or `axum-login` | [`migrating`] |
//! | go live | [`production`] |
//! | delete an account | [`production`](production#deleting-an-account) |
//! | put layers in the right order, or understand a type error | [`layers`] |
//!
//! New here? The [front page](crate) shows a protected route in 10 lines. `cargo run --example
//! quickstart` runs a login, and prints lines for `curl`.
//!
//! The code of a guide needs the features of the items that it uses. This module is documentation
//! alone: it holds no items, and exists only while documentation of all features is built.

pub mod bound_sessions;
pub mod browser_cookies;
pub mod choosing_a_store;
pub mod dpop;
pub mod error_responses;
pub mod grpc;
pub mod layers;
pub mod migrating;
pub mod mobile_and_machine_clients;
pub mod mtls;
pub mod observability;
pub mod opaque_tokens;
pub mod production;
pub mod protected_resources;
pub mod providers;
pub mod second_factor;
pub mod several_issuers;
pub mod social_login;
pub mod testing_your_service;
pub mod websockets;
