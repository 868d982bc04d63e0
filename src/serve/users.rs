//! Who may ask: HTTP Basic, against bcrypt hashes, in a time that tells nobody which users there are.
//!
//! A hash is expensive to verify on purpose. So one is verified at a time, beside the tasks that serve; a password that
//! was right is known again by what it comes to under a key of this process; and whoever finds a long queue is
//! turned away. Wrong passwords are not remembered, so that guessing pushes nobody's right one out.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use ring::hmac::{self, HMAC_SHA256, Key, Tag};
use ring::rand::SystemRandom;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::config::Secret;

/// Verifications that wait or run; at cost 10 the last of them waits some four seconds.
const QUEUE: usize = 64;

/// What a request with its credentials is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    /// Wrong, or none.
    Bad,
    /// Too many are being verified.
    Busy,
}

/// Verifies passwords. Neither a password nor anything from which it could be guessed at leisure is kept.
pub(super) struct Passwords {
    key: Key,
    /// By user, what name, hash and password came to when they were right: one for each user of the file.
    right: Mutex<HashMap<String, Tag>>,
    queue: Arc<Semaphore>,
    turn: Arc<Semaphore>,
}

impl Passwords {
    pub(super) fn new() -> Self {
        let key = Key::generate(HMAC_SHA256, &SystemRandom::new());
        Self {
            key: key.expect("the system has random numbers: TLS needs them, too"),
            right: Mutex::default(),
            queue: Arc::new(Semaphore::new(QUEUE)),
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// Judges the header `Authorization`.
    pub(super) async fn judge(
        &self,
        users: &BTreeMap<String, Secret>,
        authorization: Option<&HeaderValue>,
    ) -> Verdict {
        let Some((name, password)) = authorization.and_then(basic) else { return Verdict::Bad };
        let Some(hash) = users.get(&name).or_else(|| self.decoy(users, &name)) else { return Verdict::Bad };
        let seal = sealed(&name, hash, &password);
        if self.is_right(&name, &seal) {
            return Verdict::Good;
        }
        let Ok(place) = Arc::clone(&self.queue).try_acquire_owned() else { return Verdict::Busy };
        let Ok(turn) = Arc::clone(&self.turn).acquire_owned().await else { return Verdict::Busy };
        // Somebody before in the queue may have had the same.
        if self.is_right(&name, &seal) {
            return Verdict::Good;
        }
        let hash = hash.clone();
        let verified = spawn_blocking(move || {
            let fits = bcrypt::verify(&password, hash.expose()).unwrap_or(false);
            drop((turn, place)); // not before, also when the client has gone
            fits
        });
        if verified.await.unwrap_or(false) && users.contains_key(&name) {
            self.remember(users, name, &seal);
            return Verdict::Good;
        }
        Verdict::Bad
    }

    /// The hash of somebody else for a name that nobody has, always the same for the same name: as expensive as those
    /// of the users are, whatever their cost.
    fn decoy<'a>(&self, users: &'a BTreeMap<String, Secret>, name: &str) -> Option<&'a Secret> {
        let tag = hmac::sign(&self.key, name.as_bytes());
        let number =
            tag.as_ref().iter().take(4).fold(0_usize, |number, byte| number << 8 | usize::from(*byte));
        users.values().nth(number.checked_rem(users.len())?)
    }

    fn is_right(&self, name: &str, seal: &[u8]) -> bool {
        let right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        right.get(name).is_some_and(|tag| hmac::verify(&self.key, seal, tag.as_ref()).is_ok())
    }

    /// Keeps no more than there are users.
    fn remember(&self, users: &BTreeMap<String, Secret>, name: String, seal: &[u8]) {
        let tag = hmac::sign(&self.key, seal);
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        right.retain(|name, _| users.contains_key(name));
        right.insert(name, tag);
    }
}

/// Name and password of `Basic`.
fn basic(authorization: &HeaderValue) -> Option<(String, Vec<u8>)> {
    let (scheme, credentials) = authorization.as_bytes().split_at_checked("Basic ".len())?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") {
        return None;
    }
    let decoded = STANDARD.decode(credentials.trim_ascii()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let (name, password) = decoded.split_at_checked(colon)?;
    Some((String::from_utf8(name.to_vec()).ok()?, password.get(1..)?.to_vec()))
}

/// Another hash is another seal: who got a new password is verified anew. Names have no zero byte, hashes neither.
fn sealed(name: &str, hash: &Secret, password: &[u8]) -> Vec<u8> {
    [name.as_bytes(), hash.expose().as_bytes(), password].join(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(passwords: &[(&str, &str)]) -> BTreeMap<String, Secret> {
        let user = |(name, password): &(&str, &str)| {
            ((*name).to_owned(), Secret::new(bcrypt::hash(password, 4).unwrap()))
        };
        passwords.iter().map(user).collect()
    }

    fn header(name: &str, password: &str) -> HeaderValue {
        format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))).parse().unwrap()
    }

    async fn judge(
        passwords: &Passwords,
        users: &BTreeMap<String, Secret>,
        name: &str,
        password: &str,
    ) -> Verdict {
        passwords.judge(users, Some(&header(name, password))).await
    }

    #[tokio::test]
    async fn only_name_and_password_together_are_good() {
        let (passwords, users) = (Passwords::new(), users(&[("ann", "a:pass"), ("bob", "b-pass")]));
        for _ in 0..2 {
            for (name, password, expected) in [
                ("ann", "a:pass", Verdict::Good),
                ("bob", "b-pass", Verdict::Good),
                ("ann", "b-pass", Verdict::Bad),
                ("ann", "", Verdict::Bad),
                ("", "a:pass", Verdict::Bad),
                ("eve", "a:pass", Verdict::Bad),
                ("eve", "b-pass", Verdict::Bad),
            ] {
                assert_eq!(judge(&passwords, &users, name, password).await, expected, "{name} {password}");
            }
        }
        assert_eq!(passwords.judge(&users, None).await, Verdict::Bad);
        for text in ["", "Basic", "Basic ", "Basic !", "Bearer YW5uOmE6cGFzcw==", "Basic YW5u"] {
            let authorization = HeaderValue::from_str(text).unwrap();
            assert_eq!(passwords.judge(&users, Some(&authorization)).await, Verdict::Bad, "{text}");
        }
    }

    #[tokio::test]
    async fn a_right_password_is_known_again_until_the_hash_changes() {
        let (passwords, before) = (Passwords::new(), users(&[("ann", "old")]));
        assert_eq!(judge(&passwords, &before, "ann", "old").await, Verdict::Good);
        let turn = passwords.turn.clone().try_acquire_owned().expect("nobody verifies");
        assert_eq!(judge(&passwords, &before, "ann", "old").await, Verdict::Good, "without a turn");
        drop(turn);
        let after = users(&[("ann", "new")]);
        assert_eq!(judge(&passwords, &after, "ann", "old").await, Verdict::Bad);
        assert_eq!(judge(&passwords, &after, "ann", "new").await, Verdict::Good);
        assert_eq!(judge(&passwords, &BTreeMap::new(), "ann", "new").await, Verdict::Bad);
    }

    #[tokio::test]
    async fn guessing_fills_no_memory_and_delays_nobody_who_is_known() {
        let (passwords, users) = (Arc::new(Passwords::new()), users(&[("ann", "right")]));
        assert_eq!(judge(&passwords, &users, "ann", "right").await, Verdict::Good);
        for guess in 0..20 {
            assert_eq!(judge(&passwords, &users, &format!("user{guess}"), "x").await, Verdict::Bad);
            assert_eq!(judge(&passwords, &users, "ann", &format!("guess{guess}")).await, Verdict::Bad);
        }
        assert_eq!(passwords.right.lock().unwrap().len(), 1);
        let queue = passwords.queue.clone().try_acquire_many_owned(u32::try_from(QUEUE).unwrap());
        assert_eq!(judge(&passwords, &users, "ann", "guess").await, Verdict::Busy);
        assert_eq!(judge(&passwords, &users, "ann", "right").await, Verdict::Good);
        drop(queue);
    }

    #[test]
    fn the_decoy_is_one_of_the_users_and_stays_the_same() {
        let (passwords, users) = (Passwords::new(), users(&[("ann", "a"), ("bob", "b"), ("cat", "c")]));
        let mut seen = Vec::new();
        for number in 0..100 {
            let name = format!("nobody{number}");
            let decoy = passwords.decoy(&users, &name).expect("there are users");
            assert_eq!(passwords.decoy(&users, &name), Some(decoy));
            seen.push(decoy);
        }
        assert!(users.values().all(|hash| seen.contains(&hash)), "each of the three in a hundred");
        assert_eq!(passwords.decoy(&BTreeMap::new(), "x"), None);
    }
}
