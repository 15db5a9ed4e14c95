//! A tap: the network card of a virtual machine, seen from the host.

use std::ffi::CStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use crate::netlink::NetlinkError;
use crate::rtnl::{Link, Rtnl};

const DEVICE: &str = "/dev/net/tun";

/// A tap device that lives as long as its descriptor, wherever that is passed on to.
#[derive(Debug)]
pub struct Tap {
    /// What the virtual machine reads and writes: Ethernet frames, each behind a `struct virtio_net_hdr`.
    pub fd: OwnedFd,
    pub name: String,
}

#[derive(Debug, thiserror::Error)]
pub enum TapError {
    #[error("{DEVICE} is missing, so no tap can be made")]
    NoDevice,
    #[error("{DEVICE} may not be opened, so no tap can be made")]
    DeviceClosed,
    #[error("tap {0} cannot be made: the right CAP_NET_ADMIN is missing")]
    NoRight(String),
    #[error("tap {0} is there already, and in use")]
    Taken(String),
    #[error("`{0}` cannot be the name of a tap: at most 15 characters")]
    BadName(String),
    #[error("{DEVICE}: {0}")]
    Io(#[from] io::Error),
    #[error("tap {tap}: {source}")]
    Kernel { tap: String, source: NetlinkError },
    #[error("there is no interface {0}")]
    NoInterface(String),
}

impl TapError {
    /// What to do about it, where we know.
    pub fn fix(&self) -> Option<String> {
        Some(match self {
            TapError::NoDevice => format!("modprobe tun (a container must be started with --device {DEVICE})"),
            TapError::DeviceClosed => format!("run it as root, or chmod 0666 {DEVICE}"),
            TapError::NoRight(_) => "run it as root".to_owned(),
            TapError::Taken(_) | TapError::BadName(_) => "choose another name".to_owned(),
            TapError::Io(_) | TapError::Kernel { .. } | TapError::NoInterface(_) => return None,
        })
    }
}

nix::ioctl_readwrite_bad!(tun_set_iff, libc::TUNSETIFF, libc::ifreq);

impl Tap {
    /// Whether this process may make taps, as far as the device tells.
    pub fn possible() -> Result<(), TapError> {
        open_device().map(drop)
    }

    /// `name`: at most 15 octets; `%d` in it stands for a free number. `None`: `tap%d`.
    pub fn create(name: Option<&str>) -> Result<Tap, TapError> {
        let name = name.unwrap_or("tap%d");
        if name.len() >= libc::IFNAMSIZ || name.is_empty() {
            return Err(TapError::BadName(name.to_owned()));
        }
        let file = open_device()?;
        // SAFETY: `ifreq` is plain numbers and characters, for which zero is a value.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (slot, octet) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *slot = octet as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR) as libc::c_short;
        // SAFETY: TUNSETIFF reads one `ifreq` and writes the name that it chose into it; it outlives the call.
        unsafe { tun_set_iff(file.as_raw_fd(), &raw mut request) }.map_err(|errno| match errno {
            nix::errno::Errno::EPERM => TapError::NoRight(name.to_owned()),
            nix::errno::Errno::EBUSY => TapError::Taken(name.to_owned()),
            errno => TapError::Io(errno.into()),
        })?;
        // SAFETY: the kernel ends the name with a zero within the array.
        let name = unsafe { CStr::from_ptr(request.ifr_name.as_ptr()) };
        Ok(Tap { fd: file.into(), name: name.to_string_lossy().into_owned() })
    }

    /// Puts the tap into `bridge`.
    pub fn enslave(&self, bridge: &str) -> Result<(), TapError> {
        let mut rtnl = self.rtnl()?;
        let (tap, bridge) = (self.find(&mut rtnl, &self.name)?, self.find(&mut rtnl, bridge)?);
        rtnl.set_controller(tap.index, bridge.index).map_err(self.failed())
    }

    pub fn up(&self) -> Result<(), TapError> {
        let mut rtnl = self.rtnl()?;
        let tap = self.find(&mut rtnl, &self.name)?;
        rtnl.set_up(tap.index, true).map_err(self.failed())
    }

    fn rtnl(&self) -> Result<Rtnl, TapError> {
        Rtnl::open().map_err(self.failed())
    }

    fn find(&self, rtnl: &mut Rtnl, name: &str) -> Result<Link, TapError> {
        rtnl.link(name).map_err(self.failed())?.ok_or_else(|| TapError::NoInterface(name.to_owned()))
    }

    fn failed(&self) -> impl FnOnce(NetlinkError) -> TapError {
        let tap = self.name.clone();
        move |source| TapError::Kernel { tap, source }
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn open_device() -> Result<File, TapError> {
    OpenOptions::new().read(true).write(true).open(DEVICE).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => TapError::NoDevice,
        io::ErrorKind::PermissionDenied => TapError::DeviceClosed,
        // The device file is there, but not the module behind it.
        _ if error.raw_os_error() == Some(libc::ENODEV) || error.raw_os_error() == Some(libc::ENXIO) => {
            TapError::NoDevice
        }
        _ => TapError::Io(error),
    })
}
