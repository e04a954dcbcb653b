use super::*;
use crate::{
    account::{Accounts, Client, StoredToken},
    hint::Hint as _,
    home::tests::scratch,
    vault::Vault,
};

const WHOLE: &str = r#"connector = "onedrive@1.4.0"
account = "work"
owner = "root"
parents = ["reseller"]
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
granted_to = "dev.wharf.onedrive"

[options]
drive_id = "b!x"
keep = true
versions = 3

[[grant]]
route = "read-items"
allows = [
    "GET https://graph.microsoft.com/v1.0/{drive}/root:{item}",
    "query $select",
]

[[grant]]
route = "start-upload"
allows = ["writes"]
"#;

const LEAST: &str = "connector = \"dropbox\"\nbackup_directory = \"/backups\"\n";

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn destination(text: &str, directory: &str) -> Destination {
    let connector = ConnectorReference::parse("dropbox").unwrap();
    Destination::new(name(text), connector, Directory::parse(directory).unwrap())
}

fn root() -> Caller {
    Caller::new(0, Some("root".to_owned()), 0)
}

#[test]
fn a_file_says_everything_and_reads_back() {
    let parsed = Destination::parse(name("archive"), WHOLE.as_bytes()).unwrap();
    assert_eq!(parsed.connector.version, Some(semver::Version::new(1, 4, 0)));
    assert_eq!((parsed.threads, parsed.retries, parsed.disk_limit), (8, 0, 90));
    assert_eq!(parsed.http_version, HttpVersion::Http1);
    assert_eq!(parsed.options["versions"], Setting::Number(3));
    assert_eq!(parsed.grants.connector.as_deref(), Some("dev.wharf.onedrive"));
    let granted: Vec<(&str, usize)> =
        parsed.grants.routes.iter().map(|route| (&*route.name, route.scope.lines().len())).collect();
    assert_eq!(granted, [("read-items", 2), ("start-upload", 1)]);
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
    check("parents = [\"\"]", "`parents` is \"\"");
    check("granted_to = \"A B\"", "`granted_to` is \"A B\"");
    let granted = |more: &str| format!("granted_to = \"a.b\"\n{more}");
    let empty = "allows = []\n";
    check(&granted(&format!("[[grant]]\nroute = \"Read\"\n{empty}")), "`grant.route` is \"Read\"");
    check("[[grant]]\nroutes = \"a\"", "line 4: unknown field `routes`, expected `route`");
    // Nobody could tell what was agreed to, or of which connector.
    check(&granted("[[grant]]\nroute = \"a\""), "missing field `allows`");
    check(&format!("[[grant]]\nroute = \"a\"\n{empty}"), "`granted_to` names no connector");
    check(
        &granted(&format!("[[grant]]\nroute = \"a\"\n{empty}[[grant]]\nroute = \"a\"\n{empty}")),
        "`grant.route` has `a` twice",
    );
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
    destinations.modify(&name("first"), &root(), |first| first.threads = 400).unwrap();
    // Two drives of one account are two places.
    let mut elsewhere = of("elsewhere", "work", "/backups/ä");
    elsewhere.options.insert("drive_id".to_owned(), Setting::Text("b!2".to_owned()));
    destinations.create(&elsewhere).unwrap();
    // Of the same account, an option less makes it another's directory.
    let move_it = |elsewhere: &mut Destination| elsewhere.options.clear();
    let moved = destinations.modify(&name("elsewhere"), &root(), move_it);
    assert!(matches!(moved, Err(Error::DirectoryTaken { .. })));
}

#[test]
fn a_connector_by_its_type_and_by_its_id_is_one() {
    let (_folder, home) = scratch();
    let destinations = Destinations::new(&home);
    let of = |text: &str, connector: &str| {
        let mut one = destination(text, "/srv");
        one.connector = ConnectorReference::parse(connector).unwrap();
        one.grants.connector = Some("dev.wharf.local".to_owned());
        one
    };
    destinations.create(&of("first", "local")).unwrap();
    let taken = destinations.create(&of("second", "dev.wharf.local"));
    assert!(matches!(taken, Err(Error::DirectoryTaken { .. })), "{taken:?}");
}

#[test]
fn its_owner_and_those_above_may_change_it() {
    let (_folder, home) = scratch();
    let destinations = Destinations::new(&home);
    let mut owned = destination("archive", "/backups");
    owned.owner = Some("alice".to_owned());
    owned.parents = vec!["reseller".to_owned(), "1003".to_owned()];
    destinations.create(&owned).unwrap();
    destinations.create(&destination("plain", "/plain")).unwrap();
    let caller = |id, user: &str| Caller::new(id, Some(user.to_owned()), 1000);
    let check = |name_of: &str, caller: &Caller, expected: Option<&str>| {
        let changed = destinations.modify(&name(name_of), caller, |one| one.threads += 1);
        assert_eq!(changed.err().map(|error| error.to_string()).as_deref(), expected);
    };
    check("archive", &caller(1001, "alice"), None);
    check("archive", &caller(1002, "reseller"), None);
    check("archive", &caller(1003, "by-number"), None);
    check("archive", &root(), None);
    let bob = caller(1000, "bob");
    check("archive", &bob, Some("destination `archive` belongs to `alice`, and `bob` may not change it"));
    check("plain", &bob, None);
    check(
        "plain",
        &caller(1001, "alice"),
        Some("destination `plain` belongs to `the user of the home`, and `alice` may not change it"),
    );
    check(
        "archive",
        &Caller::new(7, None, 1000),
        Some("destination `archive` belongs to `alice`, and user 7 may not change it"),
    );
    let refused = destinations.delete(&name("archive"), &bob).unwrap_err();
    assert_eq!(refused.hint().unwrap(), "ask `alice`, `reseller`, `1003`, or root");
    destinations.delete(&name("archive"), &caller(1001, "alice")).unwrap();
}

#[test]
fn a_change_of_a_file_is_noticed_once() {
    let (_folder, home) = scratch();
    let destinations = Destinations::new(&home);
    destinations.create(&destination("archive", "/backups")).unwrap();
    let (_, watch) = destinations.watch(&name("archive")).unwrap();
    assert!(watch.changed().is_none());
    destinations.modify(&name("archive"), &root(), |archive| archive.disabled = true).unwrap();
    assert!(watch.changed().unwrap().unwrap().disabled);
    assert!(watch.changed().is_none());
    home.destinations().write("archive.toml", b"half a fi").unwrap();
    assert!(matches!(watch.changed(), Some(Err(Error::File { .. }))));
    destinations.delete(&name("archive"), &root()).unwrap();
    assert!(matches!(watch.changed(), Some(Err(Error::NotFound(_)))));
    assert!(watch.changed().is_none());
    destinations.create(&destination("archive", "/backups")).unwrap();
    assert!(!watch.changed().unwrap().unwrap().disabled);
}

#[test]
fn some_things_are_for_life() {
    let (_folder, home) = scratch();
    let destinations = Destinations::new(&home);
    destinations.create(&destination("archive", "/backups")).unwrap();
    let check = |change: &dyn Fn(&mut Destination), what: &str| {
        let changed = destinations.modify(&name("archive"), &root(), |archive| change(archive));
        assert_eq!(
            changed.unwrap_err().to_string(),
            format!(
                "the {what} of destination `archive` was decided when it was created, and does not change"
            )
        );
    };
    check(&|archive| archive.read_only = true, "read-only");
    check(&|archive| archive.backup_directory = Directory::parse("/other").unwrap(), "backup directory");
    check(&|archive| archive.connector = ConnectorReference::parse("onedrive").unwrap(), "type");
    let changed = destinations.modify(&name("archive"), &root(), |archive| {
        archive.hidden = true;
        archive.name = name("other");
    });
    assert_eq!(changed.unwrap().name, name("archive"));
    assert!(destinations.load(&name("archive")).unwrap().hidden);
    assert!(matches!(destinations.modify(&name("other"), &root(), |_| {}), Err(Error::NotFound(_))));
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
    destinations.delete(&name("broken"), &root()).unwrap();
    destinations.create(&destination("second", "/other")).unwrap();
    assert!(matches!(destinations.delete(&name("broken"), &root()), Err(Error::NotFound(_))));
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
                destinations.delete(&name("archive"), &root()).unwrap();
            } else {
                assert!(done.is_none());
            }
        },
    );
}
