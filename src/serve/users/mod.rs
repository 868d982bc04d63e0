//! Who may ask: HTTP Basic, against bcrypt hashes, in a time that tells nobody which users there are.
//!
//! A hash is expensive to verify on purpose. So one is verified at a time, on a thread of its own; a password that was
//! right is known again by what it comes to under a key of this process, and so are the last wrong ones. Whoever must wait
//! does so in the [queue] of its own address, and a verdict is kept also when its client has given up: its next try finds it.

mod queue;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use ring::digest::SHA256_OUTPUT_LEN;
use ring::hmac::{self, HMAC_SHA256, Key, Tag};
use ring::rand::SystemRandom;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use self::queue::Queue;
use crate::config::Secret;

/// Wrong passwords that are known again. A client with an old password asks every few seconds; who guesses, seldom twice.
const WRONG: usize = 256;

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
    known: Arc<Mutex<Known>>,
}

/// What was verified, and what is to be.
#[derive(Default)]
struct Known {
    /// By user, what name, hash and password came to when they were right: one for each user of the file.
    right: HashMap<String, Print>,
    /// The same of the last that were wrong.
    wrong: VecDeque<Print>,
    queue: Queue<Attempt>,
    /// A thread works on the queue.
    is_working: bool,
}

/// An HMAC of name, hash and password.
type Print = [u8; SHA256_OUTPUT_LEN];

/// One verification that waits.
struct Attempt {
    name: String,
    password: Vec<u8>,
    hash: Secret,
    print: Print,
    /// Whether there is such a user; if not, the hash is another's.
    is_user: bool,
    /// Who waits for it; the same client may have asked more than once.
    replies: Vec<oneshot::Sender<Verdict>>,
}

impl Passwords {
    pub(super) fn new() -> Self {
        let key = Key::generate(HMAC_SHA256, &SystemRandom::new());
        Self { key: key.expect("the system has random numbers: TLS needs them, too"), known: Arc::default() }
    }

    /// Judges the header `Authorization` of a client at this address.
    pub(super) async fn judge(
        &self,
        users: &BTreeMap<String, Secret>,
        authorization: Option<&HeaderValue>,
        address: IpAddr,
    ) -> Verdict {
        let Some((name, password)) = authorization.and_then(basic) else { return Verdict::Bad };
        let is_user = users.contains_key(&name);
        let Some(hash) = users.get(&name).or_else(|| self.decoy(users, &name)) else { return Verdict::Bad };
        let print = print(&hmac::sign(&self.key, &sealed(&name, hash, &password)));
        let (reply, verdict) = oneshot::channel();
        let replies = vec![reply];
        let attempt = Attempt { name, password, hash: hash.clone(), print, is_user, replies };
        let known = {
            let mut known = lock(&self.known);
            known.right.retain(|name, _| users.contains_key(name));
            known.verdict(&attempt.name, &attempt.print).or_else(|| self.wait(&mut known, attempt, address))
        };
        match known {
            Some(verdict) => verdict,
            None => verdict.await.unwrap_or(Verdict::Busy),
        }
    }

    /// Has an attempt wait for its turn; the verdict if it may not.
    fn wait(&self, known: &mut Known, attempt: Attempt, address: IpAddr) -> Option<Verdict> {
        if let Some(waiting) = known.queue.hurry(|waiting| waiting.print == attempt.print) {
            waiting.replies.extend(attempt.replies);
        } else if !known.queue.push(address, attempt, Attempt::is_given_up) {
            return Some(Verdict::Busy);
        }
        if !known.is_working {
            known.is_working = true;
            let known = Arc::downgrade(&self.known);
            spawn_blocking(move || while known.upgrade().is_some_and(|known| work(&known)) {});
        }
        None
    }

    /// The hash of somebody else for a name that nobody has, always the same for the same name: as expensive as those
    /// of the users are, whatever their cost.
    fn decoy<'a>(&self, users: &'a BTreeMap<String, Secret>, name: &str) -> Option<&'a Secret> {
        let tag = hmac::sign(&self.key, name.as_bytes());
        let number =
            tag.as_ref().iter().take(4).fold(0_usize, |number, byte| number << 8 | usize::from(*byte));
        users.values().nth(number.checked_rem(users.len())?)
    }
}

impl Attempt {
    /// Returns true if no client waits for it any more.
    fn is_given_up(&self) -> bool {
        self.replies.iter().all(oneshot::Sender::is_closed)
    }
}

impl Known {
    /// The verdict of one that was verified before.
    fn verdict(&self, name: &str, print: &Print) -> Option<Verdict> {
        if self.right.get(name) == Some(print) {
            return Some(Verdict::Good);
        }
        self.wrong.contains(print).then_some(Verdict::Bad)
    }

    fn remember(&mut self, name: String, print: Print, verdict: Verdict) {
        if verdict == Verdict::Good {
            self.right.insert(name, print);
        } else {
            self.wrong.truncate(WRONG - 1);
            self.wrong.push_front(print);
        }
    }
}

/// Verifies the next in the queue; false once it is empty.
fn work(known: &Mutex<Known>) -> bool {
    let (address, attempt, verdict) = {
        let mut known = lock(known);
        let Some((address, attempt)) = known.queue.pop() else {
            known.is_working = false;
            return false;
        };
        // Somebody before in the queue may have had the same.
        let verdict = known.verdict(&attempt.name, &attempt.print);
        (address, attempt, verdict)
    };
    let Attempt { name, password, hash, print, is_user, replies } = attempt;
    let verdict = verdict.unwrap_or_else(|| {
        let fits = bcrypt::verify(&password, hash.expose()).unwrap_or(false);
        let verdict = if fits && is_user { Verdict::Good } else { Verdict::Bad };
        lock(known).remember(name, print, verdict);
        verdict
    });
    if verdict == Verdict::Bad {
        lock(known).queue.failed(address);
    }
    for reply in replies {
        reply.send(verdict).ok(); // the client may have gone
    }
    true
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

fn print(tag: &Tag) -> Print {
    tag.as_ref().try_into().expect("SHA-256 has 32 bytes")
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
        judge_from(passwords, users, HERE, name, password).await
    }

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    async fn judge_from(
        passwords: &Passwords,
        users: &BTreeMap<String, Secret>,
        address: IpAddr,
        name: &str,
        password: &str,
    ) -> Verdict {
        passwords.judge(users, Some(&header(name, password)), address).await
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
        assert_eq!(passwords.judge(&users, None, HERE).await, Verdict::Bad);
        for text in ["", "Basic", "Basic ", "Basic !", "Bearer YW5uOmE6cGFzcw==", "Basic YW5u"] {
            let authorization = HeaderValue::from_str(text).unwrap();
            assert_eq!(passwords.judge(&users, Some(&authorization), HERE).await, Verdict::Bad, "{text}");
        }
    }

    /// Nobody works on the queue from now on: who is known must not need it.
    fn hold_up(passwords: &Passwords) {
        // The last one who did so may still be on its way out.
        while std::mem::replace(&mut lock(&passwords.known).is_working, true) {
            std::thread::yield_now();
        }
    }

    #[tokio::test]
    async fn a_right_password_is_known_again_until_the_hash_changes() {
        let (passwords, before) = (Passwords::new(), users(&[("ann", "old")]));
        assert_eq!(judge(&passwords, &before, "ann", "old").await, Verdict::Good);
        let after = users(&[("ann", "new")]);
        assert_eq!(judge(&passwords, &after, "ann", "old").await, Verdict::Bad);
        assert_eq!(judge(&passwords, &after, "ann", "new").await, Verdict::Good);
        assert_eq!(judge(&passwords, &BTreeMap::new(), "ann", "new").await, Verdict::Bad);
        assert_eq!(judge(&passwords, &after, "ann", "new").await, Verdict::Good);
        hold_up(&passwords);
        assert_eq!(judge(&passwords, &after, "ann", "new").await, Verdict::Good, "without a turn");
        assert_eq!(judge(&passwords, &after, "ann", "old").await, Verdict::Bad, "without a turn");
    }

    #[tokio::test]
    async fn guessing_fills_no_memory_and_delays_nobody_who_is_known() {
        let (passwords, users) = (Arc::new(Passwords::new()), users(&[("ann", "right")]));
        assert_eq!(judge(&passwords, &users, "ann", "right").await, Verdict::Good);
        for guess in 0..WRONG {
            assert_eq!(judge(&passwords, &users, &format!("user{guess}"), "x").await, Verdict::Bad);
            assert_eq!(judge(&passwords, &users, "ann", &format!("guess{guess}")).await, Verdict::Bad);
        }
        {
            let known = lock(&passwords.known);
            assert_eq!((known.right.len(), known.wrong.len()), (1, WRONG));
        }
        hold_up(&passwords);
        let waiting = (0..queue::MOST_OF_ADDRESS).map(|number| {
            let (passwords, users) = (passwords.clone(), users.clone());
            async move { judge(&passwords, &users, "ann", &format!("new{number}")).await }
        });
        let mut waiting: Vec<_> = waiting.map(Box::pin).collect();
        for one in &mut waiting {
            assert!(futures_util::poll!(one).is_pending());
        }
        assert_eq!(judge(&passwords, &users, "ann", "another").await, Verdict::Busy);
        assert_eq!(judge(&passwords, &users, "ann", "right").await, Verdict::Good);
    }

    #[tokio::test]
    async fn who_tries_again_passes_everyone_at_its_address() {
        let (passwords, users) = (Passwords::new(), users(&[("ann", "right")]));
        hold_up(&passwords);
        let guesses: Vec<String> = (0..50).map(|number| format!("guess{number}")).collect();
        let mut waiting: Vec<_> =
            guesses.iter().map(|guess| Box::pin(judge(&passwords, &users, "ann", guess))).collect();
        for one in &mut waiting {
            assert!(futures_util::poll!(one).is_pending());
        }
        for is_let_in in [false, true] {
            let mut client = Box::pin(judge(&passwords, &users, "ann", "right"));
            assert!(futures_util::poll!(&mut client).is_pending());
            work(&passwords.known);
            assert_eq!(futures_util::poll!(&mut client).is_ready(), is_let_in);
        }
    }

    /// The client of the first try gives up before its turn comes, as a Prometheus does whose timeout is short.
    #[tokio::test]
    async fn a_verdict_is_kept_for_the_next_try() {
        let (passwords, users) = (Passwords::new(), users(&[("ann", "right")]));
        hold_up(&passwords);
        for password in ["right", "wrong"] {
            let mut first = Box::pin(judge(&passwords, &users, "ann", password));
            assert!(futures_util::poll!(&mut first).is_pending());
        }
        while work(&passwords.known) {}
        hold_up(&passwords);
        assert_eq!(judge(&passwords, &users, "ann", "right").await, Verdict::Good);
        assert_eq!(judge(&passwords, &users, "ann", "wrong").await, Verdict::Bad);
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
