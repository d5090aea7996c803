//! What the header's `typ` and the claims of a token must say.

use std::time::Duration;

use super::error::{VerifyError, VerifyErrorKind};
use crate::claims::{NumericDate, RegisteredMembers, Times};
use crate::token::is_media_type;

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

/// The rules for `typ` and the claims.
#[derive(Clone, Debug)]
pub(super) struct ClaimRules {
    pub(super) profile: Profile,
    /// The one `typ` to accept, instead of those of the profile, without `application/`.
    token_type: Option<Box<str>>,
    pub(super) issuers: Vec<Box<str>>,
    pub(super) audiences: Vec<Box<str>>,
    pub(super) any_audience: bool,
    /// The members of `cnf` that something else checks.
    pub(super) confirmations: Vec<Box<str>>,
    pub(super) leeway: Duration,
}

/// The audiences that the tokens of one issuer must name.
#[derive(Clone, Debug)]
pub(super) struct IssuerAudiences {
    /// Empty: those of [`ClaimRules`] count.
    pub(super) names: Vec<Box<str>>,
    /// Whether a token must name an audience although none is configured.
    pub(super) are_required: bool,
}

/// The time, since the epoch, in which the claims of a verified token allow its use.
#[derive(Clone, Copy)]
pub(super) struct Validity {
    pub(super) from: Duration,
    pub(super) until: Duration,
}

impl Validity {
    #[inline]
    pub(super) fn contains(self, now: Duration) -> bool {
        self.from <= now && now < self.until
    }
}

impl ClaimRules {
    pub(super) fn new(leeway: Duration) -> Self {
        Self {
            profile: Profile::Access,
            token_type: None,
            issuers: Vec::new(),
            audiences: Vec::new(),
            any_audience: false,
            confirmations: Vec::new(),
            leeway,
        }
    }

    #[track_caller]
    pub(super) fn require_type(&mut self, typ: &str) {
        let subtype = match typ.split_once('/') {
            Some((application, rest)) if application.eq_ignore_ascii_case("application") => rest,
            _ => typ,
        };
        assert!(!subtype.is_empty(), "the typ is empty");
        self.token_type = Some(subtype.into());
    }

    pub(super) fn allow_type(&self, typ: Option<&str>) -> bool {
        let Some(typ) = typ else {
            return self.token_type.is_none();
        };
        if let Some(required) = &self.token_type {
            return is_media_type(typ, required);
        }
        is_media_type(typ, "jwt")
            || match self.profile {
                Profile::Access | Profile::ExpiredAccess => is_media_type(typ, "at+jwt"),
                Profile::Id => false,
                Profile::Logout => is_media_type(typ, "logout+jwt"),
            }
    }

    /// Checks everything but the issuer.
    pub(super) fn check(
        &self,
        members: &RegisteredMembers<'_>,
        issuer: &IssuerAudiences,
        now: Duration,
    ) -> Result<Times, VerifyError> {
        if members.events && self.profile != Profile::Logout {
            return Err(VerifyErrorKind::LogoutToken.into());
        }
        if let Some(methods) = &members.confirmation {
            let is_allowed = |method: &str| self.confirmations.iter().any(|name| **name == *method);
            if methods.is_empty() || !methods.iter().all(|method| is_allowed(method)) {
                return Err(VerifyErrorKind::SenderConstrained.into());
            }
        }
        let times = members.times().ok_or(VerifyErrorKind::MissingExpiry)?;
        self.check_times(times, now)?;
        self.check_audience(members, issuer)?;
        Ok(times)
    }

    pub(super) fn check_issuer(&self, members: &RegisteredMembers<'_>) -> Result<(), VerifyError> {
        if self.issuers.is_empty() {
            return Ok(());
        }
        let issuer = members
            .issuer
            .as_deref()
            .ok_or(VerifyErrorKind::MissingIssuer)?;
        if self.issuers.iter().any(|trusted| **trusted == *issuer) {
            Ok(())
        } else {
            Err(VerifyErrorKind::WrongIssuer.into())
        }
    }

    pub(super) fn check_times(&self, times: Times, now: Duration) -> Result<(), VerifyError> {
        let latest_start = now.saturating_add(self.leeway);
        let expires_at = times.expires_at;
        if self.profile != Profile::ExpiredAccess
            && now >= expires_at.since_epoch().saturating_add(self.leeway)
        {
            return Err(VerifyErrorKind::Expired.into());
        }
        if times
            .not_before
            .is_some_and(|start| start.since_epoch() > latest_start)
        {
            return Err(VerifyErrorKind::NotYetValid.into());
        }
        if let Some(issued_at) = times.issued_at {
            if issued_at.since_epoch() > latest_start {
                return Err(VerifyErrorKind::IssuedInFuture.into());
            }
            if expires_at < issued_at {
                return Err(VerifyErrorKind::ExpiresBeforeIssued.into());
            }
        }
        Ok(())
    }

    /// When [`check_times`](Self::check_times) accepts a token that it has accepted once.
    pub(super) fn validity(&self, times: Times) -> Validity {
        let starts = [times.not_before, times.issued_at];
        let start = starts.into_iter().flatten().max();
        let start = start.map_or(Duration::ZERO, NumericDate::since_epoch);
        Validity {
            from: start.saturating_sub(self.leeway),
            until: times.expires_at.since_epoch().saturating_add(self.leeway),
        }
    }

    fn check_audience(
        &self,
        members: &RegisteredMembers<'_>,
        issuer: &IssuerAudiences,
    ) -> Result<(), VerifyError> {
        let accepted = match &*issuer.names {
            [] => &*self.audiences,
            names => names,
        };
        // An empty array names nobody. It differs from no `aud` only where an audience is required.
        let audience = members
            .audience
            .as_ref()
            .filter(|audience| !accepted.is_empty() || !audience.is_empty());
        match (audience, accepted) {
            // Tokens of another issuer are for somebody: for us only if they say so (RFC 9068 §4).
            (None, []) if issuer.are_required && !self.any_audience => {
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
                    Err(VerifyErrorKind::WrongAudience.into())
                }
            }
        }
    }
}
