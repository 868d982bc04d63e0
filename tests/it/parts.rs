//! A scrape is shared out: every series is in exactly one part, and a room in one with its devices.

use std::collections::{BTreeMap, BTreeSet};

use crate::exporter::{Exporter, Scenario, Scrape, label, start_tenant};

const PARTS: usize = 8;

/// Scrapes of a tenant that stands still are alike within a few.
const TRIES: usize = 100;

/// They change from scrape to scrape.
const OF_THE_PROCESS: [&str; 3] = ["process_", "teams_rooms_exporter_", "teams_rooms_graph_"];

/// All series that stand still, with their values.
fn lines(text: &str) -> Vec<&str> {
    let moving = |line: &&str| OF_THE_PROCESS.iter().any(|name| line.starts_with(name));
    text.lines().filter(|line| !line.starts_with('#') && !moving(line)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_series_is_in_exactly_one_part() {
    // More devices than one bucket holds.
    let sim = start_tenant(320, &[]).await;
    let exporter = Exporter::start(Scenario { sim: Some(sim), ..Scenario::default() }).await;
    exporter.wait_for_everything().await;

    // Scrapes fall between two pictures where something moves: what is compared is of one.
    let (mut whole, mut parts) = scrapes(&exporter).await;
    for _ in 0..TRIES {
        if joined(&parts) == sorted(&whole) {
            break;
        }
        (whole, parts) = scrapes(&exporter).await;
    }
    assert_eq!(joined(&parts), sorted(&whole));

    let mut homes: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    for (part, text) in parts.iter().enumerate() {
        let scrape = Scrape::parse(text.clone());
        for family in ["teams_rooms_room_info", "teams_rooms_room_state", "teams_rooms_device_info"] {
            for series in
                scrape.keys(family).into_iter().filter(|series| !label(series, "room_id").is_empty())
            {
                homes.entry(label(series, "room_id").to_owned()).or_default().insert(part);
            }
        }
        assert_eq!(
            scrape.count("teams_rooms_collector_state") > 0,
            part == 0,
            "what is of no room is in the first"
        );
        assert_eq!(scrape.count("process_threads") > 0, part == 0);
    }
    assert!(homes.len() > 300 && homes.values().all(|parts| parts.len() == 1));
    let of_tenant = |part: usize| format!("/metrics?tenant=contoso&part={part}/{PARTS}");
    assert!(
        exporter.get(&of_tenant(1)).await.1.contains("\nprocess_threads "),
        "the one target is the process"
    );
    assert!(!exporter.get(&of_tenant(2)).await.1.contains("\nprocess_threads "));
    let used: BTreeSet<usize> = homes.values().flatten().copied().collect();
    assert!(used.len() > 1, "the rooms are shared out");
    exporter.stop().await;
}

/// Everything at once, and part by part.
async fn scrapes(exporter: &Exporter) -> (String, Vec<String>) {
    let mut parts = Vec::new();
    for part in 1..=PARTS {
        let (status, text) = exporter.get(&format!("/metrics?part={part}/{PARTS}")).await;
        assert_eq!(status, 200);
        parts.push(text);
    }
    (exporter.get("/metrics").await.1, parts)
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines = lines(text);
    lines.sort_unstable();
    lines
}

fn joined(parts: &[String]) -> Vec<&str> {
    let mut lines: Vec<&str> = parts.iter().flat_map(|part| lines(part)).collect();
    lines.sort_unstable();
    lines
}
