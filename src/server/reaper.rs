//! Deadlines of connections, in whole seconds of the loop's own clock.
//!
//! A timer per request would cost more than the request's parsing. Instead each connection notes until when the peer
//! has to do something, and once a second the loop looks at all notes and shuts down the sockets whose time is over:
//! the read or write that is pending in the ring then completes, and the connection's task ends as for any broken
//! connection.

use crate::server::sys;
use std::net::Shutdown;
use std::os::fd::RawFd;

/// What the loop waits for on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// Nothing of the peer: a request is being executed.
    Nothing,
    /// The first byte of a request.
    Request { until: u32 },
    /// More of a request, or that the peer takes more of an answer.
    Progress { until: u32 },
}

/// Which time of a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// No request came.
    Idle,
    /// A request or the taking of an answer stood still.
    Progress,
}

struct Watch {
    fd: RawFd,
    awaited: Awaited,
    expiry: Option<Expiry>,
}

/// The connections of a loop.
#[derive(Default)]
pub struct Reaper {
    watches: Vec<Option<Watch>>,
    free: Vec<usize>,
}

impl Reaper {
    /// `fd` must stay open until [`Reaper::leave`].
    pub fn enter(&mut self, fd: RawFd) -> usize {
        let watch = Some(Watch { fd, awaited: Awaited::Nothing, expiry: None });
        match self.free.pop() {
            Some(place) => {
                self.watches[place] = watch;
                place
            }
            None => {
                self.watches.push(watch);
                self.watches.len() - 1
            }
        }
    }

    /// Returns whether the connection was shut down because its time was over.
    pub fn leave(&mut self, place: usize) -> Option<Expiry> {
        self.free.push(place);
        self.watches[place].take().and_then(|watch| watch.expiry)
    }

    pub fn set(&mut self, place: usize, awaited: Awaited) {
        if let Some(watch) = &mut self.watches[place] {
            watch.awaited = awaited;
        }
    }

    /// Shuts down the connections whose deadline has passed and returns how many they were. The second that has begun
    /// counts as not over, so that no deadline comes early.
    pub fn sweep(&mut self, now: u32) -> usize {
        let mut count = 0;
        for watch in self.watches.iter_mut().flatten() {
            match watch.awaited {
                Awaited::Request { until } | Awaited::Progress { until } if until < now => {
                    let is_idle = matches!(watch.awaited, Awaited::Request { .. });
                    watch.expiry = Some(if is_idle { Expiry::Idle } else { Expiry::Progress });
                    watch.awaited = Awaited::Nothing;
                    sys::shutdown_socket(watch.fd, Shutdown::Both);
                    count += 1;
                }
                Awaited::Nothing | Awaited::Request { .. } | Awaited::Progress { .. } => {}
            }
        }
        count
    }

    /// Ends the reading of all connections on which no request has begun. A request that has just arrived is still
    /// read.
    pub fn close_idle(&mut self) {
        for watch in self.watches.iter().flatten() {
            if matches!(watch.awaited, Awaited::Request { .. }) {
                sys::shutdown_socket(watch.fd, Shutdown::Read);
            }
        }
    }

    /// Ends all connections, whatever they do.
    pub fn close_all(&mut self) {
        for watch in self.watches.iter().flatten() {
            sys::shutdown_socket(watch.fd, Shutdown::Both);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    /// A watched socket, and whether its peer has been told that it is over.
    fn pair(reaper: &mut Reaper, awaited: Awaited) -> (UnixStream, UnixStream, usize) {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        theirs.set_nonblocking(true).expect("a socket option");
        let place = reaper.enter(ours.as_raw_fd());
        reaper.set(place, awaited);
        (ours, theirs, place)
    }

    fn is_over(mut theirs: &UnixStream) -> bool {
        matches!(theirs.read(&mut [0; 8]), Ok(0))
    }

    #[test]
    fn sweeps_what_is_due() {
        let mut reaper = Reaper::default();
        let idle = pair(&mut reaper, Awaited::Request { until: 10 });
        let slow = pair(&mut reaper, Awaited::Progress { until: 11 });
        let busy = pair(&mut reaper, Awaited::Nothing);
        assert_eq!(reaper.sweep(10), 0);
        assert_eq!(reaper.sweep(11), 1);
        assert!(is_over(&idle.1) && !is_over(&slow.1) && !is_over(&busy.1));
        assert_eq!(reaper.sweep(1000), 1, "once each");
        assert!(is_over(&slow.1) && !is_over(&busy.1));
        assert_eq!(reaper.leave(slow.2), Some(Expiry::Progress));
        assert_eq!(reaper.leave(busy.2), None);
        assert_eq!(reaper.leave(idle.2), Some(Expiry::Idle));
        assert_eq!(reaper.enter(-1), idle.2, "places are used again");
    }

    #[test]
    fn stopping_closes_idle_connections_but_reads_what_has_arrived() {
        let mut reaper = Reaper::default();
        let mut idle = pair(&mut reaper, Awaited::Request { until: 10 });
        let mut slow = pair(&mut reaper, Awaited::Progress { until: 10 });
        idle.1.write_all(b"request").expect("room in the socket");
        reaper.close_idle();
        let mut text = String::new();
        idle.0.read_to_string(&mut text).expect("end of input");
        assert_eq!(text, "request");
        slow.1.write_all(b"x").expect("room in the socket");
        assert_eq!(slow.0.read(&mut [0; 8]).expect("still open"), 1);
    }
}
