// SPDX-License-Identifier: GPL-2.0

//! The interleaving of a claim, drawn: one line for each act, time from left to right.

use super::catalogue::Act;

/// Characters for each tick.
const WIDTH: usize = 2;

/// Draws acts as text; nothing if there are none.
pub(crate) fn draw(acts: &[Act]) -> String {
    let actors = acts.iter().map(|act| act.actor.chars().count());
    let widest = actors.max().unwrap_or(0);
    let length = usize::from(ticks(acts)) * WIDTH;
    let mut text = String::new();
    for act in acts {
        let begin = usize::from(act.from) * WIDTH;
        let mark = match act.from == act.to {
            true => "*".to_owned(),
            false => "=".repeat((usize::from(act.to) + 1) * WIDTH - 1 - begin),
        };
        let bar = format!("{}{mark}", " ".repeat(begin));
        text += &format!("{:<widest$}  |{bar:<length$}|  {}\n", act.actor, act.step);
    }
    text
}

/// How many ticks all of it takes.
pub(crate) fn ticks(acts: &[Act]) -> u8 {
    acts.iter().map(|act| act.to + 1).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_act_has_its_place_in_time() {
        let act = |actor: &str, step: &str, from, to| Act {
            actor: actor.to_owned(),
            step: step.to_owned(),
            from,
            to,
        };
        let acts = [
            act("writer", "write", 0, 2),
            act("disk", "in flight", 1, 2),
            act("storer", "store", 1, 1),
        ];
        let expected = "\
writer  |===== |  write
disk    |  === |  in flight
storer  |  *   |  store
";
        assert_eq!(draw(&acts), expected);
        assert_eq!(draw(&[]), "");
    }
}
