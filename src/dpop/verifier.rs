//! Checks a proof against its request.

use std::sync::Arc;
use std::time::Duration;

use super::client_key::ClientKey;
use super::error::DpopErrorKind;
use super::nonces::NonceState;
use super::proof::ProofClaims;
use super::settings::Dpop;
use crate::keys::sha256;
use crate::token::{JwkThumbprint, Segments, ShapeFault, base64url};

/// The request that a proof must be about.
pub(crate) struct ProvenRequest<'a> {
    pub(crate) method: &'a str,
    /// The path that the layer sees.
    pub(crate) path: &'a str,
    /// The verified token, as sent.
    pub(crate) token: &'a [u8],
    /// The key that the token is bound to.
    pub(crate) key: JwkThumbprint,
}

/// What is left to do for a good proof: remember it.
#[derive(Debug)]
pub(crate) struct AcceptedProof {
    pub(crate) key: JwkThumbprint,
    pub(crate) jti: Box<str>,
    /// When the proof would be too old, since the epoch.
    pub(crate) expires_at: Duration,
    /// The nonce that the client should use next, if that changes.
    pub(crate) next_nonce: Option<String>,
}

/// Why a proof is rejected, and the nonce to use instead.
#[derive(Debug)]
pub(crate) struct ProofRejection {
    pub(crate) kind: DpopErrorKind,
    pub(crate) nonce: Option<String>,
}

impl From<DpopErrorKind> for ProofRejection {
    fn from(kind: DpopErrorKind) -> Self {
        Self { kind, nonce: None }
    }
}

impl Dpop {
    /// 4 KiB. A proof has about 3.5 KiB with an RSA key of 4096 bits and 1,000 characters of path.
    pub(super) const MAX_PROOF_LENGTH: usize = 4 * 1024;

    /// Bytes of the longest `jti`: more than any random ID needs.
    const MAX_ID_LENGTH: usize = 256;

    /// How far ahead of this node a client's clock may be. It equals the default leeway of tokens.
    pub(super) const LEEWAY: Duration = Duration::from_secs(30);

    /// How long a proof is remembered after it expired: as far as the clocks of nodes, and of a
    /// store that they share, may differ.
    pub(crate) const REPLAY_MARGIN: Duration = Self::LEEWAY;

    /// Checks all but the replay. The token was verified before. The signature comes after all
    /// checks that cost less.
    pub(crate) fn check(
        &self,
        proof: &[u8],
        request: &ProvenRequest<'_>,
        now: Duration,
    ) -> Result<AcceptedProof, ProofRejection> {
        let segments =
            Segments::split(proof, Self::MAX_PROOF_LENGTH).map_err(|fault| match fault {
                ShapeFault::TooLong => DpopErrorKind::TooLong,
                ShapeFault::Segments | ShapeFault::Encrypted => DpopErrorKind::Malformed,
            })?;
        let decode = |segment| base64url::decode(segment).map_err(|_| DpopErrorKind::Malformed);
        let known = self.keys.find(&request.key, segments.header);
        let is_new = known.is_none();
        let client = match known {
            Some(client) => client,
            None => self.read_key(segments.header, &request.key)?,
        };
        let payload = decode(segments.payload)?;
        let claims = ProofClaims::read(&payload)?;
        let expires_at = self.check_claims(&claims, request, now)?;
        let next_nonce = self.check_nonce(claims.nonce.as_deref(), now)?;
        let signature = decode(segments.signature)?;
        if !client.key.verifies(segments.signing_input, &signature) {
            return Err(DpopErrorKind::BadSignature.into());
        }
        if is_new {
            self.keys.keep(request.key, client);
        }
        Ok(AcceptedProof {
            key: request.key,
            jti: claims.jti.into(),
            expires_at,
            next_nonce,
        })
    }

    /// The key in a header, if the token is bound to it.
    fn read_key(
        &self,
        header: &[u8],
        bound: &JwkThumbprint,
    ) -> Result<Arc<ClientKey>, DpopErrorKind> {
        let client = ClientKey::read(header, &self.algorithms)?;
        if client.key.thumbprint().as_ref() != Some(bound) {
            return Err(DpopErrorKind::WrongKey);
        }
        Ok(Arc::new(client))
    }

    /// Returns when the proof expires.
    fn check_claims(
        &self,
        claims: &ProofClaims<'_>,
        request: &ProvenRequest<'_>,
        now: Duration,
    ) -> Result<Duration, DpopErrorKind> {
        if claims.htm != request.method {
            return Err(DpopErrorKind::WrongMethod);
        }
        let mut urls = self.base_urls.iter();
        if !urls.any(|url| url.matches(&claims.htu, request.path)) {
            return Err(DpopErrorKind::WrongUrl);
        }
        if claims.jti.is_empty() || claims.jti.len() > Self::MAX_ID_LENGTH {
            return Err(DpopErrorKind::InvalidId);
        }
        let digest = sha256(request.token).ok_or(DpopErrorKind::WrongTokenHash)?;
        if claims.ath.as_deref() != Some(&*base64url::encode(&digest)) {
            return Err(DpopErrorKind::WrongTokenHash);
        }
        let issued_at = claims.iat.since_epoch();
        let expires_at = issued_at.saturating_add(self.lifetime);
        if issued_at > now.saturating_add(Self::LEEWAY) {
            return Err(DpopErrorKind::IssuedInFuture);
        }
        if now >= expires_at {
            return Err(DpopErrorKind::Expired);
        }
        Ok(expires_at)
    }

    /// Returns the nonce to use next, if that changes.
    fn check_nonce(
        &self,
        nonce: Option<&str>,
        now: Duration,
    ) -> Result<Option<String>, ProofRejection> {
        let Some(nonces) = &self.nonces else {
            return Ok(None);
        };
        let kind = match nonce {
            None => DpopErrorKind::MissingNonce,
            Some(_) => DpopErrorKind::StaleNonce,
        };
        match nonces.check(nonce, now).ok_or(kind)? {
            NonceState::Current => Ok(None),
            NonceState::Ending(next) => Ok(Some(next)),
            NonceState::Invalid(current) => Err(ProofRejection {
                kind,
                nonce: Some(current),
            }),
        }
    }
}

#[cfg(test)]
#[cfg(any(feature = "aws_lc_rs", feature = "rust_crypto"))]
mod tests {
    use super::*;

    /// The request of RFC 9449 §7.1.
    const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
    const PROOF: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6Ik\
        VDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCR\
        nMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JE\
        QSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIj\
        oiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0Z\
        WRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNF\
        c05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71E\
        OptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
    /// `jkt` of RFC 9449 §6.1.
    const KEY: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

    #[test]
    fn the_proof_of_the_rfc_is_accepted() {
        let dpop = Dpop::new("https://resource.example.org").unwrap();
        let request = ProvenRequest {
            method: "GET",
            path: "/protectedresource",
            token: TOKEN.as_bytes(),
            key: JwkThumbprint::parse(KEY).unwrap(),
        };
        let now = Duration::from_secs(1_562_262_618);
        // The key is parsed, then found.
        for _ in 0..2 {
            let accepted = dpop.check(PROOF.as_bytes(), &request, now).unwrap();
            assert_eq!(&*accepted.jti, "e1j3V_bKic8-LAEB");
            assert_eq!(accepted.expires_at, now + Duration::from_secs(60));
        }
        let too_late = now + Duration::from_secs(60);
        let rejection = dpop.check(PROOF.as_bytes(), &request, too_late);
        assert_eq!(rejection.unwrap_err().kind, DpopErrorKind::Expired);
    }
}
