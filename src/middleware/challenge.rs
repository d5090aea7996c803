//! The `WWW-Authenticate` header.

use http::{HeaderValue, StatusCode};

use super::error::AuthError;
use super::error_kind::AuthErrorKind;
use super::scheme::Scheme;

/// The configured parts of `WWW-Authenticate` (RFC 6750 §3, RFC 9449 §7.1, RFC 9728 §5.1).
#[derive(Clone, Debug)]
pub(super) struct Challenge {
    realm: Box<str>,
    resource: Option<ChallengedResource>,
    /// Whether a token may come in another way than under `DPoP`.
    has_bearer: bool,
    /// The algorithms of DPoP proofs, separated by spaces.
    dpop_algorithms: Option<Box<str>>,
}

/// What a challenge says about the protected resource.
#[derive(Clone, Debug)]
pub(super) struct ChallengedResource {
    pub(super) metadata_url: Box<str>,
    /// The scopes that a client should ask for at first, separated by spaces.
    pub(super) scope: Option<Box<str>>,
}

impl Default for Challenge {
    fn default() -> Self {
        Self {
            realm: "api".into(),
            resource: None,
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
    /// If there is one already.
    #[track_caller]
    pub(super) fn set_resource(&mut self, resource: ChallengedResource) {
        assert!(
            self.resource.is_none(),
            "the layer protects another resource already"
        );
        self.resource = Some(resource);
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
            if let Some(scope) = error.scope().or_else(|| self.first_scope(error)) {
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
        if let Some(resource) = &self.resource {
            let url = &resource.metadata_url;
            challenge.push_str(&format!(r#", resource_metadata="{url}""#));
        }
        HeaderValue::try_from(challenge).ok()
    }

    /// The scope for a client that needs a new token. A guard may need others than these, so they
    /// are not in its challenge.
    fn first_scope(&self, error: &AuthError) -> Option<&str> {
        let needs_token = error.kind() == AuthErrorKind::MissingToken
            || error.challenge_code() == Some("invalid_token");
        let resource = self.resource.as_ref().filter(|_| needs_token)?;
        resource.scope.as_deref()
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

/// RFC 6749 §3.3: 1*( %x21 / %x23-5B / %x5D-7E ).
pub(crate) fn is_scope_token(name: &str) -> bool {
    let is_allowed = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    !name.is_empty() && name.bytes().all(is_allowed)
}
