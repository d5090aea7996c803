//! Refresh.

use std::time::Duration;

use serde_json::{Map, Value};

use super::error::{SessionError, SessionErrorKind};
use super::event::SessionEventKind;
use super::issue::ATTEMPTS;
use super::record::Session;
use super::refresh_token::RefreshTokenContents;
use super::rotation::{Rotation, RotationOutcome, RotationRejection};
use super::session_id::SessionId;
use super::sessions::Sessions;
use super::store::SessionStore;
use super::token_pair::TokenPair;
use crate::claims::NumericDate;
use crate::dpop::SentProof;

/// Why a session gets new tokens.
pub(super) enum Renewal<'a> {
    /// A refresh token with this counter was presented, perhaps with a proof.
    Refresh {
        counter: u64,
        proof: Option<&'a SentProof>,
    },
    /// The user was authenticated at this level.
    Elevation { acr: String },
}

impl<S: SessionStore> Sessions<S> {
    /// Issues a new token pair for the session of `refresh_token`.
    ///
    /// # Errors
    ///
    /// - [`SessionErrorKind::InvalidToken`] if the token is not authentic, or its session belongs
    ///   to another issuer. Nothing changes.
    /// - [`SessionErrorKind::InvalidProof`] if the session is [bound](super::PendingLogin::bind)
    ///   to a key: call [`refresh_with_proof`](Sessions::refresh_with_proof). Nothing changes.
    /// - [`SessionErrorKind::ReuseDetected`] if the token is the previous one and its
    ///   [grace](Sessions::grace) is over, or if it is older. The session has ended.
    /// - [`SessionErrorKind::Elevated`] if the token is the previous one, within its grace, and the
    ///   session was [elevated](Sessions::elevate) since. Nothing changes.
    /// - [`SessionErrorKind::Ended`], [`Expired`](SessionErrorKind::Expired),
    ///   [`Blocked`](SessionErrorKind::Blocked), [`LoggedOut`](SessionErrorKind::LoggedOut) or
    ///   [`UnknownSubject`](SessionErrorKind::UnknownSubject): the session cannot be refreshed any
    ///   more.
    /// - [`SessionErrorKind::InvalidClaims`] or [`SessionErrorKind::TokenTooLong`] for what the
    ///   [claims function](Sessions::claims) returned. The token stays valid.
    /// - [`SessionErrorKind::Unavailable`] if the claims function or the store fails. Also if, at
    ///   each of four attempts, the session's data change or the subject's access tokens are
    ///   invalidated.
    /// - [`SessionErrorKind::Backend`] if the crypto back-end fails.
    ///
    /// After `Unavailable` the token may have been used: the store may have rotated it although its
    /// answer was lost. Retry with the same token within the [grace](Sessions::grace). A later
    /// retry may be treated as reuse; then the session ends, and the user must log in again.
    pub async fn refresh(&self, refresh_token: &str) -> Result<TokenPair, SessionError> {
        self.refresh_with_proof(refresh_token, None).await
    }

    /// Issues a new token pair for the session of `refresh_token`, which may be
    /// [bound](super::PendingLogin::bind) to the key of `proof`. Pass the proof of the request, if
    /// it has one.
    ///
    /// The proof must be made for the refresh request, and has no `ath` (RFC 9449 §5).
    ///
    /// # Errors
    ///
    /// Those of [`refresh`](Sessions::refresh). Also [`SessionErrorKind::InvalidProof`] if the
    /// proof is wrong or was used, and [`SessionErrorKind::Unavailable`] if the
    /// [replay store](crate::dpop::Dpop::replay_store) fails.
    ///
    /// If the proof is refused, nothing changes: the refresh token is not used. This does not count
    /// as reuse, even with an old token. After any other error the proof may have been used: retry
    /// with a new proof.
    pub async fn refresh_with_proof(
        &self,
        refresh_token: &str,
        proof: Option<&SentProof>,
    ) -> Result<TokenPair, SessionError> {
        let RefreshTokenContents { sid, counter } = self
            .settings
            .refresh_keys
            .verify(refresh_token)
            .ok_or(SessionErrorKind::InvalidToken)?;
        let renewal = Renewal::Refresh { counter, proof };
        self.renew(sid, &renewal).await
    }

    /// Issues a new token pair for a session.
    pub(super) async fn renew(
        &self,
        sid: SessionId,
        renewal: &Renewal<'_>,
    ) -> Result<TokenPair, SessionError> {
        let arrived = self.now();
        let mut dpop_nonce = None;
        for attempt in ATTEMPTS {
            let mut session = self.find_renewable(sid, renewal).await?;
            // Before all that ends a session: a thief has no key.
            if let (0, Renewal::Refresh { proof, .. }) = (attempt, renewal) {
                dpop_nonce = self.check_key(&session, *proof).await?;
            }
            if let Err(error) = self.check_actor(&session).await {
                if error.kind().is_final() {
                    self.end_session(sid).await?;
                }
                return Err(error);
            }
            if attempt > 0 {
                // At first, the epoch of the last refresh will do: usually it is the current one.
                session.access_epoch = self.access_epoch(&session.owner()).await?;
            }
            if let Renewal::Elevation { acr } = renewal {
                if session.actor.is_some() {
                    return Err(SessionErrorKind::Impersonated.into());
                }
                session.acr = Some(acr.clone());
                session.authenticated_at = self.now();
            }
            // Before the rotation: if this fails or hangs, the refresh token has not been used.
            let claims = match self.application_claims(&session).await {
                Err(error) if error.kind() == SessionErrorKind::UnknownSubject => {
                    self.end_session(sid).await?;
                    return Err(error);
                }
                claims => claims?,
            };
            if let Some(tokens) = self.rotate(renewal, arrived, session, claims).await? {
                return Ok(TokenPair {
                    dpop_nonce,
                    ..tokens
                });
            }
        }
        Err(SessionError::outdated())
    }

    async fn find_renewable(
        &self,
        sid: SessionId,
        renewal: &Renewal<'_>,
    ) -> Result<Session, SessionError> {
        let found = self.store.find(sid).await;
        let session = found
            .map_err(SessionError::unavailable)?
            .ok_or(SessionErrorKind::Ended)?;
        if session.issuer.as_deref() == self.issuer_name() {
            return Ok(session);
        }
        // Another service uses the same refresh keys and the same store by mistake.
        Err(match renewal {
            Renewal::Refresh { .. } => SessionErrorKind::InvalidToken.into(),
            Renewal::Elevation { .. } => SessionErrorKind::Ended.into(),
        })
    }

    /// Rotates the refresh token of `session`, as it was before the claims were computed. `None` if
    /// it has changed since.
    async fn rotate(
        &self,
        renewal: &Renewal<'_>,
        arrived: NumericDate,
        mut session: Session,
        claims: Map<String, Value>,
    ) -> Result<Option<TokenPair>, SessionError> {
        let (sid, now) = (session.sid, self.now());
        let (counter, elevation) = match renewal {
            Renewal::Refresh { counter, .. } => (*counter, None),
            Renewal::Elevation { acr } => {
                session.authenticated_at = now;
                (session.counter, Some(acr.clone()))
            }
        };
        let access_token = self.access_token(&session, now, claims)?;
        let kind = match elevation {
            None => SessionEventKind::Refreshed,
            Some(_) => SessionEventKind::Elevated,
        };
        let rotation = Rotation {
            access_epoch: session.access_epoch,
            data_version: session.data_version,
            grace: self.grace_since(arrived, now),
            idle_expires_at: now.later_by(self.settings.idle_lifetime),
            access_expires_at: self.access_expiry(&session, now),
            elevation,
            ..Rotation::new(counter, now)
        };
        let rotated = self.store.rotate(sid, &rotation).await;
        let session = match rotated.map_err(SessionError::unavailable)? {
            RotationOutcome::Rotated(session) | RotationOutcome::WithinGrace(session) => session,
            RotationOutcome::LostWrites(session) => {
                self.emit_for(SessionEventKind::LostWrites, &session);
                session
            }
            RotationOutcome::ReuseDetected(session) => {
                self.emit_for(SessionEventKind::ReuseDetected, &session);
                return Err(SessionErrorKind::ReuseDetected.into());
            }
            RotationOutcome::Outdated => return Ok(None),
            RotationOutcome::Rejected(rejection) => return Err(error_kind(rejection).into()),
        };
        self.emit_for(kind, &session);
        self.token_pair(&session, access_token, now).map(Some)
    }

    /// The grace of a request, which counts until the request arrived. A slow claims function, or
    /// claims that are computed again, must not turn it into reuse.
    fn grace_since(&self, arrived: NumericDate, now: NumericDate) -> Duration {
        let grace = self.settings.grace;
        if grace.is_zero() {
            return grace;
        }
        let elapsed = now.since_epoch().saturating_sub(arrived.since_epoch());
        grace.saturating_add(elapsed)
    }
}

fn error_kind(rejection: RotationRejection) -> SessionErrorKind {
    match rejection {
        RotationRejection::Ended => SessionErrorKind::Ended,
        RotationRejection::Expired => SessionErrorKind::Expired,
        RotationRejection::Blocked => SessionErrorKind::Blocked,
        RotationRejection::LoggedOut => SessionErrorKind::LoggedOut,
        RotationRejection::Elevated => SessionErrorKind::Elevated,
    }
}
