//! Filtering, sorting and paging, as tables of query strings.

use axum::body::to_bytes;
use axum::http::StatusCode;

use super::*;

struct Item {
    name: String,
    size: Option<u64>,
}

impl Row for Item {
    fn order(&self) -> impl Ord {
        &self.name
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn json(&self) -> Object {
        let mut object = Object::from_iter([("name".to_owned(), json!(self.name))]);
        if let Some(size) = self.size {
            object.insert("a".into(), json!({ "size": size }));
        }
        object
    }
}

async fn get(rows: Vec<Item>, text: &str) -> (StatusCode, Value) {
    let response = paged(rows, Query::parse(text)).into_response();
    let status = response.status();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

fn items() -> Vec<Item> {
    let item = |name: &str, size| Item { name: name.into(), size };
    vec![item("orders.b", Some(10)), item("Orders.a", Some(9)), item("z", None), item("a", Some(9))]
}

fn names(value: &Value) -> String {
    let list = value.get("items").unwrap_or(value).as_array().unwrap();
    list.iter().map(|item| item["name"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn lists_are_sorted_filtered_and_cut() {
    let table = [
        ("", "Orders.a a orders.b z"),
        ("sort=", "orders.b Orders.a z a"),
        ("sort_reverse=true", "z orders.b a Orders.a"),
        ("sort=a.size", "z Orders.a a orders.b"),
        ("sort=a.size,name&sort_reverse=true", "orders.b a Orders.a z"),
        ("sort=nope", "Orders.a a orders.b z"),
        ("name=orders", "Orders.a a orders.b z"),
        ("page=1&name=orders", "Orders.a orders.b"),
        ("page=1&name=ORDERS.B", "orders.b"),
        ("page=1&name=%5Eor.*b$&use_regex=true", "orders.b"),
        ("page=1&name=none", ""),
        ("page=2&page_size=3", "z"),
        ("page=2&page_size=1&name=orders&sort_reverse=true", "Orders.a"),
    ];
    for (text, expected) in table {
        let (status, value) = get(items(), text).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        assert_eq!(names(&value), expected, "{text}");
    }
}

#[tokio::test]
async fn a_page_says_of_how_many_it_is_one() {
    let (_, page) = get(items(), "page=2&page_size=1&name=orders&columns=name").await;
    let expected = json!({
        "filtered_count": 2, "item_count": 1, "items": [{"name": "orders.b"}], "page": 2,
        "page_count": 2, "page_size": 1, "total_count": 4,
    });
    assert_eq!(page, expected);
    let (status, empty) = get(Vec::new(), "page=1").await;
    assert_eq!(
        (status, &empty["page_count"], &empty["items"]),
        (StatusCode::OK, &json!(0), &json!([]))
    );
}

#[tokio::test]
async fn wrong_pages_and_filters_are_refused() {
    let long = format!("page=1&name={}", "x".repeat(FILTER_LEN_MAX + 1));
    let table = [
        ("page=x", "bad_request", "Pagination parameters are invalid"),
        ("page=", "bad_request", "Pagination parameters are invalid"),
        ("page=1&page_size=x", "bad_request", "Pagination parameters are invalid"),
        (
            "page=0",
            "invalid_pagination_parameters",
            "Invalid pagination parameters: page number 0, page size undefined",
        ),
        (
            "page=-1&page_size=501",
            "invalid_pagination_parameters",
            "Invalid pagination parameters: page number -1, page size 501",
        ),
        (
            "page=1&page_size=0",
            "invalid_pagination_parameters",
            "Invalid pagination parameters: page number 1, page size 0",
        ),
        ("page=2", "page_out_of_range", "Page out of range, page: 2 page size: 100, len: 4"),
        (
            "page=9223372036854775807&page_size=500",
            "page_out_of_range",
            "Page out of range, page: 9223372036854775807 page size: 500, len: 4",
        ),
        (&long, "bad_request", "the filter on names is too long"),
    ];
    for (text, error, reason) in table {
        let (status, value) = get(items(), text).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
        assert_eq!(value, json!({"error": error, "reason": reason}), "{text}");
    }
    let (status, value) = get(items(), "page=1&use_regex=true&name=(").await;
    assert_eq!((status, &value["error"]), (StatusCode::BAD_REQUEST, &json!("bad_request")));
}

#[tokio::test]
async fn a_list_is_whole_however_many_pieces_it_is_sent_in() {
    for len in [0, 1, ROWS_AT_ONCE, ROWS_AT_ONCE + 1, 3 * ROWS_AT_ONCE] {
        let rows = (0..len).map(|n| Item { name: format!("{n:05}"), size: None }).collect();
        let (_, value) = get(rows, "").await;
        let expected: Vec<String> = (0..len).map(|n| format!("{n:05}")).collect();
        assert_eq!(names(&value), expected.join(" "), "{len}");
    }
}
