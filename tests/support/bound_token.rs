//! A client with a token that is bound to its key.

use serde_json::{Value, json};

use crate::dpop_client::{Client, token_hash};

pub(crate) struct BoundToken {
    client: Client,
    pub(crate) token: String,
}

impl BoundToken {
    /// `bind` makes a token with this `cnf`.
    pub(crate) fn new(bind: impl FnOnce(Value) -> String) -> Self {
        let client = Client::new();
        let token = bind(json!({ "jkt": client.thumbprint() }));
        Self { client, token }
    }

    /// A proof for `GET https://api.example.com/`.
    pub(crate) fn proof(&self, jti: &str, issued_at: u64) -> String {
        let more = json!({ "jti": jti, "htm": "GET", "ath": token_hash(&self.token) });
        self.client
            .proof("https://api.example.com/", issued_at, &more)
    }
}
