//! Finds and embeds the token of a module, and hashes the rest of it.
//!
//! The hash of a module is that of the file without its token sections. Sections are not re-serialized, so the same rule
//! holds for modules of all wascap versions.

use sha2::{Digest, Sha256};
use wasm_encoder::Section as _;
use wasmcloud_core::error::{Error, ErrorKind, Result};

const HEADER: &[u8; 8] = b"\0asm\x01\0\0\0";
const CUSTOM_SECTION: u8 = 0;
/// The name of the section that this crate embeds tokens in.
const TOKEN_SECTION: &str = "wasmcloud_jwt";
const TOKEN_SECTIONS: [&[u8]; 2] = [b"jwt", TOKEN_SECTION.as_bytes()];

/// The size of the largest token, in bytes. Usual tokens have a few hundred.
pub(super) const LONGEST_TOKEN: usize = 64 * 1024;

/// A section of a module.
struct Section<'a> {
    id: u8,
    /// All bytes of the section.
    whole: &'a [u8],
    /// The bytes after the section's length.
    contents: &'a [u8],
    /// The name and data, if it is a custom section.
    custom: Option<CustomSection<'a>>,
}

#[derive(Clone, Copy)]
struct CustomSection<'a> {
    name: &'a [u8],
    data: &'a [u8],
}

impl<'a> Section<'a> {
    /// Returns the bytes of the token that the section holds, if it holds one.
    fn token(&self) -> Option<&'a [u8]> {
        self.custom.filter(|custom| TOKEN_SECTIONS.contains(&custom.name)).map(|custom| custom.data)
    }
}

/// Returns the token that a module carries.
///
/// # Errors
/// `InvalidModule` if the bytes are not a module, `Unsigned` if there is no token, `InvalidToken` if there is more than one,
/// or it is not UTF-8 or larger than 64 KiB.
pub fn embedded_token(module: &[u8]) -> Result<&str> {
    let mut found = None;
    for section in sections(module)? {
        let Some(token) = section?.token() else { continue };
        if found.replace(token).is_some() {
            let message = "the module carries more than one token, so its signer is ambiguous: sign it again";
            return Err(Error::new(ErrorKind::InvalidToken, message));
        }
    }
    let token = found
        .ok_or_else(|| Error::new(ErrorKind::Unsigned, "the module carries no token: sign it before it is started"))?;
    if token.len() > LONGEST_TOKEN {
        let message = format!("the module's token has {} bytes, more than the limit of {LONGEST_TOKEN}", token.len());
        return Err(Error::new(ErrorKind::InvalidToken, message));
    }
    std::str::from_utf8(token)
        .map_err(|error| Error::new(ErrorKind::InvalidToken, "the module's token is not UTF-8").caused_by(error))
}

/// Returns the SHA-256 of a module without its token sections, in upper-case hex.
///
/// # Errors
/// `InvalidModule` if the bytes are not a module.
pub fn hash_without_token(module: &[u8]) -> Result<String> {
    let mut hash = Sha256::new();
    let all = sections(module)?;
    hash.update(HEADER);
    for section in all {
        let section = section?;
        if section.token().is_none() {
            hash.update(section.whole);
        }
    }
    Ok(data_encoding::HEXUPPER.encode(&hash.finalize()))
}

/// Returns a module without its token sections, and with the lengths of its sections in their shortest encoding.
///
/// wascap hashes modules in this form, so all readers compute the same hash of a module that is signed in it.
///
/// # Errors
/// `InvalidModule` if the bytes are not a module.
pub fn without_token(module: &[u8]) -> Result<Vec<u8>> {
    let mut bare = HEADER.to_vec();
    for section in sections(module)? {
        let section = section?;
        if section.token().is_none() {
            wasm_encoder::RawSection { id: section.id, data: section.contents }.append_to(&mut bare);
        }
    }
    Ok(bare)
}

/// Adds a token to a module without one, in the section that wascap uses since 0.9.
pub fn embed_token(mut bare: Vec<u8>, token: &str) -> Vec<u8> {
    wasm_encoder::CustomSection { name: TOKEN_SECTION.into(), data: token.as_bytes().into() }.append_to(&mut bare);
    bare
}

fn sections(module: &[u8]) -> Result<impl Iterator<Item = Result<Section<'_>>>> {
    let Some(mut rest) = module.strip_prefix(HEADER) else {
        return Err(Error::new(ErrorKind::InvalidModule, refusal(module)));
    };
    Ok(std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let section = next_section(&mut rest);
        if section.is_none() {
            rest = &[];
        }
        Some(section.ok_or_else(|| {
            Error::new(ErrorKind::InvalidModule, "not a WebAssembly module: a section reaches past its end")
        }))
    }))
}

/// Returns the error text for a file that does not begin with the header of a module.
fn refusal(bytes: &[u8]) -> &'static str {
    // Behind the magic number there is a version of two bytes, and the kind of file: 0 for modules, 1 for components.
    if matches!(bytes, [b'\0', b'a', b's', b'm', _, _, 1, 0, ..]) {
        return "the file is a WebAssembly component, and hosts run core modules: build for wasm32-unknown-unknown, without \
                a componentization step";
    }
    "not a WebAssembly module: the file does not begin with its magic number and version 1"
}

fn next_section<'a>(rest: &mut &'a [u8]) -> Option<Section<'a>> {
    let start = *rest;
    let (&id, mut tail) = start.split_first()?;
    let size = leb128(&mut tail)?;
    let (contents, after) = tail.split_at_checked(size)?;
    *rest = after;
    let whole = &start[..start.len() - after.len()];
    let custom = match id {
        CUSTOM_SECTION => {
            let mut body = contents;
            let length = leb128(&mut body)?;
            let (name, data) = body.split_at_checked(length)?;
            Some(CustomSection { name, data })
        }
        _ => None,
    };
    Some(Section { id, whole, contents, custom })
}

/// Reads an unsigned LEB128 number of at most 32 bits.
fn leb128(bytes: &mut &[u8]) -> Option<usize> {
    let mut value: u32 = 0;
    for shift in (0..35).step_by(7) {
        let (&byte, tail) = bytes.split_first()?;
        *bytes = tail;
        let bits = u32::from(byte & 0x7f);
        if shift == 28 && bits > 0x0f {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return usize::try_from(value).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn custom(name: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let section = wasm_encoder::CustomSection { name: name.into(), data: data.into() };
        wasm_encoder::Section::append_to(&section, &mut bytes);
        bytes
    }

    fn module(sections: &[Vec<u8>]) -> Vec<u8> {
        [HEADER.to_vec(), sections.concat()].concat()
    }

    #[test]
    fn the_token_is_found_under_both_names() {
        for name in ["jwt", "wasmcloud_jwt"] {
            let bytes = module(&[custom("name", b"x"), custom(name, b"a.b.c")]);
            assert_eq!(embedded_token(&bytes).unwrap(), "a.b.c");
        }
    }

    #[test]
    fn the_hash_does_not_depend_on_the_token() {
        let bare = module(&[custom("name", b"x")]);
        let signed = module(&[custom("jwt", b"a.b.c"), custom("name", b"x")]);
        assert_eq!(hash_without_token(&bare).unwrap(), hash_without_token(&signed).unwrap());
        let other = module(&[custom("name", b"y")]);
        assert_ne!(hash_without_token(&bare).unwrap(), hash_without_token(&other).unwrap());
    }

    #[test]
    fn a_token_that_is_embedded_anew_replaces_the_former_ones() {
        let bytes = module(&[custom("jwt", b"old"), custom("name", b"x"), custom("wasmcloud_jwt", b"old")]);
        let bare = without_token(&bytes).unwrap();
        assert_eq!(bare, module(&[custom("name", b"x")]));
        let signed = embed_token(bare.clone(), "a.b.c");
        assert_eq!(embedded_token(&signed).unwrap(), "a.b.c");
        assert_eq!(without_token(&signed).unwrap(), bare);
    }

    #[test]
    fn lengths_are_put_into_their_shortest_form_before_they_are_signed() {
        let long = module(&[vec![0, 0x83, 0x80, 0x80, 0x80, 0x00, 1, b'x', b'y']]);
        assert_eq!(without_token(&long).unwrap(), module(&[custom("x", b"y")]));
    }

    #[test]
    fn two_tokens_are_refused() {
        let bytes = module(&[custom("jwt", b"a.b.c"), custom("wasmcloud_jwt", b"a.b.c")]);
        assert_eq!(embedded_token(&bytes).unwrap_err().kind(), ErrorKind::InvalidToken);
    }

    #[test]
    fn an_oversized_or_binary_token_is_refused() {
        let huge = module(&[custom("jwt", &vec![b'a'; LONGEST_TOKEN + 1])]);
        assert_eq!(embedded_token(&huge).unwrap_err().kind(), ErrorKind::InvalidToken);
        let binary = module(&[custom("jwt", &[0xff, 0xfe])]);
        assert_eq!(embedded_token(&binary).unwrap_err().kind(), ErrorKind::InvalidToken);
    }

    #[test]
    fn a_component_or_a_cut_module_is_refused() {
        let cut = module(&[vec![0, 0xff, 0xff, 0xff, 0xff, 0x0f]]);
        for bytes in [&b""[..], b"\0asm", b"\0asm\x0d\0\x01\0", &cut, &[HEADER, &[1][..]].concat()] {
            assert_eq!(embedded_token(bytes).unwrap_err().kind(), ErrorKind::InvalidModule);
            assert_eq!(hash_without_token(bytes).unwrap_err().kind(), ErrorKind::InvalidModule);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer(tail in proptest::collection::vec(any::<u8>(), 0..200)) {
            let bytes = [HEADER.as_slice(), &tail].concat();
            let _ = embedded_token(&bytes);
            let _ = hash_without_token(&bytes);
        }
    }
}
