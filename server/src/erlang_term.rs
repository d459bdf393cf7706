//! JSON values as RabbitMQ prints them in its error texts: as Erlang terms.

use serde_json::Value;

/// `<<"text">>`, `1`, `1.5`, `true`, `null`, `[1,2]`, `#{<<"key">> => 1}`.
pub(crate) fn erlang_term(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => binary(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(erlang_term).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(entries) => {
            let entry =
                |(key, value): (&String, _)| format!("{} => {}", binary(key), erlang_term(value));
            let entries: Vec<String> = entries.iter().map(entry).collect();
            format!("#{{{}}}", entries.join(","))
        }
    }
}

/// `[{<<"key">>,1},{<<"other">>,2}]`: settings, as RabbitMQ lists those that it does not know.
pub(crate) fn erlang_proplist<'a>(
    entries: impl IntoIterator<Item = (&'a String, &'a Value)>,
) -> String {
    let pair = |(key, value): (&String, _)| format!("{{{},{}}}", binary(key), erlang_term(value));
    let pairs: Vec<String> = entries.into_iter().map(pair).collect();
    format!("[{}]", pairs.join(","))
}

fn binary(text: &str) -> String {
    if text.is_empty() {
        return "<<>>".to_owned();
    }
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("<<\"{text}\">>")
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
            (json!(""), "<<>>"),
            (json!("a\"b\\c\n"), r#"<<"a\"b\\c\n">>"#),
            (json!({"k": [1], "l": {}}), "#{<<\"k\">> => [1],<<\"l\">> => #{}}"),
        ];
        for (value, expected) in table {
            assert_eq!(erlang_term(&value), expected);
        }
    }

    #[test]
    fn settings_print_as_a_list_of_pairs() {
        let entries = json!({"k": 1, "l": "x"});
        let entries = entries.as_object().unwrap();
        assert_eq!(erlang_proplist(entries), "[{<<\"k\">>,1},{<<\"l\">>,<<\"x\">>}]");
        assert_eq!(erlang_proplist([]), "[]");
    }
}
