//! Where the client's certificate comes from.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::{Extensions, HeaderMap};

use super::certificate::{ClientCertificate, digest};
use super::header::{self, CLIENT_CERT, Malformed};
use super::network::{Network, ProxyAddressError};

/// Where the layer finds the certificate of a client. Pass it to
/// [`JwtAuthLayer::mtls`](crate::JwtAuthLayer::mtls).
///
/// The layer reads only the place that you choose. The other one could hold a header that a client
/// forged, or the certificate of the proxy. The [module docs](super) say what is checked.
#[derive(Clone)]
pub struct Mtls(Place);

#[derive(Clone)]
enum Place {
    Connection,
    Header {
        proxies: Arc<[Network]>,
        peer: Arc<ReadPeer>,
    },
}

type ReadPeer = dyn Fn(&Extensions) -> Option<IpAddr> + Send + Sync;

/// Why a request does not say which certificate its client has.
pub(crate) enum CertificateFault {
    /// The header is malformed.
    Malformed,
    /// The header comes from a peer that is none of these.
    UntrustedProxy(Vec<Box<str>>),
    /// Nothing says who the peer is.
    UnknownPeer,
}

impl Mtls {
    /// Your service terminates TLS: the certificate is a [`ClientCertificate`] in the extensions
    /// of the request. The header `Client-Cert` is not read.
    #[must_use]
    pub fn direct() -> Self {
        Self(Place::Connection)
    }

    /// A proxy terminates TLS, and passes the certificate on in the header `Client-Cert` (RFC
    /// 9440). The header counts if the peer of the connection is one of `proxies`. A
    /// [`ClientCertificate`] in the extensions is not read: it would be that of the proxy.
    ///
    /// `proxies` are IP addresses and networks, such as `10.0.0.5`, `10.0.0.0/8` or `fd00::/8`. An
    /// IPv4-mapped IPv6 address counts as the IPv4 address.
    ///
    /// `peer` reads the address of the peer from the extensions of the request: it must be that of
    /// the connection, never one of `X-Forwarded-For`. If it returns `None`, bound tokens get 500.
    ///
    /// ```
    /// use std::net::SocketAddr;
    /// use axum::extract::ConnectInfo;
    /// use tower_jwt_auth::mtls::Mtls;
    ///
    /// // With axum: serve `app.into_make_service_with_connect_info::<SocketAddr>()`.
    /// let mtls = Mtls::behind_proxies(["10.0.0.5", "fd00::/8"], |extensions| {
    ///     let ConnectInfo(peer): &ConnectInfo<SocketAddr> = extensions.get()?;
    ///     Some(peer.ip())
    /// })?;
    /// # Ok::<_, tower_jwt_auth::mtls::ProxyAddressError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ProxyAddressError`] if there is no proxy, if one is not an address or a network, or if a
    /// network includes every address.
    pub fn behind_proxies<P: AsRef<str>>(
        proxies: impl IntoIterator<Item = P>,
        peer: impl Fn(&Extensions) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Result<Self, ProxyAddressError> {
        let proxies = proxies
            .into_iter()
            .map(|text| Network::parse(text.as_ref()))
            .collect::<Result<Arc<[_]>, _>>()?;
        if proxies.is_empty() {
            return Err(ProxyAddressError::missing());
        }
        Ok(Self(Place::Header {
            proxies,
            peer: Arc::new(peer),
        }))
    }

    /// The SHA-256 of the client's certificate, or `None` if the client has none.
    pub(crate) fn read(
        &self,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<Option<[u8; 32]>, CertificateFault> {
        let (proxies, peer) = match &self.0 {
            Place::Connection => {
                let certificate: Option<&ClientCertificate> = extensions.get();
                return Ok(certificate.and_then(ClientCertificate::digest));
            }
            Place::Header { proxies, peer } => (proxies, peer),
        };
        let peer = peer(extensions).ok_or(CertificateFault::UnknownPeer)?;
        let is_trusted = proxies.iter().any(|proxy| proxy.contains(peer));
        if !is_trusted && headers.contains_key(CLIENT_CERT) {
            let names = proxies.iter().map(|proxy| proxy.to_string().into());
            return Err(CertificateFault::UntrustedProxy(names.collect()));
        }
        match header::certificate(headers) {
            Ok(der) => Ok(der.and_then(|der| digest(&der))),
            Err(Malformed) => Err(CertificateFault::Malformed),
        }
    }
}

/// Shows the proxies.
impl fmt::Debug for Mtls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Connection => f.write_str("Direct"),
            Place::Header { proxies, .. } => f.debug_tuple("BehindProxies").field(proxies).finish(),
        }
    }
}
