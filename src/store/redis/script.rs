//! The scripts, each of which is one step on the server.

use ::redis::Cmd;

/// A script and its name on the server.
pub(super) struct Script {
    code: String,
    hash: String,
}

macro_rules! scripts {
    ($($name:ident),* $(,)?) => {
        pub(super) struct Scripts {
            $(pub(super) $name: Script,)*
        }

        impl Scripts {
            pub(super) fn new() -> Self {
                Self {
                    $($name: Script::new(include_str!(concat!("scripts/", stringify!($name), ".lua"))),)*
                }
            }
        }
    };
}

scripts!(
    beat,
    block,
    create,
    end,
    find,
    generation,
    hello,
    list,
    mark,
    page,
    raise,
    replication,
    restore,
    restore_subjects,
    revoke,
    rotate,
    subject,
    unblock,
);

impl Script {
    fn new(body: &str) -> Self {
        let code = concat!(include_str!("scripts/prelude.lua"), "\n").to_owned() + body;
        let hash = redis::Script::new(&code).get_hash().to_owned();
        Self { code, hash }
    }

    /// Runs the script if the server knows it.
    pub(super) fn by_hash(&self, keys: &[&str], arguments: &[&[u8]]) -> Cmd {
        Self::command("EVALSHA", &self.hash, keys, arguments)
    }

    /// Runs the script, and has the server know it from then on.
    pub(super) fn by_code(&self, keys: &[&str], arguments: &[&[u8]]) -> Cmd {
        Self::command("EVAL", &self.code, keys, arguments)
    }

    fn command(name: &str, script: &str, keys: &[&str], arguments: &[&[u8]]) -> Cmd {
        let mut command = ::redis::cmd(name);
        command.arg(script).arg(keys.len()).arg(keys).arg(arguments);
        command
    }
}
