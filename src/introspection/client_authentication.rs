//! How this service authenticates to its issuer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64_simd::STANDARD;
use form_urlencoded::{Serializer, byte_serialize};
use http::HeaderValue;

use crate::claims::RegisteredClaims;
use crate::clock::{Clock, ClockSource};
use crate::keys::SigningKey;
use crate::keys::remote::{FetchError, FetchErrorKind};

/// How your service authenticates to the introspection endpoint. The issuer chooses the method when
/// you register your service as a client.
///
/// `Debug` shows the method and the client ID, and no secret.
#[derive(Clone)]
pub struct ClientAuthentication {
    client_id: Arc<str>,
    method: Method,
}

#[derive(Clone)]
enum Method {
    SecretBasic(HeaderValue),
    SecretPost(Arc<str>),
    Assertion {
        key: SigningKey,
        audience: Option<Arc<str>>,
    },
    Tls,
}

impl ClientAuthentication {
    /// How long an assertion is valid: it is made for one request, and clocks may differ.
    const ASSERTION_LIFETIME: Duration = Duration::from_secs(60);

    /// `client_secret_basic`: client ID and secret in the header `Authorization` (RFC 6749 §2.3.1).
    ///
    /// # Panics
    ///
    /// If the ID or the secret is empty.
    #[must_use]
    #[track_caller]
    pub fn secret_basic(client_id: impl AsRef<str>, secret: impl AsRef<str>) -> Self {
        let client_id = client_id.as_ref();
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let pair = format!(
            "{}:{}",
            encoded(client_id),
            encoded(checked(secret.as_ref()))
        );
        let header = format!("Basic {}", STANDARD.encode_to_string(pair));
        #[expect(clippy::expect_used, reason = "the header is base64")]
        let mut header = HeaderValue::try_from(header).expect("base64 is a header value");
        header.set_sensitive(true);
        Self::new(client_id, Method::SecretBasic(header))
    }

    /// `client_secret_post`: client ID and secret in the form (RFC 6749 §2.3.1).
    ///
    /// # Panics
    ///
    /// If the ID or the secret is empty.
    #[must_use]
    #[track_caller]
    pub fn secret_post(client_id: impl AsRef<str>, secret: impl AsRef<str>) -> Self {
        let secret = checked(secret.as_ref()).into();
        Self::new(client_id.as_ref(), Method::SecretPost(secret))
    }

    /// `private_key_jwt`: an assertion that `key` signs for each request (RFC 7523 §2.2). With an
    /// HMAC key, `client_secret_jwt`.
    ///
    /// `aud` of the assertion is the issuer, unless you set
    /// [`assertion_audience`](Self::assertion_audience).
    ///
    /// # Panics
    ///
    /// If the ID is empty.
    #[must_use]
    #[track_caller]
    pub fn private_key_jwt(client_id: impl AsRef<str>, key: SigningKey) -> Self {
        let audience = None;
        Self::new(client_id.as_ref(), Method::Assertion { key, audience })
    }

    /// `tls_client_auth` (RFC 8705 §2): the form has the client ID, and your own
    /// [client](super::IntrospectionBuilder::fetch) sends a certificate.
    ///
    /// # Panics
    ///
    /// If the ID is empty.
    #[must_use]
    #[track_caller]
    pub fn tls(client_id: impl AsRef<str>) -> Self {
        Self::new(client_id.as_ref(), Method::Tls)
    }

    /// Sets `aud` of the assertions. Some servers require the address of their token endpoint. The
    /// issuer by default, as RFC 7523 §3 allows.
    ///
    /// # Panics
    ///
    /// If the method is not [`private_key_jwt`](Self::private_key_jwt).
    #[must_use]
    #[track_caller]
    pub fn assertion_audience(mut self, audience: impl Into<String>) -> Self {
        let is_set = match &mut self.method {
            Method::Assertion { audience: slot, .. } => {
                *slot = Some(audience.into().into());
                true
            }
            _ => false,
        };
        assert!(is_set, "only `private_key_jwt` has assertions");
        self
    }

    #[track_caller]
    fn new(client_id: &str, method: Method) -> Self {
        Self {
            client_id: checked(client_id).into(),
            method,
        }
    }

    pub(super) fn header(&self) -> Option<&HeaderValue> {
        match &self.method {
            Method::SecretBasic(header) => Some(header),
            _ => None,
        }
    }

    /// Adds what authenticates the client to a form.
    pub(super) fn add_to(
        &self,
        form: &mut Serializer<'_, String>,
        issuer: &str,
        clock: &ClockSource,
    ) -> Result<(), FetchError> {
        match &self.method {
            Method::SecretBasic(_) => {}
            Method::SecretPost(secret) => {
                form.append_pair("client_id", &self.client_id);
                form.append_pair("client_secret", secret);
            }
            Method::Tls => {
                form.append_pair("client_id", &self.client_id);
            }
            Method::Assertion { key, audience } => {
                let failed = || FetchError::from(FetchErrorKind::Assertion);
                let claims = RegisteredClaims::valid_for(Self::ASSERTION_LIFETIME, clock.now())
                    .issuer(&*self.client_id)
                    .subject(&*self.client_id)
                    .audience(audience.as_deref().unwrap_or(issuer))
                    .random_token_id()
                    .map_err(|_| failed())?;
                let assertion = key.sign(&claims).map_err(|_| failed())?;
                form.append_pair("client_id", &self.client_id);
                form.append_pair(
                    "client_assertion_type",
                    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                );
                form.append_pair("client_assertion", &assertion);
            }
        }
        Ok(())
    }
}

#[track_caller]
fn checked(text: &str) -> &str {
    assert!(!text.is_empty(), "the client ID or the secret is empty");
    text
}

impl fmt::Debug for ClientAuthentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = match self.method {
            Method::SecretBasic(_) => "client_secret_basic",
            Method::SecretPost(_) => "client_secret_post",
            Method::Assertion { .. } => "private_key_jwt",
            Method::Tls => "tls_client_auth",
        };
        f.debug_struct("ClientAuthentication")
            .field("method", &method)
            .field("client_id", &self.client_id)
            .finish()
    }
}
