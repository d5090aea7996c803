//! Checks a proof against its request.

use std::sync::Arc;
use std::time::Duration;

use super::client_key::ClientKey;
use super::error::DpopErrorKind;
use super::nonces::NonceState;
use super::proof::ProofClaims;
use super::settings::{Dpop, ExpectedUrls};
use crate::keys::sha256;
use crate::token::{JwkThumbprint, Segments, ShapeFault, base64url};

/// The request that a proof must be about.
pub(super) struct ProvenRequest<'a> {
    pub(super) method: &'a str,
    /// The path that the layer or the handler sees.
    pub(super) path: &'a str,
    pub(super) token: ProvenToken<'a>,
}

/// What the client sends together with the proof.
#[derive(Clone, Copy)]
pub(crate) enum ProvenToken<'a> {
    /// A verified access token, as sent, and the key that it is bound to.
    Access(&'a [u8], JwkThumbprint),
    /// A refresh token that is bound to this key (RFC 9449 §5).
    Refresh(JwkThumbprint),
    /// None yet: at login, the client chooses its key.
    None,
}

impl ProvenToken<'_> {
    fn key(&self) -> Option<&JwkThumbprint> {
        match self {
            Self::Access(_, key) | Self::Refresh(key) => Some(key),
            Self::None => None,
        }
    }
}

/// What is left to do for a good proof: remember it.
#[derive(Debug)]
pub(super) struct AcceptedProof {
    pub(super) key: JwkThumbprint,
    pub(super) jti: Box<str>,
    /// When the proof would be too old, since the epoch.
    pub(super) expires_at: Duration,
    /// The nonce that the client should use next, if that changes.
    pub(super) next_nonce: Option<String>,
}

/// Why a proof is rejected.
#[derive(Debug)]
pub(crate) struct ProofRejection {
    pub(crate) kind: DpopErrorKind,
    /// The nonce to use instead.
    pub(crate) nonce: Option<String>,
    /// What an operator should compare with the proof.
    pub(crate) expected: Option<ExpectedUrls>,
}

impl From<DpopErrorKind> for ProofRejection {
    fn from(kind: DpopErrorKind) -> Self {
        Self {
            kind,
            nonce: None,
            expected: None,
        }
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
    pub(super) fn check(
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
        let bound = request.token.key();
        let known = bound.and_then(|key| self.keys.find(key, segments.header));
        let is_new = known.is_none();
        let (key, client) = match (bound, known) {
            (Some(key), Some(client)) => (*key, client),
            _ => self.read_key(segments.header, bound)?,
        };
        let payload = decode(segments.payload)?;
        let claims = ProofClaims::read(&payload)?;
        let expires_at = self.check_claims(&claims, request, now)?;
        let next_nonce = self.check_nonce(claims.nonce.as_deref(), now)?;
        let signature = decode(segments.signature)?;
        if !client.key.verifies(segments.signing_input, &signature) {
            return Err(DpopErrorKind::BadSignature.into());
        }
        // At login nothing limits the keys that strangers make.
        if is_new && bound.is_some() {
            self.keys.keep(key, client);
        }
        Ok(AcceptedProof {
            key,
            jti: claims.jti.into(),
            expires_at,
            next_nonce,
        })
    }

    /// The key in a header, unless the token is bound to another one.
    fn read_key(
        &self,
        header: &[u8],
        bound: Option<&JwkThumbprint>,
    ) -> Result<(JwkThumbprint, Arc<ClientKey>), DpopErrorKind> {
        let client = ClientKey::read(header, &self.algorithms)?;
        let key = client.key.thumbprint().ok_or(DpopErrorKind::InvalidKey)?;
        if bound.is_some_and(|bound| *bound != key) {
            return Err(DpopErrorKind::WrongKey);
        }
        Ok((key, Arc::new(client)))
    }

    /// Returns when the proof expires.
    fn check_claims(
        &self,
        claims: &ProofClaims<'_>,
        request: &ProvenRequest<'_>,
        now: Duration,
    ) -> Result<Duration, ProofRejection> {
        if claims.htm != request.method {
            return Err(DpopErrorKind::WrongMethod.into());
        }
        let mut urls = self.base_urls.iter();
        if !urls.any(|url| url.matches(&claims.htu, request.path)) {
            return Err(ProofRejection {
                expected: Some(self.expected_urls()),
                ..DpopErrorKind::WrongUrl.into()
            });
        }
        if claims.jti.is_empty() || claims.jti.len() > Self::MAX_ID_LENGTH {
            return Err(DpopErrorKind::InvalidId.into());
        }
        let ath = match request.token {
            ProvenToken::Access(token, _) => {
                let digest = sha256(token).ok_or(DpopErrorKind::WrongTokenHash)?;
                Some(base64url::encode(&digest))
            }
            // A proof with `ath` was made for a request with an access token.
            ProvenToken::Refresh(_) | ProvenToken::None => None,
        };
        if claims.ath != ath {
            return Err(DpopErrorKind::WrongTokenHash.into());
        }
        let issued_at = claims.iat.since_epoch();
        let expires_at = issued_at.saturating_add(self.lifetime);
        if issued_at > now.saturating_add(Self::LEEWAY) {
            return Err(DpopErrorKind::IssuedInFuture.into());
        }
        if now >= expires_at {
            return Err(DpopErrorKind::Expired.into());
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
                nonce: Some(current),
                ..kind.into()
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
            token: ProvenToken::Access(TOKEN.as_bytes(), JwkThumbprint::parse(KEY).unwrap()),
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
