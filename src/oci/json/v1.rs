//! The writer of encoding 1 (`book/src/encoding-1.md`, "JSON"): keys sorted by their bytes, no white space, the least
//! escapes, no final newline. Never edited once released, only added beside.

use super::Value;

impl Value {
    /// The canonical bytes of encoding 1.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = String::new();
        write(self, &mut text);
        text.into_bytes()
    }
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Number(text) => out.push_str(text),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (index, (key, item)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(key, out);
                out.push(':');
                write(item, out);
            }
            out.push('}');
        }
    }
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            0x8 => out.push_str("\\b"),
            b'\t' => out.push_str("\\t"),
            b'\n' => out.push_str("\\n"),
            0xc => out.push_str("\\f"),
            b'\r' => out.push_str("\\r"),
            control => out.push_str(&format!("\\u{control:04x}")),
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn canonical_text() {
        for (input, expected) in [
            (r#" { "b" : 1.50e+2, "a":[ true,null , -0 ] } "#, r#"{"a":[true,null,-0],"b":1.50e+2}"#),
            (r#""\u003c\/\u00e9\ud83d\ude00\u0001\n\"""#, "\"</\u{e9}\u{1f600}\\u0001\\n\\\"\""),
            ("{}", "{}"),
            ("[]", "[]"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
        ] {
            assert_eq!(String::from_utf8(parse(input.as_bytes()).unwrap().to_bytes()).unwrap(), expected);
        }
    }
}
