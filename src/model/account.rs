//! The account of a room: may it sign in, what is it licensed for, and what else is it called.
//!
//! <https://learn.microsoft.com/graph/api/resources/user>

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::{State, Timestamp};

/// Whether a room's account is in order. Who is signed in on a device is [`crate::model::device::Account`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RoomAccount {
    pub enabled: Option<bool>,
    /// The best of its licences; `None` where they are not told.
    pub license: Option<Tier>,
    /// Since when it may not sign in, if the exporter saw it end.
    pub disabled_since: Option<Timestamp>,
    /// Since when it has no licence for rooms, if the exporter saw it end.
    pub unlicensed_since: Option<Timestamp>,
}

/// A user of the directory that may be a room, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Entra object id, lower case.
    pub object_id: Arc<str>,
    /// Primary address, else the name it signs in with; lower case.
    pub email: Option<Arc<str>>,
    /// The name it signs in with and its other addresses, lower case.
    pub other_names: Vec<Arc<str>>,
    pub name: Option<Arc<str>>,
    /// It has a given name or a surname. Mailboxes of rooms have neither.
    pub has_personal_name: bool,
    pub account: RoomAccount,
}

/// What a licence is for, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    Pro,
    Premium,
    Standard,
    Basic,
    SharedDevice,
    /// Some licence, but none for rooms.
    Other,
    None,
}

impl RoomAccount {
    pub fn is_disabled(&self) -> bool {
        self.enabled == Some(false)
    }

    /// Whether it is known to have no licence for rooms.
    pub fn is_unlicensed(&self) -> bool {
        self.license.is_some_and(|tier| !tier.is_for_rooms())
    }

    /// The same, of which nobody knows since when.
    #[must_use]
    pub fn without_times(self) -> Self {
        Self { disabled_since: None, unlicensed_since: None, ..self }
    }

    /// With since when it is not in order. What was not so `before` began at `began`, where that was watched.
    #[must_use]
    pub fn following(self, before: &Self, began: Option<Timestamp>) -> Self {
        let since = |is: bool, was: bool, since: Option<Timestamp>| {
            began.filter(|_| is).and_then(|now| if was { since } else { Some(now) })
        };
        Self {
            disabled_since: since(self.is_disabled(), before.is_disabled(), before.disabled_since),
            unlicensed_since: since(self.is_unlicensed(), before.is_unlicensed(), before.unlicensed_since),
            ..self
        }
    }
}

impl User {
    /// Whether a licence says that this is a room.
    pub fn is_licensed_room(&self) -> bool {
        self.account.license.is_some_and(Tier::is_for_rooms)
    }

    /// Returns true if the directory leaves no doubt: a license for people, none for rooms, and the name of a person.
    /// Without one of these the account can be that of a room that lost its license.
    pub fn is_person(&self) -> bool {
        self.has_personal_name && self.account.license == Some(Tier::Other)
    }

    /// Everything that it is found by, the best first.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.email.iter().chain([&self.object_id]).chain(&self.other_names)
    }
}

impl Tier {
    /// A Teams Rooms or shared-device licence.
    pub const fn is_for_rooms(self) -> bool {
        !matches!(self, Self::Other | Self::None)
    }
}

impl State for Tier {
    const ALL: &'static [Self] =
        &[Self::Pro, Self::Premium, Self::Standard, Self::Basic, Self::SharedDevice, Self::Other, Self::None];

    fn label(self) -> &'static str {
        match self {
            Self::Pro => "pro",
            Self::Premium => "premium",
            Self::Standard => "standard",
            Self::Basic => "basic",
            Self::SharedDevice => "shared_device",
            Self::Other => "other",
            Self::None => "none",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: RoomAccount, now: RoomAccount, watched: bool, since: [Option<i64>; 2]) {
        let found = now.following(&before, watched.then_some(Timestamp::from_seconds(9)));
        let found = [found.disabled_since, found.unlicensed_since];
        assert_eq!(found.map(|time| time.map(Timestamp::seconds)), since, "{before:?} {now:?}");
    }

    #[test]
    fn only_a_license_for_people_and_the_name_of_one_make_a_person() {
        for (has_personal_name, license, expected) in [
            (true, Some(Tier::Other), true),
            (false, Some(Tier::Other), false), // a room with a license for people
            (true, Some(Tier::Pro), false),
            (true, Some(Tier::SharedDevice), false),
            (true, Some(Tier::None), false), // a room that lost its license
            (true, None, false),             // licenses cannot be read
        ] {
            let user = User {
                object_id: "id-1".into(),
                email: None,
                other_names: Vec::new(),
                name: None,
                has_personal_name,
                account: RoomAccount { license, ..RoomAccount::default() },
            };
            assert_eq!(user.is_person(), expected, "{has_personal_name} {license:?}");
        }
    }

    #[test]
    fn what_began_has_a_time_where_it_was_watched() {
        let account = |enabled, license| RoomAccount {
            enabled: Some(enabled),
            license: Some(license),
            ..RoomAccount::default()
        };
        let (well, ill) = (account(true, Tier::Pro), account(false, Tier::Other));
        check(well, ill, true, [Some(9); 2]);
        check(well, ill, false, [None; 2]);
        check(ill, ill, true, [None; 2]);
        let known = Some(Timestamp::from_seconds(5));
        let long_ill = RoomAccount { disabled_since: known, unlicensed_since: known, ..ill };
        check(long_ill, ill, true, [Some(5); 2]);
        check(long_ill, ill, false, [None; 2]);
        check(long_ill, account(true, Tier::None), true, [None, Some(5)]);
        check(long_ill, well, true, [None; 2]);
    }
}
