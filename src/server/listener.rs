//! One listening socket per loop, all on one port: the kernel spreads new connections over them (SO_REUSEPORT).

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};

/// Connections that may wait to be accepted. The kernel caps this at net.core.somaxconn (4096 by default).
const BACKLOG: i32 = 8192;

/// Sockets of one address.
pub struct Listeners {
    sockets: Vec<Socket>,
    address: SocketAddr,
}

impl Listeners {
    /// Binds `count` sockets to `address`; port 0 becomes one free port for all of them. Fails if anyone else has the
    /// port, another server with SO_REUSEPORT too: that option is set on the first socket only after it has bound
    /// alone. The first socket listens at once, because only that keeps the port from others.
    pub fn bind(address: SocketAddr, count: usize) -> io::Result<Listeners> {
        let first = new_socket(address)?;
        first.bind(&address.into())?;
        first.set_reuse_port(true)?;
        first.listen(BACKLOG)?;
        let address = first.local_addr()?.as_socket().unwrap_or(address);
        let mut sockets = vec![first];
        for _ in 1..count {
            let socket = new_socket(address)?;
            socket.set_reuse_port(true)?;
            socket.bind(&address.into())?;
            sockets.push(socket);
        }
        Ok(Listeners { sockets, address })
    }

    /// The real address, also when port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on the kernel spreads connections over all sockets.
    pub fn listen(self) -> io::Result<Vec<TcpListener>> {
        for socket in self.sockets.iter().skip(1) {
            socket.listen(BACKLOG)?;
        }
        Ok(self.sockets.into_iter().map(TcpListener::from).collect())
    }
}

fn new_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restarted server need not wait for the connections of its predecessor to leave TIME_WAIT.
    socket.set_reuse_address(true)?;
    // Accepted connections inherit it: an answer goes out at once.
    socket.set_tcp_nodelay(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;
    use std::time::Duration;

    #[test]
    fn several_sockets_share_a_free_port_and_nobody_else_gets_it() {
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let listeners = Listeners::bind(any, 4).expect("a free port");
        let bound = listeners.address();
        assert_ne!(bound.port(), 0);
        let taken = || Listeners::bind(bound, 2).err().map(|error| error.kind());
        assert_eq!(taken(), Some(io::ErrorKind::AddrInUse), "bound");
        let listeners = listeners.listen().expect("bound sockets");
        assert_eq!(taken(), Some(io::ErrorKind::AddrInUse), "listening");

        // Of 64 connections, each socket gets some.
        let clients: Vec<TcpStream> =
            (0..64).map(|_| TcpStream::connect_timeout(&bound, Duration::from_secs(5)).expect("accepted")).collect();
        for listener in &listeners {
            listener.set_nonblocking(true).expect("a socket option");
            let (accepted, _) = listener.accept().expect("its share of the connections");
            assert!(accepted.nodelay().expect("a socket option"));
        }
        drop((listeners, clients));
        Listeners::bind(bound, 2).expect("the port is free again, although connections are in TIME_WAIT");
    }
}
