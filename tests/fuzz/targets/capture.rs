//! Each answer of Graph makes a capture that can be written and read, and that names no person.

use teams_rooms_exporter::capture::{Answer, Secret, Settings, assemble};

/// In the corpus this person is in each text.
const PERSON: &str = "ada lovelace";

const PATHS: [&str; 4] = [
    "/beta/teamwork/devices?$filter=deviceType%20eq%20'teamsRoom'&$top=50",
    "/v1.0/users/ada%20lovelace/calendar/getSchedule",
    "/v1.0/deviceManagement/managedDevices",
    "/v1.0/applications(appId='ada lovelace')?$skiptoken=Ada%20Lovelace&x=Ada Lovelace",
];

/// The first byte says what was asked.
pub(crate) fn corpus() -> Vec<Vec<u8>> {
    let bodies = [
        r#"{"@odata.context":"https://graph.microsoft.com/v1.0/$metadata#users('Ada Lovelace')","@odata.nextLink":"https://graph.microsoft.com/beta/teamwork/devices?$skiptoken=Ada Lovelace","value":[{"id":"4c1d7b0a-9f3e-4a1b-8c2d-0123456789ab","healthStatus":"nonUrgent","deviceType":"Ada Lovelace","lastModifiedDateTime":"2026-11-20T08:00:00.000Z","hardwareDetail":{"manufacturer":"Yealink","model":"Ada Lovelace 5","macAddresses":["ETHERNET:249AD8001122"]},"currentVersion":"1.2 Ada Lovelace"}]}"#,
        r#"{"value":[{"scheduleId":"Ada.Lovelace@contoso.example","availabilityView":"0022Ada Lovelace","scheduleItems":[{"status":"busy","subject":"Ada Lovelace ","start":{"dateTime":"2026-11-20T08:00:00.0000000","timeZone":"UTC"}}]}]}"#,
        r##"{"Ada Lovelace":{"ada lovelace@odata.type":"#microsoft.graph.Ada Lovelace"},"hint":"Ada Lovelace","latitude":59.91,"x":-1.5e300,"y":"SMTP:Ada Lovelace"}"##,
        r#"{"error":{"code":"ErrorAccessDenied","message":"Ada Lovelace may not","innerError":{"date":"2026-11-20T08:00:00"}}}"#,
        "\u{feff}[[\"\\ud800 Ada Lovelace\",null,true]]",
        "<html>Ada Lovelace</html>",
    ];
    let paths = ["a", "b", "c", "d"];
    bodies.iter().flat_map(|body| paths.map(|path| format!("{path}{body}").into_bytes())).collect()
}

pub(crate) fn run(input: &[u8]) {
    let Some((first, body)) = input.split_first() else { return };
    let path = PATHS[usize::from(*first) % PATHS.len()];
    let settings = Settings {
        key: [5; 32],
        moment: 1_795_244_591,
        root: "https://graph.microsoft.com/".to_owned(),
        stand_ins: Vec::new(),
        public_ids: std::collections::HashSet::new(),
        secret: Secret { begins_with: &|start| start.starts_with("own"), instead: "simulated".to_owned() },
    };
    let answer = Answer { operation: "fuzz", method: "GET", path, status: 200, body };
    let capture = assemble(&[answer], 0, settings);
    let mut shown =
        serde_json::to_string(&capture.index).expect("it can be written") + &capture.summary.to_string();
    for (_, text) in &capture.files {
        let json = text.trim_start_matches('\u{feff}');
        assert!(serde_json::from_str::<&serde_json::value::RawValue>(json).is_ok(), "it can be read: {json}");
        shown += text;
    }
    assert!(!shown.to_lowercase().contains(PERSON), "{shown}");
}
