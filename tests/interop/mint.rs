//! Mints a token with a private JWK, for other libraries to verify.
//!
//! `interop_mint --jwk FILE --claims JSON [--typ TYPE]`
#![expect(clippy::print_stdout, reason = "its output is the token")]

use std::error::Error;

use lexopt::{Arg, Parser, ValueExt};
use tower_jwt_auth::keys::{SigningKey, TokenHeader};

fn main() -> Result<(), Box<dyn Error>> {
    let (mut jwk, mut claims) = (None, None);
    let mut header = TokenHeader::new();
    let mut parser = Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("jwk") => jwk = Some(std::fs::read_to_string(parser.value()?)?),
            Arg::Long("claims") => claims = Some(parser.value()?.string()?),
            Arg::Long("typ") => header = header.typ(parser.value()?.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let key = SigningKey::from_jwk(&jwk.ok_or("--jwk is missing")?)?;
    let claims: serde_json::Value = serde_json::from_str(&claims.ok_or("--claims is missing")?)?;
    println!("{}", key.sign_with(&header, &claims)?);
    Ok(())
}
