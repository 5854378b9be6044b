//! `cooper.toml`: mistakes have a place, the default variant is one of the variants, CRLF means nothing.
#![no_main]

use cooperage::recipe::parse_workspace;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match parse_workspace("cooper.toml", text) {
        Ok(file) => {
            let default = file.default_variant();
            assert!(file.variants.iter().any(|name| name == default) || file.variants.is_empty());
            if !text.contains('\r') {
                let windows = parse_workspace("cooper.toml", &text.replace('\n', "\r\n")).expect("CRLF");
                assert_eq!(
                    (&windows.variants, windows.platforms.len()),
                    (&file.variants, file.platforms.len())
                );
            }
        }
        Err(errors) => {
            assert!(!errors.is_empty(), "refused without a reason");
            for error in errors {
                let range = error.at.as_ref().map_or(0..0, |at| at.range.clone());
                assert!(text.get(range.clone()).is_some(), "{error} at {range:?}");
            }
        }
    }
});
