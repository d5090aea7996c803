//! What the header's `typ` and the claims of a token must say.

use std::time::Duration;

use super::error::{VerifyError, VerifyErrorKind};
use super::names::Names;
use super::rfc9068;
use crate::claims::{
    Allowances, CERTIFICATE_THUMBPRINT, Confirmation, KEY_THUMBPRINT, RegisteredMembers, Times,
};
use crate::token::is_media_type;

/// `typ` of access tokens (RFC 9068 §2.1).
const ACCESS_TOKEN: &str = "at+jwt";

/// The kind of token that is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    /// `typ` is absent, `JWT` or `at+jwt` (RFC 9068 §4).
    Access,
    /// An access token, expired or not: a logout needs to know whose session ends.
    ExpiredAccess,
    /// `typ` is absent or `JWT`.
    Id,
    /// `typ` is absent, `JWT` or `logout+jwt`. The caller checks `events`.
    Logout,
}

impl Profile {
    /// The `typ` of these tokens, next to `JWT` and none.
    fn token_type(self) -> Option<&'static str> {
        match self {
            Self::Access | Self::ExpiredAccess => Some(ACCESS_TOKEN),
            Self::Id => None,
            Self::Logout => Some("logout+jwt"),
        }
    }

    fn is_access(self) -> bool {
        matches!(self, Self::Access | Self::ExpiredAccess)
    }
}

/// The rules for `typ` and the claims.
#[derive(Clone, Debug)]
pub(super) struct ClaimRules {
    pub(super) profile: Profile,
    /// The values of `typ` to accept, instead of those of the profile, without `application/`.
    token_types: Names,
    pub(super) issuers: Names,
    pub(super) audiences: Names,
    pub(super) any_audience: bool,
    /// Whether a token must be an access token of RFC 9068.
    pub(super) is_rfc9068: bool,
    /// The members of `cnf` that something else checks.
    pub(super) confirmations: Vec<Box<str>>,
    /// Whether the caller checks the key that a token is bound to.
    pub(super) keys_are_proven: bool,
    /// Whether the caller checks the certificate that a token is bound to.
    pub(super) certificates_are_checked: bool,
    pub(super) leeway: Duration,
}

/// The rules for the tokens of one issuer.
#[derive(Clone, Debug, Default)]
pub(super) struct IssuerRules {
    /// Empty: those of [`ClaimRules`] count.
    pub(super) audiences: Names,
    /// Whether a token may have any `aud`, or none, whatever [`ClaimRules`] say.
    pub(super) any_audience: bool,
    /// Whether a token must name an audience although none is configured.
    pub(super) audience_required: bool,
    /// The values of `typ` to accept. Empty: those of [`ClaimRules`] count.
    pub(super) token_types: Names,
    /// Whether `typ` may be absent although a value is required.
    pub(super) typ_optional: bool,
    pub(super) allowed: Allowances,
    /// Whether segments may have padding.
    pub(super) padding_allowed: bool,
    /// How long after `iat` a token without `exp` expires. `None`: it is rejected.
    pub(super) max_age: Option<Duration>,
}

impl IssuerRules {
    /// Adds a value of `typ` to accept.
    #[track_caller]
    pub(super) fn accept_type(&mut self, typ: &str) {
        self.token_types.push(access_token_type(typ));
    }

    /// Whether the audiences of [`ClaimRules`] do not count.
    pub(super) fn decide_audience(&self) -> bool {
        self.any_audience || !self.audiences.is_empty()
    }
}

/// The `typ` of tokens that are signed by the same issuers, and are no access tokens.
const NO_ACCESS_TOKENS: [&str; 4] = [
    "logout+jwt",
    "dpop+jwt",
    "secevent+jwt",
    "token-introspection+jwt",
];

/// A `typ` without `application/`.
#[track_caller]
pub(super) fn access_token_type(typ: &str) -> Box<str> {
    for other in NO_ACCESS_TOKENS {
        assert!(
            !is_media_type(typ, other),
            "`{other}` is not the typ of an access token"
        );
    }
    let subtype = match typ.split_once('/') {
        Some((application, rest)) if application.eq_ignore_ascii_case("application") => rest,
        _ => typ,
    };
    assert!(!subtype.is_empty(), "the typ is empty");
    subtype.into()
}

impl ClaimRules {
    pub(super) fn new(leeway: Duration) -> Self {
        Self {
            profile: Profile::Access,
            token_types: Names::default(),
            issuers: Names::default(),
            audiences: Names::default(),
            any_audience: false,
            is_rfc9068: false,
            confirmations: Vec::new(),
            keys_are_proven: false,
            certificates_are_checked: false,
            leeway,
        }
    }

    /// Adds a value of `typ` to accept, without `application/`.
    pub(super) fn accept_type(&mut self, typ: impl Into<Box<str>>) {
        self.token_types.push(typ.into());
    }

    /// Requires an access token of RFC 9068.
    #[track_caller]
    pub(super) fn require_rfc9068(&mut self) {
        let mut others = self.token_types.iter();
        assert!(
            others.all(|typ| typ.eq_ignore_ascii_case(ACCESS_TOKEN)),
            "RFC 9068 has one typ: do not call `typ`"
        );
        if self.token_types.is_empty() {
            self.accept_type(ACCESS_TOKEN);
        }
        self.is_rfc9068 = true;
    }

    /// The values of `typ` to accept. RFC 9068 has one, and an issuer names those of its access
    /// tokens.
    fn types_of<'a>(&'a self, issuer: &'a IssuerRules) -> &'a Names {
        if issuer.token_types.is_empty() || !self.issuers_decide_types() {
            &self.token_types
        } else {
            &issuer.token_types
        }
    }

    fn issuers_decide_types(&self) -> bool {
        !self.is_rfc9068 && self.profile.is_access()
    }

    fn may_lack_type(&self, issuer: &IssuerRules) -> bool {
        issuer.typ_optional && self.issuers_decide_types()
    }

    pub(super) fn check_type(
        &self,
        typ: Option<&str>,
        issuer: &IssuerRules,
    ) -> Result<(), VerifyError> {
        let types = self.types_of(issuer);
        let is_accepted = match typ {
            None => types.is_empty() || self.may_lack_type(issuer),
            Some(typ) if !types.is_empty() => types.iter().any(|one| is_media_type(typ, one)),
            Some(typ) => {
                let own = self.profile.token_type();
                is_media_type(typ, "jwt") || own.is_some_and(|own| is_media_type(typ, own))
            }
        };
        if is_accepted {
            Ok(())
        } else {
            Err(self.wrong_type(types))
        }
    }

    #[cold]
    fn wrong_type(&self, types: &Names) -> VerifyError {
        let kind = VerifyErrorKind::WrongType;
        if !types.is_empty() {
            return VerifyError::expected(kind, "typ", types.clone());
        }
        let mut names = Names::default();
        for name in ["none", "JWT"].into_iter().chain(self.profile.token_type()) {
            names.push(name.into());
        }
        VerifyError::expected(kind, "typ", names)
    }

    /// Checks everything but the issuer.
    pub(super) fn check(
        &self,
        members: &RegisteredMembers<'_>,
        issuer: &IssuerRules,
        payload: &str,
        now: Duration,
    ) -> Result<Times, VerifyError> {
        if members.events && self.profile != Profile::Logout {
            return Err(VerifyErrorKind::LogoutToken.into());
        }
        if let Some(confirmation) = &members.confirmation {
            self.check_confirmation(confirmation)?;
        }
        // ID tokens and logout tokens always need `exp`: OpenID Connect Core §2, Back-Channel
        // Logout §2.4.
        let max_age = issuer.max_age.filter(|_| self.profile.is_access());
        let times = members.times(max_age).ok_or_else(|| match max_age {
            None => VerifyErrorKind::MissingExpiry.into(),
            Some(_) => VerifyError::missing("iat"),
        })?;
        self.check_times(times, now)?;
        self.check_audience(members, issuer)?;
        if self.is_rfc9068 {
            rfc9068::check(members, payload)?;
        }
        Ok(times)
    }

    /// Every member of `cnf` must be checked by somebody.
    #[cold]
    fn check_confirmation(&self, confirmation: &Confirmation) -> Result<(), VerifyError> {
        let binding = &confirmation.binding;
        let is_checked = |method: &str| match method {
            KEY_THUMBPRINT => self.keys_are_proven && binding.key.is_some(),
            CERTIFICATE_THUMBPRINT => {
                self.certificates_are_checked && binding.certificate.is_some()
            }
            _ => false,
        };
        let is_allowed = |method: &str| self.confirmations.iter().any(|name| **name == *method);
        let mut methods = confirmation.methods.iter();
        if confirmation.methods.is_empty()
            || !methods.all(|method| is_checked(method) || is_allowed(method))
        {
            return Err(VerifyErrorKind::SenderConstrained.into());
        }
        Ok(())
    }

    /// `is_chosen`: `iss` has chosen the keys already.
    pub(super) fn check_issuer(
        &self,
        members: &RegisteredMembers<'_>,
        is_chosen: bool,
    ) -> Result<(), VerifyError> {
        if self.issuers.is_empty() && (is_chosen || !self.is_rfc9068) {
            return Ok(());
        }
        let issuer = members
            .issuer
            .as_deref()
            .ok_or(VerifyErrorKind::MissingIssuer)?;
        if self.issuers.iter().any(|trusted| **trusted == *issuer) {
            Ok(())
        } else {
            Err(VerifyError::expected(
                VerifyErrorKind::WrongIssuer,
                "iss",
                self.issuers.clone(),
            ))
        }
    }

    #[inline]
    pub(super) fn check_times(&self, times: Times, now: Duration) -> Result<(), VerifyError> {
        let latest_start = now.saturating_add(self.leeway);
        let expires_at = times.expires_at;
        if self.profile != Profile::ExpiredAccess
            && now >= expires_at.since_epoch().saturating_add(self.leeway)
        {
            return Err(VerifyError::time(VerifyErrorKind::Expired, self.leeway));
        }
        if times
            .not_before
            .is_some_and(|start| start.since_epoch() > latest_start)
        {
            return Err(VerifyError::time(VerifyErrorKind::NotYetValid, self.leeway));
        }
        if let Some(issued_at) = times.issued_at {
            if issued_at.since_epoch() > latest_start {
                return Err(VerifyError::time(
                    VerifyErrorKind::IssuedInFuture,
                    self.leeway,
                ));
            }
            if expires_at < issued_at {
                return Err(VerifyErrorKind::ExpiresBeforeIssued.into());
            }
        }
        Ok(())
    }

    fn check_audience(
        &self,
        members: &RegisteredMembers<'_>,
        issuer: &IssuerRules,
    ) -> Result<(), VerifyError> {
        if issuer.any_audience {
            return Ok(());
        }
        let configured = match &*issuer.audiences {
            [] => &self.audiences,
            _ => &issuer.audiences,
        };
        let accepted = &**configured;
        // An empty array names nobody. It differs from no `aud` only where an audience is required.
        let audience = members
            .audience
            .as_ref()
            .filter(|audience| !accepted.is_empty() || !audience.is_empty());
        match (audience, accepted) {
            // The issuer may serve other services: a token is for this one only if it says so (RFC
            // 9068 §4).
            (None, []) if issuer.audience_required && !self.any_audience => {
                Err(VerifyErrorKind::MissingAudience.into())
            }
            (None, []) => Ok(()),
            (Some(_), []) if self.any_audience => Ok(()),
            (Some(_), []) => Err(VerifyErrorKind::UnexpectedAudience.into()),
            (None, _) => Err(VerifyErrorKind::MissingAudience.into()),
            (Some(audience), accepted) => {
                let is_accepted = |name: &str| accepted.iter().any(|one| **one == *name);
                if audience.names().any(is_accepted) {
                    Ok(())
                } else {
                    Err(VerifyError::expected(
                        VerifyErrorKind::WrongAudience,
                        "aud",
                        configured.clone(),
                    ))
                }
            }
        }
    }
}
