//! What is known of a run from outside, and what must follow from it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use dns::resolver::{Client, Statistics, Token, Transport};
use dns::settings::{Order, Server, Settings, Stale};

use super::clients::wire;
use super::message::{A, AAAA, ANY, CNAME, DNAME, Message, NXDOMAIN, Question, RRSIG, Record, SOA, TXT, question_end};
use super::servers::FORGED;

/// Rounding to whole seconds, twice.
const SECOND: Duration = Duration::from_secs(1);
/// How long clients wait at most where settings do not say it.
const TOTAL: Duration = Duration::from_secs(4);
/// How often one question is sent out.
const ATTEMPTS: usize = 24;

/// What aliases of ours lead to, and domains of ours.
static ALIASED: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| ["aa.test", "ab.test"].map(wire));
static OURS: LazyLock<[Vec<u8>; 5]> =
    LazyLock::new(|| ["lan", "own.test", "ads.test", "in-addr.arpa", "ip6.arpa"].map(wire));

pub struct Witness {
    pub settings: Settings,
    /// Upstream queries that may be answered.
    open: BTreeMap<u64, Open>,
    /// Clients that wait, by their number.
    waiting: BTreeMap<u64, Waiting>,
    said: Vec<Said>,
    /// Questions that were answered since the cache was emptied: no more can be in it.
    answered: BTreeSet<(Question, bool, bool)>,
    asked: BTreeSet<Question>,
    longest_wait: Duration,
    most: usize,
}

struct Open {
    server: Server,
    by: Transport,
    query: Vec<u8>,
    /// It shows whether its server leads back to us: sent whenever the servers change, not for a client.
    is_mark: bool,
}

struct Waiting {
    client: Client,
    query: Vec<u8>,
    since: Instant,
    /// Sooner than the longest that clients wait.
    deadline: Option<Duration>,
}

/// What a server said that was asked, with id, name and letters as they were sent, so far as it may be told.
struct Said {
    question: Question,
    checking_disabled: bool,
    code: u8,
    /// It is cut. It may be told as such while the whole is not to be had.
    is_part: bool,
    records: Vec<Record>,
    /// What it says in its other sections.
    beside: Vec<Record>,
    at: Instant,
    /// At the latest then nobody is told that there is nothing.
    nothing_until: Instant,
}

impl Witness {
    pub fn new(settings: Settings) -> Witness {
        let mut witness = Witness {
            open: BTreeMap::new(),
            waiting: BTreeMap::new(),
            said: Vec::new(),
            answered: BTreeSet::new(),
            asked: BTreeSet::new(),
            longest_wait: Duration::ZERO,
            most: 0,
            settings: settings.clone(),
        };
        witness.reconfigured(settings);
        witness
    }

    pub fn reconfigured(&mut self, settings: Settings) {
        let retry = settings.forward.retry;
        self.longest_wait = self.longest_wait.max(retry.map_or(TOTAL, |retry| retry.total));
        self.most = self.most.max(settings.forward.max);
        self.settings = settings;
    }

    /// Nothing that was said before is told from now on.
    pub fn cleared(&mut self) {
        self.said.retain(|said| said.is_part);
        self.answered.clear();
    }

    /// A client may ask this: it, and what names of ours lead to, may be asked of servers.
    pub fn asks(&mut self, octets: &[u8]) {
        let Some(question) = Message::read(octets).and_then(|message| message.question) else { return };
        for alias in ALIASED.iter() {
            self.asked.insert(Question { name: alias.clone(), ..question });
        }
        self.asked.insert(question);
    }

    pub fn waits(&mut self, now: Instant, client: &Client, query: &[u8], deadline: Option<Duration>) {
        let waiting = Waiting { client: *client, query: query.to_vec(), since: now, deadline };
        assert!(self.waiting.insert(client.by, waiting).is_none(), "a number for each query");
    }

    /// Nobody is told, for a reason.
    pub fn dropped(&self, client: &Client, query: &[u8]) {
        let Some(message) = Message::read(query).filter(|message| message.flags[0] & 0x80 == 0) else { return };
        let waits = |one: &Waiting| {
            let same = (one.client.address, one.client.transport) == (client.address, client.transport);
            let other = Message::read(&one.query).expect("only queries wait");
            same && other.id == message.id && other.question == message.question
        };
        let is_mark = |question: &Question| question.kind == TXT && question.name.first() == Some(&16);
        let loops = self.settings.forward.detect_loops && message.question.as_ref().is_some_and(is_mark);
        assert!(loops || self.waiting.values().any(waits), "dropped: {message:?}");
    }

    pub fn told(&mut self, now: Instant, to: &Client, reply: &[u8]) {
        let waited = self.waiting.remove(&to.by).expect("somebody waits for it, once");
        assert_eq!(waited.client, *to);
        let Waiting { since, deadline, .. } = waited;
        let deadline = deadline.unwrap_or(self.longest_wait);
        assert!(now <= since + deadline, "waited {:?} of {deadline:?}", now - since);
        self.replied(now, to, &waited.query, reply);
    }

    pub fn sent(&mut self, token: Token, server: Server, by: Transport, octets: &[u8]) {
        let query = Message::read(octets).expect("we ask sound questions");
        assert!(query.rest == 0 && query.flags[0] & 0xfe == 0 && query.answer.is_empty() && query.authority.is_empty());
        let question = query.question.expect("a question");
        let is_mark = question.kind == TXT && question.name[0] == 16;
        assert!(is_mark || self.asked.contains(&question), "nobody asked {question:?}");
        assert!(!octets.windows(2).any(|pair| pair == [0x5e, 0xc1]), "a client's options are its own");
        let is_same = |open: &Open| open.server == server && open.query[..2] == octets[..2];
        assert!(!self.open.values().any(is_same), "an id of its own");
        let open = Open { server, by, query: octets.to_vec(), is_mark };
        assert!(self.open.insert(token.0, open).is_none(), "a token of its own");
    }

    pub fn over(&mut self, token: Token) {
        assert!(self.open.remove(&token.0).is_some(), "over once");
    }

    /// Takes down what a server says, if it may be told.
    pub fn answers(&mut self, now: Instant, token: Token, octets: &[u8]) {
        let Some(open) = self.open.get(&token.0).filter(|open| is_genuine(&open.query, octets, open.by)) else {
            return;
        };
        let (Some(message), Some(asked)) = (Message::read(octets), Message::read(&open.query)) else { return };
        let Some(question) = message.question.clone() else { return };
        let checking_disabled = asked.flags[1] & 0x10 != 0;
        let filter = &self.settings.filter;
        let has = |nets: &[ipnet::IpNet]| {
            message.answer.iter().filter_map(address).any(|address| nets.iter().any(|net| net.contains(&address)))
        };
        if has(&filter.ignore) {
            return;
        }
        let bogus = has(&filter.bogus_nxdomain);
        let (mut records, mut beside) = (message.answer.clone(), message.authority.clone());
        beside.extend(message.additional.iter().cloned());
        for record in records.iter_mut().chain(&mut beside) {
            self.change(record);
        }
        let types = &filter.types;
        records.retain(|record| !bogus && !types.iter().any(|kind| kind.to_int() == record.kind));
        let cache = &self.settings.cache;
        let longest = message.answer.iter().chain(&message.authority).map(|record| record.ttl);
        let lives = longest.chain(cache.negative_ttl).max().unwrap_or(0).max(cache.min_ttl);
        for dnssec_ok in [false, true] {
            self.answered.insert((question.clone(), checking_disabled, dnssec_ok));
        }
        self.said.push(Said {
            question,
            checking_disabled,
            code: if bogus { NXDOMAIN } else { message.code() },
            is_part: message.flags[0] & 2 != 0,
            records,
            beside,
            at: now,
            nothing_until: now + Duration::from_secs(lives.into()) + SECOND,
        });
    }

    /// As filters want it.
    fn change(&self, record: &mut Record) {
        let cache = &self.settings.cache;
        record.ttl = if record.ttl >= 1 << 31 { 0 } else { record.ttl };
        record.ttl = record.ttl.min(cache.max_ttl.unwrap_or(u32::MAX)).max(cache.min_ttl);
        if let (Some(IpAddr::V4(v4)), false) = (address(record), self.settings.filter.alias.is_empty()) {
            let [a, b, c, d] = v4.octets();
            record.data = if [a, b] == [9, 68] { vec![9, 69, c, d] } else { record.data.clone() };
        }
    }

    /// A reply is whole, fits, repeats what was asked, and tells what is so.
    pub fn replied(&self, now: Instant, client: &Client, query: &[u8], octets: &[u8]) {
        let reply = Message::read(octets).expect("a sound reply");
        assert!(!reply.broken && !reply.bad_opt, "{reply:?}");
        assert!(reply.rest == 0 && octets[..2] == query[..2] && reply.flags[0] & 0xf8 | 0x78 == 0xf8, "{reply:?}");
        let records = || reply.answer.iter().chain(&reply.authority).chain(&reply.additional);
        let Some(asked) = Message::read(query).filter(|asked| asked.flags[0] & 0x78 == 0 && !asked.bad_opt) else {
            assert!(records().count() == 0, "of nothing {reply:?}");
            return;
        };
        let Some(question) = asked.question else { return assert_eq!(records().count(), 0) };
        if asked.opt.is_some_and(|opt| opt.version > 0) {
            assert_eq!((records().count(), reply.opt.map(|opt| opt.high_code)), (0, Some(1)), "BADVERS");
            return;
        }
        let end = 12 + question.name.len() + 4;
        let plain = query.get(12..end).filter(|octets| octets[..octets.len() - 4].eq_ignore_ascii_case(&question.name));
        let Some(repeated) = plain else { return assert_eq!(records().count(), 0, "pointers in a question") };
        if reply.question.is_none() {
            assert_eq!((reply.code(), records().count()), (1, 0), "FORMERR alone repeats nothing");
            return;
        }
        assert_eq!(&octets[12..end], repeated, "in the client's letters");
        assert_eq!(reply.flags[0] & 1, query[2] & 1, "RD");
        assert_eq!(reply.flags[1] & 0x90, 0x80 | query[3] & 0x10, "RA, and CD as asked");
        assert!(reply.flags[1] & 0x20 == 0 || self.settings.forward.pass_ad, "nobody vouches");
        assert_eq!(reply.opt.is_some(), asked.opt.is_some(), "OPT for OPT");
        assert!(reply.opt.is_none_or(|opt| opt.is_last && opt.high_code == 0));
        let payload = asked.opt.map_or(512, |opt| opt.payload.min(self.settings.forward.edns_max).max(512));
        let room = if client.transport == Transport::Tcp { 65_535 } else { usize::from(payload) };
        assert!(octets.len() <= room, "{} octets of {room}", octets.len());
        assert!(reply.flags[0] & 2 == 0 || client.transport == Transport::Udp, "TC over TCP");
        assert!(!octets.windows(4).any(|octets| octets == FORGED), "a forged address");
        self.is_true(now, &question, query[3] & 0x10 != 0, &reply);
    }

    /// All of it is known here, or was said by a server that was asked, and still holds.
    fn is_true(&self, now: Instant, question: &Question, checking_disabled: bool, reply: &Message) {
        let mut led = vec![&question.name];
        while let Some(next) = reply.answer.iter().find_map(|record| {
            let leads = record.kind == CNAME && led.contains(&&record.owner) && !led.contains(&&record.data);
            leads.then_some(&record.data)
        }) {
            led.push(next);
        }
        let said = || {
            let same = |said: &&Said| {
                said.checking_disabled == checking_disabled
                    && said.question.class == question.class
                    && led.contains(&&said.question.name)
                    && (!said.is_part || (reply.flags[0] & 2 != 0 && now <= said.at + self.longest_wait))
            };
            self.said.iter().filter(same)
        };
        let same_kind = |said: &&Said| said.question.kind == question.kind;
        // Where CNAMEs are filtered, what they lead to is told without them, as dnsmasq does.
        let without_links = self.settings.filter.types.iter().any(|kind| kind.to_int() == CNAME);
        for record in &reply.answer {
            let led_to = led.contains(&&record.owner) || without_links;
            let above = |name: &&Vec<u8>| name.ends_with(&record.owner);
            assert!(led_to || (is_of(record, DNAME) && led.iter().any(above)), "nothing leads to {record:?}");
            let kinds = [question.kind, CNAME, DNAME, RRSIG];
            assert!(question.kind == ANY || kinds.contains(&record.kind), "nobody asked for {record:?}");
            let told = said().filter(same_kind).any(|said| said.tells(record, now, self.stale()));
            assert!(told || is_local(&record.owner, question), "who says {record:?}? {question:?}");
        }
        for record in reply.authority.iter().chain(&reply.additional) {
            let told = said().any(|said| said.beside.iter().any(|one| is_same(one, record)));
            let local = is_local(&record.owner, question) || is_local(&question.name, question);
            assert!(told || local, "who says {record:?} beside?");
            assert!(told || record.kind != SOA, "no zones are ours");
        }
        if reply.code() == NXDOMAIN {
            let denied = |said: &Said| {
                let whole = said.records.is_empty() || said.question.kind == question.kind;
                // Records of other names in its answer section lead nowhere, and are left out.
                let strays = said.records.iter().all(|record| record.owner != said.question.name);
                said.code == NXDOMAIN
                    && (whole || strays)
                    && self.stale().is_none_or(|more| now <= said.nothing_until + more)
            };
            let by = said().any(denied);
            assert!(by || led.iter().any(|name| is_denied_here(name, question)), "who denies {question:?}?");
        }
        let ttls = || reply.answer.iter().map(|record| record.ttl);
        let most = self.settings.cache.max_told_ttl.filter(|_| !led.iter().any(|name| is_local(name, question)));
        assert!(most.is_none_or(|most| ttls().all(|ttl| ttl <= most)), "a TTL beyond {most:?}");
        let stopped = self.settings.filter.rebind.stop && led.iter().all(|name| !is_local(name, question));
        let private = |record: &Record| record.data[..] == [10, 0, 0, 1] || record.data.starts_with(&[192, 168]);
        assert!(!stopped || !reply.answer.iter().any(|record| record.kind == A && private(record)), "rebinding");
    }

    /// How much longer than it holds an answer is told; `None`: always.
    fn stale(&self) -> Option<Duration> {
        match self.settings.cache.stale {
            Stale::Never => Some(Duration::ZERO),
            Stale::For(time) => Some(time),
            Stale::Always => None,
        }
    }

    /// What the service holds is bounded by settings, and the same as is known here.
    pub fn bounded(&self, has: &Statistics) {
        assert_eq!(has.waiting, self.waiting.len(), "all who wait are known");
        assert!(has.queries <= self.most && has.waiting <= self.most * 4, "{has:?}");
        let open = self.open.values().filter(|open| !open.is_mark).count();
        assert!(open <= self.most * (ATTEMPTS + 4), "{open} for {} queries", self.most);
        let cache = &self.settings.cache;
        assert!(has.cached <= cache.size && has.cached <= self.answered.len(), "{has:?}");
        assert!(has.cache_octets <= (cache.size * 600).max(16_384), "{has:?}");
    }

    /// Nothing is left over.
    pub fn rested(&self, has: &Statistics) {
        assert!(self.waiting.is_empty() && self.open.is_empty(), "{} wait", self.waiting.len());
        assert_eq!((has.queries, has.waiting), (0, 0));
    }

    pub fn is_open(&self, token: Token) -> bool {
        self.open.contains_key(&token.0)
    }

    /// Whether nobody should wait long for this while one of the servers for every name lives.
    pub fn is_usual(&self, query: &[u8]) -> bool {
        let question = Message::read(query).and_then(|message| message.question);
        question.is_some_and(|question| !question.name.ends_with(&wire("srv.test")))
            && self.settings.forward.order != Order::Strict
    }
}

impl Said {
    fn tells(&self, record: &Record, now: Instant, stale: Option<Duration>) -> bool {
        let holds = |said: &Record| {
            let until = |stale| self.at + Duration::from_secs(said.ttl.into()) + SECOND + stale;
            now == self.at || self.is_part || stale.is_none_or(|stale| now <= until(stale))
        };
        let found = self.records.iter().find(|said| is_same(said, record) && holds(said));
        found.is_some()
    }
}

/// The same but for its TTL.
fn is_same(one: &Record, other: &Record) -> bool {
    (&one.owner, one.kind, one.class, &one.data) == (&other.owner, other.kind, other.class, &other.data)
}

fn is_of(record: &Record, kind: u16) -> bool {
    record.kind == kind || (record.kind == RRSIG && record.data.starts_with(&kind.to_be_bytes()))
}

fn address(record: &Record) -> Option<IpAddr> {
    match record.kind {
        A => <[u8; 4]>::try_from(&record.data[..]).ok().map(|octets| Ipv4Addr::from(octets).into()),
        AAAA => <[u8; 16]>::try_from(&record.data[..]).ok().map(IpAddr::from),
        _ => None,
    }
}

/// Whether `octets` answer `query`: its id, its name in its letters if they are not all small, type and class.
fn is_genuine(query: &[u8], octets: &[u8], by: Transport) -> bool {
    let end = question_end(query);
    let (Some(asked), Some(answered)) = (query.get(12..end), octets.get(12..end)) else { return false };
    let spared = by == Transport::Tcp || !asked[..asked.len() - 4].iter().any(u8::is_ascii_uppercase);
    let (name, rest) = asked.split_at(asked.len() - 4);
    octets[..2] == query[..2]
        && octets[2] & 0xf8 == 0x80
        && octets[4..6] == [0, 1]
        && answered.ends_with(rest)
        && (asked == answered || (spared && answered[..name.len()].eq_ignore_ascii_case(name)))
}

/// Whether records of this name may be ours.
fn is_local(name: &[u8], question: &Question) -> bool {
    let is_plain = name.first().is_some_and(|length| name.len() == usize::from(*length) + 2);
    let below = OURS.iter().any(|domain| name.ends_with(domain));
    is_plain || below || question.class == 3
}

/// Whether we deny names ourselves.
fn is_denied_here(name: &[u8], question: &Question) -> bool {
    is_local(name, question) || name.ends_with(&wire("local.test")) || question.kind == 253
}
