//! Certificates in PEM: the one that signs in, with its key, and authorities that are trusted beside the system's own.
//!
//! Files in, plain data out; an error says what is wrong with a file, and never what is in it.

use std::fmt;

use ring::rand::SystemRandom;
use ring::signature::{KeyPair as _, RSA_PSS_SHA256, RsaKeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use x509_cert::der::Decode as _;

use crate::input::pem::{self, Block};
use crate::model::Timestamp;

/// A certificate, the authorities between it and its root, and its private key.
pub struct Certificate {
    /// In DER; the certificate of the key comes first.
    chain: Vec<Vec<u8>>,
    key: RsaKeyPair,
    /// From then on Entra refuses it.
    pub not_after: Timestamp,
}

/// The key is nobody's business.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a certificate until {}", self.not_after)
    }
}

impl Certificate {
    /// Reads the certificates of one file and the key of another, which may be the same one; the order within does not
    /// matter. The error stands behind the name of the files.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, String> {
        let key = private_key(key)?;
        let mut chain = certificates_of(certificates)?;
        let own =
            |der: &Vec<u8>| Parsed::read(der).is_some_and(|parsed| parsed.key == key.public_key().as_ref());
        let at = chain.iter().position(own).ok_or("the private key belongs to none of the certificates")?;
        chain.swap(0, at);
        let not_after = chain.first().and_then(|der| Parsed::read(der)).map(|parsed| parsed.not_after);
        Ok(Self { not_after: not_after.ok_or("the certificate cannot be read")?, chain, key })
    }

    /// The certificate, then the rest of its chain, each in DER.
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// SHA-256 of the certificate in DER, by which Entra finds it.
    pub fn thumbprint(&self) -> Vec<u8> {
        let own = self.chain.first().map(Vec::as_slice).unwrap_or_default();
        ring::digest::digest(&ring::digest::SHA256, own).as_ref().to_vec()
    }

    /// The signature PS256 of RFC 7518.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PSS_SHA256, &SystemRandom::new(), message, &mut signature)
            .expect("the room is that of the modulus");
        signature
    }
}

/// The certificates in a file, in DER, each of them readable; at least one.
pub fn certificates_of(bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let blocks = certificate_blocks(bytes)?;
    match blocks.iter().position(|block| Parsed::read(&block.der).is_none()) {
        Some(at) => Err(format!("certificate {} of {} cannot be read", at + 1, blocks.len())),
        None => Ok(blocks.into_iter().map(|block| block.der).collect()),
    }
}

/// The certificates in a file; at least one. A block that holds one in another form is an error: it would be missing.
pub fn certificate_blocks(bytes: &[u8]) -> Result<Vec<Block>, String> {
    let mut found = Vec::new();
    for block in pem::blocks(bytes)? {
        match block.label.as_str() {
            "CERTIFICATE" | "X509 CERTIFICATE" => {
                found.push(Block { label: "CERTIFICATE".to_owned(), ..block });
            }
            label if label.contains("CERTIFICATE") || label.contains("PKCS7") => {
                return Err(format!(
                    "has a {label} in line {}, not a plain certificate; `openssl x509 -in FILE -out certificate.pem` makes one",
                    block.line
                ));
            }
            _ => {}
        }
    }
    if found.is_empty() {
        return Err("has no certificate in PEM (-----BEGIN CERTIFICATE-----)".to_owned());
    }
    Ok(found)
}

/// The first private key in a file that is not encrypted.
pub fn private_key_block(bytes: &[u8]) -> Result<Block, String> {
    let blocks = pem::blocks(bytes)?;
    if blocks.iter().any(|block| block.label == "ENCRYPTED PRIVATE KEY") {
        return Err(
            "the private key is encrypted; `openssl pkey -in key.pem -out plain.pem` takes that away"
                .to_owned(),
        );
    }
    let key = blocks.into_iter().find(|block| block.label.ends_with("PRIVATE KEY"));
    key.ok_or_else(|| {
        "has no private key in PEM (-----BEGIN PRIVATE KEY----- or -----BEGIN RSA PRIVATE KEY-----)"
            .to_owned()
    })
}

/// The key as TLS takes it; `None` for a kind that it does not know.
pub fn key_for_tls(block: Block) -> Option<PrivateKeyDer<'static>> {
    match block.label.as_str() {
        "PRIVATE KEY" => Some(PrivatePkcs8KeyDer::from(block.der).into()),
        "RSA PRIVATE KEY" => Some(PrivatePkcs1KeyDer::from(block.der).into()),
        "EC PRIVATE KEY" => Some(PrivateSec1KeyDer::from(block.der).into()),
        _ => None,
    }
}

fn private_key(bytes: &[u8]) -> Result<RsaKeyPair, String> {
    let block = private_key_block(bytes)?;
    let key = match block.label.as_str() {
        "PRIVATE KEY" => RsaKeyPair::from_pkcs8(&block.der).ok(),
        "RSA PRIVATE KEY" => RsaKeyPair::from_der(&block.der).ok(),
        _ => None,
    };
    key.ok_or_else(|| {
        "the private key is not one of RSA with 2048 to 4096 bits, which Entra asks for".to_owned()
    })
}

/// Of a certificate, what concerns us.
struct Parsed {
    /// `RSAPublicKey` in DER, where it is one of RSA.
    key: Vec<u8>,
    not_after: Timestamp,
}

impl Parsed {
    fn read(der: &[u8]) -> Option<Self> {
        let certificate = x509_cert::Certificate::from_der(der).ok()?;
        let told = certificate.tbs_certificate();
        let not_after = told.validity().not_after.to_unix_duration().as_secs();
        Some(Self {
            key: told.subject_public_key_info().subject_public_key.raw_bytes().to_vec(),
            not_after: Timestamp::from_seconds(i64::try_from(not_after).ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use ring::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    /// Runs OpenSSL, whose files are what an operator has.
    fn openssl(folder: &Path, line: &str) -> String {
        let mut command = Command::new("openssl");
        let output =
            command.args(line.split(' ')).current_dir(folder).output().expect("openssl is installed");
        assert!(output.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    #[test]
    fn a_certificate_is_read_and_signs_with_every_form_of_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let read = |name: &str| std::fs::read(folder.join(name)).expect("written");
        openssl(
            folder,
            "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out own.pem -days 2 -subj /CN=own",
        );
        openssl(
            folder,
            "req -x509 -newkey rsa:2048 -nodes -keyout other.pem -out ca.pem -days 2 -subj /CN=ca",
        );
        openssl(folder, "rsa -in key.pem -traditional -out pkcs1.pem");
        openssl(folder, "pkey -in key.pem -aes128 -passout pass:hunter2 -out encrypted.pem");
        openssl(folder, "ecparam -name prime256v1 -genkey -noout -out ec.pem");
        openssl(folder, "pkcs8 -topk8 -nocrypt -in ec.pem -out ec8.pem");
        openssl(folder, "x509 -in own.pem -outform DER -out own.der");
        openssl(folder, "rsa -in key.pem -RSAPublicKey_out -outform DER -out public.der");
        let end = openssl(folder, "x509 -in own.pem -noout -enddate -dateopt iso_8601");
        let thumbprint = openssl(folder, "x509 -in own.pem -noout -fingerprint -sha256");

        let public = std::fs::read(folder.join("public.der")).expect("written");
        let chain = [read("ca.pem"), read("own.pem")].concat();
        for key in ["key.pem", "pkcs1.pem"] {
            let both = [chain.clone(), read(key)].concat();
            let certificate = Certificate::from_pem(&both, &both).expect(key);
            let own = std::fs::read(folder.join("own.der")).expect("written");
            assert_eq!((certificate.chain().len(), &certificate.chain()[0]), (2, &own));
            assert!(end.trim().ends_with(&certificate.not_after.to_string().replace('T', " ")), "{end}");
            let hex: Vec<_> = certificate.thumbprint().iter().map(|byte| format!("{byte:02X}")).collect();
            assert!(thumbprint.trim().ends_with(&hex.join(":")), "{thumbprint}");
            let signed = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, &public);
            assert!(signed.verify(b"message", &certificate.sign(b"message")).is_ok(), "{key}");
        }
        for (certificates, key, expected) in [
            ("own.pem", "encrypted.pem", "the private key is encrypted"),
            ("own.pem", "ec.pem", "the private key is not one of RSA"),
            ("own.pem", "ec8.pem", "the private key is not one of RSA"),
            ("own.pem", "own.pem", "has no private key"),
            ("key.pem", "key.pem", "has no certificate"),
            ("ca.pem", "key.pem", "the private key belongs to none"),
        ] {
            let error = Certificate::from_pem(&read(certificates), &read(key)).expect_err(key);
            assert!(error.starts_with(expected), "{certificates} {key}: {error}");
        }
    }

    #[test]
    fn what_is_no_certificate_is_told() {
        for (text, expected) in [
            ("", "is empty"),
            (
                "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
                "has a block in line 1 that is not sound PEM",
            ),
            ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "certificate 1 of 1"),
            ("-----BEGIN CERTIFICATE-----\nMIIB\n", "has a block in line 1 without an end"),
            (
                "\n-----BEGIN TRUSTED CERTIFICATE-----\nMIIB\n-----END TRUSTED CERTIFICATE-----\n",
                "has a TRUSTED CERTIFICATE in line 2",
            ),
        ] {
            let error = certificates_of(text.as_bytes()).expect_err(text);
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
