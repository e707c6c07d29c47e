//! What a master knows of tokens and certificates, in memory.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use sloth_fleet::master::Registrar;
use sloth_fleet::master::access::registrar::{CertificateRecord, Refusal, TokenRecord, Trouble};
use sloth_fleet::pki::{Digest, Name, Serial};

#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) certificates: Mutex<Vec<CertificateRecord>>,
    pub(crate) tokens: Mutex<Vec<TokenRecord>>,
    /// How often somebody asked about a token.
    pub(crate) asked: AtomicUsize,
}

#[tonic::async_trait]
impl Registrar for Memory {
    async fn certificate(&self, serial: &Serial) -> Result<Option<CertificateRecord>, Trouble> {
        let certificates = self.certificates.lock().unwrap();
        Ok(certificates
            .iter()
            .find(|known| known.serial == *serial)
            .cloned())
    }

    async fn token(&self, digest: &Digest) -> Result<Option<TokenRecord>, Trouble> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let tokens = self.tokens.lock().unwrap();
        Ok(tokens.iter().find(|known| known.digest == *digest).cloned())
    }

    async fn admit(
        &self,
        token: &Digest,
        certificate: CertificateRecord,
        now: SystemTime,
    ) -> Result<Result<(), Refusal>, Trouble> {
        let mut tokens = self.tokens.lock().unwrap();
        let mut certificates = self.certificates.lock().unwrap();
        let lives = |known: &CertificateRecord| {
            known.subject.name == certificate.subject.name && !known.revoked && known.expires > now
        };
        if certificates.iter().any(lives) {
            return Ok(Err(Refusal::Taken));
        }
        let Some(token) = tokens.iter_mut().find(|known| known.digest == *token) else {
            return Ok(Err(Refusal::Unknown));
        };
        if token.uses_left == 0 {
            return Ok(Err(Refusal::Spent));
        }
        token.uses_left -= 1;
        certificates.push(certificate);
        Ok(Ok(()))
    }

    async fn succeed(
        &self,
        before: &Serial,
        certificate: CertificateRecord,
    ) -> Result<bool, Trouble> {
        let mut certificates = self.certificates.lock().unwrap();
        let good = certificates
            .iter()
            .any(|known| known.serial == *before && !known.revoked);
        if good {
            certificates.push(certificate);
        }
        Ok(good)
    }

    async fn keep(&self, certificate: CertificateRecord) -> Result<(), Trouble> {
        self.certificates.lock().unwrap().push(certificate);
        Ok(())
    }

    async fn revoke_name(&self, name: &Name) -> Result<Vec<Serial>, Trouble> {
        let mut certificates = self.certificates.lock().unwrap();
        let of_name = certificates
            .iter_mut()
            .filter(|known| known.subject.name == *name);
        Ok(of_name
            .map(|known| {
                known.revoked = true;
                known.serial.clone()
            })
            .collect())
    }

    async fn make(&self, token: TokenRecord) -> Result<(), Trouble> {
        self.tokens.lock().unwrap().insert(0, token);
        Ok(())
    }

    async fn tokens(&self) -> Result<Vec<TokenRecord>, Trouble> {
        Ok(self.tokens.lock().unwrap().clone())
    }

    async fn revoke_token(&self, id: &str) -> Result<bool, Trouble> {
        let mut tokens = self.tokens.lock().unwrap();
        let token = tokens.iter_mut().find(|known| known.id == id);
        Ok(token.map(|token| token.revoked = true).is_some())
    }
}
