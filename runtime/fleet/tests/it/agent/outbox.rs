//! Whatever is cut off when, what is to be delivered comes once each and in order.

use proptest::prelude::*;
use sloth_fleet::store::journal::{Bounds, Call, Journal, What};

/// What happens to a journal.
#[derive(Clone, Debug)]
enum Happens {
    Append(usize),
    Output(usize),
    End,
    /// The master takes so many, and keeps fewer of them.
    Deliver(usize, usize),
    /// The process ends after what it has asked for was written, and another begins.
    Restart,
    /// The master does not know this journal any more.
    Renew,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        3 => (0_usize..400).prop_map(Happens::Append),
        3 => (1_usize..400).prop_map(Happens::Output),
        1 => Just(Happens::End),
        3 => (0_usize..20, 0_usize..20).prop_map(|(taken, kept)| Happens::Deliver(taken, kept.min(taken))),
        1 => Just(Happens::Restart),
        1 => Just(Happens::Renew),
    ]
}

/// A master: the last number of the journal it knows, and all it has kept.
#[derive(Default)]
struct Keeper {
    journal: String,
    last: u64,
    kept: Vec<What>,
}

const ROOMY: Bounds = Bounds {
    window: 600,
    output: 1 << 30,
    memory: 1 << 20,
};
const TIGHT: Bounds = Bounds {
    window: 300,
    output: 1000,
    memory: 1 << 20,
};

async fn settled(journal: &Journal) {
    // What is asked last is written last.
    let call = Call {
        run: "other".into(),
        number: 1,
        fence: 1,
    };
    journal.raise(call).await.unwrap();
}

/// Gives up to `taken` items, each of which may come again until it is kept.
async fn deliver(journal: &Journal, keeper: &mut Keeper, taken: usize, kept: usize) {
    settled(journal).await;
    if keeper.journal != journal.id() {
        keeper.journal = journal.id();
        keeper.last = 0;
    }
    let mut number = keeper.last;
    for item in journal
        .after(keeper.last, 1 << 20)
        .await
        .unwrap()
        .into_iter()
        .take(taken)
    {
        assert_eq!(item.number, number + 1, "a gap");
        number = item.number;
        if number <= keeper.last + u64::try_from(kept).unwrap() {
            keeper.kept.push(item.what);
        }
    }
    keeper.last = number.min(keeper.last + u64::try_from(kept).unwrap());
    journal.kept(keeper.last);
}

async fn played(bounds: Bounds, story: &[Happens]) -> (Vec<What>, Vec<(Vec<u8>, bool)>) {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(folder.path(), bounds).unwrap();
    let mut keeper = Keeper::default();
    let mut told = Vec::new();
    for (index, happens) in story.iter().enumerate() {
        let body = |size: usize| format!("{index}:{}", "x".repeat(size)).into_bytes();
        match happens {
            Happens::Append(size) => {
                told.push((body(*size), true));
                journal.append("run", body(*size));
            }
            Happens::Output(size) => {
                told.push((body(*size), false));
                journal.append_output("run", 1, body(*size));
            }
            Happens::End => {
                let call = Call {
                    run: "run".into(),
                    number: u64::try_from(index).unwrap() + 1,
                    fence: 1,
                };
                journal.begin(call.clone()).await.unwrap();
                told.push((body(1), true));
                journal.end(call, body(1)).await.unwrap();
            }
            Happens::Deliver(taken, kept) => deliver(&journal, &mut keeper, *taken, *kept).await,
            Happens::Restart => {
                drop(journal);
                journal = Journal::open(folder.path(), bounds).unwrap();
            }
            Happens::Renew => {
                settled(&journal).await;
                journal.renew().await.unwrap();
            }
        }
    }
    for _ in 0..story.len() + 2 {
        deliver(&journal, &mut keeper, usize::MAX, 1 << 30).await;
    }
    settled(&journal).await;
    assert_eq!(journal.first().await.unwrap(), None, "something is left");
    (keeper.kept, told)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn whatever_is_cut_off_when_everything_comes_once_and_in_order(
        story in prop::collection::vec(happens(), 0..60)
    ) {
        let (kept, told) = runtime().block_on(played(ROOMY, &story));
        let kept: Vec<_> = kept.into_iter().map(|what| match what {
            What::Kept(body) => body,
            What::Lost(lines) => panic!("{lines} lines were lost"),
        }).collect();
        let told: Vec<_> = told.into_iter().map(|(body, _)| body).collect();
        prop_assert_eq!(kept, told);
    }

    #[test]
    fn with_little_room_only_output_is_dropped_and_each_line_of_it_is_counted(
        story in prop::collection::vec(happens(), 0..60)
    ) {
        let (kept, told) = runtime().block_on(played(TIGHT, &story));
        let lost: u64 = kept.iter().map(|what| match what {
            What::Kept(_) => 0,
            What::Lost(lines) => *lines,
        }).sum();
        let kept: Vec<_> = kept.into_iter().filter_map(|what| match what {
            What::Kept(body) => Some(body),
            What::Lost(_) => None,
        }).collect();
        prop_assert_eq!(kept.len() as u64 + lost, told.len() as u64);
        let mut left = told.iter();
        for body in &kept {
            // In order, and each once.
            prop_assert!(left.any(|(other, _)| other == body));
        }
        for (body, must) in &told {
            prop_assert!(!must || kept.contains(body));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_begin_with_few_commits() {
    let folder = tempfile::tempdir().unwrap();
    let journal = std::sync::Arc::new(Journal::open(folder.path(), Bounds::default()).unwrap());
    let began = std::time::Instant::now();
    let asked: Vec<_> = (1..=2000)
        .map(|number| {
            let journal = std::sync::Arc::clone(&journal);
            tokio::spawn(async move {
                let call = Call {
                    run: "run".into(),
                    number,
                    fence: 1,
                };
                journal.begin(call).await.unwrap();
            })
        })
        .collect();
    for one in asked {
        one.await.unwrap();
    }
    assert!(
        began.elapsed() < std::time::Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(journal.open_calls().await.unwrap().len(), 2000);
}

#[tokio::test]
async fn a_journal_of_another_agent_or_a_damaged_one_is_an_error_that_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("journal.db"),
        "no database at all, ".repeat(300),
    )
    .unwrap();
    let problem = Journal::open(folder.path(), Bounds::default())
        .err()
        .unwrap()
        .0;
    assert!(
        problem.contains("is damaged") && problem.contains("move it away"),
        "{problem}"
    );
}
