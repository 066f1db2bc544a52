//! The fixed-answer server: what the generator can do when answers cost next to nothing.
//!
//! One thread, epoll, the same answer of a GetItem's size to every complete request. It runs as a process of its own,
//! so that its CPU time is told apart from the generator's.

use crate::framing::http_message;
use rustix::event::epoll::{self, EventData, EventFlags};
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

const LISTENER: u64 = u64::MAX;

/// Answers until the process is ended. Prints its address first.
pub fn serve(body_bytes: usize) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    println!("address      http://{}", listener.local_addr()?);
    println!("Ready to accept connections");
    let answer = fixed_answer(body_bytes);
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut connections: HashMap<u64, (TcpStream, Vec<u8>)> = HashMap::new();
    let mut accepted = 0;
    let mut events = Vec::with_capacity(256);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        events.clear();
        match epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            let id = { event.data }.u64();
            if id == LISTENER {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                epoll::add(&epoll, &stream, EventData::new_u64(accepted), EventFlags::IN)?;
                connections.insert(accepted, (stream, Vec::new()));
                accepted += 1;
            } else if let Some((stream, input)) = connections.get_mut(&id)
                && !answer_one(stream, input, &mut buffer, &answer)
            {
                connections.remove(&id);
            }
        }
    }
}

/// As the server's: 400 bytes of head, and a body that passes for an item's.
fn fixed_answer(body_bytes: usize) -> Vec<u8> {
    let mut body = br#"{"Item":{"pk":{"S":""#.to_vec();
    body.resize(body_bytes.max(body.len() + 4) - 4, b'x');
    body.extend_from_slice(br#""}}}"#);
    let head = format!(
        "HTTP/1.1 200 OK\r\nServer: fixed\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
         Content-Type: application/x-amz-json-1.0\r\nContent-Length: {}\r\nConnection: keep-alive\r\n\
         x-amzn-RequestId: 0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEF\r\nx-amz-crc32: 1234567890\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), &body].concat()
}

/// False when the connection is over. A peer sends one request at a time.
fn answer_one(stream: &mut TcpStream, input: &mut Vec<u8>, buffer: &mut [u8], answer: &[u8]) -> bool {
    let count = match stream.read(buffer) {
        Ok(0) => return false,
        Ok(count) => count,
        Err(error) => return error.kind() == ErrorKind::WouldBlock,
    };
    input.extend_from_slice(&buffer[..count]);
    match http_message(input) {
        Ok(None) => true,
        Ok(Some(_)) => {
            input.clear();
            stream.write_all(answer).is_ok()
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::Protocol;
    use crate::step::Step;

    #[test]
    fn the_fixed_answer_passes_for_an_item() {
        for bytes in [0, 500, 4096] {
            let answer = fixed_answer(bytes);
            let framed = Protocol::Http.frame(&answer).unwrap().unwrap();
            assert!(framed.success && framed.length == answer.len());
            assert_eq!(Step::GetItem.items(&answer[framed.body]), Some(1));
        }
    }
}
