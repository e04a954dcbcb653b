use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::*;
use crate::{
    hint::Hint as _,
    home::tests::{all_files, scratch},
};

const START: SystemTime = SystemTime::UNIX_EPOCH;

/// A clock that only sleeping moves.
#[derive(Debug, Default)]
struct Manual(Mutex<Duration>);

impl Manual {
    fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for Manual {
    fn now(&self) -> SystemTime {
        // A day in, so that a token that ended long ago can be told from none.
        START + Duration::from_hours(24 * 365 * 50) + self.elapsed()
    }

    fn elapsed(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.advance(duration);
        Box::pin(tokio::task::yield_now())
    }
}

type Reply = Result<(u16, String), TransportError>;

/// Address, headers and body.
type Question = (String, Vec<(String, String)>, String);

/// A token endpoint: scripted replies first, then a new token for every question.
#[derive(Debug, Default)]
struct Endpoint {
    script: Mutex<VecDeque<Reply>>,
    asked: Mutex<Vec<Question>>,
    at_once: AtomicUsize,
    rotates: bool,
    meanwhile: Meanwhile,
}

/// What happens, once, while the endpoint answers.
#[derive(Default)]
struct Meanwhile(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl fmt::Debug for Meanwhile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Meanwhile")
    }
}

impl Endpoint {
    fn replying(replies: impl IntoIterator<Item = Reply>) -> Arc<Self> {
        Arc::new(Self { script: Mutex::new(replies.into_iter().collect()), ..Self::default() })
    }

    fn questions(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl TokenTransport for Endpoint {
    fn post(
        &self,
        url: &str,
        headers: Vec<(String, String)>,
        body: Secret,
    ) -> BoxFuture<'static, Result<(u16, Vec<u8>), TransportError>> {
        let number = {
            let mut asked = self.asked.lock().unwrap();
            asked.push((url.to_owned(), headers, body.expose().to_owned()));
            asked.len()
        };
        assert_eq!(self.at_once.fetch_add(1, Ordering::SeqCst), 0, "two refreshes at once");
        if let Some(happens) = self.meanwhile.0.lock().unwrap().take() {
            happens();
        }
        let scripted = self.script.lock().unwrap().pop_front();
        let rotated =
            if self.rotates { format!(r#","refresh_token":"refresh-{number}""#) } else { String::new() };
        let usual = format!(
            r#"{{"access_token":"access-{number}","token_type":"bearer","expires_in":3600{rotated}}}"#
        );
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(2)).await;
            scripted.unwrap_or(Ok((200, usual))).map(|(status, body)| (status, body.into_bytes()))
        })
    }
}

struct Scene {
    _folder: tempfile::TempDir,
    home: Home,
    accounts: Accounts,
    clock: Arc<Manual>,
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn client_endpoint() -> TokenEndpoint {
    TokenEndpoint {
        url: "https://login.test/token".to_owned(),
        client_id: "manifest-client".to_owned(),
        client_secret: None,
        auth: ClientAuth::Form,
    }
}

fn scene() -> Scene {
    let (folder, home) = scratch();
    let accounts = Accounts::new(&home, &Vault::open(&home).unwrap());
    Scene { _folder: folder, home, accounts, clock: Arc::default() }
}

impl Scene {
    /// An account with a token that ends in `left` (or did).
    fn add(&self, left: i64) {
        let now = self.clock.now();
        let moved = Duration::from_secs(left.unsigned_abs());
        let expires = Some(if left < 0 { now - moved } else { now + moved });
        let token = StoredToken {
            access: Secret::new("access-0".to_owned()),
            refresh: Some(Secret::new("refresh-0".to_owned())),
            expires,
            lifetime: None,
            scope: Some("files".to_owned()),
        };
        self.accounts.add(&name("work"), "onedrive", token, Client::default(), now).unwrap();
    }

    fn open(&self, transport: &Arc<Endpoint>) -> Account {
        self.open_with(client_endpoint(), transport)
    }

    fn open_with(&self, client: TokenEndpoint, transport: &Arc<Endpoint>) -> Account {
        self.accounts.open(&name("work"), client, transport.clone(), self.clock.clone()).unwrap()
    }

    fn stored(&self) -> token::Secrets {
        self.accounts.safe(&name("work")).load().unwrap()
    }
}

fn by_hand() -> SignedIn {
    SignedIn { method: Method::TokenFile, at: START }
}

fn text(credential: &Credential) -> &str {
    credential.access_token().expose()
}

mod device;
mod live;
mod loopback;
mod operator;
mod pause;
mod question;
