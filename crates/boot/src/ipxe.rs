//! Writes a decision as an iPXE script.

use std::fmt::Write;

use mac::Mac;

use crate::decide::{http_base, target};
use crate::facts::{Facts, feature};
use crate::policy::{Policy, Target};

/// What may stand between braces on a kernel command line, and what it becomes.
pub const PLACEHOLDERS: &[(&str, &str)] = &[
    ("server", "lanboot's address"),
    ("mac", "the machine's MAC address, 52:54:00:12:34:56"),
    ("ip", "the machine's address"),
    ("hostname", "the machine's name: its reservation's, else what it calls itself, else empty"),
    ("report", "the URL to call when the system is up"),
];

/// The published name of the script made for a machine.
pub fn script_name(mac: Mac) -> String {
    format!("boot/{}.ipxe", mac.hyphens())
}

/// The machine whose script this is, if the name is one that [`script_name`] makes.
pub fn machine_of_script(name: &str) -> Option<Mac> {
    name.strip_prefix("boot/")?.strip_suffix(".ipxe")?.parse().ok()
}

/// The script that loads a machine's kernel; `None` when its target is not one.
pub fn script(facts: &Facts, policy: &Policy) -> Option<String> {
    let Target::Linux { kernel, initrds, cmdline } = target(facts, policy) else { return None };
    let http = policy.http_port.map(|port| http_base(facts, port));
    let lacks_http = facts.ipxe.is_some_and(|ipxe| !ipxe.has(feature::HTTP));
    let base = match &http {
        Some(base) if !lacks_http => base.clone(),
        _ => format!("tftp://{}", facts.server),
    };
    let mut text = format!("#!ipxe\n# made by lanboot for {}\n", facts.mac);
    let names: Vec<String> = (0..initrds.len()).map(|n| format!("initrd{n}.img")).collect();
    // A kernel started as an EFI binary looks its initrds up by these names; elsewhere they do no harm.
    let initrd_words: String = names.iter().map(|name| format!(" initrd={name}")).collect();
    let cmdline = expand(cmdline, facts, policy);
    let mut line = |step: &str, command: String| {
        writeln!(text, "set step {step}\n{command} || goto failed").expect("writing to a String cannot fail");
    };
    line("kernel", format!("kernel {base}/{kernel}{initrd_words} {cmdline}"));
    for (name, initrd) in names.iter().zip(initrds) {
        line("initrd", format!("initrd --name {name} {base}/{initrd}"));
    }
    line("boot", "boot".into());
    text.push_str("\n:failed\nset error ${errno}\necho lanboot: ${step} failed: error ${error}\n");
    if let Some(http) = http.filter(|_| !lacks_http) {
        let url = format!("{http}/report/ipxe-failed?mac={}&step=${{step}}&error=${{error}}", facts.mac.hyphens());
        writeln!(text, "imgfetch --name report {url} ||").expect("writing to a String cannot fail");
    }
    text.push_str("prompt --timeout 15000 Press a key for the iPXE shell ... && shell || exit 1\n");
    Some(text)
}

/// Puts the values of [`PLACEHOLDERS`] into a command line; `{{` and `}}` stand for braces. A name that is not a
/// placeholder stays as it is: the configuration was checked before.
pub fn expand(cmdline: &str, facts: &Facts, policy: &Policy) -> String {
    let value = |name: &str| match name {
        "server" => Some(facts.server.to_string()),
        "mac" => Some(facts.mac.to_string()),
        "ip" => Some(facts.address.map(|address| address.to_string()).unwrap_or_default()),
        "hostname" => Some(facts.hostname.clone().unwrap_or_default()),
        "report" => {
            let base = policy.http_port.map(|port| http_base(facts, port)).unwrap_or_default();
            Some(format!("{base}/report/up?mac={}", facts.mac.hyphens()))
        }
        _ => None,
    };
    let mut out = String::new();
    let mut rest = cmdline;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        let named = rest.split_once('}').filter(|_| brace == "{").and_then(|(name, tail)| Some((value(name)?, tail)));
        if let Some(tail) = rest.strip_prefix(brace) {
            out.push_str(brace);
            rest = tail;
        } else if let Some((value, tail)) = named {
            out.push_str(&value);
            rest = tail;
        } else {
            out.push_str(brace);
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use dhcp::ClientArch;
    use journal::Stage;

    use super::*;
    use crate::facts::Ipxe;
    use crate::history::History;

    fn facts() -> Facts {
        Facts {
            mac: Mac([0x52, 0x54, 0, 0, 0, 1]),
            stage: Stage::Ipxe,
            arch: Some(ClientArch::BIOS),
            vendor_class: None,
            user_class: None,
            uuid: None,
            ipxe: Some(Ipxe::with_features(&[feature::HTTP])),
            relay: None,
            server: Ipv4Addr::new(10, 0, 1, 1),
            address: Some(Ipv4Addr::new(10, 0, 1, 200)),
            hostname: Some("db1".into()),
            history: History::default(),
        }
    }

    fn policy(cmdline: &str) -> Policy {
        Policy {
            http_port: Some(80),
            tftp: true,
            target: Target::Linux {
                kernel: "boot/vmlinuz".into(),
                initrds: vec!["boot/a.img".into(), "boot/b.img".into()],
                cmdline: cmdline.into(),
            },
            ..Policy::default()
        }
    }

    #[test]
    fn a_script_loads_kernel_and_initrds_and_reports_failure() {
        let expected = "\
#!ipxe
# made by lanboot for 52:54:00:00:00:01
set step kernel
kernel http://10.0.1.1/boot/vmlinuz initrd=initrd0.img initrd=initrd1.img quiet ip=10.0.1.200 || goto failed
set step initrd
initrd --name initrd0.img http://10.0.1.1/boot/a.img || goto failed
set step initrd
initrd --name initrd1.img http://10.0.1.1/boot/b.img || goto failed
set step boot
boot || goto failed

:failed
set error ${errno}
echo lanboot: ${step} failed: error ${error}
imgfetch --name report http://10.0.1.1/report/ipxe-failed?mac=52-54-00-00-00-01&step=${step}&error=${error} ||
prompt --timeout 15000 Press a key for the iPXE shell ... && shell || exit 1
";
        assert_eq!(script(&facts(), &policy("quiet ip={ip}")).unwrap(), expected);
    }

    #[test]
    fn without_http_everything_comes_by_tftp() {
        let mut old = facts();
        old.ipxe = Some(Ipxe::default());
        let text = script(&old, &policy("")).unwrap();
        assert!(text.contains("kernel tftp://10.0.1.1/boot/vmlinuz") && !text.contains("http"), "{text}");
    }

    #[test]
    fn placeholders_and_doubled_braces() {
        let text = expand("a={server} {mac} {hostname} {{x}} {report} {other} }", &facts(), &policy(""));
        let report = "http://10.0.1.1/report/up?mac=52-54-00-00-00-01";
        assert_eq!(text, format!("a=10.0.1.1 52:54:00:00:00:01 db1 {{x}} {report} {{other}} }}"));
    }

    #[test]
    fn script_names_lead_back_to_the_machine() {
        let mac = Mac([0x52, 0x54, 0, 0, 0, 0xaf]);
        assert_eq!(machine_of_script(&script_name(mac)), Some(mac));
        assert_eq!(machine_of_script("boot/vmlinuz"), None);
    }
}
