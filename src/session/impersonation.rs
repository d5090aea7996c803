//! Impersonation: a user acts for another one (RFC 8693 §4.1).

use std::time::Duration;

use super::error::{SessionError, SessionErrorKind};
use super::own_subject::OwnSubject;
use super::pending_login::{KeyBinding, PendingActor, PendingLogin};
use super::sessions::Sessions;
use super::store::SessionStore;
use crate::dpop::DpopErrorKind;
use crate::token::JwkThumbprint;
use crate::verify::VerifiedToken;

const DEFAULT_LIFETIME: Duration = Duration::from_secs(15 * 60);
const MAX_LIFETIME: Duration = Duration::from_secs(60 * 60);

impl<S: SessionStore> Sessions<S> {
    /// 15 minutes: enough to reproduce what a user reports.
    pub const DEFAULT_IMPERSONATION_LIFETIME: Duration = DEFAULT_LIFETIME;

    /// An hour: an impersonation that is forgotten in an open tab soon ends.
    pub const MAX_IMPERSONATION_LIFETIME: Duration = MAX_LIFETIME;

    /// Begins a session in which the sender of `actor_token` acts for `subject`. For example, a
    /// support agent acts for a customer. [`complete`](Sessions::complete) issues the tokens of the
    /// session.
    ///
    /// You decide who may do so: put a guard on the route that calls this. Consider requiring a
    /// scope, a recent login and a second factor.
    ///
    /// ```
    /// # use tower_jwt_auth::VerifiedToken;
    /// # use tower_jwt_auth::session::{SessionError, SessionStore, Sessions, TokenPair};
    /// // Behind `Require::scope("impersonate").and(Require::acr(["mfa"]))`.
    /// async fn act_for<S: SessionStore>(
    ///     sessions: &Sessions<S>,
    ///     agent: &VerifiedToken,
    ///     customer: &str,
    /// ) -> Result<TokenPair, SessionError> {
    ///     let login = sessions.impersonate(agent, &sessions.subject_named(customer)).await?;
    ///     sessions.complete(login.label("support")).await
    /// }
    /// ```
    ///
    /// - The access tokens name both: `sub` is the subject, `act` the actor. Guards and handlers
    ///   see the subject. Put [`Require::not_impersonated`](crate::Require::not_impersonated) on
    ///   what only users themselves may do, such as to change the password or to log out
    ///   everywhere.
    /// - The [hook](Sessions::on_event) gets an event with both names, and each event of the
    ///   session names the actor. No name is logged.
    /// - The session ends after [15 minutes](Self::DEFAULT_IMPERSONATION_LIFETIME).
    ///   [`PendingLogin::lifetime`] changes that, up to
    ///   [an hour](Self::MAX_IMPERSONATION_LIFETIME).
    /// - An impersonation cannot begin another one. It has neither `acr` nor `auth_time`, because
    ///   the subject has proven nothing. [`elevate`](Sessions::elevate) refuses to set them. Guards
    ///   that require a level or a recent login reject it.
    /// - A block or a logout everywhere of the subject ends it at once. A block or a logout
    ///   everywhere of the actor ends it at its next refresh. Until then its access token stays
    ///   valid, for at most [`access_lifetime`](Sessions::access_lifetime). A logout of the actor's
    ///   own session does not end it.
    /// - In a browser the new cookies replace those of the actor, who logs in again afterwards. To
    ///   keep both, serve impersonations on another host name.
    /// - If the session of the actor is [bound](PendingLogin::bind) to a key, the impersonation
    ///   must have the same key. A thief who has only an access token cannot begin one. If
    ///   `actor_token` is bound, the impersonation is bound without `bind`.
    /// - The actor may lose the right to impersonate meanwhile. Check
    ///   [`Session::actor`](super::Session::actor) in the [claims function](Sessions::claims), and
    ///   return `Ok(None)` to end the session.
    ///
    /// # Errors
    ///
    /// - [`SessionErrorKind::Impersonated`] if `actor_token` has `act` itself, or the actor is the
    ///   subject.
    /// - [`SessionErrorKind::Foreign`] as for [`subject_of`](Sessions::subject_of), or if `subject`
    ///   was made by a `Sessions` of another issuer.
    /// - [`SessionErrorKind::Blocked`] if the subject or the actor is blocked.
    /// - [`SessionErrorKind::LoggedOut`] if the actor was logged out everywhere, or its access
    ///   tokens were invalidated, since `actor_token` was issued. Also if the actor's session has
    ///   ended.
    /// - [`SessionErrorKind::Unavailable`] if the store fails.
    pub async fn impersonate(
        &self,
        actor_token: &VerifiedToken,
        subject: &OwnSubject,
    ) -> Result<PendingLogin, SessionError> {
        let actor = self.subject_of(actor_token)?;
        if !matches!(actor_token.actor(), Ok(None)) || actor.name() == subject.name() {
            return Err(SessionErrorKind::Impersonated.into());
        }
        let state = self.store.subject(&self.check_own(&actor)?).await;
        let state = state.map_err(SessionError::unavailable)?;
        if state.blocked {
            return Err(SessionErrorKind::Blocked.into());
        }
        if actor_token.generation() != Some(state.access_epoch) {
            return Err(SessionErrorKind::LoggedOut.into());
        }
        let session = self.find(self.session_of(actor_token)?).await?;
        let required_key = match session.ok_or(SessionErrorKind::LoggedOut)?.key_thumbprint {
            None => None,
            Some(key) => Some(JwkThumbprint::parse(&key).ok_or(DpopErrorKind::WrongKey)?),
        };
        let mut login = self.begin(subject).await?;
        if login.state.blocked {
            return Err(SessionErrorKind::Blocked.into());
        }
        // The layer has checked the proof.
        let proven = required_key.filter(|key| actor_token.key_thumbprint() == Some(key));
        login.binding = proven.map(|key| KeyBinding {
            key,
            proof: None,
            access_is_bound: true,
        });
        Ok(login.impersonated_by(PendingActor {
            name: actor.name().to_owned(),
            generation: state.generation,
            required_key,
        }))
    }
}

impl PendingLogin {
    fn impersonated_by(mut self, actor: PendingActor) -> Self {
        self.actor = Some(actor);
        self.max_lifetime = self.max_lifetime.min(MAX_LIFETIME);
        self.lifetime = self.max_lifetime.min(DEFAULT_LIFETIME);
        self
    }
}
