//! *Permit* and *observe*: whether a program may be run as asked, and what it then may do.

use std::path::PathBuf;
use std::sync::Arc;

use sloth_policy::{Capability, Denial, Internet, Invocation, Layer, Port};

use super::command::{self, Found};
use super::reach;
use super::view::ProcessView;
use crate::bindings::sloth::host::process::{Command, Request};
use crate::bindings::sloth::host::types;
use crate::confine::{Account, Confinement, Network};
use crate::gate::Gate;
use crate::host::error::{Error, Result};
use crate::host::secrets;
use crate::learn::{Permit, absent};
use crate::node::Node;
use crate::place::name::absolute;
use crate::place::{Access, Observed, Tree};
use crate::secrecy::Value;
use crate::watch::aside;

/// A program and its arguments, found and held against the grants.
pub(crate) fn permit_command(
    gate: &mut Gate,
    tree: &Tree,
    node: &Node,
    command: Command,
) -> Result<(Found, Permit)> {
    let mut found = command::find(command, node, tree.root(), &tree.workdir)?;
    let permit = if let Some(text) = &found.shell {
        gate.permit_shell(text)?
    } else {
        let invocation = Invocation {
            program: &found.program,
            found_as: found.known_as.as_deref(),
            arguments: &found.argv[1..],
        };
        gate.permit_command(&invocation, &found.argv)?
    };
    if permit == Permit::Imagined {
        // It is not run, and whether it is there is not told.
        return Ok((found, permit));
    }
    // Only now may be told whether the program is there.
    found.resolve(tree.root())?;
    let unconfined = gate
        .grants()
        .flag(Capability::ProcessUnconfined)
        .is_allowed();
    // Whoever may write a program and run it may run anything.
    for path in [&found.program, &found.resolved] {
        let writable = tree.in_scratch(path).is_some()
            || [
                Capability::FilesWrite,
                Capability::FilesCreate,
                Capability::FilesDelete,
            ]
            .into_iter()
            .any(|capability| gate.grants_path(capability, path));
        if writable && !unconfined {
            let denial = Denial {
                capability: Capability::ProcessRun.name().to_owned(),
                subject: path.clone(),
                layer: Layer::SelfProtection,
                message: format!(
                    "process.run is not granted for {} (self-protection): the same task may \
                     write this program; keep programs outside of what tasks may write",
                    sloth_policy::escape::visible(path)
                ),
                remedy: None,
            };
            return Err(gate.refuse(&denial));
        }
    }
    Ok((found, permit))
}

impl ProcessView<'_> {
    pub(super) fn permit_command(&mut self, request: &Request) -> Result<(Found, Permit)> {
        permit_command(self.gate, self.tree, self.node, request.command.clone())
    }

    pub(super) fn permit_workdir(&mut self, workdir: Option<&str>) -> Result<String> {
        let asked = absolute(workdir.unwrap_or("."), &self.tree.workdir)?;
        // To stand in a folder is less than to read or write it: either grant will do.
        let access = if self.gate.grants_path(Capability::FilesWrite, &asked) {
            Access::Write
        } else {
            Access::Read
        };
        let permitted = self
            .tree
            .permit(self.gate, "process.run", &asked, access, true)?;
        let place = permitted.place;
        if permitted.imagined && self.tree.check() {
            // What is only learned is not run.
            return Ok(place.path);
        }
        let observed = self
            .tree
            .observe(&place)
            .map_err(|error| Error::system(&format!("look at {asked}"), &error))?;
        match observed {
            Observed::Directory(_) => Ok(place.path),
            Observed::Missing => Err(Error::not_found(format!(
                "the working folder {asked} does not exist"
            ))),
            other => Err(Error::wrong_kind(format!(
                "the working folder {asked} is {}",
                other.word()
            ))),
        }
    }

    pub(super) fn permit_environment(&mut self, request: &Request) -> Result<()> {
        for (name, value) in &request.env {
            self.permit_variable(name)?;
            if value.contains('\0') {
                return Err(unsettable(name));
            }
        }
        Ok(())
    }

    fn permit_variable(&mut self, name: &str) -> Result<()> {
        self.gate
            .permit_name(Capability::ProcessEnv, "process.run", name)?
            .or_foretold();
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(unsettable(name));
        }
        Ok(())
    }

    /// The names of the secrets that variables are to hold, once the program may have each.
    pub(super) fn permit_secrets(
        &mut self,
        request: &Request,
        found: &Found,
    ) -> Result<Vec<(String, String)>> {
        let mut permitted = Vec::new();
        for (variable, secret) in &request.secrets {
            self.permit_variable(variable)?;
            let name = self.handles.name(secret)?;
            match secrets::permit_program(self.gate, &name, &found.program, &found.resolved)? {
                Permit::Granted => permitted.push((variable.clone(), name)),
                // Check mode runs no program, so what one would be given needs not be opened.
                Permit::Imagined if self.tree.check() && !request.read_only => {}
                Permit::Imagined => return Err(absent(Capability::SecretsEnv, &name)),
            }
        }
        Ok(permitted)
    }

    pub(super) fn permit_user(&mut self, user: Option<&str>) -> Result<Option<Account>> {
        let Some(name) = user else { return Ok(None) };
        self.gate
            .permit_name(Capability::ProcessUser, "process.run", name)?
            .or_foretold();
        crate::accounts::account(name).map(Some)
    }

    /// The path that the program would make, if it is there already.
    pub(super) fn observe_creates(&mut self, creates: Option<&str>) -> Result<Option<String>> {
        let Some(path) = creates else { return Ok(None) };
        let place = match self
            .tree
            .permit(self.gate, "process.run", path, Access::Read, true)
        {
            Ok(permitted) => permitted.place,
            Err(Error::Guest(types::Error::NotFound(_))) => return Ok(None),
            Err(error) => return Err(error),
        };
        match self.tree.observe(&place) {
            Ok(Observed::Missing) => Ok(None),
            Ok(_) => Ok(Some(place.path)),
            Err(error) => Err(Error::system(&format!("look at {}", place.path), &error)),
        }
    }

    pub(super) async fn confinement(
        &mut self,
        found: &Found,
        workdir: String,
        request: &Request,
        secrets: &[(String, Value)],
        user: Option<Account>,
    ) -> Result<Confinement> {
        let network = network(self.gate)?;
        let grants = Arc::clone(self.gate.grants());
        let flag = |capability| grants.flag(capability).is_allowed();
        let scratch = self.tree.scratch().map(|scratch| scratch.path());
        let wish = reach::Wish {
            scratch: scratch.map(str::to_owned),
            network: network != Network::None,
            read_only: request.read_only,
        };
        // Patterns are looked for in folders that may be slow to list.
        let mut reach = {
            let (grants, root) = (Arc::clone(&grants), self.tree.root().clone());
            aside(move || reach::of(&grants, &root, wish)).await??
        };
        // The granted program may lie outside of the folders that every program may execute.
        reach.execute.push(found.resolved.clone());
        reach.read.push(found.resolved.clone());
        let paths = |list: Vec<String>| list.into_iter().map(PathBuf::from).collect();
        let home = scratch.unwrap_or("/").to_owned();
        let mut env = vec![
            ("PATH".to_owned(), self.node.path_variable()),
            ("LANG".to_owned(), "C.UTF-8".to_owned()),
            ("HOME".to_owned(), home.clone()),
            ("TMPDIR".to_owned(), home),
        ];
        let hidden = secrets.iter().map(|(name, value)| (name, value.as_str()));
        let shown = request.env.iter().map(|(name, value)| (name, &**value));
        for (name, value) in shown.chain(hidden) {
            env.retain(|(other, _)| other != name);
            env.push((name.clone(), value.to_owned()));
        }
        Ok(Confinement {
            program: found.resolved.clone().into(),
            argv: found.argv.clone(),
            env,
            workdir: workdir.into(),
            scratch: scratch.map(PathBuf::from),
            read: paths(reach.read),
            execute: paths(reach.execute),
            write: paths(reach.write),
            delete: paths(reach.delete),
            network,
            unix_sockets: flag(Capability::ProcessUnixSockets),
            unconfined: flag(Capability::ProcessUnconfined),
            processes: self.limits.processes,
            open_files: u64::from(self.limits.handles),
            cpu_seconds: self.limits.step_time.as_secs().max(1),
            user,
            grace: self.node.grace,
        })
    }
}

/// What of the network the grants give a program.
fn network(gate: &mut Gate) -> Result<Network> {
    let capability = Capability::ProcessNetwork;
    let ports = match gate.grants().internet() {
        Ok(Internet::All) => return Ok(Network::All),
        Ok(Internet::Ports(ports)) if ports.is_empty() => return Ok(Network::None),
        Ok(Internet::Ports(ports)) => ports,
        Err(layer) => {
            let denial = Denial {
                capability: capability.name().to_owned(),
                subject: String::new(),
                layer,
                message: format!(
                    "{capability} cannot be held to what is granted ({layer}): some ports are denied and all are \
                     granted, which the kernel has no rules for; list the granted ports under [process] network"
                ),
                remedy: None,
            };
            return Err(gate.refuse(&denial));
        }
    };
    let (mut connect, mut listen, mut datagrams) = (Vec::new(), Vec::new(), false);
    for port in ports {
        match port {
            Port::Connect(port) => connect.push(port),
            Port::Listen(port) => listen.push(port),
            Port::Datagrams => datagrams = true,
        }
    }
    Ok(Network::Ports {
        connect,
        listen,
        datagrams,
    })
}

fn unsettable(name: &str) -> Error {
    Error::invalid(format!(
        "`{}` cannot be set in an environment",
        sloth_policy::escape::visible(name)
    ))
}
