//! Actors in AssemblyScript.

use super::super::name::ProjectName;
use super::super::project::{Project, TemplateFile, template};
use super::{Started, Template};
use crate::outcome::{CommandError, CommandResult};

const HTTP: &[TemplateFile] = template![
    ".gitignore": "actor/assemblyscript/gitignore.in",
    "README.md": "actor/assemblyscript/README.md.in",
    "{{name}}.yaml": "actor/http.yaml.in",
    "package.json": "actor/assemblyscript/package.json.in",
    "package-lock.json": "actor/assemblyscript/package-lock.json.in",
    "assembly/index.ts": "actor/assemblyscript/index.ts",
    "assembly/handler.ts": "actor/assemblyscript/handler.ts",
    "assembly/http.ts": "actor/assemblyscript/http.ts",
    "tests/index.ts": "actor/assemblyscript/tests.ts",
    "tests/run.mjs": "actor/assemblyscript/run.mjs",
];

pub(super) fn start(name: &ProjectName, template: Template) -> CommandResult<Started> {
    if template != Template::Http {
        let message = "actors in AssemblyScript have the template http only: use --lang rust for the others";
        return Err(CommandError::Usage(message.to_owned()));
    }
    let next = &["npm ci", "wasmcloud dev"];
    Ok(Started { project: Project::new(name).files(HTTP), language: "AssemblyScript", next })
}
