//! The keys that sign during development: an account for all work of this user, and a key for each actor of a folder.

use std::path::{Path, PathBuf};

use nkeys::{KeyPair, KeyPairType};

use crate::outcome::{CommandError, CommandResult};
use crate::output::shown;
use crate::run::absolute;
use crate::secret::Secret;
use crate::state_folder::StateFolder;

/// The keys of an actor in development.
pub(super) struct DevelopmentKeys {
    account: Key,
    actor: Key,
}

/// A key, and the file that keeps it.
struct Key {
    secret: Secret,
    file: PathBuf,
    is_new: bool,
}

impl DevelopmentKeys {
    /// Reads the keys of an actor by its file. Those that are missing are made, and not kept yet.
    ///
    /// # Errors
    /// `Failed` if a file exists and is not that of a key of the right kind.
    pub(super) fn of(module: &Path, folder: &StateFolder) -> CommandResult<DevelopmentKeys> {
        let stem = module.file_stem().map_or_else(|| "actor".into(), |stem| stem.to_string_lossy().into_owned());
        let local = folder.join("dev");
        let shared = user_folder().unwrap_or_else(|| local.clone());
        Ok(DevelopmentKeys {
            account: Key::at(shared.join("account.seed"), KeyPairType::Account)?,
            actor: Key::at(local.join(format!("{stem}.actor.seed")), KeyPairType::Module)?,
        })
    }

    /// Keeps the keys that were made, each in a file that only its owner can read.
    pub(super) fn keep(&self) -> CommandResult<()> {
        self.account.keep()?;
        self.actor.keep()
    }

    pub(super) fn account(&self) -> &KeyPair {
        self.account.secret.key_pair()
    }

    pub(super) fn actor(&self) -> &KeyPair {
        self.actor.secret.key_pair()
    }

    /// Returns the folder of the account's key, as it is shown.
    pub(super) fn place(&self) -> String {
        shown(self.account.file.parent().unwrap_or(Path::new(".")))
    }
}

impl Key {
    fn at(file: PathBuf, kind: KeyPairType) -> CommandResult<Key> {
        let (secret, is_new) = match file.symlink_metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => (Secret::generate(kind.clone())?, true),
            _ => (Secret::from_file(&file)?, false),
        };
        if secret.key_pair().key_pair_type() != kind {
            let message = format!("{} holds a key of another kind: remove it, and a new one is made", shown(&file));
            return Err(CommandError::Failed(message));
        }
        Ok(Key { secret, file, is_new })
    }

    fn keep(&self) -> CommandResult<()> {
        if !self.is_new {
            return Ok(());
        }
        let folder = self.file.parent().unwrap_or(Path::new("."));
        make_private(folder).map_err(|error| {
            CommandError::Failed(format!("cannot make the folder {} for development keys: {error}", shown(folder)))
        })?;
        match self.secret.write(&self.file, false) {
            // Another process was faster. This one goes on with the key that it has signed with.
            Err(_) if self.file.exists() => Ok(()),
            written => written.map(|_| ()),
        }
    }
}

/// Returns the folder of this user's development keys: `$XDG_DATA_HOME/wasmcloud/dev`, or the same under
/// `$HOME/.local/share`.
fn user_folder() -> Option<PathBuf> {
    let data = absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local").join("share")))?;
    Some(data.join("wasmcloud").join("dev"))
}

/// Makes a folder that only its owner can list, unless it exists.
fn make_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
