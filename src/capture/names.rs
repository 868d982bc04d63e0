//! The pseudonym of a text wherever it occurs: in a member, a path or a link.

use std::collections::HashSet;

use crate::capture::links::{self, Mask, Path};
use crate::capture::pseudonym::{Key, Pseudonyms, squeeze};
use crate::capture::{forms, words};

pub struct Names {
    pseudonyms: Pseudonyms,
    /// The Graph root of the tenant, without a slash at its end.
    root: String,
    /// Own ids in lower case, and what is written instead.
    stand_ins: Vec<(String, String)>,
    /// Ids of Microsoft, in lower case: they are the same in each tenant.
    public_ids: HashSet<String>,
}

impl Names {
    pub(super) fn new(
        key: &Key,
        root: &str,
        stand_ins: &[(String, String)],
        public_ids: HashSet<String>,
    ) -> Self {
        // A managed identity has no client id, and an empty text stays empty.
        let known = stand_ins.iter().filter(|(own, _)| !own.is_empty());
        let stand_ins = known.map(|(own, other)| (own.to_lowercase(), other.clone())).collect();
        let root = root.trim_end_matches('/').to_owned();
        Self { pseudonyms: Pseudonyms::new(key), root, stand_ins, public_ids }
    }

    /// The pseudonym of a text; a text that says nothing about the tenant stays.
    pub fn text(&mut self, text: &str) -> String {
        let lower = text.to_lowercase();
        if let Some((_, stand_in)) = self.stand_ins.iter().find(|(own, _)| *own == lower) {
            return stand_in.clone();
        }
        let is_flag = matches!(lower.as_str(), "true" | "false");
        if is_flag || words::is_placeholder(&squeeze(text)) || self.public_ids.contains(&lower) {
            return text.to_owned();
        }
        if text.contains("://") {
            return self.link(text);
        }
        if let Some((prefix, rest)) = text.split_once(':').filter(|(prefix, _)| words::is_prefix(prefix)) {
            return format!("{prefix}:{}", self.text(rest));
        }
        match forms::address(text) {
            Some((local, domain)) => format!("{}@{}", self.pseudonyms.of(local), self.host(domain)),
            None => self.pseudonyms.of(text),
        }
    }

    /// The path of a request, with its query.
    pub(super) fn path(&mut self, path: &str) -> Path {
        links::path(path, self)
    }

    /// A link, absolute or relative.
    pub(super) fn link(&mut self, text: &str) -> String {
        let root = self.root.clone();
        links::link(text, &root, self)
    }

    /// Other digits for a number as it is written; its sign, its length and its exponent stay.
    pub(super) fn number(&mut self, written: &str) -> String {
        let (mantissa, exponent) = written.split_at(written.find(['e', 'E']).unwrap_or(written.len()));
        let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
        let masked = self.pseudonyms.of(&digits);
        // Neither JSON nor the magnitude allows a zero in the first place.
        let masked = if digits.starts_with('0') {
            masked
        } else {
            masked.replacen('0', "1", usize::from(masked.starts_with('0')))
        };
        let mut fresh = masked.chars();
        let masked = mantissa.chars().map(|c| if c.is_ascii_digit() { fresh.next().unwrap_or(c) } else { c });
        masked.collect::<String>() + exponent
    }
}

impl Mask for Names {
    fn text(&mut self, text: &str) -> String {
        Names::text(self, text)
    }

    /// A host name below the domain that is reserved for examples.
    fn host(&mut self, name: &str) -> String {
        let labels: Vec<String> = name.split('.').map(|label| self.pseudonyms.of(label)).collect();
        format!("{}.example", labels.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: &str = "AAAA0000-1111-4222-8333-444444444444";
    const SKU: &str = "4cde982a-ede4-4409-9ae6-b003453c8ea6";

    fn names() -> Names {
        let stand_ins = [CLIENT, ""].map(|own| (own.to_owned(), "stand-in".to_owned()));
        Names::new(&[7; 32], "https://graph.microsoft.com/", &stand_ins, [SKU.to_owned()].into())
    }

    #[test]
    fn an_address_is_the_same_in_every_place_and_case() {
        let mut names = names();
        let upper = names.text("Room-Oslo@Contoso.example");
        let (local, domain) = upper.split_once('@').expect("an address");
        assert!(local.chars().nth(4) == Some('-') && domain.ends_with(".example"), "{upper}");
        let lower = names.text("room-oslo@contoso.example");
        assert_eq!(upper.to_lowercase(), lower);
        assert_eq!(names.text("SMTP:room-oslo@contoso.example"), format!("SMTP:{lower}"));
        assert_eq!(
            names.path("/v1.0/users/room-oslo%40contoso.example").text,
            format!("/v1.0/users/{lower}")
        );
        assert_ne!(names.text("room-oslo@contoso.test"), lower, "another domain is another address");
        assert!(!lower.contains("oslo") && !lower.contains("contoso"), "{lower}");
    }

    #[test]
    fn a_mac_address_is_the_same_with_and_without_separators() {
        let mut names = names();
        let squeezed = names.text("ETHERNET:249AD8112233");
        let plain = names.text("24:9A:D8:11:22:33");
        assert_eq!(squeezed, format!("ETHERNET:{}", plain.replace(':', "")));
        assert_eq!(names.text("UNKNOWN:24:9a:d8:11:22:33"), format!("UNKNOWN:{}", plain.to_lowercase()));
    }

    #[test]
    fn own_ids_get_stand_ins_and_public_ones_stay() {
        let mut names = names();
        assert_eq!(names.text(CLIENT), "stand-in");
        assert_eq!(
            names.path(&format!("/v1.0/applications(appId='{}')", CLIENT.to_lowercase())).text,
            "/v1.0/applications(appId='stand-in')"
        );
        assert_eq!(names.text(&SKU.to_uppercase()), SKU.to_uppercase());
        for text in ["True", "To be filled by O.E.M.", "N/A", "0000-0000", ""] {
            assert_eq!(names.text(text), text);
        }
    }

    #[test]
    fn numbers_keep_their_magnitude() {
        let mut names = names();
        for number in ["4711", "-52.5325", "1e400", "12.0E-3", "1000001"] {
            let masked = names.number(number);
            let form = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "0");
            assert_eq!(form(&masked), form(number));
            assert!(
                serde_json::from_str::<serde_json::Number>(&masked).is_ok() || number == "1e400",
                "{masked}"
            );
        }
        assert_ne!(names.number("4711"), "4711");
        assert_eq!(names.number("0.00"), "0.00");
    }
}
