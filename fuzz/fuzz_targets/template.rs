//! Interpolation: faults have a place, text without delimiters is left alone, two templates do what each does alone.
#![no_main]

use cooperage::recipe::{DELIMITERS, Room, interpolate};
use fuzz::Input;
use libfuzzer_sys::fuzz_target;

fn names(name: &str) -> Option<String> {
    (name.len() < 4).then(|| format!("<{name}>"))
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let delimiters = if input.byte() & 1 == 0 { DELIMITERS } else { ("<%", "%>") };
    let (one, other) = (input.bytes(), input.0);
    let run = |text: &[u8]| match interpolate(text, delimiters, &names, &Room::new(usize::MAX)) {
        Ok(out) => Some(out),
        Err(error) => {
            assert!(
                text.get(error.range.clone()).is_some(),
                "{error} at {:?} of {}",
                error.range,
                text.len()
            );
            assert!(!error.to_string().is_empty());
            None
        }
    };
    let (first, second) = (run(one), run(other));
    let has = |text: &[u8]| text.windows(2).any(|at| at == delimiters.0.as_bytes());
    if !has(one) {
        assert_eq!(first.as_deref(), Some(one));
    }
    if let (Some(first), Some(second)) = (first, second) {
        let both = run(&[one, b"\n", other].concat());
        assert_eq!(both, Some([&first[..], b"\n", &second].concat()));
    }
});
