//! What is made on the spot for a machine: its iPXE script, and the answer to its reports.

use std::net::Ipv4Addr;
use std::sync::Arc;

use boot::{Facts, History, Policy, ipxe};
use journal::{Role, Stage, Step};
use mac::Mac;

use crate::files::{Content, FileError, Found, Open};
use crate::http_boot::{Dynamic, Generated, Request};
use crate::report::Reporter;

/// Longest text of a report that is kept, in characters.
const REPORT_CHARS: usize = 500;

/// Knows the policy and the machines, and answers what no file can.
pub struct Made {
    pub policy: Arc<Policy>,
    pub reporter: Reporter,
    /// Our own address.
    pub server: Ipv4Addr,
    /// The network that we serve: nobody outside it may report on a machine.
    pub network: ipnet::Ipv4Net,
}

impl Made {
    /// The iPXE script of that name, if it is one of ours.
    fn script(&self, name: &str) -> Option<String> {
        if name == ipxe::ENTRY {
            return Some(ipxe::entry_script());
        }
        let mac = ipxe::machine_of_script(name)?;
        let mut facts = self.reporter.machines.facts(mac).unwrap_or_else(|| self.unheard(mac));
        facts.hostname = self.hostname(mac).or(facts.hostname);
        Some(ipxe::script(&facts, &self.policy))
    }

    fn hostname(&self, mac: Mac) -> Option<String> {
        self.policy.machines.get(&mac)?.name.clone()
    }

    /// A machine that asks for its script without having asked us for an address: behind another DHCP server, or before
    /// we were started anew.
    fn unheard(&self, mac: Mac) -> Facts {
        Facts {
            mac,
            stage: Stage::Ipxe,
            arch: None,
            vendor_class: None,
            user_class: None,
            uuid: None,
            ipxe: None,
            relay: None,
            server: self.server,
            address: None,
            hostname: None,
            history: History::default(),
        }
    }

    /// Puts made files behind the published ones, for a service that opens by name: what the user has of that name counts.
    /// `open`: what is published to whom.
    pub fn behind(
        self: &Arc<Self>,
        open: impl Fn(Ipv4Addr, &str) -> Result<Found, FileError> + Send + Sync + 'static,
    ) -> Open {
        let made = self.clone();
        Arc::new(move |client, asked| match open(client, asked) {
            Err(FileError::NotFound { asked }) => match made.script(asked.trim_start_matches('/')) {
                Some(script) => Ok(Found {
                    name: asked.trim_start_matches('/').to_owned(),
                    role: Role::Script,
                    size: script.len() as u64,
                    modified: None,
                    content: Content::Memory(script.into_bytes().into()),
                }),
                None => Err(FileError::NotFound { asked }),
            },
            result => result,
        })
    }

    fn reported(&self, what: &str, request: &Request) -> Generated {
        let client = *request.client.ip();
        let said = request.query("mac").and_then(|mac| mac.parse().ok());
        let machine = said.or_else(|| self.reporter.machines.by_address(client));
        let (Some(machine), true) = (machine, self.network.contains(&client)) else {
            let body = "which machine? add ?mac=52-54-00-12-34-56, and call from the network that is booted\n";
            return generated(400, body, "report");
        };
        let text = request.query("message").map(str::to_owned);
        let text = text.unwrap_or_else(|| String::from_utf8_lossy(&request.body).into_owned());
        let text: String = text.trim().chars().filter(|c| !c.is_control()).take(REPORT_CHARS).collect();
        let step = match what {
            "up" => Step::OsUp { how: "reported".into(), detail: Some(text).filter(|text| !text.is_empty()) },
            "ipxe-failed" => Step::IpxeFailed {
                what: request.query("step").unwrap_or("a step").chars().take(40).collect(),
                error: request.query("error").unwrap_or("unknown").chars().take(40).collect(),
            },
            _ => Step::Report { what: what.chars().take(40).collect(), text },
        };
        self.reporter.step(Some(machine), step);
        generated(200, "thank you\n", "report")
    }
}

impl Dynamic for Made {
    fn respond(&self, request: &Request) -> Option<Generated> {
        let path = request.path.trim_start_matches('/');
        let what = path.strip_prefix("report/").filter(|what| !what.is_empty())?;
        Some(self.reported(what, request))
    }
}

fn generated(status: u16, body: &str, name: &str) -> Generated {
    let content_type = "text/plain; charset=utf-8";
    Generated { status, content_type, body: body.as_bytes().to_vec(), role: None, name: name.to_owned() }
}
