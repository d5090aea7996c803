//! Extractors for axum. They read what [`JwtAuthLayer`](crate::JwtAuthLayer) added to the request.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use axum_core::body::Body;
use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::guard::{Decision, Require, capture};
use crate::middleware::{AuthError, AuthErrorKind, ProblemJson, Respond, leave_to_layer, token_of};
use crate::verify::VerifiedToken;

/// The claims of the request's token, deserialised to your type.
///
/// | request | `Claims<T>` | `Option<Claims<T>>` |
/// | --- | --- | --- |
/// | valid token | the claims | the claims |
/// | claims that do not deserialise to `T` | 401 | 401 |
/// | no token, and the layer is [`optional`](crate::JwtAuthLayer::optional) | 401 | `None` |
/// | no [`JwtAuthLayer`](crate::JwtAuthLayer) | 500 | 500 |
///
/// If issuers write different claims, see the guide `several_issuers`.
///
/// Make a field of `T` an `Option` if an issuer may omit its claim. If claims do not deserialise,
/// an event of the kind `claims_mismatch` (feature `tracing`) names your type and the claim.
///
/// `T` must be [`Deserialize`](serde::Deserialize), `Send`, `Sync` and owned. Otherwise the
/// compiler reports that the handler does not implement `Handler`, without the reason. Put
/// `#[axum::debug_handler]` (feature `macros` of axum) on the handler: then the compiler names the
/// missing trait of `T`.
///
/// The claims are in an [`Arc`]. Borrow or clone a field, or take them with
/// [`into_inner`](Claims::into_inner). Requests with the same token may share the claims. So do not
/// keep request data in a `Mutex` or an atomic inside `T`.
///
/// ```
/// use serde::Deserialize;
/// use tower_jwt_auth::Claims;
///
/// #[derive(Deserialize)]
/// struct User { sub: String, name: String }
///
/// async fn me(Claims(user): Claims<User>) -> String { format!("hello {}", user.name) }
///
/// async fn front_page(user: Option<Claims<User>>) -> String {
///     match user {
///         Some(Claims(user)) => format!("hello {}", user.name),
///         None => "hello stranger".to_owned(),
///     }
/// }
/// # let _: axum::Router = axum::Router::new()
/// #     .route("/me", axum::routing::get(me))
/// #     .route("/", axum::routing::get(front_page));
/// ```
pub struct Claims<T>(pub Arc<T>);

impl<T: Clone> Claims<T> {
    /// The claims by value. This usually clones them, because the token keeps a reference to them.
    #[must_use]
    pub fn into_inner(self) -> T {
        Arc::unwrap_or_clone(self.0)
    }
}

impl<T> Clone for Claims<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Shows no claim. But on a handler with the parameter `Claims(user): Claims<User>`, the attribute
/// `#[tracing::instrument]` records `user` by its own `Debug`: add `skip_all`.
impl<T> fmt::Debug for Claims<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Claims")
    }
}

impl<T> Deref for Claims<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<S, T> FromRequestParts<S> for Claims<T>
where
    S: Sync,
    T: DeserializeOwned + Send + Sync + 'static,
{
    type Rejection = AuthError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, AuthError> {
        let token = token(parts)?.ok_or(AuthErrorKind::MissingToken)?;
        Ok(Self(token.claims()?))
    }
}

impl<S, T> OptionalFromRequestParts<S> for Claims<T>
where
    S: Sync,
    T: DeserializeOwned + Send + Sync + 'static,
{
    type Rejection = AuthError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, AuthError> {
        match token(parts)? {
            Some(token) => Ok(Some(Self(token.claims()?))),
            None => Ok(None),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for VerifiedToken {
    type Rejection = AuthError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, AuthError> {
        let token = token(parts)?.ok_or(AuthErrorKind::MissingToken)?;
        Ok(token.clone())
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for VerifiedToken {
    type Rejection = AuthError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, AuthError> {
        Ok(token(parts)?.cloned())
    }
}

fn token(parts: &Parts) -> Result<Option<&VerifiedToken>, AuthError> {
    token_of(&parts.extensions)
}

/// What a handler requires of the token, as a type for [`Allowed`].
pub trait Permission: 'static {
    /// What the token must contain. Called for every request.
    ///
    /// In this function the builders of [`Require`] do not panic, although their docs list panics.
    /// After an invalid argument, such as a scope with a space, every request gets 500
    /// ([`AuthErrorKind::Misconfigured`]).
    fn require() -> Require;
}

/// An extractor that runs a [guard](crate::guard): the token must meet the requirement of `P`.
///
/// The handler's signature names the requirement, so it still applies when you move the route. The
/// rejections are those of the guard.
///
/// ```
/// use tower_jwt_auth::{Allowed, Permission, Require};
///
/// struct WriteNotes;
///
/// impl Permission for WriteNotes {
///     fn require() -> Require { Require::scope("notes:write") }
/// }
///
/// async fn write(_: Allowed<WriteNotes>, text: String) -> String { text }
/// # let _: axum::Router = axum::Router::new().route("/notes", axum::routing::post(write));
/// ```
pub struct Allowed<P>(PhantomData<fn() -> P>);

impl<P> Clone for Allowed<P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Allowed<P> {}

impl<P> fmt::Debug for Allowed<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Allowed")
    }
}

impl<S, P> FromRequestParts<S> for Allowed<P>
where
    S: Sync,
    P: Permission,
{
    type Rejection = AuthError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, AuthError> {
        let require =
            capture(P::require).map_err(|error| AuthError::misconfigured(Arc::new(error)))?;
        match require.authorize(token(parts)) {
            Decision::Ready(result) => result?,
            Decision::Pending(result) => result.await?,
        }
        Ok(Self(PhantomData))
    }
}

/// The response of [`ProblemJson`]. The layer replaces this response with one from its
/// [`Respond`](crate::middleware::Respond), and adds the `WWW-Authenticate` challenge.
impl IntoResponse for AuthError {
    fn into_response(self) -> Response {
        let response: Response<Body> = ProblemJson.respond(&self);
        leave_to_layer(response, self)
    }
}
