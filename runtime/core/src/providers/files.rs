//! `FileConfigProvider`: keys of properties files. `DirectoryConfigProvider`: one file per key, as secrets are mounted.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use millrace_api::{Error, Result};

use super::Provider;

/// Largest file that is read. Secrets are small, and a configuration must not fill the memory.
const MAX_BYTES: u64 = 1024 * 1024;

/// Where the kernel shows processes and devices: nothing there is configuration, and much of it is secret or never ends.
const NEVER: [&str; 3] = ["/proc", "/sys", "/dev"];

pub(super) struct FileProvider(AllowedPaths);

pub(super) struct DirectoryProvider(AllowedPaths);

impl FileProvider {
    pub(super) fn new(name: &str, allowed: Option<(String, &str)>) -> Result<Self> {
        AllowedPaths::new(name, allowed).map(Self)
    }
}

impl DirectoryProvider {
    pub(super) fn new(name: &str, allowed: Option<(String, &str)>) -> Result<Self> {
        AllowedPaths::new(name, allowed).map(Self)
    }
}

impl Provider for FileProvider {
    fn get(&self, path: &str, key: &str) -> Result<Option<String>> {
        if path.is_empty() {
            return Ok(None);
        }
        // The error says neither what the file has nor why it cannot be read: that would tell what exists.
        let unreadable = || Error::config(format!("Could not read properties from file {path}"));
        let path = self.0.canonical(path)?.ok_or_else(unreadable)?;
        let text = read(&path).map_err(|error| unreadable().because(error))?;
        let mut found = None;
        let properties = java_properties::PropertiesIter::new_with_encoding(text.as_bytes(), encoding_rs::UTF_8)
            .read_into(|name, value| {
                if name == key {
                    found = Some(value);
                }
            });
        properties.map_err(|_| unreadable())?;
        Ok(found)
    }
}

impl Provider for DirectoryProvider {
    fn get(&self, path: &str, key: &str) -> Result<Option<String>> {
        if path.is_empty() {
            return Ok(None);
        }
        let Some(directory) = self.0.canonical(path)?.filter(|path| path.is_dir()) else {
            tracing::warn!(path, "no directory to read configuration values from");
            return Ok(None);
        };
        // A key is the name of a file in the directory, never a way out of it.
        if key.is_empty() || key.contains(['/', '\0']) || key == "." || key == ".." {
            return Ok(None);
        }
        // Mounted secrets are symbolic links; where they lead must be allowed as well.
        let Some(file) = self.0.canonical_path(&directory.join(key))?.filter(|file| file.is_file()) else {
            return Ok(None);
        };
        read(&file)
            .map(Some)
            .map_err(|error| Error::config(format!("Could not read file {path} for property {key}")).because(error))
    }
}

/// `allowed.paths`: what providers may read, everything when it is not set.
struct AllowedPaths(Option<Vec<PathBuf>>);

impl AllowedPaths {
    fn new(name: &str, given: Option<(String, &str)>) -> Result<Self> {
        let Some((key, text)) = given.filter(|(_, text)| !text.trim().is_empty()) else {
            tracing::warn!(
                provider = name,
                "every file that this worker can read can be read by whoever creates connectors; \
                 set config.providers.{name}.param.allowed.paths"
            );
            return Ok(Self(None));
        };
        let roots = text.split(',').map(str::trim).filter(|path| !path.is_empty()).map(|path| {
            let invalid = |cause: &str| Error::config(format!("Invalid value {path} for configuration {key}: {cause}"));
            if !Path::new(path).is_absolute() {
                return Err(invalid(&format!("Path {path} is not absolute")));
            }
            Path::new(path)
                .canonicalize()
                .map_err(|error| invalid(&format!("Path {path} does not exist")).because(error))
        });
        roots.collect::<Result<Vec<_>>>().map(|roots| Self(Some(roots)))
    }

    /// Where `path` leads, after `..` and symbolic links; `None` when nothing is there.
    ///
    /// # Errors
    /// When it leads out of what is allowed. Kafka leaves the variable as it is then, which a connector takes for the value.
    fn canonical(&self, path: &str) -> Result<Option<PathBuf>> {
        self.canonical_path(Path::new(path))
    }

    fn canonical_path(&self, path: &Path) -> Result<Option<PathBuf>> {
        let refused = || {
            Error::config(format!(
                "The path {} is not allowed to be accessed; use one within allowed.paths of the config provider",
                path.display()
            ))
        };
        let Ok(real) = path.canonicalize() else {
            // What does not exist is not told apart from what may not be seen, unless it would be allowed.
            let lexical = normalize(path);
            return if self.allows(&lexical)
                || path.parent().and_then(|up| up.canonicalize().ok()).is_some_and(|up| self.allows(&up))
            {
                Ok(None)
            } else {
                Err(refused())
            };
        };
        if self.allows(&real) { Ok(Some(real)) } else { Err(refused()) }
    }

    fn allows(&self, real: &Path) -> bool {
        if NEVER.iter().any(|root| real.starts_with(root)) {
            return false;
        }
        self.0.as_ref().is_none_or(|roots| roots.iter().any(|root| real.starts_with(root)))
    }
}

/// A path without `.` and `..`, by its text.
fn normalize(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                normal.pop();
            }
            std::path::Component::CurDir => {}
            part => normal.push(part),
        }
    }
    normal
}

/// A regular file's text, if it is not too large. Others (pipes, devices) are not even opened.
fn read(path: &Path) -> std::io::Result<String> {
    let invalid = |cause: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, cause.to_owned());
    if !path.metadata()?.is_file() {
        return Err(invalid("it is no regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(invalid("it is larger than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8"))
}
