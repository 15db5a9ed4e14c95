//! lanboot.toml.

use config::{Flags, Loaded, TextFile, load_text};

use crate::conf::{ranges_are_sound, rendered};
use crate::input::Input;
use crate::world::World;

/// The input: a file's text, then an address, a range and a lease time as flags give them, with NULs between.
pub fn target(octets: &[u8]) {
    let mut input = Input(octets);
    let text = String::from_utf8_lossy(input.section());
    let mut flag = || Some(String::from_utf8_lossy(input.section()).into_owned()).filter(|value| !value.is_empty());
    let flags = Flags { address: flag(), ranges: flag().into_iter().collect(), lease: flag(), ..Flags::default() };
    let world = World::of(&mut Input(&[]));
    match load_text(Some(&TextFile::new("/srv/lanboot.toml", text)), &flags, &world) {
        Ok(loaded) => {
            assert!(!loaded.warnings.has_errors());
            rendered(&loaded.warnings);
            sound(&loaded, &world);
        }
        Err(found) => {
            assert!(found.has_errors(), "it says why it does not serve");
            rendered(&found);
        }
    }
}

fn sound(loaded: &Loaded, world: &World) {
    let config = &loaded.config;
    config.dhcp.iter().for_each(ranges_are_sound);
    let printed = config.to_toml();
    match load_text(Some(&TextFile::new("/srv/printed.toml", &*printed)), &Flags::default(), world) {
        Ok(again) => assert_eq!(again.config, *config, "{printed}"),
        Err(found) => panic!("what was printed cannot be read: {}\n{printed}", found.render(false)),
    }
}
