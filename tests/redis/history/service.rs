//! A node: a store, and sessions over it. All calls to the crate that is checked are here.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tower_jwt_auth::keys::{Algorithm, SigningKey};
use tower_jwt_auth::revocation::{Revocation, RevocationStore};
use tower_jwt_auth::session::{
    RefreshKeys, SessionError, SessionId, SessionStore, Sessions, Subject,
};
use tower_jwt_auth::store::redis::RedisDeployment;
use tower_jwt_auth::store::redis::client::cluster::ClusterClientBuilder;
use tower_jwt_auth::store::redis::client::sentinel::{
    SentinelClient, SentinelNodeConnectionInfo, SentinelServerType,
};
use tower_jwt_auth::store::redis::client::{Client, RedisConnectionInfo};
use tower_jwt_auth::store::{RedisStore, RedisStoreError, RedisStoreOptions};

use crate::wire::{Answer, ISSUER, Request, ballast, date};

/// For how long the refresh token before the current one counts. Short, so that both sides of it
/// are reached.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// For how long `revoke_and_wait` waits. A node that has fallen silent is given up earlier.
const WAIT: Duration = Duration::from_secs(8);

/// How a node finds the servers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Address {
    Server(String),
    Sentinels(Vec<String>),
    Cluster(Vec<String>),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(crate) address: Address,
    /// The name that the node tells the server, by which the way to it knows the node.
    pub(crate) user: String,
    pub(crate) max_staleness: Duration,
    pub(crate) replicas: usize,
}

fn deployment(setup: &Setup) -> RedisDeployment {
    match &setup.address {
        Address::Server(host) => {
            let url = format!("redis://{}:x@{host}/", setup.user);
            Client::open(url).unwrap().into()
        }
        Address::Sentinels(hosts) => {
            let urls: Vec<_> = hosts
                .iter()
                .map(|host| format!("redis://{host}/"))
                .collect();
            let user = RedisConnectionInfo::default()
                .set_username(&setup.user)
                .set_password("x");
            let user = SentinelNodeConnectionInfo::default().set_redis_connection_info(user);
            let of = SentinelServerType::Master;
            SentinelClient::build(urls, "main", Some(user), of)
                .unwrap()
                .into()
        }
        Address::Cluster(hosts) => {
            let urls: Vec<_> = hosts
                .iter()
                .map(|host| format!("redis://{host}/"))
                .collect();
            let client = ClusterClientBuilder::new(urls)
                .username(&setup.user)
                .password("x");
            client.build().unwrap().into()
        }
    }
}

/// Bytes that look like those of a generator.
fn secret(number: u64) -> [u8; 32] {
    let mut random = crate::random::Random::new(number, 0);
    std::array::from_fn(|_| random.next().to_le_bytes()[0])
}

pub(crate) struct Service {
    store: RedisStore,
    sessions: Sessions<RedisStore>,
}

impl Service {
    /// Connects, and waits until the node knows what was revoked.
    pub(crate) async fn start(setup: &Setup, deadline: Duration) -> Result<Self, String> {
        let mut options = RedisStoreOptions::new(secret(1)).unwrap();
        options = options.max_staleness(setup.max_staleness);
        if setup.replicas > 0 {
            options = options.replicas(setup.replicas, Duration::from_millis(500));
        }
        let store = options.connect(deployment(setup)).await;
        let store = store.map_err(|error| error.to_string())?;
        store
            .ready(deadline)
            .await
            .map_err(|error| error.to_string())?;
        let key = SigningKey::from_secret(Algorithm::HS256, secret(2)).unwrap();
        let refresh_keys = RefreshKeys::new(secret(3)).unwrap();
        let sessions = Sessions::new(store.clone(), key, refresh_keys);
        let sessions = sessions.issuer(ISSUER).grace(GRACE);
        Ok(Self { store, sessions })
    }

    fn look(&self, token: &crate::wire::Token) -> char {
        match self.store.peek(&token.id()) {
            Some(true) => 't',
            Some(false) => 'f',
            None => '-',
        }
    }

    async fn revoke_ballast(&self, numbers: std::ops::Range<usize>, expires_at: u64) -> Answer {
        for number in numbers {
            let token = ballast(number, expires_at);
            let id = token.id();
            let revocation = Revocation::of_token(&id).unwrap();
            if let Err(error) = self.store.revoke(&revocation).await {
                return failed(&error);
            }
        }
        Answer::Done
    }

    fn look_at_ballast(&self, count: usize, expires_at: u64) -> Answer {
        let (mut revoked, mut passed, mut unknown, mut first) = (0, 0, 0, count);
        for number in 0..count {
            match self.look(&ballast(number, expires_at)) {
                't' => revoked += 1,
                'f' => {
                    passed += 1;
                    first = first.min(number);
                }
                _ => unknown += 1,
            }
        }
        Answer::Ballast {
            revoked,
            passed,
            unknown,
            first,
        }
    }

    pub(crate) async fn answer(&self, request: Request) -> Answer {
        let (store, sessions) = (&self.store, &self.sessions);
        let issuer = Some(ISSUER);
        match request {
            Request::Login { subject } => {
                pair(sessions.login(&sessions.subject_named(&subject)).await)
            }
            Request::Refresh { token } => pair(sessions.refresh(&token).await),
            Request::Logout { token } => done(sessions.logout(&token).await),
            Request::EndSession { sid } => {
                done(sessions.end_session(SessionId::parse(&sid).unwrap()).await)
            }
            Request::LogoutEverywhere { subject } => done(
                sessions
                    .logout_everywhere(&sessions.subject_named(&subject))
                    .await,
            ),
            Request::Block { subject } => {
                done(sessions.block(&sessions.subject_named(&subject)).await)
            }
            Request::Unblock { subject } => {
                done(sessions.unblock(&sessions.subject_named(&subject)).await)
            }
            Request::RevokeToken { token, waits } => {
                let id = token.id();
                let revocation = Revocation::of_token(&id).unwrap();
                told(match waits {
                    true => store.revoke_and_wait(&revocation, WAIT).await,
                    false => store.revoke(&revocation).await,
                })
            }
            Request::RevokeSession { sid, until } => {
                let until = date(until);
                told(
                    store
                        .revoke(&Revocation::Session {
                            issuer,
                            sid: &sid,
                            until,
                        })
                        .await,
                )
            }
            Request::Cutoff {
                subject,
                second,
                until,
            } => {
                let (issued_at, until) = (date(second), date(until));
                let subject = &*subject;
                let cutoff = Revocation::Cutoff {
                    issuer,
                    subject,
                    issued_at,
                    until,
                };
                told(store.revoke(&cutoff).await)
            }
            Request::Ballast {
                from,
                to,
                expires_at,
            } => self.revoke_ballast(from..to, expires_at).await,
            Request::Look { tokens } => {
                Answer::Looked(tokens.iter().map(|token| self.look(token)).collect())
            }
            Request::LookAtBallast { count, expires_at } => self.look_at_ballast(count, expires_at),
            Request::List { subject } => {
                match sessions.list(&sessions.subject_named(&subject)).await {
                    Ok(found) => {
                        Answer::Sessions(found.iter().map(|found| found.sid.to_string()).collect())
                    }
                    Err(error) => Answer::Failed(error.kind().name().to_owned()),
                }
            }
            Request::Subject { subject } => {
                match store.subject(&Subject::new(issuer, &subject)).await {
                    Ok(found) => Answer::Subject {
                        generation: found.generation,
                        blocked: found.blocked,
                    },
                    Err(error) => failed(&error),
                }
            }
            Request::State => {
                let ready = store.ready(Duration::from_millis(1)).await;
                let state = store.state();
                Answer::State {
                    why: ready.err().map_or_else(String::new, |error| {
                        format!("{error}, for {:?}", state.staleness)
                    }),
                    is_fresh: state.is_fresh,
                    loads: state.loads,
                    subjects: state.subjects,
                    entries: state.revocations.entries(),
                    bytes: state.revocations.heap_bytes,
                }
            }
        }
    }
}

fn failed(error: &RedisStoreError) -> Answer {
    Answer::Failed(error.to_string())
}

fn told(result: Result<(), RedisStoreError>) -> Answer {
    result.map_or_else(|error| failed(&error), |()| Answer::Done)
}

fn done(result: Result<(), SessionError>) -> Answer {
    result.map_or_else(|error| refused(&error), |()| Answer::Done)
}

fn refused(error: &SessionError) -> Answer {
    Answer::Failed(error.kind().name().to_owned())
}

fn pair(result: Result<tower_jwt_auth::session::TokenPair, SessionError>) -> Answer {
    match result {
        Ok(pair) => Answer::Pair {
            access: pair.access_token,
            refresh: pair.refresh_token,
            sid: pair.sid.to_string(),
        },
        Err(error) => refused(&error),
    }
}
