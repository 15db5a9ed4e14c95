//! Names that are known here, to find the one that was meant by another.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use crate::{Event, Step};

/// The newest so many.
const MOST: usize = 512;
/// Longer labels are not names that somebody types.
const LONGEST: usize = 32;
/// Names from this length on may have two faults.
const LONG: usize = 8;

#[derive(Clone, Debug, Default)]
pub(crate) struct KnownNames {
    in_order: VecDeque<Arc<str>>,
    all: HashSet<Arc<str>>,
}

impl KnownNames {
    /// Takes note of names that leases and local records have.
    pub(crate) fn hear(&mut self, event: &Event) {
        match &event.step {
            Step::DhcpAck { name: Some(name), .. } => self.add(name),
            Step::LookedUp { name, answers, local: true, .. } if !answers.is_empty() => self.add(name),
            _ => {}
        }
    }

    fn add(&mut self, name: &str) {
        if name.ends_with(".arpa") || self.all.contains(name) {
            return;
        }
        if self.in_order.len() == MOST
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.all.remove(&oldest);
        }
        let name: Arc<str> = name.into();
        self.in_order.push_back(name.clone());
        self.all.insert(name);
    }

    /// The name that is nearly this one.
    pub(crate) fn like(&self, name: &str) -> Option<&str> {
        let label = first_label(name);
        let most = if label.len() >= LONG { 2 } else { 1 };
        let near = |known: &&Arc<str>| {
            let other = first_label(known);
            let faults = faults(label.as_bytes(), other.as_bytes(), most);
            // Machines that are counted are not each other's faults.
            faults.is_some() && without_digits(label) != without_digits(other)
        };
        if label.len() < 3 || label.len() > LONGEST {
            return None;
        }
        self.in_order.iter().rev().find(near).map(|name| &**name)
    }
}

pub(crate) fn first_label(name: &str) -> &str {
    name.split('.').next().unwrap_or_default()
}

fn without_digits(name: &str) -> String {
    name.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// How many letters are wrong, missing, too many or changed with their neighbours; `None`: none, or more than `most`.
fn faults(a: &[u8], b: &[u8], most: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > most || b.len() > LONGEST || a == b {
        return None;
    }
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let wrong = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (last[j - 1] + wrong).min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    (last[b.len()] <= most).then_some(last[b.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_a_fault_or_two_are_recognised() {
        let mut known = KnownNames::default();
        ["node1.lan", "mirror.lan", "nas", "7.1.0.10.in-addr.arpa"].into_iter().for_each(|name| known.add(name));
        for (name, like) in [
            ("miror.lan", Some("mirror.lan")),
            ("mirrro", Some("mirror.lan")),
            ("mirrors.lan", Some("mirror.lan")),
            ("nass", Some("nas")),
            ("mirror.lan", None),
            ("node2.lan", None),
            ("node12.lan", None),
            ("nose1.lan", Some("node1.lan")),
            ("mixer.lan", None),
            ("na", None),
            ("deb.example", None),
            ("", None),
        ] {
            assert_eq!(known.like(name), like, "{name}");
        }
    }

    #[test]
    fn the_newest_names_are_kept() {
        let mut known = KnownNames::default();
        (0..600).for_each(|n| known.add(&format!("abcdefghijkl{}", char::from_u32(0x4e00 + n).unwrap())));
        assert_eq!((known.in_order.len(), known.all.len()), (MOST, MOST));
    }
}
