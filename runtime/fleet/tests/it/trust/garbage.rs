//! Whatever is sent or written is read as what it is, or refused; it never ends the process.

use std::time::SystemTime;

use proptest::prelude::*;
use sloth_fleet::pki::request::Fresh;
use sloth_fleet::pki::{
    Authority, Credential, Identity, Kind, Name, Request, Role, Subject, Token,
};
use sloth_fleet::wire::client::Address;

/// A whole with some bytes changed, and cut somewhere.
fn spoilt(
    mut whole: Vec<u8>,
    changes: &[(prop::sample::Index, u8)],
    cut: Option<prop::sample::Index>,
) -> Vec<u8> {
    for (at, byte) in changes {
        let at = at.index(whole.len());
        whole[at] = *byte;
    }
    if let Some(cut) = cut {
        whole.truncate(cut.index(whole.len()));
    }
    whole
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn text_is_read_or_refused(text in ".{0,200}", tail in "[A-Za-z0-9_-]{0,120}") {
        for text in [text.clone(), format!("sloth_{tail}"), format!("slothkey_{text}"), format!("[{text}]:{tail}")] {
            let _ = Token::parse(&text, Kind::Join);
            let _ = Token::parse(&text, Kind::Key);
            if let Ok(address) = text.parse::<Address>() {
                prop_assert_eq!(address.to_string().parse::<Address>().unwrap(), address);
            }
            if let Ok(name) = text.parse::<Name>() {
                prop_assert_eq!(name.as_str(), text);
            }
        }
    }

    #[test]
    fn spoilt_requests_certificates_and_files_are_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::weighted(0.3, any::<prop::sample::Index>()),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let authority = Authority::in_folder(&folder.path().join("pki"), now).unwrap();
        let subject = Subject { name: "web-01".parse().unwrap(), role: Role::Agent };
        let credential = Credential::signed(&authority, &subject, now).unwrap();

        let whole = Fresh::draw().unwrap().request;
        let request = spoilt(whole.clone(), &changes, cut);
        let read = Request::read(&request);
        prop_assert!(request.len() == whole.len() || read.is_err());
        let certificate = spoilt(credential.certificate().to_vec(), &changes, cut);
        if let Ok(identity) = Identity::read(&certificate) {
            // What was changed may be the signature, which others look at.
            let _ = identity.renew_at();
        }
        let path = folder.path().join("credential");
        credential.save(&path).unwrap();
        let file = spoilt(std::fs::read(&path).unwrap(), &changes, cut);
        std::fs::write(&path, file).unwrap();
        if let Ok(Some(read)) = Credential::load(&path) {
            prop_assert_eq!(read.identity(), credential.identity());
        }
    }
}
