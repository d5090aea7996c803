//! Subjects that belong to the issuer of `Sessions`.

use std::fmt;
use std::sync::Arc;

use super::error::{SessionError, SessionErrorKind};
use super::record::Subject;
use super::session_id::SessionId;
use super::sessions::Sessions;
use super::store::SessionStore;
use crate::verify::VerifiedToken;

/// A subject of the same issuer as the [`Sessions`] that made it.
///
/// Every method that acts on a subject takes one. The claim `sub` identifies a subject only
/// together with `iss` (RFC 7519 §4.1.2). Subject `u1` of a partner is not your subject `u1`.
///
/// | you have | call |
/// | --- | --- |
/// | the [`VerifiedToken`] of a request | [`Sessions::subject_of`]: it rejects the tokens of other issuers |
/// | the identifier of an account (such as its primary key), at login or in an administrator's tool | [`Sessions::subject_named`] |
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct OwnSubject {
    issuer: Option<Arc<str>>,
    name: Box<str>,
}

impl OwnSubject {
    /// `sub` of its tokens.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl<S: SessionStore> Sessions<S> {
    /// The subject of an access token that these sessions issued.
    ///
    /// Use it in a handler that acts on the sender of a request. A layer may trust several issuers.
    /// This method rejects the tokens of the others, so their `sub` never names a subject of yours.
    ///
    /// ```
    /// # use tower_jwt_auth::{VerifiedToken, session::{SessionError, SessionStore, Sessions}};
    /// async fn logout_everywhere<S: SessionStore>(
    ///     sessions: Sessions<S>,
    ///     token: VerifiedToken,
    /// ) -> Result<(), SessionError> {
    ///     sessions.logout_everywhere(&sessions.subject_of(&token)?).await
    /// }
    /// ```
    ///
    /// Set an [`issuer`](Sessions::issuer) if you trust keys of others. Without it, only the
    /// private claim `generation` distinguishes your tokens from other tokens without `iss`. That
    /// prevents mistakes, but not forgery by the holder of another trusted key.
    ///
    /// # Errors
    ///
    /// [`SessionErrorKind::Foreign`] if the token has another `iss`, no `sub`, or does not have the
    /// `sid` and `generation` of a session.
    pub fn subject_of(&self, token: &VerifiedToken) -> Result<OwnSubject, SessionError> {
        self.session_of(token)?;
        let name = token.subject().ok_or(SessionErrorKind::Foreign)?;
        Ok(self.subject_named(name))
    }

    /// The subject with this name, which becomes `sub`. Pass the identifier of an account in your
    /// service, such as its primary key.
    ///
    /// Do not pass the `sub` of an access token. Use [`subject_of`](Sessions::subject_of), which
    /// checks the token's issuer.
    #[must_use]
    pub fn subject_named(&self, name: impl Into<String>) -> OwnSubject {
        OwnSubject {
            issuer: self.settings.issuer.clone(),
            name: name.into().into_boxed_str(),
        }
    }

    /// The session of an access token that these sessions issued.
    ///
    /// It makes the same checks as [`subject_of`](Sessions::subject_of), but does not require
    /// `sub`.
    ///
    /// # Errors
    ///
    /// [`SessionErrorKind::Foreign`] if a check fails.
    pub fn session_of(&self, token: &VerifiedToken) -> Result<SessionId, SessionError> {
        let is_own = token.issuer() == self.issuer_name() && token.generation().is_some();
        let sid = token.session_id().filter(|_| is_own);
        let sid = sid.and_then(SessionId::parse);
        sid.ok_or_else(|| SessionErrorKind::Foreign.into())
    }

    /// The session of a refresh token, which may be an old one. `None` if the token is not
    /// authentic. The session may have ended.
    ///
    /// Use it at login, to end the session that the browser had before. With cookies,
    /// `SessionRoutes::session_of_cookie` does this.
    ///
    /// ```
    /// # use tower_jwt_auth::session::{
    /// #     PendingLogin, SessionError, SessionStore, Sessions, TokenPair,
    /// # };
    /// async fn log_in<S: SessionStore>(
    ///     sessions: &Sessions<S>,
    ///     login: PendingLogin,
    ///     cookie: Option<&str>,
    /// ) -> Result<TokenPair, SessionError> {
    ///     if let Some(old) = cookie.and_then(|token| sessions.session_of_refresh_token(token)) {
    ///         sessions.end_session(old).await?;
    ///     }
    ///     sessions.complete(login).await
    /// }
    /// ```
    #[must_use]
    pub fn session_of_refresh_token(&self, refresh_token: &str) -> Option<SessionId> {
        let contents = self.settings.refresh_keys.verify(refresh_token);
        contents.map(|contents| contents.sid)
    }

    /// Rejects a subject that other `Sessions` made: a service may have several.
    pub(super) fn check_own<'a>(
        &self,
        subject: &'a OwnSubject,
    ) -> Result<Subject<'a>, SessionError> {
        if subject.issuer != self.settings.issuer {
            return Err(SessionErrorKind::Foreign.into());
        }
        Ok(Subject::new(subject.issuer.as_deref(), &subject.name))
    }
}

/// Shows no claim.
impl fmt::Debug for OwnSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnSubject").finish_non_exhaustive()
    }
}
