//! The programs that a group runs besides plain servers: Sentinels, and servers whose clock can be
//! set.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::server::free_port;

pub(crate) struct Sentinel {
    pub(crate) port: u16,
    file: PathBuf,
    child: Child,
}

impl Sentinel {
    pub(crate) fn of(port_of_master: u16) -> Self {
        let port = free_port();
        let file = std::env::temp_dir().join(format!("tower-jwt-auth-watch-{port}"));
        let lines = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {port_of_master} 2\n\
             sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 4000\n\
             sentinel parallel-syncs main 2\n"
        );
        std::fs::write(&file, lines).unwrap();
        let mut command = Command::new("redis-sentinel");
        let child = command.arg(&file).stdout(Stdio::null()).spawn();
        Self {
            port,
            file,
            child: child.expect("redis-sentinel is not installed"),
        }
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.file);
    }
}

/// How to start a server whose clock can be set while it runs.
pub(crate) fn with_clock(file: &Path) -> Vec<String> {
    let library = concat!(env!("CARGO_TARGET_TMPDIR"), "/step.so");
    static BUILT: std::sync::Once = std::sync::Once::new();
    BUILT.call_once(|| {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/redis/shift.c");
        let new = format!("{library}-{}", std::process::id());
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", source, "-o", &new]);
        assert!(compiler.status().unwrap().success());
        std::fs::rename(new, library).unwrap();
    });
    std::fs::write(file, 0_i64.to_ne_bytes()).unwrap();
    let words = ["env".to_owned(), format!("LD_PRELOAD={library}")];
    let clock = format!("STEP_FILE={}", file.display());
    words
        .into_iter()
        .chain([clock, "redis-server".to_owned()])
        .collect()
}
