use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::home::tests::{child, in_role, scratch};

fn put(number: i64) -> impl FnOnce(&Connection) -> Result<(), rusqlite::Error> + Send {
    move |connection| {
        let place = number.to_string();
        connection.execute("INSERT INTO shelf (destination, place) VALUES (?1, ?1)", [place]).map(drop)
    }
}

fn count(connection: &Connection) -> Result<i64, rusqlite::Error> {
    connection.query_row("SELECT count(*) FROM shelf", [], |row| row.get(0))
}

#[tokio::test]
async fn what_fails_takes_nothing_of_its_neighbours_with_it() {
    let (_folder, home) = scratch();
    let state = State::open(&home).unwrap();
    let changes = (0..100).map(|number| {
        let state = state.clone();
        // Every fifth is there already, and does something else before it finds out.
        tokio::spawn(async move {
            state
                .write(move |connection| {
                    put(1000 + number)(connection)?;
                    put(if number % 5 == 4 { number - 1 } else { number })(connection)
                })
                .await
        })
    });
    let results = futures_util::future::join_all(changes).await;
    let done = results.into_iter().filter(|result| result.as_ref().unwrap().is_ok()).count();
    assert_eq!(done, 80);
    assert_eq!(state.read(count).await.unwrap(), 160);
}

#[tokio::test]
async fn a_newer_database_is_refused() {
    let (_folder, home) = scratch();
    let state = State::open(&home).unwrap();
    state.write(|connection| connection.pragma_update(None, "user_version", 7)).await.unwrap();
    drop(state);
    let error = State::open(&home).unwrap_err();
    assert!(
        error.to_string().ends_with("was written by a newer Wharf (schema 7; this one knows 6)"),
        "{error}"
    );
}

#[tokio::test]
async fn its_files_are_their_owners_alone() {
    let (_folder, home) = scratch();
    let state = State::open(&home).unwrap();
    state.write(put(1)).await.unwrap();
    for name in ["state.db", "state.db-wal", "state.db-shm"] {
        let metadata = std::fs::metadata(home.path().join(name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[test]
fn processes_that_race_make_one_database() {
    for _ in 0..5 {
        let (_folder, home) = scratch();
        std::thread::scope(|scope| {
            for number in 0..4 {
                let home = Home::open(home.path()).unwrap();
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    let state = State::open(&home).unwrap();
                    runtime.block_on(state.write(put(number))).unwrap();
                });
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let state = State::open(&home).unwrap();
        assert_eq!(runtime.block_on(state.read(count)).unwrap(), 4);
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    if let Some(home) = in_role("writer") {
        let state = State::open(&home).unwrap();
        let start = state.read(count).await.unwrap();
        for number in start.. {
            state.write(put(number)).await.unwrap();
            home.root().write("state.db-told", (number + 1).to_string().as_bytes()).unwrap();
        }
    }
    let (_folder, home) = scratch();
    let state = State::open(&home).unwrap();
    let told = || {
        let told = home.root().read("state.db-told", 100).unwrap().unwrap_or_else(|| b"0".to_vec());
        String::from_utf8(told).unwrap().parse::<i64>().unwrap()
    };
    for round in 1..6_u64 {
        let before = told();
        let mut writer = child("state::tests::what_was_acknowledged_survives_a_kill", "writer", home.path());
        while told() == before {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(3_300 * round));
        writer.kill().unwrap();
        writer.wait().unwrap();
        let told = told();
        let found = state.read(count).await.unwrap();
        assert!(found == told || found == told + 1, "told {told}, found {found}");
    }
}
