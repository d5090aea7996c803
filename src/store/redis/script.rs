//! The Lua scripts. The server runs each in one step.

use std::ops::Deref;

use ::redis::Cmd;

/// A script, and the hash by which the server finds it.
pub(super) struct Script {
    code: String,
    hash: String,
}

const HEADER: &str = include_str!("scripts/header.lua");
const PRELUDE: &str = include_str!("scripts/prelude.lua");

macro_rules! scripts {
    ($($name:ident),* $(,)?) => {
        pub(super) struct Scripts {
            $(pub(super) $name: Script,)*
            /// It runs for each request. Without the prelude it takes only two thirds of the time.
            pub(super) use_proof: Script,
        }

        impl Scripts {
            pub(super) fn new() -> Self {
                Self {
                    $($name: Script::new(&[HEADER, PRELUDE, include_str!(concat!(
                        "scripts/",
                        stringify!($name),
                        ".lua"
                    ))]),)*
                    use_proof: Script::new(&[HEADER, include_str!("scripts/use_proof.lua")]),
                }
            }
        }
    };
}

scripts!(
    append_empty,
    block_subject,
    create_session,
    end_others,
    end_session,
    find_cursor,
    find_session,
    heartbeat,
    list_sessions,
    load_revocations,
    load_subjects,
    raise_access_epoch,
    raise_generation,
    replication_status,
    revoke,
    rotate_session,
    set_generation,
    subject_state,
    unblock_subject,
    update_session,
    write_back_revocations,
    write_back_subjects,
);

impl Script {
    fn new(parts: &[&str]) -> Self {
        let code = parts.join("\n");
        let hash = redis::Script::new(&code).get_hash().to_owned();
        Self { code, hash }
    }

    /// Runs the script if the server has it.
    pub(super) fn by_hash(&self, keys: &[&str], arguments: &[&[u8]]) -> Cmd {
        Self::command("EVALSHA", &self.hash, keys, arguments)
    }

    /// Runs the script. The server keeps it.
    pub(super) fn by_code(&self, keys: &[&str], arguments: &[&[u8]]) -> Cmd {
        Self::command("EVAL", &self.code, keys, arguments)
    }

    fn command(name: &str, script: &str, keys: &[&str], arguments: &[&[u8]]) -> Cmd {
        let mut command = ::redis::cmd(name);
        command.arg(script).arg(keys.len()).arg(keys).arg(arguments);
        command
    }
}

/// An owned argument of a script.
pub(super) struct Argument(Vec<u8>);

impl From<u64> for Argument {
    fn from(number: u64) -> Self {
        Self(number.to_string().into())
    }
}

impl From<&str> for Argument {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<&[u8]> for Argument {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl Deref for Argument {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
