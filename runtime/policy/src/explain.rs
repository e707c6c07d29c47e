//! Which line decides, for people who ask.

use crate::capability::{Capability, Scope};
use crate::denial::{Decision, Denial, Layer};
use crate::effective::Effective;
use crate::escape::visible;
use crate::grants::Grant;
use crate::network::Peer;
use crate::port::Port;
use crate::powers::is_root_group;
use crate::remedy::{asked, peer_named};
use crate::url::Url;
use crate::words::{self, Command};

/// A decision with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Whether the call would pass.
    pub allowed: bool,
    /// Who refuses it, if anybody does.
    pub layer: Option<Layer>,
    /// The line that decides: the grant that allows it or the deny that refuses it, such as
    /// `policy.toml:4: read = ["/etc/nginx/**"]`. None when it is refused for want of a line. Holds
    /// text of the policy, escaped as TOML.
    pub line: Option<String>,
    /// One sentence, safe to show on a terminal.
    pub message: String,
}

impl Effective {
    /// Decides about a capability and a subject in text, and says why. A command is split into
    /// words as a call would split it; a bare program name is taken to be found, and an absolute
    /// one to be found by no lookup, because this room looks nothing up.
    pub fn explain(&self, capability: Capability, subject: &str) -> Explanation {
        match capability.scope() {
            Scope::Paths => {
                let decision = self.path(capability, subject);
                self.explained(capability, subject, decision, |grant, _| {
                    grant.covers(subject)
                })
            }
            Scope::Names => self.explain_name(capability, subject),
            Scope::Urls => match Url::parse(subject) {
                Ok(url) => {
                    let covers = |grant: &Grant, _| grant.covers_url(&url);
                    self.explained(capability, &url.subject(), self.url(&url), covers)
                }
                Err(reason) => malformed(&format!("the URL {reason}")),
            },
            Scope::Networks => match peer_named(subject) {
                Ok(url) => {
                    let peer = Peer {
                        url: &url,
                        address: None,
                        here: false,
                    };
                    let covers = |grant: &Grant, _| grant.covers_peer(peer);
                    let mut found = self.explained(capability, subject, self.peer(peer), covers);
                    if found.allowed && found.line.is_none() {
                        found.message = format!(
                            "no line is needed for {}: the internet routes it",
                            visible(subject)
                        );
                    } else if found.layer == Some(Layer::Policy) && peer.address().is_none() {
                        found.message.push_str(
                            "; a name needs no line while all of its addresses are the internet's",
                        );
                    }
                    found
                }
                Err(reason) => malformed(&format!("{subject} {reason}")),
            },
            Scope::Programs | Scope::Servers => {
                let Some((name, to)) = subject.split_once(' ') else {
                    return malformed(&format!(
                        "write what is to go where: '{capability} NAME {}'",
                        crate::sink::example(capability.scope())
                    ));
                };
                let decision = self.going(capability, name, to);
                self.explained(capability, subject, decision, |grant, _| {
                    grant.covers_going(name, to)
                })
            }
            Scope::Ports if !subject.is_empty() => match Port::parse(subject) {
                Ok(port) => self.explained(capability, subject, self.port(port), |grant, _| {
                    grant.covers(subject)
                }),
                Err(reason) => malformed(&format!("{subject} {reason}")),
            },
            Scope::Ports => self.explained(
                capability,
                subject,
                self.flag(capability),
                |grant, as_deny| as_deny || grant.covers(subject),
            ),
            Scope::Flag => self.explained(capability, subject, self.flag(capability), |_, _| true),
            Scope::Commands => match words::split(subject) {
                Ok(Command::Shell) => {
                    let decision = self.flag(Capability::ProcessShell);
                    let explained = |_: &Grant, _| true;
                    self.explained(Capability::ProcessShell, subject, decision, explained)
                }
                Ok(Command::Argv(argv)) => {
                    let Some((program, arguments)) = argv.split_first() else {
                        return malformed("the command is empty");
                    };
                    let invocation = asked(program, arguments);
                    let decision = self.command(&invocation);
                    self.explained(capability, subject, decision, |grant, as_deny| {
                        grant.covers_command(&invocation, as_deny)
                    })
                }
                Err(reason) => malformed(&reason),
            },
        }
    }

    fn explain_name(&self, capability: Capability, name: &str) -> Explanation {
        if capability == Capability::UsersIds {
            match name.parse::<u32>() {
                Err(_) => return malformed(&format!("write a number: '{capability} 1600'")),
                Ok(0) => return malformed("the id 0 is root's alone and is given to nobody"),
                Ok(_) => {}
            }
        }
        let powerful = matches!(
            capability,
            Capability::UsersModify | Capability::UsersRemove
        ) && (name == "root" || is_root_group(name));
        let mut decision = self.name(capability, name);
        let reached = powerful && decision.is_allowed() && !self.names_exactly(capability, name);
        if reached {
            decision = Decision::Refused(Layer::Policy);
        }
        let mut found = self.explained(capability, name, decision, |grant, _| grant.covers(name));
        if reached {
            found
                .message
                .push_str("; it has root's rights, so it must be named without a pattern");
        }
        found
    }

    fn explained(
        &self,
        capability: Capability,
        subject: &str,
        decision: Decision,
        covers: impl Fn(&Grant, bool) -> bool,
    ) -> Explanation {
        let Decision::Refused(layer) = decision else {
            let line = self
                .policy
                .grants
                .grants
                .iter()
                .find(|grant| {
                    capability.granted_by().contains(&grant.capability) && covers(grant, false)
                })
                .map(Grant::quoted);
            let by = line.as_deref().unwrap_or("the policy");
            let message = format!(
                "{capability} is granted for {} by {}",
                visible(subject),
                visible(by)
            );
            return Explanation {
                allowed: true,
                layer: None,
                line,
                message,
            };
        };
        let line = match layer {
            Layer::Deny => self.deny_line(capability, |grant| covers(grant, true)),
            Layer::Declaration
            | Layer::Policy
            | Layer::Plugin
            | Layer::Limit
            | Layer::SelfProtection
            | Layer::Kernel => None,
        };
        let Denial { message, .. } =
            if capability == Capability::ProcessShell && !subject.is_empty() {
                self.shell_denial(subject, layer)
            } else {
                self.denial(capability, subject, layer)
            };
        Explanation {
            allowed: false,
            layer: Some(layer),
            line,
            message,
        }
    }
}

fn malformed(reason: &str) -> Explanation {
    Explanation {
        allowed: false,
        layer: Some(Layer::Policy),
        line: None,
        message: visible(reason),
    }
}
