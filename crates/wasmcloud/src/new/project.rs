//! The files of a new project. They are written beside their place and moved there at once, so that no failure leaves a part
//! of a project behind.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::name::ProjectName;
use crate::outcome::{CommandError, CommandResult};
use crate::output::shown;

/// A file of a template. Its text has placeholders such as `{{name}}`.
#[derive(Debug, Clone, Copy)]
pub(super) struct TemplateFile {
    /// The path within the project. It may have placeholders too.
    pub(super) path: &'static str,
    pub(super) text: &'static str,
}

/// Returns the text of a file in the folder `templates` of this crate. Its path can be in parts.
macro_rules! text {
    ($($part:literal),+) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/", $($part),+))
    };
}
pub(super) use text;

/// Lists template files, each as its path in the project and its file in the folder `templates`.
macro_rules! template {
    ($($path:literal: $file:literal),+ $(,)?) => {
        &[$(TemplateFile { path: $path, text: crate::new::project::text!($file) }),+]
    };
}
pub(super) use template;

/// The value of a placeholder.
struct Value {
    placeholder: String,
    text: String,
}

/// A project that is not written yet.
pub(super) struct Project {
    values: Vec<Value>,
    files: Vec<NewFile>,
}

struct NewFile {
    path: String,
    text: String,
}

impl Project {
    /// Returns a project without files. It knows the placeholders `name`, `library` and `version`.
    pub(super) fn new(name: &ProjectName) -> Project {
        let project = Project { values: Vec::new(), files: Vec::new() };
        project
            .value("name", name.as_str())
            .value("library", &name.library())
            .value("version", env!("CARGO_PKG_VERSION"))
    }

    /// Gives a placeholder a value. The value may have placeholders that were given before.
    pub(super) fn value(mut self, placeholder: &str, text: &str) -> Project {
        let text = self.filled(text);
        self.values.push(Value { placeholder: format!("{{{{{placeholder}}}}}"), text });
        self
    }

    /// Adds the files of a template.
    pub(super) fn files(mut self, template: &[TemplateFile]) -> Project {
        for file in template {
            let file = NewFile { path: self.filled(file.path), text: self.filled(file.text) };
            self.files.push(file);
        }
        self
    }

    /// Adds a file as it is.
    pub(super) fn file(mut self, path: String, text: &str) -> Project {
        self.files.push(NewFile { path, text: text.to_owned() });
        self
    }

    /// Adds a lock file of cargo, sorted as cargo sorts it: it would take the file for an old one otherwise.
    ///
    /// # Errors
    /// `Usage` if a dependency has the project's name.
    pub(super) fn lock(self, template: &str) -> CommandResult<Project> {
        const PACKAGE: &str = "[[package]]\n";
        let text = self.filled(template);
        let mut parts = text.split(PACKAGE);
        let head = parts.next().unwrap_or_default();
        let mut packages: Vec<&str> = parts.map(str::trim_end).collect();
        packages.sort_unstable();
        let own = self.filled("name = \"{{name}}\"");
        if packages.iter().filter(|package| package.starts_with(&own)).count() > 1 {
            let message = "a dependency of the project is named {{name}} too: choose another name, such as my-{{name}}";
            return Err(CommandError::Usage(self.filled(message)));
        }
        let lock = format!("{head}{PACKAGE}{}\n", packages.join(&format!("\n\n{PACKAGE}")));
        Ok(self.file("Cargo.lock".to_owned(), &lock))
    }

    /// Returns a text with the values of its placeholders.
    pub(super) fn filled(&self, text: &str) -> String {
        self.values.iter().fold(text.to_owned(), |text, value| text.replace(&value.placeholder, &value.text))
    }

    /// Writes the project to a new folder, and returns the number of files.
    ///
    /// # Errors
    /// `Failed` if something exists there, or the folder around it is missing or cannot be written. Nothing is left behind.
    pub(super) fn write(&self, folder: &Path) -> CommandResult<usize> {
        let parent = match folder.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => folder,
        };
        if folder.symlink_metadata().is_ok() {
            return Err(exists(folder));
        }
        if !parent.is_dir() {
            let message = format!("there is no folder {} to make the project in: make it first", shown(parent));
            return Err(CommandError::Failed(message));
        }
        self.write_and_move(parent, folder).map_err(|error| match error.kind() {
            // It was made meanwhile.
            io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotADirectory => {
                exists(folder)
            }
            _ => CommandError::Failed(format!("cannot make the project {}: {error}", shown(folder))),
        })?;
        Ok(self.files.len())
    }

    fn write_and_move(&self, parent: &Path, folder: &Path) -> io::Result<()> {
        // Removed with all that is in it when this function ends.
        let around = tempfile::Builder::new().prefix(".wasmcloud-new-").tempdir_in(parent)?;
        // A folder within it has the mode that the user's folders have.
        let made = around.path().join("project");
        fs::create_dir(&made)?;
        for NewFile { path, text } in &self.files {
            let path = made.join(path);
            fs::create_dir_all(path.parent().unwrap_or(&made))?;
            fs::write(path, text)?;
        }
        fs::rename(&made, folder)
    }
}

fn exists(folder: &Path) -> CommandError {
    CommandError::Failed(format!(
        "{} exists already: choose another name, or another folder with --path",
        shown(folder)
    ))
}

/// Returns the folder of a project: the one that was asked for, or one with the project's name.
pub(super) fn place(path: Option<&PathBuf>, name: &ProjectName) -> PathBuf {
    path.cloned().unwrap_or_else(|| PathBuf::from(name.as_str()))
}

/// Returns the lines that a command ends with: what was made, and the commands that come next.
pub(super) fn report(folder: &Path, made: &str, next: &[&str]) -> String {
    let folder = shown(folder);
    let is_plain = folder.chars().all(|character| character.is_ascii_alphanumeric() || "/._-".contains(character));
    let quoted = if is_plain { folder.clone() } else { format!("'{}'", folder.replace('\'', "'\\''")) };
    let next: String = next.iter().map(|command| format!("  {command}\n")).collect();
    format!("Made {folder}: {made}. Next:\n  cd {quoted}\n{next}See README.md there.\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project() -> Project {
        let file = TemplateFile { path: "src/{{name}}.txt", text: "{{greeting}} from {{library}}" };
        Project::new(&"a-b".parse().unwrap()).value("greeting", "hello {{name}}").files(&[file])
    }

    #[test]
    fn placeholders_have_values_in_paths_and_texts() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("x");
        assert_eq!(project().write(&folder).unwrap(), 1);
        assert_eq!(fs::read_to_string(folder.join("src/a-b.txt")).unwrap(), "hello a-b from a_b");
        assert_eq!(parent.path().read_dir().unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn a_lock_is_sorted_and_names_no_package_twice() {
        let template =
            "# head\n\n[[package]]\nname = \"{{name}}\"\n\n[[package]]\nname = \"b\"\n\n[[package]]\nname = \"b-c\"\n";
        let lock = |name: &str| Project::new(&name.parse().unwrap()).lock(template);
        for (name, order) in [("a", ["a", "b", "b-c"]), ("bb", ["b", "b-c", "bb"]), ("c", ["b", "b-c", "c"])] {
            let project = lock(name).unwrap();
            let text = &project.files[0].text;
            let [first, second, third] = order.map(|name| format!("[[package]]\nname = \"{name}\"\n"));
            assert_eq!(*text, format!("# head\n\n{first}\n{second}\n{third}"));
        }
        assert!(matches!(lock("b"), Err(CommandError::Usage(text)) if text.contains("my-b")));
    }

    #[test]
    fn what_exists_is_left_as_it_is() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("folder");
        fs::create_dir(&folder).unwrap();
        let file = parent.path().join("file");
        fs::write(&file, "mine").unwrap();
        for taken in [&folder, &file] {
            let Err(CommandError::Failed(text)) = project().write(taken) else { panic!() };
            assert!(text.contains("exists already"), "{text}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
        assert_eq!(folder.read_dir().unwrap().count(), 0);
        let Err(CommandError::Failed(text)) = project().write(&parent.path().join("no/such")) else { panic!() };
        assert!(text.contains("make it first"), "{text}");
        assert_eq!(parent.path().read_dir().unwrap().count(), 2);
    }

    #[test]
    fn a_project_that_cannot_be_written_whole_leaves_nothing_behind() {
        let parent = tempfile::tempdir().unwrap();
        // The second file's folder is the first file.
        let project = project().file("a".to_owned(), "").file("a/b".to_owned(), "");
        assert!(matches!(project.write(&parent.path().join("x")), Err(CommandError::Failed(_))));
        assert_eq!(parent.path().read_dir().unwrap().count(), 0);
    }
}
