//! What happens to a request.

use std::fmt;
use std::sync::Arc;

use http::Request;

use super::caching::Sharing;
use super::csrf::Rules;
use super::rejection::{Answers, AuthError, AuthErrorKind, Challenge, ProblemJson};
use super::revocation::Revocations;
use super::sender::Sender;
use super::source::{Found, RequestHead, TokenSource};
use crate::revocation::NoRevocation;
use crate::verify::{Refusal, Verifier};

/// What all services of a layer share.
pub(super) struct Authenticator<R, V> {
    pub(super) verifier: Arc<Verifier>,
    sources: Vec<TokenSource>,
    /// What shared caches are told about answers to nobody.
    anonymous: Sharing,
    pub(super) optional: bool,
    pub(super) csrf: Rules,
    pub(super) revocations: Revocations<V>,
    answers: Arc<Answers<R>>,
}

/// Why a request does not go on, or not yet.
pub(super) enum Halt {
    Refused(AuthError),
    /// The keys for its token have to be fetched first.
    #[cfg(feature = "jwks")]
    Lacking(Unverified),
}

impl<E: Into<AuthError>> From<E> for Halt {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

/// A token that waits for its key.
#[cfg(feature = "jwks")]
pub(super) struct Unverified {
    token: Vec<u8>,
    sharing: Sharing,
}

#[cfg(feature = "jwks")]
impl Unverified {
    pub(super) async fn verify(self, verifier: &Verifier) -> Result<Sender, AuthError> {
        Ok(Sender {
            token: Some(verifier.fetch_and_verify(&self.token).await?),
            sharing: self.sharing,
        })
    }
}

impl Authenticator<ProblemJson, NoRevocation> {
    pub(super) fn new(verifier: Verifier) -> Self {
        let sources = vec![TokenSource::bearer()];
        Self {
            verifier: Arc::new(verifier),
            anonymous: anonymous(&sources),
            sources,
            optional: false,
            csrf: Rules::default(),
            revocations: Revocations::none(),
            answers: Arc::new(Answers::new(Some(Challenge::default()))),
        }
    }
}

impl<R, V> Authenticator<R, V> {
    /// Finds the token and verifies it. Whether it was revoked is another matter.
    pub(super) fn authenticate<B>(&self, request: &Request<B>) -> Result<Sender, Halt> {
        let head = RequestHead::of(request);
        for source in &self.sources {
            let token = match source.find(head) {
                Found::Nothing => continue,
                Found::Token(token) => token,
                Found::Malformed => return Err(AuthErrorKind::MalformedCredentials.into()),
                Found::Several => return Err(AuthErrorKind::SeveralTokens.into()),
            };
            if source.is_ambient() {
                self.csrf.check(head)?;
            }
            let sharing = source.sharing();
            return match self.verifier.try_verify(&token) {
                Ok(token) => Ok(Sender {
                    token: Some(token),
                    sharing,
                }),
                Err(_) if source.is_malformed(&token) => {
                    Err(AuthErrorKind::MalformedCredentials.into())
                }
                Err(Refusal::Final(error)) => Err(Halt::Refused(error.into())),
                #[cfg(feature = "jwks")]
                Err(Refusal::Lacking(_)) => Err(Halt::Lacking(Unverified {
                    token: token.into_owned(),
                    sharing,
                })),
            };
        }
        if !self.optional {
            return Err(AuthErrorKind::MissingToken.into());
        }
        Ok(Sender {
            token: None,
            sharing: self.anonymous.clone(),
        })
    }

    pub(super) fn set_sources(&mut self, sources: Vec<TokenSource>) {
        self.anonymous = anonymous(&sources);
        self.sources = sources;
    }

    pub(super) fn answers(&self) -> &Arc<Answers<R>> {
        &self.answers
    }

    pub(super) fn challenge(&mut self) -> &mut Challenge {
        Arc::make_mut(&mut self.answers).challenge()
    }

    pub(super) fn with_responder<R2>(self, responder: R2) -> Authenticator<R2, V> {
        Authenticator {
            verifier: self.verifier,
            sources: self.sources,
            anonymous: self.anonymous,
            optional: self.optional,
            csrf: self.csrf,
            revocations: self.revocations,
            answers: Arc::new(self.answers.with_responder(responder)),
        }
    }

    pub(super) fn with_revocations<V2>(self, store: V2) -> Authenticator<R, V2> {
        Authenticator {
            verifier: self.verifier,
            sources: self.sources,
            anonymous: self.anonymous,
            optional: self.optional,
            csrf: self.csrf,
            revocations: self.revocations.with_store(store),
            answers: self.answers,
        }
    }
}

/// What shared caches are told about answers to nobody.
fn anonymous(sources: &[TokenSource]) -> Sharing {
    let mut headers: Vec<_> = sources.iter().filter_map(TokenSource::varies_by).collect();
    headers.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    headers.dedup();
    Sharing::Varies(headers.into())
}

impl<R, V> Clone for Authenticator<R, V> {
    fn clone(&self) -> Self {
        Self {
            verifier: Arc::clone(&self.verifier),
            sources: self.sources.clone(),
            anonymous: self.anonymous.clone(),
            optional: self.optional,
            csrf: self.csrf.clone(),
            revocations: self.revocations.clone(),
            answers: Arc::clone(&self.answers),
        }
    }
}

impl<R, V> fmt::Debug for Authenticator<R, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator")
            .field("verifier", &self.verifier)
            .field("sources", &self.sources)
            .field("optional", &self.optional)
            .field("csrf", &self.csrf)
            .field("revocations", &self.revocations)
            .field("answers", &self.answers)
            .finish()
    }
}
