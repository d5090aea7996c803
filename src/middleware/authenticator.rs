//! Authenticates a request: finds the token and verifies it.

use std::fmt;
use std::sync::Arc;

use http::Request;

use super::authenticated::Authenticated;
use super::caching::CacheDirective;
use super::challenge::Challenge;
#[cfg(feature = "jwks")]
use super::client_certificate::SentCertificate;
use super::client_certificate::{check_certificate, sent_certificate};
use super::csrf::rules::{CsrfRules, has_effects};
use super::error::AuthError;
use super::error_kind::AuthErrorKind;
use super::proof::{check_sender, find_proof};
use super::respond::ProblemJson;
use super::responder::Responder;
use super::revocation::Revocations;
use super::scheme::Scheme;
use super::source::{Found, RequestHead, SearchedSources, TokenSource};
use super::token_fault::TokenFaults;
use crate::claims::{CERTIFICATE_THUMBPRINT, KEY_THUMBPRINT};
#[cfg(feature = "jwks")]
use crate::dpop::SentProof;
use crate::mtls::Mtls;
use crate::revocation::NoRevocation;
use crate::verify::{NotVerified, Verifier};

/// The settings of a layer, which its services share.
pub(super) struct Authenticator<R, V> {
    pub(super) verifier: Arc<Verifier>,
    sources: Vec<TokenSource>,
    /// The names of the sources, for errors.
    searched: Arc<SearchedSources>,
    /// For responses to requests without a token.
    anonymous: CacheDirective,
    pub(super) optional: bool,
    /// The faults with which a token counts as missing, on safe requests.
    pub(super) ignored_faults: TokenFaults,
    pub(super) csrf: CsrfRules,
    /// Where the certificates of clients are, if they are checked.
    pub(super) mtls: Option<Arc<Mtls>>,
    pub(super) revocations: Revocations<V>,
    responder: Arc<Responder<R>>,
}

/// Why a request is not authenticated, or not yet.
pub(super) enum NotAuthenticated {
    Rejected(AuthError),
    /// The keys for its token have to be fetched first, or its issuer asked.
    #[cfg(feature = "jwks")]
    KeysRequired(UnverifiedToken),
}

impl NotAuthenticated {
    /// The same, for a client that sent its token in this way.
    fn under(self, scheme: Scheme) -> Self {
        match self {
            Self::Rejected(error) => Self::Rejected(error.under(scheme)),
            #[cfg(feature = "jwks")]
            Self::KeysRequired(_) => self,
        }
    }
}

impl<E: Into<AuthError>> From<E> for NotAuthenticated {
    fn from(error: E) -> Self {
        Self::Rejected(error.into())
    }
}

/// A token that waits for its key, or for the answer of its issuer.
#[cfg(feature = "jwks")]
pub(super) struct UnverifiedToken {
    token: Vec<u8>,
    caching: CacheDirective,
    ignorable: TokenFaults,
    proof: Option<Box<SentProof>>,
    certificate: Option<Box<SentCertificate>>,
}

#[cfg(feature = "jwks")]
impl UnverifiedToken {
    pub(super) async fn verify(self, verifier: &Verifier) -> Result<Authenticated, AuthError> {
        let scheme = match self.proof {
            Some(_) => Scheme::Dpop,
            None => Scheme::Bearer,
        };
        let token = match verifier.fetch_and_verify(&self.token).await {
            Ok(token) => token,
            Err(error) => {
                return Authenticated::despite(
                    AuthError::from(error).under(scheme),
                    self.ignorable,
                );
            }
        };
        let proof = check_certificate(|| Some(*self.certificate?), verifier, &token)
            .and_then(|()| check_sender(self.proof.as_deref(), verifier, &self.token, &token))
            .map_err(|error| error.under(scheme))?;
        Ok(Authenticated {
            token: Some(token),
            caching: self.caching,
            ignorable: self.ignorable,
            ignored: None,
            proof,
        })
    }
}

impl Authenticator<ProblemJson, NoRevocation> {
    pub(super) fn new(verifier: Verifier) -> Self {
        let sources = vec![TokenSource::bearer()];
        Self {
            verifier: Arc::new(verifier),
            anonymous: anonymous(&sources),
            searched: Arc::new(SearchedSources::new(&sources)),
            sources,
            optional: false,
            ignored_faults: TokenFaults::NONE,
            csrf: CsrfRules::default(),
            mtls: None,
            revocations: Revocations::none(),
            responder: Arc::new(Responder::default()),
        }
    }
}

impl<R, V> Authenticator<R, V> {
    /// Finds the token and verifies it. The revocation store is asked afterwards.
    pub(super) fn authenticate<B>(
        &self,
        request: &Request<B>,
    ) -> Result<Authenticated, NotAuthenticated> {
        let head = RequestHead::of(request);
        for source in &self.sources {
            let found = source.find(head);
            if !matches!(found, Found::Nothing) {
                let authenticated = self.verify(found, source, head);
                return authenticated.map_err(|error| error.under(source.scheme()));
            }
        }
        if !self.optional {
            return Err(AuthError::missing_token(Arc::clone(&self.searched) as _).into());
        }
        Ok(Authenticated {
            token: None,
            caching: self.anonymous.clone(),
            ignorable: TokenFaults::NONE,
            ignored: None,
            proof: None,
        })
    }

    /// Verifies what a source has found.
    #[inline]
    fn verify(
        &self,
        found: Found<'_>,
        source: &TokenSource,
        head: RequestHead<'_>,
    ) -> Result<Authenticated, NotAuthenticated> {
        let token = match found {
            Found::Token(token) => token,
            Found::Nothing => return Err(AuthErrorKind::MissingToken.into()),
            Found::Malformed => return Err(AuthErrorKind::MalformedCredentials.into()),
            Found::Several => return Err(AuthErrorKind::SeveralTokens.into()),
        };
        if source.is_ambient() {
            self.csrf.check(head)?;
        }
        let caching = source.caching();
        let ignorable = self.ignorable_faults(source, head);
        let proof = find_proof(source, head);
        let certificate = || Some(sent_certificate(self.mtls.as_deref()?, head));
        match self.verifier.try_verify(&token) {
            Ok(verified) => {
                check_certificate(certificate, &self.verifier, &verified)?;
                Ok(Authenticated {
                    proof: check_sender(proof.as_deref(), &self.verifier, &token, &verified)?,
                    token: Some(verified),
                    caching,
                    ignorable,
                    ignored: None,
                })
            }
            Err(_) if !source.may_hold(&token) => Err(AuthErrorKind::MalformedCredentials.into()),
            Err(NotVerified::Rejected(error)) => {
                Ok(Authenticated::despite(error.into(), ignorable)?)
            }
            // Keys have to be fetched, or an issuer asked.
            #[cfg(feature = "jwks")]
            Err(_) => Err(NotAuthenticated::KeysRequired(UnverifiedToken {
                token: token.into_owned(),
                caching,
                ignorable,
                proof,
                certificate: certificate().map(Box::new),
            })),
        }
    }

    /// The faults with which a token of this source counts as missing: only where the browser sent
    /// it on its own, and only for a request that changes nothing.
    #[inline]
    fn ignorable_faults(&self, source: &TokenSource, head: RequestHead<'_>) -> TokenFaults {
        if self.ignored_faults.is_empty() || !source.is_ambient() || has_effects(head) {
            TokenFaults::NONE
        } else {
            self.ignored_faults
        }
    }

    pub(super) fn set_sources(&mut self, sources: Vec<TokenSource>) {
        self.anonymous = anonymous(&sources);
        self.searched = Arc::new(SearchedSources::new(&sources));
        if sources.iter().any(|source| source.scheme() == Scheme::Dpop) {
            let verifier = Verifier::clone(&self.verifier).with_proven_keys();
            self.verifier = Arc::new(verifier);
        }
        self.sources = sources;
        self.name_schemes();
    }

    /// Panics if settings are missing, or contradict each other.
    #[track_caller]
    pub(super) fn expect_sound(&self) {
        let verifier = &self.verifier;
        assert!(
            verifier.names_audience(),
            "keys of other issuers need an audience: call `audience` or `any_audience`, on the \
             layer or on each `TrustedIssuer`"
        );
        assert!(
            !verifier.lacks_names_for_rfc9068(),
            "RFC 9068 needs an issuer and an audience: call `issuer` and `audience`"
        );
        assert!(
            !verifier.keys_are_proven() || !verifier.allows_confirmation(KEY_THUMBPRINT),
            "`TokenSource::dpop` checks `jkt`: do not call `allow_confirmation(\"jkt\")`"
        );
        assert!(
            !verifier.certificates_are_checked()
                || !verifier.allows_confirmation(CERTIFICATE_THUMBPRINT),
            "`mtls` checks `x5t#S256`: do not call `allow_confirmation(\"x5t#S256\")`"
        );
    }

    /// Has challenges name the schemes of the sources.
    fn name_schemes(&mut self) {
        let mut schemes = self.sources.iter().map(TokenSource::scheme);
        let has_bearer = schemes.any(|scheme| scheme == Scheme::Bearer);
        let dpop = self.sources.iter().find_map(TokenSource::proof_settings);
        let algorithms = dpop.map(|dpop| dpop.algorithm_names());
        self.challenge().set_schemes(has_bearer, algorithms);
    }

    pub(super) fn add_source(&mut self, source: TokenSource) {
        let mut sources = std::mem::take(&mut self.sources);
        sources.push(source);
        self.set_sources(sources);
    }

    pub(super) fn responder(&self) -> &Arc<Responder<R>> {
        &self.responder
    }

    pub(super) fn challenge(&mut self) -> &mut Challenge {
        Arc::make_mut(&mut self.responder).challenge()
    }

    pub(super) fn with_respond<R2>(self, respond: R2) -> Authenticator<R2, V> {
        let responder = self.responder.with_respond(respond);
        self.with_responder(responder)
    }

    pub(super) fn with_responder<R2>(self, responder: Responder<R2>) -> Authenticator<R2, V> {
        let mut authenticator = Authenticator {
            verifier: self.verifier,
            sources: self.sources,
            searched: self.searched,
            anonymous: self.anonymous,
            optional: self.optional,
            ignored_faults: self.ignored_faults,
            csrf: self.csrf,
            mtls: self.mtls,
            revocations: self.revocations,
            responder: Arc::new(responder),
        };
        authenticator.name_schemes();
        authenticator
    }

    pub(super) fn with_revocations<V2>(self, store: V2) -> Authenticator<R, V2> {
        Authenticator {
            verifier: self.verifier,
            sources: self.sources,
            searched: self.searched,
            anonymous: self.anonymous,
            optional: self.optional,
            ignored_faults: self.ignored_faults,
            csrf: self.csrf,
            mtls: self.mtls,
            revocations: self.revocations.with_store(store),
            responder: self.responder,
        }
    }
}

/// What shared caches are told about responses to requests without a token.
fn anonymous(sources: &[TokenSource]) -> CacheDirective {
    let mut headers: Vec<_> = sources.iter().filter_map(TokenSource::varies_by).collect();
    headers.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    headers.dedup();
    CacheDirective::VariesBy(headers.into())
}

impl<R, V> Clone for Authenticator<R, V> {
    fn clone(&self) -> Self {
        Self {
            verifier: Arc::clone(&self.verifier),
            sources: self.sources.clone(),
            searched: Arc::clone(&self.searched),
            anonymous: self.anonymous.clone(),
            optional: self.optional,
            ignored_faults: self.ignored_faults,
            csrf: self.csrf.clone(),
            mtls: self.mtls.clone(),
            revocations: self.revocations.clone(),
            responder: Arc::clone(&self.responder),
        }
    }
}

impl<R, V> fmt::Debug for Authenticator<R, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator")
            .field("verifier", &self.verifier)
            .field("sources", &self.sources)
            .field("optional", &self.optional)
            .field("ignored_faults", &self.ignored_faults)
            .field("csrf", &self.csrf)
            .field("mtls", &self.mtls)
            .field("revocations", &self.revocations)
            .field("responder", &self.responder)
            .finish()
    }
}
