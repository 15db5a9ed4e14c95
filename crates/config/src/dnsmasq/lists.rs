//! Files that hold values of one option, a line each, and are read again while lanboot runs: `dhcp-hostsfile`,
//! `dhcp-optsfile`, /etc/ethers. A bad line keeps no other from counting.

use std::sync::Arc;

use super::options::Said;
use super::options::answers::{self, DhcpOption};
use super::options::hosts::{self, DhcpHost};
use super::syntax::{self, Named};
use super::text::Text;
use super::{Directive, Meaning};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, TextFile};
use crate::said::Given;

/// The machines of a `dhcp-hostsfile`. Mistakes are added to `mistakes`.
pub fn hosts_file(source: &Arc<TextFile>, mistakes: &mut Diagnostics) -> Vec<Given<DhcpHost>> {
    each(source, mistakes, |line, notes| hosts::read(line, notes).map(Some))
}

/// The options of a `dhcp-optsfile`. Mistakes are added to `mistakes`.
pub fn options_file(source: &Arc<TextFile>, mistakes: &mut Diagnostics) -> Vec<Given<DhcpOption>> {
    each(source, mistakes, |line, notes| {
        let option = answers::read(line, false)?;
        if option.is_none() {
            let warning = "`option6:` changes nothing here: lanboot speaks no DHCPv6 yet";
            notes.push(Diagnostic::warning(warning).at(line.place().clone()));
        }
        Ok(option)
    })
}

/// The machines of /etc/ethers: a MAC, and a name or an address. Mistakes are added to `mistakes`.
pub fn ethers(source: &Arc<TextFile>, mistakes: &mut Diagnostics) -> Vec<Given<DhcpHost>> {
    each(source, mistakes, |line, _| {
        let words: Vec<_> = line.as_str().split_whitespace().collect();
        let [mac, host] = &*words else {
            return Err(line.wrong("a MAC and a name or an address are wanted", "write 52:54:00:12:34:56 10.0.1.7"));
        };
        let as_host = |word: &str| {
            let start = word.as_ptr() as usize - line.as_str().as_ptr() as usize;
            hosts::read(&line.slice(start..start + word.len()), &mut Diagnostics::default())
        };
        let (machine, meant) = (as_host(mac)?, as_host(host)?);
        if machine.hardware.is_empty() {
            return Err(line.wrong(format!("`{mac}` is not a MAC"), "write six pairs of hex digits with colons"));
        }
        Ok(Some(DhcpHost { address: meant.address, name: meant.name, ..machine }))
    })
}

/// The lines of a `servers-file`: `server` and `rev-server` alone. Mistakes are added to `mistakes`.
pub(super) fn servers(source: &Arc<TextFile>, mistakes: &mut Diagnostics) -> Vec<Directive> {
    let read = |line: &Text, notes: &mut Diagnostics| {
        let Named { row, value, place } = syntax::option(line)?;
        if !matches!(row.name, "server" | "rev-server") {
            let fix = "write it into the configuration itself; server=/DOMAIN/ stands for local=/DOMAIN/";
            return Err(line.wrong(format!("`{}` has no place in a servers-file", row.name), fix));
        }
        let meaning = row.read(&mut Said { row, value, place: &place, notes })?;
        Ok(Some(meaning).filter(|meaning| *meaning != Meaning::Nothing).map(|meaning| Directive {
            row,
            meaning,
            place,
        }))
    };
    each(source, mistakes, read).into_iter().map(|given| given.value).collect()
}

fn each<T>(
    source: &Arc<TextFile>,
    mistakes: &mut Diagnostics,
    mut read: impl FnMut(&Text, &mut Diagnostics) -> Result<Option<T>, Diagnostic>,
) -> Vec<Given<T>> {
    let mut list = Vec::new();
    for line in syntax::lines(source) {
        let place = |line: &Text| -> Place { line.place().clone() };
        match line.and_then(|line| Ok((read(&line, mistakes)?, place(&line)))) {
            Ok((Some(value), place)) => list.push(Given { value, place }),
            Ok((None, _)) => {}
            Err(wrong) => mistakes.push(wrong),
        }
    }
    list
}
