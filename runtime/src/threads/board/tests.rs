//! The rule against a model: whatever tasks do, nobody has too much, nothing is idle, nobody starves.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const fn key(number: u32) -> Key {
    Key { run: 1, number }
}

fn claim(limit: u16) -> Claim {
    Claim { limit, cap: limit, in_turn: false, more: true, now_ms: 0 }
}

/// A board with tasks 1 to `count`, and what they hold.
fn board(held: &[u16]) -> Board {
    let mut board = Board::default();
    for (number, held) in (1..).zip(held) {
        let entry = board.join(Entry { held: *held, ..Entry::new(key(number)) }).unwrap();
        assert_eq!(entry.ticket, u64::from(number - 1));
    }
    board
}

#[test]
fn a_thread_goes_to_who_has_fewest_and_among_equals_to_who_waits_longest() {
    let mut board = board(&[3, 0, 0]);
    assert!(board.take(key(1), claim(4)), "nobody else waits");
    assert!(!board.take(key(2), claim(4)), "none is left");
    assert!(!board.take(key(3), claim(4)));
    board.entry(key(1)).unwrap().held -= 1;
    assert!(!board.take(key(1), claim(4)), "who has most yields what it frees");
    assert!(!board.take(key(3), claim(4)), "the other came first");
    assert!(board.take(key(2), claim(4)));
    board.entry(key(1)).unwrap().held -= 1;
    assert!(!board.take(key(2), claim(4)));
    assert!(board.take(key(3), claim(4)));
    assert_eq!(board.entries.iter().map(|entry| entry.held).collect::<Vec<_>>(), [2, 1, 1]);
    // The odd one goes round: of equals, whose last turn began last yields.
    for (frees, expected) in [(1, 1), (1, 2), (2, 3), (3, 1), (1, 2)] {
        board.entry(key(frees)).unwrap().held -= 1;
        let taken: Vec<u32> = (1..=3).filter(|number| board.take(key(*number), claim(4))).collect();
        assert_eq!(taken, [expected], "after {frees}");
    }
}

#[test]
fn a_turn_lasts_beside_equals_and_not_beside_who_has_fewer() {
    let in_turn = Claim { in_turn: true, ..claim(2) };
    let mut equals = board(&[0, 1]);
    assert!(!equals.take(key(2), claim(1)));
    assert!(equals.take(key(1), in_turn));
    let mut fewer = board(&[2, 0]);
    assert!(!fewer.take(key(2), claim(2)));
    fewer.entry(key(1)).unwrap().held -= 1;
    assert!(!fewer.take(key(1), in_turn));
    assert!(fewer.take(key(2), claim(2)));
}

#[test]
fn who_does_not_look_is_passed_over() {
    let mut board = board(&[0, 1]);
    assert!(!board.take(key(1), claim(1)));
    board.entry(key(2)).unwrap().held = 0;
    let at = |now_ms| Claim { now_ms, ..claim(1) };
    assert!(!board.take(key(2), at(250)));
    assert!(board.take(key(2), at(251)), "the other was stopped");
    board.entry(key(2)).unwrap().held = 0;
    assert!(board.take(key(1), at(300)), "and is awake again");
}

#[test]
fn who_may_not_have_more_keeps_nobody_waiting() {
    let mut board = board(&[1, 2]);
    assert!(!board.take(key(1), Claim { cap: 1, ..claim(4) }));
    assert!(board.take(key(2), claim(4)));
}

#[test]
fn transfers_begin_in_their_order_as_far_as_their_bounds_let_them() {
    let mut board = board(&[0; 5]);
    assert!(board.begin(key(1), 2, 0));
    assert!(board.begin(key(2), 0, 0), "whoever wants no bound has none");
    assert!(!board.begin(key(3), 1, 0));
    assert!(!board.begin(key(4), 2, 0));
    assert!(board.begin(key(5), 3, 0), "the earlier ones may not begin yet");
    for gone in [2, 5] {
        board.entries.retain(|entry| entry.key != key(gone));
    }
    assert!(!board.begin(key(3), 1, 0));
    assert!(board.begin(key(4), 2, 0));
    board.entries.retain(|entry| entry.key.number == 3);
    assert!(board.begin(key(3), 1, 0));
    assert_eq!(board.running(), 1);
}

#[test]
fn the_board_is_bounded() {
    let mut board = board(&[0; TASKS_MAX]);
    assert_eq!(board.join(Entry::new(key(1_000))), None);
    assert!(!board.take(key(1_000), claim(4)));
}

/// What can happen to a task.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// It wants another thread.
    Ask(u32),
    /// One of its operations ends.
    Free(u32),
    /// Its process dies, and it comes again later.
    Die(u32),
    /// The operator changes the number of threads.
    Limit(u16),
    /// Everybody that waits looks, in this order at first.
    Look(u32),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u32..6).prop_map(Step::Ask),
        4 => (0_u32..6).prop_map(Step::Free),
        1 => (0_u32..6).prop_map(Step::Die),
        1 => (1_u16..9).prop_map(Step::Limit),
        4 => (0_u32..6).prop_map(Step::Look),
    ]
}

/// Each task is a process of its own here, so that it can die.
fn process(number: u32) -> Key {
    Key { run: 100 + u128::from(number), number }
}

proptest! {
    #[test]
    fn whatever_tasks_do_nobody_has_too_much_and_nothing_is_idle(
        first in 1_u16..9,
        steps in prop::collection::vec(any_step(), 1..300),
    ) {
        let (mut board, mut limit, mut model) = (Board::default(), first, BTreeMap::<u32, u16>::new());
        for step in steps {
            match step {
                Step::Limit(changed) => limit = changed,
                Step::Free(number) => {
                    let held = model.get_mut(&number).filter(|held| **held > 0);
                    if let (Some(held), Some(entry)) = (held, board.entry(process(number))) {
                        (*held, entry.held) = (*held - 1, entry.held - 1);
                    }
                }
                Step::Die(number) => {
                    board.bury(process(number).run);
                    model.remove(&number);
                }
                Step::Ask(number) | Step::Look(number) => {
                    let asks = matches!(step, Step::Ask(_));
                    if asks && !model.contains_key(&number) {
                        board.join(Entry::new(process(number))).unwrap();
                        model.insert(number, 0);
                    }
                    // Each looks once, or all until none gets any more.
                    let looks = if asks { 1 } else { 60 };
                    for number in (0..6).map(|step| (number + step) % 6).cycle().take(looks) {
                        let waits = board.entry(process(number)).is_some_and(|entry| entry.waiting);
                        if asks || waits {
                            let before = board.clone();
                            let taken = board.take(process(number), claim(limit));
                            check_taken(&before, &model, limit, number, taken)?;
                            *model.get_mut(&number).unwrap() += u16::from(taken);
                        }
                    }
                    let idle = u32::from(limit).saturating_sub(board.held());
                    let waiting = board.entries.iter().any(|entry| entry.waiting);
                    prop_assert!(asks || idle == 0 || !waiting, "a thread is idle while work waits");
                }
            }
            for (number, held) in &model {
                prop_assert_eq!(board.entry(process(*number)).unwrap().held, *held);
            }
        }
    }

    /// Everybody always wants more: after any number of rounds all have had the same, within one.
    #[test]
    fn nobody_starves(limit in 1_u16..9, tasks in 1_u32..20, order in any::<u64>()) {
        let mut board = Board::default();
        (0..tasks).for_each(|number| { board.join(Entry::new(process(number))).unwrap(); });
        let (mut had, mut running, mut random) = (vec![0_u32; 20], Vec::new(), order | 1);
        let hello = Claim { limit: 0, ..claim(limit) };
        (0..tasks).for_each(|number| assert!(!board.take(process(number), hello)));
        let mut next = move || { random ^= random << 13; random ^= random >> 7; random ^= random << 17; random };
        for _ in 0..400 {
            // Each looks, in any order, until none gets any more.
            loop {
                let start = u32::try_from(next() % u64::from(tasks)).unwrap();
                let taken = (0..tasks).map(|step| (start + step) % tasks).find(|number| board.take(process(*number), claim(limit)));
                let Some(number) = taken else { break };
                had[usize::try_from(number).unwrap()] += 1;
                running.push(number);
            }
            prop_assert_eq!(running.len(), usize::from(limit), "none is idle");
            let held: Vec<u16> = board.entries.iter().map(|entry| entry.held).collect();
            prop_assert!(held.iter().max().unwrap() - held.iter().min().unwrap() <= 1, "{held:?}");
            // The oldest operation ends first.
            let ended = running.remove(0);
            board.entry(process(ended)).unwrap().held -= 1;
        }
        let had = &had[..usize::try_from(tasks).unwrap()];
        prop_assert!(had.iter().max().unwrap() - had.iter().min().unwrap() <= u32::from(limit) + 1, "{had:?}");
    }
}

/// A thread was taken only if there was one and nobody who waits had fewer; and it was not taken only
/// if there was none, or somebody is before.
fn check_taken(
    before: &Board,
    model: &BTreeMap<u32, u16>,
    limit: u16,
    number: u32,
    taken: bool,
) -> Result<(), TestCaseError> {
    let held: u32 = model.values().map(|held| u32::from(*held)).sum();
    let waits = |other: u32| before.entries.iter().any(|entry| entry.key == process(other) && entry.waiting);
    let fewer = model.iter().any(|(other, held)| *other != number && waits(*other) && *held < model[&number]);
    let equal =
        model.iter().any(|(other, held)| *other != number && waits(*other) && *held == model[&number]);
    if taken {
        prop_assert!(held < limit.into() && !fewer, "{number} had no right: {before:?}");
    } else {
        prop_assert!(held >= limit.into() || fewer || equal, "{number} was left out: {before:?}");
    }
    Ok(())
}
