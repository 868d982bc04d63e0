//! Reading a response body within a bound.

use crate::graph::error::Error;
use crate::input::json;

/// The largest answers are pages of 999 users with their plans, some 5 MB; more than this is not Graph.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// The body, repaired where texts in it would cost the whole of it.
pub(super) async fn read(response: &mut reqwest::Response) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Error::from_transport(&error))? {
        if body.len() + chunk.len() > MAX_BYTES {
            return Err(Error::malformed(format!("the body is larger than {MAX_BYTES} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(json::repair(body))
}
