//! A room, and who said what about it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::identity::claim::Claim;
use crate::model::{State, Timestamp};

/// A room: one room account (resource mailbox).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Room {
    /// The account's e-mail in lower case where it was known when the id was chosen, else its Entra object id.
    pub id: Arc<str>,
    /// The last good name of the best source that has one.
    pub name: Arc<str>,
    pub email: Option<Arc<str>>,
    /// Entra object id, lower case.
    pub object_id: Option<Arc<str>>,
    pub(super) named_by: Authority,
    /// Creation time of the device that named it.
    #[serde(default)]
    pub(super) named_since: Option<Timestamp>,
    /// The source of the e-mail address.
    #[serde(default)]
    pub(super) mailed_by: Authority,
    /// A source that lists rooms has this one.
    pub(super) confirmed: bool,
    /// The best evidence that `email` and `object_id` belong to one account; `None` while only one of them is known.
    #[serde(default)]
    pub tie: Option<Tie>,
    /// The room of the account as it was before its name alone joined it with this one.
    #[serde(default)]
    pub(super) by_name: Option<Arc<Room>>,
    /// The id no longer follows what the first readings after a start bring.
    #[serde(default = "always")]
    pub(super) fixed: bool,
}

/// Older files hold only ids that were served.
fn always() -> bool {
    true
}

/// A source of names, by how well it knows the name of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// No source has named it; the id is the name.
    #[default]
    Nobody,
    /// A console, a panel, or another device that the account is signed in on.
    Device,
    /// A device that runs the meetings.
    CoreDevice,
    Place,
    Account,
}

/// The evidence that a mailbox and the account of a device are the same room, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tie {
    /// Equal display names, unique on both sides. The directory can refute it.
    Name,
    /// The device names the mail address of its account.
    Mail,
    /// The directory has both.
    ObjectId,
    /// The rooms file has both.
    File,
}

impl State for Tie {
    const ALL: &'static [Self] = &[Self::Name, Self::Mail, Self::ObjectId, Self::File];

    fn label(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Mail => "mail",
            Self::ObjectId => "object_id",
            Self::File => "file",
        }
    }
}

impl Room {
    /// A room of which only the id is known.
    pub(super) fn founded(id: Arc<str>) -> Self {
        Self {
            name: id.clone(),
            email: None,
            object_id: None,
            named_by: Authority::Nobody,
            named_since: None,
            mailed_by: Authority::Nobody,
            confirmed: false,
            tie: None,
            by_name: None,
            fixed: false,
            id,
        }
    }

    /// Returns true if a source that lists rooms has this one.
    pub fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    #[cfg(test)]
    pub(crate) fn example(id: &str, email: Option<&str>) -> Self {
        Self { email: email.map(Into::into), confirmed: true, ..Self::founded(id.into()) }
    }

    /// Adds a claim; a lesser authority does not rename the room.
    pub(super) fn learn(&mut self, claim: &Claim<'_>) {
        let lower = |text: Option<&str>| text.map(|text| Arc::from(text.to_lowercase()));
        self.learn_name(claim);
        if let Some(email) = lower(claim.email).filter(|_| claim.authority >= self.mailed_by) {
            (self.email, self.mailed_by) = (Some(email), claim.authority);
        }
        self.object_id = lower(claim.object_id).or(self.object_id.take());
        self.confirmed |= claim.confirmed;
        if claim.aliases().any(|alias| Some(&alias) == self.email.as_ref()) {
            self.tie = self.tie.max(claim.tie());
        }
        if self.tie > Some(Tie::Name) {
            self.by_name = None;
        }
    }

    fn learn_name(&mut self, claim: &Claim<'_>) {
        if let Some(name) = claim.name.filter(|_| (claim.authority, claim.since) >= self.named()) {
            self.name = name.into();
            (self.named_by, self.named_since) = (claim.authority, claim.since);
        }
    }

    /// Returns true if a device named the room, and it is not among those that claim this.
    pub(super) fn lost_its_name_giver(&self, claims: &[Claim<'_>]) -> bool {
        let is_giver = |claim: &Claim<'_>| (claim.authority, claim.since) == self.named();
        matches!(self.named_by, Authority::Device | Authority::CoreDevice) && !claims.iter().any(is_giver)
    }

    /// Takes the best name of these claims; until one comes, the last good one stays.
    pub(super) fn rename(&mut self, claims: &[Claim<'_>]) {
        (self.named_by, self.named_since) = (Authority::Nobody, None);
        for claim in claims {
            self.learn_name(claim);
        }
    }

    /// Returns true if the room, although found by a name in the claim, is that of another account: an object id is better
    /// than any name. An account that the directory shows at the address of the room was made again, and is the same room.
    pub(super) fn is_of_another(&self, claim: &Claim<'_>) -> bool {
        let differs = |id: &Arc<str>| claim.object_id.is_some_and(|other| !id.eq_ignore_ascii_case(other));
        let is_at_address =
            || self.email.as_ref().is_some_and(|email| claim.aliases().any(|one| one == *email));
        self.by_name.is_none()
            && self.object_id.as_ref().is_some_and(differs)
            && !(claim.is_of_directory() && is_at_address())
    }

    /// Returns true if the room is that of another account and this address stays its own, whatever a device says.
    pub(super) fn keeps_from(&self, claim: &Claim<'_>, email: &str) -> bool {
        let is_its_own = self.email.as_deref() == Some(email) || self.tie >= Some(Tie::ObjectId);
        self.is_of_another(claim) && !claim.is_of_directory() && is_its_own
    }

    /// Adds what was known of the same account under another id.
    pub(super) fn absorb(&mut self, other: &Self) {
        if other.named() > self.named() {
            self.name.clone_from(&other.name);
            (self.named_by, self.named_since) = other.named();
        }
        if other.mailed_by > self.mailed_by || self.email.is_none() {
            self.email.clone_from(&other.email);
            self.mailed_by = other.mailed_by;
        }
        self.object_id = self.object_id.take().or_else(|| other.object_id.clone());
        self.confirmed |= other.confirmed;
        self.tie = self.tie.max(other.tie);
        self.by_name = self.by_name.take().or_else(|| other.by_name.clone());
    }

    /// Takes the account out of a room that equal names alone had joined; what is left is the mailbox.
    pub(super) fn part(&mut self) -> Option<Arc<Self>> {
        let account = self.by_name.take()?;
        (self.object_id, self.tie) = (None, None);
        Some(account)
    }

    /// Returns true if no source but a device has named the mail address of this account.
    pub(super) fn is_open_account(&self) -> bool {
        let is_known = matches!(self.tie, Some(Tie::Name | Tie::ObjectId | Tie::File));
        self.mailed_by <= Authority::CoreDevice && !is_known
    }

    /// Returns true if the account of this mailbox is not known.
    pub(super) fn is_open_mailbox(&self) -> bool {
        self.email.is_some() && self.object_id.is_none()
    }

    /// The source of the name, in the order of precedence.
    fn named(&self) -> (Authority, Option<Timestamp>) {
        (self.named_by, self.named_since)
    }
}
