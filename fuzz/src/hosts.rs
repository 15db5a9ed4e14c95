//! Hosts files and resolv.conf.

use dns::{hosts, resolv};

/// The input: a file's text, read as either.
pub fn target(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    names(&text);
    servers(&text);
}

fn names(text: &str) {
    let (lines, faults) = hosts::parse(text);
    assert!(faults.is_sorted_by_key(|fault| fault.line), "faults come in the order of lines");
    for fault in &faults {
        let line = text.lines().nth(fault.line - 1).expect("a fault has its line");
        let before = line.split('#').next().unwrap_or_default();
        assert!(!fault.what.fix().is_empty());
        let said = match &fault.what {
            hosts::Wrong::Address(said) | hosts::Wrong::Name(said, _) | hosts::Wrong::Letters(said) => said.clone(),
            hosts::Wrong::Nameless(address) => {
                let first = before.split_whitespace().next().unwrap_or_default();
                assert_eq!(first.parse(), Ok(*address));
                continue;
            }
        };
        assert!(before.split_whitespace().any(|word| word == said), "`{said}` is not in line {}", fault.line);
    }
    // Each line alone, in its place, gives the same: no line changes what another means.
    let mut alone = (Vec::new(), Vec::new());
    for (at, line) in text.lines().enumerate() {
        let (lines, faults) = hosts::parse(line);
        let words = line.split('#').next().unwrap_or_default().split_whitespace().count();
        let known = lines.iter().map(|line| 1 + line.names.len()).sum::<usize>();
        let left_out = faults.len() + usize::from(lines.is_empty() && words > 0);
        let is_told =
            faults.iter().any(|fault| matches!(fault.what, hosts::Wrong::Address(_) | hosts::Wrong::Nameless(_)));
        assert!(is_told || known + left_out == words, "each word is a name or a fault: {line}");
        alone.0.extend(lines);
        alone.1.extend(faults.into_iter().map(|fault| hosts::Fault { line: at + 1, ..fault }));
    }
    assert_eq!(alone, (lines.clone(), faults));
    let printed = lines.iter().map(|line| {
        let names: Vec<_> = line.names.iter().map(ToString::to_string).collect();
        format!("{} {}\n", line.address, names.join(" "))
    });
    // A name may hold `#`, which ends a line of a file; it came as `\035`.
    let printed = printed.map(|line| line.replace('#', "\\035")).collect::<String>();
    assert_eq!(hosts::parse(&printed), (lines, Vec::new()), "printed and read again");
}

fn servers(text: &str) {
    let resolv = resolv::parse(text);
    let said = text.lines().filter(|line| line.split_whitespace().next() == Some("nameserver")).count();
    assert_eq!(resolv.servers.len() + resolv.faults.len(), said, "each is a server or a fault");
    assert!(resolv.faults.is_sorted_by_key(|fault| fault.line));
    for fault in &resolv.faults {
        let line = text.lines().nth(fault.line - 1).expect("a fault has its line");
        assert!(line.split_whitespace().nth(1).unwrap_or_default() == fault.said && !fault.to_string().is_empty());
    }
    for server in &resolv.servers {
        assert!(server.address.port() == 53 && server.from.is_none());
        assert!(server.interface.is_none_or(|interface| !interface.as_str().is_empty()));
    }
    assert!(resolv.search.is_none_or(|name| !name.is_root()));
}
