//! TLS of the server: from the settings to a handshake, and who may come.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::config::web_config::{Clients, Tls};

/// To who speaks HTTP where TLS is spoken, in the words that Go's servers have for it.
const NOT_HTTPS: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n\
                           Client sent an HTTP request to an HTTPS server.\n";

/// What a handshake needs.
pub(super) fn server_config(tls: &Tls) -> Result<Arc<ServerConfig>, Error> {
    let builder = ServerConfig::builder_with_provider(tls.provider.clone());
    let builder = builder.with_protocol_versions(&tls.versions)?;
    let builder = match &tls.clients {
        Some(clients) => builder.with_client_cert_verifier(Arc::new(Verifier::new(clients, &tls.provider)?)),
        None => builder.with_no_client_auth(),
    };
    let certificate = SingleCertAndKey::from(tls.certificate.clone());
    let mut config = builder.with_cert_resolver(Arc::new(certificate));
    config.ignore_client_order = tls.own_order_first;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A session that is taken up again is not verified again; scrapers keep their connections anyway.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// Shakes hands. Who speaks HTTP is told so.
pub(super) async fn accept(stream: TcpStream, config: Arc<ServerConfig>) -> io::Result<TlsStream<TcpStream>> {
    let mut first = [0];
    // A handshake begins with byte 22, a request with the letters of its method.
    if stream.peek(&mut first).await? > 0 && first.iter().all(u8::is_ascii_uppercase) {
        return Err(tell(stream).await);
    }
    TlsAcceptor::from(config).accept(stream).await
}

/// What was not read when a connection is closed resets it, and the answer is lost with it.
async fn tell(mut stream: TcpStream) -> io::Error {
    let told = async {
        let _some = stream.read(&mut [0; 4096]).await?;
        stream.write_all(NOT_HTTPS).await?;
        stream.shutdown().await
    };
    told.await.err().unwrap_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "HTTP instead of TLS"))
}

/// Looks at the certificates of clients, as the settings say.
#[derive(Debug)]
struct Verifier {
    required: bool,
    /// None where any certificate will do.
    chain: Option<Arc<dyn ClientCertVerifier>>,
    allowed_sans: Option<Vec<String>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(clients: &Clients, provider: &Arc<CryptoProvider>) -> Result<Self, Error> {
        let chain = clients.roots.clone().map(|roots| {
            let builder = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
            builder.build().map_err(|error| Error::General(error.to_string()))
        });
        Ok(Self {
            required: clients.required,
            chain: chain.transpose()?,
            allowed_sans: clients.allowed_sans.clone(),
            provider: provider.clone(),
        })
    }
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.as_ref().map_or(&[], |chain| chain.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(chain) = &self.chain {
            chain.verify_client_cert(end_entity, intermediates, now)?;
        }
        if let Some(allowed) = &self.allowed_sans
            && !sans(end_entity).iter().any(|san| allowed.contains(san))
        {
            return Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure));
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The names of a certificate, spelled as Go spells them: DNS, e-mail, IP address and URI. A certificate that
/// cannot be read has none.
fn sans(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = Certificate::from_der(certificate) else { return Vec::new() };
    let Ok(Some((_, SubjectAltName(names)))) = certificate.tbs_certificate().get_extension() else {
        return Vec::new();
    };
    let spelled = |name: GeneralName| match name {
        GeneralName::DnsName(text)
        | GeneralName::Rfc822Name(text)
        | GeneralName::UniformResourceIdentifier(text) => Some(text.as_str().to_owned()),
        GeneralName::IpAddress(octets) => {
            let octets = octets.as_bytes();
            let four = <[u8; 4]>::try_from(octets).map(IpAddr::from);
            let address = four.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from));
            address.ok().map(|address| address.to_canonical().to_string())
        }
        _ => None,
    };
    names.into_iter().filter_map(spelled).collect()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    #[test]
    fn every_kind_of_name_is_spelled_as_go_does() {
        let mut params = CertificateParams::new(vec!["a.example".to_owned(), "10.1.2.3".to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::Rfc822Name("ops@a.example".try_into().unwrap()));
        params.subject_alt_names.push(SanType::URI("spiffe://a.example/prometheus".try_into().unwrap()));
        params.subject_alt_names.push(SanType::IpAddress("2001:db8::1".parse().unwrap()));
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert_eq!(
            sans(certificate.der()),
            ["a.example", "10.1.2.3", "ops@a.example", "spiffe://a.example/prometheus", "2001:db8::1"]
        );
        let nameless = CertificateParams::default().self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert!(sans(nameless.der()).is_empty());
        assert!(sans(&CertificateDer::from(vec![0x30, 0x82, 0xff])).is_empty());
    }
}
