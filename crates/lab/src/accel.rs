//! What runs the virtual processors: KVM where it really works, QEMU's emulation elsewhere.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::{Duration, Instant};

/// How QEMU runs a virtual processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    Kvm,
    /// QEMU's own emulation: works everywhere, five to twenty times slower.
    Tcg,
}

impl Accelerator {
    /// KVM when [`kvm_works`], else emulation. Asked anew each time; takes well under 100 ms.
    pub fn best() -> Accelerator {
        match kvm_works() {
            Ok(()) => Accelerator::Kvm,
            Err(_) => Accelerator::Tcg,
        }
    }
}

/// Why KVM cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NoKvm {
    #[error("/dev/kvm cannot be opened: {0}")]
    NotThere(io::Error),
    #[error("KVM refused {call}: {error}")]
    Refused { call: &'static str, error: io::Error },
    #[error("KVM stopped a test program for reason {0} of KVM_RUN")]
    Stopped(u32),
    #[error("KVM took {0:?} for a test program that real hardware runs in microseconds: it emulates here")]
    Slow(Duration),
}

/// Whether KVM runs ordinary guest code at the processor's own speed: tries it with forty thousand instructions.
///
/// An open /dev/kvm says little. Some hosts that are virtual machines themselves offer it for guests made for them, and
/// interpret all others instruction by instruction, slower than QEMU does.
///
/// # Errors
/// Which part of the trial failed.
pub fn kvm_works() -> Result<(), NoKvm> {
    let kvm = OpenOptions::new().read(true).write(true).open("/dev/kvm").map_err(NoKvm::NotThere)?;
    trial(&OwnedFd::from(kvm))
}

#[cfg(target_arch = "x86_64")]
fn trial(kvm: &OwnedFd) -> Result<(), NoKvm> {
    /// Measured: 20 µs on hardware, 22 ms where instructions are interpreted.
    const PATIENCE: Duration = Duration::from_millis(5);

    let mut processor = x86::Processor::new(kvm)?;
    // The best of three: the host may have been busy.
    let mut fastest = Duration::MAX;
    for _ in 0..3 {
        fastest = fastest.min(processor.run()?);
    }
    if fastest < PATIENCE { Ok(()) } else { Err(NoKvm::Slow(fastest)) }
}

/// Elsewhere no half-working KVM is known: making a virtual machine is enough of a trial.
#[cfg(not(target_arch = "x86_64"))]
fn trial(kvm: &OwnedFd) -> Result<(), NoKvm> {
    const KVM_CREATE_VM: libc::c_ulong = 0xae01;
    call(kvm, "KVM_CREATE_VM", KVM_CREATE_VM, 0).map(|_| ())
}

/// One ioctl whose argument is a number or a pointer. Returns its result, 0 or more.
fn call(fd: &OwnedFd, name: &'static str, request: libc::c_ulong, argument: usize) -> Result<libc::c_int, NoKvm> {
    // SAFETY: the callers pass pointers to structures of the size that the request's number carries.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), request, argument) };
    if result < 0 { Err(NoKvm::Refused { call: name, error: io::Error::last_os_error() }) } else { Ok(result) }
}

/// One page of 32-bit protected mode with a counting loop in it. Structures as in the kernel's `linux/kvm.h`.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::*;

    const KVM_CREATE_VM: libc::c_ulong = 0xae01;
    const KVM_GET_VCPU_MMAP_SIZE: libc::c_ulong = 0xae04;
    const KVM_CREATE_VCPU: libc::c_ulong = 0xae41;
    const KVM_SET_USER_MEMORY_REGION: libc::c_ulong = 0x4020_ae46;
    const KVM_RUN: libc::c_ulong = 0xae80;
    const KVM_SET_REGS: libc::c_ulong = 0x4090_ae82;
    const KVM_GET_SREGS: libc::c_ulong = 0x8138_ae83;
    const KVM_SET_SREGS: libc::c_ulong = 0x4138_ae84;
    const KVM_EXIT_HLT: u32 = 5;

    const PAGE: usize = 0x1000;
    /// mov ecx, 20000; dec ecx; jnz back; hlt
    const LOOP: [u8; 9] = [0xb9, 0x20, 0x4e, 0x00, 0x00, 0x49, 0x75, 0xfd, 0xf4];

    #[repr(C)]
    struct MemoryRegion {
        slot: u32,
        flags: u32,
        guest_address: u64,
        octets: u64,
        host_address: u64,
    }

    #[repr(C)]
    #[derive(Default)]
    struct Registers {
        /// rax to r15
        general: [u64; 16],
        rip: u64,
        rflags: u64,
    }

    #[repr(C)]
    #[derive(Clone, Copy, Default)]
    struct Segment {
        base: u64,
        limit: u32,
        selector: u16,
        kind: u8,
        present: u8,
        dpl: u8,
        db: u8,
        s: u8,
        l: u8,
        g: u8,
        avl: u8,
        unusable: u8,
        padding: u8,
    }

    #[repr(C)]
    struct SpecialRegisters {
        cs: Segment,
        /// ds, es, fs, gs, ss
        data: [Segment; 5],
        tr: Segment,
        ldt: Segment,
        tables: [u64; 4],
        cr0: u64,
        /// cr2, cr3, cr4, cr8, efer, apic_base, interrupt_bitmap
        rest: [u64; 10],
    }
    const _: () = assert!(size_of::<SpecialRegisters>() == 0x138 && size_of::<Registers>() == 0x90);

    /// Memory shared with the kernel, unmapped when dropped.
    struct Mapping {
        start: *mut libc::c_void,
        octets: usize,
    }

    impl Mapping {
        fn new(octets: usize, flags: libc::c_int, fd: libc::c_int) -> Result<Mapping, NoKvm> {
            // SAFETY: a new mapping at an address of the kernel's choice aliases nothing.
            let start =
                unsafe { libc::mmap(ptr::null_mut(), octets, libc::PROT_READ | libc::PROT_WRITE, flags, fd, 0) };
            if start == libc::MAP_FAILED {
                return Err(NoKvm::Refused { call: "mmap", error: io::Error::last_os_error() });
            }
            Ok(Mapping { start, octets })
        }
    }

    impl Drop for Mapping {
        fn drop(&mut self) {
            // SAFETY: the mapping is ours, and nothing borrows from it beyond our own life.
            unsafe { libc::munmap(self.start, self.octets) };
        }
    }

    pub(super) struct Processor {
        processor: OwnedFd,
        state: Mapping,
        _memory: Mapping,
        _machine: OwnedFd,
    }

    impl Processor {
        pub(super) fn new(kvm: &OwnedFd) -> Result<Processor, NoKvm> {
            let machine = owned(call(kvm, "KVM_CREATE_VM", KVM_CREATE_VM, 0)?);
            let memory = Mapping::new(PAGE, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1)?;
            // SAFETY: the page is ours and longer than the program.
            unsafe { ptr::copy_nonoverlapping(LOOP.as_ptr(), memory.start.cast(), LOOP.len()) };
            let region = MemoryRegion {
                slot: 0,
                flags: 0,
                guest_address: PAGE as u64,
                octets: PAGE as u64,
                host_address: memory.start as u64,
            };
            call(&machine, "KVM_SET_USER_MEMORY_REGION", KVM_SET_USER_MEMORY_REGION, &raw const region as usize)?;
            let processor = owned(call(&machine, "KVM_CREATE_VCPU", KVM_CREATE_VCPU, 0)?);
            let size = call(kvm, "KVM_GET_VCPU_MMAP_SIZE", KVM_GET_VCPU_MMAP_SIZE, 0)?;
            let state = Mapping::new(size as usize, libc::MAP_SHARED, processor.as_raw_fd())?;
            protected_mode(&processor)?;
            Ok(Processor { processor, state, _memory: memory, _machine: machine })
        }

        /// Runs the loop once. Returns how long it took.
        pub(super) fn run(&mut self) -> Result<Duration, NoKvm> {
            let registers = Registers { rip: PAGE as u64, rflags: 2, ..Registers::default() };
            call(&self.processor, "KVM_SET_REGS", KVM_SET_REGS, &raw const registers as usize)?;
            let start = Instant::now();
            call(&self.processor, "KVM_RUN", KVM_RUN, 0)?;
            let took = start.elapsed();
            // SAFETY: `exit_reason` is the u32 at octet 8 of struct kvm_run, which the mapping holds.
            let reason = unsafe { self.state.start.cast::<u32>().add(2).read_volatile() };
            if reason == KVM_EXIT_HLT { Ok(took) } else { Err(NoKvm::Stopped(reason)) }
        }
    }

    /// Flat 4 GiB segments, no paging: what a boot loader lives in.
    fn protected_mode(processor: &OwnedFd) -> Result<(), NoKvm> {
        // SAFETY: integers only, for which zero is a value.
        let mut special: SpecialRegisters = unsafe { std::mem::zeroed() };
        call(processor, "KVM_GET_SREGS", KVM_GET_SREGS, &raw mut special as usize)?;
        let flat = Segment { limit: u32::MAX, present: 1, db: 1, s: 1, g: 1, ..Segment::default() };
        special.cs = Segment { selector: 8, kind: 11, ..flat };
        special.data = [Segment { selector: 16, kind: 3, ..flat }; 5];
        special.cr0 |= 1;
        call(processor, "KVM_SET_SREGS", KVM_SET_SREGS, &raw const special as usize).map(|_| ())
    }

    fn owned(fd: libc::c_int) -> OwnedFd {
        // SAFETY: the ioctl has just made it, and nobody else knows it.
        unsafe { OwnedFd::from_raw_fd(fd) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trial_of_kvm_ends_with_a_reason_either_way() {
        let start = Instant::now();
        let answer = kvm_works();
        assert!(start.elapsed() < Duration::from_secs(5));
        assert_eq!(answer.is_ok(), Accelerator::best() == Accelerator::Kvm);
        if let Err(why) = answer {
            assert!(why.to_string().starts_with(if let NoKvm::NotThere(_) = why { "/dev/kvm" } else { "KVM" }));
        }
    }
}
