//! What is asked of a node's secrets.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sloth_sandbox::ports::secrets::{self, LONGEST, SHORTEST, Unreadable, is_name};
use zeroize::Zeroizing;

use super::error::Error;
use super::folder;
use super::key::{Key, KeyPlace};
use super::sealed::{About, Entry, Sealed};

/// The secrets of a node. Every call reads the files anew, so that what one process sets is there for
/// others at once.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
    key: KeyPlace,
}

/// What may be told of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// When its value was set.
    pub set: SystemTime,
    /// The selector of the agents that a master hands it to.
    pub agents: Option<String>,
}

impl Store {
    /// Those of a data folder. Nothing is made before something is set.
    pub fn in_folder(folder: &Path, key: KeyPlace) -> Self {
        Self {
            folder: folder.to_owned(),
            key,
        }
    }

    /// Sets a value; true if it takes the place of another. White space that the value begins and ends
    /// with is kept.
    pub fn set(&self, name: &str, value: &str) -> Result<bool, Error> {
        self.put(name, value, None)
    }

    /// The same for one that a master hands to the agents that a selector means.
    pub fn set_for(&self, name: &str, value: &str, agents: &str) -> Result<bool, Error> {
        self.put(name, value, Some(agents))
    }

    fn put(&self, name: &str, value: &str, agents: Option<&str>) -> Result<bool, Error> {
        if !is_name(name) {
            return Err(Error::Name(name.to_owned()));
        }
        if value.trim().len() < SHORTEST {
            return Err(Error::Short);
        }
        if value.len() > LONGEST {
            return Err(Error::Long);
        }
        if value.contains('\0') {
            return Err(Error::NotText);
        }
        let _lock = folder::lock(&self.folder)?;
        let (mut sealed, key) = if let Some(sealed) = Sealed::read(&self.folder)? {
            let key = self.key_of(&sealed)?;
            (sealed, key)
        } else {
            let key = self.key_or_draw()?;
            (Sealed::empty(&key), key)
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let set = now.unwrap_or_default().as_secs();
        let replaced = sealed.put(&key, About { name, set, agents }, value)?;
        sealed.write(&self.folder)?;
        Ok(replaced)
    }

    /// Names and times, by name. Needs no key.
    pub fn list(&self) -> Result<Vec<Listed>, Error> {
        let sealed = Sealed::read(&self.folder)?;
        let secrets = sealed.map_or(Vec::new(), |sealed| sealed.secrets);
        let listed = |entry: Entry| Listed {
            name: entry.name,
            agents: entry.agents,
            set: SystemTime::UNIX_EPOCH + Duration::from_secs(entry.set.min(1 << 40)),
        };
        Ok(secrets.into_iter().map(listed).collect())
    }

    /// Removes a secret; false if there is none of that name. Needs no key.
    pub fn remove(&self, name: &str) -> Result<bool, Error> {
        let _lock = folder::lock(&self.folder)?;
        let Some(mut sealed) = Sealed::read(&self.folder)? else {
            return Ok(false);
        };
        let before = sealed.secrets.len();
        sealed.secrets.retain(|entry| entry.name != name);
        if sealed.secrets.len() == before {
            return Ok(false);
        }
        sealed.write(&self.folder)?;
        Ok(true)
    }

    /// Seals everything with a fresh key; gives how many secrets there are. A key of the operator's is
    /// not replaced: the fresh one is written to `to`, and is to be named from then on. If anything
    /// cannot be opened, nothing is changed.
    pub fn rotate(&self, to: Option<&Path>) -> Result<usize, Error> {
        let place = match (to, &self.key) {
            (Some(path), _) => KeyPlace::File(path.to_owned()),
            (None, KeyPlace::Beside) => KeyPlace::Beside,
            (None, KeyPlace::File(path) | KeyPlace::Credential(path)) => {
                return Err(Error::NotOurs { path: path.clone() });
            }
        };
        let _lock = folder::lock(&self.folder)?;
        let Some(sealed) = Sealed::read(&self.folder)? else {
            place.write(&self.folder, &[&Key::draw()?])?;
            return Ok(0);
        };
        let old = self.key_of(&sealed)?;
        let fresh = Key::draw()?;
        let mut renewed = Sealed::empty(&fresh);
        for entry in &sealed.secrets {
            let value = self.open(entry, &old)?;
            renewed.put(&fresh, entry.about(), &value)?;
        }
        // Whatever stops this between two writes, the key's file holds what opens the sealed one.
        if place == self.key {
            place.write(&self.folder, &[&old, &fresh])?;
        } else {
            place.write(&self.folder, &[&fresh])?;
        }
        renewed.write(&self.folder)?;
        if place == self.key {
            place.write(&self.folder, &[&fresh])?;
        }
        Ok(renewed.secrets.len())
    }

    /// The value of a name; none if there is none.
    pub fn value(&self, name: &str) -> Result<Option<Zeroizing<String>>, Error> {
        for attempt in 0.. {
            let Some(sealed) = Sealed::read(&self.folder)? else {
                return Ok(None);
            };
            let found = sealed.secrets.iter().find(|entry| entry.name == name);
            let Some(entry) = found else {
                return Ok(None);
            };
            match self.key_of(&sealed) {
                Ok(key) => return self.open(entry, &key).map(Some),
                // The key may have been replaced between reading one file and the other.
                Err(Error::WrongKey { .. }) if attempt < 3 => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn open(&self, entry: &Entry, key: &Key) -> Result<Zeroizing<String>, Error> {
        entry.open(key).ok_or_else(|| Error::Damaged {
            path: Sealed::path(&self.folder),
            why: format!("`{}` does not open", entry.name),
        })
    }

    /// The key that the file is sealed with.
    fn key_of(&self, sealed: &Sealed) -> Result<Key, Error> {
        let keys = self.key.read(&self.folder)?;
        let key = self.key.path(&self.folder);
        let path = Sealed::path(&self.folder);
        if keys.is_empty() {
            return Err(Error::NoKey { key, sealed: path });
        }
        keys.into_iter()
            .find(|key| key.name() == sealed.key)
            .ok_or(Error::WrongKey { sealed: path, key })
    }

    fn key_or_draw(&self) -> Result<Key, Error> {
        if let Some(key) = self.key.read(&self.folder)?.into_iter().next() {
            return Ok(key);
        }
        let key = Key::draw()?;
        self.key.write(&self.folder, &[&key])?;
        Ok(key)
    }
}

impl secrets::Secrets for Store {
    fn value(&self, name: &str) -> Result<Option<Zeroizing<String>>, Unreadable> {
        self.value(name)
            .map_err(|error| Unreadable(error.to_string()))
    }
}
