//! `environment`: the runner's own variables, name by name.

#![expect(
    clippy::disallowed_methods,
    reason = "the one room where this is at home; see clippy.toml"
)]

use sloth_policy::Capability;
use sloth_workflow::text::Untrusted;
use wasmtime::component::HasData;

use super::error::{Error, Result};
use crate::bindings::sloth::host::environment;
use crate::gate::Gate;

pub(crate) struct Environment;

pub(crate) struct EnvironmentView<'a> {
    pub(crate) gate: &'a mut Gate,
}

impl HasData for Environment {
    type Data<'a> = EnvironmentView<'a>;
}

impl environment::Host for EnvironmentView<'_> {
    fn get(&mut self, name: String) -> Result<Option<String>> {
        self.gate
            .permit_name(Capability::EnvironmentRead, "environment.get", &name)?
            .or_absent(Capability::EnvironmentRead, &name)?;
        read(&name)
    }
}

/// The one place where a step's call reads the environment.
fn read(name: &str) -> Result<Option<String>> {
    let shown = || Untrusted::new(name).escaped();
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(Error::invalid(format!(
            "`{}` is not a variable's name",
            shown()
        )));
    }
    match std::env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(Error::invalid(format!(
            "the value of `{}` is not UTF-8",
            shown()
        ))),
    }
}
