//! Pages made from the code are what the code says, and no page names what isn't there.

#[test]
fn the_configuration_page_is_made_from_the_keys() {
    let file = super::path("docs/configuration.md");
    let made = tesa_reconciler::config::markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, &made).unwrap();
    }
    assert_eq!(
        super::text("docs/configuration.md"),
        made,
        "UPDATE_DOCS=1 cargo nextest run configuration_page writes it anew"
    );
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut pages = super::files("docs", ".md");
    pages.extend(super::files("docs/decisions", ".md"));
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap();
            if target.is_empty() || target.starts_with("http") {
                continue;
            }
            let file = page.parent().unwrap().join(target);
            assert!(file.exists(), "{}: {target}", page.display());
        }
    }
}
