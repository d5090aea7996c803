//! Says which check rejects a token, and why. It verifies one token, from standard input or a file.
//! With `--port` it serves HTTP instead, and verifies the token of each request to `/claims`.
//!
//! ```text
//! gate --discover https://id.example.com --audience api < token
//! gate --jwks keys.json --issuer https://id.example.com --audience api --port 3000 --explain
//! ```
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it talks to a person"
)]

mod check;
mod keys;
mod options;
mod serve;
mod token_text;

use std::error::Error;
use std::process::ExitCode;

use options::{Command, HELP, TokenInput};

async fn run() -> Result<ExitCode, Box<dyn Error>> {
    let options = match Command::from_arguments()? {
        Command::Help => {
            print!("{HELP}");
            return Ok(ExitCode::SUCCESS);
        }
        Command::Version => {
            println!("gate {}", env!("CARGO_PKG_VERSION"));
            return Ok(ExitCode::SUCCESS);
        }
        Command::Verify(options) => options,
    };
    match options.input {
        TokenInput::Requests { port } => {
            serve::serve(&options, port).await?;
            Ok(ExitCode::SUCCESS)
        }
        TokenInput::Text => check::check(&options).await,
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("gate: {error}");
            ExitCode::from(2)
        }
    }
}
