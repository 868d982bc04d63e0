//! What survives a restart: one file per tenant under `--storage.path`.
//!
//! Written beside the old one, synced and renamed, readable by the owner only. A missing, old or damaged file
//! is a warning and a clean start, never a refusal to run. Counters are not kept.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::model::account::RoomAccount;
use crate::model::detail::Reading;
use crate::model::incident::Incidents;
use crate::model::license::License;
use crate::model::listing::Listing;
use crate::model::managed_device::ManagedDevice;
use crate::model::memory::Memory;
use crate::model::place::Place;
use crate::model::presence::Presence;
use crate::model::record::Records;
use crate::model::shard::Shard;
use crate::model::{Snapshot, Timestamp};
use crate::platform::{self, FileId};

/// Raised when the model changes so that old files can no longer be read.
const FORMAT: u32 = 1;

/// The file of one tenant.
#[derive(Clone, Debug)]
pub struct Storage {
    directory: PathBuf,
    file: PathBuf,
    /// A file of another tenant under the same name must not be taken for this one's.
    tenant_id: String,
    /// One write at a time: a task that is no longer awaited may still be writing.
    writing: Arc<Mutex<()>>,
    /// A larger file is none of ours.
    max_bytes: u64,
}

/// A device with its room, its account and what is remembered of them takes 3 KiB on average.
const BYTES_PER_ITEM: u64 = 8 * 1024;
/// For the incidents and whatever else does not grow with the devices.
const SMALL_BYTES: u64 = 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "cannot use the storage directory {path}: {reason}; it must exist or be creatable, and be writable"
    )]
    Directory { path: String, reason: std::io::Error },
    #[error("cannot write {path}: {reason}{}", cure(reason))]
    Write { path: String, reason: std::io::Error },
    #[error("cannot read {path}: {reason}; starting without it")]
    Damaged { path: String, reason: String },
}

/// What helps against the faults that a disk has; writing is tried again by itself.
fn cure(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            "; free space there, or have --storage.path name another disk"
        }
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
            "; make the directory writable for the user that this runs as"
        }
        ErrorKind::NotFound => "; make the directory again",
        _ => "",
    }
}

#[derive(Serialize)]
struct Written<'a> {
    format: u32,
    tenant_id: &'a str,
    saved_at: Timestamp,
    devices: &'a Listing,
    details: &'a BTreeMap<Arc<str>, Reading>,
    presence: &'a Records<Presence>,
    places: &'a Records<Place>,
    accounts: &'a Records<RoomAccount>,
    licenses: &'a Records<License>,
    intune: &'a Records<ManagedDevice>,
    incidents: &'a Incidents,
    memory: &'a Memory,
}

#[derive(Deserialize)]
struct Header {
    format: u32,
    tenant_id: String,
}

#[derive(Deserialize)]
struct Restored {
    saved_at: Timestamp,
    devices: Listing,
    details: BTreeMap<Arc<str>, Reading>,
    #[serde(default)]
    presence: Records<Presence>,
    #[serde(default)]
    places: Records<Place>,
    #[serde(default)]
    accounts: Records<RoomAccount>,
    #[serde(default)]
    licenses: Records<License>,
    #[serde(default)]
    intune: Records<ManagedDevice>,
    #[serde(default)]
    incidents: Incidents,
    memory: Memory,
}

impl Storage {
    /// Makes the directory where it is missing, for the owner only. `max_items` bounds the file that is read.
    pub fn open(
        directory: &Path,
        tenant: &str,
        shard: Shard,
        tenant_id: &str,
        max_items: usize,
    ) -> Result<Self, Error> {
        let failed = |reason| Error::Directory { path: directory.display().to_string(), reason };
        platform::create_directory(directory, true).map_err(failed)?;
        if platform::anyone_may_write(&fs::metadata(directory).map_err(failed)?) {
            tracing::warn!(path = %directory.display(), "anyone may write to the storage directory; chmod 700 helps");
        }
        // Shards may share a directory, and each knows other details.
        let file = match shard.count() {
            1 => format!("{tenant}.json"),
            count => format!("{tenant}.{}-of-{count}.json", shard.index()),
        };
        let file = directory.join(file);
        Ok(Self {
            directory: directory.to_owned(),
            file,
            tenant_id: tenant_id.to_owned(),
            writing: Arc::default(),
            max_bytes: SMALL_BYTES + BYTES_PER_ITEM * u64::try_from(max_items).unwrap_or(u64::from(u32::MAX)),
        })
    }

    /// What was held when it was saved, and when that was; `None` if nothing ever was.
    pub fn restore(&self) -> Result<Option<(Snapshot, Timestamp)>, Error> {
        let damaged = |reason: String| Error::Damaged { path: self.file.display().to_string(), reason };
        let bytes = match read(&self.file, self.max_bytes) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(damaged(error.to_string())),
        };
        let header: Header = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if header.format != FORMAT {
            return Err(damaged(format!("it has format {}, this version writes {FORMAT}", header.format)));
        }
        if header.tenant_id != self.tenant_id {
            return Err(damaged("it belongs to another tenant id".to_owned()));
        }
        let restored: Restored =
            serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        let snapshot = Snapshot {
            devices: Arc::new(restored.devices),
            details: Arc::new(restored.details),
            presence: Arc::new(restored.presence),
            places: Arc::new(restored.places),
            accounts: Arc::new(restored.accounts),
            licenses: Arc::new(restored.licenses),
            intune: Arc::new(restored.intune),
            incidents: Arc::new(restored.incidents),
            memory: Arc::new(restored.memory),
            ..Snapshot::default()
        };
        Ok(Some((snapshot, restored.saved_at)))
    }

    /// Replaces the file by this snapshot.
    pub fn save(&self, snapshot: &Snapshot, now: Timestamp) -> Result<(), Error> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let written = Written {
            format: FORMAT,
            tenant_id: &self.tenant_id,
            saved_at: now,
            devices: &snapshot.devices,
            details: &snapshot.details,
            presence: &snapshot.presence,
            places: &snapshot.places,
            accounts: &snapshot.accounts,
            licenses: &snapshot.licenses,
            intune: &snapshot.intune,
            incidents: &snapshot.incidents,
            memory: &snapshot.memory,
        };
        let temporary = self.file.with_extension("json.new");
        let result = write(&temporary, &written).and_then(|()| {
            fs::rename(&temporary, &self.file)?;
            platform::sync_directory(&self.directory)
        });
        result.map_err(|reason| {
            drop(fs::remove_file(&temporary)); // half a file is of no use, and the disk may be full
            Error::Write { path: self.file.display().to_string(), reason }
        })
    }
}

/// The content of a regular file, which is not a link: its target may be any file. Opening a pipe would wait for
/// its writer.
fn read(path: &Path, max_bytes: u64) -> std::io::Result<Vec<u8>> {
    let named = fs::symlink_metadata(path)?;
    if !named.is_file() {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    let file = File::open(path)?;
    let opened = file.metadata()?;
    if FileId::of(&opened) != FileId::of(&named) {
        return Err(std::io::Error::other("it was exchanged while it was opened"));
    }
    let mut bytes = Vec::new();
    file.take(max_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(std::io::Error::other(format!("it is larger than {max_bytes} bytes")));
    }
    Ok(bytes)
}

/// Writes a new file. An existing one of that name is removed, and neither followed nor opened: it may be half a file
/// after a crash, or a planted link or pipe.
fn write(path: &Path, written: &Written<'_>) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut writer = BufWriter::new(platform::create_file(path)?);
    serde_json::to_writer(&mut writer, written)?;
    writer.flush()?;
    writer.into_inner()?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    use std::time::Duration;

    use crate::model::device::DeviceType;
    use crate::model::identity::Trust;
    use crate::model::listing::tests::device;
    use crate::model::memory::{Moment, Readings, Sighting};

    const NOW: Timestamp = Timestamp::from_seconds(1_795_244_591);

    fn snapshot() -> Snapshot {
        let mut snapshot = Snapshot::default();
        let devices = [device("a", DeviceType::TeamsRoom)];
        Arc::make_mut(&mut snapshot.devices).take(&devices, NOW);
        let moment = Moment { now: NOW, expiry: Duration::from_mins(30) };
        let sightings = devices.map(|value| Sighting { value, last_read: None });
        let memory = Arc::make_mut(&mut snapshot.memory);
        let readings = Readings { held: &snapshot.details, expiry: Duration::from_mins(90) };
        memory.observe_devices(&sightings, readings, Trust::UnlessPerson, moment);
        memory.product_names.learn(&"MeetingBar A30".into());
        snapshot
    }

    #[test]
    fn what_is_saved_comes_back_and_is_private() {
        let directory = tempfile::tempdir().expect("a directory");
        let storage = Storage::open(&directory.path().join("new"), "contoso", Shard::default(), "id-1", 100)
            .expect("opened");
        assert!(storage.restore().expect("no file is no fault").is_none());
        storage.save(&snapshot(), NOW).expect("written");
        let (restored, saved_at) = storage.restore().expect("readable").expect("saved");
        let mut memory = snapshot().memory;
        for device in Arc::make_mut(&mut memory).devices.values_mut() {
            Arc::make_mut(device).counted_since = None; // counters begin again
        }
        assert_eq!((restored.devices, restored.memory), (snapshot().devices, memory));
        assert_eq!(saved_at, NOW);
        let mode = fs::metadata(&storage.file).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&storage.directory).expect("listed").count(), 1, "no temporary file stays");
    }

    /// As an earlier version wrote it.
    #[test]
    fn a_file_without_the_names_of_products_is_read() {
        let directory = tempfile::tempdir().expect("a directory");
        let storage =
            Storage::open(directory.path(), "contoso", Shard::default(), "id-1", 100).expect("opened");
        storage.save(&snapshot(), NOW).expect("written");
        let text = fs::read_to_string(&storage.file).expect("written");
        let names = ",\"product_names\":{\"meetingbara30\":\"MeetingBar A30\"}";
        assert!(text.contains(names), "{text}");
        fs::write(&storage.file, text.replace(names, "")).expect("written");
        let (restored, _) = storage.restore().expect("readable").expect("saved");
        assert_eq!(restored.memory.product_names.spelling("meetingbara30"), "meetingbara30");
        assert_eq!(restored.devices, snapshot().devices);
    }

    /// As what a killed run left: it is in nobody's way, and the next write takes its place.
    #[test]
    fn half_a_file_beside_the_whole_one_is_written_over() {
        let directory = tempfile::tempdir().expect("a directory");
        let storage =
            Storage::open(directory.path(), "contoso", Shard::default(), "id-1", 100).expect("opened");
        storage.save(&snapshot(), NOW).expect("written");
        fs::write(directory.path().join("contoso.json.new"), "{\"format\":1,\"tena".repeat(999))
            .expect("written");
        assert!(storage.restore().expect("readable").is_some());
        storage.save(&snapshot(), NOW).expect("written");
        assert!(storage.restore().expect("readable").is_some());
        assert_eq!(fs::read_dir(&storage.directory).expect("listed").count(), 1);
    }

    #[track_caller]
    fn check_damaged(content: &str, reason: &str) {
        let directory = tempfile::tempdir().expect("a directory");
        let storage =
            Storage::open(directory.path(), "contoso", Shard::default(), "id-1", 100).expect("opened");
        fs::write(&storage.file, content).expect("written");
        let error = storage.restore().expect_err("an error").to_string();
        assert!(error.contains(reason), "{error}");
    }

    #[test]
    fn a_file_that_cannot_be_used_says_why() {
        check_damaged("", "EOF");
        check_damaged("{\"format\":1,\"tenant_id\":\"id-1\",\"devi", "EOF");
        check_damaged("{\"format\":0,\"tenant_id\":\"id-1\"}", "format 0");
        check_damaged("{\"format\":1,\"tenant_id\":\"id-2\"}", "another tenant");
        check_damaged("{\"format\":1,\"tenant_id\":\"id-1\"}", "missing field");
    }

    #[test]
    fn the_directory_is_for_the_owner_only() {
        let directory = tempfile::tempdir().expect("a directory");
        let own = directory.path().join("new");
        Storage::open(&own.join("below"), "contoso", Shard::default(), "id-1", 100).expect("opened");
        for made in [own.clone(), own.join("below")] {
            assert_eq!(fs::metadata(made).expect("there").permissions().mode() & 0o777, 0o700);
        }
    }

    /// A planted file, link or pipe is removed, and the file that it leads to stays as it was.
    #[test]
    fn a_planted_temporary_file_is_not_followed() {
        let directory = tempfile::tempdir().expect("a directory");
        let storage =
            Storage::open(directory.path(), "contoso", Shard::default(), "id-1", 100).expect("opened");
        let (new, victim) = (directory.path().join("contoso.json.new"), directory.path().join("victim"));
        fs::write(&victim, "untouched").expect("written");
        let plants: [&dyn Fn() -> std::io::Result<()>; 4] = [
            &|| symlink(&victim, &new),
            &|| symlink(directory.path().join("nowhere"), &new),
            &|| fs::hard_link(&victim, &new),
            &|| {
                fs::write(&new, "wide")?;
                fs::set_permissions(&new, fs::Permissions::from_mode(0o666))
            },
        ];
        for plant in plants {
            plant().expect("planted");
            storage.save(&snapshot(), NOW).expect("written");
            assert_eq!(fs::read_to_string(&victim).expect("there"), "untouched");
            assert!(!directory.path().join("nowhere").exists() && !new.exists());
            let kept = fs::symlink_metadata(&storage.file).expect("there");
            assert!(kept.is_file() && kept.permissions().mode() & 0o777 == 0o600 && kept.nlink() == 1);
            assert!(storage.restore().expect("readable").is_some());
        }
    }

    #[test]
    fn a_file_that_is_a_link_or_too_large_is_not_read() {
        let directory = tempfile::tempdir().expect("a directory");
        let storage =
            Storage::open(directory.path(), "contoso", Shard::default(), "id-1", 100).expect("opened");
        storage.save(&snapshot(), NOW).expect("written");
        let elsewhere = directory.path().join("elsewhere");
        fs::rename(&storage.file, &elsewhere).expect("moved");
        symlink(&elsewhere, &storage.file).expect("linked");
        assert!(storage.restore().expect_err("a link").to_string().contains("not a regular file"));
        fs::remove_file(&storage.file).expect("removed");
        File::create(&storage.file).and_then(|file| file.set_len(storage.max_bytes + 1)).expect("made");
        assert!(storage.restore().expect_err("too large").to_string().contains("larger than"));
        storage.save(&snapshot(), NOW).expect("written");
        assert!(storage.restore().expect("readable").is_some());
    }

    #[test]
    fn a_full_disk_is_told_with_the_cure() {
        let reason = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let told = Error::Write { path: "/state/contoso.json".to_owned(), reason }.to_string();
        assert!(told.contains("/state/contoso.json") && told.contains("free space there"), "{told}");
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("file");
        fs::write(&file, "").expect("written");
        let error = Storage::open(&file.join("below"), "contoso", Shard::default(), "id-1", 100)
            .expect_err("an error")
            .to_string();
        assert!(error.contains("below"), "{error}");
    }
}
