//! Contents: kept whole under their digest, or not at all.

use sha2::{Digest, Sha256};
use sloth_fleet::store::master::{Error, Store};
use sloth_workflow::Outcome;
use sloth_workflow::value::base16;

use super::{ending, moment, store, submission};

fn digest(bytes: &[u8]) -> String {
    base16(&Sha256::digest(bytes))
}

async fn send(store: &Store, name: &str, size: u64, pieces: &[&[u8]]) -> Result<(), Error> {
    let mut upload = store.receive(name, size, 10 << 20).await?;
    for piece in pieces {
        upload.write(piece.to_vec()).await?;
    }
    store.keep(upload, None, moment(1000)).await
}

async fn read(store: &Store, name: &str) -> Result<Vec<u8>, Error> {
    let mut content = store.content(name).await?;
    let mut bytes = Vec::new();
    while let Some(piece) = content.piece().await? {
        bytes.extend(piece);
    }
    assert_eq!(u64::try_from(bytes.len()).unwrap(), content.size);
    Ok(bytes)
}

fn left(folder: &tempfile::TempDir, kind: &str) -> usize {
    std::fs::read_dir(folder.path().join("contents").join(kind)).map_or(0, Iterator::count)
}

#[tokio::test]
async fn a_content_comes_back_as_it_was_sent() {
    let (folder, store) = store();
    let large: Vec<u8> = (0..700_000_u32).flat_map(u32::to_le_bytes).collect();
    let name = digest(&large);
    let pieces: Vec<_> = large.chunks(1 << 20).collect();
    let size = u64::try_from(large.len()).unwrap();
    for _ in 0..2 {
        send(&store, &name, size, &pieces).await.unwrap();
    }
    assert_eq!(read(&store, &name).await.unwrap(), large);
    assert_eq!(store.content_size(&name).await.unwrap(), Some(size));
    send(&store, &digest(b""), 0, &[]).await.unwrap();
    assert!(read(&store, &digest(b"")).await.unwrap().is_empty());
    assert_eq!((left(&folder, "sha256"), left(&folder, "coming")), (2, 0));
}

#[tokio::test]
async fn what_is_not_what_was_announced_leaves_nothing() {
    let (folder, store) = store();
    let name = digest(b"right");
    let problem = async |size, pieces: &[&[u8]]| {
        send(&store, &name, size, pieces)
            .await
            .unwrap_err()
            .to_string()
    };
    for (size, pieces, why) in [
        (5, [b"wrong"].as_slice(), "its bytes have another digest"),
        (9, &[b"right"], "less came than was announced"),
        (3, &[b"right"], "more came than was announced"),
    ] {
        let pieces: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_slice()).collect();
        let said = problem(size, &pieces).await;
        assert_eq!(
            said,
            format!("the content {name} came as something else: {why}; send it again")
        );
    }
    let over = store.receive(&name, 11, 10).await.unwrap_err();
    assert_eq!(
        over,
        Error::TooLarge {
            size: 11,
            limit: 10
        }
    );
    for wrong in [
        "../../etc/passwd",
        "",
        &name.to_uppercase(),
        &format!("{name}0"),
    ] {
        assert!(
            matches!(store.receive(wrong, 1, 10).await, Err(Error::Torn { .. })),
            "{wrong}"
        );
        assert!(
            matches!(store.content(wrong).await, Err(Error::NoContent(_))),
            "{wrong}"
        );
    }
    drop(store.receive(&name, 5, 10).await.unwrap());
    assert_eq!((left(&folder, "sha256"), left(&folder, "coming")), (0, 0));
}

#[tokio::test]
async fn what_was_coming_when_the_master_died_goes_when_it_comes_up() {
    let (folder, store) = store();
    let upload = store.receive(&digest(b"x"), 1, 10).await.unwrap();
    std::mem::forget(upload);
    drop(store);
    assert_eq!(left(&folder, "coming"), 1);
    let _store = Store::open(folder.path()).unwrap();
    assert_eq!(left(&folder, "coming"), 0);
}

#[tokio::test]
async fn a_run_needs_its_bundle_and_both_go_together() {
    let (folder, store) = store();
    let (used, unused, young) = (digest(b"used"), digest(b"unused"), digest(b"young"));
    let mut wanted = submission("a");
    wanted.content = Some(used.clone());
    let early = store.submit(wanted.clone()).await.unwrap_err();
    assert_eq!(early, Error::NoContent(used.clone()));
    send(&store, &used, 4, &[b"used"]).await.unwrap();
    send(&store, &unused, 6, &[b"unused"]).await.unwrap();
    store.submit(wanted).await.unwrap();
    assert!(store.uses_content("a", &used).await.unwrap());
    assert!(!store.uses_content("a", &unused).await.unwrap());
    assert!(store.use_content("a", &young, 100).await.is_err());
    // With the four bytes of its bundle it would need ten.
    let full = store.use_content("a", &unused, 9).await;
    assert_eq!(full, Err(Error::TooLarge { size: 10, limit: 9 }));
    assert_eq!(store.contents_size("a").await.unwrap(), 4);
    store.submit(submission("over")).await.unwrap();
    store
        .finish("over", ending(Outcome::Ok, 1_000_000_000))
        .await
        .unwrap();
    let late = store.use_content("over", &unused, 100).await;
    assert_eq!(late, Err(Error::RunEnded("over".into())));
    let day = 24 * 60 * 60;
    let mut upload = store.receive(&young, 5, 10).await.unwrap();
    upload.write(b"young".to_vec()).await.unwrap();
    store.keep(upload, None, moment(2 * day)).await.unwrap();
    let pruned = store.prune(moment(1), moment(2 * day)).await.unwrap();
    assert_eq!((pruned.runs, pruned.contents), (0, 1));
    assert!(read(&store, &used).await.is_ok() && read(&store, &young).await.is_ok());
    assert!(matches!(
        read(&store, &unused).await,
        Err(Error::NoContent(_))
    ));
    store.finish("a", ending(Outcome::Ok, 5)).await.unwrap();
    let pruned = store.prune(moment(6), moment(2 * day)).await.unwrap();
    assert_eq!((pruned.runs, pruned.contents), (1, 1));
    assert_eq!(left(&folder, "sha256"), 1);
}

#[tokio::test]
async fn a_content_whose_file_was_lost_is_taken_again() {
    let (folder, store) = store();
    let name = digest(b"x");
    send(&store, &name, 1, &[b"x"]).await.unwrap();
    std::fs::remove_file(folder.path().join("contents/sha256").join(&name)).unwrap();
    assert!(matches!(
        read(&store, &name).await,
        Err(Error::NoContent(_))
    ));
    send(&store, &name, 1, &[b"x"]).await.unwrap();
    assert_eq!(read(&store, &name).await.unwrap(), b"x");
}

#[tokio::test]
async fn who_sent_a_content_is_known_while_it_is_kept() {
    let (folder, store) = store();
    let name = digest(b"x");
    let again = async |sender| store.sent_again(sender, &name, moment(2000)).await.unwrap();
    send(&store, &name, 1, &[b"x"]).await.unwrap();
    assert!(
        !store.has_sent("ann", &name).await.unwrap(),
        "an agent sent it"
    );
    let mut upload = store.receive(&name, 1, 10).await.unwrap();
    upload.write(b"x".to_vec()).await.unwrap();
    let ann = Some("ann".to_owned());
    store.keep(upload, ann, moment(1000)).await.unwrap();
    assert!(store.has_sent("ann", &name).await.unwrap() && again("ann").await);
    assert!(!store.has_sent("bob", &name).await.unwrap() && !again("bob").await);
    // It was named lately: a bundle that has it may be on its way.
    let day = 24 * 60 * 60;
    let pruned = store.prune(moment(0), moment(1999 + day)).await.unwrap();
    assert_eq!(pruned.contents, 0);
    std::fs::remove_file(folder.path().join("contents/sha256").join(&name)).unwrap();
    assert!(
        !again("ann").await,
        "its file is lost and has to come again"
    );
    let pruned = store.prune(moment(0), moment(2001 + day)).await.unwrap();
    assert_eq!(pruned.contents, 1);
    assert!(!store.has_sent("ann", &name).await.unwrap());
}
