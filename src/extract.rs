//! Extractors for axum. No layer is made here: each reads what [`JwtAuthLayer`](crate::JwtAuthLayer) left in the request.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use axum_core::body::Body;
use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::guard::{Decision, Require, kept};
use crate::middleware::{AuthError, AuthErrorKind, ProblemJson, Respond, leave_to_layer, token_of};
use crate::verify::VerifiedToken;

/// The claims of the request's token, as the type that the handler wants.
///
/// Refuses with 401 where the token does not hold them, or there is none under a layer that lets such requests pass.
/// `Option<Claims<T>>` is `None` for a request without a token, and refuses claims that are no `T` all the same.
///
/// A token that lacks a field of `T` is no token for this handler: 401, as for any other that it cannot use. Make fields
/// that an issuer may leave out an `Option`.
///
/// The claims are behind an [`Arc`]: borrow or clone a field, or take them out with [`into_inner`](Claims::into_inner). Requests
/// with the same token may share them: keep nothing of one request in a `Mutex` or an atomic number of `T`.
///
/// Without a [`JwtAuthLayer`](crate::JwtAuthLayer) around the handler the answer is 500.
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
#[derive(Debug)]
pub struct Claims<T>(pub Arc<T>);

impl<T: Clone> Claims<T> {
    /// The claims themselves, to hand on by value. The token keeps a copy, so this clones.
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

/// What a handler requires of the token, as a type: for [`Allowed`].
pub trait Permission: 'static {
    /// What the token must hold. Called for every request.
    ///
    /// Here the builders of [`Require`] do not panic. If one is misused, a text that is no scope
    /// for example, the answer is 500 ([`AuthErrorKind::Misconfigured`]) to every request.
    fn require() -> Require;
}

/// The request's token holds what `P` requires: a [guard](crate::guard) that a handler names in its signature, where nobody
/// can forget it when routes move.
///
/// Refuses as the guard would.
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
            kept(P::require).map_err(|misuse| AuthError::misconfigured(Arc::new(misuse)))?;
        match require.decide_on(token(parts)) {
            Decision::Ready(verdict) => verdict?,
            Decision::Pending(verdict) => verdict.await?,
        }
        Ok(Self(PhantomData))
    }
}

/// As [`ProblemJson`] says. The layer around the handler answers with its own responder instead, and adds its challenge.
impl IntoResponse for AuthError {
    fn into_response(self) -> Response {
        let response: Response<Body> = ProblemJson.respond(&self);
        leave_to_layer(response, self)
    }
}
