//! `encode FILE`: the gzip of a file by the bare encoder, written nowhere: what `benches/peers.py` holds builds of large
//! layers against. On as many threads as rayon takes.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

use cooperage::layer::gzip::Encoder;

fn main() {
    let path = std::env::args().nth(1).unwrap();
    let mut file = std::fs::File::open(path).unwrap();
    let mut encoder = Encoder::new(std::io::sink(), None).unwrap();
    std::io::copy(&mut file, &mut encoder).unwrap();
    encoder.finish().unwrap();
}
