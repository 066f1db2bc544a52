//! Memory that a loop lends to its requests.
//!
//! A connection without a request holds only a small read buffer. Everything else (the body and arena of a request, the
//! body of an answer, the output of a connection, a large read buffer) is lent from here while a request needs it,
//! comes back empty, and is lent again, so that a steady state allocates nothing. What has grown beyond what is usual
//! is freed when it comes back, and so is what exceeds the shelf: the memory kept for later is bounded.

use crate::http::request::HEAD_BYTES_MAX;
use crate::operation::{RequestMemory, Response};
use bumpalo::Bump;

/// The read buffer of an idle connection: a usual request (700 bytes of head, 500 of body) fits, and 10,000 connections
/// hold 20 MB.
pub const INPUT_BYTES_SMALL: usize = 2048;

/// A read buffer for a head that does not fit the small one, or for a chunked body.
pub const INPUT_BYTES_LARGE: usize = 36 * 1024;
const _: () = assert!(INPUT_BYTES_LARGE > HEAD_BYTES_MAX, "the longest legal head fits");

/// Request bodies up to this size use memory that is kept; larger ones get memory of their own.
pub const BODY_BYTES_KEPT_MAX: usize = 64 * 1024;

/// Arenas up to this size are kept.
const ARENA_BYTES_KEPT_MAX: usize = 256 * 1024;

/// Answers and outputs up to this size are kept.
const OUTPUT_BYTES_KEPT_MAX: usize = 128 * 1024;

/// Bodies of pages up to this size are kept too, a few: a page has at most 1 MB of items. Fresh memory for each
/// (faults, clearing, telling the other cores when it goes back) took a quarter of a Scan of 1000 items.
const PAGE_BYTES_KEPT_MAX: usize = 2 * 1024 * 1024;

/// As many pages as one loop has under way: 16 MB.
const PAGE_SHELF_LENGTH_MAX: usize = 8;

/// What a fresh output can hold.
const OUTPUT_BYTES_INITIAL: usize = 4096;

/// How many of each kind wait on the shelf: as many as requests are usually in flight on one loop (64 connections and
/// some that wait for the pool). At worst this keeps 128 * (64 + 256 + 2 * 128 + 36) KB = 77 MB per loop, and 16 MB of
/// pages.
const SHELF_LENGTH_MAX: usize = 128;

#[derive(Default)]
pub struct Buffers {
    // Boxed, as it travels to the committer and the pool and back in one word.
    #[expect(clippy::vec_box, reason = "the boxes are lent, not the values")]
    memories: Vec<Box<RequestMemory>>,
    responses: Vec<Response>,
    pages: Vec<Response>,
    outputs: Vec<Vec<u8>>,
    small_inputs: Vec<Vec<u8>>,
    large_inputs: Vec<Vec<u8>>,
}

impl Buffers {
    pub fn lend_memory(&mut self) -> Box<RequestMemory> {
        self.memories.pop().unwrap_or_else(|| Box::new(RequestMemory { body: Vec::new(), arena: Bump::new() }))
    }

    pub fn take_back_memory(&mut self, mut memory: Box<RequestMemory>) {
        if self.memories.len() == SHELF_LENGTH_MAX
            || memory.body.capacity() > BODY_BYTES_KEPT_MAX
            || memory.arena.allocated_bytes() > ARENA_BYTES_KEPT_MAX
        {
            return;
        }
        memory.body.clear();
        memory.arena.reset();
        self.memories.push(memory);
    }

    pub fn lend_response(&mut self) -> Response {
        self.responses.pop().unwrap_or_else(|| Response { status: 200, ..Response::default() })
    }

    /// For an answer of the pool, which may well be a page of items.
    pub fn lend_page(&mut self) -> Response {
        self.pages.pop().unwrap_or_else(|| self.lend_response())
    }

    pub fn take_back_response(&mut self, mut response: Response) {
        let capacity = response.body.capacity();
        let (shelf, length_max) = if capacity <= OUTPUT_BYTES_KEPT_MAX {
            (&mut self.responses, SHELF_LENGTH_MAX)
        } else {
            (&mut self.pages, PAGE_SHELF_LENGTH_MAX)
        };
        if capacity <= PAGE_BYTES_KEPT_MAX && shelf.len() < length_max {
            response.status = 200;
            response.error = None;
            response.body.clear();
            shelf.push(response);
        }
    }

    pub fn lend_output(&mut self) -> Vec<u8> {
        self.outputs.pop().unwrap_or_else(|| Vec::with_capacity(OUTPUT_BYTES_INITIAL))
    }

    pub fn take_back_output(&mut self, mut output: Vec<u8>) {
        if self.outputs.len() < SHELF_LENGTH_MAX && (1..=OUTPUT_BYTES_KEPT_MAX).contains(&output.capacity()) {
            output.clear();
            self.outputs.push(output);
        }
    }

    pub fn lend_input(&mut self) -> Vec<u8> {
        self.small_inputs.pop().unwrap_or_else(|| Vec::with_capacity(INPUT_BYTES_SMALL))
    }

    /// Replaces a small read buffer by a large one with the same content.
    pub fn enlarge_input(&mut self, input: &mut Vec<u8>) {
        let mut large = self.large_inputs.pop().unwrap_or_else(|| Vec::with_capacity(INPUT_BYTES_LARGE));
        large.extend_from_slice(input);
        self.take_back_input(std::mem::replace(input, large));
    }

    pub fn take_back_input(&mut self, mut input: Vec<u8>) {
        let is_large = input.capacity() >= INPUT_BYTES_LARGE;
        let shelf = if is_large { &mut self.large_inputs } else { &mut self.small_inputs };
        if input.capacity() > 0 && shelf.len() < SHELF_LENGTH_MAX {
            input.clear();
            shelf.push(input);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_is_empty_and_lent_again() {
        let mut buffers = Buffers::default();
        let mut memory = buffers.lend_memory();
        memory.body.extend_from_slice(&[1; 1000]);
        memory.arena.alloc_slice_copy(&[2; 1000]);
        let body = memory.body.as_ptr();
        buffers.take_back_memory(memory);
        let memory = buffers.lend_memory();
        assert_eq!((memory.body.as_ptr(), memory.body.len()), (body, 0));

        let mut response = buffers.lend_response();
        response.status = 500;
        response.error = Some("InternalServerError");
        response.body.extend_from_slice(b"x");
        buffers.take_back_response(response);
        let response = buffers.lend_response();
        assert_eq!((response.status, response.body.len(), response.error), (200, 0, None));
    }

    #[test]
    fn what_has_grown_is_freed() {
        let mut buffers = Buffers::default();
        let mut memory = buffers.lend_memory();
        memory.body.reserve(BODY_BYTES_KEPT_MAX + 1);
        buffers.take_back_memory(memory);
        assert!(buffers.memories.is_empty());
        buffers.take_back_output(Vec::with_capacity(OUTPUT_BYTES_KEPT_MAX + 1));
        assert!(buffers.outputs.is_empty());
        for _ in 0..2 * SHELF_LENGTH_MAX {
            buffers.take_back_output(Vec::with_capacity(10));
        }
        assert_eq!(buffers.outputs.len(), SHELF_LENGTH_MAX);
    }

    #[test]
    fn pages_are_kept_for_pages() {
        let mut buffers = Buffers::default();
        let with_capacity = |bytes| Response { body: Vec::with_capacity(bytes), ..Response::default() };
        for _ in 0..2 * PAGE_SHELF_LENGTH_MAX {
            buffers.take_back_response(with_capacity(OUTPUT_BYTES_KEPT_MAX + 1));
        }
        assert_eq!((buffers.responses.len(), buffers.pages.len()), (0, PAGE_SHELF_LENGTH_MAX));
        assert_eq!(buffers.lend_response().body.capacity(), 0);
        assert!(buffers.lend_page().body.capacity() > OUTPUT_BYTES_KEPT_MAX);
        buffers.take_back_response(with_capacity(PAGE_BYTES_KEPT_MAX + 1));
        assert_eq!(buffers.pages.len(), PAGE_SHELF_LENGTH_MAX - 1);
    }

    #[test]
    fn inputs_grow_and_return_to_their_shelf() {
        let mut buffers = Buffers::default();
        let mut input = buffers.lend_input();
        input.extend_from_slice(b"POST / HT");
        buffers.enlarge_input(&mut input);
        assert_eq!(input, b"POST / HT");
        assert!(input.capacity() >= INPUT_BYTES_LARGE);
        assert_eq!((buffers.small_inputs.len(), buffers.large_inputs.len()), (1, 0));
        buffers.take_back_input(input);
        assert_eq!((buffers.small_inputs.len(), buffers.large_inputs.len()), (1, 1));
    }
}
