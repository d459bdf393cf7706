//! Lists: filtered by name, sorted, cut into pages and reduced to columns, as the query string says. Every handler that answers
//! with a list calls it.
//!
//! Rows become JSON late, and never all at once: a list may be of 100,000 queues.

use std::cmp::Ordering;
use std::convert::Infallible;

use axum::Json;
use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use regex::{Regex, RegexBuilder};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::limits::{FILTER_COMPILED_MAX, FILTER_LEN_MAX, PAGE_SIZE, PAGE_SIZE_MAX, ROWS_AT_ONCE};
use crate::management::Object;
use crate::query::{Query, at};

/// Something that is listed.
pub(crate) trait Row: Send + 'static {
    /// The order in which rows come unless asked otherwise: by vhost and name, where there are those.
    fn order(&self) -> impl Ord;

    /// What a filter looks at.
    fn name(&self) -> &str;

    /// All that is said of it in a list.
    fn json(&self) -> Object;
}

/// A whole list.
pub(crate) fn answer<T: Row>(rows: Vec<T>, query: Query) -> Response {
    let mut chunks = Chunks { rows: sorted(rows, &query).into_iter(), query, begun: false };
    let body = match chunks.rows.len() <= ROWS_AT_ONCE {
        true => Body::from(chunks.next().unwrap_or_default()),
        false => Body::from_stream(futures_lite::stream::iter(chunks.map(Ok::<_, Infallible>))),
    };
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// A list of which a page may be asked for; then the answer is an object around the page.
pub(crate) fn paged<T: Row>(mut rows: Vec<T>, query: Query) -> Result<Response, ApiError> {
    let Some(page) = Page::asked(&query)? else { return Ok(answer(rows, query)) };
    let total = rows.len();
    let filter = Filter::asked(&query)?;
    rows.retain(|row| filter.accepts(row.name()));
    let filtered = rows.len();
    let begin = (page.number - 1).saturating_mul(page.size);
    if begin >= filtered && page.number > 1 {
        let reason = format!(
            "Page out of range, page: {} page size: {}, len: {filtered}",
            page.number, page.size
        );
        return Err(ApiError::bad_request_as("page_out_of_range", reason));
    }
    let rows = sorted(rows, &query);
    let items: Vec<Object> =
        rows.iter().skip(begin).take(page.size).map(|row| query.columns(row.json())).collect();
    let answer = json!({
        "filtered_count": filtered,
        "item_count": items.len(),
        "items": items,
        "page": page.number,
        "page_count": filtered.div_ceil(page.size),
        "page_size": page.size,
        "total_count": total,
    });
    Ok(Json(answer).into_response())
}

struct Page {
    /// From 1.
    number: usize,
    size: usize,
}

impl Page {
    fn asked(query: &Query) -> Result<Option<Page>, ApiError> {
        let Some(page) = query.value("page") else { return Ok(None) };
        let malformed = |_| ApiError::bad_request("Pagination parameters are invalid");
        let number: i64 = page.parse().map_err(malformed)?;
        let size =
            query.value("page_size").map(str::parse::<i64>).transpose().map_err(malformed)?;
        let page = Page {
            number: usize::try_from(number).unwrap_or(0),
            size: size.map_or(PAGE_SIZE, |size| usize::try_from(size).unwrap_or(0)),
        };
        if page.number >= 1 && (1..=PAGE_SIZE_MAX).contains(&page.size) {
            return Ok(Some(page));
        }
        let size = size.map_or_else(|| "undefined".to_owned(), |size| size.to_string());
        Err(ApiError::bad_request_as(
            "invalid_pagination_parameters",
            format!("Invalid pagination parameters: page number {number}, page size {size}"),
        ))
    }
}

enum Filter {
    All,
    Contains(String),
    Matches(Regex),
}

impl Filter {
    fn asked(query: &Query) -> Result<Filter, ApiError> {
        let Some(name) = query.value("name").filter(|name| !name.is_empty()) else {
            return Ok(Filter::All);
        };
        if name.len() > FILTER_LEN_MAX {
            return Err(ApiError::bad_request("the filter on names is too long"));
        }
        if !query.flag("use_regex") {
            return Ok(Filter::Contains(name.to_lowercase()));
        }
        let regex =
            RegexBuilder::new(name).case_insensitive(true).size_limit(FILTER_COMPILED_MAX).build();
        let refused = |error| ApiError::bad_request(format!("invalid regular expression: {error}"));
        regex.map(Filter::Matches).map_err(refused)
    }

    fn accepts(&self, name: &str) -> bool {
        match self {
            Filter::All => true,
            Filter::Contains(part) => name.to_lowercase().contains(part),
            Filter::Matches(regex) => regex.is_match(name),
        }
    }
}

/// By the paths of keys that `sort` names, and where these are equal in the usual order. `sort=` without a key leaves the order as
/// it is.
fn sorted<T: Row>(mut rows: Vec<T>, query: &Query) -> Vec<T> {
    let sort = query.value("sort");
    if sort == Some("") {
        return rows;
    }
    rows.sort_unstable_by(|a, b| a.order().cmp(&b.order()));
    if let Some(sort) = sort {
        let paths: Vec<Vec<&str>> = sort.split(',').map(|key| key.split('.').collect()).collect();
        let keys = |row: &T| -> Vec<Option<Value>> {
            let json = row.json();
            paths.iter().map(|path| at(&json, path).cloned()).collect()
        };
        let mut keyed: Vec<_> = rows.into_iter().map(|row| (keys(&row), row)).collect();
        keyed.sort_by(|(a, _), (b, _)| {
            a.iter()
                .zip(b)
                .map(|(a, b)| compare(a.as_ref(), b.as_ref()))
                .find(|o| o.is_ne())
                .unwrap_or(Ordering::Equal)
        });
        rows = keyed.into_iter().map(|(_, row)| row).collect();
    }
    if query.flag("sort_reverse") {
        rows.reverse();
    }
    rows
}

/// What is missing is lowest; numbers come before truth values, those before text, and that before all else.
fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    fn rank(value: Option<&Value>) -> u8 {
        match value {
            None | Some(Value::Null) => 0,
            Some(Value::Number(_)) => 1,
            Some(Value::Bool(_)) => 2,
            Some(Value::String(_)) => 3,
            Some(Value::Array(_) | Value::Object(_)) => 4,
        }
    }
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => a.as_f64().unwrap_or(0.0).total_cmp(&b.as_f64().unwrap_or(0.0)),
        },
        (Some(Value::Bool(a)), Some(Value::Bool(b))) => a.cmp(b),
        (Some(Value::String(a)), Some(Value::String(b))) => a.cmp(b),
        _ => rank(a).cmp(&rank(b)),
    }
}

/// The text of a JSON array, some rows at a time.
struct Chunks<T> {
    rows: std::vec::IntoIter<T>,
    query: Query,
    begun: bool,
}

impl<T: Row> Iterator for Chunks<T> {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.begun && self.rows.len() == 0 {
            return None;
        }
        let mut text = String::new();
        for row in self.rows.by_ref().take(ROWS_AT_ONCE) {
            text.push(if self.begun { ',' } else { '[' });
            self.begun = true;
            text.push_str(&Value::Object(self.query.columns(row.json())).to_string());
        }
        if !self.begun {
            self.begun = true;
            text.push('[');
        }
        if self.rows.len() == 0 {
            text.push(']');
        }
        Some(text.into())
    }
}

#[cfg(test)]
mod tests;
