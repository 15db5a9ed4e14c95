//! docs/configuration.md and docs/lanboot.toml say what the program does.
//!
//! The tables are printed from the table of keys: `BLESS=1 cargo test -p config --test docs` writes them.

mod world;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use config::keys::{self, KEYS};

fn docs(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)
}

/// The page with what stands between `<!-- marker -->` and `<!-- end -->` replaced.
fn with_block(page: &str, marker: &str, block: &str) -> String {
    let start = format!("<!-- {marker} -->\n");
    let (before, rest) = page.split_once(&start).unwrap_or_else(|| panic!("docs/configuration.md lacks {start}"));
    let (_, after) = rest.split_once("<!-- end -->").expect("a block ends");
    format!("{before}{start}{block}<!-- end -->{after}")
}

#[test]
fn every_key_and_placeholder_is_documented() {
    let path = docs("configuration.md");
    let page = fs::read_to_string(&path).unwrap();
    let sections: BTreeSet<&str> = KEYS.iter().map(|key| key.section).filter(|section| !section.is_empty()).collect();
    let mut printed = page.clone();
    for section in sections {
        printed = with_block(&printed, &format!("keys: {section}"), &keys::markdown(section));
    }
    let rows = boot::ipxe::PLACEHOLDERS.iter().map(|(name, text)| format!("| `{{{name}}}` | {text} |\n"));
    let placeholders = format!("| Placeholder | Becomes |\n|---|---|\n{}", rows.collect::<String>());
    printed = with_block(&printed, "placeholders", &placeholders);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &printed).unwrap();
        return;
    }
    assert_eq!(page, printed, "run BLESS=1 cargo test -p config --test docs");
}

/// Every key that the table has is read: its example, alone in its section, is found among what was said.
#[test]
fn every_example_is_read() {
    for key in KEYS {
        let path = if key.section.is_empty() { key.name.to_owned() } else { format!("{}.{}", key.section, key.name) };
        let line = match key.section {
            "" => format!("{} = {}\n", key.name, key.example),
            "network.forward" => format!("[[network.forward]]\n{} = {}\n", key.name, key.example),
            "dhcp.pool" | "dhcp.tag" | "dhcp.option" | "dhcp.boot" | "dhcp.menu" | "dhcp.host" => {
                // What says nothing without its siblings has them.
                let siblings: &[&str] = match (key.section, key.name) {
                    ("dhcp.pool", _) => &["range = \"10.0.1.50-10.0.1.99\""],
                    ("dhcp.tag", "value" | "text" | "hex") => &["set = \"x\"", "option = 93"],
                    ("dhcp.tag", _) => &["set = \"x\""],
                    ("dhcp.option", _) => &["option = 224"],
                    ("dhcp.menu", _) => &["arch = \"bios\"", "text = \"x\""],
                    _ => &[],
                };
                let others = siblings.iter().filter(|line| !line.starts_with(&format!("{} ", key.name)));
                let others: String = others.map(|line| format!("{line}\n")).collect();
                format!("[[{}]]\n{others}{} = {}\n", key.section, key.name, key.example)
            }
            "dns.forward" | "dns.override" | "dns.record" | "dns.synth" | "dns.alias" => {
                let siblings: &[&str] = match (key.section, key.name) {
                    ("dns.record", "hex") => &["name = \"a.lan\"", "type = \"TYPE65\""],
                    ("dns.record", "type") => &["name = \"a.lan\"", "hex = \"00\""],
                    ("dns.record", "name" | "reverse" | "ttl") => &["name = \"a.lan\"", "address = \"10.0.1.9\""],
                    ("dns.record", _) => &["name = \"a.lan\""],
                    ("dns.synth", _) => &["domain = \"lan\"", "range = \"10.0.1.9\""],
                    ("dns.alias", _) => &["range = \"10.0.1.9\"", "to = \"10.0.2.9\""],
                    _ => &["domain = \"lan\"", "to = \"10.0.1.9\""],
                };
                let others = siblings.iter().filter(|line| !line.starts_with(&format!("{} ", key.name)));
                let others: String = others.map(|line| format!("{line}\n")).collect();
                format!("[[{}]]\n{others}{} = {}\n", key.section, key.name, key.example)
            }
            "machine" => format!("[[machine]]\n{} = {}\n", key.name, key.example),
            "machine.boot" => format!("[[machine]]\n[machine.boot]\n{} = {}\n", key.name, key.example),
            section => format!("[{section}]\n{} = {}\n", key.name, key.example),
        };
        let found = world::load("", &line);
        let text = found.as_ref().map_or_else(|mistakes| mistakes.to_string(), |_| String::new());
        for complaint in ["unknown key", "takes", "cannot be", "is not a", "is none of"] {
            let about_files = text.contains("does not exist");
            assert!(about_files || !text.contains(complaint), "{path}: {text}");
        }
        let source = config::TextFile::new("/srv/lanboot.toml", &*line);
        let mut mistakes = config::Diagnostics::default();
        let said = config::read_file(&source, &mut mistakes).expect("the example is TOML");
        assert!(said.places.contains_key(&path), "{path} is not read");
        assert!(said != config::Said { places: said.places.clone(), ..Default::default() } || is_part(key), "{path}");
    }
}

/// Keys that say nothing without their siblings, and empty sections.
fn is_part(key: &keys::Key) -> bool {
    key.section == "network.forward" || key.section.starts_with("dhcp.") || key.example == "{}"
}

/// The example is the guide's set-up: it loads, warns of the forward and of nothing else, and means what it says.
#[test]
fn the_example_file_loads() {
    let text = fs::read_to_string(docs("lanboot.toml")).unwrap().replace("/var/lib/tftpboot", "/srv/tftp");
    let loaded = world::load("", &text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let warnings: Vec<_> = loaded.warnings.iter().map(|warning| warning.what.as_str()).collect();
    assert_eq!(warnings, ["port 587 is forwarded to 10.0.3.100, which lies outside the subnet 10.0.1.0/24"]);
    let config = loaded.config;
    assert!(config.network.masquerade);
    let dhcp = config.dhcp.unwrap();
    assert_eq!(dhcp.dynamic().collect::<Vec<_>>(), [("10.0.1.2".parse().unwrap(), "10.0.1.254".parse().unwrap())]);
    assert_eq!(dhcp.lease_limit, Some(253));
}

/// What is commented out in the example are keys that exist, with values that are TOML.
#[test]
fn the_example_files_other_choices_are_right() {
    let text = fs::read_to_string(docs("lanboot.toml")).unwrap();
    let is_choice = |line: &&str| line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
    let choices: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# ")).filter(is_choice).collect();
    assert!(choices.len() > 10, "{choices:?}");
    for choice in choices {
        toml::from_str::<toml::Table>(choice).unwrap_or_else(|error| panic!("{choice}: {error}"));
        let (key, _) = choice.split_once(" = ").unwrap();
        let name = key.rsplit('.').next().unwrap();
        assert!(KEYS.iter().any(|known| known.name == name), "{choice}");
    }
}

/// The mistake that the page shows is shown as lanboot shows it.
#[test]
fn the_pages_mistake_is_real() {
    let page = fs::read_to_string(docs("configuration.md")).unwrap();
    let shown = page.split("```\n").find(|block| block.starts_with("error: ")).expect("an example of a mistake");
    let text = "[network]\nbridge = \"net\"\naddress = \"10.0.1.1/24\"\n[dhcp]\nrange = \"10.0.1.200-10.0.2.10\"\n\
                [boot]\nscript = \"/srv/menu.ipxe\"\n";
    let source = config::TextFile::new("lanboot.toml", text);
    let mistakes = config::load_text(Some(&source), &Default::default(), &world::World::new()).unwrap_err();
    assert_eq!(format!("{mistakes}\n"), shown);
}
