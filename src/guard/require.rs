//! What a token must hold.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::condition::{Answer, AsyncCheck, Check, Fault, Outcome, on_claims, on_claims_async};
use super::misuse::misuse;
use super::scopes::Scopes;
use crate::middleware::{AuthError, AuthErrorKind};
use crate::verify::VerifiedToken;

/// What a token must hold for a request to pass. See the [module docs](super).
///
/// A layer: for `route_layer` of axum's `Router`, and for any tower service whose response body is `Default`.
///
/// ```
/// use serde::Deserialize;
/// use tower_jwt_auth::Require;
///
/// #[derive(Deserialize)]
/// struct User { sub: String, department: String }
///
/// let read = Require::scope("reports:read");
/// let both = Require::all_scopes(["reports:read", "reports:write"]);
/// // Keycloak's roles.
/// let role = Require::scope("auditor").at(["realm_access", "roles"]);
/// let staff = Require::claims(|user: &User| user.department == "finance");
///
/// let guard = both.or(read.and(role).and(staff));
/// ```
#[derive(Clone)]
pub struct Require {
    node: Node,
    deadline: Duration,
}

#[derive(Clone)]
enum Node {
    Scopes(Scopes),
    Check(Check),
    AsyncCheck(AsyncCheck),
    All(Arc<[Node; 2]>),
    Any(Arc<[Node; 2]>),
}

/// What a guard says: at once, or after waiting.
pub(crate) enum Decision {
    Ready(Result<(), AuthError>),
    Pending(Pin<Box<dyn Future<Output = Result<(), AuthError>> + Send>>),
}

impl Require {
    /// 1 second: an asynchronous condition asks a database or another service, which is slower than the look-up of a
    /// revocation, and only some routes wait for it.
    pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(1);

    fn new(node: Node) -> Self {
        Self {
            node,
            deadline: Self::DEFAULT_DEADLINE,
        }
    }

    /// The token must have this scope: in `scope`, a string with spaces between (RFC 9068 §2.2.3), or where there is
    /// none in `scp`; each may be an array too.
    ///
    /// # Panics
    ///
    /// If it is no scope (RFC 6749 §3.3): empty, or with spaces.
    #[must_use]
    #[track_caller]
    pub fn scope(name: impl AsRef<str>) -> Self {
        Self::all_scopes([name])
    }

    /// The token must have all of these scopes.
    ///
    /// # Panics
    ///
    /// As [`Require::scope`]; if there is none.
    #[must_use]
    #[track_caller]
    pub fn all_scopes<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Self {
        Self::new(Node::Scopes(Scopes::new(names, true)))
    }

    /// The token must have one of these scopes.
    ///
    /// # Panics
    ///
    /// As [`Require::scope`]; if there is none.
    #[must_use]
    #[track_caller]
    pub fn any_scope<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Self {
        Self::new(Node::Scopes(Scopes::new(names, false)))
    }

    /// Looks for the scopes elsewhere in the claims: the names of the members that lead there, from the outside in, as
    /// in `["realm_access", "roles"]`. What stands there is a string with spaces between, or an array of strings.
    ///
    /// # Panics
    ///
    /// If the path is empty, or this requires anything but scopes.
    #[must_use]
    #[track_caller]
    pub fn at<N: AsRef<str>>(mut self, path: impl IntoIterator<Item = N>) -> Self {
        match &mut self.node {
            Node::Scopes(scopes) => scopes.at(path),
            _ => misuse(
                "`at` says where scopes stand: call it on `scope`, `all_scopes` or `any_scope`",
            ),
        }
        self
    }

    /// The claims must be a `T`, and the condition must hold of them: `bool`, or a `Result` of one.
    #[must_use]
    pub fn claims<T, O>(condition: impl Fn(&T) -> O + Send + Sync + 'static) -> Self
    where
        T: DeserializeOwned + Send + Sync + 'static,
        O: Outcome,
    {
        Self::new(Node::Check(on_claims(condition)))
    }

    /// As [`Require::claims`], for a condition that has to be waited for, on tokio. It is waited for no longer than the
    /// [deadline](Require::deadline).
    ///
    /// ```
    /// use std::{io, sync::Arc};
    /// use serde::Deserialize;
    /// use tower_jwt_auth::Require;
    ///
    /// #[derive(Deserialize)]
    /// struct User { sub: String }
    ///
    /// # #[derive(Clone)] struct Database;
    /// # impl Database { async fn is_member(&self, _: &str) -> io::Result<bool> { Ok(true) } }
    /// # let database = Database;
    /// let member = Require::claims_async(move |user: Arc<User>| {
    ///     let database = database.clone();
    ///     async move { database.is_member(&user.sub).await }
    /// });
    /// ```
    #[must_use]
    pub fn claims_async<T, F, O>(condition: impl Fn(Arc<T>) -> F + Send + Sync + 'static) -> Self
    where
        T: DeserializeOwned + Send + Sync + 'static,
        F: Future<Output = O> + Send + 'static,
        O: Outcome,
    {
        Self::new(Node::AsyncCheck(on_claims_async(condition)))
    }

    /// The condition must hold of the token: its registered claims, its algorithm, its key.
    #[must_use]
    pub fn token<O: Outcome>(
        condition: impl Fn(&VerifiedToken) -> O + Send + Sync + 'static,
    ) -> Self {
        Self::new(Node::Check(Arc::new(move |token| {
            condition(token).into_answer()
        })))
    }

    /// Both must hold. The second is not looked at where the first does not. The shorter deadline counts.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let deadline = self.deadline.min(other.deadline);
        let node = Node::All(Arc::new([self.node, other.node]));
        Self { node, deadline }
    }

    /// One of the two must hold. The second is not looked at where the first does. The shorter deadline counts.
    ///
    /// A condition that fails is no answer, even where the other would hold.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let deadline = self.deadline.min(other.deadline);
        let node = Node::Any(Arc::new([self.node, other.node]));
        Self { node, deadline }
    }

    /// How long all asynchronous conditions of this guard together are waited for. 1 second by default.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        if deadline.is_zero() {
            misuse("the deadline is zero");
        }
        self.deadline = deadline;
        self
    }

    pub(crate) fn decide(&self, token: &VerifiedToken) -> Decision {
        if !self.node.waits() {
            let answer = self.node.check(token);
            return Decision::Ready(self.node.verdict(answer));
        }
        let (node, token, deadline) = (self.node.clone(), token.clone(), self.deadline);
        Decision::Pending(Box::pin(async move {
            // Without a runtime there is no timer, and nothing here may wait for ever.
            let answer = if tokio::runtime::Handle::try_current().is_err() {
                Err(Fault::Failed(Arc::new(NoAnswer::Runtime)))
            } else {
                match timeout(deadline, node.check_async(&token)).await {
                    Ok(answer) => answer,
                    Err(_) => Err(Fault::Failed(Arc::new(NoAnswer::Deadline))),
                }
            };
            node.verdict(answer)
        }))
    }
}

impl Node {
    /// Whether any condition in it is asynchronous.
    fn waits(&self) -> bool {
        match self {
            Self::Scopes(_) | Self::Check(_) => false,
            Self::AsyncCheck(_) => true,
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().any(Self::waits),
        }
    }

    fn check(&self, token: &VerifiedToken) -> Answer {
        match self {
            Self::Scopes(scopes) => Ok(scopes.granted_by(token.payload())),
            Self::Check(check) => check(token),
            // `waits` said that there is none.
            Self::AsyncCheck(_) => Ok(false),
            Self::All(nodes) => {
                let [first, second] = &**nodes;
                Ok(first.check(token)? && second.check(token)?)
            }
            Self::Any(nodes) => {
                let [first, second] = &**nodes;
                Ok(alternative(first.check(token))? || second.check(token)?)
            }
        }
    }

    fn check_async<'a>(
        &'a self,
        token: &'a VerifiedToken,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>> {
        Box::pin(async move {
            match self {
                Self::AsyncCheck(check) => check(token).await,
                Self::All(nodes) => {
                    let [first, second] = &**nodes;
                    Ok(first.check_async(token).await? && second.check_async(token).await?)
                }
                Self::Any(nodes) => {
                    let [first, second] = &**nodes;
                    Ok(alternative(first.check_async(token).await)?
                        || second.check_async(token).await?)
                }
                Self::Scopes(_) | Self::Check(_) => self.check(token),
            }
        })
    }

    /// The scopes that are named to the client: those in it, in order.
    fn scope(&self) -> Option<Arc<str>> {
        let mut names = Vec::new();
        self.scope_names(&mut names);
        (!names.is_empty()).then(|| names.join(" ").into())
    }

    fn scope_names<'a>(&'a self, names: &mut Vec<&'a str>) {
        match self {
            Self::Scopes(scopes) => {
                for name in scopes.names() {
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
            }
            Self::Check(_) | Self::AsyncCheck(_) => {}
            Self::All(nodes) | Self::Any(nodes) => {
                for node in nodes.iter() {
                    node.scope_names(names);
                }
            }
        }
    }

    fn verdict(&self, answer: Answer) -> Result<(), AuthError> {
        match answer {
            Ok(true) => Ok(()),
            Ok(false) => Err(AuthError::insufficient_scope(self.scope(), None)),
            Err(Fault::Claims(error)) => {
                Err(AuthError::insufficient_scope(self.scope(), Some(error)))
            }
            Err(Fault::Failed(reason)) => Err(AuthError::unavailable(reason)),
        }
    }
}

/// The first of two alternatives: claims of another type leave the second.
fn alternative(answer: Answer) -> Answer {
    match answer {
        Err(Fault::Claims(_)) => Ok(false),
        answer => answer,
    }
}

/// Why there is no answer, where the condition is not the one who says so.
#[derive(Clone, Copy, Debug)]
enum NoAnswer {
    Deadline,
    Runtime,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deadline => "the condition did not answer within the deadline",
            Self::Runtime => "there is no tokio runtime whose timer could keep the deadline",
        })
    }
}

impl Error for NoAnswer {}

impl Require {
    /// What the guard says of a request that `token` came with: `None` where the layer lets it pass without.
    pub(crate) fn decide_on(&self, token: Result<Option<&VerifiedToken>, AuthError>) -> Decision {
        match token {
            Ok(Some(token)) => self.decide(token),
            Ok(None) => Decision::Ready(Err(AuthErrorKind::MissingToken.into())),
            Err(error) => Decision::Ready(Err(error)),
        }
    }
}

/// Shows the scopes.
impl fmt::Debug for Require {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Require")
            .field("node", &self.node)
            .field("deadline", &self.deadline)
            .finish()
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scopes(scopes) => scopes.fmt(f),
            Self::Check(_) => f.write_str("Check"),
            Self::AsyncCheck(_) => f.write_str("AsyncCheck"),
            Self::All(nodes) => f.debug_tuple("All").field(nodes).finish(),
            Self::Any(nodes) => f.debug_tuple("Any").field(nodes).finish(),
        }
    }
}
