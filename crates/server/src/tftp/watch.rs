//! Waiting for what comes next: asleep, or awake for a moment where the next thing has a way of coming at once.

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollEvent, EpollTimeout};

/// To fall asleep and be woken takes about as long, and no less of a processor. Only clients on this computer or a very
/// fast link answer within it.
const SOON: Duration = Duration::from_micros(50);

/// Whether the last wait was a short one.
#[derive(Debug, Default)]
pub struct Watch {
    stays_awake: bool,
}

impl Watch {
    /// Waits until there are events, and returns how many; 0 when it is `until`, rather later than earlier.
    ///
    /// # Errors
    /// Those of epoll, `EINTR` among them.
    pub fn wait(&mut self, epoll: &Epoll, events: &mut [EpollEvent], until: Option<Instant>) -> nix::Result<usize> {
        let start = Instant::now();
        while self.stays_awake && start.elapsed() < SOON {
            let count = epoll.wait(events, EpollTimeout::ZERO)?;
            if count > 0 {
                return Ok(count);
            }
            // The client itself may need this processor.
            thread::yield_now();
        }
        let count = epoll.wait(events, timeout(until))?;
        self.stays_awake = count > 0 && start.elapsed() < SOON;
        Ok(count)
    }
}

/// In whole milliseconds, rather more than less.
fn timeout(until: Option<Instant>) -> EpollTimeout {
    until.map_or(EpollTimeout::NONE, |until| {
        let left = until.saturating_duration_since(Instant::now()).as_micros().div_ceil(1000);
        EpollTimeout::try_from(left).unwrap_or(EpollTimeout::MAX)
    })
}

#[cfg(test)]
mod tests {
    use nix::sys::epoll::{EpollCreateFlags, EpollFlags};
    use nix::sys::eventfd::EventFd;

    use super::*;

    #[test]
    fn awake_or_asleep_it_sees_what_is_there_and_ends_in_time() {
        let (epoll, bell) = (Epoll::new(EpollCreateFlags::empty()).unwrap(), EventFd::new().unwrap());
        epoll.add(&bell, EpollEvent::new(EpollFlags::EPOLLIN, 7)).unwrap();
        let mut events = [EpollEvent::empty(); 4];
        for stays_awake in [false, true] {
            let mut watch = Watch { stays_awake };
            let until = Instant::now() + Duration::from_millis(2);
            assert_eq!(watch.wait(&epoll, &mut events, Some(until)), Ok(0));
            assert!(Instant::now() >= until && !watch.stays_awake, "nothing came: next time it sleeps");
            watch.stays_awake = stays_awake;
            bell.write(1).unwrap();
            assert_eq!((watch.wait(&epoll, &mut events, None), events[0].data()), (Ok(1), 7));
            bell.read().unwrap();
        }
    }
}
