//! The corpus as the files that libFuzzer begins with.

use std::path::Path;

/// Writes what is not there yet to where `cargo fuzz run` looks.
pub fn write(name: &str, corpus: &[Vec<u8>]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    std::fs::create_dir_all(&folder).expect("made");
    for (number, input) in corpus.iter().enumerate() {
        let file = folder.join(format!("seed-{number}"));
        if !file.exists() {
            std::fs::write(file, input).expect("written");
        }
    }
}
