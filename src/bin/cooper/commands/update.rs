//! `cooper update`

use cooperage::ops::{self, PinMove, UpdateOptions};
use serde_json::{Value, json};

use super::recipes;
use crate::cli::Update;
use crate::errors::{Failure, Problem};
use crate::shell::{Answer, count};

pub(super) fn run(args: &Update, env: &ops::Env<'_>) -> Result<Answer, Failure> {
    let select: ops::Selection = (&args.select).into();
    let asked = select.all || !select.targets.is_empty() || args.input.is_some();
    if env.locked && asked {
        let problem = Problem::usage("COOPER_LOCKED forbids to write locks");
        return Err(problem
            .hint("without targets `cooper update` only tells; COOPER_LOCKED=0 allows writing")
            .into());
    }
    let (moves, applied) = ops::update(env, &UpdateOptions { select, input: args.input.clone() })?;
    Ok(answer(&moves, applied))
}

fn answer(moves: &[PinMove], applied: bool) -> Answer {
    let status = match (moves, applied) {
        ([], _) => "every pin is what its reference says".to_owned(),
        (_, true) => format!("{} moved", count(moves.len(), "pin")),
        (_, false) => format!("{} would move: `cooper update --all` moves them", count(moves.len(), "pin")),
    };
    let json: Vec<Value> = moves.iter().map(recipes::pin_json).collect();
    Answer {
        lines: recipes::pin_lines(moves, if applied { "moved in" } else { "would move in" }),
        status: vec![status],
        json: json!({ "moves": json, "applied": applied }),
        ..Answer::default()
    }
}
