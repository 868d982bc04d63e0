//! Every block of a PEM file is read or named in an error, and no error shows what is in the file.

use teams_rooms_exporter::certificate::{Certificate, certificates_of, private_key_block};
use teams_rooms_exporter::input::pem;

use super::configurations;

/// A certificate and its key, as they are, joined, behind comments, and in other forms.
pub(crate) fn corpus() -> Vec<Vec<u8>> {
    let [certificate, key] = ["certificate.pem", "certificate.key"]
        .map(|name| std::fs::read(configurations().join(name)).expect("readable"));
    let joined = [certificate.trim_ascii_end(), &certificate, b"\n", &key].concat();
    vec![
        [&b"\xef\xbb\xbf"[..], &certificate].concat(),
        [&b"# Soci\xe9t\xe9\r\n"[..], &key, &certificate].concat(),
        joined,
        b"-----BEGIN X-----\r\nProc-Type: 4,ENCRYPTED\r\n\r\nAQID\r\n-----END X-----".to_vec(),
        b"\x30\x82\x01\x00\x02\x01\x03\x30".to_vec(),
        certificate,
        key,
    ]
}

pub(crate) fn run(input: &[u8]) {
    match pem::blocks(input) {
        Ok(blocks) => {
            let begun = input.windows(11).filter(|window| *window == b"-----BEGIN ").count();
            assert_eq!(blocks.len(), begun, "a block is dropped");
            if let Some(first) = blocks.first() {
                let again = pem::blocks(pem::encode(&blocks).as_bytes()).expect("our own form");
                assert!(again.len() == blocks.len() && again[0].der == first.der);
            }
        }
        Err(reason) => check(&reason),
    }
    certificates_of(input).err().iter().for_each(|reason| check(reason));
    private_key_block(input).err().iter().for_each(|reason| check(reason));
    Certificate::from_pem(input, input).err().iter().for_each(|reason| check(reason));
}

/// A label of the file may be in the reason, nothing else of it.
#[track_caller]
fn check(reason: &str) {
    assert!(!reason.is_empty() && reason.len() < 256 && reason.is_ascii(), "{reason}");
}
