//! What a tenant's rooms are told of themselves: their lists, their file and their sites.

use std::path::PathBuf;

use serde_saphyr::Spanned;

use super::error::{Error, quoted};
use super::file::{RawMatch, RawSite, Text};
use super::tenant::TenantReader;
use crate::model::rooms_file::is_email;
use crate::model::site::{self, Glob, Hours, Match, Site};
use crate::{rooms_file, spelling};

/// As long as a label value may be before it is cut.
const MAX_LABEL_CHARACTERS: usize = 128;

impl TenantReader<'_> {
    pub(super) fn room_lists(&self) -> Result<Vec<String>, Error> {
        self.each("room_lists", self.raw.value.room_lists.as_ref(), check_email)
    }

    /// The file is read to its end: what is wrong in it shall be told now and not after the first cycle.
    pub(super) fn rooms_file(&self) -> Result<Option<PathBuf>, Error> {
        let Some(text) = &self.raw.value.rooms_file else { return Ok(None) };
        self.check("rooms_file", text, |text| {
            let path = self.source.folder().join(text);
            rooms_file::read(&path).map_err(|error| error.to_string())?;
            Ok(Some(path))
        })
    }

    pub(super) fn sites(&self, with_rooms_file: bool) -> Result<Vec<Site>, Error> {
        let mut sites: Vec<Site> = Vec::new();
        for (index, raw) in self.raw.value.sites.iter().flatten().enumerate() {
            let reader = SiteReader { tenant: self, raw, place: format!("sites[{index}]") };
            let site = reader.read()?;
            if sites.iter().any(|other| other.name == site.name) {
                return Err(
                    reader.wrong("name", "another site has this name already; the label `site` must differ")
                );
            }
            if site.matches.is_empty() && !with_rooms_file {
                return Err(reader.wrong(
                    "match",
                    "is missing, and without a rooms_file that names the site no room could belong to it; \
                     write it like { building: [\"BER*\"] }",
                ));
            }
            sites.push(site);
        }
        Ok(sites)
    }
}

/// One entry of `sites`.
struct SiteReader<'a> {
    tenant: &'a TenantReader<'a>,
    raw: &'a Spanned<RawSite>,
    place: String,
}

impl SiteReader<'_> {
    fn read(&self) -> Result<Site, Error> {
        let raw = &self.raw.value;
        let name = raw.name.as_ref().ok_or_else(|| self.wrong("name", "is missing; every site needs it"))?;
        let name = self.check("name", name, |text| check_label(text))?;
        let owner = raw.owner.as_ref().map(|owner| self.check("owner", owner, |text| check_label(text)));
        let matches = match &raw.matches {
            Some(matches) => self.matches(matches)?,
            None => Match::default(),
        };
        let hours = |key: &str, text: &Text| self.check(key, text, |text| Hours::parse(text));
        let service = raw.service_hours.as_ref().map(|text| hours("service_hours", text)).transpose()?;
        let mut maintenance = Hours::default();
        for text in raw.maintenance.iter().flat_map(|listed| &listed.value) {
            maintenance = maintenance.and(&hours("maintenance", text)?);
        }
        let zone = match &raw.time_zone {
            Some(zone) => {
                self.check("time_zone", zone, |text| site::zone(text).ok_or_else(|| unknown_zone(text)))?
            }
            None if service.is_none() && maintenance.is_empty() => jiff::tz::TimeZone::UTC,
            None => return Err(self.wrong("time_zone", "is missing; hours need it, like Europe/Berlin")),
        };
        let service = service.unwrap_or_else(Hours::always);
        if let Some(listed) =
            raw.maintenance.as_ref().filter(|_| service.clone().without(&maintenance).is_empty())
        {
            return Err(self.wrong_at(listed, "maintenance", "leaves nothing of the service hours"));
        }
        Ok(Site::new(name, owner.transpose()?.map(Into::into), matches, zone, service, &maintenance))
    }

    fn matches(&self, raw: &Spanned<RawMatch>) -> Result<Match, Error> {
        let globs =
            |key: &str, listed: &Option<Spanned<Vec<Text>>>, parse: fn(&str) -> Result<Glob, String>| {
                let Some(listed) = listed else { return Ok(Vec::new()) };
                if listed.value.is_empty() {
                    return Err(self.wrong_at(listed, key, "is empty and matches nothing; leave it out"));
                }
                listed.value.iter().map(|text| self.check(key, text, |text| parse(text))).collect()
            };
        let matches = Match {
            building: globs("match.building", &raw.value.building, Glob::parse)?,
            email: globs("match.email", &raw.value.email, Glob::parse_email)?,
        };
        if matches.is_empty() {
            return Err(self.wrong_at(raw, "match", "is empty; give building, email or both"));
        }
        Ok(matches)
    }

    fn check<T, U>(
        &self,
        key: &str,
        value: &Spanned<T>,
        check: impl FnOnce(&T) -> Result<U, String>,
    ) -> Result<U, Error> {
        self.tenant.check(&format!("{}.{key}", self.place), value, check)
    }

    fn wrong(&self, key: &str, reason: &str) -> Error {
        self.wrong_at(self.raw, key, reason)
    }

    fn wrong_at<T>(&self, value: &Spanned<T>, key: &str, reason: &str) -> Error {
        self.tenant.wrong(value, &format!("{}.{key}", self.place), reason)
    }
}

/// An e-mail address in lower case.
pub(super) fn check_email(text: &str) -> Result<String, String> {
    if is_email(text) {
        return Ok(text.to_lowercase());
    }
    Err(format!("{} is no e-mail address; write it like rooms-berlin@contoso.example", quoted(text)))
}

fn check_label(text: &str) -> Result<String, String> {
    let is_label = !text.trim().is_empty()
        && text.chars().count() <= MAX_LABEL_CHARACTERS
        && !text.contains(char::is_control);
    if is_label {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{} cannot be a label; write 1 to {MAX_LABEL_CHARACTERS} characters in one line",
        quoted(text)
    ))
}

fn unknown_zone(text: &str) -> String {
    let names = site::zone_names();
    let city = |name: &str| name.rsplit('/').next().unwrap_or_default().replace('_', " ").to_lowercase();
    let same_city = names.iter().find(|name| city(name) == city(text)).map(String::as_str);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match same_city.or_else(|| spelling::nearest(text, &names)) {
        Some(near) => format!("unknown time zone {}, did you mean `{near}`?", quoted(text)),
        None => format!(
            "unknown time zone {}; write a name of the IANA data base like Europe/Berlin",
            quoted(text)
        ),
    }
}

/// The sites of the simulated tenant: its four buildings, with two owners.
pub(super) fn of_demo() -> Vec<Site> {
    const SITES: [(&str, &str, &str, &str); 4] = [
        ("berlin", "BER*", "av-emea", "Europe/Berlin"),
        ("oslo", "OSL*", "av-emea", "Europe/Oslo"),
        ("london", "LON*", "av-emea", "Europe/London"),
        ("new-york", "NYC*", "av-americas", "America/New_York"),
    ];
    let hours = |text| Hours::parse(text).expect("constant hours are well-formed");
    let site = |(name, building, owner, zone): (&str, _, &str, _)| {
        let matches = Match { building: Glob::parse(building).into_iter().collect(), email: Vec::new() };
        let zone = site::zone(zone).expect("the zone is part of the program");
        Site::new(
            name,
            Some(owner.into()),
            matches,
            zone,
            hours("Mon-Fri 07:00-20:00"),
            &hours("02:00-05:00"),
        )
    };
    SITES.map(site).into()
}
