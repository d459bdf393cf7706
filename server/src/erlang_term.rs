//! JSON values as RabbitMQ prints them in its error texts: as Erlang terms.

use serde_json::Value;

/// `<<"text">>`, `1`, `1.5`, `true`, `null`, `[1,2]`, `[{<<"key">>,1}]`.
pub(crate) fn erlang_term(value: &Value) -> String {
    let joined = |terms: Vec<String>| format!("[{}]", terms.join(","));
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("<<\"{text}\">>"),
        Value::Array(items) => joined(items.iter().map(erlang_term).collect()),
        Value::Object(entries) => {
            let entry = |(key, value): (&String, &Value)| {
                format!("{{<<\"{key}\">>,{}}}", erlang_term(value))
            };
            joined(entries.iter().map(entry).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_print_as_rabbitmq_prints_them() {
        let table = [
            (json!("5"), "<<\"5\">>"),
            (json!(-5), "-5"),
            (json!(1.5), "1.5"),
            (json!(null), "null"),
            (json!(true), "true"),
            (json!([1, "a"]), "[1,<<\"a\">>]"),
            (json!({"k": [1]}), "[{<<\"k\">>,[1]}]"),
        ];
        for (value, expected) in table {
            assert_eq!(erlang_term(&value), expected);
        }
    }
}
