//! PXE menus.

use boot::pxe_menu::{Boot, Service, sub};
use boot::rules::{OptionRule, Target};
use dhcp::v4::options::Value;

use super::super::Directive;
use super::super::options::answers::Server;
use super::super::options::pxe::{PxeBoot, PxePrompt, PxeService};
use super::{Lowering, expr};
use crate::diagnostic::Diagnostic;

/// A prompt without a time waits until somebody chooses.
const FOR_EVER: u8 = 255;
const LONGEST: u8 = 254;

impl Lowering {
    pub(super) fn pxe_service(&mut self, service: &PxeService, directive: &Directive) {
        let server = match &service.server {
            None => None,
            Some(Server::Address(address)) => Some(address.value),
            Some(Server::Name(_)) => return self.later(directive, " with a server's name in place of its address"),
        };
        self.rules.pxe.enabled = true;
        self.rules.pxe.services.push(Service {
            tags: expr(&service.tests),
            arch: service.arch,
            text: service.text.as_str().into(),
            boot: match &service.boot {
                PxeBoot::File(name) => Boot::File(name.as_str().to_owned()),
                PxeBoot::Server(kind) => Boot::Server(*kind),
                PxeBoot::Local => Boot::Local,
            },
            server,
        });
    }

    /// As in dnsmasq, a prompt is a vendor option like any other.
    pub(super) fn pxe_prompt(&mut self, prompt: &PxePrompt, directive: &Directive) {
        let secs = match prompt.timeout_secs {
            None => FOR_EVER,
            Some(secs) => u8::try_from(secs).unwrap_or(LONGEST).min(LONGEST),
        };
        if prompt.timeout_secs.is_some_and(|given| given > LONGEST.into()) {
            let what = format!("a PXE prompt lasts {LONGEST} seconds at most, so it will");
            let fix = "write less, or no time at all, so that it waits until somebody chooses";
            self.found.push(Diagnostic::warning(what).at(directive.place.clone()).fix(fix));
        }
        let value = Value::Octets([&[secs], prompt.text.as_str().as_bytes()].concat());
        let target = Target::Vendor { class: b"PXEClient".into(), sub: sub::MENU_PROMPT };
        self.rules.pxe.enabled = true;
        self.rules.options.push(OptionRule { tags: expr(&prompt.tests), target, value, force: false });
    }
}
