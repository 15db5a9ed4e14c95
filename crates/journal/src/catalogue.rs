//! What each kind of event means, for docs/events.md.

/// One kind of event.
pub struct About {
    /// The value of `step`.
    pub name: &'static str,
    /// The fields beside `at`, `machine` and `step`, in order; those that may be absent end in `?`.
    pub fields: &'static [&'static str],
    pub meaning: &'static str,
}

const fn about(name: &'static str, fields: &'static [&'static str], meaning: &'static str) -> About {
    About { name, fields, meaning }
}

/// Every kind, in the order of [`crate::Step`].
#[rustfmt::skip]
pub const CATALOGUE: &[About] = &[
    about("dhcp-discover", &["stage", "arch?", "vendor_class?", "firmware?", "relay?", "asked?"],
        "DHCPDISCOVER. `stage`: `pxe`, `http-boot`, `ipxe` or `os`. `arch`: option 93 by name. `relay`: its address (giaddr). `asked`: the address that it would like (option 50)."),
    about("dhcp-offer", &["address", "boot_file?", "because"],
        "DHCPOFFER left. `because`: the rules that chose the boot file, in order."),
    about("dhcp-ack", &["stage", "address", "lease_secs", "name?", "boot_file?", "renewal", "because"],
        "DHCPACK left, its lease on disk. `name`: of the machine, in the lease. `renewal`: the client already used the address."),
    about("dhcp-inform", &["address"], "DHCPACK to a DHCPINFORM: options only, no lease."),
    about("dhcp-relayed", &["to"], "A request was passed on to these servers, which answer it (address and port)."),
    about("dhcp-nak", &["address", "because"], "DHCPNAK left: the client must not use the address it asked for."),
    about("proxy-answer", &["stage", "boot_file?", "port", "because"],
        "A machine that gets its address from another DHCP server was told what to boot, from `port` 67 or 4011. `boot_file` is absent where a menu, or port 4011, says more."),
    about("address-elsewhere", &["stage", "address", "server?"],
        "A machine that boots from us takes `address` from another DHCP server. `server` is absent when it renews."),
    about("dhcp-decline", &["address"], "DHCPDECLINE: the client found somebody else on the address; it is set aside."),
    about("dhcp-release", &["address"], "DHCPRELEASE: the client gave its address back."),
    about("dhcp-ignored", &["because"], "A packet that got no answer, and why."),
    about("address-in-use", &["address", "by?"],
        "The conflict check found somebody on a free address; it is set aside. `by`: that machine's MAC address."),
    about("loop-broken", &["loader", "times"],
        "The machine was given the same loader again and again and never got past it; it is given none for a while."),
    about("size-probe", &["protocol", "file", "octets"],
        "A ROM asked for a file's size and hung up, as ROMs do before the real transfer."),
    about("file-sent", &["protocol", "file", "role", "octets", "millis", "retransmits"],
        "A file, or the asked range of it, was sent. `role`: `loader`, `script`, `kernel`, `initrd` or `other`. `retransmits`: TFTP blocks sent again."),
    about("file-failed", &["protocol", "file", "octets", "because"], "A transfer that did not end well; `octets` of it were sent."),
    about("file-not-found", &["protocol", "file", "because"], "A file was asked for that is not published. Loaders try several names: not always an error."),
    about("looked-up", &["name", "kind", "answers", "local", "millis"],
        "A booting machine looked up a name, and was answered. `kind`: the record type (`A`, `AAAA`). `answers`: as text; none when the name has no such record. `local`: known here, not asked of others."),
    about("look-up-failed", &["name", "kind", "why"],
        "A booting machine looked up a name in vain. `why` is an object; its `reason` is `no-such-name` (`by?`: the upstream server that says so, absent when we do), `no-answer` (`asked`: each upstream `server` with what it `said`: `silent`, `unreachable`, `malformed` or `{\"code\":\"SERVFAIL\"}`), `no-server` (there is none to ask) or `refused` (`code`, and `by?`)."),
    about("ipxe-failed", &["what", "error"], "iPXE could not go on and said so. `what`: which step failed. `error`: iPXE's own code."),
    about("os-up", &["how", "detail?"], "The operating system is up. `how`: `reported` (it called /report/up) or `dhcp` (it asked for an address)."),
    about("report", &["what", "text"], "Free text that a machine sent to /report/…."),
    about("host", &["action"], "Something was changed on the host, or put back."),
    about("listening", &["service", "address"], "A service is ready at this address and port."),
    about("leases-written", &[], "Leases can be written again, after a `warning` that they could not: new ones are given out."),
    about("warning", &["text", "fix?"], "Worth a person's attention. `fix`: what to do about it."),
    about("vm-started", &["name", "firmware", "pid"], "The lab started a virtual machine."),
    about("console", &["line"], "A line on a VM's serial console that the lab watches for."),
    about("typed", &["keys"], "The lab typed on a VM's keyboard."),
    about("vm-stopped", &["name", "because"], "A virtual machine is gone."),
    about("verdict", &["name", "passed", "because"], "Whether a VM of the lab booted as expected."),
];

const HEAD: &str = "\
# Events

Everything that lanboot does or sees is one event. `lanboot up --log json` and `lanboot lab --log json` print one JSON
object per event and line:

```json
{\"at\":\"2026-01-01T12:00:00.5Z\",\"machine\":\"52:54:00:00:00:01\",\"step\":\"dhcp-nak\",\"address\":\"10.0.1.7\",\"because\":\"…\"}
```

`at` is the time (RFC 3339, UTC), `machine` the machine's MAC address (absent when the event is about the host, or when
nobody knows whose the address is), `client` the IPv4 address that asked (for files and names), `interface` where a DHCP message
arrived (where more than one is served), `step` the kind of event; the other fields depend on it. A `?` marks fields that may be absent. Readers should pass over steps and
fields they do not know: there will be more.

This page is printed from `crates/journal/src/catalogue.rs`, and a test compares the two.

| step | fields | meaning |
|---|---|---|
";

/// The text of docs/events.md.
pub fn markdown() -> String {
    let row = |about: &About| {
        let fields: Vec<String> = about.fields.iter().map(|field| format!("`{field}`")).collect();
        format!("| `{}` | {} | {} |\n", about.name, fields.join(", "), about.meaning)
    };
    HEAD.to_owned() + &CATALOGUE.iter().map(row).collect::<String>()
}
