//! One configuration file per rule in `tests/config`, and the message that its author sees.

use std::fs;
use std::path::Path;

use super::*;
use crate::model::State;
use crate::model::site::{self, Glob, Hours, Match};

/// The families that the tests' `metrics:` may name.
const KNOWN_METRICS: [&str; 3] =
    ["teams_rooms_up", "teams_rooms_device_connected", "teams_rooms_device_info"];

const TENANT_ID: &str = "11111111-2222-4333-8444-555555555555";
const CLIENT_ID: &str = "22222222-3333-4444-8555-666666666666";

fn load_file(path: &Path, environment: &[(&str, &str)]) -> Result<Config, Error> {
    let file = Some(path.to_owned()).filter(|path| !path.as_os_str().is_empty());
    let args = cli::ServeArgs { config: cli::ConfigArgs { file }, ..cli::ServeArgs::default() };
    let env = |name: &str| {
        environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    load(&args, &env, &KNOWN_METRICS)
}

fn load_environment(environment: &[(&str, &str)]) -> Result<Config, Error> {
    load_file(Path::new(""), environment)
}

fn load_text(text: &str, environment: &[(&str, &str)]) -> Result<Config, Error> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.yaml");
    fs::write(&path, text).expect("written");
    load_file(&path, environment)
}

fn only_tenant(config: Result<Config, Error>) -> Tenant {
    let [tenant] = config.expect("sound").tenants.try_into().expect("one tenant");
    tenant
}

#[track_caller]
fn check_error(config: Result<Config, Error>, expected: &str) {
    let error = config.expect_err(expected);
    assert_eq!(error.to_string(), expected);
}

/// Each `tests/config/invalid_<rule>.yaml` breaks one rule; the `.txt` beside it is the message.
#[test]
fn every_broken_rule_has_its_message() {
    let rewrite = option_env_set("UPDATE_GOLDEN");
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir("tests/config").expect("the folder of the cases") {
        let path = entry.expect("readable").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("UTF-8");
        if !name.starts_with("invalid_") || path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        count += 1;
        let golden = path.with_extension("txt");
        let message = match load_file(&path, &[]) {
            Ok(_) => "accepted\n".to_owned(),
            Err(error) => format!("{error}\n"),
        };
        assert!(!message.contains("hunter2"), "the secret is shown:\n{message}");
        if rewrite {
            fs::write(&golden, message).expect("written");
        } else if fs::read_to_string(&golden).ok().as_deref() != Some(&message) {
            wrong.push(message);
        }
    }
    assert!(count > 40, "only {count} cases were found");
    assert!(wrong.is_empty(), "not as in the .txt (UPDATE_GOLDEN=1 rewrites):\n{}", wrong.join("\n"));
}

#[expect(clippy::disallowed_methods, reason = "a switch of the test run, not a setting")]
fn option_env_set(name: &str) -> bool {
    std::env::var(name).is_ok()
}

fn source(enabled: Enabled, interval: Duration, expiry: Duration) -> SourceSettings {
    SourceSettings { enabled, interval, expiry }
}

/// The sites of `good.yaml`.
fn sites() -> Vec<Site> {
    let hours = |text| Hours::parse(text).expect("sound");
    let zone = |name| site::zone(name).expect("a zone");
    let berlin = Match {
        building: vec![Glob::parse("BER*").expect("sound")],
        email: vec![Glob::parse("*-ber-*@*").expect("sound")],
    };
    let (service, maintenance) = (hours("Mon-Fri 07:00-20:00"), hours("02:00-05:00, Sun 22:00-06:00"));
    vec![
        Site::new("berlin", Some("av-emea".into()), berlin, zone("Europe/Berlin"), service, &maintenance),
        Site::new("spare", None, Match::default(), zone("UTC"), Hours::always(), &Hours::default()),
    ]
}

/// The tenants of `good.yaml` that differ in how they are signed in to.
fn signed_in_otherwise(fabrikam: &Tenant) -> [Tenant; 4] {
    let url = |text| Url::parse(text).expect("a URL");
    let of_fabrikam = |name: &str, auth| Tenant {
        name: name.to_owned(),
        auth,
        intake: None,
        authority: url("https://login.microsoftonline.com/"),
        graph: url("https://graph.microsoft.com/"),
        collectors: Collectors::default(),
        privacy: Privacy::default(),
        ..fabrikam.clone()
    };
    let files = CertificateFiles {
        certificate: "tests/config/certificate.pem".into(),
        key: Some("tests/config/certificate.key".into()),
        send_chain: true,
    };
    let identity = ManagedIdentity {
        client_id: Some("33333333-3333-4444-8555-66666666666a".to_owned()),
        endpoint: url("http://169.254.169.254/metadata/identity/oauth2/token"),
        header: None,
    };
    let certified = Tenant {
        ca_file: Some("tests/config/certificate.pem".into()),
        proxies: Proxies::default(),
        ..of_fabrikam("certified", Auth::Certificate(files))
    };
    let federated = of_fabrikam("federated", Auth::FederatedToken("tests/config/secret".into()));
    let managed = Tenant { client_id: None, ..of_fabrikam("managed", Auth::ManagedIdentity(identity)) };
    let delegated = of_fabrikam("delegated", Auth::Delegated("tests/config/refresh_token".into()));
    [certified, federated, managed, delegated]
}

#[test]
fn what_is_printed_is_the_same_configuration_without_its_secrets() {
    let config = load_file(Path::new("tests/config/good.yaml"), &[]);
    let config = config.expect("sound");
    let printed = config.print(&otlp::Otlp::default(), &cli::LogArgs::default());
    assert!(!printed.contains("hunter2") && !printed.contains("0123456789abcdef"), "{printed}");
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("printed.yaml");
    // Paths are printed as they are found from here.
    let here = std::env::current_dir().expect("a directory");
    let absolute = printed.replace("\"tests/config/", &format!("\"{}/tests/config/", here.display()));
    fs::write(&file, absolute.replace("<redacted>", "0123456789abcdef0123456789abcdef")).expect("written");
    let again = load_file(&file, &[]).expect("what is printed can be read");
    let again = again.print(&otlp::Otlp::default(), &cli::LogArgs::default());
    assert_eq!(again.replace(&format!("{}/", here.display()), ""), printed);
}

#[test]
fn a_file_with_every_key_is_read_in_full() {
    let config = load_file(Path::new("tests/config/good.yaml"), &[]).expect("sound");
    let url = |text| Url::parse(text).expect("a URL");
    let contoso = Tenant {
        name: "contoso".to_owned(),
        tenant_id: "11111111-2222-4333-8444-55555555555a".to_owned(),
        client_id: Some(CLIENT_ID.to_owned()),
        auth: Auth::Secret(Credential::SecretFile("tests/config/secret".into())),
        client_secret_expires: Timestamp::parse("2027-01-31T00:00:00Z"),
        intake: Some(Credential::SecretFile("tests/config/intake_secret".into())),
        authority: url("https://login.microsoftonline.us/"),
        graph: url("https://graph.microsoft.us/"),
        requests_per_second: Some(10),
        max_items: 20_000,
        ca_file: None,
        proxies: Proxies::default(),
        trust_device_accounts: Trust::No,
        collectors: Collectors {
            devices: DevicesSettings {
                enabled: Enabled::Yes,
                interval: Duration::from_secs(90),
                expiry: HOUR,
                types: vec!["teamsRoom".to_owned(), "ipPhone".to_owned()],
            },
            device_health: HealthSettings { enabled: Enabled::No, expiry: 2 * HOUR, rotation: 45 * MINUTE },
            presence: source(Enabled::Yes, Duration::from_secs(30), 5 * MINUTE),
            places: source(Enabled::Auto, 12 * HOUR, 14 * DAY),
            calendar: CalendarSettings {
                source: source(Enabled::Yes, 10 * MINUTE, HOUR),
                mailbox: Some("room-reader@contoso.example".to_owned()),
            },
            accounts: source(Enabled::Auto, 2 * HOUR, 2 * DAY),
            skus: [
                ("aaaa0000-0000-4000-8000-000000000001".to_owned(), Tier::Pro),
                ("295a8eb0-f78d-45c7-8b5b-1eed5ed02dff".to_owned(), Tier::Other),
            ]
            .into(),
            intune: source(Enabled::Yes, HOUR, 12 * HOUR),
            service_health: source(Enabled::No, 10 * MINUTE, HOUR),
            credentials: source(Enabled::No, 12 * HOUR, 3 * DAY),
        },
        frozen_after: 12 * HOUR,
        room_lists: vec!["rooms-berlin@contoso.example".to_owned(), "rooms-oslo@contoso.example".to_owned()],
        rooms_file: Some("tests/config/rooms.csv".into()),
        sites: sites(),
        privacy: Privacy { usage: true, min_capacity: 3 },
    };
    let fabrikam = Tenant {
        name: "fabrikam-2".to_owned(),
        tenant_id: "fabrikam.onmicrosoft.com".to_owned(),
        client_id: Some("33333333-3333-4444-8555-666666666666".to_owned()),
        auth: Auth::Secret(Credential::Secret(Secret::new("hunter2"))),
        client_secret_expires: None,
        intake: Some(Credential::Secret(Secret::new("0123456789abcdef0123456789ABCDEF-_.~"))),
        authority: url("http://127.0.0.1:10065/"),
        graph: url("http://[::1]:10065/graph/"),
        requests_per_second: None,
        max_items: 10_000,
        ca_file: None,
        proxies: Proxies::default(),
        trust_device_accounts: Trust::Auto,
        collectors: Collectors {
            devices: DevicesSettings {
                interval: Duration::from_millis(10),
                expiry: Duration::from_millis(20),
                ..DevicesSettings::default()
            },
            ..Collectors::default()
        },
        frozen_after: 24 * HOUR,
        room_lists: vec![],
        rooms_file: None,
        sites: vec![],
        privacy: Privacy { usage: false, min_capacity: 0 },
    };
    let expected = Config {
        tenants: [contoso, fabrikam.clone()].into_iter().chain(signed_in_otherwise(&fabrikam)).collect(),
        intake_addresses: Vec::new(),
        web: Web {
            listen_addresses: vec!["[::]:10064".parse().unwrap()],
            systemd_socket: false,
            config_file: None,
            protection: Protection::default(),
            telemetry_path: "/metrics".to_owned(),
            external_url: None,
            lifecycle: false,
        },
        shard: Shard::default(),
        storage_path: None,
        idle_after: None,
        metrics: MetricsFilter {
            preset: Preset::Lean,
            allow: vec!["teams_rooms_up".to_owned(), "teams_rooms_device_connected".to_owned()],
            deny: vec!["teams_rooms_device_connected".to_owned()],
        },
    };
    assert_eq!(config, expected);
    assert!(!format!("{config:?}").contains("hunter2"));
    let Auth::Secret(credential) = &config.tenants[0].auth else { panic!("another way") };
    let secret = credential.read().expect("readable");
    assert_eq!(secret.expose(), "hunter2");
}

#[test]
fn what_may_not_be_known_is_not_asked_for() {
    let text = format!(
        "tenants: [{{ name: a, tenant_id: {TENANT_ID}, client_id: {CLIENT_ID}, auth: {{ client_secret: x }}, \
         privacy: {{ usage: off }} }}]"
    );
    let tenant = only_tenant(load_text(&text, &[]));
    let off = Collector::ALL.iter().filter(|one| tenant.source(**one).enabled == Enabled::No);
    assert_eq!(off.collect::<Vec<_>>(), [&Collector::Presence, &Collector::Calendar]);
}

#[test]
fn the_environment_describes_one_tenant() {
    let environment = [
        ("AZURE_TENANT_ID", TENANT_ID),
        ("AZURE_CLIENT_ID", CLIENT_ID),
        ("AZURE_CLIENT_SECRET", "hunter2\n"),
        ("AZURE_CLIENT_SECRET_FILE", ""),
    ];
    let config = load_environment(&environment).expect("sound");
    assert_eq!((config.idle_after, &config.metrics), (Some(HOUR), &MetricsFilter::default()));
    let tenant = only_tenant(Ok(config));
    assert_eq!(tenant.name, "default");
    assert_eq!(tenant.auth, Auth::Secret(Credential::Secret(Secret::new("hunter2"))));
    assert_eq!(tenant.graph.as_str(), "https://graph.microsoft.com/");
    assert_eq!(tenant.authority.as_str(), "https://login.microsoftonline.com/");
    assert_eq!(tenant.collectors, Collectors::default());
    assert_eq!(
        tenant.collectors.devices.types,
        ["teamsRoom", "collaborationBar", "surfaceHub", "teamsPanel", "touchConsole"]
    );

    let us = [
        ("AZURE_TENANT_ID", "contoso.example"),
        ("AZURE_CLIENT_ID", CLIENT_ID),
        ("AZURE_CLIENT_SECRET_FILE", "tests/config/secret"),
        ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us"),
    ];
    let tenant = only_tenant(load_environment(&us));
    assert_eq!(tenant.graph.as_str(), "https://graph.microsoft.us/");
    assert_eq!(tenant.auth, Auth::Secret(Credential::SecretFile("tests/config/secret".into())));
}

#[test]
fn what_is_wrong_in_the_environment() {
    const TENANT: (&str, &str) = ("AZURE_TENANT_ID", TENANT_ID);
    const CLIENT: (&str, &str) = ("AZURE_CLIENT_ID", CLIENT_ID);
    const SECRET: (&str, &str) = ("AZURE_CLIENT_SECRET", "hunter2");
    let cases: [(&[(&str, &str)], &str); 9] = [
        (&[CLIENT, SECRET], "AZURE_TENANT_ID: is not set, though another setting of the tenant is"),
        (&[TENANT, SECRET], "AZURE_CLIENT_ID: is not set, though AZURE_TENANT_ID is"),
        (
            &[TENANT, CLIENT],
            "AZURE_CLIENT_SECRET or AZURE_CLIENT_SECRET_FILE, AZURE_CLIENT_CERTIFICATE_PATH or AZURE_FEDERATED_TOKEN_FILE: is not set, though AZURE_TENANT_ID is",
        ),
        (
            &[TENANT, CLIENT, SECRET, ("AZURE_CLIENT_SECRET_FILE", "x")],
            "AZURE_CLIENT_SECRET: is set beside AZURE_CLIENT_SECRET_FILE; keep one of them",
        ),
        (
            &[TENANT, CLIENT, ("AZURE_CLIENT_SECRET_FILE", "no-such-file")],
            "AZURE_CLIENT_SECRET_FILE: the secret file `no-such-file` does not exist",
        ),
        (&[TENANT, CLIENT, ("AZURE_CLIENT_SECRET", " \n")], "AZURE_CLIENT_SECRET: the secret is empty"),
        (
            &[TENANT, SECRET, ("AZURE_CLIENT_ID", "hunter2")],
            "AZURE_CLIENT_ID: is not a GUID like 22222222-3333-4444-8555-666666666666 (it has 7 characters)",
        ),
        (
            &[("AZURE_TENANT_ID", "Common"), CLIENT, SECRET],
            "AZURE_TENANT_ID: `Common` stands for many tenants, and an application signs in to one; \
             write its GUID or domain",
        ),
        (
            &[TENANT, CLIENT, SECRET, ("AZURE_AUTHORITY_HOST", "http://127.0.0.1:10065")],
            "AZURE_AUTHORITY_HOST: the Graph root of http://127.0.0.1:10065/ is not known; \
             name both in a configuration file as `cloud: { authority: .., graph: .. }`",
        ),
    ];
    for (environment, expected) in cases {
        check_error(load_environment(environment), expected);
    }
}

#[test]
fn the_environment_signs_in_in_one_way() {
    let tenant = [("AZURE_TENANT_ID", TENANT_ID), ("AZURE_CLIENT_ID", CLIENT_ID)];
    let with = |others: &[(&str, &str)]| load_environment(&[&tenant[..], others].concat());
    let folder = tempfile::tempdir().expect("a folder");
    let both = folder.path().join("both.pem");
    let text = ["pem", "key"].map(|end| fs::read_to_string(format!("tests/config/certificate.{end}")));
    fs::write(&both, text.map(|text| text.expect("a fixture")).concat()).expect("written");
    let path = both.to_str().expect("UTF-8");
    for (flag, send_chain) in [(None, false), (Some("0"), false), (Some("TRUE"), true), (Some("1"), true)] {
        let mut environment = vec![("AZURE_CLIENT_CERTIFICATE_PATH", path)];
        environment.extend(flag.map(|flag| ("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN", flag)));
        let files = CertificateFiles { certificate: both.clone(), key: None, send_chain };
        assert_eq!(only_tenant(with(&environment)).auth, Auth::Certificate(files));
    }
    let token = [("AZURE_FEDERATED_TOKEN_FILE", "tests/config/secret")];
    let expected = Auth::FederatedToken("tests/config/secret".into());
    assert_eq!(only_tenant(with(&token)).auth, expected);
    check_error(
        with(&[token[0], ("AZURE_CLIENT_SECRET", "hunter2")]),
        "AZURE_CLIENT_SECRET: is set beside AZURE_FEDERATED_TOKEN_FILE; keep one of them",
    );
    check_error(
        with(&[("AZURE_CLIENT_CERTIFICATE_PATH", path), ("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN", "x")]),
        "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN: is none of true, false, 1 and 0",
    );
    check_error(
        with(&[("AZURE_CLIENT_CERTIFICATE_PATH", "tests/config/certificate.pem")]),
        "AZURE_CLIENT_CERTIFICATE_PATH: the file tests/config/certificate.pem has no private key in PEM \
         (-----BEGIN PRIVATE KEY----- or -----BEGIN RSA PRIVATE KEY-----)",
    );
}

#[test]
fn app_service_says_where_its_identity_is() {
    let text =
        format!("tenants: [{{ name: a, tenant_id: {TENANT_ID}, auth: {{ managed_identity: {{}} }} }}]");
    for (endpoint, is_good) in [
        ("http://127.0.0.1:41056/msi/token/", true),
        ("http://localhost:42356/msi/token", true),
        ("http://169.254.129.2:8081/msi/token", true),
        ("http://10.0.0.1/msi/token", false),
        ("here", false),
    ] {
        let environment = [("IDENTITY_ENDPOINT", endpoint), ("IDENTITY_HEADER", "hunter2")];
        match load_text(&text, &environment) {
            Ok(config) => {
                let Auth::ManagedIdentity(identity) = only_tenant(Ok(config)).auth else {
                    panic!("another way")
                };
                assert_eq!((identity.endpoint.as_str(), is_good), (endpoint, true));
                assert_eq!(identity.header, Some(Secret::new("hunter2")));
            }
            Err(error) => {
                assert!(!is_good && error.to_string().starts_with("IDENTITY_ENDPOINT: "), "{error}");
            }
        }
    }
}

#[test]
fn a_single_tenant_of_the_file_may_leave_its_secret_to_the_environment() {
    let text = format!("tenants: [{{ name: a, tenant_id: {TENANT_ID}, client_id: {CLIENT_ID} }}]");
    let secret = ("AZURE_CLIENT_SECRET", "hunter2");
    let tenant = only_tenant(load_text(&text, &[secret, ("AZURE_TENANT_ID", "not used")]));
    assert_eq!(
        (tenant.name.as_str(), tenant.auth),
        ("a", Auth::Secret(Credential::Secret(Secret::new("hunter2"))))
    );

    let own = text.replace(" }]", ", auth: { client_secret: own } }]");
    let tenant = only_tenant(load_text(&own, &[secret]));
    assert_eq!(
        tenant.auth,
        Auth::Secret(Credential::Secret(Secret::new("own"))),
        "the file's own secret comes first"
    );

    let two =
        text.replace(" }]", &format!(" }}, {{ name: b, tenant_id: {TENANT_ID}, client_id: {CLIENT_ID} }}]"));
    assert!(load_text(&two, &[secret]).is_err());
}

#[test]
fn a_file_without_tenants_leaves_them_to_the_environment() {
    let environment =
        [("AZURE_TENANT_ID", TENANT_ID), ("AZURE_CLIENT_ID", CLIENT_ID), ("AZURE_CLIENT_SECRET", "hunter2")];
    for text in ["idle_after: 30m", "idle_after: 30m\ntenants:\n", "idle_after: 30m\ntenants: []"] {
        let config = load_text(text, &environment).expect(text);
        assert_eq!((config.idle_after, config.tenants.len()), (Some(30 * MINUTE), 1));
    }
}

#[test]
fn never_pausing_can_be_written_in_several_ways() {
    for text in ["0", "0s", "0h", "\"0\""] {
        let environment =
            [("AZURE_TENANT_ID", TENANT_ID), ("AZURE_CLIENT_ID", CLIENT_ID), ("AZURE_CLIENT_SECRET", "x")];
        let config = load_text(&format!("idle_after: {text}"), &environment).expect(text);
        assert_eq!(config.idle_after, None, "{text}");
    }
}

#[test]
fn a_file_that_cannot_be_read() {
    check_error(load_file(Path::new("no-such.yaml"), &[]), "the file no-such.yaml does not exist");
    check_error(load_file(Path::new("tests/config"), &[]), "the file tests/config is a directory");
}

#[test]
fn without_any_tenant_the_message_tells_the_two_ways() {
    let message = load_environment(&[]).expect_err("no tenant").to_string();
    assert!(message.starts_with("no tenant is configured\nName one in the environment:\n"), "{message}");
    assert!(message.contains("--config.file"), "{message}");
}

#[test]
fn what_is_wrong_in_the_arguments() {
    let check = |web: cli::WebArgs, expected: &str| {
        let args = cli::ServeArgs { web, ..cli::ServeArgs::default() };
        let env = |name: &str| match name {
            "AZURE_TENANT_ID" => Some(TENANT_ID.to_owned()),
            "AZURE_CLIENT_ID" => Some(CLIENT_ID.to_owned()),
            "AZURE_CLIENT_SECRET" => Some("hunter2".to_owned()),
            _ => None,
        };
        check_error(load(&args, &env, &[]), expected);
    };
    check(
        cli::WebArgs {
            listen_addresses: vec![":1".to_owned(), "nowhere".to_owned()],
            ..cli::WebArgs::default()
        },
        "--web.listen-address: `nowhere` is no address to listen on; \
         write it like :10064, 127.0.0.1:10064 or [::1]:10064",
    );
    check(
        cli::WebArgs { telemetry_path: Some("metrics".to_owned()), ..cli::WebArgs::default() },
        "--web.telemetry-path: `metrics` is no path; write it like /metrics",
    );
}

#[test]
fn the_demo_talks_to_the_simulated_tenant_alone() {
    let Ok(cli::Command::Demo(args)) = cli::parse(["x", "demo", "--web.listen-address=127.0.0.1:0"]) else {
        panic!("not demo")
    };
    let secret = Secret::new("hunter2");
    let config = demo(&args, "http://127.0.0.1:1", TENANT_ID, CLIENT_ID, secret.clone(), secret.clone())
        .expect("sound");
    assert_eq!(config.web.listen_addresses, ["127.0.0.1:0".parse().unwrap()]);
    let tenant = only_tenant(Ok(config));
    assert_eq!(tenant.authority.as_str(), "http://127.0.0.1:1/");
    assert_eq!(tenant.graph, tenant.authority);
    assert_eq!(tenant.auth, Auth::Secret(Credential::Secret(secret)));
    for collector in Collector::ALL {
        let source = tenant.source(*collector);
        assert_eq!(source.enabled, Enabled::Auto);
        assert!(source.interval <= MINUTE && source.interval < source.expiry, "{source:?}");
    }
    assert!(
        demo(&args, "http://10.0.0.1", TENANT_ID, CLIENT_ID, Secret::new("x"), Secret::new("x")).is_err()
    );
}

/// Every slip of one character in a file with a secret in it, whatever message it leads to.
#[test]
fn no_slip_of_syntax_brings_the_secret_into_a_message() {
    const LAYOUTS: [&str; 9] = [
        "tenants:\n- name: a\n  cloud: global\n  auth:\n    client_secret: hunter2hunter2\n  frozen_after: 1d\n",
        "tenants:\n- name: \"a\"\n  auth: { client_secret: \"hunter2hunter2\" }\n  trust_device_accounts: \"auto\"\n",
        "{tenants: [{name: a, collectors: {devices: {types: [sip]}}, auth: {client_secret: 'hunter2hunter2'}}]}",
        "{\"tenants\":[{\"frozen_after\":\"1d\",\"auth\":{\"client_secret\":\"hunter2hunter2\"},\"name\":\"a\"}]}",
        "tenants:\n- {name: a, tenant_id: a.b, client_id: 22222222-3333-4444-8555-666666666666, sites: [{name: 'b', match: {email: ['*']}, service_hours: 'Mon 07:00-20:00', time_zone: UTC}], auth: {client_secret: hunter2hunter2}}",
        "tenants:\n- name: a\n  tenant_id: a.b\n  client_id: 22222222-3333-4444-8555-666666666666\n  room_lists: ['a@b']\n  auth: {client_secret: 'hunter2hunter2'}\n  frozen_after: \"1d\"",
        "tenants:\n- name: a\n  intake:\n    secret: hunter2hunter2hunter2hunter2hunter2\n  cloud: global\n",
        "tenants:\n- {name: a, intake: { 'secret': hunter2/hunter2hunter2hunter2hunter2 }, cloud: global}\n",
        "tenants:\n- frozen_after: 1d\n  auth:\n    client_secret: >-\n      hunter2hunter2\n      hunter2hunter2\n  name: a\n",
    ];
    let args = cli::ServeArgs::default();
    let check = |text: &str| {
        let outcome = checked(&args, &Source::new("x.yaml", text), &|_| None, &KNOWN_METRICS);
        let message = outcome.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(!message.contains("hunter2"), "the secret is shown:\n{message}\nof:\n{text}");
    };
    for layout in LAYOUTS {
        check(layout);
        for at in 0..layout.len() {
            let (before, after) = layout.split_at(at);
            check(&format!("{before}{}", &after[1..]));
            for slip in ":{}[]\"'#\t\n -&*!|>%@,?x".chars() {
                check(&format!("{before}{slip}{after}"));
                check(&format!("{before}{slip}{}", &after[1..]));
            }
            check(&format!("{before}: |\n {after}"));
            check(&format!("{before}: {after}"));
        }
    }
}

#[test]
fn an_intake_needs_an_address_and_a_secret() {
    let read = |yaml: &str, addresses: &[&str]| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.yaml");
        fs::write(&path, yaml).expect("written");
        let listen_addresses = addresses.iter().map(|&address| address.to_owned()).collect();
        let args = cli::ServeArgs {
            config: cli::ConfigArgs { file: Some(path) },
            intake: cli::IntakeArgs { listen_addresses },
            ..cli::ServeArgs::default()
        };
        load(&args, &|_| None, &KNOWN_METRICS)
    };
    let without = format!(
        "tenants: [{{ name: a, tenant_id: {TENANT_ID}, client_id: {CLIENT_ID}, auth: {{ client_secret: x }} }}]"
    );
    let with = without.replace("auth:", "intake: { secret: 0123456789abcdef0123456789abcdef }, auth:");
    check_error(
        read(&without, &[":1"]),
        "--intake.listen-address: no tenant has a secret for it; give one `intake: { secret_file: ... }` in the \
         configuration file",
    );
    check_error(
        read(&with, &["here"]),
        "--intake.listen-address: `here` is no address to listen on; write it like :10064, 127.0.0.1:10064 or \
         [::1]:10064",
    );
    assert!(read(&without, &[]).expect("sound").intake_addresses.is_empty());
    // `check` and `rooms` read the same file and take no pushes.
    assert!(read(&with, &[]).expect("sound").intake_addresses.is_empty());
    let both = read(&with, &[":1", "127.0.0.1:2", ":1"]).expect("sound").intake_addresses;
    assert_eq!(both.iter().map(ToString::to_string).collect::<Vec<_>>(), ["[::]:1", "127.0.0.1:2"]);
}
