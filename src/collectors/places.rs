//! Where the rooms are: `GET /v1.0/places/microsoft.graph.room`, or the rooms of configured room lists.
//!
//! Permission `Place.Read.All`. Graph often forgets the link to the next page, so that clients which trust it lose all
//! rooms but the first hundred (microsoft-graph-docs#18604): where there is no link, `$skip` goes on until nothing new comes.
//! Some tenants ignore `$skip` as well (microsoft-graph-docs-contrib#545): then only the count shows that rooms are missing.
//! <https://learn.microsoft.com/graph/api/place-list>

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use tokio::time::Instant;

use crate::collectors::Outcome;
use crate::collectors::wire::{Node, escape};
use crate::graph::page::{Page, Tally};
use crate::graph::{Client, Error, Operation, Workload};
use crate::input::json;
use crate::model::place::Place;

const OPERATION: Operation = Operation { name: "places", workload: Workload::Outlook };

/// Graph's own page size; more is honoured by some tenants only.
const PAGE_SIZE: usize = 100;
/// 50,000 rooms; a collection that goes on beyond never ends.
const MAX_PAGES: usize = 500;

/// Reads all rooms, or those of `room_lists`, at most so many. The places come with the outcome, since only a whole list shows
/// which are gone.
pub async fn collect(
    client: &Client,
    room_lists: &[String],
    most: usize,
    deadline: Instant,
) -> (Outcome, Vec<Place>) {
    let mut reading = Reading { is_counted: true, most, ..Reading::default() };
    if room_lists.is_empty() {
        reading.read_list(client, "all rooms", "/v1.0/places/microsoft.graph.room", deadline).await;
    }
    for list in room_lists {
        let path = format!("/v1.0/places/{}/microsoft.graph.roomlist/rooms", escape(list));
        reading.read_list(client, list, &path, deadline).await;
    }
    let Reading { mut outcome, places, seen, is_counted, .. } = reading;
    outcome.expected = is_counted.then_some(seen.len() + outcome.missing);
    (outcome, places)
}

#[derive(Default)]
struct Reading {
    outcome: Outcome,
    places: Vec<Place>,
    /// Rooms stand in several lists.
    seen: Listed,
    /// Graph says of every list how many rooms it has.
    is_counted: bool,
    most: usize,
}

/// The records of one list, by address or, without one, by a print of their text. A page may come twice.
type Listed = HashSet<Arc<str>>;

impl Reading {
    async fn read_list(&mut self, client: &Client, name: &str, path: &str, deadline: Instant) {
        let mut listed = Listed::new();
        match self.read_pages(client, path, deadline, &mut listed).await {
            Ok(counted) => {
                let tally = Tally::new(listed.len(), counted);
                self.outcome.parts_read += 1;
                self.outcome.missing += tally.missing();
                self.is_counted &= tally.total().is_some();
            }
            // Room lists are told apart from distribution lists by Graph only in this way.
            Err(Error::Absent { .. } | Error::Rejected { .. })
                if path.contains("roomlist") && listed.is_empty() =>
            {
                let what = "this is no room list; a distribution list becomes one with Set-DistributionGroup -RoomList";
                self.outcome.failures.push((name.to_owned(), Error::malformed(what)));
            }
            Err(error) => {
                self.outcome.failures.push((name.to_owned(), error));
                self.outcome.parts_read += usize::from(!listed.is_empty()); // the pages before the broken one
                self.is_counted = false;
            }
        }
    }

    /// Reads a collection to its end, by links while there are some; gives the largest number that Graph gave for it. The
    /// number may be that of a page, and so ends nothing but a short page.
    async fn read_pages(
        &mut self,
        client: &Client,
        path: &str,
        deadline: Instant,
        listed: &mut Listed,
    ) -> Result<Option<usize>, Error> {
        let (mut came, mut counted) = (0, None);
        for _ in 0..MAX_PAGES {
            let url = format!("{path}?$top={PAGE_SIZE}&$count=true&$skip={came}");
            let mut pages = client.pages(OPERATION, &url, deadline)?;
            let (mut items, before) = (0, listed.len());
            while let Some(page) = pages.next().await {
                let page = page?;
                counted = counted.max(page.count);
                items += page.items.len();
                self.take(&page, listed);
                if self.seen.len() > self.most {
                    return Err(Error::TooMany { most: self.most });
                }
            }
            came += items;
            let has_all = counted.is_some_and(|counted| (1..=listed.len()).contains(&counted));
            if listed.len() == before || (items < PAGE_SIZE && has_all) {
                break;
            }
        }
        Ok(counted)
    }

    /// Takes the rooms of a page; a page may overlap the one before, or be the same.
    fn take(&mut self, page: &Page, listed: &mut Listed) {
        let places = page.read(|item| {
            let place = json::record(item.get()).ok().as_ref().and_then(Node::new).and_then(place);
            (place.as_ref().map_or_else(|| print(item.get()), |place| place.email.clone()), place)
        });
        for (name, place) in places {
            listed.insert(name.clone());
            if !self.seen.insert(name) {
                continue;
            }
            match place {
                Some(place) if self.places.len() < self.most => self.places.push(place),
                Some(_) => {}
                None => self.outcome.skipped.push("a place without an e-mail address".to_owned()),
            }
        }
    }
}

/// A fingerprint of a record without an address; its text may be long.
fn print(text: &str) -> Arc<str> {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("record {:x}", hasher.finish()).into()
}

/// `room`; without a mailbox it cannot be told which room it is.
fn place(node: Node<'_>) -> Option<Place> {
    let address = node.node("address");
    let coordinates = node.node("geoCoordinates");
    let degrees = |name| coordinates.and_then(|coordinates| coordinates.number(name));
    let floor_number = || node.number("floorNumber").map(|number| number.to_string().into());
    Some(Place {
        place_id: node.text("placeId"),
        email: node.id("emailAddress")?.to_lowercase().into(),
        name: node.text("displayName").or_else(|| node.text("nickname")),
        building: node.word("building"),
        floor: node.word("floorLabel").or_else(floor_number),
        city: address.and_then(|address| address.word("city")),
        country: address.and_then(|address| address.word("countryOrRegion")),
        capacity: node.count("capacity"),
        coordinates: degrees("latitude").zip(degrees("longitude")).filter(|place| *place != (0.0, 0.0)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_room_is_read_from_what_is_there() {
        let value = json!({
            "id": "3162F1E1", "placeId": "0d7cb3b3", "displayName": "Oslo 3.14", "emailAddress": "Room-Oslo@contoso.example",
            "building": "OSL2", "floorNumber": 3, "floorLabel": null, "capacity": 12,
            "address": { "city": "Oslo", "countryOrRegion": "Norway" }, "geoCoordinates": { "latitude": 59.9, "longitude": 10.7 }
        });
        let read = place(Node::new(&value).expect("an object")).expect("a place");
        assert_eq!(&*read.email, "room-oslo@contoso.example");
        assert_eq!((read.building.as_deref(), read.floor.as_deref()), (Some("OSL2"), Some("3")));
        assert_eq!((read.city.as_deref(), read.capacity), (Some("Oslo"), Some(12)));
        assert_eq!(read.coordinates, Some((59.9, 10.7)));
        let bare = json!({ "emailAddress": "x@contoso.example", "capacity": "many", "geoCoordinates": null });
        let read = place(Node::new(&bare).expect("an object")).expect("a place");
        assert_eq!((read.capacity, read.coordinates, read.building), (None, None, None));
        assert!(place(Node::new(&json!({ "displayName": "x" })).expect("an object")).is_none());
        let addressed = |length: usize| {
            let address = format!("{}@contoso.example", "x".repeat(length - 16));
            place(Node::new(&json!({ "emailAddress": address })).expect("an object"))
        };
        assert_eq!(addressed(254).expect("a place").email.len(), 254);
        assert!(
            addressed(255).is_none() && addressed(300).is_none(),
            "cut, it would be that of another room"
        );
    }
}
