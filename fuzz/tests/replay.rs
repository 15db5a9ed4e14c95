//! Every corpus once more: what the fuzzer found worth keeping, and what once went wrong.

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

fn corpus() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

#[test]
fn nothing_in_any_corpus_makes_a_target_panic() {
    for (name, target) in fuzz::TARGETS {
        let folder = corpus().join(name);
        let mut files: Vec<_> =
            fs::read_dir(&folder).expect("a corpus").map(|entry| entry.expect("a file").path()).collect();
        files.sort();
        assert!(files.len() >= 10, "{} has {} files", folder.display(), files.len());
        for file in files {
            let octets = fs::read(&file).expect("a file");
            assert!(catch_unwind(|| target(&octets)).is_ok(), "{} {}", name, file.display());
        }
    }
}

#[test]
fn every_corpus_has_its_target() {
    let names: BTreeSet<_> = fuzz::TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let entries = fs::read_dir(corpus()).expect("the corpora");
    let folders = entries.map(|entry| entry.expect("a folder").file_name().to_string_lossy().into_owned());
    assert_eq!(folders.collect::<BTreeSet<_>>(), names);
}
