//! Faults in the data themselves: enum values, times, members and rows that are not what they should be.

use std::fmt::Display;

use serde_json::{Map, Value, json};

use super::chance::Chance;
use super::devices;
use super::faults::Kind;
use super::routes::Call;

/// Members that hold enum values, and a value of each that no document knows. The type of a device stays what
/// it is, because lists are filtered by it.
const ENUMS: &[(&str, &str)] = &[
    ("activityState", "reserved"),
    ("connectionStatus", "intermittent"),
    ("deviceType", ""),
    ("healthStatus", "needsAttention"),
    ("operationType", "factoryReset"),
    ("softwareFreshness", "staged"),
    ("supportedClient", "teamsOnlyPreview"),
    ("userIdentityType", "agentUser"),
];

/// The same for every source that is not devices, where `status` is an enum.
const OTHER_ENUMS: &[(&str, &str)] = &[
    ("activity", "InAHologram"),
    ("availability", "Dreaming"),
    ("bookingType", "lottery"),
    ("capabilityStatus", "Dormant"),
    ("classification", "rumour"),
    ("complianceState", "underReview"),
    ("status", "undecided"),
    ("teamsEnabledState", "pending"),
];

/// Members the schema does not allow to be null, and those without which nothing can be told apart.
const REQUIRED: &[&str] =
    &["id", "deviceType", "hardwareDetail", "connection", "operationType", "status", "@odata.context"];
const OTHER_REQUIRED: &[&str] = &["id", "skuId", "scheduleId", "service", "emailAddress", "@odata.context"];

/// A single entity as the active faults leave it.
pub(super) fn entity(call: &Call<'_>, key: impl Display, entity: Value) -> Value {
    let entity = row(call, key, entity);
    if call.faults.strikes(Kind::Wrapped).is_some() { json!({"value": entity}) } else { entity }
}

/// An entity in a list. The same members of an entity are hit every time.
pub(super) fn row(call: &Call<'_>, key: impl Display, mut row: Value) -> Value {
    let draw = call.tenant.world.seed().named("spoil").named(&key.to_string());
    for (kind, share, damage) in DAMAGES {
        if let Some(fault) = call.faults.strikes(*kind) {
            let share = fault.number_or(*share) / 100.0;
            let how = How { damage: *damage, words: words(call) };
            walk(&mut row, draw.named(&format!("{kind:?}")), share, how);
        }
    }
    row
}

/// The first row of a list, if it is to be damaged.
pub(super) fn rows(call: &Call<'_>, rows: &mut [Value]) {
    let (Some(fault), Some(first)) = (call.faults.strikes(Kind::BadRecord), rows.first_mut()) else { return };
    let in_turn = ["string", "no_id", "types"];
    let turn = usize::try_from(call.faults.turn(Kind::BadRecord).saturating_sub(1)).unwrap_or(0);
    let how = fault.value_or(in_turn.iter().cycle().nth(turn % in_turn.len()).unwrap_or(&"string"));
    match (how, first.as_object_mut()) {
        ("no_id", Some(members)) => drop(members.remove("id")),
        ("types", Some(members)) if devices::is_noun(call.noun) => mistype(members),
        ("types", Some(members)) => mistype_all(members),
        _ => *first = Value::from("not an object"),
    }
}

fn mistype(members: &mut Map<String, Value>) {
    for (name, wrong) in [
        ("healthStatus", json!(3)),
        ("currentUser", json!("room")),
        ("hardwareDetail", json!([1, 2])),
        ("lastModifiedDateTime", json!(1_795_132_800)),
        ("deviceType", json!({"value": "teamsRoom"})),
    ] {
        members.insert(name.to_owned(), wrong);
    }
}

/// Every member gets the type next to its own; keys stay, or the row could not be told from a stranger.
fn mistype_all(members: &mut Map<String, Value>) {
    for (name, value) in members.iter_mut().filter(|(name, _)| !OTHER_REQUIRED.contains(&name.as_str())) {
        *value = match value {
            Value::String(_) => json!(3),
            Value::Number(_) => json!(name),
            Value::Bool(_) => json!("maybe"),
            _ => json!(true),
        };
    }
}

/// What a fault does to one member of an object.
type Damage = fn(&mut Map<String, Value>, &str, &Words);

/// What is known of the members of a source.
#[derive(Clone, Copy, Debug)]
struct Words {
    enums: &'static [(&'static str, &'static str)],
    required: &'static [&'static str],
}

#[derive(Clone, Copy)]
struct How {
    damage: Damage,
    words: Words,
}

const DEVICES: Words = Words { enums: ENUMS, required: REQUIRED };
const OTHERS: Words = Words { enums: OTHER_ENUMS, required: OTHER_REQUIRED };

fn words(call: &Call<'_>) -> Words {
    if devices::is_noun(call.noun) { DEVICES } else { OTHERS }
}

/// Each fault of members, the percentage of them it hits, and what it does.
const DAMAGES: &[(Kind, f64, Damage)] = &[
    (Kind::PascalCase, 100.0, pascal_case),
    (Kind::NewEnum, 50.0, new_enum),
    (Kind::BadTime, 50.0, bad_time),
    (Kind::Nulls, 20.0, null),
    (Kind::MissingMembers, 20.0, omit),
];

/// Damages a share of all members, at any depth.
fn walk(value: &mut Value, draw: Chance, share: f64, how: How) {
    match value {
        Value::Object(members) => walk_members(members, draw, share, how),
        Value::Array(items) => {
            for (at, item) in (0..).zip(items) {
                walk(item, draw.number(at), share, how);
            }
        }
        _ => {}
    }
}

fn walk_members(members: &mut Map<String, Value>, draw: Chance, share: f64, how: How) {
    let names: Vec<String> = members.keys().cloned().collect();
    for name in &names {
        let draw = draw.named(name);
        if draw.happens(share) {
            (how.damage)(members, name, &how.words);
        }
        if let Some(member) = members.get_mut(name) {
            walk(member, draw, share, how);
        }
    }
}

fn pascal_case(members: &mut Map<String, Value>, name: &str, words: &Words) {
    let Some(Value::String(text)) = members.get_mut(name) else { return };
    if let (true, Some(first)) = (words.enums.iter().any(|(known, _)| *known == name), text.get_mut(..1)) {
        first.make_ascii_uppercase();
    }
}

fn new_enum(members: &mut Map<String, Value>, name: &str, words: &Words) {
    let unheard = words.enums.iter().find(|(known, unheard)| *known == name && !unheard.is_empty());
    if let (Some((_, unheard)), Some(Value::String(text))) = (unheard, members.get_mut(name)) {
        (*unheard).clone_into(text);
    }
}

/// As the example of an operation in Learn has it: dashes for colons, two digits after the point.
fn bad_time(members: &mut Map<String, Value>, name: &str, _: &Words) {
    let Some(Value::String(text)) = members.get_mut(name) else { return };
    let whole = text.get(..22).or_else(|| text.strip_suffix('Z'));
    if let (true, Some(whole)) = (name.ends_with("DateTime"), whole) {
        *text = whole.replace(':', "-") + "Z";
    }
}

fn null(members: &mut Map<String, Value>, name: &str, words: &Words) {
    if let (false, Some(member)) = (words.required.contains(&name), members.get_mut(name)) {
        *member = Value::Null;
    }
}

fn omit(members: &mut Map<String, Value>, name: &str, words: &Words) {
    if !words.required.contains(&name) {
        members.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(damage: Damage, expected: &Value) {
        let mut value = json!({
            "id": "a",
            "healthStatus": "nonUrgent",
            "connection": {"connectionStatus": "connected", "lastModifiedDateTime": "2021-06-19T12:01:03.451Z"},
        });
        walk(&mut value, Chance::seeded(1), 1.0, How { damage, words: DEVICES });
        assert_eq!(value, *expected);
    }

    #[test]
    fn damage_is_what_it_says() {
        let (time, bad) = ("2021-06-19T12:01:03.451Z", "2021-06-19T12-01-03.45Z");
        let plain = |health: &str, status: &str, time: &str| {
            json!({
                "id": "a",
                "healthStatus": health,
                "connection": {"connectionStatus": status, "lastModifiedDateTime": time},
            })
        };
        check(pascal_case, &plain("NonUrgent", "Connected", time));
        check(new_enum, &plain("needsAttention", "intermittent", time));
        check(bad_time, &plain("nonUrgent", "connected", bad));
        check(omit, &json!({"id": "a", "connection": {}}));
        let nulls = json!({"connectionStatus": null, "lastModifiedDateTime": null});
        check(null, &json!({"id": "a", "healthStatus": null, "connection": nulls}));
    }
}
