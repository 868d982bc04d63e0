//! Reading a response body within a bound, and few large ones at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::graph::error::Error;
use crate::graph::operation::Workload;
use crate::input::json::MAX_ITEM_BYTES;
use crate::input::repair;
use crate::worker;

/// The largest answers are pages of 999 users with their addresses, some 2 MB; more than this is not Graph.
pub(super) const MAX_PAGE_BYTES: usize = 8 * 1024 * 1024;

/// An answer to a batch: its records, and what is around them.
pub(super) const MAX_BATCH_BYTES: usize = MAX_PAGE_BYTES;

/// One record alone.
pub(super) const MAX_RECORD_BYTES: usize = MAX_ITEM_BYTES;

/// An error names its code within the first kilobyte; of a longer body nothing is used.
pub(super) const MAX_ERROR_BYTES: usize = 64 * 1024;

/// A token has some 3 KiB, and 10 in the largest tenants.
pub(super) const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// A body above this is a large one: the usual pages stay below it.
const LARGE_BYTES: usize = 512 * 1024;

/// Large bodies of all tenants at once, with what they are parsed into at most 100 MiB.
static LARGE_BODIES: Semaphore = Semaphore::const_new(6);

/// Large bodies of one tenant at once, so that one whose Graph sends nothing else leaves room for others.
const LARGE_BODIES_OF_TENANT: usize = 2;

/// A body, and its place among the large ones, which it keeps until it is parsed.
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    _place: Option<Place>,
}

/// The large bodies of one tenant. Each workload has one at most: its next waits for it, and not those of others.
pub(super) struct LargeBodies {
    workloads: Mutex<BTreeMap<Workload, Arc<Semaphore>>>,
    tenant: Arc<Semaphore>,
}

/// Released from the last to the first.
struct Place {
    _process: SemaphorePermit<'static>,
    _tenant: OwnedSemaphorePermit,
    _workload: OwnedSemaphorePermit,
}

impl Default for LargeBodies {
    fn default() -> Self {
        Self { workloads: Mutex::default(), tenant: Arc::new(Semaphore::new(LARGE_BODIES_OF_TENANT)) }
    }
}

impl LargeBodies {
    /// Waits for a place; `None` never comes, since no semaphore is closed.
    async fn place(&self, workload: Workload) -> Option<Place> {
        let own = {
            let mut workloads = self.workloads.lock().unwrap_or_else(PoisonError::into_inner);
            workloads.entry(workload).or_insert_with(|| Arc::new(Semaphore::new(1))).clone()
        };
        let workload = own.acquire_owned().await.ok()?;
        let tenant = self.tenant.clone().acquire_owned().await.ok()?;
        Some(Place { _process: LARGE_BODIES.acquire().await.ok()?, _tenant: tenant, _workload: workload })
    }
}

/// A body of at most so many bytes, repaired where one bad text would cost the whole of it. A large one waits for its place.
pub(super) async fn read(
    response: &mut reqwest::Response,
    most: usize,
    large: &LargeBodies,
    workload: Workload,
) -> Result<Body, Error> {
    let (mut bytes, mut place) = (Vec::new(), None);
    while let Some(chunk) = response.chunk().await.map_err(|error| Error::from_transport(&error))? {
        if bytes.len() + chunk.len() > most {
            return Err(Error::malformed(format!("the body is larger than {most} bytes")));
        }
        if bytes.len() + chunk.len() > LARGE_BYTES && place.is_none() {
            place = large.place(workload).await;
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Body { bytes: worker::read(bytes.len(), || repair(bytes)), _place: place })
}

/// The start of the body of an error. Its end does not matter, nor whether it breaks off.
pub(super) async fn start(response: &mut reqwest::Response) -> Vec<u8> {
    let mut start = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let left = MAX_ERROR_BYTES - start.len();
        start.extend_from_slice(chunk.get(..left).unwrap_or(&chunk));
        if chunk.len() >= left {
            break;
        }
    }
    repair(start)
}

/// A small body, such as that of a token.
pub(super) async fn read_small(response: &mut reqwest::Response) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Error::from_transport(&error))? {
        if bytes.len() + chunk.len() > MAX_TOKEN_BYTES {
            return Err(Error::malformed(format!("the body is larger than {MAX_TOKEN_BYTES} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(repair(bytes))
}
