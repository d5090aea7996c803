//! The proof that a request brings.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName};
use http::{HeaderValue, Method, Uri, request};

use super::error::DpopErrorKind;
use super::remember::CheckedProof;
use super::settings::Dpop;
use super::verifier::{ProofRejection, ProvenRequest, ProvenToken};

const DPOP: HeaderName = HeaderName::from_static("dpop");

/// The DPoP proof of a request, with the method and the URI that it must match. It is not checked
/// yet.
///
/// You need it where tokens are issued: at login, for
/// [`PendingLogin::bind`](crate::session::PendingLogin::bind), and at a refresh, for
/// [`Sessions::refresh_with_proof`](crate::session::Sessions::refresh_with_proof). Both check it.
/// Layers read the proofs of their requests themselves.
///
/// Clones share the text.
#[derive(Clone)]
pub struct SentProof {
    dpop: Arc<Dpop>,
    proof: Result<HeaderValue, DpopErrorKind>,
    method: Method,
    uri: Uri,
}

impl SentProof {
    /// Reads the header `DPoP` of a request. `None` without one.
    ///
    /// `dpop` checks the proof later. `request` is the request as your handler sees it: see
    /// [the URL of the request](super#the-url-of-the-request).
    #[must_use]
    pub fn find(dpop: &Arc<Dpop>, request: &request::Parts) -> Option<Self> {
        Self::find_in(dpop, &request.method, &request.uri, &request.headers)
    }

    pub(crate) fn find_in(
        dpop: &Arc<Dpop>,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Option<Self> {
        let has_proof = headers.contains_key(DPOP);
        has_proof.then(|| Self::read(dpop, method, uri, headers))
    }

    /// The proof of a request that must have one.
    pub(crate) fn read(dpop: &Arc<Dpop>, method: &Method, uri: &Uri, headers: &HeaderMap) -> Self {
        let mut proofs = headers.get_all(DPOP).iter();
        let proof = match (proofs.next(), proofs.next()) {
            (None, _) => Err(DpopErrorKind::MissingProof),
            (Some(proof), None) => Ok(proof.clone()),
            (Some(_), Some(_)) => Err(DpopErrorKind::SeveralProofs),
        };
        Self {
            dpop: Arc::clone(dpop),
            proof,
            method: method.clone(),
            uri: uri.clone(),
        }
    }

    /// Checks all but the replay.
    pub(crate) fn check(
        &self,
        token: ProvenToken<'_>,
        now: Duration,
    ) -> Result<CheckedProof, ProofRejection> {
        let request = ProvenRequest {
            method: self.method.as_str(),
            path: self.uri.path(),
            token,
        };
        let proof = self.proof.as_ref().map_err(|kind| *kind)?;
        let accepted = self.dpop.check(proof.as_bytes(), &request, now)?;
        Ok(CheckedProof::new(&self.dpop, accepted, now))
    }
}

/// Shows no proof.
impl fmt::Debug for SentProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentProof").finish_non_exhaustive()
    }
}
