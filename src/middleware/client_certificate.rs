//! Checks that the client has the certificate that a token is bound to.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::error::AuthError;
use super::source::RequestHead;
use crate::mtls::{CertificateFault, Mtls};
use crate::verify::{VerifiedToken, Verifier, VerifyError, VerifyErrorKind};

/// The SHA-256 of the client's certificate, `None` without one, or why nothing is known.
pub(super) type SentCertificate = Result<Option<[u8; 32]>, AuthError>;

pub(super) fn sent_certificate(mtls: &Mtls, head: RequestHead<'_>) -> SentCertificate {
    mtls.read(head.headers, head.extensions)
        .map_err(|fault| match fault {
            CertificateFault::Malformed => of_kind(VerifyErrorKind::MalformedCertificate),
            CertificateFault::UntrustedProxy(proxies) => {
                VerifyError::untrusted_proxy(proxies).into()
            }
            CertificateFault::UnknownPeer => AuthError::misconfigured(Arc::new(UnknownPeer)),
        })
}

/// Checks the certificate that a verified token is bound to. `sent` is asked for bound tokens
/// alone. It returns `None` if the layer checks no certificates.
#[inline]
pub(super) fn check_certificate(
    sent: impl FnOnce() -> Option<SentCertificate>,
    verifier: &Verifier,
    token: &VerifiedToken,
) -> Result<(), AuthError> {
    match token.certificate_digest() {
        Some(bound) if verifier.certificates_are_checked() => compare(*bound, sent()),
        // It is not bound, or something else checks the certificate.
        _ => Ok(()),
    }
}

fn compare(bound: [u8; 32], sent: Option<SentCertificate>) -> Result<(), AuthError> {
    let sent = sent.ok_or_else(|| of_kind(VerifyErrorKind::SenderConstrained))?;
    match sent? {
        // Certificates are public, so this need not take constant time.
        Some(sent) if sent == bound => Ok(()),
        Some(_) => Err(of_kind(VerifyErrorKind::WrongCertificate)),
        None => Err(of_kind(VerifyErrorKind::MissingCertificate)),
    }
}

fn of_kind(kind: VerifyErrorKind) -> AuthError {
    VerifyError::from(kind).into()
}

#[derive(Debug)]
struct UnknownPeer;

impl fmt::Display for UnknownPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the closure of `Mtls::behind_proxies` finds no address of the peer: with axum, serve \
             `app.into_make_service_with_connect_info::<SocketAddr>()`",
        )
    }
}

impl Error for UnknownPeer {}
