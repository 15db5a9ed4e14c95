//! Which files the clients on one interface are served.

use std::borrow::Cow;
use std::net::Ipv4Addr;
use std::sync::Arc;

use config::{Tftp, UniqueRoot};
use mac::Mac;

use crate::files::{FileError, Files, Found};

/// Who has an address on this interface, as far as is known.
pub type MacOf = Arc<dyn Fn(Ipv4Addr) -> Option<Mac> + Send + Sync>;

/// The files of one interface as TFTP shows them.
pub struct Tree {
    files: Arc<Files>,
    unique_root: Option<UniqueRoot>,
    lowercase: bool,
    mac_of: MacOf,
}

impl Tree {
    /// `files`: what is published on all interfaces. `interface`: where the requests arrive.
    pub fn new(files: &Arc<Files>, settings: &Tftp, interface: &str, mac_of: MacOf) -> Tree {
        let files = settings.root_on(interface).map_or_else(|| files.clone(), |root| Arc::new(files.rooted_at(root)));
        Tree { files, unique_root: settings.unique_root, lowercase: settings.lowercase, mac_of }
    }

    /// Opens the file that the client at this address asks for.
    ///
    /// # Errors
    /// Those of [`Files::open`].
    pub fn open(&self, client: Ipv4Addr, asked: &str) -> Result<Found, FileError> {
        let own = match self.unique_root {
            None => None,
            Some(UniqueRoot::Ip) => Some(client.to_string()),
            Some(UniqueRoot::Mac) => (self.mac_of)(client).map(|mac| mac.to_string().replace(':', "-")),
        };
        let files = own.map_or(Cow::Borrowed(&*self.files), |own| Cow::Owned(self.files.within(&own)));
        match self.lowercase {
            true => files.open(&asked.to_ascii_lowercase()),
            false => files.open(asked),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use config::{InterfacePattern, InterfaceRoot, Publish, Source};
    use journal::Role;

    use super::*;
    use crate::files::Content;

    const ONE: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 7);
    const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 8);

    /// Files that hold the names of their folders.
    struct Disk(PathBuf);

    impl Disk {
        fn new(name: &str, files: &[&str]) -> Disk {
            let root = std::env::temp_dir().join(format!("lanboot-tree-{name}-{}", std::process::id()));
            for file in files {
                let path = root.join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, file).unwrap();
            }
            Disk(root)
        }

        fn tree(&self, settings: &Tftp) -> Tree {
            let publish =
                Publish { name: String::new(), source: Source::Folder(self.0.join("root")), role: Role::Other };
            let files = Arc::new(Files::new(vec![publish]).unwrap());
            let mac_of: MacOf = Arc::new(|address| (address == ONE).then_some(Mac([0x52, 0x54, 0, 0, 0, 0xab])));
            Tree::new(&files, settings, "eth1", mac_of)
        }
    }

    impl Drop for Disk {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn read(tree: &Tree, client: Ipv4Addr, asked: &str) -> String {
        match tree.open(client, asked) {
            Ok(Found { content: Content::File(file), .. }) => std::io::read_to_string(file).unwrap(),
            Ok(_) => unreachable!("nothing is made here"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn each_client_has_its_own_folder_where_there_is_one_and_nothing_but_that() {
        let disk = Disk::new("own", &["root/a", "root/b", "root/10.0.1.7/a", "root/52-54-00-00-00-ab/a"]);
        for (by, folder) in [(UniqueRoot::Ip, "10.0.1.7"), (UniqueRoot::Mac, "52-54-00-00-00-ab")] {
            let tree = disk.tree(&Tftp { unique_root: Some(by), ..Tftp::default() });
            assert_eq!(read(&tree, ONE, "a"), format!("root/{folder}/a"));
            assert_eq!(read(&tree, ONE, "/b"), "no file of this name is published: /b");
            assert_eq!(read(&tree, OTHER, "a"), "root/a", "it has no folder");
        }
        assert_eq!(read(&disk.tree(&Tftp::default()), ONE, "a"), "root/a");
    }

    #[test]
    fn an_interface_with_a_root_of_its_own_shows_that_alone() {
        let disk = Disk::new("interface", &["root/a", "root/b", "eth/a", "eth/10.0.1.7/a"]);
        let root = |name: &str| InterfaceRoot {
            interface: InterfacePattern { name: name.into(), open: false },
            folder: disk.0.join("eth"),
        };
        let settings = Tftp { roots: vec![root("eth1")], ..Tftp::default() };
        let tree = disk.tree(&settings);
        assert_eq!(read(&tree, ONE, "a"), "eth/a");
        assert_eq!(read(&tree, ONE, "b"), "no file of this name is published: b");
        assert_eq!(read(&disk.tree(&Tftp { roots: vec![root("eth2")], ..Tftp::default() }), ONE, "a"), "root/a");
        let unique = Tftp { unique_root: Some(UniqueRoot::Ip), ..settings };
        assert_eq!(read(&disk.tree(&unique), ONE, "a"), "eth/10.0.1.7/a");
    }

    #[test]
    fn a_root_may_come_later() {
        let disk = Disk::new("later", &["root/a"]);
        let interface = InterfacePattern { name: String::new(), open: true };
        let roots = vec![InterfaceRoot { interface, folder: disk.0.join("new") }];
        let tree = disk.tree(&Tftp { roots, ..Tftp::default() });
        assert_eq!(read(&tree, ONE, "a"), "no file of this name is published: a");
        fs::create_dir(disk.0.join("new")).unwrap();
        fs::write(disk.0.join("new/a"), "came").unwrap();
        assert_eq!(read(&tree, ONE, "a"), "came");
    }

    #[test]
    fn small_letters_are_preferred_to_what_was_asked() {
        let disk = Disk::new("lower", &["root/a", "root/A"]);
        assert_eq!(read(&disk.tree(&Tftp::default()), ONE, "A"), "root/A");
        assert_eq!(read(&disk.tree(&Tftp { lowercase: true, ..Tftp::default() }), ONE, "A"), "root/a");
    }
}
