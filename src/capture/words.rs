//! The closed lists that decide which texts stay verbatim: members, and the words that their values consist of.
//!
//! An enumeration value stays if its member is listed and each of its words is in [`WORDS`]. The form alone does not
//! suffice: a first name has the form of an enumeration value, too.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Members whose values are Microsoft's own words: enumerations, product names, error codes.
#[rustfmt::skip]
const ENUMS: &[&str] = &[
    "activity", "activityState", "appliesTo", "availability", "bookingType", "capabilityStatus", "classification", "code",
    "complianceState", "connectionStatus", "contentType", "daysOfWeek", "deviceEnrollmentType", "deviceType", "healthStatus",
    "jailBroken", "managedDeviceOwnerType", "managementAgent", "managementState", "operatingSystem", "origin", "ownerType",
    "postType", "profileType", "provisioningStatus", "responseCode", "service", "servicePlanName", "signInAudience",
    "skuPartNumber", "softwareFreshness", "status", "teamsEnabledState", "timeZone", "trustType", "userIdentityType", "userType",
];

/// Numbers that are counts, seats, floors and sizes. Any other number of two digits or more gets other digits.
#[rustfmt::skip]
const EXACT_NUMBERS: &[&str] = &[
    "@odata.count", "availabilityViewInterval", "capacity", "consumedUnits", "enabled", "floorNumber", "freeStorageSpaceInBytes",
    "lockedOut", "physicalMemoryInBytes", "suspended", "totalLicenses", "totalStorageSpaceInBytes", "warning",
];

/// Dates whose names do not end in `DateTime` or `Date`.
const DATES: &[&str] = &["androidSecurityPatchLevel", "date"];

/// Starts of the names of dates that describe a person's life.
const PERSONAL_DATES: &[&str] = &["anniversary", "birth", "employee", "hire", "leave"];

/// Prefixes of addresses: mail systems and network adapters.
const PREFIXES: &[&str] = &["bluetooth", "ethernet", "mailto", "sip", "smtp", "unknown", "wifi", "x500"];

/// Makers of meeting room equipment, squeezed: lower case, letters and digits only.
const MAKERS: &str = "acer asus asustek asustekcomputerinc audiocodes avocor aver barco biamp bose cisco ciscosystems
    crestron dell dellinc dten epos extron google hewlettpackard hp huddly intel intelcorporation jabra lenovo lg
    lgelectronics logitech logitechinc maxhub microsoft microsoftcorporation msi neat nec newline nureva owllabs
    plantronics poly polycom qsc samsung sennheiser sharp shure sony vaddio viewsonic yealink";

/// Models sold for meeting rooms, squeezed as [`MAKERS`] are.
const MODELS: &str = "ccx500 ccx600 core2kit corekit ctp18 ctp25 g7500 hdmiingest logirallycamera logitechbrio
    logitechmeetup mcorekit mcorekit4 meetingbara10 meetingbara20 meetingbara30 meetingbara40 meetingboard meetingeyepro mp54
    mp56 mp58 mp60 mtouchii mtouchplus neatbar neatbarpro neatboard neatboard50 neatframe neatpad optiplex7080xe
    panacast50 polystudioe70 polystudiog9 rallybar rallybarhuddle rallybarmini roomkitpro roommate roommatepc roompanel
    roompanelplus studiox30 studiox32 studiox50 studiox52 studiox70 studiox72 surfacehub2s surfacehub3 tapip tapscheduler
    tc10 tc8 thinksmartcore thinksmarthub thinksmartview tss1070 tss770 ucc100 vvx411";

/// Substitutes that makers write for a missing serial number, squeezed.
const PLACEHOLDERS: &str =
    "chassisserialnumber default defaultstring empty invalid na none notapplicable notavailable
    notspecified null systemserialnumber tobefilledbyoem unknown";

/// Words next to the numbers of a version.
const VERSION_WORDS: &str = "alpha android beta build preview product rc release stable teams v windows";

/// The words that enumerations, products, error codes, types and paths of Graph consist of, in lower case.
const WORDS: &str = "a aad access account accounts action active activity ad added admin advisory agent alert alerts
    all allowed analog and android announcement any aosp app application applications approval assertion assigned asymmetric at
    attention audience audio authentication authorization autopilot availability available away azure bad bar basic batch be
    beta blocked booking broken bulk building busy by calendar call calls camera cancelled cap cert change changed
    client closed co code collaboration collection communication communications company complete completed compliance
    compliant compute conference conferencing confirmed config configuration conflict connected connecting connection
    console contact content context cost count created critical current data date day default degradation degraded
    deleted denied desk desktop detail details device devices direct directory disabled disconnected display displays elsewhere
    disturb do domain drive duplicate e1 e3 e5 eas email empty enabled end enrolled enrollment enterprise entity entra eq error etc events
    exceeded exception exchange exists expired extended external fac faculty failed failure false firmware floor focusing
    for forbidden found free friday full future gateway gcc general get gmt gone gov grace graph group guest hardware
    has health healthy hdmi hidden home html hub id identity idle impact in inactive incident information ingest initial
    installed interrupted interruption interruptions intune invalid investigating investigation ios ip is issue issues item
    items join joined last latest level license licenses limit linux list lobby locked log login lost low mac mail mailbox
    maintenance managed management marked mcocap mdm meeting member message method microphone microsoft missing mitigated
    mobile modern modified monday mtr mtrpro my name needs network never new no noaudioconf non none noncompliant
    normal not number object of off office offline on one onedrive online only oof open operating operation operational
    operations optional or org other out outlook overdue overview overviews owned owner panel partial partner paused
    pending period permission person personal phone place places plan platform point portal positive post power prem
    premium presence presences presenting preview principal privileges pro processing profile property published
    queued quick quota reached read rebooting recipient recovering recovery reduced registered regular reported
    request requests required reserved resolved resource resources response restart restored restoring retired review
    right room roomlist rooms running saturday schedule scheduled section server service sessions settings share
    shared sharepoint sign signed sip skip sku skus skype smart software spe speaker standard start starting state status stopped
    storage string subscribed subscription subscriptions success suite sunday supervised supported surface suspended
    sync system tablet team teams teamwork temporary tenant tentative text thursday timeout too top touch true trying
    tuesday type unable unauthorized unavailable under unhealthy unit unknown unreachable unsupported update updating
    urgent user users utc value verify verifying version video view warning wednesday weekend windows with without
    work working workplace x509";

/// A value has few words; a longer one is a text.
const MOST_WORDS: usize = 10;
const LONGEST_VALUE: usize = 64;

/// Digits of the longest error code that is a number.
const LONGEST_NUMBER: usize = 3;

/// Returns true if the values of this member are enumerations.
pub(super) fn is_enum(member: &str) -> bool {
    has(ENUMS, member)
}

/// Returns true if the numbers of this member stay as they are.
pub(super) fn is_exact_number(member: &str) -> bool {
    has(EXACT_NUMBERS, member)
}

/// Returns true if this member is the date of an event in the tenant.
pub(super) fn is_date(member: &str) -> bool {
    let lower = member.to_ascii_lowercase();
    let by_name = lower.ends_with("datetime") || lower.ends_with("date") || has(DATES, member);
    by_name && !PERSONAL_DATES.iter().any(|start| lower.starts_with(start))
}

pub(super) fn is_prefix(text: &str) -> bool {
    has(PREFIXES, text)
}

pub(super) fn is_maker(squeezed: &str) -> bool {
    static SET: LazyLock<HashSet<&str>> = LazyLock::new(|| set(MAKERS));
    SET.contains(squeezed)
}

pub(super) fn is_model(squeezed: &str) -> bool {
    static SET: LazyLock<HashSet<&str>> = LazyLock::new(|| set(MODELS));
    SET.contains(squeezed)
}

pub(super) fn is_placeholder(squeezed: &str) -> bool {
    static SET: LazyLock<HashSet<&str>> = LazyLock::new(|| set(PLACEHOLDERS));
    SET.contains(squeezed)
}

pub(super) fn is_version_word(word: &str) -> bool {
    static SET: LazyLock<HashSet<&str>> = LazyLock::new(|| set(VERSION_WORDS));
    SET.contains(word.to_ascii_lowercase().as_str())
}

/// Returns true if a text consists of known words only, such as `nonUrgent`, `InACall` or `MEETING_ROOM`.
pub(super) fn is_known(text: &str) -> bool {
    static SET: LazyLock<HashSet<&str>> = LazyLock::new(|| set(WORDS));
    let of_form = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '_' | '-' | '.' | '/');
    if text.is_empty() || text.len() > LONGEST_VALUE || !text.chars().all(of_form) {
        return false;
    }
    let is_known = |word: &String| {
        let is_number = word.len() <= LONGEST_NUMBER && word.bytes().all(|b| b.is_ascii_digit());
        is_number || SET.contains(word.as_str())
    };
    let words = split(text);
    !words.is_empty() && words.len() <= MOST_WORDS && words.iter().all(is_known)
}

/// The words of a text in lower case: `AOSPUser` is `aosp` and `user`, `MEETING_ROOM` is `meeting` and `room`.
fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for part in text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty()) {
        let bytes = part.as_bytes();
        let mut start = 0;
        for end in 1..=bytes.len() {
            if end == bytes.len() || is_boundary(bytes, end) {
                words.extend(part.get(start..end).map(str::to_ascii_lowercase));
                start = end;
            }
        }
    }
    words
}

/// Returns true if a word starts at `at`: after a small letter, or as the last capital before a small letter.
fn is_boundary(text: &[u8], at: usize) -> bool {
    let byte = |at: usize| text.get(at).copied().unwrap_or_default();
    let (before, here, after) = (byte(at.saturating_sub(1)), byte(at), byte(at + 1));
    here.is_ascii_uppercase() && (!before.is_ascii_uppercase() || after.is_ascii_lowercase())
}

fn has(list: &[&str], member: &str) -> bool {
    list.iter().any(|listed| listed.eq_ignore_ascii_case(member))
}

fn set(words: &'static str) -> HashSet<&'static str> {
    words.split_whitespace().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_microsoft_are_known() {
        for text in [
            "teamsRoom",
            "NonUrgent",
            "unknownFutureValue",
            "updateAvailable",
            "aadUser",
            "InACall",
            "inAMeeting",
            "UrgentInterruptionsOnly",
            "androidAOSPUserOwnedDeviceEnrollment",
            "postIncidentReviewPublished",
            "Microsoft_Teams_Rooms_Pro_without_Audio_Conferencing",
            "MEETING_ROOM",
            "MTR_PREM",
            "MCOCAP",
            "Exchange Online",
            "Microsoft 365 suite",
            "ErrorMailRecipientNotFound",
            "UTC",
            "Etc/GMT",
            "429",
        ] {
            assert!(is_known(text), "{text}: {:?}", split(text));
        }
    }

    #[test]
    fn names_numbers_and_long_texts_are_not() {
        for text in [
            "",
            "Anna",
            "anna",
            "roomOslo",
            "Contoso",
            "4711",
            "call me",
            "busy!",
            "ü",
            "room@teams.microsoft",
            &"a ".repeat(11),
            &"room".repeat(17),
        ] {
            assert!(!is_known(text), "{text}");
        }
    }

    #[test]
    fn dates_of_people_are_not_dates_of_the_tenant() {
        for (member, expected) in [
            ("lastModifiedDateTime", true),
            ("dateTime", true),
            ("managementCertificateExpirationDate", true),
            ("androidSecurityPatchLevel", true),
            ("employeeHireDate", false),
            ("birthDate", false),
            ("birthday", false),
            ("displayName", false),
        ] {
            assert_eq!(is_date(member), expected, "{member}");
        }
    }

    #[test]
    fn every_list_is_in_the_form_that_it_is_searched_in() {
        let squeezed = |word: &&str| word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        for list in [MAKERS, MODELS, PLACEHOLDERS, VERSION_WORDS, WORDS] {
            let odd: Vec<&str> = list.split_whitespace().filter(|word| !squeezed(word)).collect();
            assert_eq!(odd, Vec::<&str>::new());
        }
    }
}
