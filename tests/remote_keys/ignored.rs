//! Tokens that count as missing, although their keys had to be fetched to know it.

use http::Request;
use http::header::COOKIE;
use tower::ServiceExt;
use tower_jwt_auth::keys::remote::RemoteKeys;
use tower_jwt_auth::middleware::TokenFault;
use tower_jwt_auth::{JwtAuthLayer, TokenSource};

use crate::issuer::{Answer, Issuer};
use crate::{App, Body, app, clock, key, token};

fn of(issuer: &Issuer, fault: TokenFault) -> App {
    let keys = RemoteKeys::discover(issuer.name()).clock(clock());
    let layer = JwtAuthLayer::new(keys.build().unwrap())
        .audience("api")
        .clock(clock())
        .sources([TokenSource::cookie("access")])
        .anonymous_if([fault]);
    app(&layer)
}

async fn status(app: App, token: &str) -> u16 {
    let request = Request::get("/").header(COOKIE, format!("access={token}"));
    let request = request.body(Body::empty()).unwrap();
    app.oneshot(request).await.unwrap().status().as_u16()
}

/// Each service waits for the keys at this request, which is its first.
#[tokio::test]
async fn a_token_of_an_unknown_key_counts_as_none_but_not_during_an_outage() {
    let issuer = Issuer::start().await;
    let of_another_key = token(&key("2"), issuer.name());
    issuer.publish([&key("1")]);
    for (fault, expected) in [(TokenFault::NoFittingKey, 200), (TokenFault::Expired, 401)] {
        let app = of(&issuer, fault);
        assert_eq!(status(app, &of_another_key).await, expected);
    }
    issuer.answer("/jwks", Answer::Status(500));
    let app = of(&issuer, TokenFault::NoFittingKey);
    assert_eq!(status(app, &of_another_key).await, 503);
}
