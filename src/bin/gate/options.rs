//! The command line.

use std::error::Error;
use std::ffi::OsString;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};
use tower_jwt_auth::cookie::TokenCookie;
use tower_jwt_auth::keys::Algorithm;
use tower_jwt_auth::verify::Trust;
use tower_jwt_auth::{Require, Verifier};

use super::keys::KeyOption;

pub(crate) const HELP: &str = "\
gate: says which check rejects a token, and why

It reads one token from a file or from standard input, and prints its header, the names of its
claims and each check. With --port it verifies the token of each request to /claims instead.

examples:
  gate --discover https://id.example.com --audience api < token
  gate --jwks keys.json --issuer https://id.example.com --audience api --token token.txt
  gate --secret-file secret --algorithm HS512 --any-audience < token
  gate --jwks keys.json --audience api --port 3000 --explain

keys, one of:
  --discover ISSUER     the keys that this issuer publishes; requires this iss
  --jwks-url URL        the keys at this URL
  --jwks FILE           a JWK Set
  --pem FILE            a public key in PEM, for --algorithm (default RS256)
  --secret-file FILE    a secret for --algorithm (default HS256): the bytes of the file; one final
                        line break of a text file is ignored
rules:
  --algorithm NAME      what the PEM key or the secret is for
  --issuer NAME         require this iss; if repeated, one must match
  --audience NAME       require this aud; if repeated, one must match
  --any-audience        accept any aud
  --typ TYPE            require this typ, for example at+jwt; if repeated, one must match
  --rfc9068             require an access token that conforms to RFC 9068
  --scope NAME          require this scope; if repeated, all are required
  --scope-claim CLAIM   the claim with the scopes (default scope, or scp); repeat it for a nested
                        claim
  --leeway SECONDS      how far clocks may differ, up to 300 (default 30)
one token:
  --token FILE          read it from this file (default: standard input)
the token of each request:
  --port PORT           listen on 127.0.0.1:PORT; 0 takes a free one
  --cookie NAME         take the token from this cookie too
  --optional            let requests without a token pass
  --explain             write the reason of each rejection to stderr, as a line of JSON
about this program:
  -h, --help            print this text
  -V, --version         print the version

exit codes:
  0  the token is accepted
  1  the token is rejected
  2  an option or its file is wrong, there is not exactly one token, or the port is in use
  3  the token was not checked: the keys cannot be fetched now

Keys are fetched through the proxy that HTTPS_PROXY and NO_PROXY name in the environment of this
program. The environment of your service may differ.
";

/// What the command line asks for.
pub(crate) enum Command {
    Help,
    Version,
    Verify(Box<Options>),
}

/// What to verify, and how.
pub(crate) struct Options {
    pub(crate) keys: KeyOption,
    algorithm: Option<Algorithm>,
    issuers: Vec<String>,
    pub(crate) audiences: Vec<String>,
    pub(crate) any_audience: bool,
    types: Vec<String>,
    pub(crate) rfc9068: bool,
    scopes: Vec<String>,
    scope_path: Vec<String>,
    leeway: Duration,
    pub(crate) token_file: Option<OsString>,
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

pub(crate) type Failure = Box<dyn Error>;

const NO_TOKEN_HERE: &str = "a token on the command line is seen by others and stays in the \
                             history of the shell: use standard input, or --token FILE";

impl Options {
    fn new(keys: KeyOption) -> Self {
        Self {
            keys,
            algorithm: None,
            issuers: Vec::new(),
            audiences: Vec::new(),
            any_audience: false,
            types: Vec::new(),
            rfc9068: false,
            scopes: Vec::new(),
            scope_path: Vec::new(),
            leeway: Verifier::DEFAULT_LEEWAY,
            token_file: None,
            input: TokenInput::Text,
            cookie: None,
            optional: false,
            explain: false,
        }
    }

    fn set(&mut self, name: &str, parser: &mut Parser) -> Result<(), Failure> {
        match name {
            "algorithm" => self.algorithm = Some(algorithm(&text(name, parser)?)?),
            "issuer" => self.issuers.push(text(name, parser)?),
            "audience" => self.audiences.push(text(name, parser)?),
            "any-audience" => self.any_audience = true,
            "typ" => self.types.push(text(name, parser)?),
            "rfc9068" => self.rfc9068 = true,
            "scope" => self.scopes.push(scope(text(name, parser)?)?),
            "scope-claim" => self.scope_path.push(text(name, parser)?),
            "leeway" => {
                let most = Verifier::MAX_LEEWAY.as_secs();
                self.leeway = Duration::from_secs(number(name, parser, most)?);
            }
            "token" => self.token_file = Some(parser.value()?),
            "port" => {
                let port = number(name, parser, u64::from(u16::MAX))?.try_into()?;
                self.input = TokenInput::Requests { port };
            }
            "cookie" => {
                let cookie = TokenCookie::new(&text(name, parser)?);
                self.cookie = Some(cookie.map_err(|error| format!("--cookie: {error}"))?);
            }
            "optional" => self.optional = true,
            "explain" => self.explain = true,
            _ => return Err(format!("unknown option --{}", name.escape_debug()).into()),
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Failure> {
        self.check_rules()?;
        let serves = matches!(self.input, TokenInput::Requests { .. });
        if serves && self.keys.are_fetched() && !self.has_audience() {
            return Err("keys of another issuer need --audience, or --any-audience".into());
        }
        if serves && self.token_file.is_some() {
            return Err("give either --token or --port".into());
        }
        for (name, is_given) in [
            ("cookie", self.cookie.is_some()),
            ("optional", self.optional),
            ("explain", self.explain),
        ] {
            if is_given && !serves {
                return Err(format!("--{name} is for requests: it needs --port").into());
            }
        }
        Ok(())
    }

    /// Reports misuse as an error, before a setter of the verifier would panic.
    fn check_rules(&self) -> Result<(), Failure> {
        if self.keys.name_issuer() && !self.issuers.is_empty() {
            return Err("--discover requires its issuer already: leave --issuer out".into());
        }
        if self.any_audience && !self.audiences.is_empty() {
            return Err("give either --audience or --any-audience".into());
        }
        if self.rfc9068 && !self.types.is_empty() {
            return Err("--rfc9068 requires a typ already: leave --typ out".into());
        }
        if self.types.iter().any(|typ| typ.ends_with('/')) {
            return Err("--typ has nothing after the slash".into());
        }
        if self.rfc9068 && !self.has_issuer() {
            return Err("--rfc9068 needs --issuer".into());
        }
        if self.rfc9068 && !self.has_audience() {
            return Err("--rfc9068 needs --audience".into());
        }
        if self.scopes.is_empty() && !self.scope_path.is_empty() {
            return Err("--scope-claim needs --scope".into());
        }
        Ok(())
    }

    pub(crate) fn has_issuer(&self) -> bool {
        self.keys.name_issuer() || !self.issuers.is_empty()
    }

    fn has_audience(&self) -> bool {
        self.any_audience || !self.audiences.is_empty()
    }

    /// The verifier for these options.
    pub(crate) fn verifier(&self, trust: Trust) -> Verifier {
        let mut verifier = Verifier::new(trust).leeway(self.leeway);
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
        verifier
    }

    /// The required scopes.
    pub(crate) fn scopes(&self) -> Option<Require> {
        if self.scopes.is_empty() {
            return None;
        }
        let require = Require::all_scopes(&self.scopes);
        Some(match self.scope_path.is_empty() {
            true => require,
            false => require.at(&self.scope_path),
        })
    }
}

impl Command {
    pub(crate) fn from_arguments() -> Result<Self, Failure> {
        /// Those that take one value.
        const ONCE: [&str; 5] = ["algorithm", "leeway", "token", "port", "cookie"];

        let mut options = Options::new(KeyOption::Jwks(OsString::new()));
        let (mut keys, mut seen) = (None, Vec::new());
        let mut parser = Parser::from_env();
        while let Some(arg) = parser.next()? {
            let name = match arg {
                Arg::Long("help") | Arg::Short('h') => return Ok(Self::Help),
                Arg::Long("version") | Arg::Short('V') => return Ok(Self::Version),
                Arg::Long(name) => name.to_owned(),
                // It may be a token, so it is not repeated.
                Arg::Value(_) => return Err(NO_TOKEN_HERE.into()),
                Arg::Short(_) => return Err("unknown short option: see --help".into()),
            };
            if ONCE.contains(&&*name) && seen.contains(&name) {
                return Err(format!("--{name} is given twice").into());
            }
            match KeyOption::named(&name, &mut parser)? {
                Some(option) => {
                    if keys.replace(option).is_some() {
                        return Err("give one option for keys".into());
                    }
                }
                None => options.set(&name, &mut parser)?,
            }
            seen.push(name);
        }
        options.keys = keys.ok_or("give an option for keys: see --help")?;
        options.keys.set_algorithm(options.algorithm)?;
        options.check()?;
        Ok(Self::Verify(Box::new(options)))
    }
}

/// The value of the option `name`.
pub(crate) fn text(name: &str, parser: &mut Parser) -> Result<String, Failure> {
    match parser.value()?.string()? {
        text if text.is_empty() => Err(format!("--{name} is empty").into()),
        text => Ok(text),
    }
}

fn number(name: &str, parser: &mut Parser, most: u64) -> Result<u64, Failure> {
    let text = text(name, parser)?;
    let number = text.parse().ok().filter(|number| *number <= most);
    number.ok_or_else(|| {
        let shown = short(&text);
        format!("--{name}: {shown:?} is not a number from 0 to {most}").into()
    })
}

fn algorithm(name: &str) -> Result<Algorithm, Failure> {
    name.parse().map_err(|_| {
        let upper = name.to_ascii_uppercase();
        let meant = [upper.as_str(), "EdDSA", "Ed25519"]
            .into_iter()
            .find(|one| one.eq_ignore_ascii_case(name) && one.parse::<Algorithm>().is_ok());
        let meant = meant.map(|one| format!(", did you mean {one}?"));
        let (shown, meant) = (short(name), meant.unwrap_or_default());
        format!("--algorithm {shown:?}: not the name of an algorithm{meant}").into()
    })
}

/// A scope (RFC 6749 §3.3).
fn scope(name: String) -> Result<String, Failure> {
    let is_allowed = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    if name.bytes().all(is_allowed) {
        return Ok(name);
    }
    let shown = short(&name);
    let told = "a scope is printable ASCII without spaces, quotes and backslashes";
    Err(format!("--scope {shown:?}: {told}. Give --scope once for each").into())
}

/// A token may have been pasted in the wrong place.
fn short(value: &str) -> String {
    value.chars().take(20).collect()
}
