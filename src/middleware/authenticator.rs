//! What happens to a request.

use std::fmt;
use std::sync::Arc;

use http::Request;

use super::csrf::Rules;
use super::rejection::{Answers, AuthError, AuthErrorKind, Challenge, ProblemJson};
use super::source::{Found, RequestHead, TokenSource};
use crate::verify::{VerifiedToken, Verifier};

/// What all services of a layer share.
pub(super) struct Authenticator<R> {
    pub(super) verifier: Verifier,
    pub(super) sources: Vec<TokenSource>,
    pub(super) optional: bool,
    pub(super) csrf: Rules,
    answers: Arc<Answers<R>>,
}

/// The layer lets requests without a token pass, and this one had none.
#[derive(Clone, Copy)]
pub(crate) struct Anonymous;

/// How a request may pass.
pub(super) struct Passed {
    pub(super) by_cookie: bool,
}

impl Authenticator<ProblemJson> {
    pub(super) fn new(verifier: Verifier) -> Self {
        Self {
            verifier,
            sources: vec![TokenSource::bearer()],
            optional: false,
            csrf: Rules::default(),
            answers: Arc::new(Answers::new(Some(Challenge::default()))),
        }
    }
}

impl<R> Authenticator<R> {
    /// Finds the token, verifies it, and leaves it in the extensions. What an outer layer left there does not count:
    /// the nearest layer decides.
    pub(super) fn authenticate<B>(&self, request: &mut Request<B>) -> Result<Passed, AuthError> {
        for source in &self.sources {
            let head = RequestHead::of(request);
            let token = match source.find(head) {
                Found::Nothing => continue,
                Found::Token(token) => token,
                Found::Malformed => return Err(AuthErrorKind::MalformedCredentials.into()),
                Found::Several => return Err(AuthErrorKind::SeveralTokens.into()),
            };
            let by_cookie = source.is_ambient();
            if by_cookie {
                self.csrf.check(head)?;
            }
            let token = self.verifier.verify(&*token)?;
            request.extensions_mut().insert(token);
            return Ok(Passed { by_cookie });
        }
        if !self.optional {
            return Err(AuthErrorKind::MissingToken.into());
        }
        request.extensions_mut().remove::<VerifiedToken>();
        request.extensions_mut().insert(Anonymous);
        Ok(Passed { by_cookie: false })
    }

    pub(super) fn answers(&self) -> &Arc<Answers<R>> {
        &self.answers
    }

    pub(super) fn challenge(&mut self) -> &mut Challenge {
        Arc::make_mut(&mut self.answers).challenge()
    }

    pub(super) fn with_responder<R2>(&self, responder: R2) -> Authenticator<R2> {
        Authenticator {
            verifier: self.verifier.clone(),
            sources: self.sources.clone(),
            optional: self.optional,
            csrf: self.csrf.clone(),
            answers: Arc::new(self.answers.with_responder(responder)),
        }
    }
}

impl<R> Clone for Authenticator<R> {
    fn clone(&self) -> Self {
        Self {
            verifier: self.verifier.clone(),
            sources: self.sources.clone(),
            optional: self.optional,
            csrf: self.csrf.clone(),
            answers: Arc::clone(&self.answers),
        }
    }
}

impl<R> fmt::Debug for Authenticator<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator")
            .field("verifier", &self.verifier)
            .field("sources", &self.sources)
            .field("optional", &self.optional)
            .field("csrf", &self.csrf)
            .field("answers", &self.answers)
            .finish()
    }
}
