use super::*;
use crate::{
    account::{Accounts, Client, StoredToken},
    home::tests::scratch,
    vault::Vault,
};

const WHOLE: &str = r#"connector = "onedrive@1.4.0"
account = "work"
owner = "root"
backup_directory = "/backups/server1"
read_only = true
threads = 8
retries = 0
http_version = "1.1"
disk_limit = 90
hidden = true
disabled = true
job_type = "clones"
dr = true

[options]
drive_id = "b!x"
keep = true
versions = 3

[[grant]]
route = "read-items"

[[grant]]
route = "start-upload"
"#;

const LEAST: &str = "connector = \"dropbox\"\nbackup_directory = \"/backups\"\n";

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn destination(text: &str, directory: &str) -> Destination {
    let connector = ConnectorReference::parse("dropbox").unwrap();
    Destination::new(name(text), connector, Directory::parse(directory).unwrap())
}

#[test]
fn a_file_says_everything_and_reads_back() {
    let parsed = Destination::parse(name("archive"), WHOLE.as_bytes()).unwrap();
    assert_eq!(parsed.connector.version, Some(semver::Version::new(1, 4, 0)));
    assert_eq!((parsed.threads, parsed.retries, parsed.disk_limit), (8, 0, 90));
    assert_eq!(parsed.http_version, HttpVersion::Http1);
    assert_eq!(parsed.options["versions"], Setting::Number(3));
    assert_eq!(parsed.grants, ["read-items", "start-upload"]);
    assert_eq!(parsed.to_toml().unwrap(), WHOLE);
}

#[test]
fn what_has_its_default_is_left_out() {
    let parsed = Destination::parse(name("archive"), LEAST.as_bytes()).unwrap();
    assert_eq!(parsed, destination("archive", "/backups"));
    assert_eq!((parsed.threads, parsed.retries), (THREADS_DEFAULT, RETRIES_DEFAULT));
    assert_eq!(parsed.to_toml().unwrap(), LEAST);
}

#[test]
fn a_mistake_is_told_with_its_place_and_its_bound() {
    let check = |more: &str, expected: &str| {
        let error = Destination::parse(name("archive"), format!("{LEAST}{more}\n").as_bytes()).unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with("`destinations/archive.toml` "), "{message}");
        assert!(message.contains(expected), "{message}");
        assert!(!message.contains('\n'), "{message}");
    };
    check("thread = 4", "line 3: unknown field `thread`, expected one of `connector`, ");
    check("threads = 0", "`threads` is 0; it must be from 1 to 400");
    check("threads = 401", "`threads` is 401; it must be from 1 to 400");
    check("threads = -1", "`threads` is -1; it must be from 1 to 400");
    check("threads = 99999999999", "`threads` is 99999999999; it must be from 1 to 400");
    check("threads = \"4\"", "line 3: `threads`: invalid type: string \"4\"");
    check("retries = 11", "`retries` is 11; it must be from 0 to 10");
    check("disk_limit = 101", "`disk_limit` is 101; it must be from 0 to 100");
    check(
        "http_version = \"1.2\"",
        "line 3: `http_version`: unknown variant `1.2`, expected one of `default`, `1.1`, `2`",
    );
    check("http_version = 2", "line 3: ");
    check("job_type = \"all\"", "line 3: `job_type`: unknown variant `all`");
    check("account = \"My Account\"", "`account`: \"My Account\" is not a name");
    check("owner = \"\"", "`owner` is \"\"");
    check("options = 3", "line 3: `options`: invalid type");
    check("[options]\nrate = 1.5", "line 4: ");
    check("[options]\n\"a b\" = 1", "`options` has the key \"a b\"");
    check("[[grant]]\nroute = \"Read\"", "`grant.route` is \"Read\"");
    check("[[grant]]\nroutes = \"a\"", "line 4: unknown field `routes`, expected `route`");
    check("[[grant]]\nroute = \"a\"\n[[grant]]\nroute = \"a\"", "`grant.route` has `a` twice");
    check("connector = \"x\"", "line 3: `connector`: duplicate key");
    check("= 4", "line 3: ");
    let whole = |text: &str, expected: &str| {
        let message = Destination::parse(name("archive"), text.as_bytes()).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    };
    whole("connector = \"x\"", "missing field `backup_directory`");
    whole(
        "connector = \"One Drive\"\nbackup_directory = \"/\"",
        "`connector`: \"One Drive\" is not a connector's",
    );
    whole("connector = \"x@01.0.0\"\nbackup_directory = \"/\"", "`connector`: \"01.0.0\" is not a version");
    whole(
        "connector = \"x\"\nbackup_directory = \"b\"",
        "`backup_directory` is \"b\": a backup directory starts with `/`",
    );
    whole("connector = \"x\"\nbackup_directory = \"/a/../b\"", "would leave the backup directory");
}

#[test]
fn what_could_not_be_read_is_not_written() {
    let mut wrong = destination("archive", "/backups");
    wrong.threads = 0;
    assert!(wrong.to_toml().unwrap_err().to_string().contains("`threads` is 0"));
    let (_folder, home) = scratch();
    Destinations::new(&home).create(&wrong).unwrap_err();
    assert!(Destinations::new(&home).names().unwrap().is_empty());
}

#[test]
fn a_connector_has_a_type_or_an_id_and_perhaps_a_version() {
    let check =
        |text: &str, good: bool| assert_eq!(ConnectorReference::parse(text).is_ok(), good, "{text:?}");
    check("onedrive", true);
    check("dev.wharf.onedrive", true);
    check("onedrive@1.0.0-rc.1+7", true);
    check("", false);
    check("@1.0.0", false);
    check("onedrive@", false);
    check("onedrive@1", false);
    check("a@1.0.0@2.0.0", false);
    check("../etc", false);
    check("a..b", false);
    check(".a", false);
    check("-a", false);
    check("A", false);
    check("оnedrive", false);
    check(&"a".repeat(101), false);
    assert_eq!(ConnectorReference::parse("a@1.2.3").unwrap().to_string(), "a@1.2.3");
}

#[test]
fn one_destination_writes_to_a_directory() {
    let (_folder, home) = scratch();
    let accounts = Accounts::new(&home, &Vault::open(&home).unwrap());
    let token = StoredToken::from_rclone(r#"{"access_token":"a"}"#).unwrap();
    for account in ["work", "private"] {
        let now = std::time::SystemTime::now();
        accounts.add(&name(account), "dropbox", token.clone(), Client::default(), now).unwrap();
    }
    let destinations = Destinations::new(&home);
    let of = |text: &str, account: &str, directory: &str| {
        let account = Some(name(account)).filter(|account| account.as_str() != "none");
        Destination { account, ..destination(text, directory) }
    };
    destinations.create(&of("first", "work", "/Backups/Ä")).unwrap();
    assert!(matches!(destinations.create(&of("first", "work", "/other")), Err(Error::Exists(_))));
    let taken = destinations.create(&of("second", "work", "/backups/ä/")).unwrap_err();
    assert_eq!(taken.to_string(), "destination `first` writes to `/Backups/Ä` already");
    assert!(taken.hint().unwrap().contains("--read-only"));
    let reader = Destination { read_only: true, ..of("reader", "work", "/backups/ä") };
    destinations.create(&reader).unwrap();
    destinations.create(&of("private", "private", "/backups/ä")).unwrap();
    destinations.create(&of("inside", "work", "/backups/ä/inside")).unwrap();
    destinations.create(&of("local1", "none", "/backups")).unwrap();
    assert!(matches!(
        destinations.create(&of("local2", "none", "/BACKUPS")),
        Err(Error::DirectoryTaken { .. })
    ));
    let missing = destinations.create(&of("third", "nobody", "/x")).unwrap_err();
    assert_eq!(missing.hint().unwrap(), "run `wharf account add nobody` first");
    assert_eq!(
        destinations.users_of_account(&name("work")).unwrap(),
        [name("first"), name("inside"), name("reader")]
    );
    assert_eq!(destinations.users_of_connector("dropbox", "dev.wharf.dropbox").unwrap().len(), 5);
    // A destination may keep its own directory when it changes, and may not take another's.
    destinations.modify(&name("first"), |first| first.threads = 400).unwrap();
    let move_it =
        |inside: &mut Destination| inside.backup_directory = Directory::parse("/backups/Ä").unwrap();
    assert!(matches!(destinations.modify(&name("inside"), move_it), Err(Error::DirectoryTaken { .. })));
}

#[test]
fn read_only_is_for_life() {
    let (_folder, home) = scratch();
    let destinations = Destinations::new(&home);
    destinations.create(&destination("archive", "/backups")).unwrap();
    let changed = destinations.modify(&name("archive"), |archive| archive.read_only = true);
    assert!(matches!(changed, Err(Error::ReadOnlyForLife(_))));
    let changed = destinations.modify(&name("archive"), |archive| {
        archive.hidden = true;
        archive.name = name("other");
    });
    assert_eq!(changed.unwrap().name, name("archive"));
    assert!(destinations.load(&name("archive")).unwrap().hidden);
    assert!(matches!(destinations.modify(&name("other"), |_| {}), Err(Error::NotFound(_))));
}

#[test]
fn a_broken_file_hides_nobody_but_stops_what_must_know_all() {
    let (_folder, home) = scratch();
    let destinations = Destinations::new(&home);
    destinations.create(&destination("archive", "/backups")).unwrap();
    home.destinations().write("broken.toml", b"connector = 3").unwrap();
    home.destinations().write("Not A Name.toml", b"").unwrap();
    home.destinations().write("archive.toml~", b"").unwrap();
    let list = destinations.list().unwrap();
    assert_eq!(list.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false]);
    // It may name the account, or write to the directory: nobody knows until it is mended.
    destinations.users_of_account(&name("work")).unwrap_err();
    destinations.create(&destination("second", "/other")).unwrap_err();
    destinations.delete(&name("broken")).unwrap();
    destinations.create(&destination("second", "/other")).unwrap();
    assert!(matches!(destinations.delete(&name("broken")), Err(Error::NotFound(_))));
}

#[test]
fn a_destination_is_created_whole_or_not_at_all() {
    let (_folder, home) = scratch();
    let destinations = Destinations::new(&home);
    crate::home::crash::at_every_step(
        || destinations.create(&destination("archive", "/backups")),
        |_, done| {
            if destinations.exists(&name("archive")) {
                destinations.load(&name("archive")).unwrap();
                destinations.delete(&name("archive")).unwrap();
            } else {
                assert!(done.is_none());
            }
        },
    );
}
