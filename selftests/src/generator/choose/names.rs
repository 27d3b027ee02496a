// SPDX-License-Identifier: GPL-2.0

//! Steps on names, and on what inodes say of themselves.

use super::Choice;
use super::Chooser;
use super::DEEP;
use super::permissions;
use crate::generator::model::Kind;
use crate::generator::step::Node;
use crate::generator::step::Rename;
use crate::generator::step::Step;
use crate::generator::step::Target;
use crate::generator::step::join;
use crate::generator::step::split;

impl Chooser {
    pub(super) fn on_names(&mut self, choice: &Choice<'_>, full: bool) -> Option<Step> {
        let kind = self.random.u32(if full { 190..500 } else { 0..500 });
        let random = &mut self.random;
        match kind {
            0..80 => {
                let exclusive = random.bool();
                let mode = permissions(random);
                let path = self.place(choice);
                Some(Step::Create {
                    path,
                    mode,
                    exclusive,
                })
            }
            80..110 => {
                let from = choice.any(random)?;
                Some(Step::Link {
                    from,
                    to: self.place(choice),
                })
            }
            110..120 => {
                let slot = choice.slot(random, true)?;
                Some(Step::LinkSlot {
                    slot,
                    to: self.place(choice),
                })
            }
            120..145 => {
                let path = self.place(choice);
                Some(Step::Symlink {
                    text: self.text(choice, &path),
                    path,
                })
            }
            145..155 => {
                let (major, minor) = (random.u32(240..254), random.u32(..1000));
                let node = match random.u8(..4) {
                    0 => Node::Fifo,
                    1 => Node::Socket,
                    2 => Node::Character(major, minor),
                    _ => Node::Block(major, minor),
                };
                let mode = permissions(random);
                Some(Step::Mknod {
                    path: self.place(choice),
                    node,
                    mode,
                })
            }
            155..190 => {
                let mode = permissions(random);
                Some(Step::Mkdir {
                    path: self.place(choice),
                    mode,
                })
            }
            190..220 => {
                let dir = choice.those(random, |kind| matches!(kind, Kind::Dir(..)));
                Some(Step::Rmdir { path: dir? })
            }
            220..280 => Some(Step::Unlink {
                path: choice.any(random)?,
            }),
            280..340 => self.rename(choice),
            340..355 => {
                let path = choice.those(random, |kind| !matches!(kind, Kind::Link(_)))?;
                let slot = if random.bool() {
                    choice.slot(random, true)
                } else {
                    None
                };
                let target = slot.map_or(Target::Path(path), Target::Slot);
                Some(Step::Chmod {
                    target,
                    mode: permissions(random),
                })
            }
            355..365 => {
                let ids = [0, 1, 1000, 65_534, 65_536, 4_000_000_000];
                let (uid, gid) = (*random.choice(&ids)?, *random.choice(&ids)?);
                Some(Step::Chown {
                    path: choice.any(random)?,
                    uid,
                    gid,
                })
            }
            365..382 => {
                let times = [
                    0,
                    1,
                    -1,
                    86_400,
                    1_000_000_000,
                    i64::from(i32::MAX),
                    -86_400,
                    1 << 33,
                ];
                let mut time = || {
                    random
                        .choice(&times)
                        .copied()
                        .filter(|_| random.u8(..4) > 0)
                };
                let (accessed, modified) = (time(), time());
                Some(Step::Utimens {
                    path: choice.any(random)?,
                    accessed,
                    modified,
                })
            }
            382..462 => self.on_attributes(choice),
            462..482 => self.set_flags(choice),
            482..492 => self.set_generation(choice),
            _ => Some(Step::Follow {
                path: choice.any(random)?,
            }),
        }
    }

    fn rename(&mut self, choice: &Choice<'_>) -> Option<Step> {
        let from = choice.any(&mut self.random)?;
        let to = match self.random.u8(..3) {
            0 => choice.any(&mut self.random)?,
            _ => self.place(choice),
        };
        let how = match self.random.u8(..12) {
            0..6 => Rename::Replace,
            6..8 => Rename::NoReplace,
            8..11 if self.allowed.alone => Rename::Exchange,
            8..11 => Rename::Replace,
            _ => Rename::Whiteout,
        };
        // What is below a directory moves with it.
        let depth = |path: &str| {
            let below = format!("{path}/");
            let inside = choice
                .paths
                .iter()
                .filter(|(path, _)| path.starts_with(&below));
            inside
                .map(|(inside, _)| inside.len() - path.len())
                .max()
                .unwrap_or(0)
        };
        let longest = (to.len() + depth(&from)).max(from.len() + depth(&to));
        (longest < 2 * DEEP).then_some(Step::Rename { from, to, how })
    }

    pub(super) fn list(&mut self, choice: &Choice<'_>) -> Step {
        let path = choice.dir(&mut self.random);
        let scratch = if self.random.bool() {
            0
        } else {
            self.random.usize(1..8)
        };
        Step::List {
            path,
            buffer: self.random.usize(300..2_000),
            scratch: (0..scratch)
                .map(|number| format!("~{number}").repeat(self.random.usize(1..100)))
                .collect(),
        }
    }

    /// A path at which there may or may not be something.
    fn place(&mut self, choice: &Choice<'_>) -> String {
        let dir = choice.dir(&mut self.random);
        let random = &mut self.random;
        let name = match random.u8(..100) {
            0..70 => format!("n{}", random.u8(..40)),
            70..82 => "abc".repeat(random.usize(1..14)),
            82..92 => "long".repeat(63) + ["", "x", "yz", "abc"][random.usize(..4)],
            92..94 => "much too long".repeat(random.usize(20..25)),
            94..97 => format!("a space, ä and \\ {}", random.u8(..9)),
            _ => format!(".{}", random.u8(..20)),
        };
        join(&dir, &name)
    }

    /// The text of a symbolic link: fast or slow, leading somewhere or nowhere.
    fn text(&mut self, choice: &Choice<'_>, path: &str) -> String {
        let random = &mut self.random;
        match random.u8(..10) {
            0..5 => {
                let up = "../".repeat(split(path).0.matches('/').count() + 1);
                let up = if split(path).0.is_empty() { "" } else { &up };
                let to = choice.any(random).unwrap_or_else(|| "nowhere".to_owned());
                format!("{up}{to}")
            }
            5..8 => "t".repeat(random.usize(1..60)),
            8 => "u".repeat(60 + random.usize(..8)),
            _ => "/v".repeat(random.usize(30..2_100)),
        }
    }
}
