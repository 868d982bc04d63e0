//! A configuration is taken or refused in words, and no refusal shows a secret that stood where secrets stand.

use std::sync::OnceLock;

use teams_rooms_exporter::cli::{ConfigArgs, ServeArgs};
use teams_rooms_exporter::config;
use teams_rooms_exporter::metrics::catalogue::FAMILIES;

use super::{Folder, check_refusal, configurations};

/// Of `good.yaml`.
const INTAKE_SECRET: &str = "0123456789abcdef0123456789ABCDEF-_.~";

/// The good file stands in for so many others: those are refused early.
const GOOD: usize = 40;

/// The files of `tests/config`.
pub(crate) fn corpus() -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(configurations()).expect("a folder");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    let good = files.iter().filter(|file| file.ends_with("good.yaml")).cycle().take(GOOD);
    let yaml = files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    yaml.chain(good).map(|file| std::fs::read(file).expect("readable")).collect()
}

pub(crate) fn run(input: &[u8]) {
    static FOLDER: OnceLock<Folder> = OnceLock::new();
    let file = FOLDER.get_or_init(Folder::new).write(input);
    let names: Vec<&str> = FAMILIES.iter().map(|family| family.name).collect();
    let args = ServeArgs { config: ConfigArgs { file: Some(file) }, ..ServeArgs::default() };
    match config::load(&args, &|_| None, &names) {
        Ok(config) => assert!(!config.tenants.is_empty()),
        Err(error) => {
            let told = error.to_string();
            check_refusal(input, &told, "hunter2", &[" client_secret: hunter2 "]);
            check_refusal(input, &told, INTAKE_SECRET, &[&format!(" secret: {INTAKE_SECRET} ")]);
        }
    }
}
