//! The accounts of rooms: `GET /v1.0/users` with a licence for rooms, and `/v1.0/users/{id}` of the rooms without one, twenty
//! in one `$batch`.
//!
//! Permission `User.Read.All`. Of people nothing is kept: a user counts only by a licence for rooms, or was asked for because
//! another source says that it is a room.
//! <https://learn.microsoft.com/graph/api/user-list>
//! <https://learn.microsoft.com/graph/api/user-get>

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::collectors::Outcome;
use crate::collectors::licenses::Skus;
use crate::collectors::wire::{Node, escape};
use crate::graph::page::Tally;
use crate::graph::{Client, Error, Operation, Workload, batch};
use crate::input::json;
use crate::model::account::{RoomAccount, Tier, User};
use crate::model::identity::Room;

const OPERATION: Operation = Operation { name: "accounts", workload: Workload::Directory };

/// What is read of a user, and no more.
const SELECT: &str =
    "id,displayName,givenName,surname,userPrincipalName,mail,proxyAddresses,accountEnabled,assignedLicenses";
/// The most that Graph gives.
const PAGE_SIZE: usize = 999;
/// A mailbox may have some hundreds of addresses; a room is found by its first.
const MAX_ADDRESSES: usize = 50;

/// The users with a licence of these products, at most so many. Graph ignores a filter that it does not understand, so each
/// is checked again here.
pub async fn licensed(
    client: &Client,
    products: &[Arc<str>],
    skus: &Skus,
    most: usize,
    deadline: Instant,
) -> (Outcome, Vec<User>) {
    let (outcome, users, seen) = (Outcome::default(), Vec::new(), HashSet::new());
    let mut reading = Reading { skus, most, outcome, users, seen };
    let mut tallies = Vec::with_capacity(products.len());
    for product in products {
        match reading.read_product(client, product, deadline).await {
            Ok(tally) => tallies.push(Some(tally)),
            Err(error) => {
                tallies.push(None);
                let general = !matches!(error, Error::Rejected { .. } | Error::Malformed { .. });
                reading.outcome.failures.push((format!("users with licence {product}"), error));
                if general {
                    break; // the others would end the same way
                }
            }
        }
    }
    reading.outcome.count(&tallies);
    (reading.outcome, reading.users)
}

struct Reading<'s> {
    skus: &'s Skus,
    most: usize,
    outcome: Outcome,
    users: Vec<User>,
    /// A user may have several licences.
    seen: HashSet<Arc<str>>,
}

impl Reading<'_> {
    async fn read_product(
        &mut self,
        client: &Client,
        product: &str,
        deadline: Instant,
    ) -> Result<Tally, Error> {
        let filter = format!("assignedLicenses/any(s:s/skuId%20eq%20{})", escape(product));
        let path = format!("/v1.0/users?$filter={filter}&$select={SELECT}&$top={PAGE_SIZE}");
        let mut pages = client.pages(OPERATION, &path, deadline)?;
        while let Some(page) = pages.next().await {
            page?.read(|item| self.take(item));
            self.outcome.parts_read += 1;
            if self.seen.len() > self.most {
                return Err(Error::TooMany { most: self.most });
            }
        }
        Ok(pages.tally())
    }

    fn take(&mut self, item: &RawValue) {
        match read(item, self.skus) {
            Some(user) if user.account.license.is_none() => {
                self.outcome.skipped.push("a user whose licences are not told".to_owned());
            }
            Some(user) if user.is_licensed_room() => {
                if self.seen.insert(user.object_id.clone()) && self.users.len() < self.most {
                    self.users.push(user);
                }
            }
            Some(_) => {} // not what was asked for, and nobody's business
            None => self.outcome.skipped.push("a user without an id".to_owned()),
        }
    }
}

/// What to ask for the rooms that are not among these users: object id, else address.
pub fn missing<'r>(rooms: impl Iterator<Item = &'r Room>, users: &[User]) -> Vec<Arc<str>> {
    let found: HashSet<&Arc<str>> = users.iter().flat_map(User::names).collect();
    let names = |room: &'r Room| room.object_id.iter().chain(&room.email).chain([&room.id]);
    // The old address of a room can be that of another account by now.
    let is_found = |room: &&'r Room| match &room.object_id {
        Some(id) => found.contains(id),
        None => names(room).any(|name| found.contains(name)),
    };
    let missing = rooms.filter(|room| !is_found(room));
    missing.filter_map(|room| names(room).next().cloned()).collect()
}

/// The users with these object ids or addresses. One that Graph does not know is no failure: its account is gone, or signs in
/// with another name.
pub async fn named(
    client: &Client,
    names: &[Arc<str>],
    skus: &Skus,
    deadline: Instant,
) -> (Outcome, Vec<User>) {
    let (mut outcome, mut users) = (Outcome::default(), Vec::new());
    for names in names.chunks(batch::MAX_ITEMS) {
        let url = |name: &Arc<str>| format!("/users/{}?$select={SELECT}", escape(name));
        let urls: Vec<String> = names.iter().map(url).collect();
        let answers = client.batch(OPERATION, "v1.0", &urls, deadline).await;
        let failed_before = outcome.failures.len();
        for (name, answer) in names.iter().zip(answers) {
            match answer.map(|body| read(&body, skus)) {
                Ok(Some(user)) if user.names().any(|known| known == name) => users.push(user),
                Ok(_) => outcome.skipped.push("another user than was asked for".to_owned()),
                Err(Error::Absent { status: 404 }) => {}
                Err(error) => {
                    outcome.failures.push((name.to_string(), error));
                    continue;
                }
            }
            outcome.parts_read += 1;
        }
        if outcome.failures.len() - failed_before == names.len() {
            break; // the other batches would end the same way, one after another
        }
    }
    (outcome, users)
}

fn read(item: &RawValue, skus: &Skus) -> Option<User> {
    let value: Value = json::record(item.get()).ok()?;
    user(Node::entity(&value)?, skus)
}

/// `user`; without an id it cannot be told which one it is.
fn user(node: Node<'_>, skus: &Skus) -> Option<User> {
    let lower = |text: Arc<str>| Arc::from(text.to_lowercase());
    let sign_in = node.id("userPrincipalName").map(lower);
    let email = node.id("mail").map(lower).or_else(|| sign_in.clone());
    let addresses = node.texts("proxyAddresses").filter_map(|address| {
        let (kind, address) = address.split_once(':')?;
        kind.eq_ignore_ascii_case("smtp").then(|| address.to_lowercase().into())
    });
    let mut other_names: Vec<Arc<str>> = sign_in.into_iter().chain(addresses.take(MAX_ADDRESSES)).collect();
    other_names.retain(|name| Some(name) != email.as_ref());
    Some(User {
        object_id: node.id("id").map(lower)?,
        email,
        other_names,
        name: node.text("displayName"),
        has_personal_name: node.text("givenName").is_some() || node.text("surname").is_some(),
        account: RoomAccount {
            enabled: node.flag("accountEnabled"),
            license: license(node, skus),
            ..RoomAccount::default()
        },
    })
}

/// The best of the licences that a user has.
fn license(node: Node<'_>, skus: &Skus) -> Option<Tier> {
    if !node.is_list("assignedLicenses") {
        return None;
    }
    let tier = |license: Option<Node<'_>>| license?.id("skuId").map(|id| skus.tier(&id));
    let tiers = node.nodes("assignedLicenses").map(|license| tier(license).unwrap_or(Tier::Other));
    Some(tiers.min().unwrap_or(Tier::None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::identity::{Claim, Registry};
    use serde_json::json;
    use std::collections::BTreeMap;

    const PRO: &str = "4CDE982A-ede4-4409-9ae6-b003453c8ea6";
    const SHARED: &str = "295a8eb0-f78d-45c7-8b5b-1eed5ed02dff";
    const OFFICE: &str = "05e9a617-0261-4cee-bb44-138d3ef5d965";

    fn read(value: &Value) -> Option<User> {
        user(Node::new(value)?, &Skus::new(&BTreeMap::new()))
    }

    #[track_caller]
    fn check_license(licenses: &Value, expected: Option<Tier>) {
        let user = read(&json!({ "id": "1", "assignedLicenses": licenses })).expect("a user");
        assert_eq!(user.account.license, expected, "{licenses}");
    }

    #[test]
    fn the_best_licence_counts_and_one_for_people_is_another() {
        let of =
            |skus: &[&str]| skus.iter().map(|sku| json!({ "skuId": sku, "disabledPlans": [] })).collect();
        check_license(&of(&[]), Some(Tier::None));
        check_license(&of(&[OFFICE]), Some(Tier::Other));
        check_license(&of(&[OFFICE, SHARED]), Some(Tier::SharedDevice));
        check_license(&of(&[SHARED, PRO, OFFICE]), Some(Tier::Pro));
        check_license(&json!([7, { "skuId": null }]), Some(Tier::Other));
        check_license(&json!(null), None);
        check_license(&json!("none"), None);
    }

    #[test]
    fn a_user_is_read_with_every_name_it_has() {
        let user = read(&json!({
            "id": "1F0E", "displayName": "Oslo", "userPrincipalName": "MTR-Oslo@contoso.example", "mail": "Oslo@Meet.example",
            "proxyAddresses": ["SMTP:oslo@meet.example", "smtp:Old@contoso.example", "sip:mtr-oslo@contoso.example", "x500:/o=x", 7],
            "accountEnabled": false, "assignedLicenses": []
        }));
        let expected = User {
            object_id: "1f0e".into(),
            email: Some("oslo@meet.example".into()),
            other_names: vec!["mtr-oslo@contoso.example".into(), "old@contoso.example".into()],
            name: Some("Oslo".into()),
            has_personal_name: false,
            account: RoomAccount {
                enabled: Some(false),
                license: Some(Tier::None),
                ..RoomAccount::default()
            },
        };
        assert_eq!(user, Some(expected));
        let bare =
            read(&json!({ "id": "1", "userPrincipalName": "a@b.example", "mail": null })).expect("a user");
        assert_eq!((bare.email.as_deref(), bare.other_names.len()), (Some("a@b.example"), 0));
        assert_eq!(bare.account, RoomAccount::default());
        assert_eq!(read(&json!({ "displayName": "Oslo" })), None);
    }

    #[test]
    fn rooms_are_missing_that_no_name_of_a_user_finds() {
        let mut registry = Arc::new(Registry::default());
        let user = |id, mail| read(&json!({ "id": id, "mail": mail })).expect("a user");
        let users = [user("1", "oslo@contoso.example"), user("9", "paris@contoso.example")];
        for (object_id, email) in [
            (None, "oslo@contoso.example"),
            (Some("2"), "bergen@contoso.example"),
            (None, "rome@contoso.example"),
            (Some("3"), "paris@contoso.example"), // which is the address of another account by now
        ] {
            let claim = Claim::of_file(email, object_id);
            Registry::assign(&mut registry, &claim);
        }
        let mut missing = missing(registry.rooms().map(|room| &**room), &users);
        missing.sort();
        assert_eq!(missing, ["2".into(), "3".into(), "rome@contoso.example".into()] as [Arc<str>; 3]);
    }
}
