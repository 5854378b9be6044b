//! The JSON Schemas that are committed are those of the types that read recipes.

use std::path::Path;

use cooperage::recipe::{schema_recipe, schema_stack, schema_workspace};

#[test]
#[allow(clippy::disallowed_methods)] // a test may look at the tree that it belongs to
fn committed_schemas_are_current() {
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("book/src");
    for (name, schema) in [
        ("recipe.schema.json", schema_recipe()),
        ("stack.schema.json", schema_stack()),
        ("cooper.schema.json", schema_workspace()),
    ] {
        let path = book.join(name);
        let want = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("COOPER_BLESS").is_some() {
            std::fs::write(&path, &want).unwrap();
        }
        let have = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(have == want, "{name} is not current: COOPER_BLESS=1 cargo test schema");
    }
}
