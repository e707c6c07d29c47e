//! What is kept on disk, and what is signed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use sloth_fleet::pki::{Authority, Credential, Request, Role, Subject};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::house::DAY;

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn web() -> Subject {
    Subject {
        name: "web-01".parse().unwrap(),
        role: Role::Agent,
    }
}

#[test]
fn an_authority_is_made_once_and_nobody_else_can_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("data/pki");
    let now = SystemTime::now();
    let made = Authority::in_folder(&folder, now).unwrap();
    let found = Authority::in_folder(&folder, now).unwrap();
    assert_eq!(made.fingerprint(), found.fingerprint());
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join("authority.pem")), 0o600);
    assert!(
        !fs::read_to_string(folder.join("authority.crt"))
            .unwrap()
            .contains("PRIVATE")
    );
    assert_eq!(
        fs::read_dir(&folder).unwrap().count(),
        2,
        "nothing is left behind"
    );
}

#[test]
fn of_many_who_start_at_once_all_have_the_same_authority() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("pki");
    let start = |_| {
        let folder = folder.clone();
        std::thread::spawn(move || {
            Authority::in_folder(&folder, SystemTime::now())
                .unwrap()
                .fingerprint()
        })
    };
    let all: Vec<_> = (0..8).map(start).collect();
    let all: std::collections::HashSet<_> =
        all.into_iter().map(|one| one.join().unwrap()).collect();
    assert_eq!(all.len(), 1);
}

#[test]
fn files_that_others_can_reach_or_that_are_damaged_are_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("pki");
    let open = || {
        Authority::in_folder(&folder, SystemTime::now())
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    open().unwrap();
    let file = folder.join("authority.pem");
    let whole = fs::read_to_string(&file).unwrap();
    let permit = |path: &std::path::Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };

    permit(&file, 0o640);
    assert!(
        open()
            .unwrap_err()
            .contains("authority.pem can be read or written by others (mode 0640)")
    );
    permit(&file, 0o600);
    permit(&folder, 0o755);
    assert!(open().unwrap_err().contains("chmod 700"));
    permit(&folder, 0o700);
    open().unwrap();

    let (certificate, key) = whole.split_at(whole.find("-----BEGIN PRIVATE").unwrap());
    let other = tempfile::tempdir().unwrap();
    Authority::in_folder(&other.path().join("pki"), SystemTime::now()).unwrap();
    let other = fs::read_to_string(other.path().join("pki/authority.pem")).unwrap();
    let other_key = &other[other.find("-----BEGIN PRIVATE").unwrap()..];
    let leaf = Credential::signed(
        &Authority::in_folder(&folder, SystemTime::now()).unwrap(),
        &web(),
        SystemTime::now(),
    );
    let leaf_file = folder.join("leaf.pem");
    leaf.unwrap().save(&leaf_file).unwrap();
    let leaf = fs::read_to_string(&leaf_file).unwrap();
    let leaf = &leaf[..leaf.find("-----END PRIVATE KEY-----\n").unwrap() + 26];
    for (content, told) in [
        (String::new(), "it has not one certificate"),
        (certificate.to_owned(), "it has no key"),
        (key.to_owned(), "it has not one certificate"),
        (
            format!("{certificate}{other_key}"),
            "the key is not that of the certificate",
        ),
        (
            format!("{whole}{certificate}"),
            "it has not one certificate",
        ),
        (leaf.to_owned(), "the certificate is not an authority's"),
        ("\u{0}\u{ffff}".repeat(40), "it has not one certificate"),
        ("x".repeat(100_000), "longer than"),
    ] {
        fs::write(&file, content).unwrap();
        let error = open().unwrap_err();
        assert!(error.contains(told), "{error}");
    }
    // A pipe would be waited for.
    fs::remove_file(&file).unwrap();
    nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(open().unwrap_err().contains("no regular file"));
}

#[test]
fn from_a_request_comes_the_key_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let authority = Authority::in_folder(&folder.path().join("pki"), now).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut greedy =
        CertificateParams::new(vec!["sloth-master".to_owned(), "10.0.0.1".to_owned()]).unwrap();
    greedy.distinguished_name.push(DnType::CommonName, "root");
    greedy
        .distinguished_name
        .push(DnType::OrganizationalUnitName, "admin");
    greedy.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    greedy.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    greedy.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::Any,
        ExtendedKeyUsagePurpose::CodeSigning,
    ];
    let request = greedy.serialize_request(&key).unwrap();
    let request = Request::read(request.der()).unwrap();
    let issued = authority.certify(&request, &web(), now).unwrap();

    let (_, read) = X509Certificate::from_der(&issued.certificate).unwrap();
    assert_eq!(read.subject().to_string(), "CN=web-01, OU=agent");
    assert!(!read.is_ca());
    let names = read.subject_alternative_name().unwrap().unwrap();
    assert_eq!(
        format!("{:?}", names.value.general_names),
        r#"[DNSName("sloth-agent")]"#
    );
    let uses = read.extended_key_usage().unwrap().unwrap().value;
    assert!(uses.client_auth && uses.server_auth && !uses.any && !uses.code_signing);
    let usage = read.key_usage().unwrap().unwrap().value;
    assert!(usage.digital_signature() && !usage.key_cert_sign());
    assert_eq!(issued.identity.subject, web());
    assert!(issued.identity.begins <= now - Duration::from_mins(59));
    assert!(issued.identity.expires > now + DAY * 89 && issued.identity.expires < now + DAY * 91);
    let renew = issued.identity.renew_at().duration_since(now).unwrap();
    assert!(renew > DAY * 59 && renew < DAY * 61);
}

#[test]
fn people_cannot_serve_and_no_two_numbers_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let authority = Authority::in_folder(&folder.path().join("pki"), now).unwrap();
    let ana = Subject {
        name: "ana".parse().unwrap(),
        role: Role::Operator,
    };
    let first = Credential::signed(&authority, &ana, now).unwrap();
    let second = Credential::signed(&authority, &ana, now).unwrap();
    assert_ne!(first.identity().serial, second.identity().serial);
    assert_eq!(first.identity().serial.as_str().len(), 32);
    let (_, read) = X509Certificate::from_der(first.certificate()).unwrap();
    assert!(
        !read
            .extended_key_usage()
            .unwrap()
            .unwrap()
            .value
            .server_auth
    );
    assert!(read.subject_alternative_name().unwrap().is_none());
}

#[test]
fn requests_that_are_none_are_refused() {
    let key = KeyPair::generate().unwrap();
    let request = CertificateParams::default()
        .serialize_request(&key)
        .unwrap();
    let whole = request.der().to_vec();
    let mut behind = whole.clone();
    behind.push(0);
    let mut unsigned = whole.clone();
    *unsigned.last_mut().unwrap() ^= 1;
    let mut other_key = whole.clone();
    let at = other_key
        .windows(4)
        .position(|bytes| bytes == &key.public_key_raw()[8..12])
        .unwrap();
    other_key[at] ^= 1;
    for request in [
        &b""[..],
        b"\x30\x82\xff\xff",
        &whole[..whole.len() / 2],
        &behind,
        &unsigned,
        &other_key,
        &[0x30; 9000],
    ] {
        assert!(Request::read(request).is_err(), "{request:02x?}");
    }
    Request::read(&whole).unwrap();
}

#[test]
fn a_credential_is_kept_in_one_file_of_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let authority = Authority::in_folder(&folder.path().join("pki"), now).unwrap();
    let credential = Credential::signed(&authority, &web(), now).unwrap();
    let path = folder.path().join("credential");
    assert!(Credential::load(&path).unwrap().is_none());
    credential.save(&path).unwrap();
    credential.save(&path).unwrap();
    assert_eq!(mode(&path), 0o600);
    let loaded = Credential::load(&path).unwrap().unwrap();
    assert_eq!(loaded.identity(), credential.identity());
    assert_eq!(loaded.authority(), authority.fingerprint());
    assert_eq!(format!("{loaded:?}"), "Credential(agent web-01, …)");

    let told = loaded.still_good(now + DAY * 91).unwrap_err().to_string();
    assert!(
        told.contains("certificate of web-01 has run out")
            && told.contains("token create --role agent"),
        "{told}"
    );

    let text = fs::read_to_string(&path).unwrap();
    let other = Authority::in_folder(&folder.path().join("other"), now).unwrap();
    let other = Credential::signed(&other, &web(), now).unwrap();
    let other_path = folder.path().join("other.pem");
    other.save(&other_path).unwrap();
    let other = fs::read_to_string(&other_path).unwrap();
    let parts = |text: &str| -> Vec<String> {
        text.split_inclusive("-----END CERTIFICATE-----\n")
            .flat_map(|part| part.split_inclusive("-----END PRIVATE KEY-----\n"))
            .map(str::to_owned)
            .collect()
    };
    let (ours, theirs) = (parts(&text), parts(&other));
    for (content, told) in [
        (
            format!("{}{}{}", ours[0], theirs[1], ours[2]),
            "key that is not that of its certificate",
        ),
        (
            format!("{}{}{}", ours[0], ours[1], theirs[2]),
            "authority that did not sign",
        ),
        (
            format!("{}{}", ours[0], ours[1]),
            "has not two certificates",
        ),
        (format!("{}{}", ours[0], ours[2]), "has no key"),
        (text[..text.len() / 2].to_owned(), "is not a credential"),
    ] {
        fs::write(&path, content).unwrap();
        let error = Credential::load(&path).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}
