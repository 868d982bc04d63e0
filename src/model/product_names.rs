//! Spellings of manufacturers and models as people know them.
//!
//! Graph's device rows squeeze many names: `yealink`, `meetingbara30`. Intune spells the same ones `Yealink`,
//! `MeetingBar A30`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The maximum number of spellings. A tenant has some dozen makes and models, the list of all certified ones some hundred.
const MAX_NAMES: usize = 1000;

/// Manufacturer and model as one source spells them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Product {
    pub manufacturer: Option<Arc<str>>,
    pub model: Option<Arc<str>>,
}

/// The spellings that a tenant's devices have in common, by their squeezed form. The first one that was learned stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProductNames(BTreeMap<String, Arc<str>>);

impl Product {
    /// Returns the names in which `other` spells the same words for people, where this one squeezes them.
    pub fn spelled_by(&self, other: &Self) -> Vec<Arc<str>> {
        let pairs = [(&self.manufacturer, &other.manufacturer), (&self.model, &other.model)];
        let spelled = pairs.into_iter().filter_map(|(own, other)| {
            let (own, other) = (own.as_deref()?, other.as_ref()?);
            let is_spelling = is_squeezed(own) && !is_squeezed(other) && squeezed(own) == squeezed(other);
            is_spelling.then(|| other.clone())
        });
        spelled.collect()
    }
}

impl ProductNames {
    /// Returns true if this spelling is the first of its squeezed form, and there is room for it.
    pub fn lacks(&self, spelling: &str) -> bool {
        self.0.len() < MAX_NAMES && !self.0.contains_key(&squeezed(spelling))
    }

    pub fn learn(&mut self, spelling: &Arc<str>) {
        if self.lacks(spelling) {
            self.0.insert(squeezed(spelling), spelling.clone());
        }
    }

    /// The learned spelling of a name, or the name itself.
    pub fn spelling<'n>(&'n self, name: &'n str) -> &'n str {
        if self.0.is_empty() {
            return name;
        }
        self.0.get(&squeezed(name)).map_or(name, |spelling| spelling)
    }
}

/// The letters and digits of a name, in lower case.
pub fn squeezed(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Returns true if nothing in a name is written for people: no capital letter, no blank.
fn is_squeezed(name: &str) -> bool {
    !name.chars().any(|c| c.is_uppercase() || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_spelled(listed: &str, managed: &str, expected: bool) {
        let product = |name: &str| Product { manufacturer: None, model: Some(name.into()) };
        let spelled = product(listed).spelled_by(&product(managed));
        assert_eq!(spelled, if expected { vec![Arc::from(managed)] } else { vec![] }, "{listed}, {managed}");
    }

    #[test]
    fn only_the_same_name_spelled_for_people_is_learned() {
        check_spelled("meetingbara30", "MeetingBar A30", true);
        check_spelled("core2kit", "Core2-Kit", true);
        check_spelled("yealink", "YEALINK", true);
        check_spelled("ünit5", "Ünit 5", true);
        for (listed, managed) in [
            ("meetingbara30", "MeetingBar A20"),
            ("meetingbara30", "meetingbara30"),
            ("meetingbara30", "meetingbar-a30"),
            ("MeetingBarA30", "MeetingBar A30"),
            ("meetingbar a30", "MeetingBar A30"),
            ("meetingbara30", ""),
        ] {
            check_spelled(listed, managed, false);
        }
        let none = Product::default();
        let both = Product { manufacturer: Some("Yealink".into()), model: Some("MeetingBar A30".into()) };
        let listed = Product { manufacturer: Some("yealink".into()), model: Some("meetingbara30".into()) };
        assert!(none.spelled_by(&both).is_empty() && listed.spelled_by(&none).is_empty());
        assert_eq!(listed.spelled_by(&both), ["Yealink".into(), "MeetingBar A30".into()]);
    }

    #[test]
    fn the_first_spelling_stays_and_serves_every_form_of_the_name() {
        let mut names = ProductNames::default();
        assert_eq!(names.spelling("meetingbara30"), "meetingbara30");
        names.learn(&"MeetingBar A30".into());
        assert!(!names.lacks("Meeting Bar A30"));
        names.learn(&"Meeting Bar A30".into());
        for name in ["meetingbara30", "Meetingbar A30", "MEETINGBAR-A30"] {
            assert_eq!(names.spelling(name), "MeetingBar A30", "{name}");
        }
        assert_eq!((names.spelling("meetingbara20"), names.spelling("")), ("meetingbara20", ""));
    }

    #[test]
    fn there_is_an_end_to_learning() {
        let mut names = ProductNames::default();
        for number in 0..2 * MAX_NAMES {
            names.learn(&format!("Bar {number}").into());
        }
        assert_eq!(names.0.len(), MAX_NAMES);
        assert!(!names.lacks("Bar X"), "a full list asks for nothing");
    }
}
