//! `[console]`: none without the section, on this machine only without authentication, and its mistakes are told.

use tesa_reconciler::config::{Console, changed_sections, example, restart_needed};

use super::{LEAST, parse, parse_with};

fn section(text: &str) -> String {
    format!("{LEAST}[console]\n{text}\n")
}

fn read(text: &str) -> Console {
    parse(&section(text)).unwrap().console.unwrap()
}

fn refused(text: &str) -> String {
    parse(&section(text)).unwrap_err().to_string()
}

#[test]
fn without_the_section_there_is_none_and_with_it_this_machine_alone_looks() {
    assert_eq!(parse(LEAST).unwrap().console, None);
    assert_eq!(parse(&example()).unwrap().console, None);
    let console = read("");
    assert_eq!(console.listen.to_string(), "127.0.0.1:9465");
    assert!(!console.authenticates());
    let variables = [("TESA_RECONCILER__CONSOLE__LISTEN", "127.0.0.1:1234")];
    let console = parse_with(LEAST, variables).unwrap().console.unwrap();
    assert_eq!(console.listen.to_string(), "127.0.0.1:1234");
}

#[test]
fn an_address_that_others_reach_needs_authentication() {
    for listen in [
        "0.0.0.0:9465",
        "[::]:9465",
        "10.0.0.7:80",
        "[2001:db8::1]:80",
    ] {
        let said = refused(&format!("listen = \"{listen}\""));
        assert!(
            said.contains("can be reached from other machines"),
            "{said}"
        );
        let with_file = format!("listen = \"{listen}\"\npassword_file = \"passwords\"");
        assert!(read(&with_file).authenticates(), "{listen}");
        let with_proxy = format!(
            "listen = \"{listen}\"\ntrusted_user_header = \"X-User\"\ntrusted_proxies = [\"10.0.0.1\"]"
        );
        assert!(read(&with_proxy).authenticates(), "{listen}");
    }
    for listen in [
        "127.0.0.1:9465",
        "127.9.9.9:1",
        "[::1]:9465",
        "[::ffff:127.0.0.1]:9465",
    ] {
        assert!(
            !read(&format!("listen = \"{listen}\"")).authenticates(),
            "{listen}"
        );
    }
}

#[test]
fn a_header_and_its_proxies_belong_together() {
    for (text, expected) in [
        (
            "trusted_user_header = \"X-User\"",
            "anybody could send this header",
        ),
        (
            "trusted_proxies = [\"10.0.0.1\"]",
            "what would these proxies be believed",
        ),
        (
            "trusted_operators = [\"ana\"]",
            "nobody names these operators",
        ),
        (
            "trusted_user_header = \"X User\"\ntrusted_proxies = [\"10.0.0.1\"]",
            "is not a header's name",
        ),
        (
            "trusted_user_header = \"X-User\"\ntrusted_proxies = [\"10.0.0.300\"]",
            "is neither an address nor a network",
        ),
        (
            "trusted_user_header = \"X-User\"\ntrusted_proxies = []",
            "name at least one address",
        ),
        (
            "hosts = [\"https://console.example\"]",
            "is not the name of a host",
        ),
        ("timezone = \"Madrid\"", "Europe/Madrid"),
        ("listen = \"9465\"", "is not an address and a port"),
        ("password = \"secret\"", "password_file"),
    ] {
        let said = refused(text);
        assert!(said.contains(expected), "{text}: {said}");
    }
}

#[test]
fn a_change_of_it_takes_effect_with_the_next_start() {
    let (old, new) = (parse(LEAST).unwrap(), parse(&section("")).unwrap());
    assert_eq!(changed_sections(&old, &new), ["console"]);
    assert_eq!(restart_needed(&old, &new), ["console"]);
}
