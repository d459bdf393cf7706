//! The query string: paging, sorting, columns and switches, by RabbitMQ's names. `list` and the handlers read it.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde_json::Value;

use crate::Shared;
use crate::error::ApiError;
use crate::management::Object;

/// Keys and values, decoded; of a key that comes twice, the first counts.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// The part of a URL after the question mark.
    pub(crate) fn parse(text: &str) -> Query {
        Query(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// `key=true`; anything else is false, as with RabbitMQ.
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.value(key) == Some("true")
    }

    /// A number that is not negative.
    pub(crate) fn number(&self, key: &str) -> Result<Option<usize>, ApiError> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let number = value.parse().map_err(|_| {
            ApiError::bad_request(format!("{key} should be a number, actually was {value}"))
        })?;
        Ok(Some(number))
    }

    /// What `columns` leaves of an object; all of it without `columns`. A column is a path of keys, with dots between.
    pub(crate) fn columns(&self, object: Object) -> Object {
        let Some(columns) = self.value("columns").filter(|columns| !columns.is_empty()) else {
            return object;
        };
        let mut kept = Object::new();
        for column in columns.split(',') {
            let path: Vec<&str> = column.split('.').collect();
            if let Some(value) = at(&object, &path) {
                put(&mut kept, &path, value.clone());
            }
        }
        kept
    }
}

impl FromRequestParts<Shared> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Query, Infallible> {
        Ok(Query::parse(parts.uri.query().unwrap_or_default()))
    }
}

/// The value at a path of keys.
pub(crate) fn at<'a>(object: &'a Object, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    let mut value = object.get(*first)?;
    for key in rest {
        value = value.get(key)?;
    }
    Some(value)
}

fn put(object: &mut Object, path: &[&str], value: Value) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        object.insert((*first).to_owned(), value);
        return;
    }
    let inner = object.entry(*first).or_insert_with(|| Value::Object(Object::new()));
    if let Value::Object(inner) = inner {
        put(inner, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_paths_of_keys() {
        let Value::Object(object) = json!({"name": "q", "a": {"b": 1, "c": {"d": 2}}, "n": null})
        else {
            panic!("an object");
        };
        let table = [
            ("", json!({"name": "q", "a": {"b": 1, "c": {"d": 2}}, "n": null})),
            ("columns=", json!({"name": "q", "a": {"b": 1, "c": {"d": 2}}, "n": null})),
            ("columns=name,n", json!({"name": "q", "n": null})),
            ("columns=a.b,a.c.d", json!({"a": {"b": 1, "c": {"d": 2}}})),
            ("columns=a.b%2Cname", json!({"a": {"b": 1}, "name": "q"})),
            ("columns=a,a.b", json!({"a": {"b": 1, "c": {"d": 2}}})),
            ("columns=name.x,nope,a.c.d.e,.,", json!({})),
        ];
        for (query, expected) in table {
            let kept = Value::Object(Query::parse(query).columns(object.clone()));
            assert_eq!(kept, expected, "{query}");
        }
    }

    #[test]
    fn a_plus_is_a_space_and_the_first_of_two_counts() {
        let query = Query::parse("name=a+b%2B&name=c&use_regex=true&x=1&y=-1");
        assert_eq!(query.value("name"), Some("a b+"));
        assert!(query.flag("use_regex") && !query.flag("x") && !query.flag("none"));
        assert_eq!(query.number("x").unwrap(), Some(1));
        assert_eq!(query.number("none").unwrap(), None);
        query.number("y").unwrap_err();
    }
}
