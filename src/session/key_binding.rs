//! Sessions that are bound to a key of the client (RFC 9449 §5).

use super::error::SessionError;
use super::pending_login::{KeyBinding, PendingLogin};
use super::record::{Session, Subject};
use super::sessions::Sessions;
use super::store::SessionStore;
use crate::claims::NumericDate;
use crate::dpop::{DpopErrorKind, ProofOwner, ProvenToken, SentProof};
use crate::token::JwkThumbprint;

impl KeyBinding {
    pub(super) fn apply(&self, session: &mut Session) {
        session.key_thumbprint = Some(self.key.to_text());
        session.access_is_bound = self.access_is_bound;
    }
}

impl PendingLogin {
    /// Binds the session to the key of this proof (RFC 9449 §5). Its refresh tokens and its access
    /// tokens are bound. `token_type` is `DPoP`.
    ///
    /// Each refresh must then prove the same key, and each use of an access token too. Accept the
    /// tokens by [`TokenSource::dpop`](crate::TokenSource::dpop).
    ///
    /// The proof must be made for the request to your login. Call this before the password is
    /// checked: a proof without the [nonce](crate::dpop::Dpop::nonces) is then rejected at once.
    /// [`Sessions::complete`] remembers the proof, and rejects it if it has expired meanwhile.
    ///
    /// ```
    /// # use http::request::Parts;
    /// # use std::sync::Arc;
    /// # use tower_jwt_auth::session::{
    /// #     OwnSubject, SessionError, SessionStore, Sessions, TokenPair,
    /// # };
    /// use tower_jwt_auth::dpop::{Dpop, DpopErrorKind, SentProof};
    ///
    /// async fn log_in<S: SessionStore>(
    ///     sessions: &Sessions<S>,
    ///     dpop: &Arc<Dpop>,
    ///     request: &Parts,
    ///     subject: &OwnSubject,
    /// ) -> Result<TokenPair, SessionError> {
    ///     let proof = SentProof::find(dpop, request).ok_or(DpopErrorKind::MissingProof)?;
    ///     let login = sessions.begin(subject).await?.bind(&proof)?;
    ///     // Check the password here.
    ///     sessions.complete(login).await
    /// }
    /// ```
    ///
    /// An [impersonation](Sessions::impersonate) by a bound access token has the key of that token
    /// already. Then `bind` changes nothing: the request's proof was already checked with that
    /// token.
    ///
    /// # Errors
    ///
    /// [`SessionErrorKind::InvalidProof`](super::SessionErrorKind::InvalidProof) if the proof is
    /// wrong, or if an impersonation needs another key.
    pub fn bind(self, proof: &SentProof) -> Result<Self, SessionError> {
        self.bind_to(proof, true)
    }

    /// Binds the refresh tokens of the session to the key of this proof, but not its access tokens.
    /// `token_type` is `Bearer`.
    ///
    /// Use it for pages whose access token is in a cookie: a navigation has no proof, and no script
    /// can compute `ath` of a token that it cannot read. A thief of both cookies can use the access
    /// token until it expires. So keep [`Sessions::access_lifetime`] at a few minutes.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub fn bind_refresh_token(self, proof: &SentProof) -> Result<Self, SessionError> {
        self.bind_to(proof, false)
    }

    fn bind_to(mut self, proof: &SentProof, access_is_bound: bool) -> Result<Self, SessionError> {
        if self.binding.as_ref().is_some_and(|one| one.proof.is_none()) {
            return Ok(self);
        }
        let now = NumericDate::precise(self.clock.now());
        let token = match self.actor.as_ref().and_then(|actor| actor.required_key) {
            Some(key) => ProvenToken::Refresh(key),
            None => ProvenToken::None,
        };
        let proof = proof.check(token, now.since_epoch())?;
        self.binding = Some(KeyBinding {
            key: proof.key(),
            proof: Some(proof),
            access_is_bound,
        });
        Ok(self)
    }
}

impl<S: SessionStore> Sessions<S> {
    /// Remembers the proof of a login. Returns the nonce that the client should use next, if that
    /// changes.
    pub(super) async fn use_login_proof(
        &self,
        login: &PendingLogin,
        subject: &Subject<'_>,
    ) -> Result<Option<String>, SessionError> {
        let Some(binding) = &login.binding else {
            let actor = login.actor.as_ref();
            return match actor.and_then(|actor| actor.required_key) {
                Some(_) => Err(DpopErrorKind::MissingProof.into()),
                None => Ok(None),
            };
        };
        let Some(proof) = &binding.proof else {
            return Ok(None);
        };
        let now = self.now().since_epoch();
        proof.remember_at(owner(subject), now).await?;
        Ok(proof.next_nonce().map(str::to_owned))
    }

    /// Checks that the client has proven the session's key. For a session without a key, a proof is
    /// an error. Returns the nonce that the client should use next, if that changes.
    pub(super) async fn check_key(
        &self,
        session: &Session,
        proof: Option<&SentProof>,
    ) -> Result<Option<String>, SessionError> {
        let (key, proof) = match (session.key_thumbprint.as_deref(), proof) {
            (None, None) => return Ok(None),
            (None, Some(_)) => return Err(DpopErrorKind::UnboundToken.into()),
            (Some(_), None) => return Err(DpopErrorKind::MissingProof.into()),
            (Some(key), Some(proof)) => (key, proof),
        };
        let key = JwkThumbprint::parse(key).ok_or(DpopErrorKind::WrongKey)?;
        let now = self.now().since_epoch();
        let proof = proof.check(ProvenToken::Refresh(key), now)?;
        proof.remember(owner(&session.owner())).await?;
        Ok(proof.next_nonce().map(str::to_owned))
    }
}

fn owner<'a>(subject: &Subject<'a>) -> ProofOwner<'a> {
    ProofOwner {
        issuer: subject.issuer,
        subject: Some(subject.name),
    }
}
