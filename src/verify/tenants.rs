//! Issuers whose name is a pattern: one issuer for each tenant of a provider.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;

use super::error::{VerifyError, VerifyErrorKind};
use crate::claims::PayloadError;
use crate::keys::TENANT_SLOT;

/// The issuers that a pattern stands for.
#[derive(Clone)]
pub(super) struct Tenants {
    /// The name before the slot. It ends with a slash.
    prefix: Box<str>,
    /// The name after the slot. It is empty, or starts with a slash.
    suffix: Box<str>,
    allowed: AllowedTenants,
}

#[derive(Clone)]
enum AllowedTenants {
    /// Not configured yet.
    None,
    Any,
    Named(HashSet<Box<str>>),
}

impl Tenants {
    /// `None` if the slot is not exactly one whole segment of the path of a URL.
    pub(super) fn of_pattern(pattern: &str) -> Option<Self> {
        let (prefix, suffix) = pattern.split_once(TENANT_SLOT)?;
        let (_, address) = prefix.split_once("://")?;
        let (host, _) = address.split_once('/')?;
        let is_segment = prefix.ends_with('/') && (suffix.is_empty() || suffix.starts_with('/'));
        let is_path = !pattern.contains(['?', '#']);
        let is_only_slot = ![prefix, suffix]
            .iter()
            .any(|part| part.contains(['{', '}']));
        (!host.is_empty() && is_segment && is_path && is_only_slot).then(|| Self {
            prefix: prefix.into(),
            suffix: suffix.into(),
            allowed: AllowedTenants::None,
        })
    }

    /// Allows one more tenant. `None` if every tenant is allowed, or this is not a tenant's name.
    pub(super) fn allow(&mut self, tenant: &str) -> Option<()> {
        if !is_tenant(tenant) {
            return None;
        }
        match &mut self.allowed {
            AllowedTenants::Any => return None,
            AllowedTenants::Named(names) => {
                names.insert(tenant.into());
            }
            AllowedTenants::None => {
                self.allowed = AllowedTenants::Named(HashSet::from([tenant.into()]));
            }
        }
        Some(())
    }

    /// Allows every tenant. `None` if some are allowed by name.
    pub(super) fn allow_any(&mut self) -> Option<()> {
        if matches!(self.allowed, AllowedTenants::Named(_)) {
            return None;
        }
        self.allowed = AllowedTenants::Any;
        Some(())
    }

    pub(super) fn are_chosen(&self) -> bool {
        !matches!(self.allowed, AllowedTenants::None)
    }

    /// Whether `issuer` is the issuer of an allowed tenant.
    pub(super) fn include(&self, issuer: &str) -> bool {
        self.tenant_in(issuer)
            .is_some_and(|tenant| match &self.allowed {
                AllowedTenants::None => false,
                AllowedTenants::Any => true,
                AllowedTenants::Named(names) => names.contains(tenant),
            })
    }

    /// The tenant in the name of an issuer.
    fn tenant_in<'a>(&self, issuer: &'a str) -> Option<&'a str> {
        let rest = issuer.strip_prefix(&*self.prefix)?;
        let tenant = rest.strip_suffix(&*self.suffix)?;
        is_tenant(tenant).then_some(tenant)
    }

    /// The pattern.
    pub(super) fn pattern(&self) -> String {
        format!("{}{TENANT_SLOT}{}", self.prefix, self.suffix)
    }

    /// Whether a name could match both patterns, whatever tenants are allowed.
    pub(super) fn overlap(&self, other: &Self) -> bool {
        let segments = |tenants: &Self| {
            let name = tenants.pattern();
            name.split('/').map(str::to_owned).collect::<Vec<_>>()
        };
        let (ours, theirs) = (segments(self), segments(other));
        let matches = |(one, other): (&String, &String)| {
            one == other
                || (one == TENANT_SLOT && is_tenant(other))
                || (other == TENANT_SLOT && is_tenant(one))
        };
        ours.len() == theirs.len() && ours.iter().zip(&theirs).all(matches)
    }
}

/// Whether this is a path segment that can name a tenant: a GUID, or the name of a domain.
fn is_tenant(segment: &str) -> bool {
    /// Bytes of the longest tenant: the length of a domain name (RFC 1035 §2.3.4). A GUID has 36.
    const LONGEST: usize = 253;

    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    (1..=LONGEST).contains(&segment.len())
        && segment.bytes().all(is_allowed)
        // These segments lead to another path.
        && !matches!(segment, "." | "..")
}

/// The claim with the tenant. A duplicate is an error.
#[derive(Deserialize)]
struct TenantClaim<'a> {
    #[serde(borrow)]
    tid: Option<Cow<'a, str>>,
}

/// The tenant that a verified payload names.
fn tenant_of(payload: &str) -> Result<Cow<'_, str>, VerifyError> {
    let claim: TenantClaim<'_> = serde_json::from_str(payload).map_err(|error| {
        let claim = error.is_data().then_some("tid");
        VerifyError::malformed_claims(&PayloadError { claim, error })
    })?;
    claim
        .tid
        .filter(|tenant| is_tenant(tenant))
        .ok_or_else(|| VerifyErrorKind::WrongTenant.into())
}

/// Checks that a verified token is of the tenant in its `iss`, and that its key is of that issuer.
///
/// `key_issuer` is the member `issuer` of the key's JWK.
pub(super) fn check(
    tenants: Option<&Tenants>,
    key_issuer: Option<&str>,
    issuer: Option<&str>,
    payload: &str,
) -> Result<(), VerifyError> {
    let issuer = issuer.ok_or(VerifyErrorKind::MissingIssuer)?;
    let key_has_slot = key_issuer.is_some_and(|name| name.contains(TENANT_SLOT));
    let tenant = match tenants.is_some() || key_has_slot {
        true => tenant_of(payload)?,
        false => Cow::default(),
    };
    if tenants.is_some_and(|tenants| tenants.tenant_in(issuer) != Some(&*tenant)) {
        return Err(VerifyErrorKind::WrongTenant.into());
    }
    let is_of_issuer = match key_issuer {
        None => true,
        Some(name) if key_has_slot => name.replace(TENANT_SLOT, &tenant) == issuer,
        Some(name) => name == issuer,
    };
    if is_of_issuer {
        Ok(())
    } else {
        Err(VerifyErrorKind::WrongKeyIssuer.into())
    }
}

/// Shows the tenants that are allowed.
impl fmt::Debug for Tenants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.allowed {
            AllowedTenants::None => f.write_str("None"),
            AllowedTenants::Any => f.write_str("Any"),
            AllowedTenants::Named(names) => names.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenants(pattern: &str) -> Tenants {
        Tenants::of_pattern(pattern).unwrap()
    }

    #[test]
    fn a_slot_is_one_whole_segment_of_a_path() {
        for pattern in [
            "https://id.example/{tenantid}",
            "https://id.example/{tenantid}/",
            "https://id.example/a/{tenantid}/v2.0",
        ] {
            assert!(Tenants::of_pattern(pattern).is_some(), "{pattern}");
        }
        for pattern in [
            "",
            "{tenantid}",
            "/{tenantid}",
            "https://id.example/v2.0",
            "https://{tenantid}/v2.0",
            "https:///{tenantid}",
            "https://{tenantid}.example/",
            "https://id.example/x{tenantid}",
            "https://id.example/{tenantid}x",
            "https://id.example/{tenant}",
            "https://id.example/{tenantid}/{tenantid}",
            "https://id.example/{x}/{tenantid}",
            "https://id.example/?a=/{tenantid}",
            "https://id.example/{tenantid}/?a",
            "https://id.example/{tenantid}/#a",
        ] {
            assert!(Tenants::of_pattern(pattern).is_none(), "{pattern}");
        }
    }

    #[test]
    fn a_tenant_is_one_segment_of_few_characters() {
        let tenants = tenants("https://id.example/{tenantid}/v2.0");
        let tenant = |name: &str| {
            let issuer = format!("https://id.example/{name}/v2.0");
            tenants.tenant_in(&issuer) == Some(name)
        };
        for name in ["a", "72f988bf-86f1-41af", "contoso.example", "a_b"] {
            assert!(tenant(name), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "a b",
            "é",
            "a%2f",
            "{tenantid}",
            "a\0",
            "a?",
            "a:b",
            "a@b",
        ] {
            assert!(!tenant(name), "{name}");
        }
        assert!(tenant(&"a".repeat(253)) && !tenant(&"a".repeat(254)));
        for issuer in [
            "https://id.example/a",
            "https://id.example/a/v2.0/",
            "https://id.example/a/v2x0",
            "https://ID.example/a/v2.0",
            "https://id.example/v2.0",
        ] {
            assert_eq!(tenants.tenant_in(issuer), None, "{issuer}");
        }
    }

    #[test]
    fn patterns_overlap_if_a_name_matches_both() {
        let pattern = tenants("https://id.example/{tenantid}/v2.0");
        for other in [
            "https://id.example/{tenantid}/v2.0",
            "https://id.example/common/{tenantid}",
        ] {
            assert!(pattern.overlap(&tenants(other)), "{other}");
            assert!(tenants(other).overlap(&pattern), "{other}");
        }
        for other in [
            "https://id.example/{tenantid}",
            "https://id.example/{tenantid}/v2.0/",
            "https://id.example/{tenantid}/v1.0",
            "https://id.other/{tenantid}/v2.0",
            "https://id.example/a:b/{tenantid}",
        ] {
            assert!(!pattern.overlap(&tenants(other)), "{other}");
        }
    }
}
