//! Opaque tokens: their issuer is asked, and its answer is verified as the claims of a token.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::error::{VerifyError, VerifyErrorKind};
use super::keys_version::KeysVersion;
use super::names::Names;
use super::not_verified::NotVerified;
use super::opaque::OpaqueTrust;
use super::rules::IssuerRules;
use super::text::{SentToken, TokenText};
use super::token::{Verification, VerifiedToken};
use super::trusted_issuer::IssuerTrust;
use super::verifier::Verifier;
use crate::claims::{NumericDate, RegisteredMembers, StoredClaims, read_registered};
use crate::introspection::{Answer, Found, PAUSE, Question, TokenKind, malformed_claims};

impl Verifier {
    /// Verifies with the answer that is remembered.
    pub(super) fn try_introspected(
        &self,
        opaque: &OpaqueTrust,
        token: &[u8],
        now: Duration,
    ) -> Result<VerifiedToken, NotVerified> {
        if token.len() > self.max_token_length {
            return Err(VerifyErrorKind::TooLong.into());
        }
        match opaque.introspection.find(token, &self.clock, now) {
            Found::Known(Ok(answer)) => Ok(self.accept(opaque, token, answer, now)?),
            Found::Known(Err(error)) => Err(VerifyError::introspection_outage(error).into()),
            Found::Unknown(question) => Err(NotVerified::Unanswered(question)),
            Found::NoToken => Err(VerifyErrorKind::Malformed.into()),
        }
    }

    /// Asks the issuer, and verifies with its answer.
    pub(super) async fn ask_and_verify(
        &self,
        question: Question,
        token: &[u8],
    ) -> Result<VerifiedToken, VerifyError> {
        let answer = question.answer().await;
        let answer = answer.map_err(VerifyError::introspection_outage)?;
        let opaque = self.trust.opaque(token);
        let opaque = opaque.ok_or(VerifyErrorKind::IntrospectionUnavailable)?;
        self.accept(opaque, token, answer, self.clock.since_epoch())
    }

    /// `answer`: `None` if the token is not active.
    fn accept(
        &self,
        opaque: &OpaqueTrust,
        token: &[u8],
        answer: Option<Arc<Answer>>,
        now: Duration,
    ) -> Result<VerifiedToken, VerifyError> {
        let answer = answer.ok_or(VerifyErrorKind::Inactive)?;
        let payload = &*answer.payload;
        let rules = self.rules_of(opaque);
        let mut members = read_registered(payload, rules.allowed)
            .map_err(|error| VerifyError::introspection_outage(malformed_claims(&error)))?;
        self.check_kind(opaque, answer.kind, &rules)?;
        self.check_answering_issuer(opaque, &mut members)?;
        if members.times(rules.max_age).is_none() {
            members.expires_at = end_of(&answer, &members, now);
            // A revocation of one token is found by its `exp`, and this one changes with each
            // answer.
            members.token_id = None;
        }
        let times = self.rules.check(&members, &rules, payload, now)?;
        let (claims, unescaped) =
            StoredClaims::new(&members, times, payload).ok_or(VerifyErrorKind::TooLong)?;
        let lifespan = answer.lifespan;
        let header = Arc::clone(&opaque.header);
        let verification = Verification {
            keys_version: KeysVersion::default(),
            lifespan: Some(lifespan),
        };
        let slot = self.cache.slot(token).filter(|_| lifespan.contains(now));
        let kept = slot.and_then(|slot| {
            let text = TokenText::of_token(payload, &unescaped, SentToken::Opaque(token))?;
            Some((slot, text))
        });
        let Some((slot, text)) = kept else {
            let text = TokenText::of_payload(payload.to_owned(), &unescaped);
            let text = text.ok_or(VerifyErrorKind::TooLong)?;
            return Ok(VerifiedToken::new(header, text, claims, verification));
        };
        let verified = VerifiedToken::new(header, text, claims, verification);
        slot.keep(verified.clone());
        Ok(verified)
    }

    /// The rules for the tokens of the issuer, which may be trusted by its keys too.
    fn rules_of(&self, opaque: &OpaqueTrust) -> IssuerRules {
        let trust = self.trust.of_issuer(Some(opaque.issuer()));
        IssuerRules {
            audience_required: true,
            ..trust.map_or(&opaque.rules, IssuerTrust::rules).clone()
        }
    }

    /// Rejects a refresh token: issuers answer that it is active too. If the answer has no kind, a
    /// checked audience is enough: a refresh token has another audience, or none.
    fn check_kind(
        &self,
        opaque: &OpaqueTrust,
        kind: TokenKind,
        rules: &IssuerRules,
    ) -> Result<(), VerifyError> {
        let is_access = match kind {
            TokenKind::Access => true,
            TokenKind::Unknown => {
                let names_audience =
                    !rules.audiences.is_empty() || !self.rules.audiences.is_empty();
                names_audience && !rules.any_audience || opaque.introspection.allows_unknown_kind()
            }
            TokenKind::Other => false,
        };
        if is_access {
            return Ok(());
        }
        let names = ["Bearer", "DPoP"].into_iter().map(Box::from).collect();
        Err(VerifyError::expected(
            VerifyErrorKind::WrongType,
            "token_type",
            names,
        ))
    }

    /// An answer without `iss` is about a token of the issuer that was asked.
    fn check_answering_issuer<'a>(
        &self,
        opaque: &'a OpaqueTrust,
        members: &mut RegisteredMembers<'a>,
    ) -> Result<(), VerifyError> {
        let issuer = opaque.issuer();
        let named = members.issuer.get_or_insert(Cow::Borrowed(issuer));
        if **named != *issuer {
            let names = Names::from_iter([Box::from(issuer)]);
            let kind = VerifyErrorKind::WrongIssuer;
            return Err(VerifyError::expected(kind, "iss", names));
        }
        self.rules.check_issuer(members, true)
    }
}

/// When a token without `exp` expires: with the answer.
fn end_of(answer: &Answer, members: &RegisteredMembers<'_>, now: Duration) -> Option<NumericDate> {
    let end = answer.lifespan.end().max(now.saturating_add(PAUSE));
    let end = NumericDate::from_since_epoch(end)?;
    // `exp` is never before `iat`, which may be in the future by the leeway.
    Some(
        members
            .issued_at
            .map_or(end, |issued_at| end.max(issued_at)),
    )
}
