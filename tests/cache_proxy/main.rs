//! Holds answers to be safe in a shared cache: a real nginx in front of a service with cookies. See
//! `run.sh`.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    reason = "a test that panics fails"
)]

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::response::IntoResponse;
use axum::routing::get;
use http::HeaderValue;
use http::header::CACHE_CONTROL;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};
use tower_jwt_auth::testing::TestIssuer;
use tower_jwt_auth::{TokenSource, VerifiedToken};

/// `Cache-Control` of a handler that does not mean to share what it says.
const UNAWARE: [&[&str]; 8] = [
    &[],
    &["max-age=60"],
    &["max-age=60, must-revalidate"],
    &["max-age=60", "must-revalidate"],
    &["MAX-AGE=60"],
    &["max-age=60, ext=\"a, b\""],
    &["max-age=60, ext=\"unclosed"],
    &["max-age=60, stale-while-revalidate=60"],
];

/// Of one that does.
const SHARED: [&[&str]; 2] = [&["public, max-age=60"], &["s-maxage=60"]];

async fn page(
    Path((kind, index, _)): Path<(String, usize, usize)>,
    token: Option<VerifiedToken>,
) -> impl IntoResponse {
    let lines = match &*kind {
        "unaware" => UNAWARE[index],
        _ => SHARED[index],
    };
    let name = token.as_ref().and_then(VerifiedToken::subject);
    let mut response = format!("for {}", name.unwrap_or("nobody")).into_response();
    for line in lines {
        let line = HeaderValue::from_static(line);
        response.headers_mut().append(CACHE_CONTROL, line);
    }
    response
}

/// An nginx, and the directory that it keeps everything in.
struct Nginx {
    process: Child,
    directory: PathBuf,
}

impl Nginx {
    async fn before(port: u16) -> Self {
        let name = format!("tower-jwt-auth-nginx-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        let at = directory.display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary = temporary.map(|kind| format!("{kind}_temp_path {at}/{kind};"));
        // One process, which needs no other user. What says nothing of caches is kept too, as many
        // do.
        let configuration = format!(
            "daemon off; master_process off; pid {at}/pid; error_log {at}/error;
            events {{}}
            http {{
                access_log off;
                {}
                proxy_cache_path {at}/cache keys_zone=pages:1m;
                server {{
                    listen unix:{at}/socket;
                    location / {{
                        proxy_pass http://127.0.0.1:{port};
                        proxy_cache pages;
                        proxy_cache_key $request_uri;
                        proxy_cache_valid any 1m;
                        add_header X-Cache $upstream_cache_status always;
                    }}
                }}
            }}",
            temporary.join(" ")
        );
        fs::write(directory.join("conf"), configuration).unwrap();
        let process = Command::new("nginx")
            .arg("-e")
            .arg(directory.join("error"))
            .arg("-c")
            .arg(directory.join("conf"))
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let nginx = Self { process, directory };
        for _ in 0..200 {
            if UnixStream::connect(nginx.socket()).await.is_ok() {
                return nginx;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("nginx does not listen");
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("socket")
    }

    /// What a visitor with this header gets, and whether it was kept (`HIT`).
    async fn get(&self, path: &str, header: Option<&str>) -> Answer {
        let header = header.map(|line| format!("{line}\r\n"));
        let header = header.unwrap_or_default();
        let mut stream = UnixStream::connect(self.socket()).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: x\r\n{header}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await.unwrap();
        let response = String::from_utf8(response).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        Answer {
            status: head.get(9..12).unwrap().to_owned(),
            body: body.to_owned(),
            kept: head.contains("X-Cache: HIT"),
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        fs::remove_dir_all(&self.directory).unwrap();
    }
}

struct Answer {
    status: String,
    body: String,
    kept: bool,
}

const ROUNDS: usize = 50;

#[tokio::test]
async fn a_shared_cache_serves_no_user_the_page_of_another() {
    let issuer = TestIssuer::new();
    let sources = || [TokenSource::bearer(), TokenSource::cookie("access")];
    let layer = issuer.layer().sources(sources());
    let app = Router::new()
        .route("/account/{kind}/{index}/{round}", get(page))
        .layer(layer.clone())
        .merge(
            Router::new()
                .route("/front/{kind}/{index}/{round}", get(page))
                .layer(layer.optional()),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let nginx = Nginx::before(port).await;

    let by_cookie =
        ["alice", "bob"].map(|name| format!("Cookie: access={}", issuer.token(name).sign()));
    check(&nginx, &by_cookie).await;
}

async fn check(nginx: &Nginx, [alice, bob]: &[String; 2]) {
    let (mut to_bob, mut to_strangers, mut asked) = (0, 0, 0);
    let (mut front_to_alice, mut front_to_bob, mut front_to_strangers) = (0, 0, 0);
    let (mut refused_alice, mut front_kept) = (0, 0);
    for index in 0..UNAWARE.len() {
        for round in 0..ROUNDS {
            asked += 1;
            let path = format!("/account/unaware/{index}/{round}");
            // A refusal that is kept would shut out those who come after.
            assert_eq!(nginx.get(&path, None).await.status, "401");
            refused_alice += usize::from(nginx.get(&path, Some(alice)).await.body != "for alice");
            to_bob += usize::from(nginx.get(&path, Some(bob)).await.body.contains("alice"));
            to_strangers += usize::from(nginx.get(&path, None).await.body.contains("alice"));

            let path = format!("/front/unaware/{index}/{round}");
            assert_eq!(nginx.get(&path, None).await.body, "for nobody");
            front_to_alice += usize::from(nginx.get(&path, Some(alice)).await.body != "for alice");
            front_to_bob += usize::from(nginx.get(&path, Some(bob)).await.body != "for bob");
            let again = nginx.get(&path, None).await;
            front_to_strangers += usize::from(again.body != "for nobody");
            front_kept += usize::from(again.kept);

            // The other way round: a member first.
            let path = format!("/front/unaware/{index}/{round}?2");
            assert_eq!(nginx.get(&path, Some(alice)).await.body, "for alice");
            front_to_bob += usize::from(nginx.get(&path, Some(bob)).await.body != "for bob");
            front_to_strangers += usize::from(nginx.get(&path, None).await.body != "for nobody");
        }
    }
    println!(
        "{asked} pages: alice's handed to bob {to_bob}, to requests without a token {to_strangers}"
    );
    println!("  alice shut out by a kept 401 {refused_alice}");
    println!(
        "{asked} front pages: nobody's handed to alice {front_to_alice}, another's to bob {front_to_bob} \
         of {}, alice's to strangers {front_to_strangers} of {}; kept for strangers {front_kept}",
        2 * asked,
        2 * asked,
    );

    // Control: this cache does keep, and what a handler means to share it shares.
    for index in 0..SHARED.len() {
        let path = format!("/account/shared/{index}/0");
        assert_eq!(nginx.get(&path, Some(alice)).await.body, "for alice");
        let answer = nginx.get(&path, Some(bob)).await;
        assert!(answer.kept);
        assert_eq!(answer.body, "for alice");
    }
    assert_eq!((to_bob, to_strangers, refused_alice), (0, 0, 0));
    assert_eq!(
        (front_to_alice, front_to_bob, front_to_strangers),
        (0, 0, 0)
    );
    assert_eq!(front_kept, asked, "anonymous pages are still kept");
}
