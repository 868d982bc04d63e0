//! Statements of sources about room accounts.

use std::sync::Arc;

use crate::model::Timestamp;
use crate::model::account::User;
use crate::model::device::{Device, Role};
use crate::model::identity::room::{Authority, Tie};
use crate::model::place::Place;

/// Decides if accounts that are signed in on room devices are rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    Always,
    /// Unless the directory says that the account belongs to a person.
    UnlessPerson,
    Never,
}

/// The statement of one source about one room account.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    pub object_id: Option<&'a str>,
    pub email: Option<&'a str>,
    /// The sign-in name and other addresses.
    pub other_names: &'a [Arc<str>],
    pub name: Option<&'a str>,
    pub authority: Authority,
    /// Creation time of the device that claims. The account signed in later on the younger of two devices, so its name
    /// wins: the name must not alternate.
    pub since: Option<Timestamp>,
    /// The source lists rooms, and this is one.
    pub confirmed: bool,
    /// The source knows object ids and mail addresses alike.
    pub(super) tie: Option<Tie>,
}

impl<'a> Claim<'a> {
    /// The claim of a device about the account signed in on it; `None` if there is none.
    pub fn of_device(device: &'a Device, trust: Trust) -> Option<Self> {
        let account = device.account.as_ref()?;
        let is_core = device.device_type.role() == Role::Core;
        Some(Self {
            object_id: account.id.as_deref(),
            email: account.email.as_deref(),
            name: account.name.as_deref(),
            since: device.created,
            confirmed: trust == Trust::Always,
            tie: Some(Tie::Mail),
            ..Self::nothing(if is_core { Authority::CoreDevice } else { Authority::Device })
        })
    }

    /// The claim of the rooms file: there is such a room.
    pub fn of_file(email: &'a str, object_id: Option<&'a str>) -> Self {
        Self { email: Some(email), object_id, tie: Some(Tie::File), ..Self::nothing(Authority::Nobody) }
    }

    /// The claim of the directory; `confirmed` if the license of the account makes it a room.
    pub fn of_user(user: &'a User, confirmed: bool) -> Self {
        Self {
            object_id: Some(&user.object_id),
            email: user.email.as_deref(),
            other_names: &user.other_names,
            name: user.name.as_deref(),
            confirmed,
            tie: Some(Tie::ObjectId),
            ..Self::nothing(Authority::Account)
        }
    }

    /// There is a room, says a source that lists rooms.
    pub(super) fn nothing(authority: Authority) -> Self {
        Self {
            object_id: None,
            email: None,
            other_names: &[],
            name: None,
            authority,
            since: None,
            confirmed: true,
            tie: None,
        }
    }

    /// The evidence that its mail address and its object id are one account, if it has both.
    pub(super) fn tie(&self) -> Option<Tie> {
        self.tie.filter(|_| self.email.is_some() && self.object_id.is_some())
    }

    /// Returns true for a claim that knows accounts and their addresses at first hand.
    pub(super) fn is_of_directory(&self) -> bool {
        self.tie >= Some(Tie::ObjectId)
    }

    /// Every name in lower case, in order of preference for an identity.
    pub(super) fn aliases(&self) -> impl Iterator<Item = Arc<str>> {
        let others = self.other_names.iter().map(|name| Some(&**name));
        [self.email, self.object_id]
            .into_iter()
            .chain(others)
            .flatten()
            .map(|name| name.to_lowercase().into())
    }
}

impl<'a> From<&'a Place> for Claim<'a> {
    fn from(place: &'a Place) -> Self {
        Self { email: Some(&place.email), name: place.name.as_deref(), ..Self::nothing(Authority::Place) }
    }
}
