//! Hears of interfaces and addresses that come and go.

use std::io;

use netlink_sys::{Socket, SocketAddr};

/// The kernel's news of links and addresses, in the network namespace of the thread that opened it.
pub struct News(Socket);

impl News {
    /// # Errors
    /// When the kernel gives no socket.
    pub fn open() -> io::Result<News> {
        let mut socket = Socket::new(libc::NETLINK_ROUTE as isize)?;
        let groups = libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR;
        socket.bind(&SocketAddr::new(0, groups as u32))?;
        Ok(News(socket))
    }

    /// Waits until something changes; what it is, is for the caller to look up.
    ///
    /// # Errors
    /// When the socket fails. News that were lost are news: no error.
    pub fn wait(&self) -> io::Result<()> {
        let mut news = Vec::with_capacity(1 << 16);
        loop {
            news.clear();
            match self.0.recv(&mut news, 0) {
                Ok(_) => return Ok(()),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
