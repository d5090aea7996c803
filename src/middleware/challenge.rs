//! The `WWW-Authenticate` header.

use http::{HeaderValue, StatusCode};

use super::error::AuthError;

/// The configured parts of `WWW-Authenticate` (RFC 6750 §3, RFC 9728 §5.1).
#[derive(Clone, Debug)]
pub(super) struct Challenge {
    realm: Box<str>,
    resource_metadata: Option<Box<str>>,
}

impl Default for Challenge {
    fn default() -> Self {
        Self {
            realm: "api".into(),
            resource_metadata: None,
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

    pub(super) fn header(&self, error: &AuthError) -> Option<HeaderValue> {
        let code = error.challenge_code();
        if error.status() != StatusCode::UNAUTHORIZED && code.is_none() {
            return None;
        }
        let mut challenge = format!(r#"Bearer realm="{}""#, self.realm);
        if let Some(code) = code {
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
