//! Long work leaves its thread of the runtime to other tasks.

use tokio::runtime::{Handle, RuntimeFlavor};

/// Input above this is read off the threads of the runtime: this much takes a millisecond.
const SMALL_BYTES: usize = 64 * 1024;

/// Reads so many bytes of input; where they are many, other tasks go on meanwhile.
pub fn read<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    if bytes > SMALL_BYTES { run(work) } else { work() }
}

/// Runs work that takes long; other tasks go on meanwhile.
pub fn run<T>(work: impl FnOnce() -> T) -> T {
    let runtime = Handle::try_current();
    let is_shared = runtime.is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
    if is_shared { tokio::task::block_in_place(work) } else { work() }
}
