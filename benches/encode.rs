//! `encode FILE`: the gzip of a file by the bare encoder, written nowhere: what `benches/peers.py` holds builds of large
//! layers against. On as many threads as rayon takes; COOPER_SHA256 as for `cooper`.
#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

use cooperage::digest::Implementation;
use cooperage::layer::gzip::Encoder;

fn main() {
    if let Ok(name) = std::env::var("COOPER_SHA256") {
        assert!(name.parse().is_ok_and(Implementation::take), "COOPER_SHA256 is {name:?}");
    }
    println!("SHA-256: {}", Implementation::taken());
    let path = std::env::args().nth(1).unwrap();
    let mut file = std::fs::File::open(path).unwrap();
    let mut encoder = Encoder::new(std::io::sink(), None).unwrap();
    std::io::copy(&mut file, &mut encoder).unwrap();
    encoder.finish().unwrap();
}
