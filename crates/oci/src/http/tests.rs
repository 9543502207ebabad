//! Tests of where registries may lead.

use super::*;

fn http(insecure: &[&str]) -> Http {
    let options = insecure
        .iter()
        .fold(RegistryOptions::new("/nonexistent"), |options, registry| options.allow_insecure(*registry));
    Http::new(&options).unwrap()
}

/// Returns whether a registry may lead to an address.
fn may_lead(http: &Http, registry: &str, url: &str) -> bool {
    match http.client_for(registry, &Url::parse(url).unwrap()) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::OciRefused);
            false
        }
    }
}

#[test]
fn registries_lead_to_public_addresses_with_tls_only() {
    let http = http(&["127.0.0.1:5000"]);
    for registry in ["example.com", "127.0.0.1:5000", "10.0.0.1"] {
        assert!(may_lead(&http, registry, "https://storage.example.net/blob"));
        assert!(may_lead(&http, registry, "https://8.8.8.8/blob"));
        for url in [
            "http://storage.example.net/blob",
            "https://127.0.0.1/blob",
            "http://127.0.0.1:5001/blob",
            "http://169.254.169.254/latest/meta-data",
            "https://169.254.169.254/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://2130706433/",
            "https://0x7f.1/",
            "file:///etc/passwd",
        ] {
            assert!(!may_lead(&http, registry, url), "{registry} {url}");
        }
    }
}

#[test]
fn what_the_operator_named_may_be_private() {
    let http = http(&["127.0.0.1:5000"]);
    assert!(may_lead(&http, "10.0.0.1", "https://10.0.0.1/v2/"));
    assert!(!may_lead(&http, "10.0.0.1", "http://10.0.0.1/v2/"));
    assert!(may_lead(&http, "127.0.0.1:5000", "http://127.0.0.1:5000/v2/"));
    assert!(may_lead(&http, "example.com", "http://127.0.0.1:5000/blob"));
}

#[test]
fn the_usual_port_need_not_be_written() {
    let url = |text| Url::parse(text).unwrap();
    assert!(is_authority(&url("https://example.com/"), "example.com:443"));
    assert!(is_authority(&url("https://example.com:443/"), "EXAMPLE.com"));
    assert!(!is_authority(&url("https://example.com:444/"), "example.com"));
    assert!(!is_authority(&url("https://example.com.evil.net/"), "example.com"));
    assert_eq!(authority(&url("https://example.com:444/")), "example.com:444");
    assert_eq!(http(&["a:5000"]).base("a:5000").unwrap().as_str(), "http://a:5000/v2/");
    assert_eq!(http(&[]).base("a:5000").unwrap().as_str(), "https://a:5000/v2/");
}
