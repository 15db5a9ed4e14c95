//! Who reads the journal lets those go first who serve.

/// As nice(1) has it: while all processors are busy, such a thread gets a third of what others get, which is enough to keep
/// up. While they are not, it gets all that it wants.
const NICE: i32 = 5;

/// Makes the calling thread stand back.
pub(crate) fn stand_back() {
    // SAFETY: takes no pointers. On Linux a priority is a thread's, 0 means this one, and less of it is granted to everybody.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
}
