//! The command line.

use std::error::Error;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};
use tower_jwt_auth::Verifier;
use tower_jwt_auth::cookie::TokenCookie;
use tower_jwt_auth::keys::remote::RemoteKeys;
use tower_jwt_auth::keys::{Algorithm, JwksOptions, VerifyingKey};
use tower_jwt_auth::verify::{IntoTrust, Trust};

pub(crate) const HELP: &str = "\
gate: says which check rejects a token, and why

It reads one token from a file or from standard input, and prints its header, the names of its
claims and each check. It exits with 0 if the token is accepted, with 1 if it is rejected, and with
2 if an option is wrong. With --port it verifies the token of each request to /claims instead.

keys, one of:
  --discover ISSUER     the keys that this issuer publishes; requires this iss
  --jwks-url URL        the keys at this URL
  --jwks FILE           a JWK Set
  --pem FILE            a public key in PEM, for --algorithm (default RS256)
  --secret-file FILE    a secret, byte for byte but for one line end at the end of a text, for
                        --algorithm (default HS256)
rules:
  --algorithm NAME      what the PEM key or the secret is for
  --issuer NAME         require this iss; again: one of them
  --audience NAME       require this aud; again: one of them
  --any-audience        accept any aud
  --typ TYPE            require this typ, as at+jwt; again: one of them
  --rfc9068             require a whole access token of RFC 9068
  --leeway SECONDS      how far clocks may differ, up to 300 (default 30)
one token:
  --token FILE          read it from this file (default: standard input)
the token of each request:
  --port PORT           listen on 127.0.0.1:PORT; 0 takes a free one
  --cookie NAME         take the token from this cookie too
  --optional            let requests without a token pass
  --explain             write the reason of each rejection to stderr, as a line of JSON
";

/// What to verify, and how.
pub(crate) struct Options {
    pub(crate) keys: KeyOption,
    issuers: Vec<String>,
    audiences: Vec<String>,
    any_audience: bool,
    types: Vec<String>,
    rfc9068: bool,
    leeway: Duration,
    token_file: Option<OsString>,
    pub(crate) input: TokenInput,
    pub(crate) cookie: Option<TokenCookie>,
    pub(crate) optional: bool,
    pub(crate) explain: bool,
}

/// Where tokens come from.
#[derive(Clone, Copy)]
pub(crate) enum TokenInput {
    /// A file or standard input.
    Text,
    Requests {
        port: u16,
    },
}

/// Where keys come from.
pub(crate) enum KeyOption {
    Discover(String),
    JwksUrl(String),
    Jwks(OsString),
    Pem(Algorithm, OsString),
    Secret(Algorithm, OsString),
}

type Failure = Box<dyn Error>;

impl Options {
    /// `None` if help is asked for.
    pub(crate) fn from_arguments() -> Result<Option<Self>, Failure> {
        let mut algorithm = None;
        let mut keys = None;
        let mut options = Self::default();
        let mut parser = Parser::from_env();
        while let Some(arg) = parser.next()? {
            let mut key = |option| match keys.replace(option) {
                None => Ok(()),
                Some(_) => Err("give one option for keys"),
            };
            match arg {
                Arg::Long("discover") => key(KeyOption::Discover(text(parser.value()?)?))?,
                Arg::Long("jwks-url") => key(KeyOption::JwksUrl(text(parser.value()?)?))?,
                Arg::Long("jwks") => key(KeyOption::Jwks(parser.value()?))?,
                Arg::Long("pem") => key(KeyOption::Pem(Algorithm::RS256, parser.value()?))?,
                Arg::Long("secret-file") => {
                    key(KeyOption::Secret(Algorithm::HS256, parser.value()?))?;
                }
                Arg::Long("algorithm") => {
                    algorithm = Some(parser.value()?.string()?.parse::<Algorithm>()?);
                }
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                Arg::Long(name) => {
                    let name = name.to_owned();
                    options.set(&name, &mut parser)?;
                }
                // It may be a token, so it is not repeated.
                Arg::Value(_) => return Err(NO_TOKEN_HERE.into()),
                Arg::Short(_) => return Err("unknown short option: see --help".into()),
            }
        }
        options.keys = keys.ok_or("give an option for keys: see --help")?;
        options.keys.set_algorithm(algorithm)?;
        options.check()?;
        Ok(Some(options))
    }

    fn set(&mut self, name: &str, parser: &mut Parser) -> Result<(), Failure> {
        match name {
            "issuer" => self.issuers.push(text(parser.value()?)?),
            "audience" => self.audiences.push(text(parser.value()?)?),
            "any-audience" => self.any_audience = true,
            "typ" => self.types.push(text(parser.value()?)?),
            "rfc9068" => self.rfc9068 = true,
            "leeway" => self.leeway = Duration::from_secs(parser.value()?.parse()?),
            "token" => self.token_file = Some(parser.value()?),
            "port" => {
                let port = parser.value()?.parse()?;
                self.input = TokenInput::Requests { port };
            }
            "cookie" => self.cookie = Some(TokenCookie::new(&text(parser.value()?)?)?),
            "optional" => self.optional = true,
            "explain" => self.explain = true,
            _ => return Err(format!("unknown option --{}", name.escape_debug()).into()),
        }
        Ok(())
    }

    /// The setters of a verifier panic on misuse: this is said first.
    fn check(&self) -> Result<(), Failure> {
        if self.leeway > Verifier::MAX_LEEWAY {
            return Err("--leeway is more than 300 seconds".into());
        }
        if self.keys.name_issuer() && !self.issuers.is_empty() {
            return Err("--discover requires its issuer already: leave --issuer out".into());
        }
        if self.rfc9068 && !self.types.is_empty() {
            return Err("--rfc9068 requires a typ already: leave --typ out".into());
        }
        if self.rfc9068 && !self.has_issuer() {
            return Err("--rfc9068 needs --issuer".into());
        }
        let has_audience = self.any_audience || !self.audiences.is_empty();
        if self.rfc9068 && !has_audience {
            return Err("--rfc9068 needs --audience".into());
        }
        let serves = matches!(self.input, TokenInput::Requests { .. });
        if serves && self.keys.are_fetched() && !has_audience {
            return Err("keys of another issuer need --audience, or --any-audience".into());
        }
        if serves && self.token_file.is_some() {
            return Err("give either --token or --port".into());
        }
        Ok(())
    }

    fn has_issuer(&self) -> bool {
        self.keys.name_issuer() || !self.issuers.is_empty()
    }

    /// The verifier for these options.
    pub(crate) fn verifier(&self) -> Result<Verifier, Failure> {
        let mut verifier = Verifier::new(self.keys.trust()?).leeway(self.leeway);
        for issuer in &self.issuers {
            verifier = verifier.issuer(issuer);
        }
        for audience in &self.audiences {
            verifier = verifier.audience(audience);
        }
        if self.any_audience {
            verifier = verifier.any_audience();
        }
        for typ in &self.types {
            verifier = verifier.typ(typ);
        }
        if self.rfc9068 {
            verifier = verifier.rfc9068();
        }
        Ok(verifier)
    }

    /// The token of the file or of standard input, without white space and `Bearer` around it.
    pub(crate) fn read_token(&self) -> Result<String, Failure> {
        /// The longest token that a verifier can accept, and a line end.
        const LONGEST: u64 = 64 * 1024 + 64;

        let source: Box<dyn Read> = match &self.token_file {
            Some(file) if *file != "-" => Box::new(open(file)?),
            _ => {
                if io::stdin().is_terminal() {
                    eprintln!("gate: reading the token from standard input");
                }
                Box::new(io::stdin())
            }
        };
        let mut text = Vec::new();
        source.take(LONGEST).read_to_end(&mut text)?;
        // A token is ASCII. Anything else is not a token, and is reported so.
        let text = String::from_utf8_lossy(&text);
        let token = text.trim();
        let scheme = token
            .get(..7)
            .filter(|scheme| scheme.eq_ignore_ascii_case("bearer "));
        let token = scheme.map_or(token, |scheme| &token[scheme.len()..]);
        Ok(token.trim_start().to_owned())
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            keys: KeyOption::Jwks(OsString::new()),
            issuers: Vec::new(),
            audiences: Vec::new(),
            any_audience: false,
            types: Vec::new(),
            rfc9068: false,
            leeway: Verifier::DEFAULT_LEEWAY,
            token_file: None,
            input: TokenInput::Text,
            cookie: None,
            optional: false,
            explain: false,
        }
    }
}

const NO_TOKEN_HERE: &str = "a token on the command line is seen by others and stays in the \
                             history of the shell: use standard input, or --token FILE";

impl KeyOption {
    fn set_algorithm(&mut self, named: Option<Algorithm>) -> Result<(), Failure> {
        match (self, named) {
            (Self::Pem(algorithm, _) | Self::Secret(algorithm, _), Some(named)) => {
                *algorithm = named;
                Ok(())
            }
            (_, Some(_)) => Err("--algorithm is for --pem and --secret-file".into()),
            (_, None) => Ok(()),
        }
    }

    /// Whether the keys are fetched.
    fn are_fetched(&self) -> bool {
        matches!(self, Self::Discover(_) | Self::JwksUrl(_))
    }

    /// Whether the keys are those of a named issuer: then `iss` chooses them.
    pub(crate) fn name_issuer(&self) -> bool {
        matches!(self, Self::Discover(_))
    }

    fn trust(&self) -> Result<Trust, Failure> {
        Ok(match self {
            Self::Discover(issuer) => RemoteKeys::discover(issuer).build()?.into_trust(),
            Self::JwksUrl(url) => RemoteKeys::jwks(url).build()?.into_trust(),
            Self::Jwks(file) => read_jwks(file)?,
            Self::Pem(algorithm, file) => {
                VerifyingKey::from_pem(*algorithm, read(file)?)?.into_trust()
            }
            Self::Secret(algorithm, file) => {
                VerifyingKey::from_secret(*algorithm, without_line_end(read(file)?))?.into_trust()
            }
        })
    }
}

fn text(value: OsString) -> Result<String, Failure> {
    match value.string()? {
        text if text.is_empty() => Err("a value is empty".into()),
        text => Ok(text),
    }
}

fn open(file: &OsString) -> Result<File, Failure> {
    File::open(file).map_err(|error| {
        let name = Path::new(file).display().to_string();
        format!("cannot read {}: {error}", name.escape_debug()).into()
    })
}

fn read(file: &OsString) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    open(file)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read_jwks(file: &OsString) -> Result<Trust, Failure> {
    let jwks = JwksOptions::new()
        .allow_secrets() // a trusted file
        .read(&String::from_utf8(read(file)?)?)?;
    for skipped in &jwks.skipped {
        eprintln!("{skipped}");
    }
    Ok(jwks.keys.into_trust())
}

fn without_line_end(mut secret: Vec<u8>) -> Vec<u8> {
    if secret.ends_with(b"\n") && std::str::from_utf8(&secret).is_ok() {
        secret.pop();
        if secret.ends_with(b"\r") {
            secret.pop();
        }
    }
    secret
}
