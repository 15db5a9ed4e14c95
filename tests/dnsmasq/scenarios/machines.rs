//! dhcp-host in all its forms: who is meant, and which line counts.

use std::net::Ipv4Addr;

use dhcp::v4::code;

use super::{ONE_TO_MANY, ranged};
use crate::compare::What;
use crate::messages::{decline, discover, host, reboot, release, renew, select};
use crate::scenario::{Group, run};

const ASKED: &[u8] = &[1, 3, 12, 15, 28, 42, 43, 51];
const ID: u8 = code::CLIENT_ID;

#[test]
fn who_is_meant() {
    run(&[
        Group::new(
            "hardware",
            &ranged(&[
                "dhcp-host=52:54:00:00:00:*,wild,10.0.1.10",
                "dhcp-host=52:54:00:00:*:*,wilder",
                "dhcp-host=52:54:00:00:00:01,exact,10.0.1.11",
                "dhcp-host=01-52:54:00:00:00:02,ethernet,10.0.1.12",
                "dhcp-host=06-52:54:00:00:00:03,ring,10.0.1.13",
            ]),
        )
        .then("exact", discover(1).asks(ASKED))
        .then("by its type", discover(2).asks(ASKED))
        .then("of another type", discover(3).asks(ASKED))
        .then("wildcard", discover(4).asks(ASKED))
        .differs_in(&[What::Field("yiaddr"), What::Field("to")], "the address is being offered to another machine"),
        Group::new("several addresses", &ranged(&["dhcp-host=52:54:00:00:00:01,52:54:00:00:00:02,10.0.1.20,laptop"]))
            .then("by wire", discover(1).asks(ASKED))
            .then("by wire, REQUEST", select(1, host(20)).asks(ASKED))
            .then("by air", discover(2).asks(ASKED))
            .then("by air, REQUEST", select(2, host(20)).asks(ASKED))
            .then("by wire again", renew(1, host(20)).asks(ASKED))
            .fuzzy()
            .then("by wire, reboot", reboot(1, host(20)).asks(ASKED))
            .differs(What::Answered, "we know whose it is: a NAK saves it the wait")
            .then("a stranger", select(3, host(20)).asks(ASKED)),
        Group::new(
            "identifiers",
            &ranged(&[
                "dhcp-host=id:01:02:03,10.0.1.30,hex",
                "dhcp-host=id:text,10.0.1.31,text",
                "dhcp-host=52:54:00:00:00:05,id:ff:05,10.0.1.33,either",
            ]),
        )
        .any_address(ONE_TO_MANY)
        .then("hex", discover(1).asks(ASKED).with(ID, &[1, 2, 3]))
        .then("hex, longer", discover(1).asks(ASKED).with(ID, &[1, 2, 3, 4]))
        .then("text", discover(2).asks(ASKED).with(ID, b"text"))
        .then("text behind a type of 0", discover(2).asks(ASKED).with(ID, b"\0text"))
        .then("text behind another type", discover(2).asks(ASKED).with(ID, b"\x01text"))
        .then("hex behind a type of 0", discover(2).asks(ASKED).with(ID, &[0, 1, 2, 3]))
        .then("either: by MAC", discover(5).asks(ASKED).with(ID, &[1, 1]))
        .then("either: by identifier", discover(6).asks(ASKED).with(ID, &[0xff, 5])),
        Group::new(
            "identifier against MAC",
            &ranged(&[
                "dhcp-host=id:01:02:03,10.0.1.30,by-id",
                "dhcp-host=52:54:00:00:00:01,10.0.1.31,by-mac",
                "dhcp-host=claimed,10.0.1.32",
                "dhcp-host=52:54:00:*:*:*,by-pattern",
            ]),
        )
        .then("all", discover(1).asks(ASKED).with(ID, &[1, 2, 3]).with(12, b"claimed"))
        .then("MAC and name", discover(1).asks(ASKED).with(12, b"claimed"))
        .then("pattern and name", discover(2).asks(ASKED).with(12, b"claimed"))
        .then("pattern", discover(2).asks(ASKED)),
        Group::new(
            "names",
            &ranged(&[
                "dhcp-host=claimed,10.0.1.32,45m",
                "dhcp-host=52:54:00:00:00:09,owned,10.0.1.33",
                "dhcp-host=id:7,identified,10.0.1.34",
                "dhcp-option=tag:known,42,10.0.1.3",
            ]),
        )
        .any_address(ONE_TO_MANY)
        .then("a name that has a line", discover(1).asks(ASKED).with(12, b"claimed"))
        .then("in other letters", discover(1).asks(ASKED).with(12, b"CLAIMED"))
        .then("with a domain", discover(1).asks(ASKED).with(12, b"claimed.example.org"))
        .then("its REQUEST", select(1, host(32)).asks(ASKED).with(12, b"claimed"))
        .then("another claims it too", discover(2).asks(ASKED).with(12, b"claimed"))
        .then("another machine's name", discover(2).asks(ASKED).with(12, b"owned"))
        .then("an identified machine's name", discover(3).asks(ASKED).with(12, b"identified"))
        .then("no such name", discover(3).asks(ASKED).with(12, b"unknown")),
        Group::new("no identifier counts", &ranged(&["dhcp-ignore-clid", "dhcp-host=id:01:02:03,10.0.1.30,hex"]))
            .then("DISCOVER", discover(1).asks(ASKED).with(ID, &[1, 2, 3]))
            .then("REQUEST", select(1, host(100)).asks(ASKED).with(ID, &[1, 2, 3])),
        Group::new("its identifier does not count", &ranged(&["dhcp-host=52:54:00:00:00:01,id:*,10.0.1.30"]))
            .then("DISCOVER", discover(1).asks(ASKED).with(ID, &[1, 2, 3]))
            .then("REQUEST", select(1, host(30)).asks(ASKED).with(ID, &[1, 2, 3]))
            .then("with another", reboot(1, host(30)).asks(ASKED).with(ID, &[4, 5, 6])),
    ]);
}

#[test]
fn which_line_counts() {
    run(&[
        Group::new(
            "several lines",
            &ranged(&[
                "dhcp-host=52:54:00:00:00:01,first,10.0.1.11",
                "dhcp-host=52:54:00:00:00:01,second,10.0.1.12",
                "dhcp-host=52:54:00:00:00:02,10.0.1.13",
                "dhcp-host=52:54:00:00:00:02,named",
                "dhcp-host=52:54:00:00:00:*,10.0.1.14",
                "dhcp-host=52:54:00:00:00:*,pattern",
            ]),
        )
        .any_address(ONE_TO_MANY)
        .then("two addresses", discover(1).asks(ASKED))
        .then("address and name apart", discover(2).asks(ASKED))
        .then("patterns of one width", discover(3).asks(ASKED)),
        Group::new(
            "tags",
            &ranged(&[
                "dhcp-host=52:54:00:00:00:01,plain,10.0.1.11",
                "dhcp-host=52:54:00:00:00:01,tag:efi,efi,10.0.1.12",
                "dhcp-host=52:54:00:00:00:01,tag:efi,tag:!http,pxe,10.0.1.13",
                "dhcp-host=52:54:00:00:00:02,tag:!efi,bios,10.0.1.14,set:not-efi,set:two",
                "dhcp-host=52:54:00:*:*:*,tag:efi,pattern",
                "dhcp-match=set:efi,93,7",
                "dhcp-match=set:http,60,HTTP",
                "dhcp-option=tag:two,42,10.0.1.3",
            ]),
        )
        .then("no tag", discover(1).asks(ASKED))
        .then("one tag", discover(1).asks(ASKED).with(93, &[0, 7]))
        .then("two tags", discover(1).asks(ASKED).with(93, &[0, 7]).with(60, b"HTTP"))
        .then("a tag that is not there", discover(2).asks(ASKED))
        .then("a tag that is", discover(2).asks(ASKED).with(93, &[0, 7])),
        Group::new(
            "another network",
            &[
                "dhcp-range=10.0.1.100,10.0.1.110,1h",
                "dhcp-range=10.0.2.100,10.0.2.110,1h",
                "dhcp-sequential-ip",
                "dhcp-host=52:54:00:00:00:01,10.0.1.11,here",
                "dhcp-host=52:54:00:00:00:01,10.0.2.11,there",
                "dhcp-host=52:54:00:00:00:02,10.0.2.12,elsewhere",
                "dhcp-host=52:54:00:00:00:03,10.0.7.12,nowhere",
                "dhcp-option=tag:known,42,10.0.1.3",
                "dhcp-option=tag:known-othernet,42,10.0.2.3",
            ],
        )
        .cable("far", &["10.0.2.1/24"])
        .any_address(ONE_TO_MANY)
        .then("here", discover(1).asks(ASKED))
        .then("known elsewhere", discover(2).asks(ASKED))
        .then("known nowhere", discover(3).asks(ASKED))
        .then("unknown", discover(4).asks(ASKED))
        .on("far")
        .then("there", discover(1).asks(ASKED))
        .then("at home", discover(2).asks(ASKED)),
        Group::new(
            "ignored",
            &ranged(&[
                "dhcp-host=52:54:00:00:00:01,ignore",
                "dhcp-host=52:54:00:00:00:02,10.0.1.12",
                "dhcp-host=id:no,ignore",
                "dhcp-host=bad,ignore",
                "dhcp-host=52:54:00:00:01:*,ignore",
                "dhcp-ignore=tag:!known,tag:strict",
                "dhcp-match=set:strict,224",
            ]),
        )
        .then("a machine", discover(1).asks(ASKED))
        .then("its REQUEST", select(1, host(100)).asks(ASKED))
        .then("another", discover(2).asks(ASKED))
        .then("an identifier", discover(3).asks(ASKED).with(ID, b"no"))
        .then("a name", discover(3).asks(ASKED).with(12, b"bad"))
        .then("unknown, under a rule", discover(3).asks(ASKED).with(224, &[1]))
        .then("known, under a rule", discover(2).asks(ASKED).with(224, &[1])),
    ]);
}

#[test]
fn what_is_laid_down() {
    run(&[
        Group::new(
            "times",
            &ranged(&[
                "dhcp-host=52:54:00:00:00:01,10m",
                "dhcp-host=52:54:00:00:00:02,infinite",
                "dhcp-host=52:54:00:00:00:03,10.0.1.9,1w",
                "dhcp-host=52:54:00:00:00:04,60",
            ]),
        )
        .any_address(ONE_TO_MANY)
        .then("ten minutes", discover(1).asks(ASKED))
        .then("for ever", discover(2).asks(ASKED))
        .then("a week", discover(3).asks(ASKED))
        .then("a minute", discover(4).asks(ASKED)),
        Group::new("taken before", &ranged(&["dhcp-host=52:54:00:00:00:01,10.0.1.100"]))
            .then("a stranger wants it", select(2, host(100)).asks(ASKED))
            .then("its owner", discover(1).asks(ASKED))
            .then("its owner takes it", select(1, host(100)).asks(ASKED))
            .then("its owner declines it", decline(1, host(100)))
            .then("its owner asks again", discover(1).asks(ASKED)),
        Group::new(
            "its lease from before",
            &ranged(&["dhcp-host=52:54:00:00:00:01,tag:!first,10.0.1.20", "dhcp-match=set:first,224"]),
        )
        .then("before", select(1, host(105)).asks(ASKED).with(224, &[1]))
        .then("renewal after", renew(1, host(105)).asks(ASKED))
        .fuzzy()
        .then("reboot after", reboot(1, host(105)).asks(ASKED))
        .then("DISCOVER after", discover(1).asks(ASKED)),
        Group::new(
            "somebody has it",
            &ranged(&[
                "dhcp-host=52:54:00:00:00:01,tag:later,10.0.1.105",
                "dhcp-host=52:54:00:00:00:03,10.0.1.1",
                "dhcp-match=set:later,224",
            ]),
        )
        .then("the owner takes a dynamic one", select(1, host(100)).asks(ASKED))
        .then("its own later", discover(1).asks(ASKED).with(224, &[1]))
        .then("REQUEST", select(1, host(105)).asks(ASKED).with(224, &[1]))
        .then("back", release(1, host(105)))
        .then("our own address laid down", discover(3).asks(ASKED)),
        Group::new(
            "outside every subnet",
            &ranged(&["dhcp-host=52:54:00:00:00:01,10.5.5.5,strange", "dhcp-option=tag:known,42,10.0.1.3"]),
        )
        .then("DISCOVER", discover(1).asks(ASKED))
        .then("REQUEST", select(1, Ipv4Addr::new(10, 5, 5, 5)).asks(ASKED)),
    ]);
}
