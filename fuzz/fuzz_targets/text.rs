//! Fuzzes the escaping of text from outside.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wasmcloud_host::escaped;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let safe = escaped(&text);
    let is_unseen = |character: char| {
        character.is_control()
            || matches!(character, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!safe.contains(is_unseen), "{safe:?}");
    assert_eq!(escaped(&safe), safe, "what is escaped stays as it is");
    if !text.contains(|character: char| !character.is_ascii_graphic() && character != ' ') {
        assert_eq!(safe, text, "plain text stays as it is");
    }
});
