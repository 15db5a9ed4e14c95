//! What may wait for the disk, done in other threads: a slow disk delays the transfers that need it, and no others.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use nix::sys::eventfd::{EfdFlags, EventFd};

/// So many waits for the disk at one time.
const THREADS: usize = 4;

type Errand<A> = Box<dyn FnOnce() -> A + Send>;

/// Threads that run errands, whose answers are collected by one other; they end with the value.
pub struct Helpers<A> {
    errands: Sender<Errand<A>>,
    answers: Arc<Answers<A>>,
}

struct Answers<A> {
    list: Mutex<Vec<A>>,
    ready: EventFd,
}

impl<A: Send + 'static> Helpers<A> {
    /// # Errors
    /// When the kernel gives no more threads or descriptors.
    pub fn start() -> io::Result<Helpers<A>> {
        let ready = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        let answers = Arc::new(Answers { list: Mutex::default(), ready });
        let (errands, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..THREADS {
            let (queue, answers) = (queue.clone(), answers.clone());
            thread::Builder::new().name("tftp-files".into()).spawn(move || work(&queue, &answers))?;
        }
        Ok(Helpers { errands, answers })
    }

    /// Has an errand run.
    pub fn send(&self, errand: impl FnOnce() -> A + Send + 'static) {
        let sent = self.errands.send(Box::new(errand));
        sent.expect("the helpers live as long as errands can be given");
    }

    /// Readable when there are answers.
    pub fn ready(&self) -> &EventFd {
        &self.answers.ready
    }

    /// All answers so far.
    pub fn collect(&self) -> Vec<A> {
        // Reset before the list is taken: what comes between is announced once more, and not lost.
        let _ = self.answers.ready.read();
        std::mem::take(&mut *self.answers.list())
    }
}

fn work<A>(queue: &Mutex<Receiver<Errand<A>>>, answers: &Answers<A>) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(errand) = next else { return };
        let answer = errand();
        let mut list = answers.list();
        list.push(answer);
        if list.len() == 1 {
            answers.ready.write(1).expect("one is far from the most that it counts to");
        }
    }
}

impl<A> Answers<A> {
    fn list(&self) -> std::sync::MutexGuard<'_, Vec<A>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
