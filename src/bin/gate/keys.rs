//! The keys that the options give.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use lexopt::Parser;
use serde_json::Value;
use tower_jwt_auth::keys::remote::{AddressError, FetchError, RemoteKeys, RemoteKeysError};
use tower_jwt_auth::keys::{Algorithm, JwksOptions, KeyError, VerifyingKey};
use tower_jwt_auth::verify::{IntoTrust, Trust};

use super::options::{Failure, text};

/// Where keys come from.
pub(crate) enum KeyOption {
    Discover(String),
    JwksUrl(String),
    Jwks(OsString),
    Pem(Algorithm, OsString),
    Secret(Algorithm, OsString),
}

/// Keys that were read, or are being fetched.
pub(crate) struct Keys {
    pub(crate) trust: Trust,
    pub(crate) remote: Option<RemoteKeys>,
    /// The length in bytes of a secret that may be base64 text.
    pub(crate) base64_secret: Option<usize>,
}

impl KeyOption {
    /// The option of this name. `None` if it is not for keys.
    pub(crate) fn named(name: &str, parser: &mut Parser) -> Result<Option<Self>, Failure> {
        Ok(Some(match name {
            "discover" => Self::Discover(issuer(text(name, parser)?)?),
            "jwks-url" => Self::JwksUrl(text(name, parser)?),
            "jwks" => Self::Jwks(parser.value()?),
            "pem" => Self::Pem(Algorithm::RS256, parser.value()?),
            "secret-file" => Self::Secret(Algorithm::HS256, parser.value()?),
            _ => return Ok(None),
        }))
    }

    pub(crate) fn set_algorithm(&mut self, named: Option<Algorithm>) -> Result<(), Failure> {
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
    pub(crate) fn are_fetched(&self) -> bool {
        matches!(self, Self::Discover(_) | Self::JwksUrl(_))
    }

    /// Whether the keys are those of a named issuer: then `iss` chooses them.
    pub(crate) fn name_issuer(&self) -> bool {
        matches!(self, Self::Discover(_))
    }

    /// Whether the keys are JWKs, which may name their issuer.
    pub(crate) fn are_jwks(&self) -> bool {
        !matches!(self, Self::Pem(..) | Self::Secret(..))
    }

    pub(crate) fn read(&self) -> Result<Keys, Failure> {
        Ok(match self {
            Self::Discover(issuer) => {
                let built = RemoteKeys::discover(issuer).build();
                Keys::of_remote(checked("--discover", issuer, built)?)
            }
            Self::JwksUrl(url) => {
                let built = RemoteKeys::jwks(url).build();
                Keys::of_remote(checked("--jwks-url", url, built)?)
            }
            Self::Jwks(file) => Keys::of(read_jwks(file)?),
            Self::Pem(algorithm, file) => {
                let key = VerifyingKey::from_pem(*algorithm, read(file)?);
                Keys::of(in_file("--pem", file, key)?)
            }
            Self::Secret(algorithm, file) => {
                let secret = without_line_end(read(file)?);
                let base64_secret = is_base64(&secret).then_some(secret.len());
                let key = VerifyingKey::from_secret(*algorithm, secret);
                Keys {
                    base64_secret,
                    ..Keys::of(in_file("--secret-file", file, key)?)
                }
            }
        })
    }
}

impl Keys {
    fn of(trust: impl IntoTrust) -> Self {
        Self {
            trust: trust.into_trust(),
            remote: None,
            base64_secret: None,
        }
    }

    fn of_remote(keys: RemoteKeys) -> Self {
        Self {
            remote: Some(keys.clone()),
            ..Self::of(keys)
        }
    }

    /// Whether fetched keys lack the one that the header names. Then a wrong `iss` comes first: it
    /// rejects the token before the keys are fetched again.
    pub(crate) fn lack_key_of(&self, header: &Value) -> bool {
        let Some(remote) = &self.remote else {
            return false;
        };
        let named = |member| header.get(member).and_then(Value::as_str);
        let (Some(key_id), Some(algorithm)) = (named("kid"), named("alg")) else {
            return false;
        };
        let is_named = |key: &VerifyingKey| {
            key.key_id() == Some(key_id) && key.algorithm().name() == algorithm
        };
        let keys = remote.state().keys;
        !keys.is_some_and(|keys| keys.iter().any(is_named))
    }

    /// Waits until the keys are fetched. Without this, it would depend on the network which check
    /// comes first.
    pub(crate) async fn wait(&self) -> Result<(), FetchError> {
        const PAUSE: Duration = Duration::from_millis(20);
        /// Longer than a fetch of metadata and keys may take.
        const MAX_PAUSES: usize = 1000;

        let Some(remote) = &self.remote else {
            return Ok(());
        };
        for _ in 0..MAX_PAUSES {
            let state = remote.state();
            match state.last_error {
                _ if state.keys.is_some() => return Ok(()),
                Some(error) => return Err(error),
                None => tokio::time::sleep(PAUSE).await,
            }
        }
        Ok(())
    }
}

/// The name of an issuer, not the address of its metadata.
fn issuer(name: String) -> Result<String, Failure> {
    const METADATA: [&str; 2] = [
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
    ];

    match METADATA.into_iter().find(|path| name.ends_with(path)) {
        Some(path) => {
            Err(format!("--discover takes the issuer, not its metadata: cut off {path}").into())
        }
        None => Ok(name),
    }
}

/// Says what can be done with the options of this program. Credentials and queries are not shown.
fn checked(
    option: &str,
    address: &str,
    built: Result<RemoteKeys, RemoteKeysError>,
) -> Result<RemoteKeys, Failure> {
    let shown = address.split('?').next().unwrap_or_default();
    built.map_err(|error| {
        let told = match error {
            RemoteKeysError::Address(AddressError::Http) => format!(
                " {shown:?}: use https. Only addresses of this machine, such as \
                 http://127.0.0.1:8080, may use http"
            ),
            RemoteKeysError::Address(AddressError::Query) => {
                format!(
                    " {shown:?}: an issuer has no query. For the address of keys use --jwks-url"
                )
            }
            RemoteKeysError::Address(AddressError::Credentials) => {
                ": leave out the user and the password".to_owned()
            }
            RemoteKeysError::Address(error) => format!(" {shown:?}: {error}"),
            other => format!(": {other}"),
        };
        format!("{option}{told}").into()
    })
}

fn in_file(
    option: &str,
    file: &OsString,
    key: Result<VerifyingKey, KeyError>,
) -> Result<VerifyingKey, Failure> {
    key.map_err(|error| format!("{option} {}: {error}", shown(file)).into())
}

fn shown(file: &OsString) -> String {
    let name = Path::new(file).display().to_string();
    name.escape_debug().to_string()
}

pub(crate) fn open(file: &OsString) -> Result<File, Failure> {
    File::open(file).map_err(|error| format!("cannot read {}: {error}", shown(file)).into())
}

fn read(file: &OsString) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = open(file)?.read_to_end(&mut bytes);
    read.map_err(|error| format!("cannot read {}: {error}", shown(file)))?;
    Ok(bytes)
}

fn read_jwks(file: &OsString) -> Result<Trust, Failure> {
    let named = |error: &dyn std::error::Error| format!("--jwks {}: {error}", shown(file));
    let text = String::from_utf8(read(file)?).map_err(|error| named(&error.utf8_error()))?;
    let jwks = JwksOptions::new()
        .allow_secrets() // a trusted file
        .read(&text)
        .map_err(|error| named(&error))?;
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

fn is_base64(secret: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_=".contains(byte);
    secret.iter().all(is_digit)
}
