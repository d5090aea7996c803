//! What a token must contain.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use super::authentication::RequiredAuthentication;
use super::builder_error::report;
use super::claim::RequiredClaim;
use super::condition::{AsyncConditionError, ConditionError, Outcome, on_claims, on_claims_async};
use super::requirement::Condition;
use super::scopes::Scopes;
use crate::clock::{Clock, ClockSource};
use crate::middleware::{AuthError, AuthErrorKind};
use crate::verify::VerifiedToken;

/// What a token must contain for a request to pass. See the [module docs](super).
///
/// It is a layer for `route_layer` of axum's `Router`, and for any tower service whose response
/// body implements `Default`.
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
    condition: Condition,
    /// The default if there is none.
    deadline: Option<Duration>,
    clock: Option<ClockSource>,
}

/// The authorization decision: now, or after asynchronous conditions.
pub(crate) enum Decision {
    Ready(Result<(), AuthError>),
    Pending(Pin<Box<dyn Future<Output = Result<(), AuthError>> + Send>>),
}

impl Require {
    /// 1 second. A condition may query a database or another service, which takes longer than a
    /// revocation check. Only guarded routes wait.
    pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(1);

    fn new(condition: Condition) -> Self {
        Self {
            condition,
            deadline: None,
            clock: None,
        }
    }

    /// The token must have this scope, in the claim `scope` or, if that is missing, in `scp`.
    ///
    /// The claim is a space-separated string (RFC 9068 §2.2.3) or an array of strings.
    ///
    /// # Panics
    ///
    /// If the scope is empty, or contains spaces or other characters that RFC 6749 §3.3 excludes.
    #[must_use]
    #[track_caller]
    pub fn scope(name: impl AsRef<str>) -> Self {
        Self::all_scopes([name])
    }

    /// The token must have all of these scopes.
    ///
    /// # Panics
    ///
    /// As [`Require::scope`]; also if `names` is empty.
    #[must_use]
    #[track_caller]
    pub fn all_scopes<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Self {
        Self::new(Condition::Scopes(Scopes::new(names, true)))
    }

    /// The token must have at least one of these scopes.
    ///
    /// # Panics
    ///
    /// As [`Require::scope`]; also if `names` is empty.
    #[must_use]
    #[track_caller]
    pub fn any_scope<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Self {
        Self::new(Condition::Scopes(Scopes::new(names, false)))
    }

    /// Reads the scopes at this path of the claims, such as `["realm_access", "roles"]`.
    ///
    /// The value at this path is a space-separated string or an array of strings. The challenge of
    /// a 403 does not name these values: a client cannot ask for a role as a scope.
    ///
    /// # Panics
    ///
    /// If the path is empty, or this requirement is not for scopes.
    #[must_use]
    #[track_caller]
    pub fn at<N: AsRef<str>>(mut self, path: impl IntoIterator<Item = N>) -> Self {
        match &mut self.condition {
            Condition::Scopes(scopes) => scopes.at(path),
            _ => report(
                "`at` says where scopes stand: call it on `scope`, `all_scopes` or `any_scope`",
            ),
        }
        self
    }

    /// The token must be from this issuer: its `iss` equals `name`, byte for byte.
    ///
    /// Use it if the layer trusts several [issuers](crate::TrustedIssuer). Scopes and roles have a
    /// meaning only together with their issuer. A partner that writes `"roles": ["admin"]` into its
    /// tokens must not open your admin page.
    ///
    /// ```
    /// use tower_jwt_auth::Require;
    ///
    /// let admin = Require::scope("admin").at(["roles"]);
    /// let our_admin = Require::issuer("https://id.example.com").and(admin);
    /// ```
    ///
    /// # Panics
    ///
    /// If `name` is empty.
    #[must_use]
    #[track_caller]
    pub fn issuer(name: impl AsRef<str>) -> Self {
        Self::any_issuer([name])
    }

    /// The token must be from one of these issuers. See [`Require::issuer`].
    ///
    /// # Panics
    ///
    /// If `names` is empty, or contains an empty name.
    #[must_use]
    #[track_caller]
    pub fn any_issuer<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Self {
        let names: Arc<[Box<str>]> = names.into_iter().map(|name| name.as_ref().into()).collect();
        if names.is_empty() {
            report("no issuer is required");
        }
        if names.iter().any(|name| name.is_empty()) {
            report("the issuer is empty");
        }
        Self::new(Condition::Issuers(names))
    }

    /// The claim `name` must be there and equal `value`: a string, a number or a boolean.
    ///
    /// ```
    /// use tower_jwt_auth::Require;
    ///
    /// // Cognito's access tokens have no `aud`.
    /// let app = Require::claim("client_id", "7f1c2d").and(Require::claim("token_use", "access"));
    /// ```
    ///
    /// Strings are compared byte for byte. `true` is not `"true"`. An array never matches; use
    /// [`Require::claims`] to search one. A claim that occurs twice never matches.
    ///
    /// # Panics
    ///
    /// If `name` is empty, or `value` is `null`, an array or an object.
    #[must_use]
    #[track_caller]
    pub fn claim(name: impl AsRef<str>, value: impl Into<Value>) -> Self {
        let (name, value) = (name.as_ref(), value.into());
        if name.is_empty() {
            report("the name of the claim is empty");
        }
        if matches!(value, Value::Null | Value::Array(_) | Value::Object(_)) {
            report("the value of a required claim is a string, a number or a boolean");
        }
        Self::new(Condition::Claim(Arc::new(RequiredClaim::new(name, value))))
    }

    /// The user must have logged in at one of these levels: the claim `acr` (OpenID Connect Core
    /// §2) is one of `values`.
    ///
    /// A token that does not show this gets 401 with `insufficient_user_authentication` and
    /// `acr_values` (RFC 9470 §3). The client then sends the user to a stronger login. List the
    /// values in order of preference. With [`Sessions`](crate::session::Sessions), call
    /// [`elevate`](crate::session::Sessions::elevate) after that login.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_jwt_auth::Require;
    ///
    /// let transfer = Require::scope("transfer")
    ///     .and(Require::acr(["mfa"]).max_age(Duration::from_secs(300)));
    /// ```
    ///
    /// Put scopes first, as above: then a user without the scope is not sent to a login.
    ///
    /// Put all levels of a route into one guard. Two guards would each name only their own levels,
    /// and a client may be sent to a login again and again.
    ///
    /// # Panics
    ///
    /// If `values` is empty, or one of them is empty or contains spaces or other characters that
    /// RFC 6749 §3.3 excludes from scopes: the challenge separates them by spaces.
    #[must_use]
    #[track_caller]
    pub fn acr<N: AsRef<str>>(values: impl IntoIterator<Item = N>) -> Self {
        Self::new(Condition::Authentication(RequiredAuthentication::acr(
            values,
        )))
    }

    /// The user must have logged in within this time, according to the claim `auth_time` (OpenID
    /// Connect Core §2). Otherwise the response is 401 with `max_age`, as for [`Require::acr`].
    ///
    /// The age counts in whole seconds, and no leeway is added to it. An `auth_time` up to 30
    /// seconds in the future is accepted, as clocks differ. A token without `auth_time` is
    /// rejected. A test that moves the time must set [`Require::clock`]: the guard does not take
    /// the clock of the layer.
    ///
    /// # Panics
    ///
    /// If `max_age` is shorter than one second: no login would be recent enough.
    #[must_use]
    #[track_caller]
    pub fn authenticated_within(max_age: Duration) -> Self {
        Self::new(Condition::Authentication(
            RequiredAuthentication::max_age_of(max_age),
        ))
    }

    /// Also requires a login within this time, as
    /// [`authenticated_within`](Require::authenticated_within).
    ///
    /// # Panics
    ///
    /// As [`Require::authenticated_within`].
    #[must_use]
    #[track_caller]
    pub fn max_age(self, max_age: Duration) -> Self {
        self.and(Self::authenticated_within(max_age))
    }

    /// The token must not be used by somebody who acts for the user: it must have no claim `act`
    /// (RFC 8693 §4.1). Otherwise the response is 403.
    ///
    /// You need it for actions that support staff must not perform in a user's name, such as a
    /// change of the password. See [`VerifiedToken::actor`] for conditions on the actor. Tokens
    /// with `act` come from [`Sessions::impersonate`](crate::session::Sessions::impersonate), or
    /// from another issuer.
    #[must_use]
    pub fn not_impersonated() -> Self {
        Self::new(Condition::NotImpersonated)
    }

    /// Sets the clock of [`max_age`](Require::max_age). The system clock by default. Pass the clock
    /// of the layer: in tests, a [`ManualClock`](crate::clock::ManualClock).
    ///
    /// Combined requirements have one clock. If you set two, the clock of the first applies.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(ClockSource::custom(clock));
        self
    }

    /// The claims must deserialise to `T` and meet the condition. It returns `bool` or
    /// `Result<bool, E>`.
    #[must_use]
    pub fn claims<T, O>(condition: impl Fn(&T) -> O + Send + Sync + 'static) -> Self
    where
        T: DeserializeOwned + Send + Sync + 'static,
        O: Outcome,
    {
        Self::new(Condition::Check(on_claims(condition)))
    }

    /// As [`Require::claims`], for an asynchronous condition. Needs a tokio runtime.
    ///
    /// The request waits for at most the [deadline](Require::deadline).
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
        Self::new(Condition::AsyncCheck(on_claims_async(condition)))
    }

    /// The token must meet the condition, which sees registered claims, algorithm and key ID.
    #[must_use]
    pub fn token<O: Outcome>(
        condition: impl Fn(&VerifiedToken) -> O + Send + Sync + 'static,
    ) -> Self {
        Self::new(Condition::Check(Arc::new(move |token| {
            condition(token).into_result()
        })))
    }

    /// Both requirements must be met. The second is not evaluated if the first is not met. If you
    /// set two [deadlines](Require::deadline), the shorter one applies. So does the shorter
    /// [`max_age`](Require::max_age).
    ///
    /// # Panics
    ///
    /// If no token can meet both: a token has one [`acr`](Require::acr), and the two requirements
    /// have no value of it in common. Name all levels that you accept in one `acr`, or combine them
    /// with [`or`](Require::or).
    #[must_use]
    #[track_caller]
    pub fn and(self, other: Self) -> Self {
        let may_contradict = self.condition.names_acr() && other.condition.names_acr();
        let both = self.combine(other, Condition::All);
        if may_contradict && both.condition.is_contradiction() {
            report(
                "no token meets both requirements: it has one `acr`. Name all levels that will do \
                 in one `acr`, or combine with `or`",
            );
        }
        both
    }

    /// One of the requirements must be met. The second is not evaluated if the first is met. If you
    /// set two [deadlines](Require::deadline), the shorter one applies.
    ///
    /// If the first condition fails with an error, the response is 503, even if the second would be
    /// met.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        self.combine(other, Condition::Any)
    }

    fn combine(self, other: Self, condition: fn(Arc<[Condition; 2]>) -> Condition) -> Self {
        let deadlines = [self.deadline, other.deadline];
        Self {
            condition: condition(Arc::new([self.condition, other.condition])),
            deadline: deadlines.into_iter().flatten().min(),
            clock: self.clock.or(other.clock),
        }
    }

    fn max_wait(&self) -> Duration {
        self.deadline.unwrap_or(Self::DEFAULT_DEADLINE)
    }

    /// Sets the maximum time for all asynchronous conditions of this guard together. 1 second by
    /// default, see [`DEFAULT_DEADLINE`](Require::DEFAULT_DEADLINE).
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        if deadline.is_zero() {
            report("the deadline is zero");
        }
        self.deadline = Some(deadline);
        self
    }

    pub(crate) fn decide(&self, token: &VerifiedToken) -> Decision {
        let clock = self.clock.as_ref().unwrap_or(&ClockSource::System);
        if !self.condition.is_async() {
            let result = self.condition.check(token, clock);
            return Decision::Ready(self.condition.decision(result));
        }
        let (condition, token, clock) = (self.condition.clone(), token.clone(), clock.clone());
        let deadline = self.max_wait();
        Decision::Pending(Box::pin(async move {
            // Without a runtime there is no timer, so the deadline could not be enforced.
            let result = if tokio::runtime::Handle::try_current().is_err() {
                Err(ConditionError::Failed(Arc::new(
                    AsyncConditionError::NoRuntime,
                )))
            } else {
                match timeout(deadline, condition.check_async(&token, &clock)).await {
                    Ok(result) => result,
                    Err(_) => Err(ConditionError::Failed(Arc::new(
                        AsyncConditionError::TimedOut,
                    ))),
                }
            };
            condition.decision(result)
        }))
    }
}

impl Require {
    /// Decides on a request. `Ok(None)`: the layer allows requests without a token.
    pub(crate) fn authorize(&self, token: Result<Option<&VerifiedToken>, AuthError>) -> Decision {
        match token {
            Ok(Some(token)) => self.decide(token),
            Ok(None) => Decision::Ready(Err(AuthErrorKind::MissingToken.into())),
            Err(error) => Decision::Ready(Err(error)),
        }
    }
}

/// Shows the scopes, the issuers and the names of claims.
impl fmt::Debug for Require {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Require")
            .field("condition", &self.condition)
            .field("deadline", &self.max_wait())
            .finish()
    }
}
