//! Promise: runtime parameters of the components that exist, and global ones of any name, are kept (check 87).

use leveret_tests::broker::Broker;
use leveret_tests::http::Answer;
use leveret_tests::json;
use leveret_tests::operator::Vhost;

#[test]
fn the_limits_of_a_vhost_are_a_parameter() {
    let broker = Broker::start();
    let (http, vhost) = (broker.http(), Vhost::new(&broker));
    let path = ["parameters", "vhost-limits", vhost.name(), "limits"];
    assert_eq!(http.get(&path), Answer::not_found());
    let value = json!({ "max-queues": 3 });
    let answer = http.put(&path, &json!({ "value": value }));
    assert!(matches!(answer.status, 201 | 204), "{answer:?}");
    let parameter = json!({
        "vhost": vhost.name(), "component": "vhost-limits", "name": "limits", "value": value
    });
    assert_eq!(http.get(&path).body, parameter);
    assert_eq!(http.get(&path[..3]).body, json!([parameter]));
    for listed in [&path[..2], &path[..1]] {
        let parameters = http.get(listed).body;
        assert!(parameters.as_array().unwrap().contains(&parameter), "{parameters}");
    }
    let limits = json!([{ "vhost": vhost.name(), "value": value }]);
    assert_eq!(http.get(&["vhost-limits", vhost.name()]).body, limits);
    assert_eq!(http.delete(&path), Answer::empty(204));
    assert_eq!(http.delete(&path), Answer::not_found());
    assert_eq!(http.get(&["vhost-limits", vhost.name()]).body, json!([]));
}

#[test]
fn policies_are_listed_as_parameters_and_not_set_as_such() {
    let broker = Broker::start();
    let (http, vhost) = (broker.http(), Vhost::new(&broker));
    let definition = json!({ "max-length": 1 });
    vhost.policy("p", &json!({ "pattern": "^q", "definition": definition }));
    vhost.operator_policy("o", &json!({ "pattern": "^q", "definition": definition }));
    for (component, name) in [("policy", "p"), ("operator_policy", "o")] {
        let parameter = json!({
            "vhost": vhost.name(),
            "component": component,
            "name": name,
            "value": {
                "pattern": "^q", "definition": definition, "priority": 0, "apply-to": "all"
            },
        });
        let listed = http.get(&["parameters", component, vhost.name()]).body;
        assert_eq!(listed, json!([parameter]));
    }
    let value = json!({ "value": { "pattern": "^q", "definition": definition } });
    let path = ["parameters", "policy", vhost.name(), "p"];
    let refused = Answer::bad_request("policies may not be set using this method");
    assert_eq!(http.put(&path, &value), refused);
}

#[test]
fn a_component_that_does_not_exist_has_no_parameters() {
    let broker = Broker::start();
    let (http, vhost) = (broker.http(), Vhost::new(&broker));
    let path = ["parameters", "no-such-component", vhost.name(), "p"];
    let refused = Answer::invalid("component no-such-component not found");
    assert_eq!(http.put(&path, &json!({ "value": {} })), refused);
    assert_eq!(http.get(&path), Answer::not_found());
    assert_eq!(http.get(&path[..2]).body, json!([]));
    assert_eq!(http.get(&path[..3]).body, json!([]));
    let no_vhost = ["parameters", "policy", "no-such-vhost"];
    assert_eq!(http.get(&no_vhost), Answer::not_found());
}

#[test]
fn a_value_is_checked_by_its_component() {
    let broker = Broker::start();
    let (http, vhost) = (broker.http(), Vhost::new(&broker));
    let path = ["parameters", "vhost-limits", vhost.name(), "limits"];
    let refused = Answer::invalid("Unrecognised terms [{<<\"nope\">>,3}] in limits");
    assert_eq!(http.put(&path, &json!({ "value": { "nope": 3 } })), refused);
    assert_eq!(http.put(&path, &json!({})), Answer::bad_request("[{key_missing,value}]"));
}

#[test]
fn a_global_parameter_is_any_value_under_any_name() {
    let broker = Broker::start();
    let (http, name) = (broker.http(), broker.name("a/b"));
    let path = ["global-parameters", name.as_str()];
    assert_eq!(http.get(&path), Answer::not_found());
    for (value, status) in [
        (json!({ "a": [1, "x", true, null] }), 201),
        (json!(5), 204),
        (json!("text"), 204),
        (json!(null), 204),
    ] {
        assert_eq!(http.put(&path, &json!({ "value": value })), Answer::empty(status), "{value}");
        let parameter = json!({ "name": name, "value": value });
        assert_eq!(http.get(&path).body, parameter);
        let all = http.get(&["global-parameters"]).body;
        assert!(all.as_array().unwrap().contains(&parameter), "{all}");
    }
    assert_eq!(http.put(&path, &json!({})), Answer::bad_request("[{key_missing,value}]"));
    assert_eq!(http.delete(&path), Answer::empty(204));
    assert_eq!(http.delete(&path), Answer::not_found());
    assert_eq!(http.get(&path), Answer::not_found());
}
