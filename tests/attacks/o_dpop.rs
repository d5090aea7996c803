//! DPoP proofs (RFC 9449): keys, claims, URLs and schemes.
#![expect(
    clippy::needless_pass_by_value,
    reason = "tests read better so: `json!` is passed by value"
)]

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::body::Body;
use http::header::WWW_AUTHENTICATE;
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tower::Layer;
use tower_jwt_auth::dpop::{Dpop, DpopErrorKind as Kind};
use tower_jwt_auth::keys::{Algorithm, VerifyingKey};
use tower_jwt_auth::{AuthErrorKind, JwtAuthLayer, TokenSource, VerifyErrorKind};

use crate::log::Log;
use crate::support::{
    Answer, ED25519, NOW, P256, P384, Signer, app, base64url, bearer, claims, ec_jwk, forge,
    forge_segments, good, hs256_token, layer, panics, rsa_jwk, send, with_headers,
};

/// The URL of every request here.
pub(crate) const URL: &str = "https://api.example.com/claims";

pub(crate) fn dpop() -> Dpop {
    Dpop::new("https://api.example.com").unwrap()
}

/// A layer for bound tokens alone.
pub(crate) fn layer_of(dpop: Dpop) -> JwtAuthLayer {
    layer().sources([TokenSource::dpop(dpop)])
}

fn bound_app() -> Router {
    app(layer_of(dpop()))
}

/// A client with a key.
pub(crate) struct Client {
    algorithm: &'static str,
    signer: Signer,
    jwk: Value,
}

impl Client {
    pub(crate) fn es256() -> Self {
        Self::new("ES256", Signer::es256(), &ec_jwk(&P256, "P-256", json!({})))
    }

    pub(crate) fn es384() -> Self {
        Self::new("ES384", Signer::es384(), &ec_jwk(&P384, "P-384", json!({})))
    }

    fn new(algorithm: &'static str, signer: Signer, jwk: &str) -> Self {
        Self {
            algorithm,
            signer,
            jwk: serde_json::from_str(jwk).unwrap(),
        }
    }

    /// A client of each kind of key.
    fn each() -> [Self; 6] {
        use aws_lc_rs::signature::KeyPair;

        let x = base64url(ED25519.public_key().as_ref());
        let ed25519 = json!({ "kty": "OKP", "crv": "Ed25519", "x": x }).to_string();
        [
            Self::es256(),
            Self::es384(),
            Self::new("EdDSA", Signer::ed25519(), &ed25519),
            Self::new("Ed25519", Signer::ed25519(), &ed25519),
            Self::new("RS256", Signer::rs256(), &rsa_jwk(json!({}))),
            Self::new("PS256", Signer::ps256(), &rsa_jwk(json!({}))),
        ]
    }

    pub(crate) fn thumbprint(&self) -> String {
        let key = VerifyingKey::from_jwk(self.jwk.to_string()).unwrap();
        key.jwk_thumbprint().unwrap()
    }

    /// A token that is bound to the key.
    pub(crate) fn token(&self) -> String {
        self.token_with(json!({}))
    }

    pub(crate) fn token_with(&self, more: Value) -> String {
        let cnf = json!({ "cnf": { "jkt": self.thumbprint() } });
        hs256_token(claims(overlay(cnf, more)))
    }

    fn header(&self, more: Value) -> Value {
        let header = json!({ "typ": "dpop+jwt", "alg": self.algorithm, "jwk": self.jwk });
        overlay(header, more)
    }

    /// A good proof, with `more` laid over its claims.
    pub(crate) fn proof(&self, token: &str, more: Value) -> String {
        self.forge(json!({}), overlay(proof_claims(token), more))
    }

    fn forge(&self, header: Value, claims: impl ToString) -> String {
        let header = self.header(header).to_string();
        forge(header, claims.to_string(), &self.signer)
    }
}

/// `more` laid over the members of `base`. `null` removes a member.
fn overlay(mut base: Value, more: Value) -> Value {
    let members = base.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    members.retain(|_, value| !value.is_null());
    base
}

fn proof_claims(token: &str) -> Value {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    json!({
        "jti": format!("proof-{number}"),
        "htm": "GET",
        "htu": URL,
        "iat": NOW,
        "ath": base64url(digest(&SHA256, token.as_bytes())),
    })
}

/// `GET /claims` with a token under `DPoP`, and a proof.
pub(crate) async fn prove(app: &Router, token: &str, proof: &str) -> Answer {
    send(app, proven(token, proof)).await
}

pub(crate) fn proven(token: &str, proof: &str) -> Request<Body> {
    let credentials = format!("DPoP {token}");
    with_headers("GET", &[("authorization", &credentials), ("dpop", proof)])
}

impl Answer {
    /// 401 with a challenge for DPoP.
    #[track_caller]
    pub(crate) fn unproven(&self, kind: Kind) {
        let rejected = Some(AuthErrorKind::InvalidProof(kind));
        assert_eq!(self.kind(), rejected, "{} for {}", self.body, self.asked);
        assert_eq!(self.status, StatusCode::UNAUTHORIZED);
        let code = match kind {
            Kind::WrongKey | Kind::UnboundToken => "invalid_token",
            Kind::MissingNonce | Kind::StaleNonce => "use_dpop_nonce",
            _ => "invalid_dpop_proof",
        };
        let challenge = self.challenge().unwrap();
        let start = format!(r#"DPoP realm="api", error="{code}", "#);
        assert!(challenge.starts_with(&start), "{challenge}");
        assert!(challenge.contains(r#", algs="RS256 "#), "{challenge}");
    }
}

#[tokio::test]
async fn o01_a_request_has_one_proof() {
    let app = bound_app();
    let client = Client::es256();
    let token = client.token();
    let proof = || client.proof(&token, json!({}));
    let credentials = format!("DPoP {token}");
    let missing = with_headers("GET", &[("authorization", &credentials)]);
    send(&app, missing).await.unproven(Kind::MissingProof);
    let (one, other) = (proof(), proof());
    for second in [&*one, &other, ""] {
        let headers = [
            ("authorization", &*credentials),
            ("dpop", &one),
            ("dpop", second),
        ];
        let answer = send(&app, with_headers("GET", &headers)).await;
        answer.unproven(Kind::SeveralProofs);
    }
    for joined in [
        format!("{one}, {other}"),
        format!("{one},{other}"),
        String::new(),
    ] {
        prove(&app, &token, &joined).await.unproven(Kind::Malformed);
    }
    for name in ["x-dpop", "dpop-proof", "proof"] {
        let headers = [("authorization", &*credentials), (name, &one)];
        let answer = send(&app, with_headers("GET", &headers)).await;
        answer.unproven(Kind::MissingProof);
    }
    prove(&app, &token, &one).await.accepted();
}

#[tokio::test]
async fn o02_private_and_symmetric_keys() {
    let app = bound_app();
    let client = Client::es256();
    let token = client.token();
    for (member, kind) in [
        (json!({ "d": "AAAA" }), Kind::PrivateKey),
        (json!({ "p": "AAAA" }), Kind::PrivateKey),
        (json!({ "q": "" }), Kind::PrivateKey),
        (json!({ "dp": "AAAA" }), Kind::PrivateKey),
        (json!({ "dq": "AAAA" }), Kind::PrivateKey),
        (json!({ "qi": "AAAA" }), Kind::PrivateKey),
        (json!({ "k": "AAAA" }), Kind::PrivateKey),
        (json!({ "kty": "oct", "k": "AAAA" }), Kind::InvalidKey),
        (json!({ "kty": "oct" }), Kind::InvalidKey),
        (json!({ "kty": "RSA" }), Kind::InvalidKey),
        (json!({ "kty": null }), Kind::InvalidKey),
        (json!({ "crv": "P-384" }), Kind::InvalidKey),
        (json!({ "crv": null }), Kind::InvalidKey),
        (json!({ "x": null }), Kind::InvalidKey),
        (json!({ "x": "AAAA" }), Kind::InvalidKey),
        (json!({ "y": client.jwk["x"] }), Kind::InvalidKey),
        (json!({ "alg": "ES384" }), Kind::InvalidKey),
        (json!({ "use": "enc" }), Kind::InvalidKey),
        (json!({ "key_ops": ["sign"] }), Kind::InvalidKey),
    ] {
        let jwk = overlay(client.jwk.clone(), member);
        let proof = client.forge(json!({ "jwk": jwk }), proof_claims(&token));
        prove(&app, &token, &proof).await.unproven(kind);
    }
    // As WebCrypto exports a public key.
    let exported = json!({ "ext": true, "key_ops": ["verify"], "kid": "x", "use": "sig" });
    let jwk = overlay(client.jwk.clone(), exported);
    let proof = client.forge(json!({ "jwk": jwk }), proof_claims(&token));
    prove(&app, &token, &proof).await.accepted();
}

#[tokio::test]
async fn o03_algorithms() {
    let app = bound_app();
    for client in Client::each() {
        let token = client.token();
        let proof = client.proof(&token, json!({}));
        prove(&app, &token, &proof).await.accepted();
        for algorithm in [
            "none", "None", "", "HS256", "HS512", "es256", "ES256 ", "RS1",
        ] {
            let header = json!({ "alg": algorithm });
            let proof = client.forge(header, proof_claims(&token));
            let answer = prove(&app, &token, &proof).await;
            answer.unproven(Kind::UnsupportedAlgorithm);
        }
        let other = match client.algorithm {
            "ES384" => "ES256",
            _ => "ES384",
        };
        let proof = client.forge(json!({ "alg": other }), proof_claims(&token));
        prove(&app, &token, &proof).await.unproven(Kind::InvalidKey);
        let proof = client.forge(json!({ "alg": null }), proof_claims(&token));
        prove(&app, &token, &proof).await.unproven(Kind::Malformed);
    }
    let client = Client::es256();
    let unsigned = client.header(json!({ "alg": "none" })).to_string();
    let token = client.token();
    let unsigned = format!(
        "{}.{}.",
        base64url(unsigned),
        base64url(proof_claims(&token).to_string())
    );
    prove(&app, &token, &unsigned)
        .await
        .unproven(Kind::Malformed);

    let few = layer_of(dpop().algorithms([Algorithm::ES384]));
    let few = crate::support::app(few);
    let answer = prove(&few, &token, &client.proof(&token, json!({}))).await;
    let kind = AuthErrorKind::InvalidProof(Kind::UnsupportedAlgorithm);
    assert_eq!(answer.kind(), Some(kind));
    assert!(answer.challenge().unwrap().contains(r#", algs="ES384""#));
    for wrong in [
        &[][..],
        &[Algorithm::HS256],
        &[Algorithm::ES256, Algorithm::HS512],
    ] {
        assert!(panics(|| dpop().algorithms(wrong.iter().copied())));
    }
}

#[tokio::test]
async fn o04_another_type() {
    let app = bound_app();
    let client = Client::es256();
    let token = client.token();
    for typ in [
        json!(null),
        json!("JWT"),
        json!("at+jwt"),
        json!("DPOP+JWT"),
        json!("application/dpop+jwt"),
        json!("dpop+jwt "),
        json!(""),
    ] {
        let proof = client.forge(json!({ "typ": typ }), proof_claims(&token));
        prove(&app, &token, &proof).await.unproven(Kind::WrongType);
    }
    // A token is no proof, and a proof is no token.
    prove(&app, &token, &token).await.unproven(Kind::WrongType);
    let proof = client.proof(&token, json!({}));
    let answer = prove(&app, &proof, &proof).await;
    answer.refused(VerifyErrorKind::WrongType);
}

#[tokio::test]
async fn o05_header_members_that_change_the_meaning() {
    let app = bound_app();
    let client = Client::es256();
    let token = client.token();
    for header in [
        json!({ "crit": ["exp"], "exp": 1 }),
        json!({ "crit": [] }),
        json!({ "b64": false }),
        json!({ "b64": true }),
        json!({ "zip": "DEF" }),
        json!({ "cty": "JWT" }),
    ] {
        let proof = client.forge(header, proof_claims(&token));
        let answer = prove(&app, &token, &proof).await;
        answer.unproven(Kind::UnsupportedHeader);
    }
    let jwk = client.jwk.to_string();
    let payload = proof_claims(&token).to_string();
    for header in [
        format!(r#"{{"typ":"dpop+jwt","typ":"dpop+jwt","alg":"ES256","jwk":{jwk}}}"#),
        format!(r#"{{"typ":"dpop+jwt","alg":"ES256","\u0061lg":"ES256","jwk":{jwk}}}"#),
        format!(r#"{{"typ":"dpop+jwt","alg":"ES256","jwk":{jwk},"jwk":{jwk}}}"#),
        format!(r#"{{"typ":"dpop+jwt","alg":"ES256","x":1,"x":1,"jwk":{jwk}}}"#),
        r#"{"typ":"dpop+jwt","alg":"ES256"}"#.to_owned(),
        format!(r#"["dpop+jwt","ES256",{jwk}]"#),
        format!(r#"{{"typ":"dpop+jwt","alg":"ES256","jwk":{jwk}}}x"#),
        String::new(),
    ] {
        let proof = forge(&header, &payload, &client.signer);
        prove(&app, &token, &proof).await.unproven(Kind::Malformed);
    }
    let coordinate = |name: &str| client.jwk[name].as_str().unwrap().to_owned();
    let (x, y) = (coordinate("x"), coordinate("y"));
    for jwk in [
        "null".to_owned(),
        "[]".to_owned(),
        r#""jwk""#.to_owned(),
        format!(r#"["EC","P-256","{x}","{y}"]"#),
        format!(r#"{{"kty":"EC","crv":"P-256","crv":"P-256","x":"{x}","y":"{y}"}}"#),
        format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","\u0078":"{x}","y":"{y}"}}"#),
        format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}=","y":"{y}"}}"#),
    ] {
        let header = format!(r#"{{"typ":"dpop+jwt","alg":"ES256","jwk":{jwk}}}"#);
        let proof = forge(&header, &payload, &client.signer);
        prove(&app, &token, &proof).await.unproven(Kind::InvalidKey);
    }
    // Keys and certificates that the client names elsewhere are not read.
    let header = json!({ "jku": "https://evil.example", "x5u": "x", "kid": "../x", "x5c": [] });
    let proof = client.forge(header, proof_claims(&token));
    prove(&app, &token, &proof).await.accepted();
}

#[tokio::test]
async fn o06_what_is_no_proof() {
    let app = bound_app();
    let client = Client::es256();
    let token = client.token();
    let good_proof = client.proof(&token, json!({}));
    let segments: Vec<_> = good_proof.split('.').collect();
    let [header, payload, signature]: [&str; 3] = segments.try_into().unwrap();
    for proof in [
        "x".to_owned(),
        "..".to_owned(),
        format!("{header}.{payload}"),
        format!("{header}.{payload}."),
        format!("{good_proof}.x"),
        format!("{header}.{payload}.{signature}.a.b"),
        format!("{header}.{payload}.{signature}="),
        format!("{header}=.{payload}.{signature}"),
        format!("DPoP {good_proof}"),
        format!("{{\"payload\":\"{payload}\"}}"),
    ] {
        prove(&app, &token, &proof).await.unproven(Kind::Malformed);
    }
    for payload in ["", "null", "[]", "7", "{", "{}", r#""x""#] {
        let header = client.header(json!({})).to_string();
        let proof = forge(header, payload, &client.signer);
        prove(&app, &token, &proof).await.unproven(Kind::Malformed);
    }
    let header = base64url(client.header(json!({})).to_string());
    let not_text = base64url(b"{\"htm\":\"\xff\"}");
    let proof = forge_segments(&header, &not_text, &client.signer);
    prove(&app, &token, &proof).await.unproven(Kind::Malformed);
    prove(&app, &token, &good_proof).await.accepted();
}

#[tokio::test]
async fn o07_keys_and_signatures_of_others() {
    let app = bound_app();
    let (owner, thief) = (Client::es256(), Client::es384());
    let token = owner.token();
    let answer = prove(&app, &token, &thief.proof(&token, json!({}))).await;
    answer.unproven(Kind::WrongKey);
    // The header of the owner, over the signature of the thief.
    let header = owner.header(json!({})).to_string();
    let proof = forge(header, proof_claims(&token).to_string(), &thief.signer);
    prove(&app, &token, &proof)
        .await
        .unproven(Kind::BadSignature);
    // Claims changed under a good signature.
    let good_proof = owner.proof(&token, json!({}));
    prove(&app, &token, &good_proof).await.accepted();
    let (input, signature) = good_proof.rsplit_once('.').unwrap();
    let (header, _) = input.split_once('.').unwrap();
    let changed = base64url(proof_claims(&token).to_string());
    let answer = prove(&app, &token, &format!("{header}.{changed}.{signature}")).await;
    answer.unproven(Kind::BadSignature);
    let none = base64url([0; 64]);
    let answer = prove(&app, &token, &format!("{header}.{changed}.{none}")).await;
    answer.unproven(Kind::BadSignature);
}

#[tokio::test]
async fn o08_a_bound_token_needs_its_proof() {
    let client = Client::es256();
    let token = client.token();
    let proof = client.proof(&token, json!({}));
    let sources = [
        TokenSource::dpop(dpop()),
        TokenSource::bearer(),
        TokenSource::cookie("access"),
        TokenSource::header("x-token"),
        TokenSource::custom(|request| {
            let token = request.headers.get("x-custom")?.to_str().ok()?;
            Some(token.into())
        }),
    ];
    let app = app(layer().sources(sources));
    let credentials = format!("Bearer {token}");
    let cookie = format!("access={token}");
    for header in [
        ("authorization", &*credentials),
        ("cookie", &cookie),
        ("x-token", &token),
        ("x-custom", &token),
    ] {
        for headers in [&[header][..], &[header, ("dpop", &proof)]] {
            // Found in the cache, too.
            for _ in 0..2 {
                let answer = send(&app, with_headers("GET", headers)).await;
                answer.refused(VerifyErrorKind::SenderConstrained);
                let challenges: Vec<_> = answer.headers.get_all(WWW_AUTHENTICATE).iter().collect();
                assert_eq!(challenges.len(), 2);
                assert!(
                    challenges[1]
                        .to_str()
                        .unwrap()
                        .starts_with(r#"DPoP realm="api", algs="#)
                );
            }
        }
        prove(&app, &token, &client.proof(&token, json!({})))
            .await
            .accepted();
        let answer = send(&app, with_headers("GET", &[header])).await;
        answer.refused(VerifyErrorKind::SenderConstrained);
    }
    bearer(&app, &good()).await.accepted();
}

#[tokio::test]
async fn o09_an_unbound_token_has_no_proof() {
    let client = Client::es256();
    let app = app(layer().source(TokenSource::dpop(dpop())));
    let token = good();
    for _ in 0..2 {
        let answer = prove(&app, &token, &client.proof(&token, json!({}))).await;
        answer.unproven(Kind::UnboundToken);
        let headers = [("authorization", &*format!("DPoP {token}"))];
        let answer = send(&app, with_headers("GET", &headers)).await;
        answer.unproven(Kind::UnboundToken);
        bearer(&app, &token).await.accepted();
    }
}

#[tokio::test]
async fn o10_another_method() {
    let app = bound_app();
    let client = Client::es256();
    let token = client.token();
    for method in ["POST", "get", "Get", "GET ", "", "HEAD"] {
        let proof = client.proof(&token, json!({ "htm": method }));
        prove(&app, &token, &proof)
            .await
            .unproven(Kind::WrongMethod);
    }
    let credentials = format!("DPoP {token}");
    for (method, is_accepted) in [("POST", true), ("GET", false)] {
        let proof = client.proof(&token, json!({ "htm": method }));
        let headers = [("authorization", &*credentials), ("dpop", &proof)];
        let answer = send(&app, with_headers("POST", &headers)).await;
        assert_eq!(answer.status == StatusCode::OK, is_accepted, "{method}");
    }
    // What frameworks read as another method does not count.
    let proof = client.proof(&token, json!({ "htm": "DELETE" }));
    let headers = [
        ("authorization", &*credentials),
        ("dpop", &proof),
        ("x-http-method-override", "DELETE"),
    ];
    let answer = send(&app, with_headers("POST", &headers)).await;
    answer.unproven(Kind::WrongMethod);
}

/// Whether a proof with this `htu` is accepted for `GET` of `target`.
async fn is_url(dpop: Dpop, htu: &str, target: &str) -> bool {
    let client = Client::es256();
    let token = client.token();
    let mut request = proven(&token, &client.proof(&token, json!({ "htu": htu })));
    *request.uri_mut() = target.parse().unwrap();
    let service = layer_of(dpop).layer(tower::service_fn(async |_: Request<Body>| {
        Ok::<_, std::convert::Infallible>(http::Response::new(Body::empty()))
    }));
    let response = tower::ServiceExt::oneshot(service, request).await.unwrap();
    if response.status() != StatusCode::OK {
        let error: &tower_jwt_auth::AuthError = response.extensions().get().unwrap();
        assert_eq!(
            error.kind(),
            AuthErrorKind::InvalidProof(Kind::WrongUrl),
            "{htu}"
        );
    }
    response.status() == StatusCode::OK
}

#[tokio::test]
async fn o11_query_and_fragment_do_not_count() {
    for (htu, target, expected) in [
        (URL, "/claims?a=b", true),
        ("https://api.example.com/claims?a=b", "/claims", true),
        ("https://api.example.com/claims?x=y#z", "/claims?a=b", true),
        ("https://api.example.com/claims#/other", "/claims", true),
        ("https://api.example.com/other?/claims", "/claims", false),
        ("https://api.example.com/claims", "/other?/claims", false),
        ("https://api.example.com/claims/", "/claims", false),
        ("https://api.example.com/Claims", "/claims", false),
        ("https://api.example.com", "/", true),
        ("https://api.example.com/", "/?a", true),
        ("/claims", "/claims", false),
        ("//api.example.com/claims", "/claims", false),
        ("claims", "/claims", false),
        ("", "/claims", false),
        (" https://api.example.com/claims", "/claims", false),
        ("https://api.example.com/claims\n", "/claims", false),
    ] {
        assert_eq!(
            is_url(dpop(), htu, target).await,
            expected,
            "{htu} {target}"
        );
    }
}

#[tokio::test]
async fn o12_dot_segments_and_percent_encoding() {
    for (htu, target, expected) in [
        ("https://api.example.com/a/../claims", "/claims", true),
        ("https://api.example.com/./claims", "/claims", true),
        ("https://api.example.com/a/%2e%2E/claims", "/claims", true),
        ("https://api.example.com/%63laims", "/claims", true),
        ("https://api.example.com/claims", "/%63laims", true),
        ("https://api.example.com/a%2fb", "/a%2Fb", true),
        ("https://api.example.com/a/b", "/a%2Fb", false),
        ("https://api.example.com/a%252Fb", "/a%2Fb", false),
        ("https://api.example.com/%C3%A4", "/%c3%a4", true),
        ("https://api.example.com/a//b", "/a//b", true),
        ("https://api.example.com/a/b", "/a//b", false),
        ("https://api.example.com/a|b", "/a|b", true),
        ("https://api.example.com/%", "/claims", false),
        ("https://api.example.com/%zz", "/claims", false),
        ("https://api.example.com\\claims", "/claims", false),
    ] {
        assert_eq!(
            is_url(dpop(), htu, target).await,
            expected,
            "{htu} {target}"
        );
    }
}

#[tokio::test]
async fn o13_scheme_and_port() {
    let url = |base: &str| Dpop::new(base).unwrap();
    for (base, htu, expected) in [
        ("https://a.example", "https://a.example:443/claims", true),
        ("https://a.example", "https://a.example:/claims", true),
        ("https://a.example:443", "https://a.example/claims", true),
        ("https://a.example", "HTTPS://A.Example/claims", true),
        ("https://a.example", "http://a.example/claims", false),
        ("https://a.example", "http://a.example:443/claims", false),
        ("https://a.example", "https://a.example:80/claims", false),
        ("https://a.example", "https://a.example:8443/claims", false),
        (
            "https://a.example:8443",
            "https://a.example:8443/claims",
            true,
        ),
        ("https://a.example:8443", "https://a.example/claims", false),
        (
            "https://a.example:8443",
            "https://a.example:08443/claims",
            false,
        ),
        (
            "https://a.example",
            "https://a.example.evil.example/claims",
            false,
        ),
        ("https://a.example", "https://a.example./claims", false),
        ("https://a.example", "https://xa.example/claims", false),
        (
            "http://localhost:3000",
            "http://localhost:3000/claims",
            true,
        ),
        ("https://[::1]", "https://[0:0:0:0:0:0:0:1]/claims", true),
    ] {
        assert_eq!(
            is_url(url(base), htu, "/claims").await,
            expected,
            "{base} {htu}"
        );
    }
    let both = || {
        url("https://a.example")
            .base_url("https://b.example")
            .unwrap()
    };
    assert!(is_url(both(), "https://a.example/claims", "/claims").await);
    assert!(is_url(both(), "https://b.example/claims", "/claims").await);
    assert!(!is_url(both(), "https://c.example/claims", "/claims").await);
}

#[tokio::test]
async fn o14_international_names() {
    let base = || Dpop::new("https://xn--exmple-cua.com").unwrap();
    for (htu, expected) in [
        ("https://xn--exmple-cua.com/claims", true),
        ("https://XN--Exmple-CUA.com/claims", true),
        ("https://exämple.com/claims", false),
        ("https://ex%C3%A4mple.com/claims", false),
        ("https://example.com/claims", false),
        // Letters of other scripts that look like Latin ones.
        ("https://xn--\u{435}xmple-cua.com/claims", false),
    ] {
        assert_eq!(is_url(base(), htu, "/claims").await, expected, "{htu}");
    }
    assert!(Dpop::new("https://exämple.com").is_err());
}

#[tokio::test]
async fn o15_user_information() {
    for htu in [
        "https://api.example.com@evil.example/claims",
        "https://evil.example@api.example.com/claims",
        "https://me:secret@api.example.com/claims",
        "https://@api.example.com/claims",
        "https://api.example.com%40evil.example/claims",
        "https://evil.example/https://api.example.com/claims",
    ] {
        assert!(!is_url(dpop(), htu, "/claims").await, "{htu}");
    }
}

#[tokio::test]
async fn o16_the_host_is_not_taken_from_the_request() {
    let app = bound_app();
    let client = Client::es256();
    let token = client.token();
    let evil = "https://evil.example/claims";
    let credentials = format!("DPoP {token}");
    for header in [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "host=evil.example;proto=https"),
        ("x-forwarded-proto", "http"),
        ("x-original-url", evil),
    ] {
        let proof = client.proof(&token, json!({ "htu": evil }));
        let headers = [("authorization", &*credentials), ("dpop", &proof), header];
        let answer = send(&app, with_headers("GET", &headers)).await;
        answer.unproven(Kind::WrongUrl);
        let proof = client.proof(&token, json!({}));
        let headers = [("authorization", &*credentials), ("dpop", &proof), header];
        send(&app, with_headers("GET", &headers)).await.accepted();
    }
    // An absolute target, as proxies get it.
    assert!(!is_url(dpop(), evil, evil).await);
    assert!(is_url(dpop(), URL, evil).await);
    // The source shows what is configured.
    let proof = client.proof(&token, json!({ "htu": evil }));
    let error = prove(&app, &token, &proof).await.error.unwrap();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(
        source,
        r#"expected an htu under one of the base URLs ["https://api.example.com"]"#
    );
}

#[tokio::test]
async fn o17_paths_of_the_request_that_leave_the_base() {
    let v1 = || Dpop::new("https://api.example.com/v1").unwrap();
    let admin = "https://api.example.com/admin";
    for target in [
        "/../admin",
        "/%2e%2e/admin",
        "/a/../../admin",
        "/.%2E/admin",
    ] {
        assert!(!is_url(v1(), admin, target).await, "{target}");
        let literal = format!("https://api.example.com/v1{target}");
        assert!(!is_url(v1(), &literal, target).await, "{target}");
    }
    assert!(!is_url(v1(), "https://api.example.com/v1*", "*").await);
    assert!(!is_url(v1(), "https://api.example.com/v1", "*").await);
    // What `nest` and proxies remove is part of the base.
    let nested = Router::new().nest("/v1", app(layer_of(v1())));
    let client = Client::es256();
    let token = client.token();
    for (htu, is_accepted) in [("https://api.example.com/v1/claims", true), (URL, false)] {
        let mut request = proven(&token, &client.proof(&token, json!({ "htu": htu })));
        *request.uri_mut() = "/v1/claims".parse().unwrap();
        let answer = send(&nested, request).await;
        assert_eq!(answer.status == StatusCode::OK, is_accepted, "{htu}");
    }
}

#[tokio::test]
async fn o18_the_window_of_iat() {
    let app = bound_app();
    let client = Client::es256();
    let token = client.token();
    for (iat, kind) in [
        (json!(NOW + 30), None),
        (json!(NOW + 31), Some(Kind::IssuedInFuture)),
        (serde_json::from_str(&format!("{NOW}.5")).unwrap(), None),
        (json!(NOW + 86_400), Some(Kind::IssuedInFuture)),
        (json!(NOW - 59), None),
        (json!(NOW - 60), Some(Kind::Expired)),
        (json!(0), Some(Kind::Expired)),
    ] {
        let proof = client.proof(&token, json!({ "iat": iat }));
        let answer = prove(&app, &token, &proof).await;
        match kind {
            None => drop(answer.accepted()),
            Some(kind) => answer.unproven(kind),
        }
    }
    let short = layer_of(dpop().lifetime(std::time::Duration::from_secs(5)));
    let short = crate::support::app(short);
    let proof = client.proof(&token, json!({ "iat": NOW - 5 }));
    prove(&short, &token, &proof).await.unproven(Kind::Expired);
    let proof = client.proof(&token, json!({ "iat": NOW - 4 }));
    prove(&short, &token, &proof).await.accepted();
    for seconds in [0, 301] {
        assert!(panics(
            || dpop().lifetime(std::time::Duration::from_secs(seconds))
        ));
    }
}

#[tokio::test]
async fn o19_dates_that_are_none() {
    let app = bound_app();
    let client = Client::es256();
    let token = client.token();
    let ath = base64url(digest(&SHA256, token.as_bytes()));
    for iat in [
        "null",
        "\"1800000000\"",
        "-1",
        "1e300",
        "[1800000000]",
        "253402300800",
        "true",
    ] {
        let payload =
            format!(r#"{{"jti":"x","htm":"GET","htu":"{URL}","iat":{iat},"ath":"{ath}"}}"#);
        let proof = client.forge(json!({}), payload);
        prove(&app, &token, &proof).await.unproven(Kind::Malformed);
    }
    let proof = client.proof(&token, json!({ "iat": null }));
    prove(&app, &token, &proof).await.unproven(Kind::Malformed);
}

#[tokio::test]
async fn o20_the_digest_of_the_token() {
    let app = bound_app();
    let client = Client::es256();
    let token = client.token();
    let other = client.token_with(json!({ "sub": "mallory" }));
    let hash = |text: &str| base64url(digest(&SHA256, text.as_bytes()));
    for ath in [
        json!(null),
        json!(""),
        json!(hash(&other)),
        json!(hash("")),
        json!(format!("{}=", hash(&token))),
        json!(hash(&token).to_lowercase()),
    ] {
        let proof = client.proof(&token, json!({ "ath": ath }));
        prove(&app, &token, &proof)
            .await
            .unproven(Kind::WrongTokenHash);
    }
    let proof = client.proof(&token, json!({ "ath": [hash(&token)] }));
    prove(&app, &token, &proof).await.unproven(Kind::Malformed);
    // A proof for one token of the client is none for another.
    let proof = client.proof(&token, json!({}));
    prove(&app, &other, &proof)
        .await
        .unproven(Kind::WrongTokenHash);
    prove(&app, &token, &proof).await.accepted();
}

#[tokio::test]
async fn o21_ids_of_any_length() {
    let app = bound_app();
    let client = Client::es256();
    let token = client.token();
    for (jti, kind) in [
        (json!("x".repeat(256)), None),
        (json!("x".repeat(257)), Some(Kind::InvalidId)),
        (json!("ä".repeat(129)), Some(Kind::InvalidId)),
        (json!(""), Some(Kind::InvalidId)),
        (json!("x".repeat(4000)), Some(Kind::TooLong)),
        (json!("x".repeat(1 << 20)), Some(Kind::TooLong)),
        (json!(null), Some(Kind::Malformed)),
        (json!(7), Some(Kind::Malformed)),
        (json!(["x"]), Some(Kind::Malformed)),
    ] {
        let proof = client.proof(&token, json!({ "jti": jti }));
        let answer = prove(&app, &token, &proof).await;
        match kind {
            None => drop(answer.accepted()),
            Some(kind) => answer.unproven(kind),
        }
    }
}

#[tokio::test]
async fn o26_a_proof_is_no_token() {
    let client = Client::es256();
    let token = client.token();
    let proof = client.proof(&token, json!({}));
    let sources = [TokenSource::bearer(), TokenSource::dpop(dpop())];
    let (bound, both) = (bound_app(), app(layer().sources(sources)));
    for headers in [
        &[("dpop", &*proof)][..],
        &[("dpop", &proof), ("authorization", "Basic x")],
        &[("dpop", &proof), ("x-authorization", &token)],
        &[],
    ] {
        let answer = send(&bound, with_headers("GET", headers)).await;
        assert_eq!(answer.kind(), Some(AuthErrorKind::MissingToken));
        let challenges: Vec<_> = answer.headers.get_all(WWW_AUTHENTICATE).iter().collect();
        assert_eq!(challenges.len(), 1);
        let start = r#"DPoP realm="api", algs="RS256 "#;
        assert!(answer.challenge().unwrap().starts_with(start));

        let answer = send(&both, with_headers("GET", headers)).await;
        let challenges: Vec<_> = answer.headers.get_all(WWW_AUTHENTICATE).iter().collect();
        assert_eq!(challenges.len(), 2);
        assert_eq!(challenges[0], r#"Bearer realm="api""#);
        assert!(challenges[1].to_str().unwrap().starts_with(start));
    }
    // A layer without this source does not know the scheme.
    let answer = prove(&app(layer()), &good(), &proof).await;
    assert_eq!(answer.kind(), Some(AuthErrorKind::MissingToken));
}

#[tokio::test]
async fn o27_credentials_that_are_malformed() {
    let client = Client::es256();
    let token = client.token();
    let sources = [TokenSource::bearer(), TokenSource::dpop(dpop())];
    let app = app(layer().sources(sources));
    let proof = || client.proof(&token, json!({}));
    for credentials in [
        "DPoP".to_owned(),
        "DPoP ".to_owned(),
        "dpop".to_owned(),
        format!("DPoP{token}"),
        format!("DPoP\t{token}"),
        format!("DPoP {token} x"),
        format!("DPoP {token},{token}"),
        format!("DPoP \"{token}\""),
        format!("DPoP {token}ä"),
    ] {
        let headers = [("authorization", &*credentials), ("dpop", &proof())];
        let answer = send(&app, with_headers("GET", &headers)).await;
        answer.malformed();
        assert!(
            answer.challenge().unwrap().starts_with("DPoP "),
            "{credentials}"
        );
    }
    for (one, other) in [("DPoP", "DPoP"), ("Bearer", "DPoP"), ("DPoP", "Bearer")] {
        let (one, other) = (format!("{one} {token}"), format!("{other} {token}"));
        let headers = [
            ("authorization", &*one),
            ("authorization", &other),
            ("dpop", &proof()),
        ];
        send(&app, with_headers("GET", &headers)).await.malformed();
        let joined = format!("{one}, {other}");
        let headers = [("authorization", &*joined), ("dpop", &proof())];
        send(&app, with_headers("GET", &headers)).await.malformed();
    }
    for scheme in ["dpop", "DPOP", "dPoP"] {
        let credentials = format!("{scheme}  {token}");
        let headers = [("authorization", &*credentials), ("dpop", &proof())];
        send(&app, with_headers("GET", &headers)).await.accepted();
    }
}

#[tokio::test]
async fn o33_confirmations_that_nobody_checks() {
    let app = bound_app();
    let client = Client::es256();
    let thumbprint = client.thumbprint();
    let refused = VerifyErrorKind::SenderConstrained;
    for (cnf, kind) in [
        (
            format!(r#"{{"jkt":"{thumbprint}","x5t#S256":"x"}}"#),
            refused,
        ),
        (format!(r#"{{"unknown":1,"jkt":"{thumbprint}"}}"#), refused),
        (
            format!(r#"{{"jkt":"{thumbprint}","jkt":"{thumbprint}"}}"#),
            refused,
        ),
        (
            format!(r#"{{"jkt":"x","\u006akt":"{thumbprint}"}}"#),
            refused,
        ),
        (format!(r#"{{"jkt":"{thumbprint}="}}"#), refused),
        (format!(r#"{{"jkt":["{thumbprint}"]}}"#), refused),
        (format!(r#"{{"JKT":"{thumbprint}"}}"#), refused),
        (r#"{"jkt":null}"#.to_owned(), refused),
        (r#"{"jkt":""}"#.to_owned(), refused),
        (r#"{"x5t#S256":"x"}"#.to_owned(), refused),
        ("{}".to_owned(), refused),
        ("null".to_owned(), VerifyErrorKind::MalformedClaims),
        (
            format!(r#""{thumbprint}""#),
            VerifyErrorKind::MalformedClaims,
        ),
    ] {
        let payload = format!(r#"{{"sub":"alice","exp":{},"cnf":{cnf}}}"#, NOW + 300);
        let token = hs256_token(payload);
        let answer = prove(&app, &token, &client.proof(&token, json!({}))).await;
        answer.refused(kind);
        assert!(answer.challenge().unwrap().starts_with("DPoP "));
    }
}

#[tokio::test]
async fn o36_rejections_hold_nothing_of_the_proof() {
    let app = bound_app();
    let client = Client::es256();
    let token = client.token();
    let log = Log::start();
    for more in [
        json!({ "htu": "https://canary.example/canary" }),
        json!({ "htm": "canary" }),
        json!({ "jti": format!("canary{}", "x".repeat(300)) }),
        json!({ "ath": "canary" }),
        json!({ "iat": "canary" }),
        json!({ "nonce": "canary", "htm": "canary" }),
    ] {
        let answer = prove(&app, &token, &client.proof(&token, more)).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        let error = answer.error.as_ref().unwrap();
        let mut texts = vec![answer.body.clone(), format!("{error:?} {error}")];
        texts.extend(
            answer
                .headers
                .values()
                .map(|value| value.to_str().unwrap().to_owned()),
        );
        texts.extend(log.take());
        for text in texts {
            assert!(!text.contains("canary") && !text.contains(&token), "{text}");
        }
    }
    let layer = format!("{:?}", layer_of(dpop().nonces([b'C'; 32]).unwrap()));
    assert!(
        !layer.contains("CC") && !layer.contains("67, 67"),
        "{layer}"
    );
}

#[test]
fn o37_a_bound_token_cannot_be_allowed_without_its_proof() {
    let service = tower::service_fn(async |_: Request<Body>| {
        Ok::<_, std::convert::Infallible>(http::Response::new(Body::empty()))
    });
    let layer = || layer_of(dpop());
    for wrong in [
        layer().allow_confirmation("jkt"),
        crate::support::layer()
            .allow_confirmation("jkt")
            .source(TokenSource::dpop(dpop())),
    ] {
        assert!(panics(|| wrong.layer(service)));
    }
    let _ = layer().allow_confirmation("x5t#S256").layer(service);
}

#[tokio::test]
async fn o38_a_known_key_does_not_vouch_for_a_header() {
    let app = bound_app();
    let client = Client::es256();
    let token = client.token();
    for _ in 0..3 {
        let proof = client.proof(&token, json!({}));
        prove(&app, &token, &proof).await.accepted();
        for (header, kind) in [
            (json!({ "crit": ["x"] }), Kind::UnsupportedHeader),
            (json!({ "typ": "JWT" }), Kind::WrongType),
            (json!({ "alg": "HS256" }), Kind::UnsupportedAlgorithm),
            (json!({ "jwk": Client::es384().jwk }), Kind::InvalidKey),
        ] {
            let proof = client.forge(header, proof_claims(&token));
            prove(&app, &token, &proof).await.unproven(kind);
        }
        // Another header with the same key replaces the one that was kept.
        let proof = client.forge(json!({ "x": 1 }), proof_claims(&token));
        prove(&app, &token, &proof).await.accepted();
    }
}
