//! A set of addresses kept as runs without gaps, so that the next address outside it is found without walking through it.

use std::collections::BTreeMap;

/// A set of `u32`. A full /16 is one entry; insertion, removal and [`Runs::next_gap`] take logarithmic time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runs {
    /// First to last, inclusive; no two touch.
    runs: BTreeMap<u32, u32>,
}

impl Runs {
    /// `values`: in ascending order, each once.
    pub(crate) fn of_sorted(values: Vec<u32>) -> Runs {
        let runs = values.chunk_by(|value, next| value.checked_add(1) == Some(*next));
        Runs { runs: runs.filter_map(|run| Some((*run.first()?, *run.last()?))).collect() }
    }

    fn run_of(&self, value: u32) -> Option<(u32, u32)> {
        let (&first, &last) = self.runs.range(..=value).next_back()?;
        (value <= last).then_some((first, last))
    }

    pub(crate) fn contains(&self, value: u32) -> bool {
        self.run_of(value).is_some()
    }

    pub(crate) fn insert(&mut self, value: u32) {
        if self.contains(value) {
            return;
        }
        let before = value.checked_sub(1).and_then(|before| self.run_of(before));
        let after = value.checked_add(1).and_then(|after| self.runs.remove(&after));
        self.runs.insert(before.map_or(value, |(first, _)| first), after.unwrap_or(value));
    }

    pub(crate) fn remove(&mut self, value: u32) {
        let Some((first, last)) = self.run_of(value) else { return };
        self.runs.remove(&first);
        if first < value {
            self.runs.insert(first, value - 1);
        }
        if value < last {
            self.runs.insert(value + 1, last);
        }
    }

    /// The lowest value from `from` on that is not in the set; `None` when the set holds them all.
    pub(crate) fn next_gap(&self, from: u32) -> Option<u32> {
        match self.run_of(from) {
            None => Some(from),
            Some((_, last)) => last.checked_add(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_as_a_set_and_never_keeps_two_runs_that_touch(ops in prop::collection::vec((any::<bool>(), 0u32..40), 0..200)) {
            let mut runs = Runs::default();
            let mut model = BTreeSet::new();
            // The last values there are, so that the upper edge is met too.
            for (insert, value) in ops.into_iter().map(|(insert, value)| (insert, u32::MAX - value)) {
                if insert { runs.insert(value) } else { runs.remove(value) }
                if insert { model.insert(value) } else { model.remove(&value) };
                for probe in u32::MAX - 41..=u32::MAX {
                    prop_assert_eq!(runs.contains(probe), model.contains(&probe));
                    prop_assert_eq!(runs.next_gap(probe), (probe..=u32::MAX).find(|value| !model.contains(value)));
                }
                let anew = Runs::of_sorted(model.iter().copied().collect());
                prop_assert_eq!(&anew.runs, &runs.runs);
                let mut pairs = runs.runs.iter().zip(runs.runs.iter().skip(1));
                prop_assert!(pairs.all(|((_, last), (next, _))| last + 1 < *next));
            }
        }
    }
}
