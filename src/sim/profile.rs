//! The shape of the answers: as Learn documents them, or as real tenants send them.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

/// The source that the shape of the answers follows. Rooms, devices and events are the same in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Public captures of real tenants.
    Real,
    /// Microsoft's documentation.
    Documented,
}

impl Profile {
    /// The profile of a tenant that names none, in [`super::Settings`] and on the command line.
    pub const DEFAULT: Self = Self::Real;
}

impl FromStr for Profile {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "real" => Ok(Self::Real),
            "documented" => Ok(Self::Documented),
            _ => Err("expected real or documented"),
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Real => "real",
            Self::Documented => "documented",
        })
    }
}

/// Cuts every time of a document to whole seconds. Cutting never puts a time ahead of the clock.
pub(super) fn whole_seconds(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(whole_seconds),
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(time) if name.ends_with("DateTime") || name.ends_with("Date") => cut(time),
                    _ => whole_seconds(member),
                }
            }
        }
        _ => {}
    }
}

fn cut(time: &mut String) {
    if let Some((seconds, _)) = time.split_once('.') {
        *time = format!("{seconds}Z");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_profile_is_read_as_it_is_written() {
        for profile in [Profile::Real, Profile::Documented] {
            assert_eq!(profile.to_string().parse(), Ok(profile));
        }
        assert!("Real".parse::<Profile>().is_err());
    }

    #[test]
    fn only_times_are_cut() {
        let rest = json!({"version": "5.5.129.0", "patchDate": "2026-08-05", "noDateTime": null,
            "wholeDateTime": "2026-11-20T08:00:00Z", "officeHoursStartTime": "08:00:00.0000000"});
        let document = |time: &str| json!({"aDateTime": time, "b": [{"cDate": time}], "rest": rest});
        let mut value = document("2026-11-20T08:00:00.420Z");
        whole_seconds(&mut value);
        let expected = document("2026-11-20T08:00:00Z");
        assert_eq!(value, expected);
    }
}
