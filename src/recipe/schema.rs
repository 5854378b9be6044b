//! JSON Schemas of the recipe, of `stack.toml` and of `cooper.toml`, from the types that read them; for editors.

use schemars::{JsonSchema, Schema, generate::SchemaSettings, transform::Transform};

use super::{raw, read_given, workspace_file};

/// The schema of `recipe.toml`.
pub fn schema_recipe() -> Schema {
    schema::<raw::Recipe>("recipe.toml")
}

/// The schema of `cooper.toml`.
pub fn schema_workspace() -> Schema {
    schema::<workspace_file::Raw>("cooper.toml")
}

/// The schema of `stack.toml`.
pub fn schema_stack() -> Schema {
    schema::<read_given::Raw>("stack.toml")
}

fn schema<T: JsonSchema>(title: &str) -> Schema {
    // Draft 7 is what editors' TOML plugins understand.
    let mut schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<T>();
    schema.insert("title".into(), title.into());
    NoNull.transform(&mut schema);
    schema
}

/// Takes out `null`, which schemars gives everything optional and TOML doesn't have; and with it `required`: serde's
/// idea of what must be there is not ours.
struct NoNull;

impl Transform for NoNull {
    fn transform(&mut self, schema: &mut Schema) {
        schemars::transform::transform_subschemas(self, schema);
        schema.remove("required");
        schema.remove("format");
        if let Some(types) = schema.get_mut("type").and_then(|value| value.as_array_mut()) {
            types.retain(|name| name.as_str() != Some("null"));
            if let [only] = types.as_slice() {
                let only = only.clone();
                schema.insert("type".into(), only);
            }
        }
        // An array of one stays one: in draft 7 a `$ref` hides the description beside it.
        if let Some(options) = schema.get_mut("anyOf").and_then(|value| value.as_array_mut()) {
            options.retain(|option| option.get("type").and_then(|name| name.as_str()) != Some("null"));
        }
    }
}
