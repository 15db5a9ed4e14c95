//! Where a boot that says nothing more has stopped, and why that usually is.

use std::borrow::Cow;
use std::net::Ipv4Addr;

use jiff::{SignedDuration, Timestamp};
use mac::Mac;
use serde::Serialize;

use crate::lookups::Failed;
use crate::timeline::millis_between;
use crate::words::{clean, general, seconds};
use crate::{Boot, Protocol, Role, Stage, Step, console, lookup};

/// A boot that has been silent for longer than it should be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stuck {
    /// What was heard last and what did not follow.
    pub what: String,
    /// Likely causes, the likeliest first, each with its remedy.
    pub causes: Vec<Cow<'static, str>>,
}

/// Where a boot stands still, to be told once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Standstill {
    started: Timestamp,
    waiting: Waiting,
    failed: Option<Failed>,
}

impl Standstill {
    pub(crate) fn of(boot: &Boot) -> Standstill {
        Standstill { started: boot.started, waiting: boot.waiting.clone(), failed: boot.lookups.failed().cloned() }
    }

    pub(crate) fn is_of(&self, boot: &Boot) -> bool {
        self.started == boot.started && self.waiting == boot.waiting && self.failed.as_ref() == boot.lookups.failed()
    }
}

/// What must come next for the boot to go on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Waiting {
    /// All is well, or nobody can tell.
    #[default]
    Nothing,
    FirstPacket,
    OurOffer {
        because: Option<String>,
    },
    Request {
        address: Ipv4Addr,
    },
    /// Another server must give it an address. `file`: what we told it to boot, if we have.
    Elsewhere {
        file: Option<String>,
    },
    /// It has an address and must come to port 4011 to hear what to boot.
    BootServer {
        address: Ipv4Addr,
    },
    BootFile {
        address: Ipv4Addr,
        file: String,
        stage: Stage,
    },
    /// It has an address and nothing to boot.
    Policy {
        address: Ipv4Addr,
        stage: Stage,
    },
    /// It knows the size and must fetch the file.
    Transfer {
        file: String,
    },
    /// It must try again.
    Retry {
        file: String,
        because: String,
    },
    /// It must ask for another file. `needed`: it cannot go on without this one.
    Found {
        file: String,
        needed: bool,
    },
    Ipxe {
        loader: String,
    },
    LoaderFiles {
        loader: String,
    },
    /// It has fetched a menu or the like.
    Choice {
        file: String,
    },
    Kernel {
        script: String,
    },
    Initrd,
    Os,
    /// Its kernel is seen to run.
    Report,
}

/// Seconds to wait, and what usually is wrong then, the likeliest first.
///
/// Only the end of a transfer is an event, and several emulated machines on few processors take ten times as long as one
/// of metal for all they do: what may take long in good health is given the time.
struct Row(u64, &'static [&'static str]);

#[rustfmt::skip]
const POWER_ON: Row = Row(90, &[
    "network boot is off, or not first in the firmware's boot order",
    "the cable or bridge port is down, or the switch port still learns (spanning tree: switch on portfast)",
]);
#[rustfmt::skip]
const NO_OFFER: Row = Row(8, &[
    "the reason for no answer stands above; `lanboot explain` tells which rule decides",
]);
// UEFI gathers offers for 4 s and more before it takes one.
#[rustfmt::skip]
const NO_REQUEST: Row = Row(20, &[
    "it took the offer of another DHCP server: `lanboot check` looks for one",
    "our answer does not reach it: a firewall, a VLAN or a relay on the way drops UDP port 68",
]);
#[rustfmt::skip]
const NO_ADDRESS: Row = Row(20, &[
    "the other DHCP server gives it no address: see whether it runs and has some left",
    "the other DHCP server names a boot server of its own: take its options 43, 60, 66 and 67 out",
]);
#[rustfmt::skip]
const NO_BOOT_SERVER: Row = Row(20, &[
    "a firewall drops UDP port 4011: allow it on this interface",
    "it waits at a menu or prompt: look at the screen",
]);
#[rustfmt::skip]
const NO_TFTP: Row = Row(15, &[
    "a firewall drops UDP port 69 (PXE-E18, PXE-E32): allow it on this interface",
    "another DHCP or PXE server names another boot file or server: `lanboot check` looks for one",
    "the firmware cannot find our address by ARP (PXE-E11): it must be on the same link or have a router",
]);
#[rustfmt::skip]
const NO_HTTP: Row = Row(15, &[
    "a firewall drops the HTTP port: allow it on this interface",
    "the firmware allows https only: permit plain HTTP boot in its setup, or boot by PXE",
]);
// iPXE may first look for an IPv6 router, for 16 s.
#[rustfmt::skip]
const NO_HTTP_IPXE: Row = Row(20, &[
    "a firewall drops the HTTP port: allow it on this interface",
    "this iPXE was built without HTTP: its screen says `Operation not supported`; set `replace_rom_ipxe = \"always\"`",
]);
#[rustfmt::skip]
const NO_BOOT_FILE: Row = Row(3, &[
    "nothing is configured for this machine or its architecture (PXE-E53): `lanboot explain` says why",
]);
#[rustfmt::skip]
const NO_TRANSFER: Row = Row(30, &[
    "the file is too large for the firmware's memory (BIOS: about 600 kB): give out undionly.kpxe",
    "larger packets get lost on the way: set `max_blksize` in `[tftp]` to less, such as 1024",
]);
#[rustfmt::skip]
const NO_RETRY: Row = Row(15, &[
    "the firmware gave up (PXE-E32) and may have gone on to its next boot device",
]);
#[rustfmt::skip]
const NO_FILE: Row = Row(10, &[
    "put the file where the published folders are, or correct the name that is configured",
]);
#[rustfmt::skip]
const NO_OTHER_FILE: Row = Row(60, &[
    "it waits at a menu or prompt: look at the screen",
    "it cannot go on without this file: put it where the published folders are",
]);
#[rustfmt::skip]
const NO_IPXE: Row = Row(30, &[
    "Secure Boot refuses it, as it is not signed: switch Secure Boot off",
    "it does not suit this firmware: try ipxe.efi in place of snponly.efi (or the other way round)",
    "the link went down when the driver started, and the switch port still learns (spanning tree: switch on portfast)",
]);
#[rustfmt::skip]
const NO_LOADER_FILES: Row = Row(30, &[
    "it waits at a menu or prompt: look at the screen",
    "Secure Boot refuses it, or it was made for another architecture",
]);
#[rustfmt::skip]
const NO_CHOICE: Row = Row(60, &[
    "it waits at a menu or prompt: look at the screen",
]);
#[rustfmt::skip]
const NO_KERNEL: Row = Row(60, &[
    "the script waits for a key, or failed: look at the screen",
    "a large kernel on a slow link is still on its way: it is told of when it is whole",
]);
#[rustfmt::skip]
const NO_INITRD: Row = Row(90, &[
    "the kernel runs and nothing in it reports: call /report/up when it is up",
    "a large initrd is still on its way: it is told of when it is whole",
    "it stopped early: add `console=ttyS0` or remove `quiet` to see where",
]);
#[rustfmt::skip]
const NO_OS: Row = Row(90, &[
    "the kernel runs and nothing in it reports: call /report/up when it is up",
    "it stopped early: add `console=ttyS0` or remove `quiet` to see where; the initrd may lack the network driver",
    "the kernel was made for another architecture, or needs more memory than the machine has",
]);
#[rustfmt::skip]
const NO_REPORT: Row = Row(90, &[
    "nothing in it reports: call /report/up when it is up",
    "it waits for a person, or its initrd lacks the network driver: look at the screen",
]);

impl Waiting {
    /// What must follow after this step. Returns whether the step says anything about that. `needed`: the boot cannot go
    /// on without the file that the step is about.
    pub(crate) fn learn(&mut self, step: &Step, needed: bool) -> bool {
        let next = self.after(step, needed);
        let learnt = next.is_some();
        *self = next.unwrap_or_else(|| std::mem::take(self));
        learnt
    }

    fn after(&self, step: &Step, needed: bool) -> Option<Waiting> {
        Some(match step {
            Step::VmStarted { .. } => Waiting::FirstPacket,
            Step::DhcpDiscover { stage: Stage::Os, .. } => return None,
            Step::DhcpDiscover { .. } => Waiting::OurOffer { because: None },
            Step::DhcpIgnored { because } if matches!(self, Waiting::OurOffer { .. }) => {
                Waiting::OurOffer { because: Some(because.clone()) }
            }
            Step::DhcpOffer { address, .. } => match self {
                Waiting::OurOffer { .. } | Waiting::Request { .. } => Waiting::Request { address: *address },
                _ => return None,
            },
            Step::ProxyAnswer { stage, boot_file, .. } => match (self, boot_file) {
                (Waiting::BootServer { address } | Waiting::BootFile { address, .. }, Some(file)) => {
                    Waiting::BootFile { address: *address, file: file.clone(), stage: *stage }
                }
                (Waiting::BootServer { .. } | Waiting::BootFile { .. }, None) => return None,
                (_, file) => Waiting::Elsewhere { file: file.clone() },
            },
            Step::AddressElsewhere { stage: Stage::Os, .. } => return None,
            Step::AddressElsewhere { address, stage, .. } => match self {
                Waiting::Elsewhere { file: Some(file) } => {
                    Waiting::BootFile { address: *address, file: file.clone(), stage: *stage }
                }
                Waiting::Elsewhere { file: None } => Waiting::BootServer { address: *address },
                _ => return None,
            },
            Step::DhcpAck { stage: Stage::Os, .. } | Step::DhcpAck { renewal: true, .. } => return None,
            Step::DhcpAck { address, boot_file: Some(file), stage, .. } => {
                Waiting::BootFile { address: *address, file: file.clone(), stage: *stage }
            }
            Step::DhcpAck { address, stage, .. } => Waiting::Policy { address: *address, stage: *stage },
            Step::SizeProbe { protocol: Protocol::Tftp, file, .. } => Waiting::Transfer { file: file.clone() },
            Step::FileSent { file, role, .. } => match role {
                Role::Loader if is_ipxe(file) => Waiting::Ipxe { loader: file.clone() },
                Role::Loader => Waiting::LoaderFiles { loader: file.clone() },
                Role::Script => Waiting::Kernel { script: file.clone() },
                Role::Kernel => Waiting::Initrd,
                Role::Initrd => Waiting::Os,
                Role::Other if self.has_kernel() => return None,
                Role::Other => Waiting::Choice { file: file.clone() },
            },
            Step::FileFailed { file, because, .. } => Waiting::Retry { file: file.clone(), because: because.clone() },
            Step::FileNotFound { file, .. } if needed => Waiting::Found { file: file.clone(), needed },
            Step::FileNotFound { file, .. } => match self {
                Waiting::BootFile { .. }
                | Waiting::LoaderFiles { .. }
                | Waiting::Choice { .. }
                | Waiting::Found { .. } => Waiting::Found { file: file.clone(), needed },
                _ => return None,
            },
            Step::Console { line } if console::kernel_runs(line) && *self != Waiting::Nothing => Waiting::Report,
            // Said already, and not by silence.
            Step::OsUp { .. } | Step::Verdict { .. } | Step::VmStopped { .. } => Waiting::Nothing,
            Step::LoopBroken { .. } | Step::IpxeFailed { .. } => Waiting::Nothing,
            _ => return None,
        })
    }

    /// Whether what follows is no longer ours to send.
    fn has_kernel(&self) -> bool {
        matches!(self, Waiting::Nothing | Waiting::Initrd | Waiting::Os | Waiting::Report)
    }

    fn row(&self) -> Option<&'static Row> {
        Some(match self {
            Waiting::Nothing => return None,
            Waiting::FirstPacket => &POWER_ON,
            Waiting::OurOffer { .. } => &NO_OFFER,
            Waiting::Request { .. } => &NO_REQUEST,
            Waiting::Elsewhere { .. } => &NO_ADDRESS,
            Waiting::BootServer { .. } => &NO_BOOT_SERVER,
            Waiting::BootFile { file, stage, .. } => match (file.starts_with("http"), stage) {
                (true, Stage::Ipxe) => &NO_HTTP_IPXE,
                (true, _) => &NO_HTTP,
                (false, _) => &NO_TFTP,
            },
            Waiting::Policy { .. } => &NO_BOOT_FILE,
            Waiting::Transfer { .. } => &NO_TRANSFER,
            Waiting::Retry { .. } => &NO_RETRY,
            Waiting::Found { needed: true, .. } => &NO_FILE,
            Waiting::Found { .. } => &NO_OTHER_FILE,
            Waiting::Ipxe { .. } => &NO_IPXE,
            Waiting::LoaderFiles { .. } => &NO_LOADER_FILES,
            Waiting::Kernel { .. } => &NO_KERNEL,
            Waiting::Choice { .. } => &NO_CHOICE,
            Waiting::Initrd => &NO_INITRD,
            Waiting::Os => &NO_OS,
            Waiting::Report => &NO_REPORT,
        })
    }

    fn sentence(&self, ago: &str) -> String {
        match self {
            Waiting::Nothing => String::new(),
            Waiting::FirstPacket => format!("switched on {ago} ago, but it has not asked for an address"),
            Waiting::OurOffer { because: None } => format!("asked for an address {ago} ago and got no answer"),
            Waiting::OurOffer { because: Some(because) } => {
                format!("asked for an address {ago} ago and got no answer: {}", clean(because))
            }
            Waiting::Request { address } => format!("was offered {address} {ago} ago, but did not take it"),
            Waiting::Elsewhere { .. } => {
                format!("was told what to boot {ago} ago, but took no address from another server")
            }
            Waiting::BootServer { address } => {
                format!("has {address} since {ago}, but did not come to port 4011 for what to boot")
            }
            Waiting::BootFile { address, file, .. } => {
                let protocol = if file.starts_with("http") { "HTTP" } else { "TFTP" };
                format!("was given {address} with {} {ago} ago, but no {protocol} request came", clean(file))
            }
            Waiting::Policy { address, stage: Stage::Ipxe } => {
                format!("iPXE was given {address} {ago} ago, but nothing to boot")
            }
            Waiting::Policy { address, .. } => format!("was given {address} {ago} ago, but no boot file"),
            Waiting::Transfer { file } => format!("asked how large {} is {ago} ago, but never fetched it", clean(file)),
            Waiting::Retry { file, because } => {
                format!(
                    "the transfer of {} broke off {ago} ago ({}), and it has not tried again",
                    clean(file),
                    clean(because)
                )
            }
            Waiting::Found { file, needed: true } => format!("asked for {} {ago} ago, which is not there", clean(file)),
            Waiting::Found { file, .. } => {
                format!("asked for {} {ago} ago, which is not there, and for nothing since", clean(file))
            }
            Waiting::Ipxe { loader } => {
                format!("fetched {} {ago} ago, but iPXE never asked for an address", clean(loader))
            }
            Waiting::LoaderFiles { loader } => format!("fetched {} {ago} ago and nothing after it", clean(loader)),
            Waiting::Kernel { script } => format!("fetched {} {ago} ago, but no kernel", clean(script)),
            Waiting::Choice { file } => format!("fetched {} {ago} ago, but no kernel yet", clean(file)),
            Waiting::Initrd => format!("kernel sent {ago} ago; nothing heard since"),
            Waiting::Os => format!("kernel and initrd sent {ago} ago; nothing heard since"),
            Waiting::Report => format!("its kernel started {ago} ago; nothing says that its system is up"),
        }
    }
}

impl Waiting {
    /// What many machines at once have in common that wait for this.
    fn kind(&self, machine: Mac) -> String {
        match self {
            Waiting::Nothing => String::new(),
            Waiting::FirstPacket => "switched on, but asked for no address".to_owned(),
            Waiting::OurOffer { because: None } => "asked for an address and got no answer".to_owned(),
            Waiting::OurOffer { because: Some(because) } => {
                format!("got no address: {}", general(&clean(because), machine))
            }
            Waiting::Request { .. } => "did not take the address that was offered".to_owned(),
            Waiting::Elsewhere { .. } => "took no address from another server".to_owned(),
            Waiting::BootServer { .. } => "did not come to port 4011 for what to boot".to_owned(),
            Waiting::BootFile { file, .. } => {
                let protocol = if file.starts_with("http") { "HTTP" } else { "TFTP" };
                format!("have an address, but no {protocol} request came for {}", general(&clean(file), machine))
            }
            Waiting::Policy { stage: Stage::Ipxe, .. } => "run iPXE and were told nothing to boot".to_owned(),
            Waiting::Policy { .. } => "have an address, but no boot file".to_owned(),
            Waiting::Transfer { file } => format!("asked for the size of {} only", clean(file)),
            Waiting::Retry { because, .. } => {
                format!("their transfer broke off, and they did not try again: {}", general(&clean(because), machine))
            }
            Waiting::Found { file, needed: true } => {
                format!("asked for {}, which is not there", general(&clean(file), machine))
            }
            Waiting::Found { .. } => "asked for a file that is not there, and for nothing since".to_owned(),
            Waiting::Ipxe { loader } => format!("fetched {}, but iPXE never asked for an address", clean(loader)),
            Waiting::LoaderFiles { loader } => format!("fetched {} and nothing after it", clean(loader)),
            Waiting::Kernel { script } => format!("fetched {}, but no kernel", general(&clean(script), machine)),
            Waiting::Choice { file } => format!("fetched {}, but no kernel yet", general(&clean(file), machine)),
            Waiting::Initrd => "have their kernel; nothing heard since".to_owned(),
            Waiting::Os => "have their kernel and initrd; nothing heard since".to_owned(),
            Waiting::Report => "their kernel started; nothing says that their system is up".to_owned(),
        }
    }
}

/// Whether a loader goes on with a DHCP exchange of its own, told from the names that iPXE's binaries have.
fn is_ipxe(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    ["ipxe", "undionly", "snponly", "intel.", "realtek."].iter().any(|part| name.contains(part))
}

impl Boot {
    /// Where the boot stopped and the likely causes, when it has been silent for too long by `now`.
    pub fn stuck(&self, now: Timestamp) -> Option<Stuck> {
        self.stuck_at_name(now).or_else(|| self.stuck_without_step(now))
    }

    /// What many stuck machines have in common, with the likeliest cause.
    pub(crate) fn stuck_kind(&self, now: Timestamp) -> Option<(String, Option<Cow<'static, str>>)> {
        let cause = self.stuck(now)?.causes.into_iter().next();
        let kind = match self.stuck_at_name(now).and(self.lookups.failed()) {
            Some(failed) => {
                format!("cannot look up {}: {}", clean(&failed.name), lookup::reason(&failed.name, &failed.why))
            }
            None => self.waiting.kind(self.machine),
        };
        Some((kind, cause))
    }

    /// When it is to be looked at, unless something happens until then: it may be stuck from then on.
    pub(crate) fn patience_ends(&self) -> Option<Timestamp> {
        let of_step = self.waiting.row().map(|Row(secs, _)| *secs);
        let secs = of_step.into_iter().chain(self.lookups.patience()).min()?;
        Some(self.last + SignedDuration::from_secs(i64::try_from(secs).ok()?))
    }

    /// Whether this standstill was told of.
    pub(crate) fn is_told_stuck(&self) -> bool {
        self.told_stuck.as_ref().is_some_and(|told| told.is_of(self))
    }

    fn stuck_without_step(&self, now: Timestamp) -> Option<Stuck> {
        let Row(patience, causes) = self.waiting.row()?;
        if millis_between(self.last, now) < patience * 1000 {
            return None;
        }
        let ago = seconds(millis_between(self.waiting_since, now));
        Some(Stuck {
            what: self.waiting.sentence(&ago),
            causes: causes.iter().map(|cause| Cow::Borrowed(*cause)).collect(),
        })
    }
}
