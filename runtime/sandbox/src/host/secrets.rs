//! `secrets`: handles on values that go only where the policy binds them to.

use std::collections::BTreeMap;

use sloth_policy::Capability;
use sloth_workflow::text::Untrusted;
use wasmtime::component::{HasData, Resource};

use super::error::{Error, Result};
use crate::bindings::sloth::host::secrets::{self, Secret};
use crate::gate::Gate;
use crate::learn::Permit;
use crate::ports::secrets::is_name;
use crate::secrecy::{Secrecy, Value};

pub(crate) struct Secrets;

/// The handles that a guest holds, each a name and no right by itself. How many that are is limited by
/// the engine.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    names: BTreeMap<u32, String>,
    last: u32,
}

pub(crate) struct SecretsView<'a> {
    pub(crate) gate: &'a mut Gate,
    pub(crate) handles: &'a mut Handles,
    pub(crate) secrecy: &'a mut Secrecy,
}

impl HasData for Secrets {
    type Data<'a> = SecretsView<'a>;
}

impl secrets::Host for SecretsView<'_> {
    fn open(&mut self, name: String) -> Result<Resource<Secret>> {
        self.gate.loaded("using a secret")?;
        if !is_name(&name) {
            return Err(Error::invalid(format!(
                "`{}` is no name of a secret; names are of letters, digits, `.`, `_` and `-`",
                Untrusted::new(name).escaped()
            )));
        }
        Ok(self.handles.add(name))
    }

    async fn reveal(&mut self, secret: Resource<Secret>) -> Result<String> {
        let name = self.handles.name(&secret)?;
        self.gate
            .permit_name(Capability::SecretsReveal, "secret.reveal", &name)?
            .or_absent(Capability::SecretsReveal, &name)?;
        let value = self.secrecy.reveal(&name).await?;
        Ok(value.as_str().to_owned())
    }
}

impl secrets::HostSecret for SecretsView<'_> {
    fn drop(&mut self, secret: Resource<Secret>) -> wasmtime::Result<()> {
        self.handles.names.remove(&secret.rep());
        Ok(())
    }
}

impl Handles {
    fn add(&mut self, name: String) -> Resource<Secret> {
        // A number is free again long before all have been given.
        self.last = self.last.wrapping_add(1);
        self.names.insert(self.last, name);
        Resource::new_own(self.last)
    }

    /// What a handle stands for.
    pub(crate) fn name(&self, secret: &Resource<Secret>) -> Result<String> {
        let name = self.names.get(&secret.rep()).cloned();
        name.ok_or_else(|| Error::Trap(wasmtime::format_err!("a handle that was never given")))
    }
}

/// *Permit* for a program's environment. A program is granted as it was found or as it lies once links
/// are followed, and denied as either.
pub(crate) fn permit_program(
    gate: &mut Gate,
    name: &str,
    found: &str,
    resolved: &str,
) -> Result<Permit> {
    gate.permit_going(Capability::SecretsEnv, name, &[found, resolved])
}

/// A value for a header of a request to a server (`https://api.example.org`, see
/// [`sloth_policy::Server`]), for the host's side alone: *permit*, then the value. What the server
/// answers is to be redacted by [`Secrecy::returning`] before the guest gets it.
pub(crate) async fn for_server(
    gate: &mut Gate,
    handles: &Handles,
    secrecy: &Secrecy,
    secret: &Resource<Secret>,
    server: &str,
) -> Result<Value> {
    let name = handles.name(secret)?;
    gate.loaded("http.send")?;
    let capability = Capability::SecretsHeader;
    let permit = gate.permit_going(capability, &name, &[server])?;
    permit.or_absent(capability, &name)?;
    secrecy.value(&name).await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sloth_policy::{Effective, Policy};
    use zeroize::Zeroizing;

    use super::*;
    use crate::bindings::sloth::host::types;
    use crate::ports::secrets::Unreadable;
    use crate::report::Reporter;
    use crate::secrecy::Opened;

    #[derive(Debug)]
    struct One;

    impl crate::ports::Secrets for One {
        fn value(&self, name: &str) -> std::result::Result<Option<Zeroizing<String>>, Unreadable> {
            let value = Zeroizing::new("value-of-it".to_owned());
            Ok((name == "api-key").then_some(value))
        }
    }

    /// Asks for a header to a server under a policy that binds every secret to one.
    async fn ask(name: &str, server: &str) -> (Result<Value>, Arc<Opened>) {
        let policy = "version = 1\nsecrets.header = { \"*\" = [\"https://api.example.org\"] }";
        let policy = Policy::parse(policy, "policy.toml").unwrap();
        let grants = Effective::new(&policy, "", &[], Vec::new());
        let opened = Arc::new(Opened::of(Arc::new(One)));
        let mut gate = Gate::shut(Arc::new(grants), Arc::default());
        gate.open(Reporter::silent());
        let mut handles = Handles::default();
        let secret = handles.add(name.to_owned());
        let secrecy = Secrecy::of(Arc::clone(&opened));
        let value = for_server(&mut gate, &handles, &secrecy, &secret, server).await;
        (value, opened)
    }

    #[tokio::test]
    async fn a_header_gets_the_value_only_for_the_server_it_is_bound_to() {
        let (value, opened) = ask("api-key", "https://api.example.org:443").await;
        assert_eq!(value.unwrap().as_str(), "value-of-it");
        assert_eq!(
            opened.redacted("a value-of-it".to_owned()),
            "a <secret api-key>"
        );
        for server in ["https://evil.org", "http://api.example.org"] {
            let (value, opened) = ask("api-key", server).await;
            let Err(Error::Guest(types::Error::Denied(denial))) = value else {
                panic!("{server} got it");
            };
            assert!(
                denial
                    .message
                    .starts_with("secrets.header is not granted for api-key")
            );
            assert!(opened.matcher().is_none(), "it was opened for {server}");
        }
        let (missing, _) = ask("other", "https://api.example.org").await;
        assert!(matches!(
            missing,
            Err(Error::Guest(types::Error::Invalid(_)))
        ));
    }
}
