//! Extractors for axum. No layer is made here: each reads what [`JwtAuthLayer`](crate::JwtAuthLayer) left in the request.

use std::ops::Deref;
use std::sync::Arc;

use axum_core::body::Body;
use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::middleware::{
    Anonymous, AuthError, AuthErrorKind, ProblemJson, Refused, Respond, report,
};
use crate::verify::VerifiedToken;

/// The claims of the request's token, as the type that the handler wants.
///
/// Refuses with 401 where the token does not hold them, or there is none under a layer that lets such requests pass.
/// `Option<Claims<T>>` is `None` for a request without a token, and refuses claims that are no `T` all the same.
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

/// The token that the nearest layer verified, or `None` where it let the request pass without one.
fn token(parts: &Parts) -> Result<Option<&VerifiedToken>, AuthError> {
    match parts.extensions.get() {
        Some(token) => Ok(Some(token)),
        None if parts.extensions.get::<Anonymous>().is_some() => Ok(None),
        None => Err(AuthErrorKind::MissingLayer.into()),
    }
}

/// As [`ProblemJson`] says. The layer around the handler answers with its own responder instead, and adds its challenge.
impl IntoResponse for AuthError {
    fn into_response(self) -> Response {
        if self.kind() == AuthErrorKind::MissingLayer {
            // Nobody else will.
            report(&self);
        }
        let mut response: Response<Body> = ProblemJson.respond(&self);
        response.extensions_mut().insert(self.clone());
        response.extensions_mut().insert(Refused(self));
        response
    }
}
