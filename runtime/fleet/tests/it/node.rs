//! The node's own database: what it keeps, what it refuses, and what it says when it cannot.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use rusqlite::Connection;
use sloth_fleet::store::node::Database;
use sloth_sandbox::ports::stacks::{Outputs, Stacks};
use sloth_sandbox::ports::state::{Entry, State, Write};
use sloth_workflow::{Value, cbor};

fn folder() -> (tempfile::TempDir, Database) {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::beneath(folder.path());
    (folder, database)
}

fn put(database: &Database, key: &str, value: &[u8]) -> Result<(), String> {
    leased(database, key, value, None)
}

fn leased(
    database: &Database,
    key: &str,
    value: &[u8],
    lifetime: Option<Duration>,
) -> Result<(), String> {
    let entry = Entry {
        value: value.to_owned(),
        expires: lifetime.map(|lifetime| SystemTime::now() + lifetime),
    };
    let mut plan = |_: Option<&Entry>| Some(Write::Put(entry.clone()));
    database
        .change(key, &mut plan)
        .map_err(|problem| problem.to_string())
}

fn outputs(entries: &[(&str, Value)]) -> Outputs {
    let owned = entries
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()));
    owned.collect::<BTreeMap<_, _>>()
}

#[test]
fn nothing_is_made_until_something_is_kept() {
    let (folder, database) = folder();
    assert_eq!(database.get("k").unwrap(), None);
    assert!(database.keys().unwrap().is_empty() && database.stacks().unwrap().is_empty());
    assert!(database.outputs("s").unwrap().is_empty());
    assert!(!folder.path().join("node.db").exists());
}

#[test]
fn only_the_owner_reads_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("new/data");
    let database = Database::beneath(&data);
    put(&database, "k", b"v").unwrap();
    let mode = |name: &str| {
        let metadata = std::fs::metadata(data.join(name)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode(""), 0o700);
    assert_eq!(
        (mode("node.db"), mode("node.db-wal"), mode("node.db-shm")),
        (0o600, 0o600, 0o600)
    );
    drop(database);
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(data.join("node.db"), open).unwrap();
    put(&Database::beneath(&data), "k", b"w").unwrap();
    assert_eq!(mode("node.db"), 0o600);
}

#[test]
fn what_was_kept_is_there_for_the_next_process() {
    let (folder, database) = folder();
    put(&database, "b", b"1").unwrap();
    put(&database, "a", b"2").unwrap();
    drop(database);
    let database = Database::beneath(folder.path());
    assert_eq!(database.keys().unwrap(), ["a", "b"]);
    assert_eq!(database.get("a").unwrap().unwrap().value, b"2");
    assert_eq!(database.clear(&mut |key| key == "a").unwrap(), 1);
    assert_eq!(database.keys().unwrap(), ["b"]);
}

#[test]
fn what_expired_is_absent_and_then_swept() {
    let (folder, database) = folder();
    put(&database, "other", b"v").unwrap();
    leased(&database, "k", b"v", Some(Duration::from_secs(1))).unwrap();
    assert!(database.get("k").unwrap().is_some());
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(database.get("k").unwrap(), None);
    assert_eq!(database.keys().unwrap(), ["other"]);
    let mut seen = None;
    let mut plan = |entry: Option<&Entry>| {
        seen = entry.cloned();
        None
    };
    database.change("k", &mut plan).unwrap();
    assert_eq!(seen, None);
    let rows: i64 = Connection::open(folder.path().join("node.db"))
        .unwrap()
        .query_row("SELECT count(*) FROM state", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 1);
}

#[test]
fn a_full_store_refuses_and_what_was_there_stays() {
    let (folder, database) = folder();
    let megabyte = vec![0; 1 << 20];
    for number in 0..63 {
        put(&database, &format!("k{number}"), &megabyte).unwrap();
    }
    put(&database, "last", &vec![0; (1 << 20) - 1000]).unwrap();
    let refused = put(&database, "more", &megabyte).unwrap_err();
    assert!(refused.contains("the node's state is full"), "{refused}");
    assert_eq!(database.get("more").unwrap(), None);
    // A value is replaced by one of its size, and room that was given back is there again.
    put(&database, "k1", &megabyte).unwrap();
    database.clear(&mut |key| key == "k2").unwrap();
    put(&database, "more", &megabyte).unwrap();
    let counted = Connection::open(folder.path().join("node.db"))
        .unwrap()
        .query_row(
            "SELECT keys = (SELECT count(*) FROM state)
                AND bytes = (SELECT sum(length(key) + length(value)) FROM state) FROM state_size",
            [],
            |row| row.get::<_, bool>(0),
        );
    assert!(counted.unwrap(), "what is counted is not what is there");
}

#[test]
fn there_are_only_so_many_keys() {
    let (folder, database) = folder();
    put(&database, "first", b"v").unwrap();
    Connection::open(folder.path().join("node.db"))
        .unwrap()
        .execute_batch(
            "WITH RECURSIVE n(i) AS (VALUES (2) UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
             INSERT INTO state (key, value) SELECT 'k' || i, x'00' FROM n",
        )
        .unwrap();
    put(&database, "first", b"w").unwrap();
    assert!(put(&database, "more", b"v").is_err());
    assert_eq!(database.keys().unwrap().len(), 100_000);
}

#[test]
fn a_damaged_file_is_an_error_that_names_it_and_the_way_out() {
    let (folder, database) = folder();
    let path = folder.path().join("node.db");
    std::fs::write(&path, "this is no database at all, ".repeat(200)).unwrap();
    let problem = database.get("k").unwrap_err().to_string();
    assert!(
        problem.starts_with(&format!("{} is damaged", path.display()))
            && problem.contains("move it away"),
        "{problem}"
    );
    assert!(
        put(&database, "k", b"v")
            .unwrap_err()
            .contains("is damaged")
    );
    // Once it is moved away all is well, in the same process.
    std::fs::rename(&path, folder.path().join("old.db")).unwrap();
    put(&database, "k", b"v").unwrap();
}

#[test]
fn a_file_damaged_in_its_middle_is_an_error_too() {
    let (folder, database) = folder();
    for number in 0..200 {
        put(&database, &format!("key {number}"), &[7; 500]).unwrap();
    }
    drop(database);
    let path = folder.path().join("node.db");
    let mut bytes = std::fs::read(&path).unwrap();
    for byte in bytes.iter_mut().skip(4096) {
        *byte = 0xa5;
    }
    std::fs::write(&path, bytes).unwrap();
    let problem = Database::beneath(folder.path()).keys().unwrap_err();
    assert!(problem.to_string().contains("is damaged"), "{problem}");
}

#[test]
fn a_database_from_the_future_is_refused_and_left_as_it_is() {
    let (folder, database) = folder();
    put(&database, "k", b"v").unwrap();
    drop(database);
    let path = folder.path().join("node.db");
    let other = Connection::open(&path).unwrap();
    other.pragma_update(None, "user_version", 99).unwrap();
    drop(other);
    let database = Database::beneath(folder.path());
    for problem in [
        database.get("k").unwrap_err().to_string(),
        put(&database, "k", b"w").unwrap_err(),
    ] {
        assert!(
            problem.contains("was written by a later version") && problem.contains("schema is 99"),
            "{problem}"
        );
    }
    let other = Connection::open(&path).unwrap();
    other.pragma_update(None, "user_version", 1).unwrap();
    assert_eq!(database.get("k").unwrap().unwrap().value, b"v");
}

#[test]
fn a_folder_in_its_place_is_an_error_that_names_it() {
    let (folder, database) = folder();
    std::fs::create_dir(folder.path().join("node.db")).unwrap();
    let problem = put(&database, "k", b"v").unwrap_err();
    assert!(problem.contains("node.db"), "{problem}");
}

#[test]
fn stacks_keep_their_outputs_apart() {
    let (_folder, database) = folder();
    let text = |text: &str| Value::Text(text.into());
    database
        .keep(
            "a",
            &outputs(&[("url", text("x")), ("n", Value::Integer(1))]),
        )
        .unwrap();
    database.keep("b", &outputs(&[("url", text("y"))])).unwrap();
    database
        .keep(
            "a",
            &outputs(&[("n", Value::Null), ("more", Value::Bool(true))]),
        )
        .unwrap();
    assert_eq!(
        database.outputs("a").unwrap(),
        outputs(&[("more", Value::Bool(true)), ("url", text("x"))])
    );
    let listed = database.stacks().unwrap();
    let named: Vec<_> = listed
        .iter()
        .map(|stack| (stack.name.as_str(), stack.outputs))
        .collect();
    assert_eq!(named, [("a", 2), ("b", 1)]);
    assert_eq!(database.delete_stack("a").unwrap(), 2);
    assert!(database.outputs("a").unwrap().is_empty());
    assert_eq!(database.outputs("b").unwrap().len(), 1);
}

#[test]
fn a_stack_that_would_grow_too_large_stays_as_it_was() {
    let (_folder, database) = folder();
    let large = Value::Text("x".repeat(700 << 10));
    database
        .keep("s", &outputs(&[("a", large.clone())]))
        .unwrap();
    let refused = database.keep("s", &outputs(&[("b", large), ("c", Value::Integer(1))]));
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("1 MiB of outputs"),
        "says the limit"
    );
    assert_eq!(database.outputs("s").unwrap().len(), 1);
    assert!(cbor::encode(&Value::Map(database.outputs("s").unwrap())).len() < 1 << 20);
}
