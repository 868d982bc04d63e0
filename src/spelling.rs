//! The word that a misspelled one was meant to be.

use std::cmp::Reverse;

/// Letters of a part that stands for the whole word; fewer are in too many words.
const SHORTEST_PART: usize = 4;

/// `, did you mean ...?` if a known word is near, else nothing.
pub fn did_you_mean(word: &str, known: &[&str]) -> String {
    nearest(word, known).map(|near| format!(", did you mean `{near}`?")).unwrap_or_default()
}

/// The known word that this one was probably meant to be.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let spelled = |word: &str| word.to_lowercase().replace(['-', ' ', '.'], "_");
    let word = spelled(word);
    let common = |known: &str| word.chars().zip(known.chars()).take_while(|(a, b)| a == b).count();
    let rated = known.iter().map(|known| (distance(&word, &spelled(known)), *known));
    // One slip in three letters is a misspelling, more is another word. Of two that are as near, the one that begins alike.
    let near = rated.filter(|(distance, known)| *distance <= known.chars().count().div_ceil(3));
    let near = near.min_by_key(|(distance, known)| (*distance, Reverse(common(&spelled(known)))));
    // Or a part was left out: `secret_file` for `client_secret_file`.
    let part = || {
        let whole =
            known.iter().filter(|known| word.len() >= SHORTEST_PART && spelled(known).contains(&word));
        whole.copied().min_by_key(|known| known.len())
    };
    near.map(|(_, known)| known).or_else(part)
}

/// How many letters must be added, dropped, changed or swapped with their neighbour to turn one into the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX / 2);
    // The rows of the table for the letters of `from` before the last, for the last, and for this one.
    let mut second_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    let mut letter_before = None;
    for (row, letter) in from.chars().enumerate() {
        let mut current = vec![row + 1];
        let mut target_before = None;
        for (column, target) in to.iter().copied().enumerate() {
            let changed = at(&last, column) + usize::from(letter != target);
            let mut cost = changed.min(at(&last, column + 1) + 1).min(at(&current, column) + 1);
            if letter_before == Some(target) && target_before == Some(letter) {
                cost = cost.min(at(&second_last, column.saturating_sub(1)) + 1);
            }
            current.push(cost);
            target_before = Some(target);
        }
        second_last = std::mem::replace(&mut last, current);
        letter_before = Some(letter);
    }
    at(&last, to.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (from, to, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("abc", "abc", 0),
            ("abc", "abd", 1),
            ("abc", "ab", 1),
            ("abc", "abcd", 1),
            ("abc", "acb", 1),
            ("naem", "name", 1),
            ("colectors", "collectors", 1),
            ("kitten", "sitting", 3),
            ("ñandu", "nandu", 1),
        ] {
            assert_eq!(distance(from, to), expected, "{from} {to}");
            assert_eq!(distance(to, from), expected, "{to} {from}");
        }
    }

    #[test]
    fn the_nearest_known_word() {
        let known = ["name", "tenant_id", "client_id", "collectors", "frozen_after"];
        for (word, expected) in [
            ("colectors", Some("collectors")),
            ("clientid", Some("client_id")),
            ("Client-ID", Some("client_id")),
            ("TENANT_ID", Some("tenant_id")),
            ("nmae", Some("name")),
            ("room_lists", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, &known), expected, "{word}");
        }
        assert_eq!(nearest("x", &[]), None);
    }

    #[test]
    fn of_several_words_that_are_near_the_nearest() {
        for (word, known, expected) in [
            ("client_secret_fil", ["client_secret", "client_secret_file"], "client_secret_file"),
            ("secret_file", ["client_secret", "client_secret_file"], "client_secret_file"),
            ("us_l5x", ["us_l4", "us_l5"], "us_l5"),
            // As near as the first, and it begins alike.
            ("rate", ["date", "rats"], "rats"),
            // The first is nearer, but too far for a word of its length.
            ("abcd", ["ab", "abcdefg"], "abcdefg"),
        ] {
            assert_eq!(nearest(word, &known), Some(expected), "{word}");
        }
        assert_eq!(nearest("set", &["client_secret"]), None, "three letters are in many words");
    }
}
