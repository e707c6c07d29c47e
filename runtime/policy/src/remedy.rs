//! Refusals in words, with exactly the line that would change them.

use std::net::IpAddr;

use crate::capability::{Capability, Scope};
use crate::denial::{Denial, Layer};
use crate::effective::{Effective, Source};
use crate::escape::{lua, toml, visible};
use crate::glob;
use crate::grants::Grant;
use crate::inside::shows_inside;
use crate::network::Peer;
use crate::pattern::Invocation;
use crate::port::Port;
use crate::sink::{self, Server};
use crate::url::{Host, Url};
use crate::url_pattern;
use crate::words::{self, Command};

impl Effective {
    /// The refusal of a path, a name, a flag or a command line, for a layer that
    /// [`path`](Self::path) and its like gave.
    pub fn denial(&self, capability: Capability, subject: &str, layer: Layer) -> Denial {
        let entry = match capability.scope() {
            Scope::Commands => match words::split(subject) {
                Ok(Command::Argv(argv)) => return self.command_denial(&argv, layer),
                Ok(Command::Shell) => return self.shell_denial(subject, layer),
                Err(_) => Entry::Unsayable,
            },
            Scope::Paths | Scope::Names => {
                listed(capability, subject).map_or(Entry::Unsayable, Entry::Listed)
            }
            Scope::Urls => match Url::parse(subject) {
                Ok(url) => return self.url_denial(&url, layer),
                Err(_) => Entry::Unsayable,
            },
            Scope::Networks => match peer_named(subject) {
                Ok(url) => return self.peer_denial(&url, layer),
                Err(_) => Entry::Unsayable,
            },
            Scope::Programs | Scope::Servers => {
                let (name, to) = subject.split_once(' ').unwrap_or((subject, ""));
                return self.going_denial(capability, name, to, layer);
            }
            Scope::Ports if !subject.is_empty() => {
                listed(capability, subject).map_or(Entry::Unsayable, Entry::Listed)
            }
            Scope::Ports | Scope::Flag => Entry::Flag,
        };
        let held = self.held(capability, |grant, _| grant.covers(subject));
        self.built(capability, subject, layer, &entry, &held)
    }

    /// The refusal of a pattern of names, for a layer that [`any_name`](Self::any_name) gave. The
    /// remedy covers all that fits the pattern.
    pub fn pattern_denial(&self, capability: Capability, pattern: &str, layer: Layer) -> Denial {
        let entry = Entry::Listed(pattern.to_owned());
        self.built(capability, pattern, layer, &entry, &Held::default())
    }

    /// The refusal of a program with its arguments, the first word being the program as the caller
    /// wrote it. The remedy covers exactly these words.
    pub fn command_denial(&self, argv: &[String], layer: Layer) -> Denial {
        let sayable = argv.first().is_some_and(|program| {
            let absolute = glob::is_normal(program);
            let bare = !program.is_empty() && !program.contains('/');
            (absolute || bare) && argv.iter().all(|word| !word.contains('\0'))
        });
        let held = argv.split_first().map(|(program, arguments)| {
            let invocation = asked(program, arguments);
            self.held(Capability::ProcessRun, |grant, denies| {
                grant.covers_command(&invocation, denies)
            })
        });
        let held = held.unwrap_or_default();
        let subject = words::join(argv);
        let entry = if sayable {
            Entry::Listed(subject.clone())
        } else {
            Entry::Unsayable
        };
        self.built(Capability::ProcessRun, &subject, layer, &entry, &held)
    }

    /// The refusal of letting what is named go to a place. Its subject is both, with a space between.
    pub fn going_denial(
        &self,
        capability: Capability,
        name: &str,
        to: &str,
        layer: Layer,
    ) -> Denial {
        let entry = bound(capability, name, to)
            .map_or(Entry::Unsayable, |(name, place)| Entry::Bound(name, place));
        let held = self.held(capability, |grant, _| grant.covers_going(name, to));
        self.built(capability, &format!("{name} {to}"), layer, &entry, &held)
    }

    /// The refusal of a command line that needs a shell. Its message says both ways out.
    pub fn shell_denial(&self, text: &str, layer: Layer) -> Denial {
        let capability = Capability::ProcessShell;
        let held = self.held(capability, |_, _| true);
        let mut denial = self.built(capability, text, layer, &Entry::Flag, &held);
        denial.message.push_str(
            "; or write it without shell syntax (pipes, redirections, `;`, `&&`, `$`, globs): plain \
             words run without a shell",
        );
        denial
    }

    /// The refusal of a request to a URL. Its remedy covers that path, whatever the query.
    pub fn url_denial(&self, url: &Url, layer: Layer) -> Denial {
        let capability = Capability::HttpSend;
        let held = self.held(capability, |grant, _| grant.covers_url(url));
        let entry = Entry::Listed(url_pattern::escape(url));
        self.built(capability, &url.subject(), layer, &entry, &held)
    }

    /// The refusal to connect to the addresses of a URL's host. It names the host as it was asked for,
    /// never what it resolved to.
    pub fn peer_denial(&self, url: &Url, layer: Layer) -> Denial {
        let capability = Capability::HttpAddresses;
        let peer = Peer {
            url,
            address: None,
            here: false,
        };
        let held = self.held(capability, |grant, _| grant.covers_peer(peer));
        let host = host_named(url);
        let entry = Entry::Listed(host.clone());
        self.built(capability, &host, layer, &entry, &held)
    }

    fn built(
        &self,
        capability: Capability,
        subject: &str,
        layer: Layer,
        entry: &Entry,
        held: &Held,
    ) -> Denial {
        let plugin = self.plugin.as_deref();
        build(capability, subject, layer, entry, held, plugin)
    }

    /// What the layers hold of a subject. The closure says whether a line covers it, as a deny line or not.
    fn held(&self, capability: Capability, covers: impl Fn(&Grant, bool) -> bool) -> Held {
        let lacks = |source: &Source| {
            !source.grants.grants.iter().any(|grant| {
                capability.granted_by().contains(&grant.capability) && covers(grant, false)
            })
        };
        let lacking = match self.declared().0 {
            [workflow, task] => match (lacks(workflow), lacks(task)) {
                (true, true) => Some("the workflow's and the task's"),
                (true, false) => Some("the workflow's"),
                (false, true) => Some("the task's"),
                (false, false) => None,
            },
            _ => None,
        };
        Held {
            deny_line: self.deny_line(capability, |grant| covers(grant, true)),
            lacking,
        }
    }

    /// The deny line that covers a subject.
    pub(crate) fn deny_line(
        &self,
        capability: Capability,
        covers: impl Fn(&Grant) -> bool,
    ) -> Option<String> {
        self.deny
            .grants
            .grants
            .iter()
            .find(|grant| capability.denied_by().contains(&grant.capability) && covers(grant))
            .map(Grant::quoted)
    }
}

/// The entry of a list that covers a subject and no other; none if no list can hold one.
pub(crate) fn listed(capability: Capability, subject: &str) -> Option<String> {
    match capability.scope() {
        Scope::Paths => glob::is_normal(subject).then(|| glob::escape(subject)),
        // What is asked of all of them is granted by what grants all of them.
        Scope::Names if subject == "*" && speaks_of_all(capability) => Some(subject.to_owned()),
        Scope::Names => {
            (!subject.is_empty() && !subject.contains('\0')).then(|| glob::escape(subject))
        }
        Scope::Urls => Url::parse(subject)
            .ok()
            .map(|url| url_pattern::escape(&url)),
        Scope::Networks => peer_named(subject).ok().map(|url| host_named(&url)),
        Scope::Ports => Port::parse(subject).ok().map(|port| port.to_string()),
        Scope::Commands | Scope::Programs | Scope::Servers | Scope::Flag => None,
    }
}

/// The name and the place of a line that binds one to the other; none if no line can.
pub(crate) fn bound(capability: Capability, name: &str, to: &str) -> Option<(String, String)> {
    let place = match capability.scope() {
        Scope::Servers => Server::parse(to).ok()?.to_string(),
        Scope::Programs if glob::is_normal(to) => glob::escape(to),
        _ => return None,
    };
    (!name.is_empty() && !name.contains('\0')).then(|| (glob::escape(name), place))
}

/// A host without the brackets that a URL has around some.
fn host_named(url: &Url) -> String {
    match url.host() {
        Host::Name(name) => name.clone(),
        Host::Address(address) => address.to_string(),
    }
}

/// Whether `*` as a subject means every name, as for a list of all packages.
fn speaks_of_all(capability: Capability) -> bool {
    matches!(
        capability,
        Capability::PackagesQuery
            | Capability::PackagesUpgrade
            | Capability::PackagesRefresh
            | Capability::UsersQuery
    )
}

/// An invocation as it was asked for, when nobody has looked the program up.
pub(crate) fn asked<'a>(program: &'a str, arguments: &'a [String]) -> Invocation<'a> {
    let found_as = (!program.contains('/')).then_some(program);
    Invocation {
        program,
        found_as,
        arguments,
    }
}

/// The URL that stands for a host given by itself: a name, or an address with or without brackets.
pub(crate) fn peer_named(text: &str) -> Result<Url, String> {
    let host = match text.parse::<IpAddr>() {
        Ok(address) => Host::Address(address.to_canonical()),
        Err(_) => Host::parse(text)?,
    };
    Url::parse(&format!("http://{host}"))
}

/// What the layers hold of a subject that is refused.
#[derive(Default)]
struct Held {
    /// The deny line that covers it.
    deny_line: Option<String>,
    /// Whose declaration leaves it out, where there are two. The task's own line does not help where the
    /// workflow's is the one that refuses.
    lacking: Option<&'static str>,
}

/// What a line would have to hold to allow a call.
enum Entry {
    /// This text in its list.
    Listed(String),
    /// In its table, under this name a list with this place.
    Bound(String, String),
    /// `true`.
    Flag,
    /// No line can say it: a path that is not absolute, a NUL byte.
    Unsayable,
}

fn build(
    capability: Capability,
    subject: &str,
    layer: Layer,
    entry: &Entry,
    held: &Held,
    plugin: Option<&str>,
) -> Denial {
    let remedy = match layer {
        Layer::Policy => policy_line(capability, entry),
        Layer::Plugin => plugin_line(plugin.unwrap_or("NAME"), capability, entry),
        Layer::Declaration => declaration(capability, entry),
        Layer::Deny | Layer::Limit | Layer::SelfProtection | Layer::Kernel => None,
    };
    let reason = match (layer, &remedy) {
        (Layer::Declaration, Some(remedy)) if held.lacking.is_some() => {
            let whose = held.lacking.unwrap_or_default();
            format!("to allow it, in {whose} declaration: {remedy}")
        }
        (_, Some(remedy)) => format!("to allow it: {remedy}"),
        (Layer::Policy | Layer::Declaration | Layer::Plugin, None) => match capability.scope() {
            Scope::Paths => "no line can allow it, because the path is not absolute and normal: \
                             write it without `.`, `..` and doubled slashes"
                .to_owned(),
            _ => "no line can allow it, because it is not well formed".to_owned(),
        },
        (Layer::Deny, None) => match &held.deny_line {
            Some(line) => format!("it is denied by {}", visible(line)),
            None => "a [deny] line of the policy covers it".to_owned(),
        },
        (Layer::Limit, None) => "a ceiling in [limits] of the policy is reached".to_owned(),
        (Layer::SelfProtection, None) if shows_inside(subject) => {
            "it shows the inside of a process, whoever's secrets are there, and no policy can allow it"
                .to_owned()
        }
        (Layer::SelfProtection, None) => {
            "it belongs to the node itself, and no policy can allow it".to_owned()
        }
        (Layer::Kernel, None) => {
            "the operating system refused what the policy allows, and no policy can change that"
                .to_owned()
        }
    };
    let shown = if subject.is_empty() {
        "an empty text".to_owned()
    } else {
        visible(subject)
    };
    Denial {
        capability: capability.name().to_owned(),
        subject: subject.to_owned(),
        layer,
        message: format!("{capability} is not granted for {shown} ({layer}); {reason}"),
        remedy,
    }
}

fn policy_line(capability: Capability, entry: &Entry) -> Option<String> {
    let value = policy_value(entry)?;
    Some(format!(
        "[{}] {} = {value}",
        capability.noun(),
        capability.verb()
    ))
}

fn plugin_line(plugin: &str, capability: Capability, entry: &Entry) -> Option<String> {
    let value = policy_value(entry)?;
    Some(format!("[plugin.{plugin}] {capability} = {value}"))
}

fn policy_value(entry: &Entry) -> Option<String> {
    Some(match entry {
        Entry::Listed(text) => format!("[{}]", toml(text)),
        Entry::Bound(name, place) => sink::table(name, place),
        Entry::Flag => "true".to_owned(),
        Entry::Unsayable => return None,
    })
}

fn declaration(capability: Capability, entry: &Entry) -> Option<String> {
    let value = match entry {
        Entry::Listed(text) => format!("{{ {} }}", lua(text)),
        Entry::Bound(name, place) => {
            format!("{{ [{}] = {{ {} }} }}", lua(name), lua(place))
        }
        Entry::Flag => "true".to_owned(),
        Entry::Unsayable => return None,
    };
    let verb = match capability.verb() {
        verb if verb.contains('-') => format!("[\"{verb}\"]"),
        verb => verb.to_owned(),
    };
    Some(format!(
        ":capabilities({{ {} = {{ {verb} = {value} }} }})",
        capability.noun()
    ))
}
