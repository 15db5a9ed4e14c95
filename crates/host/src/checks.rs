//! Everything about the host that would keep a network from working, found without changing anything.

use std::fmt;
use std::fs;
use std::path::Path;
use std::thread;

use mac::Mac;
use nix::sched::{CloneFlags, unshare};

use crate::finding::{Finding, Refusal, Severity};
use crate::nat::{Nat, Rules};
use crate::plan::{PlanError, plan};
use crate::rtnl::Rtnl;
use crate::{LinkSpec, NetworkSpec};

/// A capability that serving needs (capabilities(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// To make bridges, addresses and rules.
    NetAdmin,
    /// To answer clients that have no address yet, and to ask for addresses in use.
    NetRaw,
    /// To listen on ports 67, 69 and 80.
    NetBindService,
}

impl Right {
    fn bit(self) -> u32 {
        match self {
            Right::NetBindService => 10,
            Right::NetAdmin => 12,
            Right::NetRaw => 13,
        }
    }

    fn purpose(self) -> &'static str {
        match self {
            Right::NetAdmin => "changing the host's network",
            Right::NetRaw => "answering machines that have no address yet",
            Right::NetBindService => "listening on ports 67, 69 and 80",
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Right::NetAdmin => "CAP_NET_ADMIN",
            Right::NetRaw => "CAP_NET_RAW",
            Right::NetBindService => "CAP_NET_BIND_SERVICE",
        })
    }
}

/// Everything that [`plan`] would refuse or warn about, rights that are missing, and what the kernel lacks.
pub fn check(spec: &NetworkSpec, state_dir: &Path) -> Vec<Finding> {
    let missing = missing_rights();
    let mut findings: Vec<Finding> = match plan(spec, state_dir) {
        Ok(plan) => {
            // Told with the other rights, unless it is only this network that we have no right over.
            let told = |refusal: &&Refusal| **refusal == Refusal::NoRight && missing.contains(&Right::NetAdmin);
            let blocked = plan.blocked.iter().filter(|refusal| !told(refusal)).map(Finding::from);
            blocked.chain(plan.warnings.iter().map(Finding::from)).collect()
        }
        Err(PlanError::Refused(refusals)) => refusals.iter().map(Finding::from).collect(),
        Err(PlanError::BadRecord(error)) => vec![problem(error.to_string(), error.fix())],
        Err(PlanError::Unreadable(error)) => vec![problem(
            format!("the host's network could not be read: {error}"),
            "see whether it helps to run it as root".to_owned(),
        )],
    };
    findings.extend(lacking(&missing));
    findings.extend(kernel_features(spec));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

/// What keeps this process from serving any network, whichever it is.
pub fn check_rights() -> Option<Finding> {
    lacking(&missing_rights())
}

fn lacking(rights: &[Right]) -> Option<Finding> {
    let each: Vec<String> = rights.iter().map(|right| format!("{right} ({})", right.purpose())).collect();
    let text = || format!("this process lacks {}", each.join(", "));
    (!rights.is_empty()).then(|| problem(text(), Refusal::NoRight.fix()))
}

/// The rights that this process lacks for serving.
pub fn missing_rights() -> Vec<Right> {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let unprivileged = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap_or_default();
    missing_from(effective(&status), unprivileged.trim().parse().unwrap_or(1024))
}

/// CapEff, as /proc/PID/status has it.
fn effective(status: &str) -> u64 {
    let value = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    value.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0)
}

/// `free_from`: the first port that needs no right.
fn missing_from(effective: u64, free_from: u32) -> Vec<Right> {
    const LOWEST_PORT: u32 = 67;
    let mut needed = vec![Right::NetAdmin, Right::NetRaw];
    if free_from > LOWEST_PORT {
        needed.push(Right::NetBindService);
    }
    needed.retain(|right| effective & 1 << right.bit() == 0);
    needed
}

/// What `spec` needs and the kernel lacks, found by trying it in a network namespace that ends with the attempt.
///
/// Making a namespace takes CAP_SYS_ADMIN; without that, nothing is found.
pub fn kernel_features(spec: &NetworkSpec) -> Vec<Finding> {
    let spec = spec.clone();
    let attempt = thread::spawn(move || match unshare(CloneFlags::CLONE_NEWNET) {
        Ok(()) => try_features(&spec),
        Err(_) => Vec::new(),
    });
    attempt.join().unwrap_or_default()
}

/// Changes the calling thread's namespace.
fn try_features(spec: &NetworkSpec) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let LinkSpec::Bridge { name, .. } = &spec.link {
        let made = Rtnl::open().and_then(|mut rtnl| rtnl.make_bridge(name, Mac([2, 0, 0, 0, 0, 1])));
        let fix = "modprobe bridge, or use a kernel with CONFIG_BRIDGE";
        findings.extend(made.err().map(|error| problem(format!("no bridge can be made: {error}"), fix.to_owned())));
    }
    let subnet = spec.address.unwrap_or_default().trunc();
    let masquerade = spec.masquerade.then_some(subnet);
    let rules = Rules { interface: spec.link.name().to_owned(), masquerade, forwards: spec.forwards.clone() };
    if !rules.is_empty() {
        let fix = "modprobe -a nf_tables nft_chain_nat nft_masq nft_nat, or use a kernel with CONFIG_NFT_NAT and CONFIG_NFT_MASQ";
        let error = Nat::install(&rules).err();
        findings.extend(
            error.map(|error| problem(format!("no address translation can be set up: {error}"), fix.to_owned())),
        );
    }
    findings
}

fn problem(text: String, fix: String) -> Finding {
    Finding { severity: Severity::Problem, text, fix }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_rights_are_told_together_with_what_they_are_for() {
        let text = "this process lacks CAP_NET_RAW (answering machines that have no address yet), \
                    CAP_NET_BIND_SERVICE (listening on ports 67, 69 and 80)";
        assert_eq!(lacking(&[Right::NetRaw, Right::NetBindService]).unwrap().text, text);
        assert_eq!(lacking(&[]), None);
    }

    #[test]
    fn rights_are_read_from_the_effective_set() {
        let status = "Name:\tx\nCapPrm:\t0000000000000000\nCapEff:\t0000000000003400\n";
        assert_eq!(missing_from(effective(status), 1024), []);
        assert_eq!(missing_from(1 << 12, 1024), [Right::NetRaw, Right::NetBindService]);
        assert_eq!(missing_from(1 << 13, 0), [Right::NetAdmin], "ports may be free for all");
    }
}
