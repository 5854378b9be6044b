//! A recipe: every mistake has a place in the text, and what is read resolves or says why not.
#![no_main]

use cooperage::digest::Encoding;
use cooperage::recipe::{Error, Recipe, Scope, parse};
use libfuzzer_sys::fuzz_target;

fn check(errors: &[Error], text: &str) {
    assert!(!errors.is_empty(), "refused without a reason");
    for error in errors {
        assert!(!error.to_string().is_empty());
        if let Some(at) = &error.at {
            assert!(
                text.get(at.range.clone()).is_some(),
                "{error} at {:?} of {} bytes",
                at.range,
                text.len()
            );
        }
    }
}

fuzz_target!(|text: &str| {
    let recipe = match parse("recipes/a/b/recipe.toml", text) {
        Ok(recipe) => recipe,
        Err(errors) => return check(&errors, text),
    };
    if !text.contains('\r') {
        let windows = parse("recipes/a/b/recipe.toml", &text.replace('\n', "\r\n"));
        let windows = windows.expect("the same with CRLF is read too");
        assert_eq!(recipe.sections(), windows.sections(), "CRLF means something");
    }
    let mut scope = Scope {
        os: "linux".into(),
        arch: "amd64".into(),
        stack: "a".into(),
        name: "b".into(),
        ..Scope::default()
    };
    scope.base_env.insert("PATH".into(), "/bin".into());
    let twice = Recipe::extend(("a/b", &recipe), recipe.clone());
    for recipe in [&recipe, &twice] {
        recipe.check_variants(&["dev".into(), "prod".into()]);
        for name in ["dev", "prod"] {
            let evaluated = match recipe.variant(Encoding::V1, name) {
                Ok(evaluated) => evaluated,
                Err(errors) => {
                    check(&errors, text);
                    continue;
                }
            };
            match evaluated.resolve(&scope) {
                Ok(resolved) => {
                    assert_eq!(evaluated.resolve(&scope).as_ref(), Ok(&resolved));
                    let errors = resolved.guard(&evaluated);
                    if !errors.is_empty() {
                        check(&errors, text);
                    }
                }
                Err(errors) => check(&errors, text),
            }
        }
    }
});
