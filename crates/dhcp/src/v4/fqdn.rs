//! The client FQDN option (RFC 4702): what a client says of its name, and who updates the DNS.

/// The server updates the name's address record.
const SERVER_UPDATES: u8 = 1;
/// The server did otherwise than the client asked.
const OVERRIDDEN: u8 = 2;
/// The name is in the DNS wire format, not text.
const WIRE_FORMAT: u8 = 4;
/// The server updates nothing.
const NO_UPDATES: u8 = 8;

/// Option 81 as a client sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fqdn {
    flags: u8,
    /// Without a dot at its end. `None`: damaged, or not text.
    pub name: Option<String>,
}

impl Fqdn {
    /// `None`: not even flags and the two obsolete octets are there.
    pub fn parse(data: &[u8]) -> Option<Fqdn> {
        let [flags, _, _, name @ ..] = data else { return None };
        let name = if flags & WIRE_FORMAT == 0 { text(name) } else { labels(name) };
        Some(Fqdn { flags: *flags, name })
    }

    /// The option for the answer, in the encoding that the client uses. `client_updates`: whether a client that wants to
    /// update the DNS itself may; otherwise it is told that we do (RFC 4702 section 4).
    pub fn answer(&self, client_updates: bool, name: &str, domain: Option<&str>) -> Vec<u8> {
        let asks_us = self.flags & SERVER_UPDATES != 0;
        let who = match (client_updates, asks_us) {
            (true, true) => OVERRIDDEN | NO_UPDATES,
            (true, false) => self.flags & OVERRIDDEN | NO_UPDATES,
            (false, true) => self.flags & OVERRIDDEN | SERVER_UPDATES,
            (false, false) => OVERRIDDEN | SERVER_UPDATES,
        };
        let in_wire_format = self.flags & WIRE_FORMAT;
        // Both obsolete octets are 255 in what servers send (RFC 4702 section 2.2).
        let mut octets = vec![who | in_wire_format, 255, 255];
        let whole = domain.map_or(name.to_owned(), |domain| format!("{name}.{domain}"));
        if in_wire_format == 0 {
            octets.extend(whole.bytes());
            return octets;
        }
        for label in whole.split('.').filter(|label| !label.is_empty() && label.len() < 64) {
            octets.push(label.len() as u8);
            octets.extend(label.bytes());
        }
        // A name without its domain is not ended (RFC 4702 section 2.3.1).
        octets.extend(domain.map(|_| 0));
        octets
    }
}

fn text(name: &[u8]) -> Option<String> {
    let end = name.iter().position(|octet| *octet == 0).unwrap_or(name.len());
    String::from_utf8(name[..end].to_vec()).ok()
}

fn labels(name: &[u8]) -> Option<String> {
    let mut labels = Vec::new();
    let mut rest = name;
    while let [length @ 1..=63, tail @ ..] = rest {
        let (label, tail) = tail.split_at_checked(usize::from(*length))?;
        labels.push(std::str::from_utf8(label).ok()?);
        rest = tail;
    }
    Some(labels.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(flags: u8) -> Fqdn {
        Fqdn::parse(&[&[flags, 0, 0][..], if flags & 4 == 0 { b"pc" } else { b"\x02pc" }].concat()).unwrap()
    }

    #[test]
    fn either_encoding_names_the_machine() {
        assert_eq!(Fqdn::parse(b"\0\0\0pc.example.org\0").unwrap().name.as_deref(), Some("pc.example.org"));
        assert_eq!(Fqdn::parse(b"\x04\0\0\x02pc\x03lan\0").unwrap().name.as_deref(), Some("pc.lan"));
        assert_eq!(Fqdn::parse(b"\x04\0\0\x09pc").unwrap().name, None);
        assert_eq!(Fqdn::parse(b"\0\0"), None);
    }

    #[test]
    fn the_answer_says_who_updates_in_the_clients_encoding() {
        assert_eq!(says(0).answer(false, "pc", Some("lan")), b"\x03\xff\xffpc.lan");
        assert_eq!(says(1).answer(false, "pc", None), b"\x01\xff\xffpc");
        assert_eq!(says(0).answer(true, "pc", None), b"\x08\xff\xffpc");
        assert_eq!(says(1).answer(true, "pc", None), b"\x0a\xff\xffpc");
        assert_eq!(says(5).answer(false, "pc", Some("lan")), b"\x05\xff\xff\x02pc\x03lan\0");
        assert_eq!(says(5).answer(false, "pc", None), b"\x05\xff\xff\x02pc");
    }
}
