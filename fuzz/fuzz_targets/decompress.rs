//! gzip and zstd: no reader sees other bytes than ours, in whatever pieces they come.
#![no_main]

use std::io::{BufReader, Read};

use cooperage::oci::Compression;
use fuzz::Trickle;
use libfuzzer_sys::fuzz_target;

const MOST: u64 = 4 << 20;

/// None: it is refused. Cut after [`MOST`]. Without a compression the first bytes say it.
fn plain(compression: Option<Compression>, data: &[u8], trickle: bool) -> Option<Vec<u8>> {
    let compression = compression.unwrap_or_else(|| Compression::sniff(data));
    let mut out = Vec::new();
    let read = if trickle {
        let input = BufReader::with_capacity(3, Trickle(data, 0));
        compression.open(input).ok()?.take(MOST).read_to_end(&mut out)
    } else {
        compression.open(data).ok()?.take(MOST).read_to_end(&mut out)
    };
    read.ok().map(|_| out)
}

fuzz_target!(|data: &[u8]| {
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let whole = plain(Some(compression), data, false);
        assert_eq!(plain(Some(compression), data, true), whole, "{compression:?}: read sizes matter");
        let Some(whole) = whole else { continue };
        match compression {
            Compression::None => assert!(whole == data[..data.len().min(MOST as usize)]),
            // libdeflate reads the first member only.
            Compression::Gzip if !data.is_empty() && (whole.len() as u64) < MOST => {
                let mut out = vec![0; whole.len()];
                let count = libdeflater::Decompressor::new().gzip_decompress(data, &mut out);
                let count = count.expect("another reader takes it too");
                assert!(out[..count] == whole[..count]);
            }
            _ => {}
        }
    }
    if Compression::sniff(data) != Compression::None {
        assert_eq!(plain(None, data, false), plain(Some(Compression::sniff(data)), data, false));
    }
});
