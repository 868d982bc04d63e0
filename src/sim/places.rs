//! `places`: rooms and room lists as the address book has them.

use serde_json::{Value, json};

use super::faults::Kind;
use super::odata::Filter;
use super::pages::{self, List, MostTop};
use super::profile::Profile;
use super::reply::Reply;
use super::routes::{Call, Route};
use super::world::Mailbox;

const NOUN: &str = "places";

pub(super) const ROUTES: &[Route] = &[
    route("/v1.0/places/microsoft.graph.room", rooms),
    route("/v1.0/places/microsoft.graph.roomlist", room_lists),
    route("/v1.0/places/{address}/microsoft.graph.roomlist/rooms", rooms_of_list),
    // The schema spells it so, Learn as above; Graph takes both.
    route("/v1.0/places/microsoft.graph.roomList", room_lists),
    route("/v1.0/places/{address}/microsoft.graph.roomList/rooms", rooms_of_list),
];

const fn route(template: &'static str, answer: fn(&Call<'_>) -> Result<Reply, Reply>) -> Route {
    Route {
        method: "GET",
        template,
        options: &["$filter", "$select", "$top", "$skip", "$count", "$skiptoken"],
        permissions: &["Place.Read.All", "Place.ReadWrite.All"],
        noun: NOUN,
        answer,
    }
}

/// Microsoft's default; the most that is honoured is not documented, and more than we give was seen as well.
const DEFAULT_TOP: usize = 100;
const MOST_TOP: usize = 1_000;

const ROOM: &[&str] = &[
    "id",
    "address",
    "audioDeviceName",
    "bookingType",
    "building",
    "capacity",
    "displayDeviceName",
    "displayName",
    "emailAddress",
    "floorLabel",
    "floorNumber",
    "geoCoordinates",
    "isWheelChairAccessible",
    "label",
    "nickname",
    "parentId",
    "phone",
    "placeId",
    "tags",
    "teamsEnabledState",
    "videoDeviceName",
];

const ROOM_LIST: &[&str] =
    &["id", "address", "displayName", "emailAddress", "geoCoordinates", "phone", "placeId"];

/// City, street, postal code, country, latitude and longitude of the buildings.
const ADDRESSES: [(&str, &str, &str, &str, f64, f64); 4] = [
    ("Berlin", "Beispielstr. 1", "10115", "DE", 52.532_5, 13.384_9),
    ("Oslo", "Eksempelgata 1", "0155", "NO", 59.910_7, 10.752_2),
    ("London", "1 Example Street", "EC1A 1BB", "GB", 51.519_9, -0.097_7),
    ("New York", "1 Sample Avenue", "10001", "US", 40.750_6, -73.997_2),
];

/// The list whose rooms are in other lists too.
const BOARD_ROOMS: &str = "rooms-board@contoso.example";
const BOARD_ROOM_SEATS: i64 = 16;

fn rooms(call: &Call<'_>) -> Result<Reply, Reply> {
    list_of_rooms(call, "places/microsoft.graph.room", |_| true)
}

/// A room list has only rooms in it; it is found by its address.
fn rooms_of_list(call: &Call<'_>) -> Result<Reply, Reply> {
    let address = call.decoded(0).to_lowercase();
    let list = lists().into_iter().find(|(_, known)| *known == address);
    // An ordinary distribution list is no place, any more than an address nobody has.
    let (name, _) = list.ok_or_else(|| not_a_place(&address))?;
    let context = format!("places('{}')/microsoft.graph.roomList/rooms", address.replace('@', "%40"));
    list_of_rooms(call, &context, |mailbox| {
        let is_board_room = mailbox.capacity() >= BOARD_ROOM_SEATS;
        if address == BOARD_ROOMS { is_board_room } else { mailbox.room.building.city == name }
    })
}

/// The words of the service behind places, wrapped by Graph.
fn not_a_place(address: &str) -> Reply {
    let inner = json!({"code": "invalid_place", "message": format!("place '{address}' not found")});
    Reply::error(404, "UnknownError", inner.to_string())
}

fn list_of_rooms(call: &Call<'_>, context: &str, is_in: impl Fn(&Mailbox) -> bool) -> Result<Reply, Reply> {
    let filter = filter(call)?;
    let listed = call.tenant.world.mailboxes().filter(|mailbox| !mailbox.is_hidden() && is_in(mailbox));
    let mut rooms: Vec<Mailbox> = listed.filter(|mailbox| matches(call, filter.as_ref(), mailbox)).collect();
    let count = rooms.len();
    if let (true, Some(first)) = (call.faults.strikes(Kind::DuplicatePlaces).is_some(), rooms.first()) {
        rooms.push(first.clone());
    }
    let list = List {
        context,
        properties: ROOM,
        default_top: DEFAULT_TOP,
        most_top: most_top(call),
        is_linked: is_linked(call),
        count: Some(count),
    };
    pages::answer(call, &list, rooms, |mailbox| place_id(call, mailbox), |mailbox| room(call, mailbox))
}

/// A real tenant was seen to give a hundred rows at a time.
fn most_top(call: &Call<'_>) -> MostTop {
    MostTop::Cut(if call.tenant.profile == Profile::Real { DEFAULT_TOP } else { MOST_TOP })
}

/// In life a nextLink is often missing; faults about links need one.
fn is_linked(call: &Call<'_>) -> bool {
    let about_links =
        [Kind::PlacesNextLink, Kind::LoopLink, Kind::ForeignLink, Kind::RelativeLink, Kind::EmptyPage];
    about_links.iter().chain(&[Kind::BrokenPage]).any(|kind| call.faults.is_on(*kind).is_some())
}

fn filter(call: &Call<'_>) -> Result<Option<Filter>, Reply> {
    let ignored = call.faults.strikes(Kind::IgnoreFilter).is_some();
    call.query.get("$filter").filter(|_| !ignored).map(Filter::parse).transpose()
}

fn matches(call: &Call<'_>, filter: Option<&Filter>, mailbox: &Mailbox) -> bool {
    let value_of = |property: &str| {
        let row = room(call, mailbox);
        row.get(property).and_then(Value::as_str).map(str::to_owned)
    };
    filter.is_none_or(|filter| filter.matches(&value_of))
}

/// Immutable, unlike the id.
fn place_id(call: &Call<'_>, mailbox: &Mailbox) -> String {
    call.tenant.world.seed().named("place").named(&mailbox.room.account.id.to_string()).guid().to_string()
}

fn room(call: &Call<'_>, mailbox: &Mailbox) -> Value {
    let room = &mailbox.room;
    let draw = room.chance.named("place");
    let nickname = room.account.user_principal_name.split('@').next().unwrap_or_default();
    let screen = mailbox.has_devices.then_some("Front of room display");
    let mut place = json!({
        "id": draw.named("id").guid().to_string(),
        "placeId": place_id(call, mailbox),
        "displayName": room.name,
        "emailAddress": mailbox.listed_address(),
        "nickname": nickname,
        "building": mailbox.building(),
        "floorNumber": room.floor,
        "floorLabel": room.floor.to_string(),
        "label": null,
        "capacity": mailbox.capacity(),
        "bookingType": if draw.named("booking").happens(0.05) { "reserved" } else { "standard" },
        "teamsEnabledState": if mailbox.has_devices { "enabled" } else { "unknown" },
        "audioDeviceName": null,
        "videoDeviceName": null,
        "displayDeviceName": screen,
        "isWheelChairAccessible": draw.named("accessible").happens(0.8),
        "phone": "",
        "tags": if mailbox.has_devices { vec!["mtr"] } else { Vec::new() },
        "parentId": null,
        "address": address(room.building.city),
        "geoCoordinates": coordinates(room.building.city, draw.named("has coordinates").happens(0.9)),
    });
    if let (Profile::Real, true, Some(members)) =
        (call.tenant.profile, draw.named("no capacity").happens(0.15), place.as_object_mut())
    {
        members.remove("capacity");
    }
    if let Some(patch) = call.tenant.edits_of(room.account.id) {
        patch.apply("place", &mut place);
    }
    place
}

fn address(city: &str) -> Value {
    let found = ADDRESSES.iter().find(|(known, ..)| *known == city);
    found.map_or(Value::Null, |(city, street, postal_code, country, ..)| {
        json!({
            "street": street,
            "city": city,
            "state": "",
            "countryOrRegion": country,
            "postalCode": postal_code,
        })
    })
}

/// Entered for most rooms, not for all.
fn coordinates(city: &str, entered: bool) -> Value {
    let found = ADDRESSES.iter().find(|(known, ..)| *known == city).filter(|_| entered);
    found.map_or(Value::Null, |(.., latitude, longitude)| {
        json!({
            "latitude": latitude,
            "longitude": longitude,
            "altitude": null,
            "accuracy": null,
            "altitudeAccuracy": null,
        })
    })
}

/// Name and address of every room list: one for each city, and one across them.
fn lists() -> Vec<(&'static str, String)> {
    let of_city = |(city, ..): &(&'static str, _, _, _, _, _)| {
        (*city, format!("rooms-{}@contoso.example", city.to_lowercase().replace(' ', "-")))
    };
    ADDRESSES.iter().map(of_city).chain([("Board rooms", BOARD_ROOMS.to_owned())]).collect()
}

fn room_lists(call: &Call<'_>) -> Result<Reply, Reply> {
    let lists = lists();
    let list = List {
        context: "places/microsoft.graph.roomList",
        properties: ROOM_LIST,
        default_top: DEFAULT_TOP,
        most_top: most_top(call),
        is_linked: is_linked(call),
        count: Some(lists.len()),
    };
    pages::answer(
        call,
        &list,
        lists,
        |(_, address)| address.clone(),
        |(name, email)| {
            let draw = call.tenant.world.seed().named("room list").named(email);
            json!({
                "id": draw.named("id").guid().to_string(),
                "placeId": draw.named("place id").guid().to_string(),
                "displayName": name,
                "emailAddress": email,
                "phone": null,
                "address": address(name),
                "geoCoordinates": null,
            })
        },
    )
}
