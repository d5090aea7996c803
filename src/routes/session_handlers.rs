//! The handlers for refresh and logout.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;

use axum_core::body::Body;
use axum_core::extract::Request;
use axum_core::response::Response;
use http::{HeaderValue, StatusCode};

use super::request::{RequestParts, refresh_token_in_body};
use super::response::{error_response, for_oauth, form_error_response, response, token_response};
use super::session_cookies::SessionCookies;
use super::session_routes::SessionRoutes;
use crate::dpop::SentProof;
use crate::middleware::{AuthError, AuthErrorKind, Found, Respond, TokenSource};
use crate::session::{SessionId, SessionStore};

#[derive(Clone, Copy)]
enum Operation {
    Refresh,
    Logout,
}

type ResponseFuture = Pin<Box<dyn Future<Output = Response> + Send>>;

impl<S, R> SessionRoutes<S, R>
where
    S: SessionStore,
    R: Respond<Body> + Send + Sync + 'static,
{
    /// The handler for `POST` that refreshes the tokens.
    pub fn refresh(
        &self,
    ) -> impl Fn(Request) -> ResponseFuture + Clone + Send + Sync + 'static + use<S, R> {
        self.handler(Operation::Refresh)
    }

    /// The handler for `POST` that ends the sessions of the request's tokens and deletes the
    /// cookies. With a refresh token in the body, it ends that session alone and changes no cookie.
    /// See [logout](super#logout).
    pub fn logout(
        &self,
    ) -> impl Fn(Request) -> ResponseFuture + Clone + Send + Sync + 'static + use<S, R> {
        self.handler(Operation::Logout)
    }

    fn handler(
        &self,
        operation: Operation,
    ) -> impl Fn(Request) -> ResponseFuture + Clone + Send + Sync + 'static + use<S, R> {
        let routes = self.clone();
        move |request| {
            let routes = routes.clone();
            Box::pin(async move { routes.handle(request, operation).await })
        }
    }

    async fn handle(&self, request: Request, operation: Operation) -> Response {
        let parts = RequestParts::of(&request);
        let (is_form, body) = (parts.has_form(), refresh_token_in_body(request).await);
        let uses_cookies = matches!(body, Ok(None));
        let result = match (operation, body) {
            (_, Err(error)) => Err(error.into()),
            (Operation::Refresh, Ok(Some(token))) => self.refresh_by_body(&token, &parts).await,
            (Operation::Refresh, Ok(None)) => self.refresh_by_cookie(&parts).await,
            (Operation::Logout, Ok(Some(token))) => self.logout_by_body(&token).await,
            (Operation::Logout, Ok(None)) => self.logout_by_headers(&parts).await,
        };
        let is_oauth = is_form && !uses_cookies;
        match result {
            Ok(response) if is_oauth => for_oauth(response),
            Ok(response) => response,
            Err(error) => self.rejection(&error, is_oauth, uses_cookies),
        }
    }

    fn rejection(&self, error: &AuthError, is_oauth: bool, uses_cookies: bool) -> Response {
        (self.settings.rejection_hook)(error);
        if is_oauth {
            return form_error_response(&self.responder, error);
        }
        // The session can never be refreshed again.
        let is_final = matches!(error.kind(), AuthErrorKind::Session(kind) if kind.is_final());
        let cookies = if uses_cookies && is_final {
            self.deleted_cookies()
        } else {
            Vec::new()
        };
        error_response(&self.responder, error, cookies)
    }

    async fn refresh_by_body(
        &self,
        refresh_token: &str,
        parts: &RequestParts,
    ) -> Result<Response, AuthError> {
        let (sessions, proof) = (&self.body_sessions, self.proof_of(parts));
        let tokens = sessions.refresh_with_proof(refresh_token, proof.as_ref());
        let tokens = tokens.await?;
        token_response(&tokens, &tokens, Vec::new())
    }

    async fn refresh_by_cookie(&self, parts: &RequestParts) -> Result<Response, AuthError> {
        let Some(cookies) = self.cookies() else {
            return Err(AuthErrorKind::MissingRefreshToken.into());
        };
        let source = cookies.refresh_source();
        let token = self.find_token(&source, parts)?;
        let token = token.ok_or_else(|| AuthError::missing_refresh_token(&source))?;
        let proof = self.proof_of(parts);
        let tokens = self.sessions.refresh_with_proof(&token, proof.as_ref());
        let tokens = tokens.await?;
        let cookies = cookies.set(&tokens);
        token_response(&tokens.for_script(), &tokens, cookies?)
    }

    fn proof_of(&self, parts: &RequestParts) -> Option<SentProof> {
        let head = parts.head();
        self.find_proof(head.method, head.uri, head.headers)
    }

    async fn logout_by_body(&self, refresh_token: &str) -> Result<Response, AuthError> {
        self.sessions.logout(refresh_token).await?;
        Ok(response(StatusCode::NO_CONTENT, None, Vec::new()))
    }

    async fn logout_by_headers(&self, parts: &RequestParts) -> Result<Response, AuthError> {
        let mut sent_token = self.find_token(&TokenSource::bearer(), parts)?;
        if let (None, Some(dpop)) = (&sent_token, &self.settings.dpop) {
            // No proof is needed: a user who has lost the key can still log out.
            sent_token = self.find_token(&TokenSource::dpop(Arc::clone(dpop)), parts)?;
        }
        let sent_session = sent_token.and_then(|token| self.session_of(&token));
        let Some(cookies) = self.cookies() else {
            let sid = sent_session.ok_or(AuthErrorKind::MissingToken)?;
            self.sessions.end_session(sid).await?;
            return Ok(response(StatusCode::NO_CONTENT, None, Vec::new()));
        };
        // Also checked without a cookie: the response deletes cookies that `SameSite` held back.
        if self.settings.csrf.check(parts.head()).is_err() {
            // A browser never adds `Authorization` by itself, so that session may end. Cookies are
            // ignored.
            let sid = sent_session.ok_or(AuthErrorKind::CrossSite)?;
            self.sessions.end_session(sid).await?;
            return Ok(response(StatusCode::NO_CONTENT, None, Vec::new()));
        }
        let mut sids = self.sessions_of_cookies(cookies, parts)?;
        sids.extend(sent_session);
        for sid in sids {
            self.sessions.end_session(sid).await?;
        }
        let cookies = self.deleted_cookies();
        Ok(response(StatusCode::NO_CONTENT, None, cookies))
    }

    /// The sessions of all tokens in the two cookies. A token that is not authentic is ignored.
    fn sessions_of_cookies(
        &self,
        cookies: &SessionCookies,
        parts: &RequestParts,
    ) -> Result<BTreeSet<SessionId>, AuthError> {
        let [access, refresh] = cookies.names();
        let access_tokens = parts.cookie_values(access)?;
        let refresh_tokens = parts.cookie_values(refresh)?;
        let of_access_tokens = access_tokens
            .into_iter()
            .filter_map(|token| self.session_of(token));
        let of_refresh_tokens = refresh_tokens
            .into_iter()
            .filter_map(|token| self.sessions.session_of_refresh_token(token));
        Ok(of_access_tokens.chain(of_refresh_tokens).collect())
    }

    /// The session of an access token, which may have expired.
    fn session_of(&self, access_token: &str) -> Option<SessionId> {
        let token = self.settings.logout_verifier.verify(access_token).ok()?;
        token.session_id().and_then(SessionId::parse)
    }

    fn find_token(
        &self,
        source: &TokenSource,
        parts: &RequestParts,
    ) -> Result<Option<String>, AuthError> {
        let head = parts.head();
        let token = match source.find(head) {
            Found::Nothing => return Ok(None),
            Found::Several if source.is_ambient() => {
                return Err(AuthErrorKind::SeveralRefreshTokens.into());
            }
            Found::Several => return Err(AuthErrorKind::SeveralTokens.into()),
            Found::Token(token) if source.may_hold(&token) => token,
            _ => return Err(AuthErrorKind::MalformedCredentials.into()),
        };
        if source.is_ambient() {
            self.settings.csrf.check(head)?;
        }
        let token = String::from_utf8(token.into_owned());
        let token = token.map_err(|_| AuthErrorKind::MalformedCredentials)?;
        Ok(Some(token))
    }

    fn deleted_cookies(&self) -> Vec<HeaderValue> {
        let cookies = self.cookies().map(SessionCookies::clear);
        cookies.and_then(Result::ok).unwrap_or_default()
    }
}
