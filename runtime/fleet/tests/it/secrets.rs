//! The sealed store: nothing readable on disk, nothing lost, and every fault named with its file.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sloth_fleet::store::node::secrets::{KeyPlace, Store};
use sloth_sandbox::ports::Secrets;

const VALUE: &str = "correct-horse battery";

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    fn store(&self) -> Store {
        Store::in_folder(&self.folder(), KeyPlace::Beside)
    }
}

fn value(store: &Store, name: &str) -> Result<Option<String>, String> {
    Secrets::value(store, name)
        .map(|value| value.map(|value| value.to_string()))
        .map_err(|error| error.to_string())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_value_is_kept_sealed_and_given_back() {
    let place = Place::new();
    let store = place.store();
    assert_eq!(value(&store, "db-password"), Ok(None));
    assert!(store.list().unwrap().is_empty());
    assert!(!store.set("db-password", VALUE).unwrap());
    assert!(!store.set("a-key", "line one\nline two\n").unwrap());
    assert!(store.set("db-password", "another-value").unwrap());
    assert_eq!(
        value(&store, "db-password").unwrap().unwrap(),
        "another-value"
    );
    assert_eq!(
        value(&store, "a-key").unwrap().unwrap(),
        "line one\nline two\n"
    );
    assert_eq!(value(&store, "none"), Ok(None));
    let names: Vec<_> = store.list().unwrap();
    assert_eq!(names[0].name, "a-key");
    assert!(names[0].set.elapsed().unwrap().as_secs() < 60 && names.len() == 2);
    for file in ["secrets.sealed", "secrets.key"] {
        assert_eq!(mode(&place.path(file)), 0o600, "{file}");
    }
    assert_eq!(mode(&place.folder()), 0o700);
    let sealed = fs::read_to_string(place.path("secrets.sealed")).unwrap();
    assert!(!sealed.contains("another") && sealed.contains("db-password"));
    assert!(store.remove("a-key").unwrap() && !store.remove("a-key").unwrap());
    assert_eq!(value(&store, "a-key"), Ok(None));
}

#[test]
fn what_could_not_be_redacted_or_used_is_refused() {
    let place = Place::new();
    let store = place.store();
    let long = "x".repeat(32 * 1024 + 1);
    for (name, value, said) in [
        ("", VALUE, "is no name"),
        ("../x", VALUE, "is no name"),
        ("a\u{1b}", VALUE, "`a\\u{1b}` is no name"),
        ("a", "1234567", "shorter than 8 bytes"),
        ("a", "1234567\n \n", "shorter than 8 bytes"),
        ("a", long.as_str(), "longer than 32 KiB"),
        ("a", "12345678\0", "without NUL"),
    ] {
        let error = store.set(name, value).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    assert!(!place.folder().exists());
    store.set("a", &long[1..]).unwrap();
}

#[test]
fn a_fresh_key_opens_all_and_the_old_one_nothing() {
    let place = Place::new();
    let store = place.store();
    store.set("one", VALUE).unwrap();
    store.set("two", "value-of-two").unwrap();
    let (key, sealed) = (place.path("secrets.key"), place.path("secrets.sealed"));
    let (old, was) = (fs::read(&key).unwrap(), fs::read(&sealed).unwrap());
    let set: Vec<SystemTime> = store.list().unwrap().iter().map(|one| one.set).collect();
    assert_eq!(store.rotate(None).unwrap(), 2);
    assert_ne!(fs::read(&key).unwrap(), old);
    assert_ne!(fs::read(&sealed).unwrap(), was);
    assert_eq!(value(&store, "two").unwrap().unwrap(), "value-of-two");
    let kept: Vec<SystemTime> = store.list().unwrap().iter().map(|one| one.set).collect();
    assert_eq!(set, kept);
    fs::write(&key, &old).unwrap();
    let error = value(&store, "one").unwrap_err();
    assert!(
        error.contains("sealed with another key") && error.contains("--key-file"),
        "{error}"
    );
    // Stopped between its writes, the key's file holds both, and both files open.
    let fresh = Place::new();
    fs::create_dir_all(fresh.folder()).unwrap();
    fs::write(fresh.path("secrets.sealed"), &was).unwrap();
    store.rotate(None).unwrap_err();
    let both = [
        &old[..],
        b"sloth-secrets-key-1 ",
        "ab".repeat(32).as_bytes(),
        b"\n",
    ]
    .concat();
    fs::write(fresh.path("secrets.key"), both).unwrap();
    fs::set_permissions(fresh.path("secrets.key"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(value(&fresh.store(), "one").unwrap().unwrap(), VALUE);
    assert_eq!(fresh.store().rotate(None).unwrap(), 2);
    assert_eq!(value(&fresh.store(), "one").unwrap().unwrap(), VALUE);
}

#[test]
fn a_given_key_is_made_when_missing_and_replaced_only_elsewhere() {
    let place = Place::new();
    let (old, new) = (place.0.path().join("old"), place.0.path().join("new"));
    let store = Store::in_folder(&place.folder(), KeyPlace::File(old.clone()));
    store.set("one", VALUE).unwrap();
    assert!(old.exists() && !place.path("secrets.key").exists());
    let error = store.rotate(None).unwrap_err().to_string();
    assert!(error.contains("--new-key-file"), "{error}");
    assert_eq!(store.rotate(Some(&new)).unwrap(), 1);
    assert_eq!(mode(&new), 0o600);
    assert!(value(&store, "one").unwrap_err().contains("another key"));
    let store = Store::in_folder(&place.folder(), KeyPlace::File(new.clone()));
    assert_eq!(value(&store, "one").unwrap().unwrap(), VALUE);
    // What the service manager hands over may be readable by its group, and is never written.
    fs::set_permissions(&new, fs::Permissions::from_mode(0o440)).unwrap();
    assert!(value(&store, "one").unwrap_err().contains("chmod 600"));
    let store = Store::in_folder(&place.folder(), KeyPlace::Credential(new.clone()));
    assert_eq!(value(&store, "one").unwrap().unwrap(), VALUE);
    let empty = Place::new();
    let store = Store::in_folder(&empty.folder(), KeyPlace::Credential(empty.path("none")));
    assert!(store.set("one", VALUE).is_err());
}

#[test]
fn every_fault_names_the_file_and_what_to_do_and_nothing_is_lost() {
    type Spoil = fn(&Place);
    let cases: [(Spoil, &str, &str); 8] = [
        (
            |place| fs::write(place.path("secrets.sealed"), "{\"version\": 1, \"k").unwrap(),
            "secrets.sealed is damaged",
            "restore it",
        ),
        (
            |place| fs::write(place.path("secrets.sealed"), "").unwrap(),
            "secrets.sealed is damaged",
            "restore it",
        ),
        (
            |place| fs::write(place.path("secrets.sealed"), "{\"version\": 2}").unwrap(),
            "later version",
            "use that one",
        ),
        (
            |place| fs::remove_file(place.path("secrets.key")).unwrap(),
            "secrets.key is not there",
            "--key-file",
        ),
        (
            |place| fs::write(place.path("secrets.key"), "not a key").unwrap(),
            "secrets.key is no key",
            "restore it",
        ),
        (
            |place| fs::write(place.path("secrets.key"), "").unwrap(),
            "secrets.key is no key",
            "restore it",
        ),
        (
            |place| {
                let open = fs::Permissions::from_mode(0o644);
                fs::set_permissions(place.path("secrets.key"), open).unwrap();
            },
            "can be read by others (mode 0644)",
            "chmod 600",
        ),
        (
            |place| {
                let line = format!("sloth-secrets-key-1 {}\n", "0".repeat(64));
                fs::write(place.path("secrets.key"), line).unwrap();
            },
            "sealed with another key",
            "--key-file",
        ),
    ];
    for (spoil, wrong, remedy) in cases {
        let place = Place::new();
        place.store().set("one", VALUE).unwrap();
        spoil(&place);
        let files = |place: &Place| {
            ["secrets.sealed", "secrets.key"].map(|name| fs::read(place.path(name)).ok())
        };
        let before = files(&place);
        let errors = [
            value(&place.store(), "one").unwrap_err(),
            place.store().set("two", VALUE).unwrap_err().to_string(),
            place.store().rotate(None).unwrap_err().to_string(),
        ];
        for error in errors {
            assert!(error.contains(wrong) && error.contains(remedy), "{error}");
            assert!(!error.contains(VALUE));
        }
        assert!(files(&place) == before, "{wrong}: a file was changed");
    }
}

#[test]
fn a_sealed_value_opens_under_its_own_name_and_unchanged_only() {
    let place = Place::new();
    place.store().set("one", VALUE).unwrap();
    place.store().set("two", "value-of-two").unwrap();
    let path = place.path("secrets.sealed");
    let text = fs::read_to_string(&path).unwrap();
    let swapped = text
        .replace("\"one\"", "\"x\"")
        .replace("\"two\"", "\"one\"");
    fs::write(&path, swapped).unwrap();
    let error = value(&place.store(), "one").unwrap_err();
    assert!(error.contains("`one` does not open"), "{error}");
    let later = text.replacen("\"set\": 1", "\"set\": 2", 1);
    fs::write(&path, later).unwrap();
    assert!(value(&place.store(), "one").is_err());
    let last = text.rfind("\"\n    }\n  ]").unwrap();
    let mut flipped = text.clone().into_bytes();
    flipped[last - 1] = if flipped[last - 1] == b'0' {
        b'1'
    } else {
        b'0'
    };
    fs::write(&path, flipped).unwrap();
    assert!(value(&place.store(), "two").is_err());
    assert_eq!(value(&place.store(), "one").unwrap().unwrap(), VALUE);
    // Nothing that does not open is sealed anew, or thrown away.
    assert!(place.store().rotate(None).is_err());
}

#[test]
fn writers_take_turns_and_readers_see_whole_files() {
    let place = Place::new();
    place.store().set("always", VALUE).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let store = place.store();
            scope.spawn(move || {
                for number in 0..10 {
                    store.set(&format!("w{writer}-{number}"), VALUE).unwrap();
                }
            });
        }
        let store = place.store();
        scope.spawn(move || {
            for _ in 0..10 {
                store.rotate(None).unwrap();
            }
        });
        for _ in 0..200 {
            assert_eq!(value(&place.store(), "always").unwrap().unwrap(), VALUE);
        }
    });
    assert_eq!(place.store().list().unwrap().len(), 41);
}
