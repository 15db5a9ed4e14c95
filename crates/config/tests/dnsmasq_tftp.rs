//! What dnsmasq's TFTP options come to, on an imagined computer.

use std::ffi::OsString;
use std::path::Path;

use config::dnsmasq::{Dialect, Disk, lower};
use config::{Access, Config, Diagnostics, FileRules, InterfaceRoot, Source, Tftp, TransferPorts, UniqueRoot};

mod world;
use world::World;

fn lowered(options: &str) -> Result<(Config, Diagnostics), Diagnostics> {
    let line = format!("--conf-file= --interface=eth1 {options}");
    let args: Vec<OsString> = line.split_whitespace().map(Into::into).collect();
    let directives = Dialect::read(&args, &Disk).unwrap_or_else(|refusal| panic!("{}", refusal.diagnostics));
    lower::lower(&directives, &World::new()).map(|(service, found)| (service.config, found))
}

/// The configuration, and how many warnings it comes with.
fn config(options: &str, warnings: usize) -> Config {
    let (config, found) = lowered(options).unwrap_or_else(|found| panic!("{options}: {found}"));
    assert_eq!(found.0.len(), warnings, "{options}: {found}");
    config
}

fn tftp(options: &str) -> Tftp {
    config(&format!("--enable-tftp --tftp-root=/srv/tftp {options}"), 0).tftp.expect("it is enabled")
}

fn folders(config: &Config) -> Vec<&Path> {
    let folders = config.publish.iter().map(|publish| match &publish.source {
        Source::Folder(path) | Source::File(path) => path.as_path(),
    });
    folders.collect()
}

#[test]
fn it_is_off_until_it_is_enabled() {
    let off = config("--tftp-root=/nowhere", 0);
    assert_eq!((off.tftp.clone(), folders(&off), off.boot.tftp), (None, vec![], false));
    let on = config("--enable-tftp --tftp-root=/srv/tftp", 0);
    assert_eq!((folders(&on), on.boot.tftp), (vec![Path::new("/srv/tftp")], true));
    assert_eq!(on.tftp, Some(Tftp { max_transfers: 50, ..Tftp::default() }));
    assert_eq!(on.file_rules, FileRules { access: Access::Public, follow_links: true });
}

#[test]
fn a_list_of_interfaces_limits_it_wherever_it_stands() {
    for (options, on, warnings) in [
        ("--enable-tftp=eth1", true, 0),
        ("--enable-tftp=eth*", true, 0),
        ("--enable-tftp=lo --enable-tftp", false, 1),
        ("--enable-tftp --enable-tftp=lo", false, 1),
    ] {
        let config = config(&format!("{options} --tftp-root=/srv/tftp"), warnings);
        assert_eq!((config.served[0].tftp, config.boot.tftp), (on, on), "{options}");
    }
}

#[test]
fn each_option_has_its_place() {
    let with = |options| tftp(options);
    assert_eq!(with("--tftp-unique-root").unique_root, Some(UniqueRoot::Ip));
    assert_eq!(with("--tftp-unique-root=mac").unique_root, Some(UniqueRoot::Mac));
    assert!(with("--tftp-lowercase").lowercase);
    assert!(!with("--tftp-no-blocksize").grants_blksize);
    assert_eq!(with("--tftp-mtu=600").mtu, Some(600));
    assert_eq!(with("--tftp-max=7").max_transfers, 7);
    assert_eq!(with("--tftp-single-port").ports, TransferPorts::Single);
    let ranged = with("--tftp-port-range=50001,50000");
    assert_eq!((ranged.ports, ranged.most_transfers()), (TransferPorts::Range(50_000, 50_001), 2));
    let both = config("--enable-tftp --tftp-root=/srv/tftp --tftp-single-port --tftp-port-range=1,2", 1);
    assert_eq!(both.tftp.map(|tftp| tftp.ports), Some(TransferPorts::Single));
    assert_eq!(config("--enable-tftp --tftp-root=/srv/tftp --tftp-secure", 0).file_rules.access, Access::Own);
}

#[test]
fn an_interface_may_have_a_root_of_its_own() {
    let tftp = tftp("--tftp-root=/srv/empty,eth1 --tftp-root=/srv/other,eth2");
    let root = |interface| tftp.root_on(interface).and_then(Path::to_str);
    assert_eq!((root("eth1"), root("eth2"), root("eth3")), (Some("/srv/empty"), Some("/srv/other"), None));
}

#[test]
fn the_last_root_counts_and_the_first_is_not_lost_in_silence() {
    let config = config("--enable-tftp --tftp-root=/srv/empty --tftp-root=/srv/tftp", 1);
    assert_eq!(folders(&config), [Path::new("/srv/tftp")]);
}

#[test]
fn a_missing_root_is_a_mistake_unless_it_may_be_missing() {
    for (root, why) in [("/nowhere", "not found"), ("/srv/vmlinuz", "not a folder"), ("/nowhere,eth9", "not found")] {
        let options = format!("--enable-tftp --tftp-root=/srv/tftp --tftp-root={root}");
        let found = lowered(&options).expect_err("there is no such root").to_string();
        assert!(found.contains("error: the tftp-root") && found.contains(why), "{found}");
    }
    let config = config("--enable-tftp --tftp-root=/nowhere --tftp-no-fail", 1);
    assert_eq!(folders(&config), [""; 0].map(Path::new));
    let roots = config.tftp.expect("it is enabled").roots;
    assert!(matches!(&*roots, [InterfaceRoot { folder, .. }] if folder == Path::new("/nowhere")), "{roots:?}");
}

#[test]
fn without_a_root_all_of_the_computer_is_served_over_tftp_alone_and_it_is_said() {
    let all = config("--enable-tftp --http-port=80", 1);
    assert_eq!(folders(&all), [""; 0].map(Path::new), "nothing over HTTP");
    assert_eq!(all.tftp.expect("it is enabled").root_on("eth1"), Some(Path::new("/")));
    let http = config("--enable-tftp --http-root=/srv/tftp", 0);
    assert_eq!(folders(&http), [Path::new("/srv/tftp")]);
    assert_eq!(http.tftp.expect("it is enabled").root_on("eth1"), None);
}
