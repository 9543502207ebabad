//! Fuzzes the URLs of entities.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wasmcloud_host::WasmCloudEntity;

const PROVIDER: &str = "VDX7LHSMBKTDVL5YFKSCVUB4SWWXRXRDTU4K6UQKFCIX4QQOJPWRGXRY";

fuzz_target!(|text: &str| {
    if let Ok((entity, operation)) = WasmCloudEntity::from_url(text) {
        assert_ne!(operation, Some(""));
        let url = entity.url();
        let (again, none) = WasmCloudEntity::from_url(&url).expect("a URL that was written can be read");
        assert_eq!((again.url().as_str(), none), (url.as_str(), None));
    }
    let (contract_id, link_name) = text.split_once('\n').unwrap_or((text, "default"));
    let entity = WasmCloudEntity::Capability {
        id: PROVIDER.to_owned(),
        contract_id: contract_id.to_owned(),
        link_name: link_name.to_owned(),
    };
    let url = entity.url();
    if let Ok((read, _)) = WasmCloudEntity::from_url(&url) {
        assert_eq!(read.url(), url);
    }
});
