//! `log = true` in `[dns]`: every query and what came of it, as dnsmasq words it, on standard error.
//!
//! The journal and what is printed of it stay what they are: the story of machines, not of each look-up.

use std::io::{self, Write};
use std::thread;

use config::Dns;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use server::dns_log::{DnsLog, DnsNotes, dns_log};

use crate::dnsmasq::names::NameLines;

/// Begins to print, in a thread that ends with the service.
///
/// # Errors
/// When the kernel gives no more threads.
pub fn start(dns: &Dns) -> io::Result<DnsLog> {
    let (log, notes) = dns_log();
    let lines = NameLines { extra: false, routes: dns.settings.routes.clone() };
    thread::Builder::new().name("log-names".into()).spawn(move || print(&notes, &lines, io::stderr()))?;
    Ok(log)
}

fn print(notes: &DnsNotes, lines: &NameLines, mut out: impl Write) {
    let (zone, mut taken) = (TimeZone::system(), Vec::new());
    while let Some(lost) = notes.take(&mut taken) {
        let clock = Timestamp::now().to_zoned(zone.clone()).strftime("%H:%M:%S");
        let mut text: String =
            taken.iter().flat_map(|note| lines.of(note)).map(|line| format!("{clock}  {}\n", line.text)).collect();
        if lost > 0 {
            text += &format!("{clock}  {lost} lines on names were lost: they came faster than they could be printed\n");
        }
        // A closed pipe ends the printing, not the serving.
        if out.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use dns::Rtype;
    use dns::lookups::{Line, Logged};
    use server::dns_log::DnsNote;

    use super::*;

    #[test]
    fn each_query_is_a_line_with_the_time() {
        let (log, notes) = dns_log();
        let what = Logged::Query { name: "deb.example".parse().unwrap(), kind: Rtype::A };
        log.tell(DnsNote::Query(Line { serial: 1, client: "10.0.1.5:4000".parse().unwrap(), what }));
        drop(log);
        let mut printed = Vec::new();
        print(&notes, &NameLines::default(), &mut printed);
        let printed = String::from_utf8(printed).unwrap();
        assert_eq!(printed[8..], *"  query[A] deb.example from 10.0.1.5\n", "{printed}");
    }
}
