//! Routes that need more than a login: a second factor, or the user in person.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::post;
use serde::Deserialize;
use tower_jwt_auth::{Require, VerifiedToken};

use crate::{App, Problem, Service};

/// The level of a session whose user has also entered a one-time code.
const SECOND_FACTOR: &str = "mfa";

/// How long a step-up counts.
const RECENT: Duration = Duration::from_secs(5 * 60);

/// Short, for the demonstration. NIST SP 800-63B-4 §3.1.1.2 requires 15 characters where a password
/// alone is enough to log in.
const MIN_PASSWORD_CHARS: usize = 8;

pub(crate) fn routes() -> Router<Arc<Service>> {
    let recent = || Require::acr([SECOND_FACTOR]).max_age(RECENT);
    let in_person = Require::not_impersonated;
    let support = Require::scope("support").at(["roles"]);
    // The first condition that fails makes the response. So a second factor comes last: nobody
    // enters a code in vain.
    Router::new()
        .route("/step-up", post(step_up).layer(in_person()))
        .route(
            "/password",
            post(change_password).layer(in_person().and(recent())),
        )
        .route(
            "/impersonate",
            post(impersonate).layer(support.and(recent())),
        )
}

#[derive(Deserialize)]
struct OneTimeCode {
    code: String,
}

/// Raises the level of the session. The refresh token from before is worthless from now on.
async fn step_up(
    State(service): App,
    token: VerifiedToken,
    Form(OneTimeCode { code }): Form<OneTimeCode>,
) -> Result<Response, Problem> {
    let sessions = service.routes.sessions();
    let (sid, user) = (sessions.session_of(&token)?, sessions.subject_of(&token)?);
    if !service.users.check_code(user.name(), &code) {
        return Err(Problem::WRONG_CODE);
    }
    let tokens = sessions.elevate(sid, SECOND_FACTOR).await?;
    service.logged_in(&tokens)
}

#[derive(Deserialize)]
struct NewPassword {
    password: String,
}

/// Ends the other sessions of the user: somebody may know the old password. The page then
/// refreshes, because its access token has become invalid too.
async fn change_password(
    State(service): App,
    token: VerifiedToken,
    Form(NewPassword { password }): Form<NewPassword>,
) -> Result<StatusCode, Problem> {
    if password.chars().count() < MIN_PASSWORD_CHARS {
        return Err(Problem::SHORT_PASSWORD);
    }
    let sessions = service.routes.sessions();
    let (sid, user) = (sessions.session_of(&token)?, sessions.subject_of(&token)?);
    service.users.set_password(user.name(), password).await?;
    sessions.logout_others(sid).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Customer {
    customer: String,
}

/// A support agent acts for a customer. The claims function decides for whom:
/// [`Users::claims`](crate::users::Users::claims).
async fn impersonate(
    State(service): App,
    agent: VerifiedToken,
    request: Parts,
    Form(Customer { customer }): Form<Customer>,
) -> Result<Response, Problem> {
    let sessions = service.routes.sessions();
    let customer = sessions.subject_named(&customer);
    let mut pending = sessions.impersonate(&agent, &customer).await?;
    // If the agent's session is bound to a key, this one must have the same.
    if let Some(proof) = service.routes.proof(&request) {
        pending = pending.bind_refresh_token(&proof)?;
    }
    let tokens = sessions.complete(pending.label("Support")).await?;
    // The new cookies replace those of the agent's own session.
    sessions.end_session(sessions.session_of(&agent)?).await?;
    service.logged_in(&tokens)
}
