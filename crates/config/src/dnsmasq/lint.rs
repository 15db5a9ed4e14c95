//! What a dnsmasq configuration will not boot, and why.

use std::collections::BTreeMap;
use std::path::Path;

use dhcp::v4::code;

use super::options::answers::{BootFile, DhcpOption, Wrap};
use super::options::tags::{On, TagTest};
use super::{Directive, Directives, Meaning};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::surroundings::{Entry, Surroundings};

/// Loaders that call us again as iPXE.
const IPXE_BINARIES: &[&str] = &["undionly", "ipxe", "snponly", "intel.", "realtek."];

/// Looks a configuration through; every finding is a warning with a remedy.
pub fn lint(directives: &Directives, around: &dyn Surroundings) -> Diagnostics {
    let lint = Lint { list: &directives.list, boots: boots(&directives.list) };
    let mut found = Diagnostics::default();
    found.extend(lint.one_loader_for_all());
    found.extend(lint.ipxe_for_ever());
    found.extend(lint.url_without_class());
    found.extend(lint.pxe_class_alone());
    found.extend(lint.no_file_service());
    found.extend(lint.no_http_service(around));
    found.extend(lint.missing_files(around));
    found.extend(lint.tags_that_nothing_sets());
    found
}

struct Lint<'a> {
    list: &'a [Directive],
    boots: Vec<Boot<'a>>,
}

/// A boot file and who gets it.
struct Boot<'a> {
    file: &'a str,
    tests: &'a [TagTest],
    place: &'a Place,
    /// Whether another server has it.
    elsewhere: bool,
}

fn boots(list: &[Directive]) -> Vec<Boot<'_>> {
    list.iter().filter_map(boot).filter(|boot| !boot.file.is_empty()).collect()
}

fn boot(directive: &Directive) -> Option<Boot<'_>> {
    match directive {
        Directive { meaning: Meaning::DhcpBoot(BootFile { tests, file, server, .. }), place, .. } => {
            Some(Boot { file: file.as_str(), tests, place, elsewhere: server.is_some() })
        }
        Directive { meaning: Meaning::DhcpOption(option), place, .. } if is(option, code::BOOTFILE) => {
            Some(Boot { file: option.text.as_str(), tests: &option.tests, place, elsewhere: false })
        }
        _ => None,
    }
}

fn is(option: &DhcpOption, code: u8) -> bool {
    option.code.value == code && option.wrap == Wrap::None
}

impl Lint<'_> {
    fn any(&self, test: impl Fn(&Meaning) -> bool) -> Option<&Directive> {
        self.list.iter().find(|directive| test(&directive.meaning))
    }

    /// Options 93 and 60 tell BIOS and UEFI apart; who looks at neither gives all firmware the same file.
    fn one_loader_for_all(&self) -> Option<Diagnostic> {
        let looks = |meaning: &Meaning| match meaning {
            Meaning::Match(rule) => match &rule.on {
                On::Option { code, .. } => *code == code::CLIENT_ARCH || *code == code::VENDOR_CLASS,
                On::VendorClass(class) => class.as_str().contains("Arch") || class.as_str().contains("HTTPClient"),
                _ => false,
            },
            Meaning::PxeService(_) => true,
            _ => false,
        };
        let boot = self.boots.iter().find(|boot| !boot.file.contains("://"))?;
        if self.any(looks).is_some() {
            return None;
        }
        let is_efi = boot.file.to_ascii_lowercase().ends_with(".efi");
        let (wrong, kind) = if is_efi { ("BIOS", "an EFI") } else { ("UEFI", "a BIOS") };
        let what = format!(
            "nothing looks at the client's architecture (option 93), so a {wrong} machine is given {}, {kind} loader, and fails",
            boot.file
        );
        let fix = "in lanboot.toml, put [boot] file = … in place of the rules and of chain = \"rules\": lanboot then chooses \
                   the loader by the firmware; in dnsmasq.conf, add dhcp-match=set:efi64,option:client-arch,7 and a \
                   dhcp-boot=tag:efi64,… for it";
        Some(Diagnostic::warning(what).at(boot.place.clone()).fix(fix))
    }

    fn ipxe_for_ever(&self) -> Option<Diagnostic> {
        let name = |boot: &&Boot<'_>| {
            let name = boot.file.rsplit('/').next().unwrap_or(boot.file);
            IPXE_BINARIES.iter().any(|start| name.starts_with(start)) && !name.ends_with(".ipxe")
        };
        let boot = self.boots.iter().filter(name).find(|boot| boot.tests.iter().all(|test| !test.absent))?;
        let tells = |meaning: &Meaning| match meaning {
            Meaning::Match(rule) => match &rule.on {
                On::Option { code, .. } => *code == code::IPXE || *code == code::USER_CLASS,
                On::UserClass(class) => class.as_str().contains("iPXE"),
                _ => false,
            },
            _ => false,
        };
        if self.any(tells).is_some() {
            return None;
        }
        let what =
            format!("{} asks for an address again as iPXE and is given {} again, for ever", boot.file, boot.file);
        let fix = "tell iPXE by its option: dhcp-match=set:ipxe,175, then dhcp-boot=tag:!ipxe,… for the loader and \
                   dhcp-boot=tag:ipxe,… for what it is to boot";
        Some(Diagnostic::warning(what).at(boot.place.clone()).fix(fix))
    }

    /// UEFI takes a URL only from an answer that says HTTPClient (UEFI 2.10 section 24.7).
    fn url_without_class(&self) -> Option<Diagnostic> {
        let boot = self.boots.iter().find(|boot| boot.file.contains("://") && !boot.file.ends_with(".ipxe"))?;
        let says = |meaning: &Meaning| match meaning {
            Meaning::DhcpOption(option) => {
                is(option, code::VENDOR_CLASS) && option.text.as_str().contains("HTTPClient")
            }
            _ => false,
        };
        let http = |test: &TagTest| test.name.to_ascii_lowercase().contains("ipxe");
        if self.any(says).is_some() || boot.tests.iter().any(|test| http(test) && !test.absent) {
            return None;
        }
        let what = "UEFI HTTP Boot takes a URL only from an answer with the vendor class HTTPClient";
        let fix = "add dhcp-vendorclass=set:http,HTTPClient and dhcp-option-force=tag:http,60,HTTPClient";
        Some(Diagnostic::warning(what).at(boot.place.clone()).fix(fix))
    }

    /// Firmware that reads PXEClient without boot servers goes and asks port 4011.
    fn pxe_class_alone(&self) -> Option<Diagnostic> {
        let says = |meaning: &Meaning| match meaning {
            Meaning::DhcpOption(option) => {
                is(option, code::VENDOR_CLASS) && option.text.as_str().starts_with("PXEClient")
            }
            _ => false,
        };
        let menu = |meaning: &Meaning| match meaning {
            Meaning::PxeService(_) => true,
            Meaning::DhcpOption(option) => option.code.value == code::VENDOR_SPECIFIC || option.wrap != Wrap::None,
            _ => false,
        };
        let said = self.any(says).filter(|_| self.any(menu).is_none())?;
        let what = "an answer that says PXEClient and has no boot servers (option 43) sends UEFI to port 4011, where nobody answers";
        Some(Diagnostic::warning(what).at(said.place.clone()).fix("leave option 60 out, or add pxe-service lines"))
    }

    fn no_file_service(&self) -> Option<Diagnostic> {
        let boot = self.boots.iter().find(|boot| !boot.file.contains("://") && !boot.elsewhere)?;
        let serves = |meaning: &Meaning| matches!(meaning, Meaning::EnableTftp(_));
        let next_server = |meaning: &Meaning| match meaning {
            Meaning::DhcpOption(option) => {
                is(option, code::TFTP_SERVER_NAME) || is(option, 150) || is(option, code::END)
            }
            _ => false,
        };
        if self.any(serves).is_some() || self.any(next_server).is_some() {
            return None;
        }
        let what = format!("{} is to be loaded from this host, but no TFTP is served here", boot.file);
        Some(
            Diagnostic::warning(what)
                .at(boot.place.clone())
                .fix("add enable-tftp and tftp-root=FOLDER, or name the server that has it"),
        )
    }

    /// A URL of this host, where no HTTP is served: dnsmasq serves none, and another program may.
    fn no_http_service(&self, around: &dyn Surroundings) -> Option<Diagnostic> {
        if self.any(|meaning| matches!(meaning, Meaning::HttpRoot(_) | Meaning::HttpPort(_))).is_some() {
            return None;
        }
        let ours: Vec<_> = around.interfaces().into_iter().flat_map(|nic| nic.addresses).collect();
        let is_ours = |boot: &&Boot<'_>| {
            let host = boot.file.strip_prefix("http://").and_then(|rest| rest.split(['/', ':']).next());
            ours.iter().any(|net| host == Some(&*net.addr().to_string()))
        };
        let boot = self.boots.iter().find(is_ours)?;
        let what =
            format!("{} is a URL of this host, and no HTTP is served here unless another program does", boot.file);
        let fix = "add http-root=FOLDER, or [http] in lanboot.toml, to serve it from here";
        Some(Diagnostic::warning(what).at(boot.place.clone()).fix(fix))
    }

    fn missing_files(&self, around: &dyn Surroundings) -> Vec<Diagnostic> {
        let root = self.list.iter().rev().find_map(|directive| match &directive.meaning {
            Meaning::TftpRoot(root) if root.interface.is_none() => Some((&root.folder, &directive.place)),
            _ => None,
        });
        let Some((root, root_place)) = root else { return Vec::new() };
        if !matches!(around.look(root), Ok(Entry::Folder)) {
            let what = format!("the folder {} is not there, so that no file can be served", root.display());
            return vec![Diagnostic::warning(what).at(root_place.clone()).fix("make it and put the boot files there")];
        }
        let missing = |boot: &&Boot<'_>| {
            let local = !boot.elsewhere && !boot.file.contains("://");
            local && !matches!(around.look(&root.join(Path::new(boot.file.trim_start_matches('/')))), Ok(Entry::File))
        };
        let warn = |boot: &Boot<'_>| {
            let what = format!("{} is not in {}", boot.file, root.display());
            Diagnostic::warning(what)
                .at(boot.place.clone())
                .fix("put it there (`lanboot firmware` lists iPXE's binaries)")
        };
        self.boots.iter().filter(missing).map(warn).collect()
    }

    fn tags_that_nothing_sets(&self) -> Vec<Diagnostic> {
        let mut asked: BTreeMap<&str, &Place> = BTreeMap::new();
        let mut set: Vec<&str> = vec!["known", "known-othernet", "bootp", "cpewan-id", "dhcpv6"];
        for directive in self.list {
            let tests: &[TagTest] = match &directive.meaning {
                Meaning::DhcpOption(option) => &option.tests,
                Meaning::DhcpBoot(boot) => &boot.tests,
                Meaning::DhcpIgnore(tests) | Meaning::DhcpIgnoreNames(tests) | Meaning::DhcpBroadcast(tests) => tests,
                Meaning::DhcpRange(range) => {
                    set.extend(range.set.iter().map(|set| set.value.as_str()));
                    &range.tests
                }
                Meaning::DhcpHost(host) => {
                    set.extend(host.set.iter().map(|set| set.value.as_str()));
                    &host.tests
                }
                Meaning::Match(rule) => {
                    set.push(&rule.set.value);
                    &[]
                }
                Meaning::TagIf(rule) => {
                    set.extend(rule.set.iter().map(|set| set.value.as_str()));
                    &[]
                }
                Meaning::Interface(patterns) => {
                    set.extend(patterns.iter().map(|pattern| pattern.name.as_str()));
                    &[]
                }
                // Files may set any tag.
                Meaning::DhcpHostsFile(_) | Meaning::DhcpHostsDir(_) => return Vec::new(),
                _ => &[],
            };
            for test in tests {
                asked.entry(&test.name).or_insert(&test.place);
            }
        }
        let unset = asked.into_iter().filter(|(name, _)| !set.contains(name));
        let warn = |(name, place): (&str, &Place)| {
            let what = format!("the tag `{name}` is asked for, but nothing sets it");
            Diagnostic::warning(what)
                .at(place.clone())
                .fix(format!("add what sets it, such as dhcp-match=set:{name},…"))
        };
        unset.map(warn).collect()
    }
}
