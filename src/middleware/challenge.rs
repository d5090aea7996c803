//! The `WWW-Authenticate` header.

use http::{HeaderValue, StatusCode};

use super::error::AuthError;
use super::scheme::Scheme;

/// The configured parts of `WWW-Authenticate` (RFC 6750 §3, RFC 9449 §7.1, RFC 9728 §5.1).
#[derive(Clone, Debug)]
pub(super) struct Challenge {
    realm: Box<str>,
    resource_metadata: Option<Box<str>>,
    /// Whether a token may come in another way than under `DPoP`.
    has_bearer: bool,
    /// The algorithms of DPoP proofs, separated by spaces.
    dpop_algorithms: Option<Box<str>>,
}

impl Default for Challenge {
    fn default() -> Self {
        Self {
            realm: "api".into(),
            resource_metadata: None,
            has_bearer: true,
            dpop_algorithms: None,
        }
    }
}

impl Challenge {
    /// # Panics
    ///
    /// If `realm` cannot be quoted.
    #[track_caller]
    pub(super) fn set_realm(&mut self, realm: String) {
        assert_quotable(&realm);
        self.realm = realm.into();
    }

    /// # Panics
    ///
    /// If `url` cannot be quoted.
    #[track_caller]
    pub(super) fn set_resource_metadata(&mut self, url: String) {
        assert_quotable(&url);
        self.resource_metadata = Some(url.into());
    }

    /// Names the schemes that the sources of a layer accept.
    pub(super) fn set_schemes(&mut self, has_bearer: bool, dpop_algorithms: Option<String>) {
        self.has_bearer = has_bearer;
        self.dpop_algorithms = dpop_algorithms.map(Into::into);
    }

    /// The challenges, that with the error first.
    pub(super) fn headers(&self, error: &AuthError) -> Vec<HeaderValue> {
        let is_unauthorized = error.status() == StatusCode::UNAUTHORIZED;
        if !is_unauthorized && error.challenge_code().is_none() {
            return Vec::new();
        }
        let (first, second) = match (&self.dpop_algorithms, self.has_bearer) {
            (None, _) => (Scheme::Bearer, None),
            (Some(_), false) => (Scheme::Dpop, None),
            (Some(_), true) => match error.scheme() {
                Scheme::Bearer => (Scheme::Bearer, Some(Scheme::Dpop)),
                Scheme::Dpop => (Scheme::Dpop, Some(Scheme::Bearer)),
            },
        };
        let others = second.filter(|_| is_unauthorized);
        let first = self.header(first, Some(error));
        let others = others.map(|scheme| self.header(scheme, None));
        std::iter::once(first).chain(others).flatten().collect()
    }

    /// A challenge with this scheme. The client did not use it if there is no error.
    fn header(&self, scheme: Scheme, error: Option<&AuthError>) -> Option<HeaderValue> {
        let mut challenge = format!(r#"{} realm="{}""#, scheme.name(), self.realm);
        if let Some(error) = error {
            if let Some(code) = error.challenge_code() {
                let description = error.description();
                challenge.push_str(&format!(
                    r#", error="{code}", error_description="{description}""#
                ));
            }
            if let Some(scope) = error.scope() {
                challenge.push_str(&format!(r#", scope="{scope}""#));
            }
            if let Some(acr_values) = error.acr_values() {
                challenge.push_str(&format!(r#", acr_values="{acr_values}""#));
            }
            if let Some(max_age) = error.max_age() {
                challenge.push_str(&format!(r#", max_age="{}""#, max_age.as_secs()));
            }
        }
        if let (Scheme::Dpop, Some(algorithms)) = (scheme, &self.dpop_algorithms) {
            challenge.push_str(&format!(r#", algs="{algorithms}""#));
        }
        if let Some(url) = &self.resource_metadata {
            challenge.push_str(&format!(r#", resource_metadata="{url}""#));
        }
        HeaderValue::try_from(challenge).ok()
    }
}

/// RFC 6750 §3: %x20-21 / %x23-5B / %x5D-7E.
#[track_caller]
fn assert_quotable(text: &str) {
    assert!(
        text.bytes()
            .all(|byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)),
        "a challenge must be printable ASCII without quotes and backslashes"
    );
}
