//! Exhaustive check of claim, takeover and reader: every interleaving of two processes that may
//! be reassigned, killed or turn into zombies, with records that land late or never, within the
//! bounds given. It drives the crate's own fence, claimant and numbering.

mod log;
mod model;
mod process;
mod readers;

use stateright::{Checker, HasDiscoveries, Model};

/// What may happen, and how often.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The assignment moves to the other process; the old owner may go on as a zombie.
    pub reassignments: u8,
    /// A process dies; what it had in flight may land later, or be lost.
    pub crashes: u8,
    /// Segments that an owner publishes, over all epochs.
    pub segments: u8,
    /// Owners repeat their claims and openings.
    pub repeats: u8,
    /// Retention removes everything while nobody works on the stream.
    pub retentions: u8,
    /// An owner's first openings land at once in all topics: fewer interleavings, for bounds
    /// that would be too large otherwise.
    pub openings_at_once: bool,
}

/// A rule that is broken, to show that the check notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    Nothing,
    /// Readers count what fenced writers wrote.
    ReadersIgnoreClaims,
    /// Readers take a claim for an owner's without its opening.
    ReadersTrustBareClaims,
    /// Claimants number by `index` alone.
    SourceIsNotRead,
    /// Claimants decide by what they read before they claimed.
    DecidedBeforeTheClaim,
    /// Where nothing is left in the log, numbers begin at 0.
    NumbersBeginAtZero,
    /// New owners write no repairs.
    NothingIsRepaired,
    /// Owners learn of higher claims from `index` alone, not from `source`.
    OnlyIndexIsFollowed,
    /// Owners that are fenced go on.
    FencedOwnersGoOn,
}

pub struct Ownership {
    pub bounds: Bounds,
    pub broken: Broken,
}

fn check(bounds: Bounds, broken: Broken, until: Option<&'static str>) -> Vec<&'static str> {
    let started = std::time::Instant::now();
    let finish = match until {
        None => HasDiscoveries::All,
        Some(property) => HasDiscoveries::AnyOf([property].into()),
    };
    let checker = Ownership { bounds, broken }
        .checker()
        .finish_when(finish)
        .threads(2)
        .spawn_bfs()
        .join();
    println!(
        "{broken:?} {bounds:?}: {} states in {:.1} s",
        checker.unique_state_count(),
        started.elapsed().as_secs_f32()
    );
    let mut failed: Vec<_> = checker
        .discoveries()
        .into_iter()
        .filter(|(name, _)| *name != "an owner takes over from a zombie")
        .map(|(name, path)| {
            if broken == Broken::Nothing {
                println!("{name}: {:#?}", path.into_actions());
            }
            name
        })
        .collect();
    failed.sort_unstable();
    failed
}

const NONE: Bounds = Bounds {
    reassignments: 0,
    crashes: 0,
    segments: 0,
    repeats: 0,
    retentions: 0,
    openings_at_once: false,
};

fn holds(bounds: Bounds) {
    assert_eq!(check(bounds, Broken::Nothing, None), [""; 0]);
}

#[test]
fn two_claimants_and_a_zombie() {
    holds(Bounds {
        reassignments: 1,
        segments: 2,
        ..NONE
    });
}

#[test]
fn a_death_at_any_point_and_records_that_land_late() {
    holds(Bounds {
        crashes: 1,
        segments: 2,
        ..NONE
    });
}

#[test]
fn a_claimant_that_dies_while_the_owner_lives() {
    holds(Bounds {
        reassignments: 1,
        crashes: 1,
        openings_at_once: true,
        ..NONE
    });
}

#[test]
fn claims_repeated_by_owners_and_zombies() {
    holds(Bounds {
        reassignments: 1,
        repeats: 1,
        ..NONE
    });
}

#[test]
fn retention_that_removed_everything() {
    holds(Bounds {
        crashes: 1,
        segments: 2,
        retentions: 1,
        ..NONE
    });
}

#[test]
#[ignore = "soak: larger bounds take minutes and some GB"]
fn larger_bounds() {
    holds(Bounds {
        reassignments: 2,
        segments: 1,
        openings_at_once: true,
        ..NONE
    });
    holds(Bounds {
        crashes: 2,
        segments: 1,
        openings_at_once: true,
        ..NONE
    });
    holds(Bounds {
        reassignments: 1,
        repeats: 1,
        segments: 1,
        openings_at_once: true,
        ..NONE
    });
}

/// The check is worth something: it finds each rule that is broken.
#[test]
fn broken_rules_are_found() {
    let zombie = Bounds {
        reassignments: 1,
        segments: 2,
        openings_at_once: true,
        ..NONE
    };
    let repeats = Bounds {
        repeats: 1,
        segments: 1,
        ..zombie
    };
    let death = Bounds {
        crashes: 1,
        segments: 2,
        ..NONE
    };
    let retention = Bounds {
        retentions: 1,
        ..death
    };
    let late_claim = Bounds { crashes: 1, ..NONE };
    let twice = "no number is used twice";
    let readers = "readers derive the same sequence";
    let index = "index says what the media topics hold";
    let owned = "somebody owns the stream in the end";
    for (broken, bounds, found) in [
        (Broken::ReadersIgnoreClaims, zombie, twice),
        (Broken::ReadersTrustBareClaims, repeats, readers),
        (Broken::SourceIsNotRead, death, twice),
        (Broken::DecidedBeforeTheClaim, zombie, twice),
        (Broken::NumbersBeginAtZero, retention, twice),
        (Broken::NothingIsRepaired, death, index),
        (Broken::OnlyIndexIsFollowed, late_claim, owned),
        (Broken::FencedOwnersGoOn, late_claim, owned),
    ] {
        let failed = check(bounds, broken, Some(found));
        assert!(failed.contains(&found), "{broken:?}: {failed:?}");
    }
}
