//! A server of one's own for a test: it hears a request and answers byte by byte what it is told to.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd,
};
use sloth_sandbox::Web;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::world::runtime;

/// What a server does once it has heard a request; then it hangs up.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Say(Vec<u8>),
    /// The same over and over, for as long as anybody listens.
    Flood(Vec<u8>),
    /// The same over and over, with a pause before each.
    Drip(&'static str, Duration),
    Wait(Duration),
}

/// A server on a port of 127.0.0.1, gone when dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    heard: Arc<Mutex<Vec<String>>>,
    task: AbortHandle,
}

type Answer = dyn Fn(&str) -> Vec<Act> + Send + Sync;

impl Server {
    /// One without TLS. `answer` gets what it heard, head and body.
    pub(crate) fn plain(answer: impl Fn(&str) -> Vec<Act> + Send + Sync + 'static) -> Self {
        Self::start(Arc::new(answer), None)
    }

    /// One with the certificate of a name.
    pub(crate) fn secure(
        certificate: &Issued,
        answer: impl Fn(&str) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        Self::start(Arc::new(answer), Some(certificate.acceptor()))
    }

    fn start(answer: Arc<Answer>, tls: Option<TlsAcceptor>) -> Self {
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let hearing = Arc::clone(&heard);
        let listener = runtime()
            .block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = runtime().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, heard, tls) = (Arc::clone(&answer), Arc::clone(&hearing), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &*answer, &heard).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &*answer, &heard).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            port,
            heard,
            task: task.abort_handle(),
        }
    }

    /// The requests it heard, each with its body.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &Answer,
    heard: &Mutex<Vec<String>>,
) {
    let Some(request) = hear(&mut stream).await else {
        return;
    };
    heard.lock().unwrap().push(request.clone());
    for act in answer(&request) {
        let said = match act {
            Act::Say(bytes) => stream.write_all(&bytes).await,
            Act::Flood(bytes) => loop {
                if let Err(error) = stream.write_all(&bytes).await {
                    break Err(error);
                }
            },
            Act::Drip(text, pause) => loop {
                tokio::time::sleep(pause).await;
                if let Err(error) = stream.write_all(text.as_bytes()).await {
                    break Err(error);
                }
            },
            Act::Wait(time) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
        };
        if said.is_err() {
            return;
        }
    }
    let _ = stream.shutdown().await;
}

async fn hear(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.parse::<usize>().ok())?
            });
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(count) if count > 0 => bytes.extend_from_slice(&piece[..count]),
            _ => return None,
        }
    }
}

/// An answer with these headers (each with its line end) and a body.
pub(crate) fn says(status: &str, headers: &str, body: &str) -> Vec<Act> {
    let length = body.len();
    let text = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
    vec![Act::Say(text.into())]
}

/// An answer that is not made of parts.
pub(crate) fn raw(text: &str) -> Vec<Act> {
    vec![Act::Say(text.into())]
}

/// A certificate with its key.
pub(crate) struct Issued {
    certificate: Certificate,
    key: KeyPair,
}

struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(DnType::CommonName, "authority of the tests");
    let key = KeyPair::generate().unwrap();
    Authority {
        certificate: params.self_signed(&key).unwrap(),
        issuer: Issuer::new(params, key),
    }
});

impl Issued {
    /// One that every world trusts.
    pub(crate) fn trusted(name: &str) -> Self {
        Self::signed(CertificateParams::new([name.to_owned()]).unwrap())
    }

    /// One whose time is over.
    pub(crate) fn expired(name: &str) -> Self {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
        Self::signed(params)
    }

    /// One that nobody vouches for.
    pub(crate) fn unknown(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        Self {
            certificate: params.self_signed(&key).unwrap(),
            key,
        }
    }

    fn signed(params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &AUTHORITY.issuer).unwrap();
        Self { certificate, key }
    }

    fn acceptor(&self) -> TlsAcceptor {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// How worlds find and trust these servers.
pub(crate) fn web() -> Web {
    let local = IpAddr::from([127, 0, 0, 1]);
    let named = |name: &str, addresses: &[IpAddr]| (name.to_owned(), addresses.to_vec());
    Web {
        hosts: [
            named("local.test", &[local]),
            named("other.test", &[local]),
            // Nobody answers at the first; it is used only where it is granted.
            named("both.test", &[IpAddr::from([10, 255, 255, 1]), local]),
            named("metadata.test", &[IpAddr::from([169, 254, 169, 254])]),
            named("nowhere.test", &[]),
        ]
        .into(),
        roots: vec![AUTHORITY.certificate.der().to_vec()],
        ..Web::default()
    }
}
