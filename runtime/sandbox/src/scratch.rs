//! The private folder of one step: made before it begins, gone when it ends.

use std::path::Path;

/// A folder that only this user can enter. Dropping it removes it with all in it.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    /// Makes a fresh folder beneath `parent`, which is made too if missing.
    pub(crate) fn make(parent: &Path) -> std::io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)?;
        let folder = tempfile::Builder::new()
            .prefix("step-")
            .tempdir_in(parent)?;
        Ok(Self { folder })
    }

    /// Absolute and free of links.
    pub(crate) fn path(&self) -> std::io::Result<String> {
        let path = self.folder.path().canonicalize()?;
        path.into_os_string().into_string().map_err(|path| {
            std::io::Error::other(format!(
                "the data folder's path {} is not UTF-8",
                path.display()
            ))
        })
    }
}
