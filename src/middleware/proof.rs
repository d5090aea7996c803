//! Checks that the sender of a token has the key that the token is bound to.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::HeaderName;
use http::{HeaderValue, Method, Uri};

use super::error::AuthError;
use super::source::{RequestHead, TokenSource};
use crate::dpop::{
    AcceptedProof, Dpop, DpopErrorKind, ProofIdentity, ProvenRequest, RememberError, ReplayVerdict,
};
use crate::verify::{VerifiedToken, Verifier, VerifyError, VerifyErrorKind};

const DPOP: HeaderName = HeaderName::from_static("dpop");

/// The proof of a request, and what it must be about. Copies share their text.
pub(super) struct SentProof {
    dpop: Arc<Dpop>,
    proof: Result<HeaderValue, DpopErrorKind>,
    method: Method,
    uri: Uri,
}

/// A good proof of the request's token.
pub(super) struct Proof {
    dpop: Arc<Dpop>,
    accepted: AcceptedProof,
    now: Duration,
}

impl SentProof {
    /// `None` if the source needs no proof.
    #[inline]
    pub(super) fn find(source: &TokenSource, head: RequestHead<'_>) -> Option<Box<Self>> {
        let dpop = source.proof_settings()?;
        Some(Box::new(Self::read(dpop, head)))
    }

    fn read(dpop: &Arc<Dpop>, head: RequestHead<'_>) -> Self {
        let mut proofs = head.headers.get_all(DPOP).iter();
        let proof = match (proofs.next(), proofs.next()) {
            (None, _) => Err(DpopErrorKind::MissingProof),
            (Some(proof), None) => Ok(proof.clone()),
            (Some(_), Some(_)) => Err(DpopErrorKind::SeveralProofs),
        };
        Self {
            dpop: Arc::clone(dpop),
            proof,
            method: head.method.clone(),
            uri: head.uri.clone(),
        }
    }

    fn check(&self, sent: &[u8], token: &VerifiedToken, now: Duration) -> Result<Proof, AuthError> {
        let invalid = |kind| AuthError::invalid_proof(kind, None, &self.dpop);
        let key = token.key_thumbprint();
        let request = ProvenRequest {
            method: self.method.as_str(),
            path: self.uri.path(),
            token: sent,
            key: *key.ok_or_else(|| invalid(DpopErrorKind::UnboundToken))?,
        };
        let proof = self.proof.as_ref().map_err(|kind| invalid(*kind))?;
        let accepted = self
            .dpop
            .check(proof.as_bytes(), &request, now)
            .map_err(|rejection| {
                AuthError::invalid_proof(rejection.kind, rejection.nonce, &self.dpop)
            })?;
        Ok(Proof {
            dpop: Arc::clone(&self.dpop),
            accepted,
            now,
        })
    }
}

/// Checks whether the sender of a verified token may use it. A bound token needs a proof, and no
/// other token can have one.
#[inline]
pub(super) fn check_sender(
    proof: Option<&SentProof>,
    verifier: &Verifier,
    sent: &[u8],
    token: &VerifiedToken,
) -> Result<Option<Box<Proof>>, AuthError> {
    match proof {
        None if token.key_thumbprint().is_none() || !verifier.keys_are_proven() => Ok(None),
        None => Err(VerifyError::from(VerifyErrorKind::SenderConstrained).into()),
        Some(proof) => {
            let (_, now) = verifier.leeway_and_now();
            proof.check(sent, token, now).map(Box::new).map(Some)
        }
    }
}

impl Proof {
    /// The nonce that the client should use next, if that changes.
    pub(super) fn next_nonce(&self) -> Option<&str> {
        self.accepted.next_nonce.as_deref()
    }

    /// Remembers the proof of this token. `None` if the store has to be awaited.
    pub(super) fn remember_now(&self, token: &VerifiedToken) -> Option<Result<(), AuthError>> {
        let key = self.accepted.key.to_text();
        let answer = self.dpop.remember_now(&self.identity(&key, token))?;
        Some(self.judge(answer))
    }

    /// Remembers the proof of this token, and waits if that is needed.
    pub(super) async fn remember(&self, token: &VerifiedToken) -> Result<(), AuthError> {
        if let Some(verdict) = self.remember_now(token) {
            return verdict;
        }
        let key = self.accepted.key.to_text();
        let answer = self.dpop.remember(&self.identity(&key, token)).await;
        self.judge(answer)
    }

    fn identity<'a>(&'a self, key: &'a str, token: &'a VerifiedToken) -> ProofIdentity<'a> {
        ProofIdentity {
            key,
            jti: &self.accepted.jti,
            issuer: token.issuer(),
            subject: token.subject(),
            forget_at: time(self.accepted.expires_at.saturating_add(Dpop::REPLAY_MARGIN)),
            now: time(self.now),
        }
    }

    fn judge(&self, answer: Result<ReplayVerdict, RememberError>) -> Result<(), AuthError> {
        let kind = match answer {
            Ok(ReplayVerdict::New) => return Ok(()),
            Ok(ReplayVerdict::Replayed) => DpopErrorKind::Replayed,
            Ok(ReplayVerdict::TooMany) => DpopErrorKind::TooMany,
            Err(failure) => {
                report(&failure);
                return Err(AuthError::unavailable(failure));
            }
        };
        Err(AuthError::invalid_proof(kind, None, &self.dpop))
    }
}

/// The dates of good proofs are before the year 10000, which every platform's time reaches.
fn time(since_epoch: Duration) -> SystemTime {
    let time = SystemTime::UNIX_EPOCH.checked_add(since_epoch);
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(feature = "tracing")]
fn report(failure: &RememberError) {
    let reason = tracing::field::display(failure);
    tracing::warn!(reason, "the replay store failed: a request is rejected");
}

#[cfg(not(feature = "tracing"))]
fn report(_: &RememberError) {}
