//! Verifies any token, and says why it is rejected.
//!
//! ```text
//! cargo run --example gate -- --jwks keys.json --issuer https://id.example.com --audience api --explain
//! curl -i http://127.0.0.1:3000/claims -H "Authorization: Bearer $TOKEN"
//! ```
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it talks to a person"
)]

use std::error::Error;
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use lexopt::{Arg, Parser, ValueExt};
use serde_json::json;
use tower_jwt_auth::cookie::TokenCookie;
use tower_jwt_auth::keys::{Algorithm, JwksOptions, VerifyingKey};
use tower_jwt_auth::verify::{IntoTrust, Trust};
use tower_jwt_auth::{
    AuthError, AuthErrorKind, JwtAuthLayer, TokenSource, VerifiedToken, Verifier,
};

const HELP: &str = "\
gate: verifies the token of each request to /claims, and answers its claims or why not

  --jwks FILE           a JWK Set to verify with, or:
  --secret-file FILE    a secret, byte for byte but for one line end at the end of a text
  --algorithm NAME      what the secret is for: HS256 (default), HS384 or HS512
  --issuer NAME         require this iss; again: one of them
  --audience NAME       require this aud; again: one of them
  --typ TYPE            require this typ, as at+jwt
  --cookie NAME         take the token from this cookie too
  --leeway SECONDS      how far clocks may differ, up to 300 (default 30)
  --optional            let requests without a token pass
  --explain             write each refusal's reason to stderr, as a line of JSON
  --port PORT           listen on 127.0.0.1:PORT (default 3000; 0 takes a free one)
";

struct Options {
    trust: Trust,
    issuers: Vec<String>,
    audiences: Vec<String>,
    typ: Option<String>,
    cookie: Option<TokenCookie>,
    leeway: Duration,
    optional: bool,
    explain: bool,
    port: u16,
}

fn options() -> Result<Option<Options>, Box<dyn Error>> {
    let (mut jwks, mut secret) = (None, None);
    let mut algorithm = Algorithm::HS256;
    let (mut issuers, mut audiences) = (Vec::new(), Vec::new());
    let (mut typ, mut cookie) = (None, None);
    let mut leeway = Verifier::DEFAULT_LEEWAY;
    let (mut optional, mut explain) = (false, false);
    let mut port = 3000;

    let mut parser = Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("jwks") => jwks = Some(parser.value()?),
            Arg::Long("secret-file") => secret = Some(parser.value()?),
            Arg::Long("algorithm") => algorithm = parser.value()?.string()?.parse()?,
            Arg::Long("issuer") => issuers.push(text(parser.value()?)?),
            Arg::Long("audience") => audiences.push(text(parser.value()?)?),
            Arg::Long("typ") => typ = Some(text(parser.value()?)?),
            Arg::Long("cookie") => cookie = Some(TokenCookie::new(&text(parser.value()?)?)?),
            Arg::Long("leeway") => leeway = Duration::from_secs(parser.value()?.parse()?),
            Arg::Long("optional") => optional = true,
            Arg::Long("explain") => explain = true,
            Arg::Long("port") => port = parser.value()?.parse()?,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    if leeway > Verifier::MAX_LEEWAY {
        return Err("--leeway is more than 300 seconds".into());
    }
    let trust = match (jwks, secret) {
        (Some(file), None) => read_jwks(&file)?,
        (None, Some(file)) => read_secret(algorithm, &file)?,
        _ => return Err("give either --jwks or --secret-file".into()),
    };
    Ok(Some(Options {
        trust,
        issuers,
        audiences,
        typ,
        cookie,
        leeway,
        optional,
        explain,
        port,
    }))
}

fn text(value: OsString) -> Result<String, Box<dyn Error>> {
    match value.string()? {
        text if text.is_empty() => Err("a value is empty".into()),
        text => Ok(text),
    }
}

fn read_jwks(file: &OsString) -> Result<Trust, Box<dyn Error>> {
    let jwks = JwksOptions::new()
        .allow_secrets() // a trusted file
        .read(&std::fs::read_to_string(file)?)?;
    for skipped in &jwks.skipped {
        eprintln!("{skipped}");
    }
    Ok(jwks.keys.into_trust())
}

fn read_secret(algorithm: Algorithm, file: &OsString) -> Result<Trust, Box<dyn Error>> {
    let mut secret = std::fs::read(file)?;
    if secret.ends_with(b"\n") && std::str::from_utf8(&secret).is_ok() {
        secret.pop();
        if secret.ends_with(b"\r") {
            secret.pop();
        }
    }
    Ok(VerifyingKey::from_secret(algorithm, secret)?.into_trust())
}

async fn claims(token: Option<VerifiedToken>) -> Response {
    let body = token.map_or_else(|| "null".to_owned(), |token| token.payload().to_owned());
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

async fn explain(response: Response) -> Response {
    if let Some(error) = response.extensions().get::<AuthError>() {
        let stage = match error.kind() {
            AuthErrorKind::InvalidToken(kind) => kind.stage().name(),
            _ => "request",
        };
        let place = error
            .source()
            .and_then(Error::source)
            .map(ToString::to_string);
        let mut line = json!({ "kind": error.kind().name(), "stage": stage, "status": response.status().as_u16() });
        if let (Some(place), Some(line)) = (place, line.as_object_mut()) {
            line.insert("place".to_owned(), place.into());
        }
        eprintln!("{line}");
    }
    response
}

fn app(options: Options) -> Router {
    let mut layer = JwtAuthLayer::new(options.trust).leeway(options.leeway);
    for issuer in options.issuers {
        layer = layer.issuer(issuer);
    }
    for audience in options.audiences {
        layer = layer.audience(audience);
    }
    if let Some(typ) = options.typ {
        layer = layer.typ(typ);
    }
    if let Some(cookie) = &options.cookie {
        layer = layer.sources([TokenSource::bearer(), TokenSource::from(cookie)]);
    }
    if options.optional {
        layer = layer.optional();
    }
    let app = Router::new()
        .route("/claims", get(claims).post(claims))
        .layer(layer);
    match options.explain {
        true => app.layer(map_response(explain)),
        false => app,
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let Some(options) = options()? else {
        print!("{HELP}");
        return Ok(());
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", options.port)).await?;
    println!("Listening on http://{}/claims", listener.local_addr()?);
    axum::serve(listener, app(options)).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gate: {error}");
            ExitCode::from(2)
        }
    }
}
