//! Joins modules of JavaScript into one script, in which each is a function that returns what it exports. A page in a single file
//! cannot import from others.
//!
//! This understands the modules of this project, not all of JavaScript: imports by name from files beside, and exports in front of
//! a declaration, both at the beginning of a line. The tests hold the modules to that.

/// Returns a script with the entry and all modules that it imports. `find` returns the text of a module.
pub(super) fn bundle<'a>(entry: &str, find: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut script = "const modules = Object.create(null);\n".to_owned();
    add(entry, &find, &mut Vec::new(), &mut script);
    script
}

/// Adds a module behind those that it imports, unless it is there.
fn add<'a>(name: &str, find: &impl Fn(&str) -> Option<&'a str>, added: &mut Vec<String>, script: &mut String) {
    if added.iter().any(|known| known == name) {
        return;
    }
    added.push(name.to_owned());
    let Module { body, imports, exports } = Module::of(find(name).unwrap_or_default());
    for import in &imports {
        add(import, find, added, script);
    }
    script.push_str(&format!("modules['{name}'] = (() => {{\n{body}\nreturn {{ {} }};\n}})();\n", exports.join(", ")));
}

/// A module that is taken apart.
#[derive(Debug, Default)]
struct Module {
    body: String,
    imports: Vec<String>,
    exports: Vec<String>,
}

impl Module {
    fn of(text: &str) -> Module {
        let mut module = Module::default();
        let mut rest = text;
        while !rest.is_empty() {
            let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
            if line.starts_with("import ") {
                let (statement, after) = rest.split_once(";\n").unwrap_or((rest, ""));
                module.import(statement);
                rest = after;
                continue;
            }
            module.line(line);
            rest = after;
        }
        module
    }

    /// Takes `import { a, b as c } from './x.js'` or `import './x.js'`.
    fn import(&mut self, statement: &str) {
        let name = statement.rsplit_once("'./").map_or("", |(_, name)| name.trim_end_matches('\''));
        self.imports.push(name.to_owned());
        if let Some((_, names)) = statement.split_once('{') {
            let names = names.split_once('}').map_or("", |(names, _)| names).replace(" as ", ": ");
            self.body.push_str(&format!("const {{{names}}} = modules['{name}'];\n"));
        }
    }

    fn line(&mut self, line: &str) {
        let declaration = line.strip_prefix("export ").unwrap_or(line);
        if declaration.len() != line.len() {
            let mut words =
                declaration.split(|character: char| !(character.is_alphanumeric() || "_$".contains(character)));
            let name = words.find(|word| !["async", "function", "const", "class", ""].contains(word));
            self.exports.extend(name.map(str::to_owned));
        }
        self.body.push_str(declaration);
        self.body.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_follow_those_that_they_import() {
        let find = |name: &str| match name {
            "a.js" => Some(
                "import { b, c as d } from './b.js';\nimport {\n  e,\n} from './c.js';\nexport class A {}\nd(b, e);\n",
            ),
            "b.js" => Some("import './c.js';\nexport const b = 1;\nexport async function c() {}\n"),
            "c.js" => Some("export function e() {}\n"),
            _ => None,
        };
        let script = bundle("a.js", find);
        let place = |text: &str| script.find(text).unwrap_or_else(|| panic!("{text} is not in\n{script}"));
        assert!(place("modules['c.js'] = ") < place("modules['b.js'] = "));
        assert!(place("modules['b.js'] = ") < place("modules['a.js'] = "));
        place("const { b, c: d } = modules['b.js'];");
        place("return { b, c };");
        place("return { A };");
        assert!(!script.contains("import ") && !script.contains("export "));
        assert_eq!(script.matches("modules['c.js'] = ").count(), 1);
    }

    /// Everything that the page is made of is written so that it can be joined.
    #[test]
    fn the_modules_of_the_page_can_be_joined() {
        let script = super::super::script();
        for line in script.lines() {
            assert!(!line.starts_with("import") && !line.starts_with("export"), "{line}");
        }
        assert!(script.contains("modules['report.js'] = ") && script.contains("modules['dom.js'] = "));
        for (missing, _) in script.match_indices("= modules['") {
            let name = script[missing + 11..].split('\'').next().unwrap();
            assert!(script.contains(&format!("modules['{name}'] = (() => {{")), "{name} is missing");
        }
        for end in ["</script", "<!--", "modules[''] = "] {
            assert!(!script.contains(end), "{end}");
        }
    }
}
