//! Guesses what was meant by a misspelt word.

/// The candidate that is most like `word`, if any is like enough: about one slip in three letters.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    ranked(word, candidates).into_iter().next()
}

/// Every candidate that is like `word`, the likest first.
pub(crate) fn ranked<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let limit = word.chars().count() / 3 + 1;
    let mut near: Vec<_> = candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(slips, _)| *slips <= limit)
        .collect();
    near.sort();
    near.into_iter().map(|(_, candidate)| candidate).collect()
}

/// How many letters must be put in, taken out, replaced or swapped with their neighbour to turn one word into the
/// other (optimal string alignment); case does not count.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_lowercase().chars().collect();
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut before = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut next = vec![i];
        for j in 1..=b.len() {
            let replaced = row[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(row[j] + 1).min(next[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                let swapped: usize = before[j - 2];
                least = least.min(swapped + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_slips() {
        assert_eq!(distance("bridge", "bridge"), 0);
        assert_eq!(distance("brigde", "bridge"), 1);
        assert_eq!(distance("brige", "bridge"), 1);
        assert_eq!(distance("Bridge", "bridge"), 0);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kernel", "initrd"), 6);
    }

    #[test]
    fn guesses_only_what_is_like_enough() {
        let keys = ["bridge", "interface", "address", "ports"];
        assert_eq!(nearest("port", keys), Some("ports"));
        assert_eq!(nearest("adress", keys), Some("address"));
        assert_eq!(nearest("kernel", keys), None);
    }
}
