//! Asks the replay store about a good proof.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use tokio::time::timeout;

use super::replay::{Answer, ProofIdentity};
use super::settings::Dpop;

impl Dpop {
    /// Remembers a good proof, if the store answers without waiting.
    pub(crate) fn remember_now(&self, proof: &ProofIdentity<'_>) -> Option<Answer> {
        self.store.remember_now(proof)
    }

    /// Remembers a good proof, and waits for the store until the deadline.
    pub(crate) async fn remember(&self, proof: &ProofIdentity<'_>) -> Answer {
        // Without a runtime there is no timer, and no request may wait for ever.
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(Arc::new(NoAnswer::Runtime));
        }
        match timeout(self.deadline, self.store.remember(proof)).await {
            Ok(answer) => answer,
            Err(_) => Err(Arc::new(NoAnswer::Deadline)),
        }
    }
}

/// A failure that is not the store's error.
#[derive(Clone, Copy, Debug)]
enum NoAnswer {
    Deadline,
    Runtime,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deadline => "the replay store did not answer within the deadline",
            Self::Runtime => "there is no tokio runtime with a timer for the deadline",
        })
    }
}

impl Error for NoAnswer {}
