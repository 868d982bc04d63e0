//! Software versions: their order, and how far a device is behind the others of its cohort.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::quality::FixedState;

/// A version as makers write them: `10.0.22631.4317`, `4.5.0-447000`, `1449/1.0.96.2026080302`, `1.0.0.2026.product`.
///
/// Compared number by number; the text that follows the numbers decides last.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    /// Decimal digits without leading zeros, so that no number is too long.
    numbers: Vec<String>,
    suffix: String,
}

impl Version {
    pub fn parse(text: &str) -> Self {
        let mut numbers = Vec::new();
        let mut suffix = Vec::new();
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            let word = if numbers.is_empty() { word.trim_start_matches(['v', 'V']) } else { word };
            if suffix.is_empty() && word.bytes().all(|b| b.is_ascii_digit()) {
                numbers.push(word.trim_start_matches('0').to_owned());
            } else {
                suffix.push(word.to_lowercase());
            }
        }
        while numbers.last().is_some_and(String::is_empty) {
            numbers.pop(); // 5.6 and 5.6.0 are the same version
        }
        Self { numbers, suffix: suffix.join(".") }
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_size = |a: &String, b: &String| a.len().cmp(&b.len()).then_with(|| a.cmp(b));
        let pairs = self.numbers.iter().zip(&other.numbers);
        pairs
            .map(|(a, b)| by_size(a, b))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| self.numbers.len().cmp(&other.numbers.len()))
            .then_with(|| self.suffix.cmp(&other.suffix))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A version run by this many devices counts as released, however large the cohort: a pilot room does not make a fleet late.
const PILOT_DEVICES: usize = 3;
/// ... or by this share of the cohort, where that is more.
const PILOT_PERCENT: usize = 2;

/// The versions that count as released in each cohort `K`, in order.
#[derive(Debug)]
pub struct Cohorts<K> {
    released: HashMap<K, Vec<Version>, FixedState>,
}

/// What one device runs and is offered.
#[derive(Clone, Copy, Debug)]
pub struct Installed<'a> {
    pub current: Option<&'a str>,
    pub available: Option<&'a str>,
}

impl<K: Eq + Hash + Clone> Cohorts<K> {
    pub fn new<'a>(installed: impl IntoIterator<Item = (K, Installed<'a>)>) -> Self {
        let mut census: HashMap<K, Census<'a>, FixedState> = HashMap::default();
        for (cohort, software) in installed {
            census.entry(cohort).or_default().add(software);
        }
        Self { released: census.into_iter().map(|(cohort, census)| (cohort, census.released())).collect() }
    }

    /// How many newer versions the cohort has: 0 is newest.
    pub fn gap(&self, cohort: &K, current: &str) -> usize {
        let current = Version::parse(current);
        let newer = |versions: &Vec<Version>| versions.len() - versions.partition_point(|v| *v <= current);
        self.released.get(cohort).map_or(0, newer)
    }
}

/// In whatever order.
impl<K: Hash> Hash for Cohorts<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let prints = self.released.iter().map(|cohort| FixedState::default().hash_one(cohort));
        prints.fold(0, u64::wrapping_add).hash(state);
    }
}

/// Who runs what in one cohort, as it is written: a version is parsed once, not for each device.
#[derive(Debug, Default)]
struct Census<'a> {
    devices: usize,
    running: HashMap<&'a str, usize, FixedState>,
    offered: HashSet<&'a str, FixedState>,
}

impl<'a> Census<'a> {
    fn add(&mut self, software: Installed<'a>) {
        self.devices += 1;
        if let Some(current) = software.current {
            *self.running.entry(current).or_default() += 1;
        }
        self.offered.extend(software.available);
    }

    fn released(self) -> Vec<Version> {
        let enough = PILOT_DEVICES.max((self.devices * PILOT_PERCENT).div_ceil(100));
        let mut running: HashMap<Version, usize> = HashMap::new();
        for (text, devices) in self.running {
            *running.entry(Version::parse(text)).or_default() += devices; // one version may be written in several ways
        }
        running.retain(|_, devices| *devices >= enough);
        let mut released: Vec<_> = self.offered.into_iter().map(Version::parse).collect();
        released.extend(running.into_keys());
        released.sort();
        released.dedup();
        released
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_order(smaller: &str, larger: &str) {
        assert!(Version::parse(smaller) < Version::parse(larger), "{smaller} < {larger}");
    }

    #[track_caller]
    fn check_same(one: &str, other: &str) {
        assert_eq!(Version::parse(one).cmp(&Version::parse(other)), Ordering::Equal, "{one} = {other}");
    }

    #[test]
    fn versions_compare_number_by_number_and_suffix_last() {
        check_order("5.5.129.0", "5.6.114.0");
        check_order("5.9", "5.10");
        check_order("4.5.0-447000", "4.6.1-450123");
        check_order("1449/1.0.96.2026080302", "1449/1.0.96.2026090101");
        check_order("1.0.0.202609040640.alpha", "1.0.0.202609040640.product");
        check_order("1.0", "1.0.1");
        check_order("99999999999999999999999998", "99999999999999999999999999");
        check_order("1.0-rc1", "1.1-rc1");
        check_same("5.6", "5.6.0");
        check_same("v5.6", "5.6");
        check_same("05.06", "5.6");
        check_same("1.0.PRODUCT", "1.0.product");
    }

    fn gap(fleet: &[(&str, Option<&str>)], current: &str) -> usize {
        let installed = fleet
            .iter()
            .map(|(current, available)| ((), Installed { current: Some(current), available: *available }));
        Cohorts::new(installed).gap(&(), current)
    }

    #[test]
    fn a_gap_counts_the_newer_versions_of_the_cohort() {
        let fleet = [("1.0", None), ("1.1", None), ("1.1", None), ("1.1", None), ("1.2", Some("1.3"))];
        assert_eq!(gap(&fleet, "1.0"), 2, "1.1 is run by three and 1.3 is offered; 1.2 is a pilot");
        assert_eq!(gap(&fleet, "1.1"), 1);
        assert_eq!(gap(&fleet, "1.3"), 0);
        assert_eq!(gap(&fleet, "2.0"), 0);
        assert_eq!(gap(&[], "1.0"), 0);
    }

    #[test]
    fn the_share_of_a_large_cohort_that_must_run_a_version_is_rounded_up() {
        let mut fleet = vec![("1.0", None); 196];
        fleet.extend([("1.1", None); 4]);
        assert_eq!(gap(&fleet, "1.0"), 1, "4 of 200 is 2 %");
        fleet.push(("1.0", None));
        assert_eq!(gap(&fleet, "1.0"), 0, "4 of 201 is less");
    }
}
