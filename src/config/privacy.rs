//! What may be known of the use of rooms.

use super::error::{Error, quoted};
use super::file::{RawCollectors, RawPrivacy, Text};
use super::tenant::TenantReader;
use crate::model::privacy::Privacy;

/// More than any room has; a number with a digit too many would hide every room.
const MAX_SEATS: u32 = 10_000;

impl TenantReader<'_> {
    pub(super) fn privacy(&self) -> Result<Privacy, Error> {
        let Some(RawPrivacy { usage, min_capacity }) = &self.raw.value.privacy else {
            return Ok(Privacy::default());
        };
        let default = Privacy::default();
        let usage = self.optional("privacy.usage", usage.as_ref(), default.usage, check_usage)?;
        let min_capacity =
            self.optional("privacy.min_capacity", min_capacity.as_ref(), default.min_capacity, check_seats)?;
        if let Some((key, text)) = self.required_usage().filter(|_| !usage) {
            return Err(self.wrong(text, key, "contradicts `privacy: { usage: off }`; remove one of them"));
        }
        Ok(Privacy { usage, min_capacity })
    }

    /// A source that tells of use and must be there.
    fn required_usage(&self) -> Option<(&'static str, &Text)> {
        let RawCollectors { presence, calendar, .. } = self.raw.value.collectors.as_ref()?;
        let presence = presence.as_ref().and_then(|presence| presence.enabled.as_ref());
        let calendar = calendar.as_ref().and_then(|calendar| calendar.enabled.as_ref());
        [("collectors.presence.enabled", presence), ("collectors.calendar.enabled", calendar)]
            .into_iter()
            .find_map(|(key, text)| Some((key, text.filter(|text| text.value == "true")?)))
    }
}

fn check_usage(text: &str) -> Result<bool, String> {
    match text {
        "room" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("{} is neither room nor off", quoted(text))),
    }
}

fn check_seats(text: &str) -> Result<u32, String> {
    let seats = text.parse().ok().filter(|seats| *seats <= MAX_SEATS);
    seats.ok_or_else(|| format!("{} is no number of seats up to {MAX_SEATS}; write it like 3", quoted(text)))
}
