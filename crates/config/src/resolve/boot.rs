//! What is booted, and the files that are published for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ::boot::ipxe::PLACEHOLDERS;
use ::boot::{Chain, MachinePolicy, Policy, Target};
use ::dhcp::Platform;
use journal::Role;

use super::{Resolver, value};
use crate::diagnostic::{Diagnostic, Place};
use crate::nearest::nearest;
use crate::said::{self, Given};
use crate::surroundings::Entry;
use crate::{Publish, Source};

/// Boot files by the names under which loaders are shipped, the likeliest first, and the folder that Debian's
/// installer has them in.
const WELL_KNOWN: &[(Platform, &str, &[&str])] = &[
    (
        Platform::Bios,
        "debian-installer/amd64",
        &["pxelinux.0", "lpxelinux.0", "undionly.kpxe", "undionly.kkpxe", "ipxe.pxe", "grldr"],
    ),
    (
        Platform::UefiX64,
        "debian-installer/amd64",
        &["bootnetx64.efi", "shimx64.efi", "bootx64.efi", "grubnetx64.efi", "grubx64.efi", "snponly.efi", "ipxe.efi"],
    ),
    (
        Platform::UefiArm64,
        "debian-installer/arm64",
        &["bootnetaa64.efi", "shimaa64.efi", "bootaa64.efi", "grubnetaa64.efi", "grubaa64.efi", "ipxe-arm64.efi"],
    ),
];

/// The published folders, and whether all that were named are there.
struct Roots {
    folders: Vec<Given<PathBuf>>,
    sound: bool,
}

impl Resolver<'_> {
    pub(super) fn policy(&mut self, tftp: bool, http_port: Option<u16>) -> Policy {
        let said = self.said;
        let by_rules = said.boot.chain.as_ref().is_some_and(|given| given.value.is_none());
        let roots = self.roots(tftp, http_port.is_some());
        let mut target = self.target(&said.boot.target, &roots);
        let machines = self.machines(&roots);
        if roots.sound && said.boot.target == said::Target::default() && !by_rules {
            target = self.without_target(&roots, machines.values().any(|machine| machine.target.is_some()));
        }
        self.check_services(tftp, http_port.is_some());
        let chain = value(&said.boot.chain).flatten().unwrap_or_default();
        if let (Chain::Direct, Target::Linux { .. } | Target::Script { .. }, Some(given)) =
            (chain, &target, &said.boot.chain)
        {
            let what = "chain = \"direct\" changes nothing here: kernels and scripts are loaded by iPXE";
            self.warn(what, &given.place, "leave `chain` out, or boot a `file` instead");
        }
        self.publish.extend(roots.folders.into_iter().map(|folder| Publish {
            name: String::new(),
            source: Source::Folder(folder.value),
            role: Role::Other,
        }));
        let replace_rom_ipxe = value(&said.boot.replace_rom_ipxe).unwrap_or_default();
        Policy { http_port, tftp, ipxe: BTreeMap::new(), replace_rom_ipxe, chain, target, machines }
    }

    fn roots(&mut self, tftp: bool, http: bool) -> Roots {
        let mut roots = Roots { folders: Vec::new(), sound: true };
        if !tftp && !http {
            return roots;
        }
        for (root, key) in [(&self.said.tftp.root, "tftp.root"), (&self.said.http.root, "http.root")] {
            let Some(given) = root else {
                roots.sound &= !self.said.mentions(key);
                continue;
            };
            if roots.folders.iter().all(|folder| folder.value != given.value) {
                roots.sound &= self.exists(given, "boot root", Entry::Folder);
                roots.folders.push(given.clone());
            }
        }
        roots
    }

    fn target(&mut self, said: &said::Target, roots: &Roots) -> Target {
        self.check_one_target(said);
        self.check_kernel_settings(said);
        if let Some(kernel) = &said.kernel {
            let kernel = self.publish_file(kernel, "kernel", Role::Kernel);
            let initrds = said.initrds.iter().map(|initrd| self.publish_file(initrd, "initrd", Role::Initrd)).collect();
            said.cmdline.as_ref().inspect(|cmdline| self.check_placeholders(cmdline));
            return Target::Linux { kernel, initrds, cmdline: value(&said.cmdline).unwrap_or_default() };
        }
        if let Some(script) = &said.script {
            return Target::Script { name: self.publish_file(script, "script", Role::Script) };
        }
        if said.file.is_none() && said.files.is_empty() {
            return Target::Nothing;
        }
        for file in said.file.iter().chain(said.files.values()) {
            self.check_boot_file(file, roots);
        }
        let by_platform = said.files.iter().map(|(platform, name)| (*platform, name.value.clone())).collect();
        Target::BootFile { any: value(&said.file), by_platform }
    }

    fn check_one_target(&mut self, said: &said::Target) {
        let file = said.file.as_ref().or_else(|| said.files.values().next());
        let kinds = [
            said.kernel.as_ref().map(|given| ("a kernel", &given.place)),
            said.script.as_ref().map(|given| ("a script", &given.place)),
            file.map(|given| ("a boot file", &given.place)),
        ];
        let named: Vec<_> = kinds.into_iter().flatten().collect();
        for (kind, place) in named.iter().skip(1) {
            let (first, first_place) = named[0];
            let diagnostic = Diagnostic::error(format!("{first} and {kind} cannot both be booted"))
                .at((*place).clone())
                .also(first_place.clone(), format!("{first} is named here"));
            self.found.push(diagnostic.fix("keep one of the two; a script can load a kernel itself"));
        }
    }

    fn check_kernel_settings(&mut self, said: &said::Target) {
        let initrd = said.initrds.first().map(|given| ("an initrd", &given.place));
        let cmdline = said.cmdline.as_ref().map(|given| ("a command line", &given.place));
        let lacks_kernel = said.kernel.is_none() && !said.unreadable;
        for (kind, place) in initrd.into_iter().chain(cmdline).filter(|_| lacks_kernel) {
            let fix = "name the kernel it is for: kernel = \"vmlinuz\" (flag: --kernel PATH)";
            self.error(format!("{kind} without a kernel has no effect"), place, fix);
        }
    }

    fn check_placeholders(&mut self, cmdline: &Given<String>) {
        for (part, problem) in bad_placeholders(&cmdline.value) {
            let all = PLACEHOLDERS.iter().map(|(name, _)| format!("{{{name}}}")).collect::<Vec<_>>().join(", ");
            let (what, fix) = match problem {
                Problem::Unknown(name) => {
                    let near = nearest(name, PLACEHOLDERS.iter().map(|(name, _)| *name));
                    let fix = match near {
                        Some(near) => format!("did you mean {{{near}}}? A brace itself is written {{{{"),
                        None => format!("use one of {all}; a brace itself is written {{{{"),
                    };
                    (format!("unknown placeholder {{{name}}} in the kernel's command line"), fix)
                }
                Problem::Lonely(brace) => {
                    let what = format!("a `{brace}` without its partner in the kernel's command line");
                    (what, format!("write {brace}{brace} for the character itself; placeholders are {all}"))
                }
            };
            let place = cmdline.place.part(&cmdline.value, part);
            self.error(what, &place, fix);
        }
    }

    /// Publishes one file as `boot/<its name>` and returns that.
    fn publish_file(&mut self, given: &Given<PathBuf>, what: &str, role: Role) -> String {
        let source = Source::File(given.value.clone());
        if let Some(same) = self.publish.iter().find(|publish| publish.source == source && publish.role == role) {
            return same.name.clone();
        }
        self.exists(given, what, Entry::File);
        let base = url_safe(&given.value.file_name().unwrap_or_default().to_string_lossy());
        let taken = |name: &String| self.publish.iter().any(|publish| publish.name == *name);
        let numbered = (2..).map(|number| format!("boot/{number}-{base}"));
        let name = std::iter::once(format!("boot/{base}")).chain(numbered).find(|name| !taken(name));
        let name = name.expect("an endless supply of names");
        self.publish.push(Publish { name: name.clone(), source, role });
        name
    }

    fn check_boot_file(&mut self, file: &Given<String>, roots: &Roots) {
        if !roots.sound {
            return;
        }
        let Some(first) = roots.folders.first() else {
            let what = format!("the boot file {} has no folder to be served from", file.value);
            self.error(what, &file.place, "set tftp.root to the folder that holds it (flag: --tftp-root PATH)");
            return;
        };
        let holds = |folder: &Given<PathBuf>| self.is_file(&folder.value.join(&file.value));
        if !roots.folders.iter().any(holds) {
            let given = Given { value: first.value.join(&file.value), place: file.place.clone() };
            self.exists(&given, "boot file", Entry::File);
        }
    }

    fn is_file(&self, path: &Path) -> bool {
        matches!(self.around.look(path), Ok(Entry::File))
    }

    fn machines(&mut self, roots: &Roots) -> BTreeMap<mac::Mac, MachinePolicy> {
        let mut policies = BTreeMap::new();
        // By MAC, so that published names do not depend on the order in which machines are listed.
        let mut machines: Vec<_> = self.said.machines.iter().collect();
        machines.sort_by_key(|machine| value(&machine.mac));
        for machine in machines {
            let target = self.target(&machine.target, roots);
            let target = (target != Target::Nothing).then_some(target);
            if let Some(mac) = &machine.mac {
                policies.insert(mac.value, MachinePolicy { name: value(&machine.name), target });
            }
        }
        policies
    }

    /// Nothing says what to boot: looks for a ready-made tree in the published folders.
    fn without_target(&mut self, roots: &Roots, others_boot: bool) -> Target {
        let mut by_platform = BTreeMap::new();
        for folder in &roots.folders {
            for (platform, name) in self.well_known(&folder.value) {
                by_platform.entry(platform).or_insert(name);
            }
        }
        if !by_platform.is_empty() {
            return Target::BootFile { any: None, by_platform };
        }
        match roots.folders.first() {
            // Without DHCP nobody is told what to boot: the folder is there to be served.
            Some(_) if value(&self.said.dhcp.enabled) == Some(false) => {}
            Some(folder) if !others_boot => self.found_no_boot_file(folder),
            None if !others_boot => {
                let fix = "name a kernel, a script or a boot file in [boot], or a folder with a ready-made tree (flags: \
                           --kernel, --script, --boot-file, --tftp-root)";
                self.warn(
                    "nothing says what to boot: machines get an address and no more",
                    &self.said.place("boot"),
                    fix,
                );
            }
            _ => {}
        }
        Target::Nothing
    }

    fn well_known(&self, root: &Path) -> BTreeMap<Platform, String> {
        let mut found = BTreeMap::new();
        for (platform, debian, names) in WELL_KNOWN {
            let in_root = names.iter().map(|name| name.to_string());
            let in_debian = names.iter().map(|name| format!("{debian}/{name}"));
            let first = in_root.chain(in_debian).find(|name| self.is_file(&root.join(name)));
            found.extend(first.map(|name| (*platform, name)));
        }
        found
    }

    fn found_no_boot_file(&mut self, folder: &Given<PathBuf>) {
        let mut below = self.around.names(&folder.value);
        below.sort();
        let tree = below.into_iter().find(|name| !self.well_known(&folder.value.join(name)).is_empty());
        let fix = match tree {
            Some(name) => format!("there is one further down: name {}", folder.value.join(name).display()),
            None => {
                let names: Vec<_> = WELL_KNOWN.iter().flat_map(|(_, _, names)| names.iter().copied()).collect();
                format!("looked for {}; name another with boot.file (flag: --boot-file NAME)", names.join(", "))
            }
        };
        let what = format!("{} holds no boot file that lanboot knows by name", folder.value.display());
        self.error(what, &folder.place, fix);
    }

    fn check_services(&mut self, tftp: bool, http: bool) {
        let said = self.said;
        let targets = std::iter::once(&said.boot.target).chain(said.machines.iter().map(|machine| &machine.target));
        let Some(place) = targets.filter_map(target_place).next() else { return };
        let off = said.place("tftp.enabled");
        if !tftp && !http {
            let what = "this cannot be booted: both TFTP and HTTP are off";
            self.found
                .push(Diagnostic::error(what).at(place.clone()).also(off, "TFTP is off").fix("leave one of them on"));
        } else if !tftp {
            let what = "TFTP is off: only UEFI HTTP Boot and an iPXE in ROM can load anything";
            self.warn(what, &off, "leave TFTP on for machines that boot by PXE");
        }
    }
}

fn target_place(said: &said::Target) -> Option<&Place> {
    let paths = said.kernel.as_ref().or(said.script.as_ref()).map(|given| &given.place);
    paths.or_else(|| said.file.as_ref().or(said.files.values().next()).map(|given| &given.place))
}

enum Problem<'a> {
    Unknown(&'a str),
    Lonely(char),
}

/// What is wrong with the braces of a command line, each with the octets it is about.
fn bad_placeholders(text: &str) -> Vec<(std::ops::Range<usize>, Problem<'_>)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(brace) = text[at..].find(['{', '}']).map(|offset| at + offset) {
        let rest = &text[brace..];
        at = brace + 1;
        if rest.starts_with("{{") || rest.starts_with("}}") {
            at += 1;
        } else if rest.starts_with('}') {
            found.push((brace..at, Problem::Lonely('}')));
        } else if let Some(length) = rest[1..].find(['{', '}']).filter(|length| rest[1 + length..].starts_with('}')) {
            let name = &rest[1..1 + length];
            at += length + 1;
            if PLACEHOLDERS.iter().all(|(known, _)| *known != name) {
                found.push((brace..at, Problem::Unknown(name)));
            }
        } else {
            found.push((brace..at, Problem::Lonely('{')));
        }
    }
    found
}

/// A file name that needs no quoting in a URL or an iPXE script.
fn url_safe(name: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
    name.chars().map(|c| if safe(c) { c } else { '-' }).collect()
}
