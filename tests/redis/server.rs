//! A real redis-server, in a directory of its own, on a free port.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tower_jwt_auth::store::redis::client::{self, Client};

pub struct Server {
    pub port: u16,
    options: Vec<String>,
    directory: PathBuf,
    child: Option<Child>,
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Server {
    /// A server that keeps nothing, or what the options say.
    pub fn start(options: &[&str]) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let name = format!("tower-jwt-auth-redis-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let mut server = Self {
            port: free_port(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            directory,
            child: None,
        };
        server.run();
        server
    }

    /// Starts it, again on the same port and with the same files.
    pub fn run(&mut self) {
        let log = std::fs::File::create(self.directory.join("log")).unwrap();
        let mut command = Command::new("redis-server");
        command
            .args([
                "--port",
                &self.port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
            ])
            .arg("--dir")
            .arg(&self.directory)
            .args(&self.options)
            .stdout(log)
            .stderr(Stdio::inherit());
        self.child = Some(command.spawn().expect("redis-server is not installed"));
        self.wait();
    }

    /// Until it answers.
    fn wait(&self) {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(20) {
            if let Ok(mut connection) = self.client().get_connection()
                && client::cmd("PING").query::<String>(&mut connection).is_ok()
            {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("redis-server does not answer");
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    pub fn client(&self) -> Client {
        Client::open(self.url()).unwrap()
    }

    /// As a machine does whose power fails, but for its disk.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub fn ask<T: client::FromRedisValue>(&self, command: &mut client::Cmd) -> T {
        let mut connection = self.client().get_connection().unwrap();
        command.query(&mut connection).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
