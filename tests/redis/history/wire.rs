//! What the checker asks a node, and what that answers. A node in another process is asked in lines
//! of JSON.

use serde::{Deserialize, Serialize};
use tower_jwt_auth::claims::NumericDate;
use tower_jwt_auth::revocation::TokenIdentity;

pub(crate) const ISSUER: &str = "https://id.example.com";

/// What is known of an access token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) jti: String,
    pub(crate) sid: Option<String>,
    pub(crate) subject: String,
    pub(crate) issued_at: u64,
    pub(crate) expires_at: u64,
    pub(crate) generation: Option<u64>,
}

pub(crate) fn date(seconds: u64) -> NumericDate {
    NumericDate::from_seconds(seconds).unwrap()
}

impl Token {
    /// The claims of an access token. The checker trusts its own nodes.
    pub(crate) fn of_jwt(jwt: &str) -> Self {
        #[derive(Deserialize)]
        struct Claims {
            jti: String,
            sid: String,
            sub: String,
            iat: u64,
            exp: u64,
            generation: u64,
        }
        let payload = jwt.split('.').nth(1).unwrap();
        let payload = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(payload);
        let claims: Claims = serde_json::from_slice(&payload.unwrap()).unwrap();
        Self {
            jti: claims.jti,
            sid: Some(claims.sid),
            subject: claims.sub,
            issued_at: claims.iat,
            expires_at: claims.exp,
            generation: Some(claims.generation),
        }
    }

    pub(crate) fn id(&self) -> TokenIdentity<'_> {
        let mut id = TokenIdentity::new(date(self.expires_at))
            .issuer(ISSUER)
            .jti(&self.jti)
            .subject(&self.subject)
            .issued_at(date(self.issued_at));
        id.sid = self.sid.as_deref();
        id.generation = self.generation;
        id
    }
}

/// Number `number` of the revocations that are there from the beginning, so that there is something
/// to lose.
pub(crate) fn ballast(number: usize, expires_at: u64) -> Token {
    Token {
        jti: format!("ballast-{number}"),
        sid: None,
        subject: "ballast".to_owned(),
        issued_at: 1_000_000_000,
        expires_at,
        generation: None,
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    Login {
        subject: String,
    },
    Refresh {
        token: String,
    },
    Logout {
        token: String,
    },
    EndSession {
        sid: String,
    },
    LogoutEverywhere {
        subject: String,
    },
    Block {
        subject: String,
    },
    Unblock {
        subject: String,
    },
    RevokeToken {
        token: Token,
        waits: bool,
    },
    RevokeSession {
        sid: String,
        until: u64,
    },
    Cutoff {
        subject: String,
        second: u64,
        until: u64,
    },
    /// Revokes this part of the ballast.
    Ballast {
        from: usize,
        to: usize,
        expires_at: u64,
    },
    Look {
        tokens: Vec<Token>,
    },
    LookAtBallast {
        count: usize,
        expires_at: u64,
    },
    List {
        subject: String,
    },
    Subject {
        subject: String,
    },
    State,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    Done,
    Pair {
        access: String,
        refresh: String,
        sid: String,
    },
    /// One character for each token: `t`: revoked, `f`: not revoked, `-`: not known.
    Looked(String),
    /// How many are revoked, not revoked and not known; and the first that is not revoked.
    Ballast {
        revoked: usize,
        passed: usize,
        unknown: usize,
        first: usize,
    },
    Sessions(Vec<String>),
    Subject {
        generation: u64,
        blocked: bool,
    },
    /// `why`: it is not fresh, if it is not.
    State {
        is_fresh: bool,
        loads: u64,
        subjects: usize,
        entries: usize,
        bytes: usize,
        why: String,
    },
    /// The name of the error's kind.
    Failed(String),
}

impl Answer {
    /// Whether the call was refused for good, which is an answer too.
    pub(crate) fn refusal(&self) -> Option<&str> {
        match self {
            Self::Failed(kind)
                if matches!(
                    &**kind,
                    "ended"
                        | "expired"
                        | "reuse_detected"
                        | "blocked"
                        | "logged_out"
                        | "invalid_token"
                ) =>
            {
                Some(kind)
            }
            _ => None,
        }
    }

    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self, Self::Failed(_)) && self.refusal().is_none()
    }
}
