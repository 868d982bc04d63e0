//! Several processes share one tenant: every room and device belongs to exactly one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use teams_rooms_exporter::model::shard::Shard;

use crate::exporter::{Exporter, Scenario, Scrape, every_source, start_tenant};

const COUNT: u32 = 3;

/// Tenths of a second.
const TRIES: usize = 300;

/// One of each kind of entity and source; none of these comes and goes with time.
const FAMILIES: [&str; 12] = [
    "teams_rooms_room_info",
    "teams_rooms_room_state",
    "teams_rooms_room_presence_state",
    "teams_rooms_room_calendar_readable",
    "teams_rooms_room_devices",
    "teams_rooms_account_license_state",
    "teams_rooms_device_info",
    "teams_rooms_device_health_state",
    "teams_rooms_device_detail_timestamp_seconds",
    "teams_rooms_peripheral_connected",
    "teams_rooms_software_info",
    "teams_rooms_intune_compliant",
];

/// Told of the tenant as a whole.
const OF_TENANT: [&str; 5] = [
    "teams_rooms_devices_without_room",
    "teams_rooms_license_units",
    "teams_rooms_service_health_state",
    "teams_rooms_service_issues",
    "teams_rooms_credential_expiry_timestamp_seconds",
];

fn of_shard(shard: Shard) -> Scenario {
    let configure = move |config: &mut _| {
        every_source(config);
        config.shard = shard;
    };
    Scenario { configure: Box::new(configure), ..Scenario::default() }
}

/// All series of the families, without what differs between two readers of one tenant: the first may have met a room
/// by another name.
fn series(scrape: &Scrape) -> BTreeSet<&str> {
    FAMILIES.iter().flat_map(|family| scrape.keys(family)).collect()
}

async fn scrapes(shards: &[Exporter]) -> Vec<Scrape> {
    futures_util::future::join_all(shards.iter().map(Exporter::scrape)).await
}

/// What is told by more or fewer than one shard.
fn differences(shards: &[Scrape], whole: &Scrape) -> Vec<String> {
    let mut told: BTreeMap<&str, usize> = series(whole).into_iter().map(|key| (key, 0)).collect();
    for key in shards.iter().flat_map(series) {
        *told.entry(key).or_default() += 1;
    }
    told.into_iter()
        .filter(|(_, times)| *times != 1)
        .map(|(key, times)| format!("{times} times {key}"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_series_is_told_by_exactly_one_shard() {
    let sim = start_tenant(30, &[]).await;
    let mut shards = Vec::new();
    for index in 0..COUNT {
        let shard = Shard::new(index, COUNT).expect("within bounds");
        shards.push(Exporter::start(Scenario { sim: Some(sim.clone()), ..of_shard(shard) }).await);
    }
    let whole = Exporter::start(Scenario { sim: Some(sim.clone()), ..of_shard(Shard::default()) }).await;
    whole.wait_for_every_source().await;

    // Each comes to know the tenant in its own time; in the end they agree.
    let mut told = scrapes(&shards).await;
    let mut found = differences(&told, &whole.scrape().await);
    for _ in 0..TRIES {
        if found.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        told = scrapes(&shards).await;
        found = differences(&told, &whole.scrape().await);
    }
    assert_eq!(found, [] as [String; 0]);

    for (index, scrape) in told.iter().enumerate() {
        assert!(scrape.count("teams_rooms_room_info") > 3, "shard {index} has its share");
        let info = format!("teams_rooms_exporter_shard_info{{shard=\"{index}\",shards=\"{COUNT}\"}}");
        assert_eq!(scrape.value(&info), Some("1"));
        assert_eq!(scrape.value("teams_rooms_exporter_shards"), Some("3"));
        assert_eq!(scrape.value("teams_rooms_up{tenant=\"contoso\"}"), Some("1"));
        for family in OF_TENANT {
            assert_eq!(scrape.count(family) > 0, index == 0, "{family} of shard {index}");
        }
    }
    for exporter in shards {
        exporter.stop().await;
    }
    whole.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_may_share_a_storage_directory() {
    let directory = tempfile::tempdir().expect("a directory");
    let sim = start_tenant(8, &[]).await;
    for index in 0..2 {
        let shard = Shard::new(index, 2).expect("within bounds");
        let scenario = Scenario { sim: Some(sim.clone()), ..of_shard(shard) };
        let storage_path = Some(directory.path().to_owned());
        let exporter = Exporter::start(Scenario { storage_path, ..scenario }).await;
        exporter.wait_until("rooms", |scrape| scrape.count("teams_rooms_room_info") > 0).await;
        exporter.stop().await;
    }
    let mut files: Vec<_> = std::fs::read_dir(directory.path())
        .expect("readable")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("text"))
        .collect();
    files.sort();
    assert_eq!(files, ["contoso.0-of-2.json", "contoso.1-of-2.json"]);
}
