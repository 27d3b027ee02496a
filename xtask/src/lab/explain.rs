// SPDX-License-Identifier: GPL-2.0

//! The verbs `list` and `explain`: the catalogue for people. They need no kernel.

use super::catalogue::{self, Claim, DiskKind};
use super::timeline;
use crate::context::Context;
use crate::exit::{Exit, failure};
use crate::{guest, setup};
use anyhow::Result;

fn load(ctx: &Context) -> Result<Vec<Claim>> {
    setup::ensure(ctx)?;
    catalogue::load(&guest::build(ctx)?.claims)
}

/// Prints one line for each claim, or all that is known of them as JSON.
pub(crate) fn list(ctx: &Context, json: bool) -> Result<Exit> {
    let claims = load(ctx)?;
    if json {
        println!("{}", serde_json::to_string_pretty(&claims)?);
        return Ok(Exit::Passed);
    }
    for claim in claims {
        println!("{:<4} {}", claim.id, claim.name.replace('_', " "));
    }
    Ok(Exit::Passed)
}

/// Prints everything about one claim.
pub(crate) fn explain(ctx: &Context, id: &str) -> Result<Exit> {
    let claims = load(ctx)?;
    let found: Vec<_> = claims.iter().filter(|claim| claim.matches(id)).collect();
    if found.is_empty() {
        return Err(failure(
            Exit::Usage,
            format!("no claim is called \"{id}\": `cargo xtask list` shows them"),
        ));
    }
    for claim in found {
        println!("{}  {}\n", claim.id, claim.name.replace('_', " "));
        println!("{}\n", wrapped(&claim.summary, 96));
        if !claim.timeline.is_empty() {
            println!("{}", timeline::draw(&claim.timeline));
        }
        println!("stands for  {}", claim.rule);
        println!("needs       {}", needs(claim));
        for policy in claim.expect.keys() {
            println!("{policy:<10}  {}", claim.expected(policy));
        }
        println!("\ntry it      cargo xtask compare --claim {}", claim.id);
    }
    Ok(Exit::Passed)
}

fn needs(claim: &Claim) -> String {
    let needs = &claim.needs;
    let disk = match needs.disk {
        DiskKind::Plain => "a disk",
        DiskKind::SlowWrites => "a disk with slow writes",
        DiskKind::SlowReads => "a disk with slow reads",
    };
    let mut words = vec![match needs.block_size {
        Some(size) => format!("{disk} with blocks of {size} bytes"),
        None => disk.to_owned(),
    }];
    for (needed, word) in [
        (needs.faults, "I/O errors on demand"),
        (needs.ioctl, "COHFS_IOC_INVALIDATE"),
        (needs.device, "the block device behind the file"),
    ] {
        if needed {
            words.push(word.to_owned());
        }
    }
    words.join(", ")
}

/// Breaks a paragraph into lines of at most `width` characters.
fn wrapped(text: &str, width: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is a first line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrapped("one two three", 7), "one two\nthree");
        assert_eq!(wrapped("overlong a", 3), "overlong\na");
    }
}
