//! The plain way: a question goes to an upstream server, its answer to the client, and the next one comes from the cache.

use super::{BY_QUESTION, OUR_OPTIONS, OWN_AD};
use crate::dns::ask::{ask, ask_name_of, ask_raw};
use crate::dns::compare::What;
use crate::dns::scenario::{Group, run};

#[test]
fn plain_questions() {
    run(&[Group::new("plain", &[])
        .asks(&[
            "www.example.net A",
            "www.example.net A",
            "www.example.net AAAA",
            "example.net MX",
            "example.net MX",
            "example.net TXT",
            "example.net TXT",
            "example.net NS",
            "example.net SOA",
            "example.net ANY",
            "_sip._tcp.example.net SRV",
            "_sip._tcp.example.net SRV",
            "odd.example.net TYPE65280",
            "service.example.net HTTPS",
            "info.example.net HINFO",
            "three.example.net A",
            "three.example.net A",
            "three.example.net A",
            "host.lan A",
            "pointed A",
            "zero.example.net A",
            "zero.example.net A",
        ])
        .ask("PTR", ask_name_of("192.0.2.80"))
        .ask("PTR again", ask_name_of("192.0.2.80"))
        .ask("mixed case", ask("WwW.eXample.NET A"))
        .ask("mixed case, not known yet", ask("V4.eXample.NET A"))
        .ask("lower case after that", ask("v4.example.net A"))])
}

#[test]
fn negative_answers() {
    run(&[Group::new("negative", &[]).asks(&[
        "nowhere.example.net A",
        "nowhere.example.net A",
        "nowhere.example.net AAAA",
        "nowhere.example.net TXT",
        "v4.example.net AAAA",
        "v4.example.net AAAA",
        "v4.example.net MX",
        "v4.example.net MX",
        "v4.example.net A",
        "below.nowhere.example.net A",
    ])])
}

const NOT_OURS: &str = "AA is for what is known here; dnsmasq says it of an alias from its cache";
const LOOPS: &str = "an alias that leads to itself is a failure of its server, and no answer";
const RECURSION: &str = "what is cached is told without recursion, too, and answers to such questions are not cached";
const UNCHECKED: &str = "what was not checked is kept apart from what was";
const OTHER_OPERATIONS: &str = "nothing but queries is forwarded, and no transfers of zones";
const VERSION: &str = "RFC 6891 section 6.1.3: BADVERS";
const RESERVED: &str = "RFC 1035 section 4.1.1: the bit is zero";
const MALFORMED: &str = "RFC 1035 section 4.1.1: FORMERR, and nothing of it goes further";
const TRAILING: &str = "octets behind a whole question are passed over, and go no further";

#[test]
fn aliases() {
    run(&[Group::new("aliases", &[])
        .asks(&[
            "alias.example.net A",
            "alias.example.net A",
            "www.example.net A",
            "far.example.net A",
            "far.example.net A",
            "far.example.net AAAA",
            "far.example.net CNAME",
            "far.example.net MX",
            "out.example.net A",
            "out.example.net A",
            "dangling.example.net A",
            "dangling.example.net A",
            "loop-a.example.net A",
            "loop-a.example.net A",
            "self.example.net A",
            "self.example.net A",
            "alias.example.net CNAME",
            "alias.example.net ANY",
        ])
        .throughout(&[What::Asked], BY_QUESTION)
        .differs_at("far.example.net CNAME", &[What::Bit("AA")], NOT_OURS)
        .differs_at("alias.example.net CNAME", &[What::Bit("AA")], NOT_OURS)
        .differs_at("loop-a.example.net A", &[What::Code, What::Answer], LOOPS)
        .differs_at("self.example.net A", &[What::Code, What::Answer], LOOPS)])
}

#[test]
fn bits_and_edns() {
    run(&[Group::new("bits", &[])
        .ask("no recursion desired, not known", ask("v4.example.net A").no_recursion())
        .ask("recursion desired", ask("v4.example.net A"))
        .differs(What::Asked, RECURSION)
        .ask("no recursion desired, known", ask("v4.example.net A").no_recursion())
        .differs(What::Asked, RECURSION)
        .ask("checking disabled", ask("v4.example.net A").unchecked())
        .differs(What::Asked, UNCHECKED)
        .ask("checking disabled, not known", ask("mail.example.net A").unchecked())
        .ask("AD asked for", ask("secure.example.net A").authentic())
        .differs(What::AskedBits, OWN_AD)
        .ask("AD asked for again", ask("secure.example.net A").authentic())
        .ask("DO", ask("secure.example.net A").dnssec_ok())
        .ask("DO, another type", ask("secure.example.net AAAA").dnssec_ok())
        .ask("EDNS", ask("www.example.net A").edns(4096))
        .ask("EDNS again", ask("www.example.net A").edns(4096))
        .ask("EDNS, small", ask("two.example.net A").edns(100))
        .ask("EDNS version 1", ask("www.example.net A").version(1))
        .differs_in(&[What::Code, What::Answer], VERSION)
        .ask("an option", ask("who.example.net A").option(10, &[1, 2, 3, 4, 5, 6, 7, 8]))
        .differs(What::AskedOptions, OUR_OPTIONS)
        .ask("client subnet", ask("who2.example.net A").option(8, &[0, 1, 24, 0, 10, 0, 1]))
        .differs(What::AskedOptions, OUR_OPTIONS)
        .ask("by TCP", ask("three.example.net A").tcp())
        .ask("by TCP again", ask("three.example.net A").tcp())
        .ask("reserved bit", ask("www.example.net A").flags(0x0140))
        .differs(What::Bit("Z"), RESERVED)
        .ask("another opcode", ask("www.example.net A").flags(0x1100))
        .differs_in(&[What::Code, What::Question, What::Answer, What::Asked], OTHER_OPERATIONS)
        .ask("NOTIFY", ask("example.net SOA").flags(0x2000))
        .differs_in(&[What::Code, What::Question, What::Answer, What::Asked], OTHER_OPERATIONS)
        .ask("UPDATE", ask("example.net SOA").flags(0x2800))
        .differs_in(&[What::Code, What::Question, What::Answer, What::Asked], OTHER_OPERATIONS)
        .ask("class CH", ask("www.example.net TXT").class(3))
        .varies(What::Asked, "who says REFUSED is asked again by dnsmasq, now and then")
        .ask("class HS", ask("www.example.net A").class(4))
        .varies(What::Asked, "who says REFUSED is asked again by dnsmasq, now and then")
        .ask("class ANY", ask("www.example.net A").class(255))
        .differs(What::Answer, "records of another class than asked for are no answer")
        .ask("AXFR", ask("example.net AXFR").tcp())
        .differs_in(&[What::Code, What::Authority, What::Asked], OTHER_OPERATIONS)
        .ask("AXFR by UDP", ask("example.net AXFR"))
        .differs_in(&[What::Code, What::Authority, What::Asked], OTHER_OPERATIONS)
        .ask("IXFR by UDP", ask("example.net IXFR"))
        .differs_in(&[What::Code, What::Authority, What::Asked], OTHER_OPERATIONS)
        .ask("OPT as a question", ask("example.net OPT"))
        .differs_in(&[What::Code, What::Authority, What::Asked], OTHER_OPERATIONS)
        .ask("the root", ask(". NS"))
        .ask("an answer", ask("www.example.net A").flags(0x8180))
        .unanswered()])
}

/// A question for an address of a name of its own: nobody is to wait for the answer to another one.
fn question(label: u8) -> Vec<u8> {
    [b"\x02m", &[label][..], b"\x04wild\x07example\x03net\0\0\x01\0\x01"].concat()
}

#[test]
fn malformed_questions() {
    let with = |counts: [u8; 4], parts: &[&[u8]]| {
        let [a, b, c, d] = counts;
        ask_raw(&[&[1, 0, 0, a, 0, b, 0, c, 0, d], &parts.concat()[..]].concat())
    };
    let label = |length: u8, octet: u8| [&[length][..], &vec![octet; length.into()]].concat();
    let kind_and_class = b"\0\x01\0\x01";
    let opt = b"\0\0\x29\x04\xd0\0\0\0\0\0\0";
    let one = [1, 0, 0, 0];
    run(&[
        Group::new("malformed", &[])
            .ask("a header alone, no question", with([0; 4], &[]))
            .differs(What::Bit("RD"), MALFORMED)
            .ask("a header alone that says one question", with(one, &[]))
            .unanswered_there(MALFORMED)
            .ask("half a header", ask_raw(&[1, 0, 0]))
            .unanswered()
            .ask("two questions", with([2, 0, 0, 0], &[&question(b'a'), &question(b'b')]))
            .unanswered_there(MALFORMED)
            .ask("a question that ends early", with(one, &[&question(b'c')[..23]]))
            .unanswered_there(MALFORMED)
            .ask("a name that ends early", with(one, &[b"\x03www\x07exa"]))
            .unanswered_there(MALFORMED)
            .ask("a name that points to itself", with(one, &[b"\xc0\x0c", kind_and_class]))
            .differs(What::Heard, MALFORMED)
            .ask("a label of an unknown type", with(one, &[b"\x83www\0", kind_and_class]))
            .unanswered_there(MALFORMED)
            .ask("octets behind the end", with(one, &[&question(b'd'), b"more"]))
            .unanswered_there(TRAILING)
            .ask(
                "an answer in the question",
                with([1, 1, 0, 0], &[&question(b'e'), b"\xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x04\x01\x02\x03\x04"]),
            )
            .ask("an additional record that ends early", with([1, 0, 0, 1], &[&question(b'f'), &opt[..3]]))
            .unanswered_there(MALFORMED)
            .ask("an OPT record with a name", with([1, 0, 0, 1], &[&question(b'g'), b"\x01a", opt]))
            .unanswered_there(MALFORMED)
            .ask("two OPT records", with([1, 0, 0, 2], &[&question(b'h'), opt, opt]))
            .unanswered_there(MALFORMED)
            .throughout(&[What::Asked], MALFORMED)
            .by_chance(&[What::AskedBits], MALFORMED),
        Group::new("odd names", &[])
            .ask("a control character", with(one, &[b"\x03w\x01w\x07example\x03net\0", kind_and_class]))
            .ask("a dot in a label", with(one, &[b"\x03w.w\x07example\x03net\0", kind_and_class]))
            .ask("the longest", with(one, &[&label(63, b'a').repeat(3), &label(61, b'b'), b"\0", kind_and_class]))
            .ask("too long", with(one, &[&label(63, b'a').repeat(4), b"\0", kind_and_class]))
            .differs_in(
                &[What::Code, What::Question, What::Authority, What::Asked],
                "RFC 1035 section 2.3.4: 255 octets",
            ),
    ])
}
