//! The collectors of a tenant: whether and how often each runs, and the settings that only one has.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_saphyr::Spanned;

use super::error::{Error, quoted};
use super::file::{RawAccounts, RawCalendar, RawCollectors, RawDevices, RawHealth, RawSource, Text};
use super::rooms::check_email;
use super::tenant::{TenantReader, check_guid, choice};
use super::{
    CalendarSettings, Collectors, DEVICE_TYPES, DevicesSettings, Enabled, HealthSettings, SourceSettings,
    duration,
};
use crate::model::State;
use crate::model::account::Tier;
use crate::model::collector::Collector;
use crate::spelling;

/// A time in the file, or its default.
struct Time<'a> {
    value: Duration,
    text: Option<&'a Text>,
}

impl TenantReader<'_> {
    pub(super) fn collectors(&self) -> Result<Collectors, Error> {
        let none = RawCollectors::default();
        let raw = self.raw.value.collectors.as_ref().unwrap_or(&none);
        let (devices, device_health) = self.devices(raw)?;
        Ok(Collectors {
            devices,
            device_health,
            presence: self.source(Collector::Presence, raw.presence.as_ref())?,
            places: self.source(Collector::Places, raw.places.as_ref())?,
            calendar: self.calendar(raw.calendar.as_ref())?,
            accounts: self
                .source(Collector::Accounts, raw.accounts.as_ref().map(RawAccounts::source).as_ref())?,
            skus: self.skus(raw.accounts.as_ref().and_then(|accounts| accounts.skus.as_ref()))?,
            intune: self.source(Collector::Intune, raw.intune.as_ref())?,
            service_health: self.source(Collector::ServiceHealth, raw.service_health.as_ref())?,
            credentials: self.source(Collector::Credentials, raw.credentials.as_ref())?,
        })
    }

    fn source(&self, collector: Collector, raw: Option<&RawSource>) -> Result<SourceSettings, Error> {
        let (none, default) = (RawSource::default(), SourceSettings::from(collector));
        let (raw, name) = (raw.unwrap_or(&none), collector.label());
        let key = |key: &str| format!("collectors.{name}.{key}");
        let interval = self.time(&key("interval"), raw.interval.as_ref(), default.interval)?;
        let expiry = self.time(&key("expiry"), raw.expiry.as_ref(), default.expiry)?;
        self.check_age(&key("expiry"), &expiry, "the interval", &interval)?;
        let enabled = self.enabled(&key("enabled"), raw.enabled.as_ref())?;
        Ok(SourceSettings { enabled, interval: interval.value, expiry: expiry.value })
    }

    fn calendar(&self, raw: Option<&RawCalendar>) -> Result<CalendarSettings, Error> {
        let source = self.source(Collector::Calendar, raw.map(RawCalendar::source).as_ref())?;
        let mailbox = raw.and_then(|raw| raw.mailbox.as_ref());
        let mailbox =
            self.optional("collectors.calendar.mailbox", mailbox, None, |text| check_email(text).map(Some))?;
        Ok(CalendarSettings { source, mailbox })
    }

    /// The list and the detail of devices share one cycle.
    fn devices(&self, raw: &RawCollectors) -> Result<(DevicesSettings, HealthSettings), Error> {
        let (no_devices, no_health) = (RawDevices::default(), RawHealth::default());
        let devices = raw.devices.as_ref().unwrap_or(&no_devices);
        let health = raw.device_health.as_ref().unwrap_or(&no_health);
        let default = Collectors::default();
        let (key, health_key) = ("collectors.devices.expiry", "collectors.device_health.expiry");

        let interval =
            self.time("collectors.devices.interval", devices.interval.as_ref(), default.devices.interval)?;
        let expiry = self.time(key, devices.expiry.as_ref(), default.devices.expiry)?;
        let rotation = self.time(
            "collectors.device_health.rotation",
            health.rotation.as_ref(),
            default.device_health.rotation,
        )?;
        let health_expiry = self.time(health_key, health.expiry.as_ref(), default.device_health.expiry)?;
        self.check_age(key, &expiry, "the interval", &interval)?;
        self.check_age(health_key, &health_expiry, "the rotation", &rotation)?;
        self.check_age(health_key, &health_expiry, "the interval of devices", &interval)?;

        let types = match &devices.types {
            Some(types) => self.types(types)?,
            None => default.devices.types,
        };
        let devices = DevicesSettings {
            enabled: self.enabled("collectors.devices.enabled", devices.enabled.as_ref())?,
            interval: interval.value,
            expiry: expiry.value,
            types,
        };
        let health = HealthSettings {
            enabled: self.enabled("collectors.device_health.enabled", health.enabled.as_ref())?,
            expiry: health_expiry.value,
            rotation: rotation.value,
        };
        Ok((devices, health))
    }

    fn types(&self, listed: &Spanned<Vec<Text>>) -> Result<Vec<String>, Error> {
        let key = "collectors.devices.types";
        let types = self.each(key, Some(&listed.value), check_device_type)?;
        if types.is_empty() {
            return Err(self.wrong(listed, key, "is empty; to read no devices write `enabled: false`"));
        }
        Ok(types)
    }

    fn skus(&self, listed: Option<&BTreeMap<String, Text>>) -> Result<BTreeMap<String, Tier>, Error> {
        let mut skus = BTreeMap::new();
        for (id, tier) in listed.into_iter().flatten() {
            let (id, tier) = self.check("collectors.accounts.skus", tier, |tier| {
                let id = check_guid(id).map_err(|reason| format!("{} {reason}", quoted(id)))?;
                Ok((id, check_tier(tier)?))
            })?;
            skus.insert(id, tier);
        }
        Ok(skus)
    }

    fn enabled(&self, key: &str, text: Option<&Text>) -> Result<Enabled, Error> {
        self.optional(key, text, Enabled::Auto, |text| {
            choice(text, [Enabled::Auto, Enabled::Yes, Enabled::No])
        })
    }

    fn time<'t>(&self, key: &str, text: Option<&'t Text>, default: Duration) -> Result<Time<'t>, Error> {
        Ok(Time { value: self.duration(key, text, default)?, text })
    }

    /// What expires before it is read again would come and go at every cycle.
    fn check_age(&self, key: &str, age: &Time<'_>, name: &str, cycle: &Time<'_>) -> Result<(), Error> {
        // The defaults fit each other: one of the two is in the file.
        let Some(text) = age.text.or(cycle.text).filter(|_| age.value <= cycle.value) else { return Ok(()) };
        let default = if age.text.is_none() { " (the default)" } else { "" };
        let (age, cycle) = (duration::show(age.value), duration::show(cycle.value));
        Err(self.wrong(text, key, &format!("{age}{default} must be more than {name}, {cycle}")))
    }
}

fn check_tier(text: &str) -> Result<Tier, String> {
    let tiers = || Tier::ALL.iter().filter(|tier| **tier != Tier::None);
    let names: Vec<&str> = tiers().map(|tier| tier.label()).collect();
    tiers().find(|tier| tier.label() == text).copied().ok_or_else(|| {
        format!(
            "{} is no kind of licence{}\nallowed here: {}",
            quoted(text),
            spelling::did_you_mean(text, &names),
            names.join(", ")
        )
    })
}

fn check_device_type(text: &str) -> Result<String, String> {
    let names = DEVICE_TYPES.map(|(name, _)| name);
    match names.iter().find(|name| name.eq_ignore_ascii_case(text)) {
        Some(name) => Ok((*name).to_owned()),
        None => Err(format!(
            "unknown device type {}{}\nallowed here: {}",
            quoted(text),
            spelling::did_you_mean(text, &names),
            names.join(", ")
        )),
    }
}
