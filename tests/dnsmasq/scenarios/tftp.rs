//! TFTP.

use crate::tftp::{Part, Transfers, get, get_as, run};

const ROOT: &[&str] = &["enable-tftp", "tftp-root=FOLDER/root"];

fn rooted<'a>(more: &[&'a str]) -> Vec<&'a str> {
    ROOT.iter().chain(more).copied().collect()
}

#[test]
fn names() {
    const CASE: &str = "a name that differs in case only is found, since Windows boot managers ask so";
    const DOTS: &str = "`..` that stays inside the root is harmless, and loaders write it";
    const FOLDER: &str = "what is no file is not there: RFC 1350 error 1";
    run(&[Transfers::new("names", ROOT)
        .then("plain", get("file", &[]))
        .then("with a slash", get("/file", &[]))
        .then("with two slashes", get("//file", &[]))
        .then("with a backslash", get("\\file", &[]))
        .then("in a folder, by backslash", get("sub\\a", &[]))
        .then("with a dot", get("./file", &[]))
        .then("absent", get("absent", &[]))
        .then("absent folder", get("absent/file", &[]))
        .then("in capitals", get("LOWER", &[]))
        .differs(Part::Kind, CASE)
        .then("above the root", get("../other/file", &[]))
        .then("above the root from a folder", get("sub/../../other/file", &[]))
        .then("up and down again", get("sub/../file", &[]))
        .differs(Part::Kind, DOTS)
        .then("a folder", get("sub", &[]))
        .differs(Part::Code, FOLDER)
        .then("a file as a folder", get("file/", &[]))
        .differs(Part::Kind, "a slash too many is passed over")
        .then("outside by its own path", get("/etc/passwd", &[]))
        .then("empty", get("", &[]))
        .then("in another script", get("\u{e9}", &[]))
        .then("too long", get(&"x".repeat(300), &[]))
        .differs(Part::Code, FOLDER)
        .then("not for everyone to read", get("private", &[]))
        .then("a link out of the root", get("link", &[]))
        .then("an absolute link", get("absolute", &[]))
        .then("a link inside", get("inside", &[]))]);
}

#[test]
fn options_and_blocks() {
    const TINY: &str = "RFC 2348: 8 is the least; what is less is left out";
    const NUMBER: &str = "what is no number is left out (RFC 2347)";
    const MORE: &str = "we have this option too (RFC 2349, RFC 7440)";
    run(&[Transfers::new("options", ROOT)
        .then("none", get("file", &[]))
        .then("a multiple of the block", get("exact", &[]))
        .then("an empty file", get("empty", &[]))
        .then("blksize", get("file", &[("blksize", "1024")]))
        .then("blksize that divides", get("file", &[("blksize", "1000")]))
        .then("the largest blksize", get("file", &[("blksize", "65464")]))
        .then("blksize that just fits", get("file", &[("blksize", "1468")]))
        .then("small blksize", get("exact", &[("blksize", "8")]))
        .then("blksize of 7", get("lower", &[("blksize", "7")]))
        .differs(Part::Kind, TINY)
        .then("blksize of 0", get("lower", &[("blksize", "0")]))
        .differs(Part::Kind, TINY)
        .then("blksize in words", get("lower", &[("blksize", "many")]))
        .differs(Part::Kind, NUMBER)
        .then("blksize in capitals", get("file", &[("BLKSIZE", "600")]))
        .then("tsize", get("file", &[("tsize", "0")]))
        .then("tsize of an empty file", get("empty", &[("tsize", "0")]))
        .differs(Part::Kind, "curl takes a tsize of 0 for a broken OACK")
        .then("tsize and blksize", get("file", &[("tsize", "0"), ("blksize", "1400")]))
        .then("timeout", get("file", &[("timeout", "3")]))
        .differs(Part::Kind, MORE)
        .then("windowsize of 1, with tsize", get("file", &[("windowsize", "1"), ("tsize", "0")]))
        .differs(Part::Options, MORE)
        .then("multicast", get("file", &[("multicast", "")]))
        .then("an unknown option and tsize", get("file", &[("rollover", "0"), ("tsize", "0")]))
        .then("mode in capitals", get_as("OCTET", "file", &[]))
        .then("text", get_as("netascii", "text", &[]))
        .then("text and tsize", get_as("netascii", "text", &[("tsize", "0")]))
        .then("text and blksize", get_as("netascii", "text", &[("blksize", "8")]))
        .then("text with returns", get_as("netascii", "returns", &[]))
        .differs(Part::Data, "RFC 764: a bare CR is CR NUL on the wire")]);
}

#[test]
fn what_is_no_read_request() {
    const UNKNOWN: &str = "RFC 1350: of a transfer that is not open, error 5";
    run(&[Transfers::new("refused", ROOT)
        .then("a write request", b"\0\x02new\0octet\0".to_vec())
        .then("mail", get_as("mail", "file", &[]))
        .then("an unknown opcode", b"\0\x09".to_vec())
        .then("a name without end", b"\0\x01file".to_vec())
        .then("a mode without end", b"\0\x01file\0octet".to_vec())
        .then("nothing but an opcode", b"\0\x01".to_vec())
        .then("an option without end", [&b"\0\x01lower\0octet\0blksize\0"[..], b"001024"].concat())
        .differs(Part::Kind, "some ROMs pad: what follows the last whole text is passed over")
        .then("a stray ACK", b"\0\x04\0\x01".to_vec())
        .differs(Part::Code, UNKNOWN)
        .then("stray DATA", b"\0\x03\0\x01abc".to_vec())
        .differs(Part::Code, UNKNOWN)
        .then("a stray OACK", b"\0\x06tsize\x000\0".to_vec())
        .differs(Part::Code, UNKNOWN)
        .then("an ERROR", b"\0\x05\0\0bye\0".to_vec())
        .we_are_silent("RFC 1350 section 7: an ERROR is never answered")
        .then("one octet", b"\0".to_vec())
        .silent()]);
}

#[test]
fn roots() {
    const STARS: &str = "a `*` in the interface of tftp-root is taken as in enable-tftp; dnsmasq never matches it";
    run(&[
        Transfers::new("the last root counts", &["enable-tftp", "tftp-root=FOLDER/root", "tftp-root=FOLDER/other"])
            .then("there", get("file", &[]))
            .then("not there", get("lower", &[])),
        Transfers::new("a root of the interface", &rooted(&["tftp-root=FOLDER/other,net"]))
            .then("there", get("file", &[]))
            .then("only in the general one", get("lower", &[])),
        Transfers::new("a root of another interface", &rooted(&["tftp-root=FOLDER/other,eth9"]))
            .then("there", get("file", &[])),
        Transfers::new(
            "two roots of the interface",
            &["enable-tftp", "tftp-root=FOLDER/other,net", "tftp-root=FOLDER/root,net"],
        )
        .then("there", get("file", &[])),
        Transfers::new("a pattern", &rooted(&["tftp-root=FOLDER/other,n*"]))
            .then("there", get("file", &[]))
            .differs(Part::Data, STARS),
        Transfers::new("no root", &["enable-tftp"])
            .then("by its path", get("/usr/sbin/../../etc/passwd", &[]))
            .then("as if the root were /", get("etc/passwd", &[]))
            .then("not there", get("file", &[])),
        Transfers::new("a missing root", &["enable-tftp", "tftp-root=FOLDER/absent", "tftp-no-fail"])
            .then("anything", get("file", &[])),
    ]);
}

#[test]
fn roots_of_clients() {
    let both = |group: Transfers| {
        group.then("in its own folder", get("file", &[])).then("only in the root", get("lower", &[]))
    };
    run(&[
        both(Transfers::new("by address", &rooted(&["tftp-unique-root"]))),
        both(Transfers::new("by address, named", &rooted(&["tftp-unique-root=ip"]))),
        both(Transfers::new("by MAC", &rooted(&["tftp-unique-root=mac"]))),
        Transfers::new("no folder of its own", &["enable-tftp", "tftp-root=FOLDER/other", "tftp-unique-root=mac"])
            .then("from the root", get("file", &[])),
        Transfers::new(
            "below a root of the interface",
            &["enable-tftp", "tftp-root=FOLDER/root,net", "tftp-unique-root"],
        )
        .then("in its own folder", get("file", &[])),
    ]);
}

#[test]
fn where_it_is_enabled() {
    let one = |name, conf: &[&str]| Transfers::new(name, conf).then("a file", get("lower", &[]));
    let root = "tftp-root=FOLDER/root";
    run(&[
        one("on this interface", &["enable-tftp=net", root]),
        one("on such interfaces", &["enable-tftp=n*", root]),
        one("on two interfaces", &["enable-tftp=lo,net", root]),
        one("on another", &["enable-tftp=lo", root]).silent(),
        one("on another, and without a name", &["enable-tftp=lo", "enable-tftp", root]).silent(),
        one("a root alone", &[root]).silent(),
        one("where there is no DHCP", &["enable-tftp", "no-dhcp-interface=eth9", root]),
    ]);
}

#[test]
fn switches() {
    run(&[
        Transfers::new("tftp-secure as root", &rooted(&["tftp-secure"]))
            .then("for everyone to read", get("lower", &[]))
            .then("for root alone", get("private", &[])),
        Transfers::new("tftp-lowercase", &rooted(&["tftp-lowercase"]))
            .then("asked in capitals", get("LOWER", &[]))
            .then("in a folder", get("SUB\\A", &[]))
            .then("called in capitals", get("Upper", &[]))
            .differs(Part::Kind, "a name that differs in case only is found, since Windows boot managers ask so"),
        Transfers::new("tftp-mtu", &rooted(&["tftp-mtu=600"]))
            .then("more than fits", get("file", &[("blksize", "1468")]))
            .then("what fits", get("file", &[("blksize", "500")]))
            .then("nothing asked", get("file", &[])),
        Transfers::new("a large tftp-mtu", &rooted(&["tftp-mtu=9000"]))
            .then("more than the link has", get("file", &[("blksize", "8000")])),
        Transfers::new("tftp-no-blocksize", &rooted(&["tftp-no-blocksize"]))
            .then("blksize alone", get("file", &[("blksize", "1468")]))
            .then("blksize and tsize", get("file", &[("blksize", "1468"), ("tsize", "0")])),
    ]);
}

#[test]
fn ports_and_how_many() {
    run(&[
        Transfers::new("tftp-port-range", &rooted(&["tftp-port-range=61000,61001"]))
            .then("a file", get("file", &[]))
            .then("absent", get("absent", &[]))
            .then("a write request", b"\0\x02new\0octet\0".to_vec()),
        Transfers::new("a range the wrong way round", &rooted(&["tftp-port-range=61001,61000"]))
            .then("a file", get("file", &[])),
        Transfers::new("a full range", &rooted(&["tftp-port-range=61000,61001"]))
            .then("one", get("file", &[]))
            .left_open()
            .then("two", get("file", &[]))
            .left_open()
            .then("three", get("file", &[]))
            .silent(),
        Transfers::new("tftp-max", &rooted(&["tftp-max=1"]))
            .then("one", get("file", &[]))
            .left_open()
            .then("two", get("file", &[]))
            .left_open()
            .we_are_silent("the most is the most; dnsmasq lets one more in")
            .then("three", get("file", &[]))
            .silent(),
        Transfers::new("tftp-single-port", &rooted(&["tftp-single-port"]))
            .unbound()
            .then("a file", get("file", &[]))
            .then("with options", get("file", &[("blksize", "1000"), ("tsize", "0")]))
            .then("absent", get("absent", &[]))
            .then("a write request", b"\0\x02new\0octet\0".to_vec()),
        Transfers::new("one port, whatever the range", &rooted(&["tftp-single-port", "tftp-port-range=61000,61001"]))
            .unbound()
            .then("a file", get("file", &[])),
        Transfers::new("one port, bound", &rooted(&["tftp-single-port"]))
            .then("a file", get("file", &[]))
            .they_are_silent("dnsmasq 2.90 never answers with bind-interfaces"),
    ]);
}
