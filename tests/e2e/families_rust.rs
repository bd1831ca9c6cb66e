// SPDX-License-Identifier: GPL-2.0-or-later
// The leak in Rust, with its default allocator; with --cfg own with that of families_own.rs.
use std::alloc::{alloc, handle_alloc_error, Layout};
use std::io::BufRead;
use std::sync::atomic::{AtomicPtr, Ordering};

#[cfg(own)]
extern crate families_own as _;

// As in families.h.
const LEAK_BLOCKS: usize = 160;
const LEAK_FREED: usize = 59;
const LEAK_BYTES: usize = 223;
const ZEROED_BLOCKS: usize = 61;
const ZEROED_BYTES: usize = 7 * 41;
const RESIZED_BLOCKS: usize = 53;
const RESIZED_FROM_BYTES: usize = 31;
const RESIZED_BYTES: usize = 307;
const ALIGNED_BLOCKS: usize = 37;
const ALIGNED_BYTES: usize = 448;
const ALIGNED_TO: usize = 64;

static LAST: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());

#[no_mangle]
#[inline(never)]
pub extern "C" fn families_leak(block: &mut Vec<u8>) {
    *block = Vec::with_capacity(LEAK_BYTES);
}

#[no_mangle]
#[inline(never)]
pub extern "C" fn families_zeroed(block: &mut Vec<u8>) {
    *block = vec![0; ZEROED_BYTES];
}

#[no_mangle]
#[inline(never)]
pub extern "C" fn families_resized(block: &mut Vec<u8>) {
    block.reserve_exact(RESIZED_BYTES);
}

#[no_mangle]
#[inline(never)]
pub extern "C" fn families_aligned() -> *mut u8 {
    let layout = Layout::from_size_align(ALIGNED_BYTES, ALIGNED_TO).unwrap();
    let block = unsafe { alloc(layout) };
    if block.is_null() {
        handle_alloc_error(layout);
    }
    block
}

fn leak(kept: &mut Vec<Vec<u8>>) {
    for i in 0..LEAK_BLOCKS {
        families_leak(&mut kept[i]);
    }
    for i in 0..LEAK_FREED {
        kept[i] = Vec::new();
    }
    for i in 0..ZEROED_BLOCKS {
        families_zeroed(&mut kept[LEAK_BLOCKS + i]);
    }
    for i in 0..RESIZED_BLOCKS {
        let block = &mut kept[LEAK_BLOCKS + ZEROED_BLOCKS + i];
        *block = Vec::with_capacity(RESIZED_FROM_BYTES);
        families_resized(block);
    }
    for _ in 0..ALIGNED_BLOCKS {
        LAST.store(families_aligned(), Ordering::Relaxed);
    }
}

fn main() {
    let mut kept: Vec<Vec<u8>> = (0..LEAK_BLOCKS + ZEROED_BLOCKS + RESIZED_BLOCKS)
        .map(|_| Vec::new())
        .collect();
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        match line.unwrap().as_str() {
            "leak" => leak(&mut kept),
            "quit" => return,
            _ => panic!("unknown work"),
        }
        println!("done leak 0");
    }
}
