//! A plugin for the tests: every type, every limit, and four nouns of the host.

use std::cell::Cell;

wit_bindgen::generate!({
    path: ["../../../../../wit/frozen/0.1.0", "wit"],
    world: "sloth:probe/probe",
    generate_all,
});

use exports::sloth::probe::{deeds, echo, store};
use sloth::host::types::Error;
use sloth::host::{clock, files, log, state};

struct Probe;

export!(Probe);

impl echo::Guest for Probe {
    fn everything(value: echo::All) -> echo::All {
        value
    }
    fn text(value: String) -> String {
        value
    }
    fn content(value: Vec<u8>) -> Vec<u8> {
        value
    }
    fn number(value: u64) -> u64 {
        value
    }
    fn add_up(numbers: Vec<i64>) -> i64 {
        numbers.iter().sum()
    }
    fn fails(how: echo::Shape) -> Result<String, echo::Shape> {
        match how {
            echo::Shape::Empty => Ok("fine".to_owned()),
            other => Err(other),
        }
    }
    fn nothing() {}
}

thread_local! {
    static ALIVE: Cell<u32> = const { Cell::new(0) };
}

pub struct Counter(Cell<u32>);

impl Counter {
    fn of(start: u32) -> Self {
        ALIVE.with(|alive| alive.set(alive.get() + 1));
        Self(Cell::new(start))
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        ALIVE.with(|alive| alive.set(alive.get() - 1));
    }
}

impl store::GuestCounter for Counter {
    fn new(start: u32) -> Self {
        Self::of(start)
    }
    fn next(&self) -> u32 {
        self.0.set(self.0.get() + 1);
        self.0.get()
    }
    fn sum(counters: Vec<store::CounterBorrow<'_>>) -> u32 {
        counters.iter().map(|one| one.get::<Counter>().0.get()).sum()
    }
}

impl store::Guest for Probe {
    type Counter = Counter;

    fn merge(one: store::Counter, other: store::Counter) -> store::Counter {
        let sum = one.get::<Counter>().0.get() + other.get::<Counter>().0.get();
        store::Counter::new(Counter::of(sum))
    }
    fn all(many: u32) -> Vec<store::Counter> {
        (0..many).map(|start| store::Counter::new(Counter::of(start))).collect()
    }
    fn alive() -> u32 {
        ALIVE.with(Cell::get)
    }
}

/// What the host said, in one line.
fn words(error: Error) -> String {
    match error {
        Error::Denied(denial) => format!("denied: {}", denial.message),
        Error::NotWhileLoading(message)
        | Error::Invalid(message)
        | Error::NotFound(message)
        | Error::Exists(message)
        | Error::WrongKind(message)
        | Error::Failed(message) => message,
    }
}

impl deeds::Guest for Probe {
    fn read(path: String) -> Result<String, String> {
        let content = files::read(&path).map_err(words)?;
        String::from_utf8(content).map_err(|error| error.to_string())
    }
    fn write(path: String, text: String) -> Result<bool, String> {
        let change = files::write(&path, text.as_bytes(), None).map_err(words)?;
        Ok(change.changed)
    }
    fn remember(key: String, value: u32) -> Result<bool, String> {
        // CBOR: an unsigned integer of four bytes.
        let mut encoded = vec![0x1a];
        encoded.extend(value.to_be_bytes());
        let change = state::set(&key, &encoded, None).map_err(words)?;
        Ok(change.changed)
    }
    fn say(text: String) {
        log::write(log::Level::Info, &text);
    }
    fn panic() {
        panic!("as asked");
    }
    fn spin() {
        let mut count = 0_u64;
        loop {
            count = std::hint::black_box(count).wrapping_add(1);
        }
    }
    fn grow() {
        let mut held: Vec<Vec<u8>> = Vec::new();
        loop {
            held.push(std::hint::black_box(vec![1; 1 << 20]));
        }
    }
    fn recurse() -> u32 {
        #[expect(unconditional_recursion, reason = "that is what it is for")]
        fn deeper(depth: u32) -> u32 {
            let held = std::hint::black_box([depth; 64]);
            deeper(depth + 1) + held[(depth % 64) as usize]
        }
        deeper(0)
    }
    fn flood(bytes: u64) -> String {
        "x".repeat(bytes as usize)
    }
    fn wait(milliseconds: u64) -> Result<bool, String> {
        clock::sleep(milliseconds);
        Ok(true)
    }
}
