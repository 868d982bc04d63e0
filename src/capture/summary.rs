//! Counts of the values that a capture keeps and replaces, by source. `check --capture` prints them first.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// By the name of the operation.
#[derive(Debug, Default)]
pub struct Summary {
    pub sources: BTreeMap<String, Source>,
    /// Answers that the recorder had no room for.
    pub left_out: usize,
}

/// The counts of one source.
#[derive(Debug, Default)]
pub struct Source {
    pub requests: usize,
    /// Requests that Graph did not grant.
    pub refused: usize,
    pub documents: usize,
    /// Rows of people that no other source mentions.
    pub unrelated: usize,
    /// Path of the resource and path of the member, for each member that is not null.
    pub members: BTreeSet<(String, String)>,
    /// Words of Microsoft by member, each with how often it stayed.
    pub words: BTreeMap<String, BTreeMap<String, usize>>,
    /// Versions, makers and other public texts that stayed, by member.
    pub public: BTreeMap<String, usize>,
    /// Values of enumerations with other words than Microsoft's, by member.
    pub unknown_words: BTreeMap<String, usize>,
    pub pseudonyms: u64,
    pub dates: u64,
    pub numbers: u64,
    pub masked_numbers: u64,
}

/// Values of one member that are printed; the rest is a number.
const MOST_PRINTED: usize = 12;

impl Source {
    pub(super) fn note_member(&mut self, template: &str, path: &str) {
        self.members.insert((template.to_owned(), path.to_owned()));
    }

    pub(super) fn note_word(&mut self, member: &str, word: &str) {
        *self.words.entry(member.to_owned()).or_default().entry(word.to_owned()).or_default() += 1;
    }

    pub(super) fn note_public(&mut self, member: &str) {
        *self.public.entry(member.to_owned()).or_default() += 1;
    }

    pub(super) fn note_unknown_word(&mut self, member: &str) {
        *self.unknown_words.entry(member.to_owned()).or_default() += 1;
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, source) in &self.sources {
            writeln!(f, "{name}: {source}")?;
        }
        if self.left_out > 0 {
            writeln!(f, "{} answers were left out: the capture is large enough", self.left_out)?;
        }
        Ok(())
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = self.members.len();
        write!(f, "{} requests, {} refused, ", self.requests, self.refused)?;
        writeln!(f, "{} documents, {members} members", self.documents)?;
        for (member, words) in &self.words {
            let printed = words.iter().take(MOST_PRINTED).map(|(word, count)| format!("{word} {count}"));
            let more = words.len().saturating_sub(MOST_PRINTED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            writeln!(f, "  verbatim    {member}: {}{more}", printed.collect::<Vec<_>>().join(", "))?;
        }
        for (member, count) in &self.public {
            writeln!(f, "  verbatim    {member}: {count} public versions, makers, models or times")?;
        }
        for (member, count) in &self.unknown_words {
            writeln!(f, "  pseudonym   {member}: {count} values with words that no list has")?;
        }
        writeln!(f, "  pseudonyms  {} texts and {} numbers", self.pseudonyms, self.masked_numbers)?;
        writeln!(f, "  moved       {} dates; {} numbers stay", self.dates, self.numbers)?;
        if self.unrelated > 0 {
            writeln!(f, "  left out    {} rows that no other source mentions", self.unrelated)?;
        }
        Ok(())
    }
}
