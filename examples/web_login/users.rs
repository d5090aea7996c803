//! Stands for a user database: three users with hashed passwords.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{pbkdf2, rand};
use serde::Serialize;
use tokio::task::spawn_blocking;

use crate::Problem;

/// A user who is blocked.
pub(crate) const BLOCKED: &str = "carol";

/// The page shows these roles too.
const DEMO: [(&str, &str, &str, bool); 3] = [
    ("alice", "Alice Example", "correct horse", true),
    ("bob", "Bob Example", "battery staple", false),
    (BLOCKED, "Carol Example", "paper clip", false),
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
    password: Password,
}

/// The claims of an access token, besides the registered ones.
#[derive(Serialize)]
pub(crate) struct Access {
    name: &'static str,
    roles: &'static [&'static str],
}

impl Users {
    pub(crate) fn demo() -> Result<Self, Unspecified> {
        let user = |(id, name, password, admin)| {
            Ok::<_, Unspecified>(User {
                id,
                name,
                admin: AtomicBool::new(admin),
                password: Password::new(password)?,
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
                .map_or(&users.0.nobody, |user| &user.password);
            stored.matches(&password)
        });
        let matches = matches.await.map_err(|_| Problem::INTERNAL)?;
        Ok(known & matches)
    }

    /// Called at login and at every refresh.
    pub(crate) fn claims(&self, id: &str) -> Option<Access> {
        let user = self.find(id)?;
        let admin = user.admin.load(Ordering::Relaxed);
        Some(Access {
            name: user.name,
            roles: if admin { &["user", "admin"] } else { &["user"] },
        })
    }

    /// Adds or removes the admin role. Returns whether the user has it now.
    pub(crate) fn toggle_admin(&self, id: &str) -> Option<bool> {
        let user = self.find(id)?;
        Some(!user.admin.fetch_not(Ordering::Relaxed))
    }
}

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
