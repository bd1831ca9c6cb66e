// SPDX-License-Identifier: GPL-2.0-or-later
// A global allocator that never asks malloc: blocks are cut from one mapping, and not used again. It is a crate of its
// own, so that no caller has it inlined.
use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicUsize, Ordering};

const ARENA_BYTES: usize = 1 << 20;

#[allow(dead_code)]
#[repr(align(4096))]
struct Arena([u8; ARENA_BYTES]);

static mut ARENA: Arena = Arena([0; ARENA_BYTES]);
static USED: AtomicUsize = AtomicUsize::new(0);

struct Own;

unsafe impl GlobalAlloc for Own {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let bytes = layout.size() + layout.align();
        let at = USED.fetch_add(bytes, Ordering::Relaxed);
        if at + bytes > ARENA_BYTES {
            return std::ptr::null_mut();
        }
        let start = std::ptr::addr_of_mut!(ARENA) as *mut u8;
        start.add((at + layout.align() - 1) & !(layout.align() - 1))
    }

    unsafe fn dealloc(&self, _block: *mut u8, _layout: Layout) {}
}

#[global_allocator]
static OWN: Own = Own;
