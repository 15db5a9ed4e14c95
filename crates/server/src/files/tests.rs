use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;

use super::*;

/// A folder of its own for each test, removed with it.
struct Tree(PathBuf);

impl Tree {
    fn new() -> Tree {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("lanboot-files-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().canonicalize().unwrap().join(name);
        fs::create_dir(&path).unwrap();
        Tree(path)
    }

    /// Writes a file that holds its own name.
    fn file(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, name).unwrap();
        path
    }

    fn link(&self, name: &str, target: impl AsRef<Path>) {
        symlink(target, self.0.join(name)).unwrap();
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn folder(name: &str, path: PathBuf) -> Publish {
    Publish { name: name.into(), source: Source::Folder(path), role: Role::Other }
}

fn file(name: &str, path: PathBuf, role: Role) -> Publish {
    Publish { name: name.into(), source: Source::File(path), role }
}

#[test]
fn links_lead_where_they_like_when_the_rules_say_so() {
    let (tree, outside) = (Tree::new(), Tree::new());
    outside.file("out");
    tree.link("link", outside.0.join("out"));
    tree.link("gone", outside.0.join("gone"));
    let bound = files([folder("", tree.0.clone())]);
    assert!(matches!(bound.open("link"), Err(FileError::LeadsOutside { .. })));
    let free = bound.under(FileRules { follow_links: true, ..FileRules::default() });
    assert_eq!(read(&free, "link"), Ok(("link".into(), "out".into())));
    assert!(matches!(free.open("gone"), Err(FileError::NotFound { .. })));
    assert!(matches!(free.open("../out"), Err(FileError::LeadsOutside { .. })), "names still end at the root");
}

#[test]
fn what_is_not_for_everyone_is_given_out_only_where_the_rules_say_so() {
    let tree = Tree::new();
    let private = tree.file("private");
    tree.file("public");
    fs::set_permissions(private, PermissionsExt::from_mode(0o600)).unwrap();
    for (access, withheld) in [(Access::Readable, false), (Access::Public, true), (Access::Own, true)] {
        let files = files([folder("", tree.0.clone())]).under(FileRules { access, ..FileRules::default() });
        assert!(files.open("public").is_ok(), "{access:?}");
        // Other users than root are the owners here, and may give out what is theirs.
        let withheld = withheld && Uid::effective().is_root();
        assert_eq!(matches!(files.open("private"), Err(FileError::Withheld { .. })), withheld, "{access:?}");
    }
}

fn files<const N: usize>(publish: [Publish; N]) -> Files {
    Files::new(publish.into()).unwrap()
}

/// The published name and what is in the file.
fn read(files: &Files, asked: &str) -> Result<(String, String), FileError> {
    let found = files.open(asked)?;
    let Content::File(mut file) = found.content else { panic!("a file on disk is not in memory") };
    let mut content = String::new();
    file.read_to_string(&mut content).unwrap();
    assert_eq!(found.size, content.len() as u64);
    Ok((found.name, content))
}

#[test]
fn every_way_of_writing_a_name_leads_to_the_file() {
    let tree = Tree::new();
    tree.file("Boot/x64/wdsnbp.com");
    let files = files([folder("", tree.0.clone())]);
    let absolute = format!("{}/Boot/x64/wdsnbp.com", tree.0.display());
    let ways = ["Boot/x64/wdsnbp.com", "//Boot/./x64//wdsnbp.com", r"\Boot\x64\wdsnbp.com", "/BOOT/X64/WdsNbp.Com"];
    for asked in ways.into_iter().chain([absolute.as_str()]) {
        let (name, content) = read(&files, asked).unwrap();
        assert_eq!((name.as_str(), content.as_str()), ("Boot/x64/wdsnbp.com", "Boot/x64/wdsnbp.com"), "{asked}");
    }
}

#[test]
fn exact_name_is_preferred_to_one_that_differs_in_case() {
    let (first, second) = (Tree::new(), Tree::new());
    first.file("LINUX");
    second.file("linux");
    let files = files([folder("", first.0.clone()), folder("", second.0.clone())]);
    assert_eq!(read(&files, "linux").unwrap().1, "linux");
    assert_eq!(read(&files, "Linux").unwrap().1, "LINUX");
}

#[test]
fn first_place_that_has_the_name_serves_it() {
    let (first, second) = (Tree::new(), Tree::new());
    let kernel = first.file("vmlinuz-6.1");
    second.file("boot/kernel");
    second.file("boot/other");
    let files = files([file("boot/kernel", kernel, Role::Kernel), folder("", second.0.clone())]);
    let found = files.open("boot/kernel").unwrap();
    assert_eq!((found.role, found.name.as_str()), (Role::Kernel, "boot/kernel"));
    assert_eq!(read(&files, "boot/kernel").unwrap().1, "vmlinuz-6.1");
    assert_eq!(read(&files, "boot/other").unwrap().1, "boot/other");
}

#[test]
fn folder_below_a_prefix_answers_there_only() {
    let tree = Tree::new();
    tree.file("linux");
    let files = files([folder("debian/12", tree.0.clone())]);
    assert_eq!(read(&files, "/Debian/12/Linux").unwrap().0, "debian/12/linux");
    assert!(matches!(files.open("linux"), Err(FileError::NotFound { .. })));
    assert!(matches!(files.open("debian"), Err(FileError::NotFound { .. })));
    assert!(matches!(files.open("debian/12"), Err(FileError::NotAFile { what: "a folder", .. })));
}

#[test]
fn links_inside_the_folder_work_relative_or_absolute() {
    let tree = Tree::new();
    let real = tree.file("debian-installer/amd64/pxelinux.0");
    tree.link("pxelinux.0", "debian-installer/amd64/pxelinux.0");
    tree.link("debian-installer/amd64/up", "../amd64/pxelinux.0");
    tree.link("absolute", &real);
    tree.link("folder", tree.0.join("debian-installer"));
    let files = files([folder("", tree.0.clone())]);
    for asked in ["pxelinux.0", "debian-installer/amd64/up", "absolute", "folder/amd64/pxelinux.0"] {
        let (name, content) = read(&files, asked).unwrap();
        assert_eq!((name.as_str(), content.as_str()), (asked, "debian-installer/amd64/pxelinux.0"));
    }
}

#[test]
fn link_to_the_outside_is_refused_and_the_remedy_works() {
    let (tree, outside) = (Tree::new(), Tree::new());
    let kernel = outside.file("vmlinuz");
    tree.link("linux", &kernel);
    tree.link("boot", &outside.0);
    let confined = files([folder("", tree.0.clone())]);
    for asked in ["linux", "boot/vmlinuz"] {
        let error = confined.open(asked).unwrap_err();
        assert!(matches!(&error, FileError::LeadsOutside { target: Some(to), .. } if *to == kernel), "{error:?}");
        assert!(error.to_string().contains(&format!("publish {} too", outside.0.display())), "{error}");
    }
    let remedied = files([folder("", tree.0.clone()), folder("kernels", outside.0.clone())]);
    assert_eq!(read(&remedied, "linux").unwrap().1, "vmlinuz");
    assert_eq!(read(&remedied, "boot/vmlinuz").unwrap().1, "vmlinuz");
    let by_file = files([folder("", tree.0.clone()), file("k", kernel, Role::Kernel)]);
    assert_eq!(read(&by_file, "linux").unwrap().1, "vmlinuz");
}

#[test]
fn dots_never_lead_above_the_root() {
    let tree = Tree::new();
    tree.file("in/file");
    tree.file("secret");
    let files = files([folder("", tree.0.join("in"))]);
    for asked in ["../secret", "/../../secret", r"..\secret", "x/../../secret"] {
        assert!(matches!(files.open(asked), Err(FileError::LeadsOutside { .. })), "{asked}");
    }
    assert!(files.open("../in/file").unwrap_err().to_string().contains("leads above"));
    assert_eq!(read(&files, "x/../file").unwrap().0, "file");
}

#[test]
fn only_regular_files_are_served_and_a_fifo_does_not_hang() {
    let tree = Tree::new();
    tree.file("folder/file");
    nix::unistd::mkfifo(&tree.0.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(tree.0.join("socket")).unwrap();
    let files = files([folder("", tree.0.clone())]);
    for asked in ["folder", "fifo", "socket", "/"] {
        assert!(matches!(files.open(asked), Err(FileError::NotAFile { .. })), "{asked}");
    }
    assert!(matches!(files.open("folder/file/below"), Err(FileError::NotFound { .. })));
}

#[test]
fn missing_permission_is_named_with_its_remedy() {
    let tree = Tree::new();
    let (locked, open) = (tree.file("locked"), tree.file("closed/open"));
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(open.parent().unwrap(), fs::Permissions::from_mode(0o700)).unwrap();
    let files = files([folder("", tree.0.clone())]);
    // Identity is each thread's own below libc; a thread that is nobody cannot read what root owns.
    let errors = std::thread::spawn(move || {
        // SAFETY: the call takes three numbers and changes this thread only.
        assert_eq!(unsafe { libc::syscall(libc::SYS_setresuid, -1, 65534, -1) }, 0, "this test runs as root");
        ["locked", "closed/open"].map(|asked| files.open(asked).unwrap_err())
    });
    let [file_error, folder_error] = errors.join().unwrap();
    assert!(file_error.to_string().contains(&format!("chmod o+r {}", locked.display())), "{file_error}");
    assert!(file_error.to_string().contains("0600"), "{file_error}");
    let closed = format!("chmod o+rx {}/closed", tree.0.display());
    assert!(folder_error.to_string().contains(&closed), "{folder_error}");
}

#[test]
fn file_that_vanished_after_it_was_published_is_said_so() {
    let tree = Tree::new();
    let path = tree.file("kernel");
    let files = files([file("k", path.clone(), Role::Kernel)]);
    fs::remove_file(&path).unwrap();
    let error = files.open("k").unwrap_err();
    assert_eq!(error.to_string(), format!("{} cannot be opened: No such file or directory", path.display()));
}

#[test]
fn what_cannot_be_published_is_refused_at_once() {
    let tree = Tree::new();
    let path = tree.file("kernel");
    assert!(matches!(Files::new(vec![folder("", tree.0.join("absent"))]), Err(BadPublish::Missing { .. })));
    assert!(matches!(Files::new(vec![folder("", path.clone())]), Err(BadPublish::NotAFolder(_))));
    assert!(matches!(Files::new(vec![file("x", tree.0.clone(), Role::Kernel)]), Err(BadPublish::NotAFile(_))));
    assert!(matches!(Files::new(vec![file("/", path.clone(), Role::Kernel)]), Err(BadPublish::NoName(_))));
    assert!(matches!(Files::new(vec![file("../x", path, Role::Kernel)]), Err(BadPublish::Name(_))));
}

#[test]
fn listing_shows_what_can_be_asked_for_and_only_that() {
    let (tree, outside) = (Tree::new(), Tree::new());
    let kernel = outside.file("vmlinuz");
    tree.file("initrd.gz");
    tree.file("sub/menu");
    tree.file("boot/below");
    tree.link("alias", "initrd.gz");
    tree.link("leaving", outside.file("other"));
    nix::unistd::mkfifo(&tree.0.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let files = files([file("boot/linux", kernel, Role::Kernel), folder("", tree.0.clone())]);
    let names = |folder: &str| files.list(folder).map(|list| list.entries.into_iter().map(|e| e.name).collect());
    assert_eq!(names(""), Ok(vec!["alias".into(), "boot".into(), "initrd.gz".into(), "sub".into()]));
    assert_eq!(names("/boot/"), Ok(vec!["below".into(), "linux".into()]));
    assert!(matches!(names("absent"), Err(FileError::NotFound { .. })));
    assert!(matches!(names("initrd.gz"), Err(FileError::NotFound { .. })));
    let top = files.list("").unwrap();
    assert!(matches!(top.entries[2].kind, Kind::File { size: 9, role: Role::Initrd, .. }));
    assert_eq!(top.entries[3].kind, Kind::Folder);
}

#[test]
fn listing_of_a_huge_folder_ends() {
    let tree = Tree::new();
    for n in 0..1010 {
        fs::write(tree.0.join(n.to_string()), "").unwrap();
    }
    let list = files([folder("", tree.0.clone())]).list("").unwrap();
    assert!(list.more);
    assert_eq!(list.entries.len(), 1000);
}

proptest! {
    #[test]
    fn no_name_whatsoever_reaches_a_file_that_is_not_published(
        parts in prop::collection::vec(prop::sample::select(vec!["in", "a", "up", "out", "..", ".", "", "secret", "IN"]), 0..7),
        separator in prop::sample::select(vec!["/", "\\"]),
    ) {
        let tree = Tree::new();
        tree.file("secret");
        tree.file("in/a/file");
        tree.link("in/up", "..");
        tree.link("in/out", &tree.0);
        tree.link("in/a/up", "../../secret");
        let files = files([folder("", tree.0.join("in"))]);
        let asked = parts.join(separator);
        prop_assert!(files.open(&asked).is_err());
        let absolute = format!("{}/in/{asked}", tree.0.display());
        prop_assert!(files.open(&absolute).is_err());
        if let Ok(list) = files.list(&asked) {
            prop_assert!(list.entries.iter().all(|entry| entry.name != "secret"));
        }
    }
}
