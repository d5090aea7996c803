//! Checks that the sender of a token has the key that the token is bound to.

use super::error::AuthError;
use super::error_kind::AuthErrorKind;
use super::source::{RequestHead, TokenSource};
use crate::dpop::{CheckedProof, DpopErrorKind, ProofOwner, ProvenToken, SentProof};
use crate::verify::{VerifiedToken, Verifier, VerifyError, VerifyErrorKind};

/// The proof of the request. `None` if the source needs none.
#[inline]
pub(super) fn find_proof(source: &TokenSource, head: RequestHead<'_>) -> Option<Box<SentProof>> {
    let dpop = source.proof_settings()?;
    let proof = SentProof::read(dpop, head.method, head.uri, head.headers);
    Some(Box::new(proof))
}

/// Checks whether the sender of a verified token may use it. A bound token needs a proof, and no
/// other token can have one.
#[inline]
pub(super) fn check_sender(
    proof: Option<&SentProof>,
    verifier: &Verifier,
    sent: &[u8],
    token: &VerifiedToken,
) -> Result<Option<Box<CheckedProof>>, AuthError> {
    match proof {
        None if token.key_thumbprint().is_none() || !verifier.keys_are_proven() => Ok(None),
        None => Err(VerifyError::from(VerifyErrorKind::SenderConstrained).into()),
        Some(proof) => check_proof(proof, verifier, sent, token)
            .map(Box::new)
            .map(Some),
    }
}

fn check_proof(
    proof: &SentProof,
    verifier: &Verifier,
    sent: &[u8],
    token: &VerifiedToken,
) -> Result<CheckedProof, AuthError> {
    let unbound = AuthErrorKind::InvalidProof(DpopErrorKind::UnboundToken);
    let key = token.key_thumbprint().ok_or(unbound)?;
    let (_, now) = verifier.leeway_and_now();
    Ok(proof.check(ProvenToken::Access(sent, *key), now)?)
}

/// Remembers the proof of this token. `None` if the store has to be awaited.
pub(super) fn remember_now(
    proof: &CheckedProof,
    token: &VerifiedToken,
) -> Option<Result<(), AuthError>> {
    let remembered = proof.remember_now(owner(token))?;
    Some(remembered.map_err(AuthError::from))
}

/// Remembers the proof of this token, and waits if that is needed.
pub(super) async fn remember(proof: &CheckedProof, token: &VerifiedToken) -> Result<(), AuthError> {
    Ok(proof.remember(owner(token)).await?)
}

fn owner(token: &VerifiedToken) -> ProofOwner<'_> {
    ProofOwner {
        issuer: token.issuer(),
        subject: token.subject(),
    }
}
