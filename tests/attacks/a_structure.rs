//! The shape of a token.

use tower_jwt_auth::VerifyErrorKind;

use crate::support::{app, bearer, good, layer};

#[tokio::test]
async fn a02_segments() {
    let app = app(layer());
    bearer(&app, &good()).await.accepted();
    for token in ["a", "a.b", "a.b.c.d", "a.b.c.d.e.f"] {
        bearer(&app, token).await.refused(VerifyErrorKind::Malformed);
    }
}
