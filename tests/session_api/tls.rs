//! Accepts TLS with a certificate of its own, and offers HTTP/2.

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rcgen::generate_simple_self_signed;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::server::TlsStream;

/// The names that the certificate has. Clients that check it use one of these.
const NAMES: [&str; 3] = ["localhost", "api.x.localhost", "b.localhost"];

pub(crate) struct Listener {
    address: SocketAddr,
    connections: mpsc::Receiver<TlsStream<TcpStream>>,
}

impl Listener {
    /// Listens on 127.0.0.1. Returns the certificate too, as PEM.
    pub(crate) fn bind() -> Result<(Self, String), Box<dyn Error>> {
        let own = generate_simple_self_signed(NAMES.map(str::to_owned))?;
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der())?;
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_single_cert(vec![own.cert.der().clone()], key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];

        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (sender, connections) = mpsc::channel(1);
        tokio::spawn(accept(
            TcpListener::from_std(listener)?,
            TlsAcceptor::from(Arc::new(config)),
            sender,
        ));
        let listener = Self {
            address,
            connections,
        };
        Ok((listener, own.cert.pem()))
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }
}

/// A browser may open a connection and use it later, so each handshake has a task.
async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    sender: mpsc::Sender<TlsStream<TcpStream>>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, sender) = (acceptor.clone(), sender.clone());
        tokio::spawn(async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                let _ = sender.send(stream).await;
            }
        });
    }
}

impl axum::serve::Listener for Listener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        match self.connections.recv().await {
            Some(stream) => (stream, self.address),
            // The listener has failed, and the test soon finds out.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
