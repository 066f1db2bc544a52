//! The few system calls that neither std, socket2 nor tokio-uring wraps.
#![expect(unsafe_code, reason = "libc calls")]

use std::fs::File;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// A blocking eventfd: the ring's read of it waits until something was written.
pub fn eventfd() -> io::Result<File> {
    // SAFETY: takes no pointer.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    let owned = unsafe { OwnedFd::from_raw_fd(fd) };
    Ok(File::from(owned))
}

/// Ends the reading half, or both halves, of a socket that its owner has handed to the ring: a read that is pending in
/// the kernel then completes. What had arrived before is still delivered.
pub fn shutdown_socket(fd: RawFd, how: std::net::Shutdown) {
    let how = match how {
        std::net::Shutdown::Read => libc::SHUT_RD,
        std::net::Shutdown::Write => libc::SHUT_WR,
        std::net::Shutdown::Both => libc::SHUT_RDWR,
    };
    // SAFETY: takes no pointer. The callers pass descriptors of connections and listeners of their own loop, which
    // closes them on this same thread, so the number cannot have been given to another file meanwhile.
    let result = unsafe { libc::shutdown(fd, how) };
    if result < 0 {
        // ENOTCONN: the peer was faster.
        tracing::trace!(fd, error = %io::Error::last_os_error(), "shutdown");
    }
}

/// Raises the soft limit of open files to the hard one and returns it. Each connection takes one descriptor, and the
/// usual soft limit is 1024.
pub fn raise_open_files_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` outlives the call, which writes it.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } < 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` outlives the call, which reads it.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit.rlim_cur)
}

/// Lets the other threads run first where there are fewer cores than work: the calling thread's nice value is raised.
pub fn yield_to_others(nice: libc::c_int) -> io::Result<()> {
    // SAFETY: takes no pointer.
    let thread = unsafe { libc::gettid() };
    // On Linux this concerns the one thread, and whoever lowers a priority needs no privilege.
    // SAFETY: takes no pointer.
    match unsafe { libc::setpriority(libc::PRIO_PROCESS, thread as libc::id_t, nice) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Blocks of memory from this size on go back to the kernel when they are freed. Bodies and answers of this size are
/// rare, and what is kept for later is smaller (see [`super::buffers`]).
const RETURNED_BYTES_MIN: libc::c_int = 256 * 1024;

/// Tells the allocator to keep no large block that was freed. glibc would raise the threshold above which it uses
/// memory mappings each time such a block is freed, up to 32 MB, and then keep a heap of them in each thread: a server
/// with 128 MB for requests grew by 263 to 456 MB under 400 clients that asked for pages of 1.1 MB.
#[cfg(target_env = "gnu")]
pub fn return_large_memory() {
    // SAFETY: takes no pointer; `main` calls this before there is another thread.
    let accepted = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, RETURNED_BYTES_MIN) };
    if accepted != 1 {
        tracing::warn!("the allocator takes no threshold for large blocks; freed memory stays with the process longer");
    }
}

#[cfg(not(target_env = "gnu"))]
pub fn return_large_memory() {}
