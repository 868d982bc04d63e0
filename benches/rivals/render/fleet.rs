//! Made-up devices with a hundred series each, labelled as ours are. Nothing is drawn by chance: each run is the same.

/// One series for each device.
pub(crate) const SINGLE_FAMILIES: usize = 65;

/// One series for each device and state.
pub(crate) const STATE_FAMILIES: usize = 7;
pub(crate) const STATES: [&str; 5] = ["healthy", "non_urgent", "critical", "offline", "unknown"];

const SERIES_PER_DEVICE: usize = SINGLE_FAMILIES + STATE_FAMILIES * STATES.len();

pub(crate) const TENANT: &str = "contoso";

#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) id: String,
    pub(crate) room: String,
    number: usize,
}

#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) name: String,
    pub(crate) help: String,
    number: usize,
}

#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) devices: Vec<Device>,
    pub(crate) singles: Vec<Family>,
    pub(crate) states: Vec<Family>,
}

impl Fleet {
    pub(crate) fn of_series(series: usize) -> Self {
        let family = |kind: &str, number| Family {
            name: format!("teams_rooms_device_{kind}_number_{number}"),
            help: format!("What the field number {number} of a device says, in words as long as ours are."),
            number,
        };
        Self {
            devices: (0..series.div_ceil(SERIES_PER_DEVICE)).map(Device::new).collect(),
            singles: (0..SINGLE_FAMILIES).map(|number| family("fact", number)).collect(),
            states: (0..STATE_FAMILIES).map(|number| family("state", number)).collect(),
        }
    }

    pub(crate) fn series(&self) -> usize {
        self.devices.len() * SERIES_PER_DEVICE
    }
}

impl Device {
    fn new(number: usize) -> Self {
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let id = format!("{:08x}-{:04x}-4000-8000-{mixed:012x}", mixed >> 32, mixed >> 48);
        Self { id, room: format!("BER{} {}.{:02} Humboldt", number % 9, number % 7, number % 90), number }
    }
}

impl Family {
    /// Moments, whole numbers and answers to yes or no, a third each.
    pub(crate) fn value(&self, device: &Device) -> i64 {
        let whole = i64::try_from(device.number * 7 + self.number).unwrap_or(i64::MAX);
        match self.number % 3 {
            0 => 1_790_000_000 + whole,
            1 => whole % 1_000,
            _ => whole % 2,
        }
    }

    /// The state that a device is in.
    pub(crate) fn state(&self, device: &Device) -> &'static str {
        STATES.get((device.number + self.number) % STATES.len()).copied().unwrap_or_default()
    }
}
