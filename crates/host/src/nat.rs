//! Address translation in an nf_tables table of our own, spoken to the kernel directly: no `nft` program is needed.
//!
//! Where the kernel knows table owners (5.12), the table belongs to our socket: nobody else can change it, and the
//! kernel removes it when this process ends, however it ends. No other table is ever touched.

use std::fmt;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::netlink::{ACK, APPEND, Attributes, CREATE, Message, Netlink, NetlinkError};
use crate::{ForwardSpec, Transport};

type Result<T> = std::result::Result<T, NetlinkError>;

/// The translation wanted for one interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Our own interface: the inside.
    pub interface: String,
    /// What leaves this subnet for another takes our outer address.
    pub masquerade: Option<Ipv4Net>,
    pub forwards: Vec<ForwardSpec>,
}

impl Rules {
    /// The name of the table, in family `ip`.
    pub fn table(&self) -> String {
        table_name(&self.interface)
    }

    pub fn is_empty(&self) -> bool {
        self.masquerade.is_none() && self.forwards.is_empty()
    }
}

pub(crate) fn table_name(interface: &str) -> String {
    format!("lanboot-{interface}")
}

impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let masquerade = self.masquerade.map(|subnet| format!("masquerade {subnet}"));
        let forwards = self.forwards.iter().map(ForwardSpec::to_string);
        let parts: Vec<String> = masquerade.into_iter().chain(forwards).collect();
        write!(f, "{} in nftables table ip {}", parts.join(", "), self.table())
    }
}

/// The table, for as long as this lives (or, on a kernel before 5.12, until [`Nat::remove`]).
#[derive(Debug)]
pub struct Nat {
    socket: Netlink,
    table: String,
    owned: bool,
}

impl Nat {
    /// Puts the rules in force as one batch: all or nothing. A table of the same name, left by an earlier run on a
    /// kernel without table owners, is replaced.
    pub fn install(rules: &Rules) -> Result<Nat> {
        let mut socket = Netlink::open(libc::NETLINK_NETFILTER)?;
        let owned = match socket.batch(&batch(table_and_rules(rules, true))) {
            Ok(()) => true,
            // Kernels before 5.12 refuse a table flag that they do not know.
            Err(error) if [libc::EOPNOTSUPP, libc::EINVAL].contains(&error.errno) => {
                socket = Netlink::open(libc::NETLINK_NETFILTER)?;
                socket.batch(&batch(table_and_rules(rules, false)))?;
                false
            }
            Err(error) => return Err(error),
        };
        Ok(Nat { socket, table: rules.table(), owned })
    }

    /// Whether the kernel removes the table with this process.
    pub fn is_owned(&self) -> bool {
        self.owned
    }

    pub fn remove(mut self) -> Result<bool> {
        delete_with(&mut self.socket, &self.table)
    }
}

/// The kernel removes an owned table when the last copy of our socket is closed. A program that we are just starting
/// may have one for a moment, so we do not leave it to that.
impl Drop for Nat {
    fn drop(&mut self) {
        if self.owned {
            let _ = delete_with(&mut self.socket, &self.table);
        }
    }
}

/// Deletes our table by name; `false`: there was none.
pub(crate) fn delete_table(interface: &str) -> Result<bool> {
    delete_with(&mut Netlink::open(libc::NETLINK_NETFILTER)?, &table_name(interface))
}

fn delete_with(socket: &mut Netlink, table: &str) -> Result<bool> {
    let name = Attributes::after(&header(IPV4)).put_text(TABLE_NAME, table);
    match socket.batch(&batch(vec![message(libc::NFT_MSG_DELTABLE, 0, name)])) {
        Ok(()) => Ok(true),
        Err(error) if error.errno == libc::ENOENT => Ok(false),
        // A kernel without nf_tables holds no table of ours either.
        Err(error) if [libc::EOPNOTSUPP, libc::EPROTONOSUPPORT, libc::EINVAL].contains(&error.errno) => Ok(false),
        Err(error) => Err(error),
    }
}

// linux/netfilter/nf_tables.h; libc has only some of them.
pub(crate) const IPV4: u8 = 2; // NFPROTO_IPV4
const TABLE_NAME: u16 = 1; // NFTA_TABLE_NAME
const TABLE_FLAGS: u16 = 2; // NFTA_TABLE_FLAGS
const TABLE_OWNER: u32 = 2; // NFT_TABLE_F_OWNER
const LIST_ELEM: u16 = 1; // NFTA_LIST_ELEM
const REGISTER: u32 = libc::NFT_REG_1 as u32;
const SECOND_REGISTER: u32 = libc::NFT_REG_2 as u32;

/// Message type within the nf_tables subsystem.
pub(crate) fn kind(message: libc::c_int) -> u16 {
    (libc::NFNL_SUBSYS_NFTABLES << 8 | message) as u16
}

/// `struct nfgenmsg`: family, version 0, resource id.
pub(crate) fn header(family: u8) -> [u8; 4] {
    [family, 0, 0, 0]
}

/// Encloses the messages, so that the kernel takes all or none.
fn batch(messages: Vec<Message>) -> Vec<Message> {
    let subsystem = (libc::NFNL_SUBSYS_NFTABLES as u16).to_be_bytes();
    let edge = |kind: libc::c_int| Message {
        kind: kind as u16,
        flags: 0,
        body: Attributes::after(&[0, 0, subsystem[0], subsystem[1]]),
    };
    let begin = edge(libc::NFNL_MSG_BATCH_BEGIN);
    [vec![begin], messages, vec![edge(libc::NFNL_MSG_BATCH_END)]].into_iter().flatten().collect()
}

fn message(kind_in_subsystem: libc::c_int, flags: u16, body: Attributes) -> Message {
    Message { kind: kind(kind_in_subsystem), flags: ACK | flags, body }
}

fn table_and_rules(rules: &Rules, owned: bool) -> Vec<Message> {
    let table = rules.table();
    let named = || Attributes::after(&header(IPV4)).put_text(TABLE_NAME, &table);
    let chain = |name, hook, priority| message(libc::NFT_MSG_NEWCHAIN, CREATE, nat_chain(&table, name, hook, priority));
    let rule = |chain, expressions| message(libc::NFT_MSG_NEWRULE, CREATE | APPEND, rule(&table, chain, expressions));
    let flags = if owned { TABLE_OWNER } else { 0 };
    let mut messages = vec![
        // Made, deleted and made again: the deletion would fail if there were none.
        message(libc::NFT_MSG_NEWTABLE, CREATE, named()),
        message(libc::NFT_MSG_DELTABLE, 0, named()),
        message(libc::NFT_MSG_NEWTABLE, CREATE, named().put_be32(TABLE_FLAGS, flags)),
    ];
    if let Some(subnet) = rules.masquerade {
        messages.push(chain("postrouting", libc::NF_INET_POST_ROUTING, 100));
        messages.push(rule("postrouting", masquerade(subnet)));
    }
    if !rules.forwards.is_empty() {
        messages.push(chain("prerouting", libc::NF_INET_PRE_ROUTING, -100));
    }
    messages.extend(rules.forwards.iter().map(|forward| rule("prerouting", dnat(forward, &rules.interface))));
    messages
}

/// `type nat hook HOOK priority PRIORITY; policy accept`
fn nat_chain(table: &str, name: &str, hook: libc::c_int, priority: i32) -> Attributes {
    let hook = Attributes::default().put_be32(1, hook as u32).put_be32(2, priority as u32);
    Attributes::after(&header(IPV4)).put_text(1, table).put_text(3, name).nest(4, hook).put_text(7, "nat")
}

fn rule(table: &str, chain: &str, expressions: Vec<Expression>) -> Attributes {
    let list = expressions.into_iter().fold(Attributes::default(), |list, (name, data)| {
        list.nest(LIST_ELEM, Attributes::default().put_text(1, name).nest(2, data))
    });
    Attributes::after(&header(IPV4)).put_text(1, table).put_text(2, chain).nest(4, list)
}

/// `ip saddr SUBNET ip daddr != SUBNET counter masquerade`
fn masquerade(subnet: Ipv4Net) -> Vec<Expression> {
    const SADDR: u32 = 12;
    const DADDR: u32 = 16;
    let mut expressions = in_subnet(SADDR, libc::NFT_CMP_EQ, subnet);
    expressions.extend(in_subnet(DADDR, libc::NFT_CMP_NEQ, subnet));
    expressions.push(("counter", Attributes::default()));
    expressions.push(("masq", Attributes::default()));
    expressions
}

/// `iifname OUTSIDE tcp dport PORT counter dnat to TARGET`
fn dnat(forward: &ForwardSpec, inside: &str) -> Vec<Expression> {
    const DPORT: u32 = 2;
    let (comparison, interface) = match &forward.interface {
        Some(outside) => (libc::NFT_CMP_EQ, outside.as_str()),
        None => (libc::NFT_CMP_NEQ, inside),
    };
    let mut padded = [0; libc::IFNAMSIZ];
    let length = interface.len().min(libc::IFNAMSIZ - 1);
    padded[..length].copy_from_slice(&interface.as_bytes()[..length]);
    let protocol = match forward.transport {
        Transport::Tcp => libc::IPPROTO_TCP,
        Transport::Udp => libc::IPPROTO_UDP,
    };
    vec![
        meta(libc::NFT_META_IIFNAME),
        compare(comparison, &padded),
        meta(libc::NFT_META_L4PROTO),
        compare(libc::NFT_CMP_EQ, &[protocol as u8]),
        payload(libc::NFT_PAYLOAD_TRANSPORT_HEADER, DPORT, 2),
        compare(libc::NFT_CMP_EQ, &forward.port.to_be_bytes()),
        ("counter", Attributes::default()),
        immediate(REGISTER, &forward.to.ip().octets()),
        immediate(SECOND_REGISTER, &forward.to.port().to_be_bytes()),
        (
            "nat",
            Attributes::default()
                .put_be32(1, libc::NFT_NAT_DNAT as u32)
                .put_be32(2, u32::from(IPV4))
                .put_be32(3, REGISTER)
                .put_be32(5, SECOND_REGISTER),
        ),
    ]
}

/// An expression's name and its attributes.
type Expression = (&'static str, Attributes);

fn in_subnet(offset: u32, comparison: libc::c_int, subnet: Ipv4Net) -> Vec<Expression> {
    let bitwise = Attributes::default()
        .put_be32(1, REGISTER)
        .put_be32(2, REGISTER)
        .put_be32(3, 4)
        .nest(4, value(&subnet.netmask().octets()))
        .nest(5, value(&[0; 4]));
    vec![
        payload(libc::NFT_PAYLOAD_NETWORK_HEADER, offset, 4),
        ("bitwise", bitwise),
        compare(comparison, &subnet.network().octets()),
    ]
}

fn payload(base: libc::c_int, offset: u32, length: u32) -> Expression {
    let data = Attributes::default().put_be32(1, REGISTER).put_be32(2, base as u32).put_be32(3, offset);
    ("payload", data.put_be32(4, length))
}

fn meta(key: libc::c_int) -> Expression {
    ("meta", Attributes::default().put_be32(1, REGISTER).put_be32(2, key as u32))
}

fn compare(comparison: libc::c_int, with: &[u8]) -> Expression {
    ("cmp", Attributes::default().put_be32(1, REGISTER).put_be32(2, comparison as u32).nest(3, value(with)))
}

fn immediate(register: u32, data: &[u8]) -> Expression {
    ("immediate", Attributes::default().put_be32(1, register).nest(2, value(data)))
}

fn value(octets: &[u8]) -> Attributes {
    Attributes::default().put(1, octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_without_owner_is_replaced_and_can_be_deleted_by_name() {
        let body = || {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("tests of the host run as root");
            let rules = Rules { interface: "net".to_owned(), masquerade: Some(Ipv4Net::default()), forwards: vec![] };
            assert_eq!(delete_table("net"), Ok(false), "there is none");
            for _ in 0..2 {
                // As on a kernel before 5.12: the table outlives the socket.
                Netlink::open(libc::NETLINK_NETFILTER).unwrap().batch(&batch(table_and_rules(&rules, false))).unwrap();
            }
            drop(Nat::install(&rules).unwrap());
            assert_eq!(delete_table("net"), Ok(false), "an owned one took its place and went with its socket");
            Netlink::open(libc::NETLINK_NETFILTER).unwrap().batch(&batch(table_and_rules(&rules, false))).unwrap();
            assert_eq!(delete_table("net"), Ok(true));

            let owner = Nat::install(&rules).unwrap();
            assert_eq!(Nat::install(&rules).unwrap_err().errno, libc::EPERM, "another's is left alone");
            assert!(owner.is_owned());
        };
        std::thread::spawn(body).join().unwrap();
    }
}
