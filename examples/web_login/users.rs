//! Stands for a user database: four users with hashed passwords.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{pbkdf2, rand};
use serde::Serialize;
use tokio::task::spawn_blocking;
use tower_jwt_auth::session::Session;

use crate::Problem;

/// A user who is blocked.
pub(crate) const BLOCKED: &str = "carol";

/// A support agent, who may act for customers.
pub(crate) const SUPPORT: &str = "dave";

/// The one-time code of every user.
pub(crate) const CODE: &str = "123456";

/// The page shows these people too. The last column: who is an admin.
const DEMO: [(&str, &str, &str, bool); 4] = [
    ("alice", "Alice Example", "correct horse", true),
    ("bob", "Bob Example", "battery staple", false),
    (BLOCKED, "Carol Example", "paper clip", false),
    (SUPPORT, "Dave Example", "rubber stamp", false),
];

#[derive(Clone)]
pub(crate) struct Users(Arc<Inner>);

struct Inner {
    users: Vec<User>,
    /// A hash to compare with if there is no such user, so that the time is the same.
    nobody: Password,
}

struct User {
    id: &'static str,
    name: &'static str,
    admin: AtomicBool,
    password: Mutex<Password>,
}

/// The claims of an access token, besides the registered ones.
#[derive(Serialize)]
pub(crate) struct Access {
    name: &'static str,
    roles: Vec<&'static str>,
}

impl Users {
    pub(crate) fn demo() -> Result<Self, Unspecified> {
        let user = |(id, name, password, admin)| {
            Ok::<_, Unspecified>(User {
                id,
                name,
                admin: AtomicBool::new(admin),
                password: Mutex::new(Password::new(password)?),
            })
        };
        Ok(Self(Arc::new(Inner {
            users: DEMO.into_iter().map(user).collect::<Result<_, _>>()?,
            nobody: Password::new("nobody has it")?,
        })))
    }

    fn find(&self, id: &str) -> Option<&User> {
        self.0.users.iter().find(|user| user.id == id)
    }

    /// Whether there is a user with this password. A real service limits the attempts by address
    /// and name.
    pub(crate) async fn check(&self, id: &str, password: String) -> Result<bool, Problem> {
        let known = self.find(id).is_some();
        let (users, id) = (self.clone(), id.to_owned());
        // Hashing is slow on purpose, so it runs on a thread for blocking work.
        let matches = spawn_blocking(move || {
            let stored = users
                .find(&id)
                .map_or(users.0.nobody, |user| *lock(&user.password));
            stored.matches(&password)
        });
        let matches = matches.await.map_err(|_| Problem::INTERNAL)?;
        Ok(known & matches)
    }

    /// Whether this is the user's one-time code. A real service gives each user a secret, and lets
    /// a library for time-based codes (RFC 6238) compare. It limits the attempts, and accepts no
    /// code twice. Passkeys (WebAuthn) are better: no other site can ask for them.
    pub(crate) fn check_code(&self, id: &str, code: &str) -> bool {
        self.find(id).is_some() && code == CODE
    }

    /// A real service also rejects passwords that are known to be stolen.
    pub(crate) async fn set_password(&self, id: &str, password: String) -> Result<(), Problem> {
        let hashed = spawn_blocking(move || Password::new(&password)).await;
        let hashed = hashed.map_err(|_| Problem::INTERNAL)?;
        let user = self.find(id).ok_or(Problem::INTERNAL)?;
        *lock(&user.password) = hashed.map_err(|_| Problem::INTERNAL)?;
        Ok(())
    }

    /// Called at login, at every refresh and at a step-up. `None` ends the session, so an agent who
    /// loses the right to act for a user soon stops. The same holds if the user becomes an admin.
    pub(crate) fn claims(&self, session: &Session) -> Option<Access> {
        let user = self.find(&session.subject)?;
        let roles = user.roles();
        if let Some(actor) = &session.actor {
            let is_support = self.find(actor)?.roles().contains(&"support");
            // Nobody gains a role by acting for somebody who has it.
            if !is_support || roles != ["user"] {
                return None;
            }
        }
        Some(Access {
            name: user.name,
            roles,
        })
    }

    /// Adds or removes the admin role. Returns whether the user has it now.
    pub(crate) fn toggle_admin(&self, id: &str) -> Option<bool> {
        let user = self.find(id)?;
        Some(!user.admin.fetch_not(Ordering::Relaxed))
    }
}

impl User {
    fn roles(&self) -> Vec<&'static str> {
        let mut roles = vec!["user"];
        if self.admin.load(Ordering::Relaxed) {
            roles.push("admin");
        }
        if self.id == SUPPORT {
            roles.push("support");
        }
        roles
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone, Copy)]
struct Password {
    salt: [u8; 16],
    hash: [u8; 32],
}

impl Password {
    /// What OWASP recommends for PBKDF2 with HMAC-SHA-256.
    const ITERATIONS: NonZeroU32 = NonZeroU32::MIN.saturating_add(600_000 - 1);

    fn new(password: &str) -> Result<Self, Unspecified> {
        let (mut salt, mut hash) = ([0; 16], [0; 32]);
        rand::fill(&mut salt)?;
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            Self::ITERATIONS,
            &salt,
            password.as_bytes(),
            &mut hash,
        );
        Ok(Self { salt, hash })
    }

    /// In constant time.
    fn matches(&self, password: &str) -> bool {
        let verified = pbkdf2::verify(
            pbkdf2::PBKDF2_HMAC_SHA256,
            Self::ITERATIONS,
            &self.salt,
            password.as_bytes(),
            &self.hash,
        );
        verified.is_ok()
    }
}
