//! Where a room is, and for how many.
//!
//! <https://learn.microsoft.com/graph/api/resources/room>

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::shared;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Immutable, unlike the place's `id`.
    pub place_id: Option<Arc<str>>,
    /// Of the room's mailbox, lower case.
    pub email: Arc<str>,
    pub name: Option<Arc<str>>,
    #[serde(default, deserialize_with = "shared::optional")]
    pub building: Option<Arc<str>>,
    #[serde(default, deserialize_with = "shared::optional")]
    pub floor: Option<Arc<str>>,
    #[serde(default, deserialize_with = "shared::optional")]
    pub city: Option<Arc<str>>,
    #[serde(default, deserialize_with = "shared::optional")]
    pub country: Option<Arc<str>>,
    /// Seats.
    pub capacity: Option<u32>,
    /// Latitude and longitude in degrees.
    pub coordinates: Option<(f64, f64)>,
}

/// Degrees are hashed by their bits.
impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { place_id, email, name, building, floor, city, country, capacity, coordinates } = self;
        (place_id, email, name, building, floor, city, country, capacity).hash(state);
        coordinates.map(|(latitude, longitude)| (latitude.to_bits(), longitude.to_bits())).hash(state);
    }
}
