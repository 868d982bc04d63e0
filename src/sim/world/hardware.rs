//! What is on the market: device models by type, and the peripherals of Teams Rooms on Windows.

/// `teamworkDeviceType`, the values this tenant has devices of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::sim) enum DeviceType {
    TeamsRoom,
    CollaborationBar,
    SurfaceHub,
    TouchConsole,
    TeamsPanel,
    IpPhone,
    TeamsDisplay,
    Sip,
}

/// Every documented value of `teamworkDeviceType`; `sipAnalog` is in Learn only.
pub(in crate::sim) const DEVICE_TYPES: [&str; 12] = [
    "unknown",
    "ipPhone",
    "teamsRoom",
    "surfaceHub",
    "collaborationBar",
    "teamsDisplay",
    "touchConsole",
    "lowCostPhone",
    "teamsPanel",
    "sip",
    "sipAnalog",
    "unknownFutureValue",
];

impl DeviceType {
    pub(in crate::sim) fn graph_name(self) -> &'static str {
        match self {
            Self::TeamsRoom => "teamsRoom",
            Self::CollaborationBar => "collaborationBar",
            Self::SurfaceHub => "surfaceHub",
            Self::TouchConsole => "touchConsole",
            Self::TeamsPanel => "teamsPanel",
            Self::IpPhone => "ipPhone",
            Self::TeamsDisplay => "teamsDisplay",
            Self::Sip => "sip",
        }
    }

    /// Rooms on Windows and hubs; everything else runs Android, or the maker's own system.
    pub(in crate::sim) fn is_windows(self) -> bool {
        matches!(self, Self::TeamsRoom | Self::SurfaceHub)
    }
}

#[derive(Debug)]
pub(in crate::sim) struct Model {
    pub(in crate::sim) manufacturer: &'static str,
    pub(in crate::sim) name: &'static str,
    /// The first three bytes of its MAC addresses.
    pub(in crate::sim) mac_prefix: &'static str,
    pub(in crate::sim) serial_prefix: &'static str,
    /// The processor of a PC, the major firmware version of anything else.
    pub(in crate::sim) inside: &'static str,
}

const fn model(
    manufacturer: &'static str,
    name: &'static str,
    mac_prefix: &'static str,
    serial_prefix: &'static str,
    inside: &'static str,
) -> Model {
    Model { manufacturer, name, mac_prefix, serial_prefix, inside }
}

const I5: &str = "13th Gen Intel(R) Core(TM) i5-1345U";
const I7: &str = "Intel(R) Core(TM) i7-8665UE CPU @ 1.70GHz";

pub(in crate::sim) static WINDOWS: [Model; 6] = [
    model("Lenovo", "ThinkSmart Core", "AC-DE-48", "PF", I5),
    model("Lenovo", "ThinkSmart Hub", "AC-DE-48", "MJ", I7),
    model("HP", "Poly Studio G9+", "C8-5A-CF", "8CG", I5),
    model("Logitech", "RoomMate PC", "44-73-D6", "22", I5),
    model("Crestron", "UC-C100", "00-10-7F", "19", I7),
    model("Dell", "OptiPlex 7080 XE", "B0-7B-25", "H", I7),
];

pub(in crate::sim) static HUBS: [Model; 2] = [
    model("Microsoft", "Surface Hub 2S", "28-16-A8", "0156", "Intel(R) Core(TM) i5-8350U CPU @ 1.70GHz"),
    model("Microsoft", "Surface Hub 3", "28-16-A8", "0178", I5),
];

pub(in crate::sim) static BARS: [Model; 6] = [
    model("Poly", "Studio X52", "64-16-7F", "8G", "4"),
    model("Poly", "Studio X72", "64-16-7F", "8L", "4"),
    model("Yealink", "MeetingBar A30", "80-5E-0C", "8031", "133"),
    model("Logitech", "Rally Bar", "44-73-D6", "2209", "1"),
    model("Logitech", "Rally Bar Mini", "44-73-D6", "2210", "1"),
    model("Neat", "Neat Bar", "7C-B3-7B", "NA1", "24"),
];

pub(in crate::sim) static CONSOLES: [Model; 4] = [
    model("Poly", "TC10", "64-16-7F", "8K", "6"),
    model("Yealink", "CTP18", "80-5E-0C", "4043", "137"),
    model("Logitech", "Tap IP", "44-73-D6", "2214", "1"),
    model("Neat", "Neat Pad", "7C-B3-7B", "NB1", "24"),
];

pub(in crate::sim) static PANELS: [Model; 4] = [
    model("Logitech", "Tap Scheduler", "44-73-D6", "2209L", "1"),
    model("Crestron", "TSS-770", "00-10-7F", "21", "2"),
    model("Yealink", "RoomPanel", "80-5E-0C", "8033", "147"),
    model("Poly", "TC8", "64-16-7F", "8J", "6"),
];

pub(in crate::sim) static PHONES: [Model; 2] =
    [model("Yealink", "MP54", "80-5E-0C", "3140", "122"), model("Poly", "CCX 500", "64-16-7F", "64", "8")];
pub(in crate::sim) static DISPLAYS: [Model; 1] = [model("Lenovo", "ThinkSmart View", "AC-DE-48", "VW", "1")];
pub(in crate::sim) static SIP_PHONES: [Model; 1] = [model("Poly", "VVX 411", "64-16-7F", "0004", "6")];

/// A `teamworkPeripheral`: what Windows calls it, and its USB vendor and product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) struct Product {
    pub(in crate::sim) id: &'static str,
    pub(in crate::sim) name: &'static str,
    pub(in crate::sim) vendor: &'static str,
    pub(in crate::sim) code: &'static str,
}

const fn product(id: &'static str, name: &'static str, vendor: &'static str, code: &'static str) -> Product {
    Product { id, name, vendor, code }
}

pub(in crate::sim) const ROOM_CAMERAS: [Product; 4] = [
    product("usb-cam-01", "Logi Rally Camera", "VID_046D", "PID_0881"),
    product("usb-cam-01", "Logitech MeetUp", "VID_046D", "PID_0866"),
    product("usb-cam-01", "Poly Studio E70", "VID_095D", "PID_9297"),
    product("usb-cam-01", "Jabra PanaCast 50", "VID_0B0E", "PID_3013"),
];

pub(in crate::sim) const CONTENT_CAMERA: Product =
    product("usb-cam-02", "Logitech BRIO", "VID_046D", "PID_085E");

/// One unit that is microphone and loudspeaker at once, as in most rooms.
pub(in crate::sim) const AUDIO: [Product; 3] = [
    product("usb-spk-01", "Echo Cancelling Speakerphone (Logi Rally Table Hub)", "VID_046D", "PID_088F"),
    product("usb-spk-01", "Echo Cancelling Speakerphone (Poly Trio C60)", "VID_095D", "PID_9215"),
    product("usb-spk-01", "Echo Cancelling Speakerphone (Yealink SP92)", "VID_6993", "PID_B03D"),
];

pub(in crate::sim) const SCREENS: [Product; 3] = [
    product("display-01", "Samsung QM65C", "SAM", "7253"),
    product("display-01", "LG 75UL3J", "GSM", "C0A8"),
    product("display-01", "NEC P555", "NEC", "6A1E"),
];

pub(in crate::sim) const HDMI_INGEST: Product = product("usb-hdmi-01", "HDMI Ingest", "VID_17EF", "PID_3086");
