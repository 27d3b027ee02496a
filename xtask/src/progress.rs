// SPDX-License-Identifier: GPL-2.0

//! What the user sees while something takes its time: a bar on a terminal, and otherwise
//! one plain line every thirty seconds. All of it goes to stderr; stdout carries results.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fmt::Display;
use std::io::IsTerminal;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often a plain line is printed when stderr is not a terminal.
const PLAIN_PERIOD: Duration = Duration::from_secs(30);

/// The one place that writes to stderr while work is going on.
#[derive(Clone)]
pub(crate) struct Ui {
    bars: MultiProgress,
    terminal: bool,
}

impl Ui {
    /// Bars if stderr is a terminal, plain lines otherwise.
    pub(crate) fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            bars: MultiProgress::with_draw_target(target),
            terminal,
        }
    }

    /// Prints one line, `verb` set flush right in front of it, without tearing a bar.
    pub(crate) fn say(&self, verb: &str, text: impl Display) {
        let line = format!("{verb:>12}  {text}");
        self.bars.suspend(|| eprintln!("{line}"));
    }

    /// Prints one line of results on standard output, without tearing a bar.
    pub(crate) fn result(&self, line: impl Display) {
        self.bars.suspend(|| println!("{line}"));
    }

    /// Begins a step of unknown length.
    pub(crate) fn step(&self, verb: &str, text: impl Into<String>) -> Step {
        self.begin(verb, text.into(), None)
    }

    /// Begins a step of about `total` countable things.
    pub(crate) fn counted(&self, verb: &str, text: impl Into<String>, total: u64) -> Step {
        self.begin(verb, text.into(), Some(total))
    }

    fn begin(&self, verb: &str, text: String, total: Option<u64>) -> Step {
        let template = match total {
            Some(_) => "{prefix:>12}  {msg}  [{bar:30}] {pos}/{len}  {elapsed}",
            None => "{prefix:>12}  {msg}  {spinner} {elapsed}",
        };
        let style = ProgressStyle::with_template(template)
            .expect("the template is a constant")
            .progress_chars("=> ");
        let bar = self.bars.add(match total {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::new_spinner(),
        });
        bar.set_style(style);
        bar.set_prefix(verb.to_owned());
        bar.set_message(text.clone());
        bar.enable_steady_tick(Duration::from_millis(200));
        let ticker = (!self.terminal).then(|| {
            eprintln!("{verb:>12}  {text} …");
            PlainTicker::start(verb.to_owned(), text.clone(), total, bar.clone())
        });
        Step {
            ui: self.clone(),
            verb: verb.to_owned(),
            bar,
            ticker,
            began: Instant::now(),
        }
    }
}

/// Something that is going on. Dropped without [`Step::done`] it vanishes: the error speaks.
pub(crate) struct Step {
    ui: Ui,
    verb: String,
    bar: ProgressBar,
    ticker: Option<PlainTicker>,
    began: Instant,
}

impl Step {
    /// Counts one more thing; the total grows if it turns out to have been too small.
    pub(crate) fn tick(&self) {
        self.bar.inc(1);
        if self
            .bar
            .length()
            .is_some_and(|len| len < self.bar.position())
        {
            self.bar.set_length(self.bar.position());
        }
    }

    /// Ends the step with a line that stays.
    pub(crate) fn done(mut self, text: impl Display) {
        self.ticker.take();
        self.bar.finish_and_clear();
        let spent = duration(self.began.elapsed());
        self.ui.say(&self.verb, format_args!("{text}  ({spent})"));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.ticker.take();
        self.bar.finish_and_clear();
    }
}

/// A thread that prints a line now and then until it is dropped.
struct PlainTicker {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl PlainTicker {
    fn start(verb: String, text: String, total: Option<u64>, bar: ProgressBar) -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let began = Instant::now();
            while stopped.recv_timeout(PLAIN_PERIOD) == Err(RecvTimeoutError::Timeout) {
                let spent = duration(began.elapsed());
                match total {
                    Some(_) => eprintln!(
                        "{verb:>12}  {text}: {} of about {}  ({spent})",
                        bar.position(),
                        bar.length().unwrap_or(0),
                    ),
                    None => eprintln!("{verb:>12}  {text}: still at it  ({spent})"),
                }
            }
        });
        Self {
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for PlainTicker {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A ticker that panicked has nothing more to print.
            let _ = thread.join();
        }
    }
}

/// A duration as people say it: `4.2s`, `5m49s`.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{:.1}s", time.as_secs_f64()),
        _ => format!("{}m{:02}s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_naturally() {
        assert_eq!(duration(Duration::from_millis(4_230)), "4.2s");
        assert_eq!(duration(Duration::from_secs(349)), "5m49s");
        assert_eq!(duration(Duration::from_secs(3_600)), "60m00s");
    }
}
