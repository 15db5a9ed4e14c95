//! One call of `dhcp-script`: its arguments and its environment (dnsmasq's manual, `--dhcp-script`).

use std::net::Ipv4Addr;
use std::path::Path;

use leases::{Expiry, UnixSecs};
use mac::Mac;
use server::dhcp::About;

use super::book::{Entry, Terms, hex};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    pub arguments: Vec<Vec<u8>>,
    pub environment: Vec<(String, Vec<u8>)>,
}

impl Call {
    fn new<const N: usize>(arguments: [String; N]) -> Call {
        Call { arguments: arguments.map(String::into_bytes).into(), environment: Vec::new() }
    }

    /// A file was sent whole.
    pub fn tftp(octets: u64, client: Ipv4Addr, file: &Path) -> Call {
        Call::new(["tftp".to_owned(), octets.to_string(), client.to_string(), file.display().to_string()])
    }

    /// A neighbour came (`arp-add`) or went (`arp-del`).
    pub fn neighbour(action: &str, mac: Mac, address: std::net::IpAddr) -> Call {
        Call::new([action.to_owned(), mac.to_string(), address.to_string()])
    }

    /// `old_name`: this call is for a name that the lease has lost.
    pub(super) fn of(action: &str, entry: &Entry, old_name: Option<String>, terms: &Terms, now: UnixSecs) -> Call {
        let mut call = Call::new([action.to_owned(), entry.mac.to_string(), entry.address.to_string()]);
        let name = entry.name.as_ref().filter(|_| old_name.is_none());
        call.arguments.extend(name.map(|name| name.clone().into_bytes()));
        if let (Some(_), Some(domain)) = (name, &entry.domain) {
            call.set("DOMAIN", domain.as_str());
        }
        if let Some(old) = old_name {
            call.set("OLD_HOSTNAME", old);
        }
        let (end, left) = match entry.expires {
            Expiry::At(end) => (end.0, end.0.saturating_sub(now.0)),
            Expiry::Never => (0, 0),
        };
        call.set("LEASE_EXPIRES", end.to_string());
        if action != "del" && left > 0 {
            call.set("TIME_REMAINING", left.to_string());
        }
        if let Some(id) = &entry.client_id {
            call.set("CLIENT_ID", hex(id.octets()));
        }
        if let Some(interface) = &entry.interface {
            call.set("INTERFACE", interface.as_str());
        }
        if terms.log_dhcp {
            call.set("LOG_DHCP", "1");
        }
        match &entry.about {
            Some(about) => call.about(about),
            None => call.set("DATA_MISSING", "1"),
        }
        call
    }

    fn about(&mut self, about: &About) {
        let requested: Vec<String> = about.requested.iter().map(u8::to_string).collect();
        let relay = about.relay.map(|relay| relay.to_string().into_bytes());
        let some = |data: &Option<Vec<u8>>| data.clone().filter(|data| !data.is_empty());
        self.maybe("VENDOR_CLASS", some(&about.vendor_class));
        self.maybe("SUPPLIED_HOSTNAME", some(&about.supplied_name));
        self.maybe("CIRCUIT_ID", some(&about.circuit_id));
        self.maybe("SUBSCRIBER_ID", some(&about.subscriber_id));
        self.maybe("REMOTE_ID", some(&about.remote_id));
        self.maybe("REQUESTED_OPTIONS", Some(requested.join(",").into_bytes()).filter(|list| !list.is_empty()));
        self.maybe("MUD_URL", some(&about.mud_url));
        self.maybe("TAGS", Some(about.tags.join(" ").into_bytes()).filter(|tags| !tags.is_empty()));
        self.maybe("RELAY_ADDRESS", relay);
        for (at, class) in about.user_classes.iter().enumerate() {
            self.set(&format!("USER_CLASS{at}"), class.clone());
        }
    }

    fn maybe(&mut self, name: &str, value: Option<Vec<u8>>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    /// An environment holds no NUL: what stands behind one is left out.
    fn set(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        let mut value = value.into();
        value.truncate(value.iter().position(|octet| *octet == 0).unwrap_or(value.len()));
        self.environment.push((format!("DNSMASQ_{name}"), value));
    }
}
