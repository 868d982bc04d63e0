//! The presence of the room accounts: `POST /v1.0/communications/getPresencesByUserId`.
//!
//! Permission `Presence.Read.All`; not in the China cloud. Only room accounts are ever asked for, and of the answer only
//! availability and activity are read: status messages and out-of-office texts are people's.
//! <https://learn.microsoft.com/graph/api/cloudcommunications-getpresencesbyuserid>

use std::sync::Arc;

use serde_json::json;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::collectors::Outcome;
use crate::collectors::wire::{self, Node, UnknownValue};
use crate::graph::page::read_all;
use crate::graph::{Client, Error, Operation, Workload};
use crate::input;
use crate::model::presence::{Availability, Presence};

const OPERATION: Operation = Operation { name: "presence", workload: Workload::Presence };

/// Graph refuses more in one request.
const MAX_IDS: usize = 650;

/// Asks for the accounts with these object ids; `take` gets what came, by object id. An account that Graph leaves out is
/// absent, not offline.
pub async fn collect(
    client: &Client,
    ids: &[Arc<str>],
    deadline: Instant,
    take: &(dyn Fn(Vec<(Arc<str>, Presence)>) + Send + Sync),
) -> Outcome {
    let idle = ids.is_empty().then_some("no room is known by the object id of its account");
    let mut outcome = Outcome { expected: Some(ids.len()), idle, ..Outcome::default() };
    for ids in ids.chunks(MAX_IDS) {
        let body = json!({ "ids": ids });
        match client.ask(OPERATION, "/v1.0/communications/getPresencesByUserId", &body, deadline).await {
            Ok(items) => {
                let read = read_all(&items, |item| read(item, &mut outcome)).into_iter().flatten();
                take(read.filter(|(id, _)| ids.contains(id)).collect());
                outcome.parts_read += 1;
            }
            Err(error) => {
                let general = !matches!(error, Error::Rejected { .. } | Error::Malformed { .. });
                outcome.failures.push((format!("{} accounts", ids.len()), error));
                if general {
                    break; // the others would end the same way, one after another
                }
            }
        }
    }
    outcome
}

fn read(item: &RawValue, outcome: &mut Outcome) -> Option<(Arc<str>, Presence)> {
    let value = input::json::record(item.get()).ok();
    let read =
        value.as_ref().and_then(Node::new).and_then(|node| presence(node, &mut outcome.unknown_values));
    if read.is_none() {
        outcome.skipped.push("a presence without an id".to_owned());
    }
    read
}

/// `presence`
fn presence(node: Node<'_>, unknown: &mut Vec<UnknownValue>) -> Option<(Arc<str>, Presence)> {
    let mut word = |name, field| {
        let text = node.text(name)?;
        let found = WORDS.iter().find(|(word, ..)| wire::same_name(word, &text));
        if found.is_none() {
            wire::note(unknown, field, &text);
        }
        found
    };
    let availability = word("availability", "presence.availability");
    let activity = word("activity", "presence.activity");
    let presence = Presence {
        availability: availability
            .or(activity)
            .map_or(Availability::Unknown, |(_, availability, _)| *availability),
        in_call: activity.and_then(|(_, _, in_call)| *in_call),
    };
    Some((node.text("id")?.to_lowercase().into(), presence))
}

/// Every documented value of availability and activity, of both spellings that Microsoft's page has had, as one table:
/// the availability it means, and whether it is a call.
#[rustfmt::skip]
const WORDS: [(&str, Availability, Option<bool>); 19] = [
    ("available",                 Availability::Available,    Some(false)),
    ("available_idle",            Availability::Available,    Some(false)),
    ("busy",                      Availability::Busy,         Some(false)),
    ("busy_idle",                 Availability::Busy,         Some(false)),
    ("in_a_call",                 Availability::Busy,         Some(true)),
    ("in_a_conference_call",      Availability::Busy,         Some(true)),
    ("in_a_meeting",              Availability::Busy,         Some(false)), // set by the calendar, with nobody there
    ("presenting",                Availability::DoNotDisturb, Some(true)),
    ("do_not_disturb",            Availability::DoNotDisturb, Some(false)),
    ("focusing",                  Availability::DoNotDisturb, Some(false)),
    ("urgent_interruptions_only", Availability::DoNotDisturb, Some(false)),
    ("away",                      Availability::Away,         Some(false)),
    ("be_right_back",             Availability::Away,         Some(false)),
    ("inactive",                  Availability::Away,         Some(false)),
    ("out_of_office",             Availability::Away,         Some(false)),
    ("offline",                   Availability::Offline,      Some(false)),
    ("off_work",                  Availability::Offline,      Some(false)),
    ("presence_unknown",          Availability::Unknown,      None),
    ("unknown",                   Availability::Unknown,      None),
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[track_caller]
    fn check(availability: &Value, activity: &Value, expected: (Availability, Option<bool>), noted: usize) {
        let mut unknown = Vec::new();
        let value = json!({ "id": "A1", "availability": availability, "activity": activity, "statusMessage": { "message": "secret" } });
        let (id, presence) =
            presence(Node::new(&value).expect("an object"), &mut unknown).expect("a presence");
        assert_eq!(&*id, "a1");
        assert_eq!((presence.availability, presence.in_call), expected, "{availability} {activity}");
        assert_eq!(unknown.len(), noted, "{unknown:?}");
    }

    #[test]
    fn a_call_is_use_and_a_meeting_in_the_calendar_is_not() {
        check(&json!("Busy"), &json!("InACall"), (Availability::Busy, Some(true)), 0);
        check(&json!("Busy"), &json!("InAConferenceCall"), (Availability::Busy, Some(true)), 0);
        check(&json!("DoNotDisturb"), &json!("Presenting"), (Availability::DoNotDisturb, Some(true)), 0);
        check(&json!("Busy"), &json!("InAMeeting"), (Availability::Busy, Some(false)), 0);
        check(&json!("busyIdle"), &json!("busy"), (Availability::Busy, Some(false)), 0);
        check(&json!("inAMeeting"), &json!("busy"), (Availability::Busy, Some(false)), 0);
    }

    #[test]
    fn any_case_missing_and_new_values_are_read() {
        check(&json!("OFFLINE"), &json!("OffWork"), (Availability::Offline, Some(false)), 0);
        check(&json!(null), &json!("BeRightBack"), (Availability::Away, Some(false)), 0);
        check(&json!("PresenceUnknown"), &json!("PresenceUnknown"), (Availability::Unknown, None), 0);
        check(&json!("Teleporting"), &json!("Dancing"), (Availability::Unknown, None), 2);
        check(&json!("Available"), &json!(null), (Availability::Available, None), 0);
    }
}
