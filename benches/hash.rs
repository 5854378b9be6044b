//! `cargo bench --bench hash`: MB/s of SHA-256 by each implementation and of BLAKE3, one thread, and which one `cooper`
//! takes here. `--cfg sha2_256_backend="soft"` in RUSTFLAGS shows sha2's portable code.
//!
//! An implementation is taken once in a process: this one starts itself for each.
#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

use std::hint::black_box;
use std::process::Command;
use std::time::Instant;

use cooperage::digest::{Blake3, Digest, Implementation};

const MEGABYTES: usize = 64;

fn main() {
    if let Ok(name) = std::env::var("COOPER_SHA256") {
        assert!(name.parse().is_ok_and(Implementation::take), "COOPER_SHA256 is {name:?}");
        let speed = speed(|bytes| _ = black_box(Digest::of(bytes)));
        println!("{speed:7.0} MB/s  SHA-256: {}", Implementation::taken());
        return;
    }
    println!("taken here: {}", Implementation::taken());
    for name in ["sha2", "ring"] {
        let this = std::env::current_exe().unwrap();
        assert!(Command::new(this).env("COOPER_SHA256", name).status().unwrap().success());
    }
    println!("{:7.0} MB/s  BLAKE3", speed(|bytes| _ = black_box(Blake3::of(bytes))));
}

/// The best of some rounds, over pieces as files are read in.
fn speed(hash: impl Fn(&[u8])) -> f64 {
    let data: Vec<u8> = (0..1_u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    let round = || {
        let start = Instant::now();
        (0..MEGABYTES).for_each(|_| hash(black_box(&data)));
        (MEGABYTES << 20) as f64 / 1e6 / start.elapsed().as_secs_f64()
    };
    (0..7).map(|_| round()).fold(0.0, f64::max)
}
