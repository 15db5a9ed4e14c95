//! The one place where a boot is chosen. DHCP, the iPXE script and `lanboot explain` all ask [`decide`].

use std::time::Instant;

use dhcp::{ClientArch, Platform};
use journal::Stage;

use crate::facts::{Facts, feature};
use crate::policy::{Chain, Policy, ReplaceRomIpxe, Target};

/// What a machine is told to boot next, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub answer: Answer,
    /// The rules that led here, in the order in which they applied, each a phrase for people.
    pub because: Vec<String>,
    /// Set when the machine is going round in circles: the loader, and how often it was sent in a row.
    pub looped: Option<(String, u32)>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// No boot file: an address, and no more.
    Nothing,
    /// A published file, from our TFTP service.
    Tftp { file: String },
    /// A URL on our HTTP service.
    Url { url: String },
}

impl Answer {
    /// The boot file as DHCP carries it.
    pub fn boot_file(&self) -> Option<&str> {
        match self {
            Answer::Nothing => None,
            Answer::Tftp { file } => Some(file),
            Answer::Url { url } => Some(url),
        }
    }
}

/// Chooses what a machine boots.
pub fn decide(facts: &Facts, policy: &Policy, now: Instant) -> Decision {
    let mut choice = Choice { facts, policy, now, because: Vec::new() };
    let answer = choice.answer();
    let looped = match &answer {
        Answer::Tftp { file } => Some(file.as_str()),
        // Behind http://SERVER/: the published name, as the history has it.
        Answer::Url { url } => url.splitn(4, '/').nth(3),
        Answer::Nothing => None,
    }
    .and_then(|name| Some((name.to_owned(), facts.history.loops_on(now, name)?)));
    let mut because = choice.because;
    let answer = match &looped {
        Some((loader, times)) => {
            because
                .push(format!("{loader} was sent {times} times in a row and led nowhere: a loop, so it is held back"));
            Answer::Nothing
        }
        None => answer,
    };
    Decision { answer, because, looped }
}

/// What a machine's `target` is, its own or everybody's.
pub fn target<'a>(facts: &Facts, policy: &'a Policy) -> &'a Target {
    policy.machines.get(&facts.mac).and_then(|machine| machine.target.as_ref()).unwrap_or(&policy.target)
}

/// The address that HTTP answers at, without a trailing slash.
pub fn http_base(facts: &Facts, port: u16) -> String {
    if port == 80 { format!("http://{}", facts.server) } else { format!("http://{}:{port}", facts.server) }
}

struct Choice<'a> {
    facts: &'a Facts,
    policy: &'a Policy,
    now: Instant,
    because: Vec<String>,
}

impl Choice<'_> {
    fn say(&mut self, why: impl Into<String>) {
        self.because.push(why.into());
    }

    fn nothing(&mut self, why: impl Into<String>) -> Answer {
        self.say(why);
        Answer::Nothing
    }

    fn answer(&mut self) -> Answer {
        let own = self.policy.machines.get(&self.facts.mac).is_some_and(|machine| machine.target.is_some());
        self.say(match self.facts.stage {
            Stage::Os => return self.nothing("not firmware: neither PXEClient, HTTPClient nor iPXE"),
            Stage::Ipxe => format!("{} asks", self.facts.firmware().unwrap_or_default()),
            Stage::Pxe => format!("{} firmware asks by PXE", self.arch_text()),
            Stage::HttpBoot => format!("{} firmware asks by HTTP Boot", self.arch_text()),
        });
        if own {
            self.say("its own [[machine]] boot applies");
        }
        match (target(self.facts, self.policy), self.facts.stage) {
            (Target::Nothing, _) => self.nothing("nothing is configured to boot"),
            (target, Stage::Ipxe) => self.for_ipxe(target),
            (target, _) => self.for_firmware(target),
        }
    }

    fn arch_text(&self) -> String {
        match self.facts.arch {
            Some(arch) => arch.to_string().trim_end_matches(" HTTP").to_owned(),
            None => "unnamed".into(),
        }
    }

    /// Firmware that says no architecture is a BIOS: option 93 came with UEFI's rise.
    fn platform(&self) -> Option<Platform> {
        self.facts.arch.unwrap_or(ClientArch::BIOS).platform()
    }

    fn for_firmware(&mut self, target: &Target) -> Answer {
        let Some(platform) = self.platform() else {
            return self.nothing(format!("no loader is known for {}", self.arch_text()));
        };
        let file = boot_file(target, platform);
        let chain = self.policy.chain;
        match (file, self.policy.ipxe.get(&platform)) {
            (Some(file), _) if chain.is_direct(platform, file) => {
                self.say(match chain {
                    Chain::Auto => format!("{file} straight to the firmware, which loads EFI binaries itself"),
                    _ => format!("{file} straight to the firmware (boot.chain = \"direct\")"),
                });
                self.serve(file)
            }
            (_, Some(loader)) => {
                self.say(format!("{loader} is the iPXE for {}", platform.name()));
                self.serve(loader)
            }
            (Some(file), None) => {
                self.say(format!("no iPXE is there for {}, so {file} straight to the firmware", platform.name()));
                self.serve(file)
            }
            (None, None) => {
                self.nothing(format!("no loader is there for {}: see `lanboot firmware list`", platform.name()))
            }
        }
    }

    /// A file in the only way that the firmware can fetch it.
    fn serve(&mut self, file: &str) -> Answer {
        match (self.facts.stage, self.policy.http_port) {
            (Stage::HttpBoot, Some(port)) => Answer::Url { url: format!("{}/{file}", http_base(self.facts, port)) },
            (Stage::HttpBoot, None) => self.nothing("HTTP Boot needs the HTTP service, and it is off"),
            _ if self.policy.tftp => Answer::Tftp { file: file.to_owned() },
            _ => self.nothing("PXE needs the TFTP service, and it is off"),
        }
    }

    fn for_ipxe(&mut self, target: &Target) -> Answer {
        if let Some(loader) = self.replacement(target) {
            return Answer::Tftp { file: loader };
        }
        match target {
            Target::Nothing => self.nothing("nothing is configured to boot"),
            Target::Linux { .. } => {
                self.say("a generated script loads the configured kernel");
                self.for_ipxe_file(&crate::ipxe::script_name(self.facts.mac))
            }
            Target::Script { name } => {
                self.say("the configured iPXE script");
                self.for_ipxe_file(name)
            }
            Target::BootFile { .. } => {
                let Some(file) = self.platform().and_then(|platform| boot_file(target, platform)) else {
                    return self.nothing(format!("no boot file is configured for {}", self.arch_text()));
                };
                self.say(format!("iPXE is running, so the configured boot file {file}"));
                if self.policy.tftp { Answer::Tftp { file: file.to_owned() } } else { self.for_ipxe_file(file) }
            }
        }
    }

    /// By HTTP where both sides have it, else by TFTP, which every iPXE has.
    fn for_ipxe_file(&mut self, file: &str) -> Answer {
        match self.policy.http_port {
            Some(port) if self.has_http() => Answer::Url { url: format!("{}/{file}", http_base(self.facts, port)) },
            _ if self.policy.tftp => {
                self.say("by TFTP: HTTP is off here, or this iPXE lacks it");
                Answer::Tftp { file: file.to_owned() }
            }
            Some(_) => self.nothing("this iPXE lacks HTTP, and TFTP is off"),
            None => self.nothing("neither HTTP nor TFTP is on"),
        }
    }

    fn has_http(&self) -> bool {
        self.facts.ipxe.is_some_and(|ipxe| ipxe.has(feature::HTTP))
    }

    /// Our own iPXE, when the one that is running has to go and has not just come from us.
    fn replacement(&mut self, target: &Target) -> Option<String> {
        let needs_http = !matches!(target, Target::BootFile { .. }) && self.policy.http_port.is_some();
        let why = match self.policy.replace_rom_ipxe {
            ReplaceRomIpxe::Never => return None,
            ReplaceRomIpxe::Always => "boot.replace_rom_ipxe = \"always\"",
            ReplaceRomIpxe::WhenNeeded if needs_http && !self.has_http() => "it lacks HTTP",
            ReplaceRomIpxe::WhenNeeded => return None,
        };
        let loader = self.policy.ipxe.get(&self.platform()?)?.clone();
        if self.facts.history.running(self.now) == Some(&loader) {
            self.say(format!("it came from our {loader}"));
            return None;
        }
        if !self.policy.tftp {
            self.say(format!("cannot be replaced by {loader}: TFTP is off"));
            return None;
        }
        self.say(format!("replaced by our {loader}: {why}"));
        Some(loader)
    }
}

fn boot_file(target: &Target, platform: Platform) -> Option<&str> {
    match target {
        Target::BootFile { any, by_platform } => by_platform.get(&platform).or(any.as_ref()).map(String::as_str),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;

    use mac::Mac;

    use super::*;
    use crate::facts::Ipxe;
    use crate::history::History;
    use crate::policy::MachinePolicy;

    const ROM: Mac = Mac([0x52, 0x54, 0, 0, 0, 1]);

    fn facts(stage: Stage, arch: u16) -> Facts {
        Facts {
            mac: ROM,
            stage,
            arch: Some(ClientArch(arch)),
            vendor_class: None,
            user_class: None,
            uuid: None,
            ipxe: (stage == Stage::Ipxe).then(|| Ipxe::with_features(&[feature::HTTP, feature::DNS])),
            relay: None,
            server: Ipv4Addr::new(10, 0, 1, 1),
            address: None,
            hostname: None,
            history: History::default(),
        }
    }

    fn linux() -> Policy {
        Policy {
            http_port: Some(80),
            tftp: true,
            ipxe: BTreeMap::from([
                (Platform::Bios, "undionly.kpxe".to_owned()),
                (Platform::UefiX64, "snponly.efi".to_owned()),
            ]),
            target: Target::Linux { kernel: "boot/vmlinuz".into(), initrds: vec![], cmdline: String::new() },
            ..Policy::default()
        }
    }

    fn guide() -> Policy {
        Policy { target: Target::BootFile { any: Some("pxelinux.0".into()), by_platform: BTreeMap::new() }, ..linux() }
    }

    fn answer(facts: &Facts, policy: &Policy) -> String {
        let decision = decide(facts, policy, Instant::now());
        assert!(!decision.because.is_empty(), "every decision has a reason");
        match decision.answer {
            Answer::Nothing => "nothing".into(),
            Answer::Tftp { file } => format!("tftp {file}"),
            Answer::Url { url } => url,
        }
    }

    #[test]
    fn each_firmware_is_given_its_ipxe() {
        assert_eq!(answer(&facts(Stage::Pxe, 0), &linux()), "tftp undionly.kpxe");
        assert_eq!(answer(&facts(Stage::Pxe, 7), &linux()), "tftp snponly.efi");
        assert_eq!(answer(&facts(Stage::Pxe, 9), &linux()), "tftp snponly.efi");
        assert_eq!(answer(&facts(Stage::HttpBoot, 16), &linux()), "http://10.0.1.1/snponly.efi");
        assert_eq!(answer(&facts(Stage::Pxe, 11), &linux()), "nothing");
        assert_eq!(answer(&facts(Stage::Os, 0), &linux()), "nothing");
    }

    #[test]
    fn ipxe_is_given_the_script_by_http() {
        assert_eq!(answer(&facts(Stage::Ipxe, 0), &linux()), "http://10.0.1.1/boot/52-54-00-00-00-01.ipxe");
        let other_port = Policy { http_port: Some(8080), ..linux() };
        assert_eq!(answer(&facts(Stage::Ipxe, 7), &other_port), "http://10.0.1.1:8080/boot/52-54-00-00-00-01.ipxe");
    }

    #[test]
    fn the_guides_chain_ends_in_pxelinux() {
        assert_eq!(answer(&facts(Stage::Pxe, 0), &guide()), "tftp undionly.kpxe");
        assert_eq!(answer(&facts(Stage::Ipxe, 0), &guide()), "tftp pxelinux.0");
        let direct = Policy { chain: Chain::Direct, ..guide() };
        assert_eq!(answer(&facts(Stage::Pxe, 0), &direct), "tftp pxelinux.0");
    }

    #[test]
    fn an_efi_binary_goes_to_uefi_itself_unless_told_otherwise() {
        let by_platform = BTreeMap::from([(Platform::UefiX64, "shimx64.efi".to_owned())]);
        let tree = Policy { target: Target::BootFile { any: Some("pxelinux.0".into()), by_platform }, ..linux() };
        assert_eq!(answer(&facts(Stage::Pxe, 7), &tree), "tftp shimx64.efi");
        assert_eq!(answer(&facts(Stage::HttpBoot, 16), &tree), "http://10.0.1.1/shimx64.efi");
        assert_eq!(answer(&facts(Stage::Pxe, 0), &tree), "tftp undionly.kpxe");
        let chained = Policy { chain: Chain::Ipxe, ..tree };
        assert_eq!(answer(&facts(Stage::Pxe, 7), &chained), "tftp snponly.efi");
    }

    #[test]
    fn an_ipxe_without_http_is_replaced_once_and_then_served_by_tftp() {
        let mut old = facts(Stage::Ipxe, 0);
        old.ipxe = Some(Ipxe::with_features(&[feature::DNS]));
        assert_eq!(answer(&old, &linux()), "tftp undionly.kpxe");
        old.history.loader_sent(Instant::now(), "undionly.kpxe");
        assert_eq!(answer(&old, &linux()), "tftp boot/52-54-00-00-00-01.ipxe");
    }

    #[test]
    fn a_rom_ipxe_can_always_be_replaced() {
        let always = Policy { replace_rom_ipxe: ReplaceRomIpxe::Always, ..linux() };
        let mut rom = facts(Stage::Ipxe, 0);
        assert_eq!(answer(&rom, &always), "tftp undionly.kpxe");
        rom.history.loader_sent(Instant::now(), "undionly.kpxe");
        assert_eq!(answer(&rom, &always), "http://10.0.1.1/boot/52-54-00-00-00-01.ipxe");
    }

    #[test]
    fn a_loader_in_a_folder_loops_by_http_as_by_tftp() {
        let loader = "debian-installer/amd64/bootnetx64.efi";
        let target = Target::BootFile { any: Some(loader.into()), by_platform: BTreeMap::new() };
        let policy = Policy { target, chain: Chain::Direct, ..linux() };
        for (stage, arch) in [(Stage::Pxe, 7), (Stage::HttpBoot, 16)] {
            let mut going_round = facts(stage, arch);
            for _ in 0..3 {
                assert!(answer(&going_round, &policy).ends_with(loader));
                going_round.history.loader_sent(Instant::now(), loader);
            }
            let decision = decide(&going_round, &policy, Instant::now());
            assert_eq!((decision.answer, decision.looped), (Answer::Nothing, Some((loader.into(), 3))));
        }
    }

    #[test]
    fn a_loop_is_broken_and_said() {
        let mut stuck = facts(Stage::Pxe, 7);
        for _ in 0..3 {
            stuck.history.loader_sent(Instant::now(), "snponly.efi");
        }
        let decision = decide(&stuck, &linux(), Instant::now());
        assert_eq!(decision.answer, Answer::Nothing);
        assert_eq!(decision.looped, Some(("snponly.efi".into(), 3)));
        assert!(decision.because.last().unwrap().contains("3 times"));
    }

    #[test]
    fn a_machine_can_have_its_own_target() {
        let mut policy = linux();
        let own = Target::Script { name: "boot/own.ipxe".into() };
        policy.machines.insert(ROM, MachinePolicy { name: None, target: Some(own) });
        assert_eq!(answer(&facts(Stage::Ipxe, 0), &policy), "http://10.0.1.1/boot/own.ipxe");
        let mut other = facts(Stage::Ipxe, 0);
        other.mac = Mac([2; 6]);
        assert!(answer(&other, &policy).ends_with("/boot/02-02-02-02-02-02.ipxe"));
    }

    #[test]
    fn without_ipxe_a_boot_file_goes_straight_to_the_firmware() {
        let mut policy = guide();
        policy.ipxe.clear();
        assert_eq!(answer(&facts(Stage::Pxe, 0), &policy), "tftp pxelinux.0");
        assert_eq!(answer(&facts(Stage::Pxe, 0), &Policy { ipxe: BTreeMap::new(), ..linux() }), "nothing");
    }

    #[test]
    fn a_service_that_is_off_is_never_promised() {
        assert_eq!(answer(&facts(Stage::HttpBoot, 16), &Policy { http_port: None, ..linux() }), "nothing");
        assert_eq!(answer(&facts(Stage::Pxe, 0), &Policy { tftp: false, ..linux() }), "nothing");
        let no_http = Policy { http_port: None, ..linux() };
        assert_eq!(answer(&facts(Stage::Ipxe, 0), &no_http), "tftp boot/52-54-00-00-00-01.ipxe");
    }
}
