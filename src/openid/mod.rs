//! OpenID Connect: login at a provider with an ID token, and logout with a logout token.
//!
//! You need this module if users log in at an OpenID provider. The example `social_login` has the
//! whole flow.
//!
//! | token | means | verified by |
//! | --- | --- | --- |
//! | ID token (OpenID Connect Core 1.0 §2) | a user has logged in at the provider | [`IdTokenVerifier`] |
//! | logout token (Back-Channel Logout 1.0 §2.4) | a user has logged out at the provider | [`LogoutTokenVerifier`]; `routes::BackChannelLogout` is the handler |
//!
//! [`ProviderSessions`] links your sessions to the logins at the provider. When the user logs out
//! at the provider, your session ends too.
//!
//! ```
//! use tower_jwt_auth::TrustedIssuer;
//! use tower_jwt_auth::openid::{IdTokenVerifier, LogoutTokenVerifier};
//! # let keys = tower_jwt_auth::keys::VerifyingKey::hs256([7; 32])?;
//!
//! // With feature `jwks`: RemoteKeys::discover("https://id.example.com").build()?
//! let provider = TrustedIssuer::new("https://id.example.com", keys);
//! let id_tokens = IdTokenVerifier::new(provider.clone(), "our-client-id");
//! let logout_tokens = LogoutTokenVerifier::new(provider, "our-client-id");
//! # let _ = (id_tokens, logout_tokens);
//! # Ok::<_, tower_jwt_auth::keys::KeyError>(())
//! ```
//!
//! Neither token is an access token. A layer always rejects a logout token. It rejects an ID token
//! by its audience, which is the client ID. If your API accepts the client ID as its audience, or
//! any audience, require [`typ("at+jwt")`](crate::JwtAuthLayer::typ).

mod error;
mod id_token;
mod logout_token;
mod provider_sessions;
mod provider_token;

pub use error::{OpenIdError, OpenIdErrorKind};
pub use id_token::{IdToken, IdTokenVerifier};
pub use logout_token::{LogoutToken, LogoutTokenVerifier};
pub use provider_sessions::ProviderSessions;
