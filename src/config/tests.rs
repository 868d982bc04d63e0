use std::fs;

use super::*;

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
        if !name.starts_with("invalid_") || !name.ends_with(".yaml") {
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
