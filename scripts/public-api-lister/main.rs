//! Lists the public API that a rustdoc JSON file describes: a line for each item, sorted. Blanket implementations are
//! left out, since they follow from the rest.

use std::error::Error;
use std::io::{Write, stdout};

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args_os().nth(1).ok_or("usage: public-api-lister RUSTDOC_JSON_FILE")?;
    let api = public_api::Builder::from_rustdoc_json(file).omit_blanket_impls(true).build()?;
    write!(stdout(), "{api}")?;
    Ok(())
}
