//! Words that many things have in common, such as a model, a version or a city: each is kept once, for all of them.
//!
//! A fleet of 10,000 devices has some hundred; without this it would hold some 200,000, each in a piece of memory of its own.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use serde::{Deserialize, Deserializer};

static WORDS: LazyLock<Mutex<Words>> = LazyLock::new(Mutex::default);

/// Fewer than this are not looked through for those that nobody has any more.
const FEW: usize = 1024;

#[derive(Default)]
struct Words {
    known: HashSet<Arc<str>>,
    /// How many were left when they were last looked through.
    kept: usize,
}

/// The word as everybody has it.
pub fn word(text: &str) -> Arc<str> {
    WORDS.lock().unwrap_or_else(PoisonError::into_inner).share(text)
}

/// For serde.
pub(super) fn name<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<str>, D::Error> {
    Ok(word(&String::deserialize(from)?))
}

/// For serde.
pub(super) fn optional<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Arc<str>>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.as_deref().map(word))
}

impl Words {
    fn share(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.known.get(text) {
            return known.clone();
        }
        if self.known.len() >= FEW.max(2 * self.kept) {
            self.known.retain(|word| Arc::strong_count(word) > 1);
            self.kept = self.known.len();
        }
        let word: Arc<str> = text.into();
        self.known.insert(word.clone());
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_words_are_one() {
        assert!(Arc::ptr_eq(&word("Rally Bar"), &word("Rally Bar")));
        assert_ne!(word("Rally Bar"), word("Rally Bar Mini"));
    }

    #[test]
    fn words_that_nobody_has_any_more_go() {
        let mut words = Words::default();
        let kept = words.share("kept");
        for number in 0..100 * FEW {
            words.share(&number.to_string());
        }
        assert!(words.known.len() <= FEW);
        assert!(Arc::ptr_eq(&kept, &words.share("kept")));
    }
}
