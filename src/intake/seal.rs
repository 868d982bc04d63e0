//! Knows a secret again without keeping it, in a time that does not depend on how much of it is right.

use ring::hmac::{self, HMAC_SHA256, Key, Tag};
use ring::rand::SystemRandom;

/// What the secret comes to under a key that nobody knows. Not `Debug`.
pub(super) struct Seal {
    key: Key,
    tag: Tag,
}

impl Seal {
    pub(super) fn of(secret: &[u8]) -> Self {
        let key = Key::generate(HMAC_SHA256, &SystemRandom::new())
            .expect("the system has random numbers: TLS needs them, too");
        let tag = hmac::sign(&key, secret);
        Self { key, tag }
    }

    /// Compares in constant time what both come to; of the secret itself, its length included, nothing shows.
    pub(super) fn fits(&self, secret: &[u8]) -> bool {
        hmac::verify(&self.key, secret, self.tag.as_ref()).is_ok()
    }

    /// Whether this is another secret than before.
    pub(super) fn replace(&mut self, secret: &[u8]) -> bool {
        let is_new = !self.fits(secret);
        if is_new {
            *self = Self::of(secret);
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_secret_fits() {
        let mut seal = Seal::of(b"hunter2");
        assert!(seal.fits(b"hunter2"));
        for wrong in [&b""[..], b"hunter", b"hunter22", b"Hunter2", b"hunter2\n", &[0xff; 1000]] {
            assert!(!seal.fits(wrong));
        }
        assert!(!seal.replace(b"hunter2"));
        assert!(seal.replace(b"hunter3"));
        assert!(seal.fits(b"hunter3") && !seal.fits(b"hunter2"));
    }
}
