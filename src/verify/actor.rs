//! Who acts for the subject of a token (RFC 8693 §4.1).

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use super::error::{VerifyError, VerifyErrorKind};
use super::token::VerifiedToken;

/// Who acts for the subject of a token: the outermost actor of the claim `act` (RFC 8693 §4.1).
///
/// Actors nested in it are the history of a delegation. They must not influence a decision, so this
/// type does not return them.
#[derive(Clone, PartialEq, Eq)]
pub struct Actor<'a> {
    subject: Option<Cow<'a, str>>,
    issuer: Option<Cow<'a, str>>,
}

impl Actor<'_> {
    /// `sub` of the actor.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// `iss` of the actor. `None` usually means that the actor's `sub` belongs to the token's
    /// issuer.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }
}

/// Shows no claim.
impl fmt::Debug for Actor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Actor").finish_non_exhaustive()
    }
}

impl VerifiedToken {
    /// Who acts for the subject, by the claim `act` (RFC 8693 §4.1). `Ok(None)` if the token has no
    /// such claim: its subject acts.
    ///
    /// ```
    /// use tower_jwt_auth::Require;
    ///
    /// // The user, or one of two colleagues in the user's name.
    /// let guard = Require::token(|token| match token.actor() {
    ///     Ok(None) => true,
    ///     Ok(Some(actor)) => matches!(actor.subject(), Some("support-1" | "support-2")),
    ///     Err(_) => false,
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// [`MalformedClaims`](VerifyErrorKind::MalformedClaims) if `act` is not an object or occurs
    /// twice. Or its `sub` or `iss` occurs twice, or is neither a string nor `null`.
    pub fn actor(&self) -> Result<Option<Actor<'_>>, VerifyError> {
        /// `act` is read as `Some` even if it is `null`, which is malformed.
        #[derive(Deserialize)]
        struct Claims<'a> {
            #[serde(borrow, default, deserialize_with = "present")]
            act: Option<Actor<'a>>,
        }

        fn present<'de: 'a, 'a, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Actor<'a>>, D::Error> {
            deserializer.deserialize_map(ActorVisitor).map(Some)
        }

        let claims: Result<Claims<'_>, _> = serde_json::from_str(self.payload());
        match claims {
            Ok(claims) => Ok(claims.act),
            Err(_) => Err(VerifyErrorKind::MalformedClaims.into()),
        }
    }
}

/// Requires an object: serde would also read the members from an array.
struct ActorVisitor;

impl<'de> Visitor<'de> for ActorVisitor {
    type Value = Actor<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        #[derive(Deserialize)]
        struct Members<'a> {
            #[serde(borrow, default)]
            sub: Option<Cow<'a, str>>,
            #[serde(borrow, default)]
            iss: Option<Cow<'a, str>>,
        }

        let members = serde::de::value::MapAccessDeserializer::new(map);
        let members = Members::deserialize(members);
        let members = members.map_err(|_| A::Error::custom("a member is malformed"))?;
        Ok(Actor {
            subject: members.sub,
            issuer: members.iss,
        })
    }
}
