//! The certificate of a client.

use std::fmt;
use std::sync::Arc;

use crate::keys::sha256;

/// The certificate that a client has shown in its TLS handshake.
///
/// If your service terminates TLS, insert it into the extensions of each request of the
/// connection. The layer reads it there with [`Mtls::direct`](super::Mtls::direct). A clone is
/// cheap.
///
/// Only a certificate that the TLS library has verified belongs here: the library must have seen
/// that the client has the private key. The layer compares the digest, and parses nothing.
#[derive(Clone)]
pub struct ClientCertificate {
    der: Arc<[u8]>,
    /// `None` for no bytes, and without a crypto back-end.
    digest: Option<[u8; 32]>,
}

impl ClientCertificate {
    /// The certificate in DER, as rustls returns it: the first of the client's chain. Call this
    /// once for each connection, because it computes a digest.
    ///
    /// Convert PEM to DER first. With other bytes, every bound token is rejected. If `der` is
    /// empty, the client counts as one without a certificate.
    #[must_use]
    pub fn from_der(der: impl AsRef<[u8]>) -> Self {
        let der: Arc<[u8]> = der.as_ref().into();
        Self {
            digest: digest(&der).filter(|_| !der.is_empty()),
            der,
        }
    }

    /// The certificate in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    pub(super) fn digest(&self) -> Option<[u8; 32]> {
        self.digest
    }
}

/// The SHA-256 of a certificate: `x5t#S256` of a token (RFC 8705 §3.1).
pub(super) fn digest(der: &[u8]) -> Option<[u8; 32]> {
    sha256(der)?.try_into().ok()
}

/// Shows nothing: a certificate names a person or a machine.
impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificate(..)")
    }
}
