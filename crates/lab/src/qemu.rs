//! One QEMU process: its command line, its start and its end.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use mac::Mac;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::accel::Accelerator;
use crate::firmware::{Firmware, Images, Missing, ROM_MISSING, find_qemu};
use crate::qmp::{Qmp, QmpError};

/// How long QEMU may take to answer: it shares its processors with other machines' emulation.
const PATIENCE: Duration = Duration::from_secs(30);

/// A virtual machine as hardware.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hardware {
    pub firmware: Firmware,
    pub mac: Mac,
    pub memory_mib: u32,
    /// Another ROM for the network card, such as a newer iPXE. By default BIOS has QEMU's iPXE ROM and UEFI has none.
    pub rom: Option<PathBuf>,
    /// A system that is in the machine already, instead of one from the network.
    pub kernel: Option<Kernel>,
    /// What QEMU's `-display` takes, e.g. `gtk` or `vnc=:1`; `vnc` alone is the socket `vnc.sock` in the artefacts
    /// folder, which can be reached from outside the lab's network.
    pub display: Option<String>,
}

/// A Linux kernel that QEMU puts into the machine's memory; the firmware starts it without asking the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    pub image: PathBuf,
    pub initrd: PathBuf,
    pub command_line: String,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Missing(#[from] Missing),
    #[error("{program} could not be started: {error}")]
    Spawn { program: PathBuf, error: io::Error },
    #[error("{program} gave up: {said}{}", fix(.said))]
    GaveUp { program: PathBuf, said: String },
    #[error(transparent)]
    Monitor(QmpError),
}

fn fix(said: &str) -> String {
    if said.contains("romfile") { format!("\n  fix: {}", ROM_MISSING.fix()) } else { String::new() }
}

/// What an emulated machine's clock follows. KVM has its own ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// The host's clock.
    RealTime,
    /// The instructions executed: it stands still while others have the processor. Costs a third more time. Without it,
    /// of many machines on few processors some find that their timer does not tick, and Linux panics over that ("IO-APIC
    /// + timer doesn't work").
    Counted,
}

/// A running virtual machine. Dropping it kills it.
pub struct Vm {
    pub qmp: Qmp,
    /// The serial console, both ways.
    pub serial: UnixStream,
    child: Child,
}

impl Vm {
    /// Makes a machine on the network behind `tap`; the monitor's `cont` switches it on. `folder`: where `qemu.log` is written, and QEMU's working folder.
    /// The process dies with the calling thread at the latest.
    ///
    /// # Errors
    /// [`StartError`]; what QEMU itself said is in `qemu.log` too.
    pub fn start(hardware: &Hardware, tap: BorrowedFd<'_>, folder: &Path, pace: Pace) -> Result<Vm, StartError> {
        let program = find_qemu(hardware.firmware)?;
        let images = hardware.firmware.images()?;
        let spawn = |error| StartError::Spawn { program: program.clone(), error };
        let (serial, serial_end) = UnixStream::pair().map_err(spawn)?;
        let (monitor, monitor_end) = UnixStream::pair().map_err(spawn)?;
        let wires = Wires { tap: tap.as_raw_fd(), serial: serial_end.as_raw_fd(), monitor: monitor_end.as_raw_fd() };
        let arguments = arguments(hardware, images.as_ref(), accelerator(hardware.firmware), pace, wires);

        let log_file = folder.join("qemu.log");
        let mut log = File::create(&log_file).map_err(spawn)?;
        writeln!(log, "{}", command_line(&program, &arguments)).map_err(spawn)?;
        let mut command = Command::new(&program);
        command.args(&arguments).current_dir(folder).stdin(Stdio::null());
        command.stdout(log.try_clone().map_err(spawn)?).stderr(log);
        inherit(&mut command, [tap, serial_end.as_fd(), monitor_end.as_fd()].map(|fd| fd.as_raw_fd()));
        let mut child = command.spawn().map_err(spawn)?;
        drop((serial_end, monitor_end));
        match Qmp::greet(monitor, PATIENCE) {
            Ok(qmp) => Ok(Vm { qmp, serial, child }),
            Err(error) => {
                // Already dead, or of no use.
                let _ = child.kill();
                let _ = child.wait();
                match error {
                    QmpError::Closed => Err(StartError::GaveUp { program, said: last_words(&log_file) }),
                    error => Err(StartError::Monitor(error)),
                }
            }
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The process's end, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        // An error means that it has ended already. Nothing in it needs saving: it has no disk.
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

/// KVM runs only the host's own kind of processor.
fn accelerator(firmware: Firmware) -> Accelerator {
    if firmware.is_native() { Accelerator::best() } else { Accelerator::Tcg }
}

/// Descriptors that QEMU inherits, under the numbers they have here.
#[derive(Clone, Copy)]
struct Wires {
    tap: RawFd,
    serial: RawFd,
    monitor: RawFd,
}

fn arguments(
    hardware: &Hardware,
    images: Option<&Images>,
    accelerator: Accelerator,
    pace: Pace,
    wires: Wires,
) -> Vec<OsString> {
    let Hardware { firmware, mac, memory_mib, .. } = hardware;
    let mut line = CommandLine(Vec::new());
    line.add("-machine", machine(*firmware));
    match accelerator {
        Accelerator::Kvm => line.add("-accel", "kvm").add("-cpu", "host"),
        // `max` under emulation of arm64 spends most of its time on pointer authentication.
        Accelerator::Tcg if *firmware == Firmware::UefiArm64 => line.add("-accel", "tcg").add("-cpu", "cortex-a72"),
        Accelerator::Tcg => line.add("-accel", "tcg").add("-cpu", "max"),
    };
    if (accelerator, pace) == (Accelerator::Tcg, Pace::Counted) {
        line.add("-icount", "shift=auto");
    }
    line.add("-smp", "1").add("-m", format!("{memory_mib}M")).add("-uuid", uuid(*mac));
    // Stopped until told to go on.
    line.flag("-nodefaults").flag("-no-user-config").flag("-S");
    // A machine that has switched itself off or begins anew stays as it is, so that its screen can be saved.
    line.add("-action", "reboot=shutdown,shutdown=pause").add("-boot", "strict=on");
    line.add("-display", display(hardware.display.as_deref()));
    for device in devices(*firmware) {
        line.add("-device", *device);
    }
    if let Some(images) = images {
        line.add("-drive", format!("if=pflash,format=raw,unit=0,readonly=on,file={}", escaped(&images.code)));
        // Changes to the variables go to a temporary file that QEMU removes.
        line.add("-drive", format!("if=pflash,format=raw,unit=1,snapshot=on,file={}", escaped(&images.variables)));
    }
    if *firmware == Firmware::UefiSecure {
        // Only the firmware itself, in SMM, may change what it trusts; a machine that sleeps would lose that protection.
        line.add("-global", "driver=cfi.pflash01,property=secure,value=on").add("-global", "ICH9-LPC.disable_s3=1");
    }
    for protocol in left_out(*firmware) {
        line.add("-fw_cfg", format!("name=opt/org.tianocore/{protocol}Support,string=n"));
    }
    line.add("-netdev", format!("tap,id=net,fd={}", wires.tap));
    if let Some(Kernel { image, initrd, command_line }) = &hardware.kernel {
        line.add("-kernel", absolute(image)).add("-initrd", absolute(initrd)).add("-append", command_line);
    }
    let rom = match (&hardware.rom, firmware) {
        (Some(rom), _) => format!(",romfile={}", escaped(&absolute(rom))),
        (None, Firmware::Bios) => String::new(),
        // The ROM would start before the firmware's own network boot, which is what is to be tried.
        (None, _) => ",romfile=".to_owned(),
    };
    line.add("-device", format!("virtio-net-pci,netdev=net,mac={mac},bootindex=1{rom}"));
    line.add("-chardev", format!("socket,id=serial,fd={}", wires.serial)).add("-serial", "chardev:serial");
    line.add("-chardev", format!("socket,id=monitor,fd={}", wires.monitor)).add("-mon", "chardev=monitor,mode=control");
    line.0
}

fn machine(firmware: Firmware) -> &'static str {
    match firmware {
        // `graphics=off` makes SeaBIOS write what it shows to the serial port as well; the screen stays.
        Firmware::Bios => "pc,graphics=off",
        Firmware::UefiX64 | Firmware::UefiHttp => "q35",
        Firmware::UefiSecure => "q35,smm=on",
        Firmware::UefiArm64 => "virt",
    }
}

fn devices(firmware: Firmware) -> &'static [&'static str] {
    match firmware {
        Firmware::Bios => &["VGA"],
        // Newer EDK2 has no network without a source of random numbers.
        Firmware::UefiX64 | Firmware::UefiHttp | Firmware::UefiSecure => &["VGA", "virtio-rng-pci"],
        Firmware::UefiArm64 => &["ramfb", "virtio-rng-pci", "qemu-xhci", "usb-kbd"],
    }
}

/// Network boots that the UEFI firmware shall not try. Each takes it a minute to give up.
fn left_out(firmware: Firmware) -> &'static [&'static str] {
    match firmware {
        Firmware::Bios => &[],
        Firmware::UefiX64 | Firmware::UefiSecure | Firmware::UefiArm64 => &["IPv6PXE"],
        // Without PXE, HTTP Boot is what it tries first.
        Firmware::UefiHttp => &["IPv4PXE", "IPv6PXE"],
    }
}

fn display(asked: Option<&str>) -> &str {
    match asked {
        None => "none",
        Some("vnc") => "vnc=unix:vnc.sock",
        Some(other) => other,
    }
}

/// The machine's UUID: `lanboot` in ASCII, then its MAC address.
fn uuid(mac: Mac) -> String {
    let mac: String = mac.0.iter().map(|octet| format!("{octet:02x}")).collect();
    format!("6c616e62-6f6f-7400-8000-{mac}")
}

/// QEMU works in the artefacts folder, not in ours.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// A path inside a list of QEMU's options, where a comma is written twice.
fn escaped(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

struct CommandLine(Vec<OsString>);

impl CommandLine {
    fn add(&mut self, option: &str, value: impl Into<OsString>) -> &mut CommandLine {
        self.flag(option);
        self.0.push(value.into());
        self
    }

    fn flag(&mut self, option: &str) -> &mut CommandLine {
        self.0.push(option.into());
        self
    }
}

fn command_line(program: &Path, arguments: &[OsString]) -> String {
    let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
    format!("{} {}", program.display(), words.join(" "))
}

/// Lets the child have these descriptors, and makes it end with us however we end.
fn inherit(command: &mut Command, wires: [RawFd; 3]) {
    let parent = std::process::id();
    let prepare = move || {
        // Ctrl-C on the terminal is for us: we end the machines after their verdicts.
        nix::unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        // We may have died before that took effect.
        if nix::unistd::getppid().as_raw() as u32 != parent {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        for wire in wires {
            // SAFETY: the descriptors are open in the parent, hence here; F_SETFD changes one flag of ours alone.
            nix::Error::result(unsafe { libc::fcntl(wire, libc::F_SETFD, 0) })?;
        }
        Ok(())
    };
    // SAFETY: system calls only; nothing is allocated or locked between fork and exec.
    unsafe { command.pre_exec(prepare) };
}

/// What QEMU wrote last, without the `qemu-system-x86_64: ` before it.
fn last_words(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    // The first line is the command.
    let last = text.lines().skip(1).filter(|line| !line.trim().is_empty()).last();
    let last = last.unwrap_or("it said nothing");
    last.split_once(": ").map_or(last, |(_, said)| said).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line_for(hardware: &Hardware) -> String {
        let images = Images { code: "/fw/code,1.fd".into(), variables: "/fw/vars.fd".into() };
        let images = (hardware.firmware != Firmware::Bios).then_some(&images);
        let arguments =
            arguments(hardware, images, Accelerator::Tcg, Pace::RealTime, Wires { tap: 5, serial: 6, monitor: 7 });
        command_line(Path::new("qemu"), &arguments)
    }

    fn hardware(firmware: Firmware) -> Hardware {
        Hardware {
            firmware,
            mac: Mac([0x52, 0x54, 0, 0x6c, 0, 1]),
            memory_mib: 512,
            rom: None,
            kernel: None,
            display: None,
        }
    }

    #[test]
    fn bios_starts_from_the_rom_of_its_card_and_writes_to_the_serial_port() {
        let line = line_for(&hardware(Firmware::Bios));
        assert!(line.contains("-machine pc,graphics=off "), "{line}");
        assert!(line.contains("-netdev tap,id=net,fd=5 "), "{line}");
        assert!(line.contains("virtio-net-pci,netdev=net,mac=52:54:00:6c:00:01,bootindex=1 "), "{line}");
        assert!(line.contains("-uuid 6c616e62-6f6f-7400-8000-5254006c0001 "), "{line}");
        assert!(!line.contains("pflash"), "{line}");
    }

    #[test]
    fn uefi_has_no_rom_and_a_throw_away_variable_store() {
        let line = line_for(&hardware(Firmware::UefiX64));
        assert!(line.contains("readonly=on,file=/fw/code,,1.fd "), "{line}");
        assert!(line.contains("snapshot=on,file=/fw/vars.fd "), "{line}");
        assert!(line.contains("bootindex=1,romfile= "), "{line}");
        assert!(!line.contains("IPv4PXESupport"), "{line}");
        assert!(line_for(&hardware(Firmware::UefiHttp)).contains("name=opt/org.tianocore/IPv4PXESupport,string=n"));
    }

    #[test]
    fn secure_boot_is_guarded_by_smm() {
        let line = line_for(&hardware(Firmware::UefiSecure));
        assert!(line.contains("-machine q35,smm=on ") && line.contains("property=secure,value=on "), "{line}");
        assert!(!line_for(&hardware(Firmware::UefiX64)).contains("smm=on"));
    }

    #[test]
    fn kernel_of_the_machine_is_named_from_anywhere() {
        let kernel = Kernel { image: "/k".into(), initrd: "initrd".into(), command_line: "console=ttyS0 a=b".into() };
        let line = line_for(&Hardware { kernel: Some(kernel), ..hardware(Firmware::Bios) });
        let initrd = std::env::current_dir().unwrap().join("initrd");
        assert!(
            line.contains(&format!("-kernel /k -initrd {} -append console=ttyS0 a=b ", initrd.display())),
            "{line}"
        );
    }

    #[test]
    fn rom_and_display_are_as_asked() {
        let rom = Some("/roms/ipxe.rom".into());
        let line = line_for(&Hardware { rom, display: Some("vnc".to_owned()), ..hardware(Firmware::UefiX64) });
        assert!(line.contains("romfile=/roms/ipxe.rom ") && line.contains("-display vnc=unix:vnc.sock "), "{line}");
    }

    #[test]
    fn what_qemu_refuses_is_told_with_its_own_words() {
        let folder = std::env::temp_dir().join(format!("lanboot-qemu-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (tap, _other) = UnixStream::pair().unwrap();
        let broken = Hardware { display: Some("no-such-display".to_owned()), ..hardware(Firmware::Bios) };
        let error = Vm::start(&broken, tap.as_fd(), &folder, Pace::Counted).err().unwrap().to_string();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(error.contains("gave up: ") && error.contains("no-such-display"), "{error}");
        assert!(fix("failed to find romfile \"efi-virtio.rom\"").contains("apt install ipxe-qemu"));
    }
}
