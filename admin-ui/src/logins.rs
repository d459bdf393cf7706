//! Checks passwords, and remembers for a while which were right: clients of this API send theirs with every request, and a good
//! password hash is slow on purpose. `auth` calls it.
//!
//! What is remembered is a digest, keyed with a random key of this process, of name, password and address, with the version of
//! the users at that time. When any user changes, no remembered login holds.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::limits::{LOGIN_REMEMBERED, LOGIN_TIME, LOGINS_AT_ONCE, LOGINS_REMEMBERED};
use crate::management::{LoginRefused, Management, Who};

type Key = [u8; 32];

struct Remembered {
    who: Arc<Who>,
    access_version: u64,
    until: Instant,
}

/// The logins of a router.
pub(crate) struct Logins {
    management: Arc<dyn Management>,
    secret: Key,
    slots: Arc<Semaphore>,
    remembered: Mutex<HashMap<Key, Remembered>>,
}

impl Logins {
    pub(crate) fn new(management: Arc<dyn Management>) -> Logins {
        Logins {
            management,
            secret: rand::random(),
            slots: Arc::new(Semaphore::new(LOGINS_AT_ONCE)),
            remembered: Mutex::default(),
        }
    }

    /// Whose name and password these are.
    pub(crate) async fn login(
        &self,
        name: String,
        password: Vec<u8>,
        peer: IpAddr,
    ) -> Result<Arc<Who>, LoginRefused> {
        // Taken before the check: a change during it voids what is remembered of it.
        let access_version = self.management.access_version();
        let key = self.key(&name, &password, peer);
        if let Some(who) = self.recall(&key, access_version) {
            return Ok(who);
        }
        let who = Arc::new(self.check(name, password, peer).await?);
        let until = Instant::now() + LOGIN_REMEMBERED;
        self.remember(key, Remembered { who: Arc::clone(&who), access_version, until });
        Ok(who)
    }

    async fn check(
        &self,
        name: String,
        password: Vec<u8>,
        peer: IpAddr,
    ) -> Result<Who, LoginRefused> {
        let slot = timeout(LOGIN_TIME, Arc::clone(&self.slots).acquire_owned()).await;
        let Ok(Ok(slot)) = slot else { return Err(LoginRefused::Busy) };
        let management = Arc::clone(&self.management);
        let check = tokio::task::spawn_blocking(move || {
            let result = management.login(&name, &password, peer);
            // Kept until the thread is free, even if the client has gone and this task with it.
            drop(slot);
            result
        });
        check.await.unwrap_or(Err(LoginRefused::Busy))
    }

    fn key(&self, name: &str, password: &[u8], peer: IpAddr) -> Key {
        // A name holds no colon, so name and password cannot be read in another way.
        let mut digest = Sha256::new();
        digest.update(self.secret);
        digest.update(peer.to_canonical().to_string());
        digest.update(b" ");
        digest.update(name);
        digest.update(b":");
        digest.update(password);
        digest.finalize().into()
    }

    fn recall(&self, key: &Key, access_version: u64) -> Option<Arc<Who>> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let login = remembered.get(key)?;
        let holds = login.access_version == access_version && Instant::now() < login.until;
        holds.then(|| Arc::clone(&login.who))
    }

    fn remember(&self, key: Key, login: Remembered) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= LOGINS_REMEMBERED {
            let now = Instant::now();
            remembered
                .retain(|_, old| now < old.until && old.access_version == login.access_version);
        }
        if remembered.len() >= LOGINS_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(key, login);
    }
}
