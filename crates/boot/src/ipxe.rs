//! Writes a decision as an iPXE script.

use std::fmt;

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

/// The published name of the script that leads any iPXE to its own, for those who chain by hand.
pub const ENTRY: &str = "boot.ipxe";

/// The content of [`ENTRY`].
pub fn entry_script() -> String {
    "#!ipxe\nchain --replace boot/${netX/mac:hexhyp}.ipxe\n".into()
}

/// The script for a machine: loads its kernel, or leads to the script or boot file that is configured.
pub fn script(facts: &Facts, policy: &Policy) -> String {
    let base = Base::of(facts, policy);
    let mut text = format!("#!ipxe\n# made by lanboot for {}\n", facts.mac);
    match target(facts, policy) {
        Target::Nothing => text.push_str("echo lanboot: nothing is configured to boot\nexit 1\n"),
        Target::Script { name } => text.push_str(&format!("chain --replace {base}/{name}\n")),
        Target::BootFile { any, by_platform } => {
            let platform = facts.arch.and_then(|arch| arch.platform());
            match platform.and_then(|platform| by_platform.get(&platform)).or(any.as_ref()) {
                Some(file) => text.push_str(&format!("chain tftp://{}/{file}\n", facts.server)),
                None => text.push_str("echo lanboot: no boot file is configured for this machine\nexit 1\n"),
            }
        }
        Target::Linux { kernel, initrds, cmdline } => {
            let cmdline = expand(cmdline, facts, policy);
            text.push_str(&linux(&base, kernel, initrds, &cmdline, facts.mac));
        }
    }
    text
}

/// Where an iPXE fetches from.
enum Base {
    Http(String),
    Tftp(String),
}

impl Base {
    fn of(facts: &Facts, policy: &Policy) -> Base {
        let lacks_http = facts.ipxe.is_some_and(|ipxe| !ipxe.has(feature::HTTP));
        match policy.http_port {
            Some(port) if !lacks_http => Base::Http(http_base(facts, port)),
            _ => Base::Tftp(format!("tftp://{}", facts.server)),
        }
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Base::Http(url) | Base::Tftp(url)) = self;
        f.write_str(url)
    }
}

fn linux(base: &Base, kernel: &str, initrds: &[String], cmdline: &str, mac: Mac) -> String {
    let names: Vec<String> = (0..initrds.len()).map(|n| format!("initrd{n}.img")).collect();
    // A kernel started as an EFI binary looks its initrds up by these names; elsewhere they do no harm.
    let initrd_words: String = names.iter().map(|name| format!(" initrd={name}")).collect();
    let mut text = String::new();
    let mut line = |step: &str, command: String| {
        text.push_str(&format!("set step {step}\n{} || goto failed\n", command.trim_end()));
    };
    line("kernel", format!("kernel {base}/{kernel}{initrd_words} {cmdline}"));
    for (name, initrd) in names.iter().zip(initrds) {
        line("initrd", format!("initrd --name {name} {base}/{initrd}"));
    }
    line("boot", "boot".into());
    text.push_str("\n:failed\nset error ${errno}\necho lanboot: ${step} failed: error ${error}\n");
    if let Base::Http(url) = base {
        let report = format!("{url}/report/ipxe-failed?mac={}&step=${{step}}&error=${{error}}", mac.hyphens());
        text.push_str(&format!("imgfetch --name report {report} ||\n"));
    }
    text + "prompt --timeout 15000 Press a key for the iPXE shell ... && shell || exit 1\n"
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
        assert_eq!(script(&facts(), &policy("quiet ip={ip}")), expected);
    }

    #[test]
    fn without_http_everything_comes_by_tftp() {
        let mut old = facts();
        old.ipxe = Some(Ipxe::default());
        let text = script(&old, &policy(""));
        assert!(text.contains("kernel tftp://10.0.1.1/boot/vmlinuz") && !text.contains("http"), "{text}");
    }

    #[test]
    fn other_targets_are_led_to() {
        let lead = |target| script(&facts(), &Policy { target, ..policy("") });
        let script = Target::Script { name: "boot/own.ipxe".into() };
        assert!(lead(script).ends_with("chain --replace http://10.0.1.1/boot/own.ipxe\n"));
        let file = Target::BootFile { any: Some("pxelinux.0".into()), by_platform: Default::default() };
        assert!(lead(file).ends_with("chain tftp://10.0.1.1/pxelinux.0\n"));
        assert!(lead(Target::Nothing).ends_with("exit 1\n"));
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
