//! The catalogue: everything that can happen in a boot, as typed events.
//!
//! One event is one JSON object: `at` (RFC 3339, UTC), `machine` (MAC address, absent when the event is about the host),
//! `client` (the IPv4 address that asked for a file or a name), `step` (the variant's name in kebab case) and the variant's own fields.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use jiff::Timestamp;
use mac::Mac;
use serde::{Deserialize, Serialize};

/// One thing that happened, when, and to which machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Mac>,
    /// The address that asked, where that is how the machine was told: for files and names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Ipv4Addr>,
    /// Where a DHCP message arrived, where more than one interface is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    #[serde(flatten)]
    pub step: Step,
}

/// How far a machine has come, told from its DHCP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The firmware's own PXE (vendor class `PXEClient`).
    Pxe,
    /// UEFI HTTP Boot (vendor class `HTTPClient`).
    HttpBoot,
    /// iPXE, from a ROM or chained.
    Ipxe,
    /// Anything else: an operating system, or a device that does not boot from us.
    Os,
}

/// What a served file is to the boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A network bootstrap program: iPXE, pxelinux.0, GRUB, shim.
    Loader,
    /// An iPXE script, generated or the user's own.
    Script,
    Kernel,
    Initrd,
    /// Everything else: menus, modules, configuration of a loader.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    Tftp,
    Http,
}

/// Why a look-up gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Unresolved {
    /// There is no such name. `by`: the upstream server that says so; absent when we do.
    NoSuchName {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<SocketAddr>,
    },
    /// None of these upstream servers gave an answer.
    NoAnswer { asked: Vec<Asked> },
    /// There is no upstream server to ask.
    NoServer,
    /// `code`: the reply's, by its name in DNS: `REFUSED`, `SERVFAIL`. `by`: the server that gave it; absent for us.
    Refused {
        code: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<SocketAddr>,
    },
}

/// An upstream server that was asked in vain.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Asked {
    pub server: SocketAddr,
    pub said: Said,
}

/// What came of asking an upstream server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// Nothing in time.
    Silent,
    /// There is no way to it, or nobody listens there.
    Unreachable,
    /// Something that is no answer to the question.
    Malformed,
    /// The name of a code: `SERVFAIL`, `REFUSED`.
    Code(String),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    // ---- DHCP: what the machine asked
    /// DHCPDISCOVER. `arch`: the client architecture's name (option 93). `firmware`: e.g. `UNDI 2.1`, `iPXE 1.0.0`. `asked`:
    /// the address that it would like (option 50).
    DhcpDiscover {
        stage: Stage,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        arch: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        vendor_class: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        firmware: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        relay: Option<Ipv4Addr>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked: Option<Ipv4Addr>,
    },
    /// DHCPOFFER left. `because`: the rules that chose the boot file, in order.
    DhcpOffer {
        address: Ipv4Addr,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        boot_file: Option<String>,
        because: Vec<String>,
    },
    /// DHCPACK left, its lease on disk. `stage`: who asked. `renewal`: the client already used the address. `name`: the
    /// machine's, in the lease.
    DhcpAck {
        stage: Stage,
        address: Ipv4Addr,
        lease_secs: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        boot_file: Option<String>,
        renewal: bool,
        because: Vec<String>,
    },
    /// DHCPACK to a DHCPINFORM: options only, no lease.
    DhcpInform {
        address: Ipv4Addr,
    },
    /// A request was passed on to these servers, which answer it.
    DhcpRelayed {
        to: Vec<SocketAddrV4>,
    },
    DhcpNak {
        address: Ipv4Addr,
        because: String,
    },
    /// A machine that gets its address elsewhere was told what to boot (proxyDHCP), from this port: 67, or 4011 where it
    /// came back for more. `boot_file` is absent where a menu, or port 4011, says more.
    ProxyAnswer {
        stage: Stage,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        boot_file: Option<String>,
        port: u16,
        because: Vec<String>,
    },
    /// The machine takes an address from another DHCP server, beside which we answer. `server`: absent when it renews.
    AddressElsewhere {
        stage: Stage,
        address: Ipv4Addr,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        server: Option<Ipv4Addr>,
    },
    DhcpDecline {
        address: Ipv4Addr,
    },
    DhcpRelease {
        address: Ipv4Addr,
    },
    /// A packet that got no answer, and why.
    DhcpIgnored {
        because: String,
    },
    /// The conflict check found somebody on a free address; it is set aside.
    AddressInUse {
        address: Ipv4Addr,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Mac>,
    },
    /// The machine was given the same loader again and again and never got past it; it is given none for a while.
    LoopBroken {
        loader: String,
        times: u32,
    },

    // ---- files
    /// A ROM asked for a file's size and hung up, as ROMs do before the real transfer.
    SizeProbe {
        protocol: Protocol,
        file: String,
        octets: u64,
    },
    /// A whole file (or the asked range of it) was sent. `asked`: the name as the client wrote it, where it differs.
    FileSent {
        protocol: Protocol,
        file: String,
        role: Role,
        octets: u64,
        millis: u64,
        /// TFTP blocks sent more than once; 0 for HTTP.
        retransmits: u32,
    },
    /// A transfer that did not end well. `because` says whose fault, in plain words.
    FileFailed {
        protocol: Protocol,
        file: String,
        octets: u64,
        because: String,
    },
    FileNotFound {
        protocol: Protocol,
        file: String,
        because: String,
    },

    // ---- names
    /// A booting machine looked up a name, and was answered. `kind`: the record type: `A`, `AAAA`. `answers`: as text;
    /// none when the name has no such record. `local`: known here, not asked of others.
    LookedUp {
        name: String,
        kind: String,
        answers: Vec<String>,
        local: bool,
        millis: u64,
    },
    /// A booting machine looked up a name in vain.
    LookUpFailed {
        name: String,
        kind: String,
        why: Unresolved,
    },

    // ---- what the machine told us itself
    /// iPXE could not go on and said so. `what`: which step failed; `error`: iPXE's own code.
    IpxeFailed {
        what: String,
        error: String,
    },
    /// The operating system is up. `how`: `reported` (it called /report/up) or `dhcp` (it asked for an address).
    OsUp {
        how: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// Free text that a machine sent to /report/….
    Report {
        what: String,
        text: String,
    },

    // ---- the host
    /// Something was changed on the host, or put back.
    Host {
        action: String,
    },
    /// A service is ready. In JSON the place is `address`, as `at` is the event's time.
    Listening {
        service: String,
        #[serde(rename = "address")]
        at: SocketAddr,
    },
    /// After a [`Step::Warning`] that they could not be written.
    LeasesWritten,
    /// Worth a person's attention. `fix`: what to do about it.
    Warning {
        text: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fix: Option<String>,
    },

    // ---- the lab
    VmStarted {
        name: String,
        firmware: String,
        pid: u32,
    },
    /// A line on a VM's serial console that the lab watches for.
    Console {
        line: String,
    },
    /// The lab typed on a VM's keyboard.
    Typed {
        keys: String,
    },
    VmStopped {
        name: String,
        because: String,
    },
    Verdict {
        name: String,
        passed: bool,
        because: String,
    },
}
