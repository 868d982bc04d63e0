//! Calendars, Intune, service health and the application itself: documented shapes, limits and traps.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::directory::text;
use super::{Answer, DEVICES, Tenant, documented};
use crate::sim::{CLIENT_ID, Settings};

pub(super) const MANAGED: &str = "/v1.0/deviceManagement/managedDevices";
const OVERVIEWS: &str = "/v1.0/admin/serviceAnnouncement/healthOverviews";
const ISSUES: &str = "/v1.0/admin/serviceAnnouncement/issues";
pub(super) const FRIDAY: [&str; 2] = ["2026-11-20T00:00:00", "2026-11-21T00:00:00"];

pub(super) fn question(schedules: &[String], [from, until]: [&str; 2]) -> Value {
    json!({
        "schedules": schedules,
        "startTime": {"dateTime": from, "timeZone": "UTC"},
        "endTime": {"dateTime": until, "timeZone": "UTC"},
    })
}

impl Tenant {
    async fn ask(&self, through: &str, question: &Value) -> Answer {
        let path = format!("/v1.0/users/{through}/calendar/getSchedule");
        self.request("POST", &path, &question.to_string()).await
    }

    /// Schedules of rooms by address, twenty at a time.
    pub(super) async fn schedules(&self, upns: &[String], window: [&str; 2]) -> HashMap<String, Value> {
        let mut found = HashMap::new();
        for some in upns.chunks(20) {
            for schedule in self.ask(&some[0], &question(some, window)).await.rows() {
                found.insert(text(&schedule, "scheduleId").to_owned(), schedule);
            }
        }
        found
    }

    pub(super) fn upns(&self) -> Vec<String> {
        self.sim.rooms().into_iter().map(|room| room.upn).collect()
    }
}

pub(super) fn items(schedule: &Value) -> &Vec<Value> {
    schedule["scheduleItems"].as_array().unwrap()
}

#[tokio::test]
async fn a_schedule_has_the_documented_shape() {
    let tenant = Tenant::new().await;
    let upns = tenant.upns();
    let schedules = tenant.schedules(&upns, FRIDAY).await;
    assert_eq!(schedules.len(), upns.len());
    let mut statuses = HashSet::new();
    for schedule in schedules.values() {
        assert_eq!(text(schedule, "availabilityView").len(), 48);
        for item in items(schedule) {
            statuses.insert(text(item, "status").to_owned());
            assert!(text(&item["start"], "dateTime").ends_with(":00.0000000"));
            assert_eq!(item["end"]["timeZone"], json!("UTC"));
            assert!(text(item, "subject").contains(' ') && item["location"].is_string());
            assert!(item["isPrivate"].is_boolean());
        }
    }
    assert_eq!(statuses, ["tentative", "busy", "oof"].map(str::to_owned).into());
    let all: String = schedules.values().map(|schedule| text(schedule, "availabilityView")).collect();
    assert!("0123".chars().all(|digit| all.contains(digit)));
    let all_day = |schedule: &&Value| items(schedule).iter().any(|item| length(item) == 24 * 60);
    assert_eq!(schedules.values().filter(all_day).count(), 2, "rooms blocked all day");
}

/// In minutes.
fn length(item: &Value) -> i64 {
    let at = |name: &str| -> jiff::civil::DateTime { text(&item[name], "dateTime").parse().unwrap() };
    (at("end").duration_since(at("start"))).as_mins()
}

#[tokio::test]
async fn schedules_come_in_another_order_than_asked_for() {
    let tenant = Tenant::new().await;
    let upns: Vec<String> = tenant.upns().into_iter().take(20).collect();
    let rows = tenant.ask(&upns[0], &question(&upns, FRIDAY)).await.rows();
    let order: Vec<&str> = rows.iter().map(|row| text(row, "scheduleId")).collect();
    assert_ne!(order, upns);
    assert_eq!(rows, tenant.ask(&upns[1], &question(&upns, FRIDAY)).await.rows(), "always the same");
}

#[tokio::test]
async fn the_limits_of_get_schedule_are_kept() {
    let tenant = Tenant::with(Settings { rooms: 30, ..documented() }).await;
    let upns = tenant.upns();
    let through = &upns[0];
    let window = |from, until| question(&upns[..1], [from, until]);
    let mut interval = question(&upns[..1], FRIDAY);
    for (body, status, code) in [
        (question(&upns[..20], FRIDAY), 200, ""),
        (question(&upns[..21], FRIDAY), 400, "ErrorMailboxDataArrayTooBig"),
        (question(&[], FRIDAY), 400, "ErrorMailboxDataArrayEmpty"),
        (window("2026-11-20T00:00:00", "2027-01-20T00:00:00"), 200, ""),
        (window("2026-11-20T00:00:00", "2027-01-21T00:00:00"), 400, "ErrorTimeIntervalTooBig"),
        (window("2026-11-20T00:00:00", "2026-11-20T00:00:00"), 400, "ErrorInvalidTimeInterval"),
        (window("yesterday", "2026-11-20T00:00:00"), 400, "ErrorInvalidRequest"),
        (json!({"schedules": upns[..1]}), 400, "TimeZoneNotSupportedException"),
    ] {
        let answer = tenant.ask(through, &body).await;
        assert_eq!((answer.status, answer.error_code().as_str()), (status, code), "{body}");
    }
    for (minutes, status) in [(4, 400), (5, 200), (1440, 200), (1441, 400)] {
        interval["availabilityViewInterval"] = json!(minutes);
        assert_eq!(tenant.ask(through, &interval).await.status, status, "{minutes}");
    }
}

#[tokio::test]
async fn mailboxes_fail_one_by_one_inside_a_200() {
    let tenant = Tenant::new().await;
    let upns = tenant.upns();
    let closed = upns[1].clone();
    tenant.set_faults(&[&format!("restricted_mailbox={closed}")]);
    let asked = [upns[0].clone(), closed.to_uppercase(), "nobody@contoso.example".to_owned()];
    let rows = tenant.ask(&upns[0], &question(&asked, FRIDAY)).await.rows();
    let codes: HashMap<&str, &Value> =
        rows.iter().map(|row| (text(row, "scheduleId"), &row["error"]["responseCode"])).collect();
    assert_eq!(*codes[asked[0].as_str()], Value::Null);
    assert_eq!(*codes[asked[1].as_str()], json!("ErrorAccessDenied"));
    assert_eq!(*codes[asked[2].as_str()], json!("ErrorMailRecipientNotFound"));
    assert!(rows.iter().all(|row| row.get("error").is_some() != row.get("scheduleItems").is_some()));
    let through_closed = tenant.ask(&closed, &question(&upns[..1], FRIDAY)).await;
    assert_eq!((through_closed.status, through_closed.error_code().as_str()), (403, "ErrorAccessDenied"));
    let through_nobody = tenant.ask("nobody@contoso.example", &question(&upns[..1], FRIDAY)).await;
    assert_eq!((through_nobody.status, through_nobody.error_code().as_str()), (404, "ErrorInvalidUser"));
    tenant.set_faults(&["restricted_mailbox"]);
    let mut denied = 0;
    for upn in &upns {
        denied += usize::from(tenant.ask(upn, &question(&upns[..1], FRIDAY)).await.status == 403);
    }
    assert!((2..=12).contains(&denied), "{denied}");
}

#[tokio::test]
async fn a_dead_mailbox_is_read_through_another() {
    let tenant = Tenant::new().await;
    let upns = tenant.upns();
    tenant.set_faults(&[&format!("dead_mailbox={}", upns[1])]);
    let asked = question(&upns[1..2], FRIDAY);
    let through_it = tenant.ask(&upns[1], &asked).await;
    assert_eq!((through_it.status, through_it.error_code().as_str()), (503, "ErrorMailboxStoreUnavailable"));
    let rows = tenant.ask(&upns[0], &asked).await.rows();
    assert!(rows.len() == 1 && rows[0].get("error").is_none(), "{rows:?}");
}

#[tokio::test]
async fn a_mailbox_is_found_by_account_id_and_address_too() {
    let tenant = Tenant::new().await;
    let room = tenant.sim.rooms().remove(0);
    let body = question(std::slice::from_ref(&room.upn), FRIDAY);
    for through in [room.user_id.clone(), room.upn.replace('@', "%40"), room.upn.to_uppercase()] {
        assert_eq!(tenant.ask(&through, &body).await.status, 200, "{through}");
    }
}

#[tokio::test]
async fn most_use_is_booked_and_a_fifth_of_the_bookings_is_not_used() {
    let tenant = Tenant::with(Settings { rooms: 240, ..documented() }).await;
    tenant.sim.advance(Duration::from_hours(5));
    let (mut booked, mut ghosts, mut used, mut unbooked) = (0, 0, 0, 0);
    for _ in 0..8 {
        tenant.sim.advance(Duration::from_mins(20));
        let now = tenant.sim.now();
        let at = |minutes: i64| {
            let at = now + jiff::SignedDuration::from_mins(minutes);
            at.strftime("%Y-%m-%dT%H:%M:%S").to_string()
        };
        let schedules = tenant.schedules(&tenant.upns(), [&at(0), &at(1)]).await;
        let busy: HashSet<String> = tenant
            .list("?$top=50")
            .await
            .into_iter()
            .filter(|row| row["activityState"] == json!("busy"))
            .map(|row| text(&row, "id").to_owned())
            .collect();
        for room in tenant.sim.rooms() {
            let is_used = room.device_ids.iter().any(|id| busy.contains(id));
            let is_booked = items(&schedules[&room.upn])
                .iter()
                .any(|item| item["status"] == json!("busy") && length(item) <= 60);
            booked += i32::from(is_booked);
            ghosts += i32::from(is_booked && !is_used);
            used += i32::from(is_used);
            unbooked += i32::from(is_used && !is_booked);
        }
    }
    let share = |part: i32, whole: i32| f64::from(part) / f64::from(whole);
    // More than a fifth, because people come late and leave early.
    assert!((0.15..0.45).contains(&share(ghosts, booked)), "{ghosts} of {booked}");
    assert!((0.1..0.3).contains(&share(unbooked, used)), "{unbooked} of {used}");
}

#[tokio::test]
async fn a_booked_room_shows_busy_though_nobody_came() {
    let tenant = Tenant::new().await;
    let now = tenant.sim.now();
    let at = |minutes: i64| {
        (now + jiff::SignedDuration::from_mins(minutes)).strftime("%Y-%m-%dT%H:%M:%S").to_string()
    };
    let schedules = tenant.schedules(&tenant.upns(), [&at(0), &at(1)]).await;
    let mut seen = 0;
    for room in tenant.sim.rooms().into_iter().filter(|room| room.device_ids.len() == 1) {
        let device = tenant.get(&format!("{DEVICES}/{}", room.device_ids[0])).await.json();
        let idle = device["activityState"] == json!("idle") && device["currentUser"].is_object();
        let booked = items(&schedules[&room.upn]).iter().any(|item| item["status"] != json!("tentative"));
        let Some(presence) = tenant.presences(&[room.user_id]).await.pop() else { continue };
        if idle {
            let shown =
                (text(&presence, "availability"), text(&presence, "activity")) == ("Busy", "InAMeeting");
            assert_eq!(shown, booked, "{presence}");
            seen += usize::from(booked);
        }
    }
    assert!(seen > 0);
}

#[tokio::test]
async fn an_edited_schedule_is_cut_to_the_window_and_can_be_an_error() {
    let tenant = Tenant::new().await;
    let room = tenant.sim.rooms().remove(0);
    let item = |hour: u8| {
        json!({
            "status": "busy",
            "start": {"dateTime": format!("2026-11-20T{hour:02}:00:00.0000000"), "timeZone": "UTC"},
            "end": {"dateTime": format!("2026-11-20T{:02}:00:00.0000000", hour + 1), "timeZone": "UTC"},
        })
    };
    tenant.sim.edit_room(&room.upn, json!({"schedule": {"scheduleItems": [item(8), item(12)]}}));
    let window = ["2026-11-20T08:30:00", "2026-11-20T12:00:00"];
    let schedule = tenant.schedules(std::slice::from_ref(&room.upn), window).await.remove(&room.upn).unwrap();
    assert_eq!((items(&schedule).len(), text(&schedule, "availabilityView")), (1, "2000000"));
    tenant.sim.edit_room(&room.upn, json!({"schedule": {"error": {"responseCode": "ErrorAccessDenied"}}}));
    let schedule = tenant.schedules(std::slice::from_ref(&room.upn), window).await.remove(&room.upn).unwrap();
    assert_eq!(schedule["error"]["responseCode"], json!("ErrorAccessDenied"));
}

#[tokio::test]
async fn intune_knows_the_serials_of_the_devices_and_every_state() {
    let tenant = Tenant::new().await;
    let managed = tenant.all(MANAGED).await;
    let mut by_serial: HashMap<&str, Vec<&Value>> = HashMap::new();
    for row in &managed {
        by_serial.entry(text(row, "serialNumber")).or_default().push(row);
    }
    for room in tenant.sim.rooms() {
        for id in &room.device_ids {
            let device = tenant.get(&format!("{DEVICES}/{id}")).await.json();
            let rows = &by_serial[device["hardwareDetail"]["serialNumber"].as_str().unwrap()];
            assert!(rows.iter().all(|row| [room.upn.as_str(), ""].contains(&text(row, "userPrincipalName"))));
        }
    }
    let twice: Vec<_> = by_serial.values().filter(|rows| rows.len() == 2).collect();
    assert_eq!(twice.len(), 2);
    assert!(
        twice.iter().all(|rows| rows[0]["id"] != rows[1]["id"]
            && rows[0]["lastSyncDateTime"] != rows[1]["lastSyncDateTime"])
    );
    let states: HashSet<&str> = managed.iter().map(|row| text(row, "complianceState")).collect();
    assert_eq!(states.len(), 7, "{states:?}");
    assert!(managed.iter().any(|row| text(row, "deviceName").starts_with("LAPTOP-")));
    assert!(
        managed
            .iter()
            .all(|row| row["freeStorageSpaceInBytes"].as_i64() < row["totalStorageSpaceInBytes"].as_i64())
    );
}

#[tokio::test]
async fn intune_ignores_all_filters_but_one_and_pages() {
    let tenant = Tenant::new().await;
    let all = tenant.all(&format!("{MANAGED}?$top=7")).await;
    let windows = tenant.all(&format!("{MANAGED}?$filter=operatingSystem%20eq%20'windows'")).await;
    let android = tenant.all(&format!("{MANAGED}?$filter=operatingSystem%20eq%20'Android'")).await;
    assert_eq!(windows.len() + android.len(), all.len());
    assert!(android.iter().all(|row| row["operatingSystem"] == json!("Android")));
    for ignored in ["userId%20eq%20'x'", "operatingSystem%20ne%20'Windows'", "nonsense"] {
        assert_eq!(tenant.all(&format!("{MANAGED}?$filter={ignored}")).await, all, "{ignored}");
    }
}

#[tokio::test]
async fn intune_can_be_edited_and_missing() {
    let tenant = Tenant::new().await;
    let all = tenant.all(MANAGED).await;
    let filtered = format!("{MANAGED}?$filter=operatingSystem%20eq%20'Windows'");
    let android = format!("{MANAGED}?$filter=operatingSystem%20eq%20'Android'");
    let device = tenant.sim.devices().swap_remove(0);
    tenant.sim.edit(&device, json!({"managedDevice": {"serialNumber": "edited", "operatingSystem": "iOS"}}));
    let laptop = all.iter().find(|row| text(row, "deviceName").starts_with("LAPTOP-")).unwrap();
    tenant.sim.edit(text(laptop, "userId"), json!({"managedDevice": {"serialNumber": "edited"}}));
    let rows = tenant.all(MANAGED).await;
    let edited: Vec<&str> = rows
        .iter()
        .filter(|row| row["serialNumber"] == json!("edited"))
        .map(|row| text(row, "operatingSystem"))
        .collect();
    assert_eq!((rows.len(), edited), (all.len(), vec!["iOS", "Windows"]));
    assert_eq!(tenant.all(&filtered).await.len() + tenant.all(&android).await.len(), all.len() - 1);
    tenant.set_faults(&["ignore_filter"]);
    assert_eq!(tenant.all(&filtered).await.len(), all.len());
    for (fault, status, code) in [("no_intune", 400, "BadRequest"), ("no_intune=401", 401, "UnknownError")] {
        tenant.set_faults(&[fault]);
        let answer = tenant.get(MANAGED).await;
        assert_eq!((answer.status, answer.error_code().as_str()), (status, code));
    }
}

#[tokio::test]
async fn services_are_fine_until_a_fault_says_otherwise() {
    let tenant = Tenant::new().await;
    let status = async |service: &str| {
        let rows = tenant.get(OVERVIEWS).await.rows();
        let row = rows.iter().find(|row| row["service"] == json!(service)).unwrap();
        text(row, "status").to_owned()
    };
    let open = async |service: &str| {
        let rows = tenant.all(ISSUES).await;
        let open = rows
            .into_iter()
            .filter(|row| row["isResolved"] == json!(false) && row["service"] == json!(service));
        open.map(|row| text(&row, "classification").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        (status("Microsoft Teams").await.as_str(), open("Microsoft Teams").await.len()),
        ("serviceOperational", 0)
    );
    assert_eq!(
        (status("SharePoint Online").await.as_str(), open("SharePoint Online").await.len()),
        ("restoringService", 1)
    );
    tenant.set_faults(&["teams_incident", "teams_advisory"]);
    assert_eq!(status("Microsoft Teams").await, "serviceDegradation");
    assert_eq!(open("Microsoft Teams").await, ["incident", "advisory"]);
    tenant.set_faults(&["teams_incident=serviceInterruption", "pascal_case"]);
    assert_eq!(status("Microsoft Teams").await, "ServiceInterruption");
    assert_eq!(open("Microsoft Teams").await, ["Incident"]);
    assert_eq!(status("Exchange Online").await, "ServiceOperational");
}

#[tokio::test]
async fn issues_come_in_pages_of_a_hundred_and_are_filtered() {
    let tenant = Tenant::new().await;
    assert_eq!(tenant.get(ISSUES).await.rows().len(), 100);
    assert_eq!(tenant.all(ISSUES).await.len(), 130);
    let open = tenant.all(&format!("{ISSUES}?$filter=isResolved%20eq%20false")).await;
    assert_eq!(open.len(), 1);
    let filter = "$filter=service%20eq%20'Microsoft%20Teams'%20and%20isResolved%20eq%20true";
    let teams = tenant.all(&format!("{ISSUES}?{filter}&$top=1000&$select=id,service")).await;
    assert!(teams.len() > 10 && teams.iter().all(|row| row.as_object().unwrap().len() == 2));
    let expanded = tenant.get(&format!("{OVERVIEWS}?$expand=issues")).await.rows();
    assert!(expanded.iter().all(|row| row["issues"].is_array()));
}

#[tokio::test]
async fn the_application_shows_when_its_credentials_end_and_no_secret() {
    let tenant = Tenant::new().await;
    let one = tenant.get(&format!("/v1.0/applications(appId='{CLIENT_ID}')")).await;
    let application = one.json();
    let secrets = application["passwordCredentials"].as_array().unwrap();
    assert_eq!(secrets.len(), 2);
    assert!(secrets.iter().all(|secret| secret["secretText"].is_null() && secret["endDateTime"].is_string()));
    assert!(application["keyCredentials"][0]["endDateTime"].is_string());
    assert!(!one.text().contains(tenant.sim.secret()));
    let filtered = tenant.get(&format!("/v1.0/applications?$filter=appId%20eq%20'{CLIENT_ID}'")).await.rows();
    assert_eq!((filtered.len(), &filtered[0]["appId"]), (1, &json!(CLIENT_ID)));
    assert_eq!(tenant.get("/v1.0/applications").await.rows().len(), 2);
    let path = format!("/v1.0/applications(appId='{CLIENT_ID}')?$select=appId,passwordCredentials");
    assert!(tenant.get(&path).await.json().get("keyCredentials").is_none());
    tenant.sim.edit(CLIENT_ID, json!({"application": {"passwordCredentials": []}}));
    assert_eq!(tenant.get(&path).await.json()["passwordCredentials"], json!([]));
    let unknown = "/v1.0/applications(appId='00000000-0000-4000-8000-000000000000')";
    assert_eq!(tenant.get(unknown).await.status, 404);
}

#[tokio::test]
async fn a_person_can_be_signed_in_on_the_device_of_a_room() {
    let tenant = Tenant::new().await;
    let users = async || -> HashMap<String, Value> {
        let rows = tenant.list("?$top=50").await;
        rows.into_iter().map(|row| (text(&row, "id").to_owned(), row["currentUser"].clone())).collect()
    };
    let before = users().await;
    tenant.set_faults(&["person_in_room"]);
    let after = users().await;
    let changed: Vec<&String> = before.keys().filter(|id| before[*id] != after[*id]).collect();
    assert_eq!(changed.len(), 1);
    let person = text(&after[changed[0]], "userPrincipalName");
    assert!(!person.starts_with("room-"));
    assert_eq!(tenant.get(&format!("/v1.0/users/{person}")).await.status, 200);
    let room = tenant.sim.rooms().into_iter().find(|room| room.device_ids.contains(changed[0])).unwrap();
    assert_eq!(tenant.presence(&room.user_id).await["availability"], json!("Offline"));
}

#[tokio::test]
async fn a_large_tenant_answers_quickly() {
    let tenant = Tenant::with(Settings { rooms: 10_000, ..documented() }).await;
    let rooms = tenant.sim.rooms();
    let ids: Vec<String> = rooms.iter().take(650).map(|room| room.user_id.clone()).collect();
    let upns: Vec<String> = rooms.iter().take(20).map(|room| room.upn.clone()).collect();
    let started = std::time::Instant::now();
    tenant.presences(&ids).await;
    assert_eq!(tenant.ask(&upns[0], &question(&upns, FRIDAY)).await.rows().len(), 20);
    assert_eq!(tenant.get("/v1.0/places/microsoft.graph.room?$top=1000&$skip=9000").await.rows().len(), 1000);
    tenant.get("/v1.0/users?$top=999&$select=id").await.rows();
    tenant.get(MANAGED).await.rows();
    let limit = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 3 });
    assert!(started.elapsed() < limit, "{:?}", started.elapsed());
}
