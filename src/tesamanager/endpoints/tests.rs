//! Addresses: the default table against the contract, ids that try to lead elsewhere, and what is refused.

use super::*;

fn routes(base: &str) -> Routes {
    Routes::new(base, &default_endpoints()).unwrap()
}

#[test]
fn the_defaults_are_the_contracts_paths() {
    let contract: serde_json::Value =
        serde_yaml_ng::from_str(include_str!("../../../contract/openapi.yaml")).unwrap();
    let table = default_endpoints();
    let all = table.writes.values().chain(table.reads.values());
    for endpoint in all.clone() {
        let method = endpoint.method.to_lowercase();
        assert!(
            contract["paths"][&endpoint.path].get(&method).is_some(),
            "{endpoint:?}"
        );
    }
    assert_eq!(all.count(), 16);
    assert_eq!(contract["paths"].as_object().unwrap().len(), 16);
}

#[test]
fn ids_are_encoded_and_can_not_lead_elsewhere() {
    let routes = routes("http://h/v1/");
    let url = |org: &str, id: &str| {
        routes
            .read(
                ReadOperation::GetRequest,
                &Org::from(org),
                Some(&ReferenceId::from(id)),
                "",
            )
            .map(|(_, url)| url.to_string())
    };
    for (id, expected) in [
        ("A-1_2.3~", "A-1_2.3~"),
        ("a/b", "a%2Fb"),
        ("../x", "..%2Fx"),
        ("a?b#c", "a%3Fb%23c"),
        ("50%", "50%25"),
        ("ñ ", "%C3%B1%20"),
        ("{org}", "%7Borg%7D"),
    ] {
        assert_eq!(
            url("masmovil", id).unwrap(),
            format!("http://h/v1/tesa/orgs/masmovil/requests/{expected}")
        );
    }
    for id in ["", ".", ".."] {
        assert!(
            matches!(url("masmovil", id), Err(AddressError::Segment { .. })),
            "{id:?}"
        );
    }
    assert!(url("", "1").is_err());
}

#[test]
fn an_endpoint_may_be_replaced() {
    let mut table = default_endpoints();
    let other = Endpoint {
        method: "PUT".to_owned(),
        path: "/x/{org}/cancel".to_owned(),
    };
    table.writes = BTreeMap::from([(Operation::CancelRequest, other)]);
    let routes = Routes::new("https://h/v1", &table).unwrap();
    let (method, url) = routes
        .write(Operation::CancelRequest, &Org::from("o"))
        .unwrap();
    assert_eq!(
        (method.as_str(), url.as_str()),
        ("PUT", "https://h/v1/x/o/cancel")
    );
    let (_, url) = routes
        .write(Operation::CreatePort, &Org::from("o"))
        .unwrap();
    assert_eq!(url.as_str(), "https://h/v1/tesa/orgs/o/ports");
}

#[test]
fn what_makes_no_address_is_refused_by_name() {
    for base in [
        "",
        "provision.example",
        "ftp://h",
        "http://",
        "http://h/v1?x=1",
    ] {
        assert!(
            matches!(
                Routes::new(base, &default_endpoints()),
                Err(AddressError::Base { .. })
            ),
            "{base:?}"
        );
    }
    for (method, path) in [("GE T", "/x"), ("", "/x"), ("GET", "x"), ("GET", "/x?y")] {
        let mut table = default_endpoints();
        let endpoint = Endpoint {
            method: method.to_owned(),
            path: path.to_owned(),
        };
        table.reads.insert(ReadOperation::GetRequest, endpoint);
        let error = Routes::new("http://h", &table).unwrap_err().to_string();
        assert!(error.contains("endpoints.get_request"), "{error}");
    }
}

/// The address as it would be if all of it were one text, parsed anew each time.
#[test]
fn what_is_parsed_once_makes_no_other_address() {
    let bases = [
        "http://h",
        "http://h/",
        "HTTP://H.Example:80/v1/",
        "https://h:8443/a/b",
        "http://u:p@h/a b/ñ/%7e",
        "http://[::1]:9/v1/./x/../y",
        "http://h/v1/.",
        "http://h//v1//x",
    ];
    let paths = [
        "/tesa/orgs/{org}/requests/{referenceId}",
        "/{referenceId}/{org}/{org}{referenceId}/end",
        "/a b/{other}/ñ%2f/{org}/./x/../y/",
        "//{org}",
        "/",
    ];
    let names = [
        "77",
        "A-1_2.3~",
        "a/b?c#d",
        "ñ \\",
        "%2e%2e",
        "{org}",
        "{referenceId}",
        "...",
    ];
    for (base, path) in bases.iter().flat_map(|base| paths.map(|path| (base, path))) {
        let endpoint = Endpoint {
            method: "GET".to_owned(),
            path: path.to_owned(),
        };
        let mut table = default_endpoints();
        table.reads.insert(ReadOperation::GetRequest, endpoint);
        let routes = Routes::new(base, &table).unwrap();
        for name in names {
            for (id, query) in [(Some("5 6"), ""), (Some(name), "a=%20b&c=d"), (None, "a=b")] {
                let mut whole = path.replace("{org}", &percent(name));
                if let Some(id) = id {
                    whole = whole.replace("{referenceId}", &percent(id));
                }
                let mark = if query.is_empty() { "" } else { "?" };
                let whole = format!("{}{whole}{mark}{query}", base.trim_end_matches('/'));
                let id = id.map(ReferenceId::from);
                let (_, url) = routes
                    .read(
                        ReadOperation::GetRequest,
                        &Org::from(name),
                        id.as_ref(),
                        query,
                    )
                    .unwrap();
                assert_eq!(url, Url::parse(&whole).unwrap(), "{base} {path} {name}");
            }
        }
    }
}
