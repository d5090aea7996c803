//! Tokens that are bound to a certificate (RFC 8705), and the header `Client-Cert` (RFC 9440).
#![expect(
    clippy::needless_pass_by_value,
    reason = "tests read better so: `json!` is passed by value"
)]

use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tower::Layer;
use tower_jwt_auth::middleware::TokenFault;
use tower_jwt_auth::mtls::{ClientCertificate, Mtls};
use tower_jwt_auth::{AuthErrorKind, JwtAuthLayer, TokenSource, VerifyErrorKind as Kind};

use crate::log::Log;
use crate::o_dpop::{Client, dpop};
use crate::support::{
    Answer, Signer, app, base64url, carrier, certificate, claims, good, hs256_token, layer, panics,
    pem, rsa_key, send, with_headers,
};

const PROXY: &str = "10.0.0.5";

/// The certificate of the client, in DER.
static OWN: LazyLock<Vec<u8>> = LazyLock::new(|| certificate(&public_key(), &Signer::rs256()));

/// The certificate of another client.
static OTHER: LazyLock<Vec<u8>> = LazyLock::new(|| certificate(&public_key(), &Signer::es256()));

fn public_key() -> Vec<u8> {
    use tower_jwt_auth::keys::Algorithm;

    // Any bytes: nothing reads the key of a certificate.
    let jwk = rsa_key(Algorithm::RS256).to_jwk().unwrap();
    crate::support::der(0x03, jwk.to_string().as_bytes())
}

fn thumbprint(algorithm: &'static Algorithm, der: &[u8]) -> String {
    base64url(digest(algorithm, der))
}

/// A token with this `cnf`.
fn token_with(cnf: Value) -> String {
    hs256_token(claims(json!({ "cnf": cnf })))
}

/// A token that is bound to [`OWN`].
fn bound() -> String {
    token_with(json!({ "x5t#S256": thumbprint(&SHA256, &OWN) }))
}

/// The header as a proxy writes it.
fn header(der: &[u8]) -> String {
    format!(":{}:", base64_simd::STANDARD.encode_to_string(der))
}

fn behind_proxies(proxies: &[&str]) -> Mtls {
    let peer = |extensions: &http::Extensions| {
        let ConnectInfo(peer): &ConnectInfo<SocketAddr> = extensions.get()?;
        Some(peer.ip())
    };
    Mtls::behind_proxies(proxies, peer).unwrap()
}

fn behind_proxy() -> JwtAuthLayer {
    layer().mtls(behind_proxies(&[PROXY]))
}

/// `GET /claims` from this address, with `Authorization: Bearer {token}`.
fn request_from(peer: &str, token: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let credentials = format!("Bearer {token}");
    let mut request = with_headers(
        "GET",
        &[&[("authorization", &*credentials)], headers].concat(),
    );
    let peer: IpAddr = peer.parse().unwrap();
    let peer = ConnectInfo(SocketAddr::new(peer, 1234));
    request.extensions_mut().insert(peer);
    request
}

async fn from(peer: &str, app: &Router, token: &str, headers: &[(&str, &str)]) -> Answer {
    send(app, request_from(peer, token, headers)).await
}

/// What the proxy gets with this header, for a bound token.
async fn header_is(app: &Router, value: &str) -> Answer {
    from(PROXY, app, &bound(), &[("client-cert", value)]).await
}

/// A request over a connection with this certificate.
async fn over(app: &Router, der: &[u8], mut request: Request<Body>) -> Answer {
    let certificate = ClientCertificate::from_der(der);
    request.extensions_mut().insert(certificate);
    send(app, request).await
}

#[tokio::test]
async fn t01_a_bound_token_without_a_certificate() {
    let token = bound();
    let sources = || {
        [
            TokenSource::bearer(),
            TokenSource::cookie("access"),
            TokenSource::header("x-token"),
            TokenSource::custom(|request| {
                let token = request.headers.get("x-custom")?.to_str().ok()?;
                Some(token.into())
            }),
        ]
    };
    // Neither `optional` nor an ignored fault makes it anonymous.
    let layer = layer().mtls(Mtls::direct()).sources(sources());
    let layer = layer.anonymous_if([TokenFault::Expired, TokenFault::NoFittingKey]);
    let app = app(layer);
    let credentials = format!("Bearer {token}");
    let cookie = format!("access={token}");
    for header in [
        ("authorization", &*credentials),
        ("cookie", &cookie),
        ("x-token", &token),
        ("x-custom", &token),
    ] {
        // Found in the cache, too.
        for _ in 0..2 {
            let request = || with_headers("GET", &[header]);
            let answer = send(&app, request()).await;
            answer.refused(Kind::MissingCertificate);
            over(&app, &OWN, request()).await.accepted();
        }
    }
    // A token that is not bound needs none.
    crate::support::bearer(&app, &good()).await.accepted();
    // Without the setting, a certificate does not help.
    let without = crate::support::app(crate::support::layer());
    let answer = over(
        &without,
        &OWN,
        with_headers("GET", &[("authorization", &credentials)]),
    );
    answer.await.refused(Kind::SenderConstrained);
}

#[tokio::test]
async fn t02_another_certificate() {
    let (direct, behind) = (app(layer().mtls(Mtls::direct())), app(behind_proxy()));
    let of_other = token_with(json!({ "x5t#S256": thumbprint(&SHA256, &OTHER) }));
    // Each certificate after the other, so that the token is in the cache.
    for _ in 0..2 {
        for (token, der, is_own) in [
            (bound(), &*OWN, true),
            (bound(), &OTHER, false),
            (of_other.clone(), &OTHER, true),
            (of_other.clone(), &OWN, false),
            (bound(), &b"".to_vec(), false),
            (bound(), &OWN[1..].to_vec(), false),
            (bound(), &[&OWN[..], b"\0"].concat(), false),
        ] {
            let request = request_from("192.0.2.1", &token, &[]);
            let answers = [
                over(&direct, der, request).await,
                from(PROXY, &behind, &token, &[("client-cert", &header(der))]).await,
            ];
            for answer in answers {
                match (is_own, der.is_empty()) {
                    (true, _) => drop(answer.accepted()),
                    (false, false) => answer.refused(Kind::WrongCertificate),
                    (false, true) => assert_eq!(answer.status, StatusCode::UNAUTHORIZED),
                }
            }
        }
    }
}

#[tokio::test]
async fn t03_a_header_that_is_no_proxy_s() {
    let app = app(behind_proxy());
    let forged = header(&OWN);
    for peer in [
        "192.0.2.1",
        "127.0.0.1",
        "::1",
        "10.0.0.4",
        "10.0.0.6",
        "0.0.0.0",
    ] {
        for value in [&*forged, &header(&OTHER), "::", "", "x"] {
            let answer = from(peer, &app, &bound(), &[("client-cert", value)]).await;
            answer.refused(Kind::UntrustedProxy);
            let reason = std::error::Error::source(answer.error.as_ref().unwrap()).unwrap();
            let reason = reason.source().unwrap().to_string();
            assert_eq!(reason, r#"expected `peer`: "10.0.0.5""#);
        }
        let twice = [("client-cert", &*forged), ("client-cert", &forged)];
        let answer = from(peer, &app, &bound(), &twice).await;
        answer.refused(Kind::UntrustedProxy);
        let answer = from(peer, &app, &bound(), &[]).await;
        answer.refused(Kind::MissingCertificate);
        // Nothing of the check uses the header.
        let answer = from(peer, &app, &good(), &[("client-cert", &forged)]).await;
        answer.accepted();
    }
    header_is(&app, &forged).await.accepted();
}

#[tokio::test]
async fn t04_two_headers() {
    let app = app(behind_proxy());
    let (own, other) = (header(&OWN), header(&OTHER));
    for (first, second) in [
        (&*own, &*own),
        (&own, &other),
        (&other, &own),
        (&own, ""),
        ("", &own),
        (&own, "::"),
        ("::", &own),
    ] {
        let headers = [("client-cert", first), ("client-cert", second)];
        let answer = from(PROXY, &app, &bound(), &headers).await;
        answer.refused(Kind::MalformedCertificate);
    }
}

#[tokio::test]
async fn t05_a_list_of_two_certificates() {
    let app = app(behind_proxy());
    let (own, other) = (header(&OWN), header(&OTHER));
    for list in [
        format!("{own}, {other}"),
        format!("{other}, {own}"),
        format!("{own},{own}"),
        format!("{own} {other}"),
        format!("{own}{other}"),
        format!("({own} {other})"),
        format!("{own},"),
        format!(",{own}"),
        format!("cert={own}"),
    ] {
        header_is(&app, &list)
            .await
            .refused(Kind::MalformedCertificate);
    }
}

#[tokio::test]
async fn t06_another_encoding() {
    let app = app(behind_proxy());
    // Its length needs padding.
    let certificate = &OWN[..OWN.len() / 3 * 3 - 1];
    let base64 = base64_simd::STANDARD.encode_to_string(certificate);
    let unpadded = base64.strip_suffix('=').unwrap();
    let thumbprint = thumbprint(&SHA256, certificate);
    let token = token_with(json!({ "x5t#S256": thumbprint }));
    let (last, rest) = unpadded.as_bytes().split_last().unwrap();
    let rest = str::from_utf8(rest).unwrap();
    // The last digit has bits that no byte needs.
    let stray = format!(":{rest}{}=:", char::from(last + 1));
    let (start, end) = base64.split_at(64);
    for encoding in [
        format!(":{}:", base64url(certificate)),
        format!(":{}:", base64_simd::URL_SAFE.encode_to_string(certificate)),
        format!(":{unpadded}:"),
        format!(":{base64}=:"),
        format!(":{base64}====:"),
        stray,
        format!(": {base64} :"),
        format!(":{start} {end}:"),
        format!(":{start}\t{end}:"),
        format!("\"{base64}\""),
        format!(":{base64}"),
        format!("{base64}:"),
        base64.clone(),
        hex(certificate),
        ":é:".to_owned(),
    ] {
        let answer = from(PROXY, &app, &token, &[("client-cert", &encoding)]).await;
        answer.refused(Kind::MalformedCertificate);
    }
    // Twice encoded, it is another certificate.
    let twice = header(base64.as_bytes());
    let answer = from(PROXY, &app, &token, &[("client-cert", &twice)]).await;
    answer.refused(Kind::WrongCertificate);
    let good = format!(":{base64}:");
    let answer = from(PROXY, &app, &token, &[("client-cert", &good)]).await;
    answer.accepted();
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn t07_parameters_of_the_header() {
    let app = app(behind_proxy());
    let own = header(&OWN);
    for parameters in [
        ";a",
        ";a=1",
        "; a=1",
        " ;a=1",
        ";q=0.5",
        ";",
        ";a=:MAAA:",
        ";a=::",
    ] {
        let answer = header_is(&app, &format!("{own}{parameters}")).await;
        answer.refused(Kind::MalformedCertificate);
    }
}

#[tokio::test]
async fn t08_a_huge_header() {
    let app = app(behind_proxy());
    let of = |length: usize| format!(":{}:", "A".repeat(length));
    // 16 KiB with the colons.
    header_is(&app, &of(16_380))
        .await
        .refused(Kind::WrongCertificate);
    for length in [16_384, 100_000, 10_000_000] {
        header_is(&app, &of(length))
            .await
            .refused(Kind::MalformedCertificate);
    }
    let padded = format!("{}{}", header(&OWN), " ".repeat(20_000));
    header_is(&app, &padded)
        .await
        .refused(Kind::MalformedCertificate);
}

#[tokio::test]
async fn t09_an_empty_header() {
    let (direct, app) = (app(layer().mtls(Mtls::direct())), app(behind_proxy()));
    // What haproxy writes for a client without a certificate, if nobody tells it not to.
    header_is(&app, "::")
        .await
        .refused(Kind::MissingCertificate);
    for empty in ["", ":", ":::", "::::", "null", "(null)", "-", "?0", "\"\""] {
        header_is(&app, empty)
            .await
            .refused(Kind::MalformedCertificate);
    }
    // The digest of nothing is no certificate either.
    let nothing = token_with(json!({ "x5t#S256": thumbprint(&SHA256, b"") }));
    for headers in [&[("client-cert", "::")][..], &[]] {
        let answer = from(PROXY, &app, &nothing, headers).await;
        answer.refused(Kind::MissingCertificate);
    }
    let answer = over(&direct, b"", request_from(PROXY, &nothing, &[])).await;
    answer.refused(Kind::MissingCertificate);
}

#[tokio::test]
async fn t10_pem_in_place_of_der() {
    let behind = app(behind_proxy());
    let text = pem("CERTIFICATE", &OWN);
    let escaped = text.replace('\n', "%0A").replace(' ', "%20");
    // nginx, Envoy and Traefik have such forms.
    for form in [
        text.replace('\n', " "),
        text.replace('\n', "\t"),
        text.replace('\n', ""),
        escaped.clone(),
        format!(":{}:", text.replace('\n', "")),
        format!("Cert=\"{escaped}\""),
        format!("Hash={};Cert=\"{escaped}\"", hex(&OWN)),
    ] {
        header_is(&behind, &form)
            .await
            .refused(Kind::MalformedCertificate);
    }
    let answer = header_is(&behind, &header(text.as_bytes())).await;
    answer.refused(Kind::WrongCertificate);
    let direct = app(layer().mtls(Mtls::direct()));
    let answer = over(&direct, text.as_bytes(), request_from(PROXY, &bound(), &[])).await;
    answer.refused(Kind::WrongCertificate);
}

/// Both settings reject a token with this `cnf`, whose client has [`OWN`].
async fn rejected_everywhere(cnf: Value, kind: Kind) {
    let token = token_with(cnf);
    let request = request_from(PROXY, &token, &[]);
    let answer = over(&app(layer().mtls(Mtls::direct())), &OWN, request).await;
    answer.refused(kind);
    let headers = [("client-cert", &*header(&OWN))];
    let answer = from(PROXY, &app(behind_proxy()), &token, &headers).await;
    answer.refused(kind);
}

#[tokio::test]
async fn t11_the_thumbprint_of_sha_1() {
    let sha1 = thumbprint(&SHA1_FOR_LEGACY_USE_ONLY, &OWN);
    let sha256 = thumbprint(&SHA256, &OWN);
    for cnf in [
        json!({ "x5t": sha1 }),
        json!({ "x5t": sha256 }),
        json!({ "x5t#S1": sha1 }),
        json!({ "x5t#S256": sha1 }),
        // Beside the good one, it is a member that is not checked.
        json!({ "x5t#S256": sha256, "x5t": sha1 }),
        json!({ "x5t#s256": sha256 }),
        json!({ "X5T#S256": sha256 }),
        json!({ "x5t#S512": sha256 }),
        json!({ "x5u": "https://id.example.com/cert" }),
        json!({ "x5c": [base64_simd::STANDARD.encode_to_string(&*OWN)] }),
    ] {
        rejected_everywhere(cnf, Kind::SenderConstrained).await;
    }
}

#[tokio::test]
async fn t12_a_thumbprint_that_is_none() {
    let good = thumbprint(&SHA256, &OWN);
    let sha256 = digest(&SHA256, &OWN);
    for value in [
        json!(""),
        json!(base64url(&sha256.as_ref()[..31])),
        json!(base64url([sha256.as_ref(), &[0]].concat())),
        json!(base64url(vec![0; 8192])),
        json!(format!("{good}=")),
        json!(format!("{good} ")),
        json!(hex(sha256.as_ref())),
        json!(base64url(hex(sha256.as_ref()))),
        json!(base64_simd::STANDARD.encode_to_string(sha256.as_ref())),
        json!([good]),
        json!({ "value": good }),
        json!(null),
        json!(true),
        json!(0),
    ] {
        // Of the longest, the token is too long.
        let kind = match value.as_str().is_some_and(|text| text.len() > 8000) {
            true => Kind::TooLong,
            false => Kind::SenderConstrained,
        };
        rejected_everywhere(json!({ "x5t#S256": value }), kind).await;
    }
    // Twice, also in disguise.
    let app = app(behind_proxy());
    let other = thumbprint(&SHA256, &OTHER);
    for cnf in [
        format!(r#"{{"x5t#S256":"{good}","x5t#S256":"{good}"}}"#),
        format!(r#"{{"x5t#S256":"{other}","x5t#S256":"{good}"}}"#),
        format!(r#"{{"x5t#S256":"{good}","\u00785t#S256":"{other}"}}"#),
        format!(r#"{{"x5t#S256":null,"x5t#S256":"{good}"}}"#),
    ] {
        let claims = claims(json!({}));
        let claims = claims.trim_end_matches('}');
        let token = hs256_token(format!(r#"{claims},"cnf":{cnf}}}"#));
        let headers = [("client-cert", &*header(&OWN))];
        let answer = from(PROXY, &app, &token, &headers).await;
        answer.refused(Kind::SenderConstrained);
    }
}

#[tokio::test]
async fn t13_a_member_that_nobody_checks() {
    let good = thumbprint(&SHA256, &OWN);
    for (member, value) in [
        ("jkt", json!(good)),
        ("jwk", json!({ "kty": "oct" })),
        ("kid", json!("x")),
        ("unknown", json!([])),
        ("", json!("")),
    ] {
        let cnf = json!({ "x5t#S256": good, member: value });
        rejected_everywhere(cnf, Kind::SenderConstrained).await;
    }
    rejected_everywhere(json!({}), Kind::SenderConstrained).await;
    for cnf in [json!(null), json!(good), json!([{ "x5t#S256": good }])] {
        rejected_everywhere(cnf, Kind::MalformedClaims).await;
    }
    // A gateway that checks another member says nothing of the certificate.
    let app = app(behind_proxy().allow_confirmation("kid"));
    let token = token_with(json!({ "x5t#S256": good, "kid": "x" }));
    let answer = from(PROXY, &app, &token, &[]).await;
    answer.refused(Kind::MissingCertificate);
    let answer = from(PROXY, &app, &token, &[("client-cert", &header(&OTHER))]).await;
    answer.refused(Kind::WrongCertificate);
    let answer = from(PROXY, &app, &token, &[("client-cert", &header(&OWN))]).await;
    answer.accepted();
}

#[tokio::test]
async fn t14_the_certificate_is_read_in_one_place() {
    let (direct, behind) = (app(layer().mtls(Mtls::direct())), app(behind_proxy()));
    let own = header(&OWN);
    // The service ends TLS: anybody writes the header.
    for peer in [PROXY, "192.0.2.1"] {
        let answer = from(peer, &direct, &bound(), &[("client-cert", &own)]).await;
        answer.refused(Kind::MissingCertificate);
        let request = request_from(peer, &bound(), &[("client-cert", &own)]);
        over(&direct, &OTHER, request)
            .await
            .refused(Kind::WrongCertificate);
    }
    // A proxy ends TLS: the connection's certificate is that of the proxy.
    let request = request_from(PROXY, &bound(), &[]);
    over(&behind, &OWN, request)
        .await
        .refused(Kind::MissingCertificate);
    let request = request_from(PROXY, &bound(), &[("client-cert", &own)]);
    over(&behind, &OTHER, request).await.accepted();
}

#[tokio::test]
async fn t15_peers_with_ipv4_mapped_addresses() {
    let own = header(&OWN);
    // A service on `[::]` sees IPv4 peers so.
    let app_of = |proxies: &[&str]| app(layer().mtls(behind_proxies(proxies)));
    for (proxies, peer, is_trusted) in [
        (&["10.0.0.5"][..], "::ffff:10.0.0.5", true),
        (&["10.0.0.0/24"], "::ffff:10.0.0.77", true),
        (&["::ffff:10.0.0.5"], "10.0.0.5", true),
        (&["fd00::/8", "10.0.0.5"], "10.0.0.5", true),
        (&["10.0.0.5"], "::ffff:10.0.0.6", false),
        (&["10.0.0.0/24"], "::ffff:10.0.1.0", false),
        // IPv4 inside of other IPv6 addresses: compatible, NAT64, 6to4.
        (&["10.0.0.5"], "::10.0.0.5", false),
        (&["10.0.0.5"], "64:ff9b::a00:5", false),
        (&["10.0.0.5"], "2002:a00:5::", false),
        (&["::1"], "127.0.0.1", false),
        (&["127.0.0.1"], "::1", false),
        (&["::/1"], "::ffff:10.0.0.5", false),
        (&["::/1"], "10.0.0.5", false),
    ] {
        let answer = from(peer, &app_of(proxies), &bound(), &[("client-cert", &own)]).await;
        if is_trusted {
            answer.accepted();
        } else {
            answer.refused(Kind::UntrustedProxy);
        }
    }
}

#[tokio::test]
async fn t16_a_peer_that_is_unknown() {
    let app = app(behind_proxy());
    let own = header(&OWN);
    let credentials = format!("Bearer {}", bound());
    let authorization = ("authorization", &*credentials);
    for headers in [
        &[authorization][..],
        &[authorization, ("client-cert", &own)],
    ] {
        // Without `ConnectInfo`.
        let answer = send(&app, with_headers("GET", headers)).await;
        assert_eq!(answer.kind(), Some(AuthErrorKind::Misconfigured));
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        let reason = std::error::Error::source(answer.error.as_ref().unwrap()).unwrap();
        let reason = reason.to_string();
        assert!(
            reason.contains("into_make_service_with_connect_info"),
            "{reason}"
        );
    }
    crate::support::bearer(&app, &good()).await.accepted();
}

#[tokio::test]
async fn t17_headers_that_name_the_proxy() {
    let app = app(behind_proxy());
    let own = header(&OWN);
    for (name, value) in [
        ("x-forwarded-for", PROXY),
        ("x-real-ip", PROXY),
        ("forwarded", "for=10.0.0.5"),
        ("via", "1.1 10.0.0.5"),
        ("host", PROXY),
        ("true-client-ip", PROXY),
        ("proxy-authorization", "Basic eDp5"),
    ] {
        let headers = [("client-cert", &*own), (name, value)];
        let answer = from("192.0.2.1", &app, &bound(), &headers).await;
        answer.refused(Kind::UntrustedProxy);
    }
}

#[tokio::test]
async fn t18_headers_of_other_names() {
    let app = app(behind_proxy());
    let own = header(&OWN);
    for name in [
        "client-cert-chain",
        "client_cert",
        "x-client-cert",
        "x-forwarded-client-cert",
        "x-ssl-client-cert",
        "ssl-client-cert",
        "client-certificate",
    ] {
        let answer = from(PROXY, &app, &bound(), &[(name, &own)]).await;
        answer.refused(Kind::MissingCertificate);
        // They do not count beside the header either.
        let headers = [(name, &*own), ("client-cert", &header(&OTHER))];
        let answer = from(PROXY, &app, &bound(), &headers).await;
        answer.refused(Kind::WrongCertificate);
    }
}

#[tokio::test]
async fn t19_a_token_that_is_bound_to_a_key_and_a_certificate() {
    let client = Client::es256();
    let mut cnf = json!({ "jkt": client.thumbprint() });
    cnf["x5t#S256"] = thumbprint(&SHA256, &OWN).into();
    let token = token_with(cnf);
    let sources = [TokenSource::dpop(dpop()), TokenSource::bearer()];
    let app = app(behind_proxy().sources(sources));
    let proven = |der: Option<&[u8]>| {
        let mut request = crate::o_dpop::proven(&token, &client.proof(&token, json!({})));
        if let Some(der) = der {
            let value = header(der).parse().unwrap();
            request.headers_mut().insert("client-cert", value);
        }
        let peer: SocketAddr = (PROXY.parse::<IpAddr>().unwrap(), 1).into();
        request.extensions_mut().insert(ConnectInfo(peer));
        request
    };
    send(&app, proven(None))
        .await
        .refused(Kind::MissingCertificate);
    let answer = send(&app, proven(Some(&OTHER))).await;
    answer.refused(Kind::WrongCertificate);
    assert!(answer.challenge().unwrap().starts_with("DPoP "));
    let mut unproven = proven(Some(&OWN));
    unproven.headers_mut().remove("dpop");
    let answer = send(&app, unproven).await;
    answer.unproven(tower_jwt_auth::dpop::DpopErrorKind::MissingProof);
    let answer = from(PROXY, &app, &token, &[("client-cert", &header(&OWN))]).await;
    answer.refused(Kind::SenderConstrained);
    send(&app, proven(Some(&OWN))).await.accepted();
    // A certificate does not stand in for a key.
    let headers = [("client-cert", &*header(&OWN))];
    let answer = from(PROXY, &app, &client.token(), &headers).await;
    answer.refused(Kind::SenderConstrained);
}

#[test]
fn t20_settings_that_would_check_nothing() {
    let service = tower::service_fn(async |_: Request<Body>| {
        Ok::<_, std::convert::Infallible>(http::Response::new(Body::empty()))
    });
    for wrong in [
        behind_proxy().allow_confirmation("x5t#S256"),
        layer().allow_confirmation("x5t#S256").mtls(Mtls::direct()),
    ] {
        assert!(panics(|| wrong.layer(service)));
    }
    let _ = behind_proxy().allow_confirmation("jkt").layer(service);
    let peer = |_: &http::Extensions| None;
    for proxies in [
        &[][..],
        &["0.0.0.0/0"],
        &["::/0"],
        &["::ffff:0:0/96"],
        &["10.0.0.5", "0.0.0.0/0"],
        &["localhost"],
        &["10.0.0.1/8"],
        &[""],
        &["*"],
    ] {
        assert!(Mtls::behind_proxies(proxies, peer).is_err(), "{proxies:?}");
    }
}

#[tokio::test]
async fn t21_rejections_hold_nothing_of_the_certificate() {
    let app = app(behind_proxy().source(carrier()));
    let log = Log::start();
    let (own, other) = (header(&OWN), header(&OTHER));
    let token = bound();
    for (peer, value) in [
        (PROXY, &*other),
        (PROXY, "canary"),
        (PROXY, ":Y2FuYXJ5:"),
        ("192.0.2.99", &own),
    ] {
        let answer = from(peer, &app, &token, &[("client-cert", value)]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        let error = answer.error.as_ref().unwrap();
        let mut texts = vec![answer.body.clone(), format!("{error:?} {error}")];
        let headers = answer.headers.values();
        texts.extend(headers.map(|value| value.to_str().unwrap().to_owned()));
        texts.extend(log.take());
        for text in texts {
            for secret in ["canary", "Y2FuYXJ5", "192.0.2.99", &token, &own[20..40]] {
                assert!(!text.contains(secret), "{text}");
            }
            assert!(!text.contains(&thumbprint(&SHA256, &OWN)), "{text}");
        }
    }
    let certificate = ClientCertificate::from_der(&*OWN);
    assert_eq!(format!("{certificate:?}"), "ClientCertificate(..)");
    let shown = format!("{:?}", behind_proxies(&[PROXY, "fd00::/8"]));
    assert_eq!(shown, "BehindProxies([10.0.0.5, fd00::/8])");
}
